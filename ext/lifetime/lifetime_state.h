/* SPDX-License-Identifier: MIT
 *
 * What the files of the room share: the module's state and how to reach it.
 * What only one feature knows is in that feature's header.
 */
#ifndef LIFETIME_STATE_H
#define LIFETIME_STATE_H

#include "compat.h"
#include "state.h"

#include "asyncgen.h"
#include "finalize.h"
#include "weak_dict.h"

#define LIFETIME_STATE(X)                                                     \
    X(PyObject *, empty_tuple)                                                \
    X(PyObject *, ref_arguments) /* a pair, or NULL while it is in use */     \
    FINALIZE_STATE(X)                                                         \
    WEAK_DICT_STATE(X)                                                        \
    ASYNCGEN_STATE(X)

struct lifetime_state {
    LIFETIME_STATE(FE_STATE_FIELD)
    bool alone; /* weak references stay out of the collector's lists */
    finalize_registry finalize;
    weak_dict_pool weak_dict;
    asyncgen_switch asyncgen;
};

/* lifetime_module.c */
lifetime_state *lifetime_get_state(PyObject *module);
/* of a type made by this module, not of a subclass; NULL without an exception
 * when the collector has taken the module from the type */
lifetime_state *lifetime_state_of_type(PyTypeObject *type);
/* of a type made by this module or derived from one; NULL with TypeError */
lifetime_state *lifetime_state_of_subtype(PyTypeObject *type);
/* NULL, with the RuntimeError of use after the module was cleared */
PyObject *lifetime_gone(void);
/* new: an instance of `type`, a subclass of weakref.ref, that refers to obj */
PyObject *lifetime_new_ref(lifetime_state *state, PyTypeObject *type,
                           PyObject *obj, PyObject *callback);

#endif
