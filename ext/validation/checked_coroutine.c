/* SPDX-License-Identifier: MIT
 *
 * What a checked coroutine function gives: its own coroutine, with a look at
 * the result. All states are that coroutine's, which says itself that it is
 * running, has ended or was never awaited.
 */
#include "validation_state.h"

typedef struct {
    PyObject_HEAD PyObject *inner; /* owned: what is iterated to await it */
    PyObject *owner;               /* owned: the checked function */
    PyObject *weakrefs;
} checked_coroutine_object;

#define COROUTINE(op) ((checked_coroutine_object *)(op))

/* new: what is iterated to await the object */
static PyObject *
checked_coroutine_iter(PyObject *awaitable)
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
    if (PyGen_CheckExact(awaitable)) {
        return Py_NewRef(awaitable); /* of a function under types.coroutine */
    }
    return PyErr_Format(PyExc_TypeError,
                        "object %.100s can't be used in 'await' expression",
                        type->tp_name);
}

PyObject *
checked_coroutine_new(validation_state *state, PyObject *owner,
                      PyObject *awaitable)
{
    PyObject *inner = checked_coroutine_iter(awaitable);
    if (inner == NULL) {
        return NULL;
    }
    checked_coroutine_object *self = PyObject_GC_New(
        checked_coroutine_object, state->checked_coroutine_type);
    if (self == NULL) {
        Py_DECREF(inner);
        return NULL;
    }
    self->inner = inner;
    self->owner = Py_NewRef(owner);
    self->weakrefs = NULL;
    PyObject_GC_Track(self);
    return (PyObject *)self;
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

/* inner has ended with *value (owned), which becomes what the check gives. */
static PySendResult
checked_coroutine_end(checked_coroutine_object *self, PyObject **value)
{
    *value = checked_result_steal(CHECKED(self->owner), *value);
    if (*value != NULL) {
        return PYGEN_RETURN;
    }
    no_stop_iteration();
    return PYGEN_ERROR;
}

static PySendResult
checked_coroutine_am_send(PyObject *op, PyObject *sent, PyObject **value)
{
    *value = NULL;
    if (Py_EnterRecursiveCall(" while awaiting in a checked function")) {
        return PYGEN_ERROR;
    }
    PySendResult was = PyIter_Send(COROUTINE(op)->inner, sent, value);
    Py_LeaveRecursiveCall();
    return was == PYGEN_RETURN ? checked_coroutine_end(COROUTINE(op), value)
                               : was;
}

/* new: what is yielded; NULL with StopIteration or the exception */
static PyObject *
checked_coroutine_yielded(PySendResult was, PyObject *value)
{
    if (was != PYGEN_RETURN) {
        return value;
    }
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
    Py_DECREF(value);
    if (stop != NULL) {
        PyErr_SetRaisedException(stop);
    }
    return NULL;
}

static PyObject *
checked_coroutine_tp_iternext(PyObject *op)
{
    PyObject *value;
    PySendResult was = checked_coroutine_am_send(op, Py_None, &value);
    return checked_coroutine_yielded(was, value);
}

PyDoc_STRVAR(send__doc__, "send($self, value, /)\n--\n\n"
                          "Go on with value: see types.CoroutineType.");

static PyObject *
checked_coroutine_send(PyObject *op, PyObject *sent)
{
    PyObject *value;
    PySendResult was = checked_coroutine_am_send(op, sent, &value);
    return checked_coroutine_yielded(was, value);
}

/* The exception set is StopIteration: its value, checked. */
static PySendResult
checked_coroutine_stopped(checked_coroutine_object *self, PyObject **value)
{
    PyObject *exc = PyErr_GetRaisedException();
    if (!PyObject_TypeCheck(exc, (PyTypeObject *)PyExc_StopIteration)) {
        PyErr_SetRaisedException(exc); /* no memory to make it whole (3.11) */
        return PYGEN_ERROR;
    }
    *value = Py_NewRef(((PyStopIterationObject *)exc)->value);
    Py_DECREF(exc);
    return checked_coroutine_end(self, value);
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

PyDoc_STRVAR(throw__doc__,
             "throw($self, type, value=None, traceback=None, /)\n--\n\n"
             "Raise in the coroutine: see types.CoroutineType.");

static PyObject *
checked_coroutine_throw(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 3
        || (!PyExceptionInstance_Check(args[0])
            && !PyExceptionClass_Check(args[0]))) {
        return PyErr_Format(PyExc_TypeError,
                            "throw: wanted an exception, got %.200s",
                            nargs > 0 ? Py_TYPE(args[0])->tp_name : "nothing");
    }
    PyObject *throw;
    int found = fe_find_attr(COROUTINE(op)->inner, "throw", &throw);
    if (found == 0) {
        raise_here(args, nargs); /* a plain iterator, which ends here */
    }
    if (found <= 0) {
        return NULL;
    }
    PyObject *value = PyObject_Vectorcall(throw, args, (size_t)nargs, NULL);
    Py_DECREF(throw);
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return value;
    }
    PySendResult was = checked_coroutine_stopped(COROUTINE(op), &value);
    return checked_coroutine_yielded(was, value);
}

