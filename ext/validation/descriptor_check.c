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

/* A value that is checked, and what it is held against. */
typedef struct {
    descriptor_object *self; /* owned, as the rest */
    PyObject *low;
    PyObject *high;
    PyObject *value;
    PyTypeObject *owner; /* its annotations say if the value may be shown; or
                            NULL: `hidden` says */
    bool hidden;
} descriptor_case;

/* ---------------------------------------------------------- messages */

/* new: in the place of what cannot be shown: an int of too many digits, or
 * what has a broken __format__ or __repr__
 */
static PyObject *
descriptor_describe(PyObject *obj)
{
    if (PyLong_Check(obj)) {
        PyObject *bits = PyObject_CallMethod((PyObject *)&PyLong_Type,
                                             "bit_length", "O", obj);
        PyObject *text =
            bits != NULL ? PyUnicode_FromFormat("int of %S bits", bits) : NULL;
        Py_XDECREF(bits);
        return text;
    }
    PyObject *kind = PyType_GetName(Py_TYPE(obj));
    PyObject *text =
        kind != NULL ? PyUnicode_FromFormat("<%U object>", kind) : NULL;
    Py_XDECREF(kind);
    return text;
}

/* new: f"{obj}", or repr(obj) cut at 100 characters */
static PyObject *
descriptor_show(PyObject *obj, bool by_repr)
{
    PyObject *text = by_repr ? PyObject_Repr(obj) : PyObject_Format(obj, NULL);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_Exception)
        && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear(); /* any Exception: it is named by its type */
        text = descriptor_describe(obj);
    }
    if (text != NULL && by_repr && PyUnicode_GET_LENGTH(text) > 100) {
        Py_SETREF(text, PyUnicode_Substring(text, 0, 100));
    }
    return text;
}

/* new: the name under which Bounded stores, quoted */
static PyObject *
descriptor_stored(PyObject *name)
{
    PyObject *stored = PyUnicode_FromFormat("_bounded_%U", name);
    PyObject *quoted = stored != NULL ? PyObject_Repr(stored) : NULL;
    Py_XDECREF(stored);
    return quoted;
}

/* new: f"{name!r} must be {relation} {bound}, got {value}"; value NULL: it
 * is left out
 */
