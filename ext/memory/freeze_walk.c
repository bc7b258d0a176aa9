/* SPDX-License-Identifier: MIT
 *
 * Over all that can be reached: make it immortal, so that using it writes
 * nothing. Every object the collector tracks gets one turn; what it does not
 * track (strings, numbers, code, untracked tuples and dicts) is reached from
 * those. Nothing is allocated in Python's heaps, and no code runs.
 */
#include "freeze_set.h"
#include "memory_state.h"

#if FE_IMMORTAL

/* An object with a finalizer that has more holders than this belongs to none
 * of them.
 */
#define MAX_OWNERS 4

typedef struct {
    const freeze_options *options;
    freeze_counts *counts;
    freeze_stack pending; /* untracked containers, not looked into yet */
    freeze_set seen;      /* … and those that have been */
    freeze_set keep;
    bool owner; /* the object in turn holds one with a finalizer */
    bool failed;
} walk;

static bool
has_finalizer(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    return type->tp_finalize != NULL || type->tp_del != NULL;
}

static void
make_immortal(walk *w, PyObject *o)
{
    freeze_counts *counts = w->counts;
    if (fe_is_immortal(o)) {
        if (fe_is_immortal_exact(o)) {
            counts->already++;
            return;
        }
        counts->drifted++;
    }
    else if (!w->options->immortal) {
        counts->lost++;
    }
    if (w->options->immortal) {
        fe_immortalise(o);
        counts->immortal++;
    }
}

static void
prehash(walk *w, PyObject *o)
{
    if (w->options->hash && ((PyASCIIObject *)o)->hash == -1) {
        (void)PyObject_Hash(o); /* a str's hash cannot fail */
        w->counts->hashed++;
    }
}

/* Does an untracked object lead further, or must somebody look why not? */
static bool
leads_on(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    return PyType_IS_GC(type) || PyCode_Check(o)
           || (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0
           || type == &PyGetSetDescr_Type || type == &PyMemberDescr_Type
           || has_finalizer(o);
}

static int visit(PyObject *o, void *arg);

static void
see(walk *w, PyObject *o)
{
    if (o != NULL) {
        (void)visit(o, w);
    }
}

/* A dict or tuple that only one object holds is a part of it. */
static bool
dict_owns(PyObject *dict)
{
    Py_ssize_t at = 0;
    PyObject *value;
    for (int i = 0; i < 64 && PyDict_Next(dict, &at, NULL, &value); i++) {
        if (has_finalizer(value) && Py_REFCNT(value) <= MAX_OWNERS) {
            return true;
        }
    }
    return false;
}

/* Does what holds `o` thereby own something with a finalizer? */
static bool
owns(PyObject *o)
{
    return has_finalizer(o)
               ? Py_REFCNT(o) <= MAX_OWNERS
               : PyDict_CheckExact(o) && Py_REFCNT(o) == 1 && dict_owns(o);
}

static bool
tuple_owns(PyObject *tuple)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        if (item == NULL || owns(item)) {
            return true;
        }
    }
    return false;
}

static bool
is_asked(walk *w, PyObject *o)
{
    return freeze_set_has(&w->keep, o) || freeze_set_has(&w->keep, Py_TYPE(o));
}

/* A tuple that a function up the stack is filling (tuple(generator)) will be
 * resized, and that wants a count of one. Nothing that can be traversed holds
 * it: so a tuple with one holder becomes immortal when that one is visited.
 */
static void
visit_tracked(walk *w, PyObject *o)
{
    if (owns(o)) {
        w->owner = true;
    }
    else if (PyTuple_CheckExact(o) && Py_REFCNT(o) == 1 && !is_asked(w, o)) {
        if (tuple_owns(o)) {
            w->owner = true;
        }
        else {
            make_immortal(w, o);
        }
    }
}

