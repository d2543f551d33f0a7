/* The processes that t, k, l, r and m work on. They are a table: nothing runs in them. */
#include "sac.h"

struct process processes[] = {
    {4, "System", 8, 8, 92, 1, 620, 140, 196, 1100, 0},
    {272, "smss.exe", 11, 11, 2, 1, 53, 1212, 532, 720, 0},
    {364, "csrss.exe", 13, 13, 9, 1, 230, 5140, 1908, 2200, 0},
    {440, "csrss.exe", 13, 13, 8, 1, 94, 4012, 1640, 1800, 0},
    {460, "wininit.exe", 13, 13, 2, 1, 150, 6708, 1420, 2050, 0},
    {504, "winlogon.exe", 13, 13, 3, 1, 180, 8300, 2200, 2600, 0},
    {572, "services.exe", 9, 9, 6, 1, 330, 8540, 3920, 3300, 0},
    {580, "lsass.exe", 9, 9, 8, 1, 840, 15020, 5340, 5200, 0},
    {644, "svchost.exe", 8, 8, 13, 1, 420, 12800, 5100, 4100, 0},
    {700, "svchost.exe", 8, 8, 9, 1, 390, 9100, 4200, 3500, 0},
    {820, "svchost.exe", 8, 8, 22, 1, 610, 18200, 9100, 7200, 0},
    {864, "LogonUI.exe", 13, 13, 8, 1, 310, 41200, 11800, 13000, 0},
    {908, "svchost.exe", 8, 8, 16, 1, 520, 14400, 6800, 5400, 0},
    {980, "svchost.exe", 8, 8, 30, 1, 880, 29100, 14200, 11800, 0},
    {1044, "spoolsv.exe", 8, 8, 7, 1, 380, 13300, 5600, 4700, 0},
    {1120, "sacsess.exe", 8, 8, 3, 1, 70, 4100, 1300, 1200, 0},
    {1216, "svchost.exe", 8, 8, 5, 1, 160, 7100, 2300, 2000, 0},
    {1480, "msdtc.exe", 8, 8, 9, 1, 170, 9800, 3000, 2700, 0},
    {1592, "notepad.exe", 8, 8, 1, 1, 60, 5900, 1500, 1600, 0},
    {1704, "WmiPrvSE.exe", 8, 8, 8, 1, 200, 11200, 4100, 3800, 0},
};
const u32 process_count = sizeof processes / sizeof *processes;
static int has_threads = 1;

struct process *process_find(u32 pid)
{
    for (u32 i = 0; i < process_count; i++)
        if (processes[i].pid == pid && processes[i].alive)
            return &processes[i];
    return NULL;
}

int process_is_vital(const struct process *process)
{
    return process->pid < 600;
}

void process_kill(struct process *process)
{
    process->alive = 0;
    if (!strcmp(process->name, "sacsess.exe")) /* it serves the CMD channels */
        sac_lose_cmd();
}

void process_toggle_threads(void)
{
    has_threads = !has_threads;
    sac_print(text(has_threads ? T_SAC_THREADS_ON : T_SAC_THREADS_OFF));
}

static void print_row(const struct process *process, u32 uptime)
{
    u32 user = process->faults / 3 + uptime / (40 + process->pid);
    u32 kernel = process->faults / 2 + uptime / (90 + process->pid);
    sac_printf(text(T_SAC_TLIST_ROW), user / 3600000, user / 60000 % 60, user / 1000 % 60, user % 1000,
        kernel / 3600000, kernel / 60000 % 60, kernel / 1000 % 60, kernel % 1000, process->working_set, process->faults,
        process->commit, process->priority, process->handles, process->threads, process->pid, process->name);
}

void process_list(void)
{
    u32 uptime = now_ms(), total = 0;
    for (u32 i = 0; i < process_count; i++)
        total += processes[i].alive ? processes[i].working_set : 0;
    sac_printf(text(T_SAC_TLIST_HEAD), 2097152, uptime / 86400000, uptime / 3600000 % 24, uptime / 60000 % 60,
        uptime / 1000 % 60, uptime % 1000);
    sac_printf(text(T_SAC_TLIST_PAGEFILE), "\\??\\C:\\pagefile.sys");
    sac_printf(text(T_SAC_TLIST_PAGEFILE_SIZE), 1048576, 12288, 20480);
    sac_printf(text(T_SAC_TLIST_MEMORY), 2097152, 2097152 - total, total, 9320, 21040);
    sac_printf(text(T_SAC_TLIST_COMMIT), total, total + 20480, 3145728, total + 40960, 14080, 25600);
    sac_print(text(T_SAC_TLIST_COLUMNS));
    for (u32 i = 0; i < process_count; i++)
        if (processes[i].alive)
            print_row(&processes[i], uptime);
}
