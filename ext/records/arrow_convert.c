/* SPDX-License-Identifier: MIT
 *
 * Foreign buffers into the form of a column: shared where their form is the
 * column's own, else copied value by value. Numbers, bits and bytes[n] here,
 * texts in arrow_text.c.
 *
 * Foreign buffers need not be aligned: they are read with FE_READ, and only
 * aligned ones are shared.
 */
#include "arrow.h"

/* ------------------------------------------------------------ numbers */

/* Numbers pass through blocks of int64, a loop in and a loop out for each
 * kind, which the compiler makes vectors of. u64 beyond INT64_MAX comes out
 * negative. */
#define BLOCK 512

#define LOAD_AS(type)                                                         \
    for (int64_t i = 0; i < count; i++) {                                     \
        to[i] = (int64_t)FE_READ(type, from + i * (int64_t)sizeof(type));     \
    }                                                                         \
    break;

static void
load_block(int64_t *to, const uint8_t *from, uint8_t kind, int64_t count)
{
    switch (kind) {
    case FE_I8:
        LOAD_AS(int8_t)
    case FE_I16:
        LOAD_AS(int16_t)
    case FE_I32:
        LOAD_AS(int32_t)
    case FE_U8:
        LOAD_AS(uint8_t)
    case FE_U16:
        LOAD_AS(uint16_t)
    case FE_U32:
        LOAD_AS(uint32_t)
    default:
        memcpy(to, from, (size_t)count * sizeof(int64_t));
    }
}

#define STORE_AS(type)                                                        \
    for (int64_t i = 0; i < count; i++) {                                     \
        type narrow = (type)from[i];                                          \
        memcpy(to + i * (int64_t)sizeof(type), &narrow, sizeof(type));        \
    }                                                                         \
    break;

static void
store_block(uint8_t *to, const int64_t *from, uint32_t size, int64_t count)
{
    switch (size) {
    case 1:
        STORE_AS(uint8_t)
    case 2:
        STORE_AS(uint16_t)
    case 4:
        STORE_AS(uint32_t)
    default:
        memcpy(to, from, (size_t)count * sizeof(int64_t));
    }
}

typedef struct {
    int64_t low, high;
} int_range;

/* What of the int64s read from one kind fits another. */
static int_range
fitting(uint8_t to, uint8_t from)
{
    static const int_range ranges[] = {
        [FE_I8] = {INT8_MIN, INT8_MAX},    [FE_I16] = {INT16_MIN, INT16_MAX},
        [FE_I32] = {INT32_MIN, INT32_MAX}, [FE_I64] = {INT64_MIN, INT64_MAX},
        [FE_U8] = {0, UINT8_MAX},          [FE_U16] = {0, UINT16_MAX},
        [FE_U32] = {0, UINT32_MAX},        [FE_U64] = {0, INT64_MAX},
    };
    int_range range = ranges[to];
    if (from == FE_U64) {
        range.low = 0; /* below: beyond INT64_MAX */
    }
    return range;
}

static bool
block_fits(const int64_t *numbers, int64_t count, int_range range)
{
    int outside = 0;
    for (int64_t i = 0; i < count; i++) {
        outside |= (numbers[i] < range.low) | (numbers[i] > range.high);
    }
    return outside == 0;
}

int64_t
arrow_ints_convert(uint8_t *to, uint8_t to_kind, const uint8_t *from,
                   uint8_t from_kind, int64_t count, const uint8_t *validity,
                   int64_t at)
{
    int64_t numbers[BLOCK];
    int_range range = fitting(to_kind, from_kind);
    int64_t to_size = records_kind_size(to_kind);
    int64_t from_size = records_kind_size(from_kind);
    for (int64_t start = 0; start < count; start += BLOCK) {
        int64_t some = count - start < BLOCK ? count - start : BLOCK;
        load_block(numbers, from + start * from_size, from_kind, some);
        store_block(to + start * to_size, numbers, (uint32_t)to_size, some);
        if (block_fits(numbers, some, range)) {
            continue;
        }
        for (int64_t i = 0; i < some; i++) {
            bool fits = numbers[i] >= range.low && numbers[i] <= range.high;
            if (!fits
                && (validity == NULL || table_bit(validity, at + start + i))) {
                return start + i;
            }
        }
    }
    return -1;
}

void
arrow_floats_widen(uint8_t *to, const uint8_t *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        double wide = (double)FE_READ(float, from + 4 * i);
        memcpy(to + 8 * i, &wide, sizeof(wide));
    }
}

/* ------------------------------------------------- sharing and copying */

/* Where row 0 is in the values, cells of `width` bytes. */
static const uint8_t *
first_cell(const arrow_input *in, int64_t width)
{
    return (const uint8_t *)in->array->buffers[1] + in->offset * width;
}

static int
share_validity(const arrow_input *in, table_cells *cells)
{
    cells->offset = (Py_ssize_t)in->offset;
    if (in->validity == NULL) {
        return 0;
    }
    cells->validity = arrow_holder_wrap(in->holder, in->validity,
                                        (in->offset + in->length + 7) / 8);
    return cells->validity != NULL ? 0 : -1;
}

