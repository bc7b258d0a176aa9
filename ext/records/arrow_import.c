/* SPDX-License-Identifier: MIT
 *
 * Import from any object with an Arrow PyCapsule method: batches become
 * chunks of a table. Nothing a producer says is believed before it is
 * checked, except that its pointers lead to as many bytes as they must.
 *
 * A batch is kept whole in a holder, which every buffer that shares its
 * memory holds. Producers are called without the interpreter lock, since
 * they may wait for threads that need it.
 */
#include "arrow.h"

#include <errno.h>

/* ------------------------------------------------------------- holder */

static void
holder_drop(void *owner)
{
    arrow_holder *holder = owner;
    if (atomic_fetch_sub_explicit(&holder->holders, 1, memory_order_acq_rel)
        == 1) {
        if (holder->array.release != NULL) {
            holder->array.release(&holder->array);
        }
        PyMem_RawFree(holder);
    }
}

/* As holder_drop, for the import's own share: an exception stays. */
static void
holder_leave(arrow_holder *holder)
{
    PyObject *error = PyErr_GetRaisedException();
    holder_drop(holder);
    if (error != NULL) {
        PyErr_SetRaisedException(error);
    }
}

/* new: a holder without an array */
static arrow_holder *
holder_new(void)
{
    arrow_holder *holder = PyMem_RawCalloc(1, sizeof(*holder));
    if (holder == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    atomic_init(&holder->holders, 1);
    return holder;
}

table_buffer *
arrow_holder_wrap(arrow_holder *holder, const void *data, int64_t size)
{
    table_buffer *buffer =
        table_buffer_wrap(data, (size_t)size, holder_drop, holder);
    if (buffer != NULL) {
        atomic_fetch_add_explicit(&holder->holders, 1, memory_order_relaxed);
    }
    return buffer;
}

/* ------------------------------------------------------------- errors */

int
arrow_refuse_row(const arrow_input *in, PyObject *exception, int64_t row,
                 PyObject *got)
{
    PyObject *wanted = got != NULL ? arrow_column_text(in->column) : NULL;
    if (wanted != NULL) {
        PyErr_Format(exception, "%s: field '%U', row %lld: wanted %U, got %U",
                     in->reader->function, in->column->field->name,
                     (long long)(in->first + row), wanted, got);
    }
    Py_XDECREF(wanted);
    Py_XDECREF(got);
    return -1;
}

int
arrow_refuse_array(const arrow_input *in, const char *what)
{
    PyErr_Format(PyExc_ValueError, "%s: field '%U': %s", in->reader->function,
                 in->column->field->name, what);
    return -1;
}

/* ValueError: "f(): what"; -1 */
static int
refuse_batch(const arrow_reader *reader, const char *what)
{
    PyErr_Format(PyExc_ValueError, "%s: %s", reader->function, what);
    return -1;
}

/* ------------------------------------------------------------- schema */

static bool
accepts(const table_column *column, arrow_type type)
{
    uint8_t kind = column->value.kind;
    if (type.shape == ARROW_OTHER || type.shape == ARROW_NULLS) {
        return type.shape == ARROW_NULLS && column->nullable;
    }
    if (type.index != ARROW_PLAIN) {
        return type.kind == FE_STR && kind == FE_STR;
    }
    if (column->shape == COLUMN_TEXT || column->shape == COLUMN_CODED) {
        return type.kind == kind && type.shape != ARROW_CELLS;
    }
    if (arrow_is_int(kind)) {
        return arrow_is_int(type.kind);
    }
    if (kind == FE_BYTES) {
        return type.shape == ARROW_CELLS && type.kind == FE_BYTES
               && type.size == column->width;
    }
    return type.kind == kind || (kind == FE_F64 && type.kind == FE_F32);
}

static int
refuse_type(const arrow_reader *reader, const table_column *column,
            const struct ArrowSchema *schema)
{
    PyObject *wanted = arrow_column_text(column);
    PyObject *came = wanted != NULL ? arrow_schema_text(schema) : NULL;
    if (came != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%s: field '%U': wanted %U, got Arrow type %U",
                     reader->function, column->field->name, wanted, came);
    }
    Py_XDECREF(wanted);
    Py_XDECREF(came);
    return -1;
}

