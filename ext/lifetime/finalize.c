/* SPDX-License-Identifier: MIT
 *
 * finalize: a clean-up beside the object it waits for. It is the weak
 * reference itself, with function and arguments behind it and a node of the
 * registry, which owns it while it is alive: 112 bytes and a collector header.
 *
 * The collector need not walk it: what it holds, it holds for a root, and dead
 * it holds nothing. But it must be tracked: when the object dies in a cycle
 * the collector moves it to a list of its own. Hence fe_gc_track_alone;
 * instances of Python subclasses are tracked as usual.
 */
#include "lifetime_state.h"
#include "fork.h"

#define MAX_FREE 256

typedef struct {
    PyWeakReference ref;
    PyObject *func;    /* owned; NULL when dead, as what follows */
    PyObject *values;  /* owned tuple, NULL: none; keyword values come last */
    PyObject *kwnames; /* owned tuple, NULL: none */
    finalize_node node;
} finalize_object;

#define FINALIZE(op) ((finalize_object *)(op))
#define FINALIZE_OF(n)                                                        \
    ((finalize_object *)((char *)(n) - offsetof(finalize_object, node)))

/* A clean-up taken out of its object: whatever runs now finds it dead. */
typedef struct {
    finalize_object *owner; /* owned: was the registry's */
    PyObject *func, *values, *kwnames;
} finalize_call;

static finalize_call
take(finalize_object *self)
{
    finalize_call call = {self, self->func, self->values, self->kwnames};
    self->func = self->values = self->kwnames = NULL;
    finalize_unlink(&self->node);
    return call;
}

static void
drop(finalize_call *call)
{
    Py_DECREF(call->func);
    Py_XDECREF(call->values);
    Py_XDECREF(call->kwnames);
    Py_DECREF(call->owner);
}

static PyObject *
run(finalize_call *call)
{
    if (call->values == NULL) {
        return PyObject_CallNoArgs(call->func);
    }
    Py_ssize_t count = PyTuple_GET_SIZE(call->values);
    if (call->kwnames != NULL) {
        count -= PyTuple_GET_SIZE(call->kwnames);
    }
    return PyObject_Vectorcall(call->func, &PyTuple_GET_ITEM(call->values, 0),
                               (size_t)count, call->kwnames);
}

void
finalize_disarm(finalize_node *node)
{
    if (node->embedded) {
        finalize_unlink(node);
        return;
    }
    finalize_call call = take(FINALIZE_OF(node));
    drop(&call);
}

PyObject *
finalize_node_object(finalize_node *node)
{
    return (PyObject *)FINALIZE_OF(node);
}

static PyObject *finalize_tp_call(PyObject *self, PyObject *args,
                                  PyObject *kwargs);

/* A subclass may have its own __call__, and it is that which runs. */
FE_NOINLINE static PyObject *
run_overridden(finalize_object *self)
{
    Py_INCREF(self);
    PyObject *result = PyObject_CallNoArgs((PyObject *)self);
    if (self->node.alive) {
        fe_error error = fe_error_put_aside();
        finalize_disarm(&self->node);
        fe_error_put_back(error);
    }
    Py_DECREF(self);
    return result;
}

PyObject *
finalize_run(finalize_node *node)
{
    if (node->embedded) {
        return finalizable_run(node);
    }
    finalize_object *self = FINALIZE_OF(node);
    if (FE_UNLIKELY(Py_TYPE(self)->tp_call != finalize_tp_call)) {
        return run_overridden(self);
    }
    finalize_call call = take(self);
    PyObject *result = run(&call);
    drop(&call);
    return result;
}

PyDoc_STRVAR(finalize_callback__doc__,
             "_finalize_callback($module, ref, /)\n--\n\n"
             "Called by the interpreter when the object of ref has died.");

static PyObject *
finalize_callback(PyObject *module, PyObject *ref)
{
    lifetime_state *state = lifetime_get_state(module);
    if (state->finalize_type == NULL) {
        Py_RETURN_NONE; /* the module is being taken down */
    }
    if (!PyObject_TypeCheck(ref, state->finalize_type)) {
        return PyErr_Format(PyExc_TypeError,
                            "_finalize_callback(): wanted finalize, got "
                            "%.200s",
                            Py_TYPE(ref)->tp_name);
    }
    finalize_object *self = FINALIZE(ref);
    if (!self->node.alive) {
        Py_RETURN_NONE;
    }
    if (!finalize_may_run(state, &self->node)) {
        finalize_disarm(&self->node);
        Py_RETURN_NONE;
    }
    PyObject *func = Py_NewRef(self->func);
    PyObject *result = finalize_run(&self->node);
    if (result == NULL) {
        PyErr_WriteUnraisable(func);
    }
    Py_XDECREF(result);
    Py_DECREF(func);
    Py_RETURN_NONE;
}

