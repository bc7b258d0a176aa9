/* SPDX-License-Identifier: MIT
 *
 * Export of a table, or of one column, through the Arrow C data interface.
 *
 * A source is what was there at the time of the call. Exported structs of one
 * tree share one block of memory, which each of them holds: a consumer may
 * move children out, and release them after their parent. Nothing below the
 * source's making touches an object or raises: callbacks run without the
 * interpreter lock, on any thread, after the interpreter too.
 */
#include "arrow.h"

#include <errno.h>

/* The one offset, or no bytes at all, of arrays without rows. */
static const _Alignas(TABLE_ALIGNMENT) uint8_t nothing[TABLE_ALIGNMENT];

/* ------------------------------------------------------------- source */

static table_cells *
source_cells(const arrow_source *source, Py_ssize_t chunk)
{
    return source->cells + chunk * source->columns;
}

static void
source_drop(arrow_source *source)
{
    for (Py_ssize_t i = source->next * source->columns;
         i < source->chunks * source->columns; i++) {
        table_buffer_drop(source->cells[i].validity);
        table_buffer_drop(source->cells[i].values);
        table_buffer_drop(source->cells[i].text);
    }
    for (Py_ssize_t i = 0; i < source->columns; i++) {
        table_buffer_drop(source->words[i].offsets);
        table_buffer_drop(source->words[i].text);
    }
    PyMem_RawFree(source);
}

/* Bytes that the names take, once their UTF-8 and that of the dictionaries is
 * there; -1 with an exception. From here on nothing can run Python code. */
static Py_ssize_t
prepare_columns(const table_object *table, Py_ssize_t first, Py_ssize_t count)
{
    Py_ssize_t bytes = 0;
    for (Py_ssize_t i = first; i < first + count; i++) {
        Py_ssize_t size;
        if (PyUnicode_AsUTF8AndSize(table->schema->columns[i].field->name,
                                    &size)
            == NULL) {
            return -1;
        }
        bytes += size + 1;
        table_dictionary *dictionary = table->coding[i].dictionary;
        if (dictionary != NULL && table_dictionary_write(dictionary) < 0) {
            return -1;
        }
    }
    return bytes;
}

/* new: a source without contents; PyMem_Raw. All its parts in one block:
 * source, words, cells, fields, lengths, names. */
