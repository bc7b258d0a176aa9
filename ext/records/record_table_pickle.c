/* SPDX-License-Identifier: MIT
 *
 * Pickled tables: for each column the bytes of its buffers, and the values of
 * its dictionary. Nothing in a pickle is believed: sizes, offsets, codes and
 * text are checked before a table has them.
 */
#include "record_table.h"

enum { PART_VALIDITY, PART_VALUES, PART_TEXT, PART_DICTIONARY, PARTS };

/* ------------------------------------------------------------- writing */

/* new: bytes from protocol 4 down, a PickleBuffer of them above */
static PyObject *
pickled(const void *data, Py_ssize_t size, long protocol)
{
    PyObject *bytes = PyBytes_FromStringAndSize(data, size);
    if (bytes == NULL || protocol < 5) {
        return bytes;
    }
    PyObject *buffer = PyPickleBuffer_FromObject(bytes);
    Py_DECREF(bytes);
    return buffer;
}

/* Bits from any place, packed from bit 0 on. */
static PyObject *
pickled_bits(const uint8_t *bits, Py_ssize_t at, Py_ssize_t count,
             long protocol)
{
    Py_ssize_t size = (count + 7) / 8;
    uint8_t *copy = PyMem_Calloc(1, (size_t)size + 1);
    if (copy == NULL) {
        return PyErr_NoMemory();
    }
    table_bits_copy(copy, 0, bits, at, count);
    PyObject *result = pickled(copy, size, protocol);
    PyMem_Free(copy);
    return result;
}

/* Offsets from 0 on. */
static PyObject *
pickled_offsets(const uint8_t *offsets, Py_ssize_t count, long protocol)
{
    int32_t first = FE_READ(int32_t, offsets);
    if (first == 0) {
        return pickled(offsets, 4 * count, protocol);
    }
    int32_t *copy = PyMem_Malloc((size_t)count * sizeof(*copy));
    if (copy == NULL) {
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        copy[i] = FE_READ(int32_t, offsets + 4 * i) - first;
    }
    PyObject *result = pickled(copy, 4 * count, protocol);
    PyMem_Free(copy);
    return result;
}

static PyObject *
pickled_values(const table_column *column, uint8_t code_width,
               const table_cells *cells, Py_ssize_t length, long protocol)
{
    const uint8_t *data = cells->values->data;
    Py_ssize_t at = cells->offset;
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        return pickled(data + at * column->width, length * column->width,
                       protocol);
    case COLUMN_BITS:
        return pickled_bits(data, at, length, protocol);
    case COLUMN_TEXT:
        return pickled_offsets(data + 4 * at, length + 1, protocol);
    case COLUMN_CODED:
        break;
    }
    return pickled(data + at * code_width, length * code_width, protocol);
}

/* new: one part of a pickled column, None if the column has none such */
static PyObject *
pickled_part(const table_object *self, Py_ssize_t i, int part, long protocol)
{
    const table_column *column = &self->schema->columns[i];
    const table_coding *coding = &self->coding[i];
    const table_chunk *chunk = &self->chunks[0];
    const table_cells *cells = &chunk->cells[i];
    if (part == PART_VALUES) {
        return pickled_values(column, coding->width, cells, chunk->length,
                              protocol);
    }
    if (part == PART_VALIDITY && cells->validity != NULL) {
        return pickled_bits(cells->validity->data, cells->offset,
                            chunk->length, protocol);
    }
    if (part == PART_DICTIONARY && coding->dictionary != NULL) {
        return PyList_GetSlice(coding->dictionary->values, 0, PY_SSIZE_T_MAX);
    }
    if (part != PART_TEXT || column->shape != COLUMN_TEXT) {
        Py_RETURN_NONE;
    }
    size_t size = table_text_bytes(cells, 0, chunk->length);
    int32_t first = FE_READ(int32_t, cells->values->data + 4 * cells->offset);
    return pickled(size > 0 ? cells->text->data + first : (const uint8_t *)"",
                   (Py_ssize_t)size, protocol);
}

/* new: (validity | None, values, text | None, dictionary | None) */
static PyObject *
pickled_column(const table_object *self, Py_ssize_t i, long protocol)
{
    PyObject *parts = PyTuple_New(PARTS);
    for (int part = 0; parts != NULL && part < PARTS; part++) {
        PyObject *one = pickled_part(self, i, part, protocol);
        if (one == NULL) {
            Py_CLEAR(parts);
            break;
        }
        PyTuple_SET_ITEM(parts, part, one);
    }
    return parts;
}

