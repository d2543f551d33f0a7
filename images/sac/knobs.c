/* The knobs, see emulator/sac/knobs.py; what is missing or not understood keeps its default. */
#include "sac.h"

#define FILE_ROOM 2048

struct knobs knobs = {
    .profile = 3, .menu = 1, .autoreboot = 1, .dump_step_ms = 5, .cmd_event_ms = 20, .eat_ms = 100, .lf_ignored = 1,
    .redraw = 1, .paging = 1, .stuck_percent = 15, .crash_dump = DUMP_KERNEL, .computer_name = "WIN-TTYLAB",
    .username = "Administrator", .password = "Passw0rd!", .ip = "10.0.2.15", .subnet = "255.255.255.0",
    .gateway = "10.0.2.2",
};

#define NUMBER(name) { #name, &knobs.name, 0 }
#define TEXT(name) { #name, knobs.name, sizeof knobs.name }
static const struct { const char *name; void *at; u32 room; } places[] = {
    NUMBER(menu), NUMBER(menu_timeout_s), NUMBER(cd_prompt_s), NUMBER(autoreboot), NUMBER(dump_step_ms),
    NUMBER(boot_ms), NUMBER(cmd_event_ms), NUMBER(restart_wait_s), NUMBER(idle_timeout_s), NUMBER(echo_ms),
    NUMBER(eat_after_prompt), NUMBER(eat_ms), NUMBER(lose_doubled_ms), NUMBER(event_while_typing),
    NUMBER(lf_ignored), NUMBER(redraw), NUMBER(paging), NUMBER(setup_channels), NUMBER(stuck_percent),
    TEXT(computer_name), TEXT(username), TEXT(domain), TEXT(password), TEXT(module), TEXT(ip), TEXT(subnet),
    TEXT(gateway),
};

static const char *const profiles[] = {"2003", "2016", "2019", "2022", "2025", NULL};
static const char *const hangs[] = {"none", "nmi-ignored", "stuck-dump", "power-button-ignored", "boot-loop",
    "recovery", "kernel-debugger", "ems-off", "cmd-timeout", "cmd-fails", NULL};
static const char *const dumps[] = {"none", "small", "kernel", "complete", NULL};

static u32 choice(const char *value, const char *const *names, u32 present)
{
    for (u32 i = 0; names[i]; i++)
        if (!strcmp(value, names[i]))
            return i;
    return present;
}

static void set_entries(const char *value)
{
    while (*value && knobs.entry_count < 8) {
        char *entry = knobs.entries[knobs.entry_count++];
        for (u32 i = 0; *value && *value != '|'; value++)
            if (i < sizeof knobs.entries[0] - 1)
                entry[i++] = *value;
        if (*value)
            value++;
    }
}

static void set_number(int *knob, const char *value)
{
    u32 number;
    if (!strcmp(value, "-1"))
        *knob = -1;
    else if (parse_number(value, &number))
        *knob = (int)number;
}

static void set(const char *name, const char *value)
{
    if (!strcmp(name, "profile"))
        knobs.profile = choice(value, profiles, knobs.profile);
    else if (!strcmp(name, "hang"))
        knobs.hang = choice(value, hangs, HANG_NONE);
    else if (!strcmp(name, "crash_dump"))
        knobs.crash_dump = choice(value, dumps, knobs.crash_dump);
    else if (!strcmp(name, "menu_entries"))
        set_entries(value);
    for (u32 i = 0; i < sizeof places / sizeof *places; i++) {
        if (strcmp(name, places[i].name))
            continue;
        if (places[i].room)
            copy_text(places[i].at, value, places[i].room);
        else
            set_number(places[i].at, value);
    }
}

void knobs_read(void)
{
    static char file[FILE_ROOM];
    char *line = file;
    file[fw_cfg_read("opt/ttylab/sac", file, FILE_ROOM - 1)] = 0;
    while (*line) {
        char *end = line, *value = NULL;
        for (; *end && *end != '\n'; end++)
            if (*end == '=' && !value)
                *end = 0, value = end + 1;
        char *next = *end ? end + 1 : end;
        *end = 0;
        if (value)
            set(line, value);
        line = next;
    }
}
