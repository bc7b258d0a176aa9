/* SPDX-License-Identifier: MIT
 *
 * Between the files that compile plans and those that run them.
 */
#ifndef VALIDATE_PLAN_H
#define VALIDATE_PLAN_H

#include "validation_state.h"

/* validate.c */
validate_plan *validate_plan_new(validation_state *state,
                                 validate_shape shape);
/* Room for children, NULL until filled. 0 or -1 */
int validate_plan_children(validate_plan *plan, Py_ssize_t count);
/* Refer to a class, weakly if it was made by a statement. 0 or -1 */
int validate_plan_refer(validate_plan *plan, PyObject *cls);
/* borrowed from nobody: the class, NULL if it has gone */
static inline PyObject *
validate_plan_class(const validate_plan *plan)
{
    return plan->type == NULL         ? NULL
           : PyType_Check(plan->type) ? plan->type
                                      : fe_weakref_peek(plan->type);
}

/* validate_compile.c; recursive aliases lead back to a plan in progress */
typedef struct validate_progress {
    const struct validate_progress *outer;
    PyObject *annotation;
    validate_plan *plan;
} validate_progress;

/* new */
validate_plan *validate_compile(validation_state *state, PyObject *annotation,
                                PyObject *where,
                                const validate_progress *progress);

/* validate_check.c: put the constraints into a plan. 0 or -1 */
int validate_check_add(validation_state *state, validate_plan *plan,
                       PyObject *constraints);
/* What is known once all is in: bounds for a glance. */
void validate_check_quick(validate_plan *plan);

/* A step of a mapping, with the plan that says whether its key is shown. */
typedef struct {
    validate_path step;       /* first; index is VALIDATE_KEY_OF */
    const validate_plan *key; /* borrowed or NULL */
} validate_key_path;

/* validate_hides.c: does it hold something sensitive, itself, in a child or in
 * a field of its class? 1, 0, -1. Runs Python code.
 */
int validate_hides(const validate_plan *plan);

/* validate_text.c: texts of errors */
/* new: str, "int | None" */
PyObject *validate_text_plan(const validate_plan *plan);
/* new: str; keys are left out where they are hidden */
PyObject *validate_text_path(const validate_path *path, bool hidden);
/* new: str, the name of a type without its module */
PyObject *validate_text_type(PyTypeObject *type);
error_format validate_text_format(constraint_kind kind, PyObject *value);
/* "{name}: two keys become {value}" */
PyObject *validate_text_keys(PyObject *name, PyObject *low, PyObject *high,
                             PyObject *value);
PyObject *validate_text_literal(PyObject *name, PyObject *low, PyObject *high,
                                PyObject *value);

/* validate_run.c */
typedef struct {
    validation_state *state;
    const char *function; /* in front of TypeErrors, or "" */
    int quiet;            /* above 0: a refusal is NULL without an exception */
    int hidden;           /* above 0: no value is shown */
    bool broken;          /* quiet: a constraint refused, not a type */
    bool within;          /* quiet: the type was right, an inner one not */
    const validate_path *at; /* borrowed: where the innermost union stands */
} validate_context;

/* new, or NULL: refused (see quiet) or failed */
PyObject *validate_value(validate_context *context, validate_plan *plan,
                         PyObject *value, const validate_path *path);
PyObject *validate_refuse_type(validate_context *context,
                               const validate_plan *plan, PyObject *value,
                               const validate_path *path);
/* NULL; in a union: the value had the right type, but not what is in it */
PyObject *validate_refuse_within(validate_context *context);
PyObject *validate_refuse(validate_context *context, error_format format,
                          PyObject *low, PyObject *high, PyObject *value,
                          const validate_path *path);

/* validate_checks.c: the value (stolen) after all checks; new or NULL */
PyObject *validate_checks_steal(validate_context *context,
                                const validate_plan *plan, PyObject *value,
                                const validate_path *path);

/* validate_items.c; new or NULL */
PyObject *validate_items(validate_context *context, validate_plan *plan,
                         PyObject *value, const validate_path *path);
PyObject *validate_tuple(validate_context *context, validate_plan *plan,
                         PyObject *value, const validate_path *path);
PyObject *validate_mapping(validate_context *context, validate_plan *plan,
                           PyObject *value, const validate_path *path);

/* validate_fields.c; new or NULL */
PyObject *validate_object(validate_context *context, validate_plan *plan,
                          PyObject *value, const validate_path *path);
PyObject *validate_typed_dict(validate_context *context, validate_plan *plan,
                              PyObject *value, const validate_path *path);
int validate_fields_register(PyObject *module, validation_state *state);

#endif
