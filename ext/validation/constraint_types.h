/* SPDX-License-Identifier: MIT
 *
 * Between constraint.c, which does, and constraint_types.c, which lists.
 */
#ifndef CONSTRAINT_TYPES_H
#define CONSTRAINT_TYPES_H

#include "validation_state.h"

PyObject *constraint_tp_new(PyTypeObject *, PyObject *args, PyObject *kwargs);
PyObject *Length_tp_new(PyTypeObject *, PyObject *args, PyObject *kwargs);
PyObject *Interval_tp_new(PyTypeObject *, PyObject *args, PyObject *kwargs);
PyObject *constant_tp_call(PyObject *self, PyObject *args, PyObject *kwargs);

PyObject *Interval_get(PyObject *self, void *closure);
PyObject *Length_get_max_length(PyObject *self, void *closure);

PyObject *constraint_tp_repr(PyObject *self);
PyObject *constraint_tp_str(PyObject *self);
Py_hash_t constraint_tp_hash(PyObject *self);
PyObject *constraint_tp_richcompare(PyObject *self, PyObject *other, int op);
PyObject *constraint_tp_iter(PyObject *self);
int constraint_tp_traverse(PyObject *self, visitproc visit, void *arg);
void constraint_tp_dealloc(PyObject *self);

extern const char constraint___reduce____doc__[];
extern const char constraint___copy____doc__[];
extern const char constraint___deepcopy____doc__[];
PyObject *constraint___reduce__(PyObject *self, PyObject *ignored);
PyObject *Interval___reduce__(PyObject *self, PyObject *ignored);
PyObject *constraint___copy__(PyObject *self, PyObject *ignored);

/* new: the single-bound constraints of Length and Interval, a tuple */
PyObject *constraint_parts(validation_state *state, PyObject *self);

int constraint_types_register(PyObject *module, validation_state *state);

#endif