static arrow_source *
source_alloc(Py_ssize_t columns, Py_ssize_t chunks, Py_ssize_t name_bytes)
{
    size_t width = (size_t)columns, height = (size_t)chunks;
    size_t per_chunk = sizeof(int64_t) + width * sizeof(table_cells);
    size_t fixed = sizeof(arrow_source) + (size_t)name_bytes
                   + width * (sizeof(arrow_field) + sizeof(arrow_words));
    arrow_source *source = height <= (PY_SSIZE_T_MAX - fixed) / per_chunk
                               ? PyMem_RawCalloc(1, fixed + height * per_chunk)
                               : NULL;
    if (source == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    source->columns = columns;
    source->chunks = chunks;
    source->lengths = (int64_t *)(source + 1);
    source->words = (arrow_words *)(source->lengths + height);
    source->cells = (table_cells *)(source->words + width);
    source->fields = (arrow_field *)(source->cells + width * height);
    return source;
}

static void
source_fill_fields(arrow_source *source, const table_object *table,
                   Py_ssize_t first)
{
    char *name = (char *)(source->fields + source->columns);
    for (Py_ssize_t i = 0; i < source->columns; i++) {
        const table_column *column = &table->schema->columns[first + i];
        const table_coding *coding = &table->coding[first + i];
        arrow_field *field = &source->fields[i];
        Py_ssize_t size;
        const char *utf8 = PyUnicode_AsUTF8AndSize(column->field->name, &size);
        memcpy(name, utf8, (size_t)size + 1);
        field->name = name;
        field->type = arrow_type_of_column(column, coding);
        field->nullable = column->nullable;
        name += size + 1;
        if (coding->dictionary != NULL) {
            table_dictionary *dictionary = coding->dictionary;
            source->words[i] = (arrow_words){
                .offsets = table_buffer_hold(dictionary->offsets),
                .text = table_buffer_hold(dictionary->text),
                .count = dictionary->written,
            };
        }
    }
}

typedef enum { NO_CHUNKS, ALL_CHUNKS, ONE_CHUNK } source_extent;

/* Chunks that have rows. */
static void
source_fill_chunks(arrow_source *source, const table_object *table,
                   Py_ssize_t first, source_extent extent)
{
    Py_ssize_t filled = 0;
    for (Py_ssize_t k = 0; k < table->chunk_count; k++) {
        const table_chunk *chunk = &table->chunks[k];
        if (chunk->length == 0) {
            continue;
        }
        source->lengths[filled] = chunk->length;
        table_cells *to = source_cells(source, filled++);
        for (Py_ssize_t i = 0; i < source->columns; i++) {
            const table_cells *from = &chunk->cells[first + i];
            to[i] = (table_cells){
                .validity = table_buffer_hold(from->validity),
                .values = table_buffer_hold(from->values),
                .text = table_buffer_hold(from->text),
                .offset = from->offset,
            };
        }
    }
    if (extent == ALL_CHUNKS) {
        source->chunks = filled; /* the last may have been empty */
    }
}

/* new: of a table of which no code sees or changes the chunks meanwhile */
static arrow_source *
source_of(const table_object *table, Py_ssize_t index, source_extent extent)
{
    bool rows = index < 0;
    Py_ssize_t first = rows ? 0 : index;
    Py_ssize_t count = rows ? table->schema->count : 1;
    Py_ssize_t name_bytes = prepare_columns(table, first, count);
    if (name_bytes < 0) {
        return NULL;
    }
    Py_ssize_t chunks = extent == NO_CHUNKS   ? 0
                        : extent == ONE_CHUNK ? 1
                                              : table->chunk_count;
    arrow_source *source = source_alloc(count, chunks, name_bytes);
    if (source == NULL) {
        return NULL;
    }
    source->rows = rows;
    source_fill_fields(source, table, first);
    if (extent != NO_CHUNKS) {
        source_fill_chunks(source, table, first, extent);
    }
    return source;
}

/* new: the table, or its column `index` if that is not negative. ONE_CHUNK:
 * the table is joined, and if empty has one chunk without rows. */
static arrow_source *
source_new(table_object *table, Py_ssize_t index, source_extent extent)
{
    if (extent != ONE_CHUNK) {
        return source_of(table, index, extent);
    }
    table_object *joined = table_joined(table);
    arrow_source *source =
        joined != NULL ? source_of(joined, index, extent) : NULL;
    Py_XDECREF((PyObject *)joined);
    return source;
}

/* ------------------------------------------------------------- schema */

typedef struct {
    struct ArrowSchema schema;
    char format[ARROW_FORMAT_MAX];
} schema_node;

typedef struct {
    atomic_size_t holders; /* structs that were not released */
    schema_node nodes[];   /* then pointers to children, then names */
} schema_block;

static void
schema_release(struct ArrowSchema *schema)
{
    schema_block *block = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release != NULL) {
            schema->children[i]->release(schema->children[i]);
        }
    }
    if (schema->dictionary != NULL && schema->dictionary->release != NULL) {
        schema->dictionary->release(schema->dictionary);
    }
    schema->release = NULL;
    if (atomic_fetch_sub_explicit(&block->holders, 1, memory_order_acq_rel)
        == 1) {
        PyMem_RawFree(block);
    }
}

static struct ArrowSchema *
schema_node_init(schema_block *block, schema_node *node, const char *name)
{
    node->schema = (struct ArrowSchema){
        .format = node->format,
        .name = name,
        .release = schema_release,
        .private_data = block,
    };
    atomic_fetch_add_explicit(&block->holders, 1, memory_order_relaxed);
    return &node->schema;
}

/* Fill *node, and the one after it if there is a dictionary; the next. */
static schema_node *
schema_fill(schema_block *block, schema_node *node, const arrow_field *field,
            char **names)
{
    size_t size = strlen(field->name) + 1;
    memcpy(*names, field->name, size);
    struct ArrowSchema *schema = schema_node_init(block, node, *names);
    *names += size;
    schema->flags = field->nullable ? ARROW_FLAG_NULLABLE : 0;
    if (field->type.index == ARROW_PLAIN) {
        arrow_type_format(field->type, node->format);
        return node + 1;
    }
    strcpy(node->format, arrow_kind_format(field->type.index));
    schema_node *values = node + 1;
    schema->dictionary = schema_node_init(block, values, "");
    arrow_type_format(field->type, values->format);
    return node + 2;
}

