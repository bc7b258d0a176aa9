/* SPDX-License-Identifier: MIT
 *
 * From records to bytes.
 *
 * In one pass, into a bytes object that grows: each value is read once, so
 * what a value's own code does to the record meanwhile cannot make lengths
 * and data disagree. A number that measures a later field is kept, and
 * compared when that field is written; checksums are filled in when the
 * record around them is whole. Whoever wants the bytes elsewhere copies them
 * from here: nothing is written there on an error.
 *
 * A record of exactly the layout's class is read in place, past its
 * descriptors; anything else that says it is one, by attribute.
 */
#include "packet_write.h"

static int write_record(packet_writer *writer, const packet_layout *layout,
                        PyObject *record, const packet_path *outer);

/* ---- the bytes */

static FE_NOINLINE int
grow(packet_writer *writer, Py_ssize_t size)
{
    if (size > PY_SSIZE_T_MAX / 2 - writer->used) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t room = writer->used + size;
    room += room / 2 + 64;
    PyObject *larger = PyBytes_FromStringAndSize(NULL, room);
    if (larger == NULL) {
        return -1;
    }
    memcpy(PyBytes_AS_STRING(larger), packet_writer_data(writer),
           (size_t)writer->used);
    Py_SETREF(writer->bytes, larger);
    writer->room = room;
    return 0;
}

uint8_t *
packet_writer_take(packet_writer *writer, Py_ssize_t size)
{
    if (size > writer->room - writer->used && grow(writer, size) < 0) {
        return NULL;
    }
    uint8_t *at = packet_writer_data(writer) + writer->used;
    writer->used += size;
    return at;
}

static int
writer_begin(packet_writer *writer, wire_state *state, Py_ssize_t room)
{
    *writer = (packet_writer){
        .state = state,
        .bytes = PyBytes_FromStringAndSize(NULL, room),
        .room = room,
    };
    return writer->bytes != NULL ? 0 : -1;
}

/* ---- lengths that disagree */

/* ValueError "P.n: says 3, data has 4 bytes"; stolen: says; -1 */
static int
disagree(const packet_path *path, PyObject *says, Py_ssize_t count,
         const char *what)
{
    const packet_field *by = &path->layout->fields[path->field->by];
    packet_path measure = {path->outer, path->layout, by, -1};
    says = packet_shown(by, says);
    PyObject *where = says != NULL ? packet_where(&measure) : NULL;
    if (where != NULL) {
        PyErr_Format(PyExc_ValueError, "%U: says %S, %U has %zd %s", where,
                     says, path->field->field->name, count, what);
        Py_DECREF(where);
    }
    Py_XDECREF(says);
    return -1;
}

/* Does number * scale - less come to the size? */
static bool
agrees(const packet_path *path, int64_t by, Py_ssize_t size)
{
    const packet_field *field = path->field;
    bool large = by < 0 || by > (int64_t)1 << 40;
    return !large && by * field->scale - field->less == size;
}

/* ---- fields */

/* Is it exactly a record of the class, or a view of one? -1 */
static int
packet_holds(const wire_state *state, const packet_layout *layout,
             PyObject *value)
{
    if (FE_LIKELY(Py_IS_TYPE(value, layout->cls))) {
        return 1;
    }
    PyObject *cls;
    int found = PyObject_GetOptionalAttr(value, state->str_class, &cls);
    Py_XDECREF(cls); /* only its address counts */
    return found < 0 ? -1 : cls == (PyObject *)layout->cls;
}

static int
write_blob(packet_writer *writer, const packet_path *path, int64_t by,
           PyObject *value)
{
    Py_ssize_t size;
    const char *data = packet_blob(path, value, &size);
    if (data == NULL) {
        return -1;
    }
    if (path->field->shape == PACKET_SIZED && !agrees(path, by, size)) {
        return disagree(path, packet_scaled(path, by), size, "bytes");
    }
    uint8_t *at = packet_writer_take(writer, size);
    if (at == NULL) {
        return -1;
    }
    memcpy(at, data, (size_t)size);
    return 0;
}

/* A record in a field or an array's item. */
static int
write_inner(packet_writer *writer, const packet_path *path,
            const packet_layout *layout, PyObject *value)
{
    int holds = packet_holds(writer->state, layout, value);
    if (holds > 0) {
        return write_record(writer, layout, value, path);
    }
    PyObject *name = holds == 0 ? PyType_GetName(layout->cls) : NULL;
    const char *wanted = name != NULL ? PyUnicode_AsUTF8(name) : NULL;
    if (wanted != NULL) {
        packet_wrong(path, PyExc_TypeError, wanted, value);
    }
    Py_XDECREF(name);
    return -1;
}

