/* SPDX-License-Identifier: MIT
 *
 * The table of all holds of one module, by exporter: what linking costs each
 * view is inlined where views are made. The list is intrusive, so linking
 * cannot fail; a hold unlinks itself without knowing its bucket.
 */
#ifndef WIRE_VIEW_TABLE_H
#define WIRE_VIEW_TABLE_H

#include "wire_state.h"

/* view_pin.c */
int view_table_register(PyObject *module, wire_state *state);
void view_table_grow(view_table *table);
void view_table_shrink(view_table *table);
/* new: a pin of the exporter's buffer with strides and format */
view_pin *view_pin_new(wire_state *state, PyObject *exporter);
/* borrowed: whose memory a buffer is, through memoryviews and Views */
PyObject *view_exporter_of(wire_state *state, PyObject *buffer);
/* Complete a head of which exporter, pin, data, length, readonly and strided
 * are set (references owned). 0, or -1 with MemoryError, released */
int view_link_with_site(wire_state *state, wire_hold *hold);

/* borrowed from the type: its __name__, for messages */
FE_INLINE const char *
view_type_name(const PyObject *obj)
{
    const char *name = Py_TYPE(obj)->tp_name, *dot = strrchr(name, '.');
    return dot != NULL ? dot + 1 : name;
}

/* Addresses of big blocks differ only in high bits: multiply. */
FE_INLINE wire_hold **
view_bucket(const view_table *table, const PyObject *exporter)
{
    uint64_t mixed = (uint64_t)(uintptr_t)exporter * 0x9E3779B97F4A7C15u;
    return &table->buckets[mixed >> table->shift];
}

FE_INLINE void
view_link_into(wire_hold **bucket, wire_hold *hold)
{
    wire_hold *next = *bucket;
    hold->next = next;
    hold->link = bucket;
    if (next != NULL) {
        next->link = &hold->next;
    }
    *bucket = hold;
}

FE_INLINE void
view_link(view_table *table, wire_hold *hold)
{
    if (FE_UNLIKELY(++table->count > table->size)) {
        view_table_grow(table);
    }
    view_link_into(view_bucket(table, hold->exporter), hold);
}

/* `table` may be NULL: the module is gone, or going */
FE_INLINE void
view_unlink(view_table *table, wire_hold *hold)
{
    if (hold->link == NULL) {
        return;
    }
    *hold->link = hold->next;
    if (hold->next != NULL) {
        hold->next->link = hold->link;
    }
    hold->link = NULL;
    if (FE_LIKELY(table != NULL) && --table->count == 0
        && FE_UNLIKELY(table->size > VIEW_BUCKETS)) {
        view_table_shrink(table);
    }
}

#endif
