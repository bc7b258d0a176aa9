/* SPDX-License-Identifier: MIT
 *
 * What a `retry` was told: arguments checked once, when it decorates, and the
 * questions that depend on nothing else: is this error repeated, how long is
 * the wait, what does the clock say.
 */
#include "calls_state.h"
#include "logged_sink.h"

#include <math.h>
#include "clock.h"

/* ---- arguments */

static bool
given(PyObject *value)
{
    return value != NULL && value != Py_None;
}

static int
max_attempts_of(PyObject *value, int64_t *out)
{
    *out = 3;
    if (value == NULL) {
        return 0;
    }
    if (PyBool_Check(value) || !PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "retry: max_attempts must be an int, got %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    PyObject *number = PyNumber_Index(value);
    if (number == NULL) {
        return -1;
    }
    int overflow;
    long long attempts = PyLong_AsLongLongAndOverflow(number, &overflow);
    Py_DECREF(number);
    if (attempts == -1 && overflow == 0 && PyErr_Occurred()) {
        return -1;
    }
    if (overflow < 0 || (overflow == 0 && attempts < 1)) {
        PyErr_Format(PyExc_ValueError,
                     "retry: max_attempts must be at least 1, got %S", value);
        return -1;
    }
    *out = overflow > 0 ? INT64_MAX : attempts;
    return 0;
}

/* a number of seconds or a factor: not negative, not NaN */
static int
number_of(const char *name, PyObject *value, bool finite, double *out)
{
    PyNumberMethods *number = Py_TYPE(value)->tp_as_number;
    bool is_number = number != NULL && !PyBool_Check(value)
                     && (number->nb_float != NULL || PyIndex_Check(value));
    if (!is_number) {
        PyErr_Format(PyExc_TypeError, "retry: %s must be a number, got %.200s",
                     name, Py_TYPE(value)->tp_name);
        return -1;
    }
    double v = PyFloat_AsDouble(value);
    if (v == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* OverflowError: an int beyond all floats */
        v = NAN;
    }
    if (!(v >= 0) || (finite && isinf(v))) {
        PyErr_Format(PyExc_ValueError,
                     "retry: %s must be a %snumber, at least 0, got %R", name,
                     finite ? "finite " : "", value);
        return -1;
    }
    *out = v;
    return 0;
}

/* 1: a class of exceptions that can be repeated; -1 with an exception */
static int
check_class(PyObject *value)
{
    if (!PyExceptionClass_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "retry: on must be an exception class, a tuple of them "
                     "or a callable, got %R",
                     value);
        return -1;
    }
    if (value != PyExc_BaseException
        && !PyType_IsSubtype((PyTypeObject *)value,
                             (PyTypeObject *)PyExc_Exception)) {
        PyErr_Format(PyExc_ValueError,
                     "retry: on: %R is never retried, as it is no Exception",
                     value);
        return -1;
    }
    return PyType_IsSubtype((PyTypeObject *)value,
                            (PyTypeObject *)PyExc_RecursionError);
}

static int
set_on(retry_policy *self, PyObject *value)
{
    if (value == NULL) {
        value = PyExc_Exception;
    }
    self->on = Py_NewRef(value);
    self->by_class = true;
    if (PyTuple_Check(value)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); i++) {
            int recursion = check_class(PyTuple_GET_ITEM(value, i));
            if (recursion < 0) {
                return -1;
            }
            self->recursion |= recursion != 0;
        }
        return 0;
    }
    if (!PyType_Check(value) && PyCallable_Check(value)) {
        self->by_class = false;
        return 0;
    }
    int recursion = check_class(value);
    self->recursion = recursion > 0;
    return recursion < 0 ? -1 : 0;
}

static int
set_callable(const char *name, PyObject *value, PyObject **out)
{
    if (!given(value)) {
        return 0;
    }
    if (!PyCallable_Check(value)) {
        PyErr_Format(PyExc_TypeError, "retry: %s must be callable, got %.200s",
                     name, Py_TYPE(value)->tp_name);
        return -1;
    }
    *out = Py_NewRef(value);
    return 0;
}

static int
set_printer(calls_state *state, retry_policy *self, PyObject *value)
{
    PyObject *printer = NULL;
    if (set_callable("printer", value, &printer) < 0) {
        return -1;
    }
    if (printer != NULL) {
        self->sink =
            (PyObject *)logged_sink_new(state, "retry", printer, NULL, NULL);
        Py_DECREF(printer);
        return self->sink != NULL ? 0 : -1;
    }
    return 0;
}

