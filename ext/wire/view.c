/* SPDX-License-Identifier: MIT
 *
 * View: memory of an exporter, without a copy. The object itself: made, let
 * go, asked what it is. What a view's items are is in view_shape.c,
 * view_index.c, view_item.c and view_compare.c; who holds what in view_pin.c.
 */
#include "view_object.h"

int
view_refuse_released(void)
{
    PyErr_SetString(PyExc_ValueError, "View has been released");
    return -1;
}

/* ---- made */

view_object *
view_alloc_slow(wire_state *state, PyTypeObject *type, const wire_hold *from)
{
    if (type == NULL) { /* the module's state has been cleared */
        wire_refuse_shut();
        return NULL;
    }
    view_object *view = PyObject_GC_New(view_object, type);
    if (view == NULL) {
        return NULL;
    }
    /* but for the header: PyObject_HEAD of tracing builds is not ours */
    memset((char *)view + sizeof(PyObject), 0,
           sizeof(*view) - sizeof(PyObject));
    view->state = state;
    if (from != NULL && from->exporter == NULL) {
        view_refuse_released();
        Py_CLEAR(view);
    }
    return view;
}

PyObject *
view_share(wire_state *state, const wire_hold *from, Py_ssize_t start,
           Py_ssize_t length)
{
    assert(from->exporter != NULL && !from->strided);
    if (state->view_type == NULL) {
        wire_refuse_shut();
        return NULL;
    }
    return (PyObject *)view_sub(state, state->view_type, from, start, length,
                                wire_hold_may_cycle(from));
}

PyObject *
view_derive(view_object *from, const view_region *region, const char *format)
{
    bool plain;
    wire_state *state = view_get_state(from);
    if (state == NULL) {
        return NULL;
    }
    view_shape *shape = view_shape_new(
        region, format != NULL ? format : view_format_of(from), &plain);
    if (shape == NULL && !plain) {
        return NULL;
    }
    view_object *view = view_sub(state, Py_TYPE(from), &from->hold, 0,
                                 view_region_bytes(region), from->tracked);
    if (view == NULL) {
        PyMem_Free(shape);
        return NULL;
    }
    view->hold.data = region->data;
    view->hold.strided = !view_region_contiguous(region);
    view->shape = shape;
    return (PyObject *)view;
}

/* Any exporter, as it describes itself. 0 or -1 */
static int
view_take(wire_state *state, view_object *view, PyObject *buffer)
{
    wire_hold *hold = &view->hold;
    view_region region;
    bool plain;
    view_pin *pin = view_pin_new(state, buffer);
    if (pin == NULL) {
        return -1;
    }
    const char *format = pin->buffer.format;
    if (view_region_import(buffer, &pin->buffer, &region) < 0) {
        Py_DECREF(pin);
        return -1;
    }
    view->shape =
        view_shape_new(&region, format != NULL ? format : "B", &plain);
    if (view->shape == NULL && !plain) {
        Py_DECREF(pin);
        return -1;
    }
    hold->pin = pin;
    hold->exporter = Py_NewRef(view_exporter_of(state, buffer));
    hold->data = region.data;
    hold->length = pin->buffer.len;
    hold->readonly = pin->buffer.readonly != 0;
    hold->strided = !view_region_contiguous(&region);
    view->tracked = wire_hold_may_cycle(hold);
    return view_finish(state, view);
}

/* new: all of any buffer but exactly bytes */
static PyObject *
view_whole(wire_state *state, PyTypeObject *type, PyObject *buffer)
{
    if (Py_IS_TYPE(buffer, type)) {
        view_object *from = (view_object *)buffer;
        view_region region;
        if (view_check(from) < 0) {
            return NULL;
        }
        view_region_of(from, &region);
        return view_derive(from, &region, NULL);
    }
    if (!PyObject_CheckBuffer(buffer)) {
        PyErr_Format(PyExc_TypeError, "View() wants a buffer, got %s",
                     view_type_name(buffer));
        return NULL;
    }
    const wire_hold *hold = wire_hold_of(state, buffer);
    if (hold != NULL && hold->exporter != NULL) {
        Py_ssize_t length = wire_hold_extent(state, hold);
        return length < 0 ? NULL : view_share(state, hold, 0, length);
    }
    view_object *view = view_alloc(state, type, NULL);
    if (view != NULL) {
        view->hash = -1;
        view->tracked = false;
        if (view_take(state, view, buffer) < 0) {
            Py_CLEAR(view);
        }
    }
    return (PyObject *)view;
}

