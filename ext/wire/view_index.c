/* SPDX-License-Identifier: MIT
 *
 * Indexes and slices of a View, read and written. An index may run Python
 * code: while it does, the view counts as used and cannot be released.
 */
#include "view_object.h"

/* ---- what a key selects */

typedef struct {
    view_region all;    /* of the view */
    view_region chosen; /* what of it is selected so far */
    int dim;            /* the next of `all` */
} view_selection;

static void
select_rest(view_selection *selection, int count)
{
    view_region *chosen = &selection->chosen;
    for (int i = 0; i < count; i++, selection->dim++, chosen->ndim++) {
        chosen->shape[chosen->ndim] = selection->all.shape[selection->dim];
        chosen->strides[chosen->ndim] = selection->all.strides[selection->dim];
    }
}

static int
select_index(view_selection *selection, Py_ssize_t index)
{
    Py_ssize_t count = selection->all.shape[selection->dim];
    if (index < 0) {
        index += count;
    }
    if (index < 0 || index >= count) {
        PyErr_SetString(PyExc_IndexError, "View index out of range");
        return -1;
    }
    selection->chosen.data += index * selection->all.strides[selection->dim];
    selection->dim++;
    return 0;
}

static int
select_slice(view_selection *selection, PyObject *slice)
{
    view_region *chosen = &selection->chosen;
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0) {
        return -1;
    }
    Py_ssize_t stride = selection->all.strides[selection->dim];
    Py_ssize_t count = PySlice_AdjustIndices(
        selection->all.shape[selection->dim], &start, &stop, step);
    if (count > 0) {
        chosen->data += start * stride;
    }
    /* no step between fewer than two, which might be as big as it likes */
    chosen->strides[chosen->ndim] = count > 1 ? stride * step : stride;
    chosen->shape[chosen->ndim] = count;
    chosen->ndim++;
    selection->dim++;
    return 0;
}

static int
select_one(view_selection *selection, PyObject *key)
{
    if (PySlice_Check(key)) {
        return select_slice(selection, key);
    }
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError,
                     "View indices must be ints, slices or tuples of them, "
                     "not %s",
                     view_type_name(key));
        return -1;
    }
    Py_ssize_t index = PyNumber_AsSsize_t(key, NULL);
    return index == -1 && PyErr_Occurred() ? -1
                                           : select_index(selection, index);
}

/* 0, or -1 with TypeError. `ellipsis`: one is among the keys */
static int
select_check(const view_selection *selection, PyObject *const *keys,
             Py_ssize_t count, bool *ellipsis)
{
    Py_ssize_t dims = 0;
    *ellipsis = false;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (keys[i] != Py_Ellipsis) {
            dims++;
        }
        else if (*ellipsis) {
            PyErr_SetString(PyExc_TypeError,
                            "View got more than one ellipsis");
            return -1;
        }
        else {
            *ellipsis = true;
        }
    }
    if (dims > selection->all.ndim) {
        PyErr_Format(PyExc_TypeError, "View of %d dimensions got %zd indices",
                     selection->all.ndim, dims);
        return -1;
    }
    return 0;
}

/* 1: selection->chosen is one item, 0: it is a region, -1: error */
static int
select_keys(const view_object *view, PyObject *key, view_selection *selection)
{
    bool tuple = PyTuple_Check(key), ellipsis;
    PyObject *const *keys = tuple ? ((PyTupleObject *)key)->ob_item : &key;
    Py_ssize_t count = tuple ? PyTuple_GET_SIZE(key) : 1;
    view_region_of(view, &selection->all);
    selection->dim = 0;
    selection->chosen.data = selection->all.data;
    selection->chosen.itemsize = selection->all.itemsize;
    selection->chosen.ndim = 0;
    if (select_check(selection, keys, count, &ellipsis) < 0) {
        return -1;
    }
    int rest = selection->all.ndim - (int)count + ellipsis;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (keys[i] == Py_Ellipsis) {
            select_rest(selection, rest);
        }
        else if (select_one(selection, keys[i]) < 0) {
            return -1;
        }
    }
    if (!ellipsis) {
        select_rest(selection, rest);
    }
    return selection->chosen.ndim == 0 && !ellipsis;
}

/* ---- reading */

static PyObject *
index_get(view_object *view, const char *at)
{
    char code = view_code_of(view);
    if (FE_UNLIKELY(code == 0)) {
        view_refuse_format(view_format_of(view));
        return NULL;
    }
    return view_item_get(code, at);
}

static PyObject *
index_any(view_object *view, PyObject *key)
{
    view_selection selection;
    if (view_check(view) < 0) {
        return NULL;
    }
    view->hold.exports++;
    int item = select_keys(view, key, &selection);
    PyObject *result = NULL;
    if (item > 0) {
        result = index_get(view, selection.chosen.data);
    }
    else if (item == 0) {
        result = view_derive(view, &selection.chosen, NULL);
    }
    view->hold.exports--;
    return result;
}

PyObject *
view_sq_item(PyObject *op, Py_ssize_t index)
{
    view_object *view = (view_object *)op;
    if (view_check(view) < 0) {
        return NULL;
    }
    if (view->shape == NULL) {
        if ((size_t)index < (size_t)view->hold.length) {
            return PyLong_FromLong((unsigned char)view->hold.data[index]);
        }
        PyErr_SetString(PyExc_IndexError, "View index out of range");
        return NULL;
    }
    PyObject *key = PyLong_FromSsize_t(index);
    PyObject *result = key != NULL ? index_any(view, key) : NULL;
    Py_XDECREF(key);
    return result;
}

