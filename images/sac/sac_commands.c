/* SAC's commands. They match by their beginnings, in the order that SAC tests them in: "test" is t. */
#include "sac.h"

#define WORD 40
#define ACCESS_DENIED 0xc0000022
#define INVALID_CID 0xc000000b

static int is_locked, wants_cmd;
static u32 cmd_number;

static void bad_arguments(void)
{
    sac_print(text(T_SAC_BAD_ARGUMENTS));
}

static void fail(enum text_key why, u32 status)
{
    sac_print(text(why));
    sac_printf(text(T_SAC_FAILED_STATUS), status);
}

static void help(const char *arguments)
{
    (void)arguments;
    for (u32 key = T_SAC_HELP_CH; key <= T_SAC_HELP_CRASHDUMP; key++)
        sac_print(text(key));
    if (is_fact(F_HAS_LIVEDUMP))
        sac_print(text(T_SAC_HELP_LIVEDUMP));
}

static void identify(const char *arguments)
{
    u32 second = now_ms() / 1000;
    (void)arguments;
    sac_printf(text(T_SAC_ID_NAME), knobs.computer_name);
    sac_printf(text(T_SAC_ID_GUID), machine_guid);
    sac_printf(text(T_SAC_ID_ARCHITECTURE), fact(F_ARCHITECTURE));
    sac_printf(text(T_SAC_ID_VERSION), fact(F_OS_VERSION));
    sac_printf(text(T_SAC_ID_BUILD), fact(F_OS_BUILD));
    sac_printf(text(T_SAC_ID_PRODUCT), fact(F_PRODUCT));
    sac_printf(text(T_SAC_ID_SERVICE_PACK), fact(F_SERVICE_PACK));
    sac_printf(text(T_SAC_ID_UPTIME), second / 3600, second / 60 % 60, second % 60);
}

static void list_processes(const char *arguments) { (void)arguments; process_list(); }
static void toggle_threads(const char *arguments) { (void)arguments; process_toggle_threads(); }
static void toggle_paging(const char *arguments) { (void)arguments; sac_toggle_paging(); }
static void dump_log(const char *arguments) { (void)arguments; kernel_log_print(sac_print); }
static void shutdown(const char *arguments) { (void)arguments; sac_end_by_command(0); }
static void restart(const char *arguments) { (void)arguments; sac_end_by_command(1); }

static void crash(const char *arguments)
{
    (void)arguments;
    if (knobs.crash_dump == DUMP_NONE)
        sac_print(text(T_SAC_CRASHDUMP_FAILED));
    else
        bugcheck_crashdump();
}

static void live_dump(const char *arguments)
{
    (void)arguments;
    sac_print(text(T_SAC_LIVEDUMP_DONE));
}

static void lock(const char *arguments)
{
    (void)arguments;
    is_locked = 1;
    shell_lock_all();
    sac_print(text(T_SAC_LOCKED));
}

/* --- cmd ---------------------------------------------------------------------------------------------- */

static int has_room(void)
{
    for (u32 i = 0; i < CHANNELS; i++)
        if (channels[i].kind == FREE)
            return 1;
    return 0;
}

static void launch(const char *arguments)
{
    (void)arguments;
    if (is_locked) {
        sac_print(text(T_SAC_CMD_LOCKED));
    } else if (!sac_has_cmd()) {
        sac_print(text(T_SAC_CMD_TOO_EARLY));
        sac_print(text(T_SAC_CMD_TOO_EARLY_TAIL));
    } else if (knobs.hang == HANG_CMD_TIMEOUT) {
        sac_print(text(T_SAC_CMD_TIMEOUT));
        sac_print(text(T_SAC_CMD_TIMEOUT_TAIL));
    } else if (knobs.hang == HANG_CMD_FAILS) {
        fail(T_SAC_CMD_FAILED, 0xc0000001);
    } else if (!has_room()) {
        sac_print(text(T_CHANNEL_TOO_MANY));
    } else {
        sac_print(text(T_SAC_CMD_LAUNCHED));
        wants_cmd = 1;
    }
}

/* SAC's prompt comes before the event, so the channel is made after the command. */
void sac_launch_wanted(void)
{
    char name[16], event[160];
    if (!wants_cmd)
        return;
    wants_cmd = 0;
    format(name, sizeof name, "Cmd%04d", ++cmd_number);
    int number = channel_open(CMD, name, NULL);
    if (number < 0)
        return;
    shell_open(number);
    format(event, sizeof event, text(T_CHANNEL_CREATED), name);
    sac_event(event);
}

