/* SPDX-License-Identifier: MIT
 *
 * Many rows at once: RecordTable.extend and from_columns.
 *
 * What runs Python code fills a chunk or a table that nobody else sees; that
 * joins the target at the end, by sharing memory if it is large and by
 * copying into the last chunk if it is small, so that many small extensions
 * do not make many chunks.
 */
#include "record_array.h"
#include "record_columns.h"
#include "record_table.h"

enum { SMALL_ROWS = 1024 };

/* ------------------------------------------------- rows of another table */

int
table_append_cells(table_object *self, const table_chunk *from,
                   Py_ssize_t start, Py_ssize_t count,
                   const table_coding *from_coding, const table_code_map *maps)
{
    static const table_code_map same = {NULL, 0};
    const table_schema *schema = self->schema;
    size_t *texts = PyMem_Calloc((size_t)schema->count, sizeof(*texts));
    if (texts == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].shape == COLUMN_TEXT) {
            texts[i] = table_text_bytes(&from->cells[i], start, count);
        }
    }
    table_chunk *tail = table_tail(self, count, texts);
    PyMem_Free(texts);
    int status = tail != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < schema->count; i++) {
        status = table_cells_append(
            &schema->columns[i], &tail->cells[i], tail->length, tail->room,
            self->coding[i].width, &from->cells[i], start, count,
            from_coding[i].width, maps != NULL ? maps[i] : same);
    }
    if (status == 0) {
        tail->length += count;
        self->length += count;
    }
    return status;
}

static void
maps_free(table_code_map *maps, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; maps != NULL && i < count; i++) {
        PyMem_Free(maps[i].codes);
    }
    PyMem_Free(maps);
}

/* Give our dictionary the values of another; the map only if codes differ. */
static int
map_codes(table_object *self, Py_ssize_t column, const table_dictionary *from,
          table_code_map *map)
{
    table_dictionary *own = self->coding[column].dictionary;
    if (own == from) {
        return table_codes_widen(self, column, PyList_GET_SIZE(own->values));
    }
    Py_ssize_t count = PyList_GET_SIZE(from->values);
    map->codes = PyMem_Malloc(((size_t)count + 1) * sizeof(int32_t));
    map->count = count;
    if (map->codes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    bool same = true;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t code =
            table_dictionary_code(own, PyList_GET_ITEM(from->values, i));
        if (code < 0) {
            return -1;
        }
        map->codes[i] = (int32_t)code;
        same &= code == i;
    }
    if (same) {
        PyMem_Free(map->codes);
        map->codes = NULL;
    }
    return table_codes_widen(self, column, PyList_GET_SIZE(own->values));
}

/* new: maps for all columns; NULL with an exception */
static table_code_map *
maps_new(table_object *self, const table_object *from)
{
    Py_ssize_t count = self->schema->count;
    table_code_map *maps = PyMem_Calloc((size_t)count, sizeof(*maps));
    if (maps == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const table_dictionary *dictionary = from->coding[i].dictionary;
        if (dictionary != NULL
            && map_codes(self, i, dictionary, &maps[i]) < 0) {
            maps_free(maps, count);
            return NULL;
        }
    }
    return maps;
}

/* Codes of a shared chunk in our terms, if they are not already. */
static int
translate(const table_object *self, const table_object *from,
          table_chunk *chunk, const table_code_map *maps)
{
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        uint8_t width = self->coding[i].width, had = from->coding[i].width;
        table_cells *cells = &chunk->cells[i];
        if (width == 0 || (maps[i].codes == NULL && width == had)) {
            continue;
        }
        size_t rows = (size_t)(cells->offset + chunk->length);
        table_buffer *codes = table_buffer_new(rows * width);
        if (codes == NULL) {
            return -1;
        }
        table_codes_copy(codes->data, width, cells->offset,
                         cells->values->data, had, cells->offset,
                         chunk->length, maps[i]);
        table_buffer_drop(cells->values);
        cells->values = codes;
    }
    return 0;
}

