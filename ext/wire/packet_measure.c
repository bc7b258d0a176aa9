/* SPDX-License-Identifier: MIT
 *
 * How large a packet is, from its lengths, counts and tags alone: nothing is
 * made of its values. Sizes are compared with what is left before anything
 * is added to an offset, so that none can run over.
 */
#include "packet_parts.h"

/* Numbers within this, scaled, are far from the end of int64_t. */
#define PLAIN_MAX ((int64_t)1 << 40)

static const packet_field *
by_field(const packet_path *path)
{
    return &path->layout->fields[path->field->by];
}

int64_t
packet_number_at(const packet_field *field, const uint8_t *at)
{
    return field->shape == PACKET_BITS
               ? (int64_t)packet_load_bits(field, at)
               : packet_load_int((fe_kind)field->kind, field->big, at);
}

/* ---- errors */

/* new: number * scale */
static PyObject *
times(PyObject *number, uint32_t scale)
{
    PyObject *factor = number != NULL ? PyLong_FromUnsignedLong(scale) : NULL;
    PyObject *product =
        factor != NULL ? PyNumber_Multiply(number, factor) : NULL;
    Py_XDECREF(factor);
    Py_XDECREF(number);
    return product;
}

PyObject *
packet_scaled(const packet_path *path, int64_t by)
{
    const packet_field *field = path->field;
    PyObject *product =
        times(packet_number_object(by_field(path), by), field->scale);
    PyObject *less =
        product != NULL ? PyLong_FromUnsignedLong(field->less) : NULL;
    PyObject *size = less != NULL ? PyNumber_Subtract(product, less) : NULL;
    Py_XDECREF(less);
    Py_XDECREF(product);
    return size;
}

/* WireError: "at least 20 by header_words"; -1 */
static int
refuse_negative(const packet_source *source, const packet_path *path,
                Py_ssize_t at, int64_t by)
{
    PyObject *wanted =
        PyUnicode_FromFormat("at least %u by %U", (unsigned)path->field->less,
                             by_field(path)->field->name);
    PyObject *had = wanted != NULL
                        ? times(packet_number_object(by_field(path), by),
                                path->field->scale)
                        : NULL;
    return packet_refuse(source->state, path, at, wanted,
                         packet_shown(by_field(path), had));
}

/* WireError of a size that may be larger than any; stolen; -1. A size that
 * a sensitive field says is not shown. */
static int
refuse_large(const packet_source *source, const packet_path *path,
             Py_ssize_t at, PyObject *wanted)
{
    if (path->field->by >= 0) {
        wanted = packet_shown(by_field(path), wanted);
    }
    return packet_refuse(
        source->state, path, at, wanted,
        wanted != NULL ? PyLong_FromSsize_t(packet_left(source, at)) : NULL);
}

/* ---- what is measured */

Py_ssize_t
packet_sized(const packet_source *source, const packet_path *path,
             Py_ssize_t at, int64_t by)
{
    const packet_field *field = path->field;
    if (by < 0 && !packet_is_wide(by_field(path))) {
        return refuse_negative(source, path, at, by);
    }
    if (by >= 0 && by <= PLAIN_MAX) {
        int64_t size = by * field->scale - field->less;
        if (size < 0) {
            return refuse_negative(source, path, at, by);
        }
        if (size <= packet_left(source, at)) {
            return size;
        }
    }
    return refuse_large(source, path, at, packet_scaled(path, by));
}

Py_ssize_t
packet_counted(const packet_source *source, const packet_path *path,
               Py_ssize_t at, int64_t by)
{
    const packet_field *field = path->field;
    uint64_t count = field->by < 0 ? field->count : (uint64_t)by;
    uint32_t least =
        field->layout != NULL ? field->layout->minimum : field->item_size;
    if (field->by >= 0 && by < 0 && !packet_is_wide(by_field(path))) {
        return refuse_negative(source, path, at, by);
    }
    if (least == 0 && count > PACKET_EMPTY_ITEMS_MAX) {
        PyObject *wanted =
            PyUnicode_FromFormat("at most %d items", PACKET_EMPTY_ITEMS_MAX);
        PyObject *had =
            wanted != NULL ? PyLong_FromUnsignedLongLong(count) : NULL;
        return packet_refuse(
            source->state, path, at, wanted,
            field->by < 0 ? had : packet_shown(by_field(path), had));
    }
    if (least > 0 && count > (uint64_t)packet_left(source, at) / least) {
        return refuse_large(source, path, at,
                            times(PyLong_FromUnsignedLongLong(count), least));
    }
    return (Py_ssize_t)count;
}

