/* SPDX-License-Identifier: MIT
 *
 * Where records one after another begin and end: index_many. Lengths are
 * looked at, values and checksums are not.
 */
#include "bulk_stream.h"

/* Offsets as they are found: a walk needs no Python, so it allocates raw. */
typedef struct {
    int64_t *data; /* owned; PyMem_Raw */
    size_t count, room;
} index_offsets;

static bool
offsets_grow(index_offsets *offsets)
{
    size_t room = offsets->room + offsets->room / 2 + 64;
    int64_t *data = PyMem_RawRealloc(offsets->data, room * sizeof(*data));
    if (data == NULL) {
        return false;
    }
    offsets->data = data;
    offsets->room = room;
    return true;
}

FE_INLINE bool
offsets_add(index_offsets *offsets, Py_ssize_t at)
{
    if (FE_UNLIKELY(offsets->count == offsets->room)
        && !offsets_grow(offsets)) {
        return false;
    }
    offsets->data[offsets->count++] = at;
    return true;
}

/* ---------------------------------------------------------------- walks */

typedef enum { WALK_END, WALK_BROKEN, WALK_MEMORY } walk_stop;

static walk_stop
walk_fixed(bulk_stream *stream, index_offsets *offsets)
{
    Py_ssize_t size = (Py_ssize_t)stream->layout->size;
    Py_ssize_t last = stream->source.length - size;
    while (stream->at <= last) {
        stream->at += size;
        if (!offsets_add(offsets, stream->at)) {
            return WALK_MEMORY;
        }
    }
    return stream->at < stream->source.length ? WALK_BROKEN : WALK_END;
}

/* The only field whose size varies, and is given by one before it; NULL: the
 * layout is not so. *fixed: bytes of all others. */
static const packet_field *
only_tail(const packet_layout *layout, Py_ssize_t *fixed)
{
    const packet_field *tail = NULL;
    *fixed = 0;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        if (field->shape == PACKET_SIZED && tail == NULL) {
            tail = field;
        }
        else if (field->size == PACKET_UNKNOWN) {
            return NULL;
        }
        else if (field->shape != PACKET_BITS || field->run_start) {
            *fixed += (Py_ssize_t)field->size;
        }
    }
    return tail;
}

/* One load gives how far the next record is. */
static walk_stop
walk_tails(bulk_stream *stream, index_offsets *offsets,
           const packet_field *tail, Py_ssize_t fixed)
{
    const packet_field *by = &stream->layout->fields[tail->by];
    const uint8_t *data = stream->source.data;
    Py_ssize_t length = stream->source.length, at = stream->at;
    int64_t scale = tail->scale, less = tail->less;
    bool bits = by->shape == PACKET_BITS;
    while (length - at >= fixed && at < length) {
        const uint8_t *from = data + at + by->offset;
        int64_t value =
            bits ? (int64_t)packet_load_bits(by, from)
                 : packet_load_int((fe_kind)by->kind, by->big, from);
        /* no more than there are, so that nothing below overflows */
        if (value < 0 || value > PY_SSIZE_T_MAX / scale) {
            break;
        }
        Py_ssize_t size = (Py_ssize_t)(value * scale - less);
        if (size < 0 || size > length - at - fixed || fixed + size == 0) {
            break;
        }
        at += fixed + size;
        stream->at = at;
        if (!offsets_add(offsets, at)) {
            return WALK_MEMORY;
        }
    }
    return at < length ? WALK_BROKEN : WALK_END;
}

static walk_stop
walk_any(bulk_stream *stream, index_offsets *offsets)
{
    while (stream->at < stream->source.length) {
        if (bulk_walk(stream, stream->at) < 0
            || stream->starts[stream->layout->count] == stream->at) {
            return WALK_BROKEN;
        }
        stream->at = stream->starts[stream->layout->count];
        if (!offsets_add(offsets, stream->at)) {
            return WALK_MEMORY;
        }
    }
    return WALK_END;
}

