/* SPDX-License-Identifier: MIT
 *
 * How the rows of a class lie, as the buffer protocol says it: writing the
 * format of a row, and reading formats that others give.
 *
 * Source: PEP 3118 and the struct module. NumPy writes and reads the same.
 */
#include "record_array.h"

#include <stdlib.h>

static const char kind_codes[FE_KIND_COUNT] = {
    [FE_I8] = 'b',  [FE_I16] = 'h',    [FE_I32] = 'i',   [FE_I64] = 'q',
    [FE_U8] = 'B',  [FE_U16] = 'H',    [FE_U32] = 'I',   [FE_U64] = 'Q',
    [FE_F32] = 'f', [FE_F64] = 'd',    [FE_BOOL8] = '?', [FE_BYTES] = 's',
    [FE_STR] = 's', [FE_OBJECT] = 'O',
};

void
array_format_write(fe_kind kind, uint32_t size, char *format)
{
    if (kind_codes[kind] == 's') {
        PyOS_snprintf(format, ARRAY_FORMAT_ROOM, "%us", (unsigned)size);
    }
    else {
        format[0] = kind_codes[kind];
        format[1] = '\0';
    }
}

/* ------------------------------------------------------------ writing */

static int
by_offset(const void *a, const void *b)
{
    const record_field *x = *(const record_field *const *)a;
    const record_field *y = *(const record_field *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int
write_pad(fe_text *text, uint32_t count)
{
    if (count == 0) {
        return 0;
    }
    return count > 1 && fe_text_u64(text, count) < 0
               ? -1
               : fe_text_literal(text, "x");
}

static int
write_field(fe_text *text, const record_field *field)
{
    char code[2] = {kind_codes[field->kind], '\0'};
    if ((code[0] == 's' && fe_text_u64(text, field->size) < 0)
        || fe_text_literal(text, code) < 0 || fe_text_literal(text, ":") < 0) {
        return -1;
    }
    return fe_text_str(text, field->name) < 0 ? -1
                                              : fe_text_literal(text, ":");
}

/* Fields by address: the format's text and the gaps between them. */
static int
describe(array_layout *layout, const record_field **sorted, Py_ssize_t count,
         fe_text *text)
{
    uint32_t at = 0;
    /* "=": nothing is left to alignment, which NumPy would reckon with, field
     * by field, in Python */
    if (fe_text_literal(text, "T{=") < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i <= count; i++) {
        uint32_t next =
            i < count ? ARRAY_FIELD_OFFSET(sorted[i]) : layout->size;
        if (next > at) {
            layout->gaps[layout->gap_count++] = (array_gap){at, next};
        }
        if (write_pad(text, next - at) < 0
            || (i < count && write_field(text, sorted[i]) < 0)) {
            return -1;
        }
        at = i < count ? next + sorted[i]->size : next;
    }
    return fe_text_write(text, "}", 2); /* and its NUL */
}

static void
measure(array_layout *layout, const record_plan *plan)
{
    layout->alignment = 1;
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        uint32_t end = ARRAY_FIELD_OFFSET(field) + field->size;
        uint32_t own = records_kind_alignment((fe_kind)field->kind);
        layout->span = end > layout->span ? end : layout->span;
        layout->alignment = own > layout->alignment ? own : layout->alignment;
        layout->has_str |= field->kind == FE_STR;
        layout->has_bool |= field->kind == FE_BOOL8;
        layout->has_float |= field->kind == FE_F32 || field->kind == FE_F64;
    }
    layout->size = (layout->span + layout->alignment - 1) / layout->alignment
                   * layout->alignment;
}

/* new: PyMem_Free it; NULL with MemoryError */
static array_layout *
layout_new(const record_plan *plan)
{
    Py_ssize_t count = plan->field_count;
    size_t room =
        sizeof(array_layout) + (size_t)(count + 1) * sizeof(array_gap);
    array_layout *layout = PyMem_Calloc(1, room);
    const record_field **sorted =
        PyMem_Malloc((size_t)count * sizeof(*sorted));
    fe_text text;
    fe_text_init(&text);
    array_layout *grown = NULL;
    if (layout == NULL || sorted == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    measure(layout, plan);
    for (Py_ssize_t i = 0; i < count; i++) {
        sorted[i] = &plan->fields[i];
    }
    qsort(sorted, (size_t)count, sizeof(*sorted), by_offset);
    if (describe(layout, sorted, count, &text) < 0) {
        goto done;
    }
    grown = PyMem_Realloc(layout, room + text.size);
    if (grown == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    layout = NULL;
    grown->format = memcpy((char *)grown + room, text.data, text.size);
done:
    fe_text_free(&text);
    PyMem_Free(sorted);
    PyMem_Free(layout);
    return grown;
}

const array_layout *
array_layout_of(record_class *cls, const char *function)
{
    record_plan *plan = cls->plan;
    if (plan->rows != NULL) {
        return plan->rows;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].kind == FE_OBJECT) {
            PyErr_Format(PyExc_TypeError,
                         "%s cannot keep field '%U' of %U: it is an object "
                         "slot",
                         function, plan->fields[i].name, plan->qualname);
            return NULL;
        }
    }
    if (plan->field_count == 0) {
        PyErr_Format(PyExc_TypeError, "%s: %U has no fields", function,
                     plan->qualname);
        return NULL;
    }
    plan->rows = layout_new(plan);
    return plan->rows;
}

/* ------------------------------------------------------------ reading */

/* What a format is read into, piece by piece. */
typedef struct {
    const char *at;
    char order;     /* @ native, ^ native unaligned, = standard sizes, x other
                       byte order */
    uint32_t count; /* number in front of the code; 1 if none */
    char code;
    uint32_t size; /* bytes of one */
    uint32_t alignment;
} format_item;

static char
order_of(char mark)
{
    static const char host = PY_LITTLE_ENDIAN ? '<' : '>';
    if (mark == '!') {
        mark = '>';
    }
    return mark == '@' || mark == '^' || mark == '=' ? mark
           : mark == host                            ? '='
                                                     : 'x';
}

/* The kind of a number's code; FE_KIND_COUNT: not one of ours. */
static fe_kind
number_kind(char code, bool native)
{
    static const struct {
        char code;
        uint8_t native, standard;
    } codes[] = {
        {'b', FE_I8, FE_I8},
        {'B', FE_U8, FE_U8},
        {'h', FE_I16, FE_I16},
        {'H', FE_U16, FE_U16},
        {'i', FE_I32, FE_I32},
        {'I', FE_U32, FE_U32},
        {'q', FE_I64, FE_I64},
        {'Q', FE_U64, FE_U64},
        {'f', FE_F32, FE_F32},
        {'d', FE_F64, FE_F64},
        {'?', FE_BOOL8, FE_BOOL8},
        {'l', sizeof(long) == 8 ? FE_I64 : FE_I32, FE_I32},
        {'L', sizeof(long) == 8 ? FE_U64 : FE_U32, FE_U32},
        {'n', sizeof(size_t) == 8 ? FE_I64 : FE_I32, FE_KIND_COUNT},
        {'N', sizeof(size_t) == 8 ? FE_U64 : FE_U32, FE_KIND_COUNT},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(codes); i++) {
        if (codes[i].code == code) {
            return (fe_kind)(native ? codes[i].native : codes[i].standard);
        }
    }
    return FE_KIND_COUNT;
}

/* Read marks, count and code; the kind, FE_BYTES for 's', FE_KIND_COUNT for
 * padding ('x', with count) and for what is not ours (code 0).
 */
static fe_kind
read_item(format_item *item)
{
    while (*item->at != '\0' && strchr("@=<>!^ ", *item->at) != NULL) {
        if (*item->at != ' ') {
            item->order = order_of(*item->at);
        }
        item->at++;
    }
    item->count = 1;
    if (*item->at >= '0' && *item->at <= '9') {
        uint64_t count = 0;
        while (*item->at >= '0' && *item->at <= '9' && count < UINT32_MAX) {
            count = count * 10 + (uint64_t)(*item->at++ - '0');
        }
        item->count = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    }
    item->code = *item->at;
    item->size = item->alignment = 1;
    if (item->code == 'x' || item->code == 's') {
        item->at++;
        return item->code == 's' ? FE_BYTES : FE_KIND_COUNT;
    }
    bool native = item->order == '@' || item->order == '^';
    fe_kind kind = number_kind(item->code, native);
    bool ours = kind != FE_KIND_COUNT && item->count == 1;
    if (ours) {
        item->at++;
        item->size = records_kind_size(kind);
        item->alignment =
            item->order == '@' ? records_kind_alignment(kind) : 1;
        ours = item->order != 'x' || item->size == 1;
    }
    if (!ours) {
        item->code = '\0';
        return FE_KIND_COUNT;
    }
    return kind;
}

static bool
same_kind(fe_kind kind, const record_field *field)
{
    return kind == (fe_kind)field->kind
           || (kind == FE_BYTES && field->kind == FE_STR);
}

bool
array_format_is(const char *format, const record_field *field,
                Py_ssize_t *size)
{
    format_item item = {.at = format != NULL ? format : "B", .order = '@'};
    fe_kind kind = read_item(&item);
    if (kind == FE_KIND_COUNT || *item.at != '\0' || !same_kind(kind, field)) {
        return false;
    }
    uint32_t wide = kind == FE_BYTES ? item.count : item.size;
    *size = (Py_ssize_t)wide;
    return field->kind == FE_STR ? wide <= field->size : wide == field->size;
}

static const record_field *
field_called(const record_plan *plan, const char *name, size_t size)
{
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        Py_ssize_t length;
        const char *own =
            PyUnicode_AsUTF8AndSize(plan->fields[i].name, &length);
        if (own == NULL) {
            PyErr_Clear(); /* no memory for it, or a surrogate: not equal */
            continue;
        }
        if ((size_t)length == size && memcmp(own, name, size) == 0) {
            return &plan->fields[i];
        }
    }
    return NULL;
}

