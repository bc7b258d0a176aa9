/* SPDX-License-Identifier: MIT
 *
 * Bounds: set, and held against values.
 *
 * Bounded asks what the article asks, `value < min_val` and
 * `value > max_val`, Validated `min_val <= value <= max_val`; what does not
 * equal itself (NaN) passes neither. Comparing runs Python code, which may
 * set other bounds meanwhile: those in use are owned.
 */
#include "validation_state.h"

#include <math.h>

/* ---------------------------------------------------------- messages */

/* new: the name under which Bounded stores, quoted */
static PyObject *
descriptor_stored(PyObject *name)
{
    PyObject *stored = PyUnicode_FromFormat("_bounded_%U", name);
    PyObject *quoted = stored != NULL ? PyObject_Repr(stored) : NULL;
    Py_XDECREF(stored);
    return quoted;
}

/* new: f"{name!r} must be {relation} {bound}, got {value}" */
static PyObject *
descriptor_say(PyObject *name, const char *relation, PyObject *bound,
               PyObject *value)
{
    PyObject *stored = descriptor_stored(name), *text = NULL;
    PyObject *wanted = stored != NULL ? PyObject_Format(bound, NULL) : NULL;
    PyObject *came = wanted != NULL ? PyObject_Format(value, NULL) : NULL;
    if (came != NULL) {
        text = PyUnicode_FromFormat("%U must be %s %U, got %U", stored,
                                    relation, wanted, came);
    }
    Py_XDECREF(stored);
    Py_XDECREF(wanted);
    Py_XDECREF(came);
    return text;
}

static PyObject *
descriptor_say_low(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
                   PyObject *value)
{
    return descriptor_say(name, ">=", low, value);
}

static PyObject *
descriptor_say_high(PyObject *name, PyObject *Py_UNUSED(low), PyObject *high,
                    PyObject *value)
{
    return descriptor_say(name, "<=", high, value);
}

static PyObject *
descriptor_say_between(PyObject *name, PyObject *low, PyObject *high,
                       PyObject *Py_UNUSED(value))
{
    PyObject *text = NULL;
    PyObject *from = PyObject_Format(low, NULL);
    PyObject *to = from != NULL ? PyObject_Format(high, NULL) : NULL;
    if (to != NULL) {
        text = PyUnicode_FromFormat("%U must be between %U and %U", name, from,
                                    to);
    }
    Py_XDECREF(from);
    Py_XDECREF(to);
    return text;
}

/* Always -1 with an exception. */
static int
descriptor_refuse(descriptor_object *self, error_format format,
                  PyObject *value)
{
    PyObject *module = validation_module_borrow(Py_TYPE(self));
    if (module != NULL) {
        error_raise(validation_get_state(module), format, self->name,
                    self->min_val, self->max_val, value);
    }
    return -1;
}

/* The current TypeError becomes the cause of one that names the attribute;
 * any other exception stays.
 */
static void
descriptor_incomparable(descriptor_object *self, PyObject *bound,
                        PyObject *value)
{
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
        return;
    }
    PyObject *cause = PyErr_GetRaisedException();
    PyObject *stored = self->validated ? Py_NewRef(self->name)
                                       : descriptor_stored(self->name);
    PyObject *kind = stored != NULL ? PyType_GetName(Py_TYPE(value)) : NULL;
    if (kind != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%U must be comparable with %.100R, got %U %.100R",
                     stored, bound, kind, value);
    }
    Py_XDECREF(stored);
    Py_XDECREF(kind);
    PyObject *error = PyErr_GetRaisedException();
    PyException_SetCause(error, Py_NewRef(cause));
    PyException_SetContext(error, cause);
    PyErr_SetRaisedException(error);
}

/* --------------------------------------------------------- comparing */

/* 1 or 0; -1 with an exception. Asks the objects even if they are one. */
static int
descriptor_is(PyObject *a, PyObject *b, int op)
{
    PyObject *result = PyObject_RichCompare(a, b, op);
    if (result == NULL) {
        return -1;
    }
    int truth = PyObject_IsTrue(result);
    Py_DECREF(result);
    return truth;
}

/* 1: it holds; 0: it does not; -1 with an exception that names the attribute
 */
static int
descriptor_holds(descriptor_object *self, PyObject *a, PyObject *b, int op,
                 PyObject *bound, PyObject *value)
{
    int truth = descriptor_is(a, b, op);
    if (truth < 0) {
        descriptor_incomparable(self, bound, value);
    }
    return truth;
}

static int
descriptor_check_bounded(descriptor_object *self, PyObject *low,
                         PyObject *high, PyObject *value)
{
    if (low == Py_None && high == Py_None) {
        return 0;
    }
    int itself = descriptor_is(value, value, Py_EQ);
    if (itself <= 0) {
        return itself < 0
                   ? -1
                   : descriptor_refuse(self,
                                       low != Py_None ? descriptor_say_low
                                                      : descriptor_say_high,
                                       value);
    }
    if (low != Py_None) {
        int below = descriptor_holds(self, value, low, Py_LT, low, value);
        if (below != 0) {
            return below < 0
                       ? -1
                       : descriptor_refuse(self, descriptor_say_low, value);
        }
    }
    if (high != Py_None) {
        int above = descriptor_holds(self, value, high, Py_GT, high, value);
        if (above != 0) {
            return above < 0
                       ? -1
                       : descriptor_refuse(self, descriptor_say_high, value);
        }
    }
    return 0;
}

