/* SPDX-License-Identifier: MIT
 *
 * validate(value, tp), and the life of plans.
 */
#include "validate_plan.h"
#include "args.h"

/* ---- plans */

validate_plan *
validate_plan_new(validation_state *state, validate_shape shape)
{
    validate_plan *plan =
        (validate_plan *)state->plan_type->tp_alloc(state->plan_type, 0);
    if (plan != NULL) {
        plan->shape = (uint8_t)shape;
    }
    return plan;
}

int
validate_plan_children(validate_plan *plan, Py_ssize_t count)
{
    plan->children =
        PyMem_Calloc(count > 0 ? (size_t)count : 1, sizeof(validate_plan *));
    if (plan->children == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    plan->child_count = count;
    return 0;
}

int
validate_plan_refer(validate_plan *plan, PyObject *cls)
{
    if (((PyTypeObject *)cls)->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        plan->mortal = true;
        plan->type = PyWeakref_NewRef(cls, NULL);
        return plan->type != NULL ? 0 : -1;
    }
    plan->type = Py_NewRef(cls);
    return 0;
}

static int
plan_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    validate_plan *self = (validate_plan *)op;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->type);
    Py_VISIT(self->fields);
    Py_VISIT(self->values);
    for (Py_ssize_t i = 0; i < self->child_count; i++) {
        Py_VISIT(self->children[i]);
    }
    for (Py_ssize_t i = 0; i < self->check_count; i++) {
        Py_VISIT(self->checks[i].constraint);
    }
    return 0;
}

/* Aliases alone lead back to themselves, and they find their child anew. */
static int
plan_tp_clear(PyObject *op)
{
    validate_plan *self = (validate_plan *)op;
    if (self->shape == VALIDATE_ALIAS && self->child_count > 0) {
        Py_CLEAR(self->children[0]);
    }
    return 0;
}

static void
plan_tp_dealloc(PyObject *op)
{
    validate_plan *self = (validate_plan *)op;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(op, plan_tp_dealloc) for (Py_ssize_t i = 0;
                                                i < self->child_count; i++)
    {
        Py_XDECREF(self->children[i]);
    }
    for (Py_ssize_t i = 0; i < self->check_count; i++) {
        Py_DECREF(self->checks[i].constraint);
    }
    PyMem_Free(self->children);
    PyMem_Free(self->checks);
    Py_XDECREF(self->type);
    Py_XDECREF(self->fields);
    Py_XDECREF(self->values);
    type->tp_free(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyType_Slot plan_slots[] = {
    {Py_tp_traverse, FE_SLOT(plan_tp_traverse)},
    {Py_tp_clear, FE_SLOT(plan_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(plan_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec plan_spec = {
    .name = "ferrule.validation._Plan",
    .basicsize = sizeof(validate_plan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = plan_slots,
};

/* ---- the function */

PyDoc_STRVAR(
    validate__doc__,
    "validate($module, value, tp, /)\n--\n\n"
    "The value, if it is what the annotation tp says.\n\n"
    "Types are checked as isinstance does, without coercion; float takes\n"
    "an int. Of a record, dataclass, NamedTuple or other annotated class\n"
    "every field that is there is checked. Strip gives a new str, and a\n"
    "container of such a new container; all else is the value given.\n"
    "TypeError for a wrong type, ConstraintError (a ValueError) for a\n"
    "broken constraint, naming the place; TypeError or ValueError for an\n"
    "annotation that is no type or contradicts itself.");

static FE_NOINLINE validate_plan *
validate_compile_first(validation_state *state, PyObject *tp)
{
    PyObject *where = PyUnicode_FromString("validate()");
    if (where == NULL) {
        return NULL;
    }
    validate_plan *plan = validate_plan_of(state, tp, where);
    Py_DECREF(where);
    return plan;
}

static PyObject *
validate(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_Format(PyExc_TypeError,
                     "validate() takes 2 positional arguments but %zd %s "
                     "given",
                     nargs, nargs == 1 ? "was" : "were");
        return NULL;
    }
    validation_state *state = validation_get_state(module);
    constraint_entry *entry =
        constraint_cache_find(state->constraint_cache, args[1]);
    validate_plan *plan;
    if (FE_LIKELY(entry != NULL && entry->plan != NULL)) {
        plan = (validate_plan *)entry->plan;
        if (validate_quick(plan, args[0])) {
            return Py_NewRef(args[0]);
        }
        Py_INCREF(plan);
    }
    else {
        plan = validate_compile_first(state, args[1]);
        if (plan == NULL) {
            return NULL;
        }
    }
    validate_context context = {.state = state, .function = "validate(): "};
    PyObject *result = validate_value(&context, plan, args[0], NULL);
    Py_DECREF(plan);
    return result;
}

PyObject *
validate_run(validation_state *state, validate_plan *plan, PyObject *value,
             const validate_path *path)
{
    validate_context context = {.state = state, .function = ""};
    Py_INCREF(plan);
    PyObject *result = validate_value(&context, plan, value, path);
    Py_DECREF(plan);
    return result;
}

static PyMethodDef validate_functions[] = {
    {"validate", FE_METHOD(validate), METH_FASTCALL, validate__doc__},
    {NULL, NULL, 0, NULL},
};

int
validate_register(PyObject *module, validation_state *state)
{
    state->plan_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &plan_spec, NULL);
    return state->plan_type == NULL
                   || validate_fields_register(module, state) < 0
               ? -1
               : PyModule_AddFunctions(module, validate_functions);
}
