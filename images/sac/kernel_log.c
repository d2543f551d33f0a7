/* What SAC's command d shows. */
#include "sac.h"

#define ENTRIES 32

static struct { u32 at; char message[64]; } entries[ENTRIES];
static u32 count;

void kernel_log(const char *message)
{
    entries[count % ENTRIES].at = now_ms();
    copy_text(entries[count % ENTRIES].message, message, sizeof entries[0].message);
    count++;
}

void kernel_log_print(void (*print)(const char *text))
{
    char row[128];
    if (!count)
        print(text(T_SAC_KERNEL_LOG_EMPTY));
    for (u32 i = count > ENTRIES ? count - ENTRIES : 0; i < count; i++) {
        u32 at = entries[i % ENTRIES].at, second = at / 1000;
        format(row, sizeof row, text(T_SAC_KERNEL_LOG_ROW), second / 3600, second / 60 % 60, second % 60, at % 1000,
            entries[i % ENTRIES].message);
        print(row);
    }
}
