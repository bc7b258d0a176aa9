/* SPDX-License-Identifier: MIT
 *
 * libFuzzer driver of bulk*_core.c. Its bytes choose columns, stride, blocks
 * and where rows end; every level has to write what a naive loop does, with
 * the last row at the end of a page behind which nothing may be touched, and
 * the cells, too.
 */
#include "bulk_core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, ROOM = 9 * PAGE, COLUMNS_MOST = 6, STRIDE_MOST = 200 };

/* ---- the bytes of a case */

typedef struct {
    const uint8_t *data;
    size_t size;
} source;

static size_t
choose(source *from, size_t most)
{
    size_t value = 0;
    for (int i = 0; i < 2 && from->size > 0; i++, from->size--) {
        value = value << 8 | *from->data++;
    }
    return value % (most + 1);
}

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* ROOM bytes that end where no page is. */
static uint8_t *
guarded(void)
{
    uint8_t *pages = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(pages != MAP_FAILED
            && mprotect(pages + ROOM, PAGE, PROT_NONE) == 0);
    return pages;
}

/* ---- what is right */

static void
put_naive(const bulk_column *column, const uint8_t *row, size_t at)
{
    const uint8_t *from = row + column->source;
    uint64_t run = 0;
    for (size_t i = 0; i < column->run; i++) {
        run = run << 8 | from[column->big ? i : column->run - 1 - i];
    }
    run >>= column->shift;
    if (column->bits > 0 && column->bits < 64) {
        run &= ((uint64_t)1 << column->bits) - 1;
    }
    if (column->how == BULK_FLAGS || column->how == BULK_FLAG) {
        uint64_t flag = column->how == BULK_FLAGS ? *from : run;
        uint8_t mask = (uint8_t)(1u << (at & 7));
        uint8_t *to = &column->to[at >> 3];
        *to = (uint8_t)(flag & 1 ? *to | mask : *to & ~mask);
        return;
    }
    for (size_t i = 0; i < column->width; i++) {
        size_t k = column->how == BULK_SWAP ? column->width - 1 - i : i;
        column->to[at * column->width + i] =
            column->how == BULK_BITS ? (uint8_t)(run >> 8 * i) : from[k];
    }
}

/* ---- cases */

typedef struct {
    bulk_column columns[COLUMNS_MOST];
    size_t count, stride, rows, at, block;
    bool stream;
} plan;

static void
draw_column(source *from, plan *p, bulk_column *column)
{
    static const uint32_t widths[] = {1, 2, 4, 8, 3, 24};
    column->how = (uint8_t)choose(from, BULK_FLAG);
    column->width = widths[choose(from, 5)];
    if (column->how == BULK_SWAP || column->how == BULK_BITS) {
        column->width = widths[choose(from, 3)];
    }
    if (column->how == BULK_SWAP && column->width == 1) {
        column->how = BULK_COPY;
    }
    size_t bytes = column->how == BULK_FLAGS ? 1 : column->width;
    if (column->how == BULK_BITS || column->how == BULK_FLAG) {
        column->run = (uint8_t)(1 + choose(from, 7));
        column->bits = (uint8_t)(1 + choose(from, 8u * column->run - 1));
        column->shift = (uint8_t)choose(from, 8u * column->run - column->bits);
        column->big = choose(from, 1);
        bytes = column->run;
    }
    if (bytes > p->stride) {
        *column = (bulk_column){.how = BULK_FLAGS};
        bytes = 1;
    }
    column->source = (uint32_t)choose(from, p->stride - bytes);
}

static plan
draw(source *from)
{
    plan p = {.stride = 1 + choose(from, STRIDE_MOST - 1)};
    p.count = 1 + choose(from, COLUMNS_MOST - 1);
    p.rows = choose(from, 160);
    p.at = choose(from, 70);
    p.block = 1 + choose(from, 160);
    p.stream = choose(from, 1);
    for (size_t i = 0; i < p.count; i++) {
        draw_column(from, &p, &p.columns[i]);
    }
    return p;
}

/* Rows up to the end of a page, as many as the plan has, in two runs. */
static void
run(const plan *p, int level, const uint8_t *in, const uint8_t *end,
    size_t first)
{
    bulk_column columns[COLUMNS_MOST];
    memcpy(columns, p->columns, sizeof(columns));
    bulk_job job = {.functions = bulk_choose(level),
                    .columns = columns,
                    .column_count = p->count,
                    .stride = p->stride,
                    .end = end,
                    .stream = p->stream};
    bulk_prepare(&job);
    size_t from = 0;
    for (int k = 0; k < 2; k++) {
        size_t count = k == 0 ? first : p->rows - first;
        bulk_begin(&job, in + from * p->stride, p->at + from);
        for (size_t taken = 0; taken < count;) {
            size_t left = count - taken;
            taken += left < p->block ? left : p->block;
            bulk_take(&job, taken, taken == count);
        }
        from += count;
    }
    bulk_end(&job);
}

/* Where the cells of a column begin, so that they end with the page. */
static uint8_t *
cells_at(uint8_t *pages, const bulk_column *column, size_t rows)
{
    bool bits = column->how == BULK_FLAGS || column->how == BULK_FLAG;
    return pages + ROOM - (bits ? (rows + 7) / 8 : rows * column->width);
}

/* Empty cells, and those of the naive loop. */
static void
fill_right(plan *p, size_t i, const uint8_t *in, uint8_t *cells,
           uint8_t *right)
{
    bulk_column naive = p->columns[i];
    size_t end = p->at + p->rows;
    memset(cells, 0xa5, ROOM);
    memset(right, 0xa5, ROOM);
    naive.to = cells_at(right, &naive, end);
    p->columns[i].to = cells_at(cells, &naive, end);
    for (size_t row = 0; row < p->rows; row++) {
        put_naive(&naive, in + row * p->stride, p->at + row);
    }
    bool bits = naive.how == BULK_FLAGS || naive.how == BULK_FLAG;
    if (bits && p->rows > 0 && end % 8 != 0) {
        right[ROOM - 1] &= (uint8_t)((1u << end % 8) - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *rows, *cells[COLUMNS_MOST], *right[COLUMNS_MOST];
    if (rows == NULL) {
        rows = guarded();
        for (int i = 0; i < COLUMNS_MOST; i++) {
            cells[i] = guarded();
            right[i] = guarded();
        }
    }
    source from = {data, size};
    plan p = draw(&from);
    size_t first = choose(&from, p.rows), behind = choose(&from, 70);
    const uint8_t *end = rows + ROOM;
    if (p.rows * p.stride + behind > ROOM) {
        return 0;
    }
    uint8_t *in = rows + ROOM - p.rows * p.stride - behind;
    for (size_t i = 0; i < p.rows * p.stride; i++) {
        in[i] = (uint8_t)(from.size > 0 ? from.data[i % from.size] + i / 7
                                        : i * 31);
    }
    for (int level = 0; level < 4; level++) {
        if (level >= 2 && !__builtin_cpu_supports("avx2")) {
            break;
        }
        for (size_t i = 0; i < p.count; i++) {
            fill_right(&p, i, in, cells[i], right[i]);
        }
        run(&p, level, in, end, first);
        for (size_t i = 0; i < p.count; i++) {
            require(memcmp(cells[i], right[i], ROOM) == 0);
        }
    }
    return 0;
}
