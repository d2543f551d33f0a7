/* The 80x24 cells that SAC keeps of a channel, and how they are sent. */
#include "sac.h"

#define PLAIN 7
#define BOLD 0x40
#define INVERSE 0x80

static struct screen shown; /* what the far end's screen has, while a channel is drawn by cells */

void screen_clear(struct screen *screen)
{
    memset(screen, 0, sizeof *screen);
    screen->look = PLAIN;
    for (u32 row = 0; row < ROWS; row++)
        for (u32 column = 0; column < COLUMNS; column++)
            screen->cells[row][column] = (struct cell){' ', PLAIN};
}

static void blank(struct screen *screen, u32 row, u32 from, u32 end)
{
    for (u32 column = from; column < end; column++)
        screen->cells[row][column] = (struct cell){' ', PLAIN};
}

static void next_row(struct screen *screen)
{
    if (screen->row + 1 < ROWS) {
        screen->row++;
        return;
    }
    memcpy(screen->cells[0], screen->cells[1], sizeof screen->cells - sizeof screen->cells[0]);
    blank(screen, ROWS - 1, 0, COLUMNS);
}

static void put_letter(struct screen *screen, u8 letter)
{
    if (screen->wraps) {
        screen->wraps = 0;
        screen->column = 0;
        next_row(screen);
    }
    screen->cells[screen->row][screen->column] = (struct cell){letter, screen->look};
    if (screen->column + 1 < COLUMNS)
        screen->column++;
    else
        screen->wraps = 1;
}

static void move(struct screen *screen)
{
    u32 row = screen->numbers[0], column = screen->numbers[1];
    row = row ? row - 1 : 0;
    column = column ? column - 1 : 0;
    screen->row = (u8)(row < ROWS ? row : ROWS - 1);
    screen->column = (u8)(column < COLUMNS ? column : COLUMNS - 1);
    screen->wraps = 0;
}

static void set_look(struct screen *screen)
{
    for (u32 i = 0; i <= screen->count && i < 4; i++) {
        u16 number = screen->numbers[i];
        if (number == 0)
            screen->look = PLAIN;
        else if (number == 1 || number == 22)
            screen->look = (u8)((screen->look & ~BOLD) | (number == 1 ? BOLD : 0));
        else if (number == 7 || number == 27)
            screen->look = (u8)((screen->look & ~INVERSE) | (number == 7 ? INVERSE : 0));
        else if (number >= 30 && number <= 37)
            screen->look = (u8)((screen->look & ~7) | (number - 30));
        else if (number >= 40 && number <= 47)
            screen->look = (u8)((screen->look & ~0x38) | (number - 40) << 3);
    }
}

static void finish_sequence(struct screen *screen, u8 byte)
{
    if (byte == 'H')
        move(screen);
    else if (byte == 'm')
        set_look(screen);
    else if (byte == 'K')
        blank(screen, screen->row, screen->column, COLUMNS);
    else if (byte == 'J')
        for (u32 row = 0; row < ROWS; row++)
            blank(screen, row, 0, COLUMNS);
}

static void put_sequence(struct screen *screen, u8 byte)
{
    if (screen->state == 1) {
        screen->state = byte == '[' ? 2 : 0;
        screen->count = 0;
        memset(screen->numbers, 0, sizeof screen->numbers);
    } else if (byte >= '0' && byte <= '9') {
        if (screen->count < 4)
            screen->numbers[screen->count] = (u16)(screen->numbers[screen->count] % 1000 * 10 + (byte - '0'));
    } else if (byte == ';') {
        screen->count += screen->count < 4;
    } else {
        screen->state = 0;
        finish_sequence(screen, byte);
    }
}

void screen_put(struct screen *screen, char byte)
{
    if (screen->state)
        put_sequence(screen, (u8)byte);
    else if (byte == 27)
        screen->state = 1;
    else if (byte == '\r')
        screen->column = screen->wraps = 0;
    else if (byte == '\n')
        next_row(screen);
    else if (byte == '\b') {
        screen->column -= screen->column > 0;
        screen->wraps = 0;
    } else if (byte >= ' ' && byte < 127)
        put_letter(screen, (u8)byte);
}

static void send_look(u8 look)
{
    serial_write(text(T_CHANNEL_PLAIN_ATTRIBUTES));
    if (look & BOLD)
        serial_write("\033[1m");
    if (look & INVERSE)
        serial_write("\033[7m");
    serial_format(text(T_CHANNEL_COLOURS), 40 + (look >> 3 & 7), 30 + (look & 7));
}

static void send_cells(const struct screen *screen, u32 row, u32 from, u32 end, u8 *look)
{
    for (u32 column = from; column < end; column++) {
        const struct cell *cell = &screen->cells[row][column];
        if (cell->look != *look)
            send_look(*look = cell->look);
        serial_put((char)cell->letter);
    }
}

void screen_show(const struct screen *screen)
{
    u8 look = PLAIN;
    serial_write(text(T_CHANNEL_CLEAR));
    send_look(look);
    for (u32 row = 0; row < ROWS && knobs.redraw; row++) {
        if (row)
            serial_format(text(T_CHANNEL_POSITION), row + 1, 1);
        send_cells(screen, row, 0, COLUMNS, &look);
    }
    serial_format(text(T_CHANNEL_POSITION), screen->row + 1, screen->column + 1);
    send_look(screen->look);
    shown = *screen;
}

/* Where the far end's cursor is: it does not move to where it stands. */
static void move_to(u32 row, u32 column)
{
    if (shown.row != row || shown.column != column || shown.wraps)
        serial_format(text(T_CHANNEL_POSITION), row + 1, column + 1);
    shown.row = (u8)row;
    shown.column = (u8)column;
    shown.wraps = 0;
}

static void update_row(const struct screen *screen, u32 row, u8 *look)
{
    const struct cell *now = screen->cells[row], *then = shown.cells[row];
    u32 from = 0, end = COLUMNS;
    while (from < end && !memcmp(&now[from], &then[from], sizeof *now))
        from++;
    while (end > from && !memcmp(&now[end - 1], &then[end - 1], sizeof *now))
        end--;
    if (from == end)
        return;
    move_to(row, from);
    send_cells(screen, row, from, end, look);
    shown.column = (u8)(end < COLUMNS ? end : COLUMNS - 1);
    shown.wraps = end == COLUMNS;
}

void screen_update(const struct screen *screen)
{
    u8 look = shown.look;
    for (u32 row = 0; row < ROWS; row++)
        update_row(screen, row, &look);
    if (!screen->wraps || !shown.wraps || shown.row != screen->row)
        move_to(screen->row, screen->column);
    if (look != screen->look)
        send_look(screen->look);
    shown = *screen;
}
