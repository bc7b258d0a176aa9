/* SPDX-License-Identifier: MIT
 *
 * Functions whose arguments and result are checked by their annotations.
 */
#ifndef CHECKED_H
#define CHECKED_H

#include "wrap.h"

#define CHECKED_STATE(X)                                                      \
    X(PyTypeObject *, checked_type)                                           \
    X(PyTypeObject *, checked_coroutine_type)

int checked_register(PyObject *module, validation_state *state);

/* What passes at a glance, taken out of the plan. */
typedef enum {
    CHECKED_ANY,   /* everything: there is no plan */
    CHECKED_EXACT, /* what is exactly of `type` */
    CHECKED_INT,   /* an exact int from low to high */
    CHECKED_STR,   /* an exact str, its length from low to high */
    CHECKED_LIST,  /* an exact list of what is exactly of `items` */
    CHECKED_OTHER, /* ask validate_quick */
} checked_glance;

/* A parameter, or the result. What is not checked has no plan. */
typedef struct {
    PyTypeObject *type; /* borrowed, a static one; NULL: see glance */
    checked_glance glance;
    int64_t low;
    int64_t high;
    PyTypeObject *items;        /* borrowed, a static one, or NULL */
    struct validate_plan *plan; /* owned; NULL: not checked */
    PyObject *name;             /* owned: interned str; NULL: the result */
    PyObject *where;            /* owned str: "f() argument 'a'" */
    PyObject *annotation;       /* owned while it waits for the first call */
    PyObject *default_value;    /* owned, likewise; may be NULL */
} checked_place;

/* places: `count` parameters that have a name of their own, in the order of
 * the signature: the first `only` come by position only, the first
 * `positional` may; then these. Made with the object, and filled once.
 */
enum { CHECKED_REST, CHECKED_OTHERS, CHECKED_RESULT, CHECKED_MORE };

typedef struct {
    fe_wrap head;
    PyObject *called;      /* owned str: "f()" */
    checked_place *places; /* owned: count + CHECKED_MORE */
    checked_place *more;   /* in it: those behind the named ones */
    Py_ssize_t only;
    Py_ssize_t positional;
    Py_ssize_t count;
} checked_object;

#define CHECKED(op) ((checked_object *)(op))

/* checked_table.c */

/* Read the signature of self's function, and make the plans of all annotations
 * that can be resolved. 1: all; 0: some wait for the first call; -1 with
 * TypeError or ConstraintError (of a default) naming function and parameter.
 */
int checked_table_fill(validation_state *state, checked_object *self,
                       bool result);
/* The plans of those that waited. first: borrowed, the first argument of the
 * call, or NULL. 0, or -1 with an exception: they wait on.
 */
int checked_table_settle(validation_state *state, checked_object *self,
                         PyObject *first);

/* Let go of all places: the end of the object. */
void checked_table_drop(checked_object *self);

/* checked_coroutine.c */
extern PyType_Spec checked_coroutine_spec;
/* new: `awaitable` (borrowed), its result checked when it is awaited */
PyObject *checked_coroutine_new(validation_state *state, PyObject *owner,
                                PyObject *awaitable);

/* checked.c */

/* new: a result (stolen) that is to be checked */
PyObject *checked_result_steal(checked_object *self, PyObject *result);

#endif
