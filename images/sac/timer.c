/* Time: ACPI's timer counts, the PIT wakes.
   The timer has 24 bits of 3.58 MHz and is read at least every 55 ms, so a host may keep us waiting for 4.6 s
   before time is lost; nothing depends on where it stands at the boot or after loadvm. */
#include "sac.h"

#define TICKS_PER_MS 3580
#define PIT_PER_MS 1193
#define PIT_MOST_MS 54

static u32 last, rest, milliseconds;

static u32 ticks(void)
{
    if (acpi.timer)
        return inl(acpi.timer);
    u32 low;
    __asm__ volatile("rdtsc; shrd $8, %%edx, %%eax" : "=a"(low) : : "edx"); /* no ACPI: about as fast */
    return low;
}

void timer_start(void)
{
    last = ticks();
}

u32 now_ms(void)
{
    u32 at = ticks();
    rest += (at - last) & 0xffffff;
    last = at;
    milliseconds += rest / TICKS_PER_MS;
    rest %= TICKS_PER_MS;
    return milliseconds;
}

void sleep_ms(u32 ms)
{
    /* By polling: a bugcheck has no interrupts. */
    for (u32 start = now_ms(); now_ms() - start < ms;)
        __asm__ volatile("pause");
}

static void wake_after(u32 ms)
{
    u32 count = (ms > PIT_MOST_MS ? PIT_MOST_MS : ms) * PIT_PER_MS;
    outb(0x43, 0x30); /* channel 0, once */
    outb(0x40, (u8)count);
    outb(0x40, (u8)(count >> 8));
}

void idle(u32 most_ms)
{
    disable_interrupts();
    if (most_ms && !serial_has_input()) {
        wake_after(most_ms);
        __asm__ volatile("sti; hlt" : : : "memory");
    }
    enable_interrupts();
    now_ms();
}