/* Items that are scalars: their place is taken at once. A value's own code
 * may run, but knows nothing of the writer. */
static int
write_scalars(packet_writer *writer, packet_path *path, PyObject *items)
{
    const packet_field *field = path->field;
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    Py_ssize_t each = (Py_ssize_t)field->item_size;
    if (count > PY_SSIZE_T_MAX / 16) {
        PyErr_NoMemory();
        return -1;
    }
    uint8_t *at = packet_writer_take(writer, count * each);
    int status = at != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        path->item = i;
        status = packet_put_fixed(writer->state, path, at + i * each,
                                  PyTuple_GET_ITEM(items, i));
    }
    return status;
}

static int
write_items(packet_writer *writer, const packet_path *path, PyObject *items)
{
    packet_path own = *path;
    if (path->field->layout == NULL) {
        return write_scalars(writer, &own, items);
    }
    for (own.item = 0; own.item < PyTuple_GET_SIZE(items); own.item++) {
        if (write_inner(writer, &own, path->field->layout,
                        PyTuple_GET_ITEM(items, own.item))
            < 0) {
            return -1;
        }
    }
    return 0;
}

static int
refuse_count(const packet_path *path, int64_t by, Py_ssize_t count)
{
    const packet_field *field = path->field;
    if (field->by >= 0) {
        return disagree(path, packet_scaled(path, by), count, "items");
    }
    PyObject *where = packet_where(path);
    if (where != NULL) {
        PyErr_Format(PyExc_ValueError, "%U: wanted %u items, got %zd", where,
                     (unsigned)field->count, count);
        Py_DECREF(where);
    }
    return -1;
}

/* A list is copied first: it could change while items are written. */
static int
write_array(packet_writer *writer, const packet_path *path, int64_t by,
            PyObject *value)
{
    const packet_field *field = path->field;
    if (!PyTuple_Check(value) && !PyList_Check(value)) {
        return packet_wrong(path, PyExc_TypeError,
                            field->as_list ? "list" : "tuple", value);
    }
    PyObject *items =
        PyTuple_Check(value) ? Py_NewRef(value) : PyList_AsTuple(value);
    if (items == NULL) {
        return -1;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    bool right = field->by < 0 ? count == (Py_ssize_t)field->count
                               : agrees(path, by, count);
    int status = right ? write_items(writer, path, items)
                       : refuse_count(path, by, count);
    Py_DECREF(items);
    return status;
}

/* TypeError "P.body: wanted A for tag 1, got B"; -1 */
static int
refuse_body(const wire_state *state, const packet_path *path,
            const packet_layout *chosen, int64_t by, PyObject *value)
{
    PyObject *cls = PyObject_GetAttr(value, state->str_class);
    PyObject *got = cls != NULL && PyType_Check(cls)
                        ? PyType_GetName((PyTypeObject *)cls)
                        : NULL;
    PyObject *wanted = got == NULL      ? NULL
                       : chosen != NULL ? PyType_GetName(chosen->cls)
                                        : PyUnicode_FromString("bytes");
    PyObject *where = wanted != NULL ? packet_where(path) : NULL;
    const packet_field *measure = &path->layout->fields[path->field->by];
    PyObject *tag =
        where != NULL
            ? packet_shown(measure, packet_number_object(measure, by))
            : NULL;
    if (tag != NULL) {
        PyErr_Format(PyExc_TypeError, "%U: wanted %U for tag %S, got %U",
                     where, wanted, tag, got);
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "__class__ is no class");
    }
    Py_XDECREF(tag);
    Py_XDECREF(where);
    Py_XDECREF(wanted);
    Py_XDECREF(got);
    Py_XDECREF(cls);
    return -1;
}

/* ValueError "P.kind: wanted a tag of 1, 2, got 3"; -1 */
static int
refuse_tag(const packet_path *path, int64_t by)
{
    const packet_field *field = &path->layout->fields[path->field->by];
    packet_path measure = {path->outer, path->layout, field, -1};
    PyObject *where = packet_where(&measure);
    PyObject *tag = where != NULL
                        ? packet_shown(field, packet_number_object(field, by))
                        : NULL;
    if (tag != NULL) {
        PyErr_Format(PyExc_ValueError, "%U: wanted a tag of %U, got %S", where,
                     path->field->tags, tag);
    }
    Py_XDECREF(tag);
    Py_XDECREF(where);
    return -1;
}

