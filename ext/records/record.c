/* SPDX-License-Identifier: MIT
 *
 * Record instances: memory, attributes, comparison, hash, repr.
 *
 * Two regimes. A *compact* instance is made and freed here: header, fields,
 * perhaps a collector header, a short free list per class. A *mixed* one has
 * a __dict__ (a base without __slots__ brought it): CPython's subtype
 * functions own its dict and weak list and call records_dealloc, _traverse
 * and _clear as those of its base, which then see to all record fields.
 *
 * Fields hold user objects, so any comparison, repr or release may run code
 * that changes the record: what is used across such a call is owned.
 */
#include "records_state.h"

enum { FREE_LIST_MAX = 256, DEALLOC_DEPTH_MAX = 64 };

/* ------------------------------------------------------------- memory */

/* records_alloc when the free list is empty */
PyObject *
records_alloc_fresh(record_class *cls)
{
    PyTypeObject *type = &cls->heap.ht_type;
    if (cls->mixed) {
        return type->tp_alloc(type, 0);
    }
    return cls->gc ? PyObject_GC_New(PyObject, type)
                   : PyObject_New(PyObject, type);
}

static inline void
zero_payload(PyObject *self)
{
    memset((char *)self + RECORDS_HEADER, 0,
           (size_t)Py_TYPE(self)->tp_basicsize - RECORDS_HEADER);
}

/* new: an instance with every field unset (unboxed ones zero); the caller
 * tracks it, unless it is mixed.
 */
PyObject *
records_alloc_zeroed(record_class *cls)
{
    PyObject *self = records_alloc(cls);
    if (self != NULL && !cls->mixed) {
        zero_payload(self);
    }
    return self;
}

void
records_track(record_class *cls, PyObject *self)
{
    if (cls->gc) {
        PyObject_GC_Track(self);
    }
}

static inline void
release(PyObject *self, record_class *cls)
{
    PyTypeObject *type = &cls->heap.ht_type;
#ifndef FE_NO_FREELIST
    if (FE_LIKELY(cls->recycle && cls->free_count < FREE_LIST_MAX)) {
        fe_dead_link_set(self, cls->free_list);
        cls->free_list = self;
        cls->free_count++;
        Py_DECREF(type);
        return;
    }
#endif
    type->tp_free(self);
    Py_DECREF(type);
}

void
records_drain_free_list(record_class *cls)
{
    while (cls->free_list != NULL) {
        PyObject *self = cls->free_list;
        cls->free_list = fe_dead_link_take(self);
        cls->heap.ht_type.tp_free(self);
    }
    cls->free_count = 0;
}

static void
drop_objects(PyObject *self, const record_plan *plan)
{
    for (Py_ssize_t i = 0; i < plan->object_count; i++) {
        PyObject **slot = (PyObject **)((char *)self + plan->objects[i]);
        Py_CLEAR(*slot);
    }
}

/* Free an instance that no Python code has seen: its __del__ does not run
 * (unless it is mixed: CPython made its dict, CPython frees it).
 */
void
records_discard(PyObject *self)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    if (cls->mixed || cls->heap.ht_type.tp_finalize == NULL) {
        Py_DECREF(self);
        return;
    }
    drop_objects(self, cls->plan);
    release(self, cls);
}

static void
dealloc_now(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    /* mixed: subtype_dealloc has run the finalizer already */
    if (type->tp_finalize != NULL && type->tp_dealloc == records_dealloc
        && PyObject_CallFinalizerFromDealloc(self) < 0) {
        return; /* resurrected */
    }
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    type = &cls->heap.ht_type;
    if (PyType_IS_GC(type) && PyObject_GC_IsTracked(self)) {
        PyObject_GC_UnTrack(self);
    }
    if (type->tp_weaklistoffset > 0) {
        PyObject_ClearWeakRefs(self);
    }
    drop_objects(self, cls->plan);
    release(self, cls);
}

/* Keep a dead record for later. Its reference count stays 0, which is how a
 * weak reference knows. false: no memory.
 */
static bool
postpone(PyObject *self, records_state *state)
{
    if (state->pending_count == state->pending_room) {
        size_t room = state->pending_room * 2 + 64;
        PyObject **pending =
            PyMem_Realloc(state->pending, room * sizeof(*pending));
        if (pending == NULL) {
            return false;
        }
        state->pending = pending;
        state->pending_room = room;
    }
    if (PyType_IS_GC(Py_TYPE(self)) && PyObject_GC_IsTracked(self)) {
        PyObject_GC_UnTrack(self);
    }
    state->pending[state->pending_count++] = self;
    return true;
}

