/* SAC's own channel: the prompt, its line, paged output, events, and what happens in time. */
#include "sac.h"

#define LIMIT 78
#define PAGE_ROWS (ROWS - 1)
#define OUTPUT 16384
#define EVENTS 16
#define FAR_MS 1000

static char line[LIMIT + 1], output[OUTPUT], events[EVENTS][160];
static u32 length, typed;            /* of the line; characters since the boot */
static u32 printed, shown;           /* of the output */
static u32 event_head, event_tail;   /* events that wait for a prompt */
static u32 started, end_at;          /* milliseconds */
static int was_cr, is_paging, waits_for_enter, is_busy;
static int has_cmd_event, has_lost_cmd;
static int is_ending, ends_by_restart;
static int is_blocked;               /* SAC was told to end the system, and answers no more */

static void write_format(sink put, void *context, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    format_to(put, context, format, values);
    va_end(values);
}

void machine_info(sink put, void *context)
{
    write_format(put, context, text(T_XML_MACHINE_OPEN));
    write_format(put, context, text(T_XML_MACHINE_NAME), knobs.computer_name);
    write_format(put, context, text(T_XML_MACHINE_GUID), machine_guid);
    write_format(put, context, text(T_XML_MACHINE_ARCHITECTURE), fact(F_ARCHITECTURE));
    write_format(put, context, text(T_XML_MACHINE_VERSION), fact(F_OS_VERSION));
    write_format(put, context, text(T_XML_MACHINE_BUILD), fact(F_OS_BUILD));
    write_format(put, context, text(T_XML_MACHINE_PRODUCT), fact(F_PRODUCT));
    write_format(put, context, text(T_XML_MACHINE_SERVICE_PACK), fact(F_SERVICE_PACK));
    write_format(put, context, text(T_XML_MACHINE_CLOSE));
}

static void put_on_wire(void *context, char byte)
{
    (void)context;
    serial_put(byte);
}

static void prompt(void)
{
    channel_write(0, text(T_SAC_PROMPT));
}

void sac_start(void)
{
    is_paging = knobs.paging;
    started = now_ms();
    serial_write(text(T_BOOT_TERMINAL_ON));
    serial_write(text(T_XML_HEAD));
    machine_info(put_on_wire, NULL);
    channels_init();
    channel_write(0, text(T_BOOT_BANNER));
    prompt();
}

/* --- output ------------------------------------------------------------------------------------------- */

static void put_in_output(void *context, char byte)
{
    (void)context;
    if (printed < OUTPUT)
        output[printed++] = byte;
}

void sac_print(const char *more)
{
    while (*more)
        put_in_output(NULL, *more++);
}

void sac_printf(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    format_to(put_in_output, NULL, format, values);
    va_end(values);
}

void sac_toggle_paging(void)
{
    is_paging = !is_paging;
    sac_print(text(is_paging ? T_SAC_PAGING_ON : T_SAC_PAGING_OFF));
}

static void show_events(void);

/* Shows the output's next page; after the last one comes the prompt. */
static void show_page(void)
{
    u32 rows = 0, columns = 0;
    waits_for_enter = 0;
    while (shown < printed) {
        char byte = output[shown];
        if (is_paging && rows == PAGE_ROWS) {
            channel_write(0, text(T_SAC_MORE));
            waits_for_enter = 1;
            return;
        }
        channel_put(0, byte);
        shown++;
        columns = byte == '\n' ? 0 : byte >= ' ' ? columns + 1 : columns;
        if (byte == '\n' || columns > COLUMNS) {
            rows++;
            columns = columns > COLUMNS;
        }
    }
    printed = shown = 0;
    if (!is_blocked)
        prompt();
    show_events();
}

static void show_events(void)
{
    while (event_tail != event_head && !waits_for_enter && !is_blocked) {
        channel_write(0, "\r\n");
        channel_write(0, events[event_tail % EVENTS]);
        event_tail++;
        prompt();
    }
}

