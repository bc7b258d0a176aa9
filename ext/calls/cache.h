/* SPDX-License-Identifier: MIT
 *
 * cache: the wrapper, its tables and what its files share. The picture is in
 * README.md.
 */
#ifndef CACHE_H
#define CACHE_H

#include "compat.h"
#include "wrap.h"
#include "wrapper.h"

typedef struct calls_state calls_state;

#define CACHE_STATE(X)                                                        \
    X(PyTypeObject *, cache_type)                                             \
    X(PyTypeObject *, cache_instance_type)                                    \
    X(PyTypeObject *, cache_ready_type)                                       \
    X(PyTypeObject *, cache_ticket_type)                                      \
    X(PyObject *, cache_info_class) /* CacheInfo, once it is needed */        \
    X(PyObject *, cache_fly)        /* _flight.fly, once it is needed */

/* Unlimited, and no expiry. */
#define CACHE_NO_LIMIT (-1)
#define CACHE_NO_TTL 0.0

/* What threads that wait for a computation share with the one that computes.
 * Whoever lets go of it last frees it.
 */
typedef struct {
    PyThread_type_lock lock; /* held until it is over */
    Py_ssize_t refs;
    PyObject *value; /* owned; the result */
    PyObject *error; /* owned; the Exception. Neither: try yourself */
} cache_flight;

typedef enum {
    CACHE_PENDING, /* somebody computes the value */
    CACHE_DONE,    /* the value is there, and the entry in the list */
} cache_status;

/* One call and its result. References: the table's, and one of each thread or
 * ticket that computes or compares.
 */
typedef struct cache_entry cache_entry;
struct cache_entry {
    union {
        struct { /* CACHE_DONE */
            cache_entry *older, *newer;
        } list;
        struct { /* CACHE_PENDING */
            unsigned long thread;
            cache_flight *flight; /* owned; NULL while nobody waits */
        } by;
    } as;
    PyObject *value;   /* owned. Pending: flights of event loops, or NULL */
    PyObject *kwnames; /* owned tuple, or NULL */
    Py_hash_t hash;
    double expires; /* by the clock; only with a ttl */
    uint32_t refs;
    uint32_t fork;  /* pending: fe_fork_depth of who computes */
    uint32_t count; /* of key: positional values, then those of kwnames */
    uint8_t status;
    bool bare;     /* one exact int or str: no other key equals it */
    bool in_table; /* the table has a reference */
    PyObject *key[];
};

typedef struct {
    Py_hash_t hash;
    cache_entry *entry; /* NULL: free */
} cache_slot;

/* The results of a function; or of a method, for one instance. */
typedef struct {
    cache_slot *slots; /* 1 << bits of them; NULL: nothing was ever stored */
    int bits;
    Py_ssize_t used;  /* slots that are taken */
    Py_ssize_t live;  /* entries that are done */
    uint64_t version; /* changes when an entry comes or goes */
    uint64_t epoch;   /* changes when the table is cleared */
    cache_entry *oldest, *newest;
    bool traced; /* there is, or was, something the collector has to see */
} cache_table;

typedef struct cache_object cache_object;

/* The results for one instance: owned by the cache's map, and by the weak
 * reference to the instance, whose callback it is.
 */
typedef struct {
    PyObject_HEAD vectorcallfunc vectorcall;
    cache_object *owner; /* borrowed; NULL once it has left the map */
    PyObject *instance;  /* borrowed from nobody: an address to look up */
    PyObject *ref;       /* owned; NULL once it has left the map */
    cache_table table;
} cache_instance;

typedef struct {
    cache_instance **slots; /* owned; 1 << bits of them; NULL: none */
    int bits;
    Py_ssize_t used;
} cache_map;

struct cache_object {
    fe_wrap head;
    cache_table table;
    cache_map map;
    Py_ssize_t maxsize; /* CACHE_NO_LIMIT, 0: store nothing */
    double ttl;         /* CACHE_NO_TTL, or seconds */
    PyObject *clock;    /* owned, or NULL: CLOCK_MONOTONIC */
    int64_t hits, misses;
    bool typed, per_instance, single_flight;
    bool quick; /* an int or str alone may be looked up at once */
};

#define CACHE(op) ((cache_object *)(op))

/* A call as it is looked up; everything borrowed from the caller. */
typedef struct {
    PyObject *const *values; /* positional, then those of kwnames */
    PyObject *kwnames;       /* NULL if there are none */
    Py_ssize_t count;
    Py_hash_t hash;
    bool bare, typed;
} cache_key;

/* cache_table.c: nothing calls into Python unless it says so */

/* 0, or -1 with what __hash__ raised: calls into Python */
int cache_key_hash(cache_key *key);
/* 1: *entry is borrowed from the table; 0: not there; -1: what __eq__ raised.
 * May call into Python, but not after the table's last change.
 */
int cache_table_find(cache_table *table, const cache_key *key,
                     cache_entry **entry);
/* new: a pending entry, in the table; NULL with MemoryError. There must be no
 * such key. */
cache_entry *cache_table_add(cache_table *table, const cache_key *key);
/* A pending entry that is in the table gets its value (stolen). What had to
 * go for it is chained to *gone, for cache_entries_release.
 */
