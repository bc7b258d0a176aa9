/* SPDX-License-Identifier: MIT
 *
 * Where generators are begun. Two code objects and an offset are the key;
 * names and lines are worked out once per site.
 */
#include "lifetime_state.h"

enum { FIRST_SLOTS = 16 };

static size_t
hash_key(asyncgen_key key)
{
    uint64_t hash = (uint64_t)(uintptr_t)key.generator_code >> 4;
    hash = hash * 0x9e3779b97f4a7c15u;
    hash ^= (uint64_t)(uintptr_t)key.caller_code >> 4;
    hash += (uint64_t)(unsigned)key.offset << 32;
    hash = hash * 0x9e3779b97f4a7c15u;
    return (size_t)(hash >> 32);
}

/* The slot where the key is or would be. */
static asyncgen_record **
probe(const asyncgen_table *table, asyncgen_key key)
{
    size_t at = hash_key(key) & table->mask;
    while (table->slots[at] != NULL
           && !asyncgen_matches(table->slots[at], key)) {
        at = (at + 1) & table->mask;
    }
    return &table->slots[at];
}

static asyncgen_key
key_of(const asyncgen_record *record)
{
    asyncgen_key key = {record->generator_code, record->caller_code,
                        record->offset};
    return key;
}

static int
grow(asyncgen_table *table)
{
    size_t count = table->slots != NULL ? 2 * (table->mask + 1) : FIRST_SLOTS;
    asyncgen_table bigger = *table;
    bigger.mask = count - 1;
    bigger.slots = PyMem_Calloc(count, sizeof(*bigger.slots));
    if (bigger.slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        if (table->slots[i] != NULL) {
            *probe(&bigger, key_of(table->slots[i])) = table->slots[i];
        }
    }
    PyMem_Free(table->slots);
    *table = bigger;
    return 0;
}

/* ---- names */

/* new: what is not known is empty */
static PyObject *
new_site(asyncgen_tracker *tracker, asyncgen_key key)
{
    PyCodeObject *of = (PyCodeObject *)key.generator_code;
    PyCodeObject *in = (PyCodeObject *)key.caller_code;
    if (in == NULL) {
        return PyObject_CallFunction(tracker->site_type, "OOissi",
                                     of->co_qualname, of->co_filename,
                                     of->co_firstlineno, "", "", 0);
    }
    int line = PyCode_Addr2Line(in, key.offset);
    return PyObject_CallFunction(tracker->site_type, "OOiOOi", of->co_qualname,
                                 of->co_filename, of->co_firstlineno,
                                 in->co_qualname, in->co_filename,
                                 line > 0 ? line : 0);
}

static void
free_record(asyncgen_record *record)
{
    Py_XDECREF(record->generator_code);
    Py_XDECREF(record->caller_code);
    Py_XDECREF(record->site);
    PyMem_Free(record);
}

/* stolen: site, which may be NULL with an exception */
static asyncgen_record *
new_record(asyncgen_key key, PyObject *site)
{
    if (site == NULL) {
        return NULL;
    }
    asyncgen_record *record = PyMem_Calloc(1, sizeof(*record));
    if (record == NULL) {
        Py_DECREF(site);
        PyErr_NoMemory();
        return NULL;
    }
    record->generator_code = Py_XNewRef(key.generator_code);
    record->caller_code = Py_XNewRef(key.caller_code);
    record->offset = key.offset;
    record->site = site;
    return record;
}

/* ---- the table */

static asyncgen_record *
other_record(asyncgen_tracker *tracker)
{
    asyncgen_table *table = &tracker->table;
    if (table->other != NULL) {
        return table->other;
    }
    asyncgen_key none = {NULL, NULL, 0};
    asyncgen_record *record =
        new_record(none, PyObject_CallFunction(tracker->site_type, "ssissi",
                                               "(other)", "", 0, "", "", 0));
    if (table->other != NULL) { /* the call above ran code */
        if (record != NULL) {
            free_record(record);
        }
        PyErr_Clear(); /* MemoryError: no record is needed any more */
        return table->other;
    }
    table->other = record;
    return record;
}

FE_NOINLINE static asyncgen_record *
add_record(asyncgen_tracker *tracker, asyncgen_key key)
{
    asyncgen_table *table = &tracker->table;
    if (table->used >= (size_t)tracker->max_sites) {
        return other_record(tracker);
    }
    asyncgen_record *record = new_record(key, new_site(tracker, key));
    if (record == NULL) {
        return NULL;
    }
    /* Making the site ran code: read the table anew. */
    if ((table->slots == NULL || 2 * (table->used + 1) > table->mask)
        && grow(table) < 0) {
        free_record(record);
        return NULL;
    }
    asyncgen_record **slot = probe(table, key);
    if (*slot != NULL) {
        asyncgen_record *found = *slot;
        free_record(record);
        return found;
    }
    if (table->used >= (size_t)tracker->max_sites) {
        free_record(record);
        return other_record(tracker);
    }
    *slot = record;
    table->used++;
    return record;
}

asyncgen_record *
asyncgen_look_up(asyncgen_tracker *tracker, asyncgen_key key)
{
    asyncgen_table *table = &tracker->table;
    asyncgen_record *found = table->slots != NULL ? *probe(table, key) : NULL;
    if (found == NULL) {
        found = add_record(tracker, key);
    }
    if (found != NULL && found != table->other) {
        table->last = found;
    }
    return found;
}

static int
visit_record(asyncgen_record *record, visitproc visit, void *arg)
{
    if (record != NULL) {
        Py_VISIT(record->generator_code);
        Py_VISIT(record->caller_code);
        Py_VISIT(record->site);
    }
    return 0;
}

int
asyncgen_table_traverse(asyncgen_table *table, visitproc visit, void *arg)
{
    int stop = visit_record(table->other, visit, arg);
    for (size_t i = 0; !stop && table->slots != NULL && i <= table->mask;
         i++) {
        stop = visit_record(table->slots[i], visit, arg);
    }
    return stop;
}

/* Only for a tracker that is dead: no entry reads its records any more. */
void
asyncgen_table_free(asyncgen_table *table)
{
    if (table->other != NULL) {
        free_record(table->other);
    }
    for (size_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        if (table->slots[i] != NULL) {
            free_record(table->slots[i]);
        }
    }
    PyMem_Free(table->slots);
}
