/* SPDX-License-Identifier: MIT
 *
 * The references in a WeakValueDictionary, and the one callback they share.
 * A death finds its entry by index: it neither hashes nor compares keys.
 */
#include "lifetime_state.h"

enum { POOL_MOST = 256 };

/* -------------------------------------------------------------- reference */

static PyObject *
weak_ref_tp_alloc(PyTypeObject *type, Py_ssize_t Py_UNUSED(items))
{
    weak_ref *self;
    lifetime_state *state = lifetime_state_of_type(type);
    weak_dict_pool *pool = &state->weak_dict;
    if (FE_LIKELY(pool->free_list != NULL)) {
        PyObject *dead = pool->free_list;
        pool->free_list = fe_dead_link_take(dead);
        pool->free_count--;
        self = (weak_ref *)(void *)fe_revive(dead, type);
    }
    else {
        self = PyObject_GC_New(weak_ref, type);
        if (self == NULL) {
            return NULL;
        }
    }
    memset((char *)self + sizeof(PyObject), 0,
           sizeof(*self) - sizeof(PyObject));
    self->index = -1;
    fe_gc_track_lightly((PyObject *)self, state->alone);
    return (PyObject *)self;
}

static void
weak_ref_tp_free(void *self)
{
#ifndef FE_NO_FREELIST
    weak_dict_pool *pool = &lifetime_state_of_type(Py_TYPE(self))->weak_dict;
    if (FE_LIKELY(pool->free_count < POOL_MOST)) {
        fe_dead_link_set(self, pool->free_list);
        pool->free_list = self;
        pool->free_count++;
        return;
    }
#endif
    PyObject_GC_Del(self);
}

/* The type is not visited: so it is alive, and leads to the pool, as long as
 * a reference is.
 */
static int
weak_ref_tp_traverse(weak_ref *self, visitproc visit, void *arg)
{
    if (self->index < 0) {
        Py_VISIT(self->of.key);
    }
    return FE_WEAKREF_TYPE->tp_traverse((PyObject *)self, visit, arg);
}

static int
weak_ref_tp_clear(weak_ref *self)
{
    if (self->index < 0) {
        Py_CLEAR(self->of.key);
    }
    return FE_WEAKREF_TYPE->tp_clear((PyObject *)self);
}

static void
weak_ref_tp_dealloc(weak_ref *self)
{
    PyTypeObject *type = Py_TYPE(self);
    assert(self->index < 0);
    PyObject *key = self->of.key;
    FE_WEAKREF_TYPE->tp_dealloc((PyObject *)self); /* leads to tp_free */
    Py_DECREF(type);
    Py_XDECREF(key);
}

static bool
weak_ref_check(PyObject *obj)
{
    return Py_TYPE(obj)->tp_dealloc == (destructor)weak_ref_tp_dealloc;
}

static PyObject *
weak_ref_get_key(weak_ref *self, void *Py_UNUSED(closure))
{
    PyObject *key = self->index < 0
                        ? self->of.key
                        : self->of.dict->table.entries[self->index].key;
    return Py_NewRef(key != NULL ? key : Py_None);
}

/* With a key of its own it may be part of a cycle. */
static FE_NOINLINE void
weak_ref_keep_key(weak_ref *ref, PyObject *key)
{
    ref->of.key = Py_NewRef(key);
    if (fe_gc_is_alone((PyObject *)ref)) {
        PyObject_GC_UnTrack(ref);
        PyObject_GC_Track(ref);
    }
}

void
weak_ref_leave(weak_ref *ref, PyObject *key)
{
    ref->index = -1;
    ref->of.key = NULL;
    if (FE_UNLIKELY(Py_REFCNT(ref) > 1)) {
        weak_ref_keep_key(ref, key);
    }
}

static FE_NOINLINE void
weak_ref_refuse(PyObject *key, PyObject *value, const char *what)
{
    PyErr_Clear(); /* TypeError: the value's type has no weak references */
    /* not PyErr_Format: early versions of 3.11 lose what the repr raises */
    PyObject *text = PyUnicode_FromFormat(
        "WeakValueDictionary: cannot create weak reference to '%s' object, "
        "%s key %.200R",
        Py_TYPE(value)->tp_name, what, key);
    if (text != NULL) {
        PyErr_SetObject(PyExc_TypeError, text);
        Py_DECREF(text);
    }
}

