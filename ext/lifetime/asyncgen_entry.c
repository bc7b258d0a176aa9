/* SPDX-License-Identifier: MIT
 *
 * The hook is what the interpreter calls at a generator's first iteration. It
 * puts an entry where the generator keeps its finalizer. The interpreter calls
 * the entry if the generator is dropped unfinished, and releases it when the
 * generator dies: no weak reference has to call back.
 *
 * gc.get_referents() shows the entry to anybody, who may keep it and call it.
 * So it refers to its generator weakly, and counts a call once.
 */
#include "lifetime_state.h"

enum { MAX_FREE = 256 };

typedef struct {
    PyObject_HEAD vectorcallfunc vectorcall;
    lifetime_state *state;
    PyObject *module; /* owned: keeps the state */
    PyObject *inner;  /* owned: the hook it stands for; NULL: none */
} asyncgen_hook;

#define ENTRY(op) ((asyncgen_entry *)(op))
#define HOOK(op) ((asyncgen_hook *)(op))

/* ---- lists */

static inline void
link_append(asyncgen_link *head, asyncgen_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void
link_remove(asyncgen_link *link)
{
    if (link->next != NULL) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        link->prev = link->next = NULL;
    }
}

/* ---- counting: none of these three runs Python code */

static inline void
count_created(asyncgen_entry *entry)
{
    entry->status = ASYNCGEN_LIVE;
    for (asyncgen_link *at = &entry->first; at != NULL; at = at->sibling) {
        at->record->created++;
        link_append(&at->tracker->live, at);
    }
}

/* Does anybody want to hear of it? */
static inline bool
count_finished(asyncgen_entry *entry)
{
    bool wanted = false;
    entry->status = ASYNCGEN_FINISHED;
    for (asyncgen_link *at = &entry->first; at != NULL; at = at->sibling) {
        at->record->finished++;
        link_remove(at);
        wanted |= at->tracker->on_event != NULL;
    }
    return wanted;
}

static inline void
count_leaked(asyncgen_entry *entry)
{
    entry->status = ASYNCGEN_LEAKED;
    for (asyncgen_link *at = &entry->first; at != NULL; at = at->sibling) {
        at->record->leaked++;
        link_remove(at);
        link_append(&at->tracker->dropped, at);
    }
}

void
asyncgen_finish(asyncgen_entry *entry)
{
    (void)count_finished(entry);
}

FE_NOINLINE static void
call_back(PyObject *on_event, PyObject *event, PyObject *gen, PyObject *site)
{
    PyObject *args[] = {event, gen, site};
    Py_INCREF(on_event); /* the collector may clear the tracker meanwhile */
    PyObject *result = PyObject_Vectorcall(on_event, args, 3, NULL);
    if (result == NULL) {
        PyErr_WriteUnraisable(on_event);
    }
    Py_XDECREF(result);
    Py_DECREF(on_event);
}

/* The chain of siblings stays as it is for as long as the entry is there. */
void
asyncgen_tell(asyncgen_entry *entry, PyObject *event, PyObject *gen)
{
    for (asyncgen_link *at = &entry->first; at != NULL; at = at->sibling) {
        const asyncgen_tracker *tracker = at->tracker;
        if (FE_UNLIKELY(tracker->on_event != NULL)
            && !tracker->state->asyncgen.shut && event != NULL) {
            call_back(tracker->on_event, event, gen, at->record->site);
        }
    }
}

/* ---- the life of an entry */

static PyObject *entry_vectorcall(PyObject *self, PyObject *const *args,
                                  size_t nargsf, PyObject *kwnames);

static asyncgen_entry *
new_entry(lifetime_state *state)
{
    asyncgen_entry *self;
    PyObject *dead = state->asyncgen.free_list;
    if (FE_LIKELY(dead != NULL)) {
        state->asyncgen.free_list = fe_dead_link_take(dead);
        state->asyncgen.free_count--;
        self = ENTRY(fe_revive(dead, state->asyncgen_entry_type));
    }
    else {
        self = PyObject_GC_New(asyncgen_entry, state->asyncgen_entry_type);
        if (self == NULL) {
            return NULL;
        }
        self->vectorcall = entry_vectorcall;
        self->ref = NULL;
    }
    self->generator = NULL;
    self->finalizer = NULL;
    self->first = (asyncgen_link){.entry = self};
    self->status = ASYNCGEN_NEW;
    return self;
}

