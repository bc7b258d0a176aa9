/* SPDX-License-Identifier: MIT
 *
 * The native part of AsyncGenTracker: start and stop, and consistent copies of
 * what was counted. Nothing here knows event loops; that is Python's part.
 */
#include "lifetime_state.h"

/* ---- started trackers: a tuple that is replaced, never changed. One that has
 * stopped stays in it when there was no memory for a shorter one.
 */

static Py_ssize_t
count_others(PyObject *trackers, PyObject *tracker)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(trackers); i++) {
        PyObject *at = PyTuple_GET_ITEM(trackers, i);
        count += at != tracker && ASYNCGEN_TRACKER(at)->started;
    }
    return count;
}

/* Replace the tuple by one with or without the tracker. */
static int
list_tracker(lifetime_state *state, PyObject *tracker, bool wanted)
{
    PyObject *old, *made = NULL;
    Py_ssize_t others, to = 0;
    do { /* making a tuple may run a collection, which runs code */
        Py_XDECREF(made);
        old = state->asyncgen_trackers;
        others = count_others(old, tracker);
        made = PyTuple_New(others + wanted);
        if (made == NULL) {
            return -1;
        }
    } while (state->asyncgen_trackers != old
             || count_others(old, tracker) != others);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(old); i++) {
        PyObject *at = PyTuple_GET_ITEM(old, i);
        if (at != tracker && ASYNCGEN_TRACKER(at)->started) {
            PyTuple_SET_ITEM(made, to++, Py_NewRef(at));
        }
    }
    if (wanted) {
        PyTuple_SET_ITEM(made, to, Py_NewRef(tracker));
    }
    ASYNCGEN_TRACKER(tracker)->started = wanted;
    state->asyncgen_trackers = made;
    Py_DECREF(old);
    return 0;
}

PyDoc_STRVAR(
    asyncgen_tracker_start__doc__,
    "start($self, /)\n--\n\n"
    "See async generators from their first iteration on; the tracker "
    "itself.\n\n"
    "Again does nothing. Raises RuntimeError if sys.set_asyncgen_hooks "
    "or sys.get_asyncgen_hooks is not the built-in function. While "
    "the interpreter exits, nothing is seen any more.");

static PyObject *
asyncgen_tracker_start(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    asyncgen_tracker *self = ASYNCGEN_TRACKER(op);
    lifetime_state *state = self->state;
    if (self->started || state->asyncgen.shut) {
        return Py_NewRef(op);
    }
    if (asyncgen_watch_exit(self->module, state) < 0
        || asyncgen_switch_on(self->module, state) < 0) {
        return NULL;
    }
    int listed = self->started ? 0 : list_tracker(state, op, true);
    if (PyTuple_GET_SIZE(state->asyncgen_trackers) == 0) {
        asyncgen_switch_off(state);
    }
    return listed < 0 ? NULL : Py_NewRef(op);
}

PyDoc_STRVAR(asyncgen_tracker_stop__doc__,
             "stop($self, /)\n--\n\n"
             "See no new generators; those seen before are still counted when "
             "they end. The tracker itself. Again does nothing.");

static PyObject *
asyncgen_tracker_stop(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    asyncgen_tracker *self = ASYNCGEN_TRACKER(op);
    lifetime_state *state = self->state;
    if (self->started && list_tracker(state, op, false) < 0) {
        PyErr_Clear(); /* MemoryError: stopping does not fail */
        self->started = false;
    }
    if (state->asyncgen.on
        && PyTuple_GET_SIZE(state->asyncgen_trackers) == 0) {
        asyncgen_switch_off(state);
    }
    return Py_NewRef(op);
}

/* ---- what was counted */

/* A generator that has ended may still be there: count it as ended. The events
 * come last, when the lists are whole again.
 */
static void
sweep(asyncgen_tracker *self)
{
    asyncgen_link *ended = NULL;
    asyncgen_link *at = self->live.next;
    while (at != &self->live) {
        asyncgen_link *next = at->next;
        PyObject *gen = fe_weakref_peek(at->entry->ref);
        if (gen != NULL && fe_asyncgen_ended(gen)) {
            Py_INCREF(at->entry);
            asyncgen_finish(at->entry);
            at->next = ended; /* in no list any more: the link is ours */
            ended = at;
        }
        at = next;
    }
    PyObject *event = Py_XNewRef(self->state->asyncgen_str_finished);
    while (ended != NULL) {
        asyncgen_entry *entry = ended->entry;
        asyncgen_link *next = ended->next;
        ended->next = NULL;
        asyncgen_tell(entry, event, Py_None);
        Py_DECREF(entry);
        ended = next;
    }
    Py_XDECREF(event);
}

typedef struct {
    PyObject *gen, *finalizer;
} listed_pair;

