/* SPDX-License-Identifier: MIT
 *
 * Does what a plan is about hold something sensitive? Asked when a value has
 * been refused, before it is shown; in doubt it is hidden.
 */
#include "validate_plan.h"

#define HIDES_SEEN 128 /* plans and classes; more of them: in doubt */

typedef struct {
    validation_state *state;
    const void *seen[HIDES_SEEN]; /* compare only */
    size_t count;
} hides_search;

static int hides_any(hides_search *search, const validate_plan *plan);

/* Met for the first time? 1; 0; -1: there is no more room. Recursive aliases
 * and classes lead back to what has been seen.
 */
static int
hides_enter(hides_search *search, const void *key)
{
    for (size_t i = 0; i < search->count; i++) {
        if (search->seen[i] == key) {
            return 0;
        }
    }
    if (search->count == HIDES_SEEN) {
        return -1;
    }
    search->seen[search->count++] = key;
    return 1;
}

static int
hides_class(hides_search *search, const validate_plan *plan)
{
    PyObject *cls = Py_XNewRef(validate_plan_class(plan));
    int entered = cls != NULL ? hides_enter(search, cls) : -1;
    if (entered <= 0) {
        Py_XDECREF(cls);
        return entered < 0;
    }
    validate_fields *fields = validate_fields_of(search->state, cls);
    Py_DECREF(cls);
    if (fields == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)
            && !PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear(); /* TypeError, ValueError: annotations are wrong */
        return 1;
    }
    int hides = 0;
    for (Py_ssize_t i = 0; hides == 0 && i < Py_SIZE(fields); i++) {
        hides = hides_any(search, fields->fields[i].plan);
    }
    Py_DECREF(fields);
    return hides;
}

static int
hides_any(hides_search *search, const validate_plan *plan)
{
    if (plan->sensitive) {
        return 1;
    }
    if (plan->shape < VALIDATE_FIELDS) {
        return 0;
    }
    int entered = hides_enter(search, plan);
    if (entered <= 0) {
        return entered < 0;
    }
    if (Py_EnterRecursiveCall(" in validate()")) {
        return -1;
    }
    int hides = 0;
    if (plan->shape == VALIDATE_FIELDS || plan->shape == VALIDATE_TYPED_DICT) {
        hides = hides_class(search, plan);
    }
    for (Py_ssize_t i = 0; hides == 0 && i < plan->child_count; i++) {
        /* NULL: an alias nobody has looked into */
        hides = plan->children[i] != NULL
                    ? hides_any(search, plan->children[i])
                    : 1;
    }
    Py_LeaveRecursiveCall();
    return hides;
}

int
validate_hides(const validate_plan *plan)
{
    hides_search search = {
        .state = validation_state_of((PyObject *)plan),
    };
    return search.state != NULL ? hides_any(&search, plan) : -1;
}
