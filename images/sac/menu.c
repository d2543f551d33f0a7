/* The boot manager's menu: cursor-addressed pieces, the countdown rewritten in place. */
#include "sac.h"

#define TITLE_ROW 1
#define CHOOSE_ROW 3
#define FIRST_ROW 6
#define HINT_ROW 15
#define COUNTDOWN_ROW 17
#define TOOLS_ROW 19
#define DIAGNOSTIC_ROW 21
#define STATUS_ROW 24
#define ESCAPE 27
#define ESCAPE_MS 1000 /* a lone ESC is held until it can begin no sequence any more */
#define MOST_OPTIONS 10

enum key { NOTHING, ENTER, TAB, UP, DOWN, LEFT, F8, CANCEL, OTHER };

static u32 chosen;
static int is_on_tools, counts;

static void at(u32 row, u32 column)
{
    serial_format("\033[%d;%dH", row, column);
}

static void bar(u32 row, const char *content, int is_centred)
{
    u32 length = strlen(content), before = is_centred && length < COLUMNS ? (COLUMNS - length) / 2 : 1;
    if (!length)
        return;
    at(row, 1);
    serial_write("\033[0m\033[30;47m");
    for (u32 i = 0; i < before; i++)
        serial_put(' ');
    serial_write(content);
    for (u32 i = before + length; i < COLUMNS; i++)
        serial_put(' ');
    serial_write("\033[0m\033[37;40m");
}

static u32 count_entries(void)
{
    return knobs.entry_count ? knobs.entry_count : 1;
}

static void entry(u32 row, const char *name, const char *suffix, int is_chosen)
{
    u32 used = 4 + strlen(name) + strlen(suffix);
    at(row, 1);
    if (is_chosen)
        serial_write("\033[0m\033[30;47m");
    serial_format("    %s%s", name, suffix);
    for (; used < COLUMNS - 3; used++)
        serial_put(' ');
    serial_put(is_chosen ? '>' : ' ');
    if (is_chosen)
        serial_write("\033[0m\033[37;40m");
}

static void draw_entries(void)
{
    for (u32 i = 0; i < count_entries(); i++) {
        const char *name = knobs.entry_count ? knobs.entries[i] : fact(F_MENU_ENTRY);
        entry(FIRST_ROW + i, name, text(T_MENU_EMS_SUFFIX), !is_on_tools && i == chosen);
    }
    entry(DIAGNOSTIC_ROW, text(T_MENU_MEMORY_DIAGNOSTIC), "", is_on_tools);
}

static void lines_at(u32 row, const char *lines)
{
    at(row, 1);
    for (; *lines; lines++)
        if (*lines == '\n')
            at(++row, 1);
        else if (*lines != '\r')
            serial_put(*lines);
}

static void draw_countdown(u32 seconds)
{
    at(COUNTDOWN_ROW, 1);
    if (counts)
        serial_format(text(T_MENU_COUNTDOWN), seconds);
    serial_write("\033[K");
}

static void draw(u32 seconds)
{
    serial_write(text(T_MENU_RESET));
    bar(TITLE_ROW, text(T_MENU_TITLE), 1);
    lines_at(CHOOSE_ROW, text(T_MENU_CHOOSE));
    lines_at(CHOOSE_ROW + 1, text(T_MENU_KEYS));
    draw_entries();
    lines_at(HINT_ROW, text(T_MENU_ADVANCED_HINT));
    draw_countdown(seconds);
    lines_at(TOOLS_ROW, text(T_MENU_TOOLS));
    bar(STATUS_ROW, text(T_MENU_STATUS), 0);
}

/* --- keys --------------------------------------------------------------------------------------------- */

static enum key sequence(void)
{
    int byte = serial_wait(ESCAPE_MS);
    if (byte == '8')
        return F8;
    if (byte == '[' || byte == 'O') {
        byte = serial_wait(ESCAPE_MS);
        return byte == 'A' ? UP : byte == 'B' ? DOWN : byte == 'D' ? OTHER : OTHER;
    }
    if (byte == ESCAPE) /* and an arrow to the left: back */
        return serial_wait(ESCAPE_MS) == '[' && serial_wait(ESCAPE_MS) == 'D' ? LEFT : CANCEL;
    return byte < 0 ? CANCEL : OTHER;
}

static enum key wait_key(u32 most_ms)
{
    int byte = serial_wait(most_ms);
    if (byte < 0)
        return NOTHING;
    if (byte == '\r' || byte == '\n')
        return ENTER;
    if (byte == '\t')
        return TAB;
    return byte == ESCAPE ? sequence() : OTHER;
}

/* --- the other screens -------------------------------------------------------------------------------- */

