/* SPDX-License-Identifier: MIT
 *
 * The bytes of an array elsewhere: tobytes, copies and pickles.
 */
#include "record_array.h"

PyObject *
array_tobytes(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    array_object *self = (array_object *)op;
    Py_ssize_t size = (Py_ssize_t)self->layout->size;
    if (array_is_contiguous(self) && self->length > 0) {
        return PyBytes_FromStringAndSize(self->data, self->length * size);
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, self->length * size);
    for (Py_ssize_t i = 0; bytes != NULL && i < self->length; i++) {
        memcpy(PyBytes_AS_STRING(bytes) + i * size, array_at(self, i),
               (size_t)size);
    }
    return bytes;
}

PyObject *
array_copy(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    array_object *self = (array_object *)op;
    array_object *copy =
        array_new(records_state_of_type(Py_TYPE(self)), (PyObject *)self->cls,
                  "RecordArray.__copy__()");
    if (copy != NULL
        && array_extend(copy, (PyObject *)self, "RecordArray.__copy__()")
               < 0) {
        Py_CLEAR(copy);
    }
    return (PyObject *)copy;
}

PyObject *
array_deepcopy(PyObject *self, PyObject *Py_UNUSED(memo))
{
    return array_copy(self, NULL);
}

/* new: what carries the bytes: a PickleBuffer from protocol 5 on */
static PyObject *
pickled_rows(array_object *self, long protocol)
{
    if (protocol < 5) {
        return array_tobytes((PyObject *)self, NULL);
    }
    if (array_is_contiguous(self)) {
        return PyPickleBuffer_FromObject((PyObject *)self);
    }
    PyObject *copy = array_copy((PyObject *)self, NULL);
    PyObject *rows = copy != NULL ? PyPickleBuffer_FromObject(copy) : NULL;
    Py_XDECREF(copy);
    return rows;
}

PyObject *
array_reduce_ex(PyObject *op, PyObject *arg)
{
    array_object *self = (array_object *)op;
    long protocol = PyLong_AsLong(arg);
    if (protocol == -1 && PyErr_Occurred()) {
        return NULL;
    }
    records_state *state = records_state_of_type(Py_TYPE(self));
    PyObject *rows = pickled_rows(self, protocol);
    return rows != NULL ? Py_BuildValue("O(OsN)", state->restore_array,
                                        (PyObject *)self->cls,
                                        self->layout->format, rows)
                        : NULL;
}

/* _restore_array(cls, format, buffer): what a pickle calls. Memory that can
 * be written is used as it is until the array grows.
 */
static PyObject *
restore_array(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    static const char function[] = "RecordArray (unpickling)";
    if (nargs != 3 || !PyUnicode_Check(args[1])) {
        PyErr_Format(PyExc_TypeError, "%s wants class, format and rows",
                     function);
        return NULL;
    }
    records_state *state = records_get_state(module);
    array_object *self = array_wrap(state, args[0], args[2], true, function);
    if (self == NULL) {
        return NULL;
    }
    if (PyUnicode_CompareWithASCIIString(args[1], self->layout->format) != 0) {
        PyObject *format = PyUnicode_FromString(self->layout->format);
        int same = format != NULL ? PyUnicode_Compare(format, args[1]) : -1;
        if (same != 0 && !PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError,
                         "%s: %U has rows of %U, the pickle has %U", function,
                         self->cls->plan->qualname, format, args[1]);
        }
        Py_XDECREF(format);
        if (PyErr_Occurred()) {
            Py_DECREF(self);
            return NULL;
        }
    }
    self->movable = true;
    if (self->readonly || !array_is_aligned(self->layout, self->data)) {
        PyObject *copy = array_copy((PyObject *)self, NULL);
        Py_DECREF(self);
        return copy;
    }
    return (PyObject *)self;
}

PyMethodDef array_functions[] = {
    {"_restore_array", FE_METHOD(restore_array), METH_FASTCALL,
     "_restore_array($module, cls, format, rows, /)\n--\n\nPickle support."},
    {NULL, NULL, 0, NULL},
};
