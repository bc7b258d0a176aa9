/* SPDX-License-Identifier: MIT
 *
 * A column of a table as a sequence of values, a buffer and an Arrow array.
 * It holds the table and no memory, so it sees the table grow.
 */
#include "record_array.h"
#include "record_table.h"

PyObject *
column_new(table_object *table, PyObject *name)
{
    static const char function[] = "RecordTable.column()";
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "%s wants a field name, got %s %.100R",
                     function, Py_TYPE(name)->tp_name, name);
        return NULL;
    }
    const record_plan *plan = table->cls->plan;
    const record_field *field = records_find_field(plan, name);
    if (field == NULL) {
        PyErr_Format(PyExc_KeyError, "%s: %U has no field %R", function,
                     plan->qualname, name);
        return NULL;
    }
    column_object *self =
        PyObject_GC_New(column_object, table->cls->state->column_type);
    if (self != NULL) {
        self->table = (table_object *)Py_NewRef((PyObject *)table);
        self->index = field - plan->fields;
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

static const table_column *
column_of(const column_object *self)
{
    return &self->table->schema->columns[self->index];
}

static int
column_tp_traverse(column_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->table);
    return 0;
}

static void
column_tp_dealloc(column_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_DECREF(self->table);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* ------------------------------------------------------------- sequence */

static Py_ssize_t
column_sq_length(column_object *self)
{
    return self->table->length;
}

static PyObject *
column_sq_item(column_object *self, Py_ssize_t row)
{
    table_object *table = self->table;
    if (row < 0 || row >= table->length) {
        PyErr_SetString(PyExc_IndexError, "Column index out of range");
        return NULL;
    }
    const table_chunk *chunk = &table->chunks[table_find_chunk(table, row)];
    return table_cell_load(column_of(self), &table->coding[self->index],
                           &chunk->cells[self->index], row - chunk->start);
}

/* new: a list of `count` values */
static PyObject *
column_list(column_object *self, Py_ssize_t start, Py_ssize_t step,
            Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *value = column_sq_item(self, start + i * step);
        if (value == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, value);
    }
    return list;
}

static PyObject *
column_mp_subscript(column_object *self, PyObject *key)
{
    if (PySlice_Check(key)) {
        Py_ssize_t start, stop, step;
        if (PySlice_Unpack(key, &start, &stop, &step) < 0) {
            return NULL;
        }
        Py_ssize_t count =
            PySlice_AdjustIndices(self->table->length, &start, &stop, step);
        return column_list(self, start, step, count);
    }
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError,
                     "Column indices must be integers or slices, not %s",
                     Py_TYPE(key)->tp_name);
        return NULL;
    }
    Py_ssize_t row = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (row == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return column_sq_item(self, row < 0 ? row + self->table->length : row);
}

static PyObject *
column_tolist(column_object *self, PyObject *Py_UNUSED(ignored))
{
    return column_list(self, 0, 1, self->table->length);
}

static Py_ssize_t
count_nulls(const table_object *table, Py_ssize_t index)
{
    Py_ssize_t nulls = 0;
    for (Py_ssize_t k = 0; k < table->chunk_count; k++) {
        const table_chunk *chunk = &table->chunks[k];
        const table_cells *cells = &chunk->cells[index];
        if (cells->validity != NULL) {
            nulls += chunk->length
                     - table_bits_count(cells->validity->data, cells->offset,
                                        chunk->length);
        }
    }
    return nulls;
}

static PyObject *
column_tp_repr(column_object *self)
{
    return PyUnicode_FromFormat(
        "Column(%U.%U, %zd value%s)", self->table->cls->plan->qualname,
        column_of(self)->value.name, self->table->length,
        self->table->length == 1 ? "" : "s");
}

/* --------------------------------------------------------------- buffer */

/* Lives as long as one buffer: the numbers it points to, and the memory. */
typedef struct {
    table_buffer *values; /* owned */
    Py_ssize_t shape, stride;
    char format[ARRAY_FORMAT_ROOM];
} column_export;

static int
check_export(const column_object *self, const table_object *rows, int flags)
{
    const table_column *column = column_of(self);
    Py_ssize_t nulls = count_nulls(rows, self->index);
    PyObject *qualname = self->table->cls->plan->qualname;
    if (column->shape != COLUMN_FIXED) {
        static const char *const why[] = {
            [COLUMN_BITS] = "its values are single bits",
            [COLUMN_TEXT] = "its values differ in size",
            [COLUMN_CODED] = "its values are codes of a dictionary",
        };
        PyErr_Format(PyExc_BufferError, "%U.%U has no buffer: %s", qualname,
                     column->value.name, why[column->shape]);
        return -1;
    }
    if (nulls > 0) {
        PyErr_Format(PyExc_BufferError,
                     "%U.%U has no buffer: %zd of its values are null",
                     qualname, column->value.name, nulls);
        return -1;
    }
    if (flags & PyBUF_WRITABLE) {
        PyErr_Format(PyExc_BufferError,
                     "%U.%U: columns of a table are read-only", qualname,
                     column->value.name);
        return -1;
    }
    return 0;
}