static PyMethodDef finalize_callback_def = {
    "_finalize_callback", finalize_callback, METH_O, finalize_callback__doc__};

/* ---- construction */

/* new: the `count` values, or NULL without an exception if there are none */
static PyObject *
pack(PyObject *const *values, Py_ssize_t count)
{
    if (count == 0) {
        return NULL;
    }
    PyObject *packed = PyTuple_New(count);
    for (Py_ssize_t i = 0; packed != NULL && i < count; i++) {
        PyTuple_SET_ITEM(packed, i, Py_NewRef(values[i]));
    }
    return packed;
}

/* Give a dead finalizer its clean-up. values: func's arguments, those of
 * kwnames last.
 */
static int
arm(lifetime_state *state, finalize_object *self, PyObject *obj,
    PyObject *func, PyObject *const *values, Py_ssize_t count,
    PyObject *kwnames)
{
    if (kwnames != NULL && PyTuple_GET_SIZE(kwnames) == 0) {
        kwnames = NULL;
    }
    if (!PyCallable_Check(func)) {
        PyErr_Format(PyExc_TypeError,
                     "finalize(): func must be callable, got %.200s",
                     Py_TYPE(func)->tp_name);
        return -1;
    }
    if (finalize_check_reach(obj, func, values, count, kwnames) < 0) {
        return -1;
    }
    PyObject *packed = pack(values, count);
    if ((packed == NULL && count > 0) || finalize_prepare(state) < 0) {
        Py_XDECREF(packed);
        return -1;
    }
    /* here and not before: a collection may have run its __init__ */
    if (FE_UNLIKELY(self->node.alive)) {
        PyErr_SetString(PyExc_TypeError,
                        "finalize.__init__(): the finalizer is alive already");
        Py_XDECREF(packed);
        return -1;
    }
    finalize_link(state, &self->node);
    if (FE_UNLIKELY(!self->node.alive)) {
        Py_XDECREF(packed); /* after exit nothing runs, so nothing is kept */
        return 0;
    }
    self->func = Py_NewRef(func);
    self->values = packed;
    self->kwnames = Py_XNewRef(kwnames);
    Py_INCREF(self); /* the registry's */
    return 0;
}

FE_NOINLINE static PyObject *
refuse_object(PyObject *obj)
{
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Format(PyExc_TypeError,
                     "finalize(): cannot create weak reference to '%.200s' "
                     "object",
                     Py_TYPE(obj)->tp_name);
    }
    return NULL;
}

/* new: dead, but already waiting for the object */
static finalize_object *
make(lifetime_state *state, PyTypeObject *type, PyObject *obj)
{
    finalize_object *self =
        FINALIZE(lifetime_new_ref(state, type, obj, state->finalize_callback));
    if (self == NULL) {
        return FINALIZE(refuse_object(obj));
    }
    self->node.alive = false;
    self->node.embedded = false;
    return self;
}

static int
missing(const char *name, int position)
{
    PyErr_Format(PyExc_TypeError,
                 "finalize() missing required positional argument '%s' "
                 "(pos %d)",
                 name, position);
    return -1;
}

