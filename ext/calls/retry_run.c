/* SPDX-License-Identifier: MIT
 *
 * What happens when an attempt has ended: is it repeated, after which wait,
 * who is told; and what is remembered of it. Waiting and calling are not done
 * here: retry.c does it for functions, retry_async.c for coroutines.
 */
#include "calls_state.h"
#include "logged_sink.h"

#include <math.h>

/* ---- Attempt */

static PyStructSequence_Field attempt_fields[] = {
    {"number", "Which attempt of the call it was; 1 is the first."},
    {"wait", "Seconds from it to the next; 0.0 after the last."},
    {"kind", "The exception's class; None for a result that was rejected."},
    {"text", "What str() made of the exception; \"\" for a result."},
    {"error", "The exception, for before_sleep; None in a history."},
    {"result", "The rejected result, for before_sleep; None in a history."},
    {NULL, NULL},
};

static PyStructSequence_Desc attempt_desc = {
    "ferrule.calls.Attempt",
    "An attempt of `retry` that failed: what before_sleep is given, and what\n"
    "the tuple retry_history of a raised error is made of.",
    attempt_fields,
    6,
};

/* new */
static PyObject *
attempt_new(calls_state *state, const retry_entry *entry, PyObject *error,
            PyObject *result)
{
    PyObject *made = PyStructSequence_New(state->attempt_type);
    PyObject *number = PyLong_FromLongLong(entry->number);
    PyObject *wait = PyFloat_FromDouble(entry->wait);
    PyObject *text =
        entry->text != NULL ? Py_NewRef(entry->text) : PyUnicode_New(0, 0);
    if (made == NULL || number == NULL || wait == NULL || text == NULL) {
        Py_XDECREF(made);
        Py_XDECREF(number);
        Py_XDECREF(wait);
        Py_XDECREF(text);
        return NULL;
    }
    PyObject *kind = entry->kind != NULL ? entry->kind : Py_None;
    PyStructSequence_SetItem(made, 0, number);
    PyStructSequence_SetItem(made, 1, wait);
    PyStructSequence_SetItem(made, 2, Py_NewRef(kind));
    PyStructSequence_SetItem(made, 3, text);
    PyStructSequence_SetItem(made, 4, Py_NewRef(error ? error : Py_None));
    PyStructSequence_SetItem(made, 5, Py_NewRef(result ? result : Py_None));
    /* PyStructSequence_New leaves that out, and through an error's frames
     * there may be a cycle */
    if (PyObject_IS_GC(made) && !PyObject_GC_IsTracked(made)) {
        PyObject_GC_Track(made);
    }
    return made;
}

/* ---- history */

/* NULL with MemoryError, or the place of a new entry */
static retry_entry *
run_place(retry_run *run)
{
    if (run->count == RETRY_REMEMBERED) {
        retry_entry *place = &run->entries[run->oldest];
        run->oldest = (run->oldest + 1) % RETRY_REMEMBERED;
        Py_CLEAR(place->kind);
        Py_CLEAR(place->text);
        return place;
    }
    if (run->count == run->room) {
        int room = run->room == 0 ? 4 : 4 * run->room;
        retry_entry *entries =
            PyMem_Realloc(run->entries, (size_t)room * sizeof(retry_entry));
        if (entries == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        run->entries = entries;
        run->room = room;
    }
    return &run->entries[run->count++];
}

/* The attempt is entered in the history. borrowed from run: its entry; NULL
 * with an exception. May run Python code: str() of the error.
 */
static retry_entry *
run_remember(retry_run *run, double wait)
{
    PyObject *text = NULL;
    if (run->error != NULL) {
        text = PyObject_Str(run->error);
        if (text == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_Exception)) {
                return NULL;
            }
            PyErr_Clear(); /* Exception of a __str__: there is no text */
        }
    }
    retry_entry *entry = run_place(run);
    if (entry == NULL) {
        Py_XDECREF(text);
        return NULL;
    }
    entry->kind = NULL;
    if (run->error != NULL) {
        entry->kind = Py_NewRef((PyObject *)Py_TYPE(run->error));
    }
    entry->text = text;
    entry->number = run->attempt;
    entry->wait = wait;
    return entry;
}

/* new: a tuple of Attempts, the last one last */
static PyObject *
run_history(calls_state *state, const retry_run *run)
{
    PyObject *history = PyTuple_New(run->count);
    for (int i = 0; history != NULL && i < run->count; i++) {
        const retry_entry *entry =
            &run->entries[(run->oldest + i) % run->count];
        PyObject *item = attempt_new(state, entry, NULL, NULL);
        if (item == NULL) {
            Py_CLEAR(history);
            break;
        }
        PyTuple_SET_ITEM(history, i, item);
    }
    return history;
}

