/* SPDX-License-Identifier: MIT
 *
 * rate_limit: what its files share. One limit is a slot: a word (its own, or
 * one in a page) with the permits handed back to it. A wrapper has one slot,
 * or one for each key in a table.
 */
#ifndef RATE_LIMIT_H
#define RATE_LIMIT_H

#include "compat.h"
#include "wrapper.h"
#include "rate_limit_clock.h"
#include "rate_limit_core.h"

#define RATE_LIMIT_STATE(X)                                                   \
    X(PyTypeObject *, rate_limit_type)                                        \
    X(PyTypeObject *, rate_limit_slot_type)                                   \
    X(PyTypeObject *, shared_store_type)                                      \
    X(PyObject *, rate_limited) /* the exception */

/* ---- slots: rate_limit_slot.c */

typedef struct {
    PyObject_HEAD int64_t own;
    int64_t *word;   /* &own, or into the page of store */
    PyObject *store; /* owned: SharedStore; NULL: the word is its own */
    rate_limit_spare spare;
    uint32_t epoch; /* how often it was reset: older permits are void */
    bool gone;      /* no longer in its table */
} rate_limit_slot;

extern PyType_Spec rate_limit_slot_spec;
/* new: the slot of `name` in store, or (NULL, NULL) one of its own; NULL with
 * an exception. Runs no Python code.
 */
rate_limit_slot *rate_limit_slot_new(calls_state *state, PyObject *store,
                                     PyObject *name,
                                     const rate_limit_rule *rule);
/* Forget all calls there were. */
void rate_limit_slot_reset(rate_limit_slot *slot);

typedef struct {
    Py_hash_t hash;
    PyObject *key;         /* owned; NULL: free */
    rate_limit_slot *slot; /* owned */
} rate_limit_entry;

/* Keys to slots: open addressing, linear probing, entries only ever removed by
 * making the table anew.
 */
typedef struct {
    rate_limit_entry *entries; /* owned */
    size_t capacity;           /* a power of two, or 0 */
    size_t count, count_max;
    uint64_t version;   /* changes with `entries` */
    int64_t full_until; /* no key is idle before that */
} rate_limit_table;

/* 1: *slot is new, of the key; 0: the key is new; -1: exception. Runs the
 * key's __eq__.
 */
int rate_limit_table_find(rate_limit_table *table, PyObject *key,
                          Py_hash_t hash, rate_limit_slot **slot);
/* Enter a key that find has just missed. 1; or 0: all keys are busy, the first
 * one until table->full_until; or -1 with MemoryError. Runs no Python code
 * before the key is in; *dropped (new list or NULL) is the caller's to
 * release.
 */
int rate_limit_table_add(rate_limit_table *table, PyObject *key,
                         Py_hash_t hash, rate_limit_slot *slot, int64_t now,
                         rate_limit_entry **dropped);
/* Release what add gave out. Runs Python code. */
void rate_limit_entries_free(rate_limit_entry *entries);
void rate_limit_table_clear(rate_limit_table *table);
int rate_limit_table_traverse(rate_limit_table *table, visitproc visit,
                              void *arg);

/* ---- the store: rate_limit_store.c */

extern PyType_Spec shared_store_spec;
/* borrowed from store: the word of a name (str or bytes); NULL with an
 * exception. Runs no Python code.
 */
int64_t *shared_store_word(PyObject *store, PyObject *name,
                           const rate_limit_rule *rule);
/* new bytes: name and key, the same in every process; TypeError for a key that
 * is not made of str, bytes, int, float, bool, None and tuples
 */
PyObject *shared_store_key_name(PyObject *name, PyObject *key);

/* ---- wrappers: rate_limit.c */

/* What is not needed to let a call through. */
typedef struct {
    double calls_per_sec;
    int64_t burst;
    bool waits;    /* mode "wait" */
    PyObject *key; /* owned, may be NULL, as what follows */
    PyObject *clock;
    PyObject *store;       /* SharedStore */
    PyObject *limiter;     /* of a store in Python: it has the word */
    PyObject *name;        /* str; for stores */
    rate_limit_slot *slot; /* without key and limiter */
    rate_limit_table table;
    int64_t waited, rejected, cancelled;
    /* of `clock`: what it said and what that was taken for */
    int64_t clock_raw, clock_now;
    uint64_t clock_count;
} rate_limit_side;

