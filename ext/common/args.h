/* SPDX-License-Identifier: MIT
 *
 * Arguments of METH_FASTCALL | METH_KEYWORDS functions, described by a table.
 */
#ifndef FE_ARGS_H
#define FE_ARGS_H

#include "compat.h"

typedef struct {
    const char *function; /* for messages: "asdict" */
    /* NULL-terminated, declaration order; "": by position only */
    const char *const *names;
    int positional; /* how many may come by position */
    int required;   /* the first so many must come */
} fe_sig;

/* Fill values[] with borrowed references (NULL: not given) in declaration
 * order. 0, or -1 with a TypeError that names function and parameter.
 */
int fe_args_unpack(const fe_sig *sig, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames, PyObject **values);

#endif
