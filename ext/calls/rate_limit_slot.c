/* SPDX-License-Identifier: MIT
 *
 * Where limits stand: slots, and the table of slots by key. A key leaves the
 * table only when it is idle, that is, when a fresh slot would do as well; so
 * a table never lets more calls through than its limits.
 */
#include "calls_state.h"

#define FIRST_CAPACITY 8

/* ---- slots */

rate_limit_slot *
rate_limit_slot_new(calls_state *state, PyObject *store, PyObject *name,
                    const rate_limit_rule *rule)
{
    int64_t *word = NULL;
    if (store != NULL) {
        word = shared_store_word(store, name, rule);
        if (word == NULL) {
            return NULL;
        }
    }
    rate_limit_slot *slot =
        PyObject_New(rate_limit_slot, state->rate_limit_slot_type);
    if (slot == NULL) {
        return NULL;
    }
    slot->own = RATE_LIMIT_IDLE;
    slot->word = word != NULL ? word : &slot->own;
    slot->store = Py_XNewRef(store);
    memset(&slot->spare, 0, sizeof(slot->spare));
    slot->epoch = 0;
    slot->gone = false;
    return slot;
}

void
rate_limit_slot_reset(rate_limit_slot *slot)
{
    int64_t idle = slot->store != NULL ? 0 : RATE_LIMIT_IDLE;
    __atomic_store_n(slot->word, idle, __ATOMIC_RELAXED);
    rate_limit_spare_clear(&slot->spare);
    slot->epoch++;
}

static void
rate_limit_slot_tp_dealloc(PyObject *op)
{
    rate_limit_slot *self = (rate_limit_slot *)op;
    PyTypeObject *type = Py_TYPE(op);
    rate_limit_spare_clear(&self->spare);
    Py_XDECREF(self->store);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(rate_limit_slot__doc__, "Where one limit of rate_limit stands.");

static PyType_Slot rate_limit_slot_slots[] = {
    {Py_tp_dealloc, FE_SLOT(rate_limit_slot_tp_dealloc)},
    {Py_tp_doc, FE_TEXT(rate_limit_slot__doc__)},
    {0, NULL},
};

PyType_Spec rate_limit_slot_spec = {
    .name = "ferrule.calls.RateLimitSlot",
    .basicsize = sizeof(rate_limit_slot),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = rate_limit_slot_slots,
};

/* ---- the table */

static inline size_t
entry_place(Py_hash_t hash, size_t mask)
{
    /* hashes of small ints are the ints: spread them a little */
    uint64_t spread = (uint64_t)hash * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(spread >> 32) & mask;
}

int
rate_limit_table_find(rate_limit_table *table, PyObject *key, Py_hash_t hash,
                      rate_limit_slot **slot)
{
again:
    if (table->capacity == 0) {
        return 0;
    }
    size_t mask = table->capacity - 1;
    for (size_t i = entry_place(hash, mask);; i = (i + 1) & mask) {
        rate_limit_entry *entry = &table->entries[i];
        if (entry->key == NULL) {
            return 0;
        }
        if (entry->hash != hash) {
            continue;
        }
        int same = 1;
        if (entry->key != key) {
            uint64_t version = table->version;
            PyObject *other = Py_NewRef(entry->key);
            same = PyObject_RichCompareBool(other, key, Py_EQ);
            Py_DECREF(other);
            if (same < 0) {
                return -1;
            }
            if (version != table->version) {
                goto again; /* __eq__ changed the table */
            }
        }
        if (same) {
            *slot = (rate_limit_slot *)Py_NewRef((PyObject *)entry->slot);
            return 1;
        }
    }
}

static void
put(rate_limit_entry *entries, size_t mask, const rate_limit_entry *entry)
{
    size_t i = entry_place(entry->hash, mask);
    while (entries[i].key != NULL) {
        i = (i + 1) & mask;
    }
    entries[i] = *entry;
}

/* How many keys are idle at now, and when the first of the others will be */
static size_t
count_idle(const rate_limit_table *table, int64_t now, int64_t *first)
{
    size_t idle = 0;
    *first = INT64_MAX;
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->entries[i].key == NULL) {
            continue;
        }
        int64_t until =
            __atomic_load_n(table->entries[i].slot->word, __ATOMIC_RELAXED);
        idle += until <= now;
        if (until > now && until < *first) {
            *first = until;
        }
    }
    return idle;
}

