/* SPDX-License-Identifier: MIT
 *
 * A layout being compiled: what packet_plan.c and packet_mark.c share.
 */
#ifndef WIRE_PACKET_PLAN_H
#define WIRE_PACKET_PLAN_H

#include "wire_state.h"

/* How many layouts may be compiled inside one another: more than can be
 * nested, so that it is the outermost which is refused. */
#define PACKET_PLANS_MAX (2 * PACKET_DEPTH_MAX)

typedef struct packet_plan {
    wire_state *state;
    const char *function;            /* that needs the layout: for messages */
    packet_layout *layout;           /* with the fields so far */
    const struct packet_plan *outer; /* of the record around; NULL */
    PyObject *overs; /* owned: list, what each checksum so far covers: names
                        of fields that may follow it */
    int depth;       /* how many layouts are being compiled */
} packet_plan;

/* Which marker an annotation has. */
typedef enum {
    MARK_NONE,
    MARK_BITS,
    MARK_COUNT,
    MARK_SIZED,
    MARK_TAGGED,
    MARK_SUM
} packet_mark;

/* An annotation taken apart. */
typedef struct {
    PyObject *origin; /* owned: what stands before the markers */
    PyObject *parts;  /* owned or NULL: tuple, what the marker says */
    uint8_t mark;     /* packet_mark */
    uint8_t sum;      /* packet_sum */
    uint8_t kind;     /* fe_kind of a storage alias; FE_OBJECT: none */
} packet_annotation;

/* packet_mark.c */
int packet_annotation_read(packet_plan *plan, const packet_field *field,
                           PyObject *meaning, packet_annotation *annotation);
void packet_annotation_drop(packet_annotation *annotation);
bool packet_is_enum(const wire_state *state, PyObject *obj);
int packet_fill(packet_plan *plan, packet_field *field,
                const packet_annotation *annotation, PyObject *meaning);

/* packet_plan.c */
/* TypeError "unpack(): P.field: <what>", with the format's arguments; -1 */
int packet_plan_refuse(const packet_plan *plan, const packet_field *field,
                       const char *format, ...);
/* new: the layout of a class in a record of the order `big` */
packet_layout *packet_compile(packet_plan *outer, const packet_field *field,
                              PyObject *cls, bool big);

/* packet_plan_sum.c */
int packet_plan_sums(packet_plan *plan);

#endif