static int
descriptor_check_validated(descriptor_object *self, PyObject *low,
                           PyObject *high, PyObject *value)
{
    if (!PyLong_Check(value) && !PyFloat_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%U must be a number", self->name);
        return -1;
    }
    int passes = descriptor_holds(self, low, value, Py_LE, low, value);
    if (passes > 0) {
        passes = descriptor_holds(self, value, high, Py_LE, high, value);
    }
    return passes > 0 ? 0
           : passes == 0
               ? descriptor_refuse(self, descriptor_say_between, value)
               : -1;
}

int
descriptor_check_slow(descriptor_object *self, PyObject *value)
{
    if (value == (PyObject *)self) {
        /* a dataclass takes the descriptor for the field's default */
        PyErr_Format(PyExc_TypeError,
                     "'%U' was given no value, and %s has no default",
                     self->name, self->validated ? "Validated" : "Bounded");
        return -1;
    }
    PyObject *low = Py_NewRef(self->min_val);
    PyObject *high = Py_NewRef(self->max_val);
    Py_INCREF(self);
    int status = self->validated
                     ? descriptor_check_validated(self, low, high, value)
                     : descriptor_check_bounded(self, low, high, value);
    Py_DECREF(self);
    Py_DECREF(low);
    Py_DECREF(high);
    return status;
}

/* ------------------------------------------------------------ bounds */

/* A bound as a double it equals; false: it has none, or is no plain number.
 * Whole numbers up to 2**53 are doubles, each of them.
 */
static bool
descriptor_number(PyObject *bound, double *number)
{
    int64_t whole;
    if (PyFloat_CheckExact(bound)) {
        *number = PyFloat_AS_DOUBLE(bound);
        return true;
    }
    if (!PyLong_CheckExact(bound) || !fe_long_in_place(bound, &whole)
        || whole > INT64_C(1) << 53 || whole < -(INT64_C(1) << 53)) {
        return false;
    }
    *number = (double)whole;
    return true;
}

/* The whole number of an already rounded double; beyond 2**62, what no int
 * read in place reaches.
 */
static int64_t
descriptor_whole(double number)
{
    double far = 4611686018427387904.0;
    return number > far    ? INT64_MAX
           : number < -far ? INT64_MIN
                           : (int64_t)number;
}

static bool
descriptor_range_of(PyObject *low, PyObject *high, descriptor_range *range)
{
    double from = -INFINITY, to = INFINITY;
    if ((low == Py_None && high == Py_None)
        || (low != Py_None && !descriptor_number(low, &from))
        || (high != Py_None && !descriptor_number(high, &to))) {
        return false;
    }
    *range = (descriptor_range){descriptor_whole(ceil(from)),
                                descriptor_whole(floor(to)), from, to};
    return true;
}

/* 0: the bound is None or equals itself; -1 with an exception */
static int
descriptor_check_bound(const char *type, const char *which, PyObject *bound)
{
    int itself = bound == Py_None ? 1 : descriptor_is(bound, bound, Py_EQ);
    if (itself == 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s: %s must be a bound, got %R, which nothing passes",
                     type, which, bound);
    }
    return itself > 0 ? 0 : -1;
}

static int
descriptor_check_order(const char *type, PyObject *low, PyObject *high)
{
    int crossed = descriptor_is(low, high, Py_GT);
    if (crossed > 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s: min_val must be <= max_val, got %R and %R", type,
                     low, high);
    }
    else if (crossed < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyObject *cause = PyErr_GetRaisedException();
        PyErr_Format(PyExc_TypeError,
                     "%s: min_val and max_val cannot be compared: %R and %R",
                     type, low, high);
        PyObject *error = PyErr_GetRaisedException();
        PyException_SetCause(error, Py_NewRef(cause));
        PyException_SetContext(error, cause);
        PyErr_SetRaisedException(error);
    }
    return crossed == 0 ? 0 : -1;
}

int
descriptor_set_bounds(descriptor_object *self, PyObject *min_val,
                      PyObject *max_val)
{
    const char *type = self->validated ? "Validated" : "Bounded";
    if (descriptor_check_bound(type, "min_val", min_val) < 0
        || descriptor_check_bound(type, "max_val", max_val) < 0) {
        return -1;
    }
    /* None is no bound to Bounded, and to Validated what it is to Python */
    bool both = min_val != Py_None && max_val != Py_None;
    if ((both || self->validated)
        && descriptor_check_order(type, min_val, max_val) < 0) {
        return -1;
    }
    self->quick = descriptor_range_of(min_val, max_val, &self->range);
    PyObject *old_min = self->min_val, *old_max = self->max_val;
    self->min_val = Py_NewRef(min_val);
    self->max_val = Py_NewRef(max_val);
    Py_XDECREF(old_min);
    Py_XDECREF(old_max);
    return 0;
}