static PyObject *
finalize_tp_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf,
                       PyObject *kwnames)
{
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    if (count < 2) {
        (void)missing(count == 0 ? "obj" : "func", count == 0 ? 1 : 2);
        return NULL;
    }
    lifetime_state *state = lifetime_state_of_type((PyTypeObject *)type);
    if (FE_UNLIKELY(state == NULL)) {
        return lifetime_gone();
    }
    finalize_object *self = make(state, (PyTypeObject *)type, args[0]);
    if (self == NULL) {
        return NULL;
    }
    if (kwnames != NULL) {
        count += PyTuple_GET_SIZE(kwnames);
    }
    if (arm(state, self, args[0], args[1], args + 2, count - 2, kwnames) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *
finalize_tp_new(PyTypeObject *type, PyObject *args,
                PyObject *Py_UNUSED(kwargs))
{
    if (PyTuple_GET_SIZE(args) < 1) {
        (void)missing("obj", 1);
        return NULL;
    }
    lifetime_state *state = lifetime_state_of_subtype(type);
    if (state == NULL) {
        return NULL;
    }
    return (PyObject *)make(state, type, PyTuple_GET_ITEM(args, 0));
}

/* kwargs as vectorcall has them: -1 or the count of values in `all` */
static int
spread(PyObject *args, PyObject *kwargs, PyObject **values, PyObject **kwnames)
{
    Py_ssize_t positional = PyTuple_GET_SIZE(args) - 2, at = 0;
    Py_ssize_t named = kwargs != NULL ? PyDict_GET_SIZE(kwargs) : 0;
    *kwnames = PyTuple_New(named);
    *values = PyTuple_New(positional + named);
    if (*kwnames == NULL || *values == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < positional; i++) {
        PyTuple_SET_ITEM(*values, i, Py_NewRef(PyTuple_GET_ITEM(args, i + 2)));
    }
    PyObject *key, *value;
    for (Py_ssize_t i = 0; named > 0 && PyDict_Next(kwargs, &at, &key, &value);
         i++) {
        PyTuple_SET_ITEM(*kwnames, i, Py_NewRef(key));
        PyTuple_SET_ITEM(*values, positional + i, Py_NewRef(value));
    }
    return 0;
}

static int
finalize_tp_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    finalize_object *self = FINALIZE(op);
    lifetime_state *state = lifetime_state_of_subtype(Py_TYPE(op));
    if (state == NULL) {
        return -1;
    }
    if (PyTuple_GET_SIZE(args) < 2) {
        bool none = PyTuple_GET_SIZE(args) == 0;
        return missing(none ? "obj" : "func", none ? 1 : 2);
    }
    PyObject *obj = PyTuple_GET_ITEM(args, 0), *referent;
    if (PyWeakref_GetRef(op, &referent) < 0) {
        return -1;
    }
    Py_XDECREF(referent); /* args hold it, if it is the one */
    if (referent != obj) {
        PyErr_SetString(PyExc_TypeError,
                        "finalize.__init__(): obj must be the object that "
                        "__new__ was given first");
        return -1;
    }
    PyObject *values = NULL, *kwnames = NULL;
    int done = spread(args, kwargs, &values, &kwnames);
    if (done == 0) {
        done = arm(state, self, obj, PyTuple_GET_ITEM(args, 1),
                   &PyTuple_GET_ITEM(values, 0), PyTuple_GET_SIZE(values),
                   kwnames);
    }
    Py_XDECREF(values);
    Py_XDECREF(kwnames);
    return done;
}

/* ---- methods */

PyDoc_STRVAR(finalize_peek__doc__,
             "peek($self, /)\n--\n\n"
             "The tuple (obj, func, args, kwargs) if alive, else None.");

static Py_ssize_t
named_count(const finalize_object *self)
{
    return self->kwnames != NULL ? PyTuple_GET_SIZE(self->kwnames) : 0;
}

/* Held, here and below: what is allocated may run a collection, and that may
 * end the finalizer.
 */
static PyObject *
args_of(const finalize_object *self)
{
    if (self->values == NULL) {
        return PyTuple_New(0);
    }
    PyObject *values = Py_NewRef(self->values);
    PyObject *args = PyTuple_GetSlice(
        values, 0, PyTuple_GET_SIZE(values) - named_count(self));
    Py_DECREF(values);
    return args;
}

static PyObject *
kwargs_of(const finalize_object *self)
{
    PyObject *kwargs = PyDict_New();
    Py_ssize_t named = named_count(self); /* after it: it may be dead */
    if (kwargs == NULL || named == 0) {
        return kwargs;
    }
    PyObject *values = Py_NewRef(self->values);
    PyObject *kwnames = Py_NewRef(self->kwnames);
    Py_ssize_t first = PyTuple_GET_SIZE(values) - named;
    for (Py_ssize_t i = 0; kwargs != NULL && i < named; i++) {
        if (PyDict_SetItem(kwargs, PyTuple_GET_ITEM(kwnames, i),
                           PyTuple_GET_ITEM(values, first + i))
            < 0) {
            Py_CLEAR(kwargs);
        }
    }
    Py_DECREF(values);
    Py_DECREF(kwnames);
    return kwargs;
}

static PyObject *
finalize_peek(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    finalize_object *self = FINALIZE(op);
    PyObject *obj;
    if (!self->node.alive || PyWeakref_GetRef(op, &obj) == 0) {
        Py_RETURN_NONE;
    }
    PyObject *result = PyTuple_New(4), *args = NULL, *kwargs = NULL;
    if (result != NULL && self->node.alive && (args = args_of(self)) != NULL
        && self->node.alive && (kwargs = kwargs_of(self)) != NULL
        && self->node.alive) {
        PyTuple_SET_ITEM(result, 0, obj);
        PyTuple_SET_ITEM(result, 1, Py_NewRef(self->func));
        PyTuple_SET_ITEM(result, 2, args);
        PyTuple_SET_ITEM(result, 3, kwargs);
        return result;
    }
    Py_DECREF(obj);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(finalize_detach__doc__,
             "detach($self, /)\n--\n\n"
             "End the finalizer without running it; the tuple (obj, func, "
             "args, kwargs) if it was alive, else None.");

static PyObject *
finalize_detach(PyObject *op, PyObject *ignored)
{
    PyObject *result = finalize_peek(op, ignored);
    if (result != NULL && result != Py_None && FINALIZE(op)->node.alive) {
        finalize_disarm(&FINALIZE(op)->node);
    }
    return result;
}

/* f() and, as the standard library's, f(anything) */
static PyObject *
finalize_tp_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) > 1
        || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)) {
        return PyErr_Format(PyExc_TypeError,
                            "a finalizer is called without arguments");
    }
    lifetime_state *state = lifetime_state_of_subtype(Py_TYPE(self));
    if (state == NULL) {
        return NULL;
    }
    finalize_object *own = FINALIZE(self);
    if (!own->node.alive) {
        Py_RETURN_NONE;
    }
    if (state->finalize.shut) {
        finalize_disarm(&own->node);
        Py_RETURN_NONE;
    }
    finalize_call call = take(own);
    PyObject *result = run(&call);
    drop(&call);
    return result;
}

