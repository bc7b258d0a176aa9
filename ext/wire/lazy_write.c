/* SPDX-License-Identifier: MIT
 *
 * Fields written in place. What turns a value into bytes may run Python code;
 * the bytes are copied when all is well, and an error leaves the memory as it
 * was. No write changes where anything lies.
 */
#include "packet_number.h"
#include "wire_state.h"

static int
write_refuse(lazy_object *self, const packet_field *field)
{
    PyErr_Format(PyExc_TypeError,
                 "view() over read-only memory: %U.%U cannot be set",
                 self->layout->qualname, field->field->name);
    return -1;
}

/* ---- numbers without further ado */

FE_INLINE void
put_16(uint8_t *at, bool big, uint16_t raw)
{
    raw = big != PACKET_NATIVE_BIG ? __builtin_bswap16(raw) : raw;
    memcpy(at, &raw, sizeof(raw));
}

FE_INLINE void
put_32(uint8_t *at, bool big, uint32_t raw)
{
    raw = big != PACKET_NATIVE_BIG ? __builtin_bswap32(raw) : raw;
    memcpy(at, &raw, sizeof(raw));
}

FE_INLINE void
put_64(uint8_t *at, bool big, uint64_t raw)
{
    raw = big != PACKET_NATIVE_BIG ? __builtin_bswap64(raw) : raw;
    memcpy(at, &raw, sizeof(raw));
}

/* Is it an int that fits, and is written? No class checks it. */
FE_INLINE bool
write_quickly(uint8_t *at, const packet_field *field, int64_t n)
{
    const bool big = field->big;
    switch ((fe_kind)field->kind) {
    case FE_U8:
    case FE_I8:
        if (field->kind == FE_U8 ? n != (uint8_t)n : n != (int8_t)n) {
            return false;
        }
        *at = (uint8_t)n;
        return true;
    case FE_U16:
    case FE_I16:
        if (field->kind == FE_U16 ? n != (uint16_t)n : n != (int16_t)n) {
            return false;
        }
        put_16(at, big, (uint16_t)n);
        return true;
    case FE_U32:
    case FE_I32:
        if (field->kind == FE_U32 ? n != (uint32_t)n : n != (int32_t)n) {
            return false;
        }
        put_32(at, big, (uint32_t)n);
        return true;
    case FE_U64:
    case FE_I64:
        if (field->kind == FE_U64 && n < 0) {
            return false;
        }
        put_64(at, big, (uint64_t)n);
        return true;
    default:
        return false;
    }
}

/* ---- any value */

/* ValueError; -1 */
static int
write_refuse_measure(lazy_object *self, const packet_field *field, int64_t is,
                     int64_t set)
{
    bool wide = field->shape == PACKET_SCALAR && field->kind == FE_U64;
    const char *text =
        field->field->flags & FE_FIELD_SENSITIVE
            ? "%U.%U: measures another field, wanted ***, got ***"
        : wide ? "%U.%U: measures another field, wanted %llu, got %llu"
               : "%U.%U: measures another field, wanted %lld, got %lld";
    PyErr_Format(PyExc_ValueError, text, self->layout->qualname,
                 field->field->name, (long long)is, (long long)set);
    return -1;
}

/* What measures a field may only be set to what it is. */
static int
write_measure(wire_state *state, lazy_object *self, const packet_field *field,
              const lazy_place *place, PyObject *value)
{
    const uint8_t *at = (const uint8_t *)self->hold.data + place->at;
    uint8_t beside[8] = {0};
    if (packet_put(state, self->layout, field, beside, place->size, 0, value,
                   NULL)
        < 0) {
        return -1;
    }
    int64_t is = packet_number_at(field, at);
    int64_t set = packet_number_at(field, beside);
    if (is == set) {
        return 0;
    }
    return write_refuse_measure(self, field, is, set);
}

static int
write_found(wire_state *state, lazy_object *self, const packet_field *field,
            PyObject *value)
{
    lazy_place place = {0, 0, 0};
    /* first: a check may change what decides where the field lies */
    if (state->records->check(self->layout->cls, field->index, value) < 0) {
        return -1;
    }
    if (lazy_find(state, self, field, &place) < 0) {
        return -1;
    }
    if (field->measured) {
        return write_measure(state, self, field, &place, value);
    }
    return packet_put(state, self->layout, field,
                      (uint8_t *)self->hold.data + place.at, place.size,
                      place.by, value, NULL);
}

/* The memory is in use meanwhile: nobody can release it. */
static FE_NOINLINE int
write_any(lazy_object *self, const packet_field *field, PyObject *value)
{
    wire_state *state = wire_state_of((PyObject *)self);
    if (state == NULL) {
        return -1;
    }
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError,
                     "cannot delete field '%U' of a view of %U",
                     field->field->name, self->layout->qualname);
        return -1;
    }
    if (self->hold.exporter == NULL) {
        return lazy_refuse_released();
    }
    if (self->hold.readonly) {
        return write_refuse(self, field);
    }
    self->hold.exports++;
    int status = write_found(state, self, field, value);
    self->hold.exports--;
    return status;
}

/* ---- attributes */

/* What is no field: a property of the class. */
static int
write_other(lazy_object *self, PyObject *name, PyObject *value)
{
    PyObject *attr;
    int found = lazy_class_attr(self, name, &attr);
    if (found < 0) {
        return -1;
    }
    descrsetfunc set = found > 0 ? Py_TYPE(attr)->tp_descr_set : NULL;
    int status = set != NULL ? set(attr, (PyObject *)self, value)
                             : lazy_refuse_name(self, name);
    Py_XDECREF(attr);
    return status;
}

int
lazy_tp_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    lazy_object *self = (lazy_object *)op;
    if (lazy_check_name(name) < 0) {
        return -1;
    }
    const lazy_entry *entry = lazy_plan_place(self->plan, name);
    if (entry->name != name) {
        entry = lazy_plan_find(self->plan, name);
    }
    if (entry == NULL) {
        return write_other(self, name, value);
    }
    int64_t n;
    if (FE_LIKELY(entry->how < LAZY_BITS && !entry->guarded
                  && self->hold.length >= (Py_ssize_t)entry->end
                  && !self->hold.readonly && value != NULL
                  && PyLong_CheckExact(value) && fe_long_in_place(value, &n)
                  && write_quickly((uint8_t *)self->hold.data + entry->offset,
                                   entry->field, n))) {
        return 0;
    }
    return write_any(self, entry->field, value);
}