static int
write_tagged(packet_writer *writer, const packet_path *path, int64_t by,
             PyObject *value)
{
    packet_layout *chosen;
    if (!packet_choose(path->field, by, &chosen)) {
        return refuse_tag(path, by);
    }
    if (chosen == NULL) {
        return PyBytes_Check(value)
                   ? write_blob(writer, path, by, value)
                   : refuse_body(writer->state, path, NULL, by, value);
    }
    int holds = packet_holds(writer->state, chosen, value);
    if (holds <= 0) {
        return holds < 0 ? -1
                         : refuse_body(writer->state, path, chosen, by, value);
    }
    return write_record(writer, chosen, value, path);
}

/* The value of a field that is no scalar, bits or fixed. */
static int
write_value(packet_writer *writer, const packet_path *path, int64_t by,
            PyObject *value)
{
    switch ((packet_shape)path->field->shape) {
    case PACKET_NESTED:
        return write_inner(writer, path, path->field->layout, value);
    case PACKET_ARRAY:
        return write_array(writer, path, by, value);
    case PACKET_TAGGED:
        return write_tagged(writer, path, by, value);
    default:
        return write_blob(writer, path, by, value);
    }
}

/* ---- records */

/* A record being written. */
typedef struct {
    packet_writer *writer;
    const packet_layout *layout;
    PyObject *record;
    bool in_place; /* exactly of the class: its fields lie where they should */
    uint64_t run;  /* of bits, so far */
    packet_slots slots;
} packet_writing;

/* new: the value of a field; None if it has none */
static PyObject *
value_of(const packet_writing *writing, const packet_field *field)
{
    if (writing->in_place) {
        PyObject *value = FE_FIELD_OBJECT(writing->record, field->field);
        return Py_NewRef(value != NULL ? value : Py_None);
    }
    PyObject *value;
    int found =
        PyObject_GetOptionalAttr(writing->record, field->field->name, &value);
    return found == 0 ? Py_NewRef(Py_None) : value;
}

/* One of a bit run; the run is written with its last. */
static int
write_bits(packet_writing *writing, const packet_path *path, Py_ssize_t index)
{
    const packet_field *field = path->field;
    uint64_t bits;
    PyObject *value = value_of(writing, field);
    int status = value != NULL ? packet_put_bits(writing->writer->state, path,
                                                 value, &bits)
                               : -1;
    Py_XDECREF(value);
    if (status < 0) {
        return -1;
    }
    if (field->measured) {
        writing->slots.numbers[field->slot] = (int64_t)bits;
    }
    writing->run =
        (field->run_start ? 0 : writing->run) | bits << field->shift;
    if (!packet_run_ends(writing->layout, index)) {
        return 0;
    }
    uint8_t *at = packet_writer_take(writing->writer, (Py_ssize_t)field->size);
    if (at == NULL) {
        return -1;
    }
    packet_store_run(at, field->size, field->big, writing->run);
    return 0;
}

/* A scalar, or fixed bytes or text. */
static int
write_fixed(packet_writing *writing, const packet_path *path)
{
    const packet_field *field = path->field;
    uint8_t *at = packet_writer_take(writing->writer, (Py_ssize_t)field->size);
    if (at == NULL) {
        return -1;
    }
    int status = 0;
    if (field->sum != PACKET_NO_SUM) {
        memset(at, 0, field->size); /* until it is computed */
    }
    else if (writing->in_place && field->field->kind != FE_OBJECT) {
        const char *from = FE_FIELD_AT(writing->record, field->field);
        if (field->shape == PACKET_FIXED) {
            memcpy(at, from, field->size);
        }
        else {
            packet_move_bytes(field->move, at, (const uint8_t *)from);
        }
    }
    else {
        PyObject *value = value_of(writing, field);
        status = value != NULL ? packet_put_fixed(writing->writer->state, path,
                                                  at, value)
                               : -1;
        Py_XDECREF(value);
    }
    if (status == 0 && field->measured) {
        writing->slots.numbers[field->slot] = packet_number_at(field, at);
    }
    return status;
}

static int
write_field(packet_writing *writing, Py_ssize_t index,
            const packet_path *outer)
{
    const packet_layout *layout = writing->layout;
    const packet_field *field = &layout->fields[index];
    packet_path path = {outer, layout, field, -1};
    if (field->shape == PACKET_BITS) {
        return write_bits(writing, &path, index);
    }
    if (field->shape < PACKET_SIZED) {
        return write_fixed(writing, &path);
    }
    PyObject *value = value_of(writing, field);
    int status =
        value != NULL
            ? write_value(writing->writer, &path,
                          packet_by(field, layout, &writing->slots), value)
            : -1;
    Py_XDECREF(value);
    return status;
}

