/* SPDX-License-Identifier: MIT
 *
 * From bytes to records.
 *
 * A record's fields are written where they lie in it, before anything else
 * has seen it; a scalar never becomes an object. What measures another field
 * is read once and kept (packet_slots): the bytes may change meanwhile, by
 * another thread or by Python code that runs here (an Enum's _missing_, the
 * check of a field, __post_init__). The memory itself stays: who calls holds
 * the buffer, and the layout.
 */
#include "packet_parts.h"

static PyObject *read_object(const packet_source *source,
                             const packet_path *path, Py_ssize_t at,
                             int64_t by, Py_ssize_t *end);

/* ---- values */

/* new: the member of a number */
static PyObject *
read_member(const packet_source *source, const packet_path *path,
            Py_ssize_t at, PyObject *number)
{
    const packet_field *field = path->field;
    PyObject *member;
    if (number == NULL
        || PyDict_GetItemRef(field->members, number, &member) < 0) {
        return NULL;
    }
    if (member != NULL) {
        return member;
    }
    member = PyObject_CallOneArg(field->enumeration, number);
    if (member == NULL && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear(); /* ValueError: no such member */
        PyObject *name = PyType_GetName((PyTypeObject *)field->enumeration);
        PyObject *wanted =
            name != NULL ? PyUnicode_FromFormat("a %U", name) : NULL;
        Py_XDECREF(name);
        packet_refuse(source->state, path, at, wanted,
                      packet_shown(field, Py_NewRef(number)));
    }
    return member;
}

/* new: a scalar whose bytes have been copied */
static PyObject *
scalar_object(const packet_source *source, const packet_path *path,
              Py_ssize_t at, const uint8_t *raw)
{
    const packet_field *field = path->field;
    if (field->kind == FE_BOOL8 && *raw > 1) {
        packet_refuse(source->state, path, at, PyUnicode_FromString("0 or 1"),
                      packet_shown(field, PyLong_FromLong(*raw)));
        return NULL;
    }
    PyObject *value = packet_load((fe_kind)field->kind, field->big, raw);
    if (field->enumeration != NULL) {
        PyObject *member = read_member(source, path, at, value);
        Py_XDECREF(value);
        value = member;
    }
    return value;
}

/* new: the value of a bit field */
static PyObject *
bits_object(const packet_source *source, const packet_path *path,
            Py_ssize_t at, uint64_t bits)
{
    const packet_field *field = path->field;
    if (field->as_bool) {
        return PyBool_FromLong(bits != 0);
    }
    PyObject *value = PyLong_FromUnsignedLongLong(bits);
    if (field->enumeration != NULL) {
        PyObject *member = read_member(source, path, at, value);
        Py_XDECREF(value);
        value = member;
    }
    return value;
}

/* WireError: no UTF-8, if that is what is wrong */
static void
refuse_text(const packet_source *source, const packet_path *path,
            Py_ssize_t at, const char *text, Py_ssize_t size)
{
    if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear(); /* UnicodeDecodeError: ours names the field */
        PyObject *start =
            PyBytes_FromStringAndSize(text, size < 32 ? size : 32);
        packet_refuse(source->state, path, at, PyUnicode_FromString("UTF-8"),
                      packet_shown(path->field, start));
    }
}

/* new: str of bytes that nobody else writes */
static PyObject *
decode(const packet_source *source, const packet_path *path, Py_ssize_t at,
       const char *text, Py_ssize_t size)
{
    Py_ssize_t shown = size;
    if (path->field->shape == PACKET_FIXED) {
        size = fe_text_length(text, (uint32_t)size);
    }
    PyObject *value = PyUnicode_DecodeUTF8(text, size, NULL);
    if (value == NULL) {
        refuse_text(source, path, at, text, shown);
    }
    return value;
}

/* new: bytes or str of `size` bytes */
static PyObject *
blob_object(const packet_source *source, const packet_path *path,
            Py_ssize_t at, Py_ssize_t size)
{
    const char *from = size > 0 ? (const char *)source->data + at : "";
    if (path->field->kind == FE_STR && source->stable) {
        return decode(source, path, at, from, size);
    }
    PyObject *copy = PyBytes_FromStringAndSize(from, size);
    if (copy != NULL && path->field->kind == FE_STR) {
        Py_SETREF(copy,
                  decode(source, path, at, PyBytes_AS_STRING(copy), size));
    }
    return copy;
}

/* ---- arrays */

/* new: one item; *end: where it ended */
static PyObject *
read_item(const packet_source *source, const packet_path *path, Py_ssize_t at,
          Py_ssize_t *end)
{
    const packet_field *field = path->field;
    if (field->layout != NULL) {
        return packet_read(source, field->layout, at, path, end);
    }
    uint8_t raw[8];
    memcpy(raw, source->data + at, field->item_size);
    *end = at + (Py_ssize_t)field->item_size;
    return scalar_object(source, path, at, raw);
}

