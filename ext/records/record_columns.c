/* SPDX-License-Identifier: MIT */
#include "record_columns.h"

#include "record_array.h"

int
columns_are(PyObject *obj)
{
    if (PyDict_Check(obj)) {
        return 1;
    }
    if (!PyMapping_Check(obj) || PyObject_CheckBuffer(obj)) {
        return 0;
    }
    PyObject *keys = PyObject_GetAttrString(obj, "keys");
    if (keys == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear(); /* AttributeError: that is the answer */
        return 0;
    }
    Py_DECREF(keys);
    return 1;
}

/* Every key is the name of a field. */
static int
check_keys(PyObject *mapping, const column_source *sources, Py_ssize_t count,
           PyObject *qualname, const char *function)
{
    PyObject *keys = PyMapping_Keys(mapping);
    if (keys == NULL) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(keys); k++) {
        PyObject *key = PyList_GET_ITEM(keys, k);
        bool known = false;
        for (Py_ssize_t i = 0; !known && i < count; i++) {
            PyObject *name = sources[i].field->name;
            known =
                name == key
                || (PyUnicode_Check(key) && PyUnicode_Compare(name, key) == 0);
        }
        if (!known) {
            PyErr_Format(PyExc_TypeError,
                         "%s: %U has no field %.100R for a column", function,
                         qualname, key);
            status = -1;
        }
    }
    Py_DECREF(keys);
    return status;
}

/* new: the column of a field; TypeError if there is none */
static PyObject *
column_of(PyObject *mapping, const record_field *field, PyObject *qualname,
          const char *function)
{
    PyObject *column = PyObject_GetItem(mapping, field->name);
    if (column == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear(); /* KeyError: ours names class and field */
        PyErr_Format(PyExc_TypeError, "%s: no column for field '%U' of %U",
                     function, field->name, qualname);
    }
    return column;
}

/* Take the column as a buffer of the field's format. 1; 0: it is none; -1 */
static int
open_view(column_source *source, PyObject *column)
{
    if (source->field->kind == FE_OBJECT || !PyObject_CheckBuffer(column)) {
        return 0;
    }
    if (PyObject_GetBuffer(column, &source->view, PyBUF_RECORDS_RO) < 0) {
        source->view.obj = NULL;
        if (!PyErr_ExceptionMatches(PyExc_BufferError)
            && !PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear(); /* it cannot say its format: its values can */
        return 0;
    }
    if (source->view.ndim != 1
        || !array_format_is(source->view.format, source->field,
                            &source->size)) {
        PyBuffer_Release(&source->view);
        return 0;
    }
    source->count = source->view.shape[0];
    return 1;
}

/* new: a list or tuple of any iterable's values */
static PyObject *
values_of(PyObject *column, const record_field *field, const char *function)
{
    if (PyList_CheckExact(column) || PyTuple_CheckExact(column)) {
        return Py_NewRef(column);
    }
    PyObject *iterator = PyObject_GetIter(column);
    if (iterator == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)
            && Py_TYPE(column)->tp_iter == NULL) {
            PyErr_Clear(); /* TypeError, not iterable: ours names the field */
            PyObject *shown = records_shown(field, column);
            if (shown != NULL) {
                PyErr_Format(PyExc_TypeError,
                             "%s: column '%U' wants a buffer or an iterable, "
                             "got %s %U",
                             function, field->name, Py_TYPE(column)->tp_name,
                             shown);
                Py_DECREF(shown);
            }
        }
        return NULL;
    }
    PyObject *values = PySequence_List(iterator);
    Py_DECREF(iterator);
    return values;
}

static int
open_one(column_source *source, PyObject *column, const char *function)
{
    int opened = open_view(source, column);
    if (opened != 0) {
        return opened < 0 ? -1 : 0;
    }
    source->values = values_of(column, source->field, function);
    if (source->values == NULL) {
        return -1;
    }
    source->count = PySequence_Fast_GET_SIZE(source->values);
    return 0;
}

int
columns_open(PyObject *mapping, column_source *sources,
             Py_ssize_t source_count, PyObject *qualname, Py_ssize_t *count,
             const char *function)
{
    if (check_keys(mapping, sources, source_count, qualname, function) < 0) {
        return -1;
    }
    *count = 0;
    for (Py_ssize_t i = 0; i < source_count; i++) {
        column_source *source = &sources[i];
        PyObject *column =
            column_of(mapping, source->field, qualname, function);
        int status = column != NULL ? open_one(source, column, function) : -1;
        Py_XDECREF(column);
        if (status < 0) {
            return -1;
        }
        if (source->count != sources[0].count) {
            PyErr_Format(PyExc_ValueError,
                         "%s: columns of unequal length: '%U' has %zd rows, "
                         "'%U' has %zd",
                         function, sources[0].field->name, sources[0].count,
                         source->field->name, source->count);
            return -1;
        }
        *count = source->count;
    }
    return 0;
}

void
columns_close(column_source *sources, Py_ssize_t source_count)
{
    for (Py_ssize_t i = 0; i < source_count; i++) {
        if (sources[i].view.obj != NULL) {
            PyBuffer_Release(&sources[i].view);
        }
        Py_CLEAR(sources[i].values);
    }
}

PyObject *
columns_value(const column_source *source, Py_ssize_t i, const char *function)
{
    if (i >= PySequence_Fast_GET_SIZE(source->values)) {
        PyErr_Format(PyExc_RuntimeError,
                     "%s: column '%U' changed while it was read", function,
                     source->field->name);
        return NULL;
    }
    return Py_NewRef(PySequence_Fast_GET_ITEM(source->values, i));
}

bool
records_check_class(records_state *state, PyObject *cls, const char *function)
{
    if (!records_is_class(state, cls)) {
        PyErr_Format(PyExc_TypeError, "%s wants a record class, got %s %.100R",
                     function, Py_TYPE(cls)->tp_name, cls);
        return false;
    }
    if (((PyTypeObject *)cls)->tp_flags & Py_TPFLAGS_IS_ABSTRACT) {
        PyErr_Format(PyExc_TypeError, "%s cannot make records of abstract %U",
                     function, RECORD_CLASS(cls)->plan->qualname);
        return false;
    }
    return true;
}

int
records_refuse_text(PyObject *qualname, const record_field *field,
                    Py_ssize_t row, const char *function)
{
    if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear(); /* UnicodeDecodeError: ours names field and row */
        PyErr_Format(PyExc_ValueError,
                     "%s: %U.%U wants UTF-8, got other bytes in row %zd",
                     function, qualname, field->name, row);
    }
    return -1;
}
