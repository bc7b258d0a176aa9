/* SPDX-License-Identifier: MIT
 *
 * What masking has to know of a class and of an annotation, worked out once.
 */
#ifndef MASK_PLAN_H
#define MASK_PLAN_H

#include "validation_state.h"

typedef enum {
    MASK_STARS,   /* shown as *** */
    MASK_ITEMS,   /* parts[0] for each item of a collection */
    MASK_TUPLE,   /* parts[i] for item i */
    MASK_MAPPING, /* parts[0] for each value */
    MASK_FIELDS,  /* parts[i] for what names[i] holds */
    MASK_EITHER,  /* that of parts[] which goes with the value */
} mask_kind;

/* Where in a value the sensitive ones are, as its annotation says. A NULL part
 * says nothing: the value's own type decides.
 */
typedef struct mask_shape {
    mask_kind kind;
    Py_ssize_t count;
    PyObject **names; /* FIELDS: owned interned strs; EITHER: owned tuple of
                         weak references to the classes that a part without
                         anything sensitive allows, or NULL; else NULL */
    struct mask_shape *parts[];
} mask_shape;

typedef enum {
    MASK_ATOM, /* shown as it is */
    MASK_OBJECT,
    MASK_DICT,
    MASK_LIST,
    MASK_ROW,       /* a tuple */
    MASK_OTHERS,    /* any other collection: becomes a list */
    MASK_NAMESPACE, /* a SimpleNamespace: its attributes */
    MASK_WHOLE,     /* what it is cannot be told: hidden */
} mask_class;

/* What is no container but shows, or leads to, other values */
typedef enum {
    MASK_HOLD_NONE,
    MASK_HOLD_ERROR,
    MASK_HOLD_METHOD,
    MASK_HOLD_PARTIAL,
    MASK_HOLD_MEMBER, /* of an Enum */
} mask_hold;

/* Of a class. Holds nothing that leads back to it. */
typedef struct {
    PyObject_HEAD mask_class kind;
    mask_hold hold;
    bool failed;       /* not all its annotations could be read */
    PyObject *name;    /* owned str */
    PyObject *blank;   /* owned or NULL: OBJECT: dict of *** for each field */
    mask_shape *shape; /* owned or NULL: FIELDS, of an OBJECT or a DICT */
} mask_plan;

/* new */
mask_plan *mask_plan_of(validation_state *state, PyTypeObject *type);
/* 0 or -1: the ABCs of values and origins are in state->mask_abcs */
int mask_abcs(validation_state *state);

/* mask_shape.c: *shape is owned, NULL if nothing in the annotation is
 * sensitive. 0 or -1
 */
int mask_shape_of(validation_state *state, PyObject *annotation,
                  mask_shape **shape);
mask_shape *mask_shape_new(mask_kind kind, Py_ssize_t count, bool named);
void mask_shape_free(mask_shape *shape);

/* mask_hints.c: new: dict name -> annotation, None where it cannot be read */
PyObject *mask_hints_of(PyTypeObject *type);
/* Does the current exception say something of what was being read? */
bool mask_error_counts(void);

/* mask_hold.c: new: list of what is in an exception, a method … */
PyObject *mask_held(mask_hold hold, PyObject *value);

int mask_plan_register(PyObject *module, validation_state *state);

/* By its exact type alone: what a look at the annotations cannot change */
static inline bool
mask_is_atom(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return type == &PyUnicode_Type || type == &PyLong_Type
           || type == &PyFloat_Type || type == &PyBool_Type || value == Py_None
           || type == &PyBytes_Type;
}

enum {
    MASK_ABC_MAPPING,
    MASK_ABC_ITERABLE,
    MASK_ABC_CALL,
    MASK_ABC_PARTIAL,
    MASK_ABC_NAMESPACE,
    MASK_ABC_SET, /* this and what follows: other collections */
    MASK_ABC_VALUES,
    MASK_ABC_SEQUENCE,
    MASK_ABC_COUNT
};

#endif
