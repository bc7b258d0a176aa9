/* SPDX-License-Identifier: MIT
 *
 * Columns: what record_table*.c and arrow*.c share.
 *
 * A table is a list of chunks; a chunk has for each column the buffers that
 * Arrow's columnar format asks for. Bytes once written below a chunk's length
 * are never changed and never moved, so slices, exports and the table itself
 * share buffers without asking each other.
 *
 * Source: Apache Arrow columnar format, version 1.5.
 */
#ifndef RECORD_TABLE_H
#define RECORD_TABLE_H

#include "records_state.h"

#include <stdatomic.h>

#define TABLE_ALIGNMENT 64
/* of one chunk's text: offsets are int32 */
#define TABLE_TEXT_MAX ((size_t)INT32_MAX)

/* Bytes with several holders. The last one may be a thread of a consumer, at
 * a time when there is no interpreter any more: nothing here needs one.
 */
typedef struct {
    atomic_size_t holders;
    uint8_t *data;
    size_t room;
    void (*let_go)(void *owner); /* somebody else's memory; NULL: ours */
    void *owner;
} table_buffer;

/* new: `room` bytes at a multiple of 64, not initialised, and readable for 8
 * more; NULL with MemoryError */
table_buffer *table_buffer_new(size_t room);
/* new: memory of `owner`, for whom let_go(owner) is called once, at the end.
 * NULL with MemoryError: let_go was not called. */
table_buffer *table_buffer_wrap(const void *data, size_t room,
                                void (*let_go)(void *owner), void *owner);
void table_buffer_free(table_buffer *buffer);

static inline table_buffer *
table_buffer_hold(table_buffer *buffer)
{
    if (buffer != NULL) {
        atomic_fetch_add_explicit(&buffer->holders, 1, memory_order_relaxed);
    }
    return buffer;
}

/* Somebody else's memory may run Python code when it goes: drop what may be
 * foreign, chunks and codes, only when all that others can see is whole. */
static inline void
table_buffer_drop(table_buffer *buffer)
{
    if (buffer != NULL
        && atomic_fetch_sub_explicit(&buffer->holders, 1, memory_order_acq_rel)
               == 1) {
        table_buffer_free(buffer);
    }
}

typedef enum {
    COLUMN_FIXED, /* cells of `width` bytes: numbers, bytes[n] */
    COLUMN_BITS,  /* bool8, one bit each */
    COLUMN_TEXT,  /* int32 offsets and bytes: str (FE_STR), bytes (FE_BYTES) */
    COLUMN_CODED, /* codes into a dictionary of str */
} column_shape;

typedef struct {
    /* How a value is stored: name, kind, size. COLUMN_TEXT and _CODED: size
     * is the most bytes a text may have, 0 for any. offset is of no use. */
    record_field value;
    const record_field *field; /* where a record keeps it */
    uint8_t shape;             /* column_shape */
    bool nullable;
    uint32_t width; /* COLUMN_FIXED: bytes of a cell */
} table_column;

/* The columns of a record class; owned by its plan. */
typedef struct table_schema {
    Py_ssize_t count;
    table_column columns[];
} table_schema;

/* One column of one chunk. Row i of the chunk is entry `offset + i` of
 * validity and values. */
typedef struct {
    table_buffer *validity; /* owned; a bit per row, 1: there; NULL: all are */
    table_buffer *values;   /* owned; cells, bits, int32 offsets or codes */
    table_buffer *text;     /* owned; COLUMN_TEXT only */
    Py_ssize_t offset;
} table_cells;

typedef struct {
    Py_ssize_t start;   /* its first row's number in the table */
    Py_ssize_t length;  /* 0 only in the last of a table's list */
    Py_ssize_t room;    /* rows that fit; = length: nobody may write */
    table_cells *cells; /* owned: one per column */
} table_chunk;

/* The distinct values of a coded column, in order of first appearance. Shared
 * by slices; only grows. A code never changes its meaning. */
typedef struct {
    PyObject_HEAD PyObject *codes; /* owned: dict str -> int */
    PyObject *values;              /* owned: list of str, by code */
    table_buffer *offsets; /* owned or NULL: values as Arrow has them */
    table_buffer *text;
    Py_ssize_t written; /* how many are in offsets and text */
} table_dictionary;

typedef struct {
    table_dictionary *dictionary; /* owned; NULL: the column is not coded */
    uint8_t width; /* bytes of a code in every chunk: 1, 2 or 4; signed */
} table_coding;

