/* SPDX-License-Identifier: MIT
 *
 * RecordTable: records as columns. The table, its chunks, items and slices.
 *
 * Growing adds to the last chunk, behind what it has, or adds a chunk; what
 * is there stays where it is. So a slice, a column and an export need no
 * permission from the table, and the table none from them.
 */
#include "record_columns.h"
#include "record_table.h"

/* -------------------------------------------------------------- making */

static table_object *
table_alloc(records_state *state, record_class *cls,
            const table_schema *schema)
{
    table_object *self = PyObject_GC_New(table_object, state->table_type);
    if (self == NULL) {
        return NULL;
    }
    self->cls = (record_class *)Py_NewRef((PyObject *)cls);
    self->schema = schema;
    self->chunks = NULL;
    self->chunk_count = self->chunk_room = 0;
    self->length = self->hint = 0;
    self->weak_list = NULL;
    self->coding = PyMem_Calloc((size_t)schema->count, sizeof(table_coding));
    PyObject_GC_Track(self);
    if (self->coding == NULL) {
        PyErr_NoMemory();
        Py_CLEAR(self);
    }
    return self;
}

table_object *
table_new(records_state *state, PyObject *cls, const char *function)
{
    if (!records_check_class(state, cls, function)) {
        return NULL;
    }
    const table_schema *schema = table_schema_of(RECORD_CLASS(cls), function);
    table_object *self =
        schema != NULL ? table_alloc(state, RECORD_CLASS(cls), schema) : NULL;
    for (Py_ssize_t i = 0; self != NULL && i < schema->count; i++) {
        if (schema->columns[i].shape != COLUMN_CODED) {
            continue;
        }
        self->coding[i].width = 1;
        self->coding[i].dictionary = table_dictionary_new(state);
        if (self->coding[i].dictionary == NULL) {
            Py_CLEAR(self);
        }
    }
    return self;
}

/* new: an empty table with the same dictionaries */
static table_object *
table_sibling(const table_object *from)
{
    table_object *self =
        table_alloc(from->cls->state, from->cls, from->schema);
    for (Py_ssize_t i = 0; self != NULL && i < from->schema->count; i++) {
        self->coding[i] = from->coding[i];
        Py_XINCREF((PyObject *)self->coding[i].dictionary);
    }
    return self;
}

/* Memory of others may run Python code when it goes: the list is out of sight
 * by then.
 */
static void
drop_chunks(table_chunk *chunks, Py_ssize_t count, Py_ssize_t columns)
{
    for (Py_ssize_t k = 0; k < count; k++) {
        table_chunk_drop(&chunks[k], columns);
    }
    PyMem_Free(chunks);
}

void
table_forget_chunks(table_object *self)
{
    table_chunk *chunks = self->chunks;
    Py_ssize_t count = self->chunk_count;
    self->chunks = NULL;
    self->chunk_count = self->chunk_room = 0;
    self->length = self->hint = 0;
    drop_chunks(chunks, count, self->schema->count);
}

static int
table_tp_traverse(table_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->cls);
    return 0;
}

