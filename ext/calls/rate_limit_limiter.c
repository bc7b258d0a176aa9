/* SPDX-License-Identifier: MIT
 *
 * rate_limit over a store in Python. The store's method limiter(name, rate,
 * burst, max_keys, asynchronous) gives an object with
 *
 *     take(key, wait)        a permit, if need be after a round trip
 *     take_local(key, wait)  the same without one; None: that will not do
 *     take_async(key, wait)  awaitable: with a round trip
 *     give_back(key, at)     a permit nobody used
 *     peek(key), reset()
 *
 * A permit is its time, by time.monotonic(). With wait it is taken whenever it
 * is; without, only if it has come, and else the answer is negative: minus the
 * time at which to ask again. Whoever compares times later cannot tell.
 */
#include "calls_state.h"

#include <math.h>
#include "clock.h"

/* What the limiter has told. */
typedef struct {
    double at;      /* the permit's time */
    double seconds; /* until then, or until one may ask again; >= 0 */
    bool refused;
} answered;

/* 0, or -1 with an exception. answer is stolen. */
static int
read_answer(PyObject *answer, answered *told)
{
    if (answer == NULL) {
        return -1;
    }
    told->at = PyFloat_AsDouble(answer);
    Py_DECREF(answer);
    if (told->at == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    told->refused = told->at < 0;
    double wait = fabs(told->at) - fe_clock_seconds();
    told->seconds = wait > 0 ? wait : 0; /* NaN is no reason to wait */
    return 0;
}

/* new: what limiter.method(key, wait) gives; NULL ends the arguments */
static PyObject *
ask(rate_limit_object *self, const char *method, PyObject *key, PyObject *wait)
{
    if (self->side->limiter == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "rate_limit: the limit has been cleared by the "
                        "garbage collector");
        return NULL;
    }
    PyObject *name = PyUnicode_InternFromString(method);
    if (name == NULL) {
        return NULL;
    }
    PyObject *limiter = Py_NewRef(self->side->limiter);
    PyObject *answer =
        PyObject_CallMethodObjArgs(limiter, name, key, wait, NULL);
    Py_DECREF(name);
    Py_DECREF(limiter);
    return answer;
}

int
rate_limit_try_limiter(rate_limit_object *self, PyObject *key, double *seconds)
{
    answered told;
    if (read_answer(ask(self, "take", key, Py_False), &told) < 0) {
        return -1;
    }
    *seconds = told.seconds;
    return !told.refused;
}

int
rate_limit_peek_limiter(rate_limit_object *self, PyObject *key,
                        double *seconds)
{
    answered told;
    if (read_answer(ask(self, "peek", key, NULL), &told) < 0) {
        return -1;
    }
    *seconds = told.seconds;
    return 0;
}

PyObject *
rate_limit_reset_limiter(rate_limit_object *self)
{
    return ask(self, "reset", NULL, NULL);
}

