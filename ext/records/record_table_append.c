/* SPDX-License-Identifier: MIT
 *
 * RecordTable.append: a row is first converted, value by value, which may run
 * Python code; then, with nothing left that can, written behind the last one.
 */
#include "record_array.h"
#include "record_columns.h"
#include "record_table.h"

enum { FIRST_ROWS = 1024, TEXT_GUESS = 16, LOCAL_VALUES = 16 };

/* What is reserved ahead of need, at most, in a table that has nothing yet. */
enum { FIRST_BYTES = 1 << 20 };

/* ------------------------------------------------------------- convert */

/* Is the value of a type the column takes? (For columns that say "| None" in
 * their errors; of the others the conversion complains itself.) */
static bool
right_type(const table_column *column, PyObject *value)
{
    PyNumberMethods *number = Py_TYPE(value)->tp_as_number;
    switch ((fe_kind)column->value.kind) {
    case FE_F32:
    case FE_F64:
        return PyIndex_Check(value)
               || (number != NULL && number->nb_float != NULL);
    case FE_BOOL8:
        return PyBool_Check(value);
    case FE_BYTES:
        return PyBytes_Check(value);
    case FE_STR:
        return PyUnicode_Check(value);
    default:
        return PyIndex_Check(value);
    }
}

static int
convert_text(const table_column *column, PyObject *qualname, PyObject *value,
             table_value *out)
{
    out->text = table_text_of(column, qualname, value, &out->size);
    if (out->text == NULL) {
        return -1;
    }
    out->owned = column->shape == COLUMN_CODED
                     ? PyUnicode_FromObject(value) /* an exact str */
                     : Py_NewRef(value);
    return out->owned != NULL ? 0 : -1;
}

static int
convert_number(const table_column *column, PyObject *qualname, PyObject *value,
               table_value *out)
{
    int status = records_store(qualname, &column->value, out->bytes, value);
    if (status < 0 && column->nullable
        && (PyLong_CheckExact(value) || PyFloat_CheckExact(value))) {
        /* the error is the conversion's own: let it say "| None" too */
        PyObject *error =
            PyErr_ExceptionMatches(PyExc_OverflowError) ? PyExc_OverflowError
            : PyErr_ExceptionMatches(PyExc_ValueError)  ? PyExc_ValueError
                                                        : NULL;
        if (error != NULL) {
            PyErr_Clear(); /* OverflowError or ValueError, said anew */
            table_refuse(error, qualname, column, value);
        }
    }
    return status;
}

int
table_convert(const table_column *column, PyObject *qualname, PyObject *value,
              table_value *out)
{
    *out = (table_value){.null = false};
    if (column->nullable) {
        if (value == Py_None) {
            out->null = true;
            return 0;
        }
        if (!right_type(column, value)) {
            return table_refuse(PyExc_TypeError, qualname, column, value);
        }
    }
    if (column->shape == COLUMN_TEXT || column->shape == COLUMN_CODED) {
        return convert_text(column, qualname, value, out);
    }
    if (column->value.kind != FE_BYTES) {
        return convert_number(column, qualname, value, out);
    }
    if (!PyBytes_Check(value)
        || PyBytes_GET_SIZE(value) != (Py_ssize_t)column->width) {
        return table_refuse(PyBytes_Check(value) ? PyExc_ValueError
                                                 : PyExc_TypeError,
                            qualname, column, value);
    }
    out->text = PyBytes_AS_STRING(value);
    out->owned = Py_NewRef(value);
    return 0;
}

/* A value where a record or a row keeps it unboxed; text from memory of
 * somebody else may be any bytes.
 */
static int
convert_unboxed(const table_object *self, const table_column *column,
                const char *data, table_value *out, const char *function)
{
    const record_field *field = column->field;
    const char *at = data + field->offset - RECORDS_HEADER;
    *out = (table_value){.text = NULL};
    if (field->kind == FE_STR) {
        out->text = at;
        out->size = fe_text_length(at, field->size);
        bool ascii = fe_text_is_ascii(at, out->size);
        if (!ascii || column->shape == COLUMN_CODED) {
            PyObject *text = fe_load_unboxed(at, field);
            if (text == NULL) {
                return records_refuse_text(self->cls->plan->qualname, field,
                                           self->length, function);
            }
            out->owned = text;
        }
    }
    else if (field->kind == FE_BYTES) {
        out->text = at;
    }
    else {
        memcpy(out->bytes, at, field->size);
    }
    return 0;
}

