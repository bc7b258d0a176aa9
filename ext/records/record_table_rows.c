/* SPDX-License-Identifier: MIT
 *
 * Rows to columns and back, at the speed of memory: a block of rows that fits
 * the cache is read once for all columns. The loops run without the
 * interpreter lock; the rows' memory is held still meanwhile, and the columns'
 * side is either immutable or not yet seen by anyone.
 */
#include "record_array.h"
#include "record_columns.h"
#include "record_table.h"

/* Below this many rows the lock is kept. */
enum { BLOCK_ROWS = 1024, UNLOCK_ROWS = 4096 };

/* ------------------------------------------------------- rows to columns */

/* One field of `count` rows into cells side by side. */
static void
gather(const char *from, Py_ssize_t stride, char *to, uint32_t width,
       Py_ssize_t count)
{
    switch (width) {
    case 1:
        for (Py_ssize_t i = 0; i < count; i++, from += stride) {
            to[i] = *from;
        }
        break;
    case 2:
        for (Py_ssize_t i = 0; i < count; i++, from += stride) {
            memcpy(to + 2 * i, from, 2);
        }
        break;
    case 4:
        for (Py_ssize_t i = 0; i < count; i++, from += stride) {
            memcpy(to + 4 * i, from, 4);
        }
        break;
    case 8:
        for (Py_ssize_t i = 0; i < count; i++, from += stride) {
            memcpy(to + 8 * i, from, 8);
        }
        break;
    default:
        for (Py_ssize_t i = 0; i < count; i++, from += stride) {
            memcpy(to + (size_t)i * width, from, width);
        }
    }
}

static void
gather_bits(const char *from, Py_ssize_t stride, uint8_t *bits, Py_ssize_t at,
            Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++, from += stride) {
        bits[(at + i) >> 3] |= (uint8_t)((*from != 0) << ((at + i) & 7));
    }
}

/* Length of eight bytes of text without its padding. */
static inline uint32_t
length_of_8(uint64_t text)
{
#if PY_LITTLE_ENDIAN
    return text != 0 ? 8 - (uint32_t)__builtin_clzll(text) / 8 : 0;
#else
    return text != 0 ? 8 - (uint32_t)__builtin_ctzll(text) / 8 : 0;
#endif
}

/* Texts of eight bytes: each is stored whole, the next one over what was its
 * padding. The bits of all of them.
 */
static uint64_t
gather_texts_8(const char *from, Py_ssize_t stride, uint32_t *offsets,
               uint8_t *text, Py_ssize_t count)
{
    size_t used = offsets[0];
    uint64_t seen = 0;
    for (Py_ssize_t i = 0; i < count; i++, from += stride) {
        uint64_t whole = FE_READ(uint64_t, from);
        memcpy(text + used, &whole, 8);
        used += length_of_8(whole);
        offsets[i + 1] = (uint32_t)used;
        seen |= whole;
    }
    return seen;
}

/* Another thread may write longer texts than were counted: they are cut, and
 * what that leaves is checked as all text is.
 */
static void
gather_texts(const char *from, Py_ssize_t stride, uint32_t size,
             uint32_t *offsets, const table_buffer *text, Py_ssize_t count)
{
    size_t used = offsets[0];
    for (Py_ssize_t i = 0; i < count; i++, from += stride) {
        size_t length = (size_t)fe_text_length(from, size);
        length = length < text->room - used ? length : text->room - used;
        memcpy(text->data + used, from, length);
        used += length;
        offsets[i + 1] = (uint32_t)used;
    }
}

/* All columns but coded ones of rows [start, start + count). Is there a text
 * that may be other than ASCII?
 */