typedef struct {
    fe_wrap head;
    calls_state *state; /* borrowed: the type keeps the module */
    int64_t *word;      /* of side->slot */
    int64_t interval, tolerance;
    int64_t allowed;
    rate_limit_side *side; /* owned; NULL only while it is being made */
} rate_limit_object;

/* Bounds of the time 2 us apart are not good enough for a limit whose burst /
 * calls_per_sec is below this.
 */
#define RATE_LIMIT_EXACT 1000000

#define RATE_LIMIT(op) ((rate_limit_object *)(op))

/* -1 with RateLimited, counted: a call may come after so many seconds. `why`
 * goes into the message; mostly "".
 */
int rate_limit_refuse(rate_limit_object *self, PyObject *key, double seconds,
                      const char *why);
/* 0, or -1 with an exception of the user's clock */
int rate_limit_now(rate_limit_object *self, int64_t *now);
/* new: the key of a call, None without one; NULL with an exception */
PyObject *rate_limit_key(rate_limit_object *self, PyObject *const *args,
                         size_t nargsf, PyObject *kwnames);
/* 1: *slot is new, of the key; 0: no room, *now is set; -1: exception */
int rate_limit_find_key(rate_limit_object *self, PyObject *key,
                        rate_limit_slot **slot, int64_t *now);
/* 1: *slot is new, where the limit of the key stands; 0: no room for a new
 * key until side->table.full_until; -1: exception. *now is set but then.
 */
int rate_limit_find(rate_limit_object *self, PyObject *key,
                    rate_limit_slot **slot, int64_t *now);

/* ---- what the decorator was given: rate_limit_options.c */

/* A tuple: rate (float), burst (int), key, mode is "wait" (bool), store, name,
 * max_keys (int), clock; None where nothing was given.
 */
enum {
    RATE_LIMIT_RATE,
    RATE_LIMIT_BURST,
    RATE_LIMIT_KEY,
    RATE_LIMIT_WAITS,
    RATE_LIMIT_STORE,
    RATE_LIMIT_NAME,
    RATE_LIMIT_MAX,
    RATE_LIMIT_CLOCK,
    RATE_LIMIT_OPTIONS,
};

/* new: the tuple; NULL with the exception of a wrong argument */
PyObject *rate_limit_options(calls_state *state, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames);

/* ---- calls that do not go straight through: rate_limit_wait.c */

/* The call as it is when the word alone does not let it through. */
PyObject *rate_limit_call_slow(PyObject *self, PyObject *const *args,
                               size_t nargsf, PyObject *kwnames);
/* Take a permit without waiting: 1; 0 and *seconds to wait; -1 exception */
int rate_limit_try(rate_limit_object *self, PyObject *key, double *seconds);
/* 0 and *seconds until a call would be let through; -1 exception */
int rate_limit_peek(rate_limit_object *self, PyObject *key, double *seconds);

/* Stages of a coroutine, number[1]: a step adds its own behind. */
enum { RATE_LIMIT_BEGUN, RATE_LIMIT_CALLED };

/* new: to be awaited; nothing is taken before. extra is the key. */
PyObject *rate_limit_coroutine(rate_limit_object *self, PyObject *key,
                               calls_step step, PyObject *const *args,
                               size_t nargsf, PyObject *kwnames);
/* The end of a step: the function is called. */
calls_answer rate_limit_call_now(calls_coroutine *coroutine, PyObject **value);

/* ---- a store in Python has the word: rate_limit_limiter.c */

PyObject *rate_limit_call_limiter(PyObject *self, PyObject *const *args,
                                  size_t nargsf, PyObject *kwnames);
int rate_limit_try_limiter(rate_limit_object *self, PyObject *key,
                           double *seconds);
int rate_limit_peek_limiter(rate_limit_object *self, PyObject *key,
                            double *seconds);

/* new: what reset() gives */
PyObject *rate_limit_reset_limiter(rate_limit_object *self);

/* rate_limit.c */
int rate_limit_register(PyObject *module, calls_state *state);

#endif
