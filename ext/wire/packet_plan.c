/* SPDX-License-Identifier: MIT
 *
 * From a record class to its packet layout: fields in order of declaration,
 * their places, bit runs, and what the whole layout is. Compiled once, kept in
 * the class's annex.
 *
 * While a layout is compiled Python code may run, and compile the same class:
 * whichever is ready first stays.
 */
#include "packet_plan.h"

#include "packet_number.h"

int
packet_plan_refuse(const packet_plan *plan, const packet_field *field,
                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PyObject *text = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    if (text != NULL) {
        PyErr_Format(PyExc_TypeError, "%s(): %U.%U: %U", plan->function,
                     plan->layout->qualname, field->field->name, text);
        Py_DECREF(text);
    }
    return -1;
}

/* ---- bit runs */

/* A run of `bits` bits, fields[first] … fields[last], is full. */
static void
close_run(packet_layout *layout, Py_ssize_t first, Py_ssize_t last,
          uint32_t bits)
{
    uint32_t before = 0;
    for (Py_ssize_t i = first; i <= last; i++) {
        packet_field *field = &layout->fields[i];
        field->size = bits / 8;
        field->shift =
            (uint8_t)(layout->big ? bits - before - field->bits : before);
        field->run_start = i == first;
        before += field->bits;
    }
}

static int
find_runs(packet_plan *plan)
{
    packet_layout *layout = plan->layout;
    Py_ssize_t first = 0;
    uint32_t bits = 0;
    for (Py_ssize_t i = 0; i <= layout->count; i++) {
        bool more =
            i < layout->count && layout->fields[i].shape == PACKET_BITS;
        bool broken = bits > 0 && !more;
        if (more) {
            first = bits == 0 ? i : first;
            bits += layout->fields[i].bits;
            broken = bits > 64;
        }
        if (broken) {
            return packet_plan_refuse(plan, &layout->fields[first],
                                      "its run of bit fields has %u bits, no "
                                      "whole bytes up to 64 bits",
                                      bits);
        }
        if (!more) {
            continue;
        }
        if (bits % 8 == 0) {
            close_run(layout, first, i, bits);
            bits = 0;
        }
    }
    return 0;
}

/* ---- places */

/* The fewest bytes a field takes. */
static uint64_t
minimum_of(const packet_field *field)
{
    if (field->size != PACKET_UNKNOWN) {
        return field->size;
    }
    if (field->shape == PACKET_NESTED) {
        return field->layout->minimum;
    }
    if (field->shape == PACKET_ARRAY) {
        return field->by < 0 ? (uint64_t)field->count * field->layout->minimum
                             : 0;
    }
    if (field->shape != PACKET_TAGGED || field->default_bytes) {
        return 0;
    }
    uint64_t least =
        field->layout != NULL ? field->layout->minimum : PACKET_UNKNOWN;
    for (Py_ssize_t k = 0; k < field->case_count; k++) {
        const packet_layout *layout = field->cases[k].layout;
        uint64_t own = layout != NULL ? layout->minimum : 0;
        least = own < least ? own : least;
    }
    return least == PACKET_UNKNOWN ? 0 : least;
}

/* Does the field take all that is left? */
static bool
is_open(const packet_field *field)
{
    bool open = field->shape == PACKET_REST || field->default_bytes
                || (field->shape != PACKET_ARRAY && field->layout != NULL
                    && field->layout->open);
    for (Py_ssize_t k = 0; k < field->case_count; k++) {
        const packet_layout *layout = field->cases[k].layout;
        open = open || layout == NULL || layout->open;
    }
    return open;
}

static int
place(packet_plan *plan)
{
    packet_layout *layout = plan->layout;
    uint64_t offset = 0, minimum = 0;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        packet_field *field = &layout->fields[i];
        if (layout->open) {
            return packet_plan_refuse(
                plan, field - 1,
                "takes all that is left, but is not the last field");
        }
        layout->open = is_open(field);
        if (field->shape == PACKET_BITS && !field->run_start) {
            field->offset = layout->fields[i - 1].offset;
            continue;
        }
        field->offset =
            offset < PACKET_UNKNOWN ? (uint32_t)offset : PACKET_UNKNOWN;
        minimum += minimum_of(field);
        if (minimum >= PACKET_UNKNOWN) {
            return packet_plan_refuse(plan, field, "lies beyond 4 GiB");
        }
        offset = offset < PACKET_UNKNOWN && field->size != PACKET_UNKNOWN
                     ? minimum
                     : PACKET_UNKNOWN;
    }
    layout->size = (uint32_t)offset;
    layout->minimum = (uint32_t)minimum;
    return 0;
}