/* new: tuple or list. Untracked while it is filled: Python code may run, and
 * could find it by gc.get_objects(). */
static PyObject *
read_array(const packet_source *source, packet_path *path, Py_ssize_t at,
           int64_t by, Py_ssize_t *end)
{
    bool as_list = path->field->as_list;
    Py_ssize_t count = packet_counted(source, path, at, by);
    if (count < 0) {
        return NULL;
    }
    PyObject *array = as_list ? PyList_New(count) : PyTuple_New(count);
    bool hidden = array != NULL && count > 0;
    if (hidden) {
        PyObject_GC_UnTrack(array);
    }
    for (Py_ssize_t i = 0; array != NULL && i < count; i++) {
        path->item = i;
        PyObject *item = read_item(source, path, at, &at);
        if (item == NULL) {
            Py_CLEAR(array);
        }
        else if (as_list) {
            PyList_SET_ITEM(array, i, item);
        }
        else {
            PyTuple_SET_ITEM(array, i, item);
        }
    }
    if (array != NULL && hidden) {
        PyObject_GC_Track(array);
    }
    *end = at;
    return array;
}

/* new: the value of a field that is no number and has no fixed size of its
 * own; *end: where it ended */
static PyObject *
read_object(const packet_source *source, const packet_path *path,
            Py_ssize_t at, int64_t by, Py_ssize_t *end)
{
    const packet_field *field = path->field;
    packet_path own = *path;
    packet_layout *layout = field->layout;
    Py_ssize_t size = packet_left(source, at);
    switch ((packet_shape)field->shape) {
    case PACKET_ARRAY:
        return read_array(source, &own, at, by, end);
    case PACKET_SIZED:
        size = packet_sized(source, path, at, by);
        if (size < 0) {
            return NULL;
        }
        break;
    case PACKET_TAGGED:
        if (packet_chosen(source, path, at, by, &layout) < 0) {
            return NULL;
        }
        break;
    default:
        break;
    }
    if (layout != NULL) {
        return packet_read(source, layout, at, path, end);
    }
    *end = at + size;
    if (field->shape == PACKET_TAGGED) {
        return PyBytes_FromStringAndSize(
            size > 0 ? (const char *)source->data + at : "", size);
    }
    return blob_object(source, path, at, size);
}

PyObject *
packet_value(const packet_source *source, const packet_layout *layout,
             const packet_field *field, Py_ssize_t at, Py_ssize_t size,
             int64_t by, const packet_path *outer)
{
    packet_path path = {outer, layout, field, -1};
    packet_source own = *source;
    uint8_t raw[8] = {0};
    Py_ssize_t end;
    switch ((packet_shape)field->shape) {
    case PACKET_SCALAR:
        memcpy(raw, source->data + at, field->size);
        return scalar_object(source, &path, at, raw);
    case PACKET_BITS:
        return bits_object(source, &path, at,
                           packet_load_bits(field, source->data + at));
    case PACKET_FIXED:
    case PACKET_SIZED:
    case PACKET_REST:
        return blob_object(source, &path, at, size);
    default:
        own.length = at + size;
        return read_object(&own, &path, at, by, &end);
    }
}

/* ---- records */

/* A record being read. */
typedef struct {
    const packet_source *source;
    const packet_layout *layout;
    PyObject *record;
    packet_slots slots;
} packet_reading;

/* A number of the wire into the record. */
static int
read_scalar(packet_reading *reading, const packet_path *path, Py_ssize_t at)
{
    const packet_field *field = path->field;
    uint8_t *to = (uint8_t *)FE_FIELD_AT(reading->record, field->field);
    uint8_t raw[8];
    memcpy(raw, reading->source->data + at, field->size);
    if (field->measured) {
        reading->slots.numbers[field->slot] =
            packet_load_int((fe_kind)field->kind, field->big, raw);
    }
    if (field->enumeration == NULL
        && (field->kind != FE_BOOL8 || raw[0] <= 1)) {
        packet_move_bytes(field->move, to, raw);
        return 0;
    }
    PyObject *value = scalar_object(reading->source, path, at, raw);
    if (value != NULL) {
        memcpy(to, &value, sizeof(value));
    }
    return value != NULL ? 0 : -1;
}

static int
read_bits(packet_reading *reading, const packet_path *path, Py_ssize_t at)
{
    const packet_field *field = path->field;
    uint64_t bits = packet_load_bits(field, reading->source->data + at);
    if (field->measured) {
        reading->slots.numbers[field->slot] = (int64_t)bits;
    }
    PyObject *value = bits_object(reading->source, path, at, bits);
    FE_FIELD_OBJECT(reading->record, field->field) = value;
    return value != NULL ? 0 : -1;
}

