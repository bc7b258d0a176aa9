/* SPDX-License-Identifier: MIT
 *
 * timer: how long calls take, counted and said. Two readings of the monotonic
 * clock, and no Python code but the function, while nobody listens. Numbers
 * change under the interpreter lock, between two calls of Python code: they
 * are exact without atomics.
 */
#include "calls_state.h"
#include "args.h"

#include <math.h>
#include "clock.h"

#include "logged_sink.h"
#include "timer_core.h"

typedef struct {
    fe_wrap head;
    timer_stats *stats; /* NULL before the first call */
    logged_sink *sink;  /* owned; NULL once the collector has cleared it */
    PyObject *clock;    /* owned; NULL: the monotonic clock */
} timer_object;

#define TIMER(op) ((timer_object *)(op))

/* ---- clocks */

/* 0: *now in nanoseconds, from what the user's clock gives in seconds; -1 */
FE_NOINLINE static int
clock_ask(PyObject *clock, int64_t *now)
{
    PyObject *value = PyObject_CallNoArgs(clock);
    if (value == NULL) {
        return -1;
    }
    double seconds = PyFloat_Check(value) || PyLong_Check(value)
                         ? PyFloat_AsDouble(value)
                         : -1;
    if (!PyFloat_Check(value) && !PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "timer: clock: wanted a number of seconds, got %.200s",
                     Py_TYPE(value)->tp_name);
    }
    Py_DECREF(value);
    if (PyErr_Occurred()) {
        return -1;
    }
    double nanoseconds = rint(seconds * 1e9);
    /* 146 years, so that a difference fits */
    double limit = (double)(INT64_MAX / 2);
    if (nanoseconds > limit) {
        nanoseconds = limit;
    }
    /* written so that NaN is caught too */
    *now = nanoseconds > -limit ? (int64_t)nanoseconds : -INT64_MAX / 2;
    return 0;
}

FE_INLINE int
clock_now(timer_object *self, int64_t *now)
{
    if (FE_UNLIKELY(self->clock != NULL)) {
        return clock_ask(self->clock, now);
    }
    *now = fe_clock_now();
    return 0;
}

/* ---- calls */

