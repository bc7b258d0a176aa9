/* SPDX-License-Identifier: MIT
 *
 * Constraints put into a plan: do they suit the type, do they contradict each
 * other, and what they say about an exact int, float or str at a glance.
 */
#include "validate_plan.h"

#include <float.h>
#include <math.h>

static bool
check_is_bound(constraint_kind kind)
{
    return kind == CONSTRAINT_GT || kind == CONSTRAINT_GE
           || kind == CONSTRAINT_LT || kind == CONSTRAINT_LE;
}

static bool
check_is_length(constraint_kind kind)
{
    return kind == CONSTRAINT_MIN_LENGTH || kind == CONSTRAINT_MAX_LENGTH;
}

/* borrowed from the plan; NULL where there is no class */
static PyTypeObject *
check_class(const validate_plan *plan)
{
    return plan->type != NULL ? (PyTypeObject *)validate_plan_class(plan)
                              : NULL;
}

/* Might an instance have a length? */
static bool
check_has_length(const validate_plan *plan)
{
    PyTypeObject *type = check_class(plan);
    if (type == NULL || (type->tp_flags & Py_TPFLAGS_IS_ABSTRACT)
        || Py_TYPE(type) != &PyType_Type) {
        return true;
    }
    return (type->tp_as_sequence != NULL
            && type->tp_as_sequence->sq_length != NULL)
           || (type->tp_as_mapping != NULL
               && type->tp_as_mapping->mp_length != NULL);
}

static bool
check_has_order(const validate_plan *plan, PyObject *bound)
{
    PyTypeObject *type = check_class(plan);
    switch ((validate_shape)plan->shape) {
    case VALIDATE_ANY:
    case VALIDATE_LITERAL:
    case VALIDATE_TUPLE:
    case VALIDATE_FIELDS:
    case VALIDATE_ALIAS:
        return true;
    case VALIDATE_BOOL:
    case VALIDATE_INT:
    case VALIDATE_FLOAT:
        return !PyUnicode_Check(bound) && !PyBytes_Check(bound);
    case VALIDATE_STR:
        return PyUnicode_Check(bound);
    case VALIDATE_BYTES:
        return PyBytes_Check(bound) || PyByteArray_Check(bound);
    case VALIDATE_CLASS:
        return type == NULL
               || !(PyType_IsSubtype(type, &PyList_Type)
                    || PyType_IsSubtype(type, &PyDict_Type)
                    || type == &PyType_Type);
    case VALIDATE_ITEMS:
        return type == &PySet_Type || type == &PyFrozenSet_Type
               || type == &PyTuple_Type;
    default:
        return false;
    }
}

static bool
check_divides(const validate_plan *plan)
{
    PyTypeObject *type = check_class(plan);
    switch ((validate_shape)plan->shape) {
    case VALIDATE_ANY:
    case VALIDATE_BOOL:
    case VALIDATE_INT:
    case VALIDATE_FLOAT:
    case VALIDATE_LITERAL:
    case VALIDATE_FIELDS:
    case VALIDATE_ALIAS:
        return true;
    case VALIDATE_CLASS:
        return type == NULL || (type->tp_flags & Py_TPFLAGS_HEAPTYPE)
               || (type->tp_as_number != NULL
                   && type->tp_as_number->nb_remainder != NULL);
    default:
        return false;
    }
}

static bool
check_is_text(const validate_plan *plan)
{
    PyTypeObject *type = check_class(plan);
    return plan->shape == VALIDATE_STR || plan->shape == VALIDATE_ANY
           || plan->shape == VALIDATE_LITERAL || plan->shape == VALIDATE_ALIAS
           || (type != NULL && PyType_IsSubtype(type, &PyUnicode_Type));
}