static int
visit(PyObject *o, void *arg)
{
    walk *w = arg;
    if (PyUnicode_CheckExact(o)) {
        prehash(w, o);
        make_immortal(w, o);
        return 0;
    }
    if (PyType_IS_GC(Py_TYPE(o)) && PyObject_GC_IsTracked(o)) {
        visit_tracked(w, o); /* has its own turn */
        return 0;
    }
    if (!leads_on(o)) {
        make_immortal(w, o);
        return 0;
    }
    if (has_finalizer(o) && Py_REFCNT(o) <= MAX_OWNERS) {
        w->owner = true;
    }
    int fresh = freeze_set_add(&w->seen, o);
    if (fresh < 0 || (fresh > 0 && !freeze_push(&w->pending, o))) {
        w->counts->missed++; /* stays as it is, and so does what it holds */
    }
    return 0;
}

/* ---- what tp_traverse does not visit */

static void
visit_code(walk *w, PyCodeObject *code)
{
    PyObject *parts[] = {code->co_consts,
                         code->co_names,
                         code->co_exceptiontable,
                         code->co_localsplusnames,
                         code->co_localspluskinds,
                         code->co_filename,
                         code->co_name,
                         code->co_qualname,
                         code->co_linetable};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(parts); i++) {
        see(w, parts[i]);
    }
    for (int i = 0; i < 4; i++) {
        see(w, fe_code_cached_borrow(code, i));
    }
}

static void
visit_type(walk *w, PyTypeObject *type)
{
    PyObject *dict = PyType_GetDict(type);
    see(w, dict);
    Py_XDECREF(dict);
    see(w, type->tp_bases);
    see(w, type->tp_mro);
    if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) {
        return;
    }
    PyHeapTypeObject *heap = (PyHeapTypeObject *)type;
    see(w, heap->ht_name);
    see(w, heap->ht_qualname);
    see(w, heap->ht_slots);
    see(w, (PyObject *)type->tp_subclasses);
    /* else the first look-up in each child would write one into the type */
    if (w->options->immortal && type->tp_version_tag == 0
        && PyUnstable_Type_AssignVersionTag(type)) {
        w->counts->versioned++;
    }
}

/* Slots of types that are not the collector's: records with gc=False. */
static void
visit_members(walk *w, PyObject *o)
{
    for (PyTypeObject *type = Py_TYPE(o); type != NULL; type = type->tp_base) {
        PyObject *dict = PyType_GetDict(type), *value;
        Py_ssize_t at = 0;
        while (dict != NULL && PyDict_Next(dict, &at, NULL, &value)) {
            if (!Py_IS_TYPE(value, &PyMemberDescr_Type)) {
                continue;
            }
            PyMemberDef *member = ((PyMemberDescrObject *)value)->d_member;
            if (member->type == Py_T_OBJECT_EX
                || member->type == FE_T_OBJECT) {
                see(w, *(PyObject **)((char *)o + member->offset));
            }
        }
        Py_XDECREF(dict);
    }
}

static void
visit_dict(walk *w, PyObject *dict)
{
    Py_ssize_t at = 0;
    PyObject *key, *value;
    while (!w->failed && PyDict_Next(dict, &at, &key, &value)) {
        see(w, key);
        see(w, value);
    }
}

static void
visit_children(walk *w, PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    see(w, (PyObject *)type);
    if (PyDict_Check(o)) {
        visit_dict(w, o);
        if (PyDict_CheckExact(o)) {
            return;
        }
    }
    else if (PyCode_Check(o)) {
        visit_code(w, (PyCodeObject *)o);
        return;
    }
    else if (PyType_Check(o)) {
        visit_type(w, (PyTypeObject *)o);
        if ((((PyTypeObject *)o)->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) {
            return; /* type's tp_traverse is for heap types */
        }
    }
    else if (type == &PyGetSetDescr_Type || type == &PyMemberDescr_Type
             || type == &PyMethodDescr_Type || type == &PyWrapperDescr_Type
             || type == &PyClassMethodDescr_Type) {
        see(w, ((PyDescrObject *)o)->d_name);
        see(w, ((PyDescrObject *)o)->d_qualname);
    }
    if (PyType_IS_GC(type) && type->tp_traverse != NULL) {
        (void)type->tp_traverse(o, visit, w);
    }
    else if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0) {
        visit_members(w, o);
    }
}

