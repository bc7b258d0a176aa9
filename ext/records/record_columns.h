/* SPDX-License-Identifier: MIT
 *
 * Columns as callers give them: a mapping of field names to buffers or
 * iterables, opened and checked before anything is written.
 */
#ifndef RECORD_COLUMNS_H
#define RECORD_COLUMNS_H

#include "records_state.h"

typedef struct {
    const record_field *field; /* name and kind of the values */
    Py_buffer view;            /* .obj != NULL: values of the field's format */
    Py_ssize_t size;           /* bytes of one value in the view */
    PyObject *values;          /* owned list or tuple: any values; or NULL */
    Py_ssize_t count;
} column_source;

/* Open the columns of `mapping` for sources[].field, whose other members are
 * zero. All have *count rows. -1 with TypeError for a missing, unknown or
 * unusable column, ValueError for unequal lengths; close in any case.
 * A field of kind FE_OBJECT is never taken as a buffer.
 */
int columns_open(PyObject *mapping, column_source *sources,
                 Py_ssize_t source_count, PyObject *qualname,
                 Py_ssize_t *count, const char *function);
void columns_close(column_source *sources, Py_ssize_t source_count);

/* new: value `i` of values, which Python code may have changed meanwhile;
 * NULL with RuntimeError if it is gone */
PyObject *columns_value(const column_source *source, Py_ssize_t i,
                        const char *function);

/* A UnicodeDecodeError becomes a ValueError that names field and row; -1. */
int records_refuse_text(PyObject *qualname, const record_field *field,
                        Py_ssize_t row, const char *function);

/* TypeError naming `function`: no record class, or an abstract one, of which
 * nobody may make records */
bool records_check_class(records_state *state, PyObject *cls,
                         const char *function);

static inline const char *
columns_at(const column_source *source, Py_ssize_t i)
{
    return (const char *)source->view.buf + i * source->view.strides[0];
}

/* Is it a mapping of columns: a dict, or something with keys()? -1 error */
int columns_are(PyObject *obj);

#endif