static walk_stop
walk_plain(bulk_stream *stream, index_offsets *offsets)
{
    const packet_layout *layout = stream->layout;
    Py_ssize_t fixed;
    if (layout->size != PACKET_UNKNOWN && layout->size > 0) {
        return walk_fixed(stream, offsets);
    }
    const packet_field *tail = only_tail(layout, &fixed);
    return tail != NULL ? walk_tails(stream, offsets, tail, fixed)
                        : walk_any(stream, offsets);
}

/* Records that have others inside. */
static int
walk_inside(bulk_stream *stream, index_offsets *offsets)
{
    while (stream->at < stream->source.length) {
        Py_ssize_t end =
            packet_measure(&stream->source, stream->layout, stream->at, NULL);
        if (end < 0) {
            return -1;
        }
        if (end == stream->at) {
            return bulk_refuse_empty(stream, "index_many()");
        }
        stream->at = end;
        if (!offsets_add(offsets, end)) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

static int
index_walk(bulk_stream *stream, index_offsets *offsets)
{
    walk_stop stop;
    if (!stream->plain) {
        return walk_inside(stream, offsets);
    }
    if (stream->source.length <= BULK_UNLOCK) {
        stop = walk_plain(stream, offsets);
    }
    else {
        Py_BEGIN_ALLOW_THREADS stop = walk_plain(stream, offsets);
        Py_END_ALLOW_THREADS
    }
    if (stop == WALK_MEMORY) {
        PyErr_NoMemory();
    }
    /* sets the error, unless memory has changed: then it goes on */
    return stop == WALK_END      ? 0
           : stop == WALK_BROKEN ? walk_inside(stream, offsets)
                                 : -1;
}

/* Offsets into an array of as many cells. 0, or -1 */
static int
fill_array(PyObject *array, const index_offsets *offsets)
{
    Py_buffer cells;
    if (PyObject_GetBuffer(array, &cells, PyBUF_WRITABLE) < 0) {
        return -1;
    }
    size_t size = offsets->count * sizeof(*offsets->data);
    int status = (size_t)cells.len == size ? 0 : -1;
    if (status == 0) {
        memcpy(cells.buf, offsets->data, size);
    }
    else {
        PyErr_SetString(PyExc_TypeError, "array.array is not array's own");
    }
    PyBuffer_Release(&cells);
    return status;
}

/* new: array('q') of the offsets. They are copied into it, not shown to it: a
 * view of them could be kept. */
static PyObject *
offsets_array(const index_offsets *offsets)
{
    PyObject *module = PyImport_ImportModule("array");
    PyObject *one = module != NULL
                        ? PyObject_CallMethod(module, "array", "s(i)", "q", 0)
                        : NULL;
    PyObject *array = one != NULL
                          ? PySequence_Repeat(one, (Py_ssize_t)offsets->count)
                          : NULL;
    if (array != NULL && fill_array(array, offsets) < 0) {
        Py_CLEAR(array);
    }
    Py_XDECREF(one);
    Py_XDECREF(module);
    return array;
}

const char bulk_index_many__doc__[] =
    "index_many($module, cls, buffer)\n--\n\n"
    "Where the records that lie one after another in buffer begin:\n"
    "array('q') of their offsets, and last the end of the last one.\n\n"
    "Lengths, counts and tags are checked, values and checksums are not.\n\n"
    "Raises WireError where a record does not end within the buffer.";

PyObject *
bulk_index_many(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    static const char *const names[] = {"cls", "buffer", NULL};
    static const fe_sig sig = {"index_many", names, 2, 2};
    PyObject *values[2], *result = NULL;
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    bulk_stream stream;
    if (bulk_open(&stream, wire_get_state(module), values[0], values[1],
                  "index_many")
        < 0) {
        return NULL;
    }
    index_offsets offsets = {NULL, 0, 0};
    if (!offsets_add(&offsets, 0)) {
        PyErr_NoMemory();
    }
    else if (index_walk(&stream, &offsets) == 0) {
        result = offsets_array(&offsets);
    }
    PyMem_RawFree(offsets.data);
    bulk_close(&stream);
    return result;
}
