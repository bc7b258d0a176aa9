/* SPDX-License-Identifier: MIT
 *
 * Coroutines that have something to do when the wrapped one ends: await again,
 * sleep first, note the time. One object and no frame; everything a debugger
 * asks (cr_frame, cr_await) is answered by the coroutine that is driven.
 */
#include "calls_state.h"

#define COROUTINE(op) ((calls_coroutine *)(op))

/* Coroutines whose memory is kept: without, an await costs 37 ns more. */
#define MAX_FREE 64

/* ---- driving */

/* Was the generator made by a function under types.coroutine? */
static int
is_generator_coroutine(PyObject *gen)
{
    PyObject *code = fe_getattr(gen, "gi_code");
    if (code == NULL) {
        return -1;
    }
    int is =
        PyCode_Check(code)
        && (((PyCodeObject *)code)->co_flags & CO_ITERABLE_COROUTINE) != 0;
    Py_DECREF(code);
    return is;
}

/* new: what is iterated to await the object */
static PyObject *
awaitable_iter(PyObject *awaitable)
{
    PyTypeObject *type = Py_TYPE(awaitable);
    if (PyCoro_CheckExact(awaitable)) {
        return Py_NewRef(awaitable);
    }
    if (type->tp_as_async != NULL && type->tp_as_async->am_await != NULL) {
        PyObject *iter = type->tp_as_async->am_await(awaitable);
        if (iter != NULL && !PyIter_Check(iter)) {
            PyErr_Format(PyExc_TypeError,
                         "__await__() returned non-iterator of type '%.100s'",
                         Py_TYPE(iter)->tp_name);
            Py_CLEAR(iter);
        }
        return iter;
    }
    int generator =
        PyGen_CheckExact(awaitable) ? is_generator_coroutine(awaitable) : 0;
    if (generator != 0) {
        return generator < 0 ? NULL : Py_NewRef(awaitable);
    }
    PyErr_Format(PyExc_TypeError,
                 "object %.100s can't be used in 'await' expression",
                 type->tp_name);
    return NULL;
}

static int calls_coroutine_tp_clear(calls_coroutine *self);

/* The whole has ended: as the frame of a coroutine does, let go of all. */
static void
finish(calls_coroutine *self)
{
    fe_error error = fe_error_put_aside();
    calls_coroutine_tp_clear(self);
    fe_error_put_back(error);
}

/* StopIteration must not leave a coroutine: it would look like a result. */
static void
no_stop_iteration(void)
{
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return;
    }
    PyObject *stop = PyErr_GetRaisedException();
    PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
    PyObject *error = PyErr_GetRaisedException();
    PyException_SetCause(error, Py_NewRef(stop));
    PyException_SetContext(error, stop);
    PyErr_SetRaisedException(error);
}

/* PyIter_Send, with the depth counted where the interpreter does not */
static PySendResult
send_in(PyObject *inner, PyObject *sent, PyObject **value)
{
    if (FE_LIKELY(PyCoro_CheckExact(inner))) {
        return PyIter_Send(inner, sent, value);
    }
    *value = NULL;
    if (Py_EnterRecursiveCall(" while awaiting in a wrapped function")) {
        return PYGEN_ERROR;
    }
    PySendResult was = PyIter_Send(inner, sent, value);
    Py_LeaveRecursiveCall();
    return was;
}

/* inner has ended, with *value or with an exception: ask what is to be done.
 * PYGEN_NEXT: there is a new inner, to be begun.
 */
static PySendResult
ask(calls_coroutine *self, PyObject **value)
{
    calls_answer answer;
    while ((answer = self->step(self, value)) == CALLS_MORE) {
        PyObject *inner = awaitable_iter(*value);
        Py_CLEAR(*value);
        if (inner != NULL) {
            Py_XSETREF(self->inner, inner);
            return PYGEN_NEXT;
        }
        /* it cannot be awaited: so ended the awaiting of it */
    }
    if (answer == CALLS_FAIL) {
        no_stop_iteration();
    }
    finish(self);
    return answer == CALLS_DONE ? PYGEN_RETURN : PYGEN_ERROR;
}

/* After inner answered: hand on what it yields, else ask, and begin what comes
 * next, until something is yielded or all is over.
 */
