/* SPDX-License-Identifier: MIT
 *
 * The Layout object: what a record class's annex holds. It lives as long as
 * something reads packets by it; it has no tp_clear, because every way back
 * to a layout goes through an annex or an instance that has one.
 */
#include "wire_state.h"

packet_layout *
packet_layout_new(wire_state *state, PyTypeObject *cls, bool big)
{
    packet_layout *self = PyObject_GC_New(packet_layout, state->layout_type);
    if (self == NULL) {
        return NULL;
    }
    memset((char *)self + sizeof(PyObject), 0,
           sizeof(*self) - sizeof(PyObject));
    self->cls = (PyTypeObject *)Py_NewRef(cls);
    self->qualname = Py_NewRef(state->records->qualname(cls));
    self->owner = state;
    self->big = big;
    self->depth = 1;
    return self;
}

static int
layout_tp_traverse(packet_layout *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->cls);
    Py_VISIT(self->other);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        const packet_field *field = &self->fields[i];
        Py_VISIT(field->enumeration);
        Py_VISIT(field->members);
        Py_VISIT(field->layout);
        for (Py_ssize_t k = 0; k < field->case_count; k++) {
            Py_VISIT(field->cases[k].layout);
        }
    }
    return 0;
}

static void
drop_field(packet_field *field)
{
    Py_XDECREF(field->enumeration);
    Py_XDECREF(field->members);
    Py_XDECREF(field->tags);
    Py_XDECREF(field->layout);
    for (Py_ssize_t k = 0; k < field->case_count; k++) {
        Py_XDECREF(field->cases[k].layout);
    }
    PyMem_Free(field->cases);
    PyMem_Free(field->over);
}

static void
layout_tp_dealloc(packet_layout *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self); /* harmless if it never was tracked */
    for (Py_ssize_t i = 0; i < self->count; i++) {
        drop_field(&self->fields[i]);
    }
    PyMem_Free(self->fields);
    PyMem_Free(self->steps);
    PyMem_Free(self->sums);
    lazy_plan_free(self);
    Py_XDECREF(self->other);
    Py_XDECREF(self->qualname);
    Py_XDECREF(self->cls);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
layout_tp_repr(packet_layout *self)
{
    return PyUnicode_FromFormat("<packet layout of %U>", self->qualname);
}

static PyType_Slot layout_slots[] = {
    {Py_tp_dealloc, FE_SLOT(layout_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(layout_tp_traverse)},
    {Py_tp_repr, FE_SLOT(layout_tp_repr)},
    {0, NULL},
};

PyType_Spec packet_layout_spec = {
    .name = "ferrule._wire.Layout",
    .basicsize = sizeof(packet_layout),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = layout_slots,
};

int
packet_choose(const packet_field *field, int64_t tag, packet_layout **chosen)
{
    Py_ssize_t low = 0, high = field->case_count;
    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (field->cases[middle].tag < tag) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    if (low < field->case_count && field->cases[low].tag == tag) {
        *chosen = field->cases[low].layout;
        return 1;
    }
    *chosen = field->layout;
    return field->layout != NULL || field->default_bytes;
}
