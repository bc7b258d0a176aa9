/* SPDX-License-Identifier: MIT
 *
 * Codes and their dictionaries: from codes to texts, from texts to codes, and
 * from foreign codes to those of the table. A word of a dictionary need not
 * be a value of the column unless a row uses it.
 */
#include "arrow_text.h"

/* ---------------------------------------------------------------- codes */

/* Instead of a code. */
#define CODE_NULL (-1)
#define CODE_BAD (-2) /* stands for what is no value of the column */
#define CODE_NEW (-3)

static int
open_dictionary(const arrow_input *in, arrow_texts *words)
{
    const struct ArrowArray *array = in->array->dictionary;
    arrow_type values = in->type;
    values.index = ARROW_PLAIN;
    const char *problem = array == NULL ? "the dictionary is missing"
                                        : arrow_array_problem(array, values);
    memset(words, 0, sizeof(*words));
    if (problem == NULL && array->length > 0) {
        const uint8_t *validity =
            array->null_count != 0 ? array->buffers[0] : NULL;
        problem = arrow_texts_open(words, array, values, array->offset,
                                   array->length, validity);
    }
    return problem == NULL ? 0 : arrow_refuse_array(in, problem);
}

static int
refuse_null(const arrow_input *in, int64_t row)
{
    return arrow_refuse_row(in, PyExc_ValueError, row,
                            PyUnicode_FromString("null"));
}

static int
refuse_code(const arrow_input *in, int64_t row, const arrow_texts *words)
{
    return arrow_refuse_row(
        in, PyExc_ValueError, row,
        PyUnicode_FromFormat("a code outside of its dictionary of %lld",
                             (long long)words->length));
}

/* new: the codes of all rows, CODE_NULL where there is no text; PyMem_Raw.
 * *nulls: how many those are. */
static int32_t *
read_codes(const arrow_input *in, const arrow_texts *words, int64_t *nulls)
{
    int32_t *codes = PyMem_RawMalloc((size_t)in->length * sizeof(*codes));
    if (codes == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    const uint8_t *from = (const uint8_t *)in->array->buffers[1]
                          + in->offset * records_kind_size(in->type.index);
    int64_t bad =
        arrow_ints_convert((uint8_t *)codes, FE_I32, from, in->type.index,
                           in->length, in->validity, in->offset);
    int64_t null = -1;
    *nulls = 0;
    for (int64_t i = 0; i < in->length && bad != i; i++) {
        bool there = !arrow_is_null(in, i);
        if (there && (codes[i] < 0 || codes[i] >= words->length)) {
            bad = i;
            break;
        }
        if (!there || arrow_text_null(words, codes[i])) {
            codes[i] = CODE_NULL;
            null = null < 0 ? i : null;
            ++*nulls;
        }
    }
    if (*nulls > 0 && !in->column->nullable) {
        refuse_null(in, null);
    }
    else if (bad >= 0) {
        refuse_code(in, bad, words);
    }
    else {
        return codes;
    }
    PyMem_RawFree(codes);
    return NULL;
}

/* Validity of rows that are null where their code is CODE_NULL. */
static int
validity_of_codes(table_cells *cells, const int32_t *codes, int64_t length,
                  int64_t nulls)
{
    if (nulls == 0) {
        return 0;
    }
    size_t bytes = ((size_t)length + 7) / 8;
    cells->validity = table_buffer_new(bytes);
    if (cells->validity == NULL) {
        return -1;
    }
    uint8_t *bits = cells->validity->data;
    memset(bits, 0, bytes);
    for (int64_t i = 0; i < length; i++) {
        bits[i >> 3] |= (uint8_t)((codes[i] != CODE_NULL) << (i & 7));
    }
    return 0;
}

/* ------------------------------------------------------- codes to texts */

/* Are all words of a dictionary values of the column? */
static bool
words_fit(const arrow_input *in, const arrow_texts *words)
{
    for (int64_t i = 0; i < words->length; i++) {
        size_t size;
        const uint8_t *text = arrow_text_of_row(words, NULL, i, &size);
        if (text != NULL && !arrow_text_fits(in->column, text, size)) {
            return false;
        }
    }
    return true;
}

/* Are those that are used? 0, or -1. */
static int
check_words(const arrow_input *in, const arrow_texts *words,
            const int32_t *codes)
{
    for (int64_t i = 0; i < in->length; i++) {
        size_t size;
        const uint8_t *text = arrow_text_of_row(words, codes, i, &size);
        if (text != NULL && !arrow_text_fits(in->column, text, size)) {
            return arrow_refuse_text(in, i, text, size);
        }
    }
    return 0;
}

/* From codes to texts. */
int
arrow_decode(const arrow_input *in, table_cells *cells)
{
    arrow_texts words;
    int64_t nulls;
    if (open_dictionary(in, &words) < 0) {
        return -1;
    }
    int32_t *codes = read_codes(in, &words, &nulls);
    if (codes == NULL) {
        return -1;
    }
    int status = validity_of_codes(cells, codes, in->length, nulls);
    if (status == 0 && !words_fit(in, &words)) {
        status = check_words(in, &words, codes);
    }
    if (status == 0) {
        status = arrow_copy_texts(in, cells, &words, codes);
    }
    PyMem_RawFree(codes);
    return status;
}

/* -------------------------------------------------------- COLUMN_CODED */

static table_coding *
coding_of(const arrow_input *in)
{
    return &in->reader->table->coding[in->index];
}

/* The table's code of a text, CODE_BAD if the column cannot hold it; or -1
 * with an exception. */
static int
code_of_text(const arrow_input *in, const uint8_t *text, size_t size,
             int32_t *code)
{
    if (!arrow_text_fits(in->column, text, size)) {
        *code = CODE_BAD;
        return 0;
    }
    PyObject *value =
        PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)size, NULL);
    if (value == NULL) {
        return -1;
    }
    Py_ssize_t found = table_dictionary_code(coding_of(in)->dictionary, value);
    Py_DECREF(value);
    *code = (int32_t)found;
    return found < 0 ? -1 : 0;
}