int
arrow_copy_validity(const arrow_input *in, table_cells *cells)
{
    if (in->validity == NULL) {
        return 0;
    }
    cells->validity = table_buffer_new(((size_t)in->length + 7) / 8);
    if (cells->validity == NULL) {
        return -1;
    }
    table_bits_copy(cells->validity->data, 0, in->validity,
                    (Py_ssize_t)in->offset, (Py_ssize_t)in->length);
    return 0;
}

int
arrow_share(const arrow_input *in, table_cells *cells, int64_t size)
{
    cells->values = arrow_holder_wrap(in->holder, in->array->buffers[1], size);
    return cells->values != NULL ? share_validity(in, cells) : -1;
}

/* Room for values from row 0 on, and the validity. */
static int
own_cells(const arrow_input *in, table_cells *cells, int64_t width)
{
    cells->values = table_buffer_new((size_t)(in->length * width));
    return cells->values != NULL ? arrow_copy_validity(in, cells) : -1;
}

static int
take_cells(const arrow_input *in, table_cells *cells)
{
    uint32_t width = in->column->width;
    uint32_t alignment = records_kind_alignment(in->column->value.kind);
    if ((uintptr_t)in->array->buffers[1] % alignment == 0) {
        return arrow_share(in, cells, (in->offset + in->length) * width);
    }
    if (own_cells(in, cells, width) < 0) {
        return -1;
    }
    memcpy(cells->values->data, first_cell(in, width),
           (size_t)in->length * width);
    return 0;
}

static int
take_bits(const arrow_input *in, table_cells *cells)
{
    return arrow_share(in, cells, (in->offset + in->length + 7) / 8);
}

/* new: the int in the row, for a message */
static PyObject *
int_at(const arrow_input *in, int64_t row)
{
    if (in->column->field->flags & FE_FIELD_SENSITIVE) {
        return PyUnicode_FromString("***");
    }
    int64_t number;
    const uint8_t *at = first_cell(in, in->type.size) + row * in->type.size;
    load_block(&number, at, in->type.kind, 1);
    return in->type.kind == FE_U64
               ? PyUnicode_FromFormat("%llu", (unsigned long long)number)
               : PyUnicode_FromFormat("%lld", (long long)number);
}

static int
take_ints(const arrow_input *in, table_cells *cells)
{
    if (own_cells(in, cells, in->column->width) < 0) {
        return -1;
    }
    PyThreadState *unlocked = arrow_unlock(in->length);
    int64_t row =
        arrow_ints_convert(cells->values->data, in->column->value.kind,
                           first_cell(in, in->type.size), in->type.kind,
                           in->length, in->validity, in->offset);
    arrow_lock(unlocked);
    return row < 0 ? 0
                   : arrow_refuse_row(in, PyExc_OverflowError, row,
                                      int_at(in, row));
}

static int
take_floats(const arrow_input *in, table_cells *cells)
{
    if (own_cells(in, cells, (int64_t)sizeof(double)) < 0) {
        return -1;
    }
    PyThreadState *unlocked = arrow_unlock(in->length);
    arrow_floats_widen(cells->values->data, first_cell(in, sizeof(float)),
                       in->length);
    arrow_lock(unlocked);
    return 0;
}

/* ---------------------------------------------------------- all nulls */

static size_t
values_size(const arrow_input *in)
{
    size_t length = (size_t)in->length;
    switch ((column_shape)in->column->shape) {
    case COLUMN_FIXED:
        return length * in->column->width;
    case COLUMN_BITS:
        return (length + 7) / 8;
    case COLUMN_TEXT:
        return (length + 1) * sizeof(int32_t);
    case COLUMN_CODED:
        break;
    }
    return length * in->reader->table->coding[in->index].width;
}

static int
take_nulls(const arrow_input *in, table_cells *cells)
{
    size_t bits = ((size_t)in->length + 7) / 8;
    cells->validity = table_buffer_new(bits);
    cells->values =
        cells->validity != NULL ? table_buffer_new(values_size(in)) : NULL;
    if (cells->values == NULL) {
        return -1;
    }
    memset(cells->validity->data, 0, bits);
    memset(cells->values->data, 0, values_size(in));
    return 0;
}

/* ------------------------------------------------------------- choice */

int
arrow_convert(const arrow_input *in, table_cells *cells)
{
    if (in->type.shape == ARROW_NULLS) {
        return take_nulls(in, cells);
    }
    switch ((column_shape)in->column->shape) {
    case COLUMN_BITS:
        return take_bits(in, cells);
    case COLUMN_TEXT:
        return arrow_convert_text(in, cells);
    case COLUMN_CODED:
        return arrow_convert_coded(in, cells);
    case COLUMN_FIXED:
        break;
    }
    if (in->type.kind == in->column->value.kind) {
        return take_cells(in, cells);
    }
    return in->type.kind == FE_F32 ? take_floats(in, cells)
                                   : take_ints(in, cells);
}
