/* SPDX-License-Identifier: MIT
 *
 * Where a field lies now. Nothing that the bytes say is remembered: behind
 * fields of no fixed size the way is walked anew for every access, and on it
 * each length, count and tag is read once.
 */
#include "wire_state.h"

/* Measured fields of a layout for which the stack has room. */
#define SLOTS 16

packet_source
lazy_source(wire_state *state, const lazy_object *self)
{
    return (packet_source){
        .state = state,
        .data = (const uint8_t *)self->hold.data - self->start,
        .length = self->hold.length + self->start,
        .stable = self->hold.pin == NULL,
    };
}

/* A field at a fixed place; what measures it is before it. */
static int
find_fixed(wire_state *state, lazy_object *self, const packet_field *field,
           lazy_place *place)
{
    const packet_layout *layout = self->layout;
    const uint8_t *data = (const uint8_t *)self->hold.data;
    packet_source source = lazy_source(state, self);
    place->at = field->offset;
    place->by = 0;
    if (field->by >= 0) {
        const packet_field *by = &layout->fields[field->by];
        place->by = packet_number_at(by, data + by->offset);
    }
    place->size = packet_extent(&source, layout, field,
                                self->start + place->at, place->by, NULL);
    return place->size < 0 ? -1 : 0;
}

static int
find_walk(wire_state *state, lazy_object *self, Py_ssize_t index,
          int64_t *slots, lazy_place *place)
{
    const packet_layout *layout = self->layout;
    const uint8_t *data = (const uint8_t *)self->hold.data;
    packet_source source = lazy_source(state, self);
    Py_ssize_t first = self->plan->anchor - 1, next = 0;
    for (Py_ssize_t i = 0; i < first; i++) {
        const packet_field *field = &layout->fields[i];
        if (field->slot >= 0) {
            slots[field->slot] = packet_number_at(field, data + field->offset);
        }
    }
    next = layout->fields[first].offset;
    for (Py_ssize_t i = first; i <= index; i++) {
        const packet_field *field = &layout->fields[i];
        if (field->shape == PACKET_BITS && !field->run_start) {
            place->size = field->size; /* and where its run is */
        }
        else {
            place->at = next;
            place->by =
                field->by >= 0 ? slots[layout->fields[field->by].slot] : 0;
            place->size = packet_extent(&source, layout, field,
                                        self->start + next, place->by, NULL);
            if (place->size < 0) {
                return -1;
            }
            next += place->size;
        }
        if (field->slot >= 0) {
            slots[field->slot] = packet_number_at(field, data + place->at);
        }
    }
    return 0;
}

int
lazy_find(wire_state *state, lazy_object *self, const packet_field *field,
          lazy_place *place)
{
    const packet_layout *layout = self->layout;
    /* the second: view() is just saying that there is too little */
    if (FE_UNLIKELY(self->hold.exporter == NULL
                    || self->hold.length < self->plan->prefix)) {
        return lazy_refuse_released();
    }
    if (field->offset != PACKET_UNKNOWN) {
        return find_fixed(state, self, field, place);
    }
    int64_t few[SLOTS], *slots = few;
    if (layout->slot_count > SLOTS) {
        slots = PyMem_New(int64_t, (size_t)layout->slot_count);
        if (slots == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    int status = find_walk(state, self, field - layout->fields, slots, place);
    if (slots != few) {
        PyMem_Free(slots);
    }
    return status;
}