/* Its generator is gone, or never had it. */
static void
entry_tp_dealloc(PyObject *op)
{
    asyncgen_entry *self = ENTRY(op);
    PyTypeObject *type = Py_TYPE(op);
    asyncgen_link *more = self->first.sibling;
    asyncgen_tracker *tracker = self->first.tracker;
    PyObject_GC_UnTrack(op);
    if (self->status == ASYNCGEN_LIVE && count_finished(self)) {
        fe_error error = fe_error_put_aside();
        asyncgen_tell(self, tracker->state->asyncgen_str_finished, Py_None);
        fe_error_put_back(error);
    }
    for (asyncgen_link *at = &self->first; at != NULL; at = at->sibling) {
        link_remove(at);
    }
    Py_CLEAR(self->finalizer);
    while (more != NULL) {
        asyncgen_link *next = more->sibling;
        Py_XDECREF(more->tracker);
        PyMem_Free(more);
        more = next;
    }
#ifndef FE_NO_FREELIST
    lifetime_state *state = tracker != NULL ? tracker->state : NULL;
    if (FE_LIKELY(state != NULL && state->asyncgen.free_count < MAX_FREE)) {
        fe_dead_link_set(op, state->asyncgen.free_list);
        state->asyncgen.free_list = op;
        state->asyncgen.free_count++;
    }
    else
#endif
    {
        Py_XDECREF(self->ref);
        PyObject_GC_Del(op);
    }
    Py_DECREF(type);
    Py_XDECREF(tracker); /* last: it may take the state with it */
}

void
asyncgen_free_entries(lifetime_state *state)
{
    PyObject *dead = state->asyncgen.free_list;
    state->asyncgen.free_list = NULL;
    state->asyncgen.free_count = 0;
    while (dead != NULL) {
        PyObject *next = fe_dead_link_take(dead);
        Py_XDECREF(ENTRY(dead)->ref);
        PyObject_GC_Del(dead);
        dead = next;
    }
}

static int
entry_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    asyncgen_entry *self = ENTRY(op);
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->finalizer);
    for (asyncgen_link *at = &self->first; at != NULL; at = at->sibling) {
        Py_VISIT(at->tracker);
    }
    return 0;
}

static int
entry_tp_clear(PyObject *op)
{
    Py_CLEAR(ENTRY(op)->finalizer);
    return 0;
}

/* ---- dropped unfinished */

/* Without a hook the interpreter closes the generator itself. Let it: it looks
 * at the word where the entry stands.
 */
static void
close_by_default(PyObject *gen)
{
    PyObject **word = fe_asyncgen_finalizer(gen);
    PyObject *own = *word;
    *word = NULL;
    Py_TYPE(gen)->tp_finalize(gen);
    assert(*word == NULL);
    *word = own;
}

static void
close_by_finalizer(PyObject *finalizer, PyObject *gen)
{
    Py_INCREF(finalizer);
    PyObject *result = PyObject_CallOneArg(finalizer, gen);
    if (result == NULL) {
        PyErr_WriteUnraisable(gen); /* as the interpreter would */
    }
    Py_XDECREF(result);
    Py_DECREF(finalizer);
}

static int
refer(asyncgen_entry *self, PyObject *gen)
{
    if (FE_LIKELY(self->ref != NULL && fe_asyncgen_refer(self->ref, gen))) {
        return 0;
    }
    PyObject *ref = PyWeakref_NewRef(gen, NULL);
    if (ref == NULL) {
        return -1;
    }
    Py_XSETREF(self->ref, ref);
    return 0;
}

/* The interpreter cleared all weak references before. Only a generator that
 * somebody keeps is referred to again: for any other they would not be cleared
 * a second time. That is why the finalizer's result and error are gone by now.
 */
