/* SPDX-License-Identifier: MIT
 *
 * Iterators over a WeakValueDictionary. They keep a place, not the values:
 * the dictionary may change in any way meanwhile.
 */
#include "lifetime_state.h"

typedef struct {
    PyObject_HEAD weak_dict *dict; /* NULL: at the end */
    weak_cursor at;
    weak_kind kind;
} weak_iter;

/* stolen: both; a tuple may begin a collection, so they are owned before */
static PyObject *
weak_iter_pair(PyObject *key_steal, PyObject *value_steal)
{
    PyObject *pair = PyTuple_New(2);
    if (pair == NULL) {
        Py_DECREF(key_steal);
        Py_DECREF(value_steal);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, key_steal);
    PyTuple_SET_ITEM(pair, 1, value_steal);
    return pair;
}

static PyObject *
weak_iter_tp_iternext(weak_iter *self)
{
    const weak_entry *entry;
    while (self->dict != NULL
           && (entry = weak_cursor_next(self->dict, &self->at)) != NULL) {
        if (self->kind == WEAK_REFS) {
            return Py_NewRef((PyObject *)entry->ref);
        }
        PyObject *value = weak_ref_value(entry->ref);
        if (value == NULL) {
            continue;
        }
        if (self->kind == WEAK_VALUES) {
            return value;
        }
        PyObject *key = Py_NewRef(entry->key);
        if (self->kind == WEAK_ITEMS) {
            return weak_iter_pair(key, value);
        }
        Py_DECREF(value); /* perhaps the last: the entry may be gone now */
        return key;
    }
    Py_CLEAR(self->dict);
    return NULL;
}

static int
weak_iter_tp_traverse(weak_iter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->dict);
    return 0;
}

static int
weak_iter_tp_clear(weak_iter *self)
{
    Py_CLEAR(self->dict);
    return 0;
}

static void
weak_iter_tp_dealloc(weak_iter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->dict);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyType_Slot weak_iter_slots[] = {
    {Py_tp_doc, FE_TEXT("Iterator over a WeakValueDictionary.")},
    {Py_tp_iter, FE_SLOT(PyObject_SelfIter)},
    {Py_tp_iternext, FE_SLOT(weak_iter_tp_iternext)},
    {Py_tp_traverse, FE_SLOT(weak_iter_tp_traverse)},
    {Py_tp_clear, FE_SLOT(weak_iter_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(weak_iter_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec weak_iter_spec = {
    .name = "ferrule.lifetime.weak_value_iterator",
    .basicsize = sizeof(weak_iter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = weak_iter_slots,
};

PyObject *
weak_iter_new(weak_dict *self, weak_kind kind)
{
    const lifetime_state *state = self->callback->state;
    if (weak_dict_need_module(state) < 0) {
        return NULL;
    }
    weak_iter *iterator =
        PyObject_GC_New(weak_iter, state->weak_dict_iterator_type);
    if (iterator == NULL) {
        return NULL;
    }
    iterator->dict = (weak_dict *)Py_NewRef((PyObject *)self);
    iterator->at = weak_cursor_start(self);
    iterator->kind = kind;
    PyObject_GC_Track(iterator);
    return (PyObject *)iterator;
}

int
weak_iter_register(PyObject *module, lifetime_state *state)
{
    state->weak_dict_iterator_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &weak_iter_spec, NULL);
    return state->weak_dict_iterator_type != NULL ? 0 : -1;
}
