/* SPDX-License-Identifier: MIT
 *
 * singleton: the class itself is changed, so it stays a class. A call of a
 * class goes through its tp_vectorcall if its metaclass lets it; there stands
 * a function that looks whether there is an instance. What belongs to the
 * class hangs in its tp_cache (fe_type_cache). Metaclasses that are called
 * without vectorcall (those with a __call__, on 3.11 all written in Python)
 * are replaced by one derived from them, whose __call__ does the same.
 */
#include "calls_state.h"

#include "fork.h"

typedef enum {
    SINGLETON_CLASS,   /* a decorated class */
    SINGLETON_DERIVED, /* a metaclass made here */
    SINGLETON_SOURCE,  /* one that `instance` was derived from */
} singleton_role;

/* What belongs to one class. */
typedef struct singleton {
    PyObject_HEAD PyObject *instance; /* owned; NULL: there is none */
    singleton_role role;
    vectorcallfunc construct; /* of the class before; NULL: there was none */
    PyObject *meta;           /* owned: the metaclass before, if another is in
                                 its place; else NULL */
    bool building;            /* a thread is making the instance; then: */
    uint64_t owner;           /* which, */
    uint32_t depth;           /* in a process so many forks deep, */
    PyThread_type_lock lock;  /* and holds this as long */
    uint32_t lock_depth;      /* of the process that made the lock */
} singleton_object;

#define SINGLETON(op) ((singleton_object *)(op))

static void singleton_tp_dealloc(PyObject *self);

/* borrowed from the class; NULL: none, or the collector has cleared it */
static singleton_object *
singleton_of(PyTypeObject *cls)
{
    PyObject *found = fe_type_cache(cls);
    return found != NULL && Py_TYPE(found)->tp_dealloc == singleton_tp_dealloc
               ? SINGLETON(found)
               : NULL;
}

/* ---- making the instance */

/* new: type.__call__ */
static PyObject *
construct_plain(PyObject *cls, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    PyObject *positional = PyTuple_New(nargs);
    if (positional == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
    }
    PyObject *keywords = NULL, *result = NULL;
    Py_ssize_t count = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    if (count > 0) {
        keywords = PyDict_New();
        if (keywords == NULL) {
            goto error;
        }
        for (Py_ssize_t i = 0; i < count; i++) {
            if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(kwnames, i),
                               args[nargs + i])
                < 0) {
                goto error;
            }
        }
    }
    result = PyType_Type.tp_call(cls, positional, keywords);
error:
    Py_DECREF(positional);
    Py_XDECREF(keywords);
    return result;
}

/* new: meta.__call__(cls, …), whatever the metaclass of cls is now */
static PyObject *
construct_by(PyObject *meta, PyObject *cls, PyObject *const *args,
             Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *call = fe_getattr(meta, "__call__");
    if (call == NULL) {
        return NULL;
    }
    Py_ssize_t count = nargs;
    if (kwnames != NULL) {
        count += PyTuple_GET_SIZE(kwnames);
    }
    PyObject *result = NULL;
    PyObject **all = PyMem_New(PyObject *, (size_t)count + 1);
    if (all == NULL) {
        PyErr_NoMemory();
    }
    else {
        all[0] = cls;
        memcpy(all + 1, args, (size_t)count * sizeof(*all));
        result = PyObject_Vectorcall(call, all, (size_t)nargs + 1, kwnames);
    }
    PyMem_Free(all);
    Py_DECREF(call);
    return result;
}

/* new: what the class would have given undecorated */
static PyObject *
singleton_construct(const singleton_object *self, PyObject *cls,
                    PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (self->construct != NULL) {
        return self->construct(cls, args, (size_t)nargs, kwnames);
    }
    if (self->meta == NULL) {
        return construct_plain(cls, args, nargs, kwnames);
    }
    PyObject *meta = Py_NewRef(self->meta);
    PyObject *result = construct_by(meta, cls, args, nargs, kwnames);
    Py_DECREF(meta);
    return result;
}