/* Text is looked at where no other thread can change it. */
static int
read_fixed(packet_reading *reading, const packet_path *path, Py_ssize_t at)
{
    const packet_field *field = path->field;
    char *to = FE_FIELD_AT(reading->record, field->field);
    memcpy(to, reading->source->data + at, field->size);
    if (field->kind == FE_BYTES
        || fe_text_is_ascii(to, (Py_ssize_t)field->size)) {
        return 0;
    }
    PyObject *text =
        decode(reading->source, path, at, to, (Py_ssize_t)field->size);
    Py_XDECREF(text);
    return text != NULL ? 0 : -1;
}

/* One field; where the next begins, or -1. */
static Py_ssize_t
read_field(packet_reading *reading, Py_ssize_t index, Py_ssize_t at,
           const packet_path *outer)
{
    const packet_source *source = reading->source;
    const packet_layout *layout = reading->layout;
    const packet_field *field = &layout->fields[index];
    packet_path path = {outer, layout, field, -1};
    if (field->shape <= PACKET_FIXED) {
        Py_ssize_t size = (Py_ssize_t)field->size;
        if (size > packet_left(source, at)) {
            return packet_short(source->state, &path, at, size,
                                packet_left(source, at));
        }
        int status =
            field->shape == PACKET_SCALAR ? read_scalar(reading, &path, at)
            : field->shape == PACKET_BITS ? read_bits(reading, &path, at)
                                          : read_fixed(reading, &path, at);
        return status < 0                       ? -1
               : packet_run_ends(layout, index) ? at + size
                                                : at;
    }
    Py_ssize_t end = at;
    PyObject *value = read_object(
        source, &path, at, packet_by(field, layout, &reading->slots), &end);
    FE_FIELD_OBJECT(reading->record, field->field) = value;
    return value != NULL ? end : -1;
}

/* All fields; where the record ends, or -1. */
static Py_ssize_t
read_fields(packet_reading *reading, Py_ssize_t at, const packet_path *outer)
{
    const packet_layout *layout = reading->layout;
    Py_ssize_t *starts = reading->slots.starts, from = at;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        if (starts != NULL) {
            bool inside = field->shape == PACKET_BITS && !field->run_start;
            starts[i] = inside ? at + (Py_ssize_t)field->size : at;
        }
        at = read_field(reading, i, at, outer);
        if (at < 0) {
            return -1;
        }
    }
    if (layout->sum_count > 0) {
        if (starts != NULL) {
            starts[layout->count] = at;
        }
        if (packet_verify(reading->source, layout, from, starts, outer) < 0) {
            return -1;
        }
    }
    return at;
}

static void
clear_objects(const packet_layout *layout, PyObject *record)
{
    for (Py_ssize_t i = 0; layout->boxed && i < layout->count; i++) {
        const record_field *field = layout->fields[i].field;
        if (field->kind == FE_OBJECT) {
            FE_FIELD_OBJECT(record, field) = NULL;
        }
    }
}

static FE_NOINLINE PyObject *
read_any(const packet_source *source, const packet_layout *layout,
         Py_ssize_t at, const packet_path *outer, Py_ssize_t *end)
{
    const fe_records_capi *records = source->state->records;
    packet_reading reading = {.source = source, .layout = layout};
    bool starts = layout->sum_count > 0 && layout->size == PACKET_UNKNOWN;
    if (packet_slots_take(&reading.slots, layout, starts) < 0) {
        return NULL;
    }
    reading.record = records->begin(layout->cls);
    if (reading.record != NULL) {
        clear_objects(layout, reading.record);
        *end = read_fields(&reading, at, outer);
        if (*end < 0) {
            records->abort(reading.record);
            reading.record = NULL;
        }
    }
    packet_slots_drop(&reading.slots);
    return reading.record != NULL ? records->finish(reading.record) : NULL;
}

PyObject *
packet_read(const packet_source *source, const packet_layout *layout,
            Py_ssize_t at, const packet_path *outer, Py_ssize_t *end)
{
    Py_ssize_t size = (Py_ssize_t)layout->size;
    if (!layout->all_scalar || layout->sum_count > 0
        || size > packet_left(source, at)) {
        return read_any(source, layout, at, outer, end);
    }
    const fe_records_capi *records = source->state->records;
    PyObject *record = records->begin(layout->cls);
    if (record == NULL) {
        return NULL;
    }
    const uint8_t *from = source->data + at;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        packet_step step = layout->steps[i];
        uint8_t *to = (uint8_t *)record + step.record;
        packet_move_bytes(step.move, to, from + step.wire);
        if (FE_UNLIKELY(step.move == PACKET_MOVE_BOOL && *to > 1)) {
            packet_path path = {outer, layout, &layout->fields[i], -1};
            scalar_object(source, &path, at + (Py_ssize_t)step.wire, to);
            records->abort(record);
            return NULL;
        }
    }
    *end = at + size;
    return records->finish(record);
}
