/* cmd's variables: those that are set, and those that are always there. */
#include "sac.h"

static int find_variable(const struct shell *shell, const char *name)
{
    for (int i = 0; i < VARIABLES; i++)
        if (*shell->names[i] && same_word(shell->names[i], name))
            return i;
    return -1;
}

static int set_variable(struct shell *shell, const char *name, const char *value)
{
    int at = find_variable(shell, name);
    for (int i = 0; i < VARIABLES && at < 0; i++)
        if (!*shell->names[i])
            at = i;
    if (at < 0)
        return 0;
    copy_text(shell->names[at], *value ? name : "", sizeof shell->names[0]);
    copy_text(shell->values[at], value, sizeof shell->values[0]);
    return 1;
}

static const char *const fixed[][2] = {
    {"ComSpec", "C:\\Windows\\system32\\cmd.exe"}, {"NUMBER_OF_PROCESSORS", "1"}, {"OS", "Windows_NT"},
    {"SystemDrive", "C:"}, {"SystemRoot", "C:\\Windows"}, {"TEMP", "C:\\Windows\\TEMP"}, {"windir", "C:\\Windows"},
};

static int value_of(const struct shell *shell, const char *name, char *value, size_t room)
{
    struct date date;
    int at = find_variable(shell, name);
    clock_read(&date);
    if (at >= 0)
        copy_text(value, shell->values[at], room);
    else if (same_word(name, "ERRORLEVEL"))
        format(value, room, "%d", shell->error_level);
    else if (same_word(name, "CD"))
        copy_text(value, shell->directory, room);
    else if (same_word(name, "COMPUTERNAME") || same_word(name, "USERDOMAIN"))
        copy_text(value, knobs.computer_name, room);
    else if (same_word(name, "USERNAME"))
        copy_text(value, shell->username, room);
    else if (same_word(name, "DATE"))
        format(value, room, "%02d/%02d/%04d", date.month, date.day, date.year);
    else if (same_word(name, "TIME"))
        format(value, room, "%2d:%02d:%02d.%02d", date.hour, date.minute, date.second, now_ms() % 1000 / 10);
    else {
        for (u32 i = 0; i < sizeof fixed / sizeof *fixed; i++)
            if (same_word(name, fixed[i][0])) {
                copy_text(value, fixed[i][1], room);
                return 1;
            }
        return 0;
    }
    return 1;
}

/* cmd replaces %NAME% in the whole line before it runs any of it. */
void shell_expand(struct shell *shell, const char *from, char *to, size_t room)
{
    char name[32], value[160];
    *to = 0;
    while (*from && strlen(to) + 1 < room) {
        u32 length = 0;
        if (*from == '%') {
            while (from[1 + length] && from[1 + length] != '%' && length < sizeof name - 1) {
                name[length] = from[1 + length];
                length++;
            }
            name[length] = 0;
            if (length && from[1 + length] == '%' && value_of(shell, name, value, sizeof value)) {
                add_text(to, value, room);
                from += length + 2;
                continue;
            }
        }
        char letter[2] = {*from++, 0};
        add_text(to, letter, room);
    }
}

void shell_set(struct shell *shell, const char *arguments)
{
    char name[32];
    u32 length = 0;
    for (u32 i = 0; !*arguments && i < sizeof fixed / sizeof *fixed; i++)
        shell_print(shell, "%s=%s\r\n", fixed[i][0], fixed[i][1]);
    for (u32 i = 0; !*arguments && i < VARIABLES; i++)
        if (*shell->names[i])
            shell_print(shell, "%s=%s\r\n", shell->names[i], shell->values[i]);
    if (!*arguments)
        return;
    while (arguments[length] && arguments[length] != '=' && length < sizeof name - 1) {
        name[length] = arguments[length];
        length++;
    }
    name[length] = 0;
    if (arguments[length] == '=') {
        shell->error_level = !set_variable(shell, name, arguments + length + 1);
        return;
    }
    char value[160];
    shell->error_level = !value_of(shell, name, value, sizeof value);
    if (shell->error_level)
        shell_print(shell, text(T_CMD_NOT_DEFINED), name);
    else
        shell_print(shell, "%s=%s\r\n", name, value);
}