static bool
check_suits(const validate_plan *plan, constraint_kind kind, PyObject *bound)
{
    if (plan->shape == VALIDATE_UNION) {
        for (Py_ssize_t i = 0; i < plan->child_count; i++) {
            if (check_suits(plan->children[i], kind, bound)) {
                return true;
            }
        }
        return false;
    }
    if (check_is_bound(kind)) {
        return check_has_order(plan, bound);
    }
    switch (kind) {
    case CONSTRAINT_MIN_LENGTH:
    case CONSTRAINT_MAX_LENGTH:
        return plan->shape != VALIDATE_CALLABLE && check_has_length(plan);
    case CONSTRAINT_MULTIPLE_OF:
        return check_divides(plan);
    case CONSTRAINT_REGEX:
    case CONSTRAINT_EMAIL:
    case CONSTRAINT_STRIP:
        return check_is_text(plan);
    case CONSTRAINT_TIMEZONE:
        return plan->shape == VALIDATE_ANY || plan->shape == VALIDATE_CLASS
               || plan->shape == VALIDATE_FIELDS
               || plan->shape == VALIDATE_ALIAS;
    default:
        return true;
    }
}

/* ---- contradictions */

static int
check_pair(const validate_check *low, const validate_check *high)
{
    int empty =
        constraint_contradict(low->value, low->kind == CONSTRAINT_GT,
                              high->value, high->kind == CONSTRAINT_LT);
    if (empty > 0) {
        PyErr_Format(PyExc_ValueError, "%R and %R leave nothing",
                     low->constraint, high->constraint);
    }
    return empty != 0 ? -1 : 0;
}

