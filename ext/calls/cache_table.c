/* SPDX-License-Identifier: MIT
 *
 * The table of a cache: entries that hold a call's arguments beside its
 * result, found by open addressing without tombstones, and those that are done
 * in a list by age. Whatever lets go of an object does so when the table is
 * whole again.
 */
#include "calls_state.h"
#include "fork.h"

#include "clock.h"

enum {
    CACHE_BITS_FIRST = 4,
    /* expired entries that a new one drops, when none would be evicted */
    CACHE_DROP = 2,
};

/* ------------------------------------------------------------------ keys */

/* The steps of xxHash64 over the hashes, as CPython's tuples. */
FE_INLINE uint64_t
cache_mix(uint64_t sum, Py_hash_t hash)
{
    sum += (uint64_t)hash * UINT64_C(14029467366897019727);
    sum = (sum << 31) | (sum >> 33);
    return sum * UINT64_C(11400714785074694791);
}

/* An int or str alone needs no call into Python, and no mixing. */
static int
cache_hash_bare(cache_key *key)
{
    PyObject *value = key->values[0];
    int64_t number;
    if (PyLong_CheckExact(value) && fe_long_in_place(value, &number)) {
        key->hash = (Py_hash_t)number;
        return 0;
    }
    key->hash = PyObject_Hash(value);
    return key->hash == -1 && PyErr_Occurred() ? -1 : 0;
}

int
cache_key_hash(cache_key *key)
{
    if (key->bare) {
        return cache_hash_bare(key);
    }
    uint64_t sum = UINT64_C(2870177450012600261) + (uint64_t)key->count;
    for (Py_ssize_t i = 0; i < key->count; i++) {
        Py_hash_t hash = PyObject_Hash(key->values[i]);
        if (hash == -1) {
            return -1;
        }
        sum = cache_mix(sum, hash);
    }
    if (key->kwnames != NULL) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key->kwnames); i++) {
            /* a string's hash, whatever a subclass says: cannot fail */
            sum = cache_mix(sum, PyUnicode_Type.tp_hash(
                                     PyTuple_GET_ITEM(key->kwnames, i)));
        }
    }
    key->hash = (Py_hash_t)sum;
    return 0;
}

FE_INLINE bool
cache_same_text(PyObject *a, PyObject *b)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(a);
    unsigned int kind = PyUnicode_KIND(a);
    return length == PyUnicode_GET_LENGTH(b) && kind == PyUnicode_KIND(b)
           && memcmp(PyUnicode_DATA(a), PyUnicode_DATA(b),
                     (size_t)length * kind)
                  == 0;
}

/* 1: equal; 0: not; -1: only Python can tell */
FE_INLINE int
cache_same_in_place(PyObject *a, PyObject *b)
{
    if (a == b) {
        return 1;
    }
    if (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b)) {
        return cache_same_text(a, b);
    }
    if (PyLong_CheckExact(a) && PyLong_CheckExact(b)) {
        int64_t m, n;
        if (fe_long_in_place(a, &m) && fe_long_in_place(b, &n)) {
            return m == n;
        }
    }
    return -1;
}

/* Keywords are the same in the order of the call only, as in functools. */
static bool
cache_same_names(PyObject *a, PyObject *b)
{
    if (a == b) {
        return true;
    }
    if (a == NULL || b == NULL || PyTuple_GET_SIZE(a) != PyTuple_GET_SIZE(b)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(a); i++) {
        PyObject *x = PyTuple_GET_ITEM(a, i), *y = PyTuple_GET_ITEM(b, i);
        if (x != y && !cache_same_text(x, y)) {
            return false;
        }
    }
    return true;
}

/* Compare the rest in Python, from value i on. The entry is held meanwhile. */
static FE_NOINLINE int
cache_same_any(cache_entry *entry, const cache_key *key, Py_ssize_t i)
{
    int same = 1;
    entry->refs++;
    for (; same > 0 && i < key->count; i++) {
        same = PyObject_RichCompareBool(entry->key[i], key->values[i], Py_EQ);
    }
    cache_entry_release(entry);
    return same;
}

/* 1: entry has this key; 0: not; -1: error. May call into Python. */
static int
cache_entry_same(cache_entry *entry, const cache_key *key)
{
    if (entry->bare != key->bare || entry->count != (size_t)key->count
        || !cache_same_names(entry->kwnames, key->kwnames)) {
        return 0;
    }
    if (key->typed) {
        for (Py_ssize_t i = 0; i < key->count; i++) {
            if (Py_TYPE(entry->key[i]) != Py_TYPE(key->values[i])) {
                return 0;
            }
        }
    }
    for (Py_ssize_t i = 0; i < key->count; i++) {
        int same = cache_same_in_place(entry->key[i], key->values[i]);
        if (same <= 0) {
            return same == 0 ? 0 : cache_same_any(entry, key, i);
        }
    }
    return 1;
}