static PyObject *
finalize_get_alive(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(FINALIZE(self)->node.alive);
}

static PyObject *
finalize_get(PyObject *self, void *flag)
{
    return finalize_get_flag(&FINALIZE(self)->node, flag);
}

static int
finalize_set(PyObject *self, PyObject *value, void *flag)
{
    return finalize_set_flag(&FINALIZE(self)->node, value, flag);
}

static PyObject *
finalize_tp_repr(PyObject *self)
{
    PyObject *name = PyType_GetName(Py_TYPE(self)), *obj = NULL, *text;
    if (name == NULL) {
        return NULL;
    }
    if (FINALIZE(self)->node.alive && PyWeakref_GetRef(self, &obj) > 0) {
        text = PyUnicode_FromFormat("<%U object at %p; for '%s' at %p>", name,
                                    self, Py_TYPE(obj)->tp_name, obj);
        Py_DECREF(obj);
    }
    else {
        text = PyUnicode_FromFormat("<%U object at %p; dead>", name, self);
    }
    Py_DECREF(name);
    return text;
}

/* weakref.ref compares and hashes its object; a finalizer is itself. */
static PyObject *
finalize_tp_richcompare(PyObject *a, PyObject *b, int op)
{
    return PyBaseObject_Type.tp_richcompare(a, b, op);
}

/* ---- memory */

static int
finalize_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    finalize_object *self = FINALIZE(op);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->func);
    Py_VISIT(self->values);
    Py_VISIT(self->kwnames);
    return FE_WEAKREF_TYPE->tp_traverse(op, visit, arg);
}

/* Subclasses have CPython's own pair. What was freed is as it was made: dead,
 * and with an empty weak reference.
 */
static PyObject *
finalize_tp_alloc(PyTypeObject *type, Py_ssize_t nitems)
{
    lifetime_state *state = lifetime_state_of_type(type);
    PyObject *self;
#ifndef FE_NO_FREELIST
    finalize_registry *registry = &state->finalize;
    self = registry->free_list;
    if (FE_LIKELY(self != NULL)) {
        registry->free_list = fe_dead_link_take(self);
        registry->free_count--;
        self = fe_revive(self, type);
        fe_gc_track_lightly(self, state->alone);
        return self;
    }
#endif
    self = PyType_GenericAlloc(type, nitems);
    if (self != NULL) {
        PyObject_GC_UnTrack(self);
        fe_gc_track_lightly(self, state->alone);
    }
    return self;
}

