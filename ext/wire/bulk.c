/* SPDX-License-Identifier: MIT
 *
 * Streams of records to columns: unpack_many. Arguments, results and what a
 * bad record means; the reading itself is in bulk_fixed.c and bulk_walk.c.
 */
#include "bulk_stream.h"

#define FUNCTION "unpack_many()"

/* -------------------------------------------------------------- streams */

/* Fields that bulk_walk.c reads without Python. */
static bool
is_plain(const bulk_stream *stream)
{
    const packet_layout *layout = stream->layout;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        if (field->enumeration != NULL || field->shape == PACKET_NESTED
            || field->shape == PACKET_ARRAY || field->shape == PACKET_TAGGED) {
            return false;
        }
    }
    return !stream->checked;
}

/* Is some field of the class checked? -1 with an exception */
static int
is_checked(const bulk_stream *stream)
{
    const fe_records_capi *records = stream->state->records;
    PyTypeObject *cls = stream->layout->cls;
    fe_record_entry entry;
    int more;
    for (Py_ssize_t i = 0; (more = records->describe(records, cls, i, &entry));
         i++) {
        if (more < 0 || entry.checked) {
            return more < 0 ? -1 : 1;
        }
    }
    return 0;
}

int
bulk_open(bulk_stream *stream, wire_state *state, PyObject *cls,
          PyObject *buffer, const char *function)
{
    *stream = (bulk_stream){.state = state};
    packet_layout *layout = packet_layout_of(state, cls, function);
    if (layout == NULL) {
        return -1;
    }
    stream->layout = (packet_layout *)Py_NewRef((PyObject *)layout);
    if (wire_input_take(buffer, function, &stream->input) < 0) {
        Py_DECREF(layout);
        return -1;
    }
    if (wire_check_mapped(buffer, stream->input.length, function) < 0) {
        wire_input_drop(&stream->input);
        Py_DECREF(layout);
        return -1;
    }
    stream->source = (packet_source){
        .state = state,
        .data = stream->input.data,
        .length = stream->input.length,
        .stable = stream->input.buffer.obj == NULL,
    };
    stream->until = stream->source.length;
    int checked = is_checked(stream);
    stream->checked = checked > 0;
    stream->plain = is_plain(stream);
    stream->starts =
        PyMem_Calloc((size_t)layout->count + 1, sizeof(Py_ssize_t));
    if (stream->starts == NULL) {
        PyErr_NoMemory();
    }
    if (checked < 0 || stream->starts == NULL) {
        bulk_close(stream);
        return -1;
    }
    return 0;
}

void
bulk_close(bulk_stream *stream)
{
    for (Py_ssize_t i = 0; i < stream->target_count; i++) {
        if (stream->targets[i].buffer.obj != NULL) {
            PyBuffer_Release(&stream->targets[i].buffer);
        }
    }
    PyMem_Free(stream->targets);
    PyMem_Free(stream->starts);
    PyMem_Free(stream->job.columns);
    PyMem_Free(stream->sums.columns);
    Py_XDECREF(stream->rows_to);
    Py_XDECREF(stream->errors);
    wire_input_drop(&stream->input);
    Py_DECREF(stream->layout);
}

int
bulk_refuse_empty(const bulk_stream *stream, const char *function)
{
    PyErr_Format(PyExc_ValueError, "%s: a %U of no bytes at byte %zd",
                 function, stream->layout->qualname, stream->at);
    return -1;
}

/* -------------------------------------------------------------- reading */

/* The record at `at` is bad, or broken. 0: go on */
static int
take_error(bulk_stream *stream)
{
    if (stream->policy == BULK_SKIP) {
        return 0;
    }
    bulk_refuse(stream);
    if (stream->policy == BULK_RAISE
        || PyList_GET_SIZE(stream->errors) >= stream->max_errors
        || !PyErr_ExceptionMatches(stream->state->wire_error)) {
        return -1;
    }
    PyObject *error = PyErr_GetRaisedException();
    int status = PyList_Append(stream->errors, error);
    Py_DECREF(error);
    return status;
}

