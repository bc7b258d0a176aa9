/* SPDX-License-Identifier: MIT
 *
 * Annotations met before, found by identity: typing's aliases take 300 ns and
 * more to hash. A table of fixed size, two ways a row; the later one pushes
 * the earlier one out.
 *
 * Keys are held by weak references, and an entry goes with its key: what a
 * function makes up and drops is not kept, and no id is taken for another's.
 * Keys without weak references (int | None) are kept alive until pushed out;
 * the caller says whether that may be.
 */
#include "validation_state.h"

#define CACHE(op) ((constraint_cache *)(op))

static void
cache_take(constraint_entry *entry, constraint_entry *taken)
{
    *taken = *entry;
    memset(entry, 0, sizeof(*entry));
}

/* Runs Python code: nothing of the table may be held across it. */
static void
cache_drop(constraint_entry *taken)
{
    Py_XDECREF(taken->guard);
    Py_XDECREF(taken->constraints);
    Py_XDECREF(taken->plan);
}

/* The callback of a key's weak reference. */
static PyObject *
cache_forget(PyObject *self, PyObject *guard)
{
    constraint_entry *entry = &CACHE(self)->entries[0][0];
    constraint_entry *end =
        entry + CONSTRAINT_CACHE_ROWS * CONSTRAINT_CACHE_WAYS;
    for (; entry < end; entry++) {
        if (entry->guard == guard) {
            constraint_entry taken;
            cache_take(entry, &taken);
            cache_drop(&taken);
            break;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef cache_forget_def = {"forget", cache_forget, METH_O, NULL};

/* The entry to fill: the key's own, a free one, or the older of the row. */
static constraint_entry *
cache_place(constraint_cache *self, PyObject *key)
{
    constraint_entry *found = constraint_cache_find((PyObject *)self, key);
    if (found != NULL) {
        return found;
    }
    constraint_entry *row = self->entries[constraint_cache_row(key)];
    for (int i = 0; i < CONSTRAINT_CACHE_WAYS; i++) {
        if (row[i].guard == NULL) {
            return &row[i];
        }
    }
    /* the first is the younger */
    constraint_entry older = row[CONSTRAINT_CACHE_WAYS - 1];
    for (int i = CONSTRAINT_CACHE_WAYS - 1; i > 0; i--) {
        row[i] = row[i - 1];
    }
    row[0] = older;
    return &row[0];
}

int
constraint_cache_add(validation_state *state, PyObject *key,
                     PyObject *constraints, PyObject *plan, bool strong)
{
    constraint_cache *self = CACHE(state->constraint_cache);
    PyObject *guard;
    if (PyType_SUPPORTS_WEAKREFS(Py_TYPE(key))) {
        if (self->forget == NULL) {
            return 0; /* being taken down */
        }
        guard = PyWeakref_NewRef(key, self->forget);
        if (guard == NULL) {
            return -1;
        }
    }
    else if (strong) {
        guard = Py_NewRef(key);
    }
    else {
        return 0;
    }
    constraint_entry *entry = cache_place(self, key);
    constraint_entry old;
    cache_take(entry, &old);
    bool same = old.key == key;
    entry->key = key;
    entry->guard = guard;
    entry->constraints = constraints != NULL ? Py_NewRef(constraints)
                         : same              ? Py_XNewRef(old.constraints)
                                             : NULL;
    entry->plan = plan != NULL ? Py_NewRef(plan)
                  : same       ? Py_XNewRef(old.plan)
                               : NULL;
    cache_drop(&old);
    return 0;
}

static int
cache_tp_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(CACHE(self)->forget);
    constraint_entry *entry = &CACHE(self)->entries[0][0];
    for (int i = 0; i < CONSTRAINT_CACHE_ROWS * CONSTRAINT_CACHE_WAYS; i++) {
        Py_VISIT(entry[i].guard);
        Py_VISIT(entry[i].constraints);
        Py_VISIT(entry[i].plan);
    }
    return 0;
}

void
constraint_cache_empty(PyObject *self)
{
    constraint_entry *entry = &CACHE(self)->entries[0][0];
    for (int i = 0; i < CONSTRAINT_CACHE_ROWS * CONSTRAINT_CACHE_WAYS; i++) {
        constraint_entry taken;
        cache_take(&entry[i], &taken);
        cache_drop(&taken);
    }
}

static int
cache_tp_clear(PyObject *self)
{
    Py_CLEAR(CACHE(self)->forget);
    constraint_cache_empty(self);
    return 0;
}

static void
cache_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    cache_tp_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot cache_slots[] = {
    {Py_tp_traverse, FE_SLOT(cache_tp_traverse)},
    {Py_tp_clear, FE_SLOT(cache_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(cache_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec cache_spec = {
    .name = "ferrule.validation._Cache",
    .basicsize = sizeof(constraint_cache),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cache_slots,
};

int
constraint_cache_register(PyObject *module, validation_state *state)
{
    PyTypeObject *type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &cache_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    PyObject *cache = type->tp_alloc(type, 0);
    Py_DECREF(type);
    if (cache == NULL) {
        return -1;
    }
    state->constraint_cache = cache;
    CACHE(cache)->forget = PyCFunction_New(&cache_forget_def, cache);
    return CACHE(cache)->forget != NULL ? 0 : -1;
}
