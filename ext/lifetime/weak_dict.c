/* SPDX-License-Identifier: MIT
 *
 * WeakValueDictionary: the type, reading and writing of one item.
 */
#include "lifetime_state.h"

static inline lifetime_state *
weak_dict_state(weak_dict *self)
{
    return self->callback->state;
}

int
weak_dict_check(const lifetime_state *state, PyObject *obj)
{
    return state->weak_dict_type != NULL
           && PyObject_TypeCheck(obj, state->weak_dict_type);
}

int
weak_dict_need_module(const lifetime_state *state)
{
    if (FE_LIKELY(state->weak_dict_type != NULL)) {
        return 0;
    }
    PyErr_SetString(PyExc_RuntimeError,
                    "WeakValueDictionary: its module is gone");
    return -1;
}

/* A key that is a tuple would be taken for the arguments. */
void
weak_dict_key_error(PyObject *key)
{
    PyObject *arguments = PyTuple_Pack(1, key);
    if (arguments != NULL) {
        PyErr_SetObject(PyExc_KeyError, arguments);
        Py_DECREF(arguments);
    }
}

/* ------------------------------------------------------------ one item */

int
weak_dict_lookup(weak_dict *self, PyObject *key, Py_hash_t hash,
                 PyObject **value)
{
    int32_t i = weak_dict_find(self, key, hash);
    *value = i >= 0 ? weak_ref_value(self->table.entries[i].ref) : NULL;
    return i == WEAK_ERROR ? -1 : *value != NULL;
}

/* Put a reference under key. With `first`, a living value that is there stays
 * and is *first (new). Nothing calls into Python between the lookup's answer
 * and the last line: two threads cannot both be first.
 */
static int
weak_dict_put(weak_dict *self, PyObject *key, Py_hash_t hash,
              weak_ref *ref_steal, PyObject **first)
{
    int32_t i = weak_dict_find(self, key, hash);
    if (i == WEAK_ABSENT) {
        return weak_dict_append(self, key, hash, ref_steal);
    }
    weak_ref *loser = ref_steal;
    if (i >= 0) {
        weak_entry *entry = &self->table.entries[i];
        PyObject *value = first != NULL ? weak_ref_value(entry->ref) : NULL;
        if (value != NULL) {
            *first = value;
        }
        else {
            loser = entry->ref;
            weak_ref_leave(loser, entry->key);
            entry->ref = ref_steal;
            ref_steal->of.dict = self;
            ref_steal->index = i;
        }
    }
    Py_DECREF(loser);
    return i >= 0 ? 0 : -1;
}

int
weak_dict_store(weak_dict *self, PyObject *key, Py_hash_t hash,
                PyObject *value)
{
    weak_ref *ref = weak_ref_new(self, key, value, "the value of");
    return ref != NULL ? weak_dict_put(self, key, hash, ref, NULL) : -1;
}

PyObject *
weak_dict_store_first(weak_dict *self, PyObject *key, Py_hash_t hash,
                      PyObject *value, const char *what)
{
    PyObject *first = NULL;
    weak_ref *ref = weak_ref_new(self, key, value, what);
    if (ref == NULL || weak_dict_put(self, key, hash, ref, &first) < 0) {
        return NULL;
    }
    return first != NULL ? first : Py_NewRef(value);
}

/* ------------------------------------------------- __missing__ and factory */

/* new: what a class that is not ours says `name` is, or NULL without an
 * exception. As for all special methods the instance is not asked.
 */
static PyObject *
weak_dict_special(weak_dict *self, PyObject *name)
{
    const PyTypeObject *ours = weak_dict_state(self)->weak_dict_type;
    PyObject *found = NULL;
    PyObject *mro = Py_NewRef(Py_TYPE(self)->tp_mro);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *type = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (type != ours
            && PyDict_GetItemRef(fe_type_dict_borrow(type), name, &found)
                   != 0) {
            break;
        }
    }
    Py_DECREF(mro);
    descrgetfunc get = found != NULL ? Py_TYPE(found)->tp_descr_get : NULL;
    if (get != NULL) {
        PyObject *bound =
            get(found, (PyObject *)self, (PyObject *)Py_TYPE(self));
        Py_DECREF(found);
        found = bound;
    }
    return found;
}