/* Is the thread still there? After a fork only one is. */
static bool
thread_lives(uint64_t id)
{
    PyThreadState *at = PyInterpreterState_ThreadHead(
        PyThreadState_GetInterpreter(PyThreadState_Get()));
    while (at != NULL && PyThreadState_GetID(at) != id) {
        at = PyThreadState_Next(at);
    }
    return at != NULL;
}

/* Does the thread that makes the instance wait, itself or by others, for one
 * that this thread makes? */
static bool
would_deadlock(const calls_state *state, const singleton_object *self,
               uint64_t me)
{
    const singleton_object *at = self;
    while (at != NULL && at->building) {
        if (at->owner == me) {
            return true;
        }
        const singleton_wait *wait = state->singleton_waits;
        while (wait != NULL && wait->thread != at->owner) {
            wait = wait->next;
        }
        at = wait == NULL ? NULL : wait->wants;
    }
    return false;
}

/* Wait until nobody makes the instance. 0, or -1 with the exception of a
 * signal handler. */
static int
singleton_wait_for(calls_state *state, singleton_object *self, uint64_t me)
{
    singleton_wait wait = {state->singleton_waits, me, self};
    state->singleton_waits = &wait;
    PyThread_type_lock lock = self->lock;
    PyLockStatus got;
    Py_BEGIN_ALLOW_THREADS got = PyThread_acquire_lock_timed(lock, -1, 1);
    if (got == PY_LOCK_ACQUIRED) {
        PyThread_release_lock(lock);
    }
    Py_END_ALLOW_THREADS singleton_wait **at = &state->singleton_waits;
    while (*at != &wait) {
        at = &(*at)->next;
    }
    *at = wait.next;
    return got == PY_LOCK_INTR ? PyErr_CheckSignals() : 0;
}

/* This thread makes the instance from now on. 0, or -1 with MemoryError */
static int
singleton_begin(singleton_object *self, uint64_t me)
{
    if (self->lock == NULL || self->lock_depth != fe_fork_depth) {
        /* the old one may be held by a thread of the parent: leave it */
        PyThread_type_lock lock = PyThread_allocate_lock();
        if (lock == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        if (self->lock != NULL && self->lock_depth == fe_fork_depth) {
            PyThread_free_lock(self->lock);
        }
        self->lock = lock;
        self->lock_depth = fe_fork_depth;
    }
    /* who has waited holds it for a moment, and needs nothing from us */
    PyThread_acquire_lock(self->lock, WAIT_LOCK);
    self->building = true;
    self->owner = me;
    self->depth = fe_fork_depth;
    return 0;
}

/* new: the instance that is there now; NULL without an exception: this thread
 * is to make it; NULL with one */
static PyObject *
singleton_claim(singleton_object *self, PyTypeObject *cls)
{
    uint64_t me = PyThreadState_GetID(PyThreadState_Get());
    for (;;) {
        if (self->instance != NULL) {
            return Py_NewRef(self->instance);
        }
        if (self->building && self->depth != fe_fork_depth
            && !thread_lives(self->owner)) {
            self->building = false; /* it stayed in the parent process */
        }
        if (!self->building) {
            (void)singleton_begin(self, me);
            return NULL;
        }
        calls_state *state = calls_state_of((PyObject *)self);
        if (state == NULL) {
            return NULL;
        }
        if (would_deadlock(state, self, me)) {
            return PyErr_Format(PyExc_RuntimeError,
                                "%.200s(): called while its instance is being "
                                "made%s",
                                cls->tp_name,
                                self->owner == me
                                    ? ""
                                    : ", by a thread that waits for this one");
        }
        if (singleton_wait_for(state, self, me) < 0) {
            return NULL;
        }
    }
}

/* new: the instance, made if need be */
FE_NOINLINE static PyObject *
singleton_make(singleton_object *self, PyObject *cls, PyObject *const *args,
               Py_ssize_t nargs, PyObject *kwnames)
{
    Py_INCREF(self); /* the class may be cleared meanwhile */
    PyObject *result = singleton_claim(self, (PyTypeObject *)cls);
    if (result == NULL && !PyErr_Occurred()) {
        PyThread_type_lock lock = self->lock;
        result = singleton_construct(self, cls, args, nargs, kwnames);
        if (result != NULL) {
            Py_XSETREF(self->instance, Py_NewRef(result));
        }
        self->building = false;
        PyThread_release_lock(lock);
    }
    Py_DECREF(self);
    return result;
}

/* tp_vectorcall of the class: the fast path of every call */
static PyObject *
singleton_vectorcall(PyObject *cls, PyObject *const *args, size_t nargsf,
                     PyObject *kwnames)
{
    singleton_object *self = singleton_of((PyTypeObject *)cls);
    if (FE_LIKELY(self != NULL && self->instance != NULL)) {
        return Py_NewRef(self->instance);
    }
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (FE_UNLIKELY(self == NULL)) { /* the collector was here */
        return construct_plain(cls, args, nargs, kwnames);
    }
    return singleton_make(self, cls, args, nargs, kwnames);
}

/* ---- metaclasses without vectorcall */

PyDoc_STRVAR(singleton_call__doc__,
             "__call__($self, /, *args, **kwargs)\n--\n\n"
             "The only instance; of a class derived from a singleton, a new "
             "one.");

/* borrowed from the class: the metaclass that one of those made here was
 * derived from; NULL if the collector has cleared that */
static PyObject *
singleton_source(PyObject *cls)
{
    PyObject *mro = Py_TYPE(cls)->tp_mro;
    for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *meta = PyTuple_GET_ITEM(mro, i - 1);
        const singleton_object *mark = singleton_of((PyTypeObject *)meta);
        if (mark != NULL && mark->role == SINGLETON_DERIVED) {
            return PyTuple_GET_ITEM(mro, i);
        }
    }
    return NULL;
}

