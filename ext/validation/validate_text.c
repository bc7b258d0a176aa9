/* SPDX-License-Identifier: MIT
 *
 * What errors say: names of types, places, and what a constraint wanted.
 */
#include "validate_plan.h"

#define TEXT_SHOWN 80 /* characters of a value */

/* ---- types */

PyObject *
validate_text_type(PyTypeObject *type)
{
    const char *dot = strrchr(type->tp_name, '.');
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        return PyType_GetName(type);
    }
    return PyUnicode_FromString(dot != NULL ? dot + 1 : type->tp_name);
}

/* new: repr of a value, shortened */
static PyObject *
text_shown(PyObject *value)
{
    PyObject *repr = constraint_repr(value);
    if (repr == NULL || PyUnicode_GET_LENGTH(repr) <= TEXT_SHOWN) {
        return repr;
    }
    PyObject *start = PyUnicode_Substring(repr, 0, TEXT_SHOWN - 3);
    PyObject *shown =
        start != NULL ? PyUnicode_FromFormat("%U...", start) : NULL;
    Py_XDECREF(start);
    Py_DECREF(repr);
    return shown;
}

/* new: parts (owned strs) joined by " | " or " or "; stolen: parts */
static PyObject *
text_join_steal(PyObject *parts, const char *between)
{
    PyObject *glue = PyUnicode_FromString(between);
    PyObject *text =
        glue != NULL && parts != NULL ? PyUnicode_Join(glue, parts) : NULL;
    Py_XDECREF(glue);
    Py_XDECREF(parts);
    return text;
}

/* new: "'a' or 'b'" */
static PyObject *
text_values(PyObject *values)
{
    PyObject *parts = PyList_New(0);
    for (Py_ssize_t i = 0; parts != NULL && i < PyTuple_GET_SIZE(values);
         i++) {
        PyObject *part = text_shown(PyTuple_GET_ITEM(values, i));
        if (part == NULL || PyList_Append(parts, part) < 0) {
            Py_CLEAR(parts);
        }
        Py_XDECREF(part);
    }
    return parts != NULL ? text_join_steal(parts, " or ") : NULL;
}

static PyObject *
text_union(const validate_plan *plan)
{
    PyObject *parts = PyList_New(0);
    for (Py_ssize_t i = 0; parts != NULL && i < plan->child_count; i++) {
        PyObject *part = validate_text_plan(plan->children[i]);
        if (part == NULL || PyList_Append(parts, part) < 0) {
            Py_CLEAR(parts);
        }
        Py_XDECREF(part);
    }
    return parts != NULL ? text_join_steal(parts, " | ") : NULL;
}

/* new: without what `optional` adds */
static PyObject *
text_shape(const validate_plan *plan)
{
    PyObject *cls, *inner, *text;
    switch ((validate_shape)plan->shape) {
    case VALIDATE_ANY:
        return PyUnicode_FromString("Any");
    case VALIDATE_NEVER:
        return PyUnicode_FromString("Never");
    case VALIDATE_NONE:
        return PyUnicode_FromString("None");
    case VALIDATE_CALLABLE:
        return PyUnicode_FromString("callable");
    case VALIDATE_LITERAL:
        return text_values(plan->values);
    case VALIDATE_UNION:
        return text_union(plan);
    case VALIDATE_TYPED_DICT:
        return PyUnicode_FromString("dict");
    case VALIDATE_ALIAS:
        inner = PyObject_Str(plan->values);
        return inner;
    case VALIDATE_TYPE:
        inner = validate_text_plan(plan->children[0]);
        text = inner != NULL ? PyUnicode_FromFormat("type[%U]", inner) : NULL;
        Py_XDECREF(inner);
        return text;
    default:
        cls = validate_plan_class(plan);
        return cls != NULL ? validate_text_type((PyTypeObject *)cls)
                           : PyUnicode_FromString("an instance of a class "
                                                  "that is gone");
    }
}

PyObject *
validate_text_plan(const validate_plan *plan)
{
    if (Py_EnterRecursiveCall(" in validate()")) {
        return NULL;
    }
    PyObject *text = text_shape(plan);
    Py_LeaveRecursiveCall();
    if (text != NULL && plan->optional) {
        Py_SETREF(text, PyUnicode_FromFormat("%U | None", text));
    }
    return text;
}