typedef struct {
    PyObject_HEAD record_class *cls; /* owned */
    const table_schema *schema;      /* of cls */
    table_chunk *chunks;             /* owned; PyMem */
    Py_ssize_t chunk_count, chunk_room;
    Py_ssize_t length;
    Py_ssize_t hint;      /* chunk in which the last row was found */
    table_coding *coding; /* owned: one per column */
    PyObject *weak_list;
} table_object;

/* A column of a table as a sequence; sees the table grow. */
typedef struct {
    PyObject_HEAD table_object *table; /* owned */
    Py_ssize_t index;                  /* in schema->columns */
} column_object;

static inline bool
table_bit(const uint8_t *bits, Py_ssize_t i)
{
    return bits[i >> 3] >> (i & 7) & 1;
}

static inline int64_t
table_code_at(const uint8_t *codes, uint8_t width, Py_ssize_t i)
{
    switch (width) {
    case 1:
        return ((const int8_t *)codes)[i];
    case 2:
        return FE_READ(int16_t, codes + 2 * i);
    default:
        return FE_READ(int32_t, codes + 4 * i);
    }
}

/* One value on its way into a column. */
typedef struct {
    bool null;
    char bytes[8];    /* a number */
    const char *text; /* bytes[n], or the text; inside `owned` or a record */
    Py_ssize_t size;  /* of the text */
    int32_t code;
    PyObject *owned; /* owned or NULL */
} table_value;

static inline const char *
table_text_at(const table_cells *cells, Py_ssize_t row, Py_ssize_t *size)
{
    const uint8_t *at = cells->values->data + 4 * (cells->offset + row);
    int32_t start = FE_READ(int32_t, at);
    *size = (Py_ssize_t)FE_READ(int32_t, at + 4) - start;
    return *size > 0 ? (const char *)cells->text->data + start : "";
}

/* record_table.c */
extern PyType_Spec table_spec, table_dictionary_spec;
/* new: an empty table; TypeError naming `function` if cls is no record class
 * or has a field without a column type */
table_object *table_new(records_state *state, PyObject *cls,
                        const char *function);
/* Append the chunk, whose cells it takes over and empties, also on failure.
 * Codes must have the table's width and dictionary. 0, or -1. */
int table_adopt(table_object *self, table_chunk *chunk);
/* new: the rows in at most one chunk, which the table itself has from then on
 * too. Nothing that runs later changes what is returned. */
table_object *table_joined(table_object *self);
Py_ssize_t table_find_chunk(table_object *self, Py_ssize_t row);
void table_forget_chunks(table_object *self);
/* new: every step-th row; step 1 shares the memory */
PyObject *table_slice(table_object *self, Py_ssize_t start, Py_ssize_t step,
                      Py_ssize_t count);

/* record_table_chunk.c: memory of columns */
/* 0, or -1 with MemoryError and nothing held */
int table_chunk_init(table_chunk *chunk, const table_object *table,
                     Py_ssize_t room);
void table_chunk_drop(table_chunk *chunk, Py_ssize_t columns);
/* Room for `extra` more bytes of text in a chunk that is still private. */
int table_text_reserve(table_cells *cells, size_t used, size_t extra);
/* new: rows [start, start + length) of the chunk, sharing its buffers */
int table_chunk_share(table_chunk *to, const table_chunk *from,
                      Py_ssize_t columns, Py_ssize_t start, Py_ssize_t length);
/* Copy `count` bits from bit `from_at` on to bit `to_at` on. */
void table_bits_copy(uint8_t *to, Py_ssize_t to_at, const uint8_t *from,
                     Py_ssize_t from_at, Py_ssize_t count);
/* How many of the bits are 1. */
Py_ssize_t table_bits_count(const uint8_t *bits, Py_ssize_t at,
                            Py_ssize_t count);
/* new: the value of a row of a chunk; None for null */
PyObject *table_cell_load(const table_column *column,
                          const table_coding *coding, const table_cells *cells,
                          Py_ssize_t row);

/* A bitmap for `room` rows of which the first `length` are there, unless the
 * column has one already. 0, or -1. */
int table_validity_make(table_cells *cells, Py_ssize_t length,
                        Py_ssize_t room);
/* Bytes of text of `count` rows of a COLUMN_TEXT. */
size_t table_text_bytes(const table_cells *cells, Py_ssize_t start,
                        Py_ssize_t count);