/* new: exactly bytes, [start, start + length) */
FE_INLINE PyObject *
view_of_bytes(wire_state *state, PyTypeObject *type, PyObject *bytes,
              Py_ssize_t start, Py_ssize_t length)
{
    wire_hold from;
    from.exporter = bytes;
    from.pin = NULL;
    from.data = PyBytes_AS_STRING(bytes);
    from.readonly = true;
    return (PyObject *)view_sub(state, type, &from, start, length, false);
}

/* A bound as of a slice; `value` NULL or None: as it is. 0 or -1 */
static int
view_bound(PyObject *value, const char *name, Py_ssize_t *bound)
{
    if (value == NULL || value == Py_None) {
        return 0;
    }
    if (!PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "View() %s wants an int or None, got %s",
                     name, view_type_name(value));
        return -1;
    }
    *bound = PyNumber_AsSsize_t(value, NULL);
    return *bound == -1 && PyErr_Occurred() ? -1 : 0;
}

view_object *
view_take_bytes(wire_state *state, PyTypeObject *type, PyObject *buffer,
                const char *function)
{
    view_object *view = view_alloc(state, type, NULL);
    if (view == NULL) {
        return NULL;
    }
    view->hash = -1;
    view->tracked = false;
    if (wire_hold_take(state, &view->hold, buffer, function) < 0) {
        Py_DECREF(view);
        return NULL;
    }
    if (wire_hold_may_cycle(&view->hold)) {
        view->tracked = true;
        PyObject_GC_Track(view);
    }
    return view;
}

/* new: [start, stop) of the bytes of any contiguous buffer */
static PyObject *
view_part(wire_state *state, PyTypeObject *type, PyObject *buffer,
          Py_ssize_t start, Py_ssize_t stop)
{
    if (PyBytes_CheckExact(buffer)) {
        Py_ssize_t length =
            PySlice_AdjustIndices(PyBytes_GET_SIZE(buffer), &start, &stop, 1);
        return view_of_bytes(state, type, buffer, start, length);
    }
    view_object *view = view_take_bytes(state, type, buffer, "View");
    if (view != NULL) {
        view->hold.length =
            PySlice_AdjustIndices(view->hold.length, &start, &stop, 1);
        view->hold.data += view->hold.length > 0 ? start : 0;
    }
    return (PyObject *)view;
}

static const char *const view_names[] = {"buffer", "start", "stop", NULL};
static const fe_sig view_sig = {"View", view_names, 3, 1};

static FE_NOINLINE PyObject *
view_make(wire_state *state, PyTypeObject *type, PyObject *const *args,
          Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *values[3];
    if (fe_args_unpack(&view_sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    Py_ssize_t start = 0, stop = PY_SSIZE_T_MAX;
    if (view_bound(values[1], "start", &start) < 0
        || view_bound(values[2], "stop", &stop) < 0) {
        return NULL;
    }
    if (start == 0 && (values[2] == NULL || values[2] == Py_None)
        && !PyBytes_CheckExact(values[0])) {
        return view_whole(state, type, values[0]);
    }
    return view_part(state, type, values[0], start, stop);
}

static PyObject *
view_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                PyObject *kwnames)
{
    PyTypeObject *type = (PyTypeObject *)op;
    PyObject *module = ((PyHeapTypeObject *)type)->ht_module;
    wire_state *state = module != NULL ? PyModule_GetState(module) : NULL;
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (FE_UNLIKELY(state == NULL)) {
        wire_refuse_shut();
        return NULL;
    }
    if (FE_LIKELY(nargs == 1 && kwnames == NULL
                  && PyBytes_CheckExact(args[0]))) {
        return view_of_bytes(state, type, args[0], 0,
                             PyBytes_GET_SIZE(args[0]));
    }
    return view_make(state, type, args, nargs, kwnames);
}

/* Only View.__new__ comes here. */
static PyObject *
view_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return PyObject_VectorcallDict((PyObject *)type,
                                   ((PyTupleObject *)args)->ob_item,
                                   (size_t)PyTuple_GET_SIZE(args), kwargs);
}

/* ---- let go */

static int
view_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return wire_hold_traverse(&((view_object *)op)->hold, visit, arg);
}