/* Is it a struct whose fields can be looked at? */
static int
check_struct(const arrow_reader *reader, const struct ArrowSchema *schema)
{
    if (schema->format == NULL || strcmp(schema->format, "+s") != 0) {
        PyErr_Format(PyExc_TypeError,
                     "%s: wanted a struct of columns, got Arrow type "
                     "'%.60s'",
                     reader->function,
                     schema->format != NULL ? schema->format : "");
        return -1;
    }
    bool whole = schema->n_children >= 0
                 && (schema->n_children == 0 || schema->children != NULL);
    for (int64_t i = 0; whole && i < schema->n_children; i++) {
        const struct ArrowSchema *child = schema->children[i];
        whole =
            child != NULL && child->format != NULL && child->release != NULL;
    }
    return whole ? 0 : refuse_batch(reader, "the schema is malformed");
}

static const char *
name_of(const struct ArrowSchema *schema)
{
    return schema->name != NULL ? schema->name : "";
}

/* How many fields of the schema have the name; *last: the last of them. */
static int64_t
find_child(const struct ArrowSchema *schema, const char *name, int64_t *last)
{
    int64_t found = 0;
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (strcmp(name_of(schema->children[i]), name) == 0) {
            *last = i;
            found++;
        }
    }
    return found;
}

/* Append "'name'" to a list. 0, or -1. */
static int
list_name(PyObject *list, const char *name)
{
    PyObject *text = PyUnicode_FromFormat("'%.100s'", name);
    int status = text != NULL ? PyList_Append(list, text) : -1;
    Py_XDECREF(text);
    return status;
}

static bool
has_column(const arrow_reader *reader, int64_t child)
{
    for (Py_ssize_t i = 0; i < reader->table->schema->count; i++) {
        if (reader->children[i] == child) {
            return true;
        }
    }
    return false;
}

