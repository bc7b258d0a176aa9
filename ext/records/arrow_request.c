/* SPDX-License-Identifier: MIT
 *
 * requested_schema: an export that is not in the table's own types. What
 * loses nothing is honoured, all else is refused before anything is handed
 * out. The capsule and its schema stay the caller's.
 */
#include "arrow.h"

typedef struct {
    arrow_source *source;
    const table_column *columns;
    const char *function;
} request;

/* borrowed from the capsule: its schema, which was not released; NULL */
static const struct ArrowSchema *
schema_of_capsule_borrow(PyObject *capsule, const char *function)
{
    if (!PyCapsule_CheckExact(capsule)) {
        PyErr_Format(PyExc_TypeError,
                     "%s(): requested_schema must be a capsule or None, "
                     "not %s",
                     function, Py_TYPE(capsule)->tp_name);
        return NULL;
    }
    if (!PyCapsule_IsValid(capsule, ARROW_SCHEMA_CAPSULE)) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): requested_schema must be a capsule named "
                     "'" ARROW_SCHEMA_CAPSULE "', not %R",
                     function, capsule);
        return NULL;
    }
    const struct ArrowSchema *schema =
        PyCapsule_GetPointer(capsule, ARROW_SCHEMA_CAPSULE);
    if (schema->release == NULL) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): requested_schema was already released", function);
        return NULL;
    }
    return schema;
}

/* ValueError: "f(): requested_schema: field 'x': what"; -1 */
static int
refuse(const request *self, Py_ssize_t i, const char *what)
{
    PyErr_Format(PyExc_ValueError, "%s(): requested_schema: field '%s': %s",
                 self->function, self->source->fields[i].name, what);
    return -1;
}

static int
refuse_type(const request *self, Py_ssize_t i,
            const struct ArrowSchema *wanted)
{
    PyObject *column = arrow_column_text(&self->columns[i]);
    PyObject *type = column != NULL ? arrow_schema_text(wanted) : NULL;
    if (type != NULL) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): requested_schema: field '%s': %U cannot be given "
                     "as Arrow type %U",
                     self->function, self->source->fields[i].name, column,
                     type);
    }
    Py_XDECREF(column);
    Py_XDECREF(type);
    return -1;
}

/* --------------------------------------------------------- conversion */

/* new cells: `size` bytes of values for `length` rows from row 0 on, not
 * filled, and the validity of the old ones. 0, or -1 and *to empty. */
static int
cells_like(table_cells *to, const table_cells *from, int64_t length,
           size_t size)
{
    *to = (table_cells){.values = table_buffer_new(size)};
    if (to->values == NULL) {
        return -1;
    }
    if (from->validity == NULL) {
        return 0;
    }
    to->validity = table_buffer_new(((size_t)length + 7) / 8);
    if (to->validity == NULL) {
        table_buffer_drop(to->values);
        to->values = NULL;
        return -1;
    }
    table_bits_copy(to->validity->data, 0, from->validity->data, from->offset,
                    length);
    return 0;
}

static int
widen_ints(table_cells *to, const table_cells *from, int64_t length,
           uint8_t to_kind, uint8_t from_kind)
{
    size_t size = (size_t)length * records_kind_size(to_kind);
    if (cells_like(to, from, length, size) < 0) {
        return -1;
    }
    if (length > 0) {
        const uint8_t *values =
            from->values->data + from->offset * records_kind_size(from_kind);
        /* codes below null rows may be anything */
        (void)arrow_ints_convert(to->values->data, to_kind, values, from_kind,
                                 length, NULL, 0);
    }
    return 0;
}

static int
widen_floats(table_cells *to, const table_cells *from, int64_t length)
{
    if (cells_like(to, from, length, (size_t)length * sizeof(double)) < 0) {
        return -1;
    }
    if (length > 0) {
        arrow_floats_widen(to->values->data,
                           from->values->data
                               + from->offset * (Py_ssize_t)sizeof(float),
                           length);
    }
    return 0;
}

