/* SPDX-License-Identifier: MIT
 *
 * What other rooms may do with record classes: a capsule of functions, found
 * as `_capi` of ferrule._records. The importer keeps the pointer and the
 * module that provides it; `self` is the pointer itself.
 */
#ifndef FE_RECORD_CAPI_H
#define FE_RECORD_CAPI_H

#include "record_layout.h"

#define FE_RECORDS_CAPI_MODULE "ferrule._records"
#define FE_RECORDS_CAPI_ATTRIBUTE "_capi"
#define FE_RECORDS_CAPI_NAME "ferrule._records._capi"
#define FE_RECORDS_CAPI_VERSION 1

/* One stored field of a class. */
typedef struct {
    const record_field *field; /* where it is kept; lives as the class does */
    Py_ssize_t index;          /* among the stored fields */
    PyObject *meaning;         /* borrowed: its annotation; NULL: unknown */
    bool checked;              /* something checks its values */
} fe_record_entry;

/* How a column of a new table is written. */
typedef struct {
    const record_field *field;
    uint8_t shape;    /* fe_bulk_shape */
    uint8_t kind;     /* fe_kind of a cell */
    uint32_t width;   /* FE_BULK_CELLS: bytes of a cell */
    uint8_t *values;  /* cells; or 8 rows a byte for FE_BULK_BITS */
    int32_t *offsets; /* FE_BULK_TEXT: room + 1 of them, [0] is 0 */
    uint8_t *text;    /* FE_BULK_TEXT: text_room bytes */
    size_t text_room;
    uint32_t limit; /* FE_BULK_TEXT: the most bytes of one value; 0: any */
} fe_bulk_column;

typedef enum {
    FE_BULK_CELLS,
    FE_BULK_BITS, /* bool8: bit i & 7 of byte i >> 3 */
    FE_BULK_TEXT, /* str: UTF-8, checked by the writer; or bytes */
    FE_BULK_OTHER /* nullable or coded: only by appending rows */
} fe_bulk_shape;

typedef struct fe_records_capi fe_records_capi;
struct fe_records_capi {
    int version;

    /* Is it a record class that is whole? */
    bool (*is_class)(const fe_records_capi *self, PyObject *obj);
    /* 1: *entry describes field `index`; 0: there are no more; -1 */
    int (*describe)(const fe_records_capi *self, PyTypeObject *cls,
                    Py_ssize_t index, fe_record_entry *entry);
    /* borrowed: for messages */
    PyObject *(*qualname)(PyTypeObject *cls);
    /* 0 native or not said, 1 little, 2 big */
    int (*endian)(PyTypeObject *cls);
    /* What a thing that stands in Annotated says of storage: 1 a kind, 2 a
     * size, 0 nothing. */
    int (*storage)(const fe_records_capi *self, PyObject *marker,
                   uint32_t *kind, uint32_t *size);
    /* A place where the wire room keeps what it made of the class: an owned
     * reference or NULL, seen by the collector, dropped with the class.
     */
    PyObject **(*annex)(PyTypeObject *cls);

    /* Write an unboxed field at `at` from a value; 0, or -1 with the
     * exception that assignment gives. */
    int (*store)(PyTypeObject *cls, const record_field *field, char *at,
                 PyObject *value);
    /* May the value be written? 0, or -1. Runs what checks the field. */
    int (*check)(PyTypeObject *cls, Py_ssize_t index, PyObject *value);

    /* new: an instance whose every field the caller fills, by its offset,
     * before anything else runs: object fields with an owned reference or
     * NULL. Not tracked by the collector. Everything else in it is unset.
     */
    PyObject *(*begin)(PyTypeObject *cls);
    /* Steals: the instance as the constructor would leave it: checks run if
     * the class has any, then __post_init__; tracked. NULL: it is gone.
     */
    PyObject *(*finish)(PyObject *instance);
    /* Steals: an instance that was begun and is not wanted. */
    void (*abort)(PyObject *instance);
    /* Is begin() + raw stores all there is: no checks, no __post_init__? */
    bool (*is_plain)(PyTypeObject *cls);

    /* How many columns its tables have, and of which shape; columns[] may be
     * NULL to count. -1 with TypeError: no column type for a field; the
     * message begins with `function`. */
    Py_ssize_t (*bulk_columns)(PyTypeObject *cls, const char *function,
                               fe_bulk_column *columns);
    /* new: an empty RecordTable of the class with one chunk of `room` rows;
     * columns[] get their memory. texts[]: bytes of text a column needs, or
     * NULL; OverflowError if more than a chunk can have. No column may be
     * FE_BULK_OTHER. */
    PyObject *(*bulk_begin)(const fe_records_capi *self, PyTypeObject *cls,
                            Py_ssize_t room, const size_t *texts,
                            fe_bulk_column *columns);
    /* The first `rows` rows are there. 0, or -1 (the check of a field). */
    int (*bulk_finish)(PyObject *table, Py_ssize_t rows);
    /* new: an empty RecordTable; 0 or -1: a record at its end; all rows of
     * another table of the class at its end */
    PyObject *(*table_new)(const fe_records_capi *self, PyTypeObject *cls);
    int (*table_append)(PyObject *table, PyObject *record,
                        const char *function);
    int (*table_extend)(PyObject *table, PyObject *rows, const char *function);
    /* borrowed: the class of a table's rows; NULL: obj is no table */
    PyTypeObject *(*table_class)(const fe_records_capi *self, PyObject *obj);
};

#endif
