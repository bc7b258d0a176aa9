/* SPDX-License-Identifier: MIT
 *
 * What every wrapper of the room is made with: the base type, decorators with
 * arguments, and coroutines that have something to do when the wrapped one
 * ends.
 */
#ifndef WRAPPER_H
#define WRAPPER_H

#include "compat.h"
#include "wrap.h"

typedef struct calls_state calls_state;

#define WRAPPER_STATE(X)                                                      \
    X(PyTypeObject *, doc_type)                                               \
    X(PyTypeObject *, wrapper_type)                                           \
    X(PyTypeObject *, decorator_type)                                         \
    X(PyTypeObject *, coroutine_type)                                         \
    X(PyObject *, assigned) /* names update_wrapper copies */                 \
    X(PyObject *, updated)  /* names of dicts it merges */

/* A decorator: its name for messages, and how it makes what stands in the
 * place of func (checked: callable). options is what the decorator was given,
 * in whatever object the feature likes; borrowed, may be NULL.
 */
typedef struct {
    const char *name;
    PyObject *(*make)(calls_state *state, PyObject *func, PyObject *options);
} calls_kind;

/* wrapper.c */
int wrapper_register(PyObject *module, calls_state *state);
/* new: a heap type derived from Wrapper; vectorcall flag and slots come with
 * it. The spec's flags are FE_WRAP_FLAGS; its basicsize that of the struct
 * whose head is fe_wrap; its own slots are tp_dealloc, tp_traverse, tp_clear
 * (calling fe_wrap_*), methods, members, getset.
 */
PyTypeObject *wrapper_subtype(PyObject *module, calls_state *state,
                              const PyType_Spec *spec);
/* new: func decorated; what a static or class method holds is decorated, and
 * stays what it was. TypeError naming the kind if func cannot be called.
 */
PyObject *wrapper_decorate(calls_state *state, const calls_kind *kind,
                           PyObject *func, PyObject *options);
/* new: to be called with the function, as often as one likes */
PyObject *wrapper_decorator(calls_state *state, const calls_kind *kind,
                            PyObject *options);

/* wrapper_update.c */
extern PyMethodDef wrapper_update_functions[];
int wrapper_update_register(calls_state *state);

/* wrapper_coroutine.c */

/* What is handed out for a coroutine function when something is to be done
 * before or after: it drives `inner`, and asks `step` whenever that ends.
 */
typedef struct calls_coroutine calls_coroutine;

/* inner has ended: with *value (owned), or, if *value is NULL, with the
 * exception that is set. The answer:
 *   CALLS_DONE   *value (owned) is the result of the whole
 *   CALLS_MORE   *value (owned) is an awaitable: the next inner
 *   CALLS_FAIL   *value is NULL, the exception that is set goes to the caller
 * May run Python code. GeneratorExit and what is no Exception must come out.
 */
typedef enum { CALLS_FAIL = -1, CALLS_DONE = 0, CALLS_MORE = 1 } calls_answer;
typedef calls_answer (*calls_step)(calls_coroutine *self, PyObject **value);

struct calls_coroutine {
    PyObject_HEAD PyObject
        *inner;        /* owned: an iterator; NULL when the whole has ended */
    PyObject *owner;   /* owned: the wrapper that was called */
    PyObject **given;  /* owned arguments for calls_call_again, or NULL */
    PyObject *kwnames; /* owned tuple or NULL */
    PyObject *extra;   /* owned, the feature's own; may be NULL */
    PyObject *weakrefs;
    calls_step step;
    /* NULL, or asked once before inner runs: 0, or -1 to fail instead */
    int (*begin)(calls_coroutine *self);
    Py_ssize_t count;  /* of given, keyword arguments included */
    PyObject *few[4];  /* given, unless they are more */
    int64_t number[2]; /* the feature's own */
    bool begun;
    bool running;
    bool failed; /* not begun, and inner is the exception of the call */
};

extern PyType_Spec calls_coroutine_spec;

/* Dead coroutines of a module's state, linked by fe_dead_link. */
typedef struct {
    PyObject *first;
    int count;
} calls_coroutine_pool;

void calls_coroutine_drain(calls_state *state);

/* new. awaitable is what a call of the function gave, or what is to be awaited
 * first; TypeError if it is not awaitable. NULL: step is asked, with None, as
 * soon as the coroutine begins.
 */
calls_coroutine *calls_coroutine_new(calls_state *state, PyObject *owner,
                                     PyObject *awaitable, calls_step step);
/* new: of a call of owner's wrapped function, with the arguments kept. If that
 * raises an Exception, the coroutine raises it when it begins.
 */
calls_coroutine *calls_coroutine_call(calls_state *state, PyObject *owner,
                                      PyObject *const *args, size_t nargsf,
                                      PyObject *kwnames, calls_step step);
/* Keep the arguments for calls_call_again. 0, or -1 with MemoryError. */
int calls_coroutine_keep(calls_coroutine *self, PyObject *const *args,
                         size_t nargsf, PyObject *kwnames);
/* new: owner's wrapped function called with the kept arguments */
PyObject *calls_call_again(calls_coroutine *self);

/* new: asyncio.sleep(seconds), or trio's where trio runs */
PyObject *calls_sleep_async(double seconds);
/* time.sleep, looked up when called: the lock is released, signals are
 * handled. 0, or -1 with the exception of a signal handler.
 */
int calls_sleep(double seconds);

#endif
