/* SPDX-License-Identifier: MIT
 *
 * unpack, pack and pack_into: the Python functions, and what the packet
 * feature keeps in the module's state.
 */
#include "packet_number.h"
#include "wire_state.h"

/* ---- unpack */

PyDoc_STRVAR(
    packet_unpack__doc__,
    "unpack($module, /, cls, buffer, offset=0)\n--\n\n"
    "The record of the class cls that begins at byte offset of the buffer.\n\n"
    "Bytes after it are ignored. The record is made as the constructor makes "
    "it,\nbut without a call of __init__: checked fields are checked, "
    "__post_init__ runs.\n\n"
    "WireError where the buffer is too short, a checksum is not that of the\n"
    "bytes, or a value cannot be; TypeError for a class that has no layout.");

static const char *const unpack_names[] = {"cls", "buffer", "offset", NULL};
static const fe_sig unpack_sig = {"unpack", unpack_names, 3, 2};

static PyObject *
packet_unpack(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    wire_state *state = wire_get_state(module);
    PyObject *given[3] = {NULL, NULL, NULL};
    if (FE_LIKELY(kwnames == NULL && nargs == 2)) {
        given[0] = args[0];
        given[1] = args[1];
    }
    else if (fe_args_unpack(&unpack_sig, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    packet_layout *layout = packet_layout_of(state, given[0], "unpack");
    if (layout == NULL) {
        return NULL;
    }
    Py_INCREF(layout); /* an offset's __index__ is Python code already */
    PyObject *record = NULL;
    Py_ssize_t offset = wire_offset(given[2], "unpack"), end;
    wire_input input;
    if (offset >= 0 && wire_input_take(given[1], "unpack", &input) == 0) {
        packet_source source = {state, input.data, input.length,
                                input.buffer.obj == NULL};
        record = packet_read(&source, layout, offset, NULL, &end);
        wire_input_drop(&input);
    }
    Py_DECREF(layout);
    return record;
}

/* ---- pack, pack_into */

/* borrowed: the layout by which an object can be written */
static packet_layout *
layout_of_record(wire_state *state, PyObject *record, const char *function)
{
    PyObject *cls = (PyObject *)Py_TYPE(record);
    if (FE_LIKELY(state->records->is_class(state->records, cls))) {
        return packet_layout_of(state, cls, function);
    }
    int found = PyObject_GetOptionalAttr(record, state->str_class, &cls);
    if (found < 0) {
        return NULL;
    }
    packet_layout *layout = NULL;
    if (found > 0 && state->records->is_class(state->records, cls)) {
        layout = packet_layout_of(state, cls, function);
    }
    else {
        PyErr_Format(PyExc_TypeError, "%s() wants a record, got %s", function,
                     Py_TYPE(record)->tp_name);
    }
    Py_XDECREF(cls);
    return layout;
}

/* Scalars only, and no checksum: nothing can go wrong, no code can run. */
static inline bool
is_flat(const packet_layout *layout, PyObject *record)
{
    return layout->all_scalar && layout->sum_count == 0
           && Py_IS_TYPE(record, layout->cls);
}

static void
write_flat(const packet_layout *layout, PyObject *record, uint8_t *at)
{
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        packet_step step = layout->steps[i];
        packet_move_bytes(step.move, at + step.wire,
                          (const uint8_t *)record + step.record);
    }
}

/* new: bytes of the record */
static PyObject *
packed(wire_state *state, PyObject *record, const char *function)
{
    packet_layout *layout = layout_of_record(state, record, function);
    if (layout == NULL) {
        return NULL;
    }
    PyObject *bytes;
    if (is_flat(layout, record)) {
        bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)layout->size);
        if (bytes != NULL) {
            write_flat(layout, record, (uint8_t *)PyBytes_AS_STRING(bytes));
        }
        return bytes;
    }
    Py_INCREF(layout);
    bytes = packet_write(state, layout, record);
    Py_DECREF(layout);
    return bytes;
}

PyDoc_STRVAR(
    packet_pack__doc__,
    "pack($module, record, /)\n--\n\n"
    "The bytes of a record, or of a view of one, its checksums computed.\n\n"
    "ValueError where a length, count or tag is not that of what it "
    "measures;\n"
    "TypeError and OverflowError where a value does not go with its field, "
    "or\n"
    "the class has no layout.");

static PyObject *
packet_pack(PyObject *module, PyObject *record)
{
    return packed(wire_get_state(module), record, "pack");
}

PyDoc_STRVAR(
    packet_pack_into__doc__,
    "pack_into($module, /, record, buffer, offset=0)\n--\n\n"
    "Write the bytes of a record at byte offset of the buffer; how many.\n\n"
    "Nothing is written on an error: those of pack(), WireError for a buffer\n"
    "that is too short, BufferError for one that is read-only.");