/* While it is exported, what it was exported to has to go first. */
static int
view_tp_clear(PyObject *op)
{
    view_object *view = (view_object *)op;
    if (view->hold.exports == 0) {
        wire_hold_drop(view_state_or_null(view), &view->hold);
    }
    return 0;
}

static FE_NOINLINE void
view_free(wire_state *state, view_object *view)
{
    PyTypeObject *type = Py_TYPE(view);
    PyObject_GC_Del(view);
    Py_DECREF(type);
}

/* What few views have. */
static FE_NOINLINE void
view_strip(view_object *view)
{
    if (view->tracked) {
        PyObject_GC_UnTrack(view);
    }
    if (view->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)view);
    }
    PyMem_Free(view->shape);
    view->shape = NULL;
    Py_CLEAR(view->hold.site);
    Py_CLEAR(view->hold.pin);
}

/* Unlinked before anything else: callbacks of weak references must not find
 * it in the table. A dead view in the free list has NULL wherever a new one
 * has. */
static void
view_tp_dealloc(PyObject *op)
{
    view_object *view = (view_object *)op;
    wire_state *state = view_state_or_null(view);
    view_unlink(state != NULL ? &state->views : NULL, &view->hold);
    /* one test, not five: all of them are rare */
    if (FE_UNLIKELY(((uintptr_t)view->hold.pin | (uintptr_t)view->hold.site
                     | (uintptr_t)view->shape | (uintptr_t)view->weakrefs
                     | (uintptr_t)view->tracked)
                    != 0)) {
        view_strip(view);
    }
    PyObject *exporter = view->hold.exporter;
    view->hold.exporter = NULL;
    Py_XDECREF(exporter);
#ifndef FE_NO_FREELIST
    if (FE_LIKELY(state != NULL && state->views.free_count < VIEW_MAX_FREE
                  && Py_TYPE(op) == state->view_type)) {
        PyTypeObject *type = Py_TYPE(op);
        fe_dead_link_set(op, state->views.free_list);
        state->views.free_list = op;
        state->views.free_count++;
        Py_DECREF(type);
        return;
    }
#endif
    view_free(state, view);
}

PyDoc_STRVAR(view_release__doc__,
             "release($self, /)\n--\n\n"
             "Let the exporter's memory go: every later use is a ValueError.\n"
             "BufferError while buffers of the view are in use. Again: fine.");

