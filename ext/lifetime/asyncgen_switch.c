/* SPDX-License-Identifier: MIT
 *
 * While a tracker is started, a hook of ours stands before the firstiter hook
 * of every thread of this interpreter. sys.set_asyncgen_hooks puts it there
 * anew and sys.get_asyncgen_hooks shows what is behind it: both are taken over
 * in place, since event loops keep the functions.
 */
#include "fork.h"
#include "lifetime_state.h"

static inline bool
is_hook(lifetime_state *state, PyObject *obj)
{
    return obj != NULL && Py_IS_TYPE(obj, state->asyncgen_hook_type);
}

/* stolen: hook. To be called for a thread that has none. */
static void
put_before(PyThreadState *tstate, PyObject *hook)
{
    PyObject **firstiter = fe_thread_firstiter(tstate);
    asyncgen_hook_set_inner(hook, *firstiter);
    *firstiter = hook;
}

/* ---- what stands for the two functions of sys */

static PyObject *
asyncgen_set_hooks(PyObject *module, PyObject *args, PyObject *kwargs)
{
    lifetime_state *state = lifetime_get_state(module);
    PyCFunctionWithKeywords original =
        (PyCFunctionWithKeywords)(uintptr_t)
            state->asyncgen.set_hooks.old->ml_meth;
    PyObject *sys = Py_NewRef(state->asyncgen.set_hooks.self);
    Py_INCREF(module); /* the call may end in stop(), which lets us go */
    PyObject *result = NULL;
    PyObject *hook = asyncgen_new_hook(module);
    if (hook != NULL) {
        result = original(sys, args, kwargs);
    }
    PyThreadState *tstate = PyThreadState_Get();
    if (hook != NULL && state->asyncgen.on
        && !is_hook(state, *fe_thread_firstiter(tstate))) {
        put_before(tstate, hook);
        hook = NULL;
    }
    Py_XDECREF(hook);
    Py_DECREF(sys);
    Py_DECREF(module);
    return result;
}

static PyObject *
asyncgen_get_hooks(PyObject *module, PyObject *unused)
{
    lifetime_state *state = lifetime_get_state(module);
    PyCFunction original = state->asyncgen.get_hooks.old->ml_meth;
    PyObject *sys = Py_NewRef(state->asyncgen.get_hooks.self);
    Py_INCREF(module);
    PyObject *result = original(sys, unused);
    if (result != NULL
        && is_hook(state, PyStructSequence_GetItem(result, 0))) {
        PyObject *hook = PyStructSequence_GetItem(result, 0);
        PyObject *inner = asyncgen_hook_inner(hook);
        /* nobody has seen the result yet */
        PyStructSequence_SetItem(result, 0,
                                 Py_NewRef(inner != NULL ? inner : Py_None));
        Py_DECREF(hook);
    }
    Py_DECREF(sys);
    Py_DECREF(module);
    return result;
}

/* Take one function of sys over, unless it is taken. */
static int
take_function(fe_builtin *taken, PyObject *sys, const char *name, int flags,
              PyCFunction meth, PyObject *module)
{
    if (taken->function != NULL) {
        return 0;
    }
    PyObject *function = PyObject_GetAttrString(sys, name);
    if (function == NULL) {
        return -1;
    }
    const char *why = fe_builtin_refuse(function, flags);
    if (why == NULL) {
        fe_builtin_take(taken, function, meth, module);
    }
    else {
        PyErr_Format(PyExc_RuntimeError,
                     "AsyncGenTracker.start(): cannot see async generators, "
                     "because sys.%s is %s",
                     name, why);
    }
    Py_DECREF(function);
    return why == NULL ? 0 : -1;
}

static int
take_functions(PyObject *module, asyncgen_switch *own)
{
    if (own->set_hooks.function != NULL && own->get_hooks.function != NULL) {
        return 0;
    }
    PyObject *sys = PyImport_ImportModule("sys");
    if (sys == NULL) {
        return -1;
    }
    int done = take_function(&own->set_hooks, sys, "set_asyncgen_hooks",
                             METH_VARARGS | METH_KEYWORDS,
                             FE_METHOD(asyncgen_set_hooks), module);
    if (done == 0) {
        done = take_function(&own->get_hooks, sys, "get_asyncgen_hooks",
                             METH_NOARGS, asyncgen_get_hooks, module);
    }
    Py_DECREF(sys);
    return done;
}

/* ---- threads */

static PyThreadState *
first_thread(void)
{
    return PyInterpreterState_ThreadHead(PyInterpreterState_Get());
}

