/* SPDX-License-Identifier: MIT
 *
 * Dictionaries of coded columns. A Python dict finds the code of a str, a
 * list the str of a code; Arrow's form of them is written when asked for.
 */
#include "record_table.h"

table_dictionary *
table_dictionary_new(records_state *state)
{
    table_dictionary *self =
        PyObject_New(table_dictionary, state->dictionary_type);
    if (self == NULL) {
        return NULL;
    }
    self->offsets = self->text = NULL;
    self->written = 0;
    self->codes = PyDict_New();
    self->values = PyList_New(0);
    if (self->codes == NULL || self->values == NULL) {
        Py_CLEAR(self);
    }
    return self;
}

static void
dictionary_tp_dealloc(table_dictionary *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->codes);
    Py_XDECREF(self->values);
    table_buffer_drop(self->offsets);
    table_buffer_drop(self->text);
    PyObject_Free(self);
    Py_DECREF(type);
}

Py_ssize_t
table_dictionary_code(table_dictionary *self, PyObject *text)
{
    PyObject *known = PyDict_GetItemWithError(self->codes, text);
    if (FE_LIKELY(known != NULL)) {
        return PyLong_AsSsize_t(known);
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    Py_ssize_t code = PyList_GET_SIZE(self->values);
    if (code >= INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError,
                        "RecordTable: a dictionary is full");
        return -1;
    }
    PyObject *number = PyLong_FromSsize_t(code);
    if (number == NULL || PyList_Append(self->values, text) < 0) {
        Py_XDECREF(number);
        return -1;
    }
    int status = PyDict_SetItem(self->codes, text, number);
    Py_DECREF(number);
    if (status < 0) { /* both know a value, or neither */
        PyObject *error = PyErr_GetRaisedException();
        (void)PyList_SetSlice(self->values, code, code + 1, NULL);
        PyErr_SetRaisedException(error);
        return -1;
    }
    return code;
}

/* Fill buffers that are large enough. 0, or -1: a text has no UTF-8. */
static int
write_texts(PyObject *values, Py_ssize_t count, int32_t *offsets,
            uint8_t *text)
{
    int32_t at = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size;
        const char *utf8 =
            PyUnicode_AsUTF8AndSize(PyList_GET_ITEM(values, i), &size);
        if (utf8 == NULL) {
            return -1;
        }
        offsets[i] = at;
        memcpy(text + at, utf8, (size_t)size);
        at += (int32_t)size;
    }
    offsets[count] = at;
    return 0;
}

int
table_dictionary_write(table_dictionary *self)
{
    Py_ssize_t count = PyList_GET_SIZE(self->values);
    if (self->offsets != NULL && self->written == count) {
        return 0;
    }
    size_t bytes = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size;
        if (PyUnicode_AsUTF8AndSize(PyList_GET_ITEM(self->values, i), &size)
            == NULL) {
            return -1;
        }
        bytes += (size_t)size;
        if (bytes > TABLE_TEXT_MAX) {
            PyErr_SetString(PyExc_OverflowError,
                            "RecordTable: the values of a dictionary have "
                            "more than 2**31 - 1 bytes");
            return -1;
        }
    }
    /* exports hold the old ones; these are new */
    table_buffer *offsets = table_buffer_new(((size_t)count + 1) * 4);
    table_buffer *text =
        offsets != NULL ? table_buffer_new(bytes > 0 ? bytes : 1) : NULL;
    if (text == NULL
        || write_texts(self->values, count, (int32_t *)(void *)offsets->data,
                       text->data)
               < 0) {
        table_buffer_drop(offsets);
        table_buffer_drop(text);
        return -1;
    }
    table_buffer_drop(self->offsets);
    table_buffer_drop(self->text);
    self->offsets = offsets;
    self->text = text;
    self->written = count;
    return 0;
}

uint8_t
table_codes_width(Py_ssize_t count)
{
    return count <= INT8_MAX + 1 ? 1 : count <= INT16_MAX + 1 ? 2 : 4;
}

/* new: the codes of a chunk, wider, at the same places */
static table_buffer *
widened(const table_chunk *chunk, const table_cells *cells, uint8_t narrow,
        uint8_t wide)
{
    size_t rows = (size_t)cells->offset + (size_t)chunk->room;
    if (rows > (size_t)PY_SSIZE_T_MAX / wide) {
        PyErr_NoMemory();
        return NULL;
    }
    table_buffer *buffer = table_buffer_new(rows * wide);
    if (buffer != NULL) {
        table_codes_copy(buffer->data, wide, cells->offset,
                         cells->values->data, narrow, cells->offset,
                         chunk->length, (table_code_map){NULL, 0});
    }
    return buffer;
}

/* Slices and exports keep the narrow codes they have. */
int
table_codes_widen(table_object *table, Py_ssize_t column, Py_ssize_t count)
{
    uint8_t wide = table_codes_width(count);
    uint8_t narrow = table->coding[column].width;
    if (wide <= narrow) {
        return 0;
    }
    Py_ssize_t count_before = table->chunk_count;
    table_buffer **fresh =
        PyMem_Calloc((size_t)count_before + 1, sizeof(*fresh));
    int status = 0;
    if (fresh == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t k = 0; status == 0 && k < table->chunk_count; k++) {
        const table_chunk *chunk = &table->chunks[k];
        fresh[k] = widened(chunk, &chunk->cells[column], narrow, wide);
        status = fresh[k] != NULL ? 0 : -1;
    }
    if (status == 0) {
        table->coding[column].width = wide;
    }
    for (Py_ssize_t k = 0; status == 0 && k < table->chunk_count; k++) {
        table_cells *cells = &table->chunks[k].cells[column];
        table_buffer *old = cells->values;
        cells->values = fresh[k];
        fresh[k] = old;
    }
    /* now that all is in place: memory of others may run Python code */
    for (Py_ssize_t k = 0; k < count_before; k++) {
        table_buffer_drop(fresh[k]);
    }
    PyMem_Free(fresh);
    return status;
}

static PyType_Slot dictionary_slots[] = {
    {Py_tp_dealloc, FE_SLOT(dictionary_tp_dealloc)},
    {0, NULL},
};

PyType_Spec table_dictionary_spec = {
    .name = "ferrule._records.Dictionary",
    .basicsize = sizeof(table_dictionary),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = dictionary_slots,
};
