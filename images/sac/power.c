/* The power button, power off and restart. */
#include "sac.h"

#define STATUS_BUTTON 0x100
#define CONTROL_SCI 1
#define CONTROL_SLEEP 0x2000

static volatile int is_pressed;

void power_init(void)
{
    if (!acpi.event)
        return;
    if (!(inw(acpi.control) & CONTROL_SCI) && acpi.command) {
        outb(acpi.command, acpi.enable);
        for (u32 tries = 100000; tries && !(inw(acpi.control) & CONTROL_SCI); tries--)
            ;
    }
    outw(acpi.event, 0xffff);
    /* QEMU notes a press only where the button is enabled. */
    outw(acpi.event + 2, knobs.hang == HANG_POWER_BUTTON ? 0 : STATUS_BUTTON);
}

void sci_interrupt(void)
{
    u16 status = inw(acpi.event);
    outw(acpi.event, status);
    if (status & STATUS_BUTTON)
        is_pressed = 1;
}

int power_button_pressed(void)
{
    int was_pressed = is_pressed;
    is_pressed = 0;
    return was_pressed;
}

static void halt_for_ever(void) __attribute__((noreturn));
static void halt_for_ever(void)
{
    disable_interrupts();
    for (;;)
        __asm__ volatile("hlt");
}

void power_off(void)
{
    serial_drain();
    if (acpi.control)
        outw(acpi.control, (u16)(acpi.sleep_type << 10 | CONTROL_SLEEP | CONTROL_SCI));
    halt_for_ever();
}

void reboot(void)
{
    static const struct { u16 limit; u32 base; } __attribute__((packed)) nothing;
    serial_drain();
    disable_interrupts();
    outb(0xcf9, 2);
    outb(0xcf9, 6);
    outb(0x64, 0xfe);
    __asm__ volatile("lidt %0; int3" : : "m"(nothing));
    halt_for_ever();
}
