/* SPDX-License-Identifier: MIT
 *
 * Rows: what record_array*.c share.
 *
 * A row is a record's data without its header: the fields at the offsets that
 * layout() tells, holes and hidden slots zero, rounded up to the alignment.
 */
#ifndef RECORD_ARRAY_H
#define RECORD_ARRAY_H

#include "records_state.h"

typedef struct {
    uint32_t start, stop;
} array_gap;

/* How the rows of a record class lie; owned by its plan. */
typedef struct array_layout {
    uint32_t size; /* bytes of a row */
    uint32_t span; /* up to the end of the last field */
    uint32_t alignment;
    bool has_float, has_bool, has_str;
    const char *format; /* PEP 3118: T{=q:timestamp:d:value:}; behind gaps[] */
    Py_ssize_t gap_count;
    array_gap gaps[]; /* bytes of no field, by address; they stay zero */
} array_layout;

typedef struct array_object {
    PyObject_HEAD record_class *cls; /* owned */
    const array_layout *layout;      /* of cls */
    char *data;                      /* the first row */
    Py_ssize_t length;               /* rows */
    Py_ssize_t stride;               /* bytes from a row to the next */
    Py_ssize_t capacity;             /* rows in memory of our own */
    struct array_object *owner; /* owned: whose memory a slice shares, or NULL;
                                   never a slice itself */
    /* Of an owner: how many slices, rows, columns and buffers there are. While
     * there is one, the memory neither moves nor grows. */
    Py_ssize_t sharers;
    Py_buffer foreign; /* .obj: whose memory it is, or NULL */
    bool readonly;
    bool movable; /* foreign memory nobody asked to share: may be left */
    PyObject *weak_list;
} array_object;

/* A value being made a row; `local` is enough for most. */
typedef struct {
    char *at;
    char local[256];
} array_scratch;

#define ARRAY_FIELD_OFFSET(field) ((field)->offset - RECORDS_HEADER)

static inline char *
array_at(const array_object *self, Py_ssize_t row)
{
    return self->data + row * self->stride;
}

static inline void
array_wipe(const array_layout *layout, char *row)
{
    for (Py_ssize_t i = 0; i < layout->gap_count; i++) {
        memset(row + layout->gaps[i].start, 0,
               layout->gaps[i].stop - layout->gaps[i].start);
    }
}

/* Copy a row, or the data of a record, whose gaps hold anything. */
static inline void
array_put(const array_layout *layout, char *to, const char *from)
{
    memcpy(to, from, layout->span);
    array_wipe(layout, to);
}

static inline bool
array_is_contiguous(const array_object *self)
{
    return self->stride == (Py_ssize_t)self->layout->size;
}

static inline bool
array_is_aligned(const array_layout *layout, const void *data)
{
    return (uintptr_t)data % layout->alignment == 0;
}

/* record_array.c */
extern PyType_Spec array_spec;
/* new: an empty array; TypeError naming `function` if cls has no rows */
array_object *array_new(records_state *state, PyObject *cls,
                        const char *function);
/* Whose memory it is. */
static inline array_object *
array_owner(array_object *self)
{
    return self->owner != NULL ? self->owner : self;
}
/* Room for `extra` more rows. BufferError naming `function` while anything
 * shares the memory; the array is as it was on any error. */
int array_reserve(array_object *self, Py_ssize_t extra, const char *function);
/* TypeError naming `function` if the memory is read-only */
int array_check_writable(const array_object *self, const char *function);
/* The bytes of a row value: in the value itself or in the scratch, which the
 * caller frees. Gaps may hold anything. NULL with TypeError and the like. */
const char *array_row_of(array_object *self, PyObject *value,
                         array_scratch *scratch, const char *function);
void array_scratch_free(array_scratch *scratch);
/* new: a record with the values of the row */
PyObject *array_record(array_object *self, Py_ssize_t row);
/* Are all fields of two rows, or data of records, equal? NaN never is. */
bool array_rows_equal(const array_object *self, const char *a, const char *b);
/* A field by name; KeyError naming `function`. */
const record_field *array_field(array_object *self, PyObject *name,
                                const char *function);

/* record_array_layout.c */
const array_layout *array_layout_of(record_class *cls, const char *function);
/* Write the PEP 3118 format of one value: a letter, "s" with its size. */
#define ARRAY_FORMAT_ROOM 12
void array_format_write(fe_kind kind, uint32_t size, char *format);
/* Is the format that of one value of this kind and size, in native order? A
 * str field takes shorter texts too; *size is that of the values. */
bool array_format_is(const char *format, const record_field *field,
                     Py_ssize_t *size);
/* Rows in a buffer, the stride in *stride: raw bytes, or a structure of the
 * same fields. -1 with TypeError or ValueError naming `function`. */
Py_ssize_t array_rows_in(const array_layout *layout, const record_class *cls,
                         const Py_buffer *view, Py_ssize_t *stride,
                         const char *function);

/* record_array_extend.c */
int array_extend(array_object *self, PyObject *rows, const char *function);
PyObject *array_from_buffer(PyObject *type, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);
/* new: an array whose memory is the buffer's, aligned or `anywhere` */
array_object *array_wrap(records_state *state, PyObject *cls, PyObject *buffer,
                         bool anywhere, const char *function);

/* record_array_pickle.c */
extern PyMethodDef array_functions[];
PyObject *array_tobytes(PyObject *self, PyObject *ignored);
PyObject *array_copy(PyObject *self, PyObject *ignored);
PyObject *array_deepcopy(PyObject *self, PyObject *memo);
PyObject *array_reduce_ex(PyObject *self, PyObject *protocol);

/* record_array_sort.c */
PyObject *array_sort_by(PyObject *self, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames);

/* record_array_row.c: live rows and columns */
extern PyType_Spec row_spec, cells_spec;
PyObject *row_new(array_object *array, Py_ssize_t row);
/* The row's bytes and array, if it is a Row of this class; else NULL. */
const char *row_bytes(records_state *state, PyObject *obj,
                      const record_class *cls);
PyObject *array_column(PyObject *self, PyObject *name);

/* record_table_rows.c: rows <-> columns */
int array_extend_table(array_object *self, PyObject *table,
                       const char *function);

#endif