static bool
gather_rows(const array_object *rows, const table_schema *schema,
            table_chunk *chunk, Py_ssize_t start, Py_ssize_t count)
{
    uint64_t seen = 0;
    for (Py_ssize_t block = 0; block < count; block += BLOCK_ROWS) {
        Py_ssize_t some =
            count - block < BLOCK_ROWS ? count - block : BLOCK_ROWS;
        for (Py_ssize_t i = 0; i < schema->count; i++) {
            const table_column *column = &schema->columns[i];
            table_cells *cells = &chunk->cells[i];
            const char *from = array_at(rows, start + block)
                               + ARRAY_FIELD_OFFSET(column->field);
            uint8_t *to = cells->values->data;
            if (column->shape == COLUMN_FIXED) {
                gather(from, rows->stride, (char *)to + block * column->width,
                       column->width, some);
            }
            else if (column->shape == COLUMN_BITS) {
                gather_bits(from, rows->stride, to, block, some);
            }
            else if (column->shape == COLUMN_TEXT) {
                uint32_t *offsets = (uint32_t *)(void *)to + block;
                if (column->field->size == 8) {
                    seen |= gather_texts_8(from, rows->stride, offsets,
                                           cells->text->data, some);
                }
                else {
                    gather_texts(from, rows->stride, column->field->size,
                                 offsets, cells->text, some);
                    seen = UINT64_MAX;
                }
            }
        }
    }
    return (seen & 0x8080808080808080ULL) != 0;
}

/* Codes of a text field: the last one is remembered, since texts repeat. */
static int
gather_codes(table_object *self, const array_object *rows, Py_ssize_t column,
             int32_t *codes, Py_ssize_t start, Py_ssize_t count,
             const char *function)
{
    const record_field *field = self->schema->columns[column].field;
    const char *last = NULL;
    Py_ssize_t code = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *at = array_at(rows, start + i) + ARRAY_FIELD_OFFSET(field);
        if (last == NULL || memcmp(at, last, field->size) != 0) {
            PyObject *text = fe_load_unboxed(at, field);
            code = text != NULL ? table_dictionary_code(
                                      self->coding[column].dictionary, text)
                                : -1;
            if (text == NULL) {
                return records_refuse_text(self->cls->plan->qualname, field,
                                           start + i, function);
            }
            Py_DECREF(text);
            if (code < 0) {
                return -1;
            }
            last = at;
        }
        codes[i] = (int32_t)code;
    }
    return 0;
}