/* The object slots of a record. Runs Python code. */
static int
convert_slots(const table_object *self, PyObject *record, table_value *values)
{
    const table_schema *schema = self->schema;
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        const record_field *field = schema->columns[i].field;
        if (field->kind != FE_OBJECT) {
            continue;
        }
        PyObject *value = Py_XNewRef(FE_FIELD_OBJECT(record, field));
        if (value == NULL) {
            records_unset(record, field);
            return -1;
        }
        int status = table_convert(
            &schema->columns[i], self->cls->plan->qualname, value, &values[i]);
        Py_DECREF(value);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* Unboxed fields of a record or row, whose bytes are at `data`. */
static int
convert_fields(const table_object *self, const char *data, table_value *values,
               const char *function)
{
    const table_schema *schema = self->schema;
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        const record_field *field = schema->columns[i].field;
        if (field->kind != FE_OBJECT
            && convert_unboxed(self, &schema->columns[i], data, &values[i],
                               function)
                   < 0) {
            return -1;
        }
    }
    return 0;
}

static int
convert_tuple(const table_object *self, PyObject *tuple, table_value *values,
              const char *function)
{
    const table_schema *schema = self->schema;
    PyObject *qualname = self->cls->plan->qualname;
    if (PyTuple_GET_SIZE(tuple) != schema->count) {
        PyErr_Format(PyExc_ValueError,
                     "%s: a row of %U has %zd values, got %zd", function,
                     qualname, schema->count, PyTuple_GET_SIZE(tuple));
        return -1;
    }
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        PyObject *value = PyTuple_GET_ITEM(tuple, i);
        if (records_check_cell(self->cls->plan, i, value) < 0
            || table_convert(&schema->columns[i], qualname, value, &values[i])
                   < 0) {
            return -1;
        }
    }
    return 0;
}

/* *data: the bytes of unboxed fields, if the row has such. They are taken
 * again after all code has run, for it may change them.
 */
static int
convert_row(const table_object *self, PyObject *row, table_value *values,
            const char **data, const char *function)
{
    *data = NULL;
    if (Py_IS_TYPE(row, &self->cls->heap.ht_type)) {
        *data = (const char *)row + RECORDS_HEADER;
        return convert_slots(self, row, values) < 0
                   ? -1
                   : convert_fields(self, *data, values, function);
    }
    if (PyTuple_Check(row)) {
        return convert_tuple(self, row, values, function);
    }
    const char *bytes = row_bytes(self->cls->state, row, self->cls);
    if (bytes == NULL) {
        records_refuse_given(self->cls->plan, function, "",
                             ", a Row of it or a tuple", row);
        return -1;
    }
    *data = bytes;
    return convert_fields(self, bytes, values, function);
}

/* ---------------------------------------------------------------- tail */

static size_t
text_used(const table_chunk *chunk, Py_ssize_t column)
{
    const table_cells *cells = &chunk->cells[column];
    return (size_t)FE_READ(int32_t, cells->values->data
                                        + 4 * (cells->offset + chunk->length));
}

static bool
has_room(const table_object *self, const table_chunk *chunk, Py_ssize_t rows,
         const size_t *texts)
{
    if (rows > chunk->room - chunk->length) {
        return false;
    }
    for (Py_ssize_t i = 0; texts != NULL && i < self->schema->count; i++) {
        if (texts[i] == 0 || self->schema->columns[i].shape != COLUMN_TEXT) {
            continue;
        }
        const table_buffer *text = chunk->cells[i].text;
        size_t room = text != NULL ? text->room : 0;
        if (texts[i] > room - text_used(chunk, i)) {
            return false;
        }
    }
    return true;
}

/* Text for as many rows as fit, going by what the last chunk's rows had, but
 * not much more than all of these together.
 */
