/* SPDX-License-Identifier: MIT
 *
 * Objects as dicts in which no sensitive value is.
 */
#ifndef MASK_H
#define MASK_H

#define MASK_STATE(X)                                                         \
    X(PyTypeObject *, mask_plan_type)                                         \
    X(PyTypeObject *, mask_cache_type)                                        \
    X(PyObject *, mask_cache) /* class -> mask_plan */                        \
    X(PyObject *, mask_stars) /* "***" */                                     \
    X(PyObject *, mask_abcs)  /* classes by MASK_ABC_… */

int mask_register(PyObject *module, validation_state *state);

/* ---- mask_cache.c: something for each class, which goes with the class */

/* new */
PyObject *mask_cache_new(validation_state *state);
/* new, or NULL without an exception: no code is run */
PyObject *mask_cache_get(PyObject *cache, PyObject *cls);
/* 0 or -1 */
int mask_cache_set(PyObject *cache, PyObject *cls, PyObject *value);
int mask_cache_register(PyObject *module, validation_state *state);

#endif