static PyObject *
singleton_call(PyObject *cls, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    singleton_object *self = singleton_of((PyTypeObject *)cls);
    if (self != NULL && self->role == SINGLETON_CLASS) {
        return self->instance != NULL
                   ? Py_NewRef(self->instance)
                   : singleton_make(self, cls, args, nargs, kwnames);
    }
    PyObject *meta = Py_XNewRef(singleton_source(cls));
    if (meta == NULL) {
        return construct_plain(cls, args, nargs, kwnames);
    }
    PyObject *result = construct_by(meta, cls, args, nargs, kwnames);
    Py_DECREF(meta);
    return result;
}

static PyMethodDef singleton_call_def = {"__call__", FE_METHOD(singleton_call),
                                         METH_FASTCALL | METH_KEYWORDS,
                                         singleton_call__doc__};

/* new: an empty record */
static singleton_object *
singleton_new(calls_state *state, singleton_role role)
{
    PyTypeObject *type = state->singleton_type;
    singleton_object *self = SINGLETON(type->tp_alloc(type, 0));
    if (self != NULL) {
        self->role = role;
    }
    return self;
}

/* new: a metaclass derived from `meta`, marked */
static PyObject *
singleton_derive(calls_state *state, PyObject *meta)
{
    PyObject *made = PyObject_CallFunction(
        (PyObject *)Py_TYPE(meta), "s(O){s(),sO,ss}",
        ((PyTypeObject *)meta)->tp_name, meta, "__slots__", "__call__",
        state->singleton_call, "__module__", "ferrule.calls");
    singleton_object *mark =
        made == NULL ? NULL : singleton_new(state, SINGLETON_DERIVED);
    if (mark == NULL) {
        Py_XDECREF(made);
        return NULL;
    }
    fe_type_cache_set((PyTypeObject *)made, (PyObject *)mark);
    return made;
}