/* ---- places */

/* new: a key, or "..." */
static PyObject *
text_key(const validate_path *step, bool hidden)
{
    const validate_plan *plan =
        step->index == VALIDATE_KEY_OF
            ? ((const validate_key_path *)(const void *)step)->key
            : NULL;
    int hides = hidden ? 1 : plan != NULL ? validate_hides(plan) : 0;
    return hides < 0   ? NULL
           : hides > 0 ? PyUnicode_FromString("...")
                       : text_shown(step->name);
}

/* new: what a step adds behind `before` (stolen; NULL: nothing is before) */
static PyObject *
text_step_steal(PyObject *before, const validate_path *step, bool hidden)
{
    bool key = step->name != NULL && step->index < 0;
    if (before == NULL && step->name != NULL && !key) {
        return PyObject_Str(step->name);
    }
    PyObject *start = before != NULL ? before : PyUnicode_FromString("value");
    if (start == NULL) {
        return NULL;
    }
    PyObject *text;
    if (step->name == NULL) {
        text = PyUnicode_FromFormat("%U[%zd]", start, step->index);
    }
    else if (key) {
        PyObject *shown = text_key(step, hidden);
        text = shown != NULL ? PyUnicode_FromFormat("%U[%U]", start, shown)
                             : NULL;
        Py_XDECREF(shown);
    }
    else {
        text = PyUnicode_FromFormat("%U.%S", start, step->name);
    }
    Py_DECREF(start);
    return text;
}

PyObject *
validate_text_path(const validate_path *path, bool hidden)
{
    if (path == NULL) {
        return PyUnicode_FromString("value");
    }
    if (path->outer == NULL) {
        return text_step_steal(NULL, path, hidden);
    }
    if (Py_EnterRecursiveCall(" in validate()")) {
        return NULL;
    }
    PyObject *before = validate_text_path(path->outer, hidden);
    Py_LeaveRecursiveCall();
    return before != NULL ? text_step_steal(before, path, hidden) : NULL;
}

/* ---- constraints; see error_format for the arguments */

/* new: "{name} {wanted}, got {value}"; stolen: wanted */
static PyObject *
text_got_steal(PyObject *name, PyObject *wanted, PyObject *value)
{
    if (wanted == NULL) {
        return NULL;
    }
    PyObject *text = NULL;
    if (value == NULL) {
        text = PyUnicode_FromFormat("%U %U", name, wanted);
    }
    else {
        PyObject *shown = text_shown(value);
        text = shown != NULL
                   ? PyUnicode_FromFormat("%U %U, got %U", name, wanted, shown)
                   : NULL;
        Py_XDECREF(shown);
    }
    Py_DECREF(wanted);
    return text;
}

/* new: "{name} must be >= {low}, got {value}" */
static PyObject *
text_bound(PyObject *name, const char *must, PyObject *low, PyObject *value)
{
    PyObject *shown = constraint_repr(low);
    PyObject *wanted =
        shown != NULL ? PyUnicode_FromFormat("%s %U", must, shown) : NULL;
    Py_XDECREF(shown);
    return text_got_steal(name, wanted, value);
}

static PyObject *
text_gt(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
        PyObject *value)
{
    return text_bound(name, "must be >", low, value);
}

static PyObject *
text_ge(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
        PyObject *value)
{
    return text_bound(name, "must be >=", low, value);
}

static PyObject *
text_lt(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
        PyObject *value)
{
    return text_bound(name, "must be <", low, value);
}

static PyObject *
text_le(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
        PyObject *value)
{
    return text_bound(name, "must be <=", low, value);
}

static PyObject *
text_multiple_of(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
                 PyObject *value)
{
    return text_bound(name, "must be a multiple of", low, value);
}

static PyObject *
text_regex(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
           PyObject *value)
{
    return text_got_steal(name, PyUnicode_FromFormat("must match %R", low),
                          value);
}

static PyObject *
text_length(PyObject *name, const char *side, PyObject *length,
            const char *unit, PyObject *value)
{
    bool one = PyLong_AsSsize_t(length) == 1;
    return text_got_steal(name,
                          PyUnicode_FromFormat("must have at %s %S %s%s", side,
                                               length, unit, one ? "" : "s"),
                          value);
}

