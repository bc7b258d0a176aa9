/* SPDX-License-Identifier: MIT
 *
 * WireError: bytes that are not what a layout says. Where they are is known
 * from the frames on the stack, and put into words only here.
 */
#include "wire_state.h"

/* new: `before` with ".name[3]" of one frame */
static PyObject *
add_step(PyObject *before, const packet_path *path)
{
    if (before == NULL) {
        return NULL;
    }
    PyObject *after =
        path->item < 0
            ? PyUnicode_FromFormat("%U.%U", before, path->field->field->name)
            : PyUnicode_FromFormat("%U.%U[%zd]", before,
                                   path->field->field->name, path->item);
    Py_DECREF(before);
    return after;
}

PyObject *
packet_where(const packet_path *path)
{
    PyObject *before = path->outer != NULL ? packet_where(path->outer)
                                           : Py_NewRef(path->layout->qualname);
    return add_step(before, path);
}

PyObject *
packet_shown(const packet_field *field, PyObject *value)
{
    if (value != NULL && field->field->flags & FE_FIELD_SENSITIVE) {
        Py_SETREF(value, PyUnicode_FromString("***"));
    }
    return value;
}

int
packet_refuse(wire_state *state, const packet_path *path, Py_ssize_t offset,
              PyObject *wanted, PyObject *had)
{
    bool whole = wanted != NULL && had != NULL;
    wire_refuse(state, offset, wanted, had, whole ? packet_where(path) : NULL);
    return -1;
}

int
packet_short(wire_state *state, const packet_path *path, Py_ssize_t offset,
             Py_ssize_t wanted, Py_ssize_t had)
{
    PyObject *number = PyLong_FromSsize_t(wanted);
    return packet_refuse(state, path, offset, number,
                         number != NULL ? PyLong_FromSsize_t(had) : NULL);
}
