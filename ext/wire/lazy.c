/* SPDX-License-Identifier: MIT
 *
 * view() and LayoutView: its life, its memory and its own methods. Attributes
 * are in lazy_read.c and lazy_write.c.
 */
#include "wire_state.h"

#define MAX_FREE 256

int
lazy_refuse_released(void)
{
    PyErr_SetString(PyExc_ValueError, "LayoutView has been released");
    return -1;
}

/* ---- life */

static lazy_object *
lazy_alloc(wire_state *state)
{
#ifndef FE_NO_FREELIST
    PyObject *dead = state->lazies.free_list;
    if (FE_LIKELY(dead != NULL)) {
        state->lazies.free_list = fe_dead_link_take(dead);
        state->lazies.free_count--;
        return (lazy_object *)fe_revive(dead, state->lazy_type);
    }
#endif
    if (state->lazy_type == NULL) { /* the module's state has been cleared */
        wire_refuse_shut();
        return NULL;
    }
    return PyObject_GC_New(lazy_object, state->lazy_type);
}

/* Of one that holds nothing, or nothing any more. */
static void
lazy_free(wire_state *state, lazy_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
#ifndef FE_NO_FREELIST
    /* a module that was cleared frees no dead views any more */
    if (FE_LIKELY(state != NULL && state->lazy_type != NULL
                  && state->lazies.free_count < MAX_FREE)) {
        fe_dead_link_set((PyObject *)self, state->lazies.free_list);
        state->lazies.free_list = (PyObject *)self;
        state->lazies.free_count++;
        Py_DECREF(type);
        return;
    }
#else
    (void)state;
#endif
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static void
lazy_tp_dealloc(PyObject *op)
{
    lazy_object *self = (lazy_object *)op;
    wire_state *state = wire_state_or_null(op);
    if (FE_UNLIKELY(self->tracked)) {
        PyObject_GC_UnTrack(op);
    }
    wire_hold_drop(state, &self->hold);
    Py_DECREF(self->layout);
    lazy_free(state, self);
}

void
lazy_clear(wire_state *state)
{
    PyTypeObject *type = state->lazy_type;
    state->lazy_type = NULL; /* from now on none is kept */
    fe_dead_links_free(state->lazies.free_list);
    state->lazies = (lazy_table){NULL, NULL, 0};
    Py_XDECREF(type);
}

static int
lazy_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    lazy_object *self = (lazy_object *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->layout);
    return wire_hold_traverse(&self->hold, visit, arg);
}

/* The layout stays: a view never lacks it. */
static int
lazy_tp_clear(PyObject *op)
{
    lazy_object *self = (lazy_object *)op;
    if (self->hold.exports == 0) {
        wire_hold_drop(wire_state_or_null(op), &self->hold);
    }
    return 0;
}

/* new: of the layout, still without memory. It is whole before it is linked:
 * from then on holders() finds it.
 */
FE_INLINE lazy_object *
lazy_begin(wire_state *state, packet_layout *layout, Py_ssize_t start)
{
    lazy_plan *plan = lazy_plan_of(layout);
    lazy_object *self = plan != NULL ? lazy_alloc(state) : NULL;
    if (FE_LIKELY(self != NULL)) {
        self->plan = plan;
        self->layout = (packet_layout *)Py_NewRef(layout);
        self->start = start;
        self->tracked = false;
    }
    return self;
}