/* Does the structure hold our fields, all of them, where we have them, and
 * nothing else?
 */
static bool
format_matches(const char *format, const record_plan *plan)
{
    if (format[0] != 'T' || format[1] != '{') {
        return false;
    }
    format_item item = {.at = format + 2, .order = '@'};
    uint64_t offset = 0;
    Py_ssize_t found = 0;
    for (;;) {
        fe_kind kind = read_item(&item);
        if (kind == FE_KIND_COUNT && item.code != 'x') {
            break;
        }
        if (kind == FE_KIND_COUNT) {
            offset += item.count;
            continue;
        }
        offset =
            (offset + item.alignment - 1) / item.alignment * item.alignment;
        uint32_t wide = kind == FE_BYTES ? item.count : item.size;
        const char *end = *item.at == ':' ? strchr(item.at + 1, ':') : NULL;
        const record_field *field =
            end != NULL
                ? field_called(plan, item.at + 1, (size_t)(end - item.at - 1))
                : NULL;
        if (field == NULL || !same_kind(kind, field) || field->size != wide
            || ARRAY_FIELD_OFFSET(field) != offset) {
            return false;
        }
        offset += wide;
        item.at = end + 1;
        found++;
    }
    return item.at[0] == '}' && item.at[1] == '\0'
           && found == plan->field_count;
}

