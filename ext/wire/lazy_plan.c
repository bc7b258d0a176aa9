/* SPDX-License-Identifier: MIT
 *
 * What a packet layout is for views of it: a table of its fields by the
 * addresses of their names, which are interned and live as the class does.
 * Made once per layout, which frees it.
 */
#include "packet_number.h"
#include "wire_state.h"

/* Multipliers tried for a table in which no two names meet. */
#define FACTORS 64

static uint64_t
plan_factor(uint64_t i)
{
    return (i * 2 + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

/* How many names would not stand at their own place. */
static uint32_t
plan_collisions(const packet_layout *layout, uint64_t factor, uint32_t shift,
                uint8_t *taken, uint32_t room)
{
    uint32_t count = 0;
    memset(taken, 0, room);
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        uint64_t address = (uintptr_t)layout->fields[i].field->name;
        uint8_t *place = &taken[address * factor >> shift];
        count += *place;
        *place = 1;
    }
    return count;
}

static uint64_t
plan_choose(const packet_layout *layout, uint32_t shift, uint8_t *taken,
            uint32_t room)
{
    uint64_t best = plan_factor(0);
    uint32_t least = UINT32_MAX;
    for (uint64_t i = 0; i < FACTORS && least > 0; i++) {
        uint32_t count =
            plan_collisions(layout, plan_factor(i), shift, taken, room);
        if (count < least) {
            least = count;
            best = plan_factor(i);
        }
    }
    return best;
}

/* One of the enum of lazy.h, or twice the kind. */
static uint32_t
plan_how(const packet_field *field)
{
    if (field->offset == PACKET_UNKNOWN || field->size == 0
        || field->enumeration != NULL) {
        return LAZY_ANY;
    }
    if (field->shape == PACKET_SCALAR) {
        return 2U * field->kind + (field->big != PACKET_NATIVE_BIG);
    }
    if (field->shape == PACKET_BITS) {
        return LAZY_BITS;
    }
    return field->shape == PACKET_FIXED && field->kind == FE_BYTES ? LAZY_BYTES
                                                                   : LAZY_ANY;
}

/* Does the class check the field's values? 0, 1, or -1 */
static int
plan_checked(const wire_state *state, const packet_layout *layout,
             const packet_field *field)
{
    fe_record_entry described;
    int found = state->records->describe(state->records, layout->cls,
                                         field->index, &described);
    return found > 0 ? described.checked : found;
}

static int
plan_add(const wire_state *state, lazy_plan *plan, const packet_layout *layout,
         const packet_field *field)
{
    int checked = plan_checked(state, layout, field);
    if (checked < 0) {
        return -1;
    }
    PyObject *name = field->field->name;
    uint64_t at = (uint64_t)(uintptr_t)name * plan->factor >> plan->shift;
    while (plan->entries[at].name != NULL) {
        at = (at + 1) & (plan->room - 1);
    }
    lazy_entry *entry = &plan->entries[at];
    *entry = (lazy_entry){
        .name = name,
        .how = plan_how(field),
        .field = field,
        .guarded = field->measured || checked > 0,
    };
    if (entry->how != LAZY_ANY) {
        entry->offset = field->offset;
        entry->size = field->size;
        entry->end = field->offset + field->size;
        entry->big = field->big;
    }
    if (field->shape == PACKET_BITS) {
        entry->mask = packet_bits_mask(field);
        entry->shift = field->shift;
        entry->as_bool = field->as_bool;
    }
    return 0;
}

/* Bytes up to the first field of no fixed size or place. */
static void
plan_measure(lazy_plan *plan, const packet_layout *layout)
{
    plan->anchor = layout->count;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        if (field->offset == PACKET_UNKNOWN) {
            plan->anchor = i;
            return;
        }
        plan->prefix = field->offset;
        if (field->size != PACKET_UNKNOWN) {
            plan->prefix += field->size;
        }
    }
}

lazy_plan *
lazy_plan_make(packet_layout *layout)
{
    wire_state *state = wire_state_of((PyObject *)layout);
    if (state == NULL) {
        return NULL;
    }
    uint32_t room = 2, shift = 63;
    while (room < 2 * (size_t)layout->count) {
        room *= 2;
        shift--;
    }
    lazy_plan *plan =
        PyMem_Calloc(1, sizeof(lazy_plan) + room * sizeof(lazy_entry));
    uint8_t *taken = plan != NULL ? PyMem_Malloc(room) : NULL;
    if (taken == NULL) {
        PyMem_Free(plan);
        PyErr_NoMemory();
        return NULL;
    }
    plan->room = room;
    plan->shift = shift;
    plan->factor = plan_choose(layout, shift, taken, room);
    PyMem_Free(taken);
    plan_measure(plan, layout);
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        if (plan_add(state, plan, layout, &layout->fields[i]) < 0) {
            PyMem_Free(plan);
            return NULL;
        }
    }
    layout->lazy = plan;
    return plan;
}

void
lazy_plan_free(packet_layout *layout)
{
    lazy_plan *plan = layout->lazy;
    wire_state *state = wire_state_or_null((PyObject *)layout);
    if (state != NULL && state->lazies.last == layout) {
        state->lazies.last = NULL;
    }
    for (uint32_t i = 0; plan != NULL && i < plan->room; i++) {
        Py_XDECREF(plan->entries[i].made);
    }
    PyMem_Free(plan);
}

/* By address where it is not at its own place, then by value: a name need not
 * be interned.
 */
lazy_entry *
lazy_plan_find(lazy_plan *plan, PyObject *name)
{
    lazy_entry *entry = lazy_plan_place(plan, name);
    const lazy_entry *end = plan->entries + plan->room;
    while (entry->name != NULL) {
        if (entry->name == name) {
            return entry;
        }
        entry = entry + 1 < end ? entry + 1 : plan->entries;
    }
    if (PyUnicode_CHECK_INTERNED(name)) {
        return NULL;
    }
    for (entry = plan->entries; entry < end; entry++) {
        if (entry->name != NULL && PyUnicode_Compare(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}
