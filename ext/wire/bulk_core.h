/* SPDX-License-Identifier: MIT
 *
 * Rows of `stride` bytes to columns: no Python, no allocation, no state.
 *
 * Work goes by blocks of rows that stay in the nearest cache, and in a block
 * by columns: a kernel takes one field out of every row. Whoever checks the
 * rows does it block by block, so that checks and columns share the loads.
 *
 * Never is a byte read or written outside of rows and cells.
 */
#ifndef BULK_CORE_H
#define BULK_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    BULK_COPY,  /* `width` bytes as they are */
    BULK_SWAP,  /* 2, 4 or 8 bytes in the other order */
    BULK_FLAGS, /* a byte 0 or 1 to a bit */
    BULK_BITS,  /* bits of a run of bytes to an integer */
    BULK_FLAG,  /* one of them to a bit */
} bulk_how;

typedef struct {
    uint8_t *to;     /* cells of `width` bytes, or bits */
    uint32_t source; /* the field's first byte in a row */
    uint32_t width;  /* bytes of a cell */
    uint8_t how;     /* bulk_how */
    uint8_t run;     /* BULK_BITS, BULK_FLAG: bytes of the run, 1 to 8 */
    uint8_t shift, bits;
    bool big;
    /* what follows is bulk_prepare's and bulk_take's own */
    uint32_t back;  /* the kernel loads from so many bytes before the field */
    uint32_t group; /* rows of one load */
    size_t done;    /* rows taken since bulk_begin */
    uint8_t masks[256];
} bulk_column;

/* Takes a field out of as many of `count` rows as fill whole vectors, and adds
 * to done how many. `from`: the field in the first of them; no byte may be
 * read from `end` on. */
typedef void (*bulk_kernel)(bulk_column *column, const uint8_t *from,
                            const uint8_t *end, size_t stride, size_t count,
                            uint8_t *to);

typedef struct {
    size_t block;  /* bytes of rows that are best taken at once */
    size_t vector; /* bytes; 0: no kernels */
    bool prefetch; /* rows to come: the processor's own guess is too late */
    void (*prepare)(bulk_column *column, size_t stride);
    bulk_kernel kernels[2][4]; /* [streamed][log2(width)] */
} bulk_functions;

/* The functions of a level of cpu.h, or of the best one below it. */
const bulk_functions *bulk_choose(int level);

typedef struct {
    const bulk_functions *functions;
    bulk_column *columns;
    size_t column_count, stride;
    const uint8_t *in; /* the first row of those that bulk_take goes on with */
    const uint8_t *end; /* of all rows */
    size_t at;          /* the cell of the first row */
    size_t seen;        /* rows that bulk_take was given so far */
    bool stream; /* outputs are so large that the caches will not have them */
} bulk_job;

void bulk_prepare(bulk_job *job);
/* Rows of a block: a multiple of 64. Fewer cost more calls, more leave the
 * nearest cache before the last column is taken. */
enum { BULK_BLOCK_MOST = 4096 };
size_t bulk_block_rows(const bulk_job *job);
/* Rows one after another from `in` on, into cells from `at` on. Bits before
 * these are kept, those behind the last row of a byte become 0. */
void bulk_begin(bulk_job *job, const uint8_t *in, size_t at);
/* The first `count` rows are good: take what was not taken yet. Less than a
 * vector of each column may be left for the next time, unless `all`. */
void bulk_take(bulk_job *job, size_t count, bool all);
/* After the last rows, before another thread may look. */
void bulk_end(const bulk_job *job);

/* The first of `count` rows whose byte at `source` is neither 0 nor 1; count
 * if there is none. */
size_t bulk_find_no_flag(const uint8_t *in, size_t source, size_t stride,
                         size_t count);
/* Is it UTF-8, as Python takes it: no surrogates, nothing overlong? */
bool bulk_is_utf8(const uint8_t *text, size_t size);
/* Length of a text without the NULs behind it. */
size_t bulk_text_length(const uint8_t *text, size_t size);
/* A number of 1 to 8 bytes. */
uint64_t bulk_number(const uint8_t *at, size_t size, bool big);

/* What the levels are made of. */
extern const bulk_functions bulk_avx2, bulk_avx512;
bool bulk_has_vbmi(void);

#endif
