/* The crash dump: a 64-bit kernel dump's header and pages of ours. It goes to the pagefile first, and becomes
   MEMORY.DMP after the next boot, as Windows does it. Its comment says what it is. The header's first sector, with the
   signature, is blank until all the rest is on the disk: a dump that was cut off is none. */
#include "sac.h"

#define HEADER 0x2000
#define FIRST_PAGE 0x100000

static u8 header[HEADER];
static int is_saved;

u32 dump_size(void)
{
    static const u32 sizes[] = {0, 0x10000, 0x40000, 0x100000};
    return sizes[knobs.crash_dump];
}

static void set(u32 at, u32 low, u32 high)
{
    memcpy(header + at, &low, 4);
    memcpy(header + at + 4, &high, 4);
}

static void make_header(const struct bugcheck *bugcheck)
{
    static const u8 kinds[] = {0, 4, 2, 1};
    u32 build = 0;
    parse_number(fact(F_OS_BUILD), &build);
    for (u32 i = 0; i < HEADER; i += 4)
        memcpy(header + i, "PAGE", 4);
    memcpy(header, "PAGEDU64", 8);
    set(0x08, 15, build);
    set(0x10, 0, 0);
    set(0x30, 0x8664, 1);
    memset(header + 0x38, 0, 8);
    memcpy(header + 0x38, &bugcheck->code, 4);
    for (u32 i = 0; i < 4; i++)
        set(0x40 + 8 * i, bugcheck->parameters[2 * i], bugcheck->parameters[2 * i + 1]);
    set(0x88, 1, 0); /* one run of pages */
    set(0x90, (dump_size() - HEADER) >> 12, 0);
    set(0x98, FIRST_PAGE >> 12, 0);
    set(0xa0, (dump_size() - HEADER) >> 12, 0);
    set(0xf98, kinds[knobs.crash_dump], 0);
    set(0xfa0, dump_size(), 0);
    memset(header + 0xfb0, 0, 128);
    copy_text((char *)header + 0xfb0, IDENTITY, 128);
}

static int blank(u32 at)
{
    memset(header, 0, SECTOR);
    return disk_write(at, header, 1);
}

static int write_header(u32 at, const struct bugcheck *bugcheck)
{
    make_header(bugcheck);
    return disk_write(at + 1, header + SECTOR, HEADER / SECTOR - 1) && disk_write(at, header, 1);
}

/* A step before the last writes the pages of its part; the last one also makes the dump whole. */
int dump_write(const struct bugcheck *bugcheck, u32 step, u32 steps)
{
    u32 room, at = volume_pagefile(&room), sectors = dump_size() / SECTOR;
    if (!at || !sectors || sectors > room)
        return 0;
    u32 from = sectors * step / steps, end = sectors * (step + 1) / steps;
    if (!step && !blank(at))
        return 0;
    if (from < HEADER / SECTOR)
        from = HEADER / SECTOR;
    while (from < end) {
        u32 count = end - from < DISK_CHUNK ? end - from : DISK_CHUNK;
        if (!disk_write(at + from, (const void *)(FIRST_PAGE + from * SECTOR - HEADER), count))
            return 0;
        from += count;
    }
    return step + 1 < steps || write_header(at, bugcheck);
}

void dump_collect(void)
{
    u32 room, at = volume_pagefile(&room), bytes;
    if (!at || !disk_read(at, header, HEADER / SECTOR) || memcmp(header, "PAGEDU64", 8))
        return;
    memcpy(&bytes, header + 0xfa0, 4);
    if (bytes < HEADER || bytes / SECTOR > room || !volume_make_dump(bytes))
        return;
    blank(at);
    is_saved = 1;
    kernel_log("MEMORY.DMP was written.");
}

int dump_is_saved(void)
{
    return is_saved;
}