int
packet_chosen(const packet_source *source, const packet_path *path,
              Py_ssize_t at, int64_t by, packet_layout **chosen)
{
    if (FE_LIKELY(packet_choose(path->field, by, chosen))) {
        return 0;
    }
    PyObject *wanted = PyUnicode_FromFormat("a tag of %U", path->field->tags);
    return packet_refuse(
        source->state, path, at, wanted,
        wanted != NULL ? packet_shown(by_field(path),
                                      packet_number_object(by_field(path), by))
                       : NULL);
}

/* ---- fields and records */

static Py_ssize_t
measure_items(const packet_source *source, packet_path *path, Py_ssize_t at,
              int64_t by)
{
    const packet_field *field = path->field;
    Py_ssize_t count = packet_counted(source, path, at, by);
    if (count < 0) {
        return -1;
    }
    if (field->item_size != PACKET_UNKNOWN) {
        return count * (Py_ssize_t)field->item_size;
    }
    Py_ssize_t end = at;
    for (path->item = 0; path->item < count; path->item++) {
        end = packet_measure(source, field->layout, end, path);
        if (end < 0) {
            return -1;
        }
    }
    return end - at;
}

/* The extent of a record in a field. */
static Py_ssize_t
measure_inner(const packet_source *source, const packet_layout *layout,
              Py_ssize_t at, const packet_path *path)
{
    Py_ssize_t end = packet_measure(source, layout, at, path);
    return end < 0 ? -1 : end - at;
}

Py_ssize_t
packet_extent(const packet_source *source, const packet_layout *layout,
              const packet_field *field, Py_ssize_t at, int64_t by,
              const packet_path *outer)
{
    packet_path path = {outer, layout, field, -1};
    packet_layout *chosen = NULL;
    switch ((packet_shape)field->shape) {
    case PACKET_SIZED:
        return packet_sized(source, &path, at, by);
    case PACKET_REST:
        return packet_left(source, at);
    case PACKET_NESTED:
        return measure_inner(source, field->layout, at, &path);
    case PACKET_ARRAY:
        return measure_items(source, &path, at, by);
    case PACKET_TAGGED:
        if (packet_chosen(source, &path, at, by, &chosen) < 0) {
            return -1;
        }
        return chosen != NULL ? measure_inner(source, chosen, at, &path)
                              : packet_left(source, at);
    default:
        return (Py_ssize_t)field->size <= packet_left(source, at)
                   ? (Py_ssize_t)field->size
                   : packet_short(source->state, &path, at,
                                  (Py_ssize_t)field->size,
                                  packet_left(source, at));
    }
}

Py_ssize_t
packet_measure(const packet_source *source, const packet_layout *layout,
               Py_ssize_t at, const packet_path *outer)
{
    if (layout->size != PACKET_UNKNOWN
        && (Py_ssize_t)layout->size <= packet_left(source, at)) {
        return at + (Py_ssize_t)layout->size;
    }
    packet_slots slots;
    if (packet_slots_take(&slots, layout, false) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        Py_ssize_t size =
            packet_extent(source, layout, field, at,
                          packet_by(field, layout, &slots), outer);
        if (size < 0) {
            at = -1;
            break;
        }
        if (field->measured) {
            slots.numbers[field->slot] =
                packet_number_at(field, source->data + at);
        }
        at += packet_run_ends(layout, i) ? size : 0;
    }
    packet_slots_drop(&slots);
    return at;
}