/* Dead records beyond the depth limit wait, so that a chain of any length is
 * freed in constant stack, with or without a collector header.
 */
static void
dealloc_deep(PyObject *self, records_state *state)
{
    if (state->dealloc_depth >= DEALLOC_DEPTH_MAX && postpone(self, state)) {
        return;
    }
    state->dealloc_depth++;
    dealloc_now(self);
    state->dealloc_depth--;
    while (state->dealloc_depth == 0 && state->pending_count > 0) {
        PyObject *next = state->pending[--state->pending_count];
        state->dealloc_depth++;
        if (RECORD_CLASS(Py_TYPE(next))->gc) {
            PyObject_GC_Track(next); /* as a finalizer expects it */
        }
        dealloc_now(next);
        state->dealloc_depth--;
    }
}

/* May releasing the value free another record, and so on without end? */
static inline bool
may_go_deep(PyObject *value)
{
    return value != NULL && !PyUnicode_CheckExact(value)
           && !PyLong_CheckExact(value) && !PyFloat_CheckExact(value)
           && !PyBytes_CheckExact(value) && value != Py_None;
}

/* Nothing to finalise, untrack or clear, and no chain below: just go. */
static inline bool
dealloc_quick(PyObject *self, record_class *cls)
{
    const record_plan *plan = cls->plan;
    for (Py_ssize_t i = 0; i < plan->object_count; i++) {
        if (may_go_deep(*(PyObject **)((char *)self + plan->objects[i]))) {
            return false;
        }
    }
    for (Py_ssize_t i = 0; i < plan->object_count; i++) {
        Py_XDECREF(*(PyObject **)((char *)self + plan->objects[i]));
    }
    release(self, cls);
    return true;
}

void
records_dealloc(PyObject *self)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    if (FE_LIKELY(cls->quick) && dealloc_quick(self, cls)) {
        return;
    }
    if (cls->plan->object_count > 0) {
        dealloc_deep(self, cls->state);
    }
    else {
        dealloc_now(self);
    }
}

int
records_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    const record_plan *plan = RECORD_PLAN(self);
    for (Py_ssize_t i = 0; i < plan->object_count; i++) {
        Py_VISIT(*(PyObject **)((char *)self + plan->objects[i]));
    }
    return 0;
}

int
records_clear(PyObject *self)
{
    drop_objects(self, RECORD_PLAN(self));
    return 0;
}

/* --------------------------------------------------------- attributes */

/* new: the value of any field; AttributeError when an object is unset */
PyObject *
records_load(PyObject *self, const record_field *field)
{
    if (field->kind != FE_OBJECT) {
        return fe_load_unboxed(FE_FIELD_AT(self, field), field);
    }
    PyObject *value = FE_FIELD_OBJECT(self, field);
    return value != NULL ? Py_NewRef(value) : records_unset(self, field);
}

/* Build the table of records_getattro_fast: open addressing by the address
 * of the interned name. -1 with MemoryError.
 */
int
records_plan_lookup(record_plan *plan)
{
    uint32_t size = 4;
    while (size < 2 * (size_t)plan->field_count) {
        size *= 2;
    }
    record_field *table = PyMem_Calloc(size, sizeof(record_field));
    if (table == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        uint32_t at = records_lookup_start(plan->fields[i].name, size - 1);
        while (table[at].name != NULL) {
            at = (at + 1) & (size - 1);
        }
        table[at] = plan->fields[i];
    }
    PyMem_Free(plan->lookup);
    plan->lookup = table;
    plan->lookup_mask = size - 1;
    return 0;
}

/* tp_getattro of classes that have unboxed fields and nothing else: measured
 * 1.5x as fast as descriptor lookup, but LOAD_ATTR cannot specialise methods
 * or object fields then, so no other class has it.
 */
PyObject *
records_getattro_fast(PyObject *self, PyObject *name)
{
    const record_plan *plan = RECORD_PLAN(self);
    const record_field *table = plan->lookup;
    uint32_t at = records_lookup_start(name, plan->lookup_mask);
    while (table[at].name != NULL) {
        if (table[at].name == name) {
            return fe_load_unboxed(FE_FIELD_AT(self, &table[at]), &table[at]);
        }
        at = (at + 1) & plan->lookup_mask;
    }
    return PyObject_GenericGetAttr(self, name);
}

/* --------------------------------------------------------- comparison */

