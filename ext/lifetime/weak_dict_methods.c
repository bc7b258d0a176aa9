/* SPDX-License-Identifier: MIT
 *
 * WeakValueDictionary: methods, and what works on whole dictionaries.
 */
#include "args.h"
#include "lifetime_state.h"

static inline lifetime_state *
weak_dict_state(weak_dict *self)
{
    return self->callback->state;
}

/* --------------------------------------------------------- one item */

static const char *const weak_dict_default_names[] = {"key", "default", NULL};
static const fe_sig weak_dict_get_sig = {"WeakValueDictionary.get",
                                         weak_dict_default_names, 2, 1};
static const fe_sig weak_dict_setdefault_sig = {
    "WeakValueDictionary.setdefault", weak_dict_default_names, 2, 1};

PyDoc_STRVAR(weak_dict_get__doc__,
             "get($self, /, key, default=None)\n--\n\n"
             "The value of key, or default. Does not ask __missing__ or "
             "factory.");

static PyObject *
weak_dict_get(weak_dict *self, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    PyObject *given[2] = {NULL, NULL};
    if (FE_LIKELY(kwnames == NULL && nargs == 1)) {
        given[0] = args[0];
    }
    else if (fe_args_unpack(&weak_dict_get_sig, args, nargs, kwnames, given)
             < 0) {
        return NULL;
    }
    PyObject *value;
    Py_hash_t hash = PyObject_Hash(given[0]);
    int found =
        hash != -1 ? weak_dict_lookup(self, given[0], hash, &value) : -1;
    if (FE_LIKELY(found == 1)) {
        return value;
    }
    if (found < 0) {
        return NULL;
    }
    return Py_NewRef(given[1] != NULL ? given[1] : Py_None);
}

PyDoc_STRVAR(weak_dict_setdefault__doc__,
             "setdefault($self, /, key, default=None)\n--\n\n"
             "The value of key; if there is none, default, which is stored. "
             "Of threads\nthat come at the same time all get the same value. "
             "Raises TypeError if\ndefault has no weak references.");

static PyObject *
weak_dict_setdefault(weak_dict *self, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    PyObject *given[2];
    if (fe_args_unpack(&weak_dict_setdefault_sig, args, nargs, kwnames, given)
        < 0) {
        return NULL;
    }
    PyObject *value;
    Py_hash_t hash = PyObject_Hash(given[0]);
    int found =
        hash != -1 ? weak_dict_lookup(self, given[0], hash, &value) : -1;
    if (found != 0) {
        return found == 1 ? value : NULL;
    }
    value = given[1] != NULL ? given[1] : Py_None;
    return weak_dict_store_first(self, given[0], hash, value, "the value of");
}

PyDoc_STRVAR(weak_dict_pop__doc__,
             "pop($self, key, default=<unrepresentable>, /)\n--\n\n"
             "Take the value of key out and return it; without one return "
             "default, or\nraise KeyError.");

static PyObject *
weak_dict_pop(weak_dict *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 2) {
        PyErr_Format(PyExc_TypeError,
                     "WeakValueDictionary.pop() takes 1 or 2 arguments, "
                     "got %zd",
                     nargs);
        return NULL;
    }
    Py_hash_t hash = PyObject_Hash(args[0]);
    int32_t i = hash != -1 ? weak_dict_find(self, args[0], hash) : WEAK_ERROR;
    if (i == WEAK_ERROR) {
        return NULL;
    }
    PyObject *value = NULL;
    if (i >= 0) {
        value = weak_ref_value(self->table.entries[i].ref);
        weak_dict_drop(self, i);
    }
    if (value == NULL && nargs == 2) {
        value = Py_NewRef(args[1]);
    }
    if (value == NULL) {
        weak_dict_key_error(args[0]);
    }
    return value;
}

PyDoc_STRVAR(weak_dict_popitem__doc__,
             "popitem($self, /)\n--\n\n"
             "Take the last item out and return (key, value). Raises KeyError "
             "if there\nis none.");