static int
fill_codes(table_object *self, const array_object *rows, table_chunk *chunk,
           Py_ssize_t column, Py_ssize_t start, Py_ssize_t count,
           const char *function)
{
    table_coding *coding = &self->coding[column];
    int32_t *codes = PyMem_Malloc((size_t)count * sizeof(*codes));
    table_buffer *values = NULL;
    if (codes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (gather_codes(self, rows, column, codes, start, count, function) == 0
        && table_codes_widen(self, column,
                             PyList_GET_SIZE(coding->dictionary->values))
               == 0) {
        values = table_buffer_new((size_t)count * coding->width);
    }
    if (values != NULL) {
        table_codes_copy(values->data, coding->width, 0,
                         (const uint8_t *)codes, sizeof(*codes), 0, count,
                         (table_code_map){NULL, 0});
        table_buffer_drop(chunk->cells[column].values);
        chunk->cells[column].values = values;
    }
    PyMem_Free(codes);
    return values != NULL ? 0 : -1;
}

/* Room for the texts of a column: all there can be, or, if that is much, all
 * there are.
 */
static int
reserve_texts(const array_object *rows, const table_column *column,
              table_cells *cells, Py_ssize_t start, Py_ssize_t count)
{
    uint32_t size = column->field->size;
    size_t most = (size_t)count * size;
    if (size > 16) {
        most = 0;
        for (Py_ssize_t i = 0; i < count; i++) {
            most += (size_t)fe_text_length(
                array_at(rows, start + i) + ARRAY_FIELD_OFFSET(column->field),
                size);
        }
    }
    return table_text_reserve(cells, 0, most > 0 ? most : 1);
}

/* A table holds UTF-8 only; rows that somebody else writes may hold anything.
 */
static int
check_texts(const table_object *self, const table_column *column,
            const table_cells *cells, Py_ssize_t start, Py_ssize_t count,
            const char *function)
{
    size_t used = table_text_bytes(cells, 0, count);
    uint8_t high = 0;
    for (size_t i = 0; i < used; i++) {
        high |= cells->text->data[i];
    }
    for (Py_ssize_t row = 0; (high & 0x80) != 0 && row < count; row++) {
        PyObject *text = table_cell_load(column, NULL, cells, row);
        if (text == NULL) {
            return records_refuse_text(self->cls->plan->qualname,
                                       &column->value, start + row, function);
        }
        Py_DECREF(text);
    }
    return 0;
}

/* Reserve the texts' room, or, with a function to name, check them. */
static int
for_texts(table_object *self, const array_object *rows, table_chunk *chunk,
          Py_ssize_t start, Py_ssize_t count, const char *check)
{
    for (Py_ssize_t i = 0; i < self->schema->count; i++) {
        const table_column *column = &self->schema->columns[i];
        table_cells *cells = &chunk->cells[i];
        if (column->shape == COLUMN_TEXT
            && (check != NULL
                    ? check_texts(self, column, cells, start, count, check)
                    : reserve_texts(rows, column, cells, start, count))
                   < 0) {
            return -1;
        }
    }
    return 0;
}

static int
extend_part(table_object *self, array_object *rows, Py_ssize_t start,
            Py_ssize_t count, const char *function)
{
    const table_schema *schema = self->schema;
    table_chunk chunk;
    if (table_chunk_init(&chunk, self, count) < 0) {
        return -1;
    }
    int status = for_texts(self, rows, &chunk, start, count, NULL);
    if (status == 0) {
        array_owner(rows)->sharers++;
        PyThreadState *unlocked =
            count >= UNLOCK_ROWS ? PyEval_SaveThread() : NULL;
        bool check = gather_rows(rows, schema, &chunk, start, count);
        if (unlocked != NULL) {
            PyEval_RestoreThread(unlocked);
        }
        array_owner(rows)->sharers--;
        if (check) {
            status = for_texts(self, rows, &chunk, start, count, function);
        }
    }
    for (Py_ssize_t i = 0; status == 0 && i < schema->count; i++) {
        if (schema->columns[i].shape == COLUMN_CODED) {
            status = fill_codes(self, rows, &chunk, i, start, count, function);
        }
    }
    chunk.length = count;
    if (status < 0) {
        table_chunk_drop(&chunk, schema->count);
        return -1;
    }
    return table_adopt(self, &chunk);
}

/* Most rows whose texts are sure to fit one chunk. */
static Py_ssize_t
rows_at_once(const table_schema *schema, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].shape == COLUMN_TEXT) {
            Py_ssize_t most =
                (Py_ssize_t)(TABLE_TEXT_MAX / schema->columns[i].field->size);
            count = count < most ? count : most;
        }
    }
    return count;
}

int
table_extend_array(table_object *self, PyObject *array, const char *function)
{
    array_object *rows = (array_object *)array;
    if (rows->cls != self->cls) {
        PyErr_Format(PyExc_TypeError,
                     "%s wants rows of %U, got a RecordArray of %U", function,
                     self->cls->plan->qualname, rows->cls->plan->qualname);
        return -1;
    }
    Py_ssize_t total = rows->length;
    Py_ssize_t most = rows_at_once(self->schema, total);
    table_object *staged =
        table_new(self->cls->state, (PyObject *)self->cls, function);
    int status = staged != NULL ? 0 : -1;
    for (Py_ssize_t at = 0; status == 0 && at < total; at += most) {
        Py_ssize_t count = total - at < most ? total - at : most;
        status = extend_part(staged, rows, at, count, function);
    }
    if (status == 0) {
        status = table_extend(self, (PyObject *)staged, function);
    }
    Py_XDECREF(staged);
    return status;
}

/* ------------------------------------------------------- columns to rows */

static void
scatter(const char *from, uint32_t width, char *to, Py_ssize_t stride,
        Py_ssize_t count)
{
    switch (width) {
    case 1:
        for (Py_ssize_t i = 0; i < count; i++, to += stride) {
            *to = from[i];
        }
        break;
    case 4:
        for (Py_ssize_t i = 0; i < count; i++, to += stride) {
            memcpy(to, from + 4 * i, 4);
        }
        break;
    case 8:
        for (Py_ssize_t i = 0; i < count; i++, to += stride) {
            memcpy(to, from + 8 * i, 8);
        }
        break;
    default:
        for (Py_ssize_t i = 0; i < count; i++, to += stride) {
            memcpy(to, from + (size_t)i * width, width);
        }
    }
}

