/* SPDX-License-Identifier: MIT
 *
 * The end of a process that holds immortal objects. What they refer to is
 * never let go, so open files would not be flushed and no __del__ would run.
 *
 * A guard sits in sys.modules. The interpreter clears that when all of atexit
 * is done and no other thread runs any more, and before it empties the
 * namespaces of modules: then the guard dies and finalizes what nobody else
 * will. A second one in this module's namespace dies later, for the case that
 * somebody has removed the first.
 */
#include "freeze_set.h"
#include "memory_state.h"

#define GUARD_NAME "ferrule memory guard"
/* Finalizers may make objects that have one. */
#define MAX_ROUNDS 8

typedef struct {
    PyObject_HEAD PyObject *unfreeze; /* owned: gc.unfreeze */
    PyObject *freeze;                 /* owned: gc.freeze */
    PyObject *late;      /* owned: a tuple of classes, finalized last: files,
                            sockets, … */
    PyObject *lower;     /* owned: those of them that others wrap */
    PyObject *closing;   /* owned: those that have no finalizer and must be
                            closed */
    memory_state *state; /* borrowed from the type's module */
} guard_object;

#define GUARD(op) ((guard_object *)(op))

/* What is to be finalized at the end. */
typedef struct {
    guard_object *guard;
    freeze_stack found;   /* owned references, of this round and earlier */
    freeze_set settled;   /* borrowed: those of earlier rounds, and spared */
    freeze_set waiting;   /* borrowed: those of this round */
    freeze_set seen;      /* … of these, looked into */
    freeze_stack open;    /* … to be looked into; tagged: to be left */
    freeze_stack ordered; /* … what is held before what holds it */
    Py_ssize_t *held;     /* for each slot of `waiting`: references seen */
    bool failed;          /* no memory for an order */
} ending;

#if FE_IMMORTAL

/* Call without arguments; what goes wrong is reported, nothing else. */
static void
call(PyObject *function)
{
    PyObject *result = PyObject_CallNoArgs(function);
    if (result == NULL) {
        PyErr_WriteUnraisable(function);
    }
    Py_XDECREF(result);
}

static bool
is_one_of(PyObject *o, PyObject *classes)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(classes); i++) {
        PyObject *cls = PyTuple_GET_ITEM(classes, i);
        if (PyObject_TypeCheck(o, (PyTypeObject *)cls)) {
            return true;
        }
    }
    return false;
}

/* The standard streams are the interpreter's to flush, and last of all. */
static void
spare(freeze_set *spared, PyObject *stream, memory_state *state)
{
    PyObject *names[] = {state->str_buffer, state->str_raw};
    Py_XINCREF(stream);
    for (size_t i = 0; stream != NULL; i++) {
        (void)freeze_set_add(spared, stream);
        PyObject *next = NULL;
        if (i < Py_ARRAY_LENGTH(names)
            && PyObject_GetOptionalAttr(stream, names[i], &next) < 0) {
            PyErr_Clear(); /* ValueError: detached; a user's own class */
        }
        Py_SETREF(stream, next);
    }
}

static void
spare_standard_streams(freeze_set *spared, memory_state *state)
{
    static const char *const names[] = {
        "stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(names); i++) {
        spare(spared, PySys_GetObject(names[i]), state);
    }
}

/* ---- order: what holds another comes first, as if it were let go
 *
 * A text layer is finalized before the buffer it writes into, a reader of a
 * socket before the socket. Followed are direct references and those through a
 * dict that is the object's own.
 */

static void
order_open(ending *end, PyObject *o)
{
    if (freeze_set_has(&end->waiting, o) && !freeze_set_has(&end->seen, o)
        && !freeze_push(&end->open, o)) {
        end->failed = true;
    }
}

