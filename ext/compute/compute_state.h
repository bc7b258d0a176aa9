/* SPDX-License-Identifier: MIT
 *
 * What the files of the room share: the module's state and how to reach it.
 */
#ifndef COMPUTE_STATE_H
#define COMPUTE_STATE_H

#include "compat.h"
#include "cpu.h"
#include "state.h"

#include "filter.h"

#define COMPUTE_STATE(X) FILTER_STATE(X)

struct compute_state {
    COMPUTE_STATE(FE_STATE_FIELD)
    fe_cpu cpu;
    fe_filter_kernels filter;
};

/* compute_module.c */
compute_state *compute_get_state(PyObject *module);

#endif
