/* SPDX-License-Identifier: MIT
 *
 * Columns that the caller gives: writable buffers by the names of fields,
 * whose format is that of the field's values in the machine's byte order.
 */
#include "bulk_stream.h"

/* of the struct module: the byte order that this machine has not */
#define OTHER_ORDER (PACKET_NATIVE_BIG ? '<' : '>')

/* What a cell's format says: 'i', 'u', 'f', '?' or 's'; 0: none of these, or
 * another byte order. */
static char
format_class(const char *format, Py_ssize_t size)
{
    if (format == NULL) {
        return 'u';
    }
    bool swapped = false;
    if (*format != '\0' && strchr("@=<>!^", *format) != NULL) {
        swapped =
            *format == OTHER_ORDER || (*format == '!' && !PACKET_NATIVE_BIG);
        format++;
    }
    const char *letter = format + strspn(format, "0123456789");
    if (*letter == '\0' || letter[1] != '\0') {
        return 0;
    }
    if (*letter == 's') {
        return 's';
    }
    bool one = letter == format || (letter == format + 1 && *format == '1');
    if (!one || (swapped && size > 1)) {
        return 0;
    }
    return strchr("bhilqn", *letter) != NULL   ? 'i'
           : strchr("BHILQN", *letter) != NULL ? 'u'
           : strchr("fd", *letter) != NULL     ? 'f'
           : *letter == '?'                    ? '?'
                                               : 0;
}

static char
kind_class(fe_kind kind)
{
    switch (kind) {
    case FE_I8:
    case FE_I16:
    case FE_I32:
    case FE_I64:
        return 'i';
    case FE_F32:
    case FE_F64:
        return 'f';
    case FE_BOOL8:
        return '?';
    case FE_BYTES:
    case FE_STR:
        return 's';
    default:
        return 'u';
    }
}

/* Do cells of the format hold every value of the field? */
static bool
fits(const packet_field *field, const Py_buffer *buffer)
{
    char given = format_class(buffer->format, buffer->itemsize);
    if (field->shape != PACKET_BITS) {
        return given == kind_class((fe_kind)field->kind)
               && buffer->itemsize == (Py_ssize_t)field->size;
    }
    if (field->as_bool) {
        return given == '?' && buffer->itemsize == 1;
    }
    Py_ssize_t bits = 8 * buffer->itemsize;
    return (given == 'u' && bits >= field->bits)
           || (given == 'i' && bits > field->bits);
}

/* The format that is asked for, for messages. */
static const char *
wanted_format(const packet_field *field, char *room, size_t size)
{
    static const char letters[] = "bhiqBHIQfd?";
    if (field->shape == PACKET_BITS) {
        return field->as_bool ? "?" : field->bits < 64 ? "q" : "Q";
    }
    if (field->kind == FE_BYTES || field->kind == FE_STR) {
        PyOS_snprintf(room, size, "%us", (unsigned)field->size);
        return room;
    }
    room[0] = letters[field->kind];
    room[1] = '\0';
    return room;
}

static int
open_buffer(bulk_stream *stream, bulk_target *target, PyObject *buffer)
{
    const packet_field *field = target->field;
    PyObject *qualname = stream->layout->qualname, *name = field->field->name;
    if (!PyObject_CheckBuffer(buffer)) {
        PyErr_Format(PyExc_TypeError,
                     "unpack_many() out: %U.%U: wanted a writable buffer, got "
                     "%s",
                     qualname, name, Py_TYPE(buffer)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(buffer, &target->buffer,
                           PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_ND)
        < 0) {
        target->buffer.obj = NULL;
        return -1;
    }
    if (!fits(field, &target->buffer)) {
        char room[16];
        PyErr_Format(PyExc_TypeError,
                     "unpack_many() out: %U.%U: wanted format '%s', got '%s'",
                     qualname, name, wanted_format(field, room, sizeof(room)),
                     target->buffer.format != NULL ? target->buffer.format
                                                   : "B");
        return -1;
    }
    target->shape = FE_BULK_CELLS;
    target->width = (uint32_t)target->buffer.itemsize;
    target->values = target->buffer.buf;
    target->room = target->buffer.len / target->buffer.itemsize;
    return 0;
}

static int
find_field(bulk_stream *stream, PyObject *name, bulk_target *target)
{
    const packet_layout *layout = stream->layout;
    for (Py_ssize_t i = 0; PyUnicode_Check(name) && i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        if (PyUnicode_Compare(field->field->name, name) != 0) {
            continue;
        }
        if (field->shape != PACKET_SCALAR && field->shape != PACKET_BITS
            && field->shape != PACKET_FIXED) {
            PyErr_Format(PyExc_TypeError,
                         "unpack_many() out: %U.%U is of no fixed size, or a "
                         "record: no cells for it",
                         layout->qualname, name);
            return -1;
        }
        target->field = field;
        target->index = i;
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "unpack_many() out: %U has no field %R",
                 layout->qualname, name);
    return -1;
}

static int
open_items(bulk_stream *stream, PyObject *items)
{
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    stream->targets =
        PyMem_Calloc((size_t)count + 1, sizeof(*stream->targets));
    if (stream->targets == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    stream->room = PY_SSIZE_T_MAX;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);
        bulk_target *target = &stream->targets[i];
        if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
            PyErr_Format(PyExc_TypeError,
                         "unpack_many() out: items() gave %R, no pair", item);
            return -1;
        }
        stream->target_count = i + 1; /* bulk_close() lets go of it */
        if (find_field(stream, PyTuple_GET_ITEM(item, 0), target) < 0
            || open_buffer(stream, target, PyTuple_GET_ITEM(item, 1)) < 0) {
            return -1;
        }
        if (target->room < stream->room) {
            stream->room = target->room;
        }
    }
    return 0;
}

/* A tuple of pairs: what gives a buffer is Python code, which could find a
 * list and change it. */
int
bulk_open_given(bulk_stream *stream, PyObject *mapping)
{
    PyObject *list = PyMapping_Items(mapping);
    PyObject *items = list != NULL ? PyList_AsTuple(list) : NULL;
    int status = items != NULL ? open_items(stream, items) : -1;
    Py_XDECREF(items);
    Py_XDECREF(list);
    return status;
}
