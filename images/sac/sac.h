/* What the modules of the SAC guest offer each other. This guest is no Windows; it says what Windows says. */
#ifndef SAC_H
#define SAC_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "texts.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define ROWS 24
#define COLUMNS 80
#define IDENTITY "ttylab SAC guest (not Windows)"

/* --- the processor ---------------------------------------------------------------------------------- */
static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outw(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outl(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u16 inw(u16 port) { u16 v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u32 inl(u16 port) { u32 v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline void disable_interrupts(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void enable_interrupts(void) { __asm__ volatile("sti" : : : "memory"); }

/* --- string.c: text and memory ------------------------------------------------------------------------ */
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *one, const void *other, size_t count);
size_t strlen(const char *text);
int strcmp(const char *one, const char *other);
int same_word(const char *one, const char *other);                    /* without regard to case */
int starts_with(const char *text, const char *start);
int starts_with_word(const char *text, const char *start);            /* without regard to case */
void copy_text(char *to, const char *from, size_t room);              /* always ends with NUL */
void add_text(char *to, const char *more, size_t room);
char lower(char letter);
const char *skip_blanks(const char *text);
const char *take_word(const char *text, char *word, size_t room);     /* returns what follows */
int parse_number(const char *text, u32 *number);                      /* the whole text, decimal */
typedef void (*sink)(void *context, char byte);
void format_to(sink put, void *context, const char *format, va_list values);
void format(char *to, size_t room, const char *format, ...);

/* --- texts: generated from emulator/sac/profiles ----------------------------------------------- */
const char *text(enum text_key key);
const char *fact(enum fact_key key);
int is_fact(enum fact_key key);                                       /* a fact that is true or false */

/* --- knobs.c ------------------------------------------------------------------------------------------ */
enum hang { HANG_NONE, HANG_NMI, HANG_STUCK_DUMP, HANG_POWER_BUTTON, HANG_BOOT_LOOP, HANG_RECOVERY, HANG_DEBUGGER,
            HANG_EMS_OFF, HANG_CMD_TIMEOUT, HANG_CMD_FAILS };
enum crash_dump { DUMP_NONE, DUMP_SMALL, DUMP_KERNEL, DUMP_COMPLETE };

struct knobs {
    u32 profile;
    int menu, menu_timeout_s, cd_prompt_s, autoreboot, dump_step_ms, boot_ms, cmd_event_ms, restart_wait_s;
    int idle_timeout_s, echo_ms, eat_after_prompt, eat_ms, lose_doubled_ms, event_while_typing, lf_ignored, redraw;
    int paging, setup_channels, stuck_percent;
    enum hang hang;
    enum crash_dump crash_dump;
    u32 entry_count;
    char entries[8][64];
    char computer_name[16], username[24], domain[16], password[36], module[36], ip[16], subnet[16], gateway[16];
};
extern struct knobs knobs;
void knobs_read(void);

/* --- fw_cfg.c ----------------------------------------------------------------------------------------- */
u32 fw_cfg_read(const char *name, char *to, u32 room);                /* bytes read, 0 if there is no such file */

/* --- tables.c: ACPI's and SMBIOS' tables ---------------------------------------------------------------- */
struct acpi {
    u16 event, control, timer, command;
    u8 enable, sleep_type;
};
extern struct acpi acpi;
extern char machine_guid[37];
void tables_find(u32 rsdp, u32 smbios);                               /* 0: search below 1 MiB */

/* --- power.c ------------------------------------------------------------------------------------------ */
void power_init(void);
int power_button_pressed(void);                                       /* once for each press */
void power_off(void) __attribute__((noreturn));
void reboot(void) __attribute__((noreturn));
void sci_interrupt(void);

/* --- interrupts.c ------------------------------------------------------------------------------------- */
void interrupts_init(void);
void pic_init(u16 wanted);                                            /* bits of the IRQs that may come */
void wake_after(u32 ms);                                              /* by an interrupt; at most a minute */

/* --- timer.c ------------------------------------------------------------------------------------------ */
u32 now_ms(void);                                                     /* since the boot; goes on after loadvm */
void timer_start(void);
void sleep_ms(u32 ms);
void idle(u32 most_ms);                                               /* halt until something comes */

/* --- cmos.c: the clock, and what survives a reset ---------------------------------------------------------- */
struct date { u32 year, month, day, hour, minute, second; };
enum end { ENDED_WELL, STILL_RUNNING, BUGCHECK };
struct memory { u8 magic, end, was_unexpected, has_bugcheck; u32 code; };
void clock_read(struct date *date);
void clock_write(const struct date *date);
void memory_load(struct memory *memory);
void memory_save(struct memory *memory);

/* --- serial.c ----------------------------------------------------------------------------------------- */
void serial_init(void);
void serial_put(char byte);                                           /* the one way out; waits, but not for ever */
void serial_write(const char *text);
void serial_format(const char *format, ...);
void serial_drain(void);
int serial_take(void);                                                /* the next byte, -1 if there is none */
int serial_has_input(void);
int serial_wait(u32 most_ms);                                         /* the next byte, -1 if none came in time */
void serial_interrupt(void);

/* --- disk.c, volume.c --------------------------------------------------------------------------------- */
#define SECTOR 512
#define DISK_CHUNK 128                                                /* sectors of the largest request */
int disk_init(void);
int disk_read(u32 sector, void *to, u32 count);
int disk_write(u32 sector, const void *from, u32 count);
int volume_init(void);
u32 volume_pagefile(u32 *sectors);                                    /* its first sector, 0 if there is none */
u32 volume_dump_size(void);                                           /* bytes of MEMORY.DMP, 0 if there is none */
int volume_make_dump(u32 bytes);                                      /* copies the pagefile's start */

/* --- dump.c ------------------------------------------------------------------------------------------- */
struct bugcheck { u32 code; u32 parameters[8]; const char *name; };   /* low halves first */
u32 dump_size(void);
int dump_write(const struct bugcheck *bugcheck, u32 step, u32 steps); /* a part of it; 0 if it can't be */
void dump_collect(void);                                              /* at the next boot */
int dump_is_saved(void);                                              /* whether this boot found one */

/* --- screen.c ----------------------------------------------------------------------------------------- */
struct cell { u8 letter, look; };                                     /* look: foreground, background << 3, flags */
struct screen {
    struct cell cells[ROWS][COLUMNS];
    u8 row, column, look, wraps, state, count;
    u16 numbers[4];
};
void screen_clear(struct screen *screen);
void screen_put(struct screen *screen, char byte);
void screen_show(const struct screen *screen);                        /* the whole of it, as SAC does */
void screen_update(const struct screen *screen);                      /* what changed since it was shown */

/* --- channel.c ---------------------------------------------------------------------------------------- */
#define CHANNELS 10
enum channel_kind { FREE, SAC, CMD, LOG };
struct channel {
    enum channel_kind kind;
    char name[24], guid[37];
    const char *log;
    struct screen screen;
};
extern struct channel channels[CHANNELS];
void channels_init(void);
int channel_open(enum channel_kind kind, const char *name, const char *log); /* its number, -1 if all are taken */
void channel_close(int number);
int channel_find(const char *name);
void channel_switch(int number);
void channel_input(u8 byte);
void channel_put(int number, char byte);
void channel_write(int number, const char *text);
void channel_format(int number, const char *format, ...);
void channel_flush(int number);
int channel_is_viewed(int number);
int channel_is_raw(int number);
const char *channel_description(int number);
void channel_new_guid(char *guid);

/* --- sac.c, sac_commands.c ------------------------------------------------------------------------------ */
void sac_start(void);
void sac_input(u8 byte);
void sac_event(const char *text);                                     /* interrupts whatever is on SAC's screen */
void sac_print(const char *text);                                     /* a command's output; it is paged */
void sac_printf(const char *format, ...);
void sac_toggle_paging(void);
void sac_command(char *line);
void sac_work(void);                                                  /* what is due */
u32 sac_next_ms(void);                                                /* when something is due, at most */
int sac_has_cmd(void);                                                /* whether its service is there */
void sac_lose_cmd(void);
void sac_launch_wanted(void);                                         /* the channel that a command asked for */
void sac_end_by_command(int restarts);
void sac_plan_end(int restarts, u32 earliest_s);                      /* of the system */
void sac_cancel_end(void);
int sac_end_planned(void);
void sac_end(int restarts) __attribute__((noreturn));
void machine_info(sink put, void *context);

/* --- processes.c -------------------------------------------------------------------------------------- */
struct process {
    u16 pid;
    const char *name;
    u8 priority, base, threads, alive;
    u16 handles;
    u32 working_set, commit, faults; /* KiB, KiB, count */
    u8 was_lowered;
};
extern struct process processes[];
extern const u32 process_count;
struct process *process_find(u32 pid);
int process_is_vital(const struct process *process);
void process_list(void);
void process_toggle_threads(void);
void process_kill(struct process *process);

/* --- kernel_log.c ------------------------------------------------------------------------------------- */
void kernel_log(const char *message);
void kernel_log_print(void (*print)(const char *text));

/* --- shell*.c: cmd and powershell ------------------------------------------------------------------------- */
void shell_open(int number);
void shell_input(int number, u8 byte);
void shell_lock_all(void);
void shell_work(void);
u32 shell_next_ms(void);
struct shell;
void shell_print(struct shell *shell, const char *format, ...);
void shell_run(struct shell *shell, char *line);
void shell_expand(struct shell *shell, const char *from, char *to, size_t room);
void shell_set(struct shell *shell, const char *arguments);
void powershell_run(struct shell *shell, char *line);
int powershell_decode(const char *encoded, char *to, size_t room);
int file_type(struct shell *shell, const char *path);
int file_list(struct shell *shell, const char *path);
int directory_exists(const char *path);
void path_resolve(struct shell *shell, const char *given, char *path, size_t room);

#define LINE_ROOM 1024
#define VARIABLES 12
struct shell {
    int number;
    enum { LOGIN_USER, LOGIN_DOMAIN, LOGIN_PASSWORD, REFUSED, COMMAND } state;
    int is_powershell, is_done, error_level, was_cr, escape;
    char line[LINE_ROOM];
    u32 length, eaten, prompt_at, last_input_at, last_at;
    u8 last;
    char username[24], domain[20], directory[128], prompt[64];
    char names[VARIABLES][32], values[VARIABLES][128];
    u32 lines, columns;
};

/* --- menu.c, bugcheck.c, failures.c ----------------------------------------------------------------------- */
void menu_run(void);
void recovery_screen(void) __attribute__((noreturn));
void bugcheck_nmi(void);                                              /* returns if there is one already */
void bugcheck_crashdump(void) __attribute__((noreturn));
void bugcheck_trap(u32 vector, u32 error, u32 address) __attribute__((noreturn));
void failure_boot_loop(void) __attribute__((noreturn));
void failure_debugger(void) __attribute__((noreturn));
void failure_ems_off(void) __attribute__((noreturn));

/* --- main.c ------------------------------------------------------------------------------------------- */
extern int end_of_image[];
#endif