FE_NOINLINE static int
stats_new(timer_object *self)
{
    self->stats = PyMem_Malloc(sizeof(timer_stats));
    if (self->stats == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    timer_stats_reset(self->stats);
    return 0;
}

/* 0: *start is set, and there is memory for what is to be noted; -1 */
FE_INLINE int
begin(timer_object *self, int64_t *start)
{
    if (FE_UNLIKELY(self->stats == NULL) && stats_new(self) < 0) {
        return -1;
    }
    return clock_now(self, start);
}

FE_NOINLINE static int
say_took(timer_object *self, int64_t elapsed)
{
    PyObject *name = logged_sink_name(self->head.wrapped);
    PyObject *args = NULL;
    if (name != NULL) {
        args = Py_BuildValue("(Nd)", name, (double)elapsed / 1e9);
    }
    return logged_sink_put_steal(self->sink, "%s took %.4fs", args);
}

/* The call has raised: noted, and the exception goes on. What the user's clock
 * raises then goes to sys.unraisablehook, and the call is not noted.
 */
FE_NOINLINE static void
end_failed(timer_object *self, int64_t start)
{
    int64_t now;
    PyObject *exc = PyErr_GetRaisedException();
    if (clock_now(self, &now) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    else {
        timer_stats_note(self->stats, now > start ? now - start : 0, 1);
    }
    if (exc != NULL) { /* NULL: no memory was left to raise it */
        PyErr_SetRaisedException(exc);
    }
}

/* 0: the call that gave a result is noted, and said if somebody listens; -1 */
FE_INLINE int
end(timer_object *self, int64_t start)
{
    int64_t now;
    if (clock_now(self, &now) < 0) {
        return -1;
    }
    int64_t elapsed = now > start ? now - start : 0;
    timer_stats_note(self->stats, elapsed, 0);
    if (FE_UNLIKELY(self->sink == NULL)) {
        return 0;
    }
    int enabled = logged_sink_enabled(self->sink);
    return FE_LIKELY(enabled == 0)
               ? 0
               : (enabled < 0 ? -1 : say_took(self, elapsed));
}

static int
timer_begin(calls_coroutine *self)
{
    return begin(TIMER(self->owner), &self->number[0]);
}

static calls_answer
timer_step(calls_coroutine *self, PyObject **value)
{
    timer_object *timer = TIMER(self->owner);
    if (*value == NULL) {
        end_failed(timer, self->number[0]);
        return CALLS_FAIL;
    }
    if (end(timer, self->number[0]) < 0) {
        Py_CLEAR(*value);
        return CALLS_FAIL;
    }
    return CALLS_DONE;
}

static PyObject *
timer_tp_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                    PyObject *kwnames)
{
    timer_object *self = TIMER(op);
    int64_t start;
    if (FE_UNLIKELY(begin(self, &start) < 0)) {
        return NULL;
    }
    PyObject *result = fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    if (FE_UNLIKELY(result == NULL)) {
        end_failed(self, start);
        return NULL;
    }
    if (FE_UNLIKELY(end(self, start) < 0)) {
        Py_DECREF(result);
        return NULL;
    }
    return result;
}

/* of coroutine functions: what their coroutines take is timed */
static PyObject *
timer_vectorcall_async(PyObject *op, PyObject *const *args, size_t nargsf,
                       PyObject *kwnames)
{
    calls_state *state = calls_state_of(op);
    PyObject *result = state != NULL ? fe_wrap_call(FE_WRAP(op)->wrapped, args,
                                                    nargsf, kwnames)
                                     : NULL;
    if (result == NULL) {
        return NULL;
    }
    calls_coroutine *made = calls_coroutine_new(state, op, result, timer_step);
    Py_DECREF(result);
    if (made != NULL) {
        made->begin = timer_begin;
    }
    return (PyObject *)made;
}

/* ---- making one */

/* options: sink and clock (or None) */
static PyObject *
timer_make(calls_state *state, PyObject *func, PyObject *options)
{
    int kind = fe_wrap_kind(func);
    if (kind < 0) {
        return NULL;
    }
    timer_object *self = TIMER(fe_wrap_new(
        state->timer_type, func,
        kind == FE_COROUTINE ? timer_vectorcall_async : timer_tp_vectorcall,
        (fe_kind)kind));
    if (self == NULL) {
        return NULL;
    }
    PyObject *clock = PyTuple_GET_ITEM(options, 1);
    self->sink = (logged_sink *)Py_NewRef(PyTuple_GET_ITEM(options, 0));
    self->clock = clock != Py_None ? Py_NewRef(clock) : NULL;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static const calls_kind timer_kind = {"timer", timer_make};

/* new: the tuple timer_make takes; values: printer, logger, level, clock */
static PyObject *
timer_options(calls_state *state, PyObject **values)
{
    PyObject *clock = values[3] != NULL ? values[3] : Py_None;
    if (clock != Py_None && !PyCallable_Check(clock)) {
        return PyErr_Format(PyExc_TypeError,
                            "timer: clock: wanted a callable, got %.200s",
                            Py_TYPE(clock)->tp_name);
    }
    logged_sink *sink =
        logged_sink_new(state, "timer", values[0], values[1], values[2]);
    if (sink == NULL) {
        return NULL;
    }
    PyObject *options = PyTuple_Pack(2, (PyObject *)sink, clock);
    Py_DECREF(sink);
    return options;
}

PyDoc_STRVAR(
    timer__doc__,
    "timer($module, func=..., /, *, printer=None, logger=None, level=None,\n"
    "      clock=None)\n--\n\n"
    "func, timed: after each call '<name> took 0.1234s'.\n\n"
    "Without func: a decorator. The text goes to a logger (one, or its name;\n"
    "'ferrule.calls') at a level (a number or name; INFO), attributed to the\n"
    "caller's line, or to printer(text); a call that raises says nothing.\n"
    "last, min, max, mean, total (seconds), count, errors and percentile(q)\n"
    "tell of all calls, also those that raised; reset() forgets them.\n"
    "A coroutine function is timed from the first step of its coroutine to\n"
    "the end, a generator function only until it gives its generator.\n"
    "clock is for tests: a function that gives seconds. TypeError if func,\n"
    "printer or clock cannot be called, or if logger or level are none;\n"
    "ValueError for an unknown level. What printer raises goes to the "
    "caller.");

static PyObject *
timer(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
      PyObject *kwnames)
{
    static const char *const names[] = {"",      "printer", "logger",
                                        "level", "clock",   NULL};
    static const fe_sig sig = {"timer", names, 1, 0};
    PyObject *values[5];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    calls_state *state = calls_get_state(module);
    PyObject *options = timer_options(state, values + 1);
    if (options == NULL) {
        return NULL;
    }
    PyObject *made =
        values[0] != NULL
            ? wrapper_decorate(state, &timer_kind, values[0], options)
            : wrapper_decorator(state, &timer_kind, options);
    Py_DECREF(options);
    return made;
}

/* ---- what is known */

/* new: seconds */
static PyObject *
seconds(double nanoseconds)
{
    return PyFloat_FromDouble(nanoseconds / 1e9);
}

typedef enum { TIMER_LAST, TIMER_MIN, TIMER_MAX, TIMER_MEAN } timer_figure;

static PyObject *
timer_figure_get(PyObject *self, void *closure)
{
    const timer_stats *stats = TIMER(self)->stats;
    if (stats == NULL || stats->count == 0) {
        Py_RETURN_NONE;
    }
    switch ((timer_figure)(uintptr_t)closure) {
    case TIMER_LAST:
        return seconds((double)stats->last);
    case TIMER_MIN:
        return seconds((double)stats->min);
    case TIMER_MAX:
        return seconds((double)stats->max);
    default:
        return seconds((double)stats->total / (double)stats->count);
    }
}

static PyObject *
timer_total_get(PyObject *self, void *Py_UNUSED(closure))
{
    const timer_stats *stats = TIMER(self)->stats;
    return seconds(stats != NULL ? (double)stats->total : 0);
}

static PyObject *
timer_count_get(PyObject *self, void *Py_UNUSED(closure))
{
    const timer_stats *stats = TIMER(self)->stats;
    return PyLong_FromUnsignedLongLong(stats != NULL ? stats->count : 0);
}

static PyObject *
timer_errors_get(PyObject *self, void *Py_UNUSED(closure))
{
    const timer_stats *stats = TIMER(self)->stats;
    return PyLong_FromUnsignedLongLong(stats != NULL ? stats->errors : 0);
}

PyDoc_STRVAR(
    timer_percentile__doc__,
    "percentile($self, q, /)\n--\n\n"
    "Seconds that q of 100 calls did not exceed, at most 1/128 off.\n\n"
    "The nearest rank: 0 is the fastest call, 100 the slowest, both exact.\n"
    "None before the first call. ValueError if q is not from 0 to 100.");

static PyObject *
timer_percentile(PyObject *self, PyObject *q)
{
    double wanted = PyFloat_AsDouble(q);
    if (wanted == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError,
                         "percentile: wanted a number from 0 to 100, got "
                         "%.200s",
                         Py_TYPE(q)->tp_name);
        }
        return NULL;
    }
    if (!(wanted >= 0 && wanted <= 100)) { /* NaN is neither */
        return PyErr_Format(PyExc_ValueError,
                            "percentile: wanted a number from 0 to 100, got "
                            "%R",
                            q);
    }
    const timer_stats *stats = TIMER(self)->stats;
    if (stats == NULL || stats->count == 0) {
        Py_RETURN_NONE;
    }
    return seconds((double)timer_stats_percentile(stats, wanted));
}