FE_INLINE PyObject *
lazy_finish(lazy_object *self)
{
    if (FE_UNLIKELY(wire_hold_may_cycle(&self->hold))) {
        self->tracked = true;
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

PyObject *
lazy_share(wire_state *state, const lazy_object *from, packet_layout *layout,
           Py_ssize_t at)
{
    lazy_object *self = lazy_begin(state, layout, from->start + at);
    if (self == NULL) {
        return NULL;
    }
    /* what has no fixed size now may have another later */
    Py_ssize_t size = layout->size != PACKET_UNKNOWN ? (Py_ssize_t)layout->size
                                                     : from->hold.length - at;
    if (wire_hold_share(state, &self->hold, &from->hold, at, size) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return lazy_finish(self);
}

/* ---- view() */

/* The fixed prefix is not there: say which of its fields. Meanwhile holders()
 * finds a view without a byte. */
static FE_NOINLINE int
view_refuse_short(wire_state *state, lazy_object *self, Py_ssize_t offset)
{
    wire_hold *hold = &self->hold;
    packet_source source = {
        .state = state,
        .data = (const uint8_t *)hold->data,
        .length = hold->length,
    };
    hold->length = 0;
    if (packet_measure(&source, self->layout, offset, NULL) >= 0) {
        lazy_refuse_released(); /* not reached: some field is not there */
    }
    return -1;
}

/* Of the whole buffer, keep what the record may be in. */
FE_INLINE int
view_narrow(wire_state *state, lazy_object *self, Py_ssize_t offset)
{
    wire_hold *hold = &self->hold;
    uint32_t size = self->layout->size;
    if (FE_UNLIKELY(offset > hold->length
                    || hold->length - offset < self->plan->prefix)) {
        return view_refuse_short(state, self, offset);
    }
    hold->data += offset;
    hold->length =
        size != PACKET_UNKNOWN ? (Py_ssize_t)size : hold->length - offset;
    return 0;
}

/* Take the hold, narrowed. */
FE_INLINE int
view_take(wire_state *state, lazy_object *self, PyObject *buffer,
          Py_ssize_t offset)
{
    return wire_hold_take(state, &self->hold, buffer, "view") == 0
               ? view_narrow(state, self, offset)
               : -1;
}

/* borrowed from the class. Programs ask for the same one again and again:
 * three calls into the records room less, 5 of 26 ns.
 */
FE_INLINE packet_layout *
view_layout(wire_state *state, PyObject *cls)
{
    packet_layout *layout = state->lazies.last;
    if (FE_LIKELY(layout != NULL && (PyObject *)layout->cls == cls)) {
        return layout;
    }
    if (state->lazy_type == NULL) { /* the module's state has been cleared */
        wire_refuse_shut();
        return NULL;
    }
    layout = packet_layout_of(state, cls, "view");
#ifndef Py_GIL_DISABLED
    state->lazies.last = layout;
#endif
    return layout;
}

static PyObject *
view_make(wire_state *state, PyObject *cls, PyObject *buffer,
          Py_ssize_t offset)
{
    packet_layout *layout = view_layout(state, cls);
    lazy_object *self =
        layout != NULL ? lazy_begin(state, layout, offset) : NULL;
    if (FE_UNLIKELY(self == NULL)) {
        return NULL;
    }
    if (FE_UNLIKELY(view_take(state, self, buffer, offset) < 0)) {
        Py_DECREF(self);
        return NULL;
    }
    return lazy_finish(self);
}

static FE_NOINLINE PyObject *
view_slow(wire_state *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    static const char *const names[] = {"cls", "buffer", "offset", NULL};
    static const fe_sig sig = {"view", names, 3, 2};
    PyObject *values[3];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    Py_ssize_t offset = wire_offset(values[2], "view");
    return offset < 0 ? NULL : view_make(state, values[0], values[1], offset);
}

PyDoc_STRVAR(
    lazy_view__doc__,
    "view($module, /, cls, buffer, offset=0)\n--\n\n"
    "A record of class cls that lies in the buffer, in place.\n\n"
    "Every field is read from the memory when it is asked for, and\n"
    "written there if the buffer is writable. isinstance() takes the\n"
    "view for a record, whose methods and properties work on it.\n"
    "Checksums are not checked.\n\n"
    "WireError: the fields of fixed place do not fit, or later: a\n"
    "field is not what the layout says. TypeError: cls has no wire\n"
    "layout, or the buffer is none. BufferError: it is strided.");

static PyObject *
lazy_view(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    wire_state *state = wire_get_state(module);
    if (FE_LIKELY(nargs == 2 && kwnames == NULL)) {
        return view_make(state, args[0], args[1], 0);
    }
    return view_slow(state, args, nargs, kwnames);
}

static PyMethodDef lazy_functions[] = {
    {"view", FE_METHOD(lazy_view), METH_FASTCALL | METH_KEYWORDS,
     lazy_view__doc__},
    {NULL, NULL, 0, NULL},
};

/* ---- the bytes it covers */

Py_ssize_t
lazy_extent(wire_state *state, const lazy_object *self)
{
    if (self->hold.exporter == NULL) {
        return lazy_refuse_released();
    }
    if (self->layout->size != PACKET_UNKNOWN) {
        return (Py_ssize_t)self->layout->size;
    }
    packet_source source = lazy_source(state, self);
    Py_ssize_t end = packet_measure(&source, self->layout, self->start, NULL);
    return end < 0 ? -1 : end - self->start;
}

static int
lazy_bf_getbuffer(PyObject *op, Py_buffer *buffer, int flags)
{
    lazy_object *self = (lazy_object *)op;
    wire_state *state = wire_state_of(op);
    Py_ssize_t size = state != NULL ? lazy_extent(state, self) : -1;
    if (size < 0
        || PyBuffer_FillInfo(buffer, op, self->hold.data, size,
                             self->hold.readonly, flags)
               < 0) {
        buffer->obj = NULL;
        return -1;
    }
    self->hold.exports++;
    return 0;
}

PyDoc_STRVAR(layoutview_bytes__doc__,
             "__bytes__($self, /)\n--\n\nThe bytes of the record.\n\n"
             "WireError: its lengths are wrong. ValueError: released.");

static PyObject *
layoutview_bytes(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    lazy_object *self = (lazy_object *)op;
    wire_state *state = wire_state_of(op);
    Py_ssize_t size = state != NULL ? lazy_extent(state, self) : -1;
    return size < 0 ? NULL : PyBytes_FromStringAndSize(self->hold.data, size);
}

/* ---- own methods */

PyDoc_STRVAR(layoutview_release__doc__,
             "release($self, /)\n--\n\n"
             "Let go of the memory; every field raises ValueError then.\n\n"
             "Nothing happens the second time. BufferError: a memoryview or\n"
             "the like of the view is in use. Of a layout with a field of\n"
             "this name: LayoutView.release(view).");

static PyObject *
layoutview_release(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    lazy_object *self = (lazy_object *)op;
    wire_state *state = wire_state_of(op);
    if (state == NULL
        || wire_hold_check_idle(&self->hold, "LayoutView.release") < 0) {
        return NULL;
    }
    wire_hold_drop(state, &self->hold);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(layoutview_enter__doc__,
             "__enter__($self, /)\n--\n\nThe view; released at the end.");

static PyObject *
layoutview_enter(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    if (((lazy_object *)op)->hold.exporter == NULL) {
        lazy_refuse_released();
        return NULL;
    }
    return Py_NewRef(op);
}

PyDoc_STRVAR(layoutview_exit__doc__,
             "__exit__($self, /, *exc_info)\n--\n\nrelease().");

static PyObject *
layoutview_exit(PyObject *op, PyObject *const *Py_UNUSED(args),
                Py_ssize_t Py_UNUSED(nargs))
{
    return layoutview_release(op, NULL);
}

PyDoc_STRVAR(layoutview_reduce_ex__doc__,
             "__reduce_ex__($self, protocol, /)\n--\n\n"
             "TypeError: unpack(cls, view) is a record, which pickles.");

static PyObject *
layoutview_reduce_ex(PyObject *op, PyObject *Py_UNUSED(protocol))
{
    PyErr_Format(PyExc_TypeError,
                 "cannot pickle or copy a LayoutView of %U: "
                 "unpack(%U, view) makes a record",
                 ((lazy_object *)op)->layout->qualname,
                 ((lazy_object *)op)->layout->qualname);
    return NULL;
}

static PyObject *
lazy_get_class(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(((lazy_object *)op)->layout->cls);
}

static PyMethodDef lazy_methods[] = {
    {"release", layoutview_release, METH_NOARGS, layoutview_release__doc__},
    {"__bytes__", layoutview_bytes, METH_NOARGS, layoutview_bytes__doc__},
    {"__enter__", layoutview_enter, METH_NOARGS, layoutview_enter__doc__},
    {"__exit__", FE_METHOD(layoutview_exit), METH_FASTCALL,
     layoutview_exit__doc__},
    {"__reduce_ex__", layoutview_reduce_ex, METH_O,
     layoutview_reduce_ex__doc__},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef lazy_getset[] = {
    {"__class__", lazy_get_class, NULL, "The record class.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(layoutview__doc__,
             "A record that lies in a buffer; view() makes them.\n\n"
             "It has the fields of its record class, each read from the\n"
             "memory when asked for, and the class's methods. == and hash()\n"
             "are those of the record with the values of now.");

static PyType_Slot lazy_slots[] = {
    {Py_tp_doc, FE_TEXT(layoutview__doc__)},
    {Py_tp_getattro, FE_SLOT(lazy_tp_getattro)},
    {Py_tp_setattro, FE_SLOT(lazy_tp_setattro)},
    {Py_tp_richcompare, FE_SLOT(lazy_tp_richcompare)},
    {Py_tp_hash, FE_SLOT(lazy_tp_hash)},
    {Py_tp_repr, FE_SLOT(lazy_tp_repr)},
    {Py_tp_methods, FE_SLOT(lazy_methods)},
    {Py_tp_getset, FE_SLOT(lazy_getset)},
    {Py_tp_traverse, FE_SLOT(lazy_tp_traverse)},
    {Py_tp_clear, FE_SLOT(lazy_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(lazy_tp_dealloc)},
    {Py_bf_getbuffer, FE_SLOT(lazy_bf_getbuffer)},
    {Py_bf_releasebuffer, FE_SLOT(wire_hold_releasebuffer)},
    {0, NULL},
};

static PyType_Spec lazy_spec = {
    .name = "ferrule.wire.LayoutView",
    .basicsize = sizeof(lazy_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = lazy_slots,
};

int
lazy_register(PyObject *module, wire_state *state)
{
    state->lazy_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &lazy_spec, NULL);
    if (state->lazy_type == NULL
        || PyModule_AddObjectRef(module, "LayoutView",
                                 (PyObject *)state->lazy_type)
               < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, lazy_functions);
}
