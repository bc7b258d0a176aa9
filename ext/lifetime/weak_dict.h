/* SPDX-License-Identifier: MIT
 *
 * WeakValueDictionary: the table, the references in it, and what its files
 * share. The picture is in README.md.
 */
#ifndef WEAK_DICT_H
#define WEAK_DICT_H

#include "compat.h"

typedef struct lifetime_state lifetime_state;
typedef struct weak_dict weak_dict;

#define WEAK_DICT_STATE(X)                                                    \
    X(PyTypeObject *, weak_dict_type)                                         \
    X(PyTypeObject *, weak_dict_ref_type)                                     \
    X(PyTypeObject *, weak_dict_iterator_type)                                \
    X(PyObject *, weak_dict_callback)                                         \
    X(PyObject *, weak_dict_mapping)  /* collections.abc.Mapping */           \
    X(PyObject *, weak_dict_deepcopy) /* copy.deepcopy, once it is needed */  \
    X(PyObject *, str_copy)                                                   \
    X(PyObject *, str_items)                                                  \
    X(PyObject *, str_keys)                                                   \
    X(PyObject *, str_missing)                                                \
    X(PyObject *, str_update)

typedef struct {
    PyObject *free_list; /* dead references */
    uint32_t free_count;
} weak_dict_pool;

int weak_dict_register(PyObject *module, lifetime_state *state);
void weak_dict_free(lifetime_state *state);

/* A reference to a value. In a table (index >= 0) the table owns it, and
 * knows its key; once it has left it owns the key itself, if anyone still
 * holds it.
 */
typedef struct {
    PyWeakReference base;
    union {
        weak_dict *dict; /* borrowed: it takes its references out first */
        PyObject *key;   /* owned, or NULL */
    } of;
    int32_t index; /* among the entries of dict, or -1 */
} weak_ref;

/* The callback of all references of one interpreter. */
typedef struct {
    PyObject_HEAD vectorcallfunc vectorcall;
    lifetime_state *state; /* the module's */
    PyObject *module;
} weak_callback;

typedef struct {
    Py_hash_t hash;
    PyObject *key; /* owned; NULL: a hole, which keeps its serial */
    weak_ref *ref; /* owned */
    uint64_t serial;
} weak_entry;

typedef struct {
    weak_entry *entries; /* in the order of insertion; NULL: no room at all */
    int32_t *index;      /* hash -> entry or -1; in the same block */
    int32_t used;        /* entries, with holes; the last one is no hole */
    int32_t live;        /* entries without holes */
    int32_t room;        /* entries there is memory for */
    int32_t bits;        /* log2 of the length of index */
} weak_table;

struct weak_dict {
    PyObject_HEAD weak_table table;
    uint64_t version;  /* changes when an entry comes, goes or moves */
    uint64_t layout;   /* changes when entries move */
    uint64_t serial;   /* of the next entry */
    PyObject *factory; /* or NULL */
    weak_callback *callback;
    PyObject *attributes; /* __dict__, or NULL */
    PyObject *weak_list;
};

/* A place between entries. What is added after it was made is not shown. */
typedef struct {
    uint64_t layout;
    uint64_t next;  /* lowest serial not seen yet */
    uint64_t limit; /* serials from here on are too new */
    int32_t position;
} weak_cursor;

enum { WEAK_ABSENT = -1, WEAK_ERROR = -2 };

/* weak_dict_table.c: none of these calls into Python, unless it says so */

/* Index of the entry, WEAK_ABSENT or WEAK_ERROR. May compare keys in Python,
 * but not after the table's last change: the answer holds.
 */
int32_t weak_dict_find(weak_dict *self, PyObject *key, Py_hash_t hash);
/* 0, or -1 with MemoryError; there must be no such key */
int weak_dict_append(weak_dict *self, PyObject *key, Py_hash_t hash,
                     weak_ref *ref_steal);
/* Room for so many entries more, if there is memory. */
void weak_dict_reserve(weak_dict *self, int32_t more);
/* Take entry i out; its key and reference are the caller's (new). */
weak_entry weak_dict_take(weak_dict *self, int32_t i);
/* Take entry i out and let go of it: may call into Python last of all. */
void weak_dict_drop(weak_dict *self, int32_t i);
/* Take everything out and let go of it: may call into Python. */
void weak_dict_empty(weak_dict *self);

weak_cursor weak_cursor_start(const weak_dict *self);
/* borrowed from the table: the next entry, or NULL. */
const weak_entry *weak_cursor_next(const weak_dict *self, weak_cursor *at);

/* weak_dict_ref.c */

int weak_ref_register(PyObject *module, lifetime_state *state);
/* new: a reference that is in no table. May call into Python. `what` says in
 * the message what the value is: "the value of".
 */
weak_ref *weak_ref_new(weak_dict *self, PyObject *key, PyObject *value,
                       const char *what);
/* The reference leaves the table, where it was under `key`. */
void weak_ref_leave(weak_ref *ref, PyObject *key);

/* new: the value, or NULL without an exception */
static inline PyObject *
weak_ref_value(weak_ref *ref)
{
    return Py_XNewRef(fe_weakref_peek((PyObject *)ref));
}

/* weak_dict_iter.c */

typedef enum { WEAK_KEYS, WEAK_VALUES, WEAK_ITEMS, WEAK_REFS } weak_kind;

int weak_iter_register(PyObject *module, lifetime_state *state);
PyObject *weak_iter_new(weak_dict *self, weak_kind kind);

/* weak_dict.c: all may call into Python */

int weak_dict_check(const lifetime_state *state, PyObject *obj);
/* 0, or -1 with RuntimeError: the collector has cleared module and state, and
 * something in the same garbage still uses a dictionary
 */
int weak_dict_need_module(const lifetime_state *state);
/* 1: *value is new; 0: none, or a dead one; -1: error */
int weak_dict_lookup(weak_dict *self, PyObject *key, Py_hash_t hash,
                     PyObject **value);
int weak_dict_store(weak_dict *self, PyObject *key, Py_hash_t hash,
                    PyObject *value);
/* new: the value that is under key now: an older one, or `value` */
PyObject *weak_dict_store_first(weak_dict *self, PyObject *key, Py_hash_t hash,
                                PyObject *value, const char *what);
void weak_dict_key_error(PyObject *key);

/* weak_dict_methods.c */

extern PyMethodDef weak_dict_methods[];
int weak_dict_update_from(weak_dict *self, PyObject *other);
int weak_dict_update_dict(weak_dict *self, PyObject *dict);
PyObject *weak_dict_nb_or(PyObject *left, PyObject *right);
PyObject *weak_dict_nb_inplace_or(weak_dict *self, PyObject *other);
PyObject *weak_dict_tp_richcompare(weak_dict *self, PyObject *other, int op);
/* new: a dict of the keys and references (or, if not refs, live values) */
PyObject *weak_dict_as_dict(weak_dict *self, bool refs);

#endif