static int
write_fields(packet_writing *writing, const packet_path *outer)
{
    const packet_layout *layout = writing->layout;
    packet_writer *writer = writing->writer;
    Py_ssize_t *starts = writing->slots.starts, from = writer->used;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        if (starts != NULL) {
            starts[i] = writer->used;
        }
        if (write_field(writing, i, outer) < 0) {
            return -1;
        }
        /* a run is its first field's: the others begin where it ends */
        for (Py_ssize_t k = i;
             starts != NULL && field->shape == PACKET_BITS
             && packet_run_ends(layout, i) && !layout->fields[k].run_start;
             k--) {
            starts[k] = writer->used;
        }
    }
    if (layout->sum_count > 0) {
        if (starts != NULL) {
            starts[layout->count] = writer->used;
        }
        packet_seal(writer->state, layout, packet_writer_data(writer), from,
                    starts);
    }
    return 0;
}

static int
write_record(packet_writer *writer, const packet_layout *layout,
             PyObject *record, const packet_path *outer)
{
    packet_writing writing = {
        .writer = writer,
        .layout = layout,
        .record = record,
        .in_place = Py_IS_TYPE(record, layout->cls),
    };
    bool starts = layout->sum_count > 0 && layout->size == PACKET_UNKNOWN;
    if (packet_slots_take(&writing.slots, layout, starts) < 0) {
        return -1;
    }
    int status = write_fields(&writing, outer);
    packet_slots_drop(&writing.slots);
    return status;
}

/* ---- what others call */

/* How many bytes will be wanted, roughly: those of the largest bytes among
 * the fields are not moved when the guess is right. */
static Py_ssize_t
guess(const packet_layout *layout, PyObject *record)
{
    Py_ssize_t size = (Py_ssize_t)layout->minimum;
    for (Py_ssize_t i = 0;
         Py_IS_TYPE(record, layout->cls) && i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        if (field->shape != PACKET_SIZED && field->shape != PACKET_REST) {
            continue;
        }
        PyObject *value = FE_FIELD_OBJECT(record, field->field);
        if (value != NULL && PyBytes_Check(value)
            && PyBytes_GET_SIZE(value) < PY_SSIZE_T_MAX / 4 - size) {
            size += PyBytes_GET_SIZE(value);
        }
    }
    return size;
}

PyObject *
packet_write(wire_state *state, const packet_layout *layout, PyObject *record)
{
    packet_writer writer;
    if (writer_begin(&writer, state, guess(layout, record)) < 0) {
        return NULL;
    }
    if (write_record(&writer, layout, record, NULL) < 0) {
        Py_CLEAR(writer.bytes);
    }
    else if (writer.used != writer.room) {
        Py_SETREF(writer.bytes,
                  PyBytes_FromStringAndSize(PyBytes_AS_STRING(writer.bytes),
                                            writer.used));
    }
    return writer.bytes;
}

/* The value's bytes, if they are as many as the field has. */
static int
put_value(wire_state *state, const packet_path *path, uint8_t *at,
          Py_ssize_t size, int64_t by, PyObject *value)
{
    packet_writer writer;
    if (writer_begin(&writer, state, size) < 0) {
        return -1;
    }
    int status = write_value(&writer, path, by, value);
    if (status == 0 && writer.used != size) {
        PyObject *where = packet_where(path);
        if (where != NULL) {
            PyErr_Format(PyExc_ValueError, "%U: wanted %zd bytes, got %zd",
                         where, size, writer.used);
            Py_DECREF(where);
        }
        status = -1;
    }
    if (status == 0) {
        memcpy(at, packet_writer_data(&writer), (size_t)size);
    }
    Py_DECREF(writer.bytes);
    return status;
}

int
packet_put(wire_state *state, const packet_layout *layout,
           const packet_field *field, uint8_t *at, Py_ssize_t size, int64_t by,
           PyObject *value, const packet_path *outer)
{
    packet_path path = {outer, layout, field, -1};
    uint64_t bits;
    if (field->shape != PACKET_BITS) {
        return field->shape < PACKET_SIZED
                   ? packet_put_fixed(state, &path, at, value)
                   : put_value(state, &path, at, size, by, value);
    }
    if (packet_put_bits(state, &path, value, &bits) < 0) {
        return -1;
    }
    uint64_t mask = packet_bits_mask(field) << field->shift;
    uint64_t run = packet_load_run(at, field->size, field->big);
    packet_store_run(at, field->size, field->big,
                     (run & ~mask) | bits << field->shift);
    return 0;
}
