/* SPDX-License-Identifier: MIT
 *
 * RecordArray: records as rows of one block of memory. The array itself, its
 * memory, items and slices, the buffer protocol, copies and pickles.
 *
 * Memory has one owner; slices, live rows, columns and buffers hold the owner
 * and count as its sharers. While there is one, the block neither moves nor
 * grows. The length never shrinks, so an index once checked stays good; a
 * pointer is taken again after anything that may run Python code.
 */
#include "record_array.h"

#include "pages.h"
#include "record_columns.h"
#include "record_table.h"

/* -------------------------------------------------------------- making */

static array_object *
array_alloc(records_state *state, record_class *cls,
            const array_layout *layout)
{
    array_object *self = PyObject_GC_New(array_object, state->array_type);
    if (self == NULL) {
        return NULL;
    }
    self->cls = (record_class *)Py_NewRef((PyObject *)cls);
    self->layout = layout;
    self->data = NULL;
    self->length = self->capacity = self->sharers = 0;
    self->stride = (Py_ssize_t)layout->size;
    self->owner = NULL;
    self->foreign.obj = NULL;
    self->readonly = self->movable = false;
    self->weak_list = NULL;
    PyObject_GC_Track(self);
    return self;
}

array_object *
array_new(records_state *state, PyObject *cls, const char *function)
{
    if (!records_check_class(state, cls, function)) {
        return NULL;
    }
    const array_layout *layout = array_layout_of(RECORD_CLASS(cls), function);
    return layout != NULL ? array_alloc(state, RECORD_CLASS(cls), layout)
                          : NULL;
}

/* new: the rows of a slice, in the same memory */
static array_object *
array_slice(array_object *self, Py_ssize_t start, Py_ssize_t step,
            Py_ssize_t count)
{
    array_object *owner = array_owner(self);
    array_object *slice = array_alloc(records_state_of_type(Py_TYPE(self)),
                                      self->cls, self->layout);
    if (slice == NULL) {
        return NULL;
    }
    slice->data = count > 0 ? array_at(self, start) : self->data;
    slice->length = count;
    slice->stride =
        count > 1 ? self->stride * step : (Py_ssize_t)self->layout->size;
    slice->readonly = self->readonly;
    slice->owner = (array_object *)Py_NewRef((PyObject *)owner);
    owner->sharers++;
    return slice;
}

static int
array_tp_traverse(array_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->cls);
    Py_VISIT(self->owner);
    Py_VISIT(self->foreign.obj);
    return 0;
}

