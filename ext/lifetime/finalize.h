/* SPDX-License-Identifier: MIT
 *
 * Clean-ups that run once: finalize (beside the object) and Finalizable (in
 * the object). Both hang in one list, in the order in which they were made.
 */
#ifndef FINALIZE_H
#define FINALIZE_H

#include "compat.h"

typedef struct lifetime_state lifetime_state;

/* Embedded in both kinds; in a list of the registry exactly while alive. */
typedef struct finalize_node {
    struct finalize_node *prev, *next;
    uint32_t fork_depth; /* of the process that made it */
    uint16_t exit_depth; /* made at exit by one made at exit by … */
    bool alive : 1;
    bool atexit : 1;
    bool inherit : 1;  /* runs in child processes too */
    bool embedded : 1; /* a Finalizable: the list does not own it */
} finalize_node;

#define FINALIZE_STATE(X)                                                     \
    X(PyTypeObject *, finalize_type)                                          \
    X(PyTypeObject *, finalizable_type)                                       \
    X(PyObject *, finalize_callback)                                          \
    X(PyObject *, finalize_exit)                                              \
    X(PyObject *, str_finalize)

typedef struct {
    finalize_node live;   /* head: prev is the youngest */
    finalize_node parked; /* head: alive, but not to be run at exit */
    PyObject *free_list;  /* dead finalize objects, linked by fe_dead_link */
    uint32_t free_count;
    uint32_t atexit_depth; /* fork depth of the process that told atexit */
    bool atexit_told;
    bool shut;                 /* exit is over: nothing runs any more */
    uint16_t exit_depth;       /* what is made now inherits it */
    unsigned long exit_thread; /* 0: exit has not begun */
} finalize_registry;

/* finalize.c */
int finalize_register(PyObject *module, lifetime_state *state);
/* new: the result of the clean-up, or NULL with its exception */
PyObject *finalize_run(finalize_node *node);
/* forget the clean-up unrun */
void finalize_disarm(finalize_node *node);
/* borrowed from nobody: the object the node is embedded in */
PyObject *finalize_node_object(finalize_node *node);

/* finalize_base.c */
extern PyType_Spec finalizable_spec;
PyObject *finalizable_run(finalize_node *node);
PyObject *finalizable_node_object(finalize_node *node);

/* finalize_exit.c: the registry */
extern PyMethodDef finalize_exit_def;
extern PyMethodDef finalize_functions[];
void finalize_registry_init(finalize_registry *registry);
/* Before a node is linked. 0, or -1 with an exception: the first one has to
 * tell atexit, which may run Python code.
 */
int finalize_prepare(lifetime_state *state);
/* A dead node comes to life, unless exit is over. Runs no Python code. */
void finalize_link(lifetime_state *state, finalize_node *node);
void finalize_unlink(finalize_node *node);
/* Is a clean-up run when its object dies, here and now? */
bool finalize_may_run(const lifetime_state *state, const finalize_node *node);
void finalize_free(lifetime_state *state);
/* `atexit` and `inherit` of both kinds; the closure is a finalize_flag */
typedef enum { FINALIZE_ATEXIT, FINALIZE_INHERIT } finalize_flag;
PyObject *finalize_get_flag(const finalize_node *node, void *flag);
int finalize_set_flag(finalize_node *node, PyObject *value, void *flag);

/* finalize_reach.c */
int finalize_refuse_reach(PyObject *obj, PyObject *func,
                          PyObject *const *values, Py_ssize_t count,
                          PyObject *kwnames);

/* 0, or -1 with a TypeError: func or an argument keeps obj alive, and so obj
 * would never die. values: the positional arguments, then those of kwnames.
 */
static inline int
finalize_check_reach(PyObject *obj, PyObject *func, PyObject *const *values,
                     Py_ssize_t count, PyObject *kwnames)
{
    bool plain = count == 0 && func != obj && PyFunction_Check(func)
                 && PyFunction_GET_CLOSURE(func) == NULL
                 && PyFunction_GET_DEFAULTS(func) == NULL
                 && PyFunction_GET_KW_DEFAULTS(func) == NULL;
    return plain ? 0
                 : finalize_refuse_reach(obj, func, values, count, kwnames);
}

#endif
