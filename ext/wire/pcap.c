/* SPDX-License-Identifier: MIT
 *
 * pcap(): frames of a capture file in memory. Each Frame holds the capture's
 * memory in place, nothing is copied. What bytes mean is in pcap_core.
 */
#include "wire_state.h"
#include "pcap_core.h"

#include <string.h>

#define PCAP_MAX_FRAME 262144
#define PCAP_NANO 1000000000

typedef struct {
    wire_hold hold; /* of the whole capture; dropped at the end */
    pcap_reader reader;
    Py_ssize_t index; /* of the next frame */
    bool ended;
    bool described; /* `about` says something */
    pcap_interface about;
} pcap_object;

typedef struct {
    wire_hold hold; /* of the captured bytes */
    int64_t time_ns;
    uint32_t original, link_type;
} frame_object;

#define PCAP(op) ((pcap_object *)(op))
#define FRAME(op) ((frame_object *)(op))

static const pcap_host pcap_memory = {PyMem_Realloc, PyMem_Free};

static int
pcap_check_held(const wire_hold *hold, const char *name)
{
    if (FE_LIKELY(hold->exporter != NULL)) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "%s has been released", name);
    return -1;
}

/* The slots that both types share. */

static int
pcap_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return wire_hold_traverse((wire_hold *)op, visit, arg);
}

static int
pcap_tp_clear(PyObject *op)
{
    if (((wire_hold *)op)->exports == 0) {
        wire_hold_drop(wire_state_or_null(op), (wire_hold *)op);
    }
    return 0;
}

static PyObject *
pcap_enter(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(op);
}

/* ---- Frame */

static PyObject *
frame_enter(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return pcap_check_held(&FRAME(op)->hold, "Frame") == 0 ? Py_NewRef(op)
                                                           : NULL;
}

static void
frame_tp_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    wire_hold_drop(wire_state_or_null(op), &FRAME(op)->hold);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

/* new: seconds since 1970, as exact as a float can be */
static PyObject *
frame_get_timestamp(PyObject *op, void *Py_UNUSED(closure))
{
    int64_t seconds = FRAME(op)->time_ns / PCAP_NANO;
    int64_t part = FRAME(op)->time_ns % PCAP_NANO;
    if (part < 0) {
        part += PCAP_NANO;
        seconds--;
    }
    return PyFloat_FromDouble((double)seconds + (double)part / 1e9);
}

static PyObject *
frame_get_time_ns(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(FRAME(op)->time_ns);
}

static PyObject *
frame_get_original_length(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(FRAME(op)->original);
}

static PyObject *
frame_get_link_type(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(FRAME(op)->link_type);
}

static PyObject *
frame_get_data(PyObject *op, void *Py_UNUSED(closure))
{
    wire_state *state = wire_state_of(op);
    const wire_hold *hold = &FRAME(op)->hold;
    return state != NULL && pcap_check_held(hold, "Frame") == 0
               ? view_share(state, hold, 0, hold->length)
               : NULL;
}

/* new: str, or None */
static PyObject *
frame_get_site(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *site = FRAME(op)->hold.site;
    return Py_NewRef(site != NULL ? site : Py_None);
}

static Py_ssize_t
frame_sq_length(PyObject *op)
{
    return pcap_check_held(&FRAME(op)->hold, "Frame") == 0
               ? FRAME(op)->hold.length
               : -1;
}

static PyObject *
frame_tp_repr(PyObject *op)
{
    const frame_object *self = FRAME(op);
    if (self->hold.exporter == NULL) {
        return PyUnicode_FromString("<Frame, released>");
    }
    return PyUnicode_FromFormat(
        "<Frame of %zd bytes, link type %lu, at %lld ns>", self->hold.length,
        (unsigned long)self->link_type, (long long)self->time_ns);
}

PyDoc_STRVAR(frame_release__doc__,
             "release($self, /)\n--\n\n"
             "Let the capture's memory go. BufferError while a memoryview of "
             "the frame\nis in use; Views of it are holders of their own. "
             "Harmless the second time.");

static PyObject *
frame_release(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    if (wire_hold_check_idle(&FRAME(op)->hold, "Frame.release") < 0) {
        return NULL;
    }
    wire_hold_drop(wire_state_or_null(op), &FRAME(op)->hold);
    Py_RETURN_NONE;
}

