/* SPDX-License-Identifier: MIT
 *
 * The table of a WeakValueDictionary: entries in the order of insertion and
 * an index over them, open addressing without tombstones. Whatever lets go of
 * a key or a reference does so when the table is whole again.
 */
#include "lifetime_state.h"

enum {
    BITS_FIRST = 3,
    BITS_LAST = 30,
    ROOM_KEPT = 40, /* an empty table keeps its memory up to here */
};

/* ------------------------------------------------------------------ index */

/* Multiplying by 2**64 / golden ratio and taking the upper bits spreads
 * hashes that follow each other, as those of ints and addresses do, evenly.
 */
static inline uint32_t
weak_dict_home(const weak_table *table, Py_hash_t hash)
{
    return (uint32_t)(((uint64_t)hash * UINT64_C(0x9E3779B97F4A7C15))
                      >> (64 - table->bits));
}

static inline uint32_t
weak_dict_mask(const weak_table *table)
{
    return ((uint32_t)1 << table->bits) - 1;
}

static void
weak_dict_index_add(weak_table *table, Py_hash_t hash, int32_t i)
{
    uint32_t mask = weak_dict_mask(table);
    uint32_t slot = weak_dict_home(table, hash);
    while (table->index[slot] >= 0) {
        slot = (slot + 1) & mask;
    }
    table->index[slot] = i;
}

/* Entries behind the one that goes move up, unless that would put them in
 * front of their home.
 */
static void
weak_dict_index_remove(weak_table *table, int32_t i)
{
    uint32_t mask = weak_dict_mask(table);
    uint32_t hole = weak_dict_home(table, table->entries[i].hash);
    while (table->index[hole] != i) {
        hole = (hole + 1) & mask;
    }
    for (uint32_t slot = (hole + 1) & mask; table->index[slot] >= 0;
         slot = (slot + 1) & mask) {
        const weak_entry *entry = &table->entries[table->index[slot]];
        uint32_t home = weak_dict_home(table, entry->hash);
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            table->index[hole] = table->index[slot];
            hole = slot;
        }
    }
    table->index[hole] = -1;
}

static inline bool
weak_dict_same_text(PyObject *a, PyObject *b)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(a);
    unsigned int kind = PyUnicode_KIND(a);
    return length == PyUnicode_GET_LENGTH(b) && kind == PyUnicode_KIND(b)
           && memcmp(PyUnicode_DATA(a), PyUnicode_DATA(b),
                     (size_t)length * kind)
                  == 0;
}

/* A comparison may change the table: then all begins again. */
static FE_NOINLINE int32_t
weak_dict_find_any(weak_dict *self, PyObject *key, Py_hash_t hash)
{
    const weak_table *table = &self->table;
    while (table->live > 0) {
        uint64_t version = self->version;
        uint32_t mask = weak_dict_mask(table);
        uint32_t slot = weak_dict_home(table, hash);
        int32_t i;
        for (;; slot = (slot + 1) & mask) {
            i = table->index[slot];
            if (i < 0 || table->entries[i].key == key) {
                return i;
            }
            if (table->entries[i].hash != hash) {
                continue;
            }
            PyObject *other = Py_NewRef(table->entries[i].key);
            int equal = PyObject_RichCompareBool(other, key, Py_EQ);
            bool same = self->version == version;
            Py_DECREF(other); /* not the last one, if it is still in place */
            if (equal < 0) {
                return WEAK_ERROR;
            }
            if (!same) {
                break;
            }
            if (equal) {
                return i;
            }
        }
    }
    return WEAK_ABSENT;
}

int32_t
weak_dict_find(weak_dict *self, PyObject *key, Py_hash_t hash)
{
    const weak_table *table = &self->table;
    if (table->live == 0) {
        return WEAK_ABSENT;
    }
    bool text = PyUnicode_CheckExact(key);
    uint32_t mask = weak_dict_mask(table);
    for (uint32_t slot = weak_dict_home(table, hash);;
         slot = (slot + 1) & mask) {
        int32_t i = table->index[slot];
        if (i < 0) {
            return WEAK_ABSENT;
        }
        const weak_entry *entry = &table->entries[i];
        if (entry->key == key) {
            return i;
        }
        if (entry->hash == hash) {
            if (!text || !PyUnicode_CheckExact(entry->key)) {
                return weak_dict_find_any(self, key, hash);
            }
            if (weak_dict_same_text(entry->key, key)) {
                return i;
            }
        }
    }
}

/* ----------------------------------------------------------------- memory */

static int32_t
weak_dict_room(int32_t bits)
{
    return (int32_t)(((int64_t)5 << bits) >> 3);
}

/* Move what is live to the front of `to`, which may be the same memory, and
 * index it there.
 */
static void
weak_dict_pack(weak_dict *self, weak_table *to)
{
    const weak_table *from = &self->table;
    int32_t used = 0;
    memset(to->index, 0xff, sizeof(*to->index) << to->bits);
    for (int32_t i = 0; i < from->used; i++) {
        if (from->entries[i].key == NULL) {
            continue;
        }
        to->entries[used] = from->entries[i];
        to->entries[used].ref->index = used;
        weak_dict_index_add(to, to->entries[used].hash, used);
        used++;
    }
    to->used = to->live = used;
    self->version++;
    self->layout++;
}