static void
finalize_tp_free(void *self)
{
#ifndef FE_NO_FREELIST
    /* NULL: the collector has cleared the type, with the module */
    lifetime_state *state = lifetime_state_of_type(Py_TYPE(self));
    finalize_registry *registry = state != NULL ? &state->finalize : NULL;
    if (FE_LIKELY(registry != NULL && registry->free_count < MAX_FREE)) {
        fe_dead_link_set(self, registry->free_list);
        registry->free_list = self;
        registry->free_count++;
        return;
    }
#endif
    PyObject_GC_Del(self);
}

/* Only dead ones get here: the registry owns the others. */
static void
finalize_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    FE_WEAKREF_TYPE->tp_dealloc(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(finalize__doc__,
             "finalize(obj, func, /, *args, **kwargs)\n--\n\n"
             "Call func(*args, **kwargs) once: when obj dies, when the "
             "finalizer is called, or at exit,\nwhichever comes first. At "
             "exit the youngest runs first. An exception goes to\n"
             "sys.unraisablehook, at exit to sys.excepthook, and stops no "
             "other clean-up.\n\n"
             "A child process made by fork does not run what its parent "
             "registered, unless\n`inherit` was set or it calls the finalizer "
             "itself.\n\n"
             "TypeError if obj takes no weak references, func is not "
             "callable, or func or an\nargument can be seen to keep obj "
             "alive (a bound method of it, a closure over it).\n\n"
             "The API of weakref.finalize; a subclass takes obj as its first "
             "argument.");

PyDoc_STRVAR(finalize_alive__doc__, "Is the clean-up still to be run?");
PyDoc_STRVAR(finalize_atexit__doc__,
             "Is it run at exit? True at first; can be set while alive.");
PyDoc_STRVAR(finalize_inherit__doc__,
             "Is it run in child processes too? False at first; can be set "
             "while alive.");

static PyMethodDef finalize_methods[] = {
    {"peek", finalize_peek, METH_NOARGS, finalize_peek__doc__},
    {"detach", finalize_detach, METH_NOARGS, finalize_detach__doc__},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef finalize_getset[] = {
    {"alive", finalize_get_alive, NULL, finalize_alive__doc__, NULL},
    {"atexit", finalize_get, finalize_set, finalize_atexit__doc__,
     (void *)FINALIZE_ATEXIT},
    {"inherit", finalize_get, finalize_set, finalize_inherit__doc__,
     (void *)FINALIZE_INHERIT},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot finalize_slots[] = {
    {Py_tp_doc, FE_TEXT(finalize__doc__)},
    {Py_tp_new, FE_SLOT(finalize_tp_new)},
    {Py_tp_init, FE_SLOT(finalize_tp_init)},
    {Py_tp_call, FE_SLOT(finalize_tp_call)},
    {Py_tp_repr, FE_SLOT(finalize_tp_repr)},
    {Py_tp_hash, FE_SLOT(PyObject_GenericHash)},
    {Py_tp_richcompare, FE_SLOT(finalize_tp_richcompare)},
    {Py_tp_traverse, FE_SLOT(finalize_tp_traverse)},
    {Py_tp_alloc, FE_SLOT(finalize_tp_alloc)},
    {Py_tp_free, FE_SLOT(finalize_tp_free)},
    {Py_tp_dealloc, FE_SLOT(finalize_tp_dealloc)},
    {Py_tp_methods, finalize_methods},
    {Py_tp_getset, finalize_getset},
    {0, NULL},
};

static PyType_Spec finalize_spec = {
    .name = "ferrule._lifetime.finalize",
    .basicsize = sizeof(finalize_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = finalize_slots,
};

int
finalize_register(PyObject *module, lifetime_state *state)
{
    finalize_registry_init(&state->finalize);
    state->str_finalize = PyUnicode_InternFromString("__finalize__");
    state->finalize_callback =
        PyCFunction_NewEx(&finalize_callback_def, module, NULL);
    state->finalize_exit = PyCFunction_NewEx(&finalize_exit_def, module, NULL);
    state->finalize_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &finalize_spec, (PyObject *)FE_WEAKREF_TYPE);
    state->finalizable_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &finalizable_spec, NULL);
    if (state->str_finalize == NULL || state->finalize_callback == NULL
        || state->finalize_exit == NULL || state->finalize_type == NULL
        || state->finalizable_type == NULL) {
        return -1;
    }
    state->finalize_type->tp_vectorcall = finalize_tp_vectorcall;
    if (PyModule_AddFunctions(module, finalize_functions) < 0
        || PyModule_AddType(module, state->finalize_type) < 0
        || PyModule_AddType(module, state->finalizable_type) < 0) {
        return -1;
    }
    return 0;
}
