/* A very small powershell. */
#include "sac.h"

static int digit(char letter)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 64; i++)
        if (alphabet[i] == letter)
            return i;
    return -1;
}

/* base64 of UTF-16LE; letters beyond ASCII become a question mark. */
int powershell_decode(const char *encoded, char *to, size_t room)
{
    u32 bits = 0, have = 0, count = 0, half = 0;
    if (!*encoded)
        return 0;
    for (; *encoded && *encoded != '='; encoded++) {
        if (digit(*encoded) < 0)
            return 0;
        bits = bits << 6 | (u32)digit(*encoded);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        u32 byte = bits >> have & 0xff;
        if (!(count++ & 1)) {
            half = byte;
        } else if (room > 1) {
            *to++ = byte || half > 126 ? '?' : (char)half;
            room--;
        }
    }
    *to = 0;
    return !(count & 1);
}

static void print_value(struct shell *shell, const char *value)
{
    char quote = *value;
    if (quote != '"' && quote != '\'') {
        shell_print(shell, "%s\r\n", value);
        return;
    }
    for (value++; *value && *value != quote; value++)
        shell_print(shell, "%c", *value);
    shell_print(shell, "\r\n");
}

static void get_processes(struct shell *shell)
{
    shell_print(shell, "\r\nHandles  NPM(K)    PM(K)      WS(K)     CPU(s)     Id  SI ProcessName\r\n");
    shell_print(shell, "-------  ------    -----      -----     ------     --  -- -----------\r\n");
    for (u32 i = 0; i < process_count; i++)
        if (processes[i].alive)
            shell_print(shell, "%7d  %6d %8d %10d %10d %6d   0 %s\r\n", processes[i].handles, processes[i].threads,
                processes[i].commit, processes[i].working_set, 0, processes[i].pid, processes[i].name);
}

static void get_date(struct shell *shell)
{
    struct date date;
    clock_read(&date);
    shell_print(shell, "\r\n%02d/%02d/%04d %02d:%02d:%02d\r\n\r\n", date.month, date.day, date.year, date.hour, date.minute,
        date.second);
}

static void get_variable(struct shell *shell, const char *line)
{
    for (const char *at = line; *at; at++)
        if (*at == '=')
            return; /* an assignment says nothing */
    if (same_word(line, "$LASTEXITCODE"))
        shell_print(shell, "%d\r\n", shell->error_level);
    else if (same_word(line, "$?"))
        shell_print(shell, "%s\r\n", shell->error_level ? "False" : "True");
    else if (same_word(line, "$env:COMPUTERNAME"))
        shell_print(shell, "%s\r\n", knobs.computer_name);
}

static void run_one(struct shell *shell, const char *line)
{
    char name[64];
    const char *rest = take_word(line, name, sizeof name);
    int level = shell->error_level;
    shell->error_level = 0;
    if (!*name)
        shell->error_level = level;
    else if (*name == '$') {
        shell->error_level = level;
        get_variable(shell, line);
    } else if (*name == '"' || *name == '\'')
        print_value(shell, line);
    else if (same_word(name, "exit"))
        shell->is_powershell = 0;
    else if (same_word(name, "echo") || same_word(name, "Write-Output") || same_word(name, "Write-Host"))
        print_value(shell, rest);
    else if (same_word(name, "hostname"))
        shell_print(shell, "%s\r\n", knobs.computer_name);
    else if (same_word(name, "Get-Date"))
        get_date(shell);
    else if (same_word(name, "Get-Process"))
        get_processes(shell);
    else if (same_word(name, "Get-Location") || same_word(name, "pwd"))
        shell_print(shell, "\r\nPath\r\n----\r\n%s\r\n\r\n", shell->directory);
    else if (same_word(name, "Clear-Host") || same_word(name, "cls"))
        shell_print(shell, "\033[2J\033[1;1H");
    else if (same_word(name, "Restart-Computer") || same_word(name, "Stop-Computer"))
        sac_plan_end(lower(*name) == 'r', 0);
    else {
        shell->error_level = 1;
        shell_print(shell, text(T_CMD_POWERSHELL_UNKNOWN), name, name);
    }
}

void powershell_run(struct shell *shell, char *line)
{
    for (char *part = (char *)skip_blanks(line); part;) {
        char *end = part, quote = 0;
        for (; *end && (quote || *end != ';'); end++)
            if (*end == '"' || *end == '\'')
                quote = !quote ? *end : quote == *end ? 0 : quote;
        char *next = *end ? (char *)skip_blanks(end + 1) : NULL;
        *end = 0;
        run_one(shell, part);
        part = next;
    }
}