/* --- ch ----------------------------------------------------------------------------------------------- */

static void list_channels(void)
{
    sac_print(text(T_CHANNEL_LIST_HEAD));
    for (u32 i = 0; i < CHANNELS; i++)
        if (channels[i].kind != FREE)
            sac_printf(text(T_CHANNEL_LIST_ROW), i, "A", channel_is_raw((int)i) ? "R" : "V", channels[i].name);
}

static void close_channel(int number)
{
    if (number == 0)
        sac_print(text(T_CHANNEL_SAC_STAYS));
    else
        channel_close(number);
}

static void choose_channel(const char *option, const char *which)
{
    int by_name = option[2] == 'n', number = -1;
    u32 index;
    if (by_name)
        number = channel_find(which);
    else if (parse_number(which, &index) && index < CHANNELS && channels[index].kind != FREE)
        number = (int)index;
    if (number < 0)
        sac_print(text(by_name ? T_CHANNEL_BAD_NAME : T_CHANNEL_BAD_INDEX));
    else if (option[1] == 's')
        channel_switch(number);
    else
        close_channel(number);
}

static int is_channel_option(const char *option)
{
    return !strcmp(option, "-si") || !strcmp(option, "-sn") || !strcmp(option, "-ci") || !strcmp(option, "-cn");
}

static void manage_channels(const char *arguments)
{
    char option[WORD], which[WORD];
    arguments = take_word(arguments, option, sizeof option);
    take_word(arguments, which, sizeof which);
    if (!*option)
        list_channels();
    else if (!strcmp(option, "-?"))
        for (u32 key = T_CHANNEL_HELP_HEAD; key <= T_CHANNEL_HELP_KEYS; key++)
            sac_print(text(key));
    else if (is_channel_option(option) && *which)
        choose_channel(option, which);
    else
        bad_arguments();
}

/* --- processes ---------------------------------------------------------------------------------------- */

static struct process *chosen(const char *arguments, enum text_key failure)
{
    char word[WORD];
    u32 pid;
    take_word(arguments, word, sizeof word);
    if (!parse_number(word, &pid)) {
        bad_arguments();
        return NULL;
    }
    struct process *process = process_find(pid);
    if (!process)
        fail(failure, INVALID_CID);
    return process;
}

static void kill(const char *arguments)
{
    struct process *process = chosen(arguments, T_SAC_KILL_FAILED);
    if (!process)
        return;
    if (process_is_vital(process)) {
        fail(T_SAC_KILL_FAILED, ACCESS_DENIED);
        return;
    }
    process_kill(process);
    sac_print(text(T_SAC_KILL_DONE));
}

static void lower_priority(const char *arguments)
{
    struct process *process = chosen(arguments, T_SAC_LOWER_FAILED);
    if (!process)
        return;
    process->priority = 1;
    process->was_lowered = 1;
    sac_print(text(T_SAC_LOWER_DONE));
}

static void raise_priority(const char *arguments)
{
    struct process *process = chosen(arguments, T_SAC_RAISE_FAILED);
    if (!process)
        return;
    if (process->priority < process->base) {
        process->priority++;
        sac_print(text(T_SAC_RAISE_DONE));
    } else {
        sac_print(text(process->was_lowered ? T_SAC_RAISE_NO_HIGHER : T_SAC_RAISE_NOT_LOWERED));
    }
}

static void limit_memory(const char *arguments)
{
    char word[WORD];
    u32 megabytes;
    take_word(take_word(arguments, word, sizeof word), word, sizeof word);
    if (!parse_number(word, &megabytes) || !megabytes) {
        bad_arguments();
        return;
    }
    struct process *process = chosen(arguments, T_SAC_LIMIT_FAILED);
    if (!process)
        return;
    if (process->working_set > megabytes * 1024)
        process->working_set = megabytes * 1024;
    sac_print(text(T_SAC_LIMIT_DONE));
}

/* --- time --------------------------------------------------------------------------------------------- */

static int take_numbers(const char *from, u32 *numbers, const char *separators)
{
    for (; ; separators++) {
        char part[8];
        u32 length = 0;
        while (*from >= '0' && *from <= '9' && length < sizeof part - 1)
            part[length++] = *from++;
        part[length] = 0;
        if (!parse_number(part, numbers++) || *from != *separators)
            return 0;
        if (!*separators)
            return 1;
        from++;
    }
}