static int
share_chunk(table_object *self, const table_object *from,
            const table_chunk *chunk, const table_code_map *maps)
{
    table_chunk shared;
    Py_ssize_t columns = self->schema->count;
    if (table_chunk_share(&shared, chunk, columns, 0, chunk->length) < 0) {
        return -1;
    }
    if (translate(self, from, &shared, maps) < 0) {
        table_chunk_drop(&shared, columns);
        return -1;
    }
    return table_adopt(self, &shared);
}

/* Take rows away again that an extension has added. Nobody has seen them: no
 * Python code has run since. */
static void
cut_back(table_object *self, Py_ssize_t length)
{
    while (self->length > length) {
        table_chunk *last = &self->chunks[self->chunk_count - 1];
        Py_ssize_t keep = length - last->start;
        if (keep > 0) {
            last->length = keep;
            self->length = length;
            return;
        }
        self->length = last->start;
        table_chunk_drop(last, self->schema->count);
        self->chunk_count--;
    }
}

/* `from` is a table that nobody else sees, and shares its memory or has it.
 * Only maps_new may run Python code, when it drops codes of somebody else's.
 */
static int
extend_snapshot(table_object *self, const table_object *from,
                const char *function)
{
    table_code_map *maps = maps_new(self, from);
    if (maps == NULL) {
        return -1;
    }
    Py_ssize_t length = self->length;
    int status = 0;
    if (from->length > PY_SSIZE_T_MAX - length) {
        PyErr_Format(PyExc_OverflowError, "%s: too many rows", function);
        status = -1;
    }
    for (Py_ssize_t k = 0; status == 0 && k < from->chunk_count; k++) {
        const table_chunk *chunk = &from->chunks[k];
        bool small = chunk->length < SMALL_ROWS && length > 0;
        if (chunk->length > 0) {
            status = small ? table_append_cells(self, chunk, 0, chunk->length,
                                                from->coding, maps)
                           : share_chunk(self, from, chunk, maps);
        }
    }
    if (status < 0) {
        cut_back(self, length);
    }
    maps_free(maps, self->schema->count);
    return status;
}

static int
extend_table(table_object *self, table_object *from, const char *function)
{
    if (from->cls != self->cls) {
        PyErr_Format(PyExc_TypeError,
                     "%s wants rows of %U, got a RecordTable of %U", function,
                     self->cls->plan->qualname, from->cls->plan->qualname);
        return -1;
    }
    table_object *rows = (table_object *)table_slice(from, 0, 1, from->length);
    if (rows == NULL) {
        return -1;
    }
    PyObject_GC_UnTrack(rows);
    int status = extend_snapshot(self, rows, function);
    Py_DECREF(rows);
    return status;
}

/* -------------------------------------------------------------- columns */

/* Values of one column into a chunk that nobody sees. Codes are written as
 * int32 whatever the table's width, and narrowed when no code runs any more.
 */
typedef struct {
    const table_column *column;
    table_cells *cells;
    table_dictionary *dictionary; /* of the table, if coded */
    Py_ssize_t room;
    size_t used; /* bytes of text */
} column_fill;

static int
fill_value(column_fill *fill, Py_ssize_t row, table_value *value,
           PyObject *qualname)
{
    const table_column *column = fill->column;
    if (value->null && table_validity_make(fill->cells, row, fill->room) < 0) {
        return -1;
    }
    if (column->shape == COLUMN_CODED && !value->null) {
        Py_ssize_t code =
            table_dictionary_code(fill->dictionary, value->owned);
        if (code < 0) {
            return -1;
        }
        value->code = (int32_t)code;
    }
    if (column->shape == COLUMN_TEXT && value->size > 0) {
        if ((size_t)value->size > TABLE_TEXT_MAX - fill->used) {
            PyErr_Format(PyExc_OverflowError,
                         "%U.%U: more than 2**31 - 1 bytes of text at once",
                         qualname, column->value.name);
            return -1;
        }
        if (table_text_reserve(fill->cells, fill->used, (size_t)value->size)
            < 0) {
            return -1;
        }
        fill->used += (size_t)value->size;
    }
    table_cells_put(column, fill->cells, row, sizeof(int32_t), value);
    return 0;
}