static size_t
source_nodes(const arrow_source *source)
{
    size_t count = source->rows ? 1 : 0;
    for (Py_ssize_t i = 0; i < source->columns; i++) {
        count += source->fields[i].type.index == ARROW_PLAIN ? 1 : 2;
    }
    return count;
}

/* 0, or -1: out of memory, nothing raised */
static int
schema_export(const arrow_source *source, struct ArrowSchema *out)
{
    size_t name_bytes = 0, columns = (size_t)source->columns;
    for (size_t i = 0; i < columns; i++) {
        name_bytes += strlen(source->fields[i].name) + 1;
    }
    size_t nodes = source_nodes(source);
    schema_block *block =
        PyMem_RawMalloc(sizeof(schema_block) + nodes * sizeof(schema_node)
                        + columns * sizeof(struct ArrowSchema *) + name_bytes);
    if (block == NULL) {
        return -1;
    }
    atomic_init(&block->holders, 0);
    struct ArrowSchema **children = (void *)(block->nodes + nodes);
    char *names = (char *)(children + columns);
    schema_node *node = block->nodes;
    if (source->rows) {
        struct ArrowSchema *root = schema_node_init(block, node, "");
        strcpy(node->format, "+s");
        root->n_children = source->columns;
        root->children = children;
        node++;
    }
    for (size_t i = 0; i < columns; i++) {
        children[i] = &node->schema;
        node = schema_fill(block, node, &source->fields[i], &names);
    }
    *out = block->nodes[0].schema;
    return 0;
}

/* -------------------------------------------------------------- array */

typedef struct array_block array_block;

typedef struct {
    struct ArrowArray array;
    array_block *block;
    table_buffer *held[3]; /* owned */
    const void *buffers[3];
} array_node;

struct array_block {
    atomic_size_t holders; /* structs that were not released */
    array_node nodes[];    /* then pointers to children */
};

static void
array_release(struct ArrowArray *array)
{
    array_node *node = array->private_data;
    array_block *block = node->block;
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release != NULL) {
            array->children[i]->release(array->children[i]);
        }
    }
    if (array->dictionary != NULL && array->dictionary->release != NULL) {
        array->dictionary->release(array->dictionary);
    }
    for (int i = 0; i < 3; i++) {
        table_buffer_drop(node->held[i]);
    }
    array->release = NULL;
    if (atomic_fetch_sub_explicit(&block->holders, 1, memory_order_acq_rel)
        == 1) {
        PyMem_RawFree(block);
    }
}

static struct ArrowArray *
array_node_init(array_block *block, array_node *node, int64_t length)
{
    memset(node, 0, sizeof(*node));
    node->block = block;
    node->array.length = length;
    node->array.buffers = node->buffers;
    node->array.release = array_release;
    node->array.private_data = node;
    atomic_fetch_add_explicit(&block->holders, 1, memory_order_relaxed);
    return &node->array;
}

/* Give the node a buffer; the reference is stolen. */
static void
array_node_put_steal(array_node *node, table_buffer *buffer)
{
    int64_t i = node->array.n_buffers++;
    node->held[i] = buffer;
    node->buffers[i] = buffer != NULL ? buffer->data : nothing;
}

static void
array_node_put_validity_steal(array_node *node, table_buffer *validity)
{
    array_node_put_steal(node, validity);
    if (validity == NULL) {
        node->buffers[0] = NULL;
    }
    node->array.null_count = validity != NULL ? -1 : 0;
}

/* Fill *node, and the one after it if there is a dictionary, with the cells,
 * whose references are taken over; the next. */
static array_node *
array_fill(array_block *block, array_node *node, const arrow_field *field,
           const arrow_words *words, table_cells *cells, int64_t length)
{
    struct ArrowArray *array = array_node_init(block, node, length);
    array->offset = cells->offset;
    array_node_put_validity_steal(node, cells->validity);
    array_node_put_steal(node, cells->values);
    if (field->type.index == ARROW_PLAIN) {
        if (field->type.shape == ARROW_TEXT32
            || field->type.shape == ARROW_TEXT64) {
            array_node_put_steal(node, cells->text);
        }
        return node + 1;
    }
    array_node *values = node + 1;
    array->dictionary = array_node_init(block, values, words->count);
    array_node_put_validity_steal(values, NULL);
    array_node_put_steal(values, table_buffer_hold(words->offsets));
    array_node_put_steal(values, table_buffer_hold(words->text));
    return node + 2;
}

