/* SPDX-License-Identifier: MIT
 *
 * Functions that know how long they take.
 */
#ifndef TIMER_H
#define TIMER_H

#include "wrapper.h"

#define TIMER_STATE(X) X(PyTypeObject *, timer_type)

int timer_register(PyObject *module, calls_state *state);

#endif
