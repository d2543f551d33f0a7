/* cmd's commands: few, but they do what they say. */
#include "sac.h"

#define WORD 160

static const char *argument(const char *arguments, char *word, size_t room)
{
    arguments = skip_blanks(arguments);
    if (*arguments != '"')
        return take_word(arguments, word, room);
    for (arguments++; *arguments && *arguments != '"'; arguments++)
        if (room > 1)
            *word++ = *arguments, room--;
    *word = 0;
    return skip_blanks(*arguments ? arguments + 1 : arguments);
}

/* --- files -------------------------------------------------------------------------------------------- */

static void change_directory(struct shell *shell, const char *arguments)
{
    char word[WORD], path[WORD];
    if (starts_with_word(arguments, "/d"))
        arguments = skip_blanks(arguments + 2);
    argument(arguments, word, sizeof word);
    if (!*word) {
        shell_print(shell, "%s\r\n", shell->directory);
        return;
    }
    path_resolve(shell, word, path, sizeof path);
    shell->error_level = !directory_exists(path);
    if (shell->error_level)
        shell_print(shell, "%s", text(T_CMD_NO_PATH));
    else
        copy_text(shell->directory, path, sizeof shell->directory);
}

static void type(struct shell *shell, const char *arguments)
{
    char word[WORD], path[WORD];
    argument(arguments, word, sizeof word);
    if (!*word) {
        shell->error_level = 1;
        shell_print(shell, "%s", text(T_CMD_SYNTAX));
        return;
    }
    path_resolve(shell, word, path, sizeof path);
    shell->error_level = !file_type(shell, path);
    if (shell->error_level)
        shell_print(shell, "%s", text(T_CMD_NO_FILE));
}

static void list(struct shell *shell, const char *arguments)
{
    char word[WORD], path[WORD];
    do
        arguments = argument(arguments, word, sizeof word);
    while (*word == '/');
    path_resolve(shell, *word ? word : ".", path, sizeof path);
    shell->error_level = !file_list(shell, path);
    if (shell->error_level)
        shell_print(shell, "%s", text(T_CMD_FILE_NOT_FOUND));
}

/* --- processes and power ------------------------------------------------------------------------------ */

static void group(char *to, size_t room, u32 number)
{
    if (number >= 1000)
        format(to, room, "%d,%03d", number / 1000, number % 1000);
    else
        format(to, room, "%d", number);
}

static void list_tasks(struct shell *shell, const char *arguments)
{
    char memory[16];
    (void)arguments;
    shell_print(shell, "%s", text(T_CMD_TASKLIST_HEAD));
    for (u32 i = 0; i < process_count; i++) {
        if (!processes[i].alive)
            continue;
        group(memory, sizeof memory, processes[i].working_set);
        shell_print(shell, text(T_CMD_TASKLIST_ROW), processes[i].name, processes[i].pid, memory);
    }
}

static struct process *find_task(const char *by, const char *which)
{
    u32 pid;
    if (same_word(by, "/pid"))
        return parse_number(which, &pid) ? process_find(pid) : NULL;
    for (u32 i = 0; i < process_count; i++)
        if (processes[i].alive && same_word(processes[i].name, which))
            return &processes[i];
    return NULL;
}

static void kill_task(struct shell *shell, const char *arguments)
{
    char word[WORD], by[WORD] = "", which[WORD] = "";
    int is_forced = 0;
    for (arguments = argument(arguments, word, sizeof word); *word; arguments = argument(arguments, word, sizeof word)) {
        if (same_word(word, "/f"))
            is_forced = 1;
        else if (same_word(word, "/pid") || same_word(word, "/im")) {
            copy_text(by, word, sizeof by);
            arguments = argument(arguments, which, sizeof which);
        }
    }
    struct process *process = find_task(by, which);
    shell->error_level = !*which ? 1 : !process ? 128 : 0;
    if (!*which)
        shell_print(shell, "%s", text(T_CMD_KILL_SYNTAX));
    else if (!process)
        shell_print(shell, text(T_CMD_KILL_UNKNOWN), which);
    else {
        process_kill(process);
        shell_print(shell, text(is_forced ? T_CMD_KILL_FORCED : T_CMD_KILL_DONE), process->pid);
    }
}

