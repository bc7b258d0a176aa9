/* SPDX-License-Identifier: MIT
 *
 * Layouts read and written in place: LayoutView. lazy_plan.c makes of a packet
 * layout a table to look names up in, lazy_find.c says where a field lies now,
 * lazy_read.c and lazy_write.c are attributes, lazy_record.c what a view has
 * of a record (==, hash, repr), lazy.c the type.
 */
#ifndef WIRE_LAZY_H
#define WIRE_LAZY_H

#include "packet.h"
#include "view.h"

typedef struct lazy_object lazy_object;
typedef struct lazy_entry lazy_entry;
typedef struct lazy_plan lazy_plan;

/* How a field is loaded: 2 * fe_kind, one more if its bytes are swapped, or */
enum {
    LAZY_BITS = 2 * FE_KIND_COUNT, /* an int or a bool */
    LAZY_BYTES,                    /* of fixed size */
    LAZY_ANY,                      /* by lazy_load_any */
};

/* One field: a cache line. */
struct lazy_entry {
    PyObject *name;  /* the class's, interned; NULL: nobody's place */
    uint32_t how;    /* above */
    uint32_t offset; /* of what is loaded quickly: it has a fixed place */
    uint32_t end;    /* offset + size: the hold must have as many bytes */
    uint32_t size;
    const packet_field *field;
    uint64_t mask; /* of bits, after the shift */
    uint8_t shift;
    bool big, as_bool;
    bool guarded;   /* not written quickly: it measures another, or the class
                       checks its values */
    int64_t last;   /* the number read last (u64 as two's complement) */
    PyObject *made; /* owned or NULL: that number, once it was read twice */
};

/* What a layout is for views; made when the first one is. Names are found by
 * their address: a multiplication and one comparison, whatever their number.
 */
struct lazy_plan {
    uint64_t factor;
    uint32_t shift;    /* place = address * factor >> shift */
    uint32_t room;     /* places: a power of two, twice the fields or more */
    Py_ssize_t prefix; /* bytes up to the first field of no fixed size */
    Py_ssize_t anchor; /* the first field of no fixed place, or count */
    lazy_entry entries[];
};

struct lazy_object {
    wire_hold hold;  /* data: the record's first byte; length: its size if that
                        is fixed, else to the end of the exporter's */
    lazy_plan *plan; /* the layout's */
    packet_layout *layout; /* owned */
    Py_ssize_t start;      /* of the record in the buffer, for messages */
    bool tracked;          /* by the collector */
};

/* Where a field lies now, from the record's first byte. */
typedef struct {
    Py_ssize_t at, size;
    int64_t by; /* value of what measures it */
} lazy_place;

/* Not visited by the collector. */
typedef struct {
    packet_layout *last; /* borrowed: of the last view() */
    PyObject *free_list; /* dead views, linked */
    uint32_t free_count;
} lazy_table;

#define LAZY_STATE(X) X(PyTypeObject *, lazy_type)

/* lazy.c */
int lazy_register(PyObject *module, struct wire_state *state);
void lazy_clear(struct wire_state *state); /* when the module goes */
/* new: the record of the layout at `at` of what another view holds */
PyObject *lazy_share(struct wire_state *state, const lazy_object *from,
                     packet_layout *layout, Py_ssize_t at);
/* How many bytes the record takes now; -1 with WireError or ValueError. */
Py_ssize_t lazy_extent(struct wire_state *state, const lazy_object *self);
/* ValueError; -1 */
int lazy_refuse_released(void);

/* lazy_plan.c */
/* borrowed from the layout; NULL with MemoryError */
lazy_plan *lazy_plan_make(packet_layout *layout);
/* of a layout that goes; it need not have one */
void lazy_plan_free(packet_layout *layout);
/* The field of that name, or NULL. */
lazy_entry *lazy_plan_find(lazy_plan *plan, PyObject *name);

FE_INLINE lazy_entry *
lazy_plan_place(lazy_plan *plan, PyObject *name)
{
    return &plan->entries[(uint64_t)(uintptr_t)name * plan->factor
                          >> plan->shift];
}

FE_INLINE lazy_plan *
lazy_plan_of(packet_layout *layout)
{
    return FE_LIKELY(layout->lazy != NULL) ? layout->lazy
                                           : lazy_plan_make(layout);
}

/* lazy_find.c */
int lazy_find(struct wire_state *state, lazy_object *self,
              const packet_field *field, lazy_place *place);
/* The bytes around, so that offsets count from the buffer's first. */
packet_source lazy_source(struct wire_state *state, const lazy_object *self);

/* lazy_read.c */
PyObject *lazy_tp_getattro(PyObject *self, PyObject *name);
/* new: any field, wherever it lies */
PyObject *lazy_load_any(lazy_object *self, const packet_field *field);
/* 1: *attr is a new reference to what the record class has under the name and
 * a view can use; 0: nothing; -1 */
int lazy_class_attr(lazy_object *self, PyObject *name, PyObject **attr);
/* 0, or -1 with TypeError: no str */
int lazy_check_name(PyObject *name);
/* AttributeError; -1 */
int lazy_refuse_name(lazy_object *self, PyObject *name);

/* lazy_write.c */
int lazy_tp_setattro(PyObject *self, PyObject *name, PyObject *value);

/* lazy_record.c */
PyObject *lazy_tp_richcompare(PyObject *self, PyObject *other, int op);
Py_hash_t lazy_tp_hash(PyObject *self);
PyObject *lazy_tp_repr(PyObject *self);

#endif