/* Make the table anew with room for one more, without `idle` idle keys, which
 * go to *dropped. 0, or -1 with MemoryError and nothing changed.
 */
static int
renew(rate_limit_table *table, size_t idle, int64_t now,
      rate_limit_entry **dropped)
{
    size_t capacity = FIRST_CAPACITY, dropping = 0;
    while (capacity * 2 < (table->count - idle + 1) * 3 + 1) {
        capacity *= 2;
    }
    rate_limit_entry *entries =
        PyMem_Calloc(capacity, sizeof(rate_limit_entry));
    rate_limit_entry *idles = PyMem_Calloc(idle + 1, sizeof(rate_limit_entry));
    if (entries == NULL || idles == NULL) {
        PyMem_Free(entries);
        PyMem_Free(idles);
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < table->capacity; i++) {
        rate_limit_entry *entry = &table->entries[i];
        if (entry->key == NULL) {
            continue;
        }
        /* time of a page goes on: no more than were counted */
        if (dropping < idle && rate_limit_is_idle(entry->slot->word, now)) {
            entry->slot->gone = true;
            idles[dropping++] = *entry;
        }
        else {
            put(entries, capacity - 1, entry);
        }
    }
    PyMem_Free(table->entries);
    table->entries = entries;
    table->capacity = capacity;
    table->count -= dropping;
    table->version++;
    *dropped = idles;
    return 0;
}

int
rate_limit_table_add(rate_limit_table *table, PyObject *key, Py_hash_t hash,
                     rate_limit_slot *slot, int64_t now,
                     rate_limit_entry **dropped)
{
    bool full = table->count >= table->count_max;
    *dropped = NULL;
    if (full && now < table->full_until) {
        return 0;
    }
    /* at most two thirds of the entries are in use */
    if (full || (table->count + 1) * 3 > table->capacity * 2) {
        int64_t first;
        size_t idle = count_idle(table, now, &first);
        if (full && idle == 0) {
            table->full_until = first;
            return 0;
        }
        if (renew(table, idle, now, dropped) < 0) {
            return -1;
        }
        if (table->count >= table->count_max) {
            return 0; /* another process has just used what was idle */
        }
    }
    rate_limit_entry entry = {hash, Py_NewRef(key), slot};
    Py_INCREF(slot);
    put(table->entries, table->capacity - 1, &entry);
    table->count++;
    table->version++;
    return 1;
}

void
rate_limit_entries_free(rate_limit_entry *entries)
{
    for (size_t i = 0; entries != NULL && entries[i].key != NULL; i++) {
        Py_DECREF(entries[i].key);
        Py_DECREF(entries[i].slot);
    }
    PyMem_Free(entries);
}

void
rate_limit_table_clear(rate_limit_table *table)
{
    rate_limit_entry *entries = table->entries;
    size_t capacity = table->capacity;
    table->entries = NULL;
    table->capacity = table->count = 0;
    table->full_until = RATE_LIMIT_IDLE;
    table->version++;
    for (size_t i = 0; i < capacity; i++) {
        if (entries[i].key != NULL) {
            entries[i].slot->gone = true;
        }
    }
    for (size_t i = 0; i < capacity; i++) {
        if (entries[i].key != NULL) {
            Py_DECREF(entries[i].key);
            Py_DECREF(entries[i].slot);
        }
    }
    PyMem_Free(entries);
}

int
rate_limit_table_traverse(rate_limit_table *table, visitproc visit, void *arg)
{
    for (size_t i = 0; i < table->capacity; i++) {
        Py_VISIT(table->entries[i].key);
    }
    return 0;
}
