/* SPDX-License-Identifier: MIT
 *
 * Bounded and Validated: data descriptors that keep a value within bounds.
 */
#ifndef DESCRIPTOR_H
#define DESCRIPTOR_H

#define DESCRIPTOR_STATE(X)                                                   \
    X(PyTypeObject *, bounded_type)                                           \
    X(PyTypeObject *, validated_type)                                         \
    X(PyObject *, descriptor_annotations) /* "__annotations__" */

int descriptor_register(PyObject *module, validation_state *state);

/* Where the instances of a type keep a descriptor's value. */
typedef enum {
    PLACE_NONE,      /* not known */
    PLACE_SLOT,      /* at `offset`: a __slots__ member of the private name */
    PLACE_PLAIN,     /* under the private name, as object reads and writes */
    PLACE_ATTRIBUTE, /* under the private name, by getattr and setattr */
    PLACE_RECORD,    /* under the public name: the type is a record */
} descriptor_way;

typedef struct {
    PyTypeObject *type;   /* compared, never used */
    unsigned int version; /* of the type: what was found out holds for it */
    descriptor_way way;
    Py_ssize_t offset;
} descriptor_place;

enum { DESCRIPTOR_PLACES = 4 };

/* Is the attribute sensitive in the instances of a type? */
typedef struct {
    PyTypeObject *type;   /* compared, never used; NULL: not known */
    unsigned int version; /* of the type: what was found out holds for it */
    bool hidden;
} descriptor_hint;

/* Bounds that are None or exact numbers a double holds, in both forms. */
typedef struct {
    int64_t int_min, int_max;
    double float_min, float_max;
} descriptor_range;

typedef struct {
    PyObject_HEAD PyObject *min_val; /* owned: None is no bound */
    PyObject *max_val;
    PyObject *name;         /* owned, interned; NULL: not bound to a class */
    PyObject *private_name; /* owned, interned; NULL like the name */
    PyObject *owner;        /* owned: qualified name of its first class, or
                               NULL: may be bound to any name */
    descriptor_range range;
    bool quick;     /* range says all there is to say of exact int and float */
    bool validated; /* a Validated, not a Bounded */
    descriptor_place places[DESCRIPTOR_PLACES]; /* by the type's address */
    descriptor_hint hint;                       /* of the last refusal */
} descriptor_object;

#define DESCRIPTOR(op) ((descriptor_object *)(op))

/* descriptor_check.c: may the value be written? 0, or -1 with an exception.
 * Runs Python code unless both bounds and value are plain numbers. The class
 * of `obj` says if errors may show the value; obj NULL: `hidden` does.
 */
int descriptor_check_slow(descriptor_object *self, PyObject *value,
                          PyObject *obj, bool hidden);
/* 0, or -1: bounds that cannot be compared, or contradict each other */
int descriptor_set_bounds(descriptor_object *self, PyObject *min_val,
                          PyObject *max_val);

FE_INLINE int
descriptor_check(descriptor_object *self, PyObject *value, PyObject *obj,
                 bool hidden)
{
    const descriptor_range *range = &self->range;
    if (FE_LIKELY(self->quick)) {
        int64_t number;
        if (PyLong_CheckExact(value)) {
            if (fe_long_in_place(value, &number) && number >= range->int_min
                && number <= range->int_max) {
                return 0;
            }
        }
        else if (PyFloat_CheckExact(value)) {
            double real = PyFloat_AS_DOUBLE(value);
            if (real >= range->float_min && real <= range->float_max) {
                return 0;
            }
        }
    }
    return descriptor_check_slow(self, value, obj, hidden);
}

/* descriptor_place.c: where the instances of a type keep the value; 0 or -1 */
int descriptor_place_of(descriptor_object *self, PyTypeObject *type,
                        descriptor_place *place);

/* descriptor_hide.c: do the annotations of the type say that the attribute is
 * sensitive? 1, 0, -1. Runs Python code.
 */
int descriptor_is_hidden(descriptor_object *self, PyTypeObject *type);

#endif