PyDoc_STRVAR(timer_reset__doc__,
             "reset($self, /)\n--\n\n"
             "Forget all calls. One in progress counts when it ends.");

static PyObject *
timer_reset(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    if (TIMER(self)->stats != NULL) {
        timer_stats_reset(TIMER(self)->stats);
    }
    Py_RETURN_NONE;
}

/* ---- the type */

static int
timer_tp_traverse(timer_object *self, visitproc visit, void *arg)
{
    Py_VISIT(self->sink);
    Py_VISIT(self->clock);
    return fe_wrap_traverse(&self->head, visit, arg);
}

static int
timer_tp_clear(timer_object *self)
{
    Py_CLEAR(self->sink);
    Py_CLEAR(self->clock);
    return fe_wrap_clear(&self->head);
}

static void
timer_tp_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, timer_tp_dealloc) Py_CLEAR(TIMER(self)->sink);
    Py_CLEAR(TIMER(self)->clock);
    PyMem_Free(TIMER(self)->stats);
    fe_wrap_free(FE_WRAP(self));
    Py_TRASHCAN_END
}

PyDoc_STRVAR(Timer__doc__, "What timer makes of a function.");

#define TIMER_CLOSURE(figure) ((void *)(uintptr_t)(figure))

static PyGetSetDef timer_getset[] = {
    {"last", timer_figure_get, NULL,
     FE_TEXT("Seconds of the call that ended last; None before."),
     TIMER_CLOSURE(TIMER_LAST)},
    {"min", timer_figure_get, NULL,
     FE_TEXT("Seconds of the fastest call; None before."),
     TIMER_CLOSURE(TIMER_MIN)},
    {"max", timer_figure_get, NULL,
     FE_TEXT("Seconds of the slowest call; None before."),
     TIMER_CLOSURE(TIMER_MAX)},
    {"mean", timer_figure_get, NULL,
     FE_TEXT("Seconds of a call on average; None before."),
     TIMER_CLOSURE(TIMER_MEAN)},
    {"total", timer_total_get, NULL, FE_TEXT("Seconds of all calls."), NULL},
    {"count", timer_count_get, NULL,
     FE_TEXT("Calls that have ended, also those that raised."), NULL},
    {"errors", timer_errors_get, NULL, FE_TEXT("Calls that raised."), NULL},
    {0},
};

