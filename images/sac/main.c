/* From the loader to SAC's loop. */
#include "sac.h"

#define UEFI 0x49464555
#define PVH 0x48564550
#define RSDP_OF_PVH 32

/* Where the loader left ACPI's and SMBIOS' tables; 0 where they must be searched. */
static void find_tables(u32 loader, const u32 *handed)
{
    if (loader == UEFI)
        tables_find(handed[0], handed[1]);
    else if (loader == PVH)
        tables_find(handed[RSDP_OF_PVH / 4], 0);
    else
        tables_find(0, 0);
}

static void note_boot(void)
{
    struct memory memory;
    memory_load(&memory);
    kernel_log(IDENTITY);
    memory.was_unexpected = memory.end != ENDED_WELL;
    if (memory.end == BUGCHECK)
        kernel_log("The computer has rebooted from a bugcheck.");
    else if (memory.end == STILL_RUNNING)
        kernel_log("The last shutdown was unexpected.");
    memory.end = STILL_RUNNING;
    memory_save(&memory);
}

static void fail_on_purpose(void)
{
    if (knobs.hang == HANG_RECOVERY)
        recovery_screen();
    if (knobs.hang == HANG_DEBUGGER)
        failure_debugger();
    if (knobs.hang == HANG_EMS_OFF)
        failure_ems_off();
}

static void boot_delay(void)
{
    u32 start = now_ms();
    while (now_ms() - start < (u32)knobs.boot_ms) {
        serial_take();
        idle((u32)knobs.boot_ms - (now_ms() - start));
    }
}

static u32 nearest(void)
{
    u32 of_sac = sac_next_ms(), of_shells = shell_next_ms();
    return of_sac < of_shells ? of_sac : of_shells;
}

void run(u32 loader, const u32 *handed)
{
    serial_init();
    find_tables(loader, handed);
    knobs_read();
    timer_start();
    interrupts_init();
    power_init();
    menu_run();
    note_boot();
    fail_on_purpose();
    boot_delay();
    sac_start();
    if (knobs.hang == HANG_BOOT_LOOP)
        failure_boot_loop();
    if (volume_init())
        dump_collect();
    for (;;) {
        int byte = serial_take();
        if (byte >= 0)
            channel_input((u8)byte);
        sac_launch_wanted();
        sac_work();
        shell_work();
        if (byte < 0)
            idle(nearest());
    }
}
