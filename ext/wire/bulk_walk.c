/* SPDX-License-Identifier: MIT
 *
 * Rows of any size, one by one: where their fields lie, whether they are good,
 * and their values into targets or into a table row. Plain layouts, which need
 * no Python for that, are read without the interpreter's lock.
 */
#include "bulk_stream.h"

/* ---------------------------------------------------------------- walk */

/* The first byte of a field, or of its bit run. */
FE_INLINE const uint8_t *
place_of(const bulk_stream *stream, const packet_field *field,
         Py_ssize_t index)
{
    const uint8_t *at = stream->source.data + stream->starts[index];
    return field->shape == PACKET_BITS && !field->run_start ? at - field->size
                                                            : at;
}

FE_INLINE int64_t
measure_of(const bulk_stream *stream, const packet_field *field)
{
    const packet_field *by = &stream->layout->fields[field->by];
    const uint8_t *at = place_of(stream, by, field->by);
    return by->shape == PACKET_BITS
               ? (int64_t)packet_load_bits(by, at)
               : packet_load_int((fe_kind)by->kind, by->big, at);
}

/* -1: less than nothing, or more than there can be */
FE_INLINE Py_ssize_t
size_by(const packet_field *field, int64_t value)
{
    int64_t size;
    if (value < 0
        || __builtin_mul_overflow(value, (int64_t)field->scale, &size)
        || size < (int64_t)field->less) {
        return -1;
    }
    return (Py_ssize_t)(size - field->less);
}

/* A field that has others inside. -1: broken; -2: another exception */
static FE_NOINLINE Py_ssize_t
size_inside(const bulk_stream *stream, const packet_field *field,
            Py_ssize_t at)
{
    int64_t by = field->by >= 0 ? measure_of(stream, field) : 0;
    Py_ssize_t size =
        packet_extent(&stream->source, stream->layout, field, at, by, NULL);
    if (size < 0) {
        if (!PyErr_ExceptionMatches(stream->state->wire_error)) {
            return -2;
        }
        PyErr_Clear(); /* WireError: the row is read again for it */
        return -1;
    }
    return size;
}

int
bulk_walk(bulk_stream *stream, Py_ssize_t at)
{
    const packet_layout *layout = stream->layout;
    Py_ssize_t *starts = stream->starts, length = stream->source.length;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        Py_ssize_t size;
        starts[i] = at;
        switch ((packet_shape)field->shape) {
        case PACKET_SCALAR:
        case PACKET_FIXED:
            size = (Py_ssize_t)field->size;
            break;
        case PACKET_BITS:
            size = field->run_start ? (Py_ssize_t)field->size : 0;
            break;
        case PACKET_SIZED:
            size = size_by(field, measure_of(stream, field));
            break;
        case PACKET_REST:
            size = length - at;
            break;
        default:
            size = size_inside(stream, field, at);
        }
        if (size < 0 || size > length - at) {
            return size == -2 ? -2 : -1;
        }
        at += size;
    }
    starts[layout->count] = at;
    return 0;
}

/* One more row's texts. false: it is for the next chunk, unless it is the
 * first of this one. */
static bool
count_texts(const bulk_stream *stream, size_t *texts, bool first)
{
    for (int pass = first; pass < 2; pass++) { /* 0: do they fit? 1: add */
        for (Py_ssize_t i = 0; i < stream->target_count; i++) {
            const bulk_target *target = &stream->targets[i];
            const Py_ssize_t *start = &stream->starts[target->index];
            if (target->shape != FE_BULK_TEXT) {
                continue;
            }
            size_t sum = texts[i] + (size_t)(start[1] - start[0]);
            if (pass == 0 && sum > BULK_TEXT_MOST) {
                return false;
            }
            texts[i] = pass > 0 ? sum : texts[i];
        }
    }
    return true;
}