static PyMethodDef timer_methods[] = {
    {"percentile", timer_percentile, METH_O, timer_percentile__doc__},
    {"reset", timer_reset, METH_NOARGS, timer_reset__doc__},
    {0},
};

static PyType_Slot timer_slots[] = {
    {Py_tp_dealloc, FE_SLOT(timer_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(timer_tp_traverse)},
    {Py_tp_clear, FE_SLOT(timer_tp_clear)},
    {Py_tp_getset, timer_getset},
    {Py_tp_methods, timer_methods},
    {Py_tp_doc, FE_TEXT(Timer__doc__)},
    {0, NULL},
};

static PyType_Spec timer_spec = {
    .name = "ferrule.calls.Timer",
    .basicsize = sizeof(timer_object),
    .flags = FE_WRAP_FLAGS,
    .slots = timer_slots,
};

static PyMethodDef timer_functions[] = {
    {"timer", FE_METHOD(timer), METH_FASTCALL | METH_KEYWORDS, timer__doc__},
    {0},
};

int
timer_register(PyObject *module, calls_state *state)
{
    state->timer_type = wrapper_subtype(module, state, &timer_spec);
    return state->timer_type != NULL
                   && PyModule_AddType(module, state->timer_type) == 0
                   && PyModule_AddFunctions(module, timer_functions) == 0
               ? 0
               : -1;
}