/* Hand out the next chunk. 0, or -1: out of memory, nothing raised */
static int
array_export(arrow_source *source, struct ArrowArray *out)
{
    size_t nodes = source_nodes(source), columns = (size_t)source->columns;
    array_block *block =
        PyMem_RawMalloc(sizeof(array_block) + nodes * sizeof(array_node)
                        + columns * sizeof(struct ArrowArray *));
    if (block == NULL) {
        return -1;
    }
    atomic_init(&block->holders, 0);
    struct ArrowArray **children = (void *)(block->nodes + nodes);
    array_node *node = block->nodes;
    int64_t length = source->lengths[source->next];
    if (source->rows) {
        struct ArrowArray *root = array_node_init(block, node, length);
        array_node_put_validity_steal(node, NULL);
        root->n_children = source->columns;
        root->children = children;
        node++;
    }
    table_cells *cells = source_cells(source, source->next);
    for (size_t i = 0; i < columns; i++) {
        children[i] = &node->array;
        node = array_fill(block, node, &source->fields[i], &source->words[i],
                          &cells[i], length);
    }
    source->next++;
    *out = block->nodes[0].array;
    return 0;
}

/* ------------------------------------------------------------- stream */

static int
stream_get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    return schema_export(stream->private_data, out) < 0 ? ENOMEM : 0;
}

static int
stream_get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    arrow_source *source = stream->private_data;
    if (source->next == source->chunks) {
        memset(out, 0, sizeof(*out));
        return 0;
    }
    return array_export(source, out) < 0 ? ENOMEM : 0;
}

/* There is nothing to say beyond ENOMEM. */
static const char *
stream_get_last_error(struct ArrowArrayStream *Py_UNUSED(stream))
{
    return NULL;
}

static void
stream_release(struct ArrowArrayStream *stream)
{
    source_drop(stream->private_data);
    stream->private_data = NULL;
    stream->release = NULL;
}

/* ----------------------------------------------------------- capsules */

/* The buffers of an array may be others', who may run Python code: an
 * exception is put aside meanwhile. */

static void
schema_capsule_free(PyObject *capsule)
{
    struct ArrowSchema *schema =
        PyCapsule_GetPointer(capsule, ARROW_SCHEMA_CAPSULE);
    if (schema->release != NULL) {
        schema->release(schema);
    }
    PyMem_RawFree(schema);
}

static void
array_capsule_free(PyObject *capsule)
{
    struct ArrowArray *array =
        PyCapsule_GetPointer(capsule, ARROW_ARRAY_CAPSULE);
    PyObject *error = PyErr_GetRaisedException();
    if (array->release != NULL) {
        array->release(array);
    }
    PyMem_RawFree(array);
    if (error != NULL) {
        PyErr_SetRaisedException(error);
    }
}

static void
stream_capsule_free(PyObject *capsule)
{
    struct ArrowArrayStream *stream =
        PyCapsule_GetPointer(capsule, ARROW_STREAM_CAPSULE);
    PyObject *error = PyErr_GetRaisedException();
    if (stream->release != NULL) {
        stream->release(stream);
    }
    PyMem_RawFree(stream);
    if (error != NULL) {
        PyErr_SetRaisedException(error);
    }
}

static PyObject *
schema_capsule(const arrow_source *source)
{
    struct ArrowSchema *schema = PyMem_RawMalloc(sizeof(*schema));
    if (schema == NULL || schema_export(source, schema) < 0) {
        PyMem_RawFree(schema);
        return PyErr_NoMemory();
    }
    PyObject *capsule =
        PyCapsule_New(schema, ARROW_SCHEMA_CAPSULE, schema_capsule_free);
    if (capsule == NULL) {
        schema->release(schema);
        PyMem_RawFree(schema);
    }
    return capsule;
}

static PyObject *
array_capsule(arrow_source *source)
{
    struct ArrowArray *array = PyMem_RawMalloc(sizeof(*array));
    if (array == NULL || array_export(source, array) < 0) {
        PyMem_RawFree(array);
        return PyErr_NoMemory();
    }
    PyObject *capsule =
        PyCapsule_New(array, ARROW_ARRAY_CAPSULE, array_capsule_free);
    if (capsule == NULL) {
        array->release(array);
        PyMem_RawFree(array);
    }
    return capsule;
}

