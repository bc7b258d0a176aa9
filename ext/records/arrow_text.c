/* SPDX-License-Identifier: MIT
 *
 * Foreign texts with offsets or with views, checked as values of a column,
 * into the columns of str and bytes.
 */
#include "arrow_text.h"

/* ----------------------------------------------------- texts of arrays */

static int64_t
text_offset(const arrow_texts *texts, int64_t i)
{
    return texts->shape == ARROW_TEXT32
               ? FE_READ(int32_t, texts->main + 4 * i)
               : FE_READ(int64_t, texts->main + 8 * i);
}

static const char *
offsets_problem(const arrow_texts *texts)
{
    int wrong = text_offset(texts, 0) < 0;
    if (texts->shape == ARROW_TEXT32) {
        for (int64_t i = 0; i < texts->length; i++) {
            int32_t start = FE_READ(int32_t, texts->main + 4 * i);
            int32_t stop = FE_READ(int32_t, texts->main + 4 * i + 4);
            wrong |= stop < start;
        }
    }
    else {
        for (int64_t i = 0; i < texts->length; i++) {
            int64_t start = FE_READ(int64_t, texts->main + 8 * i);
            int64_t stop = FE_READ(int64_t, texts->main + 8 * i + 8);
            wrong |= stop < start;
        }
    }
    return wrong ? "offsets are negative or not in order" : NULL;
}

/* The bytes that offsets lead to. */
static const char *
open_text(arrow_texts *texts, const uint8_t *text)
{
    const char *problem = offsets_problem(texts);
    texts->text = text;
    if (problem == NULL && text == NULL) {
        bool empty =
            text_offset(texts, 0) == text_offset(texts, texts->length);
        problem = empty ? NULL : "the buffer of the text is missing";
        texts->text = (const uint8_t *)"";
    }
    return problem;
}

static bool
view_is_inside(const arrow_texts *texts, const uint8_t *view)
{
    int32_t length = arrow_view_part(view, 0);
    if (length <= ARROW_VIEW_INLINE) {
        return length >= 0;
    }
    int32_t block = arrow_view_part(view, 2),
            offset = arrow_view_part(view, 3);
    if (block < 0 || block >= texts->block_count || offset < 0
        || texts->blocks[block] == NULL) {
        return false;
    }
    int64_t size = FE_READ(int64_t, texts->block_sizes + 8 * block);
    return size >= offset && size - offset >= length;
}

static const char *
views_problem(const arrow_texts *texts)
{
    if (texts->block_count > 0 && texts->block_sizes == NULL) {
        return "the sizes of its buffers are missing";
    }
    for (int64_t i = 0; i < texts->length; i++) {
        if (!arrow_text_null(texts, i)
            && !view_is_inside(texts, texts->main + ARROW_VIEW_SIZE * i)) {
            return "a view lies outside of its buffers";
        }
    }
    return NULL;
}

const char *
arrow_texts_open(arrow_texts *texts, const struct ArrowArray *array,
                 arrow_type type, int64_t offset, int64_t length,
                 const uint8_t *validity)
{
    *texts = (arrow_texts){
        .shape = type.shape,
        .validity = validity,
        .at = offset,
        .length = length,
    };
    const uint8_t *main = array->buffers[1];
    switch (type.shape) {
    case ARROW_TEXT32:
        texts->main = main + 4 * offset;
        return open_text(texts, array->buffers[2]);
    case ARROW_TEXT64:
        texts->main = main + 8 * offset;
        return open_text(texts, array->buffers[2]);
    default:
        texts->main = main + ARROW_VIEW_SIZE * offset;
        texts->blocks = (const uint8_t *const *)(array->buffers + 2);
        texts->block_count = array->n_buffers - 3;
        texts->block_sizes = array->buffers[array->n_buffers - 1];
        return views_problem(texts);
    }
}

/* --------------------------------------------------------------- values */

static bool
is_ascii(const uint8_t *text, size_t size)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < size; i++) {
        seen |= text[i];
    }
    return seen < 0x80;
}

/* How many bytes follow the first of a character beyond ASCII, and between
 * what the second is; -1: it is not a first byte. */
static int
utf8_more(uint8_t first, uint8_t *low, uint8_t *high)
{
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0xc2 || first > 0xf4) {
        return -1;
    }
    return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

