/* A virtio disk by its legacy ports: they are there on pc and on q35, whose root bus keeps them. Polled. */
#include "sac.h"

#define VENDOR_DEVICE 0x10011af4
#define QUEUE_MOST 1024
#define TRIES 20000000

struct descriptor { u64 address; u32 length; u16 flags, next; };
struct request { u32 kind, reserved; u64 sector; };

static u8 queue[16 * QUEUE_MOST + 16384] __attribute__((aligned(4096)));
static struct request request;
static volatile u8 status;
static u16 port, size;
static volatile u16 *available;
static volatile u16 *used;

static u32 pci_address(u32 slot, u32 at)
{
    return 0x80000000 | slot << 11 | at;
}

static u32 pci_read(u32 slot, u32 at)
{
    outl(0xcf8, pci_address(slot, at));
    return inl(0xcfc);
}

static void pci_write(u32 slot, u32 at, u32 value)
{
    outl(0xcf8, pci_address(slot, at));
    outl(0xcfc, value);
}

static int find_port(void)
{
    for (u32 slot = 0; slot < 32; slot++) {
        if (pci_read(slot, 0) != VENDOR_DEVICE || !(pci_read(slot, 0x10) & 1))
            continue;
        if (!(pci_read(slot, 0x10) & 0xfffc)) /* a firmware that assigns nothing */
            pci_write(slot, 0x10, 0xc000 + 0x100 * slot);
        pci_write(slot, 4, (pci_read(slot, 4) & 0xffff) | 5); /* ports, bus master */
        port = (u16)(pci_read(slot, 0x10) & 0xfffc);
        return 1;
    }
    return 0;
}

int disk_init(void)
{
    if (!find_port())
        return 0;
    outb(port + 18, 0);
    outb(port + 18, 3);
    outl(port + 4, 0);
    outw(port + 14, 0);
    size = inw(port + 12);
    if (!size || size > QUEUE_MOST)
        return size = 0;
    memset(queue, 0, sizeof queue);
    available = (volatile u16 *)(queue + 16 * size);
    used = (volatile u16 *)(((u32)available + 6 + 2 * size + 4095) & ~4095u);
    available[0] = 1; /* no interrupts, please */
    outl(port + 8, (u32)queue >> 12);
    outb(port + 18, 7);
    return 1;
}

static int transfer(u32 kind, u32 sector, void *data, u32 count)
{
    struct descriptor *chain = (struct descriptor *)queue;
    u16 done;
    if (!size)
        return 0;
    request.kind = kind;
    request.sector = sector;
    status = 0xff;
    chain[0] = (struct descriptor){(u32)&request, sizeof request, 1, 1};
    chain[1] = (struct descriptor){(u32)data, count * SECTOR, (u16)(1 | (kind ? 0 : 2)), 2};
    chain[2] = (struct descriptor){(u32)&status, 1, 2, 0};
    done = used[1];
    available[2 + available[1] % size] = 0;
    __asm__ volatile("" : : : "memory");
    available[1]++;
    outw(port + 16, 0);
    for (u32 tries = TRIES; tries && used[1] == done; tries--)
        __asm__ volatile("pause" : : : "memory");
    return status == 0;
}

int disk_read(u32 sector, void *to, u32 count)
{
    return transfer(0, sector, to, count);
}

int disk_write(u32 sector, const void *from, u32 count)
{
    return transfer(1, sector, (void *)from, count);
}