void cache_table_done(const cache_object *self, cache_table *table,
                      cache_entry *entry, PyObject *value_steal, double now,
                      cache_entry **gone);
/* Take the entry out; the table's reference is the caller's now. */
void cache_table_take(cache_table *table, cache_entry *entry);
/* Take everything out and let go of it: calls into Python last of all. */
void cache_table_clear(cache_table *table);
int cache_table_traverse(const cache_table *table, visitproc visit, void *arg);
/* Let go of a reference: may call into Python. */
void cache_entry_release(cache_entry *entry);
/* The same of a chain by as.list.newer. */
void cache_entries_release(cache_entry *first);
int cache_entry_traverse(const cache_entry *entry, visitproc visit, void *arg);

/* 0, or -1 with the clock's exception: calls into Python if there is a clock
 * of the user's. Without a ttl: 0.
 */
int cache_now(const cache_object *self, double *now);

/* An entry lives ttl seconds. When a clock has stepped back, one that was
 * stored more than that in what is now the future is not trusted.
 */
FE_INLINE bool
cache_is_fresh(const cache_object *self, const cache_entry *entry, double now)
{
    double left = entry->expires - now;
    return self->ttl == CACHE_NO_TTL
           || (left > 0.0 && left <= 2.0 * self->ttl);
}

FE_INLINE size_t
cache_home(const cache_table *table, Py_hash_t hash)
{
    return (size_t)(((uint64_t)hash * UINT64_C(0x9E3779B97F4A7C15))
                    >> (64 - table->bits));
}

/* The entry was used: it is the last to go. */
FE_INLINE void
cache_touch(const cache_object *self, cache_table *table, cache_entry *entry)
{
    if (self->maxsize < 0 || entry == table->newest) {
        return;
    }
    if (entry->as.list.older != NULL) {
        entry->as.list.older->as.list.newer = entry->as.list.newer;
    }
    else {
        table->oldest = entry->as.list.newer;
    }
    entry->as.list.newer->as.list.older = entry->as.list.older;
    entry->as.list.older = table->newest;
    entry->as.list.newer = NULL;
    table->newest->as.list.newer = entry;
    table->newest = entry;
}

/* cache_instance.c */
extern PyType_Spec cache_instance_spec;
/* new: the record of the instance, made if need be; NULL with an exception.
 * May call into Python.
 */
cache_instance *cache_instance_of(calls_state *state, cache_object *self,
                                  PyObject *instance);
/* Forget all: calls into Python last of all. */
void cache_map_clear(cache_object *self);
int cache_map_traverse(const cache_object *self, visitproc visit, void *arg);
Py_ssize_t cache_map_live(const cache_object *self);

/* borrowed from the map: the record of the instance, or NULL */
FE_INLINE cache_instance *
cache_instance_find(const cache_object *self, PyObject *instance)
{
    const cache_map *map = &self->map;
    if (map->slots == NULL) {
        return NULL;
    }
    size_t mask = ((size_t)1 << map->bits) - 1;
    size_t at =
        (size_t)(((uint64_t)(uintptr_t)instance * UINT64_C(0x9E3779B97F4A7C15))
                 >> (64 - map->bits));
    while (map->slots[at] != NULL) {
        cache_instance *found = map->slots[at];
        if (found->instance == instance) {
            return fe_weakref_peek(found->ref) == instance ? found : NULL;
        }
        at = (at + 1) & mask;
    }
    return NULL;
}

/* cache_flight.c */

/* A thread that waits, and for which. On that thread's stack. */
typedef struct cache_wait cache_wait;
struct cache_wait {
    unsigned long thread, owner;
    cache_wait *next;
};

/* All that wait in this interpreter, in any cache. */
typedef struct {
    cache_wait *first;
    uint32_t fork; /* of a parent process, they are not there any more */
} cache_waits;

typedef enum {
    CACHE_WAIT_FAILED = -1, /* an exception is set: of a signal, or memory */
    CACHE_WAIT_VALUE = 0,   /* *value is new */
    CACHE_WAIT_ERROR,       /* the computation's exception is set */
    CACHE_WAIT_AGAIN,       /* it came to nothing: look again */
    CACHE_WAIT_ALONE, /* to wait would be for ever: compute it yourself */
} cache_wait_result;

/* Wait for who computes the pending entry. Releases the interpreter's lock. */
cache_wait_result cache_flight_wait(cache_waits *waits, cache_entry *entry,
                                    PyObject **value);
/* The pending entry is over: tell those who wait. With value NULL, the
 * exception that is set goes to them if it is an Exception; it stays set.
 */
void cache_flight_end(cache_flight *flight, PyObject *value);

/* cache_async.c */
extern PyType_Spec cache_ready_spec;
extern PyType_Spec cache_ticket_spec;
/* new: an awaitable that has the value */
PyObject *cache_ready_new(calls_state *state, PyObject *value);
/* new: a coroutine that computes the entry's value, or waits for who does.
 * holder is the record whose table it is, or NULL.
 */
PyObject *cache_fly(calls_state *state, cache_object *self,
                    cache_instance *holder, cache_entry *entry,
                    PyObject *const *args, size_t nargsf, PyObject *kwnames);

/* cache.c */
int cache_register(PyObject *module, calls_state *state);

#endif
