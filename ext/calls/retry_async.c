/* SPDX-License-Identifier: MIT
 *
 * retry for coroutine functions: the coroutine of wrapper_coroutine.c awaits
 * the function's own, then, when that has failed, what before_sleep gave, a
 * sleep, and the function's next coroutine.
 */
#include "calls_state.h"

#include <math.h>

/* What the coroutine awaits. */
typedef enum { IN_CALL, IN_HOOK, IN_SLEEP } retry_phase;

/* `extra` of a coroutine of which an attempt has failed. */
typedef struct {
    PyObject_HEAD retry_run run;
    retry_phase phase;
} retry_failed;

static int
failed_new(calls_coroutine *coroutine)
{
    calls_state *state = calls_state_of(coroutine->owner);
    if (state == NULL) {
        return -1;
    }
    retry_failed *self = (retry_failed *)state->retry_failed_type->tp_alloc(
        state->retry_failed_type, 0);
    if (self == NULL) {
        return -1;
    }
    self->run.attempt = 1;
    memcpy(&self->run.started, &coroutine->number[0], sizeof(double));
    coroutine->extra = (PyObject *)self;
    return 0;
}

/* The first attempt ended, and not well: with the exception that is set if
 * `raised`. 0, and that is set again; -1 with what is to be raised.
 */
static int
failed_for(calls_coroutine *coroutine, bool raised)
{
    if (!raised) {
        return failed_new(coroutine);
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1; /* cancelled: nothing to be made for that */
    }
    PyObject *error = PyErr_GetRaisedException();
    if (failed_new(coroutine) < 0) {
        Py_DECREF(error);
        return -1;
    }
    PyErr_SetRaisedException(error);
    return 0;
}

/* ---- steps */

/* Can the object be awaited? What before_sleep gives may, but need not. */
static bool
is_awaitable(PyObject *value)
{
    PyAsyncMethods *async = Py_TYPE(value)->tp_as_async;
    return async != NULL && async->am_await != NULL;
}

static calls_answer
begin_sleep(retry_failed *self, PyObject **value)
{
    retry_run_forget(&self->run);
    self->phase = IN_SLEEP;
    /* a sleep of 0 too: it gives way to others, and can be cancelled */
    *value = calls_sleep_async(self->run.wait);
    return *value != NULL ? CALLS_MORE : CALLS_FAIL;
}

/* An attempt has ended. */
static calls_answer
end_attempt(calls_coroutine *coroutine, retry_failed *self, PyObject **value)
{
    retry_answer answer =
        retry_consider(RETRY(coroutine->owner), &self->run, value);
    if (answer != RETRY_AGAIN) {
        return answer == RETRY_DONE ? CALLS_DONE : CALLS_FAIL;
    }
    if (self->run.hooked == NULL || !is_awaitable(self->run.hooked)) {
        return begin_sleep(self, value);
    }
    self->phase = IN_HOOK;
    *value = Py_NewRef(self->run.hooked);
    Py_CLEAR(self->run.hooked);
    return CALLS_MORE;
}

/* What before_sleep gave has been awaited. */
static calls_answer
end_hook(retry_failed *self, PyObject **value)
{
    if (*value != NULL) {
        Py_CLEAR(*value);
        return begin_sleep(self, value);
    }
    /* as if it had been awaited inside `except` */
    PyObject *error = PyErr_GetRaisedException();
    if (FE_UNLIKELY(error == NULL)) {
        return CALLS_FAIL; /* lost: see consider_error */
    }
    PyObject *context = PyException_GetContext(error);
    if (context == NULL && self->run.error != NULL
        && self->run.error != error) {
        PyException_SetContext(error, Py_NewRef(self->run.error));
    }
    Py_XDECREF(context);
    PyErr_SetRaisedException(error);
    return CALLS_FAIL;
}

/* The sleep is over: the next attempt, of which the call alone may fail. */
static calls_answer
end_sleep(calls_coroutine *coroutine, retry_failed *self, PyObject **value)
{
    if (*value == NULL) {
        return CALLS_FAIL; /* cancelled */
    }
    Py_CLEAR(*value);
    self->phase = IN_CALL;
    self->run.attempt++;
    RETRY(coroutine->owner)->retries++;
    *value = calls_call_again(coroutine);
    return *value != NULL ? CALLS_MORE : end_attempt(coroutine, self, value);
}

static calls_answer
retry_step(calls_coroutine *coroutine, PyObject **value)
{
    retry_object *owner = RETRY(coroutine->owner);
    retry_failed *self = (retry_failed *)coroutine->extra;
    if (self == NULL) {
        if (FE_LIKELY(*value != NULL && owner->policy->rejects == NULL)) {
            return CALLS_DONE;
        }
        if (failed_for(coroutine, *value == NULL) < 0) {
            Py_CLEAR(*value);
            owner->failures++;
            return CALLS_FAIL;
        }
        self = (retry_failed *)coroutine->extra;
    }
    calls_answer answer;
    switch (self->phase) {
    case IN_HOOK:
        answer = end_hook(self, value);
        break;
    case IN_SLEEP:
        answer = end_sleep(coroutine, self, value);
        break;
    default:
        answer = end_attempt(coroutine, self, value);
    }
    owner->failures += answer == CALLS_FAIL;
    return answer;
}

/* ---- calls */

PyObject *
retry_async_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                       PyObject *kwnames)
{
    retry_object *self = RETRY(op);
    double started = 0;
    self->calls++;
    calls_state *state = calls_state_of(op);
    if (state == NULL
        || (!isinf(self->policy->deadline)
            && retry_now(self->policy, &started) < 0)) {
        self->failures++;
        return NULL;
    }
    calls_coroutine *coroutine =
        calls_coroutine_call(state, op, args, nargsf, kwnames, retry_step);
    if (coroutine == NULL) {
        self->failures++;
        return NULL;
    }
    memcpy(&coroutine->number[0], &started, sizeof(started));
    return (PyObject *)coroutine;
}

/* ---- the type */

static int
retry_failed_tp_traverse(retry_failed *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->run.error);
    Py_VISIT(self->run.value);
    Py_VISIT(self->run.hooked);
    for (int i = 0; i < self->run.count; i++) {
        Py_VISIT(self->run.entries[i].kind);
        Py_VISIT(self->run.entries[i].text);
    }
    return 0;
}

static int
retry_failed_tp_clear(retry_failed *self)
{
    retry_run_clear(&self->run);
    return 0;
}

static void
retry_failed_tp_dealloc(retry_failed *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    retry_run_clear(&self->run);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot retry_failed_slots[] = {
    {Py_tp_dealloc, FE_SLOT(retry_failed_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(retry_failed_tp_traverse)},
    {Py_tp_clear, FE_SLOT(retry_failed_tp_clear)},
    {0, NULL},
};

PyType_Spec retry_failed_spec = {
    .name = "ferrule.calls.RetryFailed",
    .basicsize = sizeof(retry_failed),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = retry_failed_slots,
};