static PySendResult
go_on(calls_coroutine *self, PySendResult was, PyObject **value)
{
    while (was != PYGEN_NEXT) {
        if (was == PYGEN_ERROR) {
            *value = NULL;
        }
        was = ask(self, value);
        if (was != PYGEN_NEXT) {
            return was;
        }
        was = send_in(self->inner, Py_None, value);
    }
    return PYGEN_NEXT;
}

/* 0, or -1 with the exception a coroutine has in this state */
static int
enter(calls_coroutine *self)
{
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return -1;
    }
    if (self->inner == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot reuse already awaited coroutine");
        return -1;
    }
    self->running = true;
    return 0;
}

/* The call itself failed, and inner is the exception: it comes now. */
static PySendResult
raise_kept(calls_coroutine *self)
{
    self->failed = false;
    PyErr_SetRaisedException(Py_NewRef(self->inner));
    return PYGEN_ERROR;
}

static PySendResult
calls_coroutine_am_send(PyObject *op, PyObject *sent, PyObject **value)
{
    calls_coroutine *self = COROUTINE(op);
    *value = NULL;
    if (enter(self) < 0) {
        return PYGEN_ERROR;
    }
    if (FE_UNLIKELY(!self->begun && sent != Py_None)) {
        self->running = false;
        PyErr_SetString(
            PyExc_TypeError,
            "can't send non-None value to a just-started coroutine");
        return PYGEN_ERROR;
    }
    if (!self->begun && self->begin != NULL && self->begin(self) < 0) {
        finish(self);
        self->running = false;
        return PYGEN_ERROR;
    }
    self->begun = true;
    PySendResult was = FE_UNLIKELY(self->failed)
                           ? raise_kept(self)
                           : send_in(self->inner, sent, value);
    if (was != PYGEN_NEXT) {
        was = go_on(self, was, value);
    }
    self->running = false;
    return was;
}

/* StopIteration with value is raised, its args as given. Both are stolen. */
static void
raise_stop_steal(PyObject *args, PyObject *value)
{
    PyTypeObject *type = (PyTypeObject *)PyExc_StopIteration;
    PyStopIterationObject *stop = NULL;
    if (args != NULL) {
        stop = (PyStopIterationObject *)type->tp_alloc(type, 0);
    }
    if (stop == NULL) {
        Py_XDECREF(args);
        Py_DECREF(value);
        return;
    }
    stop->args = args;
    stop->value = value;
    PyErr_SetRaisedException((PyObject *)stop);
}

/* new: what is yielded; NULL with StopIteration or the exception */
static PyObject *
yielded(PySendResult was, PyObject *value)
{
    if (was != PYGEN_RETURN) {
        return value;
    }
    raise_stop_steal(PyTuple_Pack(1, value), value);
    return NULL;
}

/* From 3.12 on the interpreter asks coroutines that are not its own here, and
 * takes the value out of the exception: so it is made by hand, and without
 * args, which nobody sees. A call of the class costs 80 ns more.
 */
static PyObject *
calls_coroutine_tp_iternext(PyObject *op)
{
    PyObject *value;
    PySendResult was = calls_coroutine_am_send(op, Py_None, &value);
    if (was != PYGEN_RETURN) {
        return value;
    }
    if (value == Py_None) {
        Py_DECREF(value); /* NULL alone says that an iterator has ended */
    }
    else {
        raise_stop_steal(PyTuple_New(0), value);
    }
    return NULL;
}

PyDoc_STRVAR(send__doc__, "send($self, value, /)\n--\n\n"
                          "Go on with value: see types.CoroutineType.");

static PyObject *
calls_coroutine_send(PyObject *op, PyObject *sent)
{
    PyObject *value;
    PySendResult was = calls_coroutine_am_send(op, sent, &value);
    return yielded(was, value);
}

/* The exception set is StopIteration: take its value out, as PyIter_Send. */
static PySendResult
stop_value(PyObject **value)
{
    PyObject *exc = PyErr_GetRaisedException();
    if (!PyObject_TypeCheck(exc, (PyTypeObject *)PyExc_StopIteration)) {
        PyErr_SetRaisedException(exc); /* no memory to make it whole (3.11) */
        return PYGEN_ERROR;
    }
    *value = Py_NewRef(((PyStopIterationObject *)exc)->value);
    Py_DECREF(exc);
    return PYGEN_RETURN;
}

