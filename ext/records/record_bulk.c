/* SPDX-License-Identifier: MIT
 *
 * Tables written by other rooms, column by column: a part of record_capi.h.
 *
 * A table that was begun has one chunk of which no row counts yet, and nobody
 * else sees it: the collector does not know it before it is finished. So its
 * memory may be written without the interpreter's lock.
 */
#include "record_bulk.h"

#include "record_table.h"

static records_state *
state_of(const fe_records_capi *self)
{
    return ((const record_capi *)self)->state;
}

static uint8_t
bulk_shape(const table_column *column)
{
    if (column->nullable || column->shape == COLUMN_CODED) {
        return FE_BULK_OTHER;
    }
    return column->shape == COLUMN_BITS   ? FE_BULK_BITS
           : column->shape == COLUMN_TEXT ? FE_BULK_TEXT
                                          : FE_BULK_CELLS;
}

static void
describe(const table_column *column, fe_bulk_column *out)
{
    *out = (fe_bulk_column){
        .field = column->field,
        .shape = bulk_shape(column),
        .kind = column->value.kind,
        .width = column->shape == COLUMN_FIXED ? column->width : 0,
        .limit = column->shape == COLUMN_TEXT ? column->value.size : 0,
    };
}

static Py_ssize_t
bulk_columns(PyTypeObject *cls, const char *function, fe_bulk_column *columns)
{
    const table_schema *schema = table_schema_of(RECORD_CLASS(cls), function);
    if (schema == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; columns != NULL && i < schema->count; i++) {
        describe(&schema->columns[i], &columns[i]);
    }
    return schema->count;
}

/* Point a column at its memory. 0, or -1: OverflowError, MemoryError */
static int
open_column(const table_object *table, table_cells *cells, size_t text,
            fe_bulk_column *column)
{
    column->values = cells->values->data;
    if (column->shape != FE_BULK_TEXT) {
        return 0;
    }
    if (text > TABLE_TEXT_MAX) {
        PyErr_Format(PyExc_OverflowError,
                     "%U.%U: %zu bytes of text are more than one chunk can "
                     "have",
                     table->cls->plan->qualname, column->field->name, text);
        return -1;
    }
    if (text > 0 && table_text_reserve(cells, 0, text) < 0) {
        return -1;
    }
    column->offsets = (int32_t *)(void *)cells->values->data;
    column->text = cells->text != NULL ? cells->text->data : NULL;
    column->text_room = text;
    return 0;
}

static PyObject *
bulk_begin(const fe_records_capi *self, PyTypeObject *cls, Py_ssize_t room,
           const size_t *texts, fe_bulk_column *columns)
{
    table_object *table =
        table_new(state_of(self), (PyObject *)cls, "RecordTable()");
    if (table == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(table); /* until it is finished */
    table_chunk chunk;
    if (table_chunk_init(&chunk, table, room) < 0) {
        Py_DECREF(table);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < table->schema->count; i++) {
        const table_column *column = &table->schema->columns[i];
        describe(column, &columns[i]);
        assert(columns[i].shape != FE_BULK_OTHER);
        if (open_column(table, &chunk.cells[i], texts != NULL ? texts[i] : 0,
                        &columns[i])
            < 0) {
            table_chunk_drop(&chunk, table->schema->count);
            Py_DECREF(table);
            return NULL;
        }
    }
    if (table_adopt(table, &chunk) < 0) {
        Py_CLEAR(table);
    }
    return (PyObject *)table;
}

static int
bulk_finish(PyObject *obj, Py_ssize_t rows)
{
    table_object *table = (table_object *)obj;
    if (rows == 0) {
        table_forget_chunks(table);
    }
    else {
        assert(rows <= table->chunks[0].room);
        table->chunks[0].length = table->length = rows;
    }
    if (table_check_rows(table) < 0) {
        return -1;
    }
    PyObject_GC_Track(table);
    return 0;
}

static PyObject *
bulk_table_new(const fe_records_capi *self, PyTypeObject *cls)
{
    return (PyObject *)table_new(state_of(self), (PyObject *)cls,
                                 "RecordTable()");
}

static int
bulk_table_append(PyObject *table, PyObject *record, const char *function)
{
    return table_append((table_object *)table, record, function);
}

static int
bulk_table_extend(PyObject *table, PyObject *rows, const char *function)
{
    return table_extend((table_object *)table, rows, function);
}

static PyTypeObject *
bulk_table_class(const fe_records_capi *self, PyObject *obj)
{
    return Py_IS_TYPE(obj, state_of(self)->table_type)
               ? (PyTypeObject *)((table_object *)obj)->cls
               : NULL;
}

void
records_bulk_fill(fe_records_capi *table)
{
    table->bulk_columns = bulk_columns;
    table->bulk_begin = bulk_begin;
    table->bulk_finish = bulk_finish;
    table->table_new = bulk_table_new;
    table->table_append = bulk_table_append;
    table->table_extend = bulk_table_extend;
    table->table_class = bulk_table_class;
}
