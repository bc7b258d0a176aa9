/* SPDX-License-Identifier: MIT
 *
 * Rows to columns by plain C, and the choice of what does it faster.
 */
#include "bulk_core.h"

#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/* log2 of the bytes of a cell that a vector kernel takes; -1: none does */
static int
log_of_width(const bulk_column *column)
{
    if (column->how != BULK_COPY && column->how != BULK_SWAP) {
        return -1;
    }
    switch (column->width) {
    case 1:
        return 0;
    case 2:
        return 1;
    case 4:
        return 2;
    case 8:
        return 3;
    default:
        return -1;
    }
}

/* ------------------------------------------------------------ one by one */

#define COPY(NAME, TYPE, CHANGE)                                              \
    static void NAME(const uint8_t *from, size_t stride, size_t count,        \
                     uint8_t *to)                                             \
    {                                                                         \
        for (size_t i = 0; i < count; i++) {                                  \
            TYPE value;                                                       \
            memcpy(&value, from + i * stride, sizeof(value));                 \
            value = (TYPE)CHANGE(value);                                      \
            memcpy(to + i * sizeof(value), &value, sizeof(value));            \
        }                                                                     \
    }

/* clang-format off */
COPY(copy_1, uint8_t, )
COPY(copy_2, uint16_t, )
COPY(copy_4, uint32_t, )
COPY(copy_8, uint64_t, )
COPY(swap_2, uint16_t, __builtin_bswap16)
COPY(swap_4, uint32_t, __builtin_bswap32)
COPY(swap_8, uint64_t, __builtin_bswap64)
/* clang-format on */

static const bulk_functions portable = {.block = 16 << 10, .vector = 0};

const bulk_functions *
bulk_choose(int level)
{
#if defined(__x86_64__)
    enum { AVX2 = 2, AVX512 = 3 }; /* as in cpu.h */
    if (level >= AVX2) {
        return level >= AVX512 && bulk_has_vbmi() ? &bulk_avx512 : &bulk_avx2;
    }
#endif
    (void)level;
    return &portable;
}

static void
copy_any(const uint8_t *from, size_t stride, size_t count, uint8_t *to,
         size_t width)
{
    for (size_t i = 0; i < count; i++) {
        memcpy(to, from, width);
        to += width;
        from += stride;
    }
}

uint64_t
bulk_number(const uint8_t *at, size_t size, bool big)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[big ? i : size - 1 - i];
    }
    return value;
}

static inline uint64_t
take_bits(const bulk_column *column, const uint8_t *row)
{
    uint64_t run = bulk_number(row + column->source, column->run, column->big);
    return run >> column->shift & (UINT64_MAX >> (64 - column->bits));
}

static void
copy_bits(const bulk_column *column, const uint8_t *in, size_t stride,
          size_t count, size_t at)
{
    uint8_t *to = column->to + at * column->width;
    for (size_t i = 0; i < count; i++, in += stride) {
        uint64_t value = take_bits(column, in);
        uint32_t half = (uint32_t)value;
        uint16_t quarter = (uint16_t)value;
        switch (column->width) {
        case 1:
            *to = (uint8_t)value;
            break;
        case 2:
            memcpy(to, &quarter, 2);
            break;
        case 4:
            memcpy(to, &half, 4);
            break;
        default:
            memcpy(to, &value, 8);
        }
        to += column->width;
    }
}

static inline unsigned
take_flag(const bulk_column *column, const uint8_t *row)
{
    return column->how == BULK_FLAGS ? row[column->source] & 1u
                                     : (unsigned)(take_bits(column, row) & 1);
}

/* Bits behind the last one of a byte become 0: rows to come are there. */
static void
copy_flags(const bulk_column *column, const uint8_t *in, size_t stride,
           size_t count, size_t at)
{
    uint8_t *to = column->to + (at >> 3);
    unsigned filled = (unsigned)(at & 7);
    unsigned byte = filled > 0 ? *to & ((1u << filled) - 1) : 0;
    for (size_t i = 0; i < count; i++, in += stride) {
        byte |= take_flag(column, in) << filled;
        if (++filled == 8) {
            *to++ = (uint8_t)byte;
            byte = filled = 0;
        }
    }
    if (filled > 0) {
        *to = (uint8_t)byte;
    }
}

/* Cells, one by one. */
static void
copy_cells(const bulk_column *column, const uint8_t *in, size_t stride,
           size_t count, size_t at)
{
    static void (*const copies[])(const uint8_t *, size_t, size_t,
                                  uint8_t *) = {
        copy_1, copy_2, copy_4, copy_8, copy_1, swap_2, swap_4, swap_8,
    };
    const uint8_t *from = in + column->source;
    uint8_t *to = column->to + at * column->width;
    int log = log_of_width(column);
    if (log < 0) {
        copy_any(from, stride, count, to, column->width);
    }
    else {
        copies[log + (column->how == BULK_SWAP ? 4 : 0)](from, stride, count,
                                                         to);
    }
}

static void
copy_plain(const bulk_column *column, const uint8_t *in, size_t stride,
           size_t count, size_t at)
{
    switch ((bulk_how)column->how) {
    case BULK_COPY:
    case BULK_SWAP:
        copy_cells(column, in, stride, count, at);
        break;
    case BULK_BITS:
        copy_bits(column, in, stride, count, at);
        break;
    case BULK_FLAGS:
    case BULK_FLAG:
        copy_flags(column, in, stride, count, at);
        break;
    }
}