/* As generators do it: args are an exception, or a class and its value. */
static void
raise_here(PyObject *const *args, Py_ssize_t nargs)
{
    if (PyExceptionInstance_Check(args[0])) {
        PyErr_SetObject((PyObject *)Py_TYPE(args[0]), args[0]);
        return;
    }
    PyErr_SetObject(args[0], nargs > 1 ? args[1] : NULL);
}

/* Raise in inner by its throw(), or here if it has none. */
static PySendResult
throw_in(PyObject *inner, PyObject *const *args, Py_ssize_t nargs,
         PyObject **value)
{
    PyObject *throw;
    *value = NULL;
    int found = fe_find_attr(inner, "throw", &throw);
    if (found == 0) {
        raise_here(args, nargs); /* a plain iterator, which ends here */
    }
    if (found <= 0) {
        return PYGEN_ERROR;
    }
    *value = PyObject_Vectorcall(throw, args, (size_t)nargs, NULL);
    Py_DECREF(throw);
    if (*value != NULL) {
        return PYGEN_NEXT;
    }
    return PyErr_ExceptionMatches(PyExc_StopIteration) ? stop_value(value)
                                                       : PYGEN_ERROR;
}

PyDoc_STRVAR(throw__doc__,
             "throw($self, type, value=None, traceback=None, /)\n--\n\n"
             "Raise in the coroutine: see types.CoroutineType.");

static PyObject *
calls_coroutine_throw(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    calls_coroutine *self = COROUTINE(op);
    if (nargs < 1 || nargs > 3
        || (!PyExceptionInstance_Check(args[0])
            && !PyExceptionClass_Check(args[0]))) {
        return PyErr_Format(PyExc_TypeError,
                            "throw: wanted an exception, got %.200s",
                            nargs > 0 ? Py_TYPE(args[0])->tp_name : "nothing");
    }
    if (enter(self) < 0) {
        return NULL;
    }
    PyObject *value;
    PySendResult was = throw_in(self->inner, args, nargs, &value);
    if (was == PYGEN_NEXT) {
        self->begun = true;
    }
    else if (self->begun) {
        was = go_on(self, was, &value);
    }
    else { /* as a coroutine that never ran */
        finish(self);
    }
    self->running = false;
    return yielded(was, value);
}