static void
array_tp_dealloc(array_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    /* arrays in the memory of arrays in the memory of … */
    Py_TRASHCAN_BEGIN(self, array_tp_dealloc) if (self->weak_list != NULL)
    {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    if (self->owner != NULL) {
        self->owner->sharers--;
        Py_DECREF(self->owner);
    }
    else if (self->foreign.obj != NULL) {
        PyBuffer_Release(&self->foreign);
    }
    else {
        PyMem_Free(self->data);
    }
    Py_DECREF(self->cls);
    PyObject_GC_Del(self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

/* -------------------------------------------------------------- memory */

int
array_check_writable(const array_object *self, const char *function)
{
    if (!self->readonly) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s: the memory is read-only", function);
    return -1;
}

static int
check_growth(const array_object *self, const char *function)
{
    if (self->owner != NULL) {
        PyErr_Format(PyExc_BufferError,
                     "%s: a slice shares its memory and cannot grow",
                     function);
        return -1;
    }
    if (self->foreign.obj != NULL && !self->movable) {
        PyErr_Format(PyExc_BufferError,
                     "%s: the memory belongs to a %s and cannot grow",
                     function, Py_TYPE(self->foreign.obj)->tp_name);
        return -1;
    }
    if (self->sharers > 0) {
        PyErr_Format(PyExc_BufferError,
                     "%s: the memory is shared by %zd slice%s, row%s or "
                     "buffer%s",
                     function, self->sharers, self->sharers == 1 ? "" : "s",
                     self->sharers == 1 ? "" : "s",
                     self->sharers == 1 ? "" : "s");
        return -1;
    }
    return 0;
}

/* Memory of our own for exactly `capacity` rows, at least the present ones. */
static int
resize(array_object *self, Py_ssize_t capacity, const char *function)
{
    if (capacity > PY_SSIZE_T_MAX / (Py_ssize_t)self->layout->size) {
        PyErr_Format(PyExc_OverflowError,
                     "%s: %zd rows of %u bytes are more than memory can have",
                     function, capacity, (unsigned)self->layout->size);
        return -1;
    }
    char *data =
        PyMem_Realloc(self->data, (size_t)capacity * self->layout->size);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    fe_pages_advise(data, (size_t)capacity * self->layout->size);
    self->data = data;
    self->capacity = capacity;
    return 0;
}

/* Move the rows from somebody else's memory to our own. Giving that memory
 * back may run Python code, which finds an array that is whole.
 */
static int
leave_foreign(array_object *self)
{
    size_t bytes = (size_t)self->length * self->layout->size;
    char *data = PyMem_Malloc(bytes);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(data, self->data, bytes);
    Py_buffer foreign = self->foreign;
    self->foreign.obj = NULL;
    self->data = data;
    self->capacity = self->length;
    self->readonly = self->movable = false;
    PyBuffer_Release(&foreign);
    return 0;
}

int
array_reserve(array_object *self, Py_ssize_t extra, const char *function)
{
    if (check_growth(self, function) < 0) {
        return -1;
    }
    if (self->foreign.obj != NULL) {
        return leave_foreign(self) < 0 ? -1
                                       : array_reserve(self, extra, function);
    }
    if (extra <= self->capacity - self->length) {
        return 0;
    }
    if (extra > PY_SSIZE_T_MAX - self->length) {
        PyErr_Format(PyExc_OverflowError, "%s: too many rows", function);
        return -1;
    }
    /* An eighth more, as list: memory of a large block is not touched until
     * it is used, and the system moves it without a copy. */
    Py_ssize_t wanted = self->length + extra;
    Py_ssize_t most = PY_SSIZE_T_MAX / (Py_ssize_t)self->layout->size;
    Py_ssize_t ample = self->length + (self->length >> 3) + 8;
    if (ample > wanted && ample <= most) {
        wanted = ample;
    }
    return resize(self, wanted, function);
}

/* ---------------------------------------------------------- row values */

void
array_scratch_free(array_scratch *scratch)
{
    if (scratch->at != scratch->local) {
        PyMem_Free(scratch->at);
    }
}

/* A tuple's values, each converted as on assignment. Runs Python code. */
static const char *
row_of_tuple(array_object *self, PyObject *tuple, array_scratch *scratch,
             const char *function)
{
    const record_plan *plan = self->cls->plan;
    if (PyTuple_GET_SIZE(tuple) != plan->field_count) {
        PyErr_Format(PyExc_ValueError,
                     "%s: a row of %U has %zd values, got %zd", function,
                     plan->qualname, plan->field_count,
                     PyTuple_GET_SIZE(tuple));
        return NULL;
    }
    if (self->layout->size > sizeof(scratch->local)) {
        scratch->at = PyMem_Malloc(self->layout->size);
        if (scratch->at == NULL) {
            scratch->at = scratch->local;
            PyErr_NoMemory();
            return NULL;
        }
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        if (records_check(plan, i, PyTuple_GET_ITEM(tuple, i)) < 0
            || records_store(plan->qualname, field,
                             scratch->at + ARRAY_FIELD_OFFSET(field),
                             PyTuple_GET_ITEM(tuple, i))
                   < 0) {
            return NULL;
        }
    }
    return scratch->at;
}

const char *
array_row_of(array_object *self, PyObject *value, array_scratch *scratch,
             const char *function)
{
    scratch->at = scratch->local;
    if (FE_LIKELY(Py_IS_TYPE(value, &self->cls->heap.ht_type))) {
        return (const char *)value + RECORDS_HEADER;
    }
    if (PyTuple_Check(value)) {
        return row_of_tuple(self, value, scratch, function);
    }
    const char *bytes =
        row_bytes(records_state_of_type(Py_TYPE(self)), value, self->cls);
    if (bytes == NULL) {
        records_refuse_given(self->cls->plan, function, "",
                             ", a Row of it or a tuple", value);
    }
    return bytes;
}

/* A record with hidden slots or a __dict__, or with bool8 fields, which in
 * memory of somebody else may be any byte.
 */
static FE_NOINLINE PyObject *
record_by_fields(array_object *self, Py_ssize_t row)
{
    PyObject *record = records_alloc_zeroed(self->cls);
    if (record == NULL) {
        return NULL;
    }
    const record_plan *plan = self->cls->plan;
    const char *at = array_at(self, row);
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        const char *from = at + ARRAY_FIELD_OFFSET(field);
        if (field->kind == FE_BOOL8) {
            *FE_FIELD_AT(record, field) = *from != 0;
        }
        else {
            memcpy(FE_FIELD_AT(record, field), from, field->size);
        }
    }
    records_track(self->cls, record);
    return record;
}

PyObject *
array_record(array_object *self, Py_ssize_t row)
{
    record_class *cls = self->cls;
    if (FE_UNLIKELY(!cls->plan->bare || self->layout->has_bool)) {
        return record_by_fields(self, row);
    }
    PyObject *record = records_alloc(cls);
    if (FE_LIKELY(record != NULL)) {
        memcpy((char *)record + RECORDS_HEADER, array_at(self, row),
               self->layout->span);
        records_track(cls, record);
    }
    return record;
}

/* --------------------------------------------------------------- items */

static Py_ssize_t
array_sq_length(array_object *self)
{
    return self->length;
}

static PyObject *
array_sq_item(array_object *self, Py_ssize_t i)
{
    if (i < 0 || i >= self->length) {
        PyErr_SetString(PyExc_IndexError, "RecordArray index out of range");
        return NULL;
    }
    return array_record(self, i);
}

/* The row an index means; -1 with IndexError or TypeError. */
static Py_ssize_t
array_index(array_object *self, PyObject *key)
{
    int64_t quick;
    Py_ssize_t i;
    if (PyLong_CheckExact(key) && fe_long_in_place(key, &quick)
        && quick <= PY_SSIZE_T_MAX && quick >= -PY_SSIZE_T_MAX) {
        i = (Py_ssize_t)quick;
    }
    else if (PyIndex_Check(key)) {
        i = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (i == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    else {
        PyErr_Format(PyExc_TypeError,
                     "RecordArray indices must be integers or slices, not %s",
                     Py_TYPE(key)->tp_name);
        return -1;
    }
    if (i < 0) {
        i += self->length;
    }
    if (i < 0 || i >= self->length) {
        PyErr_SetString(PyExc_IndexError, "RecordArray index out of range");
        return -1;
    }
    return i;
}

static PyObject *
array_mp_subscript(array_object *self, PyObject *key)
{
    if (FE_LIKELY(!PySlice_Check(key))) {
        Py_ssize_t i = array_index(self, key);
        return i >= 0 ? array_record(self, i) : NULL;
    }
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(key, &start, &stop, &step) < 0) {
        return NULL;
    }
    Py_ssize_t count =
        PySlice_AdjustIndices(self->length, &start, &stop, step);
    return (PyObject *)array_slice(self, start, step, count);
}

/* Rows into a slice: gathered first, so that nothing is written on failure
 * and overlapping memory is no trouble.
 */
static int
assign_slice(array_object *self, PyObject *slice, PyObject *rows)
{
    static const char function[] = "RecordArray slice assignment";
    Py_ssize_t start, stop, step;
    array_object *given = array_new(records_state_of_type(Py_TYPE(self)),
                                    (PyObject *)self->cls, function);
    int status = -1;
    if (given == NULL || array_extend(given, rows, function) < 0
        || PySlice_Unpack(slice, &start, &stop, &step) < 0) {
        goto done;
    }
    Py_ssize_t count =
        PySlice_AdjustIndices(self->length, &start, &stop, step);
    if (count != given->length) {
        PyErr_Format(PyExc_ValueError, "%s wants %zd rows, got %zd", function,
                     count, given->length);
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        memcpy(array_at(self, start + i * step), array_at(given, i),
               self->layout->size);
    }
    status = 0;
done:
    Py_XDECREF(given);
    return status;
}

static int
array_mp_ass_subscript(array_object *self, PyObject *key, PyObject *value)
{
    static const char function[] = "RecordArray item assignment";
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "RecordArray rows cannot be deleted");
        return -1;
    }
    if (array_check_writable(self, function) < 0) {
        return -1;
    }
    if (PySlice_Check(key)) {
        return assign_slice(self, key, value);
    }
    Py_ssize_t i = array_index(self, key);
    if (i < 0) {
        return -1;
    }
    array_scratch scratch;
    const char *bytes = array_row_of(self, value, &scratch, function);
    /* converting may have run code that moved or replaced the memory */
    if (bytes != NULL && array_check_writable(self, function) == 0) {
        char *to = array_at(self, i);
        memmove(to, bytes, self->layout->span); /* a Row may overlap */
        array_wipe(self->layout, to);
    }
    array_scratch_free(&scratch);
    return PyErr_Occurred() ? -1 : 0;
}

static int
append_slow(array_object *self, PyObject *value)
{
    static const char function[] = "RecordArray.append()";
    array_scratch scratch;
    const char *bytes = array_row_of(self, value, &scratch, function);
    int status = bytes != NULL ? array_reserve(self, 1, function) : -1;
    if (status == 0) {
        array_put(self->layout, array_at(self, self->length), bytes);
        self->length++;
    }
    array_scratch_free(&scratch);
    return status;
}

PyDoc_STRVAR(
    array_append__doc__,
    "append($self, row, /)\n--\n\n"
    "Add a row at the end: a record of the class, a Row of another array\n"
    "of the class, or a tuple with a value for each field.\n\n"
    "Raises TypeError, OverflowError or ValueError for a value that does not\n"
    "fit its field, and BufferError while a slice, row or buffer shares the\n"
    "memory; the array is then as it was.");

static PyObject *
array_append(array_object *self, PyObject *value)
{
    if (FE_LIKELY(Py_IS_TYPE(value, &self->cls->heap.ht_type)
                  && self->length < self->capacity && self->sharers == 0)) {
        array_put(self->layout, array_at(self, self->length),
                  (const char *)value + RECORDS_HEADER);
        self->length++;
    }
    else if (append_slow(self, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    array_extend__doc__,
    "extend($self, rows, /)\n--\n\n"
    "Add many rows at the end. Takes a RecordArray or RecordTable of the\n"
    "class, an Arrow object, a mapping of every field's name to a column (a\n"
    "buffer of the field's format, or any iterable of values), a buffer of\n"
    "whole rows (bytes, or a structure with the same fields at the same\n"
    "places), or an iterable of rows as append() takes them.\n\n"
    "Either all rows are added or none. Raises TypeError, OverflowError or\n"
    "ValueError for what does not fit, BufferError as append().");

static PyObject *
array_extend_method(array_object *self, PyObject *rows)
{
    if (array_extend(self, rows, "RecordArray.extend()") < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(array_row__doc__,
             "row($self, index, /)\n--\n\n"
             "A live Row: reading and writing its attributes reads and writes "
             "the\narray's memory. Raises IndexError.");

static PyObject *
array_row(array_object *self, PyObject *key)
{
    if (PySlice_Check(key)) {
        PyErr_SetString(PyExc_TypeError,
                        "RecordArray.row() wants an integer, not slice");
        return NULL;
    }
    Py_ssize_t i = array_index(self, key);
    return i >= 0 ? row_new(self, i) : NULL;
}

const record_field *
array_field(array_object *self, PyObject *name, const char *function)
{
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "%s wants a field name, got %s %.100R",
                     function, Py_TYPE(name)->tp_name, name);
        return NULL;
    }
    const record_field *field = records_find_field(self->cls->plan, name);
    if (field == NULL) {
        PyErr_Format(PyExc_KeyError, "%s: %U has no field %R", function,
                     self->cls->plan->qualname, name);
    }
    return field;
}

/* ------------------------------------------------------------- compare */

bool
array_rows_equal(const array_object *self, const char *a, const char *b)
{
    const record_plan *plan = self->cls->plan;
    const array_layout *layout = self->layout;
    if (!layout->has_float && !layout->has_bool && layout->gap_count == 0) {
        return memcmp(a, b, layout->size) == 0;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        uint32_t offset = ARRAY_FIELD_OFFSET(field);
        int equal = (a[offset] != 0) == (b[offset] != 0);
        if (field->kind != FE_BOOL8) {
            (void)records_compare_unboxed(field, a + offset, b + offset, Py_LT,
                                          &equal);
        }
        if (!equal) {
            return false;
        }
    }
    return true;
}

static PyObject *
array_tp_richcompare(PyObject *op, PyObject *other, int how)
{
    if ((how != Py_EQ && how != Py_NE) || !Py_IS_TYPE(other, Py_TYPE(op))) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    array_object *a = (array_object *)op, *b = (array_object *)other;
    bool equal = a->cls == b->cls && a->length == b->length;
    for (Py_ssize_t i = 0; equal && i < a->length; i++) {
        equal = array_rows_equal(a, array_at(a, i), array_at(b, i));
    }
    return PyBool_FromLong(equal == (how == Py_EQ));
}

static PyObject *
array_tp_repr(array_object *self)
{
    return PyUnicode_FromFormat("RecordArray(%U, %zd row%s)",
                                self->cls->plan->qualname, self->length,
                                self->length == 1 ? "" : "s");
}

/* -------------------------------------------------------------- buffer */

static int
array_bf_getbuffer(array_object *self, Py_buffer *view, int flags)
{
    view->obj = NULL;
    if ((flags & PyBUF_WRITABLE) && self->readonly) {
        PyErr_SetString(PyExc_BufferError,
                        "RecordArray: the memory is read-only");
        return -1;
    }
    bool strided = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
    int order = PyBUF_C_CONTIGUOUS | PyBUF_F_CONTIGUOUS | PyBUF_ANY_CONTIGUOUS;
    bool close = !strided || (flags & order & ~PyBUF_STRIDES) != 0;
    if (close && !array_is_contiguous(self)) {
        PyErr_SetString(PyExc_BufferError,
                        "RecordArray: a slice with a step is not contiguous");
        return -1;
    }
    view->buf = self->data != NULL ? self->data : FE_TEXT("");
    view->len = self->length * (Py_ssize_t)self->layout->size;
    view->itemsize = (Py_ssize_t)self->layout->size;
    view->readonly = self->readonly;
    view->ndim = 1;
    view->format = flags & PyBUF_FORMAT ? FE_TEXT(self->layout->format) : NULL;
    /* neither changes while a buffer lives */
    view->shape = flags & PyBUF_ND ? &self->length : NULL;
    view->strides = strided ? &self->stride : NULL;
    view->suboffsets = NULL;
    view->internal = NULL;
    view->obj = Py_NewRef((PyObject *)self);
    array_owner(self)->sharers++;
    return 0;
}

static void
array_bf_releasebuffer(array_object *self, Py_buffer *Py_UNUSED(view))
{
    array_owner(self)->sharers--;
}

/* ---------------------------------------------------------------- type */

static PyObject *
array_sizeof(array_object *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSsize_t(Py_TYPE(self)->tp_basicsize
                              + self->capacity
                                    * (Py_ssize_t)self->layout->size);
}

static int
given_capacity(PyObject *given, Py_ssize_t *capacity)
{
    *capacity = 0;
    if (given == NULL) {
        return 0;
    }
    /* clipped to what an int of the machine holds: too many rows either way */
    *capacity = PyNumber_AsSsize_t(given, NULL);
    if (*capacity == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (*capacity < 0) {
        PyErr_Format(PyExc_ValueError,
                     "RecordArray() capacity must be at least 0, got %.100R",
                     given);
        return -1;
    }
    return 0;
}

static PyObject *
array_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char function[] = "RecordArray()";
    static char *names[] = {FE_TEXT("cls"), FE_TEXT("rows"),
                            FE_TEXT("capacity"), NULL};
    PyObject *cls, *rows = NULL, *room = NULL;
    Py_ssize_t capacity;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$O:RecordArray", names,
                                     &cls, &rows, &room)
        || given_capacity(room, &capacity) < 0) {
        return NULL;
    }
    array_object *self = array_new(records_state_of_type(type), cls, function);
    if (self == NULL) {
        return NULL;
    }
    if ((capacity > 0 && resize(self, capacity, function) < 0)
        || (rows != NULL && array_extend(self, rows, function) < 0)) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static PyObject *
array_get_nbytes(array_object *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->length * (Py_ssize_t)self->layout->size);
}

static PyObject *
array_get_itemsize(array_object *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(self->layout->size);
}

static PyObject *
array_get_capacity(array_object *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->capacity > self->length ? self->capacity
                                                            : self->length);
}