#define WRITE_AS(type)                                                        \
    for (int64_t i = 0; i < length; i++) {                                    \
        ((type *)to)[i] = (type)(codes[i] < 0 ? 0 : codes[i]);                \
    }

/* Cells with the codes, as wide as the table has them; 0 for nulls. */
static int
write_codes(const arrow_input *in, table_cells *cells, const int32_t *codes,
            int64_t nulls)
{
    uint8_t width = coding_of(in)->width;
    int64_t length = in->length;
    cells->values = table_buffer_new((size_t)length * width);
    if (cells->values == NULL
        || validity_of_codes(cells, codes, length, nulls) < 0) {
        return -1;
    }
    void *to = cells->values->data;
    if (width == 1) {
        WRITE_AS(int8_t)
    }
    else if (width == 2) {
        WRITE_AS(int16_t)
    }
    else {
        WRITE_AS(int32_t)
    }
    return 0;
}

/* Make the table's codes wide enough for what its dictionary now holds. */
static int
widen_codes(const arrow_input *in)
{
    Py_ssize_t count = PyList_GET_SIZE(coding_of(in)->dictionary->values);
    return table_codes_widen(in->reader->table, in->index, count);
}

static int
map_word(const arrow_input *in, const arrow_texts *words, int64_t i,
         int32_t *map)
{
    if (arrow_text_null(words, i)) {
        map[i] = CODE_NULL;
        return 0;
    }
    size_t size;
    const uint8_t *text = arrow_text_at(words, i, &size);
    return code_of_text(in, text, size, &map[i]);
}

/* new: by foreign code, the table's; PyMem_Raw. A dictionary of more words
 * than there are rows is not adopted: only what is used gets a code. */