/* error.retry_history = ... The error matters more: where that fails there is
 * none. -1 with what is to be raised instead, which is no Exception.
 */
static int
run_attach(calls_state *state, retry_run *run, PyObject *error)
{
    PyObject *history =
        run_remember(run, 0) != NULL ? run_history(state, run) : NULL;
    /* not through a __setattr__ of the class: it might refuse */
    if (history == NULL
        || PyObject_GenericSetAttr(error, state->retry_history_name, history)
               < 0) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            Py_XDECREF(history);
            return -1;
        }
        PyErr_Clear(); /* MemoryError, or a descriptor of this name */
    }
    Py_XDECREF(history);
    return 0;
}

void
retry_run_forget(retry_run *run)
{
    Py_CLEAR(run->error);
    Py_CLEAR(run->value);
    Py_CLEAR(run->hooked);
}

void
retry_run_clear(retry_run *run)
{
    retry_run_forget(run);
    retry_entry *entries = run->entries;
    int count = run->count;
    run->entries = NULL;
    run->count = run->room = run->oldest = 0;
    for (int i = 0; i < count; i++) {
        Py_XDECREF(entries[i].kind);
        Py_XDECREF(entries[i].text);
    }
    PyMem_Free(entries);
}

/* ---- the end of it */

/* new: the name of what was called, for RetryError */
static PyObject *
give_up_text(retry_object *owner, const retry_run *run)
{
    PyObject *wrapped = owner->head.wrapped;
    PyObject *name =
        fe_wrap_name(wrapped != NULL ? wrapped : Py_None, "__qualname__");
    if (name == NULL) {
        return NULL;
    }
    PyObject *text = PyUnicode_FromFormat(
        "%U: the result was still rejected after %lld attempt%s", name,
        (long long)run->attempt, run->attempt == 1 ? "" : "s");
    Py_DECREF(name);
    return text;
}

/* new: RetryError with the last result */
static PyObject *
give_up_error(calls_state *state, retry_object *owner, const retry_run *run)
{
    PyObject *text = give_up_text(owner, run);
    if (text == NULL) {
        return NULL;
    }
    PyObject *error = PyObject_CallOneArg(state->retry_error, text);
    Py_DECREF(text);
    if (error != NULL
        && PyObject_SetAttrString(error, "result", run->value) < 0) {
        Py_CLEAR(error);
    }
    return error;
}

/* There is no further attempt: the error itself, or RetryError. */
static retry_answer
run_give_up(calls_state *state, retry_object *owner, retry_run *run)
{
    PyObject *error = run->error != NULL ? Py_NewRef(run->error)
                                         : give_up_error(state, owner, run);
    if (error != NULL && run_attach(state, run, error) < 0) {
        Py_CLEAR(error);
    }
    if (error != NULL) {
        PyErr_SetRaisedException(error);
    }
    return RETRY_FAIL;
}

/* ---- telling */

/* borrowed from the policy or the state: where it is told, if not to a printer
 * to the package's logger as a warning, which is asked for when first needed
 */
static logged_sink *
sink_borrow(calls_state *state, const retry_policy *policy)
{
    if (policy->sink == NULL && state->retry_sink == NULL) {
        PyObject *warning = PyLong_FromLong(30); /* logging.WARNING */
        PyObject *sink = warning != NULL
                             ? (PyObject *)logged_sink_new(state, "retry",
                                                           NULL, NULL, warning)
                             : NULL;
        Py_XDECREF(warning);
        Py_XSETREF(state->retry_sink, sink);
    }
    return (logged_sink *)(policy->sink != NULL ? policy->sink
                                                : state->retry_sink);
}

/* new: the wait as the article's f-string shows it */
static PyObject *
wait_shown(const retry_policy *policy, double wait)
{
    bool whole = policy->whole && wait == (double)(int64_t)wait;
    return whole ? PyLong_FromDouble(wait) : PyFloat_FromDouble(wait);
}

static int
run_tell(calls_state *state, const retry_policy *policy, const retry_run *run)
{
    logged_sink *sink = sink_borrow(state, policy);
    if (sink == NULL) {
        return -1;
    }
    Py_INCREF(sink); /* what it calls may let go of policy or state */
    int result = logged_sink_enabled(sink);
    if (result > 0) {
        PyObject *wait = wait_shown(policy, run->wait);
        result = logged_sink_put_steal(
            sink, "Attempt %d failed, retrying in %ss",
            wait != NULL ? Py_BuildValue("(LN)", (long long)run->attempt, wait)
                         : NULL);
    }
    Py_DECREF(sink);
    return result;
}