static int
widen_offsets(table_cells *to, const table_cells *from, int64_t length)
{
    size_t size = ((size_t)length + 1) * sizeof(int64_t);
    if (cells_like(to, from, length, size) < 0) {
        return -1;
    }
    if (length == 0) {
        memset(to->values->data, 0, size);
        return 0;
    }
    to->text = table_buffer_hold(from->text);
    const uint8_t *offsets =
        from->values->data + from->offset * (Py_ssize_t)sizeof(int32_t);
    int64_t *wide = (void *)to->values->data;
    for (int64_t i = 0; i <= length; i++) {
        wide[i] = FE_READ(int32_t, offsets + 4 * i);
    }
    return 0;
}

/* Rows of a coded column, and the texts their codes stand for. */
typedef struct {
    const uint8_t *validity;
    const uint8_t *codes;
    const int32_t *offsets; /* of the words */
    const uint8_t *text;
    int64_t offset;
    uint8_t width;
} coded_rows;

/* The text of a row: where it starts, and its size; 0 for null. */
static const uint8_t *
coded_text(const coded_rows *rows, int64_t row, size_t *size)
{
    int64_t at = rows->offset + row;
    *size = 0;
    if (rows->validity != NULL && !table_bit(rows->validity, at)) {
        return NULL;
    }
    const int32_t *word =
        rows->offsets + table_code_at(rows->codes, rows->width, at);
    *size = (size_t)(word[1] - word[0]);
    return *size > 0 ? rows->text + word[0] : NULL;
}

static void
write_texts(const coded_rows *rows, int64_t length, bool large,
            const table_cells *to)
{
    int32_t *narrow = (void *)to->values->data;
    int64_t *wide = (void *)to->values->data;
    size_t used = 0;
    for (int64_t i = 0; i < length; i++) {
        size_t size;
        const uint8_t *text = coded_text(rows, i, &size);
        if (large) {
            wide[i] = (int64_t)used;
        }
        else {
            narrow[i] = (int32_t)used;
        }
        if (size > 0) {
            memcpy(to->text->data + used, text, size);
            used += size;
        }
    }
    if (large) {
        wide[length] = (int64_t)used;
    }
    else {
        narrow[length] = (int32_t)used;
    }
}

static int
decode(const request *self, Py_ssize_t i, table_cells *to,
       const table_cells *from, int64_t length, bool large)
{
    const arrow_words *words = &self->source->words[i];
    coded_rows rows = {
        .validity = from->validity != NULL ? from->validity->data : NULL,
        .codes = from->values != NULL ? from->values->data : NULL,
        .offsets =
            words->offsets != NULL ? (void *)words->offsets->data : NULL,
        .text = words->text != NULL ? words->text->data : NULL,
        .offset = from->offset,
        .width =
            (uint8_t)records_kind_size(self->source->fields[i].type.index),
    };
    size_t used = 0, size;
    for (int64_t row = 0; row < length; row++) {
        coded_text(&rows, row, &size);
        used += size;
    }
    if (!large && used > TABLE_TEXT_MAX) {
        PyErr_Format(PyExc_OverflowError,
                     "%s(): requested_schema: field '%s': more than 2 GiB of "
                     "text in one array",
                     self->function, self->source->fields[i].name);
        return -1;
    }
    size_t offset = large ? sizeof(int64_t) : sizeof(int32_t);
    if (cells_like(to, from, length, ((size_t)length + 1) * offset) < 0) {
        return -1;
    }
    to->text = table_buffer_new(used);
    if (to->text == NULL) {
        table_buffer_drop(to->validity);
        table_buffer_drop(to->values);
        return -1;
    }
    write_texts(&rows, length, large, to);
    return 0;
}

/* Is there a conversion that loses nothing? */
static bool
is_wider(arrow_type have, arrow_type want)
{
    if (have.index != ARROW_PLAIN && want.index != ARROW_PLAIN) {
        return want.shape == have.shape && want.kind == have.kind
               && arrow_is_signed(want.index)
               && records_kind_size(want.index)
                      > records_kind_size(have.index);
    }
    if (have.index != ARROW_PLAIN || have.shape == ARROW_TEXT32) {
        return want.index == ARROW_PLAIN && want.kind == have.kind
               && (want.shape == ARROW_TEXT32 || want.shape == ARROW_TEXT64);
    }
    if (have.shape != ARROW_CELLS || want.shape != ARROW_CELLS
        || want.index != ARROW_PLAIN) {
        return false;
    }
    return (have.kind == FE_F32 && want.kind == FE_F64)
           || (arrow_is_int(have.kind) && arrow_is_int(want.kind)
               && arrow_is_signed(have.kind) == arrow_is_signed(want.kind)
               && want.size > have.size);
}