/* 0 or -1, without an exception */
static int
weak_dict_resize(weak_dict *self, int32_t bits)
{
    weak_table to = {.bits = bits, .room = weak_dict_room(bits)};
    size_t bytes = (size_t)to.room * sizeof(*to.entries);
    to.entries = bits <= BITS_LAST
                     ? PyMem_Malloc(bytes + (sizeof(*to.index) << bits))
                     : NULL;
    if (to.entries == NULL) {
        return -1;
    }
    to.index = (int32_t *)(void *)((char *)to.entries + bytes);
    weak_entry *old = self->table.entries;
    weak_dict_pack(self, &to);
    self->table = to;
    PyMem_Free(old);
    return 0;
}

static int32_t
weak_dict_bits_for(int64_t count)
{
    int32_t bits = BITS_FIRST;
    while (bits <= BITS_LAST && weak_dict_room(bits) < count) {
        bits++;
    }
    return bits;
}

/* All entries are in use. With a quarter of them holes, closing these pays:
 * room for so many insertions is made by moving at most three times as many.
 */
static FE_NOINLINE int
weak_dict_make_room(weak_dict *self)
{
    weak_table *table = &self->table;
    int32_t fit = weak_dict_bits_for((int64_t)table->live * 2 + 1);
    if (table->live <= table->room - table->room / 4 && table->room > 0) {
        if (fit >= table->bits - 1 || weak_dict_resize(self, fit) < 0) {
            weak_dict_pack(self, table);
        }
        return 0;
    }
    if (weak_dict_resize(self, table->room > 0 ? table->bits + 1 : BITS_FIRST)
        < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

void
weak_dict_reserve(weak_dict *self, int32_t more)
{
    int32_t bits = weak_dict_bits_for((int64_t)self->table.live + more);
    if (more > 0 && bits > self->table.bits) {
        (void)weak_dict_resize(self, bits); /* else it grows step by step */
    }
}

/* --------------------------------------------------------- in, out, empty */

int
weak_dict_append(weak_dict *self, PyObject *key, Py_hash_t hash,
                 weak_ref *ref_steal)
{
    weak_table *table = &self->table;
    if (FE_UNLIKELY(table->used == table->room)
        && weak_dict_make_room(self) < 0) {
        Py_DECREF(ref_steal);
        return -1;
    }
    int32_t i = table->used++;
    table->entries[i] = (weak_entry){
        .hash = hash,
        .key = Py_NewRef(key),
        .ref = ref_steal,
        .serial = self->serial++,
    };
    ref_steal->of.dict = self;
    ref_steal->index = i;
    weak_dict_index_add(table, hash, i);
    table->live++;
    self->version++;
    return 0;
}

weak_entry
weak_dict_take(weak_dict *self, int32_t i)
{
    weak_table *table = &self->table;
    weak_entry entry = table->entries[i];
    weak_dict_index_remove(table, i);
    table->entries[i].key = NULL;
    table->entries[i].ref = NULL;
    table->live--;
    self->version++;
    while (table->used > 0 && table->entries[table->used - 1].key == NULL) {
        table->used--;
    }
    if (table->live == 0 && table->room > ROOM_KEPT) {
        PyMem_Free(table->entries);
        *table = (weak_table){.entries = NULL};
        self->layout++;
    }
    weak_ref_leave(entry.ref, entry.key);
    return entry;
}

void
weak_dict_drop(weak_dict *self, int32_t i)
{
    weak_entry entry = weak_dict_take(self, i);
    Py_DECREF(entry.ref);
    Py_DECREF(entry.key);
}

void
weak_dict_empty(weak_dict *self)
{
    weak_table old = self->table;
    self->table = (weak_table){.entries = NULL};
    self->version++;
    self->layout++;
    /* all leave first: letting go of one may call back for another */
    for (int32_t i = 0; i < old.used; i++) {
        if (old.entries[i].key != NULL) {
            weak_ref_leave(old.entries[i].ref, old.entries[i].key);
        }
    }
    for (int32_t i = 0; i < old.used; i++) {
        Py_XDECREF(old.entries[i].ref);
        Py_XDECREF(old.entries[i].key);
    }
    PyMem_Free(old.entries);
}

/* ----------------------------------------------------------------- cursor */

weak_cursor
weak_cursor_start(const weak_dict *self)
{
    return (weak_cursor){.layout = self->layout, .limit = self->serial};
}

/* Serials ascend, also those of holes. */
static int32_t
weak_cursor_seek(const weak_table *table, uint64_t serial)
{
    int32_t low = 0, high = table->used;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (table->entries[middle].serial < serial) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

/* A position behind the end, or at an entry that is too new, needs no care:
 * where holes were trimmed only newer entries come.
 */
const weak_entry *
weak_cursor_next(const weak_dict *self, weak_cursor *at)
{
    const weak_table *table = &self->table;
    if (at->layout != self->layout) {
        at->layout = self->layout;
        at->position = weak_cursor_seek(table, at->next);
    }
    while (at->position < table->used) {
        const weak_entry *entry = &table->entries[at->position];
        if (entry->serial >= at->limit) {
            break;
        }
        at->position++;
        at->next = entry->serial + 1;
        if (entry->key != NULL) {
            return entry;
        }
    }
    return NULL;
}
