/* SPDX-License-Identifier: MIT
 *
 * What the files of the room share: the module's state and how to reach it.
 * What only one feature knows is in that feature's header.
 */
#ifndef VALIDATION_STATE_H
#define VALIDATION_STATE_H

#include "compat.h"
#include "state.h"

typedef struct validation_state validation_state;

#include "checked.h"
#include "constraint.h"
#include "descriptor.h"
#include "email.h"
#include "validation_error.h"
#include "mask.h"
#include "regex.h"
#include "sql_schema.h"
#include "validate.h"
#include "validated_meta.h"

#define VALIDATION_STATE(X)                                                   \
    ERROR_STATE(X)                                                            \
    CONSTRAINT_STATE(X)                                                       \
    VALIDATE_STATE(X)                                                         \
    REGEX_STATE(X)                                                            \
    EMAIL_STATE(X)                                                            \
    DESCRIPTOR_STATE(X)                                                       \
    VALIDATED_META_STATE(X)                                                   \
    CHECKED_STATE(X)                                                          \
    MASK_STATE(X)                                                             \
    SQL_SCHEMA_STATE(X)

struct validation_state {
    VALIDATION_STATE(FE_STATE_FIELD)
};

/* validation_module.c */
validation_state *validation_get_state(PyObject *module);
/* of an instance of a type made by this module, not of a subclass; NULL with
 * RuntimeError when the collector has taken the module from the type */
validation_state *validation_state_of(PyObject *instance);
/* borrowed from the type: the module of a type made by it or derived from one;
 * NULL with TypeError */
PyObject *validation_module_borrow(PyTypeObject *type);

#endif