/* 0: inner is closed; -1 with an exception */
static int
close_inner(PyObject *inner)
{
    PyObject *method;
    int found = fe_find_attr(inner, "close", &method);
    if (found <= 0) {
        return found; /* 0: nothing to close */
    }
    PyObject *result = PyObject_CallNoArgs(method);
    Py_DECREF(method);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* step hears of it. 0; -1 with the exception that came of that */
static int
tell_closed(calls_coroutine *self)
{
    PyErr_SetNone(PyExc_GeneratorExit);
    if (!PyErr_ExceptionMatches(PyExc_GeneratorExit)) {
        return -1; /* MemoryError, which step might take for a reason to go on
                    */
    }
    PyObject *value = NULL;
    PySendResult was = ask(self, &value);
    Py_CLEAR(value);
    if (was == PYGEN_NEXT && close_inner(self->inner) == 0) {
        PyErr_SetString(PyExc_RuntimeError, "coroutine ignored GeneratorExit");
    }
    if (PyErr_ExceptionMatches(PyExc_GeneratorExit)) {
        PyErr_Clear(); /* GeneratorExit: closed */
    }
    return PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(close__doc__, "close($self, /)\n--\n\n"
                           "Raise GeneratorExit in the coroutine.");

static PyObject *
calls_coroutine_close(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    calls_coroutine *self = COROUTINE(op);
    if (self->inner == NULL) {
        Py_RETURN_NONE;
    }
    if (enter(self) < 0) {
        return NULL;
    }
    int closed = close_inner(self->inner);
    if (self->begun) {
        /* what inner raises instead comes out: nothing is begun anew now */
        fe_error error = fe_error_put_aside();
        int told = tell_closed(self);
        if (closed < 0) {
            fe_error_put_back(error);
        }
        closed = closed < 0 ? closed : told;
    }
    finish(self);
    self->running = false;
    return closed < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
calls_coroutine_am_await(PyObject *op)
{
    if (COROUTINE(op)->begun && COROUTINE(op)->inner != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "coroutine is being awaited already");
        return NULL;
    }
    return Py_NewRef(op);
}

/* ---- for the features */

/* new, not yet tracked, without inner */
static calls_coroutine *
alloc(calls_state *state, PyObject *owner, calls_step step)
{
    calls_coroutine *self;
    PyObject *dead = state->coroutine_free.first;
    if (FE_LIKELY(dead != NULL)) {
        state->coroutine_free.first = fe_dead_link_take(dead);
        state->coroutine_free.count--;
        self = COROUTINE(fe_revive(dead, state->coroutine_type));
    }
    else {
        self = PyObject_GC_New(calls_coroutine, state->coroutine_type);
        if (self == NULL) {
            return NULL;
        }
    }
    self->owner = Py_NewRef(owner);
    self->inner = self->kwnames = self->extra = NULL;
    self->given = NULL;
    self->count = 0;
    self->weakrefs = NULL;
    self->step = step;
    self->begin = NULL;
    self->number[0] = self->number[1] = 0;
    self->begun = self->running = self->failed = false;
    return self;
}

/* new: an iterator that ends where it begins */
static PyObject *
nothing_iter(void)
{
    PyObject *nothing = PyTuple_New(0);
    PyObject *iter = nothing != NULL ? PyObject_GetIter(nothing) : NULL;
    Py_XDECREF(nothing);
    return iter;
}

calls_coroutine *
calls_coroutine_new(calls_state *state, PyObject *owner, PyObject *awaitable,
                    calls_step step)
{
    PyObject *inner =
        awaitable != NULL ? awaitable_iter(awaitable) : nothing_iter();
    if (inner == NULL) {
        return NULL;
    }
    calls_coroutine *self = alloc(state, owner, step);
    if (self == NULL) {
        Py_DECREF(inner);
        return NULL;
    }
    self->inner = inner;
    PyObject_GC_Track(self);
    return self;
}

/* self->inner from the call of what is wrapped. An Exception of the call is
 * kept for when the coroutine begins, as `async def` would; -1 with any other.
 */
static int
call_first(calls_coroutine *self, PyObject *const *args, size_t nargsf,
           PyObject *kwnames)
{
    PyObject *awaitable =
        fe_wrap_call(FE_WRAP(self->owner)->wrapped, args, nargsf, kwnames);
    if (awaitable != NULL) {
        if (FE_LIKELY(PyCoro_CheckExact(awaitable))) {
            self->inner = awaitable;
            return 0;
        }
        self->inner = awaitable_iter(awaitable);
        Py_DECREF(awaitable);
        if (self->inner != NULL) {
            return 0;
        }
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    self->inner = PyErr_GetRaisedException();
    self->failed = true;
    return 0;
}

calls_coroutine *
calls_coroutine_call(calls_state *state, PyObject *owner,
                     PyObject *const *args, size_t nargsf, PyObject *kwnames,
                     calls_step step)
{
    calls_coroutine *self = alloc(state, owner, step);
    if (self == NULL) {
        return NULL;
    }
    PyObject_GC_Track(self);
    /* first what may find no memory: a coroutine that is made is awaited */
    if (calls_coroutine_keep(self, args, nargsf, kwnames) < 0
        || call_first(self, args, nargsf, kwnames) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

int
calls_coroutine_keep(calls_coroutine *self, PyObject *const *args,
                     size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t count = PyVectorcall_NARGS(nargsf)
                       + (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject **given = self->few;
    assert(self->given == NULL);
    if (FE_UNLIKELY(count > (Py_ssize_t)Py_ARRAY_LENGTH(self->few))) {
        given = PyMem_New(PyObject *, (size_t)count);
        if (given == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        given[i] = Py_NewRef(args[i]);
    }
    self->given = given;
    self->count = count;
    self->kwnames = Py_XNewRef(kwnames);
    return 0;
}

static void
drop_given(calls_coroutine *self)
{
    PyObject **given = self->given;
    Py_ssize_t count = self->count;
    if (given == NULL) {
        return;
    }
    /* given stays readable while its objects go, but is empty */
    self->count = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_DECREF(given[i]);
    }
    if (given != self->few) {
        self->given = NULL;
        PyMem_Free(given);
    }
}

PyObject *
calls_call_again(calls_coroutine *self)
{
    Py_ssize_t keywords =
        self->kwnames != NULL ? PyTuple_GET_SIZE(self->kwnames) : 0;
    return fe_wrap_call(FE_WRAP(self->owner)->wrapped, self->given,
                        (size_t)(self->count - keywords), self->kwnames);
}

/* new: module.function(seconds), looked up now */
static PyObject *
call_sleep(const char *module, const char *function, double seconds)
{
    PyObject *loaded = PyImport_ImportModule(module);
    if (loaded == NULL) {
        return NULL;
    }
    PyObject *sleep = fe_getattr(loaded, function), *result = NULL;
    if (sleep != NULL) {
        result = PyObject_CallFunction(sleep, "d", seconds);
        Py_DECREF(sleep);
    }
    Py_DECREF(loaded);
    return result;
}

PyObject *
calls_sleep_async(double seconds)
{
    return call_sleep("ferrule.calls._sleep", "sleep", seconds);
}

int
calls_sleep(double seconds)
{
    PyObject *result = call_sleep("time", "sleep", seconds);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* ---- the type */

/* new: what an ended coroutine answers to name, or NULL with AttributeError */
static PyObject *
ended_attribute(calls_coroutine *self, PyObject *name)
{
    static const char *const none[] = {"cr_frame", "cr_await", "cr_origin"};
    static const char *const no[] = {"cr_running", "cr_suspended"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(none); i++) {
        if (PyUnicode_CompareWithASCIIString(name, none[i]) == 0) {
            Py_RETURN_NONE;
        }
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(no); i++) {
        if (PyUnicode_CompareWithASCIIString(name, no[i]) == 0) {
            return PyBool_FromLong(i == 0 && self->running);
        }
    }
    if (PyUnicode_CompareWithASCIIString(name, "cr_code") == 0) {
        return fe_getattr(self->owner, "__code__");
    }
    PyErr_SetObject(PyExc_AttributeError, name);
    return NULL;
}

static PyObject *
calls_coroutine_tp_getattro(PyObject *op, PyObject *name)
{
    PyObject *result = PyObject_GenericGetAttr(op, name);
    if (result != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return result;
    }
    PyErr_Clear(); /* AttributeError: cr_frame and its like are inner's */
    PyObject *inner = Py_XNewRef(COROUTINE(op)->inner);
    if (inner != NULL) {
        result = PyObject_GetAttr(inner, name);
        Py_DECREF(inner);
        if (result != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return result;
        }
        PyErr_Clear(); /* AttributeError: a future, or the like */
    }
    return ended_attribute(COROUTINE(op), name);
}

static PyObject *
get_name(PyObject *op, void *name)
{
    return fe_getattr(COROUTINE(op)->owner, (const char *)name);
}

static PyMemberDef calls_coroutine_members[] = {
    {FE_TEXT("__weaklistoffset__"), Py_T_PYSSIZET,
     offsetof(calls_coroutine, weakrefs), Py_READONLY, NULL},
    {0},
};

static PyGetSetDef calls_coroutine_getset[] = {
    {"__name__", get_name, NULL, FE_TEXT("The function's."),
     FE_TEXT("__name__")},
    {"__qualname__", get_name, NULL, FE_TEXT("The function's."),
     FE_TEXT("__qualname__")},
    {0},
};

static int
calls_coroutine_tp_traverse(calls_coroutine *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->owner);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_VISIT(self->given[i]);
    }
    Py_VISIT(self->kwnames);
    Py_VISIT(self->extra);
    return 0;
}

static int
calls_coroutine_tp_clear(calls_coroutine *self)
{
    Py_CLEAR(self->inner);
    drop_given(self);
    Py_CLEAR(self->kwnames);
    Py_CLEAR(self->extra);
    return 0;
}

/* Dropped while it waits: closed, as coroutines are, so that step is asked. */
static void
calls_coroutine_tp_finalize(PyObject *op)
{
    if (COROUTINE(op)->inner == NULL || !COROUTINE(op)->begun
        || COROUTINE(op)->running) {
        return;
    }
    fe_error error = fe_error_put_aside();
    PyObject *result = calls_coroutine_close(op, NULL);
    if (result == NULL) {
        PyErr_WriteUnraisable(op);
    }
    Py_XDECREF(result);
    fe_error_put_back(error);
}

/* It has ended, and nobody looks: its memory waits for the next one. */
static void
dealloc_ended(calls_coroutine *self)
{
    PyObject *op = (PyObject *)self, *owner = self->owner;
    PyTypeObject *type = Py_TYPE(op);
    calls_coroutine_tp_clear(self);
#ifndef FE_NO_FREELIST
    PyObject *module = ((PyHeapTypeObject *)type)->ht_module;
    calls_state *state = module != NULL ? PyModule_GetState(module) : NULL;
    /* one the collector has finalized would not be so again */
    if (FE_LIKELY(state != NULL && state->coroutine_free.count < MAX_FREE
                  && !PyObject_GC_IsFinalized(op))) {
        fe_dead_link_set(op, state->coroutine_free.first);
        state->coroutine_free.first = op;
        state->coroutine_free.count++;
    }
    else
#endif
    {
        PyObject_GC_Del(op);
    }
    Py_DECREF(owner);
    Py_DECREF(type); /* last: it may take the state with it */
}

static void
calls_coroutine_tp_dealloc(PyObject *op)
{
    calls_coroutine *self = COROUTINE(op);
    if (FE_LIKELY(self->inner == NULL && self->weakrefs == NULL)) {
        PyObject_GC_UnTrack(op);
        dealloc_ended(self);
        return;
    }
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* resurrected */
    }
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op,
                      calls_coroutine_tp_dealloc) if (self->weakrefs != NULL)
    {
        PyObject_ClearWeakRefs(op);
    }
    dealloc_ended(self);
    Py_TRASHCAN_END
}

void
calls_coroutine_drain(calls_state *state)
{
    PyObject *dead = state->coroutine_free.first;
    state->coroutine_free.first = NULL;
    state->coroutine_free.count = 0;
    while (dead != NULL) {
        PyObject *next = fe_dead_link_take(dead);
        PyObject_GC_Del(dead);
        dead = next;
    }
}

static PyObject *
calls_coroutine_tp_repr(PyObject *op)
{
    PyObject *name = fe_wrap_name(COROUTINE(op)->owner, "__qualname__");
    if (name == NULL) {
        return NULL;
    }
    PyObject *text =
        PyUnicode_FromFormat("<coroutine object %U at %p>", name, op);
    Py_DECREF(name);
    return text;
}

PyDoc_STRVAR(calls_coroutine__doc__,
             "The coroutine of a wrapped function, with something to do when "
             "it ends.");

static PyMethodDef calls_coroutine_methods[] = {
    {"send", calls_coroutine_send, METH_O, send__doc__},
    {"throw", FE_METHOD(calls_coroutine_throw), METH_FASTCALL, throw__doc__},
    {"close", calls_coroutine_close, METH_NOARGS, close__doc__},
    {0},
};

static PyType_Slot calls_coroutine_slots[] = {
    {Py_tp_dealloc, FE_SLOT(calls_coroutine_tp_dealloc)},
    {Py_tp_finalize, FE_SLOT(calls_coroutine_tp_finalize)},
    {Py_tp_traverse, FE_SLOT(calls_coroutine_tp_traverse)},
    {Py_tp_clear, FE_SLOT(calls_coroutine_tp_clear)},
    {Py_tp_getattro, FE_SLOT(calls_coroutine_tp_getattro)},
    {Py_tp_repr, FE_SLOT(calls_coroutine_tp_repr)},
    {Py_tp_iter, FE_SLOT(PyObject_SelfIter)},
    {Py_tp_iternext, FE_SLOT(calls_coroutine_tp_iternext)},
    {Py_am_await, FE_SLOT(calls_coroutine_am_await)},
    {Py_am_send, FE_SLOT(calls_coroutine_am_send)},
    {Py_tp_methods, calls_coroutine_methods},
    {Py_tp_members, calls_coroutine_members},
    {Py_tp_getset, calls_coroutine_getset},
    {Py_tp_doc, FE_TEXT(calls_coroutine__doc__)},
    {0, NULL},
};

PyType_Spec calls_coroutine_spec = {
    .name = "ferrule.calls.Coroutine",
    .basicsize = sizeof(calls_coroutine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = calls_coroutine_slots,
};