/* --------------------------------------------------------------- entries */

static cache_entry *
cache_entry_new(const cache_key *key)
{
    size_t size =
        sizeof(cache_entry) + (size_t)key->count * sizeof(PyObject *);
    cache_entry *entry = PyMem_Malloc(size);
    if (entry == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    entry->as.by.thread = 0;
    entry->as.by.flight = NULL;
    entry->value = NULL;
    entry->kwnames = Py_XNewRef(key->kwnames);
    entry->hash = key->hash;
    entry->expires = 0.0;
    entry->refs = 1;
    entry->fork = fe_fork_depth;
    entry->count = (uint32_t)key->count;
    entry->status = CACHE_PENDING;
    entry->bare = key->bare;
    entry->in_table = false;
    for (Py_ssize_t i = 0; i < key->count; i++) {
        entry->key[i] = Py_NewRef(key->values[i]);
    }
    return entry;
}

void
cache_entry_release(cache_entry *entry)
{
    if (--entry->refs > 0) {
        return;
    }
    Py_XDECREF(entry->value);
    Py_XDECREF(entry->kwnames);
    for (uint32_t i = 0; i < entry->count; i++) {
        Py_DECREF(entry->key[i]);
    }
    PyMem_Free(entry);
}

void
cache_entries_release(cache_entry *first)
{
    while (first != NULL) {
        cache_entry *next = first->as.list.newer;
        cache_entry_release(first);
        first = next;
    }
}

int
cache_entry_traverse(const cache_entry *entry, visitproc visit, void *arg)
{
    Py_VISIT(entry->value);
    Py_VISIT(entry->kwnames);
    for (uint32_t i = 0; i < entry->count; i++) {
        Py_VISIT(entry->key[i]);
    }
    return 0;
}

/* ----------------------------------------------------------------- slots */

int
cache_table_find(cache_table *table, const cache_key *key, cache_entry **entry)
{
    size_t at;
again:
    if (table->slots == NULL) {
        return 0;
    }
    at = cache_home(table, key->hash);
    for (;; at = (at + 1) & (((size_t)1 << table->bits) - 1)) {
        uint64_t version = table->version;
        cache_entry *found = table->slots[at].entry;
        if (found == NULL) {
            return 0;
        }
        if (table->slots[at].hash != key->hash) {
            continue;
        }
        int same = cache_entry_same(found, key);
        if (same < 0) {
            return -1;
        }
        if (table->version != version) {
            goto again; /* a comparison changed the table */
        }
        if (same) {
            *entry = found;
            return 1;
        }
    }
}

static void
cache_slot_put(cache_table *table, cache_entry *entry)
{
    size_t mask = ((size_t)1 << table->bits) - 1;
    size_t at = cache_home(table, entry->hash);
    while (table->slots[at].entry != NULL) {
        at = (at + 1) & mask;
    }
    table->slots[at] = (cache_slot){entry->hash, entry};
}

/* At most five eighths of the slots are taken. 0, or -1 with MemoryError */
static int
cache_table_reserve(cache_table *table)
{
    size_t length = table->slots != NULL ? (size_t)1 << table->bits : 0;
    if ((size_t)(table->used + 1) <= length / 8 * 5) {
        return 0;
    }
    int bits = length != 0 ? table->bits + 1 : CACHE_BITS_FIRST;
    cache_slot *slots = PyMem_Calloc((size_t)1 << bits, sizeof(cache_slot));
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    cache_slot *old = table->slots;
    table->slots = slots;
    table->bits = bits;
    for (size_t i = 0; i < length; i++) {
        if (old[i].entry != NULL) {
            cache_slot_put(table, old[i].entry);
        }
    }
    PyMem_Free(old);
    return 0;
}

cache_entry *
cache_table_add(cache_table *table, const cache_key *key)
{
    if (cache_table_reserve(table) < 0) {
        return NULL;
    }
    cache_entry *entry = cache_entry_new(key);
    if (entry == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; !table->traced && i < key->count; i++) {
        table->traced = PyObject_IS_GC(key->values[i]);
    }
    cache_slot_put(table, entry);
    entry->in_table = true;
    entry->refs++;
    table->used++;
    table->version++;
    return entry;
}

/* ------------------------------------------------------------------ list */

static void
cache_link(cache_table *table, cache_entry *entry)
{
    entry->as.list.older = table->newest;
    entry->as.list.newer = NULL;
    if (table->newest != NULL) {
        table->newest->as.list.newer = entry;
    }
    else {
        table->oldest = entry;
    }
    table->newest = entry;
    table->live++;
}

static void
cache_unlink(cache_table *table, cache_entry *entry)
{
    cache_entry *older = entry->as.list.older, *newer = entry->as.list.newer;
    if (older != NULL) {
        older->as.list.newer = newer;
    }
    else {
        table->oldest = newer;
    }
    if (newer != NULL) {
        newer->as.list.older = older;
    }
    else {
        table->newest = older;
    }
    table->live--;
}

/* Entries behind the one that goes move up, unless that would put them in
 * front of their home.
 */
void
cache_table_take(cache_table *table, cache_entry *entry)
{
    size_t mask = ((size_t)1 << table->bits) - 1;
    size_t hole = cache_home(table, entry->hash);
    cache_slot *slots = table->slots;
    while (slots[hole].entry != entry) {
        hole = (hole + 1) & mask;
    }
    for (size_t at = (hole + 1) & mask; slots[at].entry != NULL;
         at = (at + 1) & mask) {
        size_t home = cache_home(table, slots[at].hash);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole].entry = NULL;
    entry->in_table = false;
    table->used--;
    table->version++;
    if (entry->status == CACHE_DONE) {
        cache_unlink(table, entry);
    }
}

/* The oldest goes to the chain. */
static void
cache_drop_oldest(cache_table *table, cache_entry **gone)
{
    cache_entry *entry = table->oldest;
    cache_table_take(table, entry);
    entry->as.list.newer = *gone;
    *gone = entry;
}

void
cache_table_done(const cache_object *self, cache_table *table,
                 cache_entry *entry, PyObject *value_steal, double now,
                 cache_entry **gone)
{
    table->traced = table->traced || PyObject_IS_GC(value_steal);
    entry->value = value_steal;
    entry->expires = now + self->ttl;
    entry->status = CACHE_DONE;
    if (self->maxsize >= 0 && table->live >= self->maxsize) {
        cache_drop_oldest(table, gone);
    }
    for (int i = 0;
         self->ttl != CACHE_NO_TTL && i < CACHE_DROP && table->oldest != NULL
         && !cache_is_fresh(self, table->oldest, now);
         i++) {
        cache_drop_oldest(table, gone);
    }
    cache_link(table, entry);
}

void
cache_table_clear(cache_table *table)
{
    cache_slot *slots = table->slots;
    size_t length = slots != NULL ? (size_t)1 << table->bits : 0;
    table->slots = NULL;
    table->bits = 0;
    table->used = table->live = 0;
    table->traced = false;
    table->oldest = table->newest = NULL;
    table->version++;
    table->epoch++;
    for (size_t i = 0; i < length; i++) {
        if (slots[i].entry != NULL) {
            slots[i].entry->in_table = false;
        }
    }
    for (size_t i = 0; i < length; i++) {
        if (slots[i].entry != NULL) {
            cache_entry_release(slots[i].entry);
        }
    }
    PyMem_Free(slots);
}

int
cache_table_traverse(const cache_table *table, visitproc visit, void *arg)
{
    size_t length = table->slots != NULL ? (size_t)1 << table->bits : 0;
    /* ints and strings only: 80 ns less for each at every full collection */
    for (size_t i = 0; table->traced && i < length; i++) {
        const cache_entry *entry = table->slots[i].entry;
        int stop = entry != NULL ? cache_entry_traverse(entry, visit, arg) : 0;
        if (stop != 0) {
            return stop;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------ time */

static int
cache_now_called(PyObject *clock, double *now)
{
    PyObject *result = PyObject_CallNoArgs(clock);
    if (result == NULL) {
        return -1;
    }
    *now = PyFloat_AsDouble(result);
    if (*now == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError,
                         "cache: clock must give seconds, got %.200s",
                         Py_TYPE(result)->tp_name);
        }
        Py_DECREF(result);
        return -1;
    }
    Py_DECREF(result);
    return 0;
}

int
cache_now(const cache_object *self, double *now)
{
    *now = 0.0;
    if (self->ttl == CACHE_NO_TTL) {
        return 0;
    }
    if (self->clock != NULL) {
        return cache_now_called(self->clock, now);
    }
    *now = fe_clock_seconds();
    return 0;
}