/* before_sleep(Attempt); what it gives is run->hooked */
static int
run_hook(calls_state *state, const retry_policy *policy, retry_run *run,
         const retry_entry *entry)
{
    PyObject *attempt = attempt_new(state, entry, run->error, run->value);
    if (attempt == NULL) {
        return -1;
    }
    run->hooked = PyObject_CallOneArg(policy->before, attempt);
    Py_DECREF(attempt);
    return run->hooked != NULL ? 0 : -1;
}

/* ---- deciding */

/* 1: a sleep of run->wait would pass the deadline; -1 with an exception */
static int
run_is_late(const retry_policy *policy, retry_run *run)
{
    double now;
    if (retry_now(policy, &now) < 0) {
        return -1;
    }
    if (now - run->started > run->elapsed) {
        run->elapsed = now - run->started;
    }
    return run->elapsed + run->wait > policy->deadline;
}

/* The attempt failed in a way that is repeated: with run->error or run->value.
 * In the words of Python, this is inside `except`.
 */
static retry_answer
run_go_on(retry_object *owner, retry_run *run)
{
    const retry_policy *policy = owner->policy;
    calls_state *state = calls_state_of((PyObject *)owner);
    if (state == NULL) {
        return RETRY_FAIL;
    }
    if (run->attempt >= policy->max_attempts) {
        return run_give_up(state, owner, run);
    }
    if (retry_wait(policy, run->attempt, &run->wait) < 0) {
        return RETRY_FAIL;
    }
    if (!isinf(policy->deadline)) {
        int late = run_is_late(policy, run);
        if (late != 0) {
            return late < 0 ? RETRY_FAIL : run_give_up(state, owner, run);
        }
    }
    const retry_entry *entry = run_remember(run, run->wait);
    if (entry == NULL || run_tell(state, policy, run) < 0
        || (policy->before != NULL
            && run_hook(state, policy, run, entry) < 0)) {
        return RETRY_FAIL;
    }
    return RETRY_AGAIN;
}

/* of an attempt that raised run->error */
static retry_answer
consider_error(retry_object *owner, retry_run *run)
{
    if (FE_UNLIKELY(run->error == NULL)) {
        return RETRY_FAIL; /* lost by a frame that found no memory at its end;
                              the interpreter says so: SystemError */
    }
    /* cancellation and the interpreter's exit are not for us to stop */
    if (!PyErr_GivenExceptionMatches(run->error, PyExc_Exception)) {
        PyErr_SetRaisedException(Py_NewRef(run->error));
        return RETRY_FAIL;
    }
    PyObject *outside = PyErr_GetHandledException();
    PyErr_SetHandledException(run->error);
    retry_answer answer = RETRY_FAIL;
    int matches = retry_matches(owner->policy, run->error);
    if (matches > 0) {
        answer = run_go_on(owner, run);
    }
    else if (matches == 0) {
        calls_state *state =
            run->attempt > 1 ? calls_state_of((PyObject *)owner) : NULL;
        if (state == NULL || run_attach(state, run, run->error) == 0) {
            PyErr_SetRaisedException(Py_NewRef(run->error));
        }
    }
    PyErr_SetHandledException(outside);
    Py_XDECREF(outside);
    return answer;
}

/* of an attempt that gave *result, which somebody has to approve of */
static retry_answer
consider_result(retry_object *owner, retry_run *run, PyObject **result)
{
    PyObject *answer = PyObject_CallOneArg(owner->policy->rejects, *result);
    int rejected = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (rejected == 0) {
        return RETRY_DONE;
    }
    run->value = *result;
    *result = NULL;
    return rejected < 0 ? RETRY_FAIL : run_go_on(owner, run);
}

retry_answer
retry_consider(retry_object *owner, retry_run *run, PyObject **result)
{
    if (*result == NULL) {
        run->error = PyErr_GetRaisedException();
        return consider_error(owner, run);
    }
    return owner->policy->rejects != NULL ? consider_result(owner, run, result)
                                          : RETRY_DONE;
}

/* ---- the types */

PyDoc_STRVAR(retry_error__doc__,
             "Raised by `retry` when the last result, too, was rejected: it "
             "is the attribute result.");

int
retry_run_register(PyObject *module, calls_state *state)
{
    state->attempt_type = PyStructSequence_NewType(&attempt_desc);
    state->retry_error = PyErr_NewExceptionWithDoc(
        "ferrule.calls.RetryError", retry_error__doc__, NULL, NULL);
    state->retry_history_name = PyUnicode_InternFromString("retry_history");
    if (state->attempt_type == NULL || state->retry_error == NULL
        || state->retry_history_name == NULL) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "Attempt",
                                 (PyObject *)state->attempt_type)
                       < 0
                   || PyModule_AddObjectRef(module, "RetryError",
                                            state->retry_error)
                          < 0
               ? -1
               : 0;
}
