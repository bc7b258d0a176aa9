/* SPDX-License-Identifier: MIT
 *
 * Functions that count their calls.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include "wrapper.h"

#define COUNTED_STATE(X) X(PyTypeObject *, counted_type)

int counted_register(PyObject *module, calls_state *state);

#endif
