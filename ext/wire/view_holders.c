/* SPDX-License-Identifier: MIT
 *
 * Who keeps memory alive, and the article's packet in three views.
 */
#include "view_object.h"

/* ---- holders */

/* new: whose memory `buffer` is; NULL with TypeError, ValueError or what the
 * exporter raises. It is asked for its buffer, so that a memoryview is alive
 * when it is looked through. */
static PyObject *
holders_exporter(wire_state *state, PyObject *buffer, const char *function)
{
    const wire_hold *hold = wire_hold_of(state, buffer);
    Py_buffer probe;
    if (PyBytes_CheckExact(buffer)) {
        return Py_NewRef(buffer);
    }
    if (hold != NULL && hold->exporter != NULL) {
        return Py_NewRef(hold->exporter);
    }
    if (!PyObject_CheckBuffer(buffer)) {
        PyErr_Format(PyExc_TypeError, "%s() wants a buffer, got %s", function,
                     view_type_name(buffer));
        return NULL;
    }
    if (PyObject_GetBuffer(buffer, &probe, PyBUF_FULL_RO) < 0) {
        return NULL;
    }
    PyObject *exporter = Py_NewRef(view_exporter_of(state, buffer));
    PyBuffer_Release(&probe);
    return exporter;
}

/* new: list of the objects that hold the exporter's memory, in no
 * order. The
 * list is made to size before it is filled: nothing runs in between that
 * could change the table, and what was added or dropped while it was being
 * made is why it is tried again. */
static PyObject *
holders_list(wire_state *state, const PyObject *exporter)
{
    for (;;) {
        Py_ssize_t count = 0, filled = 0;
        wire_hold *hold = *view_bucket(&state->views, exporter);
        for (; hold != NULL; hold = hold->next) {
            count += hold->exporter == exporter;
        }
        PyObject *list = PyList_New(count);
        if (list == NULL) {
            return NULL;
        }
        hold = *view_bucket(&state->views, exporter);
        for (; hold != NULL; hold = hold->next) {
            if (hold->exporter == exporter && filled++ < count) {
                PyList_SET_ITEM(list, filled - 1, Py_NewRef(hold));
            }
        }
        if (filled == count) {
            return list;
        }
        Py_DECREF(list);
    }
}

PyDoc_STRVAR(
    holders__doc__,
    "holders(buffer, /)\n--\n\n"
    "Every live View, LayoutView and Frame of the buffer's memory.\n\n"
    "Of a View, LayoutView, Frame or memoryview: of its exporter's.\n"
    "In time that grows with their number only. TypeError for what\n"
    "is no buffer, ValueError for a released one.");

static PyObject *
holders(PyObject *module, PyObject *buffer)
{
    wire_state *state = wire_get_state(module);
    PyObject *exporter = holders_exporter(state, buffer, "holders");
    PyObject *list = exporter != NULL ? holders_list(state, exporter) : NULL;
    Py_XDECREF(exporter);
    return list;
}

/* -1 with BufferError that names who is in use: by type and site, for repr of
 * a LayoutView reads all its fields */
static int
holders_check_idle(PyObject *list)
{
    PyObject *busy = NULL;
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        if (((wire_hold *)PyList_GET_ITEM(list, i))->exports != 0) {
            count++;
            busy = PyList_GET_ITEM(list, i);
        }
    }
    if (count > 0) {
        const wire_hold *hold = (wire_hold *)busy;
        PyErr_Format(PyExc_BufferError,
                     "release_all(): buffers of %zd of %zd holders are still "
                     "in use: %s%s%V",
                     count, PyList_GET_SIZE(list), view_type_name(busy),
                     hold->site != NULL ? " made at " : "", hold->site, "");
    }
    return count > 0 ? -1 : 0;
}

PyDoc_STRVAR(release_all__doc__,
             "release_all(buffer, /)\n--\n\n"
             "Release all holders of the buffer's memory; how many there "
             "were.\n\n"
             "BufferError while buffers of one of them are in use: then none\n"
             "is released. TypeError and ValueError as holders().");

static PyObject *
release_all(PyObject *module, PyObject *buffer)
{
    wire_state *state = wire_get_state(module);
    PyObject *exporter = holders_exporter(state, buffer, "release_all");
    PyObject *list = exporter != NULL ? holders_list(state, exporter) : NULL;
    Py_ssize_t count = 0;
    if (list == NULL || holders_check_idle(list) < 0) {
        Py_XDECREF(exporter);
        Py_XDECREF(list);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        wire_hold *hold = (wire_hold *)PyList_GET_ITEM(list, i);
        /* an exporter's release may have run Python code meanwhile */
        if (hold->exporter != NULL && hold->exports == 0) {
            wire_hold_drop(state, hold);
            count++;
        }
    }
    Py_DECREF(exporter);
    Py_DECREF(list);
    return PyLong_FromSsize_t(count);
}

PyDoc_STRVAR(track_sites__doc__,
             "track_sites(on, /)\n--\n\n"
             "From now on note (or do not) where views are made: View.site.\n"
             "Was it on before?");

static PyObject *
track_sites(PyObject *module, PyObject *on)
{
    view_table *table = &wire_get_state(module)->views;
    int truth = PyObject_IsTrue(on);
    if (truth < 0) {
        return NULL;
    }
    bool before = table->track_sites;
    table->track_sites = truth > 0;
    return PyBool_FromLong(before);
}

/* ---- the packet */

#define PACKET_BYTES 1028
static const Py_ssize_t packet_bounds[] = {0, 12, 1024, PACKET_BYTES};

