/* SPDX-License-Identifier: MIT
 *
 * libFuzzer driver of usage_core.c. The same text in one piece and in pieces
 * of sizes that its first byte chooses must give the same.
 */
#include "usage_core.h"

#include <stdlib.h>
#include <string.h>

/* A copy that is exactly as long as the piece: one byte too far is seen. */
static char *
copy_of(const uint8_t *text, size_t size)
{
    char *copy = malloc(size != 0 ? size : 1);
    if (copy == NULL) {
        abort();
    }
    if (size != 0) {
        memcpy(copy, text, size);
    }
    return copy;
}

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
read_all(usage_reading *reading, const uint8_t *text, size_t size, size_t step)
{
    usage_reading_begin(reading);
    for (size_t at = 0; at < size; at += step) {
        size_t length = size - at < step ? size - at : step;
        char *piece = copy_of(text + at, length);
        usage_reading_feed(reading, piece, length);
        free(piece);
    }
    usage_reading_end(reading);
}

/* how many ids, and their sum */
static uint64_t
pids_of(const uint8_t *text, size_t size, size_t step, size_t *count)
{
    usage_pids pids = {0, false};
    uint64_t sum = 0;
    int32_t pid;
    *count = 0;
    for (size_t start = 0; start < size; start += step) {
        size_t length = size - start < step ? size - start : step;
        size_t at = 0;
        char *piece = copy_of(text + start, length);
        while (usage_pids_next(&pids, piece, length, &at, &pid)) {
            require(pid > 0 && at <= length);
            sum += (uint64_t)pid;
            *count += 1;
        }
        require(at == length);
        free(piece);
    }
    if (usage_pids_end(&pids, &pid)) {
        require(pid > 0);
        sum += (uint64_t)pid;
        *count += 1;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t step = (size_t)data[0] % 80 + 1;
    data++;
    size--;
    usage_reading whole, pieces;
    read_all(&whole, data, size, size + 1);
    read_all(&pieces, data, size, step);
    require(memcmp(whole.bytes, pieces.bytes, sizeof(whole.bytes)) == 0);
    require(whole.seen == pieces.seen && whole.overflow == pieces.overflow);
    require(whole.any == (size > 0) && pieces.any == whole.any);
    (void)usage_reading_missing(&whole);
    size_t count, other;
    require(pids_of(data, size, size + 1, &count)
            == pids_of(data, size, step, &other));
    require(count == other);
    return 0;
}
