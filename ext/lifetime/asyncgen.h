/* SPDX-License-Identifier: MIT
 *
 * AsyncGenTracker: every async generator from its first iteration to its end.
 *
 * asyncgen.c         the tracker: lists, counts, events
 * asyncgen_entry.c   what a tracked generator keeps, and the hook that gives
 * it asyncgen_site.c    where generators are begun, and how often
 * asyncgen_switch.c  how the hook comes before whatever hooks there are
 */
#ifndef ASYNCGEN_H
#define ASYNCGEN_H

#include "compat.h"

typedef struct lifetime_state lifetime_state;

#define ASYNCGEN_STATE(X)                                                     \
    X(PyTypeObject *, asyncgen_tracker_type)                                  \
    X(PyTypeObject *, asyncgen_hook_type)                                     \
    X(PyTypeObject *, asyncgen_entry_type)                                    \
    X(PyObject *, asyncgen_trackers) /* tuple: those that are started */      \
    X(PyObject *, asyncgen_str_created)                                       \
    X(PyObject *, asyncgen_str_finished)                                      \
    X(PyObject *, asyncgen_str_leaked)

typedef struct {
    PyObject *free_list; /* dead entries */
    uint32_t free_count;
    uint32_t exit_depth; /* fork depth for which atexit knows us, plus one */
    bool on;             /* hooks are in place: some tracker is started */
    bool shut;           /* the interpreter exits */
    fe_builtin set_hooks, get_hooks;
} asyncgen_switch;

/* One place: a generator function, and the instruction that first iterates
 * it. Owned by its tracker until that dies; never moves.
 */
typedef struct {
    PyObject *generator_code; /* owned */
    PyObject *caller_code;    /* owned; NULL: no Python code */
    int offset;
    PyObject *site; /* owned */
    uint64_t created, finished, leaked;
} asyncgen_record;

typedef struct {
    asyncgen_record **slots; /* open addressing, at most half full */
    size_t mask;             /* count of slots - 1; slots NULL: none yet */
    size_t used;
    asyncgen_record *other; /* what is beyond the limit */
    asyncgen_record *last;  /* found last; NULL: none yet */
} asyncgen_table;

typedef struct {
    PyObject *generator_code, *caller_code; /* borrowed */
    int offset;
} asyncgen_key;

typedef struct asyncgen_entry asyncgen_entry;
typedef struct asyncgen_tracker asyncgen_tracker;

/* A generator in one tracker's list. */
typedef struct asyncgen_link {
    struct asyncgen_link *prev, *next; /* NULL: in no list */
    struct asyncgen_link *sibling;     /* owned: the same in another tracker */
    asyncgen_entry *entry;
    asyncgen_tracker *tracker; /* owned */
    asyncgen_record *record;
} asyncgen_link;

typedef enum {
    ASYNCGEN_NEW, /* not counted yet */
    ASYNCGEN_LIVE,
    ASYNCGEN_FINISHED,
    ASYNCGEN_LEAKED, /* in the list of dropped ones until it dies */
} asyncgen_status;

/* Stands where the generator keeps its finalizer, and goes with it. */
struct asyncgen_entry {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *ref; /* owned weak reference to the generator, kept for the next
                    * one; NULL: none yet */
    PyObject *generator; /* borrowed from nobody: only to be compared */
    PyObject *finalizer; /* owned: the one it stands for; NULL: none */
    asyncgen_link first; /* its tracker is NULL only while NEW */
    asyncgen_status status;
};

struct asyncgen_tracker {
    PyObject_HEAD lifetime_state *state;
    PyObject *module;    /* owned: keeps the state */
    PyObject *site_type; /* owned */
    PyObject *on_event;  /* owned; NULL: none */
    asyncgen_table table;
    asyncgen_link live, dropped; /* heads: oldest first */
    Py_ssize_t max_sites;
    bool started;
};

#define ASYNCGEN_TRACKER(op) ((asyncgen_tracker *)(op))

int asyncgen_register(PyObject *module, lifetime_state *state);
int asyncgen_traverse(lifetime_state *state, visitproc visit, void *arg);
void asyncgen_clear(lifetime_state *state);

/* asyncgen_entry.c */
extern PyType_Spec asyncgen_entry_spec;
extern PyType_Spec asyncgen_hook_spec;
/* new: a hook that stands for nothing yet */
PyObject *asyncgen_new_hook(PyObject *module);
/* borrowed from the hook: what it stands for, NULL if nothing */
PyObject *asyncgen_hook_inner(PyObject *hook);
/* stolen: inner */
void asyncgen_hook_set_inner(PyObject *hook, PyObject *inner);
void asyncgen_free_entries(lifetime_state *state);
/* Count the entry's generator as ended, everywhere; the event is not sent. */
void asyncgen_finish(asyncgen_entry *entry);
/* gen: None if it is gone. Runs Python code; never fails. */
void asyncgen_tell(asyncgen_entry *entry, PyObject *event, PyObject *gen);

/* asyncgen_site.c */
asyncgen_record *asyncgen_look_up(asyncgen_tracker *tracker, asyncgen_key key);

static inline bool
asyncgen_matches(const asyncgen_record *record, asyncgen_key key)
{
    return record->generator_code == key.generator_code
           && record->caller_code == key.caller_code
           && record->offset == key.offset;
}

/* borrowed from the tracker; may run Python code the first time. Many in a row
 * from one place are the rule: asking the table costs 60 instructions more.
 */
static inline asyncgen_record *
asyncgen_find(asyncgen_tracker *tracker, asyncgen_key key)
{
    asyncgen_record *last = tracker->table.last;
    return last != NULL && asyncgen_matches(last, key)
               ? last
               : asyncgen_look_up(tracker, key);
}
int asyncgen_table_traverse(asyncgen_table *table, visitproc visit, void *arg);
void asyncgen_table_free(asyncgen_table *table);

/* asyncgen_switch.c */
/* Hooks in place, also in threads begun since. */
int asyncgen_switch_on(PyObject *module, lifetime_state *state);
void asyncgen_switch_off(lifetime_state *state);
/* All trackers, for good: the interpreter or the module goes. */
void asyncgen_stop_all(lifetime_state *state);
/* atexit has to know, once in each process */
int asyncgen_watch_exit(PyObject *module, lifetime_state *state);

#endif