static PyObject *
weak_dict_popitem(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *pair = PyTuple_New(2); /* before an item is out of the table */
    if (pair == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(pair); /* nobody is to find it empty */
    while (self->table.live > 0) {
        weak_entry entry = weak_dict_take(self, self->table.used - 1);
        PyObject *value = weak_ref_value(entry.ref);
        Py_DECREF(entry.ref);
        if (value != NULL) {
            PyTuple_SET_ITEM(pair, 0, entry.key);
            PyTuple_SET_ITEM(pair, 1, value);
            PyObject_GC_Track(pair);
            return pair;
        }
        Py_DECREF(entry.key);
    }
    Py_DECREF(pair);
    PyErr_SetString(PyExc_KeyError, "popitem(): WeakValueDictionary is empty");
    return NULL;
}

PyDoc_STRVAR(weak_dict_clear__doc__,
             "clear($self, /)\n--\n\nTake everything out.");

static PyObject *
weak_dict_clear(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    weak_dict_empty(self);
    Py_RETURN_NONE;
}

/* ------------------------------------------------------- iterators, lists */

PyDoc_STRVAR(weak_dict_keys__doc__,
             "keys($self, /)\n--\n\nAn iterator over the keys of living "
             "values.");

static PyObject *
weak_dict_keys(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    return weak_iter_new(self, WEAK_KEYS);
}

PyDoc_STRVAR(weak_dict_values__doc__,
             "values($self, /)\n--\n\nAn iterator over the living values.");

static PyObject *
weak_dict_values(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    return weak_iter_new(self, WEAK_VALUES);
}

PyDoc_STRVAR(weak_dict_items__doc__,
             "items($self, /)\n--\n\nAn iterator over pairs of key and living "
             "value.");

static PyObject *
weak_dict_items(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    return weak_iter_new(self, WEAK_ITEMS);
}

PyDoc_STRVAR(weak_dict_itervaluerefs__doc__,
             "itervaluerefs($self, /)\n--\n\n"
             "An iterator over the references to the values. They may be dead "
             "when\nthey are used.");

static PyObject *
weak_dict_itervaluerefs(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    return weak_iter_new(self, WEAK_REFS);
}

PyDoc_STRVAR(weak_dict_valuerefs__doc__,
             "valuerefs($self, /)\n--\n\n"
             "A list of the references to the values. They may be dead when "
             "they are\nused.");

static PyObject *
weak_dict_valuerefs(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *refs = PyList_New(0);
    weak_cursor at = weak_cursor_start(self);
    const weak_entry *entry;
    while (refs != NULL && (entry = weak_cursor_next(self, &at)) != NULL) {
        PyObject *ref = Py_NewRef((PyObject *)entry->ref);
        if (PyList_Append(refs, ref) < 0) {
            Py_CLEAR(refs);
        }
        Py_DECREF(ref);
    }
    return refs;
}

PyObject *
weak_dict_as_dict(weak_dict *self, bool refs)
{
    PyObject *dict = PyDict_New();
    weak_cursor at = weak_cursor_start(self);
    const weak_entry *entry;
    while (dict != NULL && (entry = weak_cursor_next(self, &at)) != NULL) {
        PyObject *value = refs ? Py_NewRef((PyObject *)entry->ref)
                               : weak_ref_value(entry->ref);
        if (value == NULL) {
            continue;
        }
        PyObject *key = Py_NewRef(entry->key);
        if (PyDict_SetItem(dict, key, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_DECREF(key);
        Py_DECREF(value);
    }
    return dict;
}

/* ----------------------------------------------------------------- update */

/* Living items of another one, their hashes with them. */
static int
weak_dict_update_weak(weak_dict *self, weak_dict *other)
{
    weak_cursor at = weak_cursor_start(other);
    const weak_entry *entry;
    int result = 0;
    if (self->table.live == 0) {
        weak_dict_reserve(self, other->table.live);
    }
    while (result == 0 && (entry = weak_cursor_next(other, &at)) != NULL) {
        PyObject *value = weak_ref_value(entry->ref);
        if (value != NULL) {
            Py_hash_t hash = entry->hash;
            PyObject *key = Py_NewRef(entry->key);
            result = weak_dict_store(self, key, hash, value);
            Py_DECREF(key);
            Py_DECREF(value);
        }
    }
    return result;
}

static int
weak_dict_update_pair(weak_dict *self, PyObject *pair)
{
    PyObject *both = PySequence_Tuple(pair); /* itself, if it is a tuple */
    if (both == NULL) {
        return -1;
    }
    int result = -1;
    if (PyTuple_GET_SIZE(both) == 2) {
        PyObject *key = PyTuple_GET_ITEM(both, 0);
        Py_hash_t hash = PyObject_Hash(key);
        if (hash != -1) {
            result =
                weak_dict_store(self, key, hash, PyTuple_GET_ITEM(both, 1));
        }
    }
    else {
        PyErr_Format(PyExc_ValueError,
                     "WeakValueDictionary.update() wants items of key and "
                     "value, got one of length %zd",
                     PyTuple_GET_SIZE(both));
    }
    Py_DECREF(both);
    return result;
}

static int
weak_dict_update_pairs(weak_dict *self, PyObject *pairs)
{
    PyObject *iterator = PyObject_GetIter(pairs);
    if (iterator == NULL) {
        return -1;
    }
    PyObject *pair;
    int result = 0;
    while (result == 0 && (pair = PyIter_Next(iterator)) != NULL) {
        result = weak_dict_update_pair(self, pair);
        Py_DECREF(pair);
    }
    Py_DECREF(iterator);
    return result < 0 || PyErr_Occurred() ? -1 : 0;
}

/* NULL: nothing. Storing may run code that changes the dict: PyDict_Next stays
 * inside it, and what it gives is held.
 */
int
weak_dict_update_dict(weak_dict *self, PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    int result = 0;
    while (result == 0 && dict != NULL
           && PyDict_Next(dict, &position, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        Py_hash_t hash = PyObject_Hash(key);
        result = hash != -1 ? weak_dict_store(self, key, hash, value) : -1;
        Py_DECREF(value);
        Py_DECREF(key);
    }
    return result;
}

/* new: what has items() instead of `other`, which has none: a dict of it */
static PyObject *
weak_dict_items_source(weak_dict *self, PyObject *other)
{
    PyObject *keys;
    int mapping = PyObject_GetOptionalAttr(
        other, weak_dict_state(self)->str_keys, &keys);
    Py_XDECREF(keys);
    if (mapping < 0) {
        return NULL;
    }
    if (!mapping && Py_TYPE(other)->tp_iter == NULL
        && !PySequence_Check(other)) {
        PyErr_Format(PyExc_TypeError,
                     "WeakValueDictionary.update() wants a mapping or an "
                     "iterable of pairs, got %s",
                     Py_TYPE(other)->tp_name);
        return NULL;
    }
    return PyObject_CallOneArg((PyObject *)&PyDict_Type, other);
}

int
weak_dict_update_from(weak_dict *self, PyObject *other)
{
    lifetime_state *state = weak_dict_state(self);
    if (other == Py_None
        || (PyTuple_CheckExact(other) && PyTuple_GET_SIZE(other) == 0)) {
        return 0;
    }
    if (weak_dict_need_module(state) < 0) {
        return -1;
    }
    if (Py_TYPE(other) == state->weak_dict_type) {
        return weak_dict_update_weak(self, (weak_dict *)other);
    }
    if (PyDict_CheckExact(other)) {
        return weak_dict_update_dict(self, other);
    }
    PyObject *items;
    int found = PyObject_GetOptionalAttr(other, state->str_items, &items);
    if (found == 0) {
        PyObject *dict = weak_dict_items_source(self, other);
        int result = dict != NULL ? weak_dict_update_dict(self, dict) : -1;
        Py_XDECREF(dict);
        return result;
    }
    PyObject *pairs = found > 0 ? PyObject_CallNoArgs(items) : NULL;
    Py_XDECREF(items);
    int result = pairs != NULL ? weak_dict_update_pairs(self, pairs) : -1;
    Py_XDECREF(pairs);
    return result;
}

PyDoc_STRVAR(
    weak_dict_update__doc__,
    "update($self, other=None, /, **kwargs)\n--\n\n"
    "Store the items of a mapping or of an iterable of pairs, then the\n"
    "keywords. An item that cannot be stored raises TypeError; those before\n"
    "it stay.");

static PyObject *
weak_dict_update(weak_dict *self, PyObject *args, PyObject *keywords)
{
    if (PyTuple_GET_SIZE(args) > 1) {
        PyErr_Format(PyExc_TypeError,
                     "WeakValueDictionary.update() takes at most 1 positional "
                     "argument, got %zd",
                     PyTuple_GET_SIZE(args));
        return NULL;
    }
    if (PyTuple_GET_SIZE(args) == 1
        && weak_dict_update_from(self, PyTuple_GET_ITEM(args, 0)) < 0) {
        return NULL;
    }
    if (weak_dict_update_dict(self, keywords) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------- copy */

/* new: an empty one of the given type; a factory goes along, as that of a
 * defaultdict does
 */
static PyObject *
weak_dict_new_like(weak_dict *self, PyTypeObject *type)
{
    PyObject *made = weak_dict_need_module(weak_dict_state(self)) == 0
                         ? PyObject_CallNoArgs((PyObject *)type)
                         : NULL;
    if (made != NULL && weak_dict_check(weak_dict_state(self), made)) {
        Py_XSETREF(((weak_dict *)made)->factory, Py_XNewRef(self->factory));
    }
    return made;
}

PyDoc_STRVAR(weak_dict_copy__doc__,
             "copy($self, /)\n--\n\n"
             "A WeakValueDictionary, also of a subclass, with the living "
             "items and the\nfactory.");

static PyObject *
weak_dict_copy(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    lifetime_state *state = weak_dict_state(self);
    PyObject *made = weak_dict_new_like(self, state->weak_dict_type);
    if (made != NULL && weak_dict_update_weak((weak_dict *)made, self) < 0) {
        Py_CLEAR(made);
    }
    return made;
}

/* new: importing copy each time would be slow, and early it may be in vain */
static PyObject *
weak_dict_need_deepcopy(lifetime_state *state)
{
    if (state->weak_dict_deepcopy == NULL) {
        PyObject *copy = PyImport_Import(state->str_copy);
        PyObject *deepcopy =
            copy != NULL ? PyObject_GetAttrString(copy, "deepcopy") : NULL;
        Py_XDECREF(copy);
        Py_XSETREF(state->weak_dict_deepcopy, deepcopy);
    }
    return Py_XNewRef(state->weak_dict_deepcopy);
}

PyDoc_STRVAR(weak_dict_deepcopy__doc__,
             "__deepcopy__($self, memo, /)\n--\n\n"
             "One of the same class, with copies of the keys and the same "
             "values.");

static PyObject *
weak_dict_deepcopy(weak_dict *self, PyObject *memo)
{
    lifetime_state *state = weak_dict_state(self);
    PyObject *deepcopy = weak_dict_need_module(state) == 0
                             ? weak_dict_need_deepcopy(state)
                             : NULL;
    PyObject *made =
        deepcopy != NULL ? weak_dict_new_like(self, Py_TYPE(self)) : NULL;
    weak_cursor at = weak_cursor_start(self);
    const weak_entry *entry;
    while (made != NULL && (entry = weak_cursor_next(self, &at)) != NULL) {
        PyObject *value = weak_ref_value(entry->ref);
        if (value == NULL) {
            continue;
        }
        PyObject *key = Py_NewRef(entry->key);
        PyObject *other =
            PyObject_CallFunctionObjArgs(deepcopy, key, memo, NULL);
        if (other == NULL || PyObject_SetItem(made, other, value) < 0) {
            Py_CLEAR(made);
        }
        Py_XDECREF(other);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    Py_XDECREF(deepcopy);
    return made;
}

PyDoc_STRVAR(weak_dict_reduce__doc__,
             "__reduce__($self, /)\n--\n\n"
             "Raises TypeError: unpickled values would have no other owner.");

static PyObject *
weak_dict_reduce(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    PyErr_Format(PyExc_TypeError,
                 "cannot pickle '%s' object: it does not own its values",
                 Py_TYPE(self)->tp_name);
    return NULL;
}

PyDoc_STRVAR(weak_dict_sizeof__doc__,
             "__sizeof__($self, /)\n--\n\n"
             "Bytes of the object and its table, without the references "
             "(sys.getsizeof\ngives theirs).");

static PyObject *
weak_dict_sizeof(weak_dict *self, PyObject *Py_UNUSED(ignored))
{
    const weak_table *table = &self->table;
    size_t bytes = (size_t)Py_TYPE(self)->tp_basicsize;
    if (table->entries != NULL) {
        bytes += (size_t)table->room * sizeof(*table->entries)
                 + (sizeof(*table->index) << table->bits);
    }
    return PyLong_FromSize_t(bytes);
}

PyMethodDef weak_dict_methods[] = {
    {"get", FE_METHOD(weak_dict_get), METH_FASTCALL | METH_KEYWORDS,
     weak_dict_get__doc__},
    {"setdefault", FE_METHOD(weak_dict_setdefault),
     METH_FASTCALL | METH_KEYWORDS, weak_dict_setdefault__doc__},
    {"pop", FE_METHOD(weak_dict_pop), METH_FASTCALL, weak_dict_pop__doc__},
    {"popitem", FE_METHOD(weak_dict_popitem), METH_NOARGS,
     weak_dict_popitem__doc__},
    {"clear", FE_METHOD(weak_dict_clear), METH_NOARGS, weak_dict_clear__doc__},
    {"update", FE_METHOD(weak_dict_update), METH_VARARGS | METH_KEYWORDS,
     weak_dict_update__doc__},
    {"keys", FE_METHOD(weak_dict_keys), METH_NOARGS, weak_dict_keys__doc__},
    {"values", FE_METHOD(weak_dict_values), METH_NOARGS,
     weak_dict_values__doc__},
    {"items", FE_METHOD(weak_dict_items), METH_NOARGS, weak_dict_items__doc__},
    {"itervaluerefs", FE_METHOD(weak_dict_itervaluerefs), METH_NOARGS,
     weak_dict_itervaluerefs__doc__},
    {"valuerefs", FE_METHOD(weak_dict_valuerefs), METH_NOARGS,
     weak_dict_valuerefs__doc__},
    {"copy", FE_METHOD(weak_dict_copy), METH_NOARGS, weak_dict_copy__doc__},
    {"__copy__", FE_METHOD(weak_dict_copy), METH_NOARGS,
     "__copy__($self, /)\n--\n\nAs copy()."},
    {"__deepcopy__", FE_METHOD(weak_dict_deepcopy), METH_O,
     weak_dict_deepcopy__doc__},
    {"__reduce__", FE_METHOD(weak_dict_reduce), METH_NOARGS,
     weak_dict_reduce__doc__},
    {"__sizeof__", FE_METHOD(weak_dict_sizeof), METH_NOARGS,
     weak_dict_sizeof__doc__},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "WeakValueDictionary[str, Session], for annotations."},
    {NULL, NULL, 0, NULL},
};

/* ---------------------------------------------------- |, |= and comparison */

/* 1, 0, or -1 */
static int
weak_dict_is_mapping(lifetime_state *state, PyObject *obj)
{
    if (weak_dict_need_module(state) < 0) {
        return -1;
    }
    return PyDict_Check(obj) || weak_dict_check(state, obj)
               ? 1
               : PyObject_IsInstance(obj, state->weak_dict_mapping);
}

/* stolen: into; new: it, with the items of obj */
static PyObject *
weak_dict_merged(lifetime_state *state, PyObject *into_steal, PyObject *obj)
{
    PyObject *done =
        into_steal != NULL
            ? PyObject_CallMethodOneArg(into_steal, state->str_update, obj)
            : NULL;
    if (done == NULL) {
        Py_XDECREF(into_steal);
        return NULL;
    }
    Py_DECREF(done);
    return into_steal;
}

/* As the standard class: `self | x` is a copy, which is of the base class;
 * `x | self` is of the class of self.
 */
PyObject *
weak_dict_nb_or(PyObject *left, PyObject *right)
{
    lifetime_state *state = lifetime_state_of_subtype(Py_TYPE(left));
    bool mine = state != NULL && weak_dict_check(state, left);
    if (!mine) {
        PyErr_Clear(); /* TypeError: left is of no type of this module */
        state = lifetime_state_of_subtype(Py_TYPE(right));
        if (state == NULL) {
            return NULL;
        }
    }
    int mapping = weak_dict_is_mapping(state, mine ? right : left);
    if (mapping <= 0) {
        return mapping < 0 ? NULL : Py_NewRef(Py_NotImplemented);
    }
    if (mine) {
        PyObject *copy = PyObject_CallMethodNoArgs(left, state->str_copy);
        return weak_dict_merged(state, copy, right);
    }
    PyObject *made = weak_dict_new_like((weak_dict *)right, Py_TYPE(right));
    made = weak_dict_merged(state, made, left);
    return weak_dict_merged(state, made, right);
}

PyObject *
weak_dict_nb_inplace_or(weak_dict *self, PyObject *other)
{
    lifetime_state *state = weak_dict_state(self);
    return weak_dict_need_module(state) == 0
               ? weak_dict_merged(state, Py_NewRef((PyObject *)self), other)
               : NULL;
}

/* new: dict(obj.items()) */
static PyObject *
weak_dict_snapshot(lifetime_state *state, PyObject *obj)
{
    if (Py_TYPE(obj) == state->weak_dict_type) {
        return weak_dict_as_dict((weak_dict *)obj, false);
    }
    if (PyDict_CheckExact(obj)) {
        return Py_NewRef(obj);
    }
    PyObject *items = PyObject_CallMethodNoArgs(obj, state->str_items);
    PyObject *dict = items != NULL
                         ? PyObject_CallOneArg((PyObject *)&PyDict_Type, items)
                         : NULL;
    Py_XDECREF(items);
    return dict;
}

PyObject *
weak_dict_tp_richcompare(weak_dict *self, PyObject *other, int op)
{
    lifetime_state *state = weak_dict_state(self);
    int mapping =
        op == Py_EQ || op == Py_NE ? weak_dict_is_mapping(state, other) : 0;
    if (mapping <= 0) {
        return mapping < 0 ? NULL : Py_NewRef(Py_NotImplemented);
    }
    PyObject *mine = weak_dict_snapshot(state, (PyObject *)self);
    PyObject *theirs = mine != NULL ? weak_dict_snapshot(state, other) : NULL;
    PyObject *result =
        theirs != NULL ? PyObject_RichCompare(mine, theirs, op) : NULL;
    Py_XDECREF(theirs);
    Py_XDECREF(mine);
    return result;
}
