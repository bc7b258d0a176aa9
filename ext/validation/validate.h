/* SPDX-License-Identifier: MIT
 *
 * Annotations compiled to plans, plans run over values, and the fields of
 * annotated classes.
 */
#ifndef VALIDATE_H
#define VALIDATE_H

#include "constraint.h"

typedef struct validate_plan validate_plan; /* a Python object, collected */

#define VALIDATE_STATE(X)                                                     \
    X(PyTypeObject *, plan_type)                                              \
    X(PyTypeObject *, fields_type)                                            \
    X(PyObject *, fields_name) /* "__ferrule_fields__" */

int validate_register(PyObject *module, validation_state *state);

/* new: the plan of an annotation, from a cache where it was met before. An
 * error names `where` (a str: "User.name", "create_user() argument 'age'").
 */
validate_plan *validate_plan_of(validation_state *state, PyObject *annotation,
                                PyObject *where);

/* Where a value stands, innermost first, on the C stack: rendered in errors.
 */
typedef struct validate_path {
    const struct validate_path *outer;
    PyObject *name; /* borrowed: str (root, field), any object (key) or NULL */
    Py_ssize_t index; /* the item's, where name is NULL; VALIDATE_KEY: name is
                         a key */
} validate_path;

#define VALIDATE_KEY ((Py_ssize_t) - 1)
/* a key whose step is the start of a validate_key_path */
#define VALIDATE_KEY_OF ((Py_ssize_t) - 2)

/* new: the value, or what it became (Strip, containers of such); NULL with
 * TypeError or ConstraintError naming the path. Runs Python code.
 */
PyObject *validate_run(validation_state *state, validate_plan *plan,
                       PyObject *value, const validate_path *path);

/* What a plan does with a value before it looks at constraints. */
typedef enum {
    VALIDATE_ANY,
    VALIDATE_NEVER,
    VALIDATE_NONE,
    VALIDATE_BOOL,
    VALIDATE_INT,
    VALIDATE_FLOAT,
    VALIDATE_COMPLEX,
    VALIDATE_STR,
    VALIDATE_BYTES,
    VALIDATE_CLASS, /* isinstance */
    VALIDATE_CALLABLE,
    VALIDATE_LITERAL,
    VALIDATE_TYPE, /* type[X]: a subclass */
    /* with children; what follows counts its depth */
    VALIDATE_FIELDS,     /* isinstance, then the class's fields */
    VALIDATE_TYPED_DICT, /* a dict with the class's fields as keys */
    VALIDATE_UNION,
    VALIDATE_ITEMS,   /* one child for all items: list, set, Sequence … */
    VALIDATE_TUPLE,   /* a child for each item */
    VALIDATE_MAPPING, /* children: key, value */
    VALIDATE_ALIAS,   /* child: what the alias stands for, found when run */
} validate_shape;

/* Which values pass at a glance. */
typedef enum {
    VALIDATE_QUICK_NOT,
    VALIDATE_QUICK_ANY,
    VALIDATE_QUICK_INT,   /* an exact int from low to high */
    VALIDATE_QUICK_FLOAT, /* an exact float from real_low to real_high */
    VALIDATE_QUICK_STR,   /* an exact str, its length from low to high */
    VALIDATE_QUICK_EXACT, /* of exactly this static type */
    VALIDATE_QUICK_CLASS, /* of exactly the class of a weak reference */
} validate_quick_kind;

typedef struct {
    constraint_kind kind;
    uint8_t number;       /* the bound is 1: integer, 2: real; 0: any object */
    PyObject *constraint; /* owned */
    PyObject *value;      /* borrowed from the constraint, or NULL */
    union {
        int64_t integer; /* and lengths */
        double real;
    } bound;
} validate_check;

/* Classes made by statements are referred to weakly: a plan in the cache must
 * not keep alive what an annotation alone would not.
 */
struct validate_plan {
    PyObject_HEAD uint8_t shape; /* validate_shape */
    uint8_t quick;               /* validate_quick_kind */
    bool optional;               /* None passes */
    bool sensitive;
    bool strips; /* Strip, here or in a child: the value may be replaced */
    bool mortal; /* mentions a class made by a statement */
    int64_t low; /* of int and length: for quick */
    int64_t high;
    double real_low;
    double real_high;
    PyObject *type;   /* owned: type, weak reference to one, or NULL */
    PyObject *fields; /* owned: weak reference to validate_fields, or NULL */
    PyObject *values; /* owned: Literal's values, or the alias, or NULL */
    validate_plan **children; /* owned */
    Py_ssize_t child_count;
    validate_check *checks; /* owned */
    Py_ssize_t check_count;
};

/* 1: passes as it is; 0: validate_run must decide. No error, no Python code,
 * no new reference: for the inline way through common values.
 */
static inline int
validate_quick(const validate_plan *plan, PyObject *value)
{
    int64_t number;
    double real;
    switch ((validate_quick_kind)plan->quick) {
    case VALIDATE_QUICK_STR:
        if (PyUnicode_CheckExact(value)) {
            Py_ssize_t length = PyUnicode_GET_LENGTH(value);
            return length >= plan->low && length <= plan->high;
        }
        break;
    case VALIDATE_QUICK_INT:
        if (PyLong_CheckExact(value)) {
            return fe_long_in_place(value, &number) && number >= plan->low
                   && number <= plan->high;
        }
        break;
    case VALIDATE_QUICK_FLOAT:
        if (PyFloat_CheckExact(value)) {
            real = PyFloat_AS_DOUBLE(value);
            return real >= plan->real_low && real <= plan->real_high;
        }
        break;
    case VALIDATE_QUICK_EXACT:
        if ((PyObject *)Py_TYPE(value) == plan->type) {
            return 1;
        }
        break;
    case VALIDATE_QUICK_CLASS:
        if ((PyObject *)Py_TYPE(value) == fe_weakref_peek(plan->type)) {
            return 1;
        }
        break;
    case VALIDATE_QUICK_ANY:
        return 1;
    case VALIDATE_QUICK_NOT:
        break;
    }
    return plan->optional && value == Py_None;
}

/* A field of an annotated class. */
typedef struct {
    PyObject *name;       /* interned str */
    PyObject *annotation; /* resolved, Annotated and all */
    constraint_facts facts;
    PyObject *default_value; /* or NULL: none (a factory counts as none) */
    validate_plan *plan;
    bool required; /* a key that a TypedDict must have */
} validate_field;

typedef struct {
    PyObject_VAR_HEAD PyObject *name; /* str: the class's qualified name */
    PyObject *owner;                  /* weak reference to the class */
    PyObject *weakrefs;
    bool any_sensitive;
    validate_field fields[];
} validate_fields;

/* new: the fields of a class with annotations (record, dataclass, NamedTuple,
 * TypedDict, plain), its bases' first; cached with the class. TypeError naming
 * class and field where an annotation cannot be resolved or compiled.
 * Classes without annotations have no fields.
 */
validate_fields *validate_fields_of(validation_state *state, PyObject *cls);
/* new: typing.get_type_hints(cls, localns=locals, include_extras=True); locals
 * may be NULL
 */
PyObject *validate_hints(PyObject *cls, PyObject *locals);

#endif
