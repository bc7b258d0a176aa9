/* SPDX-License-Identifier: MIT
 *
 * How a record class learns that what is written to an attribute is checked,
 * without knowing by whom: the type of an object that stands in a class body
 * carries this struct in a capsule. Records look for it when a class is
 * defined, and keep the pointer and the object.
 */
#ifndef FE_FIELD_CHECK_H
#define FE_FIELD_CHECK_H

#include "compat.h"

/* the attribute of the type, and the name of the capsule it holds */
#define FE_FIELD_CHECK_ATTRIBUTE "__ferrule_field_check__"
#define FE_FIELD_CHECK_NAME "ferrule.field_check"
#define FE_FIELD_CHECK_VERSION 2

typedef struct {
    int version;
    /* May the value be written? 0, or -1 with an exception that names the
     * attribute, and does not show the value if the field is `sensitive`. May
     * run Python code, and owns `check` itself meanwhile.
     */
    int (*check)(PyObject *check, PyObject *value, int sensitive);
    /* It is the attribute `name` of `owner` from now on; 0, or -1 with an
     * exception when it cannot be, or not on a record.
     */
    int (*bind)(PyObject *check, PyTypeObject *owner, PyObject *name);
} fe_field_check;

#endif