/* Both values of an object field, owned. 0; -1: one is unset. */
static int
own_pair(PyObject *self, PyObject *other, const record_field *field,
         PyObject **a, PyObject **b)
{
    *a = records_load(self, field);
    *b = *a != NULL ? records_load(other, field) : NULL;
    if (*b == NULL) {
        Py_CLEAR(*a);
        return -1;
    }
    return 0;
}

/* 1 equal, 0 not, -1 error */
static FE_NOINLINE int
equal_objects(PyObject *self, PyObject *other, const record_field *field)
{
    PyObject *a, *b;
    if (own_pair(self, other, field, &a, &b) < 0) {
        return -1;
    }
    int equal = PyObject_RichCompareBool(a, b, Py_EQ);
    Py_DECREF(a);
    Py_DECREF(b);
    return equal;
}

FE_INLINE int
equal_field(PyObject *self, PyObject *other, const record_field *field)
{
    const char *x = FE_FIELD_AT(self, field), *y = FE_FIELD_AT(other, field);
    int equal;
    switch ((fe_kind)field->kind) {
    case FE_OBJECT: {
        PyObject *a = FE_READ(PyObject *, x);
        return a != NULL && a == FE_READ(PyObject *, y)
                   ? 1
                   : equal_objects(self, other, field);
    }
    case FE_I64:
    case FE_U64:
        return FE_READ(int64_t, x) == FE_READ(int64_t, y);
    case FE_F64:
        return FE_READ(double, x) == FE_READ(double, y);
    default:
        records_compare_unboxed(field, x, y, Py_LT, &equal);
        return equal;
    }
}

/* new: the verdict of the first field that differs */
static PyObject *
order_field(PyObject *self, PyObject *other, const record_field *field, int op)
{
    const char *x = FE_FIELD_AT(self, field), *y = FE_FIELD_AT(other, field);
    int equal;
    if (field->kind == FE_I64 && op == Py_LT) { /* what sorting asks */
        return Py_NewRef(FE_READ(int64_t, x) < FE_READ(int64_t, y) ? Py_True
                                                                   : Py_False);
    }
    if (field->kind != FE_OBJECT) {
        return PyBool_FromLong(
            records_compare_unboxed(field, x, y, op, &equal));
    }
    PyObject *a, *b;
    if (own_pair(self, other, field, &a, &b) < 0) {
        return NULL;
    }
    PyObject *result = PyObject_RichCompare(a, b, op);
    Py_DECREF(a);
    Py_DECREF(b);
    return result;
}

static inline PyObject *
verdict(bool yes)
{
    return Py_NewRef(yes ? Py_True : Py_False);
}

static PyObject *
compare_equal(PyObject *self, PyObject *other, const record_plan *plan,
              bool wanted)
{
    if (self == other) {
        return verdict(wanted);
    }
    const record_field *field = plan->fields;
    const record_field *stop = field + plan->eq_fields;
    for (; field < stop; field++) {
        if (!(field->flags & FE_FIELD_COMPARE)) {
            continue;
        }
        int equal = equal_field(self, other, field);
        if (equal != 1) {
            return equal < 0 ? NULL : verdict(!wanted);
        }
    }
    return verdict(wanted);
}

static PyObject *
compare_order(PyObject *self, PyObject *other, const record_plan *plan, int op)
{
    const record_field *field = plan->fields;
    const record_field *stop = field + plan->order_fields;
    for (; field < stop; field++) {
        if (!(field->flags & FE_FIELD_COMPARE)) {
            continue;
        }
        int equal = equal_field(self, other, field);
        if (equal != 1) {
            return equal < 0 ? NULL : order_field(self, other, field, op);
        }
    }
    return verdict(op == Py_LE || op == Py_GE);
}

static inline PyObject *
compare(PyObject *self, PyObject *other, const record_plan *plan, int op)
{
    return op == Py_EQ || op == Py_NE
               ? compare_equal(self, other, plan, op == Py_EQ)
               : compare_order(self, other, plan, op);
}

/* Like tuples of the compared fields, between instances of one class. */
PyObject *
records_richcompare(PyObject *self, PyObject *other, int op)
{
    record_plan *plan = RECORD_PLAN(self);
    bool equality = op == Py_EQ || op == Py_NE;
    Py_ssize_t count = equality ? plan->eq_fields : plan->order_fields;
    if (Py_TYPE(self) != Py_TYPE(other) || count < 0) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (plan->object_count == 0) {
        return compare(self, other, plan, op);
    }
    Py_INCREF(plan); /* a field's __eq__ may drop the class */
    PyObject *result = compare(self, other, plan, op);
    Py_DECREF(plan);
    return result;
}

