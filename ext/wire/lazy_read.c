/* SPDX-License-Identifier: MIT
 *
 * Attributes of a LayoutView. A field is read from the memory; what is no
 * field is an own method, or what the record class has under the name, bound
 * to the view as it would be to a record.
 */
#include "packet_number.h"
#include "wire_state.h"

/* ---- fields */

/* Where an item of an array ends; -1 with WireError */
static Py_ssize_t
read_item_end(wire_state *state, lazy_object *self, const packet_field *field,
              Py_ssize_t at)
{
    if (field->item_size != PACKET_UNKNOWN) {
        return at + (Py_ssize_t)field->item_size;
    }
    packet_source source = lazy_source(state, self);
    Py_ssize_t end =
        packet_measure(&source, field->layout, self->start + at, NULL);
    return end < 0 ? -1 : end - self->start;
}

/* new: an array of records as views of them */
static PyObject *
read_items(wire_state *state, lazy_object *self, const packet_field *field,
           const lazy_place *place)
{
    Py_ssize_t count = field->by >= 0 ? (Py_ssize_t)place->by : field->count;
    Py_ssize_t at = place->at;
    PyObject *items = PyList_New(0);
    for (Py_ssize_t i = 0; items != NULL && i < count; i++) {
        Py_ssize_t next = read_item_end(state, self, field, at);
        PyObject *item =
            next >= 0 ? lazy_share(state, self, field->layout, at) : NULL;
        if (item == NULL || PyList_Append(items, item) < 0) {
            Py_CLEAR(items);
        }
        Py_XDECREF(item);
        at = next;
    }
    if (items != NULL && !field->as_list) {
        Py_SETREF(items, PyList_AsTuple(items));
    }
    return items;
}

/* new: what the tag says */
static PyObject *
read_tagged(wire_state *state, lazy_object *self, const packet_field *field,
            const lazy_place *place)
{
    packet_layout *layout = NULL;
    /* an unknown tag had no extent */
    (void)packet_choose(field, place->by, &layout);
    if (layout != NULL) {
        return lazy_share(state, self, layout, place->at);
    }
    return PyBytes_FromStringAndSize(self->hold.data + place->at, place->size);
}

static PyObject *
read_at(wire_state *state, lazy_object *self, const packet_field *field,
        const lazy_place *place)
{
    if (field->shape == PACKET_NESTED) {
        return lazy_share(state, self, field->layout, place->at);
    }
    if (field->shape == PACKET_TAGGED) {
        return read_tagged(state, self, field, place);
    }
    if (field->shape == PACKET_ARRAY && field->layout != NULL) {
        return read_items(state, self, field, place);
    }
    packet_source source = lazy_source(state, self);
    return packet_value(&source, self->layout, field, self->start + place->at,
                        place->size, place->by, NULL);
}

/* An Enum's code or a collection may run before all is read: meanwhile the
 * memory is in use.
 */
PyObject *
lazy_load_any(lazy_object *self, const packet_field *field)
{
    wire_state *state = wire_state_of((PyObject *)self);
    if (state == NULL) {
        return NULL;
    }
    lazy_place place = {0, 0, 0};
    self->hold.exports++;
    PyObject *value = lazy_find(state, self, field, &place) == 0
                          ? read_at(state, self, field, &place)
                          : NULL;
    self->hold.exports--;
    return value;
}

FE_INLINE PyObject *
load_bits(const lazy_entry *entry, const uint8_t *at)
{
    uint64_t value =
        packet_load_run(at, entry->size, entry->big) >> entry->shift
        & entry->mask;
    return entry->as_bool ? PyBool_FromLong((long)value)
                          : PyLong_FromUnsignedLongLong(value);
}

/* new. A number read twice in a row is kept, and found again for as long as
 * the field says the same: an int above 256 takes longer to make than to find.
 * What changes with every packet is never kept.
 */
static FE_NOINLINE PyObject *
load_number(lazy_entry *entry, int64_t n)
{
    PyObject *value = entry->how / 2 == FE_U64
                          ? PyLong_FromUnsignedLongLong((uint64_t)n)
                          : PyLong_FromLong(n);
#ifndef FE_NO_FREELIST
    if (entry->last != n) {
        entry->last = n;
        Py_CLEAR(entry->made);
    }
    else if (value != NULL) {
        Py_XSETREF(entry->made, Py_NewRef(value));
    }
#endif
    return value;
}

/* The number at a field of integers; false: another kind. Every case is a load
 * and a jump, for kind and order are one.
 */
FE_INLINE bool
load_int(uint32_t how, const uint8_t *at, int64_t *n)
{
    const bool here = PACKET_NATIVE_BIG, other = !here;
    switch (how) {
    case 2 * FE_U8:
    case 2 * FE_U8 + 1:
        *n = *at;
        return true;
    case 2 * FE_I8:
    case 2 * FE_I8 + 1:
        *n = FE_READ(int8_t, at);
        return true;
    case 2 * FE_U16:
        *n = packet_load_16(at, here);
        return true;
    case 2 * FE_U16 + 1:
        *n = packet_load_16(at, other);
        return true;
    case 2 * FE_I16:
        *n = (int16_t)packet_load_16(at, here);
        return true;
    case 2 * FE_I16 + 1:
        *n = (int16_t)packet_load_16(at, other);
        return true;
    case 2 * FE_U32:
        *n = packet_load_32(at, here);
        return true;
    case 2 * FE_U32 + 1:
        *n = packet_load_32(at, other);
        return true;
    case 2 * FE_I32:
        *n = (int32_t)packet_load_32(at, here);
        return true;
    case 2 * FE_I32 + 1:
        *n = (int32_t)packet_load_32(at, other);
        return true;
    case 2 * FE_U64:
    case 2 * FE_I64:
        *n = (int64_t)packet_load_64(at, here);
        return true;
    case 2 * FE_U64 + 1:
    case 2 * FE_I64 + 1:
        *n = (int64_t)packet_load_64(at, other);
        return true;
    default:
        return false;
    }
}