static void set_time(const char *arguments)
{
    char day[WORD], time[WORD];
    u32 dmy[3], hm[2];
    take_word(take_word(arguments, day, sizeof day), time, sizeof time);
    if (!take_numbers(day, dmy, "//") || !take_numbers(time, hm, ":") || !dmy[0] || dmy[0] > 12 || !dmy[1] ||
        dmy[1] > 31 || hm[0] > 23 || hm[1] > 59) {
        bad_arguments();
        return;
    }
    if (dmy[2] < 1980 || dmy[2] > 2099) {
        sac_print(text(T_SAC_YEAR_RANGE));
        return;
    }
    struct date date = {dmy[2], dmy[0], dmy[1], hm[0], hm[1], 0};
    clock_write(&date);
    sac_printf(text(T_SAC_TIME_SET), date.month, date.day, date.year, date.hour, date.minute);
}

static void time(const char *arguments)
{
    struct date date;
    if (*arguments) {
        set_time(arguments);
        return;
    }
    clock_read(&date);
    sac_printf(text(T_SAC_TIME), date.month, date.day, date.year, date.hour, date.minute, date.second, now_ms() % 1000);
}

/* --- network ------------------------------------------------------------------------------------------ */

static int is_address(const char *word)
{
    u32 numbers[4];
    if (!take_numbers(word, numbers, "..."))
        return 0;
    return numbers[0] < 256 && numbers[1] < 256 && numbers[2] < 256 && numbers[3] < 256;
}

static void set_address(const char *arguments)
{
    char words[4][WORD];
    u32 number;
    for (u32 i = 0; i < 4; i++)
        arguments = take_word(arguments, words[i], WORD);
    if (!parse_number(words[0], &number))
        sac_print(text(T_SAC_IP_NO_NUMBER));
    else if (!is_address(words[1]))
        sac_print(text(T_SAC_IP_BAD_ADDRESS));
    else if (!is_address(words[2]))
        sac_print(text(T_SAC_IP_BAD_SUBNET));
    else if (!is_address(words[3]))
        sac_print(text(T_SAC_IP_BAD_GATEWAY));
    else if (number != 11)
        fail(T_SAC_IP_SET_FAILED, 0xc000000d);
    else {
        copy_text(knobs.ip, words[1], sizeof knobs.ip);
        copy_text(knobs.subnet, words[2], sizeof knobs.subnet);
        copy_text(knobs.gateway, words[3], sizeof knobs.gateway);
        sac_print(text(T_SAC_IP_SET));
    }
}

static void addresses(const char *arguments)
{
    if (*arguments) {
        set_address(arguments);
    } else if (!*knobs.ip) {
        sac_print(text(T_SAC_IP_NONE));
    } else {
        sac_print(text(T_SAC_IP_RETRIEVING));
        sac_printf(text(T_SAC_IP_ROW), 11, knobs.ip, knobs.subnet, knobs.gateway);
    }
}

/* --- which one ---------------------------------------------------------------------------------------- */

struct command { const char *name; void (*run)(const char *arguments); };

static const struct command by_prefix[] = {
    {"t", list_processes}, {"?", help}, {"help", help}, {"f", toggle_threads}, {"p", toggle_paging}, {"id", identify},
    {"crashdump", crash}, {"lock", lock}, {"shutdown", shutdown}, {"restart", restart}, {"d", dump_log},
    {"cmd", launch},
};
static const struct command by_word[] = {
    {"ch", manage_channels}, {"k", kill}, {"l", lower_priority}, {"r", raise_priority}, {"m", limit_memory},
    {"s", time}, {"i", addresses},
};

static const struct command *find(const char *line, const char **arguments)
{
    if (is_fact(F_HAS_LIVEDUMP) && starts_with(line, "livedump")) {
        static const struct command command = {"livedump", live_dump};
        return &command;
    }
    for (u32 i = 0; i < sizeof by_prefix / sizeof *by_prefix; i++)
        if (starts_with(line, by_prefix[i].name))
            return &by_prefix[i];
    for (u32 i = 0; i < sizeof by_word / sizeof *by_word; i++) {
        const char *rest = line + strlen(by_word[i].name);
        if (starts_with(line, by_word[i].name) && (!*rest || *rest == ' ')) {
            *arguments = skip_blanks(rest);
            return &by_word[i];
        }
    }
    return NULL;
}

void sac_command(char *line)
{
    const char *arguments = "";
    for (char *at = line; *at; at++)
        *at = lower(*at);
    line = (char *)skip_blanks(line);
    for (char *end = line + strlen(line); end > line && end[-1] == ' ';)
        *--end = 0;
    const struct command *command = find(line, &arguments);
    if (command)
        command->run(arguments);
    else if (*line)
        sac_print(text(T_SAC_UNKNOWN_COMMAND));
}