/* The source is stolen. */
static PyObject *
stream_capsule_steal(arrow_source *source)
{
    struct ArrowArrayStream *stream = PyMem_RawMalloc(sizeof(*stream));
    if (stream == NULL) {
        source_drop(source);
        return PyErr_NoMemory();
    }
    *stream = (struct ArrowArrayStream){
        .get_schema = stream_get_schema,
        .get_next = stream_get_next,
        .get_last_error = stream_get_last_error,
        .release = stream_release,
        .private_data = source,
    };
    PyObject *capsule =
        PyCapsule_New(stream, ARROW_STREAM_CAPSULE, stream_capsule_free);
    if (capsule == NULL) {
        stream->release(stream);
        PyMem_RawFree(stream);
    }
    return capsule;
}

/* ------------------------------------------------------------ methods */

static PyObject *
export_schema(table_object *table, Py_ssize_t index)
{
    arrow_source *source = source_new(table, index, NO_CHUNKS);
    if (source == NULL) {
        return NULL;
    }
    PyObject *capsule = schema_capsule(source);
    source_drop(source);
    return capsule;
}

/* new: the source as `requested` wants it, a schema capsule, None or NULL */
static arrow_source *
requested_source(table_object *table, Py_ssize_t index, source_extent extent,
                 PyObject *requested, const char *function)
{
    arrow_source *source = source_new(table, index, extent);
    if (source == NULL || requested == NULL || requested == Py_None) {
        return source;
    }
    const table_column *columns =
        table->schema->columns + (index < 0 ? 0 : index);
    if (arrow_request(source, columns, requested, function) < 0) {
        source_drop(source);
        return NULL;
    }
    return source;
}

static PyObject *
export_array(table_object *table, Py_ssize_t index, PyObject *requested,
             const char *function)
{
    arrow_source *source =
        requested_source(table, index, ONE_CHUNK, requested, function);
    if (source == NULL) {
        return NULL;
    }
    PyObject *schema = schema_capsule(source);
    PyObject *array = schema != NULL ? array_capsule(source) : NULL;
    PyObject *pair = array != NULL ? PyTuple_Pack(2, schema, array) : NULL;
    Py_XDECREF(schema);
    Py_XDECREF(array);
    source_drop(source);
    return pair;
}

static PyObject *
export_stream(table_object *table, Py_ssize_t index, PyObject *requested,
              const char *function)
{
    arrow_source *source =
        requested_source(table, index, ALL_CHUNKS, requested, function);
    return source != NULL ? stream_capsule_steal(source) : NULL;
}

static const char *const export_names[] = {"requested_schema", NULL};

PyObject *
arrow_table_schema(PyObject *table, PyObject *Py_UNUSED(ignored))
{
    return export_schema((table_object *)table, -1);
}

PyObject *
arrow_table_array(PyObject *table, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *kwnames)
{
    static const fe_sig sig = {"RecordTable.__arrow_c_array__", export_names,
                               1, 0};
    PyObject *requested;
    if (fe_args_unpack(&sig, args, nargs, kwnames, &requested) < 0) {
        return NULL;
    }
    return export_array((table_object *)table, -1, requested, sig.function);
}

PyObject *
arrow_table_stream(PyObject *table, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    static const fe_sig sig = {"RecordTable.__arrow_c_stream__", export_names,
                               1, 0};
    PyObject *requested;
    if (fe_args_unpack(&sig, args, nargs, kwnames, &requested) < 0) {
        return NULL;
    }
    return export_stream((table_object *)table, -1, requested, sig.function);
}

PyObject *
arrow_column_schema(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    column_object *column = (column_object *)self;
    return export_schema(column->table, column->index);
}

PyObject *
arrow_column_array(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    static const fe_sig sig = {"Column.__arrow_c_array__", export_names, 1, 0};
    column_object *column = (column_object *)self;
    PyObject *requested;
    if (fe_args_unpack(&sig, args, nargs, kwnames, &requested) < 0) {
        return NULL;
    }
    return export_array(column->table, column->index, requested, sig.function);
}

PyObject *
arrow_column_stream(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    static const fe_sig sig = {"Column.__arrow_c_stream__", export_names, 1,
                               0};
    column_object *column = (column_object *)self;
    PyObject *requested;
    if (fe_args_unpack(&sig, args, nargs, kwnames, &requested) < 0) {
        return NULL;
    }
    return export_stream(column->table, column->index, requested,
                         sig.function);
}
