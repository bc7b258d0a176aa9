/* SPDX-License-Identifier: MIT
 *
 * Classes by name.
 */
#ifndef REGISTER_H
#define REGISTER_H

#include "compat.h"

typedef struct calls_state calls_state;

#define REGISTER_STATE(X)                                                     \
    X(PyTypeObject *, registry_type)                                          \
    X(PyObject *, str_keyword) /* name */                                     \
    X(PyObject *, str_name)                                                   \
    X(PyObject *, str_module)                                                 \
    X(PyObject *, str_qualname)

int register_register(PyObject *module, calls_state *state);

#endif
