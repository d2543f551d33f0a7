/* Ways to fail on purpose that never get as far as SAC. */
#include "sac.h"

#define LOOP_MS 300
#define PACKET_MS 1000

void failure_boot_loop(void)
{
    serial_wait(LOOP_MS);
    reboot();
}

static void stay_silent(void) __attribute__((noreturn));
static void stay_silent(void)
{
    for (;;) {
        serial_take();
        idle(60000);
        if (power_button_pressed())
            power_off();
    }
}

/* Reset packets of the kernel debugger's protocol, which nobody answers. */
void failure_debugger(void)
{
    static const u8 reset[] = {0x69, 0x69, 0x69, 0x69, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    for (int tries = 0; tries < 5; tries++) {
        for (u32 i = 0; i < sizeof reset; i++)
            serial_put((char)reset[i]);
        u32 start = now_ms();
        while (now_ms() - start < PACKET_MS) {
            serial_take();
            idle(PACKET_MS);
            if (power_button_pressed())
                power_off();
        }
    }
    stay_silent();
}

void failure_ems_off(void)
{
    struct date date;
    clock_read(&date);
    serial_format(text(T_BOOT_HEALTH_REPORT_START), date.year, date.month, date.day, date.hour, date.minute, date.second);
    serial_format(text(T_BOOT_HEALTH_REPORT_BODY), date.year, date.month, date.day, date.hour, date.minute, date.second,
        knobs.computer_name, fact(F_OS_VERSION));
    serial_write(text(T_BOOT_HEALTH_REPORT_END));
    stay_silent();
}
