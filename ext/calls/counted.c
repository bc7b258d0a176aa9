/* SPDX-License-Identifier: MIT
 *
 * counted: how often a function was called, how often it raised, and how many
 * calls run right now. Numbers change under the interpreter lock, between two
 * calls of Python code: exact without atomics.
 */
#include "calls_state.h"
#include "args.h"

typedef struct {
    fe_wrap head;
    int64_t count;
    int64_t errors;
    int64_t active;
} counted_object;

#define COUNTED(op) ((counted_object *)(op))

static int
counted_begin(calls_coroutine *self)
{
    COUNTED(self->owner)->active++;
    return 0;
}

static calls_answer
counted_step(calls_coroutine *self, PyObject **value)
{
    counted_object *counted = COUNTED(self->owner);
    counted->active--;
    if (*value == NULL) {
        counted->errors++;
        return CALLS_FAIL;
    }
    return CALLS_DONE;
}

/* result (stolen) is what a coroutine function gave: watched to its end */
static PyObject *
counted_await(PyObject *self, PyObject *result)
{
    calls_state *state = calls_state_of(self);
    calls_coroutine *made =
        state != NULL ? calls_coroutine_new(state, self, result, counted_step)
                      : NULL;
    Py_DECREF(result);
    if (made != NULL) {
        made->begin = counted_begin;
    }
    return (PyObject *)made;
}

static PyObject *
counted_tp_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf,
                      PyObject *kwnames)
{
    counted_object *counted = COUNTED(self);
    counted->count++;
    counted->active++;
    PyObject *result =
        fe_wrap_call(counted->head.wrapped, args, nargsf, kwnames);
    counted->active--;
    if (FE_UNLIKELY(result == NULL)) {
        counted->errors++;
        return NULL;
    }
    return FE_LIKELY(counted->head.kind != FE_COROUTINE)
               ? result
               : counted_await(self, result);
}

static PyObject *
counted_make(calls_state *state, PyObject *func, PyObject *Py_UNUSED(options))
{
    int kind = fe_wrap_kind(func);
    if (kind < 0) {
        return NULL;
    }
    fe_wrap *self = fe_wrap_new(state->counted_type, func,
                                counted_tp_vectorcall, (fe_kind)kind);
    if (self != NULL) {
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

static const calls_kind counted_kind = {"counted", counted_make};

PyDoc_STRVAR(
    counted__doc__,
    "counted($module, func, /)\n--\n\n"
    "func, with its calls counted.\n\n"
    "count is the number of calls begun, errors of those that raised\n"
    "(of a coroutine function: when awaited), active of those in\n"
    "progress; reset() sets the first two to 0. Exact under threads\n"
    "and recursion. TypeError if func cannot be called.");

static PyObject *
counted(PyObject *module, PyObject *func)
{
    return wrapper_decorate(calls_get_state(module), &counted_kind, func,
                            NULL);
}

PyDoc_STRVAR(counted_reset__doc__, "reset($self, /)\n--\n\n"
                                   "Set count and errors to 0.");

static PyObject *
counted_reset(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    COUNTED(self)->count = COUNTED(self)->errors = 0;
    Py_RETURN_NONE;
}

static void
counted_tp_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, counted_tp_dealloc) fe_wrap_free(FE_WRAP(self));
    Py_TRASHCAN_END
}

PyDoc_STRVAR(Counted__doc__, "What counted makes of a function.");

static PyMemberDef counted_members[] = {
    {"count", Py_T_LONGLONG, offsetof(counted_object, count), Py_READONLY,
     "Calls begun."},
    {"errors", Py_T_LONGLONG, offsetof(counted_object, errors), Py_READONLY,
     "Calls that raised."},
    {"active", Py_T_LONGLONG, offsetof(counted_object, active), Py_READONLY,
     "Calls in progress; of coroutine functions, awaits."},
    {0},
};

static PyMethodDef counted_methods[] = {
    {"reset", counted_reset, METH_NOARGS, counted_reset__doc__},
    {0},
};

static PyType_Slot counted_slots[] = {
    {Py_tp_dealloc, FE_SLOT(counted_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(fe_wrap_traverse)},
    {Py_tp_clear, FE_SLOT(fe_wrap_clear)},
    {Py_tp_members, counted_members},
    {Py_tp_methods, counted_methods},
    {Py_tp_doc, FE_TEXT(Counted__doc__)},
    {0, NULL},
};

static PyType_Spec counted_spec = {
    .name = "ferrule.calls.Counted",
    .basicsize = sizeof(counted_object),
    .flags = FE_WRAP_FLAGS,
    .slots = counted_slots,
};

static PyMethodDef counted_functions[] = {
    {"counted", counted, METH_O, counted__doc__},
    {0},
};

int
counted_register(PyObject *module, calls_state *state)
{
    state->counted_type = wrapper_subtype(module, state, &counted_spec);
    return state->counted_type != NULL
                   && PyModule_AddType(module, state->counted_type) == 0
                   && PyModule_AddFunctions(module, counted_functions) == 0
               ? 0
               : -1;
}
