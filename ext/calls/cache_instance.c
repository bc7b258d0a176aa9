/* SPDX-License-Identifier: MIT
 *
 * The results of methods, for each instance. A weak reference says when the
 * instance goes, and its callback is the very record that goes with it, so
 * nothing is looked up and no instance is hashed or compared.
 */
#include "calls_state.h"

#define CACHE_INSTANCE(op) ((cache_instance *)(op))

enum { CACHE_MAP_BITS_FIRST = 3 };

/* ---- the map */

static size_t
cache_map_home(const cache_map *map, const PyObject *instance)
{
    return (
        size_t)(((uint64_t)(uintptr_t)instance * UINT64_C(0x9E3779B97F4A7C15))
                >> (64 - map->bits));
}

static void
cache_map_put(cache_map *map, cache_instance *record)
{
    size_t mask = ((size_t)1 << map->bits) - 1;
    size_t at = cache_map_home(map, record->instance);
    while (map->slots[at] != NULL) {
        at = (at + 1) & mask;
    }
    map->slots[at] = record;
}

/* At most half of the slots are taken. 0, or -1 with MemoryError */
static int
cache_map_reserve(cache_map *map)
{
    size_t length = map->slots != NULL ? (size_t)1 << map->bits : 0;
    if ((size_t)(map->used + 1) <= length / 2) {
        return 0;
    }
    int bits = length != 0 ? map->bits + 1 : CACHE_MAP_BITS_FIRST;
    cache_instance **old = map->slots;
    cache_instance **slots =
        PyMem_Calloc((size_t)1 << bits, sizeof(cache_instance *));
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    map->slots = slots;
    map->bits = bits;
    for (size_t i = 0; i < length; i++) {
        if (old[i] != NULL) {
            cache_map_put(map, old[i]);
        }
    }
    PyMem_Free(old);
    return 0;
}

/* Take the record out; the map's reference is the caller's now. */
static void
cache_map_take(cache_map *map, const cache_instance *record)
{
    size_t mask = ((size_t)1 << map->bits) - 1;
    size_t hole = cache_map_home(map, record->instance);
    while (map->slots[hole] != record) {
        hole = (hole + 1) & mask;
    }
    for (size_t at = (hole + 1) & mask; map->slots[at] != NULL;
         at = (at + 1) & mask) {
        size_t home = cache_map_home(map, map->slots[at]->instance);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = NULL;
    map->used--;
}

/* The record has left the map: let go of what it holds, and of it. */
static void
cache_instance_end(cache_instance *record_steal)
{
    record_steal->owner = NULL;
    PyObject *ref = record_steal->ref;
    record_steal->ref = NULL;
    cache_table_clear(&record_steal->table);
    Py_XDECREF(ref);
    Py_DECREF(record_steal);
}

void
cache_map_clear(cache_object *self)
{
    cache_map map = self->map;
    self->map = (cache_map){NULL, 0, 0};
    size_t length = map.slots != NULL ? (size_t)1 << map.bits : 0;
    for (size_t i = 0; i < length; i++) {
        if (map.slots[i] != NULL) {
            map.slots[i]->owner = NULL; /* a callback finds nothing to do */
        }
    }
    for (size_t i = 0; i < length; i++) {
        if (map.slots[i] != NULL) {
            cache_instance_end(map.slots[i]);
        }
    }
    PyMem_Free(map.slots);
}

int
cache_map_traverse(const cache_object *self, visitproc visit, void *arg)
{
    const cache_map *map = &self->map;
    size_t length = map->slots != NULL ? (size_t)1 << map->bits : 0;
    for (size_t i = 0; i < length; i++) {
        Py_VISIT(map->slots[i]);
    }
    return 0;
}

Py_ssize_t
cache_map_live(const cache_object *self)
{
    const cache_map *map = &self->map;
    size_t length = map->slots != NULL ? (size_t)1 << map->bits : 0;
    Py_ssize_t live = 0;
    for (size_t i = 0; i < length; i++) {
        live += map->slots[i] != NULL ? map->slots[i]->table.live : 0;
    }
    return live;
}

/* ---- a record */

/* The instance has gone. */
static PyObject *
cache_instance_tp_vectorcall(PyObject *op, PyObject *const *Py_UNUSED(args),
                             size_t Py_UNUSED(nargsf),
                             PyObject *Py_UNUSED(kwnames))
{
    cache_instance *self = CACHE_INSTANCE(op);
    if (self->owner != NULL) {
        cache_map *map = &self->owner->map;
        cache_map_take(map, self);
        if (map->used == 0) {
            PyMem_Free(map->slots);
            map->slots = NULL;
        }
        cache_instance_end(self);
    }
    Py_RETURN_NONE;
}

static int
cache_instance_refuse(const cache_object *self, PyObject *instance)
{
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
        return -1;
    }
    PyErr_Clear(); /* TypeError: no weak references */
    PyObject *name = fe_wrap_name(self->head.wrapped, "__qualname__");
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "cache: %U is cached for each instance, and instances of "
                     "'%.200s' cannot be weakly referenced: add '__weakref__' "
                     "to __slots__, or use cache(per_instance=False)",
                     name, Py_TYPE(instance)->tp_name);
        Py_DECREF(name);
    }
    return -1;
}