static PyObject *
view_release(PyObject *op, PyObject *Py_UNUSED(unused))
{
    view_object *view = (view_object *)op;
    if (wire_hold_check_idle(&view->hold, "View.release") < 0) {
        return NULL;
    }
    wire_hold_drop(view_state_or_null(view), &view->hold);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(view_enter__doc__, "__enter__($self, /)\n--\n\nThe view itself.");

static PyObject *
view_enter(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return view_check((view_object *)op) == 0 ? Py_NewRef(op) : NULL;
}

PyDoc_STRVAR(view_exit__doc__, "__exit__($self, /, *args)\n--\n\nrelease().");

static PyObject *
view_exit(PyObject *op, PyObject *const *Py_UNUSED(args),
          Py_ssize_t Py_UNUSED(nargs))
{
    return view_release(op, NULL);
}

/* ---- what it is */

static Py_ssize_t
view_length(PyObject *op)
{
    view_object *view = (view_object *)op;
    if (view_check(view) < 0) {
        return -1;
    }
    if (view->shape == NULL) {
        return view->hold.length;
    }
    if (view->shape->ndim == 0) {
        PyErr_SetString(PyExc_TypeError, "View of 0 dimensions has no length");
        return -1;
    }
    return view->shape->dims[0];
}

static PyObject *
view_tp_iter(PyObject *op)
{
    return view_length(op) < 0 ? NULL : PySeqIter_New(op);
}

PyObject *
view_tuple(const Py_ssize_t *numbers, int count)
{
    PyObject *tuple = PyTuple_New(count);
    for (int i = 0; tuple != NULL && i < count; i++) {
        PyObject *number = PyLong_FromSsize_t(numbers[i]);
        if (number == NULL) {
            Py_CLEAR(tuple);
        }
        else {
            PyTuple_SET_ITEM(tuple, i, number);
        }
    }
    return tuple;
}

static PyObject *
view_tp_repr(PyObject *op)
{
    view_object *view = (view_object *)op;
    if (view->hold.exporter == NULL) {
        return PyUnicode_FromString("<View, released>");
    }
    const char *name = view_type_name(view->hold.exporter);
    if (view->shape == NULL) {
        return PyUnicode_FromFormat("<View of %zd bytes of %s>",
                                    view->hold.length, name);
    }
    view->hold.exports++; /* the exporter's name stays, whatever runs here */
    PyObject *shape = view_tuple(view->shape->dims, view->shape->ndim);
    PyObject *text =
        shape != NULL
            ? PyUnicode_FromFormat(
                  "<View of %zd bytes of %s, format '%s', shape %R>",
                  view->hold.length, name, view->shape->format, shape)
            : NULL;
    Py_XDECREF(shape);
    view->hold.exports--;
    return text;
}

typedef enum {
    VIEW_OBJ,
    VIEW_NBYTES,
    VIEW_ITEMSIZE,
    VIEW_FORMAT,
    VIEW_NDIM,
    VIEW_SHAPE,
    VIEW_STRIDES,
    VIEW_READONLY,
    VIEW_CONTIGUOUS,
} view_attribute;

static PyObject *
view_get_plain(const view_object *view, view_attribute attribute)
{
    const Py_ssize_t one = 1;
    switch (attribute) {
    case VIEW_ITEMSIZE:
    case VIEW_NDIM:
        return PyLong_FromLong(1);
    case VIEW_FORMAT:
        return PyUnicode_FromString("B");
    case VIEW_SHAPE:
        return view_tuple(&view->hold.length, 1);
    case VIEW_STRIDES:
        return view_tuple(&one, 1);
    default:
        Py_RETURN_TRUE; /* contiguous */
    }
}

static PyObject *
view_get(PyObject *op, void *closure)
{
    view_object *view = (view_object *)op;
    const view_shape *shape = view->shape;
    view_attribute attribute = (view_attribute)(uintptr_t)closure;
    if (view_check(view) < 0) {
        return NULL;
    }
    if (attribute == VIEW_OBJ) {
        return Py_NewRef(view->hold.exporter);
    }
    if (attribute == VIEW_NBYTES) {
        return PyLong_FromSsize_t(view->hold.length);
    }
    if (attribute == VIEW_READONLY) {
        return PyBool_FromLong(view->hold.readonly);
    }
    if (shape == NULL) {
        return view_get_plain(view, attribute);
    }
    switch (attribute) {
    case VIEW_ITEMSIZE:
        return PyLong_FromSsize_t(shape->itemsize);
    case VIEW_FORMAT:
        return PyUnicode_FromString(shape->format);
    case VIEW_NDIM:
        return PyLong_FromLong(shape->ndim);
    case VIEW_SHAPE:
        return view_tuple(shape->dims, shape->ndim);
    case VIEW_STRIDES:
        return view_tuple(shape->dims + shape->ndim, shape->ndim);
    default:
        return PyBool_FromLong(!view->hold.strided || shape->fortran);
    }
}

static PyObject *
view_get_released(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((view_object *)op)->hold.exporter == NULL);
}

static PyObject *
view_get_site(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *site = ((view_object *)op)->hold.site;
    return Py_NewRef(site != NULL ? site : Py_None);
}

PyDoc_STRVAR(view_toreadonly__doc__,
             "toreadonly($self, /)\n--\n\n"
             "View of the same items that cannot be written to.");

static PyObject *
view_toreadonly(PyObject *op, PyObject *Py_UNUSED(unused))
{
    view_object *view = (view_object *)op;
    view_region region;
    if (view_check(view) < 0) {
        return NULL;
    }
    view_region_of(view, &region);
    PyObject *result = view_derive(view, &region, NULL);
    if (result != NULL) {
        ((view_object *)result)->hold.readonly = true;
    }
    return result;
}

/* ---- the type */

#define VIEW_GET(name, which, doc)                                            \
    {name, view_get, NULL, PyDoc_STR(doc), (void *)(uintptr_t)which}