/* Copies the list without running code. `many`: how many; NULL: no memory */
static listed_pair *
copy_list(asyncgen_link *head, Py_ssize_t *many)
{
    size_t count = 0;
    for (asyncgen_link *at = head->next; at != head; at = at->next) {
        count++;
    }
    listed_pair *pairs = PyMem_Malloc((count + 1) * sizeof(*pairs));
    if (pairs == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    count = 0;
    for (asyncgen_link *at = head->next; at != head; at = at->next) {
        PyObject *gen = fe_weakref_peek(at->entry->ref);
        PyObject *finalizer = at->entry->finalizer;
        if (gen != NULL) {
            pairs[count++] = (listed_pair){
                Py_NewRef(gen),
                Py_NewRef(finalizer != NULL ? finalizer : Py_None)};
        }
    }
    *many = (Py_ssize_t)count;
    return pairs;
}

/* new: (weak reference, finalizer) */
static PyObject *
listed_item(const listed_pair *pair)
{
    PyObject *ref = PyWeakref_NewRef(pair->gen, NULL);
    if (ref == NULL) {
        return NULL;
    }
    PyObject *item = PyTuple_Pack(2, ref, pair->finalizer);
    Py_DECREF(ref);
    return item;
}

PyDoc_STRVAR(asyncgen_tracker_listed__doc__,
             "_listed($self, dropped, /)\n--\n\n"
             "Pairs (weak reference to the generator, its finalizer hook or "
             "None), oldest first: of those that are live or, if `dropped`, "
             "of those that were dropped and are still being closed.");

static PyObject *
asyncgen_tracker_listed(PyObject *op, PyObject *arg)
{
    asyncgen_tracker *self = ASYNCGEN_TRACKER(op);
    int dropped = PyObject_IsTrue(arg);
    if (dropped < 0) {
        return NULL;
    }
    sweep(self);
    Py_ssize_t count;
    listed_pair *pairs =
        copy_list(dropped ? &self->dropped : &self->live, &count);
    if (pairs == NULL) {
        return NULL;
    }
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = list != NULL ? listed_item(&pairs[i]) : NULL;
        if (pair != NULL) {
            PyList_SET_ITEM(list, i, pair);
        }
        else {
            Py_CLEAR(list);
        }
        Py_DECREF(pairs[i].gen);
        Py_DECREF(pairs[i].finalizer);
    }
    PyMem_Free(pairs);
    return list;
}

typedef struct {
    PyObject *site;
    unsigned long long created, finished, leaked;
} counts_row;

static inline size_t
copy_row(const asyncgen_record *record, counts_row *row)
{
    if (record == NULL) {
        return 0;
    }
    *row = (counts_row){Py_NewRef(record->site), record->created,
                        record->finished, record->leaked};
    return 1;
}

/* As copy_list. */
static counts_row *
copy_counts(const asyncgen_table *table, Py_ssize_t *many)
{
    counts_row *rows = PyMem_Malloc((table->used + 1) * sizeof(*rows));
    if (rows == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    size_t count = 0;
    for (size_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        count += copy_row(table->slots[i], &rows[count]);
    }
    count += copy_row(table->other, &rows[count]);
    *many = (Py_ssize_t)count;
    return rows;
}

PyDoc_STRVAR(asyncgen_tracker_counts__doc__,
             "_counts($self, /)\n--\n\n"
             "A list of (site, created, finished, leaked), all of the same "
             "moment. A site may come more than once.");

static PyObject *
asyncgen_tracker_counts(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    asyncgen_tracker *self = ASYNCGEN_TRACKER(op);
    sweep(self);
    Py_ssize_t count;
    counts_row *rows = copy_counts(&self->table, &count);
    if (rows == NULL) {
        return NULL;
    }
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        const counts_row *row = &rows[i];
        PyObject *item = list != NULL
                             ? Py_BuildValue("(OKKK)", row->site, row->created,
                                             row->finished, row->leaked)
                             : NULL;
        if (item != NULL) {
            PyList_SET_ITEM(list, i, item);
        }
        else {
            Py_CLEAR(list);
        }
        Py_DECREF(row->site);
    }
    PyMem_Free(rows);
    return list;
}

/* ---- the type */

static PyObject *
asyncgen_tracker_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"site_type", "on_event", "max_sites",
                                        NULL};
    PyObject *site_type, *on_event;
    Py_ssize_t max_sites;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOn:_AsyncGenTracker",
                                     (char **)(uintptr_t)names, &site_type,
                                     &on_event, &max_sites)) {
        return NULL;
    }
    if (on_event != Py_None && !PyCallable_Check(on_event)) {
        return PyErr_Format(PyExc_TypeError,
                            "AsyncGenTracker(): on_event must be callable or "
                            "None, got %.200s",
                            Py_TYPE(on_event)->tp_name);
    }
    if (max_sites < 1) {
        return PyErr_Format(PyExc_ValueError,
                            "AsyncGenTracker(): max_sites must be at least "
                            "1, got %zd",
                            max_sites);
    }
    lifetime_state *state = lifetime_state_of_subtype(type);
    if (state == NULL) {
        return NULL;
    }
    PyObject *module = PyType_GetModule(state->asyncgen_tracker_type);
    if (module == NULL) {
        return NULL;
    }
    asyncgen_tracker *self = (asyncgen_tracker *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->module = Py_NewRef(module);
    self->state = state;
    self->site_type = Py_NewRef(site_type);
    self->on_event = on_event != Py_None ? Py_NewRef(on_event) : NULL;
    self->max_sites = max_sites;
    self->live.prev = self->live.next = &self->live;
    self->dropped.prev = self->dropped.next = &self->dropped;
    return (PyObject *)self;
}