/* new: dict of columns; of a table that nobody else sees, because making the
 * parts may run the collector, and so code that grows or joins the table
 */
static PyObject *
pickled_columns(const table_object *self, long protocol)
{
    PyObject *columns = PyDict_New();
    for (Py_ssize_t i = 0;
         columns != NULL && self->length > 0 && i < self->schema->count; i++) {
        PyObject *parts = pickled_column(self, i, protocol);
        if (parts == NULL
            || PyDict_SetItem(columns, self->schema->columns[i].value.name,
                              parts)
                   < 0) {
            Py_CLEAR(columns);
        }
        Py_XDECREF(parts);
    }
    return columns;
}

PyObject *
table_reduce_ex(PyObject *op, PyObject *arg)
{
    table_object *self = (table_object *)op;
    long protocol = PyLong_AsLong(arg);
    if (protocol == -1 && PyErr_Occurred()) {
        return NULL;
    }
    /* a slice: also a table of one chunk can grow */
    table_object *slice =
        (table_object *)table_slice(self, 0, 1, self->length);
    table_object *rows = slice != NULL ? table_joined(slice) : NULL;
    PyObject *columns = rows != NULL ? pickled_columns(rows, protocol) : NULL;
    Py_XDECREF((PyObject *)slice);
    PyObject *result =
        columns != NULL
            ? Py_BuildValue("O(OnN)", self->cls->state->restore_table,
                            (PyObject *)self->cls, rows->length, columns)
            : NULL;
    Py_XDECREF((PyObject *)rows);
    return result;
}

/* ------------------------------------------------------------- reading */

static int
corrupt(const table_column *column, const char *what)
{
    PyErr_Format(PyExc_ValueError,
                 "RecordTable (unpickling): column '%U' has %s",
                 column->value.name, what);
    return -1;
}

/* Copy a part of exactly `size` bytes (-1: of any) into a new buffer. */
static int
read_part(const table_column *column, PyObject *part, Py_ssize_t size,
          table_buffer **buffer)
{
    Py_buffer view;
    if (PyObject_GetBuffer(part, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    int status = 0;
    if ((size >= 0 && view.len != size) || view.len < 0) {
        status = corrupt(column, "a buffer of the wrong size");
    }
    if (status == 0) {
        size_t room = (size_t)view.len;
        *buffer = table_buffer_new(room > 0 ? room : 1);
        status = *buffer != NULL ? 0 : -1;
        if (status == 0) {
            memcpy((*buffer)->data, view.buf, room);
            (*buffer)->room = room;
        }
    }
    PyBuffer_Release(&view);
    return status;
}

static int
check_offsets(const table_column *column, const table_cells *cells,
              Py_ssize_t length)
{
    const uint8_t *at = cells->values->data;
    int32_t last = FE_READ(int32_t, at);
    bool good = last == 0;
    for (Py_ssize_t i = 1; good && i <= length; i++) {
        int32_t next = FE_READ(int32_t, at + 4 * i);
        good = next >= last
               && (column->value.size == 0
                   || (uint32_t)(next - last) <= column->value.size);
        last = next;
    }
    if (!good || (size_t)last > cells->text->room) {
        return corrupt(column, "offsets out of order");
    }
    for (Py_ssize_t i = 0; column->value.kind == FE_STR && i < length; i++) {
        PyObject *text = table_cell_load(column, NULL, cells, i);
        if (text == NULL) {
            return -1;
        }
        Py_DECREF(text);
    }
    return 0;
}

static int
check_codes(table_object *self, Py_ssize_t i, const table_cells *cells,
            Py_ssize_t length, PyObject *values)
{
    const table_column *column = &self->schema->columns[i];
    table_coding *coding = &self->coding[i];
    if (!PyList_Check(values)) {
        return corrupt(column, "no dictionary");
    }
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(values); k++) {
        PyObject *text = PyList_GET_ITEM(values, k);
        Py_ssize_t size;
        if (!PyUnicode_CheckExact(text)
            || table_text_of(column, self->cls->plan->qualname, text, &size)
                   == NULL
            || table_dictionary_code(coding->dictionary, text) != k) {
            return PyErr_Occurred() ? -1
                                    : corrupt(column, "a wrong dictionary");
        }
    }
    for (Py_ssize_t row = 0; row < length; row++) {
        int64_t code = table_code_at(cells->values->data, coding->width, row);
        bool null =
            cells->validity != NULL && !table_bit(cells->validity->data, row);
        if (!null && (code < 0 || code >= PyList_GET_SIZE(values))) {
            return corrupt(column, "codes out of range");
        }
    }
    return 0;
}

/* Codes as wide as the pickle has them. */
static int
read_codes(table_object *self, Py_ssize_t i, table_cells *cells,
           Py_ssize_t length, PyObject *parts)
{
    const table_column *column = &self->schema->columns[i];
    if (read_part(column, PyTuple_GET_ITEM(parts, PART_VALUES), -1,
                  &cells->values)
        < 0) {
        return -1;
    }
    size_t size = cells->values->room, width = size / (size_t)length;
    if (width * (size_t)length != size
        || (width != 1 && width != 2 && width != 4)) {
        return corrupt(column, "a buffer of the wrong size");
    }
    self->coding[i].width = (uint8_t)width;
    return check_codes(self, i, cells, length,
                       PyTuple_GET_ITEM(parts, PART_DICTIONARY));
}

static int
read_column(table_object *self, Py_ssize_t i, table_cells *cells,
            Py_ssize_t length, PyObject *parts)
{
    const table_column *column = &self->schema->columns[i];
    if (!PyTuple_Check(parts) || PyTuple_GET_SIZE(parts) != PARTS) {
        return corrupt(column, "the wrong parts");
    }
    PyObject *validity = PyTuple_GET_ITEM(parts, PART_VALIDITY);
    Py_ssize_t bits = (length + 7) / 8;
    if (validity != Py_None
        && (column->nullable
                ? read_part(column, validity, bits, &cells->validity)
                : corrupt(column, "nulls but no None in its annotation"))
               < 0) {
        return -1;
    }
    PyObject *values = PyTuple_GET_ITEM(parts, PART_VALUES);
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        return read_part(column, values, length * (Py_ssize_t)column->width,
                         &cells->values);
    case COLUMN_BITS:
        return read_part(column, values, bits, &cells->values);
    case COLUMN_TEXT:
        return read_part(column, values, 4 * (length + 1), &cells->values) < 0
                       || read_part(column, PyTuple_GET_ITEM(parts, PART_TEXT),
                                    -1, &cells->text)
                              < 0
                   ? -1
                   : check_offsets(column, cells, length);
    case COLUMN_CODED:
        break;
    }
    return read_codes(self, i, cells, length, parts);
}