/* Point the view at the column's only chunk, if there is one. */
static void
fill_view(Py_buffer *view, column_export *export, const table_object *rows,
          Py_ssize_t index, int flags)
{
    const table_chunk *chunk = rows->chunk_count > 0 ? &rows->chunks[0] : NULL;
    const table_cells *cells = chunk != NULL ? &chunk->cells[index] : NULL;
    const table_column *column = &rows->schema->columns[index];
    export->values = table_buffer_hold(cells != NULL ? cells->values : NULL);
    export->shape = chunk != NULL ? chunk->length : 0;
    export->stride = (Py_ssize_t)column->width;
    array_format_write((fe_kind)column->value.kind, column->width,
                       export->format);
    view->buf =
        cells != NULL
            ? (void *)(cells->values->data + cells->offset * export->stride)
            : export->format;
    view->len = export->shape * export->stride;
    view->itemsize = export->stride;
    view->readonly = 1;
    view->ndim = 1;
    view->format = flags & PyBUF_FORMAT ? export->format : NULL;
    view->shape = flags & PyBUF_ND ? &export->shape : NULL;
    view->strides =
        (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &export->stride : NULL;
    view->suboffsets = NULL;
    view->internal = export;
}

static int
column_bf_getbuffer(column_object *self, Py_buffer *view, int flags)
{
    view->obj = NULL;
    table_object *rows = table_joined(self->table);
    if (rows == NULL) {
        return -1;
    }
    column_export *export = NULL;
    if (check_export(self, rows, flags) == 0) {
        export = PyMem_Malloc(sizeof(*export));
        if (export == NULL) {
            PyErr_NoMemory();
        }
    }
    if (export != NULL) {
        fill_view(view, export, rows, self->index, flags);
        view->obj = Py_NewRef((PyObject *)self);
    }
    Py_DECREF(rows);
    return export != NULL ? 0 : -1;
}

static void
column_bf_releasebuffer(PyObject *Py_UNUSED(self), Py_buffer *view)
{
    column_export *export = view->internal;
    table_buffer_drop(export->values);
    PyMem_Free(export);
}

/* ----------------------------------------------------------------- type */

static PyObject *
column_get_name(column_object *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(column_of(self)->value.name);
}

static PyObject *
column_get_null_count(column_object *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(count_nulls(self->table, self->index));
}

static PyGetSetDef column_getset[] = {
    {"name", (getter)column_get_name, NULL, "Name of the field.", NULL},
    {"null_count", (getter)column_get_null_count, NULL,
     "How many values are None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef column_methods[] = {
    {"tolist", FE_METHOD(column_tolist), METH_NOARGS,
     "tolist($self, /)\n--\n\nAll values, None for null."},
    {"__arrow_c_schema__", FE_METHOD(arrow_column_schema), METH_NOARGS,
     "An \"arrow_schema\" capsule (Arrow PyCapsule interface)."},
    {"__arrow_c_array__", FE_METHOD(arrow_column_array),
     METH_FASTCALL | METH_KEYWORDS,
     "__arrow_c_array__($self, /, requested_schema=None)\n--\n\n"
     "\"arrow_schema\" and \"arrow_array\" capsules (Arrow PyCapsule\n"
     "interface). Joins the table's chunks first, once."},
    {"__arrow_c_stream__", FE_METHOD(arrow_column_stream),
     METH_FASTCALL | METH_KEYWORDS,
     "__arrow_c_stream__($self, /, requested_schema=None)\n--\n\n"
     "An \"arrow_array_stream\" capsule (Arrow PyCapsule interface)."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(column__doc__,
             "A column of a RecordTable: a sequence of its values, None for "
             "null.\nNumbers and bytes of a fixed size, without nulls, give "
             "their memory as a\nread-only buffer; chunks are joined for that "
             "once. Made by\nRecordTable.column().");

static PyType_Slot column_slots[] = {
    {Py_tp_doc, FE_SLOT(column__doc__)},
    {Py_tp_traverse, FE_SLOT(column_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(column_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(column_tp_repr)},
    {Py_tp_iter, FE_SLOT(PySeqIter_New)},
    {Py_tp_methods, FE_SLOT(column_methods)},
    {Py_tp_getset, FE_SLOT(column_getset)},
    {Py_sq_length, FE_SLOT(column_sq_length)},
    {Py_sq_item, FE_SLOT(column_sq_item)},
    {Py_mp_length, FE_SLOT(column_sq_length)},
    {Py_mp_subscript, FE_SLOT(column_mp_subscript)},
    {Py_bf_getbuffer, FE_SLOT(column_bf_getbuffer)},
    {Py_bf_releasebuffer, FE_SLOT(column_bf_releasebuffer)},
    {0, NULL},
};

PyType_Spec column_spec = {
    .name = "ferrule.records.Column",
    .basicsize = sizeof(column_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_SEQUENCE,
    .slots = column_slots,
};
