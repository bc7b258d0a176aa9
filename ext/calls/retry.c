/* SPDX-License-Identifier: MIT
 *
 * retry: calls a function again when it fails. A call that succeeds costs a
 * count and a test; what a failure needs is made when there is one.
 */
#include "calls_state.h"
#include "args.h"

#include <math.h>

/* ---- calls of functions */

/* The first attempt has ended with result, or with an exception. */
static FE_NOINLINE PyObject *
retry_go_on(retry_object *self, PyObject *const *args, size_t nargsf,
            PyObject *kwnames, PyObject *result, double started)
{
    retry_run run = {.attempt = 1, .started = started};
    Py_INCREF(self);
    while (retry_consider(self, &run, &result) == RETRY_AGAIN) {
        retry_run_forget(&run);
        /* no sleep of nothing, which costs as much as the call; Ctrl-C then
         * has to be looked for here */
        if ((run.wait > 0 ? calls_sleep(run.wait) : PyErr_CheckSignals())
            < 0) {
            break;
        }
        run.attempt++;
        self->retries++;
        result = fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    }
    if (result == NULL) {
        self->failures++;
    }
    if (run.entries != NULL || run.error != NULL || run.value != NULL) {
        fe_error error = fe_error_put_aside();
        retry_run_clear(&run);
        fe_error_put_back(error);
    }
    Py_DECREF(self);
    return result;
}

static PyObject *
retry_tp_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                    PyObject *kwnames)
{
    retry_object *self = RETRY(op);
    self->calls++;
    PyObject *result = fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    if (FE_LIKELY(result != NULL)) {
        return result;
    }
    return retry_go_on(self, args, nargsf, kwnames, NULL, 0);
}

/* with a deadline, or with results that may be rejected */
static PyObject *
retry_checked_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                         PyObject *kwnames)
{
    retry_object *self = RETRY(op);
    double started = 0;
    self->calls++;
    if (!isinf(self->policy->deadline)
        && retry_now(self->policy, &started) < 0) {
        self->failures++;
        return NULL;
    }
    PyObject *result = fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    if (result != NULL && self->policy->rejects == NULL) {
        return result;
    }
    return retry_go_on(self, args, nargsf, kwnames, result, started);
}

/* ---- decorating */

static int
retry_check_kind(PyObject *func, int kind, const retry_policy *policy)
{
    const char *why = NULL;
    if (kind == FE_GENERATOR || kind == FE_ASYNC_GENERATOR) {
        why = kind == FE_GENERATOR
                  ? "is a generator function: to try again would repeat what "
                    "it has yielded"
                  : "is an async generator function: to try again would "
                    "repeat what it has yielded";
    }
    else if (kind == FE_PLAIN && policy->awaits) {
        why = "is no coroutine function, so it cannot await before_sleep";
    }
    if (why == NULL) {
        return 0;
    }
    PyObject *name = fe_wrap_name(func, "__qualname__");
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "retry: %U %s", name, why);
        Py_DECREF(name);
    }
    return -1;
}

