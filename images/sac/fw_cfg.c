/* QEMU's fw_cfg, by its ports: it is there on every way to boot. */
#include "sac.h"

#define SELECTOR 0x510
#define DATA 0x511
#define SIGNATURE 0
#define DIRECTORY 0x19

static void take(void *to, u32 count)
{
    u8 *at = to;
    while (count--)
        *at++ = inb(DATA);
}

static u32 take_number(void)
{
    u32 value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 8 | inb(DATA);
    return value;
}

u32 fw_cfg_read(const char *name, char *to, u32 room)
{
    char signature[4];
    outw(SELECTOR, SIGNATURE);
    take(signature, 4);
    if (memcmp(signature, "QEMU", 4))
        return 0;
    outw(SELECTOR, DIRECTORY);
    for (u32 count = take_number(); count; count--) {
        u32 size = take_number(), selector = take_number() >> 16;
        char found[56];
        take(found, sizeof found);
        if (strcmp(found, name))
            continue;
        if (size > room)
            size = room;
        outw(SELECTOR, (u16)selector);
        take(to, size);
        return size;
    }
    return 0;
}