static int
convert_cells(const request *self, Py_ssize_t i, arrow_type want,
              table_cells *to, const table_cells *from, int64_t length)
{
    arrow_type have = self->source->fields[i].type;
    if (want.index != ARROW_PLAIN) {
        return widen_ints(to, from, length, want.index, have.index);
    }
    if (have.index != ARROW_PLAIN) {
        return decode(self, i, to, from, length, want.shape == ARROW_TEXT64);
    }
    if (want.shape == ARROW_TEXT64) {
        return widen_offsets(to, from, length);
    }
    if (want.kind == FE_F64) {
        return widen_floats(to, from, length);
    }
    return widen_ints(to, from, length, want.kind, have.kind);
}

static int
convert_column(const request *self, Py_ssize_t i, arrow_type want)
{
    arrow_source *source = self->source;
    for (Py_ssize_t k = 0; k < source->chunks; k++) {
        table_cells *cells = &source->cells[k * source->columns + i];
        table_cells converted;
        if (convert_cells(self, i, want, &converted, cells, source->lengths[k])
            < 0) {
            return -1;
        }
        table_buffer_drop(cells->validity);
        table_buffer_drop(cells->values);
        table_buffer_drop(cells->text);
        *cells = converted;
    }
    source->fields[i].type = want;
    return 0;
}

/* ------------------------------------------------------------ request */

static bool
column_has_nulls(const arrow_source *source, Py_ssize_t i)
{
    for (Py_ssize_t k = 0; k < source->chunks; k++) {
        const table_cells *cells = &source->cells[k * source->columns + i];
        int64_t length = source->lengths[k];
        if (cells->validity != NULL
            && table_bits_count(cells->validity->data, cells->offset, length)
                   != length) {
            return true;
        }
    }
    return false;
}

static int
request_column(const request *self, Py_ssize_t i,
               const struct ArrowSchema *wanted)
{
    arrow_field *field = &self->source->fields[i];
    arrow_type want = arrow_type_of(wanted);
    bool nullable = (wanted->flags & ARROW_FLAG_NULLABLE) != 0;
    if (!arrow_same_type(field->type, want) && !is_wider(field->type, want)) {
        return refuse_type(self, i, wanted);
    }
    if (!nullable && field->nullable && column_has_nulls(self->source, i)) {
        return refuse(self, i, "has nulls, but is wanted without");
    }
    if (!arrow_same_type(field->type, want)
        && convert_column(self, i, want) < 0) {
        return -1;
    }
    field->nullable = nullable;
    return 0;
}

static int
request_rows(const request *self, const struct ArrowSchema *wanted)
{
    const arrow_source *source = self->source;
    if (wanted->format == NULL || strcmp(wanted->format, "+s") != 0
        || wanted->n_children != source->columns || wanted->children == NULL) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): requested_schema: wanted a struct of %zd fields, "
                     "got type '%.60s' of %lld",
                     self->function, source->columns,
                     wanted->format != NULL ? wanted->format : "",
                     (long long)wanted->n_children);
        return -1;
    }
    for (Py_ssize_t i = 0; i < source->columns; i++) {
        const struct ArrowSchema *child = wanted->children[i];
        const char *name =
            child != NULL && child->name != NULL ? child->name : "";
        if (strcmp(name, source->fields[i].name) != 0) {
            PyErr_Format(PyExc_ValueError,
                         "%s(): requested_schema: wanted field '%s', got "
                         "'%.100s'",
                         self->function, source->fields[i].name, name);
            return -1;
        }
        if (request_column(self, i, child) < 0) {
            return -1;
        }
    }
    return 0;
}

int
arrow_request(arrow_source *source, const table_column *columns,
              PyObject *capsule, const char *function)
{
    const struct ArrowSchema *schema =
        schema_of_capsule_borrow(capsule, function);
    if (schema == NULL) {
        return -1;
    }
    request self = {source, columns, function};
    return source->rows ? request_rows(&self, schema)
                        : request_column(&self, 0, schema);
}