/* Names that only the table, and that only the schema has. 0, or -1. */
static int
list_strangers(const arrow_reader *reader, const struct ArrowSchema *schema,
               PyObject *missing, PyObject *extra)
{
    for (Py_ssize_t i = 0; i < reader->table->schema->count; i++) {
        if (reader->children[i] < 0) {
            PyObject *name = reader->table->schema->columns[i].field->name;
            const char *utf8 = PyUnicode_AsUTF8AndSize(name, NULL);
            if (utf8 == NULL || list_name(missing, utf8) < 0) {
                return -1;
            }
        }
    }
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (!has_column(reader, i)
            && list_name(extra, name_of(schema->children[i])) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ValueError that names them; -1 */
static int
refuse_names(const arrow_reader *reader, const struct ArrowSchema *schema)
{
    PyObject *comma = PyUnicode_FromString(", ");
    PyObject *missing = PyList_New(0), *extra = PyList_New(0);
    PyObject *lost = NULL, *strange = NULL;
    if (comma != NULL && missing != NULL && extra != NULL
        && list_strangers(reader, schema, missing, extra) == 0) {
        lost = PyUnicode_Join(comma, missing);
        strange = PyUnicode_Join(comma, extra);
    }
    if (lost != NULL && strange != NULL) {
        bool both = PyList_GET_SIZE(missing) > 0 && PyList_GET_SIZE(extra) > 0;
        PyErr_Format(PyExc_ValueError, "%s: %s%U%s%s%U", reader->function,
                     PyList_GET_SIZE(missing) > 0 ? "missing columns " : "",
                     lost, both ? "; " : "",
                     PyList_GET_SIZE(extra) > 0 ? "unexpected columns " : "",
                     strange);
    }
    Py_XDECREF(comma);
    Py_XDECREF(missing);
    Py_XDECREF(extra);
    Py_XDECREF(lost);
    Py_XDECREF(strange);
    return -1;
}

/* Find every column's field by name. 0, or -1. */
static int
match_names(arrow_reader *reader, const struct ArrowSchema *schema)
{
    Py_ssize_t count = reader->table->schema->count;
    bool complete = schema->n_children == count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = reader->table->schema->columns[i].field->name;
        const char *utf8 = PyUnicode_AsUTF8AndSize(name, NULL);
        if (utf8 == NULL) {
            return -1;
        }
        int64_t child = -1;
        int64_t found = find_child(schema, utf8, &child);
        if (found > 1) {
            PyErr_Format(PyExc_ValueError, "%s: %lld columns are named '%U'",
                         reader->function, (long long)found, name);
            return -1;
        }
        reader->children[i] = (Py_ssize_t)child;
        complete = complete && found == 1;
    }
    return complete ? 0 : refuse_names(reader, schema);
}

static void
reader_close(arrow_reader *reader)
{
    PyMem_Free(reader->children);
    PyMem_Free(reader->types);
}

/* Match columns with fields, by name and type. 0, or -1; close in any case */
static int
reader_open(arrow_reader *reader, const struct ArrowSchema *schema)
{
    Py_ssize_t count = reader->table->schema->count;
    reader->children = PyMem_New(Py_ssize_t, (size_t)count);
    reader->types = PyMem_New(arrow_type, (size_t)count);
    if (reader->children == NULL || reader->types == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (check_struct(reader, schema) < 0 || match_names(reader, schema) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const table_column *column = &reader->table->schema->columns[i];
        const struct ArrowSchema *child =
            schema->children[reader->children[i]];
        reader->types[i] = arrow_type_of(child);
        if (!accepts(column, reader->types[i])) {
            return refuse_type(reader, column, child);
        }
    }
    return 0;
}

/* -------------------------------------------------------------- batch */

static bool
buffer_count_fits(const struct ArrowArray *array, arrow_type type)
{
    if (type.shape == ARROW_VIEWS && type.index == ARROW_PLAIN) {
        return array->n_buffers >= 3 && array->n_buffers < INT32_MAX;
    }
    bool offsets =
        type.index == ARROW_PLAIN
        && (type.shape == ARROW_TEXT32 || type.shape == ARROW_TEXT64);
    return array->n_buffers == (offsets ? 3 : 2);
}

const char *
arrow_array_problem(const struct ArrowArray *array, arrow_type type)
{
    if (array->release == NULL) {
        return "the array was released";
    }
    int64_t cell = type.size > 16 ? type.size : 16;
    int64_t most = PY_SSIZE_T_MAX / cell - 1;
    if (array->length < 0 || array->offset < 0 || array->length > most
        || array->offset > most - array->length) {
        return "length or offset is negative or too large";
    }
    if (array->null_count < -1 || array->null_count > array->length) {
        return "the null count is out of range";
    }
    if (type.shape == ARROW_NULLS) {
        return NULL;
    }
    if (!buffer_count_fits(array, type) || array->buffers == NULL) {
        return "the number of buffers is wrong";
    }
    if (array->length > 0 && array->buffers[1] == NULL) {
        return "a buffer is missing";
    }
    if (array->null_count > 0 && array->buffers[0] == NULL) {
        return "there are nulls but no validity";
    }
    return NULL;
}

/* The first 0 of the bits, of which there is one. */
static int64_t
find_null(const uint8_t *bits, int64_t at)
{
    int64_t row = 0;
    while (table_bit(bits, at + row)) {
        row++;
    }
    return row;
}

static int
check_no_null_rows(const arrow_reader *reader, const struct ArrowArray *root)
{
    if (root->null_count == 0 || root->length == 0) {
        return 0;
    }
    const uint8_t *bits =
        root->n_buffers > 0 && root->buffers != NULL ? root->buffers[0] : NULL;
    if (bits == NULL) {
        return root->null_count < 0
                   ? 0
                   : refuse_batch(reader, "there are nulls but no validity");
    }
    if (table_bits_count(bits, root->offset, root->length) == root->length) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "%s: row %lld is null", reader->function,
                 (long long)(reader->rows + find_null(bits, root->offset)));
    return -1;
}

/* What every use of the batch relies on. */
static int
check_batch(const arrow_reader *reader, const struct ArrowArray *root,
            int64_t children)
{
    const arrow_type nothing = {ARROW_NULLS, FE_OBJECT, ARROW_PLAIN, 0};
    const char *problem = arrow_array_problem(root, nothing);
    if (problem == NULL
        && (root->n_children != children
            || (children > 0 && root->children == NULL))) {
        problem = "the array has other columns than the schema";
    }
    if (problem != NULL) {
        return refuse_batch(reader, problem);
    }
    for (Py_ssize_t i = 0; i < reader->table->schema->count; i++) {
        const struct ArrowArray *array = root->children[reader->children[i]];
        arrow_input in = {
            .reader = reader,
            .column = &reader->table->schema->columns[i],
        };
        problem = array == NULL ? "the column is missing"
                                : arrow_array_problem(array, reader->types[i]);
        if (problem == NULL && array->length - root->offset < root->length) {
            problem = "the column is shorter than the batch";
        }
        if (problem != NULL) {
            return arrow_refuse_array(&in, problem);
        }
    }
    return check_no_null_rows(reader, root);
}

/* Rows of a column from `start` of the batch on. Nulls where there may be
 * none are refused, but for those of dictionaries, which have more nulls. */
static int
input_open(arrow_input *in, const arrow_reader *reader, arrow_holder *holder,
           Py_ssize_t i, int64_t start, int64_t length)
{
    const struct ArrowArray *root = &holder->array;
    const struct ArrowArray *array = root->children[reader->children[i]];
    *in = (arrow_input){
        .reader = reader,
        .holder = holder,
        .array = array,
        .column = &reader->table->schema->columns[i],
        .index = i,
        .type = reader->types[i],
        .offset = array->offset + root->offset + start,
        .length = length,
        .first = reader->rows + start,
    };
    if (in->type.shape == ARROW_NULLS || array->null_count == 0
        || array->buffers[0] == NULL) {
        return 0;
    }
    const uint8_t *bits = array->buffers[0];
    if (table_bits_count(bits, in->offset, length) == length) {
        return 0;
    }
    in->validity = bits;
    bool may = in->column->nullable || in->type.index != ARROW_PLAIN;
    return may ? 0
               : arrow_refuse_row(in, PyExc_ValueError,
                                  find_null(bits, in->offset),
                                  PyUnicode_FromString("null"));
}

/* Rows of the batch as one chunk. 0; -1; ARROW_SPLIT; *field: where. */
static int
import_chunk(const arrow_reader *reader, arrow_holder *holder, int64_t start,
             int64_t length, Py_ssize_t *field)
{
    Py_ssize_t count = reader->table->schema->count;
    table_chunk chunk = {
        .length = (Py_ssize_t)length,
        .room = (Py_ssize_t)length,
        .cells = PyMem_Calloc((size_t)count, sizeof(table_cells)),
    };
    if (chunk.cells == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; i < count && status == 0; i++) {
        arrow_input in;
        *field = i;
        status = input_open(&in, reader, holder, i, start, length);
        if (status == 0) {
            status = arrow_convert(&in, &chunk.cells[i]);
        }
    }
    if (status == 0) {
        return table_adopt(reader->table, &chunk);
    }
    table_chunk_drop(&chunk, count);
    return status;
}

/* As many chunks as their text needs. */
static int
import_rows(const arrow_reader *reader, arrow_holder *holder, int64_t start,
            int64_t length)
{
    Py_ssize_t field = 0;
    int status = import_chunk(reader, holder, start, length, &field);
    if (status != ARROW_SPLIT) {
        return status;
    }
    if (length == 1) {
        PyErr_Format(PyExc_OverflowError,
                     "%s: field '%U', row %lld: more than 2 GiB of text",
                     reader->function,
                     reader->table->schema->columns[field].field->name,
                     (long long)(reader->rows + start));
        return -1;
    }
    int64_t half = length / 2;
    status = import_rows(reader, holder, start, half);
    return status == 0
               ? import_rows(reader, holder, start + half, length - half)
               : status;
}

/* The batch in the holder, which is left. */
static int
import_batch_steal(arrow_reader *reader, arrow_holder *holder,
                   int64_t children)
{
    const struct ArrowArray *root = &holder->array;
    int status = check_batch(reader, root, children);
    if (status == 0 && root->length > 0) {
        status = import_rows(reader, holder, 0, root->length);
        reader->rows += root->length;
    }
    holder_leave(holder);
    return status;
}

/* -------------------------------------------------------------- array */

/* The callback may run Python code: an exception is put aside meanwhile. */
static void
release_schema(struct ArrowSchema *schema)
{
    PyObject *error = PyErr_GetRaisedException();
    if (schema->release != NULL) {
        schema->release(schema);
    }
    if (error != NULL) {
        PyErr_SetRaisedException(error);
    }
}

/* borrowed: the struct in a capsule; NULL with TypeError */
static void *
open_capsule_borrow(PyObject *capsule, const char *name, const char *method,
                    const char *function)
{
    if (!PyCapsule_IsValid(capsule, name)) {
        PyErr_Format(PyExc_TypeError,
                     "%s: %s() gave %R instead of a capsule named '%s'",
                     function, method, capsule, name);
        return NULL;
    }
    return PyCapsule_GetPointer(capsule, name);
}

static int
refuse_released(const char *function, const char *what)
{
    PyErr_Format(PyExc_ValueError, "%s: the %s was already released", function,
                 what);
    return -1;
}

/* Move schema and array out of their capsules. 0, or -1 and nothing moved. */
static int
take_pair(PyObject *pair, struct ArrowSchema *schema, struct ArrowArray *array,
          const char *function)
{
    static const char method[] = "__arrow_c_array__";
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        PyErr_Format(PyExc_TypeError,
                     "%s: %s() gave %s instead of a pair of capsules",
                     function, method, Py_TYPE(pair)->tp_name);
        return -1;
    }
    struct ArrowSchema *its_schema = open_capsule_borrow(
        PyTuple_GET_ITEM(pair, 0), ARROW_SCHEMA_CAPSULE, method, function);
    struct ArrowArray *its_array =
        its_schema != NULL
            ? open_capsule_borrow(PyTuple_GET_ITEM(pair, 1),
                                  ARROW_ARRAY_CAPSULE, method, function)
            : NULL;
    if (its_array == NULL) {
        return -1;
    }
    if (its_schema->release == NULL || its_array->release == NULL) {
        return refuse_released(function, "array");
    }
    *schema = *its_schema;
    its_schema->release = NULL;
    *array = *its_array;
    its_array->release = NULL;
    return 0;
}