static PyObject *
text_min_characters(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
                    PyObject *value)
{
    return text_length(name, "least", low, "character", value);
}

static PyObject *
text_max_characters(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
                    PyObject *value)
{
    return text_length(name, "most", low, "character", value);
}

static PyObject *
text_min_bytes(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
               PyObject *value)
{
    return text_length(name, "least", low, "byte", value);
}

static PyObject *
text_max_bytes(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
               PyObject *value)
{
    return text_length(name, "most", low, "byte", value);
}

static PyObject *
text_min_items(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
               PyObject *value)
{
    return text_length(name, "least", low, "item", value);
}

static PyObject *
text_max_items(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
               PyObject *value)
{
    return text_length(name, "most", low, "item", value);
}

static PyObject *
text_email(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
           PyObject *value)
{
    PyObject *wanted =
        low != NULL
            ? PyUnicode_FromFormat("must be an email address (%U)", low)
            : PyUnicode_FromString("must be an email address");
    return text_got_steal(name, wanted, value);
}

static PyObject *
text_predicate(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
               PyObject *value)
{
    PyObject *function;
    if (fe_find_attr(low, "__qualname__", &function) < 0) {
        return NULL;
    }
    if (function == NULL || !PyUnicode_Check(function)) {
        Py_XSETREF(function, text_shown(low));
    }
    PyObject *wanted = function != NULL
                           ? PyUnicode_FromFormat("must satisfy %U", function)
                           : NULL;
    Py_XDECREF(function);
    return text_got_steal(name, wanted, value);
}

static PyObject *
text_timezone(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
              PyObject *value)
{
    PyObject *wanted =
        low == Py_None ? PyUnicode_FromString("must have no time zone")
        : low == Py_Ellipsis
            ? PyUnicode_FromString("must have a time zone")
            : PyUnicode_FromFormat("must have the time zone %S", low);
    return text_got_steal(name, wanted, value);
}

PyObject *
validate_text_keys(PyObject *name, PyObject *Py_UNUSED(low),
                   PyObject *Py_UNUSED(high), PyObject *value)
{
    PyObject *shown =
        value != NULL ? text_shown(value) : PyUnicode_FromString("one");
    PyObject *text =
        shown != NULL
            ? PyUnicode_FromFormat("%U: two keys become %U", name, shown)
            : NULL;
    Py_XDECREF(shown);
    return text;
}

PyObject *
validate_text_literal(PyObject *name, PyObject *low, PyObject *Py_UNUSED(high),
                      PyObject *value)
{
    PyObject *values = text_values(low);
    PyObject *wanted =
        values != NULL ? PyUnicode_FromFormat("must be %U", values) : NULL;
    Py_XDECREF(values);
    return text_got_steal(name, wanted, value);
}

error_format
validate_text_format(constraint_kind kind, PyObject *value)
{
    static const error_format formats[CONSTRAINT_KIND_COUNT] = {
        [CONSTRAINT_GT] = text_gt,
        [CONSTRAINT_GE] = text_ge,
        [CONSTRAINT_LT] = text_lt,
        [CONSTRAINT_LE] = text_le,
        [CONSTRAINT_MULTIPLE_OF] = text_multiple_of,
        [CONSTRAINT_MIN_LENGTH] = text_min_items,
        [CONSTRAINT_MAX_LENGTH] = text_max_items,
        [CONSTRAINT_REGEX] = text_regex,
        [CONSTRAINT_EMAIL] = text_email,
        [CONSTRAINT_PREDICATE] = text_predicate,
        [CONSTRAINT_TIMEZONE] = text_timezone,
    };
    bool low = kind == CONSTRAINT_MIN_LENGTH;
    if (low || kind == CONSTRAINT_MAX_LENGTH) {
        if (PyUnicode_Check(value)) {
            return low ? text_min_characters : text_max_characters;
        }
        if (PyBytes_Check(value) || PyByteArray_Check(value)) {
            return low ? text_min_bytes : text_max_bytes;
        }
    }
    return formats[kind];
}
