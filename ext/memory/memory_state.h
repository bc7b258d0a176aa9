/* SPDX-License-Identifier: MIT
 *
 * What the files of the room share: the module's state and how to reach it.
 */
#ifndef MEMORY_STATE_H
#define MEMORY_STATE_H

#include "compat.h"
#include "state.h"

#include "freeze.h"

#define MEMORY_STATE(X) FREEZE_STATE(X)

struct memory_state {
    MEMORY_STATE(FE_STATE_FIELD)
    bool frozen;  /* something was made immortal */
    bool crowded; /* other threads ran when the interpreter began to end */
    bool ended;   /* the guard has done its work */
};

/* memory_module.c */
memory_state *memory_get_state(PyObject *module);

#endif