weak_ref *
weak_ref_new(weak_dict *self, PyObject *key, PyObject *value, const char *what)
{
    lifetime_state *state = self->callback->state;
    if (weak_dict_need_module(state) < 0) {
        return NULL;
    }
    PyObject *ref = lifetime_new_ref(state, state->weak_dict_ref_type, value,
                                     (PyObject *)self->callback);
    if (FE_UNLIKELY(ref == NULL) && PyErr_ExceptionMatches(PyExc_TypeError)) {
        weak_ref_refuse(key, value, what);
    }
    return (weak_ref *)(void *)ref;
}

static PyGetSetDef weak_ref_getset[] = {
    {"key", (getter)weak_ref_get_key, NULL, "Key the value is or was under.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot weak_ref_slots[] = {
    {Py_tp_doc, FE_TEXT("Weak reference to a value of a "
                        "WeakValueDictionary.")},
    {Py_tp_alloc, FE_SLOT(weak_ref_tp_alloc)},
    {Py_tp_free, FE_SLOT(weak_ref_tp_free)},
    {Py_tp_dealloc, FE_SLOT(weak_ref_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(weak_ref_tp_traverse)},
    {Py_tp_clear, FE_SLOT(weak_ref_tp_clear)},
    {Py_tp_getset, FE_SLOT(weak_ref_getset)},
    {0, NULL},
};

static PyType_Spec weak_ref_spec = {
    .name = "ferrule.lifetime.KeyedRef",
    .basicsize = sizeof(weak_ref),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = weak_ref_slots,
};

/* --------------------------------------------------------------- callback */

/* Called when a value has died. An object of our own instead of a builtin
 * function: one call less, and the state without asking the module.
 */
static PyObject *
weak_callback_call(PyObject *Py_UNUSED(self), PyObject *const *args,
                   size_t nargsf, PyObject *kwnames)
{
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL
        || !weak_ref_check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "the callback of a WeakValueDictionary wants one of "
                        "its references");
        return NULL;
    }
    weak_ref *ref = (weak_ref *)(void *)args[0];
    if (FE_LIKELY(ref->index >= 0)) {
        PyObject *value = weak_ref_value(ref);
        if (FE_LIKELY(value == NULL)) {
            weak_dict_drop(ref->of.dict, ref->index);
        }
        Py_XDECREF(value);
    }
    Py_RETURN_NONE;
}

static int
weak_callback_tp_traverse(weak_callback *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->module);
    return 0;
}

/* There is no tp_clear: dictionaries need the state to their last moment, and
 * the module lets go of its callback itself.
 */
static void
weak_callback_tp_dealloc(weak_callback *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_DECREF(self->module);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *
weak_callback_get_closure(weak_callback *Py_UNUSED(self),
                          void *Py_UNUSED(closure))
{
    Py_RETURN_NONE;
}

static PyGetSetDef weak_callback_getset[] = {
    {"__closure__", (getter)weak_callback_get_closure, NULL,
     "None: it holds on to no dictionary.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef weak_callback_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET,
     offsetof(weak_callback, vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot weak_callback_slots[] = {
    {Py_tp_doc, FE_TEXT("Takes a dead value out of its WeakValueDictionary.")},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_dealloc, FE_SLOT(weak_callback_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(weak_callback_tp_traverse)},
    {Py_tp_getset, FE_SLOT(weak_callback_getset)},
    {Py_tp_members, FE_SLOT(weak_callback_members)},
    {0, NULL},
};

static PyType_Spec weak_callback_spec = {
    .name = "ferrule.lifetime.weak_value_callback",
    .basicsize = sizeof(weak_callback),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = weak_callback_slots,
};

int
weak_ref_register(PyObject *module, lifetime_state *state)
{
    state->weak_dict_ref_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &weak_ref_spec, (PyObject *)FE_WEAKREF_TYPE);
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &weak_callback_spec, NULL);
    weak_callback *callback = type != NULL && state->weak_dict_ref_type != NULL
                                  ? PyObject_GC_New(weak_callback, type)
                                  : NULL;
    Py_XDECREF(type); /* its one instance keeps it */
    if (callback == NULL) {
        return -1;
    }
    callback->vectorcall = weak_callback_call;
    callback->state = state;
    callback->module = Py_NewRef(module);
    PyObject_GC_Track(callback);
    state->weak_dict_callback = (PyObject *)callback;
    return 0;
}

void
weak_dict_free(lifetime_state *state)
{
    fe_dead_links_free(state->weak_dict.free_list);
    state->weak_dict.free_list = NULL;
    state->weak_dict.free_count = 0;
}