/* The exception stays as it is. */
static void
give_back(rate_limit_object *self, PyObject *key, double at)
{
    self->side->cancelled++;
    fe_error error = fe_error_put_aside();
    PyObject *when = PyFloat_FromDouble(at);
    PyObject *done = when != NULL ? ask(self, "give_back", key, when) : NULL;
    if (done == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(done);
    Py_XDECREF(when);
    fe_error_put_back(error);
}

/* 0: there is a permit and its time has come; -1 with an exception */
static int
pass(rate_limit_object *self, PyObject *key)
{
    answered told;
    PyObject *waits = self->side->waits ? Py_True : Py_False;
    if (read_answer(ask(self, "take", key, waits), &told) < 0) {
        return -1;
    }
    if (told.refused) {
        return rate_limit_refuse(self, key, told.seconds, "");
    }
    double seconds = told.seconds;
    if (seconds == 0) {
        return 0;
    }
    while (seconds > 0) {
        if (calls_sleep(seconds) < 0) {
            give_back(self, key, told.at);
            return -1;
        }
        seconds = told.at - fe_clock_seconds();
    }
    self->side->waited++;
    return 0;
}

/* ---- coroutines: number[0] keeps the bits of the permit's time */

enum { ASKED = RATE_LIMIT_CALLED + 1, ASLEEP };

static double
time_of(const calls_coroutine *coroutine)
{
    double at;
    memcpy(&at, &coroutine->number[0], sizeof(at));
    return at;
}

/* *value: the permit's time, which the limiter has told; taken from it */
static calls_answer
use(calls_coroutine *coroutine, PyObject **value)
{
    rate_limit_object *self = RATE_LIMIT(coroutine->owner);
    PyObject *answer = *value;
    answered told;
    *value = NULL;
    if (read_answer(answer, &told) < 0) {
        return CALLS_FAIL;
    }
    if (told.refused) {
        rate_limit_refuse(self, coroutine->extra, told.seconds, "");
        return CALLS_FAIL;
    }
    if (told.seconds == 0) {
        return rate_limit_call_now(coroutine, value);
    }
    memcpy(&coroutine->number[0], &told.at, sizeof(told.at));
    coroutine->number[1] = ASLEEP;
    *value = calls_sleep_async(told.seconds);
    if (*value == NULL) {
        give_back(self, coroutine->extra, told.at);
    }
    return *value != NULL ? CALLS_MORE : CALLS_FAIL;
}

static calls_answer
begin(calls_coroutine *coroutine, PyObject **value)
{
    rate_limit_object *self = RATE_LIMIT(coroutine->owner);
    PyObject *waits = self->side->waits ? Py_True : Py_False;
    PyObject *answer = ask(self, "take_local", coroutine->extra, waits);
    if (answer == NULL) {
        return CALLS_FAIL;
    }
    if (answer != Py_None) {
        *value = answer;
        return use(coroutine, value);
    }
    Py_DECREF(answer);
    coroutine->number[1] = ASKED;
    *value = ask(self, "take_async", coroutine->extra, waits);
    return *value != NULL ? CALLS_MORE : CALLS_FAIL;
}

static calls_answer
wake(calls_coroutine *coroutine, PyObject **value)
{
    rate_limit_object *self = RATE_LIMIT(coroutine->owner);
    double at = time_of(coroutine);
    if (*value != NULL) {
        Py_CLEAR(*value);
        double seconds = at - fe_clock_seconds();
        if (!(seconds > 0)) {
            self->side->waited++;
            return rate_limit_call_now(coroutine, value);
        }
        *value = calls_sleep_async(seconds);
    }
    if (*value == NULL) {
        give_back(self, coroutine->extra, at);
    }
    return *value != NULL ? CALLS_MORE : CALLS_FAIL;
}

static calls_answer
rate_limit_step(calls_coroutine *coroutine, PyObject **value)
{
    switch (coroutine->number[1]) {
    case RATE_LIMIT_CALLED:
        return *value != NULL ? CALLS_DONE : CALLS_FAIL;
    case ASLEEP:
        return wake(coroutine, value);
    case ASKED:
        return *value != NULL ? use(coroutine, value) : CALLS_FAIL;
    default:
        Py_CLEAR(*value);
        return begin(coroutine, value);
    }
}

/* new: the coroutine of a call that goes at once, or of one that has to ask or
 * to wait
 */
static PyObject *
call_coroutine(rate_limit_object *self, PyObject *key, PyObject *const *args,
               size_t nargsf, PyObject *kwnames)
{
    answered told = {0, 0, true};
    PyObject *answer = ask(self, "take_local", key, Py_False);
    if (answer == Py_None) {
        Py_DECREF(answer);
    }
    else if (read_answer(answer, &told) < 0) {
        return NULL;
    }
    if (told.refused) {
        return rate_limit_coroutine(self, key, rate_limit_step, args, nargsf,
                                    kwnames);
    }
    self->allowed++;
    return fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
}

PyObject *
rate_limit_call_limiter(PyObject *op, PyObject *const *args, size_t nargsf,
                        PyObject *kwnames)
{
    rate_limit_object *self = RATE_LIMIT(op);
    PyObject *result = NULL;
    PyObject *key = rate_limit_key(self, args, nargsf, kwnames);
    if (key == NULL) {
        return NULL;
    }
    if (self->head.kind == FE_COROUTINE) {
        result = call_coroutine(self, key, args, nargsf, kwnames);
    }
    else if (pass(self, key) == 0) {
        self->allowed++;
        result = fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    }
    Py_DECREF(key);
    return result;
}
