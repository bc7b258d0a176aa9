/* SPDX-License-Identifier: MIT
 *
 * A plan over a value. A refusal inside a union is quiet: NULL without an
 * exception, nothing formatted; the union decides what is said.
 */
#include "validate_plan.h"

/* ---- refusals */

PyObject *
validate_refuse_within(validate_context *context)
{
    context->within = true;
    return NULL;
}

/* new: "int"; where a class was wanted, "class int" */
static PyObject *
refuse_got(const validate_plan *plan, PyObject *value)
{
    bool class = plan->shape == VALIDATE_TYPE && PyType_Check(value);
    PyObject *got =
        validate_text_type(class ? (PyTypeObject *)value : Py_TYPE(value));
    if (got != NULL && class) {
        Py_SETREF(got, PyUnicode_FromFormat("class %U", got));
    }
    return got;
}

PyObject *
validate_refuse_type(validate_context *context, const validate_plan *plan,
                     PyObject *value, const validate_path *path)
{
    if (context->quiet > 0) {
        context->within = context->within || path != context->at;
        return NULL;
    }
    PyObject *place = validate_text_path(path, context->hidden > 0);
    PyObject *wanted = place != NULL ? validate_text_plan(plan) : NULL;
    PyObject *got = wanted != NULL ? refuse_got(plan, value) : NULL;
    if (got != NULL) {
        PyErr_Format(PyExc_TypeError, "%s%U must be %U, got %U",
                     context->function, place, wanted, got);
    }
    Py_XDECREF(got);
    Py_XDECREF(wanted);
    Py_XDECREF(place);
    return NULL;
}

PyObject *
validate_refuse(validate_context *context, error_format format, PyObject *low,
                PyObject *high, PyObject *value, const validate_path *path)
{
    context->broken = true;
    if (context->quiet > 0) {
        return NULL;
    }
    bool hidden = context->hidden > 0;
    PyObject *place = validate_text_path(path, hidden);
    if (place != NULL) {
        error_raise(context->state, format, place, low, high,
                    hidden ? NULL : value);
        Py_DECREF(place);
    }
    return NULL;
}

/* ---- shapes without children */

/* isinstance, as CPython does it; 1, 0, -1 */
static int
run_is_instance(const validate_plan *plan, PyObject *value)
{
    PyObject *cls = validate_plan_class(plan);
    if (cls == NULL) {
        return 0;
    }
    if ((PyObject *)Py_TYPE(value) == cls
        || (Py_TYPE(cls) == &PyType_Type
            && PyType_IsSubtype(Py_TYPE(value), (PyTypeObject *)cls))) {
        return 1;
    }
    Py_INCREF(cls);
    int is = PyObject_IsInstance(value, cls);
    Py_DECREF(cls);
    return is;
}

/* Is the class one that the plan's values are instances of? 1, 0, -1 */
static int
run_is_subclass(const validate_plan *plan, PyObject *cls)
{
    if (plan->shape == VALIDATE_ANY) {
        return 1;
    }
    if (plan->optional && cls == (PyObject *)Py_TYPE(Py_None)) {
        return 1;
    }
    if (plan->shape == VALIDATE_UNION || plan->shape == VALIDATE_ALIAS) {
        int is = 0;
        for (Py_ssize_t i = 0; i < plan->child_count && is == 0; i++) {
            if (plan->children[i] != NULL) {
                is = run_is_subclass(plan->children[i], cls);
            }
        }
        return is;
    }
    PyObject *wanted = plan->type != NULL ? validate_plan_class(plan) : NULL;
    if (wanted == NULL) {
        return 0;
    }
    Py_INCREF(wanted);
    int is = PyObject_IsSubclass(cls, wanted);
    Py_DECREF(wanted);
    return is;
}

static PyObject *
run_literal(validate_context *context, const validate_plan *plan,
            PyObject *value, const validate_path *path)
{
    bool type = false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(plan->values); i++) {
        PyObject *literal = PyTuple_GET_ITEM(plan->values, i);
        int same = value == literal;
        if (!same && Py_TYPE(value) == Py_TYPE(literal)) {
            type = true;
            same = PyObject_RichCompareBool(value, literal, Py_EQ);
        }
        if (same != 0) {
            return same < 0 ? NULL : Py_NewRef(value);
        }
    }
    return type ? validate_refuse(context, validate_text_literal, plan->values,
                                  NULL, value, path)
                : validate_refuse_type(context, plan, value, path);
}

/* Does a value of a simple shape have the right type? 1, 0, -1 */
static int
run_simple(const validate_plan *plan, PyObject *value)
{
    switch ((validate_shape)plan->shape) {
    case VALIDATE_ANY:
        return 1;
    case VALIDATE_NONE:
        return value == Py_None;
    case VALIDATE_BOOL:
        return PyBool_Check(value);
    case VALIDATE_INT:
        return PyLong_Check(value);
    case VALIDATE_FLOAT:
        return PyFloat_Check(value) || PyLong_Check(value);
    case VALIDATE_COMPLEX:
        return PyComplex_Check(value) || PyFloat_Check(value)
               || PyLong_Check(value);
    case VALIDATE_STR:
        return PyUnicode_Check(value);
    case VALIDATE_BYTES:
        return PyBytes_Check(value);
    case VALIDATE_CALLABLE:
        return PyCallable_Check(value);
    case VALIDATE_TYPE:
        return PyType_Check(value) ? run_is_subclass(plan->children[0], value)
                                   : 0;
    default:
        return run_is_instance(plan, value);
    }
}

