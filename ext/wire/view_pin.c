/* SPDX-License-Identifier: MIT
 *
 * Holding an exporter's memory: the head of View, LayoutView and Frame, the
 * buffer that slices share, and the table of who holds what. Nothing here
 * looks at shapes or formats.
 */
#include "view_table.h"

/* ---- the table */

static void
table_use(view_table *table, wire_hold **buckets, size_t size, unsigned shift)
{
    table->buckets = buckets;
    table->size = size;
    table->shift = shift;
}

/* Move every hold to the buckets that are set now. */
static void
table_relink(view_table *table, wire_hold **old, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        for (wire_hold *hold = old[i]; hold != NULL;) {
            wire_hold *next = hold->next;
            view_link_into(view_bucket(table, hold->exporter), hold);
            hold = next;
        }
        old[i] = NULL;
    }
}

/* Twice as many buckets. Without memory the lists get longer, and the next
 * hold tries again. */
void
view_table_grow(view_table *table)
{
    size_t size = table->size;
    wire_hold **old = table->buckets;
    wire_hold **more = PyMem_Calloc(2 * size, sizeof(*more));
    if (more == NULL) {
        return;
    }
    table_use(table, more, 2 * size, table->shift - 1);
    table_relink(table, old, size);
    if (old != table->first) {
        PyMem_Free(old);
    }
}

/* Nothing is linked: back to the first buckets, which are all empty. */
void
view_table_shrink(view_table *table)
{
    PyMem_Free(table->buckets);
    table_use(table, table->first, VIEW_BUCKETS, 64 - 8);
}

/* Views may live longer than the module that made them, at the interpreter's
 * end: then they are in no list. */
void
view_table_clear(wire_state *state)
{
    view_table *table = &state->views;
    if (table->buckets == NULL) {
        return; /* never registered */
    }
    PyTypeObject *type = state->view_type;
    state->view_type = NULL; /* from now on no dead view is kept */
    for (size_t i = 0; i < table->size; i++) {
        while (table->buckets[i] != NULL) {
            view_unlink(NULL, table->buckets[i]);
        }
    }
    if (table->buckets != table->first) {
        view_table_shrink(table);
    }
    table->count = 0;
    fe_dead_links_free(table->free_list);
    table->free_list = NULL;
    table->free_count = 0;
    Py_XDECREF(type);
}

/* ---- sites */

/* new: str, where the Python code that runs now is; NULL with MemoryError */
static PyObject *
view_site(void)
{
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    if (frame == NULL) {
        return PyUnicode_FromString("no Python code");
    }
    PyCodeObject *code = PyFrame_GetCode(frame);
    PyObject *site =
        PyUnicode_FromFormat("%U:%d in %U", code->co_filename,
                             PyFrame_GetLineNumber(frame), code->co_qualname);
    Py_DECREF(code);
    Py_DECREF(frame);
    return site;
}

static void
hold_let_go(wire_hold *hold)
{
    view_pin *pin = hold->pin;
    PyObject *exporter = hold->exporter, *site = hold->site;
    hold->exporter = hold->site = NULL;
    hold->pin = NULL;
    hold->data = NULL;
    hold->length = 0;
    Py_XDECREF(pin); /* the buffer goes back before its exporter goes */
    Py_XDECREF(exporter);
    Py_XDECREF(site);
}

/* The site is made before anything is linked: it is the one that can fail. */
int
view_link_with_site(wire_state *state, wire_hold *hold)
{
    hold->exports = 0;
    hold->site = NULL;
    hold->link = NULL;
    if (FE_UNLIKELY(state->views.track_sites)
        && (hold->site = view_site()) == NULL) {
        hold_let_go(hold);
        return -1;
    }
    view_link(&state->views, hold);
    return 0;
}

/* ---- pins */

/* May the collector follow the pin? Only to an exporter that the buffer itself
 * names. A memoryview that the collector clears while it is exported crashes
 * when it goes (memory_clear of CPython 3.11 to 3.14 drops what its
 * deallocator needs): no memoryview, and nothing that may hold one, such as
 * what stands between a class with __buffer__ and its consumer. Cycles through
 * these are not collected, as if the pin were held from outside. */