/* new: three views of a hold, the pieces that are there */
static PyObject *
packet_pieces(wire_state *state, const wire_hold *from, bool tracked)
{
    PyObject *tuple = PyTuple_New(3);
    Py_ssize_t start = 0;
    for (int i = 0; tuple != NULL && i < 3; i++) {
        Py_ssize_t stop = packet_bounds[i + 1];
        stop = stop < from->length ? stop : from->length;
        view_object *piece = view_sub(state, state->view_type, from, start,
                                      stop - start, tracked);
        if (piece == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, (PyObject *)piece);
        start = stop;
    }
    return tuple;
}

#ifndef FE_NO_FREELIST
/* new: the same of exactly bytes. Three dead views, one place in the table:
 * what is asked three times elsewhere is asked once (2 of 43 ns). */
FE_INLINE PyObject *
packet_pieces_fast(wire_state *state, const wire_hold *from)
{
    view_table *table = &state->views;
    PyObject *tuple = PyTuple_New(3);
    if (FE_UNLIKELY(tuple == NULL)) {
        return NULL;
    }
    /* now: PyTuple_New may run the collector, and that Python code */
    if (FE_UNLIKELY(table->track_sites || table->free_count < 3)) {
        Py_DECREF(tuple);
        return packet_pieces(state, from, false);
    }
    table->count += 3;
    if (FE_UNLIKELY(table->count > table->size)) {
        view_table_grow(table);
    }
    wire_hold **bucket = view_bucket(table, from->exporter);
    Py_ssize_t start = 0;
    for (int i = 0; i < 3; i++) {
        Py_ssize_t stop = packet_bounds[i + 1];
        view_object *piece =
            (view_object *)fe_revive(view_pop(table), state->view_type);
        view_fill(piece, from, start, stop - start, false);
        view_link_into(bucket, &piece->hold);
        PyTuple_SET_ITEM(tuple, i, (PyObject *)piece);
        start = stop;
    }
    return tuple;
}
#endif

/* new: of exactly bytes */
FE_INLINE PyObject *
packet_of_bytes(wire_state *state, PyObject *bytes)
{
    wire_hold from;
    from.exporter = bytes;
    from.pin = NULL;
    from.data = PyBytes_AS_STRING(bytes);
    from.length = PyBytes_GET_SIZE(bytes);
    from.readonly = true;
    if (FE_UNLIKELY(state->view_type == NULL)) {
        wire_refuse_shut();
        return NULL;
    }
#ifndef FE_NO_FREELIST
    if (FE_LIKELY(from.length >= PACKET_BYTES)) {
        return packet_pieces_fast(state, &from);
    }
#endif
    return packet_pieces(state, &from, false);
}

/* 0, or -1 with WireError */
static int
packet_check(wire_state *state, Py_ssize_t length)
{
    if (length >= PACKET_BYTES) {
        return 0;
    }
    wire_refuse(state, 0, PyLong_FromLong(PACKET_BYTES),
                PyLong_FromSsize_t(length),
                PyUnicode_FromString("parse_packet_zero_copy()"));
    return -1;
}

static const char *const packet_names[] = {"data", "strict", NULL};
static const fe_sig packet_sig = {"parse_packet_zero_copy", packet_names, 1,
                                  1};

static FE_NOINLINE PyObject *
packet_of_buffer(wire_state *state, PyObject *data, bool strict)
{
    if (state->view_type == NULL) {
        wire_refuse_shut();
        return NULL;
    }
    view_object *all = view_take_bytes(state, state->view_type, data,
                                       "parse_packet_zero_copy");
    if (all == NULL) {
        return NULL;
    }
    PyObject *pieces = NULL;
    if (!strict || packet_check(state, all->hold.length) == 0) {
        pieces = packet_pieces(state, &all->hold, all->tracked);
    }
    Py_DECREF(all);
    return pieces;
}

static FE_NOINLINE PyObject *
packet_any(wire_state *state, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    PyObject *values[2];
    if (fe_args_unpack(&packet_sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    int strict = values[1] != NULL ? PyObject_IsTrue(values[1]) : 0;
    return strict < 0 ? NULL : packet_of_buffer(state, values[0], strict > 0);
}

PyDoc_STRVAR(
    parse_packet_zero_copy__doc__,
    "parse_packet_zero_copy(data, *, strict=False)\n--\n\n"
    "(header, payload, checksum): views of bytes 0 to 12, 12 to 1024\n"
    "and 1024 to 1028 of any contiguous buffer, without a copy.\n\n"
    "Pieces that are not there are shorter, or empty; strict:\n"
    "WireError for less than 1,028 bytes. TypeError and BufferError\n"
    "for what is no contiguous buffer.");

static PyObject *
parse_packet_zero_copy(PyObject *module, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames)
{
    wire_state *state = PyModule_GetState(module);
    if (FE_LIKELY(nargs == 1 && kwnames == NULL
                  && PyBytes_CheckExact(args[0]))) {
        return packet_of_bytes(state, args[0]);
    }
    return packet_any(state, args, nargs, kwnames);
}

static PyMethodDef holders_functions[] = {
    {"holders", holders, METH_O, holders__doc__},
    {"parse_packet_zero_copy", FE_METHOD(parse_packet_zero_copy),
     METH_FASTCALL | METH_KEYWORDS, parse_packet_zero_copy__doc__},
    {"release_all", release_all, METH_O, release_all__doc__},
    {"track_sites", track_sites, METH_O, track_sites__doc__},
    {NULL, NULL, 0, NULL},
};

int
view_holders_register(PyObject *module)
{
    return PyModule_AddFunctions(module, holders_functions);
}