static int
import_array(arrow_reader *reader, PyObject *pair)
{
    arrow_holder *holder = holder_new();
    if (holder == NULL) {
        return -1;
    }
    struct ArrowSchema schema;
    if (take_pair(pair, &schema, &holder->array, reader->function) < 0) {
        holder_leave(holder);
        return -1;
    }
    int64_t children = schema.n_children;
    int status = reader_open(reader, &schema);
    release_schema(&schema);
    if (status < 0) {
        holder_leave(holder);
        return -1;
    }
    return import_batch_steal(reader, holder, children);
}

/* ------------------------------------------------------------- stream */

static void
release_stream(struct ArrowArrayStream *stream)
{
    PyObject *error = PyErr_GetRaisedException();
    PyThreadState *unlocked = PyEval_SaveThread();
    stream->release(stream);
    PyEval_RestoreThread(unlocked);
    if (error != NULL) {
        PyErr_SetRaisedException(error);
    }
}

/* OSError with the producer's errno and message, or MemoryError; -1 */
static int
raise_producer_error(const arrow_reader *reader,
                     struct ArrowArrayStream *stream, int code)
{
    const char *message =
        stream->get_last_error != NULL ? stream->get_last_error(stream) : NULL;
    PyErr_Clear(); /* whatever a callback in Python left: the code counts */
    if (message == NULL || *message == '\0') {
        message = strerror(code);
    }
    PyObject *text = PyUnicode_FromFormat("%s: %s", reader->function, message);
    PyObject *args = text != NULL && code != ENOMEM
                         ? Py_BuildValue("iO", code, text)
                         : NULL;
    if (args != NULL) {
        PyErr_SetObject(PyExc_OSError, args);
    }
    else if (text != NULL && code == ENOMEM) {
        PyErr_SetObject(PyExc_MemoryError, text);
    }
    Py_XDECREF(text);
    Py_XDECREF(args);
    return -1;
}