/* -------------------------------------------------------------- columns */

enum { BLOCK_ROWS_LEAST = 64 };

size_t
bulk_block_rows(const bulk_job *job)
{
    size_t rows = job->functions->block / job->stride / 64 * 64;
    return rows < BLOCK_ROWS_LEAST  ? BLOCK_ROWS_LEAST
           : rows > BULK_BLOCK_MOST ? BULK_BLOCK_MOST
                                    : rows;
}

void
bulk_prepare(bulk_job *job)
{
    for (size_t i = 0; i < job->column_count; i++) {
        bulk_column *column = &job->columns[i];
        if (job->functions->vector > 0 && log_of_width(column) >= 0) {
            job->functions->prepare(column, job->stride);
        }
    }
}

void
bulk_begin(bulk_job *job, const uint8_t *in, size_t at)
{
    job->in = in;
    job->at = at;
    job->seen = 0;
    for (size_t i = 0; i < job->column_count; i++) {
        job->columns[i].done = 0;
    }
}

/* Rows before the cells are at a multiple of the vector's size; SIZE_MAX:
 * they never are. */
static size_t
rows_to_align(const uint8_t *to, size_t width, size_t vector)
{
    size_t off = (vector - (uintptr_t)to % vector) % vector;
    return off % width == 0 ? off / width : SIZE_MAX;
}

static void
take_some(const bulk_job *job, bulk_column *column, size_t count)
{
    copy_plain(column, job->in + column->done * job->stride, job->stride,
               count, job->at + column->done);
    column->done += count;
}

static void
take_vectors(const bulk_job *job, bulk_column *column, size_t count, int log)
{
    uint8_t *to = column->to + (job->at + column->done) * column->width;
    size_t vector = job->functions->vector, ahead = 0;
    bool stream = job->stream;
    if (stream) {
        ahead = rows_to_align(to, column->width, vector);
        stream = ahead != SIZE_MAX;
    }
    if (stream && ahead > 0) {
        if (ahead > count) {
            return;
        }
        take_some(job, column, ahead);
        to += ahead * column->width;
        count -= ahead;
    }
    const uint8_t *from =
        job->in + column->done * job->stride + column->source;
    job->functions->kernels[stream][log](column, from, job->end, job->stride,
                                         count, to);
}

/* As many rows behind the `count` ones as came with them. */
static void
prefetch(const bulk_job *job, size_t count)
{
    const uint8_t *next = job->in + count * job->stride;
    size_t left = (size_t)(job->end - next);
    size_t bytes = (count - job->seen) * job->stride;
    bytes = bytes < left ? bytes : left;
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch(next + i, 0, 3);
    }
}

void
bulk_take(bulk_job *job, size_t count, bool all)
{
    if (job->functions->prefetch && job->stream) {
        prefetch(job, count);
    }
    job->seen = count;
    for (size_t i = 0; i < job->column_count; i++) {
        bulk_column *column = &job->columns[i];
        int log = job->functions->vector > 0 ? log_of_width(column) : -1;
        if (log >= 0 && count > column->done) {
            take_vectors(job, column, count - column->done, log);
        }
        if ((all || log < 0) && count > column->done) {
            take_some(job, column, count - column->done);
        }
    }
}

void
bulk_end(const bulk_job *job)
{
#if defined(__x86_64__)
    if (job->stream) {
        _mm_sfence();
    }
#endif
    (void)job;
}

/* --------------------------------------------------------------- checks */

size_t
bulk_find_no_flag(const uint8_t *in, size_t source, size_t stride,
                  size_t count)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        seen |= in[i * stride + source];
    }
    if (seen <= 1) {
        return count;
    }
    size_t i = 0;
    while (in[i * stride + source] <= 1) {
        i++; /* a row was seen that ends this, unless memory has changed */
        if (i == count) {
            break;
        }
    }
    return i;
}

/* How many bytes follow the first one, and the second one's limits. -1: none
 * begins so. */
static int
utf8_rest(uint8_t first, uint8_t *low, uint8_t *high)
{
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return first < 0x80                     ? 0
           : first >= 0xc2 && first <= 0xdf ? 1
           : (first & 0xf0) == 0xe0         ? 2
           : first >= 0xf0 && first <= 0xf4 ? 3
                                            : -1;
}

bool
bulk_is_utf8(const uint8_t *text, size_t size)
{
    size_t i = 0;
    while (i < size) {
        uint64_t eight;
        if (size - i >= sizeof(eight)) {
            memcpy(&eight, text + i, sizeof(eight));
            if ((eight & 0x8080808080808080u) == 0) {
                i += sizeof(eight);
                continue;
            }
        }
        uint8_t low, high;
        int rest = utf8_rest(text[i++], &low, &high);
        if (rest < 0 || (size_t)rest > size - i) {
            return false;
        }
        for (; rest > 0; rest--, i++) {
            if (text[i] < low || text[i] > high) {
                return false;
            }
            low = 0x80;
            high = 0xbf;
        }
    }
    return true;
}

size_t
bulk_text_length(const uint8_t *text, size_t size)
{
    while (size > 0 && text[size - 1] == 0) {
        size--;
    }
    return size;
}
