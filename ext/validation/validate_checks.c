/* SPDX-License-Identifier: MIT
 *
 * Constraints over a value whose type is right. Strip comes first, the others
 * in the order they were given.
 */
#include "validate_plan.h"

/* ---- comparing */

static int
checks_operator(constraint_kind kind)
{
    switch (kind) {
    case CONSTRAINT_GT:
        return Py_GT;
    case CONSTRAINT_GE:
        return Py_GE;
    case CONSTRAINT_LT:
        return Py_LT;
    default:
        return Py_LE;
    }
}

/* A TypeError of the value's own operator, told of the place; -1 */
static int
checks_incomparable(validate_context *context, const validate_check *check,
                    PyObject *value, const validate_path *path)
{
    PyErr_Clear(); /* TypeError: the operands do not go together */
    if (context->quiet > 0) {
        validate_refuse_within(context);
        return 0;
    }
    PyObject *place = validate_text_path(path, context->hidden > 0);
    PyObject *got = place != NULL ? validate_text_type(Py_TYPE(value)) : NULL;
    if (got != NULL) {
        PyErr_Format(PyExc_TypeError, "%s%U: %U does not go with %R",
                     context->function, place, got, check->constraint);
    }
    Py_XDECREF(got);
    Py_XDECREF(place);
    return -1;
}

/* What an operator that raised means: 0 refused, -1 an exception. Decimal
 * raises an ArithmeticError for NaN.
 */
static int
checks_failed(validate_context *context, const validate_check *check,
              PyObject *value, const validate_path *path, bool *told)
{
    if (PyErr_ExceptionMatches(PyExc_ArithmeticError)) {
        PyErr_Clear(); /* ArithmeticError: as said above */
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
        *told = true;
        return checks_incomparable(context, check, value, path);
    }
    return -1;
}

static int
checks_bound(const validate_check *check, PyObject *value)
{
    int op = checks_operator(check->kind);
    int64_t number;
    if (check->number == 1 && PyLong_CheckExact(value)
        && fe_long_in_place(value, &number)) {
        int64_t bound = check->bound.integer;
        return op == Py_GT   ? number > bound
               : op == Py_GE ? number >= bound
               : op == Py_LT ? number < bound
                             : number <= bound;
    }
    PyObject *result = PyObject_RichCompare(value, check->value, op);
    int is = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return is;
}

static int
checks_multiple(const validate_check *check, PyObject *value)
{
    int64_t number;
    if (check->number == 1 && PyLong_CheckExact(value)
        && fe_long_in_place(value, &number)) {
        return number % check->bound.integer == 0;
    }
    PyObject *rest = PyUnicode_Check(value) || PyBytes_Check(value)
                         ? (PyErr_SetString(PyExc_TypeError, "%"), NULL)
                         : PyNumber_Remainder(value, check->value);
    /* == 0 for numbers, and timedelta(0), which is no 0 */
    int is = rest != NULL ? PyObject_Not(rest) : -1;
    Py_XDECREF(rest);
    return is;
}

static int
checks_length(const validate_check *check, PyObject *value)
{
    Py_ssize_t length = PyUnicode_CheckExact(value)
                            ? PyUnicode_GET_LENGTH(value)
                            : PyObject_Size(value);
    if (length < 0) {
        return -1;
    }
    return check->kind == CONSTRAINT_MIN_LENGTH
               ? length >= check->bound.integer
               : length <= check->bound.integer;
}

/* new: the attribute tzinfo */
static int
checks_zone(const validate_check *check, PyObject *value)
{
    PyObject *zone = fe_getattr(value, "tzinfo");
    if (zone == NULL) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear(); /* AttributeError: no time at all */
            PyErr_SetString(PyExc_TypeError, "tzinfo");
        }
        return -1;
    }
    int is;
    if (check->value == Py_None || check->value == Py_Ellipsis) {
        is = (zone == Py_None) == (check->value == Py_None);
    }
    else if (zone == Py_None) {
        is = 0;
    }
    else if (PyUnicode_Check(check->value)) {
        PyObject *name = PyObject_Str(zone);
        is = name != NULL ? PyUnicode_Compare(name, check->value) == 0 : -1;
        Py_XDECREF(name);
        is = PyErr_Occurred() ? -1 : is;
    }
    else {
        is = PyObject_RichCompareBool(zone, check->value, Py_EQ);
    }
    Py_DECREF(zone);
    return is;
}