static int
order_visit(PyObject *o, void *arg)
{
    ending *end = arg;
    order_open(end, o);
    if (PyDict_CheckExact(o) && Py_REFCNT(o) == 1) {
        Py_ssize_t at = 0;
        PyObject *value;
        while (PyDict_Next(o, &at, NULL, &value)) {
            order_open(end, value);
        }
    }
    return 0;
}

/* Depth first; an object is noted when all it leads to has been. */
static void
order_from(ending *end, PyObject *root)
{
    order_open(end, root);
    while (!end->failed && end->open.count > 0) {
        uintptr_t item = (uintptr_t)end->open.items[--end->open.count];
        PyObject *o = (PyObject *)(item & ~(uintptr_t)1);
        if (item & 1) {
            end->failed = !freeze_push(&end->ordered, o);
            continue;
        }
        int fresh = freeze_set_add(&end->seen, o);
        if (fresh != 0) {
            end->failed =
                fresh < 0 || !freeze_push(&end->open, (void *)(item | 1));
            if (PyObject_IS_GC(o) && Py_TYPE(o)->tp_traverse != NULL) {
                (void)Py_TYPE(o)->tp_traverse(o, order_visit, end);
            }
        }
    }
}

static void
note_waiting(ending *end, size_t first, int late)
{
    freeze_set_clear(&end->waiting);
    freeze_set_clear(&end->seen);
    end->ordered.count = 0;
    for (size_t i = first; i < end->found.count; i++) {
        PyObject *o = end->found.items[i];
        bool wanted =
            late < 0 || is_one_of(o, end->guard->late) == (late == 1);
        if (wanted && !freeze_set_has(&end->settled, o)
            && freeze_set_add(&end->waiting, o) < 0) {
            end->failed = true;
        }
    }
}

/* ---- what daemon threads hold
 *
 * They are gone, and what their calls refer to stays as it was: a generator
 * that runs, a file locked in the middle of a write, of which finalizing is a
 * fatal error. Whatever has more references than can be found is left alone,
 * with all it leads to, as CPython does.
 */

static int
held_visit(PyObject *o, void *arg)
{
    ending *end = arg;
    ptrdiff_t at = freeze_set_find(&end->waiting, o);
    if (at >= 0) {
        end->held[at]++;
    }
    return 0;
}

static int
held_turn(PyObject *o, void *arg)
{
    if (Py_TYPE(o)->tp_traverse != NULL) {
        (void)Py_TYPE(o)->tp_traverse(o, held_visit, arg);
    }
    return 1;
}

static void
spare_held(ending *end, size_t first)
{
    note_waiting(end, first, -1);
    size_t room = end->waiting.room;
    end->held = room > 0 ? freeze_map(room) : NULL;
    if (end->held == NULL) {
        end->failed = end->failed || room > 0;
        return;
    }
    PyUnstable_GC_VisitObjects(held_turn, end);
    for (size_t i = 0; i < room; i++) {
        PyObject *o = end->waiting.slots[i];
        if (o != NULL && Py_REFCNT(o) > end->held[i] + 1) {
            order_from(end, o); /* one is of `found` */
        }
    }
    freeze_unmap(end->held, room);
    for (size_t i = 0; i < end->ordered.count; i++) {
        if (freeze_set_add(&end->settled, end->ordered.items[i]) < 0) {
            end->failed = true;
        }
    }
}

/* ---- one round */

static void
finalize(ending *end, PyObject *o)
{
    memory_state *state = end->guard->state;
    if (!is_one_of(o, end->guard->closing)) {
        PyObject_CallFinalizer(o);
        return;
    }
    PyObject *done = PyObject_CallMethodNoArgs(o, state->str_close);
    if (done == NULL) {
        PyErr_Clear(); /* ProgrammingError: made in another thread */
    }
    Py_XDECREF(done);
}