static PyObject *
weak_dict_make(weak_dict *self, PyObject *key, Py_hash_t hash)
{
    PyObject *factory = Py_NewRef(self->factory);
    PyObject *result = NULL;
    PyObject *value = PyObject_CallOneArg(factory, key);
    if (value != NULL) {
        result = weak_dict_store_first(self, key, hash, value,
                                       "what factory returned for");
        Py_DECREF(value);
    }
    Py_DECREF(factory);
    return result;
}

static FE_NOINLINE PyObject *
weak_dict_getitem_missing(weak_dict *self, PyObject *key, Py_hash_t hash)
{
    if (weak_dict_need_module(weak_dict_state(self)) < 0) {
        return NULL;
    }
    if (Py_TYPE(self) != weak_dict_state(self)->weak_dict_type) {
        PyObject *missing =
            weak_dict_special(self, weak_dict_state(self)->str_missing);
        if (missing != NULL) {
            PyObject *result = PyObject_CallOneArg(missing, key);
            Py_DECREF(missing);
            return result;
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    if (self->factory != NULL) {
        return weak_dict_make(self, key, hash);
    }
    weak_dict_key_error(key);
    return NULL;
}

static PyObject *
weak_dict_mp_subscript(weak_dict *self, PyObject *key)
{
    PyObject *value;
    Py_hash_t hash = PyObject_Hash(key);
    int found = hash != -1 ? weak_dict_lookup(self, key, hash, &value) : -1;
    if (FE_LIKELY(found == 1)) {
        return value;
    }
    return found == 0 ? weak_dict_getitem_missing(self, key, hash) : NULL;
}

static int
weak_dict_delete(weak_dict *self, PyObject *key, Py_hash_t hash)
{
    int32_t i = weak_dict_find(self, key, hash);
    PyObject *value =
        i >= 0 ? weak_ref_value(self->table.entries[i].ref) : NULL;
    if (i >= 0) {
        weak_dict_drop(self, i);
    }
    if (value == NULL) {
        if (i != WEAK_ERROR) {
            weak_dict_key_error(key);
        }
        return -1;
    }
    Py_DECREF(value);
    return 0;
}

static int
weak_dict_mp_ass_subscript(weak_dict *self, PyObject *key, PyObject *value)
{
    Py_hash_t hash = PyObject_Hash(key);
    if (hash == -1) {
        return -1;
    }
    return value != NULL ? weak_dict_store(self, key, hash, value)
                         : weak_dict_delete(self, key, hash);
}

static int
weak_dict_sq_contains(weak_dict *self, PyObject *key)
{
    PyObject *value;
    Py_hash_t hash = PyObject_Hash(key);
    int found = hash != -1 ? weak_dict_lookup(self, key, hash, &value) : -1;
    if (found == 1) {
        Py_DECREF(value);
    }
    return found;
}

static Py_ssize_t
weak_dict_mp_length(weak_dict *self)
{
    return self->table.live;
}

/* ------------------------------------------------------------- the type */

static PyObject *
weak_dict_tp_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                 PyObject *Py_UNUSED(keywords))
{
    weak_dict *self = (weak_dict *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    lifetime_state *state = lifetime_state_of_subtype(type);
    if (state == NULL || weak_dict_need_module(state) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->callback = (weak_callback *)Py_NewRef(state->weak_dict_callback);
    return (PyObject *)self;
}

/* As the standard class: what was in it before is forgotten. */
static int
weak_dict_tp_init(weak_dict *self, PyObject *args, PyObject *keywords)
{
    if (PyTuple_GET_SIZE(args) > 1) {
        PyErr_Format(PyExc_TypeError,
                     "WeakValueDictionary() takes at most 1 positional "
                     "argument, got %zd",
                     PyTuple_GET_SIZE(args));
        return -1;
    }
    weak_dict_empty(self);
    if (PyTuple_GET_SIZE(args) == 1
        && weak_dict_update_from(self, PyTuple_GET_ITEM(args, 0)) < 0) {
        return -1;
    }
    return weak_dict_update_dict(self, keywords);
}

/* The values are not held, nor are the references visited: they are not
 * reachable through the dictionary, in the collector's eyes.
 */
static int
weak_dict_tp_traverse(weak_dict *self, visitproc visit, void *arg)
{
    for (int32_t i = 0; i < self->table.used; i++) {
        Py_VISIT(self->table.entries[i].key);
    }
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->callback);
    Py_VISIT(self->factory);
    Py_VISIT(self->attributes);
    return 0;
}

/* The callback stays: what runs meanwhile may still use the dictionary. */
static int
weak_dict_tp_clear(weak_dict *self)
{
    weak_dict_empty(self);
    Py_CLEAR(self->factory);
    Py_CLEAR(self->attributes);
    return 0;
}

static void
weak_dict_tp_dealloc(weak_dict *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    /* dictionaries in the keys of dictionaries in the keys of … */
    Py_TRASHCAN_BEGIN(self, weak_dict_tp_dealloc) if (self->weak_list != NULL)
    {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    weak_dict_empty(self);
    Py_XDECREF(self->factory);
    Py_XDECREF(self->attributes);
    Py_XDECREF(self->callback);
    type->tp_free(self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyObject *
weak_dict_tp_repr(weak_dict *self)
{
    PyObject *name = PyType_GetName(Py_TYPE(self));
    PyObject *text =
        name != NULL ? PyUnicode_FromFormat("<%U at %p>", name, self) : NULL;
    Py_XDECREF(name);
    return text;
}

static PyObject *
weak_dict_tp_iter(weak_dict *self)
{
    return weak_iter_new(self, WEAK_KEYS);
}

static PyObject *
weak_dict_get_data(weak_dict *self, void *Py_UNUSED(closure))
{
    return weak_dict_as_dict(self, true);
}

static PyObject *
weak_dict_get_remove(weak_dict *self, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)self->callback);
}

static PyObject *
weak_dict_get_factory(weak_dict *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->factory != NULL ? self->factory : Py_None);
}

static int
weak_dict_set_factory(weak_dict *self, PyObject *value,
                      void *Py_UNUSED(closure))
{
    if (value == Py_None) {
        value = NULL;
    }
    if (value != NULL && !PyCallable_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "WeakValueDictionary.factory: wanted a callable or None, "
                     "got %s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    Py_XSETREF(self->factory, Py_XNewRef(value));
    return 0;
}

static PyGetSetDef weak_dict_getset[] = {
    {"data", (getter)weak_dict_get_data, NULL,
     "A new dict of the keys and the references to their values.", NULL},
    {"factory", (getter)weak_dict_get_factory, (setter)weak_dict_set_factory,
     "Called with the key when d[key] finds nothing; what it returns is "
     "stored\nand returned, unless another thread has stored a value "
     "meanwhile: then\nthat one is. None: KeyError.",
     NULL},
    {"_remove", (getter)weak_dict_get_remove, NULL,
     "The callback of the references, under the name it has in the "
     "standard\nclass.",
     NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef weak_dict_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(weak_dict, weak_list),
     Py_READONLY, NULL},
    {"__dictoffset__", Py_T_PYSSIZET, offsetof(weak_dict, attributes),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(
    weak_dict__doc__,
    "WeakValueDictionary(other=(), /, **kw)\n--\n\n"
    "A mapping that holds its values weakly: an item goes when nothing else\n"
    "refers to its value. As weakref.WeakValueDictionary, and:\n\n"
    "An iterator never raises because the mapping changes. It shows what was\n"
    "there when it was made and still is, each item once.\n"
    "A subclass may define __missing__(key), as one of dict may.\n"
    "setdefault() and `factory` give all threads the same value.\n\n"
    "Raises TypeError for a value that has no weak references, or for a key\n"
    "that has no hash.");

static PyType_Slot weak_dict_slots[] = {
    {Py_tp_doc, FE_SLOT(weak_dict__doc__)},
    {Py_tp_new, FE_SLOT(weak_dict_tp_new)},
    {Py_tp_init, FE_SLOT(weak_dict_tp_init)},
    {Py_tp_traverse, FE_SLOT(weak_dict_tp_traverse)},
    {Py_tp_clear, FE_SLOT(weak_dict_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(weak_dict_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(weak_dict_tp_repr)},
    {Py_tp_iter, FE_SLOT(weak_dict_tp_iter)},
    {Py_tp_richcompare, FE_SLOT(weak_dict_tp_richcompare)},
    {Py_tp_hash, FE_SLOT(PyObject_HashNotImplemented)},
    {Py_tp_methods, FE_SLOT(weak_dict_methods)},
    {Py_tp_getset, FE_SLOT(weak_dict_getset)},
    {Py_tp_members, FE_SLOT(weak_dict_members)},
    {Py_sq_contains, FE_SLOT(weak_dict_sq_contains)},
    {Py_mp_length, FE_SLOT(weak_dict_mp_length)},
    {Py_mp_subscript, FE_SLOT(weak_dict_mp_subscript)},
    {Py_mp_ass_subscript, FE_SLOT(weak_dict_mp_ass_subscript)},
    {Py_nb_or, FE_SLOT(weak_dict_nb_or)},
    {Py_nb_inplace_or, FE_SLOT(weak_dict_nb_inplace_or)},
    {0, NULL},
};

static PyType_Spec weak_dict_spec = {
    .name = "ferrule.lifetime.WeakValueDictionary",
    .basicsize = sizeof(weak_dict),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_MAPPING,
    .slots = weak_dict_slots,
};

/* --------------------------------------------------------------- module */

static int
weak_dict_intern(lifetime_state *state)
{
    state->str_copy = PyUnicode_InternFromString("copy");
    state->str_items = PyUnicode_InternFromString("items");
    state->str_keys = PyUnicode_InternFromString("keys");
    state->str_missing = PyUnicode_InternFromString("__missing__");
    state->str_update = PyUnicode_InternFromString("update");
    return state->str_copy != NULL && state->str_items != NULL
                   && state->str_keys != NULL && state->str_missing != NULL
                   && state->str_update != NULL
               ? 0
               : -1;
}

/* What collections.abc.MutableMapping would bring along. */
static int
weak_dict_make_mapping(lifetime_state *state)
{
    PyTypeObject *type = state->weak_dict_type;
    if (PyDict_SetItemString(fe_type_dict_borrow(type), "__reversed__",
                             Py_None)
        < 0) {
        return -1;
    }
    PyType_Modified(type);
    PyObject *abc = PyImport_ImportModule("collections.abc");
    if (abc == NULL) {
        return -1;
    }
    state->weak_dict_mapping = PyObject_GetAttrString(abc, "Mapping");
    PyObject *mutable = PyObject_GetAttrString(abc, "MutableMapping");
    PyObject *done =
        mutable != NULL
            ? PyObject_CallMethod(mutable, "register", "O", (PyObject *)type)
            : NULL;
    Py_XDECREF(done);
    Py_XDECREF(mutable);
    Py_DECREF(abc);
    return done != NULL && state->weak_dict_mapping != NULL ? 0 : -1;
}

int
weak_dict_register(PyObject *module, lifetime_state *state)
{
    if (weak_dict_intern(state) < 0 || weak_ref_register(module, state) < 0
        || weak_iter_register(module, state) < 0) {
        return -1;
    }
    state->weak_dict_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &weak_dict_spec, NULL);
    if (state->weak_dict_type == NULL || weak_dict_make_mapping(state) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->weak_dict_type);
}
