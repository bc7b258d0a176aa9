/* SPDX-License-Identifier: MIT
 *
 * What reading, measuring and writing share: the numbers that measure other
 * fields, kept from when they were read, and what follows from them.
 */
#ifndef WIRE_PACKET_PARTS_H
#define WIRE_PACKET_PARTS_H

#include "packet_number.h"
#include "wire_state.h"

enum { PACKET_SLOTS = 8 };

/* The numbers of a record's measured fields, and where its fields lie. */
typedef struct {
    int64_t *numbers;
    Py_ssize_t *starts; /* NULL unless wanted */
    int64_t few[PACKET_SLOTS];
} packet_slots;

/* 0, or -1 with MemoryError */
FE_INLINE int
packet_slots_take(packet_slots *slots, const packet_layout *layout,
                  bool starts)
{
    slots->numbers = slots->few;
    slots->starts = NULL;
    size_t wide = starts ? (size_t)layout->count + 1 : 0;
    if (FE_LIKELY(layout->slot_count <= PACKET_SLOTS && wide == 0)) {
        return 0;
    }
    int64_t *block = PyMem_New(int64_t, (size_t)layout->slot_count + wide);
    if (block == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    slots->numbers = block;
    slots->starts = starts ? (Py_ssize_t *)(block + layout->slot_count) : NULL;
    return 0;
}

FE_INLINE void
packet_slots_drop(packet_slots *slots)
{
    if (slots->numbers != slots->few) {
        PyMem_Free(slots->numbers);
    }
}

_Static_assert(sizeof(int64_t) == sizeof(Py_ssize_t), "one block for both");

/* Is it the last field of its bit run, or no bit field? */
FE_INLINE bool
packet_run_ends(const packet_layout *layout, Py_ssize_t index)
{
    const packet_field *next = &layout->fields[index + 1];
    return index + 1 >= layout->count || next->shape != PACKET_BITS
           || next->run_start;
}

FE_INLINE Py_ssize_t
packet_left(const packet_source *source, Py_ssize_t at)
{
    return at < source->length ? source->length - at : 0;
}

/* Is the field's number unsigned and up to 64 bits? Then an int64_t holds it
 * as two's complement. */
FE_INLINE bool
packet_is_wide(const packet_field *field)
{
    return field->shape == PACKET_BITS || field->kind == FE_U64;
}

/* new: the number of a measured field */
FE_INLINE PyObject *
packet_number_object(const packet_field *field, int64_t number)
{
    return packet_is_wide(field)
               ? PyLong_FromUnsignedLongLong((uint64_t)number)
               : PyLong_FromLongLong(number);
}

/* The number that measures a field; 0 if nothing does. */
FE_INLINE int64_t
packet_by(const packet_field *field, const packet_layout *layout,
          const packet_slots *slots)
{
    return field->by < 0 ? 0 : slots->numbers[layout->fields[field->by].slot];
}

/* packet_measure.c */
/* How many bytes a PACKET_SIZED field takes, all there; -1 with WireError */
Py_ssize_t packet_sized(const packet_source *source, const packet_path *path,
                        Py_ssize_t at, int64_t by);
/* How many items a PACKET_ARRAY has, their least bytes there; likewise */
Py_ssize_t packet_counted(const packet_source *source, const packet_path *path,
                          Py_ssize_t at, int64_t by);
/* As packet_choose, but -1 with WireError for no such tag; 0 */
int packet_chosen(const packet_source *source, const packet_path *path,
                  Py_ssize_t at, int64_t by, packet_layout **chosen);
/* new: number * scale - less, as large as it may be */
PyObject *packet_scaled(const packet_path *path, int64_t by);

#endif