/* All found from `first` on that are late, or that are not. */
static void
finalize_some(ending *end, size_t first, bool late)
{
    guard_object *guard = end->guard;
    note_waiting(end, first, late);
    /* From the wrappers: where a cycle leaves a choice, they come first. */
    for (int lower = 0; lower < 2; lower++) {
        for (size_t i = first; i < end->found.count; i++) {
            PyObject *o = end->found.items[i];
            if (is_one_of(o, guard->lower) == (lower == 1)) {
                order_from(end, o);
            }
        }
    }
    if (end->failed) { /* better in no order than not at all */
        for (size_t i = first; i < end->found.count; i++) {
            PyObject *o = end->found.items[i];
            if (is_one_of(o, guard->late) == late
                && !freeze_set_has(&end->settled, o)) {
                finalize(end, o);
            }
        }
        return;
    }
    for (size_t i = end->ordered.count; i > 0; i--) {
        finalize(end, end->ordered.items[i - 1]);
    }
}

/* Did it find any? */
static bool
finalize_round(ending *end)
{
    freeze_counts counts;
    freeze_options options = {.keep = end->guard->closing,
                              .found = &end->found};
    size_t first = end->found.count;
    if (freeze_walk(&options, &counts) < 0) {
        PyErr_WriteUnraisable((PyObject *)end->guard);
    }
    spare_standard_streams(&end->settled, end->guard->state);
    if (end->guard->state->crowded) {
        spare_held(end, first);
    }
    finalize_some(end, first, false);
    finalize_some(end, first, true);
    bool any = false;
    for (size_t i = first; !end->failed && i < end->found.count; i++) {
        int fresh = freeze_set_add(&end->settled, end->found.items[i]);
        any = any || fresh > 0;
        end->failed = fresh < 0;
    }
    return any;
}

/* What the collector does not know has no mark that its finalizer has run: it
 * is kept, so that it cannot run again.
 */
static void
release(freeze_stack *found)
{
    for (size_t i = 0; i < found->count; i++) {
        PyObject *o = found->items[i];
        if (PyType_IS_GC(Py_TYPE(o))) {
            Py_DECREF(o);
        }
    }
    freeze_unmap(found->items, found->room);
}

/* The collector does not get to see what was frozen: it would write into each
 * page of it, in every worker that ends.
 */
static void
finalize_all(guard_object *guard)
{
    ending end = {.guard = guard};
    bool more = true;
    for (int i = 0; more && !end.failed && i < MAX_ROUNDS; i++) {
        call(guard->unfreeze); /* 3.12 shows a visitor nothing frozen */
        more = finalize_round(&end);
        call(guard->freeze);
    }
    if (end.failed) {
        PyErr_NoMemory();
        PyErr_WriteUnraisable((PyObject *)guard);
    }
    release(&end.found);
    freeze_unmap(end.settled.slots, end.settled.room);
    freeze_unmap(end.waiting.slots, end.waiting.room);
    freeze_unmap(end.seen.slots, end.seen.room);
    freeze_unmap(end.open.items, end.open.room);
    freeze_unmap(end.ordered.items, end.ordered.room);
}
#else
static void
finalize_all(guard_object *Py_UNUSED(guard))
{
}
#endif

/* ---- the guard */

static void
guard_run(guard_object *self)
{
    self->state->ended = true;
    if (self->state->frozen) {
        finalize_all(self);
        return;
    }
    PyObject *done = PyObject_CallNoArgs(self->unfreeze);
    if (done == NULL) {
        PyErr_WriteUnraisable(self->unfreeze);
    }
    Py_XDECREF(done);
}