static const char *const pack_into_names[] = {"record", "buffer", "offset",
                                              NULL};
static const fe_sig pack_into_sig = {"pack_into", pack_into_names, 3, 2};

/* WireError of a buffer that is too short */
static void
refuse_room(const wire_state *state, Py_ssize_t offset, Py_ssize_t wanted,
            Py_ssize_t had)
{
    PyObject *error =
        PyObject_CallFunction(state->wire_error, "nnn", offset, wanted, had);
    PyObject *where =
        error != NULL ? PyUnicode_FromString("pack_into()") : NULL;
    if (where != NULL
        && PyObject_SetAttr(error, state->str_where, where) == 0) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    }
    Py_XDECREF(where);
    Py_XDECREF(error);
}

static Py_ssize_t
copy_into(const wire_state *state, PyObject *bytes, PyObject *buffer,
          Py_ssize_t offset)
{
    wire_input memory;
    if (wire_input_take_slow(buffer, PyBUF_WRITABLE, "pack_into", &memory)
        < 0) {
        return -1;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    Py_ssize_t left = offset < memory.length ? memory.length - offset : 0;
    if (size > left) {
        refuse_room(state, offset, size, left);
        size = -1;
    }
    else if (size > 0) {
        memcpy((char *)memory.buffer.buf + offset, PyBytes_AS_STRING(bytes),
               (size_t)size);
    }
    wire_input_drop(&memory);
    return size;
}

static PyObject *
packet_pack_into(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    wire_state *state = wire_get_state(module);
    PyObject *given[3];
    if (fe_args_unpack(&pack_into_sig, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    PyObject *bytes = packed(state, given[0], "pack_into");
    if (bytes == NULL) {
        return NULL;
    }
    Py_ssize_t offset = wire_offset(given[2], "pack_into");
    Py_ssize_t size =
        offset < 0 ? -1 : copy_into(state, bytes, given[1], offset);
    Py_DECREF(bytes);
    return size < 0 ? NULL : PyLong_FromSsize_t(size);
}

/* ---- registration */

static PyMethodDef packet_methods[] = {
    {"unpack", FE_METHOD(packet_unpack), METH_FASTCALL | METH_KEYWORDS,
     packet_unpack__doc__},
    {"pack", FE_METHOD(packet_pack), METH_O, packet_pack__doc__},
    {"pack_into", FE_METHOD(packet_pack_into), METH_FASTCALL | METH_KEYWORDS,
     packet_pack_into__doc__},
    {NULL, NULL, 0, NULL},
};

/* The markers and WireError live in Python, shared with the twin. */
static int
find_marks(PyObject *module, wire_state *state)
{
    const struct {
        const char *name;
        PyObject **kept;
    } wanted[] = {
        {"WireError", &state->wire_error},
        {"Bits", &state->bits_mark},
        {"Count", &state->count_mark},
        {"SizedBy", &state->sized_mark},
        {"Tagged", &state->tagged_mark},
        {"Crc32", &state->crc32_mark},
        {"Crc32c", &state->crc32c_mark},
        {"InternetChecksum", &state->internet_mark},
    };
    PyObject *markers = PyImport_ImportModule("ferrule.pure._wire_layout");
    int status = markers != NULL ? 0 : -1;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(wanted) && status == 0; i++) {
        PyObject *mark = fe_getattr(markers, wanted[i].name);
        if (mark == NULL || !PyType_Check(mark)) {
            Py_XDECREF(mark);
            status = -1;
            break;
        }
        Py_XSETREF(*wanted[i].kept, mark);
        status = PyModule_AddObjectRef(module, wanted[i].name, mark);
    }
    Py_XDECREF(markers);
    return status;
}

static int
find_names(wire_state *state)
{
    const struct {
        const char *name;
        PyObject **kept;
    } wanted[] = {
        {"__metadata__", &state->str_metadata},
        {"__origin__", &state->str_origin},
        {"__args__", &state->str_args},
        {"__class__", &state->str_class},
        {"parts", &state->str_parts},
        {"value", &state->str_value},
        {"where", &state->str_where},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(wanted); i++) {
        *wanted[i].kept = PyUnicode_InternFromString(wanted[i].name);
        if (*wanted[i].kept == NULL) {
            return -1;
        }
    }
    return 0;
}

int
packet_register(PyObject *module, wire_state *state)
{
    PyObject *enums = PyImport_ImportModule("enum");
    state->enum_type = enums != NULL ? fe_getattr(enums, "Enum") : NULL;
    Py_XDECREF(enums);
    state->layout_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &packet_layout_spec, NULL);
    if (state->enum_type == NULL || state->layout_type == NULL
        || find_names(state) < 0) {
        return -1;
    }
    return find_marks(module, state) < 0
               ? -1
               : PyModule_AddFunctions(module, packet_methods);
}