static Py_hash_t
hash_field(PyObject *self, const record_field *field)
{
    if (field->kind != FE_OBJECT) {
        return records_hash_unboxed(field, FE_FIELD_AT(self, field));
    }
    PyObject *value = records_load(self, field);
    if (value == NULL || Py_EnterRecursiveCall(" while hashing a record")) {
        Py_XDECREF(value);
        return -1;
    }
    Py_hash_t hash = PyObject_Hash(value);
    Py_LeaveRecursiveCall();
    Py_DECREF(value);
    return hash;
}

static Py_hash_t
hash_fields(PyObject *self, const record_plan *plan)
{
    Py_uhash_t acc = FE_MIX_5;
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < plan->hash_fields; i++) {
        const record_field *field = &plan->fields[i];
        if (!(field->flags & FE_FIELD_HASH)) {
            continue;
        }
        Py_hash_t hash = hash_field(self, field);
        if (hash == -1) {
            return -1;
        }
        acc = fe_hash_mix(acc, hash);
        count++;
    }
    return fe_hash_finish(acc, count);
}

/* Equal to hash(tuple of the hashed fields), but for an unboxed NaN. */
Py_hash_t
records_hash(PyObject *self)
{
    record_plan *plan = RECORD_PLAN(self);
    Py_INCREF(plan); /* a field's __hash__ may drop the class */
    Py_hash_t hash = plan->hash_fields < 0 ? PyBaseObject_Type.tp_hash(self)
                                           : hash_fields(self, plan);
    Py_DECREF(plan);
    return hash;
}

/* --------------------------------------------------------------- repr */

static int
write_field(fe_text *text, PyObject *self, const record_field *field)
{
    const char *at = FE_FIELD_AT(self, field);
    if (FE_UNLIKELY(field->flags & FE_FIELD_SENSITIVE)) {
        return fe_text_literal(text, "***");
    }
    switch ((fe_kind)field->kind) {
    case FE_I64:
        return fe_text_i64(text, FE_READ(int64_t, at));
    case FE_F64:
        return fe_text_f64(text, FE_READ(double, at));
    default:
        break;
    }
    PyObject *value = records_load(self, field);
    if (value == NULL) {
        return -1;
    }
    int status = PyUnicode_CheckExact(value) ? fe_text_quoted(text, value)
                                             : fe_text_repr(text, value);
    Py_DECREF(value);
    return status;
}

static int
write_record(fe_text *text, PyObject *self, const record_plan *plan)
{
    const char *separator = "";
    PyObject *qualname = PyType_GetQualName(Py_TYPE(self));
    int status = qualname != NULL ? fe_text_str(text, qualname) : -1;
    Py_XDECREF(qualname);
    if (status < 0 || fe_text_literal(text, "(") < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < plan->repr_fields; i++) {
        const record_field *field = &plan->fields[i];
        if (!(field->flags & FE_FIELD_REPR)) {
            continue;
        }
        if (fe_text_literal(text, separator) < 0
            || fe_text_str(text, field->name) < 0
            || fe_text_literal(text, "=") < 0
            || write_field(text, self, field) < 0) {
            return -1;
        }
        separator = ", ";
    }
    return fe_text_literal(text, ")");
}

/* Could the repr of a field come back to this record? */
static bool
holds_compound(PyObject *self, const record_plan *plan)
{
    for (Py_ssize_t i = 0; i < plan->object_count; i++) {
        PyObject *value = *(PyObject **)((char *)self + plan->objects[i]);
        if (value != NULL && !records_is_atomic(value)) {
            return true;
        }
    }
    return false;
}

PyObject *
records_repr(PyObject *self)
{
    record_plan *plan = RECORD_PLAN(self);
    if (plan->repr_fields < 0) {
        return PyBaseObject_Type.tp_repr(self);
    }
    bool guarded = holds_compound(self, plan);
    int entered = guarded ? Py_ReprEnter(self) : 0;
    if (entered != 0) {
        return entered < 0 ? NULL : PyUnicode_FromString("...");
    }
    fe_text text;
    fe_text_init(&text);
    Py_INCREF(plan); /* a field's __repr__ may drop the class */
    PyObject *result =
        write_record(&text, self, plan) == 0 ? fe_text_finish(&text) : NULL;
    Py_DECREF(plan);
    fe_text_free(&text);
    if (guarded) {
        Py_ReprLeave(self);
    }
    return result;
}