static void
guard_tp_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    guard_object *self = GUARD(op);
    if (self->state != NULL && !self->state->ended && Py_IsFinalizing()) {
        fe_error error = fe_error_put_aside();
        Py_SET_REFCNT(op, 1); /* messages may name it */
        guard_run(self);
        Py_SET_REFCNT(op, 0);
        fe_error_put_back(error);
    }
    Py_XDECREF(self->unfreeze);
    Py_XDECREF(self->freeze);
    Py_XDECREF(self->late);
    Py_XDECREF(self->lower);
    Py_XDECREF(self->closing);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot guard_slots[] = {
    {Py_tp_doc, FE_TEXT("Finalizes at the very end what immortal objects "
                        "hold.")},
    {Py_tp_dealloc, FE_SLOT(guard_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec guard_spec = {
    .name = "ferrule._memory._Guard",
    .basicsize = sizeof(guard_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = guard_slots,
};

/* new; `args` are those of _set_guard */
static PyObject *
guard_new(memory_state *state, PyObject *const *args)
{
    guard_object *guard =
        GUARD(state->guard_type->tp_alloc(state->guard_type, 0));
    if (guard != NULL) {
        guard->unfreeze = Py_NewRef(args[0]);
        guard->freeze = Py_NewRef(args[1]);
        guard->late = Py_NewRef(args[2]);
        guard->lower = Py_NewRef(args[3]);
        guard->closing = Py_NewRef(args[4]);
        guard->state = state;
    }
    return (PyObject *)guard;
}

static bool
is_classes(PyObject *o)
{
    if (!PyTuple_Check(o)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); i++) {
        if (!PyType_Check(PyTuple_GET_ITEM(o, i))) {
            return false;
        }
    }
    return true;
}

PyDoc_STRVAR(
    freeze_set_guard__doc__,
    "_set_guard($module, unfreeze, freeze, late, lower, closing, /)\n--\n\n"
    "Have what immortal objects hold finalized when the interpreter ends.\n\n"
    "`late`: classes to finalize last; `lower`: those of them that others\n"
    "wrap; `closing`: those whose objects have no finalizer, but close().");

static PyObject *
freeze_set_guard(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 5 || !is_classes(args[2]) || !is_classes(args[3])
        || !is_classes(args[4])) {
        PyErr_SetString(PyExc_TypeError, "_set_guard(): wanted two functions "
                                         "and three tuples of classes");
        return NULL;
    }
    memory_state *state = memory_get_state(module);
    PyObject *first = guard_new(state, args);
    PyObject *second = guard_new(state, args);
    /* replaced guards are let go here: the process is alive, they do nothing
     */
    int done =
        first != NULL && second != NULL
                && PyModule_AddObjectRef(module, "_guard", second) == 0
            ? PyDict_SetItemString(PyImport_GetModuleDict(), GUARD_NAME, first)
            : -1;
    Py_XDECREF(first);
    Py_XDECREF(second);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(
    freeze_note_threads__doc__,
    "_note_threads($module, /)\n--\n\n"
    "Note whether other threads run, which will stop where they are.");

static PyObject *
freeze_note_threads(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    PyThreadState *thread =
        PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    memory_get_state(module)->crowded = PyThreadState_Next(thread) != NULL;
    return Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
    {"_note_threads", freeze_note_threads, METH_NOARGS,
     freeze_note_threads__doc__},
    {"_set_guard", FE_METHOD(freeze_set_guard), METH_FASTCALL,
     freeze_set_guard__doc__},
    {NULL, NULL, 0, NULL},
};

int
freeze_exit_register(PyObject *module, memory_state *state)
{
    state->str_buffer = PyUnicode_InternFromString("buffer");
    state->str_close = PyUnicode_InternFromString("close");
    state->str_raw = PyUnicode_InternFromString("raw");
    state->guard_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &guard_spec, NULL);
    if (state->str_buffer == NULL || state->str_close == NULL
        || state->str_raw == NULL
        || state->guard_type == NULL
        /* whoever looks through sys.modules asks for it */
        || PyObject_SetAttrString((PyObject *)state->guard_type, "__spec__",
                                  Py_None)
               < 0
        || PyModule_AddType(module, state->guard_type) < 0
        || PyModule_AddFunctions(module, methods) < 0) {
        return -1;
    }
    return 0;
}