/* ---- what the whole layout is */

/* Is the nested layout sound, and what does it say of the outer one? */
static int
join_inner(packet_plan *plan, const packet_field *field,
           const packet_layout *inner)
{
    packet_layout *layout = plan->layout;
    if (inner == NULL) {
        return 0;
    }
    layout->summed |= inner->summed;
    layout->empties |= inner->empties;
    if (inner->depth >= layout->depth) {
        layout->depth = inner->depth + 1;
    }
    if (layout->depth > PACKET_DEPTH_MAX) {
        return packet_plan_refuse(plan, field, "nested deeper than %d",
                                  PACKET_DEPTH_MAX);
    }
    return 0;
}

static int
sum_up(packet_plan *plan)
{
    packet_layout *layout = plan->layout;
    layout->all_scalar = true;
    layout->plain = plan->state->records->is_plain(layout->cls);
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        layout->all_scalar &=
            field->shape == PACKET_SCALAR && field->enumeration == NULL;
        layout->boxed |= field->field->kind == FE_OBJECT;
        layout->summed |= field->sum != PACKET_NO_SUM;
        layout->empties |=
            field->shape == PACKET_ARRAY && field->item_size == 0;
        if (join_inner(plan, field, field->layout) < 0) {
            return -1;
        }
        for (Py_ssize_t k = 0; k < field->case_count; k++) {
            if (join_inner(plan, field, field->cases[k].layout) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int
make_steps(packet_layout *layout)
{
    if (!layout->all_scalar) {
        return 0;
    }
    layout->steps = PyMem_New(packet_step, (size_t)layout->count + 1);
    if (layout->steps == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        layout->steps[i] =
            (packet_step){field->offset, field->field->offset, field->move};
    }
    return 0;
}

/* ---- fields */

/* 1: one more field; 0: there are no more; -1 */
static int
add_field(packet_plan *plan)
{
    packet_layout *layout = plan->layout;
    fe_record_entry entry;
    int more = plan->state->records->describe(
        plan->state->records, layout->cls, layout->count, &entry);
    if (more <= 0) {
        return more;
    }
    packet_field *field = &layout->fields[layout->count++];
    *field = (packet_field){
        .field = entry.field,
        .index = entry.index,
        .kind = FE_OBJECT,
        .big = layout->big,
        .by = -1,
        .slot = -1,
    };
    PyObject *meaning =
        Py_NewRef(entry.meaning != NULL ? entry.meaning : Py_None);
    packet_annotation annotation;
    int status = packet_annotation_read(plan, field, meaning, &annotation);
    if (status == 0) {
        status = packet_fill(plan, field, &annotation, meaning);
        packet_annotation_drop(&annotation);
    }
    Py_DECREF(meaning);
    return status < 0 ? -1 : 1;
}

static int
add_fields(packet_plan *plan)
{
    packet_layout *layout = plan->layout;
    fe_record_entry entry;
    Py_ssize_t count = 0;
    int more;
    while ((more = plan->state->records->describe(plan->state->records,
                                                  layout->cls, count, &entry))
           > 0) {
        count++;
    }
    if (more < 0) {
        return -1;
    }
    layout->fields = PyMem_New(packet_field, (size_t)count + 1);
    if (layout->fields == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    while (layout->count < count && more >= 0) {
        more = add_field(plan);
    }
    return more < 0 ? -1 : 0;
}

/* new */
static packet_layout *
compile_now(packet_plan *plan, PyTypeObject *cls, bool big)
{
    plan->overs = PyList_New(0);
    plan->layout =
        plan->overs != NULL ? packet_layout_new(plan->state, cls, big) : NULL;
    if (plan->layout == NULL || add_fields(plan) < 0 || find_runs(plan) < 0
        || place(plan) < 0 || packet_plan_sums(plan) < 0 || sum_up(plan) < 0
        || make_steps(plan->layout) < 0) {
        Py_CLEAR(plan->layout);
    }
    else {
        PyObject_GC_Track(plan->layout);
    }
    Py_CLEAR(plan->overs);
    return plan->layout;
}

/* ---- the annex */

/* The order that a class's own statement says. */
static bool
own_order(const wire_state *state, PyTypeObject *cls, bool outer)
{
    int endian = state->records->endian(cls);
    return endian == 0 ? outer : endian == 2;
}

/* borrowed: the layout in the annex, if it is of this module; or NULL */
static packet_layout *
find_layout(const wire_state *state, PyTypeObject *cls)
{
    PyObject *kept = *state->records->annex(cls);
    if (kept == NULL || !Py_IS_TYPE(kept, state->layout_type)
        || ((packet_layout *)kept)->owner != state) {
        return NULL;
    }
    return (packet_layout *)kept;
}

/* borrowed: the class's layout in the order, or NULL */
static packet_layout *
find_order(const wire_state *state, PyTypeObject *cls, bool big)
{
    packet_layout *first = find_layout(state, cls);
    return first == NULL || first->big == big ? first : first->other;
}

/* Stolen: the layout; new: it, or what was there before it. The first layout
 * of the annex is that in the class's own order, if there is one. */
static packet_layout *
keep_layout(wire_state *state, PyTypeObject *cls, packet_layout *layout)
{
    packet_layout *there = find_order(state, cls, layout->big);
    if (there != NULL) {
        Py_INCREF(there);
        Py_DECREF(layout);
        return there;
    }
    packet_layout *first = find_layout(state, cls);
    if (first != NULL) {
        first->other = (packet_layout *)Py_NewRef(layout);
    }
    else {
        Py_XSETREF(*state->records->annex(cls), Py_NewRef(layout));
    }
    return layout;
}

packet_layout *
packet_compile(packet_plan *outer, const packet_field *field, PyObject *type,
               bool big)
{
    PyTypeObject *cls = (PyTypeObject *)type;
    wire_state *state = outer->state;
    big = own_order(state, cls, big);
    packet_layout *layout = find_order(state, cls, big);
    if (layout != NULL) {
        return (packet_layout *)Py_NewRef(layout);
    }
    bool inside = outer->depth >= PACKET_PLANS_MAX;
    for (const packet_plan *around = outer; around != NULL;
         around = around->outer) {
        inside = inside || around->layout->cls == cls;
    }
    if (inside) {
        packet_plan_refuse(outer, field, "nested deeper than %d",
                           PACKET_DEPTH_MAX);
        return NULL;
    }
    packet_plan plan = {state, outer->function, NULL, outer,
                        NULL,  outer->depth + 1};
    layout = compile_now(&plan, cls, big);
    return layout != NULL ? keep_layout(state, cls, layout) : NULL;
}

static FE_NOINLINE packet_layout *
compile_first(wire_state *state, PyTypeObject *cls, bool big,
              const char *function)
{
    packet_plan plan = {state, function, NULL, NULL, NULL, 1};
    packet_layout *layout = compile_now(&plan, cls, big);
    if (layout == NULL) {
        return NULL;
    }
    layout = keep_layout(state, cls, layout);
    Py_DECREF(layout); /* the annex has it */
    return layout;
}

static FE_NOINLINE void
refuse_class(const char *function, PyObject *cls)
{
    if (!PyType_Check(cls)) {
        PyErr_Format(PyExc_TypeError, "%s() wants a record class, got %s %R",
                     function, Py_TYPE(cls)->tp_name, cls);
        return;
    }
    PyObject *name = PyType_GetQualName((PyTypeObject *)cls);
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "%s() wants a record class, got %U",
                     function, name);
        Py_DECREF(name);
    }
}

packet_layout *
packet_layout_of(wire_state *state, PyObject *cls, const char *function)
{
    if (FE_UNLIKELY(state->layout_type == NULL)) {
        wire_refuse_shut();
        return NULL;
    }
    if (FE_UNLIKELY(!state->records->is_class(state->records, cls))) {
        refuse_class(function, cls);
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)cls;
    packet_layout *layout = find_layout(state, type);
    bool big = own_order(state, type, PACKET_NATIVE_BIG);
    if (FE_LIKELY(layout != NULL && layout->big == big)) {
        return layout;
    }
    layout = find_order(state, type, big);
    return layout != NULL ? layout : compile_first(state, type, big, function);
}
