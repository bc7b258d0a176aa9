/* SPDX-License-Identifier: MIT
 *
 * Many rows at once: RecordArray.extend and from_buffer.
 *
 * What runs Python code (iterating, converting values) fills an array that
 * nobody else sees; its rows are taken over at the end. So a failure leaves
 * the target as it was, and the code may do with the target what it likes.
 */
#include "record_array.h"
#include "record_columns.h"
#include "record_table.h"

/* new: an array that gc.get_objects() does not give either */
static array_object *
staged_new(array_object *self, const char *function)
{
    array_object *staged = array_new(records_state_of_type(Py_TYPE(self)),
                                     (PyObject *)self->cls, function);
    if (staged != NULL) {
        PyObject_GC_UnTrack(staged);
    }
    return staged;
}

/* Append the rows of an array of the same class, perhaps the same array. */
static int
extend_array(array_object *self, array_object *from, const char *function)
{
    if (from->cls != self->cls) {
        PyErr_Format(PyExc_TypeError,
                     "%s wants rows of %U, got a RecordArray of %U", function,
                     self->cls->plan->qualname, from->cls->plan->qualname);
        return -1;
    }
    Py_ssize_t count = from->length;
    if (count == 0) {
        return 0;
    }
    if (array_reserve(self, count, function) < 0) {
        return -1;
    }
    size_t size = self->layout->size;
    char *to = array_at(self, self->length);
    if (from->stride == (Py_ssize_t)size
        && array_owner(from)->foreign.obj == NULL) {
        memcpy(to, from->data, (size_t)count * size);
    }
    else {
        for (Py_ssize_t i = 0; i < count; i++) {
            array_put(self->layout, to + (size_t)i * size, array_at(from, i));
        }
    }
    self->length += count;
    return 0;
}

/* Take over the rows of an array that nobody else sees. */
static int
commit(array_object *self, array_object *staged, const char *function)
{
    if (staged->length == 0) {
        return 0;
    }
    if (array_reserve(self, 0, function) < 0) { /* may it grow at all? */
        return -1;
    }
    if (self->capacity > 0) {
        return extend_array(self, staged, function);
    }
    PyMem_Free(self->data);
    self->data = staged->data;
    self->length = staged->length;
    self->capacity = staged->capacity;
    staged->data = NULL;
    staged->length = staged->capacity = 0;
    return 0;
}

/* -------------------------------------------------------------- buffers */

/* A text cell that came in bulk: UTF-8? ValueError naming field and row. */
static int
check_text(const record_class *cls, const record_field *field, const char *at,
           Py_ssize_t row, const char *function)
{
    if (FE_LIKELY(fe_text_is_ascii(at, (Py_ssize_t)field->size))) {
        return 0;
    }
    PyObject *text = fe_load_unboxed(at, field);
    if (text != NULL) {
        Py_DECREF(text);
        return 0;
    }
    return records_refuse_text(cls->plan->qualname, field, row, function);
}

