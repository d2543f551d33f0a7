/* The firmware's tables: ACPI's for timer, power button and power off, SMBIOS' for the machine's UUID. */
#include "sac.h"

struct acpi acpi;
char machine_guid[37] = "00000000-0000-0000-0000-000000000000";

static u32 number(u32 address)
{
    u32 value;
    memcpy(&value, (const void *)address, 4);
    return value;
}

static u32 find(const char *anchor, u32 from)
{
    for (; from < 0x100000; from += 16)
        if (!memcmp((const void *)from, anchor, strlen(anchor)))
            return from;
    return 0;
}

/* QEMU's DSDT has _S5_ as a package of constants: NameOp "_S5_" PackageOp PkgLength NumElements type. */
static void find_sleep_type(u32 dsdt)
{
    u32 length = number(dsdt + 4);
    for (u32 at = dsdt + 36; at + 12 < dsdt + length; at++) {
        const u8 *byte = (const u8 *)at;
        if (memcmp(byte, "_S5_\x12", 5))
            continue;
        byte += 5 + 1 + (byte[5] >> 6) + 1;
        acpi.sleep_type = *byte == 0x0a ? byte[1] : *byte < 2 ? *byte : 0;
        return;
    }
}

static void read_fadt(u32 fadt)
{
    acpi.event = (u16)number(fadt + 56);
    acpi.control = (u16)number(fadt + 64);
    acpi.timer = (u16)number(fadt + 76);
    acpi.command = (u16)number(fadt + 48);
    acpi.enable = *(const u8 *)(fadt + 52);
    find_sleep_type(number(fadt + 40));
}

static void find_acpi(u32 rsdp)
{
    if (!rsdp)
        rsdp = find("RSD PTR ", 0xe0000);
    if (!rsdp)
        return;
    int is_wide = *(const u8 *)(rsdp + 15) >= 2 && number(rsdp + 24);
    u32 root = number(rsdp + (is_wide ? 24 : 16)), step = is_wide ? 8 : 4;
    u32 end = root + number(root + 4);
    for (u32 at = root + 36; at < end; at += step)
        if (!memcmp((const void *)number(at), "FACP", 4))
            read_fadt(number(at));
}

static void read_guid(const u8 *uuid)
{
    format(machine_guid, sizeof machine_guid, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
        uuid[3], uuid[2], uuid[1], uuid[0], uuid[5], uuid[4], uuid[7], uuid[6], uuid[8], uuid[9], uuid[10], uuid[11],
        uuid[12], uuid[13], uuid[14], uuid[15]);
}

static void read_smbios(const u8 *at, const u8 *end)
{
    while (at + 4 < end && at[0] != 127) {
        if (at[0] == 1 && at[1] >= 24)
            read_guid(at + 8);
        for (at += at[1]; at + 1 < end && (at[0] || at[1]); at++)
            ;
        at += 2;
    }
}

void tables_find(u32 rsdp, u32 smbios)
{
    find_acpi(rsdp);
    if (!smbios && !(smbios = find("_SM3_", 0xf0000)))
        smbios = find("_SM_", 0xf0000);
    if (smbios && !memcmp((const void *)smbios, "_SM3_", 5))
        read_smbios((const u8 *)number(smbios + 16), (const u8 *)number(smbios + 16) + number(smbios + 12));
    else if (smbios)
        read_smbios((const u8 *)number(smbios + 24), (const u8 *)number(smbios + 24) + (number(smbios + 22) & 0xffff));
}