static void
refer_again(asyncgen_entry *self, PyObject *gen)
{
    if (Py_REFCNT(gen) > 1 && fe_weakref_peek(self->ref) == NULL
        && refer(self, gen) < 0) {
        PyErr_Clear(); /* MemoryError: aclose() will not wait for it */
    }
}

/* A generator that stands where ours was has an entry of its own. Another
 * copy of this module may have put its entry before this one.
 */
static inline bool
is_own(asyncgen_entry *self, PyObject *gen)
{
    if (gen != self->generator || !PyAsyncGen_CheckExact(gen)) {
        return false;
    }
    PyObject *standing = *fe_asyncgen_finalizer(gen);
    return standing == (PyObject *)self
           || (standing != NULL && !Py_IS_TYPE(standing, Py_TYPE(self)));
}

static PyObject *
entry_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                 PyObject *kwnames)
{
    asyncgen_entry *self = ENTRY(op);
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL
        || !is_own(self, args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "this finalizer wants the async generator that it "
                        "belongs to");
        return NULL;
    }
    PyObject *gen = args[0];
    Py_INCREF(op);
    if (self->status == ASYNCGEN_LIVE) {
        count_leaked(self);
        asyncgen_tell(self, self->first.tracker->state->asyncgen_str_leaked,
                      gen);
    }
    if (self->finalizer != NULL) {
        close_by_finalizer(self->finalizer, gen);
    }
    else {
        close_by_default(gen);
    }
    refer_again(self, gen);
    Py_DECREF(op);
    Py_RETURN_NONE;
}

/* ---- the first iteration */

/* One more link for the entry; its first one is part of it. */
static asyncgen_link *
add_link(asyncgen_entry *entry)
{
    if (entry->first.tracker == NULL) {
        return &entry->first;
    }
    asyncgen_link *link = PyMem_Calloc(1, sizeof(*link));
    if (link == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    link->entry = entry;
    link->sibling = entry->first.sibling;
    entry->first.sibling = link;
    return link;
}

/* A link for each tracker that is started. */
static int
link_trackers(asyncgen_entry *entry, PyObject *trackers, asyncgen_key key)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(trackers); i++) {
        PyObject *tracker = PyTuple_GET_ITEM(trackers, i);
        if (!ASYNCGEN_TRACKER(tracker)->started) {
            continue;
        }
        asyncgen_link *link = add_link(entry);
        if (link == NULL) {
            return -1;
        }
        link->tracker = ASYNCGEN_TRACKER(Py_NewRef(tracker));
        link->record = asyncgen_find(link->tracker, key);
        if (link->record == NULL) {
            return -1;
        }
    }
    return 0;
}

/* new: an entry that is not counted yet */
static asyncgen_entry *
prepare(lifetime_state *state, PyObject *trackers, PyObject *gen)
{
    asyncgen_key key = {.generator_code = fe_asyncgen_code_borrow(gen)};
    key.caller_code = fe_caller_borrow(&key.offset);
    asyncgen_entry *entry = new_entry(state);
    if (entry == NULL) {
        return NULL;
    }
    int done = link_trackers(entry, trackers, key);
    if (done == 0) {
        done = refer(entry, gen);
    }
    PyObject_GC_Track(entry);
    if (done < 0) {
        Py_DECREF(entry);
        return NULL;
    }
    return entry;
}

/* Is it one that no entry stands in yet? */
static inline bool
is_new(lifetime_state *state, PyObject *gen)
{
    if (!PyAsyncGen_CheckExact(gen) || !fe_asyncgen_begun(gen)) {
        return false;
    }
    PyObject *finalizer = *fe_asyncgen_finalizer(gen);
    return finalizer == NULL
           || !Py_IS_TYPE(finalizer, state->asyncgen_entry_type);
}

