/* SPDX-License-Identifier: MIT
 *
 * What a process and its children keep in memory, as the kernel counts it.
 */
#ifndef USAGE_H
#define USAGE_H

#include "compat.h"

typedef struct memory_state memory_state;

int usage_register(PyObject *module, memory_state *state);

#endif