PyDoc_STRVAR(close__doc__, "close($self, /)\n--\n\n"
                           "Raise GeneratorExit in the coroutine.");

static PyObject *
checked_coroutine_close(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyObject *close;
    int found = fe_find_attr(COROUTINE(op)->inner, "close", &close);
    if (found <= 0) {
        return found < 0 ? NULL : Py_NewRef(Py_None); /* nothing to close */
    }
    PyObject *result = PyObject_CallNoArgs(close);
    Py_DECREF(close);
    return result;
}

/* cr_frame, cr_await and their like are inner's, and so is the name. */
static PyObject *
checked_coroutine_tp_getattro(PyObject *op, PyObject *name)
{
    PyObject *result = PyObject_GenericGetAttr(op, name);
    if (result != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return result;
    }
    PyErr_Clear(); /* AttributeError: then it is inner's */
    if (Py_EnterRecursiveCall(" while looking an attribute up")) {
        return NULL;
    }
    result = PyObject_GetAttr(COROUTINE(op)->inner, name);
    Py_LeaveRecursiveCall();
    return result;
}

static PyObject *
checked_coroutine_tp_repr(PyObject *op)
{
    if (Py_EnterRecursiveCall(" while a coroutine is shown")) {
        return NULL;
    }
    PyObject *text =
        PyUnicode_FromFormat("<checked %R>", COROUTINE(op)->inner);
    Py_LeaveRecursiveCall();
    return text;
}

static int
checked_coroutine_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(COROUTINE(op)->inner);
    Py_VISIT(COROUTINE(op)->owner);
    return 0;
}

/* No tp_clear: what it holds is never NULL, and the coroutine or the function
 * of a cycle is cleared instead.
 */
static void
checked_coroutine_tp_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(
        op, checked_coroutine_tp_dealloc) if (COROUTINE(op)->weakrefs != NULL)
    {
        PyObject_ClearWeakRefs(op);
    }
    Py_DECREF(COROUTINE(op)->inner);
    Py_DECREF(COROUTINE(op)->owner);
    PyObject_GC_Del(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

PyDoc_STRVAR(checked_coroutine__doc__,
             "The coroutine of a checked function: its result is checked.");

static PyMemberDef checked_coroutine_members[] = {
    {FE_TEXT("__weaklistoffset__"), Py_T_PYSSIZET,
     offsetof(checked_coroutine_object, weakrefs), Py_READONLY, NULL},
    {0},
};

static PyMethodDef checked_coroutine_methods[] = {
    {"send", checked_coroutine_send, METH_O, send__doc__},
    {"throw", FE_METHOD(checked_coroutine_throw), METH_FASTCALL, throw__doc__},
    {"close", checked_coroutine_close, METH_NOARGS, close__doc__},
    {0},
};

static PyType_Slot checked_coroutine_slots[] = {
    {Py_tp_dealloc, FE_SLOT(checked_coroutine_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(checked_coroutine_tp_traverse)},
    {Py_tp_getattro, FE_SLOT(checked_coroutine_tp_getattro)},
    {Py_tp_repr, FE_SLOT(checked_coroutine_tp_repr)},
    {Py_tp_iter, FE_SLOT(PyObject_SelfIter)},
    {Py_tp_iternext, FE_SLOT(checked_coroutine_tp_iternext)},
    {Py_am_await, FE_SLOT(PyObject_SelfIter)},
    {Py_am_send, FE_SLOT(checked_coroutine_am_send)},
    {Py_tp_methods, checked_coroutine_methods},
    {Py_tp_members, checked_coroutine_members},
    {Py_tp_doc, FE_TEXT(checked_coroutine__doc__)},
    {0, NULL},
};

PyType_Spec checked_coroutine_spec = {
    .name = "ferrule.validation.CheckedCoroutine",
    .basicsize = sizeof(checked_coroutine_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = checked_coroutine_slots,
};