static Py_ssize_t
count_bare_threads(lifetime_state *state)
{
    Py_ssize_t count = 0;
    for (PyThreadState *at = first_thread(); at != NULL;
         at = PyThreadState_Next(at)) {
        count += !is_hook(state, *fe_thread_firstiter(at));
    }
    return count;
}

/* Threads come and go when the interpreter lock is released, and making hooks
 * may release it: they are made first, and given out without a break.
 */
static int
cover_threads(PyObject *module, lifetime_state *state)
{
    Py_ssize_t wanted;
    while ((wanted = count_bare_threads(state)) > 0) {
        PyObject *hooks = PyList_New(wanted);
        if (hooks == NULL) {
            return -1;
        }
        for (Py_ssize_t i = 0; i < wanted; i++) {
            PyObject *hook = asyncgen_new_hook(module);
            if (hook == NULL) {
                Py_DECREF(hooks);
                return -1;
            }
            PyList_SET_ITEM(hooks, i, hook);
        }
        for (PyThreadState *at = first_thread(); at != NULL && wanted > 0;
             at = PyThreadState_Next(at)) {
            if (!is_hook(state, *fe_thread_firstiter(at))) {
                wanted--;
                put_before(at, Py_NewRef(PyList_GET_ITEM(hooks, wanted)));
            }
        }
        Py_DECREF(hooks);
    }
    return 0;
}

/* A hook dies with what it stood for still held by the thread: no code runs.
 */
static void
uncover_threads(lifetime_state *state)
{
    for (PyThreadState *at = first_thread(); at != NULL;
         at = PyThreadState_Next(at)) {
        PyObject **firstiter = fe_thread_firstiter(at);
        if (is_hook(state, *firstiter)) {
            PyObject *hook = *firstiter;
            *firstiter = Py_XNewRef(asyncgen_hook_inner(hook));
            Py_DECREF(hook);
        }
    }
}

/* ---- on and off */

int
asyncgen_switch_on(PyObject *module, lifetime_state *state)
{
    int done = take_functions(module, &state->asyncgen);
    if (done == 0) {
        state->asyncgen.on = true;
        done = cover_threads(module, state);
    }
    if (done < 0 && PyTuple_GET_SIZE(state->asyncgen_trackers) == 0) {
        asyncgen_switch_off(state);
    }
    return done;
}

/* The functions stay taken, and only pass calls on, if another copy of this
 * module has taken them since. The caller holds the module.
 */
void
asyncgen_switch_off(lifetime_state *state)
{
    state->asyncgen.on = false;
    if (state->asyncgen_hook_type != NULL) {
        uncover_threads(state);
    }
    (void)fe_builtin_give_back(&state->asyncgen.set_hooks);
    (void)fe_builtin_give_back(&state->asyncgen.get_hooks);
}

/* ---- the end of the interpreter */

void
asyncgen_stop_all(lifetime_state *state)
{
    PyObject *trackers = state->asyncgen_trackers;
    state->asyncgen.shut = true;
    if (trackers == NULL) {
        return;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(trackers); i++) {
        ASYNCGEN_TRACKER(PyTuple_GET_ITEM(trackers, i))->started = false;
    }
    state->asyncgen_trackers = Py_XNewRef(state->empty_tuple);
    asyncgen_switch_off(state);
    Py_DECREF(trackers);
}

PyDoc_STRVAR(asyncgen_at_exit__doc__,
             "_asyncgen_at_exit($module, /)\n--\n\n"
             "Stop all trackers for good. Called by atexit.");

static PyObject *
asyncgen_at_exit(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    asyncgen_stop_all(lifetime_get_state(module));
    Py_RETURN_NONE;
}

static PyMethodDef asyncgen_at_exit_def = {"_asyncgen_at_exit",
                                           asyncgen_at_exit, METH_NOARGS,
                                           asyncgen_at_exit__doc__};

/* multiprocessing clears its children's atexit list */
int
asyncgen_watch_exit(PyObject *module, lifetime_state *state)
{
    if (FE_LIKELY(state->asyncgen.exit_depth == fe_fork_depth + 1)) {
        return 0;
    }
    PyObject *atexit = PyImport_ImportModule("atexit");
    if (atexit == NULL) {
        return -1;
    }
    PyObject *result = NULL;
    PyObject *callback = PyCFunction_New(&asyncgen_at_exit_def, module);
    if (callback != NULL) {
        result = PyObject_CallMethod(atexit, "register", "O", callback);
        Py_DECREF(callback);
    }
    Py_DECREF(atexit);
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    state->asyncgen.exit_depth = fe_fork_depth + 1;
    return 0;
}
