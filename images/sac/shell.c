/* A CMD channel: login, the line with its echo and its losses, and the prompt. */
#include "sac.h"

#define CTRL_C 3
#define NEVER 0xffffffff

static struct shell shells[CHANNELS];

static void put(void *context, char byte)
{
    channel_put(((struct shell *)context)->number, byte);
}

void shell_print(struct shell *shell, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    format_to(put, shell, format, values);
    va_end(values);
}

/* What `prompt` set: $p is the directory, the other codes are one character each. */
static void show_own_prompt(struct shell *shell)
{
    static const char *const codes[] = {"g>", "l<", "b|", "q=", "a&", "$$", "s "};
    for (const char *at = shell->prompt; *at; at++) {
        if (*at != '$' || !at[1]) {
            shell_print(shell, "%c", *at);
            continue;
        }
        at++;
        if (lower(*at) == 'p')
            shell_print(shell, "%s", shell->directory);
        if (*at == '_')
            shell_print(shell, "\r\n");
        for (u32 i = 0; i < sizeof codes / sizeof *codes; i++)
            if (lower(*at) == codes[i][0])
                shell_print(shell, "%c", codes[i][1]);
    }
}

static void show_prompt(struct shell *shell)
{
    if (shell->is_powershell)
        shell_print(shell, text(T_CMD_POWERSHELL_PROMPT), shell->directory);
    else if (*shell->prompt)
        show_own_prompt(shell);
    else
        shell_print(shell, "%s>", shell->directory);
    shell->prompt_at = now_ms();
    shell->eaten = 0;
}

static void ask_for_login(struct shell *shell)
{
    shell->state = LOGIN_USER;
    shell->length = 0;
    shell_print(shell, "%s%s", text(T_CMD_LOGIN), text(T_CMD_USERNAME));
}

void shell_open(int number)
{
    struct shell *shell = &shells[number];
    memset(shell, 0, sizeof *shell);
    shell->number = number;
    shell->lines = ROWS;
    shell->columns = COLUMNS;
    shell->last_input_at = now_ms();
    copy_text(shell->directory, text(T_CMD_DIRECTORY), sizeof shell->directory);
    ask_for_login(shell);
}

void shell_lock_all(void)
{
    for (int number = 0; number < CHANNELS; number++)
        if (channels[number].kind == CMD && shells[number].state == COMMAND) {
            screen_clear(&channels[number].screen);
            ask_for_login(&shells[number]);
        }
}

/* --- login -------------------------------------------------------------------------------------------- */

static int is_welcome(const struct shell *shell)
{
    const char *domain = *knobs.domain ? knobs.domain : knobs.computer_name;
    int is_ours = !*shell->names[0] || !strcmp(shell->names[0], ".") || same_word(shell->names[0], domain);
    return is_ours && same_word(shell->username, knobs.username) && !strcmp(shell->line, knobs.password);
}

static void greet(struct shell *shell)
{
    u32 year = 0;
    shell->state = COMMAND;
    shell->names[0][0] = 0;
    parse_number(fact(F_COPYRIGHT_YEAR), &year);
    shell_print(shell, "\r\n");
    shell_print(shell, text(T_CMD_VERSION), fact(F_CMD_VERSION));
    shell_print(shell, text(T_CMD_COPYRIGHT), year);
    kernel_log("A user logged on to a CMD channel.");
    show_prompt(shell);
}

/* The domain waits where the first variable's name will be. */
static void log_in(struct shell *shell)
{
    if (shell->state == LOGIN_USER) {
        copy_text(shell->username, shell->line, sizeof shell->username);
        shell->state = LOGIN_DOMAIN;
        shell_print(shell, "%s", text(T_CMD_DOMAIN));
    } else if (shell->state == LOGIN_DOMAIN) {
        copy_text(shell->names[0], skip_blanks(shell->line), sizeof shell->names[0]);
        shell->state = LOGIN_PASSWORD;
        shell_print(shell, "%s", text(T_CMD_PASSWORD));
    } else if (is_welcome(shell)) {
        greet(shell);
    } else {
        shell->state = REFUSED;
        shell_print(shell, "%s%s", text(T_CMD_REFUSED), text(T_CMD_REFUSED_KEY));
    }
    memset(shell->line, 0, sizeof shell->line);
}

/* --- the line ----------------------------------------------------------------------------------------- */