static int
read_columns(table_object *self, Py_ssize_t length, PyObject *columns)
{
    const table_schema *schema = self->schema;
    table_chunk chunk = {.room = length};
    chunk.cells = PyMem_Calloc((size_t)schema->count, sizeof(table_cells));
    if (chunk.cells == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (PyDict_GET_SIZE(columns) != schema->count) {
        PyErr_Format(PyExc_ValueError,
                     "RecordTable (unpickling): %U has %zd fields, the "
                     "pickle %zd columns",
                     self->cls->plan->qualname, schema->count,
                     PyDict_GET_SIZE(columns));
        PyMem_Free(chunk.cells);
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < schema->count; i++) {
        PyObject *parts;
        int found =
            PyDict_GetItemRef(columns, schema->columns[i].value.name, &parts);
        status = found > 0
                     ? read_column(self, i, &chunk.cells[i], length, parts)
                 : found < 0
                     ? -1
                     : corrupt(&schema->columns[i], "no data in the pickle");
        Py_XDECREF(parts);
    }
    chunk.length = length;
    if (status < 0) {
        table_chunk_drop(&chunk, schema->count);
        return -1;
    }
    return table_adopt(self, &chunk);
}

/* _restore_table(cls, length, columns): what a pickle calls */
static PyObject *
restore_table(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    static const char function[] = "RecordTable (unpickling)";
    if (nargs != 3 || !PyLong_Check(args[1]) || !PyDict_Check(args[2])) {
        PyErr_Format(PyExc_TypeError, "%s wants class, length and columns",
                     function);
        return NULL;
    }
    Py_ssize_t length = PyLong_AsSsize_t(args[1]);
    if (length == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (length < 0 || length > PY_SSIZE_T_MAX / RECORDS_SIZE_MAX) {
        PyErr_Format(PyExc_ValueError, "%s: no table has %zd rows", function,
                     length);
        return NULL;
    }
    table_object *self =
        table_new(records_get_state(module), args[0], function);
    if (self != NULL && length > 0
        && read_columns(self, length, args[2]) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

PyMethodDef table_functions[] = {
    {"_restore_table", FE_METHOD(restore_table), METH_FASTCALL,
     "_restore_table($module, cls, length, columns, /)\n--\n\n"
     "Pickle support."},
    {NULL, NULL, 0, NULL},
};