void sac_event(const char *event)
{
    if (event_head - event_tail == EVENTS)
        return;
    copy_text(events[event_head % EVENTS], event, sizeof events[0]);
    event_head++;
    if (printed == 0 && !is_busy)
        show_events();
}

/* --- input -------------------------------------------------------------------------------------------- */

static void erase(void)
{
    if (!length)
        return;
    length--;
    channel_write(0, "\b \b");
}

static void add(char letter)
{
    if (length == LIMIT) {
        channel_put(0, '\b');
        length--;
    }
    line[length++] = letter;
    channel_put(0, letter);
    if (++typed == (u32)knobs.event_while_typing)
        sac_event(text(T_SAC_CMD_EVENT));
}

static void finish_line(void)
{
    channel_write(0, "\r\n");
    line[length] = 0;
    length = 0;
    is_busy = 1; /* its events come after its prompt */
    sac_command(line);
    is_busy = 0;
    show_page();
}

void sac_input(u8 byte)
{
    int follows_cr = was_cr && byte == '\n', is_enter = byte == '\r' || byte == '\n' || byte == 3;
    was_cr = byte == '\r';
    if (follows_cr || is_blocked)
        return;
    if (waits_for_enter) {
        if (is_enter) {
            channel_write(0, "\r\n");
            show_page();
        }
    } else if (is_enter) {
        finish_line();
    } else if (byte == '\b' || byte == 127) {
        erase();
    } else if (byte == '\t') {
        channel_put(0, '\a');
    } else if (byte >= ' ' && byte < 127) {
        add((char)byte);
    }
}

/* --- what happens in time ----------------------------------------------------------------------------- */

void sac_plan_end(int restarts, u32 earliest_s)
{
    is_ending = 1;
    ends_by_restart = restarts;
    end_at = now_ms() + earliest_s * 1000;
}

void sac_cancel_end(void)
{
    is_ending = 0;
}

int sac_end_planned(void)
{
    return is_ending;
}

/* SAC itself: it says what it is about to do, and answers no more. */
void sac_end_by_command(int restarts)
{
    u32 uptime = now_ms(), earliest = (u32)knobs.restart_wait_s * 1000;
    if (knobs.restart_wait_s < 0)
        parse_number(fact(F_RESTART_WAIT_S), &earliest), earliest *= 1000;
    is_blocked = 1;
    sac_print(text(restarts ? T_SAC_RESTARTING : T_SAC_SHUTTING_DOWN));
    sac_plan_end(restarts, 0);
    if (uptime < earliest)
        end_at = earliest;
}

void sac_end(int restarts)
{
    struct memory memory;
    channel_flush(0);
    serial_write(is_blocked ? "" : "\r\n");
    serial_write(text(T_SAC_GOING_DOWN));
    memory_load(&memory);
    memory.end = ENDED_WELL;
    memory_save(&memory);
    if (restarts)
        reboot();
    power_off();
}

static u32 cmd_event_at(void)
{
    return started + (u32)knobs.cmd_event_ms;
}

static int is_due(u32 at)
{
    return (int)(now_ms() - at) >= 0;
}

void sac_work(void)
{
    if (!has_cmd_event && knobs.cmd_event_ms >= 0 && is_due(cmd_event_at())) {
        has_cmd_event = 1;
        sac_event(text(T_SAC_CMD_EVENT));
    }
    if (is_ending && is_due(end_at))
        sac_end(ends_by_restart);
    if (power_button_pressed())
        sac_end(0);
}

static u32 nearer(u32 most, u32 at)
{
    int left = (int)(at - now_ms());
    return left < 0 ? 0 : (u32)left < most ? (u32)left : most;
}

u32 sac_next_ms(void)
{
    u32 most = FAR_MS;
    if (!has_cmd_event && knobs.cmd_event_ms >= 0)
        most = nearer(most, cmd_event_at());
    if (is_ending)
        most = nearer(most, end_at);
    return most;
}

int sac_has_cmd(void)
{
    return has_cmd_event && !has_lost_cmd;
}

void sac_lose_cmd(void)
{
    has_lost_cmd = 1;
    sac_event(text(T_SAC_CMD_GONE_EVENT));
}