/* ---- unions and aliases */

/* What has been seen of the members that did not take a value. */
typedef struct {
    Py_ssize_t broken; /* the first one whose constraint is broken, or -1 */
    Py_ssize_t within; /* the last one whose own type was right, or -1 */
    int within_count;
} run_union_seen;

/* What a union of which no member took the value says: what the first member
 * says whose constraint is broken; what the only one says that has the right
 * type, but not for what is in it; else that none took it. If a member is
 * sensitive, the value may be meant for it.
 */
static PyObject *
run_union_refuse(validate_context *context, validate_plan *plan,
                 const run_union_seen *seen, PyObject *value,
                 const validate_path *path)
{
    Py_ssize_t speaker = seen->broken >= 0         ? seen->broken
                         : seen->within_count == 1 ? seen->within
                                                   : -1;
    context->broken = context->broken || seen->broken >= 0;
    if (context->quiet > 0) {
        context->within =
            context->within || seen->within_count > 0 || path != context->at;
        return NULL;
    }
    int hides = speaker >= 0 ? validate_hides(plan) : 0;
    if (hides < 0) {
        return NULL;
    }
    context->hidden += hides;
    PyObject *result =
        speaker >= 0
            ? validate_value(context, plan->children[speaker], value, path)
            : validate_refuse_type(context, plan, value, path);
    context->hidden -= hides;
    return result;
}

static PyObject *
run_union(validate_context *context, validate_plan *plan, PyObject *value,
          const validate_path *path)
{
    const validate_context before = *context;
    run_union_seen seen = {-1, -1, 0};
    PyObject *result = NULL;
    context->at = path;
    for (Py_ssize_t i = 0; result == NULL && i < plan->child_count; i++) {
        context->broken = context->within = false;
        context->quiet++;
        result = validate_value(context, plan->children[i], value, path);
        context->quiet--;
        if (result == NULL && PyErr_Occurred()) {
            break;
        }
        if (result == NULL && context->broken && seen.broken < 0) {
            seen.broken = i;
        }
        else if (result == NULL && context->within && !context->broken) {
            seen.within = i;
            seen.within_count++;
        }
    }
    *context = before;
    return result != NULL || PyErr_Occurred()
               ? result
               : run_union_refuse(context, plan, &seen, value, path);
}

static PyObject *
run_alias(validate_context *context, validate_plan *plan, PyObject *value,
          const validate_path *path)
{
    validation_state *state = context->state;
    if (plan->children[0] == NULL) {
        PyObject *meaning;
        if (constraint_typing(state) < 0
            || constraint_alias_value(state, plan->values, &meaning) < 0) {
            return NULL;
        }
        PyObject *where = PyObject_Repr(plan->values);
        validate_plan *child =
            where != NULL ? validate_plan_of(state, meaning, where) : NULL;
        Py_XDECREF(where);
        Py_XDECREF(meaning);
        if (child == NULL) {
            return NULL;
        }
        if (plan->children[0] == NULL) { /* code has run in between */
            plan->children[0] = child;
        }
        else {
            Py_DECREF(child);
        }
    }
    validate_plan *child =
        (validate_plan *)Py_NewRef((PyObject *)plan->children[0]);
    PyObject *result = validate_value(context, child, value, path);
    Py_DECREF(child);
    return result;
}

/* ---- the whole */

static PyObject *
run_deep(validate_context *context, validate_plan *plan, PyObject *value,
         const validate_path *path)
{
    switch ((validate_shape)plan->shape) {
    case VALIDATE_UNION:
        return run_union(context, plan, value, path);
    case VALIDATE_ALIAS:
        return run_alias(context, plan, value, path);
    case VALIDATE_TYPED_DICT:
        return validate_typed_dict(context, plan, value, path);
    default:
        break;
    }
    int is = run_is_instance(plan, value);
    if (is <= 0) {
        return is < 0 ? NULL
                      : validate_refuse_type(context, plan, value, path);
    }
    switch ((validate_shape)plan->shape) {
    case VALIDATE_FIELDS:
        return validate_object(context, plan, value, path);
    case VALIDATE_ITEMS:
        return validate_items(context, plan, value, path);
    case VALIDATE_TUPLE:
        return validate_tuple(context, plan, value, path);
    default:
        return validate_mapping(context, plan, value, path);
    }
}

static PyObject *
run_shape(validate_context *context, validate_plan *plan, PyObject *value,
          const validate_path *path)
{
    if (plan->shape >= VALIDATE_FIELDS) {
        if (Py_EnterRecursiveCall(" in validate()")) {
            return NULL;
        }
        PyObject *result = run_deep(context, plan, value, path);
        Py_LeaveRecursiveCall();
        return result;
    }
    if (plan->shape == VALIDATE_LITERAL) {
        return run_literal(context, plan, value, path);
    }
    int is = run_simple(plan, value);
    return is > 0    ? Py_NewRef(value)
           : is == 0 ? validate_refuse_type(context, plan, value, path)
                     : NULL;
}

PyObject *
validate_value(validate_context *context, validate_plan *plan, PyObject *value,
               const validate_path *path)
{
    if (validate_quick(plan, value)) {
        return Py_NewRef(value);
    }
    int hides = plan->sensitive;
    context->hidden += hides;
    PyObject *result = run_shape(context, plan, value, path);
    if (result != NULL && plan->check_count > 0) {
        result = validate_checks_steal(context, plan, result, path);
    }
    context->hidden -= hides;
    return result;
}
