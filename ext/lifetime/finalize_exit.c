/* SPDX-License-Identifier: MIT
 *
 * The registry of clean-ups: one list, oldest first, and what happens to it
 * when the interpreter ends. Nothing here depends on what a clean-up does; it
 * may make others, finish others, fork or raise.
 */
#include "fork.h"
#include "lifetime_state.h"

/* Clean-ups at exit that make clean-ups that make … end here. */
#define MAX_EXIT_DEPTH 1000

void
finalize_registry_init(finalize_registry *registry)
{
    registry->live.prev = registry->live.next = &registry->live;
    registry->parked.prev = registry->parked.next = &registry->parked;
}

static void
append(finalize_node *head, finalize_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static void
detach(finalize_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

/* Once in every process: multiprocessing clears its children's atexit list. */
FE_NOINLINE static int
tell_atexit(lifetime_state *state)
{
    PyObject *atexit = PyImport_ImportModule("atexit");
    if (atexit == NULL) {
        return -1;
    }
    PyObject *done =
        PyObject_CallMethod(atexit, "register", "O", state->finalize_exit);
    Py_DECREF(atexit);
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    finalize_registry *registry = &state->finalize;
    registry->atexit_told = true;
    registry->atexit_depth = fe_fork_depth;
    if (registry->exit_thread != PyThread_get_thread_ident()) {
        /* forked by a thread while its parent's exit ran in another */
        registry->exit_thread = 0;
    }
    return 0;
}

int
finalize_prepare(lifetime_state *state)
{
    finalize_registry *registry = &state->finalize;
    if (FE_LIKELY(registry->atexit_told
                  && registry->atexit_depth == fe_fork_depth)) {
        return 0;
    }
    if (state->finalize_exit == NULL) {
        (void)lifetime_gone();
        return -1;
    }
    return registry->shut ? 0 : tell_atexit(state);
}

void
finalize_link(lifetime_state *state, finalize_node *node)
{
    finalize_registry *registry = &state->finalize;
    if (FE_UNLIKELY(registry->shut)) {
        return;
    }
    finalize_node *head = &registry->live;
    if (FE_UNLIKELY(registry->exit_thread != 0
                    && registry->exit_thread != PyThread_get_thread_ident())) {
        head = &registry->parked; /* exit must not wait for other threads */
    }
    append(head, node);
    node->fork_depth = fe_fork_depth;
    node->exit_depth = registry->exit_depth;
    node->alive = true;
    node->atexit = true;
    node->inherit = false;
}

void
finalize_unlink(finalize_node *node)
{
    detach(node);
    node->alive = false;
}

bool
finalize_may_run(const lifetime_state *state, const finalize_node *node)
{
    return (node->fork_depth == fe_fork_depth || node->inherit)
           && !state->finalize.shut;
}

PyObject *
finalize_get_flag(const finalize_node *node, void *flag)
{
    bool set =
        (uintptr_t)flag == FINALIZE_ATEXIT ? node->atexit : node->inherit;
    return PyBool_FromLong(node->alive && set);
}

int
finalize_set_flag(finalize_node *node, PyObject *value, void *flag)
{
    bool at_exit = (uintptr_t)flag == FINALIZE_ATEXIT;
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "cannot delete '%s'",
                     at_exit ? "atexit" : "inherit");
        return -1;
    }
    int set = PyObject_IsTrue(value);
    if (set < 0) {
        return -1;
    }
    if (at_exit) {
        node->atexit = set != 0;
    }
    else {
        node->inherit = set != 0;
    }
    return 0;
}

/* ---- exit */

/* What sys.excepthook does not take is not lost either. */
static void
report(PyObject *source)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *hook = Py_XNewRef(PySys_GetObject("excepthook"));
    PyObject *traceback =
        error != NULL ? PyException_GetTraceback(error) : NULL;
    PyObject *done = NULL;
    if (error != NULL && hook != NULL) {
        done = PyObject_CallFunctionObjArgs(
            hook, (PyObject *)Py_TYPE(error), error,
            traceback != NULL ? traceback : Py_None, NULL);
    }
    if (done == NULL) {
        PyErr_Clear(); /* the hook's own: that of the clean-up matters */
        PyErr_SetRaisedException(Py_XNewRef(error));
        PyErr_WriteUnraisable(source);
    }
    Py_XDECREF(done);
    Py_XDECREF(traceback);
    Py_XDECREF(hook);
    Py_XDECREF(error);
}