static Py_ssize_t
count_rows(bulk_stream *stream, size_t *texts)
{
    Py_ssize_t rows = 0, at = stream->at;
    stream->until = stream->source.length;
    while (at < stream->source.length && bulk_walk(stream, at) == 0) {
        if (!count_texts(stream, texts, rows == 0)) {
            stream->until = at;
            break;
        }
        rows++;
        Py_ssize_t end = stream->starts[stream->layout->count];
        if (end == at) {
            break; /* refused when it is read */
        }
        at = end;
    }
    return rows;
}

Py_ssize_t
bulk_count_rows(bulk_stream *stream, size_t *texts)
{
    Py_ssize_t rows;
    memset(texts, 0, (size_t)stream->target_count * sizeof(*texts));
    if (stream->source.length - stream->at <= BULK_UNLOCK) {
        return count_rows(stream, texts);
    }
    Py_BEGIN_ALLOW_THREADS rows = count_rows(stream, texts);
    Py_END_ALLOW_THREADS return rows;
}

/* -------------------------------------------------------------- targets */

static void
put_cell(const bulk_target *target, const uint8_t *at, size_t row)
{
    const packet_field *field = target->field;
    uint8_t *to = target->values + row * target->width;
    if (field->shape == PACKET_BITS) {
        uint64_t value = packet_load_bits(field, at);
        for (uint32_t i = 0; i < target->width; i++) {
            to[PACKET_NATIVE_BIG ? target->width - 1 - i : i] =
                (uint8_t)(value >> 8 * i);
        }
    }
    else if (field->shape == PACKET_SCALAR) {
        packet_move_bytes(field->move, to, at);
    }
    else {
        memcpy(to, at, target->width);
    }
}

static void
put_bit(const bulk_target *target, const uint8_t *at, size_t row)
{
    const packet_field *field = target->field;
    unsigned bit = field->shape == PACKET_BITS
                       ? (unsigned)packet_load_bits(field, at) & 1
                       : *at & 1u;
    uint8_t *to = &target->values[row >> 3];
    unsigned mask = 1u << (row & 7);
    *to = (uint8_t)(bit ? *to | mask : *to & ~mask);
}

static void
put_text(const bulk_target *target, const uint8_t *at, size_t size, size_t row)
{
    size_t used = (size_t)target->offsets[row];
    if (target->field->shape == PACKET_FIXED
        && target->field->kind == FE_STR) {
        size = bulk_text_length(at, size);
    }
    if (size > target->text_room - used) {
        size = target->text_room - used; /* memory has changed */
    }
    if (size > 0) {
        memcpy(target->text + used, at, size);
    }
    target->offsets[row + 1] = (int32_t)(used + size);
}

static void
put_row(bulk_stream *stream)
{
    size_t row = (size_t)stream->rows;
    for (Py_ssize_t i = 0; i < stream->target_count; i++) {
        const bulk_target *target = &stream->targets[i];
        const uint8_t *at = place_of(stream, target->field, target->index);
        const Py_ssize_t *start = &stream->starts[target->index];
        switch ((fe_bulk_shape)target->shape) {
        case FE_BULK_CELLS:
            put_cell(target, at, row);
            break;
        case FE_BULK_BITS:
            put_bit(target, at, row);
            break;
        case FE_BULK_TEXT:
            put_text(target, at, (size_t)(start[1] - start[0]), row);
            break;
        case FE_BULK_OTHER:
            break;
        }
    }
}

/* --------------------------------------------------------- with Python */

/* new: the value of field `index` of the row; NULL with WireError */
static PyObject *
value_of(const bulk_stream *stream, Py_ssize_t index)
{
    const packet_field *field = &stream->layout->fields[index];
    Py_ssize_t at = place_of(stream, field, index) - stream->source.data;
    Py_ssize_t size = stream->starts[index + 1] - at;
    int64_t by = field->by >= 0 ? measure_of(stream, field) : 0;
    return packet_value(&stream->source, stream->layout, field, at, size, by,
                        NULL);
}

/* Which fields are not known to be good without making their values? */
static bool
needs_value(const packet_field *field)
{
    return field->enumeration != NULL || field->shape == PACKET_NESTED
           || field->shape == PACKET_ARRAY || field->shape == PACKET_TAGGED;
}

