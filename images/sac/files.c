/* The few files that cmd sees: constants, and MEMORY.DMP if the disk has it. */
#include "sac.h"

static const char *const directories[] = {
    "C:\\", "C:\\Users", "C:\\Users\\Administrator", "C:\\Windows", "C:\\Windows\\system32", "C:\\Windows\\TEMP",
};
static const struct { const char *directory, *name, *content; } files[] = {
    {"C:\\", "ttylab.txt", IDENTITY "\r\n"},
    {"C:\\Windows", "win.ini", "; for 16-bit app support\r\n[fonts]\r\n[extensions]\r\n[mci extensions]\r\n[files]\r\n[Mail]\r\nMAPI=1\r\n"},
    {"C:\\Windows\\system32", "license.rtf", "This is no Windows, so it needs no license.\r\n"},
};

int directory_exists(const char *path)
{
    for (u32 i = 0; i < sizeof directories / sizeof *directories; i++)
        if (same_word(directories[i], path))
            return 1;
    return 0;
}

static void drop_last(char *path)
{
    char *last = path + 2;
    for (char *at = path; *at; at++)
        if (*at == '\\')
            last = at;
    last[last == path + 2 ? 1 : 0] = 0;
}

static void append(char *path, const char *part, size_t room)
{
    if (!strcmp(part, "."))
        return;
    if (!strcmp(part, "..")) {
        drop_last(path);
        return;
    }
    if (path[strlen(path) - 1] != '\\')
        add_text(path, "\\", room);
    add_text(path, part, room);
}

void path_resolve(struct shell *shell, const char *given, char *path, size_t room)
{
    char part[128];
    copy_text(path, shell->directory, room);
    if (given[0] && given[1] == ':') {
        copy_text(path, "C:\\", room);
        path[0] = given[0] >= 'a' && given[0] <= 'z' ? given[0] - 32 : given[0];
        given += 2;
    } else if (*given == '\\') {
        copy_text(path, "C:\\", room);
    }
    while (*given) {
        u32 length = 0;
        while (*given == '\\' || *given == '/')
            given++;
        while (*given && *given != '\\' && *given != '/') {
            if (length + 1 < sizeof part)
                part[length++] = *given;
            given++;
        }
        part[length] = 0;
        if (length)
            append(path, part, room);
    }
}

/* Whether `path` is the file `name` in `directory`. */
static int is_file(const char *path, const char *directory, const char *name)
{
    char whole[192];
    copy_text(whole, directory, sizeof whole);
    append(whole, name, sizeof whole);
    return same_word(path, whole);
}

int file_type(struct shell *shell, const char *path)
{
    for (u32 i = 0; i < sizeof files / sizeof *files; i++)
        if (is_file(path, files[i].directory, files[i].name)) {
            shell_print(shell, "%s", files[i].content);
            return 1;
        }
    return 0;
}

struct listing { struct shell *shell; u32 files, folders, bytes; };

static void size_text(char *to, size_t room, u32 bytes)
{
    if (bytes >= 1000000)
        format(to, room, "%d,%03d,%03d", bytes / 1000000, bytes / 1000 % 1000, bytes % 1000);
    else if (bytes >= 1000)
        format(to, room, "%d,%03d", bytes / 1000, bytes % 1000);
    else
        format(to, room, "%d", bytes);
}

static void list_file(struct listing *listing, const char *name, u32 bytes)
{
    char size[16];
    size_text(size, sizeof size, bytes);
    listing->files++;
    listing->bytes += bytes;
    shell_print(listing->shell, text(T_CMD_DIR_FILE), 1, 1, 2024, 12, 0, "AM", size, name);
}

static void list_folder(struct listing *listing, const char *name)
{
    listing->folders++;
    shell_print(listing->shell, text(T_CMD_DIR_FOLDER), 1, 1, 2024, 12, 0, "AM", name);
}

/* The name of `path` below `directory`, NULL if it is not directly there. */
static const char *child(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    if (!starts_with_word(path, directory) || !path[length])
        return NULL;
    const char *name = path + length + (path[length] == '\\');
    if (name == path + length && directory[length - 1] != '\\')
        return NULL;
    for (const char *at = name; *at; at++)
        if (*at == '\\')
            return NULL;
    return *name ? name : NULL;
}

static void list_all(struct listing *listing, const char *directory)
{
    if (directory[3]) {
        list_folder(listing, ".");
        list_folder(listing, "..");
    }
    for (u32 i = 0; i < sizeof directories / sizeof *directories; i++) {
        const char *name = child(directories[i], directory);
        if (name)
            list_folder(listing, name);
    }
    for (u32 i = 0; i < sizeof files / sizeof *files; i++)
        if (same_word(files[i].directory, directory))
            list_file(listing, files[i].name, strlen(files[i].content));
    if (same_word(directory, "C:\\Windows") && volume_dump_size())
        list_file(listing, "MEMORY.DMP", volume_dump_size());
}

int file_list(struct shell *shell, const char *path)
{
    struct listing listing = {shell, 0, 0, 0};
    char parent[160], bytes[16];
    copy_text(parent, path, sizeof parent);
    if (!directory_exists(parent))
        drop_last(parent);
    shell_print(shell, text(T_CMD_DIR_HEAD), parent);
    if (directory_exists(path))
        list_all(&listing, path);
    else {
        for (u32 i = 0; i < sizeof files / sizeof *files; i++)
            if (is_file(path, files[i].directory, files[i].name))
                list_file(&listing, files[i].name, strlen(files[i].content));
        if (same_word(path, "C:\\Windows\\MEMORY.DMP") && volume_dump_size())
            list_file(&listing, "MEMORY.DMP", volume_dump_size());
    }
    if (!listing.files && !listing.folders)
        return 0;
    size_text(bytes, sizeof bytes, listing.bytes);
    shell_print(shell, text(T_CMD_DIR_TAIL), listing.files, bytes, listing.folders, "1,048,576");
    return 1;
}
