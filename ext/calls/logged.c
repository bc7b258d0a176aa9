/* SPDX-License-Identifier: MIT
 *
 * logged: says that a function is called, and if asked to with what, what it
 * returned and what it raised. While nobody listens, nothing is formatted and
 * no Python code runs but the function.
 */
#include "calls_state.h"
#include "args.h"

#include "logged_sink.h"

typedef struct {
    fe_wrap head;
    logged_sink *sink; /* owned; NULL once the collector has cleared it */
    bool arguments, result, errors;
} logged_object;

#define LOGGED(op) ((logged_object *)(op))

/* ---- texts */

/* new: repr(value), or what can be said if that raises an Exception */
static PyObject *
describe(PyObject *value)
{
    PyObject *text = PyObject_Repr(value);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear(); /* any: logging must not break the call */
        text = PyUnicode_FromFormat("<unprintable %.200s>",
                                    Py_TYPE(value)->tp_name);
    }
    return text;
}

/* new: "1, 2, x=3" */
static PyObject *
describe_arguments(PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    Py_ssize_t total =
        count + (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject *list = PyList_New(0), *joined = NULL;
    for (Py_ssize_t i = 0; list != NULL && i < total; i++) {
        PyObject *text = describe(args[i]);
        if (text != NULL && i >= count) {
            Py_SETREF(text, PyUnicode_FromFormat(
                                "%U=%U", PyTuple_GET_ITEM(kwnames, i - count),
                                text));
        }
        if (text == NULL || PyList_Append(list, text) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(text);
    }
    PyObject *comma = list != NULL ? PyUnicode_FromString(", ") : NULL;
    if (comma != NULL) {
        joined = PyUnicode_Join(comma, list);
        Py_DECREF(comma);
    }
    Py_XDECREF(list);
    return joined;
}

/* new: (name of the function, text), or NULL; text is stolen, may be NULL */
static PyObject *
name_and_steal(logged_object *self, PyObject *text)
{
    PyObject *name =
        text != NULL ? logged_sink_name(self->head.wrapped) : NULL;
    PyObject *pair = name != NULL ? PyTuple_Pack(2, name, text) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(text);
    return pair;
}

FE_NOINLINE static int
say_calling(logged_object *self, PyObject *const *args, size_t nargsf,
            PyObject *kwnames)
{
    if (self->arguments) {
        return logged_sink_put_steal(
            self->sink, "Calling %s(%s)",
            name_and_steal(self, describe_arguments(args, nargsf, kwnames)));
    }
    PyObject *name = logged_sink_name(self->head.wrapped);
    PyObject *given = name != NULL ? PyTuple_Pack(1, name) : NULL;
    Py_XDECREF(name);
    return logged_sink_put_steal(self->sink, "Calling %s", given);
}

/* The call has raised: say so and let the exception go on. If saying it fails,
 * that goes on instead, with the first as its context.
 */
static void
say_raised(logged_object *self)
{
    PyObject *exc = PyErr_GetRaisedException();
    if (exc == NULL) {
        return; /* a function of Python's that found no memory to raise */
    }
    int enabled = logged_sink_enabled(self->sink);
    if (enabled > 0) {
        enabled = logged_sink_put_steal(self->sink, "%s raised %s",
                                        name_and_steal(self, describe(exc)));
    }
    if (enabled < 0) {
        PyObject *other = PyErr_GetRaisedException();
        if (other == exc) {
            Py_DECREF(exc);
        }
        else {
            PyException_SetContext(other, exc); /* stolen */
        }
        exc = other;
    }
    PyErr_SetRaisedException(exc);
}

/* What a call or a coroutine ended with: *value, or NULL with an exception. 0,
 * or -1 with an exception and *value NULL.
 */
static int
say_ended(logged_object *self, PyObject **value)
{
    if (*value == NULL) {
        if (self->errors && self->sink != NULL) {
            say_raised(self);
        }
        return -1;
    }
    if (!self->result || self->sink == NULL) {
        return 0;
    }
    int enabled = logged_sink_enabled(self->sink);
    if (enabled > 0) {
        enabled =
            logged_sink_put_steal(self->sink, "%s returned %s",
                                  name_and_steal(self, describe(*value)));
    }
    if (enabled < 0) {
        Py_CLEAR(*value);
    }
    return enabled < 0 ? -1 : 0;
}

/* ---- calls */

static calls_answer
logged_step(calls_coroutine *self, PyObject **value)
{
    return say_ended(LOGGED(self->owner), value) < 0 ? CALLS_FAIL : CALLS_DONE;
}

static PyObject *
logged_end(PyObject *self, PyObject *result)
{
    if (result == NULL || LOGGED(self)->head.kind != FE_COROUTINE) {
        return say_ended(LOGGED(self), &result) < 0 ? NULL : result;
    }
    calls_state *state = calls_state_of(self);
    calls_coroutine *made =
        state != NULL ? calls_coroutine_new(state, self, result, logged_step)
                      : NULL;
    Py_DECREF(result);
    return (PyObject *)made;
}

static PyObject *
logged_tp_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                     PyObject *kwnames)
{
    logged_object *self = LOGGED(op);
    if (FE_LIKELY(self->sink != NULL)) {
        int enabled = logged_sink_enabled(self->sink);
        if (FE_UNLIKELY(enabled != 0)
            && (enabled < 0 || say_calling(self, args, nargsf, kwnames) < 0)) {
            return NULL;
        }
    }
    if (FE_LIKELY(!self->result && !self->errors)) {
        return fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    }
    return logged_end(op,
                      fe_wrap_call(self->head.wrapped, args, nargsf, kwnames));
}

/* ---- making one */

/* options: sink, arguments, result, errors */
static PyObject *
logged_make(calls_state *state, PyObject *func, PyObject *options)
{
    int kind = fe_wrap_kind(func);
    if (kind < 0) {
        return NULL;
    }
    logged_object *self = LOGGED(fe_wrap_new(
        state->logged_type, func, logged_tp_vectorcall, (fe_kind)kind));
    if (self == NULL) {
        return NULL;
    }
    self->sink = (logged_sink *)Py_NewRef(PyTuple_GET_ITEM(options, 0));
    self->arguments = PyTuple_GET_ITEM(options, 1) == Py_True;
    self->result = PyTuple_GET_ITEM(options, 2) == Py_True;
    self->errors = PyTuple_GET_ITEM(options, 3) == Py_True;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static const calls_kind logged_kind = {"logged", logged_make};

/* new: the tuple logged_make takes */
static PyObject *
logged_options(calls_state *state, PyObject **values)
{
    PyObject *flags[3];
    for (int i = 0; i < 3; i++) {
        int yes = values[i + 3] != NULL ? PyObject_IsTrue(values[i + 3]) : 0;
        if (yes < 0) {
            return NULL;
        }
        flags[i] = yes ? Py_True : Py_False;
    }
    logged_sink *sink =
        logged_sink_new(state, "logged", values[0], values[1], values[2]);
    if (sink == NULL) {
        return NULL;
    }
    PyObject *options =
        PyTuple_Pack(4, (PyObject *)sink, flags[0], flags[1], flags[2]);
    Py_DECREF(sink);
    return options;
}

PyDoc_STRVAR(
    logged__doc__,
    "logged($module, func=..., /, *, printer=None, logger=None, level=None,\n"
    "       arguments=False, result=False, errors=False)\n--\n\n"
    "func, saying 'Calling <name>' before each call.\n\n"
    "Without func: a decorator. The text goes to a logger (one, or its name;\n"
    "'ferrule.calls') at a level (a number or name; INFO), attributed to the\n"
    "caller's line, or to printer(text). With arguments, result, errors:\n"
    "'Calling add(1, x=2)', then 'add returned 3', 'add raised "
    "ValueError()'.\n"
    "Nothing is formatted while the level is off. What a printer raises goes\n"
    "to the caller, and the function is not called. TypeError if func or\n"
    "printer cannot be called, or if logger or level are none; ValueError "
    "for\n"
    "an unknown level.");

static PyObject *
logged(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
       PyObject *kwnames)
{
    static const char *const names[] = {"",       "printer",   "logger",
                                        "level",  "arguments", "result",
                                        "errors", NULL};
    static const fe_sig sig = {"logged", names, 1, 0};
    PyObject *values[7];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    calls_state *state = calls_get_state(module);
    PyObject *options = logged_options(state, values + 1);
    if (options == NULL) {
        return NULL;
    }
    PyObject *made =
        values[0] != NULL
            ? wrapper_decorate(state, &logged_kind, values[0], options)
            : wrapper_decorator(state, &logged_kind, options);
    Py_DECREF(options);
    return made;
}

/* ---- the type */

static int
logged_tp_traverse(logged_object *self, visitproc visit, void *arg)
{
    Py_VISIT(self->sink);
    return fe_wrap_traverse(&self->head, visit, arg);
}

static int
logged_tp_clear(logged_object *self)
{
    Py_CLEAR(self->sink);
    return fe_wrap_clear(&self->head);
}

static void
logged_tp_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, logged_tp_dealloc) Py_CLEAR(LOGGED(self)->sink);
    fe_wrap_free(FE_WRAP(self));
    Py_TRASHCAN_END
}

PyDoc_STRVAR(Logged__doc__, "What logged makes of a function.");

static PyType_Slot logged_slots[] = {
    {Py_tp_dealloc, FE_SLOT(logged_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(logged_tp_traverse)},
    {Py_tp_clear, FE_SLOT(logged_tp_clear)},
    {Py_tp_doc, FE_TEXT(Logged__doc__)},
    {0, NULL},
};

static PyType_Spec logged_spec = {
    .name = "ferrule.calls.Logged",
    .basicsize = sizeof(logged_object),
    .flags = FE_WRAP_FLAGS,
    .slots = logged_slots,
};

static PyMethodDef logged_functions[] = {
    {"logged", FE_METHOD(logged), METH_FASTCALL | METH_KEYWORDS,
     logged__doc__},
    {0},
};

int
logged_register(PyObject *module, calls_state *state)
{
    state->sink_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &logged_sink_spec, NULL);
    state->logged_type = wrapper_subtype(module, state, &logged_spec);
    return state->sink_type != NULL && state->logged_type != NULL
                   && PyModule_AddType(module, state->logged_type) == 0
                   && PyModule_AddFunctions(module, logged_functions) == 0
               ? 0
               : -1;
}
