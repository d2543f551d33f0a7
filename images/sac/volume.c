/* C: is the FAT16 volume of the first partition. It holds PAGEFILE.SYS, in one piece, and later MEMORY.DMP. */
#include "sac.h"

#define ENTRY 32
#define PER_SECTOR (SECTOR / ENTRY)
#define LAST_CLUSTER 0xfff8

static struct {
    u32 fats, fat_sectors, fat_count, root, root_sectors, data, cluster_sectors, clusters;
} volume;
static u8 sector[SECTOR];
static u16 table[SECTOR / 2];
static u32 table_at;
static u8 chunk[DISK_CHUNK * SECTOR];

static u32 half(u32 at) { return sector[at] | (u32)sector[at + 1] << 8; }
static u32 whole(u32 at) { return half(at) | half(at + 2) << 16; }
static void set_half(u32 at, u32 value) { sector[at] = (u8)value; sector[at + 1] = (u8)(value >> 8); }

int volume_init(void)
{
    memset(&volume, 0, sizeof volume);
    table_at = 0;
    if (!disk_init() || !disk_read(0, sector, 1) || half(510) != 0xaa55)
        return 0;
    u32 start = whole(446 + 8);
    if (!start || !disk_read(start, sector, 1) || half(11) != SECTOR || memcmp(sector + 54, "FAT16", 5))
        return 0;
    volume.cluster_sectors = sector[13];
    volume.fats = start + half(14);
    volume.fat_count = sector[16];
    volume.fat_sectors = half(22);
    volume.root = volume.fats + volume.fat_count * volume.fat_sectors;
    volume.root_sectors = half(17) / PER_SECTOR;
    volume.data = volume.root + volume.root_sectors;
    u32 sectors = half(19) ? half(19) : whole(32);
    if (!volume.cluster_sectors)
        return 0;
    volume.clusters = (start + sectors - volume.data) / volume.cluster_sectors;
    return 1;
}

/* Reads the sector of the root directory that has `name`, or the first free entry for NULL; -1 if none has. */
static int find_entry(const char *name, u32 *at)
{
    for (u32 i = 0; volume.cluster_sectors && i < volume.root_sectors; i++) {
        if (!disk_read(volume.root + i, sector, 1))
            return -1;
        for (u32 entry = 0; entry < SECTOR; entry += ENTRY) {
            u8 first = sector[entry];
            if (name ? !memcmp(sector + entry, name, 11) : first == 0 || first == 0xe5) {
                *at = volume.root + i;
                return (int)entry;
            }
        }
    }
    return -1;
}

static u32 place(u32 cluster)
{
    return volume.data + (cluster - 2) * volume.cluster_sectors;
}

u32 volume_pagefile(u32 *sectors)
{
    u32 at;
    int entry = find_entry("PAGEFILESYS", &at);
    if (entry < 0)
        return 0;
    *sectors = whole((u32)entry + 28) / SECTOR;
    return place(half((u32)entry + 26));
}

u32 volume_dump_size(void)
{
    u32 at;
    int entry = find_entry("MEMORY  DMP", &at);
    return entry < 0 ? 0 : whole((u32)entry + 28);
}

/* Reads the sector of the first table that has `cluster`, unless it is there already. */
static int load_table(u32 cluster)
{
    u32 at = volume.fats + cluster * 2 / SECTOR;
    if (at != table_at && !disk_read(at, table, 1))
        return 0;
    table_at = at;
    return 1;
}

static int set_next(u32 cluster, u32 next)
{
    if (!load_table(cluster))
        return 0;
    table[cluster * 2 % SECTOR / 2] = (u16)next;
    for (u32 i = 0; i < volume.fat_count; i++)
        if (!disk_write(table_at + i * volume.fat_sectors, table, 1))
            return 0;
    return 1;
}

static u32 next_of(u32 cluster)
{
    return load_table(cluster) ? table[cluster * 2 % SECTOR / 2] : LAST_CLUSTER;
}

static void free_chain(u32 cluster)
{
    for (u32 left = volume.clusters; left && cluster >= 2 && cluster < LAST_CLUSTER; left--) {
        u32 next = next_of(cluster);
        set_next(cluster, 0);
        cluster = next;
    }
}

/* Returns the first of `count` free clusters in a row, 0 if there are none. */
static u32 find_room(u32 count)
{
    u32 run = 0;
    for (u32 cluster = 2; cluster < volume.clusters + 2; cluster++) {
        run = next_of(cluster) ? 0 : run + 1;
        if (run == count)
            return cluster + 1 - count;
    }
    return 0;
}

static int copy(u32 from, u32 to, u32 sectors)
{
    while (sectors) {
        u32 count = sectors < DISK_CHUNK ? sectors : DISK_CHUNK;
        if (!disk_read(from, chunk, count) || !disk_write(to, chunk, count))
            return 0;
        from += count, to += count, sectors -= count;
    }
    return 1;
}

/* Gives the dump's entry, which is made if there is none, other content: by one write, so it is the old or the new one. */
static int set_entry(u32 cluster, u32 bytes, u32 *old)
{
    struct date date;
    u32 at;
    int entry = find_entry("MEMORY  DMP", &at);
    *old = entry < 0 ? 0 : half((u32)entry + 26);
    if (entry < 0)
        entry = find_entry(NULL, &at);
    if (entry < 0)
        return 0;
    clock_read(&date);
    u32 base = (u32)entry;
    memset(sector + base, 0, ENTRY);
    memcpy(sector + base, "MEMORY  DMP\x20", 12);
    set_half(base + 22, date.hour << 11 | date.minute << 5 | date.second / 2);
    set_half(base + 24, (date.year - 1980) << 9 | date.month << 5 | date.day);
    set_half(base + 26, cluster);
    set_half(base + 28, bytes);
    set_half(base + 30, bytes >> 16);
    return disk_write(at, sector, 1);
}

int volume_make_dump(u32 bytes)
{
    u32 room, old, from = volume_pagefile(&room);
    if (!from)
        return 0;
    u32 unit = volume.cluster_sectors * SECTOR, count = (bytes + unit - 1) / unit;
    u32 first = find_room(count);
    if (!first || !copy(from, place(first), bytes / SECTOR))
        return 0;
    for (u32 i = 0; i < count; i++)
        if (!set_next(first + i, i + 1 == count ? 0xffff : first + i + 1))
            return 0;
    if (!set_entry(first, bytes, &old))
        return 0;
    free_chain(old);
    return 1;
}