/* new: a record that is in no map. May call into Python. */
static cache_instance *
cache_instance_new(calls_state *state, const cache_object *self,
                   PyObject *instance)
{
    cache_instance *record =
        PyObject_GC_New(cache_instance, state->cache_instance_type);
    if (record == NULL) {
        return NULL;
    }
    record->vectorcall = cache_instance_tp_vectorcall;
    record->owner = NULL;
    record->instance = instance;
    record->ref = NULL;
    memset(&record->table, 0, sizeof(record->table));
    PyObject_GC_Track(record);
    record->ref = PyWeakref_NewRef(instance, (PyObject *)record);
    if (record->ref == NULL) {
        (void)cache_instance_refuse(self, instance);
        Py_CLEAR(record);
    }
    return record;
}

/* borrowed from the map: what there is at this address, even if it is dead */
static cache_instance *
cache_instance_at(const cache_map *map, const PyObject *instance)
{
    if (map->slots == NULL) {
        return NULL;
    }
    size_t mask = ((size_t)1 << map->bits) - 1;
    size_t at = cache_map_home(map, instance);
    while (map->slots[at] != NULL && map->slots[at]->instance != instance) {
        at = (at + 1) & mask;
    }
    return map->slots[at];
}

/* new: the record to use, which is in the map now. Steals record. */
static cache_instance *
cache_instance_enter(cache_object *self, cache_instance *record)
{
    cache_instance *there =
        cache_instance_find(self, record->instance); /* made meanwhile */
    if (there != NULL) {
        Py_INCREF(there);
    }
    else if (cache_map_reserve(&self->map) == 0) {
        /* of one whose end nobody told: the address is another's now */
        cache_instance *stale =
            cache_instance_at(&self->map, record->instance);
        if (stale != NULL) {
            cache_map_take(&self->map, stale);
        }
        record->owner = self;
        cache_map_put(&self->map, record);
        self->map.used++;
        Py_INCREF(record); /* the map's */
        if (stale != NULL) {
            cache_instance_end(stale);
        }
        return record;
    }
    Py_CLEAR(record->ref); /* record and reference hold each other */
    Py_DECREF(record);
    return there;
}

cache_instance *
cache_instance_of(calls_state *state, cache_object *self, PyObject *instance)
{
    cache_instance *found = cache_instance_find(self, instance);
    if (found != NULL) {
        return (cache_instance *)Py_NewRef(found);
    }
    found = cache_instance_new(state, self, instance);
    return found != NULL ? cache_instance_enter(self, found) : NULL;
}

/* ---- the type */

static int
cache_instance_tp_traverse(cache_instance *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->ref);
    return cache_table_traverse(&self->table, visit, arg);
}

/* The reference stays while it is in the map: it is looked at there. */
static int
cache_instance_tp_clear(cache_instance *self)
{
    if (self->owner == NULL) {
        Py_CLEAR(self->ref);
    }
    cache_table_clear(&self->table);
    return 0;
}

static void
cache_instance_tp_dealloc(cache_instance *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->ref);
    cache_table_clear(&self->table);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(cache_instance__doc__,
             "What a cached method has given for one instance.");

static PyMemberDef cache_instance_members[] = {
    {FE_TEXT("__vectorcalloffset__"), Py_T_PYSSIZET,
     offsetof(cache_instance, vectorcall), Py_READONLY, NULL},
    {0},
};

static PyType_Slot cache_instance_slots[] = {
    {Py_tp_dealloc, FE_SLOT(cache_instance_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(cache_instance_tp_traverse)},
    {Py_tp_clear, FE_SLOT(cache_instance_tp_clear)},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_members, cache_instance_members},
    {Py_tp_doc, FE_TEXT(cache_instance__doc__)},
    {0, NULL},
};

PyType_Spec cache_instance_spec = {
    .name = "ferrule.calls.CacheInstance",
    .basicsize = sizeof(cache_instance),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cache_instance_slots,
};