void recovery_screen(void)
{
    serial_write(text(T_MENU_RESET));
    bar(TITLE_ROW, text(knobs.profile == 0 ? T_MENU_ERROR_RECOVERY : T_MENU_RECOVERY_TITLE), 1);
    lines_at(CHOOSE_ROW, text(T_MENU_RECOVERY));
    while (wait_key(60000) != ENTER)
        if (power_button_pressed())
            power_off();
    reboot();
}

static void memory_diagnostic(void) __attribute__((noreturn));
static void memory_diagnostic(void)
{
    serial_write(text(T_MENU_RESET));
    lines_at(CHOOSE_ROW, text(T_MENU_MEMORY_TEST));
    serial_wait(500);
    reboot();
}

static u32 split_options(char options[][64])
{
    u32 count = 0, length = 0;
    for (const char *from = text(T_MENU_ADVANCED_OPTIONS); count < MOST_OPTIONS; from++) {
        if (!*from || *from == '\n') {
            options[count++][length] = 0;
            length = 0;
        } else if (*from != '\r' && length < 63) {
            options[count][length++] = *from;
        }
        if (!*from)
            return count;
    }
    return count;
}

static void draw_options(char options[][64], u32 count, u32 option)
{
    for (u32 i = 0; i < count; i++)
        entry(FIRST_ROW + i, options[i], "", i == option);
}

/* Returns whether the system is to start. */
static int choose_advanced(void)
{
    char options[MOST_OPTIONS][64];
    u32 count = split_options(options), option = count - 1;
    serial_write(text(T_MENU_RESET));
    bar(TITLE_ROW, text(T_MENU_ADVANCED_TITLE), 1);
    at(CHOOSE_ROW, 1);
    serial_format(text(T_MENU_ADVANCED_CHOOSE), knobs.entry_count ? knobs.entries[chosen] : fact(F_MENU_ENTRY));
    bar(STATUS_ROW, text(T_MENU_ADVANCED_STATUS), 0);
    for (;;) {
        draw_options(options, count, option);
        enum key key = wait_key(60000);
        if (key == UP)
            option -= option > 0;
        else if (key == DOWN)
            option += option + 1 < count;
        else if (key == CANCEL || key == LEFT)
            return 0;
        else if (key == ENTER && option == 0)
            recovery_screen();
        else if (key == ENTER) {
            if (starts_with(options[option], "Disable automatic restart"))
                knobs.autoreboot = 0;
            kernel_log(options[option]);
            return 1;
        }
        if (power_button_pressed())
            power_off();
    }
}

/* --- the menu ----------------------------------------------------------------------------------------- */

static void move(enum key key)
{
    if (key == TAB)
        is_on_tools = !is_on_tools;
    else if (!is_on_tools && key == UP)
        chosen -= chosen > 0;
    else if (!is_on_tools && key == DOWN)
        chosen += chosen + 1 < count_entries();
    draw_entries();
}

/* Returns whether the choice is made. */
static int act(enum key key)
{
    if (key == ENTER && is_on_tools)
        memory_diagnostic();
    if (key == ENTER)
        return 1;
    if (key == CANCEL)
        reboot();
    if (key == F8) {
        if (choose_advanced())
            return 1;
        draw(0);
    } else {
        move(key);
    }
    return 0;
}

static void wait_for_cd(void)
{
    u32 end = now_ms() + (u32)knobs.cd_prompt_s * 1000;
    serial_write(text(T_MENU_CD_PROMPT));
    while ((int)(end - now_ms()) > 0 && serial_wait(end - now_ms()) < 0)
        ;
    serial_write("\r\n");
}

void menu_run(void)
{
    u32 start, seconds = (u32)knobs.menu_timeout_s, left;
    if (knobs.cd_prompt_s)
        wait_for_cd();
    if (!knobs.menu || !seconds)
        return;
    counts = 1;
    chosen = is_on_tools = 0;
    draw(seconds);
    for (start = now_ms();;) {
        enum key key = wait_key(counts ? 1000 - (now_ms() - start) % 1000 : 60000);
        if (power_button_pressed())
            power_off();
        if (key != NOTHING) {
            int did_count = counts;
            counts = counts && key == ENTER;
            if (did_count && !counts)
                draw_countdown(0);
            if (act(key))
                break;
            continue;
        }
        left = (now_ms() - start) / 1000 >= seconds ? 0 : seconds - (now_ms() - start) / 1000;
        if (counts && !left)
            break;
        if (counts)
            draw_countdown(left);
    }
    kernel_log(knobs.entry_count ? knobs.entries[chosen] : fact(F_MENU_ENTRY));
}