/* There is no room for the row at `at`. 0: go on counting, for the message */
static int
count_on(bulk_stream *stream)
{
    if (stream->target_count == 0 || stream->targets[0].buffer.obj == NULL) {
        /* a table's rows were counted */
        PyErr_SetString(PyExc_RuntimeError,
                        FUNCTION ": the buffer was changed while it was read");
        return -1;
    }
    stream->counting = true;
    stream->job.column_count = 0;
    stream->room = PY_SSIZE_T_MAX;
    return 0;
}

static int
refuse_room(const bulk_stream *stream)
{
    for (Py_ssize_t i = 0; i < stream->target_count; i++) {
        const bulk_target *target = &stream->targets[i];
        if (target->room < stream->rows) {
            PyErr_Format(PyExc_ValueError,
                         FUNCTION " out: %U.%U: wanted %zd cells, got %zd",
                         stream->layout->qualname, target->field->field->name,
                         stream->rows, target->room);
            break;
        }
    }
    return -1;
}

/* Up to `until`. 0, or -1 */
static int
read_all(bulk_stream *stream)
{
    for (;;) {
        bulk_stop stop =
            stream->fixed ? bulk_read_fixed(stream) : bulk_read_rows(stream);
        switch (stop) {
        case BULK_END:
            return stream->counting ? refuse_room(stream) : 0;
        case BULK_FULL:
            if (count_on(stream) < 0) {
                return -1;
            }
            break;
        case BULK_BAD:
            if (take_error(stream) < 0) {
                return -1;
            }
            stream->at = stream->next;
            break;
        case BULK_BROKEN:
            if (stream->next == stream->at) {
                return bulk_refuse_empty(stream, FUNCTION);
            }
            if (take_error(stream) < 0) {
                return -1;
            }
            stream->at = stream->until = stream->source.length;
            break;
        case BULK_FAILED:
            return -1;
        }
    }
}

/* --------------------------------------------------------------- tables */

/* One target for each field of the layout. 1; 0: only row by row; -1 */
static int
table_targets(bulk_stream *stream, const fe_bulk_column *columns)
{
    const packet_layout *layout = stream->layout;
    bool by_rows = !stream->plain;
    stream->targets =
        PyMem_Calloc((size_t)layout->count + 1, sizeof(*stream->targets));
    if (stream->targets == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    stream->target_count = layout->count;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        const fe_bulk_column *column = &columns[field->index];
        stream->targets[i] = (bulk_target){
            .field = field,
            .index = i,
            .shape = column->shape,
            .width = column->width,
        };
        /* numbers of 64 bits may be too large for the column, an i64 */
        by_rows |= column->shape == FE_BULK_OTHER
                   || (field->shape == PACKET_BITS && field->bits == 64);
    }
    return !by_rows;
}

static void
aim_targets(bulk_stream *stream, const fe_bulk_column *columns)
{
    for (Py_ssize_t i = 0; i < stream->target_count; i++) {
        bulk_target *target = &stream->targets[i];
        const fe_bulk_column *column = &columns[target->field->index];
        target->values = column->values;
        target->offsets = column->offsets;
        target->text = column->text;
        target->text_room = column->text_room;
    }
}

/* new: a table of the next rows, as many as one chunk takes. texts[] has room
 * for a size per column, and as many again. */
static PyObject *
read_chunk(bulk_stream *stream, fe_bulk_column *columns, size_t *texts)
{
    const fe_records_capi *records = stream->state->records;
    size_t *by_column = texts + stream->target_count;
    Py_ssize_t rows = stream->fixed ? bulk_count_fixed(stream, texts)
                                    : bulk_count_rows(stream, texts);
    for (Py_ssize_t i = 0; i < stream->target_count; i++) {
        by_column[stream->targets[i].field->index] = texts[i];
    }
    PyObject *table = records->bulk_begin(records, stream->layout->cls, rows,
                                          by_column, columns);
    if (table == NULL) {
        return NULL;
    }
    aim_targets(stream, columns);
    stream->rows = 0;
    stream->room = rows;
    if ((stream->fixed && bulk_fixed_prepare(stream) < 0)
        || read_all(stream) < 0
        || records->bulk_finish(table, stream->rows) < 0) {
        Py_CLEAR(table);
    }
    return table;
}