/* One field of rows that came in bulk: text checked, bools made 0 or 1. */
static int
settle_field(array_object *staged, const record_field *field, Py_ssize_t start,
             Py_ssize_t stop, const char *function)
{
    for (Py_ssize_t i = start; i < stop; i++) {
        char *at = array_at(staged, i) + ARRAY_FIELD_OFFSET(field);
        if (field->kind == FE_BOOL8) {
            *at = *at != 0;
        }
        else if (check_text(staged->cls, field, at, i, function) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
settle(array_object *staged, const char *function)
{
    const record_plan *plan = staged->cls->plan;
    if (!staged->layout->has_str && !staged->layout->has_bool) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        if ((field->kind == FE_BOOL8 || field->kind == FE_STR)
            && settle_field(staged, field, 0, staged->length, function) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
extend_buffer(array_object *staged, PyObject *buffer, const char *function)
{
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_FULL_RO) < 0) {
        return -1;
    }
    Py_ssize_t stride;
    Py_ssize_t count =
        array_rows_in(staged->layout, staged->cls, &view, &stride, function);
    int status = count < 0   ? -1
                 : count > 0 ? array_reserve(staged, count, function)
                             : 0;
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        array_put(staged->layout, array_at(staged, i),
                  (const char *)view.buf + i * stride);
    }
    PyBuffer_Release(&view);
    if (status < 0) {
        return -1;
    }
    staged->length = count;
    return settle(staged, function);
}

/* -------------------------------------------------------------- columns */

enum { BLOCK_ROWS = 1024 }; /* all their columns fit the cache */

/* Up to eight bytes of text and their padding in one word: a third of the time
 * of memset and memcpy of a length that is not known.
 */
static inline uint64_t
padded_word(const char *text, size_t size)
{
#if PY_LITTLE_ENDIAN
    if (size >= 4) { /* two halves that may overlap */
        uint64_t high = FE_READ(uint32_t, text + size - 4);
        return FE_READ(uint32_t, text) | high << (8 * (size - 4));
    }
    if (size >= 2) {
        uint64_t high = FE_READ(uint16_t, text + size - 2);
        return FE_READ(uint16_t, text) | high << (8 * (size - 2));
    }
    return size == 1 ? (uint8_t)text[0] : 0;
#else
    uint64_t word = 0;
    memcpy(&word, text, size);
    return word;
#endif
}

/* Values of the exact type that needs no call, from item `i` on; the first
 * that is another, or `stop`.
 */
static Py_ssize_t
fill_quickly(const record_field *field, PyObject *values, Py_ssize_t i,
             Py_ssize_t stop, char *to, Py_ssize_t stride)
{
    PyObject **items = PySequence_Fast_ITEMS(values);
    if (field->kind == FE_I64) {
        int64_t number;
        for (; i < stop && PyLong_CheckExact(items[i])
               && fe_long_in_place(items[i], &number);
             i++, to += stride) {
            memcpy(to, &number, sizeof(number));
        }
    }
    else if (field->kind == FE_F64) {
        for (; i < stop && PyFloat_CheckExact(items[i]); i++, to += stride) {
            double number = PyFloat_AS_DOUBLE(items[i]);
            memcpy(to, &number, sizeof(number));
        }
    }
    else if (field->kind == FE_STR) {
        for (; i < stop && PyUnicode_CheckExact(items[i])
               && PyUnicode_IS_COMPACT_ASCII(items[i]);
             i++, to += stride) {
            size_t size = (size_t)PyUnicode_GET_LENGTH(items[i]);
            const char *text = (const char *)PyUnicode_1BYTE_DATA(items[i]);
            if (size > field->size || (size > 0 && text[size - 1] == '\0')) {
                break;
            }
            if (field->size == 8) {
                uint64_t word = padded_word(text, size);
                memcpy(to, &word, sizeof(word));
                continue;
            }
            memset(to, 0, field->size);
            memcpy(to, text, size);
        }
    }
    return i;
}

static int
fill_block(array_object *staged, const column_source *source, Py_ssize_t start,
           Py_ssize_t stop, const char *function)
{
    const record_field *field = source->field;
    char *first = staged->data + ARRAY_FIELD_OFFSET(field);
    for (Py_ssize_t i = start; i < stop; i++) {
        /* converting may have run code that changed the list */
        Py_ssize_t left = PySequence_Fast_GET_SIZE(source->values);
        i = fill_quickly(field, source->values, i, left < stop ? left : stop,
                         first + i * staged->stride, staged->stride);
        if (i >= stop) {
            break;
        }
        PyObject *value = columns_value(source, i, function);
        int status = value != NULL
                         ? records_store(staged->cls->plan->qualname, field,
                                         first + i * staged->stride, value)
                         : -1;
        Py_XDECREF(value);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* Copy values of the field's own format; shorter texts get their padding. */
static int
copy_block(array_object *staged, const column_source *source, Py_ssize_t start,
           Py_ssize_t stop, const char *function)
{
    const record_field *field = source->field;
    Py_ssize_t stride = staged->stride;
    char *to = array_at(staged, start) + ARRAY_FIELD_OFFSET(field);
    size_t size = (size_t)source->size, rest = field->size - size;
    for (Py_ssize_t i = start; i < stop; i++, to += stride) {
        if (field->size == 8 && rest == 0) {
            memcpy(to, columns_at(source, i), 8);
        }
        else {
            memcpy(to, columns_at(source, i), size);
            memset(to + size, 0, rest);
        }
    }
    return field->kind == FE_STR || field->kind == FE_BOOL8
               ? settle_field(staged, field, start, stop, function)
               : 0;
}

static int
fill_rows(array_object *staged, const column_source *sources,
          const char *function)
{
    Py_ssize_t count = staged->length;
    for (Py_ssize_t start = 0; start < count; start += BLOCK_ROWS) {
        Py_ssize_t stop =
            count - start < BLOCK_ROWS ? count : start + BLOCK_ROWS;
        for (Py_ssize_t i = 0; i < staged->cls->plan->field_count; i++) {
            const column_source *source = &sources[i];
            int status =
                source->view.obj != NULL
                    ? copy_block(staged, source, start, stop, function)
                    : fill_block(staged, source, start, stop, function);
            if (status < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int
extend_columns(array_object *staged, PyObject *mapping, const char *function)
{
    const record_plan *plan = staged->cls->plan;
    column_source *sources =
        PyMem_Calloc((size_t)plan->field_count, sizeof(column_source));
    if (sources == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        sources[i].field = &plan->fields[i];
    }
    Py_ssize_t count;
    int status = columns_open(mapping, sources, plan->field_count,
                              plan->qualname, &count, function);
    if (status == 0 && count > 0) {
        status = array_reserve(staged, count, function);
    }
    if (status == 0 && staged->layout->gap_count > 0 && count > 0) {
        memset(staged->data, 0, (size_t)count * staged->layout->size);
    }
    if (status == 0) {
        staged->length = count;
    }
    if (status == 0) {
        status = fill_rows(staged, sources, function);
    }
    columns_close(sources, plan->field_count);
    PyMem_Free(sources);
    return status;
}

/* ----------------------------------------------------------------- rows */

static int
extend_iterable(array_object *staged, PyObject *rows, const char *function)
{
    PyObject *iterator = PyObject_GetIter(rows);
    if (iterator == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)
            && Py_TYPE(rows)->tp_iter == NULL && !PySequence_Check(rows)) {
            PyErr_Clear(); /* TypeError, not iterable: ours says more */
            records_refuse_given(staged->cls->plan, function, "rows of ",
                                 ", columns or a buffer", rows);
        }
        return -1;
    }
    PyObject *value;
    int status = 0;
    while (status == 0 && (value = PyIter_Next(iterator)) != NULL) {
        array_scratch scratch;
        const char *bytes = array_row_of(staged, value, &scratch, function);
        status = bytes != NULL ? array_reserve(staged, 1, function) : -1;
        if (status == 0) {
            array_put(staged->layout, array_at(staged, staged->length), bytes);
            staged->length++;
        }
        array_scratch_free(&scratch);
        Py_DECREF(value);
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

/* An Arrow object, by way of a table. */
static int
extend_arrow(array_object *staged, PyObject *rows, const char *function)
{
    table_object *table = table_new(records_state_of_type(Py_TYPE(staged)),
                                    (PyObject *)staged->cls, function);
    int status = table != NULL && arrow_import(table, rows, function) == 0
                     ? array_extend_table(staged, (PyObject *)table, function)
                     : -1;
    Py_XDECREF(table);
    return status;
}

static int
stage(array_object *staged, PyObject *rows, const char *function)
{
    records_state *state = records_state_of_type(Py_TYPE(staged));
    if (Py_IS_TYPE(rows, state->table_type)) {
        return array_extend_table(staged, rows, function);
    }
    if (Py_IS_TYPE(rows, state->array_type)) {
        return extend_array(staged, (array_object *)rows, function) < 0
                   ? -1
                   : settle(staged, function);
    }
    if (PyList_CheckExact(rows) || PyTuple_CheckExact(rows)) {
        return extend_iterable(staged, rows, function);
    }
    int arrow = PyDict_Check(rows) ? 0 : arrow_is_producer(rows);
    if (arrow != 0) {
        return arrow < 0 ? -1 : extend_arrow(staged, rows, function);
    }
    int columns = columns_are(rows);
    if (columns != 0) {
        return columns < 0 ? -1 : extend_columns(staged, rows, function);
    }
    return PyObject_CheckBuffer(rows)
               ? extend_buffer(staged, rows, function)
               : extend_iterable(staged, rows, function);
}

/* The checked fields of rows that came as columns or bytes. */
static int
check_rows(array_object *staged)
{
    const record_plan *plan = staged->cls->plan;
    for (Py_ssize_t i = 0; plan->checks != NULL && i < plan->field_count;
         i++) {
        const record_field *field = &plan->fields[i];
        for (Py_ssize_t row = 0;
             plan->checks[i].how != NULL && row < staged->length; row++) {
            PyObject *value = fe_load_unboxed(
                array_at(staged, row) + ARRAY_FIELD_OFFSET(field), field);
            int status =
                value != NULL ? records_check_value(plan, i, value) : -1;
            Py_XDECREF(value);
            if (status < 0) {
                return -1;
            }
        }
    }
    return 0;
}

int
array_extend(array_object *self, PyObject *rows, const char *function)
{
    if (Py_IS_TYPE(rows, Py_TYPE(self))
        && array_owner((array_object *)rows)->foreign.obj == NULL) {
        return extend_array(self, (array_object *)rows, function);
    }
    array_object *staged = staged_new(self, function);
    int status = staged != NULL && stage(staged, rows, function) == 0
                         && check_rows(staged) == 0
                     ? commit(self, staged, function)
                     : -1;
    Py_XDECREF(staged);
    return status;
}

/* ---------------------------------------------------------- from_buffer */

static int
check_place(const array_layout *layout, const record_class *cls,
            const Py_buffer *view, Py_ssize_t stride, Py_ssize_t count,
            bool anywhere, const char *function)
{
    if (count > 1 && stride != (Py_ssize_t)layout->size) {
        PyErr_Format(PyExc_ValueError,
                     "%s wants contiguous rows of %u bytes, got a stride of "
                     "%zd",
                     function, (unsigned)layout->size, stride);
        return -1;
    }
    if (count > 0 && !anywhere && !array_is_aligned(layout, view->buf)) {
        PyErr_Format(PyExc_ValueError,
                     "%s: rows of %U are aligned to %u bytes, the buffer "
                     "starts %u past that",
                     function, cls->plan->qualname,
                     (unsigned)layout->alignment,
                     (unsigned)((uintptr_t)view->buf % layout->alignment));
        return -1;
    }
    return 0;
}

array_object *
array_wrap(records_state *state, PyObject *cls, PyObject *buffer,
           bool anywhere, const char *function)
{
    array_object *self = array_new(state, cls, function);
    if (self == NULL) {
        return NULL;
    }
    if (!PyObject_CheckBuffer(buffer)) {
        records_refuse_given(self->cls->plan, function, "a buffer", NULL,
                             buffer);
        goto error;
    }
    Py_buffer *view = &self->foreign;
    if (PyObject_GetBuffer(buffer, view, PyBUF_FULL) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_BufferError)
            && !PyErr_ExceptionMatches(PyExc_ValueError)) {
            goto error;
        }
        PyErr_Clear(); /* it is read-only, perhaps */
        if (PyObject_GetBuffer(buffer, view, PyBUF_FULL_RO) < 0) {
            goto error;
        }
    }
    Py_ssize_t stride;
    Py_ssize_t count =
        array_rows_in(self->layout, self->cls, view, &stride, function);
    if (count < 0
        || check_place(self->layout, self->cls, view, stride, count, anywhere,
                       function)
               < 0) {
        goto error;
    }
    self->data = view->buf;
    self->length = count;
    self->readonly = view->readonly;
    return self;
error:
    Py_DECREF(self); /* releases the buffer, if it has it */
    return NULL;
}

PyObject *
array_from_buffer(PyObject *type, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *kwnames)
{
    static const char *const names[] = {"cls", "buffer", NULL};
    static const fe_sig sig = {"RecordArray.from_buffer", names, 2, 2};
    PyObject *values[2];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    return (PyObject *)array_wrap(records_state_of_type((PyTypeObject *)type),
                                  values[0], values[1], false,
                                  "RecordArray.from_buffer()");
}