/* *children: how many its arrays must have */
static int
read_schema(arrow_reader *reader, struct ArrowArrayStream *stream,
            int64_t *children)
{
    struct ArrowSchema schema = {0};
    PyThreadState *unlocked = PyEval_SaveThread();
    int code = stream->get_schema(stream, &schema);
    PyEval_RestoreThread(unlocked);
    if (code != 0) {
        return raise_producer_error(reader, stream, code);
    }
    if (schema.release == NULL) {
        return refuse_batch(reader, "the stream has no schema");
    }
    *children = schema.n_children;
    int status = reader_open(reader, &schema);
    release_schema(&schema);
    return status;
}

/* 1: a batch more; 0: the end; -1 */
static int
read_batch(arrow_reader *reader, struct ArrowArrayStream *stream,
           int64_t children)
{
    arrow_holder *holder = holder_new();
    if (holder == NULL) {
        return -1;
    }
    PyThreadState *unlocked = PyEval_SaveThread();
    int code = stream->get_next(stream, &holder->array);
    PyEval_RestoreThread(unlocked);
    if (code != 0) {
        holder->array.release = NULL;
        raise_producer_error(reader, stream, code);
        holder_leave(holder);
        return -1;
    }
    if (holder->array.release == NULL) {
        holder_leave(holder);
        return 0;
    }
    return import_batch_steal(reader, holder, children) < 0 ? -1 : 1;
}