static void shut_down(struct shell *shell, const char *arguments)
{
    char word[WORD];
    u32 seconds = 30;
    int way = 0;
    for (arguments = argument(arguments, word, sizeof word); *word; arguments = argument(arguments, word, sizeof word)) {
        char letter = *word == '/' || *word == '-' ? lower(word[1]) : 0;
        if (letter == 't') {
            arguments = argument(arguments, word, sizeof word);
            if (!parse_number(word, &seconds))
                way = '?';
        } else if (letter == 's' || letter == 'r' || letter == 'a') {
            way = letter;
        }
    }
    shell->error_level = way == '?' || !way || (way == 'a' && !sac_end_planned());
    if (way == 's' || way == 'r')
        sac_plan_end(way == 'r', seconds);
    else if (way != 'a')
        shell_print(shell, "%s", text(T_CMD_SHUTDOWN_USAGE));
    else if (shell->error_level)
        shell_print(shell, "%s", text(T_CMD_SHUTDOWN_NONE));
    else
        sac_cancel_end();
}

static void show_events(struct shell *shell, const char *arguments)
{
    struct memory memory;
    (void)arguments;
    memory_load(&memory);
    if (memory.has_bugcheck) {
        char description[240];
        u32 code = memory.code;
        format(description, sizeof description, text(T_BUGCHECK_SAVED_DUMP), code, 0, code == 0x80 ? 0x4f4454 : 0, 0, 0, 0,
            0, 0, 0, dump_is_saved() ? "C:\\Windows\\MEMORY.DMP" : "");
        shell_print(shell, text(T_CMD_EVENT_LOG), 0, "Microsoft-Windows-WER-SystemErrorReporting", 1001, "Error", description);
    }
    if (memory.was_unexpected)
        shell_print(shell, text(T_CMD_EVENT_LOG), 1, "Microsoft-Windows-Kernel-Power", 41, "Critical",
            text(T_BUGCHECK_DIRTY_SHUTDOWN));
}

/* --- the rest ----------------------------------------------------------------------------------------- */

static void echo(struct shell *shell, const char *arguments)
{
    if (*arguments)
        shell_print(shell, "%s\r\n", arguments);
    else
        shell_print(shell, "%s", text(T_CMD_ECHO_ON));
}

static void leave(struct shell *shell, const char *arguments)
{
    (void)arguments;
    shell->is_done = 1;
}

static void version(struct shell *shell, const char *arguments)
{
    (void)arguments;
    shell_print(shell, text(T_CMD_VERSION_LINE), fact(F_CMD_VERSION));
}

static void host_name(struct shell *shell, const char *arguments)
{
    (void)arguments;
    shell_print(shell, "%s\r\n", knobs.computer_name);
}

static void who_am_i(struct shell *shell, const char *arguments)
{
    char name[48];
    (void)arguments;
    format(name, sizeof name, "%s\\%s", knobs.computer_name, shell->username);
    for (char *at = name; *at; at++)
        *at = lower(*at);
    shell_print(shell, "%s\r\n", name);
}

static void show_addresses(struct shell *shell, const char *arguments)
{
    (void)arguments;
    shell_print(shell, "%s", text(T_CMD_IPCONFIG_HEAD));
    if (*knobs.ip)
        shell_print(shell, text(T_CMD_IPCONFIG_ADDRESS), knobs.ip, knobs.subnet, knobs.gateway);
}

static void clear(struct shell *shell, const char *arguments)
{
    (void)arguments;
    shell_print(shell, "\033[2J\033[1;1H");
}

static void mode(struct shell *shell, const char *arguments)
{
    char word[WORD];
    u32 number;
    if (!starts_with_word(arguments, "con")) {
        shell->error_level = *arguments ? 1 : 0;
        if (*arguments)
            shell_print(shell, text(T_CMD_MODE_BAD), arguments);
        return;
    }
    arguments = take_word(arguments, word, sizeof word);
    if (!*arguments)
        shell_print(shell, text(T_CMD_MODE_CON), shell->lines, shell->columns);
    while (*arguments) {
        arguments = take_word(arguments, word, sizeof word);
        if (starts_with_word(word, "cols=") && parse_number(word + 5, &number))
            shell->columns = number;
        else if (starts_with_word(word, "lines=") && parse_number(word + 6, &number))
            shell->lines = number;
    }
}

static void set_prompt(struct shell *shell, const char *arguments)
{
    copy_text(shell->prompt, arguments, sizeof shell->prompt);
}