/* options: a policy */
static PyObject *
retry_make(calls_state *state, PyObject *func, PyObject *options)
{
    retry_policy *policy = (retry_policy *)options;
    int kind = fe_wrap_kind(func);
    if (kind < 0 || retry_check_kind(func, kind, policy) < 0) {
        return NULL;
    }
    vectorcallfunc call = retry_tp_vectorcall;
    if (kind == FE_COROUTINE) {
        call = retry_async_vectorcall;
    }
    else if (policy->rejects != NULL || !isinf(policy->deadline)) {
        call = retry_checked_vectorcall;
    }
    retry_object *self = (retry_object *)fe_wrap_new(state->retry_type, func,
                                                     call, (fe_kind)kind);
    if (self != NULL) {
        self->policy = (retry_policy *)Py_NewRef(options);
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

static const calls_kind retry_kind = {"retry", retry_make};

/* Is what came in the place of max_attempts meant to be decorated? */
static bool
is_function(PyObject *value)
{
    return PyCallable_Check(value)
           || PyObject_TypeCheck(value, &PyClassMethod_Type)
           || PyObject_TypeCheck(value, &PyProperty_Type);
}

PyDoc_STRVAR(
    retry__doc__,
    "retry($module, /, max_attempts=3, delay=1.0, *, on=...,\n"
    "      backoff=2.0, max_delay=None, jitter=False, deadline=None,\n"
    "      retry_if_result=None, before_sleep=None, printer=None,\n"
    "      random=None, clock=None)\n"
    "--\n\n"
    "A decorator: call the function again when it fails.\n\n"
    "Between attempts it sleeps delay, delay*backoff, delay*backoff**2 ...\n"
    "seconds, at most max_delay; with jitter a random part of that (by\n"
    "random, random.random if None). After the last attempt, or when the\n"
    "next sleep would end later than deadline seconds after the call began\n"
    "(by clock, monotonic if None), the last exception itself is raised;\n"
    "its attribute retry_history tells the attempts.\n\n"
    "on says which exceptions are repeated, Exception if not given: a class,\n"
    "a tuple, or a callable that is given the exception. What is no Exception "
    "(KeyboardInterrupt,\n"
    "SystemExit, cancellation) never is, RecursionError only by its name.\n"
    "A result for which retry_if_result(result) is true counts as a failure;\n"
    "if the last one does, RetryError is raised with it as .result.\n\n"
    "Each sleep is told to the logger ferrule.calls as a warning, or to\n"
    "printer, and before_sleep is called with an Attempt; in a coroutine\n"
    "function what it gives is awaited, if it can be. @retry works bare.\n\n"
    "ValueError for max_attempts < 1 and numbers that are negative or NaN;\n"
    "TypeError for other wrong arguments and for generator functions.\n"
    "Source: the article's section \"Decorators Deep Dive\".");

static PyObject *
retry(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
      PyObject *kwnames)
{
    static const char *const names[] = {"max_attempts",
                                        "delay",
                                        "on",
                                        "backoff",
                                        "max_delay",
                                        "jitter",
                                        "deadline",
                                        "retry_if_result",
                                        "before_sleep",
                                        "printer",
                                        "random",
                                        "clock",
                                        NULL};
    static const fe_sig sig = {"retry", names, 2, 0};
    calls_state *state = calls_get_state(module);
    if (nargs == 1 && kwnames == NULL && is_function(args[0])) {
        return wrapper_decorate(state, &retry_kind, args[0],
                                state->retry_default);
    }
    PyObject *values[RETRY_ARGUMENTS];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    PyObject *policy = retry_policy_new(state, values);
    if (policy == NULL) {
        return NULL;
    }
    PyObject *made = wrapper_decorator(state, &retry_kind, policy);
    Py_DECREF(policy);
    return made;
}

PyMethodDef retry_functions[] = {
    {"retry", FE_METHOD(retry), METH_FASTCALL | METH_KEYWORDS, retry__doc__},
    {0},
};

/* ---- the type */

static PyObject *
get_count(PyObject *op, void *offset)
{
    int64_t value;
    memcpy(&value, (char *)op + (uintptr_t)offset, sizeof(value));
    return PyLong_FromLongLong(value);
}

static PyObject *
get_attempts(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(RETRY(op)->calls + RETRY(op)->retries);
}

static PyObject *
get_max_attempts(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(RETRY(op)->policy->max_attempts);
}

/* a double of the policy; None if it is infinite */
static PyObject *
get_number(PyObject *op, void *offset)
{
    double value;
    memcpy(&value, (char *)RETRY(op)->policy + (uintptr_t)offset,
           sizeof(value));
    if (isinf(value)) {
        Py_RETURN_NONE;
    }
    return PyFloat_FromDouble(value);
}

static PyObject *
get_jitter(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(RETRY(op)->policy->jitter);
}

/* an object of the policy; None if it was not given */
static PyObject *
get_object(PyObject *op, void *offset)
{
    PyObject *value;
    memcpy(&value, (char *)RETRY(op)->policy + (uintptr_t)offset,
           sizeof(value));
    return Py_NewRef(value != NULL ? value : Py_None);
}

static void
retry_tp_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, retry_tp_dealloc) Py_CLEAR(RETRY(self)->policy);
    fe_wrap_free(FE_WRAP(self));
    Py_TRASHCAN_END
}