static bool
pin_shows(const view_pin *pin, PyObject *exporter)
{
    return pin->buffer.obj == exporter && PyObject_IS_GC(exporter)
           && !PyMemoryView_Check(exporter);
}

view_pin *
view_pin_new(wire_state *state, PyObject *exporter)
{
    if (state->view_pin_type == NULL) { /* the state has been cleared */
        wire_refuse_shut();
        return NULL;
    }
    view_pin *pin = PyObject_GC_New(view_pin, state->view_pin_type);
    if (pin == NULL) {
        return NULL;
    }
    memset(&pin->buffer, 0, sizeof(pin->buffer));
    if (PyObject_GetBuffer(exporter, &pin->buffer, PyBUF_RECORDS_RO) < 0) {
        pin->buffer.obj = NULL;
        Py_DECREF(pin);
        return NULL;
    }
    if (pin->buffer.len < 0 || (pin->buffer.buf == NULL && pin->buffer.len)) {
        PyErr_Format(PyExc_BufferError, "%s exports a buffer of %zd bytes",
                     view_type_name(exporter), pin->buffer.len);
        Py_DECREF(pin);
        return NULL;
    }
    if (pin_shows(pin, exporter)) {
        PyObject_GC_Track(pin);
    }
    return pin;
}

static int
view_pin_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((view_pin *)op)->buffer.obj);
    return 0;
}

/* There is no tp_clear: views point into the memory until they are cleared
 * themselves, and with the last of them the pin goes. Memory may be held
 * through a View through a memoryview and so on, as deep as anybody likes. */
