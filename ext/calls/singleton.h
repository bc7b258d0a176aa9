/* SPDX-License-Identifier: MIT
 *
 * Classes of which there is one instance.
 */
#ifndef SINGLETON_H
#define SINGLETON_H

#include "compat.h"

typedef struct calls_state calls_state;

#define SINGLETON_STATE(X)                                                    \
    X(PyTypeObject *, singleton_type)                                         \
    X(PyObject *, singleton_call) /* __call__ of metaclasses made here */     \
    X(PyObject *, str_reset)                                                  \
    X(PyObject *, str_class)

/* A thread that waits for another to make an instance; on its stack. */
typedef struct singleton_wait {
    struct singleton_wait *next;
    uint64_t thread;
    struct singleton *wants;
} singleton_wait;

int singleton_register(PyObject *module, calls_state *state);

#endif