static int32_t *
map_words(const arrow_input *in, const arrow_texts *words)
{
    size_t count = (size_t)words->length;
    int32_t *map = count < PY_SSIZE_T_MAX / sizeof(*map)
                       ? PyMem_RawMalloc(count * sizeof(*map))
                       : NULL;
    if (map == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (int64_t i = 0; i < words->length; i++) {
        map[i] = CODE_NEW;
        if (words->length <= in->length && map_word(in, words, i, map) < 0) {
            PyMem_RawFree(map);
            return NULL;
        }
    }
    return map;
}

/* Replace foreign codes with the table's. *same: nothing was changed. */
static int
map_codes(const arrow_input *in, const arrow_texts *words, int32_t *codes,
          int32_t *map, bool *same)
{
    *same = true;
    for (int64_t i = 0; i < in->length; i++) {
        int32_t code = codes[i];
        if (code == CODE_NULL) {
            *same = *same && arrow_is_null(in, i);
            continue;
        }
        if (map[code] == CODE_NEW && map_word(in, words, code, map) < 0) {
            return -1;
        }
        if (map[code] == CODE_BAD) {
            size_t size;
            const uint8_t *text = arrow_text_at(words, code, &size);
            return arrow_refuse_text(in, i, text, size);
        }
        *same = *same && map[code] == code;
        codes[i] = map[code];
    }
    return 0;
}

static int
recode(const arrow_input *in, table_cells *cells, const arrow_texts *words,
       int32_t *codes, int64_t nulls)
{
    int32_t *map = map_words(in, words);
    if (map == NULL) {
        return -1;
    }
    bool same;
    int status = map_codes(in, words, codes, map, &same);
    PyMem_RawFree(map);
    if (status < 0 || widen_codes(in) < 0) {
        return -1;
    }
    uint8_t width = coding_of(in)->width;
    if (same && records_kind_size(in->type.index) == width
        && (uintptr_t)in->array->buffers[1] % width == 0) {
        return arrow_share(in, cells, (in->offset + in->length) * width);
    }
    return write_codes(in, cells, codes, nulls);
}

static int
take_codes(const arrow_input *in, table_cells *cells)
{
    arrow_texts words;
    int64_t nulls;
    if (open_dictionary(in, &words) < 0) {
        return -1;
    }
    int32_t *codes = read_codes(in, &words, &nulls);
    if (codes == NULL) {
        return -1;
    }
    int status = recode(in, cells, &words, codes, nulls);
    PyMem_RawFree(codes);
    return status;
}

/* Texts lately seen, so that most rows of a column worth coding cost neither
 * a str nor a look into the dictionary. */
#define MEMO_SIZE 256

typedef struct {
    const uint8_t *text; /* NULL: none */
    size_t size;
    uint64_t start, stop; /* its first and last bytes */
    int32_t code;
} memo;

/* First and last eight bytes, which are all there is of a text of up to 16. */
static void
memo_init(memo *wanted, const uint8_t *text, size_t size)
{
    *wanted = (memo){.text = text, .size = size};
    if (size >= 8) {
        wanted->start = FE_READ(uint64_t, text);
        wanted->stop = FE_READ(uint64_t, text + size - 8);
    }
    else if (size >= 4) {
        wanted->start = FE_READ(uint32_t, text);
        wanted->stop = FE_READ(uint32_t, text + size - 4);
    }
    else if (size > 0) {
        wanted->start = (uint64_t)text[0] | (uint64_t)text[size >> 1] << 8;
        wanted->stop = text[size - 1];
    }
}

static bool
memo_equal(const memo *a, const memo *b)
{
    return a->text != NULL && a->size == b->size && a->start == b->start
           && a->stop == b->stop
           && (a->size <= 16 || memcmp(a->text, b->text, a->size) == 0);
}

static size_t
memo_slot(const memo *wanted)
{
    uint64_t stop = wanted->stop << 29 | wanted->stop >> 35;
    uint64_t mixed = (wanted->start ^ stop) + wanted->size;
    return (size_t)(mixed * 0x9e3779b97f4a7c15ULL >> 56);
}

static int
code_rows(const arrow_input *in, const arrow_texts *texts, int32_t *codes,
          int64_t *nulls)
{
    memo memos[MEMO_SIZE] = {{.text = NULL}};
    *nulls = 0;
    for (int64_t i = 0; i < texts->length; i++) {
        if (arrow_text_null(texts, i)) {
            codes[i] = CODE_NULL;
            ++*nulls;
            continue;
        }
        memo wanted;
        size_t size;
        const uint8_t *text = arrow_text_at(texts, i, &size);
        memo_init(&wanted, text, size);
        memo *known = &memos[memo_slot(&wanted)];
        if (!memo_equal(known, &wanted)) {
            if (code_of_text(in, text, size, &wanted.code) < 0) {
                return -1;
            }
            if (wanted.code == CODE_BAD) {
                return arrow_refuse_text(in, i, text, size);
            }
            *known = wanted;
        }
        codes[i] = known->code;
    }
    return 0;
}

static int
encode(const arrow_input *in, table_cells *cells)
{
    arrow_texts texts;
    if (arrow_open_texts(in, &texts) < 0) {
        return -1;
    }
    int32_t *codes = PyMem_RawMalloc((size_t)in->length * sizeof(*codes));
    if (codes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int64_t nulls;
    int status = code_rows(in, &texts, codes, &nulls);
    if (status == 0) {
        status = widen_codes(in);
    }
    if (status == 0) {
        status = write_codes(in, cells, codes, nulls);
    }
    PyMem_RawFree(codes);
    return status;
}

int
arrow_convert_coded(const arrow_input *in, table_cells *cells)
{
    return in->type.index != ARROW_PLAIN ? take_codes(in, cells)
                                         : encode(in, cells);
}