/* As Python decodes it: shortest forms only, no surrogates. */
static bool
is_utf8(const uint8_t *text, size_t size)
{
    const uint8_t *end = text + size;
    while (text < end) {
        if (end - text >= 8
            && (FE_READ(uint64_t, text) & 0x8080808080808080ULL) == 0) {
            text += 8;
            continue;
        }
        if (*text < 0x80) {
            text++;
            continue;
        }
        uint8_t low, high;
        int more = utf8_more(*text, &low, &high);
        if (more < 0 || end - text <= more || text[1] < low
            || text[1] > high) {
            return false;
        }
        for (int i = 2; i <= more; i++) {
            if ((text[i] & 0xc0) != 0x80) {
                return false;
            }
        }
        text += more + 1;
    }
    return true;
}

/* An unboxed str of a record is padded with NUL and so cannot end with one. */
static bool
size_fits(const table_column *column, const uint8_t *text, size_t size)
{
    uint32_t limit = column->value.size;
    bool padded = column->field->kind == FE_STR;
    return (limit == 0 || size <= limit)
           && !(padded && size > 0 && text[size - 1] == '\0');
}

bool
arrow_text_fits(const table_column *column, const uint8_t *text, size_t size)
{
    return column->value.kind != FE_STR
           || (size_fits(column, text, size) && is_utf8(text, size));
}

int
arrow_refuse_text(const arrow_input *in, int64_t row, const uint8_t *text,
                  size_t size)
{
    const char *bytes = (const char *)text;
    PyObject *value = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)size, NULL);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear(); /* UnicodeDecodeError: shown as bytes */
        value = PyBytes_FromStringAndSize(bytes,
                                          (Py_ssize_t)(size < 60 ? size : 60));
    }
    PyObject *shown =
        value != NULL ? records_shown(in->column->field, value) : NULL;
    PyObject *got =
        shown != NULL
            ? PyUnicode_FromFormat("%s %U", Py_TYPE(value)->tp_name, shown)
            : NULL;
    Py_XDECREF(value);
    Py_XDECREF(shown);
    return arrow_refuse_row(in, PyExc_ValueError, row, got);
}

/* Is what the offsets lead to UTF-8, and no character in two rows? What null
 * rows have counts too, so false may be wrong. */
static bool
texts_are_utf8(const arrow_texts *texts)
{
    if (texts->shape == ARROW_VIEWS) {
        return false;
    }
    int64_t start = text_offset(texts, 0);
    int64_t stop = text_offset(texts, texts->length);
    if (is_ascii(texts->text + start, (size_t)(stop - start))) {
        return true;
    }
    if (!is_utf8(texts->text + start, (size_t)(stop - start))) {
        return false;
    }
    int cut = 0;
    for (int64_t i = 0; i < texts->length; i++) {
        int64_t at = text_offset(texts, i);
        cut |= at < stop && (texts->text[at] & 0xc0) == 0x80;
    }
    return !cut;
}

/* The first row whose text is no value of the column; -1: none. */
static int64_t
first_wrong(const table_column *column, const arrow_texts *texts)
{
    bool valid = texts_are_utf8(texts);
    if (valid && column->value.size == 0) {
        return -1;
    }
    for (int64_t i = 0; i < texts->length; i++) {
        if (arrow_text_null(texts, i)) {
            continue;
        }
        size_t size;
        const uint8_t *text = arrow_text_at(texts, i, &size);
        if (!size_fits(column, text, size)
            || !(valid || is_utf8(text, size))) {
            return i;
        }
    }
    return -1;
}

static int
check_values(const arrow_input *in, const arrow_texts *texts)
{
    if (in->column->value.kind != FE_STR) {
        return 0;
    }
    PyThreadState *unlocked = arrow_unlock(in->length);
    int64_t row = first_wrong(in->column, texts);
    arrow_lock(unlocked);
    if (row < 0) {
        return 0;
    }
    size_t size;
    const uint8_t *text = arrow_text_at(texts, row, &size);
    return arrow_refuse_text(in, row, text, size);
}

/* --------------------------------------------------------- COLUMN_TEXT */

