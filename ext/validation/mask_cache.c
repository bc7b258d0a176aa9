/* SPDX-License-Identifier: MIT
 *
 * A table of classes, found by identity and held by weak references: an entry
 * goes with its class. Open addressing, linear probing; a full table of dead
 * and living grows to twice the living.
 */
#include "validation_state.h"

typedef struct {
    PyObject *cls;   /* borrowed: compare only; NULL: free; the cache: grave */
    PyObject *guard; /* owned weak reference; NULL if free or a grave */
    PyObject *value; /* owned, NULL as above */
} cache_entry;

typedef struct {
    PyObject_HEAD PyObject *forget; /* owned: called when a class dies */
    cache_entry *entries;
    size_t size; /* a power of 2, or 0 */
    size_t used; /* graves included */
} cache_object;

#define CACHE(op) ((cache_object *)(op))

static size_t
cache_start(const cache_object *self, PyObject *cls)
{
    uintptr_t word = (uintptr_t)cls >> 4;
    return (word ^ (word >> 9)) & (self->size - 1);
}

static cache_entry *
cache_find(const cache_object *self, PyObject *cls)
{
    if (self->size == 0) {
        return NULL;
    }
    for (size_t i = cache_start(self, cls);; i = (i + 1) & (self->size - 1)) {
        cache_entry *entry = &self->entries[i];
        if (entry->cls == NULL) {
            return NULL;
        }
        if (entry->cls == cls && fe_weakref_peek(entry->guard) == cls) {
            return entry;
        }
    }
}

PyObject *
mask_cache_get(PyObject *cache, PyObject *cls)
{
    const cache_entry *entry = cache_find(CACHE(cache), cls);
    return entry != NULL ? Py_NewRef(entry->value) : NULL;
}

/* The callback of a class's weak reference: its entry becomes a grave. */
static PyObject *
cache_forget(PyObject *op, PyObject *guard)
{
    cache_object *self = CACHE(op);
    for (size_t i = 0; i < self->size; i++) {
        cache_entry *entry = &self->entries[i];
        if (entry->guard == guard) {
            cache_entry taken = *entry;
            *entry = (cache_entry){op, NULL, NULL};
            Py_DECREF(taken.guard);
            Py_DECREF(taken.value);
            break;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef cache_forget_def = {"forget", cache_forget, METH_O, NULL};

/* A free place or a grave */
static cache_entry *
cache_free_place(const cache_object *self, PyObject *cls)
{
    size_t i = cache_start(self, cls);
    while (self->entries[i].guard != NULL) {
        i = (i + 1) & (self->size - 1);
    }
    return &self->entries[i];
}

/* Make room for one more. */
static int
cache_grow(cache_object *self)
{
    if ((self->used + 1) * 3 <= self->size * 2) {
        return 0;
    }
    size_t living = 0, size = 16;
    for (size_t i = 0; i < self->size; i++) {
        living += self->entries[i].guard != NULL;
    }
    while (size < living * 3) {
        size *= 2;
    }
    cache_object grown = *self;
    grown.entries = PyMem_Calloc(size, sizeof(cache_entry));
    if (grown.entries == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    grown.size = size;
    cache_entry *old = self->entries;
    size_t old_size = self->size;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].guard != NULL) {
            *cache_free_place(&grown, old[i].cls) = old[i];
        }
    }
    self->entries = grown.entries;
    self->size = size;
    self->used = living;
    PyMem_Free(old);
    return 0;
}

int
mask_cache_set(PyObject *cache, PyObject *cls, PyObject *value)
{
    cache_object *self = CACHE(cache);
    cache_entry *entry = cache_find(self, cls);
    if (entry != NULL) {
        Py_XSETREF(entry->value, Py_NewRef(value));
        return 0;
    }
    if (self->forget == NULL) {
        return 0; /* being taken down */
    }
    /* all allocations first: they may collect, and run code */
    PyObject *guard = PyWeakref_NewRef(cls, self->forget);
    if (guard == NULL || cache_grow(self) < 0) {
        Py_XDECREF(guard);
        return -1;
    }
    entry = cache_find(self, cls);
    if (entry != NULL) { /* entered meanwhile */
        Py_XSETREF(entry->value, Py_NewRef(value));
        Py_DECREF(guard);
        return 0;
    }
    entry = cache_free_place(self, cls);
    self->used += entry->cls == NULL; /* a grave is counted already */
    *entry = (cache_entry){cls, guard, Py_NewRef(value)};
    return 0;
}

static int
cache_tp_traverse(cache_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->forget);
    for (size_t i = 0; i < self->size; i++) {
        Py_VISIT(self->entries[i].guard);
        Py_VISIT(self->entries[i].value);
    }
    return 0;
}

static int
cache_tp_clear(cache_object *self)
{
    cache_entry *entries = self->entries;
    size_t size = self->size;
    self->entries = NULL;
    self->size = self->used = 0;
    Py_CLEAR(self->forget);
    for (size_t i = 0; i < size; i++) {
        Py_XDECREF(entries[i].guard);
        Py_XDECREF(entries[i].value);
    }
    PyMem_Free(entries);
    return 0;
}

static void
cache_tp_dealloc(cache_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    cache_tp_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyType_Slot cache_slots[] = {
    {Py_tp_traverse, FE_SLOT(cache_tp_traverse)},
    {Py_tp_clear, FE_SLOT(cache_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(cache_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec cache_spec = {
    .name = "ferrule.validation._ClassCache",
    .basicsize = sizeof(cache_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cache_slots,
};

PyObject *
mask_cache_new(validation_state *state)
{
    PyTypeObject *type = state->mask_cache_type;
    cache_object *self = (cache_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->forget = PyCFunction_New(&cache_forget_def, (PyObject *)self);
    if (self->forget == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

int
mask_cache_register(PyObject *module, validation_state *state)
{
    state->mask_cache_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &cache_spec, NULL);
    return state->mask_cache_type != NULL ? 0 : -1;
}