static Py_ssize_t
raw_rows(const array_layout *layout, const record_class *cls,
         const Py_buffer *view, const char *function)
{
    if (!PyBuffer_IsContiguous(view, 'C')) {
        PyErr_Format(PyExc_ValueError,
                     "%s wants contiguous memory, got a strided buffer",
                     function);
        return -1;
    }
    if (view->len % (Py_ssize_t)layout->size != 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s wants a multiple of %u bytes, the size of a row of "
                     "%U, got %zd bytes",
                     function, (unsigned)layout->size, cls->plan->qualname,
                     view->len);
        return -1;
    }
    return view->len / (Py_ssize_t)layout->size;
}

Py_ssize_t
array_rows_in(const array_layout *layout, const record_class *cls,
              const Py_buffer *view, Py_ssize_t *stride, const char *function)
{
    const char *format = view->format != NULL ? view->format : "B";
    *stride = (Py_ssize_t)layout->size;
    const char *code = format + strspn(format, "@=<>!^");
    if (view->itemsize == 1 && code[0] != '\0'
        && strchr("Bbc", code[0]) != NULL && code[1] == '\0') {
        return raw_rows(layout, cls, view, function);
    }
    if (!format_matches(format, cls->plan)
        || view->itemsize != (Py_ssize_t)layout->size) {
        PyErr_Format(PyExc_TypeError,
                     "%s wants bytes or rows of %U, format '%s', got a buffer "
                     "of format '%.200s', itemsize %zd",
                     function, cls->plan->qualname, layout->format, format,
                     view->itemsize);
        return -1;
    }
    if (view->ndim != 1 || view->suboffsets != NULL) {
        PyErr_Format(PyExc_ValueError,
                     "%s wants a buffer of 1 dimension, got %d", function,
                     view->ndim);
        return -1;
    }
    if (view->strides != NULL) {
        *stride = view->strides[0];
    }
    return view->shape != NULL ? view->shape[0] : view->len / view->itemsize;
}