/* borrowed from `meta`: the one metaclass derived from it */
static PyObject *
singleton_meta(calls_state *state, PyTypeObject *meta)
{
    singleton_object *source = singleton_of(meta);
    if (source != NULL && source->role == SINGLETON_SOURCE
        && source->instance != NULL) {
        return source->instance;
    }
    if (fe_type_cache(meta) != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "singleton(): the metaclass %.200s cannot be derived "
                     "from",
                     meta->tp_name);
        return NULL;
    }
    PyObject *made = singleton_derive(state, (PyObject *)meta);
    source = made == NULL ? NULL : singleton_new(state, SINGLETON_SOURCE);
    if (source == NULL) {
        Py_XDECREF(made);
        return NULL;
    }
    source->instance = made;
    if (fe_type_cache(meta) != NULL) { /* making it ran Python code */
        Py_DECREF(source);
        return singleton_meta(state, meta);
    }
    fe_type_cache_set(meta, (PyObject *)source);
    return made;
}

/* ---- decoration */

static const char reset_name[] = "reset";

PyDoc_STRVAR(
    singleton_reset__doc__,
    "reset()\n--\n\n"
    "Forget the instance of this singleton: the next call makes one.");

static PyObject *
singleton_reset(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Py_CLEAR(SINGLETON(self)->instance);
    Py_RETURN_NONE;
}

static PyMethodDef singleton_reset_def = {reset_name, singleton_reset,
                                          METH_NOARGS, singleton_reset__doc__};

/* PyType_GenericAlloc by another name: 3.13 makes instances of classes that
 * have that without a call of the class (CALL_ALLOC_AND_ENTER_INIT). */
static PyObject *
singleton_alloc(PyTypeObject *type, Py_ssize_t count)
{
    return PyType_GenericAlloc(type, count);
}

/* 0, or -1 with TypeError: no class, or one that cannot be a singleton */
static int
singleton_check(calls_state *state, PyObject *cls)
{
    if (!PyType_Check(cls)) {
        PyErr_Format(PyExc_TypeError,
                     "singleton(): wanted a class, got %.200s",
                     Py_TYPE(cls)->tp_name);
        return -1;
    }
    PyTypeObject *type = (PyTypeObject *)cls;
    if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0
        || (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE) != 0) {
        PyErr_Format(PyExc_TypeError,
                     "singleton(): the class %.200s cannot be changed",
                     type->tp_name);
        return -1;
    }
    if (fe_type_cache(type) != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "singleton(): %.200s is a singleton already",
                     type->tp_name);
        return -1;
    }
    PyObject *reset;
    int found = PyObject_GetOptionalAttr(cls, state->str_reset, &reset);
    if (found > 0) {
        /* a base's, which is a singleton, may be hidden */
        found = !(PyCFunction_CheckExact(reset)
                  && PyCFunction_GET_FUNCTION(reset) == singleton_reset);
        Py_DECREF(reset);
    }
    if (found > 0) {
        PyErr_Format(PyExc_TypeError,
                     "singleton(): %.200s has an attribute reset of its own",
                     type->tp_name);
    }
    return found == 0 ? 0 : -1;
}

/* Calls of the class go to its singleton from now on. */
static int
singleton_install(calls_state *state, PyObject *cls, singleton_object *self)
{
    PyTypeObject *type = (PyTypeObject *)cls, *meta = Py_TYPE(cls);
    const singleton_object *mark = singleton_of(meta);
    if (mark != NULL && mark->role == SINGLETON_DERIVED) {
        self->meta = Py_XNewRef(singleton_source(cls));
        return 0; /* a base is a singleton: its metaclass will do */
    }
    if ((meta->tp_flags & Py_TPFLAGS_HAVE_VECTORCALL) == 0) {
        self->meta = Py_NewRef(meta);
        PyObject *derived = singleton_meta(state, meta);
        return derived == NULL
                   ? -1
                   : PyObject_SetAttr(cls, state->str_class, derived);
    }
    self->construct = type->tp_vectorcall;
    type->tp_vectorcall = singleton_vectorcall;
    if (type->tp_alloc == PyType_GenericAlloc) {
        type->tp_alloc = singleton_alloc;
    }
    return 0;
}

