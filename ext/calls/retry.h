/* SPDX-License-Identifier: MIT
 *
 * What the files of `retry` share: what a decorator was told (the policy), the
 * wrapper, and what is known of a call once an attempt of it has failed.
 */
#ifndef RETRY_H
#define RETRY_H

#include "compat.h"
#include "wrap.h"

typedef struct calls_state calls_state;

#define RETRY_STATE(X)                                                        \
    X(PyTypeObject *, retry_type)                                             \
    X(PyTypeObject *, retry_policy_type)                                      \
    X(PyTypeObject *, retry_failed_type)                                      \
    X(PyTypeObject *, attempt_type)                                           \
    X(PyObject *, retry_error)        /* RetryError */                        \
    X(PyObject *, retry_default)      /* the policy of the bare decorator */  \
    X(PyObject *, retry_sink)         /* NULL until something failed */       \
    X(PyObject *, retry_history_name) /* "retry_history" */

/* What time.sleep and event loops bear on every system: 31 years. */
#define RETRY_LONGEST 1e9
/* Failures of one call that are remembered: the latest. */
#define RETRY_REMEMBERED 64

/* What the decorator was told. Not changed once made. */
typedef struct {
    PyObject_HEAD int64_t max_attempts;
    double delay;
    double backoff;
    double max_delay; /* infinite: none */
    double deadline;  /* infinite: none */
    bool whole;       /* waits are shown as ints, as delay was given */
    bool jitter;
    bool by_class;     /* `on` is a class or a tuple of them, no predicate */
    bool recursion;    /* RecursionError was asked for by its name */
    bool awaits;       /* before_sleep is a coroutine function */
    PyObject *on;      /* owned; this and the others NULL: not given */
    PyObject *rejects; /* owned: retry_if_result */
    PyObject *before;  /* owned: before_sleep */
    PyObject *sink;    /* owned: a logged_sink, for a printer */
    PyObject *random;  /* owned */
    PyObject *clock;   /* owned */
} retry_policy;

typedef struct {
    fe_wrap head;
    retry_policy *policy; /* owned */
    int64_t calls;        /* begun */
    int64_t retries;      /* attempts but the first of each call */
    int64_t failures;     /* calls that ended with an exception */
} retry_object;

#define RETRY(op) ((retry_object *)(op))

/* A failed attempt, without the exception: that would keep frames alive. */
typedef struct {
    PyObject *kind; /* owned: the exception's class; NULL: a rejected result */
    PyObject *text; /* owned: str(exception); NULL: it has none */
    int64_t number;
    double wait;
} retry_entry;

/* A call of which an attempt has failed. */
typedef struct {
    int64_t attempt;      /* 1 is the first */
    double wait;          /* before the next */
    double started;       /* when the deadline began */
    double elapsed;       /* since then, at most so far: clocks step back */
    PyObject *error;      /* owned: of this attempt, while it is dealt with */
    PyObject *value;      /* owned: the result that was rejected, likewise */
    PyObject *hooked;     /* owned: what before_sleep gave; NULL: no hook */
    retry_entry *entries; /* the latest failures; a ring once it is full */
    int room, count;
    int oldest; /* where the ring begins */
} retry_run;

typedef enum { RETRY_FAIL = -1, RETRY_DONE = 0, RETRY_AGAIN = 1 } retry_answer;

/* retry_policy.c */
/* new: of retry's arguments, in the order of retry_sig */
PyObject *retry_policy_new(calls_state *state, PyObject **values);
/* new: where the clock stands, in *now. 0, or -1 with an exception */
int retry_now(const retry_policy *policy, double *now);
/* Seconds to wait after attempt; -1 with an exception. May run Python code. */
int retry_wait(const retry_policy *policy, int64_t attempt, double *wait);
/* 1: an attempt that ended so is repeated; 0: not; -1 with an exception */
int retry_matches(const retry_policy *policy, PyObject *error);
extern PyType_Spec retry_policy_spec;
enum {
    RETRY_MAX_ATTEMPTS,
    RETRY_DELAY,
    RETRY_ON,
    RETRY_BACKOFF,
    RETRY_MAX_DELAY,
    RETRY_JITTER,
    RETRY_DEADLINE,
    RETRY_IF_RESULT,
    RETRY_BEFORE_SLEEP,
    RETRY_PRINTER,
    RETRY_RANDOM,
    RETRY_CLOCK,
    RETRY_ARGUMENTS,
};

/* retry_run.c */
/* An attempt has ended, with *result or, if that is NULL, with the exception
 * set. RETRY_AGAIN: *result is NULL, no exception is set; wait, then try anew.
 * RETRY_DONE: *result stands. RETRY_FAIL: *result is NULL, raise what is set.
 */
retry_answer retry_consider(retry_object *owner, retry_run *run,
                            PyObject **result);
/* Let go of what the attempt ended with: the frames of its traceback. */
void retry_run_forget(retry_run *run);
void retry_run_clear(retry_run *run);
int retry_run_register(PyObject *module, calls_state *state);

/* retry_async.c */
PyObject *retry_async_vectorcall(PyObject *op, PyObject *const *args,
                                 size_t nargsf, PyObject *kwnames);
extern PyType_Spec retry_failed_spec;

/* retry.c */
extern PyMethodDef retry_functions[];
int retry_register(PyObject *module, calls_state *state);

#endif
