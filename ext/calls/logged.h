/* SPDX-License-Identifier: MIT
 *
 * Functions that say when they are called.
 */
#ifndef LOGGED_H
#define LOGGED_H

#include "wrapper.h"

#define LOGGED_STATE(X)                                                       \
    X(PyTypeObject *, logged_type)                                            \
    X(PyTypeObject *, sink_type)                                              \
    X(PyObject *, sink_default) /* of decorators without options; or NULL */  \
    X(PyObject *, sink_trust)   /* True, False; NULL: not tried yet */

int logged_register(PyObject *module, calls_state *state);

#endif
