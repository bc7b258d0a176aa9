/* SPDX-License-Identifier: MIT
 *
 * The memory of columns: buffers, chunks, and moving rows between them.
 */
#include "record_table.h"

#include "pages.h"

/* ------------------------------------------------------------- buffers */

enum { SLACK = 8 }; /* readable, and zero, behind every buffer */

/* PyMem_Raw*: the one family that needs neither lock nor interpreter. */
table_buffer *
table_buffer_new(size_t room)
{
    table_buffer *buffer = NULL;
    if (room <= (size_t)PY_SSIZE_T_MAX - 4 * TABLE_ALIGNMENT) {
        buffer = PyMem_RawMalloc(sizeof(table_buffer) + TABLE_ALIGNMENT + room
                                 + SLACK);
    }
    if (buffer == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    uintptr_t start = (uintptr_t)(buffer + 1);
    start = (start + TABLE_ALIGNMENT - 1) / TABLE_ALIGNMENT * TABLE_ALIGNMENT;
    atomic_init(&buffer->holders, 1);
    buffer->data = (uint8_t *)start;
    buffer->room = room;
    buffer->let_go = NULL;
    buffer->owner = NULL;
    fe_pages_advise(buffer->data, room);
    memset(buffer->data + room, 0, SLACK);
    return buffer;
}

table_buffer *
table_buffer_wrap(const void *data, size_t room, void (*let_go)(void *owner),
                  void *owner)
{
    table_buffer *buffer = PyMem_RawMalloc(sizeof(table_buffer));
    if (buffer == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    atomic_init(&buffer->holders, 1);
    buffer->data = (uint8_t *)(uintptr_t)data;
    buffer->room = room;
    buffer->let_go = let_go;
    buffer->owner = owner;
    return buffer;
}

void
table_buffer_free(table_buffer *buffer)
{
    if (buffer->let_go != NULL) {
        buffer->let_go(buffer->owner);
    }
    PyMem_RawFree(buffer);
}

/* ---------------------------------------------------------------- bits */

static inline void
put_bit(uint8_t *bits, Py_ssize_t i, bool on)
{
    uint8_t mask = (uint8_t)(1u << (i & 7));
    bits[i >> 3] = on ? bits[i >> 3] | mask : bits[i >> 3] & (uint8_t)~mask;
}

void
table_bits_copy(uint8_t *to, Py_ssize_t to_at, const uint8_t *from,
                Py_ssize_t from_at, Py_ssize_t count)
{
    while (count > 0 && (to_at & 7) != 0) {
        put_bit(to, to_at++, table_bit(from, from_at++));
        count--;
    }
    uint8_t *out = to + (to_at >> 3);
    const uint8_t *in = from + (from_at >> 3);
    int shift = (int)(from_at & 7);
    Py_ssize_t whole = count >> 3;
    if (shift == 0) {
        memcpy(out, in, (size_t)whole);
    }
    else {
        for (Py_ssize_t i = 0; i < whole; i++) {
            out[i] = (uint8_t)(in[i] >> shift | in[i + 1] << (8 - shift));
        }
    }
    for (Py_ssize_t i = whole << 3; i < count; i++) {
        put_bit(to, to_at + i, table_bit(from, from_at + i));
    }
}

Py_ssize_t
table_bits_count(const uint8_t *bits, Py_ssize_t at, Py_ssize_t count)
{
    Py_ssize_t ones = 0, end = at + count;
    while (at < end && (at & 7) != 0) {
        ones += table_bit(bits, at++);
    }
    for (; at + 64 <= end; at += 64) {
        ones += __builtin_popcountll(FE_READ(uint64_t, bits + (at >> 3)));
    }
    while (at < end) {
        ones += table_bit(bits, at++);
    }
    return ones;
}

static void
fill_bits(uint8_t *bits, Py_ssize_t at, Py_ssize_t count)
{
    for (; count > 0 && (at & 7) != 0; count--) {
        put_bit(bits, at++, true);
    }
    memset(bits + (at >> 3), 0xff, (size_t)(count >> 3));
    for (Py_ssize_t i = count & ~(Py_ssize_t)7; i < count; i++) {
        put_bit(bits, at + i, true);
    }
}

/* -------------------------------------------------------------- chunks */

/* Bytes of values for `rows` rows; SIZE_MAX: too many. */
static size_t
values_room(const table_column *column, uint8_t code_width, Py_ssize_t rows)
{
    size_t count = (size_t)rows;
    size_t width = column->shape == COLUMN_FIXED  ? column->width
                   : column->shape == COLUMN_TEXT ? sizeof(int32_t)
                                                  : code_width;
    if (column->shape == COLUMN_BITS) {
        return count / 8 + 1;
    }
    if (count >= (size_t)PY_SSIZE_T_MAX / width) {
        return SIZE_MAX;
    }
    return (count + (column->shape == COLUMN_TEXT)) * width;
}

static void
cells_drop(table_cells *cells)
{
    table_buffer_drop(cells->validity);
    table_buffer_drop(cells->values);
    table_buffer_drop(cells->text);
    memset(cells, 0, sizeof(*cells));
}

void
table_chunk_drop(table_chunk *chunk, Py_ssize_t columns)
{
    /* memory of others may run Python code when it goes */
    fe_error error = fe_error_put_aside();
    for (Py_ssize_t i = 0; chunk->cells != NULL && i < columns; i++) {
        cells_drop(&chunk->cells[i]);
    }
    PyMem_Free(chunk->cells);
    chunk->cells = NULL;
    chunk->length = chunk->room = 0;
    fe_error_put_back(error);
}

static int
cells_init(table_cells *cells, const table_column *column, uint8_t code_width,
           Py_ssize_t room)
{
    size_t bytes = values_room(column, code_width, room);
    cells->values = table_buffer_new(bytes);
    if (cells->values == NULL) {
        return -1;
    }
    if (column->shape == COLUMN_BITS) {
        memset(cells->values->data, 0, bytes);
    }
    if (column->shape == COLUMN_TEXT) {
        memset(cells->values->data, 0, sizeof(int32_t));
    }
    return 0;
}

int
table_chunk_init(table_chunk *chunk, const table_object *table,
                 Py_ssize_t room)
{
    const table_schema *schema = table->schema;
    chunk->start = chunk->length = 0;
    chunk->room = room;
    chunk->cells = PyMem_Calloc((size_t)schema->count, sizeof(table_cells));
    if (chunk->cells == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        if (cells_init(&chunk->cells[i], &schema->columns[i],
                       table->coding[i].width, room)
            < 0) {
            table_chunk_drop(chunk, schema->count);
            return -1;
        }
    }
    return 0;
}

int
table_text_reserve(table_cells *cells, size_t used, size_t extra)
{
    size_t room = cells->text != NULL ? cells->text->room : 0;
    if (extra <= room - used) {
        return 0;
    }
    room = used + extra;
    room = room + room / 2 < TABLE_TEXT_MAX ? room + room / 2 : room;
    table_buffer *grown = table_buffer_new(room > 64 ? room : 64);
    if (grown == NULL) {
        return -1;
    }
    if (used > 0) {
        memcpy(grown->data, cells->text->data, used);
    }
    table_buffer_drop(cells->text);
    cells->text = grown;
    return 0;
}

int
table_validity_make(table_cells *cells, Py_ssize_t length, Py_ssize_t room)
{
    if (cells->validity != NULL) {
        return 0;
    }
    Py_ssize_t bytes = (cells->offset + room) / 8 + 1;
    cells->validity = table_buffer_new((size_t)bytes);
    if (cells->validity == NULL) {
        return -1;
    }
    memset(cells->validity->data, 0, (size_t)bytes);
    fill_bits(cells->validity->data, cells->offset, length);
    return 0;
}

int
table_chunk_share(table_chunk *to, const table_chunk *from, Py_ssize_t columns,
                  Py_ssize_t start, Py_ssize_t length)
{
    to->start = 0;
    to->length = to->room = length;
    to->cells = PyMem_Malloc((size_t)columns * sizeof(table_cells));
    if (to->cells == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < columns; i++) {
        const table_cells *cells = &from->cells[i];
        to->cells[i] = (table_cells){
            .validity = table_buffer_hold(cells->validity),
            .values = table_buffer_hold(cells->values),
            .text = table_buffer_hold(cells->text),
            .offset = cells->offset + start,
        };
    }
    return 0;
}

/* ---------------------------------------------------------------- rows */

PyObject *
table_cell_load(const table_column *column, const table_coding *coding,
                const table_cells *cells, Py_ssize_t row)
{
    Py_ssize_t at = cells->offset + row;
    if (cells->validity != NULL && !table_bit(cells->validity->data, at)) {
        Py_RETURN_NONE;
    }
    const uint8_t *data = cells->values->data;
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        return fe_load_unboxed((const char *)data + at * column->width,
                               &column->value);
    case COLUMN_BITS:
        return PyBool_FromLong(table_bit(data, at));
    case COLUMN_TEXT: {
        Py_ssize_t size;
        const char *text = table_text_at(cells, row, &size);
        return column->value.kind == FE_STR
                   ? PyUnicode_DecodeUTF8(text, size, NULL)
                   : PyBytes_FromStringAndSize(text, size);
    }
    case COLUMN_CODED:
        break;
    }
    Py_ssize_t code = (Py_ssize_t)table_code_at(data, coding->width, at);
    return Py_NewRef(PyList_GET_ITEM(coding->dictionary->values, code));
}

size_t
table_text_bytes(const table_cells *cells, Py_ssize_t start, Py_ssize_t count)
{
    const uint8_t *offsets = cells->values->data + 4 * (cells->offset + start);
    return (size_t)(FE_READ(int32_t, offsets + 4 * count)
                    - FE_READ(int32_t, offsets));
}

static void
put_code(uint8_t *codes, uint8_t width, Py_ssize_t i, int32_t code)
{
    int8_t narrow = (int8_t)code;
    int16_t half = (int16_t)code;
    switch (width) {
    case 1:
        memcpy(codes + i, &narrow, 1);
        break;
    case 2:
        memcpy(codes + 2 * i, &half, 2);
        break;
    default:
        memcpy(codes + 4 * i, &code, 4);
    }
}

void
table_codes_copy(uint8_t *to, uint8_t to_width, Py_ssize_t to_at,
                 const uint8_t *from, uint8_t from_width, Py_ssize_t from_at,
                 Py_ssize_t count, table_code_map map)
{
    if (map.codes == NULL && to_width == from_width) {
        memcpy(to + to_at * to_width, from + from_at * from_width,
               (size_t)count * to_width);
        return;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        int32_t code = (int32_t)table_code_at(from, from_width, from_at + i);
        if (map.codes != NULL) {
            code = code >= 0 && code < map.count ? map.codes[code] : 0;
        }
        put_code(to, to_width, to_at + i, code);
    }
}

static void
append_texts(table_cells *to, Py_ssize_t at, const table_cells *from,
             Py_ssize_t start, Py_ssize_t count)
{
    const uint8_t *in = from->values->data + 4 * (from->offset + start);
    uint8_t *out = to->values->data + 4 * (to->offset + at);
    int32_t first = FE_READ(int32_t, in), base = FE_READ(int32_t, out);
    size_t bytes = table_text_bytes(from, start, count);
    if (bytes > 0) {
        memcpy(to->text->data + base, from->text->data + first, bytes);
    }
    for (Py_ssize_t i = 1; i <= count; i++) {
        int32_t offset = FE_READ(int32_t, in + 4 * i) - first + base;
        memcpy(out + 4 * i, &offset, 4);
    }
}

int
table_cells_append(const table_column *column, table_cells *to, Py_ssize_t at,
                   Py_ssize_t room, uint8_t to_width, const table_cells *from,
                   Py_ssize_t start, Py_ssize_t count, uint8_t from_width,
                   table_code_map map)
{
    Py_ssize_t in = from->offset + start, out = to->offset + at;
    if (from->validity != NULL && table_validity_make(to, at, room) < 0) {
        return -1;
    }
    if (from->validity != NULL) {
        table_bits_copy(to->validity->data, out, from->validity->data, in,
                        count);
    }
    else if (to->validity != NULL) {
        fill_bits(to->validity->data, out, count);
    }
    const uint8_t *source = from->values->data;
    uint8_t *target = to->values->data;
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        memcpy(target + out * column->width, source + in * column->width,
               (size_t)count * column->width);
        break;
    case COLUMN_BITS:
        table_bits_copy(target, out, source, in, count);
        break;
    case COLUMN_TEXT:
        append_texts(to, at, from, start, count);
        break;
    case COLUMN_CODED:
        table_codes_copy(target, to_width, out, source, from_width, in, count,
                         map);
        break;
    }
    return 0;
}

/* Write one value behind the last one; there is room for it. */
void
table_cells_put(const table_column *column, table_cells *cells, Py_ssize_t at,
                uint8_t code_width, const table_value *value)
{
    Py_ssize_t out = cells->offset + at;
    uint8_t *data = cells->values->data;
    if (cells->validity != NULL) {
        put_bit(cells->validity->data, out, !value->null);
    }
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        if (value->null) {
            memset(data + out * column->width, 0, column->width);
        }
        else {
            memcpy(data + out * column->width,
                   value->text != NULL ? value->text : value->bytes,
                   column->width);
        }
        break;
    case COLUMN_BITS:
        put_bit(data, out, !value->null && value->bytes[0] != 0);
        break;
    case COLUMN_TEXT: {
        int32_t end = FE_READ(int32_t, data + 4 * out);
        if (value->size > 0) {
            memcpy(cells->text->data + end, value->text, (size_t)value->size);
        }
        end += (int32_t)value->size;
        memcpy(data + 4 * (out + 1), &end, 4);
        break;
    }
    case COLUMN_CODED:
        put_code(data, code_width, out, value->null ? 0 : value->code);
        break;
    }
}
