/* SPDX-License-Identifier: MIT
 *
 * Parser of smaps and children files: see usage_core.h.
 */
#include "usage_core.h"

#include <string.h>

/* ---- one line */

/* The only way to a byte of a line: it knows where the line ends. */
typedef struct {
    const char *text;
    size_t size;
    size_t at;
} usage_cursor;

/* the byte under the cursor, or -1 at the end */
static int
cursor_peek(const usage_cursor *cursor)
{
    return cursor->at < cursor->size ? (unsigned char)cursor->text[cursor->at]
                                     : -1;
}

static bool
cursor_take(usage_cursor *cursor, const char *wanted)
{
    size_t length = strlen(wanted);
    if (length > cursor->size - cursor->at
        || memcmp(cursor->text + cursor->at, wanted, length) != 0) {
        return false;
    }
    cursor->at += length;
    return true;
}

static void
cursor_skip_blanks(usage_cursor *cursor)
{
    int byte = cursor_peek(cursor);
    while (byte == ' ' || byte == '\t') {
        cursor->at++;
        byte = cursor_peek(cursor);
    }
}

/* False without a digit; a number that does not fit is UINT64_MAX. */
static bool
cursor_take_number(usage_cursor *cursor, uint64_t *number)
{
    uint64_t value = 0;
    size_t start = cursor->at;
    int byte = cursor_peek(cursor);
    while (byte >= '0' && byte <= '9') {
        uint64_t digit = (uint64_t)(byte - '0');
        bool fits = value <= (UINT64_MAX - digit) / 10;
        value = fits ? value * 10 + digit : UINT64_MAX;
        cursor->at++;
        byte = cursor_peek(cursor);
    }
    *number = value;
    return cursor->at > start;
}

static const char *const field_names[] = {
#define USAGE_FIELD_NAME(name, text) text,
    USAGE_FIELDS(USAGE_FIELD_NAME)};

static int
take_field(usage_cursor *cursor)
{
    for (int field = 0; field < USAGE_FIELD_COUNT; field++) {
        usage_cursor ahead = *cursor;
        if (cursor_take(&ahead, field_names[field])
            && cursor_take(&ahead, ":")) {
            *cursor = ahead;
            return field;
        }
    }
    return -1;
}

/* "Pss:    12 kB". The kernel has never written another unit; one that is
 * unknown here makes the line one that is not understood.
 */
static void
line_ended(usage_reading *reading, const char *text, size_t size)
{
    usage_cursor cursor = {text, size, 0};
    uint64_t number;
    int field = take_field(&cursor);
    if (field < 0) {
        return;
    }
    cursor_skip_blanks(&cursor);
    if (!cursor_take_number(&cursor, &number)) {
        return;
    }
    cursor_skip_blanks(&cursor);
    if (!cursor_take(&cursor, "kB")) {
        return;
    }
    cursor_skip_blanks(&cursor);
    if (cursor_peek(&cursor) != -1) {
        return;
    }
    uint64_t *sum = &reading->bytes[field];
    if (number > (UINT64_MAX - *sum) / 1024) {
        reading->overflow = true;
        return;
    }
    *sum += number * 1024;
    reading->seen |= 1U << field;
}

/* ---- pieces of text */

void
usage_reading_begin(usage_reading *reading)
{
    memset(reading, 0, sizeof(*reading));
}

/* Keep the beginning of a line that continues in the next piece. */
static void
hold(usage_reading *reading, const char *text, size_t size)
{
    size_t room = sizeof(reading->line) - reading->length;
    if (size > room) {
        size = room;
    }
    memcpy(reading->line + reading->length, text, size);
    reading->length += size;
}

/* A held line that fills the buffer may have been longer. */
static void
held_line_ended(usage_reading *reading)
{
    if (reading->length < sizeof(reading->line)) {
        line_ended(reading, reading->line, reading->length);
    }
    reading->length = 0;
}

void
usage_reading_feed(usage_reading *reading, const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        const char *start = text + at;
        const char *newline = memchr(start, '\n', size - at);
        size_t length =
            newline != NULL ? (size_t)(newline - start) : size - at;
        reading->any = true;
        if (newline == NULL) {
            hold(reading, start, length);
            return;
        }
        if (reading->length == 0 && length < sizeof(reading->line)) {
            line_ended(reading, start, length);
        }
        else {
            hold(reading, start, length);
            held_line_ended(reading);
        }
        at += length + 1;
    }
}

void
usage_reading_end(usage_reading *reading)
{
    held_line_ended(reading);
}

const char *
usage_reading_missing(const usage_reading *reading)
{
    for (int field = 0; field < USAGE_FIELD_COUNT; field++) {
        /* a kernel without swap may not speak of it */
        if (field != USAGE_SWAP && (reading->seen & 1U << field) == 0) {
            return field_names[field];
        }
    }
    return NULL;
}

/* ---- process ids */

bool
usage_pids_end(usage_pids *pids, int32_t *pid)
{
    bool good = pids->open && pids->value > 0 && pids->value <= INT32_MAX;
    if (good) {
        *pid = (int32_t)pids->value;
    }
    pids->open = false;
    pids->value = 0;
    return good;
}

bool
usage_pids_next(usage_pids *pids, const char *text, size_t size, size_t *at,
                int32_t *pid)
{
    while (*at < size) {
        char byte = text[(*at)++];
        if (byte >= '0' && byte <= '9') {
            pids->open = true;
            if (pids->value <= INT32_MAX) { /* beyond, it only stays so */
                pids->value = pids->value * 10 + (uint64_t)(byte - '0');
            }
        }
        else if (usage_pids_end(pids, pid)) {
            return true;
        }
    }
    return false;
}