/* ---- one object's turn */

/* May it hold what has a finalizer without being its owner? */
static bool
is_ground(PyObject *o)
{
    return PyModule_Check(o) || PyType_Check(o) || PyFunction_Check(o)
           || PyCode_Check(o) || PyCell_Check(o);
}

/* See visit_tracked. While it has its turn, whoever gives it holds it too. */
static bool
is_unfinished(PyObject *o)
{
    return PyTuple_CheckExact(o) && PyObject_GC_IsTracked(o)
           && Py_REFCNT(o) <= 2;
}

/* Somebody up the stack is deallocating it. */
static bool
is_dying(PyObject *o)
{
    return Py_REFCNT(o) <= 0;
}

/* FREEZE_REASONS: none */
static freeze_reason
why_mortal(walk *w, PyObject *o)
{
    if (is_asked(w, o)) {
        return FREEZE_ASKED;
    }
    if (PyFrame_Check(o) || is_dying(o)) {
        return FREEZE_RUNNING;
    }
    if (has_finalizer(o)) {
        return FREEZE_FINALIZER;
    }
    return w->owner && !is_ground(o) ? FREEZE_OWNER : FREEZE_REASONS;
}

static void
find(walk *w, PyObject *o)
{
    bool run = PyType_IS_GC(Py_TYPE(o)) && PyObject_GC_IsFinalized(o);
    if (!run && Py_REFCNT(o) > 0) {
        if (freeze_push(w->options->found, o)) {
            Py_INCREF(o);
        }
        else {
            w->failed = true;
        }
    }
}

static void
turn(walk *w, PyObject *o)
{
    w->owner = false;
    visit_children(w, o);
    freeze_reason why = why_mortal(w, o);
    if (why != FREEZE_REASONS) {
        w->counts->mortal[why]++;
    }
    else if (!is_unfinished(o)) {
        make_immortal(w, o);
    }
    if (w->options->found != NULL
        && (has_finalizer(o) || freeze_set_has(&w->keep, Py_TYPE(o)))) {
        find(w, o);
    }
}

static int
turn_of_tracked(PyObject *o, void *arg)
{
    walk *w = arg;
    turn(w, o);
    while (!w->failed && w->pending.count > 0) {
        turn(w, w->pending.items[--w->pending.count]);
    }
    return !w->failed;
}

static bool
fill_keep(walk *w)
{
    PyObject *keep = w->options->keep;
    bool good = freeze_set_add(&w->keep, keep) >= 0;
    for (Py_ssize_t i = 0; good && i < PyTuple_GET_SIZE(keep); i++) {
        good = freeze_set_add(&w->keep, PyTuple_GET_ITEM(keep, i)) >= 0;
    }
    return good;
}

int
freeze_walk(const freeze_options *options, freeze_counts *counts)
{
    walk w = {.options = options, .counts = counts};
    memset(counts, 0, sizeof(*counts));
    w.failed = !fill_keep(&w);
    if (!w.failed) {
        PyUnstable_GC_VisitObjects(turn_of_tracked, &w);
    }
    freeze_unmap(w.pending.items, w.pending.room);
    freeze_unmap(w.seen.slots, w.seen.room);
    freeze_unmap(w.keep.slots, w.keep.room);
    if (w.failed) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

#else

int
freeze_walk(const freeze_options *Py_UNUSED(options),
            freeze_counts *Py_UNUSED(counts))
{
    PyErr_SetString(PyExc_SystemError, "no immortal objects here");
    return -1;
}

#endif