static int
import_stream(arrow_reader *reader, PyObject *capsule)
{
    struct ArrowArrayStream *its_stream = open_capsule_borrow(
        capsule, ARROW_STREAM_CAPSULE, "__arrow_c_stream__", reader->function);
    if (its_stream == NULL) {
        return -1;
    }
    if (its_stream->release == NULL) {
        return refuse_released(reader->function, "stream");
    }
    struct ArrowArrayStream stream = *its_stream;
    its_stream->release = NULL;
    int64_t children = 0;
    int status = read_schema(reader, &stream, &children);
    if (status == 0) {
        do {
            status = PyErr_CheckSignals();
            if (status == 0) {
                status = read_batch(reader, &stream, children);
            }
        } while (status > 0);
    }
    release_stream(&stream);
    return status;
}

/* ------------------------------------------------------------- public */

/* 1: *method is new; 0: there is none; -1 */
static int
find_method(PyObject *obj, const char *name, PyObject **method)
{
    *method = NULL;
    PyObject *text = PyUnicode_InternFromString(name);
    if (text == NULL) {
        return -1;
    }
    int found = PyObject_GetOptionalAttr(obj, text, method);
    Py_DECREF(text);
    return found;
}

/* 1: *method is new, *stream tells which; 0: there is none; -1 */
static int
find_producer(PyObject *obj, PyObject **method, bool *stream)
{
    int found = find_method(obj, "__arrow_c_stream__", method);
    *stream = found == 1;
    return found != 0 ? found : find_method(obj, "__arrow_c_array__", method);
}

int
arrow_is_producer(PyObject *obj)
{
    PyObject *method;
    bool stream;
    int found = find_producer(obj, &method, &stream);
    Py_XDECREF(method);
    return found;
}

int
arrow_import(table_object *table, PyObject *obj, const char *function)
{
    PyObject *method;
    bool stream;
    int found = find_producer(obj, &method, &stream);
    if (found <= 0) {
        if (found == 0) {
            PyErr_Format(PyExc_TypeError,
                         "%s: wanted an object with __arrow_c_stream__ or "
                         "__arrow_c_array__, got %s",
                         function, Py_TYPE(obj)->tp_name);
        }
        return -1;
    }
    PyObject *given = PyObject_CallNoArgs(method);
    Py_DECREF(method);
    if (given == NULL) {
        return -1;
    }
    arrow_reader reader = {.table = table, .function = function};
    int status =
        stream ? import_stream(&reader, given) : import_array(&reader, given);
    reader_close(&reader);
    PyObject *error = PyErr_GetRaisedException();
    Py_DECREF(given);
    if (error != NULL) {
        table_forget_chunks(table); /* not later, amid the error */
        PyErr_SetRaisedException(error);
    }
    return status;
}
