/* SPDX-License-Identifier: MIT
 *
 * Rows of a fixed size: checked and taken block by block, so that both find
 * them in the nearest cache. No Python runs and the interpreter's lock is not
 * held: what is written belongs to this call.
 */
#include "bulk_stream.h"

/* More than the caches between it and the memory hold. */
#define STREAM_BYTES ((size_t)4 << 20)

bool
bulk_fixed_can(const bulk_stream *stream)
{
    const packet_layout *layout = stream->layout;
    if (layout->size == PACKET_UNKNOWN || layout->size == 0
        || stream->checked) {
        return false;
    }
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        bool simple = field->shape == PACKET_SCALAR
                      || field->shape == PACKET_BITS
                      || field->shape == PACKET_FIXED;
        if (!simple || field->enumeration != NULL) {
            return false;
        }
    }
    return true;
}

static bulk_column
column_of(const bulk_target *target)
{
    const packet_field *field = target->field;
    bool bits = target->shape == FE_BULK_BITS;
    bulk_column column = {
        .to = target->values,
        .source = field->offset,
        .width = target->width,
        .how = (uint8_t)(bits ? BULK_FLAGS : BULK_COPY),
    };
    if (field->shape == PACKET_BITS) {
        column.how = bits ? BULK_FLAG : BULK_BITS;
        column.run = (uint8_t)field->size;
        column.shift = field->shift;
        column.bits = field->bits;
        column.big = field->big;
    }
    else if (field->shape == PACKET_SCALAR && !bits && target->width > 1
             && field->big != PACKET_NATIVE_BIG) {
        column.how = BULK_SWAP;
    }
    return column;
}

/* Where the CRCs of rows lie. 0, or -1 */
static int
prepare_sums(bulk_stream *stream)
{
    const packet_layout *layout = stream->layout;
    stream->sums = stream->job;
    stream->sums.stream = false;
    stream->sums.column_count = (size_t)layout->count;
    stream->sums.columns = layout->summed ? PyMem_Calloc((size_t)layout->count,
                                                         sizeof(bulk_column))
                                          : NULL;
    if (!layout->summed || stream->sums.columns == NULL) {
        stream->sums.column_count = 0;
        return layout->summed ? -1 : 0;
    }
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        bulk_target target = {
            .field = field, .shape = FE_BULK_CELLS, .width = field->size};
        stream->sums.columns[i] = column_of(&target);
    }
    bulk_prepare(&stream->sums);
    return 0;
}