static int
retry_tp_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(RETRY(self)->policy);
    return fe_wrap_traverse(FE_WRAP(self), visit, arg);
}

static int
retry_tp_clear(PyObject *self)
{
    /* the policy stays: attributes are read from it */
    return fe_wrap_clear(FE_WRAP(self));
}

#define RETRY_AT(field) ((void *)offsetof(retry_object, field))
#define RETRY_POLICY_AT(field) ((void *)offsetof(retry_policy, field))

static PyGetSetDef retry_getset[] = {
    {"calls", get_count, NULL, FE_TEXT("Calls begun."), RETRY_AT(calls)},
    {"retries", get_count, NULL,
     FE_TEXT("Attempts but the first of each call."), RETRY_AT(retries)},
    {"failures", get_count, NULL,
     FE_TEXT("Calls that ended with an exception."), RETRY_AT(failures)},
    {"attempts", get_attempts, NULL, FE_TEXT("calls + retries."), NULL},
    {"max_attempts", get_max_attempts, NULL, FE_TEXT("As given."), NULL},
    {"delay", get_number, NULL, FE_TEXT("As given, a float."),
     RETRY_POLICY_AT(delay)},
    {"backoff", get_number, NULL, FE_TEXT("As given, a float."),
     RETRY_POLICY_AT(backoff)},
    {"max_delay", get_number, NULL, FE_TEXT("As given; None: no limit."),
     RETRY_POLICY_AT(max_delay)},
    {"deadline", get_number, NULL, FE_TEXT("As given; None: no limit."),
     RETRY_POLICY_AT(deadline)},
    {"jitter", get_jitter, NULL, FE_TEXT("As given."), NULL},
    {"on", get_object, NULL, FE_TEXT("As given."), RETRY_POLICY_AT(on)},
    {"retry_if_result", get_object, NULL, FE_TEXT("As given."),
     RETRY_POLICY_AT(rejects)},
    {"before_sleep", get_object, NULL, FE_TEXT("As given."),
     RETRY_POLICY_AT(before)},
    {0},
};

PyDoc_STRVAR(retry_type__doc__,
             "A function that is called again when it fails: see retry.");

static PyType_Slot retry_slots[] = {
    {Py_tp_dealloc, FE_SLOT(retry_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(retry_tp_traverse)},
    {Py_tp_clear, FE_SLOT(retry_tp_clear)},
    {Py_tp_getset, retry_getset},
    {Py_tp_doc, FE_TEXT(retry_type__doc__)},
    {0, NULL},
};

static PyType_Spec retry_spec = {
    .name = "ferrule.calls.Retry",
    .basicsize = sizeof(retry_object),
    .flags = FE_WRAP_FLAGS,
    .slots = retry_slots,
};

int
retry_register(PyObject *module, calls_state *state)
{
    PyObject *values[RETRY_ARGUMENTS] = {NULL};
    state->retry_type = wrapper_subtype(module, state, &retry_spec);
    state->retry_policy_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &retry_policy_spec, NULL);
    state->retry_failed_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &retry_failed_spec, NULL);
    if (state->retry_type == NULL || state->retry_policy_type == NULL
        || state->retry_failed_type == NULL
        || retry_run_register(module, state) < 0
        || PyModule_AddFunctions(module, retry_functions) < 0) {
        return -1;
    }
    state->retry_default = retry_policy_new(state, values);
    return state->retry_default != NULL ? 0 : -1;
}