/* new: a table of all rows; several chunks if there is very much text */
static PyObject *
read_chunks(bulk_stream *stream, fe_bulk_column *columns)
{
    size_t *texts =
        PyMem_Calloc(2 * (size_t)stream->target_count + 1, sizeof(*texts));
    if (texts == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *whole = read_chunk(stream, columns, texts);
    while (whole != NULL && stream->at < stream->source.length) {
        PyObject *more = read_chunk(stream, columns, texts);
        if (more == NULL
            || stream->state->records->table_extend(whole, more, FUNCTION)
                   < 0) {
            Py_CLEAR(whole);
        }
        Py_XDECREF(more);
    }
    PyMem_Free(texts);
    return whole;
}

/* new: a table of all rows, appended one by one */
static PyObject *
read_by_rows(bulk_stream *stream)
{
    const fe_records_capi *records = stream->state->records;
    stream->fixed = false;
    stream->rows_to = records->table_new(records, stream->layout->cls);
    return stream->rows_to != NULL && read_all(stream) == 0
               ? Py_NewRef(stream->rows_to)
               : NULL;
}

static PyObject *
read_table(bulk_stream *stream)
{
    const fe_records_capi *records = stream->state->records;
    PyTypeObject *cls = stream->layout->cls;
    Py_ssize_t count = records->bulk_columns(cls, FUNCTION, NULL);
    if (count < 0) {
        return NULL;
    }
    fe_bulk_column *columns = PyMem_Calloc((size_t)count, sizeof(*columns));
    if (columns == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *table = NULL;
    int direct = records->bulk_columns(cls, FUNCTION, columns) < 0
                     ? -1
                     : table_targets(stream, columns);
    if (direct >= 0) {
        stream->fixed = direct && bulk_fixed_can(stream);
        table = direct ? read_chunks(stream, columns) : read_by_rows(stream);
    }
    PyMem_Free(columns);
    return table;
}

/* new: the table that is given, with the rows at its end */
static PyObject *
read_into_table(bulk_stream *stream, PyObject *out)
{
    const fe_records_capi *records = stream->state->records;
    PyTypeObject *cls = records->table_class(records, out);
    if (cls != stream->layout->cls) {
        PyErr_Format(PyExc_TypeError,
                     FUNCTION " out wants a RecordTable of %U, got one of %U",
                     stream->layout->qualname, records->qualname(cls));
        return NULL;
    }
    PyObject *rows = read_table(stream);
    int status =
        rows != NULL ? records->table_extend(out, rows, FUNCTION) : -1;
    Py_XDECREF(rows);
    return status == 0 ? Py_NewRef(out) : NULL;
}

/* new: how many rows the given columns have got */
static PyObject *
read_given(bulk_stream *stream, PyObject *mapping)
{
    if (bulk_open_given(stream, mapping) < 0) {
        return NULL;
    }
    stream->fixed = bulk_fixed_can(stream);
    if ((stream->fixed && bulk_fixed_prepare(stream) < 0)
        || read_all(stream) < 0) {
        return NULL;
    }
    return PyLong_FromSsize_t(stream->rows);
}

/* ------------------------------------------------------------ arguments */

static int
take_policy(bulk_stream *stream, PyObject *on_error, PyObject *max_errors)
{
    static const char *const names[] = {"raise", "skip", "report"};
    stream->policy = BULK_RAISE;
    stream->max_errors = 1000;
    if (on_error != NULL) {
        size_t i = 0;
        while (i < Py_ARRAY_LENGTH(names)
               && !(PyUnicode_Check(on_error)
                    && PyUnicode_CompareWithASCIIString(on_error, names[i])
                           == 0)) {
            i++;
        }
        if (i == Py_ARRAY_LENGTH(names)) {
            PyErr_Format(PyExc_ValueError,
                         FUNCTION " on_error must be 'raise', 'skip' or "
                                  "'report', got %R",
                         on_error);
            return -1;
        }
        stream->policy = (bulk_policy)i;
    }
    if (max_errors != NULL) {
        Py_ssize_t most = PyNumber_AsSsize_t(max_errors, PyExc_OverflowError);
        if (most == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (most < 0) {
            PyErr_Format(PyExc_ValueError,
                         FUNCTION " max_errors must not be negative, got %zd",
                         most);
            return -1;
        }
        stream->max_errors = most;
    }
    if (stream->policy == BULK_REPORT) {
        stream->errors = PyList_New(0);
        return stream->errors != NULL ? 0 : -1;
    }
    return 0;
}

/* Has it items()? -1 with an exception */
static int
is_mapping(PyObject *obj)
{
    if (PyDict_Check(obj)) {
        return 1;
    }
    PyObject *name = PyUnicode_InternFromString("items"), *items;
    int found =
        name != NULL ? PyObject_GetOptionalAttr(obj, name, &items) : -1;
    Py_XDECREF(name);
    if (found > 0) {
        Py_DECREF(items);
        return PyMapping_Check(obj);
    }
    return found;
}

/* new */
static PyObject *
read_to(bulk_stream *stream, PyObject *out)
{
    const fe_records_capi *records = stream->state->records;
    if (out == NULL || out == Py_None) {
        return read_table(stream);
    }
    if (records->table_class(records, out) != NULL) {
        return read_into_table(stream, out);
    }
    int mapping = is_mapping(out);
    if (mapping > 0) {
        return read_given(stream, out);
    }
    if (mapping == 0) {
        PyErr_Format(PyExc_TypeError,
                     FUNCTION " out wants a RecordTable or a mapping, got %s",
                     Py_TYPE(out)->tp_name);
    }
    return NULL;
}

PyDoc_STRVAR(
    unpack_many__doc__,
    "unpack_many($module, cls, buffer, *, out=None, on_error='raise',\n"
    "            max_errors=1000)\n--\n\n"
    "The records that lie one after another in buffer, as a RecordTable.\n\n"
    "out: a RecordTable of the class, which gets the rows at its end and is\n"
    "returned; or a mapping of names of fields to writable buffers with a "
    "cell\nfor every row, in the format of the field's values: then the "
    "number of\nrows is returned. After an error a table is as it was; given "
    "cells may\nhold the rows before it.\n\n"
    "on_error: 'raise'; 'skip': bad records are left out; 'report': so too,\n"
    "and the result is a tuple with a list of their WireErrors, at most\n"
    "max_errors, or the next one is raised. A record that is cut off, or of\n"
    "which the length is wrong, ends the stream. No __init__ and no\n"
    "__post_init__ runs.\n\n"
    "Raises WireError, and TypeError for a class that has no wire layout or\n"
    "no columns.");

static PyObject *
unpack_many(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const char *const names[] = {"cls",      "buffer",     "out",
                                        "on_error", "max_errors", NULL};
    static const fe_sig sig = {"unpack_many", names, 2, 2};
    PyObject *values[5];
    bulk_stream stream;
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0
        || bulk_open(&stream, wire_get_state(module), values[0], values[1],
                     "unpack_many")
               < 0) {
        return NULL;
    }
    PyObject *result = take_policy(&stream, values[3], values[4]) == 0
                           ? read_to(&stream, values[2])
                           : NULL;
    if (result != NULL && stream.errors != NULL) {
        Py_SETREF(result, PyTuple_Pack(2, result, stream.errors));
    }
    bulk_close(&stream);
    return result;
}

static PyMethodDef bulk_methods[] = {
    {"unpack_many", FE_METHOD(unpack_many), METH_FASTCALL | METH_KEYWORDS,
     unpack_many__doc__},
    {"index_many", FE_METHOD(bulk_index_many), METH_FASTCALL | METH_KEYWORDS,
     bulk_index_many__doc__},
    {NULL, NULL, 0, NULL},
};

int
bulk_register(PyObject *module, wire_state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, bulk_methods);
}
