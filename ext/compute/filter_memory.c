/* SPDX-License-Identifier: MIT
 *
 * A block of numbers of its own, which offers itself as a buffer. It never
 * moves or shrinks once a view was made.
 */
#include "compute_state.h"

#define MEMORY(op) ((filter_memory *)(op))

filter_memory *
filter_memory_new(compute_state *state, Py_ssize_t count, Py_ssize_t size,
                  const char *format)
{
    if (count > (PY_SSIZE_T_MAX - FE_FILTER_WORD) / size - FE_FILTER_WORD) {
        PyErr_NoMemory();
        return NULL;
    }
    Py_ssize_t room =
        (count + FE_FILTER_WORD - 1) / FE_FILTER_WORD * FE_FILTER_WORD;
    PyTypeObject *type = state->filter_memory_type;
    filter_memory *self = MEMORY(type->tp_alloc(type, 0));
    if (self == NULL) {
        return NULL;
    }
    self->data = PyMem_Malloc((size_t)(room * size));
    if (self->data == NULL) {
        PyErr_NoMemory();
        Py_DECREF(self);
        return NULL;
    }
    self->count = count;
    self->size = size;
    memcpy(self->format, format, sizeof(self->format));
    return self;
}

void
filter_memory_shrink(filter_memory *memory, Py_ssize_t count)
{
    memory->count = count;
    char *data = PyMem_Realloc(memory->data, (size_t)(count * memory->size));
    if (data != NULL) { /* else it keeps more than it needs */
        memory->data = data;
    }
}

static void
filter_memory_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(MEMORY(self)->data);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
filter_memory_bf_getbuffer(PyObject *op, Py_buffer *view, int flags)
{
    filter_memory *self = MEMORY(op);
    view->buf = self->data;
    view->obj = Py_NewRef(op);
    view->len = self->count * self->size;
    view->itemsize = self->size;
    view->readonly = 0;
    view->ndim = 1;
    view->format = (flags & PyBUF_FORMAT) != 0 ? self->format : NULL;
    view->shape = (flags & PyBUF_ND) != 0 ? &self->count : NULL;
    view->strides =
        (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &self->size : NULL;
    view->suboffsets = NULL;
    view->internal = NULL;
    return 0;
}

PyDoc_STRVAR(filter_memory__doc__, "Memory of what above() has found.");

static PyType_Slot filter_memory_slots[] = {
    {Py_tp_doc, FE_TEXT(filter_memory__doc__)},
    {Py_tp_dealloc, FE_SLOT(filter_memory_tp_dealloc)},
    {Py_bf_getbuffer, FE_SLOT(filter_memory_bf_getbuffer)},
    {0, NULL},
};

static PyType_Spec filter_memory_spec = {
    .name = "ferrule._compute.Memory",
    .basicsize = sizeof(filter_memory),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = filter_memory_slots,
};

int
filter_memory_register(PyObject *module, compute_state *state)
{
    state->filter_memory_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &filter_memory_spec, NULL);
    return state->filter_memory_type == NULL ? -1 : 0;
}