int
bulk_fixed_prepare(bulk_stream *stream)
{
    size_t width = 0, count = 0;
    PyMem_Free(stream->job.columns);
    PyMem_Free(stream->sums.columns);
    stream->sums.columns = NULL;
    stream->job.columns =
        PyMem_Calloc((size_t)stream->target_count + 1, sizeof(bulk_column));
    if (stream->job.columns == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < stream->target_count; i++) {
        const bulk_target *target = &stream->targets[i];
        if (target->shape != FE_BULK_TEXT) {
            stream->job.columns[count++] = column_of(target);
            width += target->width;
        }
    }
    stream->job.functions = bulk_choose((int)stream->state->cpu);
    stream->job.column_count = count;
    stream->job.stride = stream->layout->size;
    stream->job.end = stream->source.data + stream->source.length;
    size_t rows = (size_t)stream->source.length / stream->layout->size;
    stream->job.stream = rows * width >= STREAM_BYTES;
    for (Py_ssize_t i = 0; i < stream->layout->count; i++) {
        const packet_field *field = &stream->layout->fields[i];
        bool inside = field->shape == PACKET_BITS && !field->run_start;
        stream->starts[i] = field->offset + (inside ? field->size : 0);
    }
    stream->starts[stream->layout->count] = stream->layout->size;
    bulk_prepare(&stream->job);
    if (prepare_sums(stream) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

Py_ssize_t
bulk_count_fixed(bulk_stream *stream, size_t *texts)
{
    size_t size = stream->layout->size, widest = 0;
    size_t rows = (size_t)(stream->source.length - stream->at) / size;
    for (Py_ssize_t i = 0; i < stream->target_count; i++) {
        size_t width = stream->targets[i].field->size;
        if (stream->targets[i].shape == FE_BULK_TEXT && width > widest) {
            widest = width;
        }
    }
    bool all = widest == 0 || rows <= BULK_TEXT_MOST / widest;
    rows = all ? rows : BULK_TEXT_MOST / widest;
    for (Py_ssize_t i = 0; i < stream->target_count; i++) {
        texts[i] = stream->targets[i].shape == FE_BULK_TEXT
                       ? rows * stream->targets[i].field->size
                       : 0;
    }
    stream->until =
        all ? stream->source.length : stream->at + (Py_ssize_t)(rows * size);
    return (Py_ssize_t)rows;
}

/* --------------------------------------------------------------- checks */

/* The first bytes of a row, or all behind its own, and nothing else? */
static bool
is_one_piece(const packet_layout *layout, const packet_field *field,
             uint32_t *start, uint32_t *length)
{
    if (field->over_count == 0) {
        bool first = field->offset == 0;
        *start = first ? field->size : 0;
        *length = layout->size - field->size;
        return first || field->offset + field->size == layout->size;
    }
    const packet_field *last = &layout->fields[field->over[0]];
    *start = last->offset;
    for (Py_ssize_t k = 1; k < field->over_count; k++) {
        const packet_field *next = &layout->fields[field->over[k]];
        if (next->offset != last->offset + last->size) {
            return false;
        }
        last = next;
    }
    *length = last->offset + last->size - *start;
    return true;
}

/* How many of `count` rows have the right CRC, counted from the first. */
static size_t
good_crcs(const bulk_stream *stream, Py_ssize_t index, const uint8_t *in,
          size_t count, uint32_t start, uint32_t length)
{
    const checksum_functions *sums = stream->state->checksums;
    uint32_t right[BULK_BLOCK_MOST], had[BULK_BLOCK_MOST];
    bool crc32c = stream->layout->fields[index].sum == PACKET_CRC32C;
    (crc32c ? sums->crc32c_many : sums->crc32_many)(
        in + start, length, stream->layout->size, count, right);
    bulk_job job = stream->sums;
    job.columns += index;
    job.column_count = 1;
    job.columns->to = (uint8_t *)had;
    bulk_begin(&job, in, 0);
    bulk_take(&job, count, true);
    size_t good = 0;
    if (memcmp(right, had, count * sizeof(*right)) == 0) {
        return count;
    }
    while (good < count && right[good] == had[good]) {
        good++;
    }
    return good;
}

static size_t
good_sums(bulk_stream *stream, Py_ssize_t index, const uint8_t *in,
          size_t count)
{
    const packet_layout *layout = stream->layout;
    const packet_field *field = &layout->fields[index];
    uint32_t start, length;
    if (field->sum != PACKET_INTERNET
        && is_one_piece(layout, field, &start, &length)) {
        return good_crcs(stream, index, in, count, start, length);
    }
    for (size_t i = 0; i < count; i++, in += layout->size) {
        if (!packet_sum_right(stream->state, layout, index, in,
                              stream->starts)) {
            return i;
        }
    }
    return count;
}

static size_t
good_texts(const packet_field *field, const uint8_t *in, size_t stride,
           size_t count)
{
    for (size_t i = 0; i < count; i++, in += stride) {
        if (!bulk_is_utf8(in + field->offset, field->size)) {
            return i;
        }
    }
    return count;
}

/* How many of the next `count` rows are good, up to the first that is not. */
static size_t
good_rows(bulk_stream *stream, const uint8_t *in, size_t count)
{
    const packet_layout *layout = stream->layout;
    for (Py_ssize_t i = 0; i < layout->count && count > 0; i++) {
        const packet_field *field = &layout->fields[i];
        if (field->sum != PACKET_NO_SUM) {
            count = good_sums(stream, i, in, count);
        }
        else if (field->kind == FE_BOOL8 && field->shape == PACKET_SCALAR) {
            count = bulk_find_no_flag(in, field->offset, layout->size, count);
        }
        else if (field->kind == FE_STR && field->shape == PACKET_FIXED) {
            count = good_texts(field, in, layout->size, count);
        }
    }
    return count;
}

/* ----------------------------------------------------------------- rows */

/* Texts without their padding. */
static void
take_texts(const bulk_target *target, const uint8_t *in, size_t stride,
           size_t count, size_t at)
{
    size_t end = (size_t)target->offsets[at];
    const uint8_t *text = in + target->field->offset;
    for (size_t i = 0; i < count; i++, text += stride) {
        size_t size = bulk_text_length(text, target->field->size);
        if (size > target->text_room - end) {
            size = target->text_room - end; /* memory has changed */
        }
        memcpy(target->text + end, text, size);
        end += size;
        target->offsets[at + i + 1] = (int32_t)end;
    }
}

static bulk_stop
read_blocks(bulk_stream *stream)
{
    const size_t stride = stream->layout->size;
    const uint8_t *in = stream->source.data + stream->at;
    size_t there = (size_t)(stream->until - stream->at) / stride;
    size_t room = (size_t)(stream->room - stream->rows);
    size_t count = there < room ? there : room, taken = 0;
    size_t block = bulk_block_rows(&stream->job), at = (size_t)stream->rows;
    bulk_begin(&stream->job, in, at);
    bool bad = false;
    while (taken < count && !bad) {
        size_t want = count - taken < block ? count - taken : block;
        const uint8_t *rows = in + taken * stride;
        size_t good = good_rows(stream, rows, want);
        bad = good < want;
        bulk_take(&stream->job, taken + good, bad || taken + good == count);
        for (Py_ssize_t i = 0; i < stream->target_count; i++) {
            if (stream->targets[i].shape == FE_BULK_TEXT) {
                take_texts(&stream->targets[i], rows, stride, good,
                           at + taken);
            }
        }
        taken += good;
    }
    bulk_end(&stream->job);
    if (taken == count && there > count) { /* a bad row needs no room */
        bad = good_rows(stream, in + taken * stride, 1) == 0;
    }
    stream->rows += (Py_ssize_t)taken;
    stream->at += (Py_ssize_t)(taken * stride);
    stream->next = stream->at + (Py_ssize_t)stride;
    return bad                          ? BULK_BAD
           : there > count              ? BULK_FULL
           : stream->at < stream->until ? BULK_BROKEN
                                        : BULK_END;
}

bulk_stop
bulk_read_fixed(bulk_stream *stream)
{
    bulk_stop stop;
    if (stream->source.length - stream->at <= BULK_UNLOCK) {
        return read_blocks(stream);
    }
    Py_BEGIN_ALLOW_THREADS stop = read_blocks(stream);
    Py_END_ALLOW_THREADS return stop;
}