static PyObject *
frame_exit(PyObject *op, PyObject *const *Py_UNUSED(args),
           Py_ssize_t Py_UNUSED(nargs))
{
    return frame_release(op, NULL);
}

static PyMethodDef frame_methods[] = {
    {"release", frame_release, METH_NOARGS, frame_release__doc__},
    {"__enter__", frame_enter, METH_NOARGS, "The frame itself."},
    {"__exit__", FE_METHOD(frame_exit), METH_FASTCALL, "As release()."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef frame_getset[] = {
    {"timestamp", frame_get_timestamp, NULL,
     "When it was captured: seconds since 1970 as a float.", NULL},
    {"time_ns", frame_get_time_ns, NULL,
     "The same in nanoseconds, as exact as the file says it.", NULL},
    {"data", frame_get_data, NULL, "View of the captured bytes.", NULL},
    {"site", frame_get_site, NULL,
     "Where it was made, if track_sites() was on then; else None.", NULL},
    {"original_length", frame_get_original_length, NULL,
     "Its bytes on the wire; more than len() where the capture cut it.", NULL},
    {"link_type", frame_get_link_type, NULL,
     "What it begins with, as LINKTYPE_…: 1 is Ethernet.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(frame__doc__,
             "A frame of a capture, in place: its buffer and len() are those "
             "of the\ncaptured bytes. Made by pcap().");

static PyType_Slot frame_slots[] = {
    {Py_tp_doc, FE_SLOT(frame__doc__)},
    {Py_tp_traverse, FE_SLOT(pcap_tp_traverse)},
    {Py_tp_clear, FE_SLOT(pcap_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(frame_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(frame_tp_repr)},
    {Py_tp_methods, FE_SLOT(frame_methods)},
    {Py_tp_getset, FE_SLOT(frame_getset)},
    {Py_sq_length, FE_SLOT(frame_sq_length)},
    {Py_bf_getbuffer, FE_SLOT(wire_hold_getbuffer)},
    {Py_bf_releasebuffer, FE_SLOT(wire_hold_releasebuffer)},
    {0, NULL},
};

static PyType_Spec frame_spec = {
    .name = "ferrule.wire.Frame",
    .basicsize = sizeof(frame_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = frame_slots,
};

/* ---- what is wrong */

/* Set the exception of a status that is neither a frame nor the end.
 * `index` < 0: before the first frame.
 */
static void
pcap_raise(wire_state *state, pcap_status status, const pcap_problem *problem,
           const pcap_reader *reader, Py_ssize_t index)
{
    if (status == PCAP_NO_MEMORY) {
        PyErr_NoMemory();
        return;
    }
    PyObject *where = index < 0
                          ? PyUnicode_FromString("pcap()")
                          : PyUnicode_FromFormat("pcap() frame %zd", index);
    PyObject *wanted, *had;
    if (status == PCAP_NO_CAPTURE) {
        size_t first = reader->length < 4 ? reader->length : 4;
        wanted = PyUnicode_FromString("a pcap or pcapng capture");
        had = PyBytes_FromStringAndSize((const char *)reader->data,
                                        (Py_ssize_t)first);
    }
    else {
        had = PyLong_FromUnsignedLongLong(problem->had);
        wanted =
            status == PCAP_SHORT ? PyLong_FromUnsignedLongLong(problem->wanted)
            : status == PCAP_LONG
                ? PyUnicode_FromFormat("at most %llu bytes",
                                       (unsigned long long)problem->wanted)
                : PyUnicode_FromString(problem->text);
    }
    wire_refuse(state, (Py_ssize_t)problem->offset, wanted, had, where);
}

/* ---- pcap */

static void
pcap_let_go(PyObject *op)
{
    pcap_close(&PCAP(op)->reader);
    wire_hold_drop(wire_state_or_null(op), &PCAP(op)->hold);
}

static void
pcap_tp_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    pcap_let_go(op);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

/* 0, or -1 with TypeError or ValueError */
static int
pcap_read_limit(PyObject *value, uint32_t *limit)
{
    *limit = PCAP_MAX_FRAME;
    if (value == NULL) {
        return 0;
    }
    if (!PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "pcap() max_frame must be an int, not %s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    Py_ssize_t number = PyNumber_AsSsize_t(value, NULL); /* clipped */
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (number < 1 || (uint64_t)number > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError,
                     "pcap() max_frame must be 1 to 4294967295, got %S",
                     value);
        return -1;
    }
    *limit = (uint32_t)number;
    return 0;
}

/* new: reads nothing yet but the head. The reader becomes the iterator's only
 * when it is good: holders() finds the iterator while an error is being made.
 */
static PyObject *
pcap_open_new(wire_state *state, PyTypeObject *type, PyObject *buffer,
              uint32_t limit)
{
    pcap_object *self = PyObject_GC_New(pcap_object, type);
    if (self == NULL) {
        return NULL;
    }
    memset(&self->reader, 0, sizeof(self->reader));
    self->index = 0;
    self->ended = self->described = false;
    if (wire_hold_take(state, &self->hold, buffer, "pcap") < 0
        || wire_check_mapped(buffer, self->hold.length, "pcap") < 0) {
        Py_DECREF(self);
        return NULL;
    }
    pcap_reader reader;
    pcap_problem problem;
    pcap_status status =
        pcap_open(&reader, &pcap_memory, (const uint8_t *)self->hold.data,
                  (size_t)self->hold.length, limit, &problem);
    if (status != PCAP_FRAME) {
        pcap_raise(state, status, &problem, &reader, -1);
        pcap_close(&reader);
        Py_DECREF(self);
        return NULL;
    }
    self->reader = reader;
    const pcap_interface *first = pcap_first(&self->reader);
    if (first != NULL) {
        self->about = *first;
        self->described = true;
    }
    if (wire_hold_may_cycle(&self->hold)) {
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

static PyObject *
pcap_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {FE_TEXT(""), FE_TEXT("max_frame"), NULL};
    PyObject *buffer, *most = NULL;
    uint32_t limit;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O:pcap", names, &buffer,
                                     &most)
        || pcap_read_limit(most, &limit) < 0) {
        return NULL;
    }
    PyObject *module = PyType_GetModule(type);
    return module != NULL
               ? pcap_open_new(wire_get_state(module), type, buffer, limit)
               : NULL;
}

/* new: a frame that holds nothing yet */
static frame_object *
frame_new(wire_state *state)
{
    if (FE_UNLIKELY(state->frame_type == NULL)) {
        wire_refuse_shut(); /* the module's state has been cleared */
        return NULL;
    }
    frame_object *frame = PyObject_GC_New(frame_object, state->frame_type);
    if (frame != NULL) {
        frame->hold.exporter = NULL;
        frame->hold.exports = 0;
    }
    return frame;
}

/* The last frame was given, or an error: nothing comes after it. The memory
 * goes, so that it can be unmapped as soon as the frames are gone.
 */
static PyObject *
pcap_finish(wire_state *state, PyObject *op, pcap_status status,
            const pcap_problem *problem)
{
    pcap_object *self = PCAP(op);
    if (status != PCAP_END) {
        pcap_raise(state, status, problem, &self->reader, self->index);
    }
    self->ended = true;
    fe_error error = fe_error_put_aside();
    pcap_let_go(op);
    fe_error_put_back(error);
    return NULL;
}

static PyObject *
pcap_tp_iternext(PyObject *op)
{
    pcap_object *self = PCAP(op);
    wire_state *state = wire_state_of(op);
    /* first: the collector may run here, and release this very iterator */
    frame_object *frame = state != NULL ? frame_new(state) : NULL;
    if (frame == NULL) {
        return NULL;
    }
    if (FE_UNLIKELY(self->hold.exporter == NULL)) {
        Py_DECREF(frame);
        if (!self->ended) {
            pcap_check_held(&self->hold, "pcap");
        }
        return NULL;
    }
    pcap_frame found;
    pcap_problem problem;
    pcap_status status = pcap_next(&self->reader, &found, &problem);
    if (FE_UNLIKELY(status != PCAP_FRAME)) {
        Py_DECREF(frame);
        return pcap_finish(state, op, status, &problem);
    }
    frame->time_ns = found.time_ns;
    frame->original = found.original;
    frame->link_type = found.link_type;
    self->index++;
    if (wire_hold_share(state, &frame->hold, &self->hold,
                        (Py_ssize_t)found.start, (Py_ssize_t)found.captured)
        < 0) {
        Py_DECREF(frame);
        return NULL;
    }
    if (wire_hold_may_cycle(&frame->hold)) {
        PyObject_GC_Track(frame);
    }
    return (PyObject *)frame;
}

PyDoc_STRVAR(
    pcap_release__doc__,
    "release($self, /)\n--\n\n"
    "Let the capture's memory go; frames keep what they hold. "
    "Harmless the\nsecond time. The end of the iteration does it too.");

static PyObject *
pcap_release(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    pcap_let_go(op);
    Py_RETURN_NONE;
}

static PyObject *
pcap_exit(PyObject *op, PyObject *const *Py_UNUSED(args),
          Py_ssize_t Py_UNUSED(nargs))
{
    return pcap_release(op, NULL);
}

static PyObject *
pcap_get_link_type(PyObject *op, void *Py_UNUSED(closure))
{
    const pcap_object *self = PCAP(op);
    return self->described ? PyLong_FromUnsignedLong(self->about.link_type)
                           : Py_NewRef(Py_None);
}

static PyObject *
pcap_get_snaplen(PyObject *op, void *Py_UNUSED(closure))
{
    const pcap_object *self = PCAP(op);
    return self->described ? PyLong_FromUnsignedLong(self->about.snaplen)
                           : Py_NewRef(Py_None);
}

static PyGetSetDef pcap_getset[] = {
    {"link_type", pcap_get_link_type, NULL,
     "Of the file, or of a pcapng file's first interface; None: it has none.",
     NULL},
    {"snaplen", pcap_get_snaplen, NULL,
     "Longest frame the capture was to keep, 0 for any; None as link_type.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef pcap_methods[] = {
    {"release", pcap_release, METH_NOARGS, pcap_release__doc__},
    {"__enter__", pcap_enter, METH_NOARGS, "The iterator itself."},
    {"__exit__", FE_METHOD(pcap_exit), METH_FASTCALL, "As release()."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    pcap__doc__,
    "pcap(buffer, /, *, max_frame=262144)\n--\n\n"
    "Frames of a capture file in memory, such as an mmap of it, one by one.\n"
    "\n"
    "Reads classic files (both byte orders, micro- and nanoseconds) and "
    "pcapng\n"
    "(several sections and interfaces; blocks without a frame are passed "
    "over).\n"
    "Each Frame holds the memory in place. WireError where the bytes are no\n"
    "capture, are cut short, or have a frame of more than max_frame bytes; "
    "the\nframes before it have been given. TypeError or BufferError for what "
    "is no\ncontiguous buffer.\n"
    "\n"
    "Source: IETF drafts draft-ietf-opsawg-pcap and "
    "draft-ietf-opsawg-pcapng.");

static PyType_Slot pcap_slots[] = {
    {Py_tp_doc, FE_SLOT(pcap__doc__)},
    {Py_tp_new, FE_SLOT(pcap_tp_new)},
    {Py_tp_traverse, FE_SLOT(pcap_tp_traverse)},
    {Py_tp_clear, FE_SLOT(pcap_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(pcap_tp_dealloc)},
    {Py_tp_iter, FE_SLOT(PyObject_SelfIter)},
    {Py_tp_iternext, FE_SLOT(pcap_tp_iternext)},
    {Py_tp_methods, FE_SLOT(pcap_methods)},
    {Py_tp_getset, FE_SLOT(pcap_getset)},
    {0, NULL},
};

static PyType_Spec pcap_spec = {
    .name = "ferrule.wire.pcap",
    .basicsize = sizeof(pcap_object),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pcap_slots,
};

int
pcap_register(PyObject *module, wire_state *state)
{
    state->frame_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &frame_spec, NULL);
    state->pcap_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &pcap_spec, NULL);
    return state->frame_type != NULL && state->pcap_type != NULL
                   && PyModule_AddType(module, state->frame_type) == 0
                   && PyModule_AddType(module, state->pcap_type) == 0
               ? 0
               : -1;
}