/* Bytes of all texts, or more than TABLE_TEXT_MAX. */
static size_t
texts_size(const arrow_texts *texts, const int32_t *codes, int64_t length)
{
    size_t total = 0, size;
    for (int64_t i = 0; i < length && total <= TABLE_TEXT_MAX; i++) {
        arrow_text_of_row(texts, codes, i, &size);
        total += size;
    }
    return total;
}

static void
write_texts(const table_cells *cells, const arrow_texts *texts,
            const int32_t *codes, int64_t length)
{
    int32_t *offset = (void *)cells->values->data;
    size_t used = 0, size;
    for (int64_t i = 0; i < length; i++) {
        const uint8_t *text = arrow_text_of_row(texts, codes, i, &size);
        offset[i] = (int32_t)used;
        if (size > 0) {
            memcpy(cells->text->data + used, text, size);
            used += size;
        }
    }
    offset[length] = (int32_t)used;
}

int
arrow_copy_texts(const arrow_input *in, table_cells *cells,
                 const arrow_texts *texts, const int32_t *codes)
{
    PyThreadState *unlocked = arrow_unlock(in->length);
    size_t total = texts_size(texts, codes, in->length);
    arrow_lock(unlocked);
    if (total > TABLE_TEXT_MAX) {
        return ARROW_SPLIT;
    }
    size_t offsets = ((size_t)in->length + 1) * sizeof(int32_t);
    cells->values = table_buffer_new(offsets);
    cells->text = cells->values != NULL ? table_buffer_new(total) : NULL;
    if (cells->text == NULL) {
        return -1;
    }
    unlocked = arrow_unlock(in->length);
    write_texts(cells, texts, codes, in->length);
    arrow_lock(unlocked);
    return 0;
}

/* Share the text, between the first and the last offset. */
static int
share_text(const arrow_input *in, table_cells *cells, int64_t start,
           int64_t stop)
{
    if (start == stop) {
        return 0;
    }
    const uint8_t *text = in->array->buffers[2];
    cells->text = arrow_holder_wrap(in->holder, text + start, stop - start);
    return cells->text != NULL ? 0 : -1;
}

/* Offsets of our own into the text that is there. */
static int
rewrite_offsets(const arrow_input *in, table_cells *cells,
                const arrow_texts *texts)
{
    int64_t start = text_offset(texts, 0);
    int64_t stop = text_offset(texts, texts->length);
    if ((uint64_t)(stop - start) > TABLE_TEXT_MAX) {
        return ARROW_SPLIT;
    }
    cells->values =
        table_buffer_new(((size_t)in->length + 1) * sizeof(int32_t));
    if (cells->values == NULL || arrow_copy_validity(in, cells) < 0) {
        return -1;
    }
    int32_t *offset = (void *)cells->values->data;
    for (int64_t i = 0; i <= texts->length; i++) {
        offset[i] = (int32_t)(text_offset(texts, i) - start);
    }
    return share_text(in, cells, start, stop);
}

static int
take_texts(const arrow_input *in, table_cells *cells, const arrow_texts *texts)
{
    if (texts->shape == ARROW_VIEWS) {
        return arrow_copy_validity(in, cells) < 0
                   ? -1
                   : arrow_copy_texts(in, cells, texts, NULL);
    }
    if (texts->shape == ARROW_TEXT64 || in->array->buffers[2] == NULL
        || (uintptr_t)texts->main % sizeof(int32_t) != 0) {
        return rewrite_offsets(in, cells, texts);
    }
    int64_t entries = in->offset + in->length + 1;
    if (arrow_share(in, cells, entries * (int64_t)sizeof(int32_t)) < 0) {
        return -1;
    }
    return share_text(in, cells, 0, text_offset(texts, texts->length));
}

int
arrow_open_texts(const arrow_input *in, arrow_texts *texts)
{
    const char *problem = arrow_texts_open(
        texts, in->array, in->type, in->offset, in->length, in->validity);
    return problem == NULL ? 0 : arrow_refuse_array(in, problem);
}

int
arrow_convert_text(const arrow_input *in, table_cells *cells)
{
    if (in->type.index != ARROW_PLAIN) {
        return arrow_decode(in, cells);
    }
    arrow_texts texts;
    if (arrow_open_texts(in, &texts) < 0 || check_values(in, &texts) < 0) {
        return -1;
    }
    return take_texts(in, cells, &texts);
}
