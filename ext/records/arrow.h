/* SPDX-License-Identifier: MIT
 *
 * The Arrow C data interface: its structs, and what the arrow files share.
 *
 * What is exported lives in PyMem_Raw memory and table_buffers alone: release
 * callbacks and streams need no interpreter and run on any thread.
 *
 * Source: Apache Arrow, "The Arrow C data interface", "The Arrow C stream
 * interface", "The Arrow PyCapsule Interface".
 */
#ifndef FE_ARROW_H
#define FE_ARROW_H

#include "record_table.h"

#define ARROW_FLAG_NULLABLE 2

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count; /* -1: not counted */
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#define ARROW_SCHEMA_CAPSULE "arrow_schema"
#define ARROW_ARRAY_CAPSULE "arrow_array"
#define ARROW_STREAM_CAPSULE "arrow_array_stream"

/* arrow_type.c: formats */

typedef enum {
    ARROW_OTHER,  /* a type that no column has */
    ARROW_NULLS,  /* no buffers */
    ARROW_BITS,   /* one bit each */
    ARROW_CELLS,  /* `size` bytes each */
    ARROW_TEXT32, /* int32 offsets and bytes */
    ARROW_TEXT64, /* int64 offsets and bytes */
    ARROW_VIEWS,  /* 16 bytes each: a length, and the text or where it is */
} arrow_shape;

typedef struct {
    uint8_t shape; /* arrow_shape; of the dictionary's values if it has one */
    uint8_t kind;  /* fe_kind of a value */
    uint8_t index; /* fe_kind of the codes; ARROW_PLAIN: no dictionary */
    uint32_t size; /* ARROW_CELLS */
} arrow_type;

#define ARROW_PLAIN FE_KIND_COUNT
#define ARROW_FORMAT_MAX 16

static inline bool
arrow_is_int(uint8_t kind)
{
    return kind <= FE_U64;
}

static inline bool
arrow_is_signed(uint8_t kind)
{
    return kind <= FE_I64;
}

static inline bool
arrow_same_type(arrow_type a, arrow_type b)
{
    return a.shape == b.shape && a.kind == b.kind && a.index == b.index
           && a.size == b.size;
}

arrow_type arrow_type_of(const struct ArrowSchema *schema);
arrow_type arrow_type_of_column(const table_column *column,
                                const table_coding *coding);
/* Write the format of the type, or of the values of its dictionary. */
void arrow_type_format(arrow_type type, char *format);
const char *arrow_kind_format(uint8_t kind);
/* new: "i64 | None", for messages */
PyObject *arrow_column_text(const table_column *column);
/* new: "'tsu:'", for messages */
PyObject *arrow_schema_text(const struct ArrowSchema *schema);

/* arrow.c: what is to be exported, as it was when asked for */

typedef struct {
    const char *name;
    arrow_type type;
    bool nullable;
} arrow_field;

typedef struct {
    table_buffer *offsets; /* owned; NULL: no values */
    table_buffer *text;    /* owned or NULL */
    int64_t count;
} arrow_words;

/* One block of memory; the arrays and names lie in it. */
typedef struct {
    bool rows; /* batches of rows, not of the only column's values */
    Py_ssize_t columns;
    Py_ssize_t chunks;
    Py_ssize_t next;  /* chunk: those before were handed out */
    int64_t *lengths; /* of chunks */
    arrow_field *fields;
    arrow_words *words;
    table_cells *cells; /* owned; all columns of a chunk, then the next */
} arrow_source;

/* arrow_request.c: export as requested_schema wants it. 0, or -1. */
int arrow_request(arrow_source *source, const table_column *columns,
                  PyObject *capsule, const char *function);

/* arrow_import.c: a foreign array that buffers of a table share */

typedef struct {
    atomic_size_t holders;
    struct ArrowArray array;
} arrow_holder;

typedef struct {
    table_object *table;
    const char *function; /* "RecordTable.from_arrow()" */
    Py_ssize_t *children; /* by column: which child of the struct */
    arrow_type *types;    /* by column */
    int64_t rows;         /* of earlier batches */
} arrow_reader;

/* Some rows of one column of a batch. */
typedef struct {
    const arrow_reader *reader;
    arrow_holder *holder;
    const struct ArrowArray *array;
    const table_column *column;
    Py_ssize_t index; /* of the column */
    arrow_type type;
    const uint8_t *validity; /* NULL: there are no nulls */
    int64_t offset;          /* of row 0 in the buffers */
    int64_t length;
    int64_t first; /* row 0's number in messages */
} arrow_input;

static inline bool
arrow_is_null(const arrow_input *in, int64_t row)
{
    return in->validity != NULL && !table_bit(in->validity, in->offset + row);
}

/* For loops that touch no object: let other threads run if there are so many
 * rows that it takes more than some 100 us. */
#define ARROW_MANY (1 << 16)

static inline PyThreadState *
arrow_unlock(int64_t rows)
{
    return rows >= ARROW_MANY ? PyEval_SaveThread() : NULL;
}

static inline void
arrow_lock(PyThreadState *unlocked)
{
    if (unlocked != NULL) {
        PyEval_RestoreThread(unlocked);
    }
}

/* new: memory of the holder's array, which the buffer shares */
table_buffer *arrow_holder_wrap(arrow_holder *holder, const void *data,
                                int64_t size);
/* Set `exception`: "f(): field 'x', row 3: wanted i64, got" and `got`; -1.
 * `got` is stolen and may be NULL with an exception. */
int arrow_refuse_row(const arrow_input *in, PyObject *exception, int64_t row,
                     PyObject *got);
/* ValueError: "f(): field 'x': what"; -1 */
int arrow_refuse_array(const arrow_input *in, const char *what);
/* What makes an array no array of the type, or NULL. */
const char *arrow_array_problem(const struct ArrowArray *array,
                                arrow_type type);

/* arrow_convert.c: buffers into the form of a column. 0; -1; or that
 * ARROW_SPLIT, fewer rows would do: their text is too long for one chunk. */
#define ARROW_SPLIT 1
int arrow_convert(const arrow_input *in, table_cells *cells);
/* Share validity, and `size` bytes of values. */
int arrow_share(const arrow_input *in, table_cells *cells, int64_t size);
/* Copy validity for values that start at row 0. */
int arrow_copy_validity(const arrow_input *in, table_cells *cells);
/* Write numbers of another kind of int; the first row whose number does not
 * fit, nulls aside, or -1. */
int64_t arrow_ints_convert(uint8_t *to, uint8_t to_kind, const uint8_t *from,
                           uint8_t from_kind, int64_t count,
                           const uint8_t *validity, int64_t at);
void arrow_floats_widen(uint8_t *to, const uint8_t *from, int64_t count);

/* arrow_text.c: the same for COLUMN_TEXT */
int arrow_convert_text(const arrow_input *in, table_cells *cells);

/* arrow_coded.c: and for COLUMN_CODED */
int arrow_convert_coded(const arrow_input *in, table_cells *cells);

#endif