/* Codes of one dictionary in terms of another; codes NULL: the same. */
typedef struct {
    int32_t *codes;
    Py_ssize_t count;
} table_code_map;
/* Copy codes through the map; what a null row has may be any number. */
void table_codes_copy(uint8_t *to, uint8_t to_width, Py_ssize_t to_at,
                      const uint8_t *from, uint8_t from_width,
                      Py_ssize_t from_at, Py_ssize_t count,
                      table_code_map map);
/* Copy rows behind the `at` rows of a column that has room for `room`, and
 * for the text. 0, or -1 with nothing to be seen. */
int table_cells_append(const table_column *column, table_cells *to,
                       Py_ssize_t at, Py_ssize_t room, uint8_t to_width,
                       const table_cells *from, Py_ssize_t start,
                       Py_ssize_t count, uint8_t from_width,
                       table_code_map map);
void table_cells_put(const table_column *column, table_cells *cells,
                     Py_ssize_t at, uint8_t code_width,
                     const table_value *value);

/* record_table_extend.c */
/* Add rows as RecordTable.extend() does. 0, or -1 with the table as it was */
int table_check_rows(table_object *staged);
int table_extend(table_object *self, PyObject *rows, const char *function);
int table_extend_columns(table_object *self, PyObject *mapping,
                         const char *function);
/* Copy rows of a chunk; maps[]: one per column. 0, or -1. */
int table_append_cells(table_object *self, const table_chunk *from,
                       Py_ssize_t start, Py_ssize_t count,
                       const table_coding *from_coding,
                       const table_code_map *maps);

/* record_table_append.c */
int table_append(table_object *self, PyObject *row, const char *function);
/* A value for a column, checked; nothing is written. Runs Python code. */
int table_convert(const table_column *column, PyObject *qualname,
                  PyObject *value, table_value *out);
/* Room for `rows` rows with the given bytes of text in each column (NULL:
 * none) in the last chunk, which then is the table's own. NULL: error. */
table_chunk *table_tail(table_object *self, Py_ssize_t rows,
                        const size_t *texts);

/* record_table_rows.c */
int table_extend_array(table_object *self, PyObject *array,
                       const char *function);

/* record_table_pickle.c */
extern PyMethodDef table_functions[];
PyObject *table_reduce_ex(PyObject *self, PyObject *protocol);

/* record_table_dictionary.c */
table_dictionary *table_dictionary_new(records_state *state);
/* The code of an exact str, adding it if it is new; -1 with an exception. */
Py_ssize_t table_dictionary_code(table_dictionary *self, PyObject *text);
/* Bring offsets and text up to date. 0, or -1. */
int table_dictionary_write(table_dictionary *self);
/* Make the codes of the column wide enough for `count` values. 0, or -1. */
int table_codes_widen(table_object *table, Py_ssize_t column,
                      Py_ssize_t count);
/* Bytes a code needs for `count` values: 1, 2 or 4. */
uint8_t table_codes_width(Py_ssize_t count);

/* record_table_schema.c */
extern PyType_Spec coded_spec;
const table_schema *table_schema_of(record_class *cls, const char *function);
/* UTF-8 of a str within the column's limit; NULL with an exception naming
 * class and field */
const char *table_text_of(const table_column *column, PyObject *qualname,
                          PyObject *value, Py_ssize_t *size);
/* Set `exception`: "Class.field: wanted i64 | None, got str 'abc'"; -1. */
int table_refuse(PyObject *exception, PyObject *qualname,
                 const table_column *column, PyObject *value);

/* record_table_column.c */
extern PyType_Spec column_spec;
PyObject *column_new(table_object *table, PyObject *name);

/* arrow.c, arrow_import.c */
PyObject *arrow_table_schema(PyObject *table, PyObject *ignored);
PyObject *arrow_table_array(PyObject *table, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);
PyObject *arrow_table_stream(PyObject *table, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames);
PyObject *arrow_column_schema(PyObject *column, PyObject *ignored);
PyObject *arrow_column_array(PyObject *column, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames);
PyObject *arrow_column_stream(PyObject *column, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames);
/* 1: obj has __arrow_c_stream__ or __arrow_c_array__; 0; -1 error */
int arrow_is_producer(PyObject *obj);
/* Append what an Arrow object holds to a table that nobody else sees; on
 * failure the table may hold a part. 0, or -1. */
int arrow_import(table_object *table, PyObject *obj, const char *function);

#endif
