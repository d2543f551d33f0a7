/* The battery-backed clock, and sixteen bytes beside it that survive a reset under every firmware. */
#include "sac.h"

#define MEMORY_AT 0x60 /* QEMU itself uses 0x5b to 0x5f */
#define MAGIC 0x54

static u8 cmos(u8 at)
{
    outb(0x70, at | 0x80);
    return inb(0x71);
}

static void set_cmos(u8 at, u8 value)
{
    outb(0x70, at | 0x80);
    outb(0x71, value);
}

static u8 from_bcd(u8 value)
{
    return cmos(0x0b) & 4 ? value : (u8)((value >> 4) * 10 + (value & 15));
}

static u8 to_bcd(u32 value)
{
    return cmos(0x0b) & 4 ? (u8)value : (u8)(value / 10 << 4 | value % 10);
}

void clock_read(struct date *date)
{
    for (u32 tries = 10000; tries && cmos(0x0a) & 0x80; tries--)
        ;
    date->second = from_bcd(cmos(0));
    date->minute = from_bcd(cmos(2));
    date->hour = from_bcd(cmos(4));
    date->day = from_bcd(cmos(7));
    date->month = from_bcd(cmos(8));
    date->year = from_bcd(cmos(9)) + from_bcd(cmos(0x32)) * 100u;
}

void clock_write(const struct date *date)
{
    u8 mode = cmos(0x0b);
    set_cmos(0x0b, mode | 0x80);
    set_cmos(0, to_bcd(date->second));
    set_cmos(2, to_bcd(date->minute));
    set_cmos(4, to_bcd(date->hour));
    set_cmos(7, to_bcd(date->day));
    set_cmos(8, to_bcd(date->month));
    set_cmos(9, to_bcd(date->year % 100));
    set_cmos(0x32, to_bcd(date->year / 100));
    set_cmos(0x0b, mode);
}

static u8 sum_of(const u8 *bytes, u32 count)
{
    u8 sum = 0x5a;
    while (count--)
        sum += *bytes++;
    return sum;
}

void memory_load(struct memory *memory)
{
    u8 *bytes = (u8 *)memory;
    for (u32 i = 0; i < sizeof *memory; i++)
        bytes[i] = cmos((u8)(MEMORY_AT + i));
    if (memory->magic != MAGIC || cmos(MEMORY_AT + sizeof *memory) != sum_of(bytes, sizeof *memory))
        memset(memory, 0, sizeof *memory);
}

void memory_save(struct memory *memory)
{
    const u8 *bytes = (const u8 *)memory;
    memory->magic = MAGIC;
    for (u32 i = 0; i < sizeof *memory; i++)
        set_cmos((u8)(MEMORY_AT + i), bytes[i]);
    set_cmos(MEMORY_AT + sizeof *memory, sum_of(bytes, sizeof *memory));
}