PyDoc_STRVAR(
    singleton__doc__,
    "singleton($module, cls, /)\n--\n\n"
    "Decorate a class: its first call makes the instance, every other call\n"
    "gives it, whatever the arguments.\n\n"
    "The class stays the class it is. Under threads one makes the instance\n"
    "and the others wait; if that fails nothing is kept and the next call\n"
    "tries again. A call from within is a RuntimeError. cls.reset() forgets\n"
    "the instance. Classes derived from a singleton are no singletons.\n"
    "TypeError if cls is no class, cannot be changed, or has an attribute\n"
    "reset of its own.\n\n"
    "Source: the article's class decorator singleton.");

static PyObject *
singleton(PyObject *module, PyObject *cls)
{
    calls_state *state = calls_get_state(module);
    if (singleton_check(state, cls) < 0) {
        return NULL;
    }
    singleton_object *self = singleton_new(state, SINGLETON_CLASS);
    if (self == NULL) {
        return NULL;
    }
    PyObject *reset = PyCFunction_New(&singleton_reset_def, (PyObject *)self);
    if (reset == NULL || PyObject_SetAttr(cls, state->str_reset, reset) < 0
        || singleton_check(state, cls) < 0) { /* setting may run Python code */
        goto error;
    }
    if (singleton_install(state, cls, self) < 0) {
        fe_error error = fe_error_put_aside();
        if (PyObject_SetAttr(cls, state->str_reset, NULL) < 0) {
            PyErr_Clear(); /* AttributeError: somebody was faster */
        }
        fe_error_put_back(error);
        goto error;
    }
    fe_type_cache_set((PyTypeObject *)cls, (PyObject *)self);
    PyType_Modified((PyTypeObject *)cls);
    Py_DECREF(reset);
    return Py_NewRef(cls);
error:
    Py_XDECREF(reset);
    Py_DECREF(self);
    return NULL;
}

static PyMethodDef singleton_functions[] = {
    {"singleton", singleton, METH_O, singleton__doc__},
    {NULL, NULL, 0, NULL},
};

/* ---- the type */

static int
singleton_tp_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(SINGLETON(self)->instance);
    Py_VISIT(SINGLETON(self)->meta);
    return 0;
}

static int
singleton_tp_clear(PyObject *self)
{
    Py_CLEAR(SINGLETON(self)->instance);
    Py_CLEAR(SINGLETON(self)->meta);
    return 0;
}

static void
singleton_tp_dealloc(PyObject *op)
{
    singleton_object *self = SINGLETON(op);
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_CLEAR(self->instance);
    Py_CLEAR(self->meta);
    if (self->lock != NULL && self->lock_depth == fe_fork_depth) {
        PyThread_free_lock(self->lock);
    }
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(singleton_type__doc__, "What belongs to one singleton class.");

static PyType_Slot singleton_slots[] = {
    {Py_tp_doc, FE_TEXT(singleton_type__doc__)},
    {Py_tp_traverse, FE_SLOT(singleton_tp_traverse)},
    {Py_tp_clear, FE_SLOT(singleton_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(singleton_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec singleton_spec = {
    .name = "ferrule._calls.Singleton",
    .basicsize = sizeof(singleton_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = singleton_slots,
};

int
singleton_register(PyObject *module, calls_state *state)
{
    state->str_reset = PyUnicode_InternFromString(reset_name);
    state->str_class = PyUnicode_InternFromString("__class__");
    state->singleton_call =
        PyDescr_NewMethod(&PyType_Type, &singleton_call_def);
    if (state->str_reset == NULL || state->str_class == NULL
        || state->singleton_call == NULL || fe_fork_watch() < 0) {
        return -1;
    }
    state->singleton_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &singleton_spec, NULL);
    return state->singleton_type == NULL
                   || PyModule_AddFunctions(module, singleton_functions) < 0
               ? -1
               : 0;
}