static int
check_contradictions(const validate_plan *plan)
{
    for (Py_ssize_t i = 0; i < plan->check_count; i++) {
        const validate_check *low = &plan->checks[i];
        bool below = low->kind == CONSTRAINT_GT || low->kind == CONSTRAINT_GE;
        if (!below && low->kind != CONSTRAINT_MIN_LENGTH) {
            continue;
        }
        for (Py_ssize_t k = 0; k < plan->check_count; k++) {
            const validate_check *high = &plan->checks[k];
            bool meets = below ? high->kind == CONSTRAINT_LT
                                     || high->kind == CONSTRAINT_LE
                               : high->kind == CONSTRAINT_MAX_LENGTH;
            if (meets && check_pair(low, high) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* ---- into the plan */

static void
check_fill(validate_check *check, constraint_kind kind, PyObject *constraint)
{
    check->kind = kind;
    check->constraint = Py_NewRef(constraint);
    check->value = kind == CONSTRAINT_REGEX || kind == CONSTRAINT_EMAIL
                       ? NULL
                       : CONSTRAINT(constraint)->value;
    check->number = 0;
    if (check->value == NULL) {
        return;
    }
    if (PyLong_CheckExact(check->value)
        && fe_long_in_place(check->value, &check->bound.integer)) {
        check->number = 1;
    }
    else if (PyFloat_CheckExact(check->value)) {
        check->number = 2;
        check->bound.real = PyFloat_AS_DOUBLE(check->value);
    }
    else if (check_is_length(kind)) { /* above 2**60: as good as none */
        check->bound.integer = INT64_MAX;
    }
}

int
validate_check_add(validation_state *state, validate_plan *plan,
                   PyObject *constraints)
{
    Py_ssize_t more = PyTuple_GET_SIZE(constraints);
    if (more == 0) {
        return 0;
    }
    validate_check *checks =
        PyMem_Realloc(plan->checks, (size_t)(plan->check_count + more)
                                        * sizeof(validate_check));
    if (checks == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    plan->checks = checks;
    for (Py_ssize_t i = 0; i < more; i++) {
        PyObject *constraint = PyTuple_GET_ITEM(constraints, i);
        constraint_kind kind = constraint_kind_of(state, constraint);
        if (kind == CONSTRAINT_SENSITIVE || kind == CONSTRAINT_DOC) {
            continue;
        }
        bool own = kind != CONSTRAINT_REGEX && kind != CONSTRAINT_EMAIL;
        if (!check_suits(plan, kind,
                         own ? CONSTRAINT(constraint)->value : NULL)) {
            PyObject *type = validate_text_plan(plan);
            if (type != NULL) {
                PyErr_Format(PyExc_TypeError, "%R does not apply to %U",
                             constraint, type);
                Py_DECREF(type);
            }
            return -1;
        }
        plan->strips = plan->strips || kind == CONSTRAINT_STRIP;
        check_fill(&plan->checks[plan->check_count], kind, constraint);
        plan->check_count++;
    }
    return check_contradictions(plan);
}

/* ---- at a glance */

static double
next_up(double x)
{
    int64_t bits;
    if (x == 0) {
        bits = 1;
    }
    else {
        memcpy(&bits, &x, sizeof(bits));
        bits += x > 0 ? 1 : -1;
    }
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* false: not a bound that ints are compared with at a glance */
static bool
check_narrow(validate_plan *plan, const validate_check *check)
{
    if (check->number != 1) {
        return false;
    }
    int64_t bound = check->bound.integer;
    int64_t low = check->kind == CONSTRAINT_GE   ? bound
                  : check->kind == CONSTRAINT_GT ? bound + 1
                                                 : INT64_MIN;
    int64_t high = check->kind == CONSTRAINT_LE   ? bound
                   : check->kind == CONSTRAINT_LT ? bound - 1
                                                  : INT64_MAX;
    plan->low = low > plan->low ? low : plan->low;
    plan->high = high < plan->high ? high : plan->high;
    return check_is_bound(check->kind);
}

static bool
check_narrow_real(validate_plan *plan, const validate_check *check)
{
    const int64_t exact = (int64_t)1 << 53;
    if (check->number == 0 || !check_is_bound(check->kind)
        || (check->number == 1
            && (check->bound.integer > exact
                || check->bound.integer < -exact))) {
        return false;
    }
    double bound =
        check->number == 1 ? (double)check->bound.integer : check->bound.real;
    if (check->kind == CONSTRAINT_GT || check->kind == CONSTRAINT_GE) {
        if (check->kind == CONSTRAINT_GT) {
            if (bound > DBL_MAX) {
                return false;
            }
            bound = next_up(bound);
        }
        plan->real_low = bound > plan->real_low ? bound : plan->real_low;
        return true;
    }
    if (check->kind == CONSTRAINT_LT) {
        if (bound < -DBL_MAX) {
            return false;
        }
        bound = -next_up(-bound);
    }
    plan->real_high = bound < plan->real_high ? bound : plan->real_high;
    return true;
}

static bool
check_narrow_length(validate_plan *plan, const validate_check *check)
{
    int64_t length = check->bound.integer;
    if (check->kind == CONSTRAINT_MIN_LENGTH) {
        plan->low = length > plan->low ? length : plan->low;
    }
    else if (check->kind == CONSTRAINT_MAX_LENGTH) {
        plan->high = length < plan->high ? length : plan->high;
    }
    else {
        return false;
    }
    return true;
}

static validate_quick_kind
check_quick_kind(validate_plan *plan)
{
    bool (*narrow)(validate_plan *, const validate_check *) = NULL;
    validate_quick_kind kind = VALIDATE_QUICK_NOT;
    switch ((validate_shape)plan->shape) {
    case VALIDATE_ANY:
        kind = VALIDATE_QUICK_ANY;
        break;
    case VALIDATE_INT:
        kind = VALIDATE_QUICK_INT;
        narrow = check_narrow;
        break;
    case VALIDATE_FLOAT:
        kind = plan->check_count > 0 ? VALIDATE_QUICK_FLOAT
                                     : VALIDATE_QUICK_EXACT;
        narrow = check_narrow_real;
        break;
    case VALIDATE_STR:
        kind = VALIDATE_QUICK_STR;
        narrow = check_narrow_length;
        break;
    case VALIDATE_NONE:
    case VALIDATE_BOOL:
    case VALIDATE_COMPLEX:
    case VALIDATE_BYTES:
    case VALIDATE_CLASS:
        kind = PyType_Check(plan->type) ? VALIDATE_QUICK_EXACT
                                        : VALIDATE_QUICK_CLASS;
        break;
    default:
        break;
    }
    for (Py_ssize_t i = 0; i < plan->check_count; i++) {
        if (narrow == NULL || !narrow(plan, &plan->checks[i])) {
            return VALIDATE_QUICK_NOT;
        }
    }
    return kind;
}

void
validate_check_quick(validate_plan *plan)
{
    plan->low = INT64_MIN;
    plan->high = INT64_MAX;
    plan->real_low = -(double)INFINITY;
    plan->real_high = (double)INFINITY;
    plan->quick = (uint8_t)check_quick_kind(plan);
}
