/* SPDX-License-Identifier: MIT
 *
 * What looks into an array's memory and stays: live rows, and the cells of a
 * column, which export the memory of one field. Both are sharers.
 */
#include "record_array.h"

/* ---------------------------------------------------------------- rows */

typedef struct {
    PyObject_HEAD array_object *array; /* owned */
    char *at;                          /* in the array's memory */
} row_object;

PyObject *
row_new(array_object *array, Py_ssize_t row)
{
    records_state *state = records_state_of_type(Py_TYPE(array));
    row_object *self = PyObject_GC_New(row_object, state->row_type);
    if (self == NULL) {
        return NULL;
    }
    self->array = (array_object *)Py_NewRef((PyObject *)array);
    self->at = array_at(array, row);
    array_owner(array)->sharers++;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

const char *
row_bytes(records_state *state, PyObject *obj, const record_class *cls)
{
    if (!Py_IS_TYPE(obj, state->row_type)) {
        return NULL;
    }
    row_object *row = (row_object *)obj;
    return row->array->cls == cls ? row->at : NULL;
}

static int
row_tp_traverse(row_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->array);
    return 0;
}

static void
row_tp_dealloc(row_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    array_owner(self->array)->sharers--;
    Py_DECREF(self->array);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static const record_field *
row_field(row_object *self, PyObject *name)
{
    return PyUnicode_Check(name)
               ? records_find_field(self->array->cls->plan, name)
               : NULL;
}

static PyObject *
row_tp_getattro(PyObject *op, PyObject *name)
{
    row_object *self = (row_object *)op;
    const record_field *field = row_field(self, name);
    return field != NULL
               ? fe_load_unboxed(self->at + ARRAY_FIELD_OFFSET(field), field)
               : PyObject_GenericGetAttr(op, name);
}

static int
refuse_frozen(const record_plan *plan, PyObject *name)
{
    PyObject *module = PyImport_ImportModule("dataclasses");
    PyObject *error =
        module != NULL ? PyObject_GetAttrString(module, "FrozenInstanceError")
                       : NULL;
    Py_XDECREF(module);
    if (error != NULL) {
        PyErr_Format(error,
                     "cannot assign to field '%U' of a Row of frozen record "
                     "'%U'",
                     name, plan->qualname);
        Py_DECREF(error);
    }
    return -1;
}

static int
row_tp_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    row_object *self = (row_object *)op;
    const record_plan *plan = self->array->cls->plan;
    const record_field *field = row_field(self, name);
    if (field == NULL || value == NULL) {
        PyErr_Format(PyExc_AttributeError,
                     field == NULL ? "a Row of '%U' has no field %R to set"
                                   : "a Row of '%U': cannot delete field %R",
                     plan->qualname, name);
        return -1;
    }
    if (plan->options.frozen) {
        return refuse_frozen(plan, name);
    }
    if (array_check_writable(self->array, "Row") < 0
        || records_check(plan, field - plan->fields, value) < 0) {
        return -1;
    }
    return records_store(plan->qualname, field,
                         self->at + ARRAY_FIELD_OFFSET(field), value);
}

/* new: a record of the row's values */
static PyObject *
row_record(row_object *self)
{
    array_object *array = self->array;
    array_object one = *array; /* a view of this row only */
    one.data = self->at;
    return array_record(&one, 0);
}

static PyObject *
row_tp_repr(row_object *self)
{
    PyObject *record = row_record(self);
    PyObject *text =
        record != NULL ? PyUnicode_FromFormat("Row(%R)", record) : NULL;
    Py_XDECREF(record);
    return text;
}

/* Equal to a row or record of the same class with equal fields, whatever
 * __eq__ the class has.
 */
static PyObject *
row_tp_richcompare(PyObject *op, PyObject *other, int how)
{
    row_object *self = (row_object *)op;
    record_class *cls = self->array->cls;
    const char *bytes =
        Py_IS_TYPE(other, &cls->heap.ht_type)
            ? (const char *)other + RECORDS_HEADER
            : row_bytes(records_state_of_type(Py_TYPE(op)), other, cls);
    if ((how != Py_EQ && how != Py_NE) || bytes == NULL) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    bool equal = array_rows_equal(self->array, self->at, bytes);
    return PyBool_FromLong(equal == (how == Py_EQ));
}

