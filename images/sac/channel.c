/* Channels: which there are, which one has the terminal, and the keys that switch between them. */
#include "sac.h"

#define ESCAPE 27
#define SAC_GUID "1aee4cc0-cff3-11d6-9a3d-806e6f6e6963"
#define SAC_TYPE "63d02270-8aa4-11d5-bccf-806d6172696f"
#define CMD_TYPE "63d02271-8aa4-11d5-bccf-00b0d014a2d0"

struct channel channels[CHANNELS];
static int current;
static int is_viewing;
static int has_escape;    /* ESC came, and what follows decides */
static int has_switched;  /* ESC TAB came, and 0 would mean SAC */
static u32 made;

int channel_is_viewed(int number)
{
    return number == current && is_viewing;
}

int channel_is_raw(int number)
{
    return channels[number].kind == LOG;
}

const char *channel_description(int number)
{
    enum channel_kind kind = channels[number].kind;
    return kind == SAC ? "Special Administration Console" : kind == CMD ? fact(F_CMD_DESCRIPTION) : "Setup log";
}

static const char *application_type(const struct channel *channel)
{
    if (channel->kind == SAC)
        return SAC_TYPE;
    if (channel->kind == CMD)
        return CMD_TYPE;
    if (!strcmp(channel->name, "setuplog.txt"))
        return "5ed3bac7-a2f9-4e45-9875-b259ea3f291f";
    if (!strcmp(channel->name, "setuperr.log"))
        return "773d2759-19b8-4d6e-8045-26bf38402252";
    return "d37c67ba-89e7-44ba-ae5a-112c6806b0dd";
}

void channel_new_guid(char *guid)
{
    struct date date;
    clock_read(&date);
    u32 second = ((date.day * 24 + date.hour) * 60 + date.minute) * 60 + date.second;
    u32 low = second * 1000 + now_ms() % 1000;
    format(guid, 37, "%08x-%04x-11e%x-87e3-c2679e14957d", low, 0xd000 + made, date.year % 16);
    made++;
}

void channels_init(void)
{
    for (u32 i = 0; i < CHANNELS; i++)
        channels[i].kind = FREE;
    current = channel_open(SAC, "SAC", NULL);
    is_viewing = 1;
    if (!knobs.setup_channels)
        return;
    channel_open(LOG, "setuplog.txt", text(T_SETUP_SETUPLOG));
    channel_open(LOG, "setuperr.log", "");
    channel_open(LOG, "setupact.log", text(T_SETUP_SETUPACT));
}

int channel_open(enum channel_kind kind, const char *name, const char *log)
{
    for (int number = 0; number < CHANNELS; number++) {
        struct channel *channel = &channels[number];
        if (channel->kind != FREE)
            continue;
        channel->kind = kind;
        channel->log = log;
        copy_text(channel->name, name, sizeof channel->name);
        copy_text(channel->guid, SAC_GUID, sizeof channel->guid);
        if (kind != SAC)
            channel_new_guid(channel->guid);
        screen_clear(&channel->screen);
        return number;
    }
    return -1;
}

void channel_close(int number)
{
    char event[160];
    format(event, sizeof event, text(T_CHANNEL_CLOSED), channels[number].name);
    channels[number].kind = FREE;
    sac_event(event);
    if (number == current)
        channel_switch(0);
}

int channel_find(const char *name)
{
    for (int number = 0; number < CHANNELS; number++)
        if (channels[number].kind != FREE && same_word(channels[number].name, name))
            return number;
    return -1;
}

void channel_switch(int number)
{
    const struct channel *channel = &channels[number];
    const char *type = channel_is_raw(number) ? "Raw" : "VT-UTF8";
    const char *description = channel_description(number);
    current = number;
    is_viewing = 0;
    const char *application = application_type(channel);
    serial_format(text(T_XML_CHANNEL_SWITCH), channel->name, description, type, channel->guid, application);
    serial_write(text(T_CHANNEL_CLEAR));
    serial_format(text(T_CHANNEL_HEADER), channel->name, description, type, channel->guid, application);
    serial_write(text(T_CHANNEL_HEADER_KEYS));
}

static void view(void)
{
    is_viewing = 1;
    if (channel_is_raw(current)) {
        serial_write(text(T_CHANNEL_CLEAR));
        serial_write(channels[current].log);
    } else {
        screen_show(&channels[current].screen);
    }
}

static void switch_to_next(void)
{
    int number = current;
    do
        number = (number + 1) % CHANNELS;
    while (channels[number].kind == FREE);
    channel_switch(number);
    has_switched = 1;
}

static void hand_over(u8 byte)
{
    static int skips_line_feed;
    int was_switched = has_switched, skips = skips_line_feed && byte == '\n';
    has_switched = 0;
    skips_line_feed = 0;
    if (skips)
        return;
    if (was_switched && byte == '0') {
        channel_switch(0);
    } else if (!is_viewing) {
        skips_line_feed = byte == '\r'; /* CR LF is one key */
        view();
    } else if (current == 0) {
        sac_input(byte);
    } else if (channels[current].kind == CMD) {
        shell_input(current, byte);
    }
}

void channel_input(u8 byte)
{
    if (has_escape && byte == '\t') {
        has_escape = 0;
        switch_to_next();
        return;
    }
    /* Outside of ESC TAB the escape itself is lost: editing keys arrive as a literal "[A". */
    has_escape = byte == ESCAPE;
    if (!has_escape)
        hand_over(byte);
}

static int is_drawn_by_cells(int number)
{
    return channels[number].kind == CMD && fact(F_VT_MODE)[0] == 's';
}

void channel_put(int number, char byte)
{
    screen_put(&channels[number].screen, byte);
    if (channel_is_viewed(number) && !is_drawn_by_cells(number))
        serial_put(byte);
}

void channel_flush(int number)
{
    if (channel_is_viewed(number) && is_drawn_by_cells(number))
        screen_update(&channels[number].screen);
}

void channel_write(int number, const char *text)
{
    while (*text)
        channel_put(number, *text++);
}

struct target { int number; };

static void put(void *context, char byte)
{
    channel_put(((struct target *)context)->number, byte);
}

void channel_format(int number, const char *format, ...)
{
    struct target target = {number};
    va_list values;
    va_start(values, format);
    format_to(put, &target, format, values);
    va_end(values);
}
