/* Text and memory, and printf's %s %d %ld %u %x %X %c with width. */
#include "sac.h"

void *memcpy(void *to, const void *from, size_t count)
{
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return start;
}

void *memset(void *to, int value, size_t count)
{
    void *start = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    return start;
}

int memcmp(const void *one, const void *other, size_t count)
{
    const u8 *a = one, *b = other;
    for (; count; count--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

int strcmp(const char *one, const char *other)
{
    while (*one && *one == *other)
        one++, other++;
    return (u8)*one - (u8)*other;
}

char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? letter + 32 : letter;
}

int same_word(const char *one, const char *other)
{
    while (*one && lower(*one) == lower(*other))
        one++, other++;
    return !*one && !*other;
}

int starts_with(const char *text, const char *start)
{
    while (*start)
        if (*text++ != *start++)
            return 0;
    return 1;
}

int starts_with_word(const char *text, const char *start)
{
    while (*start)
        if (lower(*text++) != lower(*start++))
            return 0;
    return 1;
}

void copy_text(char *to, const char *from, size_t room)
{
    while (room > 1 && *from)
        *to++ = *from++, room--;
    if (room)
        *to = 0;
}

void add_text(char *to, const char *more, size_t room)
{
    size_t used = strlen(to);
    copy_text(to + used, more, room - used);
}

const char *skip_blanks(const char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

const char *take_word(const char *text, char *word, size_t room)
{
    text = skip_blanks(text);
    while (*text && *text != ' ' && *text != '\t') {
        if (room > 1)
            *word++ = *text, room--;
        text++;
    }
    *word = 0;
    return skip_blanks(text);
}

int parse_number(const char *text, u32 *number)
{
    u32 value = 0;
    if (!*text)
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > 400000000)
            return 0;
        value = value * 10 + (u32)(*text - '0');
    }
    *number = value;
    return 1;
}

struct field { int left, zeros; u32 width; };

static void put_field(sink put, void *context, const struct field *field, const char *text)
{
    u32 length = strlen(text), padding = field->width > length ? field->width - length : 0;
    if (field->zeros && *text == '-')
        put(context, *text++);
    for (u32 i = 0; i < padding && !field->left; i++)
        put(context, field->zeros ? '0' : ' ');
    while (*text)
        put(context, *text++);
    for (u32 i = 0; i < padding && field->left; i++)
        put(context, ' ');
}

static char *digits(char *end, u32 value, u32 base, const char *alphabet)
{
    *--end = 0;
    do {
        *--end = alphabet[value % base];
        value /= base;
    } while (value);
    return end;
}

static const char *number(char *room, char kind, u32 value)
{
    char *end = room + 16;
    if (kind == 'x')
        return digits(end, value, 16, "0123456789abcdef");
    if (kind == 'X')
        return digits(end, value, 16, "0123456789ABCDEF");
    if (kind == 'd' && (int)value < 0) {
        end = digits(end, 0 - value, 10, "0123456789");
        *--end = '-';
        return end;
    }
    return digits(end, value, 10, "0123456789");
}

void format_to(sink put, void *context, const char *format, va_list values)
{
    char room[16];
    for (; *format; format++) {
        struct field field = {0, 0, 0};
        if (*format != '%') {
            put(context, *format);
            continue;
        }
        for (format++; *format == '-' || *format == '0'; format++)
            *(*format == '-' ? &field.left : &field.zeros) = 1;
        for (; *format >= '0' && *format <= '9'; format++)
            field.width = field.width * 10 + (u32)(*format - '0');
        if (*format == 'l')
            format++;
        if (*format == 's')
            put_field(put, context, &field, va_arg(values, const char *));
        else if (*format == 'c')
            put(context, (char)va_arg(values, int));
        else if (*format == '%')
            put(context, '%');
        else if (*format)
            put_field(put, context, &field, number(room, *format, va_arg(values, u32)));
        else
            return;
    }
}

struct room { char *to; size_t left; };

static void put_in_room(void *context, char byte)
{
    struct room *room = context;
    if (room->left > 1)
        *room->to++ = byte, room->left--;
}

void format(char *to, size_t size, const char *format, ...)
{
    struct room room = {to, size};
    va_list values;
    va_start(values, format);
    format_to(put_in_room, &room, format, values);
    va_end(values);
    *room.to = 0;
}
