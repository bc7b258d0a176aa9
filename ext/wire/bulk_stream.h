/* SPDX-License-Identifier: MIT
 *
 * What bulk*.c share: a stream of records on its way to columns.
 *
 * A stream is read row by row or block by block into targets: cells of given
 * buffers, or columns of a table that nobody else sees. The loops need no
 * Python and stop at a row that is bad; then what comes next is decided with
 * the interpreter's lock held, and the row is read once more as unpack() does
 * for the words of its error.
 */
#ifndef WIRE_BULK_STREAM_H
#define WIRE_BULK_STREAM_H

#include "packet_number.h"
#include "wire_state.h"

#include "bulk_core.h"

/* Larger inputs are read without the interpreter's lock. */
#define BULK_UNLOCK ((Py_ssize_t)64 << 10)
/* Text of one column of one chunk; a table may have several. */
#define BULK_TEXT_MOST ((size_t)1 << 30)

/* Where a field's values go. */
typedef struct {
    const packet_field *field; /* of the layout */
    Py_ssize_t index;          /* in the layout */
    uint8_t shape;             /* fe_bulk_shape */
    uint32_t width;            /* FE_BULK_CELLS */
    uint8_t *values;           /* cells or bits */
    int32_t *offsets;          /* FE_BULK_TEXT */
    uint8_t *text;
    size_t text_room;
    uint32_t limit;   /* FE_BULK_TEXT: bytes of one text; 0: any */
    Py_ssize_t room;  /* cells there are */
    Py_buffer buffer; /* of a given column; .obj NULL: a table's */
} bulk_target;

typedef enum { BULK_RAISE, BULK_SKIP, BULK_REPORT } bulk_policy;

/* Why a loop has stopped. */
typedef enum {
    BULK_END,    /* all is read */
    BULK_FULL,   /* no room for the row at `at`, which is good */
    BULK_BAD,    /* the row at `at` is bad; it ends at `next` */
    BULK_BROKEN, /* it is not known where the row at `at` ends */
    BULK_FAILED, /* an exception other than WireError is set */
} bulk_stop;

typedef struct {
    wire_state *state;
    packet_layout *layout; /* owned */
    packet_source source;
    wire_input input;
    bulk_target *targets; /* owned */
    Py_ssize_t target_count;
    Py_ssize_t *starts; /* owned: where fields of the row begin; and its end */
    bulk_job job;       /* .columns owned: rows of a fixed size */
    bulk_job sums;      /* .columns owned: one per field, for CRCs */
    Py_ssize_t at;      /* the next row's first byte */
    Py_ssize_t until;   /* where to stop; a row that begins before is read */
    Py_ssize_t next;
    Py_ssize_t rows; /* written */
    Py_ssize_t room; /* rows that fit: of the smallest target */
    bool fixed;      /* bulk_fixed.c can read it */
    bool plain;      /* bulk_walk.c can, without Python */
    bool checked;    /* some field of the class is checked */
    bool counting;   /* there is no room: rows are only counted */
    /* A table's columns cannot be written one by one: append rows. */
    PyObject *rows_to; /* owned or NULL */
    bulk_policy policy;
    Py_ssize_t max_errors;
    PyObject *errors; /* owned: list, for BULK_REPORT */
} bulk_stream;

/* bulk_walk.c */
/* Fill starts[] for the row at `at`. 0; -1: it is broken; -2: exception */
int bulk_walk(bulk_stream *stream, Py_ssize_t at);
/* Read rows up to what stops it, into targets or rows_to. */
bulk_stop bulk_read_rows(bulk_stream *stream);
/* Count rows from `at` on, good or not, and their text by target, as long as
 * no column has more than BULK_TEXT_MOST; `until` is then their end. */
Py_ssize_t bulk_count_rows(bulk_stream *stream, size_t *texts);
/* Set the WireError of the row at `at`; -1 */
int bulk_refuse(bulk_stream *stream);

/* bulk_fixed.c */
bool bulk_fixed_can(const bulk_stream *stream);
Py_ssize_t bulk_count_fixed(bulk_stream *stream, size_t *texts);
/* 0, or -1 with MemoryError: make job for the targets */
int bulk_fixed_prepare(bulk_stream *stream);
bulk_stop bulk_read_fixed(bulk_stream *stream);

/* bulk_check.c: no Python, no lock */
/* Are bool8, text and checksums of the row right? Its fields begin at
 * starts[] from data on. */
bool bulk_row_good(const bulk_stream *stream, const Py_ssize_t *starts);

/* bulk_out.c */
/* Targets in given buffers. 0, or -1 */
int bulk_open_given(bulk_stream *stream, PyObject *mapping);

/* bulk.c */
/* Begin with class and buffer. 0, or -1 with nothing held */
int bulk_open(bulk_stream *stream, wire_state *state, PyObject *cls,
              PyObject *buffer, const char *function);
void bulk_close(bulk_stream *stream);
/* ValueError: a record that takes no bytes; -1 */
int bulk_refuse_empty(const bulk_stream *stream, const char *function);

/* bulk_index.c */
PyObject *bulk_index_many(PyObject *module, PyObject *const *args,
                          Py_ssize_t nargs, PyObject *kwnames);
extern const char bulk_index_many__doc__[];

#endif