static PyObject *
descriptor_say(PyObject *name, const char *relation, PyObject *bound,
               PyObject *value)
{
    PyObject *stored = descriptor_stored(name), *text = NULL, *came = NULL;
    PyObject *wanted = stored != NULL ? descriptor_show(bound, false) : NULL;
    if (wanted != NULL && value == NULL) {
        text =
            PyUnicode_FromFormat("%U must be %s %U", stored, relation, wanted);
    }
    else if (wanted != NULL) {
        came = descriptor_show(value, false);
        text = came != NULL
                   ? PyUnicode_FromFormat("%U must be %s %U, got %U", stored,
                                          relation, wanted, came)
                   : NULL;
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
    PyObject *from = descriptor_show(low, false);
    PyObject *to = from != NULL ? descriptor_show(high, false) : NULL;
    if (to != NULL) {
        text = PyUnicode_FromFormat("%U must be between %U and %U", name, from,
                                    to);
    }
    Py_XDECREF(from);
    Py_XDECREF(to);
    return text;
}

/* May the value not be shown? 1, 0, -1 */
static int
descriptor_hides(const descriptor_case *c)
{
    return c->owner == NULL ? c->hidden
                            : descriptor_is_hidden(c->self, c->owner);
}

/* Always -1 with an exception. */
static int
descriptor_refuse(const descriptor_case *c, error_format format)
{
    int hides = descriptor_hides(c);
    PyObject *module =
        hides >= 0 ? validation_module_borrow(Py_TYPE(c->self)) : NULL;
    if (module != NULL) {
        error_raise(validation_get_state(module), format, c->self->name,
                    c->low, c->high, hides ? NULL : c->value);
    }
    return -1;
}

/* Is the exception what comparing says of values that do not compare? NumPy
 * has no truth of an array (ValueError), decimal no order of a signalling NaN.
 */
static bool
descriptor_cannot_compare(void)
{
    return PyErr_ExceptionMatches(PyExc_TypeError)
           || PyErr_ExceptionMatches(PyExc_ValueError)
           || PyErr_ExceptionMatches(PyExc_ArithmeticError);
}

/* Set a TypeError of this text, with its cause (stolen, or NULL). `text` is
 * stolen; NULL: an exception is set already.
 */
static void
descriptor_raise_from(PyObject *text, PyObject *cause)
{
    if (text != NULL) {
        PyErr_SetObject(PyExc_TypeError, text);
        Py_DECREF(text);
    }
    if (cause != NULL) {
        PyObject *error = PyErr_GetRaisedException();
        PyException_SetCause(error, Py_NewRef(cause));
        PyException_SetContext(error, cause);
        PyErr_SetRaisedException(error);
    }
}

/* new: what is said of a value that does not compare with the bound */
static PyObject *
descriptor_say_incomparable(const descriptor_case *c, PyObject *bound,
                            bool hides)
{
    descriptor_object *self = c->self;
    PyObject *text = NULL, *came = NULL;
    PyObject *stored = self->validated ? Py_NewRef(self->name)
                                       : descriptor_stored(self->name);
    PyObject *wanted = stored != NULL ? descriptor_show(bound, true) : NULL;
    PyObject *kind = wanted != NULL ? PyType_GetName(Py_TYPE(c->value)) : NULL;
    if (kind != NULL && hides) {
        text = PyUnicode_FromFormat("%U must be comparable with %U, got %U",
                                    stored, wanted, kind);
    }
    else if (kind != NULL) {
        came = descriptor_show(c->value, true);
        text = came != NULL ? PyUnicode_FromFormat(
                                  "%U must be comparable with %U, got %U %U",
                                  stored, wanted, kind, came)
                            : NULL;
    }
    Py_XDECREF(stored);
    Py_XDECREF(wanted);
    Py_XDECREF(kind);
    Py_XDECREF(came);
    return text;
}

/* The current exception, if it is of comparing, becomes the cause of a
 * TypeError that names the attribute; any other stays. What a value that is
 * hidden raised may show it, and is dropped.
 */
static void
descriptor_incomparable(const descriptor_case *c, PyObject *bound)
{
    if (!descriptor_cannot_compare()) {
        return;
    }
    PyObject *cause = PyErr_GetRaisedException();
    int hides = descriptor_hides(c);
    PyObject *text =
        hides >= 0 ? descriptor_say_incomparable(c, bound, hides) : NULL;
    if (hides != 0) {
        Py_CLEAR(cause);
    }
    descriptor_raise_from(text, cause);
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

/* Does it equal itself? NaN does not, and a signalling one will not even be
 * asked. 1, 0, -1
 */
static int
descriptor_is_itself(PyObject *value)
{
    int itself = descriptor_is(value, value, Py_EQ);
    if (itself < 0 && PyErr_ExceptionMatches(PyExc_ArithmeticError)) {
        PyErr_Clear(); /* ArithmeticError: decimal.InvalidOperation of sNaN */
        itself = 0;
    }
    return itself;
}

/* 1: it holds; 0: it does not; -1 with an exception that names the attribute
 */
static int
descriptor_holds(const descriptor_case *c, PyObject *a, PyObject *b, int op,
                 PyObject *bound)
{
    int truth = descriptor_is(a, b, op);
    if (truth < 0) {
        descriptor_incomparable(c, bound);
    }
    return truth;
}

static int
descriptor_check_bounded(const descriptor_case *c)
{
    PyObject *low = c->low, *high = c->high, *value = c->value;
    if (low == Py_None && high == Py_None) {
        return 0;
    }
    int itself = descriptor_is_itself(value);
    if (itself < 0) {
        descriptor_incomparable(c, low != Py_None ? low : high);
        return -1;
    }
    if (itself == 0) {
        return descriptor_refuse(c, low != Py_None ? descriptor_say_low
                                                   : descriptor_say_high);
    }
    if (low != Py_None) {
        int below = descriptor_holds(c, value, low, Py_LT, low);
        if (below != 0) {
            return below < 0 ? -1 : descriptor_refuse(c, descriptor_say_low);
        }
    }
    if (high != Py_None) {
        int above = descriptor_holds(c, value, high, Py_GT, high);
        if (above != 0) {
            return above < 0 ? -1 : descriptor_refuse(c, descriptor_say_high);
        }
    }
    return 0;
}

static int
descriptor_check_validated(const descriptor_case *c)
{
    if (!PyLong_Check(c->value) && !PyFloat_Check(c->value)) {
        PyErr_Format(PyExc_TypeError, "%U must be a number", c->self->name);
        return -1;
    }
    int passes = descriptor_holds(c, c->low, c->value, Py_LE, c->low);
    if (passes > 0) {
        passes = descriptor_holds(c, c->value, c->high, Py_LE, c->high);
    }
    return passes > 0    ? 0
           : passes == 0 ? descriptor_refuse(c, descriptor_say_between)
                         : -1;
}

int
descriptor_check_slow(descriptor_object *self, PyObject *value, PyObject *obj,
                      bool hidden)
{
    if (value == (PyObject *)self) {
        /* a dataclass takes the descriptor for the field's default */
        PyErr_Format(PyExc_TypeError,
                     "'%U' was given no value, and %s has no default",
                     self->name, self->validated ? "Validated" : "Bounded");
        return -1;
    }
    PyTypeObject *owner = obj != NULL ? Py_TYPE(obj) : NULL;
    const descriptor_case c = {
        (descriptor_object *)Py_NewRef(self),
        Py_NewRef(self->min_val),
        Py_NewRef(self->max_val),
        Py_NewRef(value),
        (PyTypeObject *)Py_XNewRef(owner),
        hidden,
    };
    int status = self->validated ? descriptor_check_validated(&c)
                                 : descriptor_check_bounded(&c);
    Py_DECREF(c.self);
    Py_DECREF(c.low);
    Py_DECREF(c.high);
    Py_DECREF(c.value);
    Py_XDECREF(c.owner);
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

/* new: text with a bound, or two, in the place of %U; high may be NULL */
static PyObject *
descriptor_say_bounds(const char *format, const char *type, PyObject *low,
                      PyObject *high)
{
    PyObject *from = descriptor_show(low, true), *to = NULL, *text = NULL;
    if (from != NULL && high != NULL) {
        to = descriptor_show(high, true);
    }
    if (from != NULL && (high == NULL || to != NULL)) {
        text = PyUnicode_FromFormat(format, type, from, to);
    }
    Py_XDECREF(from);
    Py_XDECREF(to);
    return text;
}

/* Set a ValueError of the text, which is stolen; -1 */
static int
descriptor_refuse_bounds(PyObject *text)
{
    if (text != NULL) {
        PyErr_SetObject(PyExc_ValueError, text);
        Py_DECREF(text);
    }
    return -1;
}

/* 0: the bound is None or equals itself; -1 with an exception */
static int
descriptor_check_bound(const char *type, bool is_min, PyObject *bound)
{
    int itself = bound == Py_None ? 1 : descriptor_is_itself(bound);
    if (itself == 0) {
        return descriptor_refuse_bounds(descriptor_say_bounds(
            is_min ? "%s: min_val must be a bound, got %U, which nothing "
                     "passes"
                   : "%s: max_val must be a bound, got %U, which nothing "
                     "passes",
            type, bound, NULL));
    }
    if (itself < 0 && descriptor_cannot_compare()) {
        PyObject *cause = PyErr_GetRaisedException();
        PyObject *text = descriptor_say_bounds(
            is_min ? "%s: min_val must be a bound, got %U, which cannot be "
                     "compared"
                   : "%s: max_val must be a bound, got %U, which cannot be "
                     "compared",
            type, bound, NULL);
        descriptor_raise_from(text, cause);
    }
    return itself > 0 ? 0 : -1;
}

static int
descriptor_check_order(const char *type, PyObject *low, PyObject *high)
{
    int crossed = descriptor_is(low, high, Py_GT);
    if (crossed > 0) {
        return descriptor_refuse_bounds(descriptor_say_bounds(
            "%s: min_val must be <= max_val, got %U and %U", type, low, high));
    }
    if (crossed < 0 && descriptor_cannot_compare()) {
        PyObject *cause = PyErr_GetRaisedException();
        PyObject *text = descriptor_say_bounds(
            "%s: min_val and max_val cannot be compared: %U and %U", type, low,
            high);
        descriptor_raise_from(text, cause);
    }
    return crossed == 0 ? 0 : -1;
}

int
descriptor_set_bounds(descriptor_object *self, PyObject *min_val,
                      PyObject *max_val)
{
    const char *type = self->validated ? "Validated" : "Bounded";
    if (descriptor_check_bound(type, true, min_val) < 0
        || descriptor_check_bound(type, false, max_val) < 0) {
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