static PyGetSetDef array_getset[] = {
    {"nbytes", (getter)array_get_nbytes, NULL, "Bytes of all rows.", NULL},
    {"itemsize", (getter)array_get_itemsize, NULL, "Bytes of a row.", NULL},
    {"capacity", (getter)array_get_capacity, NULL,
     "Rows for which there is memory.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef array_members[] = {
    {"record_class", Py_T_OBJECT_EX, offsetof(array_object, cls), Py_READONLY,
     "Class of the records."},
    {"readonly", Py_T_BOOL, offsetof(array_object, readonly), Py_READONLY,
     "Whether the memory can only be read."},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(array_object, weak_list),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(array_column__doc__,
             "column($self, name, /)\n--\n\n"
             "One field of all rows as a strided memoryview, without a copy: "
             "numbers\nin their own format, text and bytes as 's' of their "
             "size. Raises KeyError.");

PyDoc_STRVAR(array_tobytes__doc__,
             "tobytes($self, /)\n--\n\nThe bytes of all rows, one after the "
             "other.");

PyDoc_STRVAR(
    array_sort_by__doc__,
    "sort_by($self, /, name, *, reverse=False)\n--\n\n"
    "Sort the rows in place by one field; rows that compare equal keep their\n"
    "order. NaN goes last, text and bytes go by their bytes. Long sorts give\n"
    "the interpreter lock away: what another thread writes meanwhile is "
    "lost.\n"
    "\n"
    "Raises KeyError, and BufferError while anything else shares the memory.");

PyDoc_STRVAR(
    array_from_buffer__doc__,
    "from_buffer($type, record_class, /, buffer)\n--\n\n"
    "An array of records in the memory of another object: bytes, or a\n"
    "structure with the same fields at the same places. It cannot grow, and\n"
    "not be written to if the buffer is read-only.\n\n"
    "Raises TypeError for a wrong format; ValueError for memory that is not\n"
    "contiguous, not aligned, or no whole number of rows.");

static PyMethodDef array_methods[] = {
    {"append", FE_METHOD(array_append), METH_O, array_append__doc__},
    {"extend", FE_METHOD(array_extend_method), METH_O, array_extend__doc__},
    {"row", FE_METHOD(array_row), METH_O, array_row__doc__},
    {"column", FE_METHOD(array_column), METH_O, array_column__doc__},
    {"sort_by", FE_METHOD(array_sort_by), METH_FASTCALL | METH_KEYWORDS,
     array_sort_by__doc__},
    {"tobytes", FE_METHOD(array_tobytes), METH_NOARGS, array_tobytes__doc__},
    {"from_buffer", FE_METHOD(array_from_buffer),
     METH_CLASS | METH_FASTCALL | METH_KEYWORDS, array_from_buffer__doc__},
    {"__copy__", FE_METHOD(array_copy), METH_NOARGS,
     "A copy in memory of its own."},
    {"__deepcopy__", FE_METHOD(array_deepcopy), METH_O,
     "A copy in memory of its own."},
    {"__reduce_ex__", FE_METHOD(array_reduce_ex), METH_O, "Pickle support."},
    {"__sizeof__", FE_METHOD(array_sizeof), METH_NOARGS,
     "Size in bytes, with the memory of its rows if that is its own."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "RecordArray[SensorReading], for annotations."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    array__doc__,
    "RecordArray(cls, rows=(), *, capacity=0)\n--\n\n"
    "Records of one class as rows of one block of memory, layout(cls).size\n"
    "bytes each. Indexing gives a detached record, row() a live one, a slice\n"
    "an array of the same memory. The buffer protocol gives a structured\n"
    "array with named fields, which NumPy reads without a copy.\n\n"
    "The class needs fields, none of them an object slot (TypeError naming\n"
    "the field). __init__ and __post_init__ of records made from rows do not\n"
    "run, as when unpickling. While a slice, row or buffer lives the array\n"
    "does not grow (BufferError).");

static PyType_Slot array_slots[] = {
    {Py_tp_doc, FE_SLOT(array__doc__)},
    {Py_tp_new, FE_SLOT(array_tp_new)},
    {Py_tp_traverse, FE_SLOT(array_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(array_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(array_tp_repr)},
    {Py_tp_iter, FE_SLOT(PySeqIter_New)},
    {Py_tp_richcompare, FE_SLOT(array_tp_richcompare)},
    {Py_tp_hash, FE_SLOT(PyObject_HashNotImplemented)},
    {Py_tp_methods, FE_SLOT(array_methods)},
    {Py_tp_getset, FE_SLOT(array_getset)},
    {Py_tp_members, FE_SLOT(array_members)},
    {Py_sq_length, FE_SLOT(array_sq_length)},
    {Py_sq_item, FE_SLOT(array_sq_item)},
    {Py_mp_length, FE_SLOT(array_sq_length)},
    {Py_mp_subscript, FE_SLOT(array_mp_subscript)},
    {Py_mp_ass_subscript, FE_SLOT(array_mp_ass_subscript)},
    {Py_bf_getbuffer, FE_SLOT(array_bf_getbuffer)},
    {Py_bf_releasebuffer, FE_SLOT(array_bf_releasebuffer)},
    {0, NULL},
};

PyType_Spec array_spec = {
    .name = "ferrule.records.RecordArray",
    .basicsize = sizeof(array_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_SEQUENCE,
    .slots = array_slots,
};