/* The same of the class's own checks. */
static int
check_value(bulk_stream *stream, Py_ssize_t index, PyObject *value)
{
    const packet_layout *layout = stream->layout;
    return stream->checked && stream->rows_to == NULL
               ? stream->state->records->check(
                     layout->cls, layout->fields[index].index, value)
               : 0;
}

/* BULK_END: good; else why not */
static bulk_stop
row_good(bulk_stream *stream)
{
    if (!bulk_row_good(stream, stream->starts)) {
        return BULK_BAD;
    }
    for (Py_ssize_t i = 0; !stream->plain && i < stream->layout->count; i++) {
        if (!needs_value(&stream->layout->fields[i]) && !stream->checked) {
            continue;
        }
        PyObject *value = value_of(stream, i);
        if (value == NULL) {
            if (!PyErr_ExceptionMatches(stream->state->wire_error)) {
                return BULK_FAILED;
            }
            PyErr_Clear(); /* WireError: the row is read again for it */
            return BULK_BAD;
        }
        int status = check_value(stream, i, value);
        Py_DECREF(value);
        if (status < 0) {
            return BULK_FAILED;
        }
    }
    return BULK_END;
}

static int
append_row(bulk_stream *stream)
{
    const packet_layout *layout = stream->layout;
    PyObject *row = PyTuple_New(layout->count);
    for (Py_ssize_t i = 0; row != NULL && i < layout->count; i++) {
        PyObject *value = value_of(stream, i);
        if (value == NULL) {
            Py_CLEAR(row);
            break;
        }
        PyTuple_SET_ITEM(row, layout->fields[i].index, value);
    }
    int status = row != NULL ? stream->state->records->table_append(
                                   stream->rows_to, row, "unpack_many()")
                             : -1;
    Py_XDECREF(row);
    return status;
}

/* ----------------------------------------------------------------- rows */

/* The row at `at` has been walked. BULK_END: it is written */
FE_INLINE bulk_stop
take_row(bulk_stream *stream)
{
    bulk_stop stop = row_good(stream);
    if (stop != BULK_END) {
        return stop;
    }
    if (stream->rows_to != NULL) {
        return append_row(stream) < 0 ? BULK_FAILED : BULK_END;
    }
    if (stream->rows == stream->room) {
        return BULK_FULL;
    }
    if (!stream->counting) {
        put_row(stream);
    }
    return BULK_END;
}

static bulk_stop
read_rows(bulk_stream *stream)
{
    while (stream->at < stream->until) {
        int status = bulk_walk(stream, stream->at);
        if (status < 0) {
            stream->next = -1;
            return status == -2 ? BULK_FAILED : BULK_BROKEN;
        }
        stream->next = stream->starts[stream->layout->count];
        if (stream->next == stream->at) {
            return BULK_BROKEN;
        }
        bulk_stop stop = take_row(stream);
        if (stop != BULK_END) {
            return stop;
        }
        stream->at = stream->next;
        stream->rows++;
    }
    return BULK_END;
}

bulk_stop
bulk_read_rows(bulk_stream *stream)
{
    bulk_stop stop;
    if (!stream->plain || stream->rows_to != NULL
        || stream->until - stream->at <= BULK_UNLOCK) {
        return read_rows(stream);
    }
    Py_BEGIN_ALLOW_THREADS stop = read_rows(stream);
    Py_END_ALLOW_THREADS return stop;
}

int
bulk_refuse(bulk_stream *stream)
{
    Py_ssize_t end;
    PyObject *record =
        packet_read(&stream->source, stream->layout, stream->at, NULL, &end);
    if (record == NULL) {
        return -1;
    }
    Py_DECREF(record);
    PyErr_Format(PyExc_RuntimeError,
                 "unpack_many(): the %U at byte %zd was changed while it was "
                 "read",
                 stream->layout->qualname, stream->at);
    return -1;
}