static FE_NOINLINE PyObject *
load_other(lazy_object *self, const lazy_entry *entry, const uint8_t *at)
{
    switch (entry->how) {
    case LAZY_BITS:
        return load_bits(entry, at);
    case LAZY_BYTES:
        return PyBytes_FromStringAndSize((const char *)at,
                                         (Py_ssize_t)entry->size);
    case 2 * FE_F32:
    case 2 * FE_F32 + 1:
        return PyFloat_FromDouble(packet_load_f32(at, entry->big));
    case 2 * FE_F64:
    case 2 * FE_F64 + 1:
        return PyFloat_FromDouble(packet_load_f64(at, entry->big));
    default: /* also a bool8, which may be neither 0 nor 1 */
        return lazy_load_any(self, entry->field);
    }
}

FE_INLINE PyObject *
load_quickly(lazy_object *self, lazy_entry *entry)
{
    const uint8_t *at = (const uint8_t *)self->hold.data + entry->offset;
    int64_t n;
    if (FE_UNLIKELY(!load_int(entry->how, at, &n))) {
        return load_other(self, entry, at);
    }
    if (FE_LIKELY(entry->last == n && entry->made != NULL)) {
        return Py_NewRef(entry->made);
    }
    return load_number(entry, n);
}

/* ---- other attributes */

/* Is it a method or member of another C type? */
static bool
attr_is_foreign(lazy_object *self, PyObject *attr)
{
    PyTypeObject *type = Py_TYPE(attr);
    return (type == &PyMethodDescr_Type || type == &PyMemberDescr_Type
            || type == &PyGetSetDescr_Type || type == &PyWrapperDescr_Type)
           && !PyType_IsSubtype(Py_TYPE(self), PyDescr_TYPE(attr));
}

/* 1: new, among the attributes of the class itself; 0; -1 */
static int
attr_of(PyTypeObject *cls, PyObject *name, PyObject **attr)
{
    PyObject *dict = fe_type_dict_borrow(cls);
    *attr = NULL;
    return dict != NULL ? PyDict_GetItemRef(dict, name, attr) : 0;
}

int
lazy_class_attr(lazy_object *self, PyObject *name, PyObject **attr)
{
    PyObject *mro = Py_XNewRef(self->layout->cls->tp_mro);
    int found = 0;
    *attr = NULL;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        found = attr_of((PyTypeObject *)PyTuple_GET_ITEM(mro, i), name, attr);
        if (found > 0 && attr_is_foreign(self, *attr)) {
            Py_CLEAR(*attr);
            found = 0;
        }
        if (found != 0) {
            break;
        }
    }
    Py_XDECREF(mro);
    return found;
}

int
lazy_refuse_name(lazy_object *self, PyObject *name)
{
    PyErr_Format(PyExc_AttributeError, "'%U' object has no attribute '%U'",
                 self->layout->qualname, name);
    return -1;
}

int
lazy_check_name(PyObject *name)
{
    if (FE_UNLIKELY(!PyUnicode_Check(name))) {
        PyErr_Format(PyExc_TypeError,
                     "attribute name must be string, not '%s'",
                     Py_TYPE(name)->tp_name);
        return -1;
    }
    return 0;
}

/* Own methods come first: the class has its __repr__ and the like for
 * records.
 */
static FE_NOINLINE PyObject *
attr_other(lazy_object *self, PyObject *name)
{
    PyObject *attr;
    int found = attr_of(Py_TYPE(self), name, &attr);
    if (found > 0 && Py_TYPE(attr)->tp_descr_get == NULL) {
        Py_CLEAR(attr); /* __doc__, __module__ */
        found = 0;
    }
    if (found == 0) {
        found = lazy_class_attr(self, name, &attr);
    }
    if (found <= 0) {
        if (found == 0) {
            lazy_refuse_name(self, name);
        }
        return NULL;
    }
    descrgetfunc get = Py_TYPE(attr)->tp_descr_get;
    if (get == NULL) {
        return attr;
    }
    PyObject *value =
        get(attr, (PyObject *)self, (PyObject *)self->layout->cls);
    Py_DECREF(attr);
    return value;
}

static FE_NOINLINE PyObject *
attr_slow(lazy_object *self, PyObject *name)
{
    if (lazy_check_name(name) < 0) {
        return NULL;
    }
    const lazy_entry *entry = lazy_plan_find(self->plan, name);
    return entry != NULL ? lazy_load_any(self, entry->field)
                         : attr_other(self, name);
}

PyObject *
lazy_tp_getattro(PyObject *op, PyObject *name)
{
    lazy_object *self = (lazy_object *)op;
    lazy_entry *entry = lazy_plan_place(self->plan, name);
    /* a released hold has no bytes */
    if (FE_LIKELY(entry->name == name
                  && self->hold.length >= (Py_ssize_t)entry->end)) {
        return load_quickly(self, entry);
    }
    return attr_slow(self, name);
}
