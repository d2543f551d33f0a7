/* Time: ACPI's timer counts, the local APIC's wakes.
   The counter has 24 bits of 3.58 MHz and is read at least every second, so a host may keep us waiting for 3.6 s
   before time is lost; nothing depends on where it stands at the boot or after loadvm. An idle guest wakes once a
   second: with the PIT, which can't wait longer than 55 ms, it took 0.6 % of a core instead of 0.03 %. */
#include "sac.h"

#define TICKS_PER_MS 3580
#define IDLE_MOST_MS 1000

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

void idle(u32 most_ms)
{
    disable_interrupts();
    if (most_ms && !serial_has_input()) {
        wake_after(most_ms < IDLE_MOST_MS ? most_ms : IDLE_MOST_MS);
        __asm__ volatile("sti; hlt" : : : "memory");
    }
    enable_interrupts();
    now_ms();
}