static void
view_pin_tp_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, view_pin_tp_dealloc)
        PyBuffer_Release(&((view_pin *)op)->buffer);
    PyObject_GC_Del(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyType_Slot view_pin_slots[] = {
    {Py_tp_traverse, FE_SLOT(view_pin_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(view_pin_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec view_pin_spec = {
    .name = "ferrule._wire.ViewPin",
    .basicsize = sizeof(view_pin),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = view_pin_slots,
};

/* ---- holds */

wire_hold *
wire_hold_of(wire_state *state, PyObject *obj)
{
    PyTypeObject *type = Py_TYPE(obj);
    return type == state->view_type || type == state->lazy_type
                   || type == state->frame_type
               ? (wire_hold *)obj
               : NULL;
}

Py_ssize_t
wire_hold_extent(wire_state *state, const wire_hold *hold)
{
    return Py_IS_TYPE((const PyObject *)hold, state->lazy_type)
               ? lazy_extent(state, (const lazy_object *)hold)
               : hold->length;
}

/* A memoryview's exporter is its obj, so that a View made of a memoryview is
 * found where its memory is. */
PyObject *
view_exporter_of(wire_state *state, PyObject *buffer)
{
    if (PyMemoryView_Check(buffer)) {
        PyObject *owner = PyMemoryView_GET_BUFFER(buffer)->obj;
        buffer = owner != NULL ? owner : buffer;
    }
    const wire_hold *hold = wire_hold_of(state, buffer);
    return hold != NULL && hold->exporter != NULL ? hold->exporter : buffer;
}

static int
hold_check_type(PyObject *buffer, const char *function)
{
    if (!PyObject_CheckBuffer(buffer)) {
        PyErr_Format(PyExc_TypeError, "%s() wants a contiguous buffer, got %s",
                     function, view_type_name(buffer));
        return -1;
    }
    return 0;
}

static int
hold_refuse_strided(PyObject *buffer, const char *function)
{
    PyErr_Format(PyExc_BufferError,
                 "%s() wants a contiguous buffer, got a strided %s", function,
                 view_type_name(buffer));
    return -1;
}

static int
hold_take_buffer(wire_state *state, wire_hold *hold, PyObject *buffer,
                 const char *function)
{
    view_pin *pin = hold_check_type(buffer, function) == 0
                        ? view_pin_new(state, buffer)
                        : NULL;
    if (pin == NULL) {
        return -1;
    }
    if (!PyBuffer_IsContiguous(&pin->buffer, 'C')) {
        Py_DECREF(pin);
        return hold_refuse_strided(buffer, function);
    }
    hold->pin = pin;
    hold->exporter = Py_NewRef(view_exporter_of(state, buffer));
    hold->data = pin->buffer.buf;
    hold->length = pin->buffer.len;
    hold->readonly = pin->buffer.readonly != 0;
    return view_link_with_site(state, hold);
}

int
wire_hold_take(wire_state *state, wire_hold *hold, PyObject *buffer,
               const char *function)
{
    hold->exporter = NULL;
    hold->pin = NULL;
    hold->link = NULL;
    hold->site = NULL;
    hold->exports = 0;
    hold->strided = false;
    if (FE_LIKELY(PyBytes_CheckExact(buffer))) {
        hold->exporter = Py_NewRef(buffer);
        hold->data = PyBytes_AS_STRING(buffer);
        hold->length = PyBytes_GET_SIZE(buffer);
        hold->readonly = true;
        return view_link_with_site(state, hold);
    }
    const wire_hold *from = wire_hold_of(state, buffer);
    if (from == NULL) {
        return hold_take_buffer(state, hold, buffer, function);
    }
    if (from->exporter == NULL) {
        PyErr_Format(PyExc_ValueError, "%s has been released",
                     view_type_name(buffer));
        return -1;
    }
    if (from->strided) {
        return hold_refuse_strided(buffer, function);
    }
    Py_ssize_t length = wire_hold_extent(state, from);
    return length < 0 ? -1 : wire_hold_share(state, hold, from, 0, length);
}

int
wire_hold_share(wire_state *state, wire_hold *hold, const wire_hold *from,
                Py_ssize_t start, Py_ssize_t length)
{
    assert(from->exporter != NULL && !from->strided);
    assert(start >= 0 && length >= 0 && start <= from->length - length);
    hold->exporter = Py_NewRef(from->exporter);
    hold->pin = (view_pin *)Py_XNewRef(from->pin);
    hold->data = from->data + start;
    hold->length = length;
    hold->readonly = from->readonly;
    hold->strided = false;
    return view_link_with_site(state, hold);
}

void
wire_hold_drop(wire_state *state, wire_hold *hold)
{
    if (hold->exporter != NULL) {
        assert(hold->exports == 0);
        view_unlink(state != NULL ? &state->views : NULL, hold);
        hold_let_go(hold);
    }
}

int
wire_hold_traverse(const wire_hold *hold, visitproc visit, void *arg)
{
    if (hold->exporter != NULL) {
        Py_VISIT(hold->exporter);
        Py_VISIT(hold->pin);
    }
    return 0;
}

bool
wire_hold_may_cycle(const wire_hold *hold)
{
    const view_pin *pin = hold->pin;
    return pin != NULL && pin_shows(pin, hold->exporter);
}

int
wire_hold_check_idle(const wire_hold *hold, const char *function)
{
    if (FE_LIKELY(hold->exports == 0)) {
        return 0;
    }
    PyErr_Format(PyExc_BufferError, "%s(): %zd %s still in use", function,
                 hold->exports,
                 hold->exports == 1 ? "buffer of it is" : "buffers of it are");
    return -1;
}

/* PyBuffer_FillInfo for one dimension of bytes */
int
wire_hold_getbuffer(PyObject *self, Py_buffer *buffer, int flags)
{
    wire_hold *hold = (wire_hold *)self;
    if (hold->exporter == NULL) {
        PyErr_Format(PyExc_ValueError, "%s has been released",
                     view_type_name(self));
        buffer->obj = NULL;
        return -1;
    }
    if (PyBuffer_FillInfo(buffer, self, hold->data, hold->length,
                          hold->readonly, flags)
        < 0) {
        return -1;
    }
    hold->exports++;
    return 0;
}

void
wire_hold_releasebuffer(PyObject *self, Py_buffer *Py_UNUSED(buffer))
{
    ((wire_hold *)self)->exports--;
}

int
view_table_register(PyObject *module, wire_state *state)
{
    table_use(&state->views, state->views.first, VIEW_BUCKETS, 64 - 8);
    state->view_pin_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &view_pin_spec, NULL);
    return state->view_pin_type != NULL ? 0 : -1;
}