static int
adopt(lifetime_state *state, PyObject *gen)
{
    PyObject *trackers = Py_NewRef(state->asyncgen_trackers);
    asyncgen_entry *entry = prepare(state, trackers, gen);
    Py_DECREF(trackers);
    if (entry == NULL) {
        return -1;
    }
    /* code that ran meanwhile may have done it, or stopped all trackers */
    if (FE_UNLIKELY(!is_new(state, gen) || entry->first.tracker == NULL)) {
        Py_DECREF(entry);
        return 0;
    }
    PyObject **word = fe_asyncgen_finalizer(gen);
    entry->generator = gen;
    entry->finalizer = *word;
    *word = (PyObject *)entry;
    count_created(entry);
    Py_INCREF(entry);
    asyncgen_tell(entry, state->asyncgen_str_created, gen);
    Py_DECREF(entry);
    return 0;
}

static PyObject *
hook_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                PyObject *kwnames)
{
    asyncgen_hook *self = HOOK(op);
    lifetime_state *state = self->state;
    if (PyVectorcall_NARGS(nargsf) == 1 && kwnames == NULL
        && state->asyncgen.on && is_new(state, args[0])
        && adopt(state, args[0]) < 0) {
        PyErr_WriteUnraisable(op); /* MemoryError; the stream goes on */
    }
    if (self->inner == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *inner = Py_NewRef(self->inner);
    PyObject *result = PyObject_Vectorcall(inner, args, nargsf, kwnames);
    Py_DECREF(inner);
    return result;
}

/* ---- the hook */

PyObject *
asyncgen_new_hook(PyObject *module)
{
    lifetime_state *state = lifetime_get_state(module);
    asyncgen_hook *self =
        PyObject_GC_New(asyncgen_hook, state->asyncgen_hook_type);
    if (self != NULL) {
        self->vectorcall = hook_vectorcall;
        self->state = state;
        self->module = Py_NewRef(module);
        self->inner = NULL;
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

PyObject *
asyncgen_hook_inner(PyObject *hook)
{
    return HOOK(hook)->inner;
}

void
asyncgen_hook_set_inner(PyObject *hook, PyObject *inner)
{
    assert(HOOK(hook)->inner == NULL);
    HOOK(hook)->inner = inner;
}

static int
hook_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(HOOK(op)->module);
    Py_VISIT(HOOK(op)->inner);
    return 0;
}

static int
hook_tp_clear(PyObject *op)
{
    Py_CLEAR(HOOK(op)->inner);
    return 0;
}

static void
hook_tp_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject *module = HOOK(op)->module;
    PyObject_GC_UnTrack(op);
    Py_CLEAR(HOOK(op)->inner);
    PyObject_GC_Del(op);
    Py_DECREF(type);
    Py_DECREF(module);
}

static PyMemberDef entry_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET,
     offsetof(asyncgen_entry, vectorcall), Py_READONLY, NULL},
    {0},
};

static PyMemberDef hook_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET,
     offsetof(asyncgen_hook, vectorcall), Py_READONLY, NULL},
    {0},
};

static PyType_Slot entry_slots[] = {
    {Py_tp_dealloc, FE_SLOT(entry_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(entry_tp_traverse)},
    {Py_tp_clear, FE_SLOT(entry_tp_clear)},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_members, entry_members},
    {0, NULL},
};

static PyType_Slot hook_slots[] = {
    {Py_tp_dealloc, FE_SLOT(hook_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(hook_tp_traverse)},
    {Py_tp_clear, FE_SLOT(hook_tp_clear)},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_members, hook_members},
    {0, NULL},
};

#define ASYNCGEN_FLAGS                                                        \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL     \
     | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE)

PyType_Spec asyncgen_entry_spec = {
    .name = "ferrule._lifetime._AsyncGenFinalizer",
    .basicsize = sizeof(asyncgen_entry),
    .flags = ASYNCGEN_FLAGS,
    .slots = entry_slots,
};

PyType_Spec asyncgen_hook_spec = {
    .name = "ferrule._lifetime._AsyncGenFirstiter",
    .basicsize = sizeof(asyncgen_hook),
    .flags = ASYNCGEN_FLAGS,
    .slots = hook_slots,
};