static int
fill_any(column_fill *fill, const column_source *source, PyObject *qualname,
         const char *function)
{
    for (Py_ssize_t row = 0; row < source->count; row++) {
        PyObject *object = columns_value(source, row, function);
        table_value value = {.null = false};
        int status =
            object != NULL
                    && table_convert(fill->column, qualname, object, &value)
                           == 0
                ? fill_value(fill, row, &value, qualname)
                : -1;
        Py_XDECREF(object);
        Py_XDECREF(value.owned);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* Numbers that need no more than storing. */
static int
fill_numbers(column_fill *fill, const column_source *source,
             PyObject *qualname, const char *function)
{
    const table_column *column = fill->column;
    char *to = (char *)fill->cells->values->data;
    for (Py_ssize_t row = 0; row < source->count; row++) {
        PyObject *value = columns_value(source, row, function);
        int status = value != NULL
                         ? records_store(qualname, &column->value, to, value)
                         : -1;
        Py_XDECREF(value);
        if (status < 0) {
            return -1;
        }
        to += column->width;
    }
    return 0;
}

/* Codes of texts that are mostly the same few objects: those that the
 * dictionary itself holds, and so keeps alive, are found by their address.
 */
static int
fill_codes(column_fill *fill, const column_source *source, PyObject *qualname,
           const char *function)
{
    enum { RECENT = 64 };
    struct {
        PyObject *text; /* borrowed from the dictionary */
        int32_t code;
    } recent[RECENT] = {{NULL, 0}};
    uint8_t *codes = fill->cells->values->data;
    for (Py_ssize_t row = 0; row < source->count; row++) {
        PyObject *text = columns_value(source, row, function);
        if (text == NULL) {
            return -1;
        }
        size_t slot = (uintptr_t)text / 16 % RECENT;
        int32_t code = recent[slot].code;
        if (recent[slot].text != text) {
            table_value value = {.null = false};
            int status = table_convert(fill->column, qualname, text, &value);
            Py_ssize_t found =
                status == 0
                    ? table_dictionary_code(fill->dictionary, value.owned)
                    : -1;
            Py_XDECREF(value.owned);
            if (found < 0) {
                Py_DECREF(text);
                return -1;
            }
            code = (int32_t)found;
            if (PyList_GET_ITEM(fill->dictionary->values, found) == text) {
                recent[slot].text = text;
                recent[slot].code = code;
            }
        }
        Py_DECREF(text);
        memcpy(codes + 4 * row, &code, 4);
    }
    return 0;
}

static void
fill_view(column_fill *fill, const column_source *source)
{
    const table_column *column = fill->column;
    char *to = (char *)fill->cells->values->data;
    if (column->shape == COLUMN_BITS) {
        for (Py_ssize_t row = 0; row < source->count; row++) {
            table_value value = {.bytes = {*columns_at(source, row) != 0}};
            table_cells_put(column, fill->cells, row, 0, &value);
        }
    }
    else if (source->view.strides[0] == (Py_ssize_t)column->width) {
        memcpy(to, source->view.buf, (size_t)source->count * column->width);
    }
    else {
        for (Py_ssize_t row = 0; row < source->count; row++) {
            memcpy(to, columns_at(source, row), column->width);
            to += column->width;
        }
    }
}

/* Texts padded with NUL, as in an array or a NumPy 'S' column. */
static int
fill_padded(column_fill *fill, const column_source *source, PyObject *qualname,
            const char *function)
{
    bool coded = fill->column->shape == COLUMN_CODED;
    for (Py_ssize_t row = 0; row < source->count; row++) {
        table_value value = {.text = columns_at(source, row)};
        value.size = fe_text_length(value.text, (uint32_t)source->size);
        if (coded || !fe_text_is_ascii(value.text, value.size)) {
            value.owned = PyUnicode_DecodeUTF8(value.text, value.size, NULL);
            if (value.owned == NULL) {
                return records_refuse_text(qualname, &fill->column->value, row,
                                           function);
            }
        }
        int status = fill_value(fill, row, &value, qualname);
        Py_XDECREF(value.owned);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

static int
fill_column(column_fill *fill, const column_source *source, PyObject *qualname,
            const char *function)
{
    const table_column *column = fill->column;
    if (source->view.obj != NULL
        && (column->shape == COLUMN_TEXT || column->shape == COLUMN_CODED)) {
        return fill_padded(fill, source, qualname, function);
    }
    if (source->view.obj != NULL) {
        fill_view(fill, source);
        return 0;
    }
    if (column->shape == COLUMN_CODED && !column->nullable) {
        return fill_codes(fill, source, qualname, function);
    }
    bool plain = column->shape == COLUMN_FIXED && !column->nullable
                 && column->value.kind != FE_BYTES;
    return plain ? fill_numbers(fill, source, qualname, function)
                 : fill_any(fill, source, qualname, function);
}

/* Codes of the finished chunk as wide as the table has them. Widening those of
 * the table may run Python code, which may widen more: so that comes first.
 */
static int
narrow_codes(table_object *self, table_chunk *chunk)
{
    static const table_code_map same = {NULL, 0};
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        const table_dictionary *dictionary = self->coding[i].dictionary;
        if (dictionary != NULL
            && table_codes_widen(self, i, PyList_GET_SIZE(dictionary->values))
                   < 0) {
            return -1;
        }
    }
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        uint8_t width = self->coding[i].width;
        table_cells *cells = &chunk->cells[i];
        if (self->coding[i].dictionary == NULL) {
            continue;
        }
        table_buffer *codes = table_buffer_new((size_t)chunk->room * width);
        if (codes == NULL) {
            return -1;
        }
        table_codes_copy(codes->data, width, 0, cells->values->data,
                         sizeof(int32_t), 0, chunk->length, same);
        table_buffer_drop(cells->values);
        cells->values = codes;
    }
    return 0;
}

/* A chunk for columns, codes int32 wide. */
static int
wide_chunk(const table_object *self, table_chunk *chunk, Py_ssize_t rows)
{
    if (table_chunk_init(chunk, self, rows) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        table_cells *cells = &chunk->cells[i];
        if (self->coding[i].dictionary == NULL) {
            continue;
        }
        table_buffer_drop(cells->values);
        cells->values = table_buffer_new((size_t)rows * sizeof(int32_t));
        if (cells->values == NULL) {
            table_chunk_drop(chunk, self->schema->count);
            return -1;
        }
    }
    return 0;
}

static int
take_chunk(table_object *self, table_chunk *chunk)
{
    if (chunk->length >= SMALL_ROWS || self->length == 0) {
        return table_adopt(self, chunk);
    }
    int status =
        table_append_cells(self, chunk, 0, chunk->length, self->coding, NULL);
    table_chunk_drop(chunk, self->schema->count);
    return status;
}

static int
fill_chunk(table_object *self, const column_source *sources, Py_ssize_t rows,
           const char *function)
{
    const table_schema *schema = self->schema;
    PyObject *qualname = self->cls->plan->qualname;
    table_chunk chunk;
    if (wide_chunk(self, &chunk, rows) < 0) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < schema->count; i++) {
        column_fill fill = {.column = &schema->columns[i],
                            .cells = &chunk.cells[i],
                            .dictionary = self->coding[i].dictionary,
                            .room = rows};
        status = fill_column(&fill, &sources[i], qualname, function);
    }
    chunk.length = rows;
    if (status < 0 || narrow_codes(self, &chunk) < 0) {
        table_chunk_drop(&chunk, schema->count);
        return -1;
    }
    return take_chunk(self, &chunk);
}

int
table_extend_columns(table_object *self, PyObject *mapping,
                     const char *function)
{
    const table_schema *schema = self->schema;
    int columns = columns_are(mapping);
    if (columns <= 0) {
        if (columns < 0) {
            return -1;
        }
        records_refuse_given(self->cls->plan, function,
                             "a mapping of field names to columns", NULL,
                             mapping);
        return -1;
    }
    column_source *sources =
        PyMem_Calloc((size_t)schema->count, sizeof(*sources));
    record_field *fields =
        PyMem_Calloc((size_t)schema->count, sizeof(*fields));
    int status = -1;
    if (sources == NULL || fields == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        const table_column *column = &schema->columns[i];
        fields[i] = column->value;
        bool text =
            column->shape == COLUMN_TEXT || column->shape == COLUMN_CODED;
        if (text && column->field->kind != FE_STR) {
            fields[i].kind = FE_OBJECT; /* one by one */
        }
        sources[i].field = &fields[i];
    }
    Py_ssize_t rows;
    status = columns_open(mapping, sources, schema->count,
                          self->cls->plan->qualname, &rows, function);
    if (status == 0 && rows > 0) {
        status = fill_chunk(self, sources, rows, function);
    }
    columns_close(sources, schema->count);
done:
    PyMem_Free(sources);
    PyMem_Free(fields);
    return status;
}

/* ----------------------------------------------------------------- rows */

static int
extend_iterable(table_object *staged, PyObject *rows, const char *function)
{
    PyObject *iterator = PyObject_GetIter(rows);
    if (iterator == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)
            && Py_TYPE(rows)->tp_iter == NULL && !PySequence_Check(rows)) {
            PyErr_Clear(); /* TypeError, not iterable: ours says more */
            records_refuse_given(staged->cls->plan, function, "rows of ",
                                 " or columns", rows);
        }
        return -1;
    }
    PyObject *row;
    int status = 0;
    while (status == 0 && (row = PyIter_Next(iterator)) != NULL) {
        status = table_append(staged, row, function);
        Py_DECREF(row);
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

/* Rows in somebody else's memory, such as a structured array of NumPy. */
static int
extend_buffer(table_object *staged, PyObject *buffer, const char *function)
{
    array_object *rows =
        array_new(staged->cls->state, (PyObject *)staged->cls, function);
    int status = rows != NULL && array_extend(rows, buffer, function) == 0
                     ? table_extend_array(staged, (PyObject *)rows, function)
                     : -1;
    Py_XDECREF(rows);
    return status;
}

static int
stage(table_object *staged, PyObject *rows, const char *function)
{
    if (PyList_CheckExact(rows) || PyTuple_CheckExact(rows)) {
        return extend_iterable(staged, rows, function);
    }
    int arrow = PyDict_Check(rows) ? 0 : arrow_is_producer(rows);
    if (arrow != 0) {
        return arrow < 0 ? -1 : arrow_import(staged, rows, function);
    }
    int columns = columns_are(rows);
    if (columns != 0) {
        return columns < 0 ? -1 : table_extend_columns(staged, rows, function);
    }
    return PyObject_CheckBuffer(rows)
               ? extend_buffer(staged, rows, function)
               : extend_iterable(staged, rows, function);
}

/* The checked fields of rows that came as columns or bytes, in a table that
 * nobody else sees yet.
 */
int
table_check_rows(table_object *staged)
{
    const record_plan *plan = staged->cls->plan;
    for (Py_ssize_t i = 0; plan->checks != NULL && i < staged->schema->count;
         i++) {
        for (Py_ssize_t row = 0;
             plan->checks[i].how != NULL && row < staged->length; row++) {
            const table_chunk *chunk =
                &staged->chunks[table_find_chunk(staged, row)];
            PyObject *value = table_cell_load(
                &staged->schema->columns[i], &staged->coding[i],
                &chunk->cells[i], row - chunk->start);
            int status =
                value != NULL ? records_check_cell(plan, i, value) : -1;
            Py_XDECREF(value);
            if (status < 0) {
                return -1;
            }
        }
    }
    return 0;
}

int
table_extend(table_object *self, PyObject *rows, const char *function)
{
    records_state *state = self->cls->state;
    if (Py_IS_TYPE(rows, state->array_type)) {
        return table_extend_array(self, rows, function);
    }
    table_object *from;
    if (Py_IS_TYPE(rows, state->table_type)) {
        from = (table_object *)Py_NewRef(rows);
    }
    else {
        from = table_new(state, (PyObject *)self->cls, function);
        if (from != NULL) { /* gc.get_objects() does not give it either */
            PyObject_GC_UnTrack(from);
        }
        if (from != NULL
            && (stage(from, rows, function) < 0
                || table_check_rows(from) < 0)) {
            Py_CLEAR(from);
        }
    }
    int status = from != NULL ? extend_table(self, from, function) : -1;
    Py_XDECREF(from);
    return status;
}