static PyGetSetDef view_getset[] = {
    VIEW_GET("obj", VIEW_OBJ, "The exporter: whose memory it is."),
    VIEW_GET("nbytes", VIEW_NBYTES, "Bytes of all items."),
    VIEW_GET("itemsize", VIEW_ITEMSIZE, "Bytes of one item."),
    VIEW_GET("format", VIEW_FORMAT, "What an item is, as struct has it."),
    VIEW_GET("ndim", VIEW_NDIM, "How many dimensions."),
    VIEW_GET("shape", VIEW_SHAPE, "Items along each dimension."),
    VIEW_GET("strides", VIEW_STRIDES, "Bytes from an item to the next."),
    VIEW_GET("readonly", VIEW_READONLY, "Can it not be written to?"),
    VIEW_GET("contiguous", VIEW_CONTIGUOUS,
             "Do the items lie one after another (in C's or Fortran's "
             "order)?"),
    {"released", view_get_released, NULL,
     PyDoc_STR("Has release() been called?"), NULL},
    {"site", view_get_site, NULL,
     PyDoc_STR("\"file.py:12 in function\" where it was made, if "
               "track_sites(True)\nwas called before; else None."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef view_methods[] = {
    {"cast", FE_METHOD(view_cast), METH_FASTCALL | METH_KEYWORDS,
     view_cast__doc__},
    {"decode", FE_METHOD(view_decode), METH_FASTCALL | METH_KEYWORDS,
     view_decode__doc__},
    {"hex", FE_METHOD(view_hex), METH_FASTCALL | METH_KEYWORDS,
     view_hex__doc__},
    {"release", view_release, METH_NOARGS, view_release__doc__},
    {"tobytes", view_tobytes, METH_NOARGS, view_tobytes__doc__},
    {"tolist", view_tolist, METH_NOARGS, view_tolist__doc__},
    {"toreadonly", view_toreadonly, METH_NOARGS, view_toreadonly__doc__},
    {"__bytes__", view_tobytes, METH_NOARGS, NULL},
    {"__enter__", view_enter, METH_NOARGS, view_enter__doc__},
    {"__exit__", FE_METHOD(view_exit), METH_FASTCALL, view_exit__doc__},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef view_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(view_object, weakrefs),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(
    view__doc__,
    "View(buffer, start=0, stop=None)\n--\n\n"
    "Memory of any exporter of a buffer, without a copy.\n\n"
    "As the exporter describes it: bytes, or items of its format and shape;\n"
    "with start or stop, which are like a slice's, its bytes. Slices are\n"
    "views of the same memory. A view of a View or memoryview has the\n"
    "exporter behind it. TypeError for what is no buffer, BufferError for\n"
    "one that cannot be used so.\n\n"
    "Source: PEP 3118.");

static PyType_Slot view_slots[] = {
    {Py_tp_doc, FE_TEXT(view__doc__)},
    {Py_tp_new, FE_SLOT(view_tp_new)},
    {Py_tp_traverse, FE_SLOT(view_tp_traverse)},
    {Py_tp_clear, FE_SLOT(view_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(view_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(view_tp_repr)},
    {Py_tp_iter, FE_SLOT(view_tp_iter)},
    {Py_tp_hash, FE_SLOT(view_tp_hash)},
    {Py_tp_richcompare, FE_SLOT(view_tp_richcompare)},
    {Py_tp_getset, view_getset},
    {Py_tp_methods, view_methods},
    {Py_tp_members, view_members},
    {Py_sq_length, FE_SLOT(view_length)},
    {Py_sq_item, FE_SLOT(view_sq_item)},
    {Py_mp_length, FE_SLOT(view_length)},
    {Py_mp_subscript, FE_SLOT(view_mp_subscript)},
    {Py_mp_ass_subscript, FE_SLOT(view_mp_ass_subscript)},
    {Py_bf_getbuffer, FE_SLOT(view_bf_getbuffer)},
    {Py_bf_releasebuffer, FE_SLOT(wire_hold_releasebuffer)},
    {0, NULL},
};

static PyType_Spec view_spec = {
    .name = "ferrule.wire.View",
    .basicsize = sizeof(view_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_SEQUENCE,
    .slots = view_slots,
};

int
view_register(PyObject *module, wire_state *state)
{
    PyObject *type;
    if (view_table_register(module, state) < 0
        || (type = PyType_FromModuleAndSpec(module, &view_spec, NULL))
               == NULL) {
        return -1;
    }
    state->view_type = (PyTypeObject *)type;
    state->view_type->tp_vectorcall = view_vectorcall;
    return PyModule_AddObjectRef(module, "View", type) == 0
                   && view_holders_register(module) == 0
               ? 0
               : -1;
}