/* Errors of the function go to the caller as they are. */
static int
checks_predicate(const validate_check *check, PyObject *value)
{
    PyObject *result = PyObject_CallOneArg(check->value, value);
    int is = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return is;
}

/* ---- text */

static bool
is_space(PyObject *str, Py_ssize_t i)
{
    return Py_UNICODE_ISSPACE(PyUnicode_READ_CHAR(str, i)) != 0;
}

/* new: str.strip() */
static PyObject *
checks_strip(PyObject *str)
{
    Py_ssize_t end = PyUnicode_GET_LENGTH(str), start = 0;
    while (start < end && is_space(str, start)) {
        start++;
    }
    while (end > start && is_space(str, end - 1)) {
        end--;
    }
    return start == 0 && end == PyUnicode_GET_LENGTH(str)
               ? Py_NewRef(str)
               : PyUnicode_Substring(str, start, end);
}

static int
checks_text(validate_context *context, const validate_check *check,
            PyObject *value, const validate_path *path, bool *told)
{
    if (PyUnicode_Check(value)) {
        return check->kind == CONSTRAINT_REGEX
                   ? regex_search(check->constraint, value)
                   : email_check(context->state, value);
    }
    PyErr_SetString(PyExc_TypeError, "str");
    return checks_failed(context, check, value, path, told);
}

/* ---- all */

/* 1, 0 refused, -1; *told: what refused has said so itself */
static int
checks_one(validate_context *context, const validate_check *check,
           PyObject *value, const validate_path *path, bool *told)
{
    int is;
    switch (check->kind) {
    case CONSTRAINT_GT:
    case CONSTRAINT_GE:
    case CONSTRAINT_LT:
    case CONSTRAINT_LE:
        is = checks_bound(check, value);
        break;
    case CONSTRAINT_MULTIPLE_OF:
        is = checks_multiple(check, value);
        break;
    case CONSTRAINT_MIN_LENGTH:
    case CONSTRAINT_MAX_LENGTH:
        is = checks_length(check, value);
        break;
    case CONSTRAINT_TIMEZONE:
        is = checks_zone(check, value);
        break;
    case CONSTRAINT_REGEX:
    case CONSTRAINT_EMAIL:
        return checks_text(context, check, value, path, told);
    case CONSTRAINT_PREDICATE:
        return checks_predicate(check, value);
    default:
        return 1;
    }
    return is < 0 ? checks_failed(context, check, value, path, told) : is;
}

static PyObject *
checks_refuse(validate_context *context, const validate_check *check,
              PyObject *value, const validate_path *path)
{
    PyObject *low;
    if (check->kind == CONSTRAINT_REGEX) {
        low = Py_NewRef(regex_pattern_borrow(check->constraint));
    }
    else if (check->kind == CONSTRAINT_EMAIL && context->quiet == 0
             && context->hidden == 0) {
        low = email_reason(context->state, value);
        if (low == NULL) {
            return NULL;
        }
    }
    else {
        low = Py_XNewRef(check->value);
    }
    validate_refuse(context, validate_text_format(check->kind, value), low,
                    NULL, value, path);
    Py_XDECREF(low);
    return NULL;
}

/* A container of sensitive items is not shown. */
static void
checks_refuse_plan(validate_context *context, const validate_plan *plan,
                   const validate_check *check, PyObject *value,
                   const validate_path *path)
{
    int hides = context->quiet > 0 ? 0 : validate_hides(plan);
    if (hides >= 0) {
        context->hidden += hides;
        checks_refuse(context, check, value, path);
        context->hidden -= hides;
    }
}

PyObject *
validate_checks_steal(validate_context *context, const validate_plan *plan,
                      PyObject *value, const validate_path *path)
{
    if (plan->optional && value == Py_None) {
        return value;
    }
    for (Py_ssize_t i = 0; i < plan->check_count && plan->strips; i++) {
        if (plan->checks[i].kind == CONSTRAINT_STRIP
            && PyUnicode_Check(value)) {
            PyObject *stripped = checks_strip(value);
            Py_DECREF(value);
            if (stripped == NULL) {
                return NULL;
            }
            value = stripped;
            break;
        }
    }
    for (Py_ssize_t i = 0; i < plan->check_count; i++) {
        const validate_check *check = &plan->checks[i];
        bool told = false;
        int is = checks_one(context, check, value, path, &told);
        if (is <= 0) {
            if (is == 0 && !told) {
                checks_refuse_plan(context, plan, check, value, path);
            }
            Py_DECREF(value);
            return NULL;
        }
    }
    return value;
}
