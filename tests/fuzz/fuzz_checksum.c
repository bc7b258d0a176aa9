/* SPDX-License-Identifier: MIT
 *
 * libFuzzer driver of checksum*_core.c: every level that the processor has
 * gives what a loop over bits gives. The first bytes of the input choose how
 * its others are cut into messages, and where the sum is continued.
 */
#include "checksum_core.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* A copy that is exactly as long as the piece: one byte too far is seen. */
static uint8_t *
copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    if (copy == NULL) {
        abort();
    }
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* ---- what is right: byte by byte, word by word */

enum { CRC32, CRC32C };
static const uint32_t polynomials[] = {0xedb88320, 0x82f63b78};
static uint32_t tables[2][256];

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (int kind = CRC32; kind <= CRC32C; kind++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t sum = byte;
            for (int bit = 0; bit < 8; bit++) {
                sum = sum >> 1 ^ (polynomials[kind] & (0U - (sum & 1)));
            }
            tables[kind][byte] = sum;
        }
    }
    return 0;
}

static uint32_t
slow_crc(int kind, uint32_t value, const uint8_t *data, size_t size)
{
    uint32_t sum = ~value;
    for (size_t i = 0; i < size; i++) {
        sum = sum >> 8 ^ tables[kind][(sum ^ data[i]) & 0xff];
    }
    return ~sum;
}

static uint32_t
slow_internet(uint32_t sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sum += (uint32_t)data[i] << (i % 2 == 0 ? 8 : 0);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* What the first bytes of an input choose, and the bytes behind them. */
typedef struct {
    uint32_t value;
    size_t cut;
    size_t length, stride, count; /* messages; the last ends at the end */
    const uint8_t *data;
    size_t size;
    /* what is right: of all from `value` on, and of each message */
    uint32_t crc32, crc32c, internet;
    uint32_t *crc32_many, *crc32c_many;
} example;

static bool
example_begin(example *e, const uint8_t *input, size_t size)
{
    if (size < 8) {
        return false;
    }
    memcpy(&e->value, input, sizeof(e->value));
    e->length = input[4] % 80;
    e->stride = input[5] % 100;
    e->data = input + 8;
    e->size = size - 8;
    e->cut = ((size_t)input[6] | (size_t)input[7] << 8) % (e->size + 1);
    e->count = e->length > e->size ? 0
               : e->stride == 0    ? e->size % 9
                                   : (e->size - e->length) / e->stride + 1;
    if (e->count > 40) {
        e->count = 40;
    }
    e->crc32 = slow_crc(CRC32, e->value, e->data, e->size);
    e->crc32c = slow_crc(CRC32C, e->value, e->data, e->size);
    e->internet = slow_internet(e->value & 0xffff, e->data, e->size);
    e->crc32_many = malloc((2 * e->count + 1) * sizeof(uint32_t));
    require(e->crc32_many != NULL);
    e->crc32c_many = e->crc32_many + e->count;
    for (size_t i = 0; i < e->count; i++) {
        const uint8_t *message = e->data + i * e->stride;
        e->crc32_many[i] = slow_crc(CRC32, 0, message, e->length);
        e->crc32c_many[i] = slow_crc(CRC32C, 0, message, e->length);
    }
    return true;
}

/* ---- what a level gives */

/* `cut` bytes, then the rest */
static void
check_one(const checksum_functions *level, const example *e)
{
    uint8_t *head = copy_of(e->data, e->cut);
    uint8_t *tail = copy_of(e->data + e->cut, e->size - e->cut);
    uint32_t sum = level->crc32(e->value, head, e->cut);
    require(level->crc32(sum, tail, e->size - e->cut) == e->crc32);
    sum = level->crc32c(e->value, head, e->cut);
    require(level->crc32c(sum, tail, e->size - e->cut) == e->crc32c);
    if (e->cut % 2 == 0) {
        sum = level->internet(e->value & 0xffff, head, e->cut);
        require(level->internet(sum, tail, e->size - e->cut) == e->internet);
    }
    free(head);
    free(tail);
}

static void
check_many(const checksum_functions *level, const example *e)
{
    size_t used = e->count != 0 ? (e->count - 1) * e->stride + e->length : 0;
    uint8_t *copy = copy_of(e->data, used);
    uint32_t *sums = malloc(e->count * sizeof(*sums) + 1);
    require(sums != NULL);
    level->crc32_many(copy, e->length, e->stride, e->count, sums);
    require(memcmp(sums, e->crc32_many, e->count * sizeof(*sums)) == 0);
    level->crc32c_many(copy, e->length, e->stride, e->count, sums);
    require(memcmp(sums, e->crc32c_many, e->count * sizeof(*sums)) == 0);
    free(copy);
    free(sums);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    example e;
    if (!example_begin(&e, data, size)) {
        return 0;
    }
    __builtin_cpu_init();
    int levels = __builtin_cpu_supports("avx512bw") ? 4
                 : __builtin_cpu_supports("avx2")   ? 3
                                                    : 2;
    for (int i = 0; i < levels; i++) {
        check_one(checksum_choose(i), &e);
        check_many(checksum_choose(i), &e);
    }
    free(e.crc32_many);
    return 0;
}
