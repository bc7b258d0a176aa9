/* SPDX-License-Identifier: MIT
 *
 * Cached coroutine functions. What is there already is handed out as an
 * awaitable without a frame; what is not is computed by a coroutine of
 * Python's (ferrule.calls._flight), which gets a ticket to the entry.
 */
#include "calls_state.h"

/* ------------------------------------------------------- a value at once */

typedef struct {
    PyObject_HEAD PyObject *value; /* owned; NULL once it was awaited */
} cache_ready;

#define CACHE_READY(op) ((cache_ready *)(op))

PyObject *
cache_ready_new(calls_state *state, PyObject *value)
{
    cache_ready *self = PyObject_GC_New(cache_ready, state->cache_ready_type);
    if (self != NULL) {
        self->value = Py_NewRef(value);
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

static PySendResult
cache_ready_am_send(PyObject *op, PyObject *Py_UNUSED(sent), PyObject **value)
{
    *value = CACHE_READY(op)->value;
    CACHE_READY(op)->value = NULL;
    if (*value == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    return PYGEN_RETURN;
}

static PyObject *
cache_ready_tp_iternext(PyObject *op)
{
    PyObject *value;
    if (cache_ready_am_send(op, Py_None, &value) == PYGEN_RETURN) {
        /* not PyErr_SetObject, which would take a tuple for arguments */
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
        Py_DECREF(value);
        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
    }
    return NULL;
}

PyDoc_STRVAR(cache_ready_send__doc__,
             "send($self, value, /)\n--\n\n"
             "Go on with value: see types.CoroutineType.");

static PyObject *
cache_ready_send(PyObject *op, PyObject *sent)
{
    if (sent != Py_None && CACHE_READY(op)->value != NULL) {
        PyErr_SetString(
            PyExc_TypeError,
            "can't send non-None value to a just-started coroutine");
        return NULL;
    }
    return cache_ready_tp_iternext(op);
}

PyDoc_STRVAR(cache_ready_throw__doc__,
             "throw($self, type, value=None, traceback=None, /)\n--\n\n"
             "Raise in the coroutine: see types.CoroutineType.");

static PyObject *
cache_ready_throw(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 3
        || (!PyExceptionInstance_Check(args[0])
            && !PyExceptionClass_Check(args[0]))) {
        return PyErr_Format(PyExc_TypeError,
                            "throw: wanted an exception, got %.200s",
                            nargs > 0 ? Py_TYPE(args[0])->tp_name : "nothing");
    }
    PyObject *error;
    if (PyExceptionInstance_Check(args[0])) {
        error = Py_NewRef(args[0]);
    }
    else {
        size_t given = nargs > 1 && args[1] != Py_None;
        error = PyObject_Vectorcall(args[0], args + 1, given, NULL);
    }
    if (error != NULL) {
        Py_CLEAR(CACHE_READY(op)->value);
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

PyDoc_STRVAR(cache_ready_close__doc__, "close($self, /)\n--\n\n"
                                       "Nothing is to be waited for.");

static PyObject *
cache_ready_close(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Py_CLEAR(CACHE_READY(op)->value);
    Py_RETURN_NONE;
}

static PyObject *
cache_ready_am_await(PyObject *op)
{
    return Py_NewRef(op);
}

static int
cache_ready_tp_traverse(cache_ready *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->value);
    return 0;
}

static int
cache_ready_tp_clear(cache_ready *self)
{
    Py_CLEAR(self->value);
    return 0;
}

static void
cache_ready_tp_dealloc(cache_ready *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->value);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(cache_ready__doc__,
             "The coroutine of a call whose result was there already.");

static PyMethodDef cache_ready_methods[] = {
    {"send", cache_ready_send, METH_O, cache_ready_send__doc__},
    {"throw", FE_METHOD(cache_ready_throw), METH_FASTCALL,
     cache_ready_throw__doc__},
    {"close", cache_ready_close, METH_NOARGS, cache_ready_close__doc__},
    {0},
};

static PyType_Slot cache_ready_slots[] = {
    {Py_tp_dealloc, FE_SLOT(cache_ready_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(cache_ready_tp_traverse)},
    {Py_tp_clear, FE_SLOT(cache_ready_tp_clear)},
    {Py_tp_iter, FE_SLOT(PyObject_SelfIter)},
    {Py_tp_iternext, FE_SLOT(cache_ready_tp_iternext)},
    {Py_am_await, FE_SLOT(cache_ready_am_await)},
    {Py_am_send, FE_SLOT(cache_ready_am_send)},
    {Py_tp_methods, cache_ready_methods},
    {Py_tp_doc, FE_TEXT(cache_ready__doc__)},
    {0, NULL},
};

PyType_Spec cache_ready_spec = {
    .name = "ferrule.calls.CachedResult",
    .basicsize = sizeof(cache_ready),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cache_ready_slots,
};

/* --------------------------------------------------------------- tickets */

/* One call of a coroutine function that found nothing. */
typedef struct {
    PyObject_HEAD cache_object *self; /* owned */
    cache_instance *holder;           /* owned, or NULL */
    cache_entry *entry;               /* one reference */
    PyObject *given;                  /* owned tuple */
    PyObject *kwnames;                /* owned tuple, or NULL */
} cache_ticket;

#define CACHE_TICKET(op) ((cache_ticket *)(op))

static cache_table *
cache_ticket_table(const cache_ticket *ticket)
{
    return ticket->holder != NULL ? &ticket->holder->table
                                  : &ticket->self->table;
}

PyDoc_STRVAR(cache_ticket_call__doc__,
             "call($self, /)\n--\n\nCall the function: what it gives.");

static PyObject *
cache_ticket_call(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const cache_ticket *ticket = CACHE_TICKET(op);
    Py_ssize_t keywords =
        ticket->kwnames != NULL ? PyTuple_GET_SIZE(ticket->kwnames) : 0;
    return fe_wrap_call(
        ticket->self->head.wrapped, ((PyTupleObject *)ticket->given)->ob_item,
        (size_t)(PyTuple_GET_SIZE(ticket->given) - keywords), ticket->kwnames);
}

PyDoc_STRVAR(cache_ticket_store__doc__,
             "store($self, value, /)\n--\n\n"
             "Keep value, unless the cache was cleared, and give it back.");

static PyObject *
cache_ticket_store(PyObject *op, PyObject *value)
{
    const cache_ticket *ticket = CACHE_TICKET(op);
    cache_entry *entry = ticket->entry, *gone = NULL;
    double now;
    if (cache_now(ticket->self, &now) < 0) {
        return NULL;
    }
    if (entry->in_table && entry->status == CACHE_PENDING) {
        PyObject *flights = entry->value;
        cache_table_done(ticket->self, cache_ticket_table(ticket), entry,
                         Py_NewRef(value), now, &gone);
        Py_XDECREF(flights);
        cache_entries_release(gone);
    }
    return Py_NewRef(value);
}

PyDoc_STRVAR(cache_ticket_count__doc__,
             "count($self, hit, /)\n--\n\nThis call was a hit, or a miss.");

static PyObject *
cache_ticket_count(PyObject *op, PyObject *hit)
{
    cache_object *self = CACHE_TICKET(op)->self;
    if (hit == Py_True) {
        self->hits++;
    }
    else {
        self->misses++;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(cache_ticket_found__doc__,
             "found($self, /)\n--\n\n"
             "A tuple of the value, or None if it is not there.");

static PyObject *
cache_ticket_found(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const cache_ticket *ticket = CACHE_TICKET(op);
    double now;
    if (cache_now(ticket->self, &now) < 0) {
        return NULL;
    }
    if (ticket->entry->status == CACHE_DONE
        && cache_is_fresh(ticket->self, ticket->entry, now)) {
        return PyTuple_Pack(1, ticket->entry->value);
    }
    Py_RETURN_NONE;
}

/* new: None when nothing is to be shared, and none will be kept */
static PyObject *
cache_ticket_get_flights(PyObject *op, void *Py_UNUSED(closure))
{
    cache_entry *entry = CACHE_TICKET(op)->entry;
    if (!CACHE_TICKET(op)->self->single_flight
        || entry->status != CACHE_PENDING) {
        Py_RETURN_NONE;
    }
    if (entry->value == NULL) {
        PyObject *flights = PyDict_New();
        if (flights == NULL) {
            return NULL;
        }
        entry->value = flights;
        cache_ticket_table(CACHE_TICKET(op))->traced = true;
    }
    return Py_NewRef(entry->value);
}

static int
cache_ticket_tp_traverse(cache_ticket *ticket, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(ticket));
    Py_VISIT(ticket->self);
    Py_VISIT(ticket->holder);
    Py_VISIT(ticket->given);
    Py_VISIT(ticket->kwnames);
    /* out of the table and ours alone, nobody else visits it */
    if (ticket->entry->refs == 1 && !ticket->entry->in_table) {
        return cache_entry_traverse(ticket->entry, visit, arg);
    }
    return 0;
}

/* The entry goes with the last ticket, if no value has come. */
static void
cache_ticket_leave(const cache_ticket *ticket)
{
    cache_entry *entry = ticket->entry;
    if (entry->in_table && entry->refs == 2
        && entry->status == CACHE_PENDING) {
        cache_table_take(cache_ticket_table(ticket), entry);
        entry->refs--;
    }
    cache_entry_release(entry);
}

static void
cache_ticket_tp_dealloc(cache_ticket *ticket)
{
    PyTypeObject *type = Py_TYPE(ticket);
    PyObject_GC_UnTrack(ticket);
    cache_ticket_leave(ticket);
    Py_DECREF(ticket->self);
    Py_XDECREF(ticket->holder);
    Py_DECREF(ticket->given);
    Py_XDECREF(ticket->kwnames);
    type->tp_free(ticket);
    Py_DECREF(type);
}

PyDoc_STRVAR(cache_ticket__doc__,
             "A call of a cached coroutine function that found nothing.");

static PyMethodDef cache_ticket_methods[] = {
    {"call", cache_ticket_call, METH_NOARGS, cache_ticket_call__doc__},
    {"store", cache_ticket_store, METH_O, cache_ticket_store__doc__},
    {"count", cache_ticket_count, METH_O, cache_ticket_count__doc__},
    {"found", cache_ticket_found, METH_NOARGS, cache_ticket_found__doc__},
    {0},
};

static PyGetSetDef cache_ticket_getset[] = {
    {"flights", cache_ticket_get_flights, NULL,
     FE_TEXT("The flights of event loops, a dict; None: do not share."), NULL},
    {0},
};

static PyType_Slot cache_ticket_slots[] = {
    {Py_tp_dealloc, FE_SLOT(cache_ticket_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(cache_ticket_tp_traverse)},
    {Py_tp_methods, cache_ticket_methods},
    {Py_tp_getset, cache_ticket_getset},
    {Py_tp_doc, FE_TEXT(cache_ticket__doc__)},
    {0, NULL},
};

PyType_Spec cache_ticket_spec = {
    .name = "ferrule.calls.CacheTicket",
    .basicsize = sizeof(cache_ticket),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cache_ticket_slots,
};

/* Steals entry. */
static PyObject *
cache_ticket_new(calls_state *state, cache_object *self,
                 cache_instance *holder, cache_entry *entry,
                 PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    cache_ticket probe = {.self = self, .holder = holder, .entry = entry};
    Py_ssize_t count = PyVectorcall_NARGS(nargsf)
                       + (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject *given = PyTuple_New(count);
    cache_ticket *ticket =
        given != NULL ? PyObject_GC_New(cache_ticket, state->cache_ticket_type)
                      : NULL;
    if (ticket == NULL) {
        Py_XDECREF(given);
        cache_ticket_leave(&probe);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyTuple_SET_ITEM(given, i, Py_NewRef(args[i]));
    }
    ticket->self = CACHE(Py_NewRef(self));
    ticket->holder = (cache_instance *)Py_XNewRef(holder);
    ticket->entry = entry;
    ticket->given = given;
    ticket->kwnames = Py_XNewRef(kwnames);
    PyObject_GC_Track(ticket);
    return (PyObject *)ticket;
}

/* borrowed from the state: _flight.fly; NULL with an exception */
static PyObject *
cache_fly_function(calls_state *state)
{
    if (state->cache_fly == NULL) {
        PyObject *module = PyImport_ImportModule("ferrule.calls._flight");
        if (module == NULL) {
            return NULL;
        }
        PyObject *found = fe_getattr(module, "fly");
        Py_DECREF(module);
        if (found == NULL) {
            return NULL;
        }
        Py_XSETREF(state->cache_fly, found);
    }
    return state->cache_fly;
}

/* The coroutine goes by the function's name: "... was never awaited". */
static int
cache_name_coroutine(PyObject *coroutine, const cache_object *self)
{
    PyObject *attribute = PyUnicode_InternFromString("__qualname__");
    PyObject *name = attribute != NULL
                         ? fe_wrap_name(self->head.wrapped, "__qualname__")
                         : NULL;
    int result =
        name != NULL ? PyObject_SetAttr(coroutine, attribute, name) : -1;
    Py_XDECREF(attribute);
    Py_XDECREF(name);
    return result;
}

PyObject *
cache_fly(calls_state *state, cache_object *self, cache_instance *holder,
          cache_entry *entry_steal, PyObject *const *args, size_t nargsf,
          PyObject *kwnames)
{
    PyObject *coroutine = NULL;
    PyObject *ticket = cache_ticket_new(state, self, holder, entry_steal, args,
                                        nargsf, kwnames);
    PyObject *fly = ticket != NULL ? cache_fly_function(state) : NULL;
    if (fly != NULL) {
        Py_INCREF(fly);
        coroutine = PyObject_CallOneArg(fly, ticket);
        Py_DECREF(fly);
    }
    Py_XDECREF(ticket);
    if (coroutine != NULL && cache_name_coroutine(coroutine, self) < 0) {
        PyObject *error = PyErr_GetRaisedException();
        PyObject *closed = fe_call_method(coroutine, "close", NULL);
        Py_XDECREF(closed);
        PyErr_Clear(); /* of a coroutine that never ran: no exception */
        Py_CLEAR(coroutine);
        PyErr_SetRaisedException(error);
    }
    return coroutine;
}
