/* SPDX-License-Identifier: MIT
 *
 * Making what a process has loaded safe to share with the children it forks.
 */
#ifndef FREEZE_H
#define FREEZE_H

#include "compat.h"

typedef struct memory_state memory_state;

#define FREEZE_STATE(X)                                                       \
    X(PyTypeObject *, guard_type)                                             \
    X(PyObject *, str_buffer)                                                 \
    X(PyObject *, str_close)                                                  \
    X(PyObject *, str_raw)

/* Why an object keeps its reference count. */
typedef enum {
    FREEZE_FINALIZER, /* has a finalizer of its own */
    FREEZE_OWNER,     /* holds one of those, and nearly alone */
    FREEZE_RUNNING,   /* frames, and what belongs to this call */
    FREEZE_ASKED,     /* named by the caller, or its type */
    FREEZE_REASONS,
} freeze_reason;

typedef struct {
    bool immortal; /* else only look: count what is and what is not */
    bool hash;
    PyObject *keep; /* borrowed: a tuple of objects and types, stay mortal */
    struct freeze_stack *found; /* or NULL: new references to all with a
                                   finalizer that has not run, and to what
                                   `keep` names the type of */
} freeze_options;

typedef struct {
    Py_ssize_t immortal; /* made so by this walk */
    Py_ssize_t already;  /* were so, with the exact count */
    Py_ssize_t drifted;  /* are so, with another count */
    Py_ssize_t lost;     /* frozen leaves that are not */
    Py_ssize_t hashed, versioned;
    Py_ssize_t missed; /* untracked containers: no memory to note them */
    Py_ssize_t mortal[FREEZE_REASONS];
} freeze_counts;

int freeze_register(PyObject *module, memory_state *state);

/* freeze_walk.c: 0, or -1 with MemoryError and the walk unfinished */
int freeze_walk(const freeze_options *options, freeze_counts *counts);

/* freeze_exit.c */
int freeze_exit_register(PyObject *module, memory_state *state);

#endif