static void open_powershell(struct shell *shell, const char *arguments)
{
    static char decoded[LINE_ROOM];
    char option[WORD];
    const char *rest = arguments;
    for (rest = take_word(rest, option, sizeof option); *option; rest = take_word(rest, option, sizeof option)) {
        if (starts_with_word(option, "-e") && !starts_with_word(option, "-ex")) {
            char encoded[LINE_ROOM];
            take_word(rest, encoded, sizeof encoded);
            shell->error_level = !powershell_decode(encoded, decoded, sizeof decoded);
            if (shell->error_level)
                shell_print(shell, "%s", text(T_CMD_POWERSHELL_PARAMETER));
            else
                powershell_run(shell, decoded);
            return;
        }
        if (starts_with_word(option, "-c")) {
            copy_text(decoded, rest, sizeof decoded);
            powershell_run(shell, decoded);
            return;
        }
        if (starts_with_word(option, "-ex"))
            rest = take_word(rest, option, sizeof option);
        else if (*option != '-') {
            copy_text(decoded, arguments, sizeof decoded);
            powershell_run(shell, decoded);
            return;
        }
    }
    shell->is_powershell = 1;
    shell_print(shell, "%s", text(T_CMD_POWERSHELL));
}

static void ignore(struct shell *shell, const char *arguments)
{
    (void)shell;
    (void)arguments;
}

static const struct { const char *name; void (*run)(struct shell *shell, const char *arguments); int keeps_level; } commands[] = {
    {"cd", change_directory, 0}, {"chdir", change_directory, 0}, {"cls", clear, 1}, {"dir", list, 0}, {"echo", echo, 1},
    {"exit", leave, 1}, {"hostname", host_name, 0}, {"ipconfig", show_addresses, 0}, {"mode", mode, 0},
    {"powershell", open_powershell, 0}, {"powershell.exe", open_powershell, 0}, {"prompt", set_prompt, 1},
    {"rem", ignore, 1}, {"set", shell_set, 0}, {"shutdown", shut_down, 0}, {"taskkill", kill_task, 0},
    {"tasklist", list_tasks, 0}, {"type", type, 0}, {"ver", version, 0}, {"wevtutil", show_events, 0},
    {"whoami", who_am_i, 0},
};

static void leave_with(struct shell *shell, const char *arguments)
{
    u32 code;
    (void)shell;
    if (starts_with_word(arguments, "/b"))
        arguments = skip_blanks(arguments + 2);
    if (parse_number(arguments, &code))
        shell->error_level = (int)code;
}

static int is_end_of_name(char letter)
{
    return !letter || letter == ' ' || letter == '/' || letter == '.' || letter == '\\' || letter == ':' || letter == '=';
}

/* Returns whether it succeeded: echo does, and leaves the error level as it is. */
static int run_one(struct shell *shell, const char *line)
{
    char name[WORD];
    line = skip_blanks(line);
    if (*line == '@')
        line = skip_blanks(line + 1);
    for (u32 i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *rest = line + strlen(commands[i].name);
        if (!starts_with_word(line, commands[i].name) || !is_end_of_name(*rest))
            continue;
        if (starts_with_word(commands[i].name, "powershell") && !is_fact(F_HAS_POWERSHELL))
            break;
        if (!commands[i].keeps_level)
            shell->error_level = 0;
        if (commands[i].run == leave)
            leave_with(shell, skip_blanks(rest));
        if (commands[i].run == echo && *rest == '.')
            shell_print(shell, "%s\r\n", rest + 1);
        else
            commands[i].run(shell, skip_blanks(rest));
        return commands[i].keeps_level || !shell->error_level;
    }
    take_word(line, name, sizeof name);
    if (!*name)
        return 1;
    shell->error_level = 9009;
    shell_print(shell, text(T_CMD_UNKNOWN_COMMAND), name);
    return 0;
}

/* Cuts `line` at its first & && or ||; tells which in `operator`: '&' always, 'a' after success, 'o' after failure. */
static char *cut(char *line, char *operator)
{
    int is_quoted = 0;
    for (; *line; line++) {
        is_quoted ^= *line == '"';
        if (is_quoted || (*line != '&' && *line != '|'))
            continue;
        int is_double = line[1] == *line;
        *operator = !is_double ? '&' : *line == '&' ? 'a' : 'o';
        *line = 0;
        return line + 1 + is_double;
    }
    return NULL;
}

void shell_run(struct shell *shell, char *line)
{
    static char expanded[LINE_ROOM];
    shell_expand(shell, line, expanded, sizeof expanded);
    char *part = expanded, before = '&', after = '&';
    int has_succeeded = 1;
    while (part && !shell->is_done) {
        char *next = cut(part, &after);
        if (before == '&' || (before == 'a') == has_succeeded) {
            for (char *end = part + strlen(part); next && end > part && end[-1] == ' ';)
                *--end = 0;
            has_succeeded = run_one(shell, part);
        }
        before = after;
        part = next;
    }
}