static void
scatter_texts(const table_cells *cells, Py_ssize_t row, uint32_t size,
              char *to, Py_ssize_t stride, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++, to += stride) {
        Py_ssize_t length;
        const char *text = table_text_at(cells, row + i, &length);
        memset(to, 0, size);
        memcpy(to, text, (size_t)length);
    }
}

static void
scatter_column(const table_column *column, const table_cells *cells,
               Py_ssize_t row, char *to, Py_ssize_t stride, Py_ssize_t count)
{
    Py_ssize_t in = cells->offset + row;
    const uint8_t *data = cells->values->data;
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        scatter((const char *)data + in * column->width, column->width, to,
                stride, count);
        break;
    case COLUMN_BITS:
        for (Py_ssize_t i = 0; i < count; i++, to += stride) {
            *to = table_bit(data, in + i);
        }
        break;
    case COLUMN_TEXT:
        scatter_texts(cells, row, column->field->size, to, stride, count);
        break;
    case COLUMN_CODED:
        break; /* by scatter_codes */
    }
}

static void
scatter_rows(const table_schema *schema, const table_chunk *chunk, char *to,
             Py_ssize_t stride)
{
    for (Py_ssize_t row = 0; row < chunk->length; row += BLOCK_ROWS) {
        Py_ssize_t some = chunk->length - row;
        some = some < BLOCK_ROWS ? some : BLOCK_ROWS;
        for (Py_ssize_t i = 0; i < schema->count; i++) {
            scatter_column(&schema->columns[i], &chunk->cells[i], row,
                           to + row * stride
                               + ARRAY_FIELD_OFFSET(schema->columns[i].field),
                           stride, some);
        }
    }
}

/* Texts of codes: each value's bytes are looked up, not made. */
static int
scatter_codes(const table_object *table, const table_chunk *chunk,
              Py_ssize_t column, char *to, Py_ssize_t stride)
{
    const record_field *field = table->schema->columns[column].field;
    const table_coding *coding = &table->coding[column];
    const table_cells *cells = &chunk->cells[column];
    for (Py_ssize_t i = 0; i < chunk->length; i++, to += stride) {
        Py_ssize_t code = (Py_ssize_t)table_code_at(
            cells->values->data, coding->width, cells->offset + i);
        PyObject *text = PyList_GET_ITEM(coding->dictionary->values, code);
        if (records_store(table->cls->plan->qualname, field, to, text) < 0) {
            return -1;
        }
    }
    return 0;
}

/* `self` is an array nobody else sees. */
int
array_extend_table(array_object *self, PyObject *op, const char *function)
{
    table_object *table = (table_object *)op;
    if (table->cls != self->cls) {
        PyErr_Format(PyExc_TypeError,
                     "%s wants rows of %U, got a RecordTable of %U", function,
                     self->cls->plan->qualname, table->cls->plan->qualname);
        return -1;
    }
    const table_schema *schema = table->schema;
    if (table->length == 0) {
        return 0;
    }
    if (array_reserve(self, table->length, function) < 0) {
        return -1;
    }
    if (self->layout->gap_count > 0) {
        memset(array_at(self, self->length), 0,
               (size_t)table->length * self->layout->size);
    }
    for (Py_ssize_t k = 0; k < table->chunk_count; k++) {
        const table_chunk *chunk = &table->chunks[k];
        char *to = array_at(self, self->length);
        scatter_rows(schema, chunk, to, self->stride);
        for (Py_ssize_t i = 0; i < schema->count; i++) {
            const record_field *field = schema->columns[i].field;
            if (schema->columns[i].shape == COLUMN_CODED
                && scatter_codes(table, chunk, i,
                                 to + ARRAY_FIELD_OFFSET(field), self->stride)
                       < 0) {
                return -1;
            }
        }
        self->length += chunk->length;
    }
    return 0;
}
