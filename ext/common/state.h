/* SPDX-License-Identifier: MIT
 *
 * Module state declared once. A room lists its state as an X-macro,
 *
 *     #define RECORDS_STATE(X) X(PyTypeObject *, Field) X(PyObject *, empty)
 *
 * (object pointers only) and these macros expand the list to the struct's
 * fields, the traverse and the clear function, so that none is forgotten.
 */
#ifndef FE_STATE_H
#define FE_STATE_H

#include "compat.h"

#define FE_STATE_FIELD(type, name) type name;
#define FE_STATE_VISIT(type, name) Py_VISIT(state->name);
#define FE_STATE_CLEAR(type, name) Py_CLEAR(state->name);

#endif