/* Plain bytes by a slice without a step: nearly all there are. The slice's
 * parts may run Python code, which may release the view. */
FE_INLINE PyObject *
index_slice(view_object *view, PyObject *slice)
{
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0
        || view_check(view) < 0) {
        return NULL;
    }
    Py_ssize_t length =
        PySlice_AdjustIndices(view->hold.length, &start, &stop, 1);
    wire_state *state = view_get_state(view);
    return state != NULL
               ? (PyObject *)view_sub(state, Py_TYPE(view), &view->hold, start,
                                      length, view->tracked)
               : NULL;
}

PyObject *
view_mp_subscript(PyObject *op, PyObject *key)
{
    view_object *view = (view_object *)op;
    if (FE_UNLIKELY(view->shape != NULL || view->hold.exporter == NULL)) {
        return index_any(view, key);
    }
    if (FE_LIKELY(PySlice_Check(key)
                  && ((PySliceObject *)key)->step == Py_None)) {
        return index_slice(view, key);
    }
    if (PyLong_CheckExact(key)) {
        Py_ssize_t index = PyLong_AsSsize_t(key);
        if (index < 0) {
            index += view->hold.length;
        }
        if (FE_LIKELY((size_t)index < (size_t)view->hold.length
                      && !PyErr_Occurred())) {
            return PyLong_FromLong((unsigned char)view->hold.data[index]);
        }
        PyErr_Clear(); /* OverflowError: index_any says what it should be */
    }
    return index_any(view, key);
}

/* ---- writing */

static int
assign_refuse(const view_object *view, const view_region *to,
              const view_region *from, const char *format)
{
    PyObject *wanted = view_tuple(to->shape, to->ndim);
    PyObject *had =
        wanted != NULL ? view_tuple(from->shape, from->ndim) : NULL;
    if (had != NULL) {
        PyErr_Format(PyExc_ValueError,
                     "View items of shape %R, format '%s', cannot become "
                     "those of shape %R, format '%s'",
                     wanted, view_format_of(view), had, format);
    }
    Py_XDECREF(wanted);
    Py_XDECREF(had);
    return -1;
}

static bool
same_structure(const view_object *view, const view_region *to,
               const view_region *from, const char *format)
{
    const char *own = view_format_of(view);
    return strcmp(own + (own[0] == '@'), format + (format[0] == '@')) == 0
           && to->itemsize == from->itemsize && to->ndim == from->ndim
           && memcmp(to->shape, from->shape,
                     (size_t)to->ndim * sizeof(Py_ssize_t))
                  == 0;
}

/* The same memory may be on both sides. */
static int
assign_copy(const view_region *to, const view_region *from)
{
    if (view_region_contiguous(to) && view_region_contiguous(from)) {
        view_region_fill(to, from->data);
        return 0;
    }
    char *packed = PyMem_Malloc((size_t)view_region_bytes(from));
    if (packed == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    view_region_copy(packed, from);
    view_region_fill(to, packed);
    PyMem_Free(packed);
    return 0;
}

static int
assign_region(const view_object *view, const view_region *to, PyObject *value)
{
    Py_buffer buffer;
    view_region from;
    if (!PyObject_CheckBuffer(value)) {
        PyErr_Format(PyExc_TypeError, "View slice wants a buffer, got %s",
                     view_type_name(value));
        return -1;
    }
    if (PyObject_GetBuffer(value, &buffer, PyBUF_RECORDS_RO) < 0) {
        return -1;
    }
    const char *format = buffer.format != NULL ? buffer.format : "B";
    int status = view_region_import(value, &buffer, &from);
    if (status == 0) {
        status = same_structure(view, to, &from, format)
                     ? assign_copy(to, &from)
                     : assign_refuse(view, to, &from, format);
    }
    PyBuffer_Release(&buffer);
    return status;
}

static int
assign_item(const view_object *view, char *at, PyObject *value)
{
    char cell[8], code = view_code_of(view);
    if (code == 0) {
        return view_refuse_format(view_format_of(view));
    }
    if (view_item_pack(code, value, cell) < 0) {
        return -1;
    }
    memcpy(at, cell, (size_t)view_code_size(code));
    return 0;
}

static int
assign_any(view_object *view, PyObject *key, PyObject *value)
{
    view_selection selection;
    view->hold.exports++;
    int item = select_keys(view, key, &selection);
    if (item > 0) {
        item = assign_item(view, selection.chosen.data, value);
    }
    else if (item == 0) {
        item = assign_region(view, &selection.chosen, value);
    }
    view->hold.exports--;
    return item;
}

int
view_mp_ass_subscript(PyObject *op, PyObject *key, PyObject *value)
{
    view_object *view = (view_object *)op;
    if (view_check(view) < 0) {
        return -1;
    }
    if (value == NULL || view->hold.readonly) {
        PyErr_SetString(PyExc_TypeError,
                        value == NULL
                            ? "View items cannot be deleted"
                            : "View of read-only memory cannot be written to");
        return -1;
    }
    return assign_any(view, key, value);
}