static void
table_tp_dealloc(table_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weak_list != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    table_forget_chunks(self);
    for (Py_ssize_t i = 0; self->coding != NULL && i < self->schema->count;
         i++) {
        Py_XDECREF((PyObject *)self->coding[i].dictionary);
    }
    PyMem_Free(self->coding);
    Py_DECREF(self->cls);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* -------------------------------------------------------------- chunks */

int
table_adopt(table_object *self, table_chunk *chunk)
{
    if (self->chunk_count == self->chunk_room) {
        Py_ssize_t room = self->chunk_room + (self->chunk_room >> 1) + 4;
        table_chunk *chunks =
            PyMem_Realloc(self->chunks, (size_t)room * sizeof(*chunks));
        if (chunks == NULL) {
            PyErr_NoMemory();
            table_chunk_drop(chunk, self->schema->count);
            return -1;
        }
        self->chunks = chunks;
        self->chunk_room = room;
    }
    Py_ssize_t at = self->chunk_count;
    if (at > 0 && self->chunks[at - 1].length == 0) {
        table_chunk_drop(&self->chunks[--at], self->schema->count);
    }
    chunk->start = self->length;
    self->chunks[at] = *chunk;
    self->chunk_count = at + 1;
    self->length += chunk->length;
    chunk->cells = NULL;
    chunk->length = chunk->room = 0;
    return 0;
}

Py_ssize_t
table_find_chunk(table_object *self, Py_ssize_t row)
{
    const table_chunk *chunks = self->chunks;
    Py_ssize_t hint = self->hint;
    if (FE_LIKELY(hint < self->chunk_count && row >= chunks[hint].start
                  && row - chunks[hint].start < chunks[hint].length)) {
        return hint;
    }
    Py_ssize_t low = 0, high = self->chunk_count - 1;
    while (low < high) {
        Py_ssize_t middle = low + (high - low + 1) / 2;
        if (chunks[middle].start <= row) {
            low = middle;
        }
        else {
            high = middle - 1;
        }
    }
    self->hint = low;
    return low;
}

/* Texts of all chunks fit one; OverflowError if not. */
static int
join_texts(const table_object *self, table_chunk *joined)
{
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        if (self->schema->columns[i].shape != COLUMN_TEXT) {
            continue;
        }
        size_t bytes = 0;
        for (Py_ssize_t k = 0; k < self->chunk_count; k++) {
            bytes += table_text_bytes(&self->chunks[k].cells[i], 0,
                                      self->chunks[k].length);
        }
        if (bytes > TABLE_TEXT_MAX) {
            PyErr_Format(PyExc_OverflowError,
                         "%U.%U: %zu bytes of text are more than one chunk "
                         "can have; use the stream",
                         self->cls->plan->qualname,
                         self->schema->columns[i].value.name, bytes);
            return -1;
        }
        if (bytes > 0 && table_text_reserve(&joined->cells[i], 0, bytes) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Copy the chunks of a table that nobody else sees into one. */
static int
join(table_object *self)
{
    static const table_code_map same = {NULL, 0};
    const table_schema *schema = self->schema;
    table_chunk joined;
    if (table_chunk_init(&joined, self, self->length) < 0) {
        return -1;
    }
    int status = join_texts(self, &joined);
    for (Py_ssize_t k = 0; status == 0 && k < self->chunk_count; k++) {
        const table_chunk *from = &self->chunks[k];
        for (Py_ssize_t i = 0; status == 0 && i < schema->count; i++) {
            uint8_t width = self->coding[i].width;
            status = table_cells_append(&schema->columns[i], &joined.cells[i],
                                        joined.length, joined.room, width,
                                        &from->cells[i], 0, from->length,
                                        width, same);
        }
        joined.length += status == 0 ? from->length : 0;
    }
    if (status < 0) {
        table_chunk_drop(&joined, schema->count);
        return -1;
    }
    table_forget_chunks(self);
    return table_adopt(self, &joined);
}

table_object *
table_joined(table_object *self)
{
    if (self->chunk_count <= 1) {
        return (table_object *)Py_NewRef((PyObject *)self);
    }
    const table_schema *schema = self->schema;
    table_object *whole =
        (table_object *)table_slice(self, 0, 1, self->length);
    if (whole == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(whole);
    table_chunk *chunks = PyMem_Malloc(sizeof(*chunks));
    if (chunks == NULL) {
        PyErr_NoMemory();
    }
    if (chunks == NULL || join(whole) < 0
        || table_chunk_share(chunks, &whole->chunks[0], schema->count, 0,
                             whole->length)
               < 0) {
        PyMem_Free(chunks);
        Py_DECREF(whole);
        return NULL;
    }
    /* no Python code has run since the slice was made */
    table_chunk *old = self->chunks;
    Py_ssize_t count = self->chunk_count;
    self->chunks = chunks;
    self->chunk_count = self->chunk_room = 1;
    self->hint = 0;
    drop_chunks(old, count, schema->count); /* here it may */
    return whole;
}

/* --------------------------------------------------------------- items */

static int
load_unboxed(const table_column *column, const table_coding *coding,
             const table_cells *cells, Py_ssize_t row, PyObject *qualname,
             char *to)
{
    Py_ssize_t at = cells->offset + row;
    const uint8_t *data = cells->values->data;
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        memcpy(to, data + at * column->width, column->width);
        return 0;
    case COLUMN_BITS:
        *to = table_bit(data, at);
        return 0;
    case COLUMN_TEXT: {
        Py_ssize_t size; /* at most the field's: checked on the way in */
        const char *text = table_text_at(cells, row, &size);
        memcpy(to, text, (size_t)size);
        return 0; /* the rest is zero already */
    }
    case COLUMN_CODED:
        break;
    }
    PyObject *text = table_cell_load(column, coding, cells, row);
    int status =
        text != NULL ? records_store(qualname, column->field, to, text) : -1;
    Py_XDECREF(text);
    return status;
}

/* new: the record of a row. Making it may run the collector, and so code that
 * joins the chunks: they are looked up after that.
 */
static PyObject *
record_of(table_object *self, Py_ssize_t row)
{
    record_class *cls = self->cls;
    PyObject *record = records_alloc_zeroed(cls);
    if (record == NULL) {
        return NULL;
    }
    const table_chunk *chunk = &self->chunks[table_find_chunk(self, row)];
    row -= chunk->start;
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        const table_column *column = &self->schema->columns[i];
        const table_cells *cells = &chunk->cells[i];
        const record_field *field = column->field;
        int status;
        if (field->kind == FE_OBJECT) {
            PyObject *value =
                table_cell_load(column, &self->coding[i], cells, row);
            FE_FIELD_OBJECT(record, field) = value;
            status = value != NULL ? 0 : -1;
        }
        else {
            status =
                load_unboxed(column, &self->coding[i], cells, row,
                             cls->plan->qualname, FE_FIELD_AT(record, field));
        }
        if (status < 0) {
            records_discard(record);
            return NULL;
        }
    }
    records_track(cls, record);
    return record;
}

static PyObject *
table_sq_item(table_object *self, Py_ssize_t row)
{
    if (row < 0 || row >= self->length) {
        PyErr_SetString(PyExc_IndexError, "RecordTable index out of range");
        return NULL;
    }
    return record_of(self, row);
}

static Py_ssize_t
table_sq_length(table_object *self)
{
    return self->length;
}

/* Rows [start, stop) in the same memory. */
static int
share_rows(table_object *to, const table_object *from, Py_ssize_t start,
           Py_ssize_t stop)
{
    for (Py_ssize_t k = 0; k < from->chunk_count; k++) {
        const table_chunk *chunk = &from->chunks[k];
        Py_ssize_t low = start > chunk->start ? start : chunk->start;
        Py_ssize_t end = chunk->start + chunk->length;
        Py_ssize_t high = stop < end ? stop : end;
        if (low >= high) {
            continue;
        }
        table_chunk shared;
        if (table_chunk_share(&shared, chunk, from->schema->count,
                              low - chunk->start, high - low)
                < 0
            || table_adopt(to, &shared) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Every step-th row, copied. */
static int
gather_rows(table_object *to, table_object *from, Py_ssize_t start,
            Py_ssize_t step, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t row = start + i * step;
        const table_chunk *chunk = &from->chunks[table_find_chunk(from, row)];
        if (table_append_cells(to, chunk, row - chunk->start, 1, from->coding,
                               NULL)
            < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
table_slice(table_object *self, Py_ssize_t start, Py_ssize_t step,
            Py_ssize_t count)
{
    table_object *slice = table_sibling(self);
    if (slice == NULL) {
        return NULL;
    }
    int status = step == 1 ? share_rows(slice, self, start, start + count)
                           : gather_rows(slice, self, start, step, count);
    if (status < 0) {
        Py_CLEAR(slice);
    }
    return (PyObject *)slice;
}

static PyObject *
table_mp_subscript(table_object *self, PyObject *key)
{
    if (PySlice_Check(key)) {
        Py_ssize_t start, stop, step;
        if (PySlice_Unpack(key, &start, &stop, &step) < 0) {
            return NULL;
        }
        Py_ssize_t count =
            PySlice_AdjustIndices(self->length, &start, &stop, step);
        return table_slice(self, start, step, count);
    }
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError,
                     "RecordTable indices must be integers or slices, not %s",
                     Py_TYPE(key)->tp_name);
        return NULL;
    }
    Py_ssize_t row = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (row == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return table_sq_item(self, row < 0 ? row + self->length : row);
}

/* ------------------------------------------------------------- compare */

/* Are two values, neither null, equal? */
static bool
values_equal(const table_column *column, const table_cells *a, Py_ssize_t i,
             PyObject *a_values, uint8_t a_width, const table_cells *b,
             Py_ssize_t j, PyObject *b_values, uint8_t b_width)
{
    const uint8_t *x = a->values->data, *y = b->values->data;
    Py_ssize_t in_x = a->offset + i, in_y = b->offset + j;
    int equal;
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        (void)records_compare_unboxed(
            &column->value, (const char *)x + in_x * column->width,
            (const char *)y + in_y * column->width, Py_LT, &equal);
        return equal;
    case COLUMN_BITS:
        return table_bit(x, in_x) == table_bit(y, in_y);
    case COLUMN_TEXT: {
        Py_ssize_t size, other;
        const char *text = table_text_at(a, i, &size);
        const char *than = table_text_at(b, j, &other);
        return size == other && memcmp(text, than, (size_t)size) == 0;
    }
    case COLUMN_CODED:
        break;
    }
    PyObject *text =
        PyList_GET_ITEM(a_values, (Py_ssize_t)table_code_at(x, a_width, in_x));
    PyObject *than =
        PyList_GET_ITEM(b_values, (Py_ssize_t)table_code_at(y, b_width, in_y));
    return text == than || PyUnicode_Compare(text, than) == 0;
}

static bool
there(const table_cells *cells, Py_ssize_t row)
{
    return cells->validity == NULL
           || table_bit(cells->validity->data, cells->offset + row);
}

static bool
columns_equal(table_object *a, table_object *b, Py_ssize_t column)
{
    const table_coding *in_a = &a->coding[column], *in_b = &b->coding[column];
    PyObject *a_values =
        in_a->dictionary != NULL ? in_a->dictionary->values : NULL;
    PyObject *b_values =
        in_b->dictionary != NULL ? in_b->dictionary->values : NULL;
    for (Py_ssize_t row = 0; row < a->length; row++) {
        const table_chunk *x = &a->chunks[table_find_chunk(a, row)];
        const table_chunk *y = &b->chunks[table_find_chunk(b, row)];
        const table_cells *p = &x->cells[column], *q = &y->cells[column];
        bool valid = there(p, row - x->start);
        if (valid != there(q, row - y->start)
            || (valid
                && !values_equal(&a->schema->columns[column], p,
                                 row - x->start, a_values, in_a->width, q,
                                 row - y->start, b_values, in_b->width))) {
            return false;
        }
    }
    return true;
}

static PyObject *
table_tp_richcompare(PyObject *op, PyObject *other, int how)
{
    if ((how != Py_EQ && how != Py_NE) || !Py_IS_TYPE(other, Py_TYPE(op))) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    table_object *a = (table_object *)op, *b = (table_object *)other;
    bool equal = a->cls == b->cls && a->length == b->length;
    for (Py_ssize_t i = 0; equal && i < a->schema->count; i++) {
        equal = columns_equal(a, b, i);
    }
    return PyBool_FromLong(equal == (how == Py_EQ));
}

static PyObject *
table_tp_repr(table_object *self)
{
    return PyUnicode_FromFormat("RecordTable(%U, %zd row%s)",
                                self->cls->plan->qualname, self->length,
                                self->length == 1 ? "" : "s");
}

/* ------------------------------------------------------------- methods */

PyDoc_STRVAR(
    table_append__doc__,
    "append($self, row, /)\n--\n\n"
    "Add a row at the end: a record of the class, a Row of a RecordArray of\n"
    "the class, or a tuple with a value for each field.\n\n"
    "Raises TypeError, OverflowError or ValueError naming the field for a\n"
    "value that its column does not take; the table is then as it was.");

static PyObject *
table_append_method(PyObject *self, PyObject *row)
{
    if (table_append((table_object *)self, row, "RecordTable.append()") < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    table_extend__doc__,
    "extend($self, rows, /)\n--\n\n"
    "Add many rows at the end. Takes a RecordTable of the class, whose "
    "memory\n"
    "is then shared, a RecordArray of the class, an Arrow object, a mapping\n"
    "of every field's name to a column (a buffer of the field's format, or\n"
    "any iterable of values), or an iterable of rows as append() takes them.\n"
    "\nEither all rows are added or none. Raises TypeError, OverflowError or\n"
    "ValueError for what does not fit.");

static PyObject *
table_extend_method(PyObject *self, PyObject *rows)
{
    if (table_extend((table_object *)self, rows, "RecordTable.extend()") < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(table_column__doc__,
             "column($self, name, /)\n--\n\n"
             "One column as a sequence of values that sees the table grow; "
             "numbers\nwithout nulls give their memory as a buffer. Raises "
             "KeyError.");

static PyObject *
table_column_method(PyObject *self, PyObject *name)
{
    return column_new((table_object *)self, name);
}

static PyObject *
make_from(PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames, const fe_sig *sig, const char *function,
          int (*fill)(table_object *, PyObject *, const char *))
{
    PyObject *values[2];
    if (fe_args_unpack(sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    table_object *self =
        table_new(records_state_of_type(type), values[0], function);
    if (self == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(self); /* gc.get_objects() does not give it yet */
    if (fill(self, values[1], function) < 0 || table_check_rows(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

PyDoc_STRVAR(table_from_columns__doc__,
             "from_columns($type, record_class, /, mapping)\n--\n\n"
             "A table of records from a mapping of every field's name "
             "to a\ncolumn: a buffer of the field's format, or any iterable "
             "of values.");

static PyObject *
table_from_columns(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    static const char *const names[] = {"cls", "mapping", NULL};
    static const fe_sig sig = {"RecordTable.from_columns", names, 2, 2};
    return make_from((PyTypeObject *)type, args, nargs, kwnames, &sig,
                     "RecordTable.from_columns()", table_extend_columns);
}

PyDoc_STRVAR(
    table_from_arrow__doc__,
    "from_arrow($type, record_class, /, obj)\n--\n\n"
    "A table of records from an object with __arrow_c_stream__ or\n"
    "__arrow_c_array__: a pyarrow, Polars, pandas or DuckDB table and "
    "others.\n"
    "Columns go by name. Memory of the field's own type is shared; other\n"
    "integer widths, string layouts and dictionaries are converted.\n\n"
    "Raises ValueError for missing or unknown columns and for nulls in a\n"
    "field without None, TypeError for other types, OverflowError for\n"
    "numbers out of range.");

static PyObject *
table_from_arrow(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    static const char *const names[] = {"cls", "obj", NULL};
    static const fe_sig sig = {"RecordTable.from_arrow", names, 2, 2};
    return make_from((PyTypeObject *)type, args, nargs, kwnames, &sig,
                     "RecordTable.from_arrow()", arrow_import);
}

static PyObject *
table_copy(table_object *self, PyObject *Py_UNUSED(ignored))
{
    return table_slice(self, 0, 1, self->length);
}

static PyObject *
table_deepcopy(table_object *self, PyObject *Py_UNUSED(memo))
{
    return table_slice(self, 0, 1, self->length);
}

/* Memory of ours; somebody else's is theirs to count. */
static size_t
buffer_room(const table_buffer *buffer)
{
    return buffer != NULL && buffer->let_go == NULL ? buffer->room : 0;
}

static PyObject *
table_sizeof(table_object *self, PyObject *Py_UNUSED(ignored))
{
    size_t size = (size_t)Py_TYPE(self)->tp_basicsize
                  + (size_t)self->chunk_room * sizeof(table_chunk)
                  + (size_t)self->schema->count * sizeof(table_coding);
    for (Py_ssize_t k = 0; k < self->chunk_count; k++) {
        for (Py_ssize_t i = 0; i < self->schema->count; i++) {
            const table_cells *cells = &self->chunks[k].cells[i];
            size += sizeof(*cells) + buffer_room(cells->validity)
                    + buffer_room(cells->values) + buffer_room(cells->text);
        }
    }
    return PyLong_FromSize_t(size);
}

/* Bytes that the rows of one column of a chunk need. */
static size_t
cells_bytes(const table_column *column, uint8_t code_width,
            const table_cells *cells, Py_ssize_t length)
{
    size_t count = (size_t)length, bits = (count + 7) / 8;
    size_t size = cells->validity != NULL ? bits : 0;
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        return size + count * column->width;
    case COLUMN_BITS:
        return size + bits;
    case COLUMN_TEXT:
        return size + 4 * (count + 1) + table_text_bytes(cells, 0, length);
    case COLUMN_CODED:
        break;
    }
    return size + count * code_width;
}

static PyObject *
table_get_nbytes(table_object *self, void *Py_UNUSED(closure))
{
    size_t size = 0;
    for (Py_ssize_t k = 0; k < self->chunk_count; k++) {
        for (Py_ssize_t i = 0; i < self->schema->count; i++) {
            size +=
                cells_bytes(&self->schema->columns[i], self->coding[i].width,
                            &self->chunks[k].cells[i], self->chunks[k].length);
        }
    }
    return PyLong_FromSize_t(size);
}

static PyGetSetDef table_getset[] = {
    {"nbytes", (getter)table_get_nbytes, NULL,
     "Bytes of all rows, without dictionaries.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef table_members[] = {
    {"record_class", Py_T_OBJECT_EX, offsetof(table_object, cls), Py_READONLY,
     "Class of the records."},
    {"chunk_count", Py_T_PYSSIZET, offsetof(table_object, chunk_count),
     Py_READONLY, "Pieces that the memory of a column comes in."},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(table_object, weak_list),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef table_methods[] = {
    {"append", FE_METHOD(table_append_method), METH_O, table_append__doc__},
    {"extend", FE_METHOD(table_extend_method), METH_O, table_extend__doc__},
    {"column", FE_METHOD(table_column_method), METH_O, table_column__doc__},
    {"from_columns", FE_METHOD(table_from_columns),
     METH_CLASS | METH_FASTCALL | METH_KEYWORDS, table_from_columns__doc__},
    {"from_arrow", FE_METHOD(table_from_arrow),
     METH_CLASS | METH_FASTCALL | METH_KEYWORDS, table_from_arrow__doc__},
    {"__arrow_c_schema__", FE_METHOD(arrow_table_schema), METH_NOARGS,
     "An \"arrow_schema\" capsule (Arrow PyCapsule interface)."},
    {"__arrow_c_array__", FE_METHOD(arrow_table_array),
     METH_FASTCALL | METH_KEYWORDS,
     "__arrow_c_array__($self, /, requested_schema=None)\n--\n\n"
     "\"arrow_schema\" and \"arrow_array\" capsules (Arrow PyCapsule\n"
     "interface). Joins the chunks first, once."},
    {"__arrow_c_stream__", FE_METHOD(arrow_table_stream),
     METH_FASTCALL | METH_KEYWORDS,
     "__arrow_c_stream__($self, /, requested_schema=None)\n--\n\n"
     "An \"arrow_array_stream\" capsule (Arrow PyCapsule interface)."},
    {"__copy__", FE_METHOD(table_copy), METH_NOARGS,
     "A table of the same rows, which grows on its own."},
    {"__deepcopy__", FE_METHOD(table_deepcopy), METH_O,
     "A table of the same rows, which grows on its own."},
    {"__reduce_ex__", FE_METHOD(table_reduce_ex), METH_O, "Pickle support."},
    {"__sizeof__", FE_METHOD(table_sizeof), METH_NOARGS,
     "Size in bytes, with memory of its own or of other tables; not with "
     "what\n"
     "came from Arrow without a copy."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "RecordTable[SensorReading], for annotations."},
    {NULL, NULL, 0, NULL},
};

static PyObject *
table_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char function[] = "RecordTable()";
    static char *names[] = {FE_TEXT("cls"), FE_TEXT("columns"), NULL};
    PyObject *cls, *columns = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:RecordTable", names,
                                     &cls, &columns)) {
        return NULL;
    }
    table_object *self = table_new(records_state_of_type(type), cls, function);
    if (self != NULL && columns != Py_None
        && table_extend(self, columns, function) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

PyDoc_STRVAR(
    table__doc__,
    "RecordTable(cls, columns=None)\n--\n\n"
    "Records of one class as columns, in the memory layout of Apache Arrow:\n"
    "Polars, DuckDB, pyarrow and pandas read it without a copy. columns: "
    "what\n"
    "extend() takes.\n\n"
    "Storage annotations, int, float, bool, str, bytes, Annotated[str, "
    "Coded]\n"
    "(codes into a dictionary), and each of these with | None have a column\n"
    "type; any other annotation is a TypeError naming the field. A table "
    "only\n"
    "grows, and growing never moves what is there; a slice shares memory and\n"
    "grows on its own.");

static PyType_Slot table_slots[] = {
    {Py_tp_doc, FE_SLOT(table__doc__)},
    {Py_tp_new, FE_SLOT(table_tp_new)},
    {Py_tp_traverse, FE_SLOT(table_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(table_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(table_tp_repr)},
    {Py_tp_iter, FE_SLOT(PySeqIter_New)},
    {Py_tp_richcompare, FE_SLOT(table_tp_richcompare)},
    {Py_tp_hash, FE_SLOT(PyObject_HashNotImplemented)},
    {Py_tp_methods, FE_SLOT(table_methods)},
    {Py_tp_getset, FE_SLOT(table_getset)},
    {Py_tp_members, FE_SLOT(table_members)},
    {Py_sq_length, FE_SLOT(table_sq_length)},
    {Py_sq_item, FE_SLOT(table_sq_item)},
    {Py_mp_length, FE_SLOT(table_sq_length)},
    {Py_mp_subscript, FE_SLOT(table_mp_subscript)},
    {0, NULL},
};

PyType_Spec table_spec = {
    .name = "ferrule.records.RecordTable",
    .basicsize = sizeof(table_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_SEQUENCE,
    .slots = table_slots,
};
