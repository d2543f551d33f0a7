/* COM1: a 16550 at 115200 8N1. Received bytes wait in a ring; every byte that is sent goes through serial_put. */
#include "sac.h"

#define PORT 0x3f8
#define RING 2048
#define FIFO 16
#define PATIENCE_MS 1000

static u8 ring[RING];
static volatile u32 head, tail; /* they count on; the ring holds head - tail bytes */
static u32 room;
static int is_stuck;

void serial_init(void)
{
    outb(PORT + 1, 0);
    outb(PORT + 3, 0x80);
    outb(PORT, 1);
    outb(PORT + 1, 0);
    outb(PORT + 3, 3);
    outb(PORT + 2, 7);
    outb(PORT + 4, 0x0b);
    outb(PORT + 1, 1);
}

void serial_interrupt(void)
{
    while (inb(PORT + 5) & 1) {
        if (head - tail == RING) { /* the sender waits until there is room again */
            outb(PORT + 1, 0);
            return;
        }
        ring[head % RING] = inb(PORT);
        head++;
    }
}

int serial_has_input(void)
{
    return head != tail;
}

int serial_take(void)
{
    if (head == tail)
        return -1;
    u8 byte = ring[tail % RING];
    tail++;
    if (!inb(PORT + 1) && head - tail < RING / 2)
        outb(PORT + 1, 1);
    return byte;
}

int serial_wait(u32 most_ms)
{
    u32 start = now_ms();
    while (!serial_has_input()) {
        u32 past = now_ms() - start;
        if (past >= most_ms)
            return -1;
        idle(most_ms - past);
    }
    return serial_take();
}

static void wait_for(u8 state)
{
    /* Nobody reads: a second of patience, then a byte is lost every millisecond until somebody does. */
    u32 start = now_ms(), patience = is_stuck ? 1 : PATIENCE_MS;
    while (!(inb(PORT + 5) & state))
        if (now_ms() - start >= patience) {
            is_stuck = 1;
            return;
        }
    is_stuck = 0;
}

void serial_put(char byte)
{
    if (!room) {
        wait_for(0x20);
        room = FIFO;
    }
    outb(PORT, (u8)byte);
    room--;
}

void serial_write(const char *text)
{
    while (*text)
        serial_put(*text++);
}

static void put(void *context, char byte)
{
    (void)context;
    serial_put(byte);
}

void serial_format(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    format_to(put, NULL, format, values);
    va_end(values);
}

void serial_drain(void)
{
    wait_for(0x40);
}