static PyObject *
row_dir(row_object *self, PyObject *Py_UNUSED(ignored))
{
    const record_plan *plan = self->array->cls->plan;
    PyObject *names = PyList_New(plan->field_count);
    for (Py_ssize_t i = 0; names != NULL && i < plan->field_count; i++) {
        PyList_SET_ITEM(names, i, Py_NewRef(plan->fields[i].name));
    }
    return names;
}

static PyMethodDef row_methods[] = {
    {"__dir__", FE_METHOD(row_dir), METH_NOARGS, "Names of the fields."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "Row[SensorReading], for annotations."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(row__doc__,
             "A live row of a RecordArray: its attributes are the fields, in "
             "the\narray's memory. Made by RecordArray.row().");

static PyType_Slot row_slots[] = {
    {Py_tp_doc, FE_SLOT(row__doc__)},
    {Py_tp_traverse, FE_SLOT(row_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(row_tp_dealloc)},
    {Py_tp_getattro, FE_SLOT(row_tp_getattro)},
    {Py_tp_setattro, FE_SLOT(row_tp_setattro)},
    {Py_tp_repr, FE_SLOT(row_tp_repr)},
    {Py_tp_richcompare, FE_SLOT(row_tp_richcompare)},
    {Py_tp_hash, FE_SLOT(PyObject_HashNotImplemented)},
    {Py_tp_methods, FE_SLOT(row_methods)},
    {0, NULL},
};

PyType_Spec row_spec = {
    .name = "ferrule.records.Row",
    .basicsize = sizeof(row_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = row_slots,
};

/* ------------------------------------------------------------- columns */

/* Exports one field of every row; lives inside the memoryview. */
typedef struct {
    PyObject_HEAD array_object *array; /* owned */
    char *data;
    Py_ssize_t length, stride, size;
    char format[ARRAY_FORMAT_ROOM];
} cells_object;

static int
cells_tp_traverse(cells_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->array);
    return 0;
}

static void
cells_tp_dealloc(cells_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    array_owner(self->array)->sharers--;
    Py_DECREF(self->array);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static int
cells_bf_getbuffer(cells_object *self, Py_buffer *view, int flags)
{
    view->obj = NULL;
    bool strided = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
    int order = PyBUF_C_CONTIGUOUS | PyBUF_F_CONTIGUOUS | PyBUF_ANY_CONTIGUOUS;
    bool close = !strided || (flags & order & ~PyBUF_STRIDES) != 0;
    if (((flags & PyBUF_WRITABLE) && self->array->readonly)
        || (close && self->stride != self->size)) {
        PyErr_SetString(PyExc_BufferError,
                        "RecordArray column: the memory is strided, and "
                        "read-only if the array is");
        return -1;
    }
    view->buf = self->data;
    view->len = self->length * self->size;
    view->itemsize = self->size;
    view->readonly = self->array->readonly;
    view->ndim = 1;
    view->format = flags & PyBUF_FORMAT ? self->format : NULL;
    view->shape = flags & PyBUF_ND ? &self->length : NULL;
    view->strides = strided ? &self->stride : NULL;
    view->suboffsets = NULL;
    view->internal = NULL;
    view->obj = Py_NewRef((PyObject *)self);
    return 0;
}

PyObject *
array_column(PyObject *op, PyObject *name)
{
    array_object *array = (array_object *)op;
    const record_field *field =
        array_field(array, name, "RecordArray.column()");
    if (field == NULL) {
        return NULL;
    }
    records_state *state = records_state_of_type(Py_TYPE(op));
    cells_object *self = PyObject_GC_New(cells_object, state->cells_type);
    if (self == NULL) {
        return NULL;
    }
    self->array = (array_object *)Py_NewRef(op);
    self->length = array->length;
    self->data = array->data != NULL ? array->data + ARRAY_FIELD_OFFSET(field)
                                     : FE_TEXT("");
    self->stride = array->stride;
    self->size = (Py_ssize_t)field->size;
    array_format_write((fe_kind)field->kind, field->size, self->format);
    array_owner(array)->sharers++;
    PyObject_GC_Track(self);
    PyObject *view = PyMemoryView_FromObject((PyObject *)self);
    Py_DECREF(self);
    return view;
}

static PyType_Slot cells_slots[] = {
    {Py_tp_traverse, FE_SLOT(cells_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(cells_tp_dealloc)},
    {Py_bf_getbuffer, FE_SLOT(cells_bf_getbuffer)},
    {0, NULL},
};

PyType_Spec cells_spec = {
    .name = "ferrule._records.Cells",
    .basicsize = sizeof(cells_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cells_slots,
};