static int
set_jitter(retry_policy *self, PyObject *value)
{
    if (value != NULL && !PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "retry: jitter must be a bool, got %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    self->jitter = value == Py_True;
    return 0;
}

static int
set_numbers(retry_policy *self, PyObject **values)
{
    PyObject *delay = values[RETRY_DELAY], *backoff = values[RETRY_BACKOFF];
    PyObject *max_delay = values[RETRY_MAX_DELAY];
    PyObject *deadline = values[RETRY_DEADLINE];
    self->delay = 1;
    self->backoff = 2;
    self->max_delay = self->deadline = INFINITY;
    if (max_attempts_of(values[RETRY_MAX_ATTEMPTS], &self->max_attempts) < 0
        || (delay != NULL && number_of("delay", delay, true, &self->delay) < 0)
        || (backoff != NULL
            && number_of("backoff", backoff, true, &self->backoff) < 0)
        || (given(max_delay)
            && number_of("max_delay", max_delay, false, &self->max_delay) < 0)
        || (given(deadline)
            && number_of("deadline", deadline, false, &self->deadline) < 0)) {
        return -1;
    }
    /* delay * 2**n of an int is an int */
    self->whole = delay != NULL && PyLong_Check(delay)
                  && floor(self->backoff) == self->backoff;
    return 0;
}

PyObject *
retry_policy_new(calls_state *state, PyObject **values)
{
    retry_policy *self = (retry_policy *)state->retry_policy_type->tp_alloc(
        state->retry_policy_type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (set_numbers(self, values) < 0 || set_on(self, values[RETRY_ON]) < 0
        || set_jitter(self, values[RETRY_JITTER]) < 0
        || set_callable("retry_if_result", values[RETRY_IF_RESULT],
                        &self->rejects)
               < 0
        || set_callable("before_sleep", values[RETRY_BEFORE_SLEEP],
                        &self->before)
               < 0
        || set_printer(state, self, values[RETRY_PRINTER]) < 0
        || set_callable("random", values[RETRY_RANDOM], &self->random) < 0
        || set_callable("clock", values[RETRY_CLOCK], &self->clock) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (self->before != NULL) {
        int kind = fe_wrap_kind(self->before);
        if (kind < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->awaits = kind == FE_COROUTINE;
    }
    return (PyObject *)self;
}

/* ---- questions */

/* new: what a callable of the user's gave, a float; the error names it */
static int
ask_number(const char *name, PyObject *callable, double *out)
{
    PyObject *result = PyObject_CallNoArgs(callable);
    if (result == NULL) {
        return -1;
    }
    *out = PyFloat_AsDouble(result);
    if (*out == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError,
                         "retry: %s must give a number, gave %.200s", name,
                         Py_TYPE(result)->tp_name);
        }
        Py_DECREF(result);
        return -1;
    }
    Py_DECREF(result);
    return 0;
}

int
retry_now(const retry_policy *policy, double *now)
{
    if (policy->clock == NULL) {
        *now = fe_clock_seconds();
        return 0;
    }
    if (ask_number("clock", policy->clock, now) < 0) {
        return -1;
    }
    if (!isfinite(*now)) {
        PyErr_SetString(PyExc_ValueError,
                        "retry: clock must give a finite number");
        return -1;
    }
    return 0;
}

/* random.random(), looked up now */
static int
default_random(double *out)
{
    PyObject *module = PyImport_ImportModule("random");
    if (module == NULL) {
        return -1;
    }
    PyObject *function = fe_getattr(module, "random");
    Py_DECREF(module);
    if (function == NULL) {
        return -1;
    }
    int result = ask_number("random", function, out);
    Py_DECREF(function);
    return result;
}

int
retry_wait(const retry_policy *policy, int64_t attempt, double *wait)
{
    double seconds = policy->delay;
    if (seconds > 0 && attempt > 1) {
        seconds *= pow(policy->backoff, (double)(attempt - 1));
    }
    if (seconds > policy->max_delay) {
        seconds = policy->max_delay;
    }
    if (seconds > RETRY_LONGEST) {
        seconds = RETRY_LONGEST;
    }
    *wait = seconds;
    if (!policy->jitter) {
        return 0;
    }
    double share;
    if ((policy->random != NULL ? ask_number("random", policy->random, &share)
                                : default_random(&share))
        < 0) {
        return -1;
    }
    if (!(share >= 0 && share <= 1)) {
        PyErr_SetString(PyExc_ValueError,
                        "retry: random must give a number from 0 to 1");
        return -1;
    }
    *wait = share * seconds;
    return 0;
}

int
retry_matches(const retry_policy *policy, PyObject *error)
{
    if (policy->by_class) {
        return PyErr_GivenExceptionMatches(error, policy->on)
               && (policy->recursion
                   || !PyErr_GivenExceptionMatches(error,
                                                   PyExc_RecursionError));
    }
    PyObject *answer = PyObject_CallOneArg(policy->on, error);
    int matches = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return matches;
}

/* ---- the type */

static int
retry_policy_tp_traverse(retry_policy *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->on);
    Py_VISIT(self->rejects);
    Py_VISIT(self->before);
    Py_VISIT(self->sink);
    Py_VISIT(self->random);
    Py_VISIT(self->clock);
    return 0;
}

static void
retry_policy_tp_dealloc(retry_policy *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->on);
    Py_XDECREF(self->rejects);
    Py_XDECREF(self->before);
    Py_XDECREF(self->sink);
    Py_XDECREF(self->random);
    Py_XDECREF(self->clock);
    type->tp_free(self);
    Py_DECREF(type);
}

/* No tp_clear: nothing here changes once it is made, so that a call need not
 * look whether it is still there. Cycles end at the wrapper, which has one.
 */
static PyType_Slot retry_policy_slots[] = {
    {Py_tp_dealloc, FE_SLOT(retry_policy_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(retry_policy_tp_traverse)},
    {0, NULL},
};

PyType_Spec retry_policy_spec = {
    .name = "ferrule.calls.RetryPolicy",
    .basicsize = sizeof(retry_policy),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = retry_policy_slots,
};