static int
reserve_texts(const table_object *self, table_chunk *chunk,
              const size_t *texts)
{
    const table_chunk *last =
        self->chunk_count > 0 ? &self->chunks[self->chunk_count - 1] : NULL;
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        if (self->schema->columns[i].shape != COLUMN_TEXT) {
            continue;
        }
        size_t rows = (size_t)chunk->room, room = rows * TEXT_GUESS;
        if (last != NULL && last->length > 0) {
            size_t had = table_text_bytes(&last->cells[i], 0, last->length);
            size_t each = had / (size_t)last->length * 5 / 4 + 1;
            size_t most = had + FIRST_BYTES;
            room = each < most / rows ? each * rows : most;
        }
        room = room < TABLE_TEXT_MAX ? room : TABLE_TEXT_MAX;
        room = texts != NULL && texts[i] > room ? texts[i] : room;
        if (table_text_reserve(&chunk->cells[i], 0, room) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Rows of a new chunk: half of what is there, so that there are few chunks
 * and little waste; at first as many as a moderate block holds.
 */
static Py_ssize_t
ample_rows(const table_object *self, Py_ssize_t needed)
{
    size_t width = 1;
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        width += self->schema->columns[i].width;
    }
    Py_ssize_t rows = (Py_ssize_t)(FIRST_BYTES / width);
    rows = rows < FIRST_ROWS ? rows : FIRST_ROWS;
    rows = rows > self->length / 2 ? rows : self->length / 2;
    return rows > needed ? rows : needed;
}

table_chunk *
table_tail(table_object *self, Py_ssize_t rows, const size_t *texts)
{
    table_chunk *last =
        self->chunk_count > 0 ? &self->chunks[self->chunk_count - 1] : NULL;
    if (FE_LIKELY(last != NULL && has_room(self, last, rows, texts))) {
        return last;
    }
    table_chunk fresh;
    if (table_chunk_init(&fresh, self, ample_rows(self, rows)) < 0) {
        return NULL;
    }
    if (reserve_texts(self, &fresh, texts) < 0) {
        table_chunk_drop(&fresh, self->schema->count);
        return NULL;
    }
    return table_adopt(self, &fresh) == 0
               ? &self->chunks[self->chunk_count - 1]
               : NULL;
}

/* -------------------------------------------------------------- commit */

static int
settle_codes(table_object *self, table_value *values)
{
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        table_dictionary *dictionary = self->coding[i].dictionary;
        if (dictionary == NULL || values[i].null) {
            continue;
        }
        Py_ssize_t code = table_dictionary_code(dictionary, values[i].owned);
        if (code < 0 || table_codes_widen(self, i, code + 1) < 0) {
            return -1;
        }
        values[i].code = (int32_t)code;
    }
    return 0;
}

/* Texts that are still in the record, once more. */
static int
refresh_texts(const table_object *self, const char *data, table_value *values,
              const char *function)
{
    for (Py_ssize_t i = 0; data != NULL && i < self->schema->count; i++) {
        const table_column *column = &self->schema->columns[i];
        if (column->shape != COLUMN_TEXT || column->field->kind != FE_STR) {
            continue;
        }
        Py_CLEAR(values[i].owned);
        if (convert_unboxed(self, column, data, &values[i], function) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
commit(table_object *self, const char *data, table_value *values,
       size_t *texts, const char *function)
{
    const table_schema *schema = self->schema;
    if (settle_codes(self, values) < 0
        || refresh_texts(self, data, values, function) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        texts[i] = (size_t)values[i].size;
    }
    table_chunk *tail = table_tail(self, 1, texts);
    if (tail == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        if (values[i].null
            && table_validity_make(&tail->cells[i], tail->length, tail->room)
                   < 0) {
            return -1;
        }
    }
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        table_cells_put(&schema->columns[i], &tail->cells[i], tail->length,
                        self->coding[i].width, &values[i]);
    }
    tail->length++;
    self->length++;
    return 0;
}

int
table_append(table_object *self, PyObject *row, const char *function)
{
    table_value local[LOCAL_VALUES], *values = local;
    size_t local_texts[LOCAL_VALUES], *texts = local_texts;
    Py_ssize_t count = self->schema->count;
    int status = -1;
    if (count > LOCAL_VALUES) {
        values = PyMem_Malloc((size_t)count * sizeof(*values));
        texts = PyMem_Malloc((size_t)count * sizeof(*texts));
        if (values == NULL || texts == NULL) {
            PyErr_NoMemory();
            goto done;
        }
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        values[i].owned = NULL;
    }
    const char *data;
    if (convert_row(self, row, values, &data, function) == 0) {
        status = commit(self, data, values, texts, function);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_XDECREF(values[i].owned);
    }
done:
    if (values != local) {
        PyMem_Free(values);
        PyMem_Free(texts);
    }
    return status;
}
