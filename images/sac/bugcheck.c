/* The blue screen as COM1 shows it. Nothing of the running system is used: no channels, no events; the port is
   polled while it dumps, and only COM1 and the timer wake !SAC>. */
#include "sac.h"

#define STEPS 20
#define WORD 40
#define IRQS_OF_USE (1 << 4)

static int is_under_way;

static void put(void *context, char byte)
{
    (void)context;
    serial_put(byte);
}

static void tell_parameters(const struct bugcheck *bugcheck)
{
    char shown[4][20];
    for (u32 i = 0; i < 4; i++)
        format(shown[i], sizeof shown[i], "0x%08X%08X", bugcheck->parameters[2 * i + 1], bugcheck->parameters[2 * i]);
    serial_format(text(T_BUGCHECK_PARAMETERS), shown[0], shown[1], shown[2], shown[3]);
}

static void tell(const struct bugcheck *bugcheck)
{
    serial_write("\r\n");
    serial_write(text(T_XML_HEAD));
    serial_format(text(T_XML_BUGCHECK_OPEN), bugcheck->code);
    machine_info(put, NULL);
    serial_write(text(T_XML_BUGCHECK_CLOSE));
    serial_format("\r\n%s", text(T_BUGCHECK_PROMPT));
    serial_write(text(T_BUGCHECK_PROBLEM));
    serial_format(text(T_BUGCHECK_GIVE), bugcheck->name);
    if (*knobs.module)
        serial_format(text(T_BUGCHECK_MODULE), knobs.module);
    tell_parameters(bugcheck);
}

static void stop_for_ever(void) __attribute__((noreturn));
static void stop_for_ever(void)
{
    disable_interrupts();
    for (;;)
        __asm__ volatile("hlt");
}

static void collect(const struct bugcheck *bugcheck)
{
    enum text_key progress = knobs.autoreboot ? T_BUGCHECK_PROGRESS : T_BUGCHECK_PROGRESS_NO_RESTART;
    int is_written = volume_init(); /* a request may have been under way */
    serial_format(text(progress), 0);
    for (u32 step = 0; step < STEPS; step++) {
        u32 percent = step * 100 / STEPS;
        serial_format(text(progress), percent);
        if (knobs.hang == HANG_STUCK_DUMP && percent >= (u32)knobs.stuck_percent)
            stop_for_ever();
        is_written = is_written && dump_write(bugcheck, step, STEPS);
        sleep_ms((u32)knobs.dump_step_ms);
    }
    serial_format(text(progress), 100);
    if (knobs.hang == HANG_STUCK_DUMP)
        stop_for_ever();
}

static void identify(void)
{
    serial_format(text(T_SAC_ID_NAME), knobs.computer_name);
    serial_format(text(T_SAC_ID_GUID), machine_guid);
    serial_format(text(T_SAC_ID_BUILD), fact(F_OS_BUILD));
}

/* 2003 knows more commands than the newer releases; see shell_commands of the profiles. */
static void obey(const char *word)
{
    int is_old = knobs.profile == 0;
    if (!strcmp(word, "restart"))
        serial_write(text(T_BUGCHECK_RESTARTING)), reboot();
    else if (!strcmp(word, "?") || !strcmp(word, "help"))
        serial_write(text(T_BUGCHECK_HELP));
    else if (!strcmp(word, "d"))
        kernel_log_print(serial_write);
    else if (is_old && !strcmp(word, "id"))
        identify();
    else if (is_old && !strcmp(word, "q"))
        reboot();
    else if (*word)
        serial_write(text(T_BUGCHECK_UNKNOWN_COMMAND));
}

static void take_line(char *line, u32 room)
{
    u32 length = 0;
    for (;;) {
        int byte = serial_wait(60000);
        if (byte == '\r' || byte == '\n')
            break;
        if ((byte == '\b' || byte == 127) && length) {
            length--;
            serial_write("\b \b");
        } else if (byte >= ' ' && byte < 127 && length + 1 < room) {
            line[length++] = lower((char)byte);
            serial_put((char)byte);
        }
    }
    line[length] = 0;
    serial_write("\r\n");
}

static void answer(void) __attribute__((noreturn));
static void answer(void)
{
    char line[WORD], word[WORD];
    pic_init(IRQS_OF_USE); /* an interrupt may have been under way */
    for (;;) {
        serial_write(text(T_BUGCHECK_PROMPT));
        take_line(line, sizeof line);
        take_word(line, word, sizeof word);
        obey(word);
    }
}

static void bugcheck(const struct bugcheck *bugcheck) __attribute__((noreturn));
static void bugcheck(const struct bugcheck *bugcheck)
{
    struct memory memory;
    disable_interrupts();
    if (is_under_way) /* a fault while we tell of one */
        stop_for_ever();
    is_under_way = 1;
    memory_load(&memory);
    memory.end = BUGCHECK;
    memory.has_bugcheck = 1;
    memory.code = bugcheck->code;
    memory_save(&memory);
    tell(bugcheck);
    if (knobs.crash_dump != DUMP_NONE || knobs.hang == HANG_STUCK_DUMP)
        collect(bugcheck);
    if (knobs.autoreboot)
        reboot();
    answer();
}

/* A second NMI changes nothing: it comes once an interrupt of !SAC> has returned. */
void bugcheck_nmi(void)
{
    struct bugcheck nmi = {0x80, {0x4f4454}, text(T_BUGCHECK_NAME_NMI)};
    if (!is_under_way)
        bugcheck(&nmi);
}

void bugcheck_crashdump(void)
{
    struct bugcheck crash = {0xe2, {0}, text(T_BUGCHECK_NAME_CRASHDUMP)};
    bugcheck(&crash);
}

/* A fault of this guest itself. It is told like any other, and the name tells it from those that are asked for. */
void bugcheck_trap(u32 vector, u32 error, u32 address)
{
    struct bugcheck trap = {0x7f, {vector, 0, error, 0, address}, "UNEXPECTED_KERNEL_MODE_TRAP"};
    bugcheck(&trap);
}