static int
asyncgen_tracker_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    asyncgen_tracker *self = ASYNCGEN_TRACKER(op);
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->module);
    Py_VISIT(self->site_type);
    Py_VISIT(self->on_event);
    return asyncgen_table_traverse(&self->table, visit, arg);
}

/* The table stays: entries that are left count in it. */
static int
asyncgen_tracker_tp_clear(PyObject *op)
{
    Py_CLEAR(ASYNCGEN_TRACKER(op)->on_event);
    return 0;
}

static void
asyncgen_tracker_tp_dealloc(PyObject *op)
{
    asyncgen_tracker *self = ASYNCGEN_TRACKER(op);
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_CLEAR(self->on_event);
    Py_CLEAR(self->site_type);
    asyncgen_table_free(&self->table);
    PyObject *module = self->module;
    type->tp_free(op);
    Py_DECREF(type);
    Py_XDECREF(module);
}

static PyObject *
asyncgen_tracker_get_started(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(ASYNCGEN_TRACKER(op)->started);
}

PyDoc_STRVAR(asyncgen_tracker_started__doc__, "Does it see new generators?");

static PyGetSetDef asyncgen_tracker_getset[] = {
    {"started", asyncgen_tracker_get_started, NULL,
     asyncgen_tracker_started__doc__, NULL},
    {0},
};

static PyMethodDef asyncgen_tracker_methods[] = {
    {"start", asyncgen_tracker_start, METH_NOARGS,
     asyncgen_tracker_start__doc__},
    {"stop", asyncgen_tracker_stop, METH_NOARGS, asyncgen_tracker_stop__doc__},
    {"_listed", asyncgen_tracker_listed, METH_O,
     asyncgen_tracker_listed__doc__},
    {"_counts", asyncgen_tracker_counts, METH_NOARGS,
     asyncgen_tracker_counts__doc__},
    {0},
};

PyDoc_STRVAR(asyncgen_tracker__doc__,
             "_AsyncGenTracker(site_type, on_event, max_sites)\n--\n\n"
             "Counts async generators: the native part of AsyncGenTracker.");

static PyType_Slot asyncgen_tracker_slots[] = {
    {Py_tp_doc, FE_TEXT(asyncgen_tracker__doc__)},
    {Py_tp_new, FE_SLOT(asyncgen_tracker_tp_new)},
    {Py_tp_dealloc, FE_SLOT(asyncgen_tracker_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(asyncgen_tracker_tp_traverse)},
    {Py_tp_clear, FE_SLOT(asyncgen_tracker_tp_clear)},
    {Py_tp_methods, asyncgen_tracker_methods},
    {Py_tp_getset, asyncgen_tracker_getset},
    {0, NULL},
};

static PyType_Spec asyncgen_tracker_spec = {
    .name = "ferrule._lifetime._AsyncGenTracker",
    .basicsize = sizeof(asyncgen_tracker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = asyncgen_tracker_slots,
};

/* ---- registration */

static PyTypeObject *
make_type(PyObject *module, PyType_Spec *spec)
{
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
}

int
asyncgen_register(PyObject *module, lifetime_state *state)
{
    state->asyncgen_trackers = PyTuple_New(0);
    state->asyncgen_str_created = PyUnicode_InternFromString("created");
    state->asyncgen_str_finished = PyUnicode_InternFromString("finished");
    state->asyncgen_str_leaked = PyUnicode_InternFromString("leaked");
    if (state->asyncgen_trackers == NULL || state->asyncgen_str_created == NULL
        || state->asyncgen_str_finished == NULL
        || state->asyncgen_str_leaked == NULL) {
        return -1;
    }
    state->asyncgen_entry_type = make_type(module, &asyncgen_entry_spec);
    state->asyncgen_hook_type = make_type(module, &asyncgen_hook_spec);
    state->asyncgen_tracker_type = make_type(module, &asyncgen_tracker_spec);
    if (state->asyncgen_entry_type == NULL || state->asyncgen_hook_type == NULL
        || state->asyncgen_tracker_type == NULL) {
        return -1;
    }
    return PyModule_AddType(module, state->asyncgen_tracker_type);
}

int
asyncgen_traverse(lifetime_state *state, visitproc visit, void *arg)
{
    Py_VISIT(state->asyncgen.set_hooks.function);
    Py_VISIT(state->asyncgen.set_hooks.self);
    Py_VISIT(state->asyncgen.get_hooks.function);
    Py_VISIT(state->asyncgen.get_hooks.self);
    return 0;
}

/* While the functions of sys are ours they keep the module: this comes late.
 */
void
asyncgen_clear(lifetime_state *state)
{
    asyncgen_stop_all(state);
    asyncgen_free_entries(state);
}
