/* SPDX-License-Identifier: MIT
 *
 * What of a list or a buffer is above a threshold.
 */
#ifndef FILTER_H
#define FILTER_H

#include "compat.h"
#include "filter_core.h"

typedef struct compute_state compute_state;

#define FILTER_STATE(X)                                                       \
    X(PyTypeObject *, filter_memory_type)                                     \
    X(PyObject *, str_array)                                                  \
    X(PyObject *, str_dtype)                                                  \
    X(PyObject *, str_frombytes)                                              \
    X(PyObject *, str_ndarray)                                                \
    X(PyObject *, str_numpy)                                                  \
    X(PyObject *, str_typecode)

int filter_register(PyObject *module, compute_state *state);

/* ---- filter_memory.c: memory that what is returned is a view of */

typedef struct {
    PyObject_HEAD char *data;
    Py_ssize_t count, size; /* numbers, and bytes of one */
    char format[4];
} filter_memory;

int filter_memory_register(PyObject *module, compute_state *state);
/* new: room for `count` numbers, and for the kernels beyond; NULL with
 * MemoryError */
filter_memory *filter_memory_new(compute_state *state, Py_ssize_t count,
                                 Py_ssize_t size, const char *format);
/* Keep `count` numbers and give the rest back. Nobody has a view of it yet. */
void filter_memory_shrink(filter_memory *memory, Py_ssize_t count);

#endif
