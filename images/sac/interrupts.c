/* The gates, the two PICs and the local APIC. */
#include "sac.h"

#define VECTORS 49
#define FIRST_IRQ 32
#define NMI 2
#define LAPIC 0xfee00000
#define WAKE 48
#define COUNTS_PER_MS 62500 /* QEMU: 1 GHz, divided by 16 */
#define IRQS_OF_USE (1 << 2 | 1 << 4 | 1 << 9)

extern const char trap_stubs[];
static struct { u16 low, selector, kind, high; } gates[VECTORS];

static volatile u32 *lapic(u32 offset)
{
    return (volatile u32 *)(LAPIC + offset);
}

void pic_init(u16 wanted)
{
    static const u8 words[][2] = {{0x11, 0x11}, {FIRST_IRQ, FIRST_IRQ + 8}, {4, 2}, {1, 1}};
    outb(0x20, words[0][0]);
    outb(0xa0, words[0][1]);
    for (int i = 1; i < 4; i++) {
        outb(0x21, words[i][0]);
        outb(0xa1, words[i][1]);
    }
    outb(0x21, (u8)~wanted);
    outb(0xa1, (u8)(~wanted >> 8));
    *lapic(0xb0) = 0;
}

void wake_after(u32 ms)
{
    *lapic(0x380) = ms * COUNTS_PER_MS;
}

static void lapic_init(void)
{
    /* Parked CPUs still have the firmware's gates, and an NMI reaches every CPU: INIT keeps it from them. */
    *lapic(0x310) = 0;
    *lapic(0x300) = 0xc4500;
    *lapic(0xf0) = 0x1ff;
    *lapic(0x350) = 0x700; /* LINT0: the PICs */
    *lapic(0x3e0) = 3; /* the timer, once: by 16 */
    *lapic(0x320) = WAKE;
    /* LINT1: NMI. It is masked after a reset, and qboot leaves it so. */
    *lapic(0x360) = knobs.hang == HANG_NMI ? 0x10400 : 0x400;
}

/* The firmware left the PIT ticking: although its IRQ is masked, QEMU would wake 36 times a second for it. */
static void pit_stop(void)
{
    outb(0x43, 0x30); /* count down once */
    outb(0x40, 1);
    outb(0x40, 0);
}

void interrupts_init(void)
{
    struct { u16 limit; u32 base; } __attribute__((packed)) pointer = {sizeof gates - 1, (u32)gates};
    for (u32 i = 0; i < VECTORS; i++) {
        u32 stub = (u32)trap_stubs + 16 * i;
        gates[i].low = (u16)stub;
        gates[i].selector = 8;
        gates[i].kind = 0x8e00;
        gates[i].high = (u16)(stub >> 16);
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
    pit_stop();
    pic_init(IRQS_OF_USE);
    lapic_init();
    enable_interrupts();
}

void trap_enter(u32 vector, u32 error, u32 address)
{
    if (vector == NMI) {
        bugcheck_nmi();
        return;
    }
    if (vector == WAKE) {
        *lapic(0xb0) = 0;
        return;
    }
    if (vector < FIRST_IRQ)
        bugcheck_trap(vector, error, address);
    u32 irq = vector - FIRST_IRQ;
    if (irq == 4)
        serial_interrupt();
    else if (irq == 9)
        sci_interrupt();
    if (irq == 7 || irq == 15)
        return; /* spurious */
    if (irq >= 8)
        outb(0xa0, 0x20);
    outb(0x20, 0x20);
}
