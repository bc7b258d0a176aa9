/* SPDX-License-Identifier: MIT
 *
 * What the kernel says about the memory of a process, read from text: sums
 * over /proc/<pid>/smaps_rollup or smaps, and the numbers in
 * /proc/<pid>/task/<tid>/children.
 *
 * Plain C without Python: text comes in pieces of any size, nothing is
 * allocated, no locale is asked. Every text is accepted: what is not
 * understood is skipped, and `seen` tells which fields were there.
 */
#ifndef USAGE_CORE_H
#define USAGE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USAGE_FIELDS(X)                                                       \
    X(RSS, "Rss")                                                             \
    X(PSS, "Pss")                                                             \
    X(SHARED_CLEAN, "Shared_Clean")                                           \
    X(SHARED_DIRTY, "Shared_Dirty")                                           \
    X(PRIVATE_CLEAN, "Private_Clean")                                         \
    X(PRIVATE_DIRTY, "Private_Dirty")                                         \
    X(SWAP, "Swap")

#define USAGE_FIELD_NUMBER(name, text) USAGE_##name,
enum { USAGE_FIELDS(USAGE_FIELD_NUMBER) USAGE_FIELD_COUNT };

/* A line this long is none of ours, whose longest has 30 bytes: skipped. */
#define USAGE_LINE 64

typedef struct {
    uint64_t bytes[USAGE_FIELD_COUNT]; /* sums over all mappings */
    unsigned seen;                     /* bit 1 << field: at least once */
    bool any;                          /* there was text at all */
    bool overflow;                     /* a sum is beyond 64 bits */
    /* the line that has not ended yet: its first bytes, its whole length
     * as far as that fits */
    size_t length;
    char line[USAGE_LINE];
} usage_reading;

void usage_reading_begin(usage_reading *reading);
void usage_reading_feed(usage_reading *reading, const char *text, size_t size);
/* the text is over: a last line may lack its newline */
void usage_reading_end(usage_reading *reading);
/* a field no reading can do without that was not seen, or NULL */
const char *usage_reading_missing(const usage_reading *reading);

/* Process ids in decimal, anything else between them. Numbers that are no id
 * (0, or above 2**31 - 1) are skipped.
 */
typedef struct {
    uint64_t value; /* of the number that has not ended yet */
    bool open;
} usage_pids;

/* The next whole number in text[*at .. size); moves *at. False: all is read,
 * and a number that reaches the end stays open for the next piece.
 */
bool usage_pids_next(usage_pids *pids, const char *text, size_t size,
                     size_t *at, int32_t *pid);
/* the text is over: is there a last number? */
bool usage_pids_end(usage_pids *pids, int32_t *pid);

#endif