static void run_line(struct shell *shell)
{
    if (shell->is_powershell)
        powershell_run(shell, shell->line);
    else
        shell_run(shell, shell->line);
    if (shell->is_done) {
        channel_flush(shell->number);
        channel_close(shell->number);
        return;
    }
    if (!shell->is_powershell)
        shell_print(shell, "\r\n");
    show_prompt(shell);
}

static void finish_line(struct shell *shell)
{
    shell_print(shell, "\r\n");
    shell->line[shell->length] = 0;
    shell->length = 0;
    if (shell->state != COMMAND)
        log_in(shell);
    else
        run_line(shell);
}

static void erase(struct shell *shell)
{
    const struct screen *screen = &channels[shell->number].screen;
    if (!shell->length)
        return;
    shell->length--;
    if (screen->wraps)
        shell_print(shell, "\033[%d;%dH \033[%d;%dH", screen->row + 1, COLUMNS, screen->row + 1, COLUMNS);
    else if (screen->column)
        shell_print(shell, "\b \b");
    else if (screen->row) /* back to the end of the row above */
        shell_print(shell, "\033[%d;%dH \033[%d;%dH", screen->row, COLUMNS, screen->row, COLUMNS);
}

static void erase_word(struct shell *shell)
{
    while (shell->length && shell->line[shell->length - 1] == ' ')
        erase(shell);
    while (shell->length && shell->line[shell->length - 1] != ' ')
        erase(shell);
}

static void interrupt(struct shell *shell)
{
    shell->length = 0;
    shell_print(shell, "^C\r\n");
    if (shell->state == COMMAND)
        show_prompt(shell);
    else
        ask_for_login(shell);
}

static void add(struct shell *shell, char letter)
{
    if (shell->length + 1 >= LINE_ROOM)
        return;
    shell->line[shell->length++] = letter;
    if (knobs.echo_ms) {
        channel_flush(shell->number);
        sleep_ms((u32)knobs.echo_ms);
    }
    channel_put(shell->number, shell->state == LOGIN_PASSWORD ? '*' : letter);
}

/* Real consoles lose what comes right after a prompt, and characters equal to the one before them. */
static int is_lost(struct shell *shell, u8 byte)
{
    u32 now = now_ms();
    int is_doubled = byte == shell->last && byte != '\r' && now - shell->last_at < (u32)knobs.lose_doubled_ms;
    shell->last = byte;
    shell->last_at = now;
    int is_soon = shell->state == COMMAND && now - shell->prompt_at < (u32)knobs.eat_ms;
    if (is_soon && shell->eaten < (u32)knobs.eat_after_prompt) {
        shell->eaten++;
        return 1;
    }
    return is_doubled;
}

void shell_input(int number, u8 byte)
{
    struct shell *shell = &shells[number];
    int follows_cr = shell->was_cr && byte == '\n';
    shell->was_cr = byte == '\r';
    shell->last_input_at = now_ms();
    if (shell->state == REFUSED) {
        channel_close(number);
        return;
    }
    if (is_lost(shell, byte) || follows_cr)
        return;
    if (byte == '\r' || (byte == '\n' && !knobs.lf_ignored))
        finish_line(shell);
    else if (byte == '\b')
        erase(shell);
    else if (byte == 127)
        erase_word(shell);
    else if (byte == CTRL_C)
        interrupt(shell);
    else if (byte >= ' ' && byte < 127)
        add(shell, (char)byte);
    if (channels[number].kind == CMD)
        channel_flush(number);
}

/* --- idle channels ------------------------------------------------------------------------------------ */

static u32 idle_left(int number)
{
    u32 limit = (u32)knobs.idle_timeout_s * 1000, past = now_ms() - shells[number].last_input_at;
    if (channels[number].kind != CMD || !limit)
        return NEVER;
    return past < limit ? limit - past : 0;
}

void shell_work(void)
{
    for (int number = 0; number < CHANNELS; number++)
        if (idle_left(number) == 0) {
            shell_print(&shells[number], "\r\n%s", text(T_CMD_IDLE_OUT));
            channel_flush(number);
            channel_close(number);
        }
}

u32 shell_next_ms(void)
{
    u32 most = NEVER;
    for (int number = 0; number < CHANNELS; number++)
        if (idle_left(number) < most)
            most = idle_left(number);
    return most;
}