static bool
too_deep(finalize_node *node)
{
    if (node->exit_depth < MAX_EXIT_DEPTH) {
        return false;
    }
    PyErr_Format(PyExc_RuntimeError,
                 "clean-ups at exit made clean-ups %d times over; the last "
                 "one is not run",
                 MAX_EXIT_DEPTH);
    return true;
}

/* Run the youngest, or park it. `node` may be gone afterwards. */
static void
exit_step(lifetime_state *state, finalize_node *node)
{
    PyObject *self = node->embedded ? finalizable_node_object(node)
                                    : finalize_node_object(node);
    /* 0: it is being freed, far up the stack, and will run then */
    bool dying = Py_REFCNT(self) == 0;
    if (dying || !node->atexit || !finalize_may_run(state, node)) {
        detach(node);
        append(&state->finalize.parked, node);
        return;
    }
    Py_INCREF(self);
    if (too_deep(node)) {
        finalize_disarm(node);
        report(self);
    }
    else {
        state->finalize.exit_depth = (uint16_t)(node->exit_depth + 1);
        PyObject *result = finalize_run(node);
        if (result == NULL) {
            report(self);
        }
        Py_XDECREF(result);
    }
    Py_DECREF(self);
}

/* Nothing runs any more: let go what the clean-ups hold. A live one keeps its
 * type and so the module, which would outlive a sub-interpreter.
 */
static void
empty(finalize_registry *registry)
{
    finalize_node *heads[] = {&registry->live, &registry->parked};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(heads); i++) {
        while (heads[i]->prev != NULL && heads[i]->prev != heads[i]) {
            finalize_disarm(heads[i]->prev);
        }
    }
}

PyDoc_STRVAR(finalize_objects__doc__,
             "_finalize_objects($module, /)\n--\n\n"
             "The objects that live clean-ups wait for, in no order.");

static PyObject *
finalize_objects(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    finalize_registry *registry = &lifetime_get_state(module)->finalize;
    finalize_node *heads[] = {&registry->live, &registry->parked};
    PyObject *found = PyList_New(0), *obj;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(heads); i++) {
        finalize_node *node = heads[i]->next;
        for (; found != NULL && node != heads[i]; node = node->next) {
            /* a Finalizable waits for itself: whoever looks, sees that */
            if (node->embedded
                || PyWeakref_GetRef(finalize_node_object(node), &obj) == 0) {
                continue;
            }
            /* a list of plain pointers grows without running any code */
            int appended = PyList_Append(found, obj);
            Py_DECREF(obj);
            if (appended < 0) {
                Py_DECREF(found); /* which may end the node */
                return NULL;
            }
        }
    }
    return found;
}

PyDoc_STRVAR(finalize_exit__doc__,
             "_finalize_exit($module, /)\n--\n\n"
             "Run what is still to be run, youngest first. Called by atexit.");

static PyObject *
finalize_exit(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    lifetime_state *state = lifetime_get_state(module);
    finalize_registry *registry = &state->finalize;
    registry->exit_thread = PyThread_get_thread_ident();
    while (registry->live.prev != &registry->live) {
        exit_step(state, registry->live.prev);
    }
    registry->shut = true;
    empty(registry);
    Py_RETURN_NONE;
}

PyMethodDef finalize_exit_def = {"_finalize_exit", finalize_exit, METH_NOARGS,
                                 finalize_exit__doc__};

PyMethodDef finalize_functions[] = {
    {"_finalize_objects", finalize_objects, METH_NOARGS,
     finalize_objects__doc__},
    {NULL, NULL, 0, NULL},
};

/* The module goes: nodes must not point into its state any more. */
void
finalize_free(lifetime_state *state)
{
    state->finalize.shut = true;
    empty(&state->finalize);
    fe_dead_links_free(state->finalize.free_list);
    state->finalize.free_list = NULL;
    state->finalize.free_count = 0;
}
