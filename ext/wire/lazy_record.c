/* SPDX-License-Identifier: MIT
 *
 * What a LayoutView has of a record: ==, hash() and repr(). A record is made
 * with the values of now and asked; nobody else sees it. It is as a
 * constructor would leave it, but for __post_init__ and checks: the values are
 * what they are.
 */
#include "wire_state.h"

/* Put a value into a record under construction; stolen. 0 or -1 */
static int
record_fill(lazy_object *self, PyObject *record, const record_field *field,
            PyObject *value)
{
    if (field->kind == FE_OBJECT) {
        FE_FIELD_OBJECT(record, field) = value;
        return 0;
    }
    wire_state *state = wire_state_of((PyObject *)self);
    int status = state != NULL
                     ? state->records->store(self->layout->cls, field,
                                             FE_FIELD_AT(record, field), value)
                     : -1;
    Py_DECREF(value);
    return status;
}

/* Every object field has a value or NULL before anything can go wrong. */
static PyObject *
record_of_values(wire_state *state, lazy_object *self, PyObject *values)
{
    const packet_layout *layout = self->layout;
    PyObject *record = state->records->begin(layout->cls);
    for (Py_ssize_t i = 0; record != NULL && i < layout->count; i++) {
        const record_field *field = layout->fields[i].field;
        if (field->kind == FE_OBJECT) {
            FE_FIELD_OBJECT(record, field) = NULL;
        }
    }
    for (Py_ssize_t i = 0; record != NULL && i < layout->count; i++) {
        PyObject *value = Py_NewRef(PyList_GET_ITEM(values, i));
        if (record_fill(self, record, layout->fields[i].field, value) < 0) {
            state->records->abort(record);
            record = NULL;
        }
    }
    return record;
}

/* new: all fields are read before the record is begun, for reading may run
 * Python code
 */
static PyObject *
lazy_record(lazy_object *self)
{
    wire_state *state = wire_state_of((PyObject *)self);
    const packet_layout *layout = self->layout;
    PyObject *values = state != NULL ? PyList_New(layout->count) : NULL;
    for (Py_ssize_t i = 0; values != NULL && i < layout->count; i++) {
        PyObject *value = lazy_load_any(self, &layout->fields[i]);
        if (value == NULL) {
            Py_CLEAR(values);
            break;
        }
        PyList_SET_ITEM(values, i, value);
    }
    if (values == NULL) {
        return NULL;
    }
    PyObject *record = record_of_values(state, self, values);
    Py_DECREF(values);
    return record;
}

PyObject *
lazy_tp_richcompare(PyObject *op, PyObject *other, int operation)
{
    lazy_object *self = (lazy_object *)op;
    PyObject *own, *others;
    bool both = Py_IS_TYPE(other, Py_TYPE(op));
    PyTypeObject *cls =
        both ? ((lazy_object *)other)->layout->cls : Py_TYPE(other);
    if (cls != self->layout->cls) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    own = lazy_record(self);
    others = own == NULL ? NULL
             : both      ? lazy_record((lazy_object *)other)
                         : Py_NewRef(other);
    PyObject *result =
        others != NULL ? PyObject_RichCompare(own, others, operation) : NULL;
    Py_XDECREF(own);
    Py_XDECREF(others);
    return result;
}

Py_hash_t
lazy_tp_hash(PyObject *op)
{
    PyObject *record = lazy_record((lazy_object *)op);
    Py_hash_t hash = record != NULL ? PyObject_Hash(record) : -1;
    Py_XDECREF(record);
    return hash;
}

PyObject *
lazy_tp_repr(PyObject *op)
{
    PyObject *record = lazy_record((lazy_object *)op);
    PyObject *text = record != NULL ? PyObject_Repr(record) : NULL;
    Py_XDECREF(record);
    return text;
}
