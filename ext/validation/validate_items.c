/* SPDX-License-Identifier: MIT
 *
 * Containers. A copy is made at the first item that became another object;
 * the one given stays as it is. While Python code runs a container may change:
 * sizes and items are read anew, and items are held.
 */
#include "validate_plan.h"

/* new: the item after its plan */
static PyObject *
items_step(validate_context *context, validate_plan *plan, PyObject *item,
           const validate_path *path, PyObject *key, Py_ssize_t index)
{
    const validate_path step = {path, key, index};
    Py_INCREF(item);
    PyObject *result = validate_value(context, plan, item, &step);
    Py_DECREF(item);
    return result;
}

/* Put an item into the copy at its place, or behind all. stolen: item */
static int
items_put(PyObject *copy, Py_ssize_t i, PyObject *item)
{
    if (i < PyList_GET_SIZE(copy)) {
        return PyList_SetItem(copy, i, item);
    }
    int result = PyList_Append(copy, item);
    Py_DECREF(item);
    return result;
}

static PyObject *
items_list(validate_context *context, validate_plan *child, PyObject *list,
           const validate_path *path)
{
    PyObject *copy = NULL;
    Py_ssize_t i = 0;
    for (; i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        if (copy == NULL && validate_quick(child, item)) {
            continue;
        }
        PyObject *result = items_step(context, child, item, path, NULL, i);
        if (result == NULL) {
            Py_XDECREF(copy);
            return NULL;
        }
        if (copy == NULL && result != item) {
            copy = PyList_GetSlice(list, 0, PyList_GET_SIZE(list));
            if (copy == NULL) {
                Py_DECREF(result);
                return NULL;
            }
        }
        if (copy == NULL) {
            Py_DECREF(result);
        }
        else if (items_put(copy, i, result) < 0) {
            Py_DECREF(copy);
            return NULL;
        }
    }
    if (copy != NULL
        && PyList_SetSlice(copy, i, PyList_GET_SIZE(copy), NULL) < 0) {
        Py_CLEAR(copy);
        return NULL;
    }
    return copy != NULL ? copy : Py_NewRef(list);
}

/* new: a tuple like the one given with item i another (stolen) */
static PyObject *
items_tuple_with(PyObject *tuple, Py_ssize_t i, PyObject *item)
{
    PyObject *copy = PyTuple_New(PyTuple_GET_SIZE(tuple));
    if (copy == NULL) {
        Py_DECREF(item);
        return NULL;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(tuple); k++) {
        PyTuple_SET_ITEM(
            copy, k, k == i ? item : Py_NewRef(PyTuple_GET_ITEM(tuple, k)));
    }
    return copy;
}

/* children: one for all items (step 0) or one for each (step 1) */
static PyObject *
items_tuple(validate_context *context, validate_plan *const *children,
            Py_ssize_t step, PyObject *tuple, const validate_path *path)
{
    PyObject *copy = NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        validate_plan *child = children[i * step];
        if (validate_quick(child, item)) {
            continue;
        }
        PyObject *result = items_step(context, child, item, path, NULL, i);
        if (result == NULL) {
            Py_XDECREF(copy);
            return NULL;
        }
        if (result == item) {
            Py_DECREF(result);
            continue;
        }
        PyObject *next =
            items_tuple_with(copy != NULL ? copy : tuple, i, result);
        Py_XSETREF(copy, next);
        if (next == NULL) {
            return NULL;
        }
    }
    return copy != NULL ? copy : Py_NewRef(tuple);
}

/* new: copy.copy(value) emptied, which keeps what a subclass has besides its
 * items; NULL without an exception where it is no other object of the type
 */
static PyObject *
items_empty_copy(PyObject *value)
{
    PyObject *module = PyImport_ImportModule("copy");
    PyObject *copy =
        module != NULL ? fe_call_method(module, "copy", value) : NULL;
    Py_XDECREF(module);
    if (copy == NULL) {
        return NULL;
    }
    if (copy == value || Py_TYPE(copy) != Py_TYPE(value)) {
        Py_DECREF(copy);
        return NULL;
    }
    PyObject *done = fe_call_method(copy, "clear", NULL);
    if (done == NULL) {
        Py_CLEAR(copy);
    }
    Py_XDECREF(done);
    return copy;
}

/* Is it an instance of the class? 1, 0, -1 */
static int
items_is(PyObject *value, const char *home, const char *name)
{
    PyObject *module = PyImport_ImportModule(home);
    PyObject *cls = module != NULL ? fe_getattr(module, name) : NULL;
    int is = cls != NULL ? PyObject_IsInstance(value, cls) : -1;
    Py_XDECREF(cls);
    Py_XDECREF(module);
    return is;
}

/* new: a deque with the items, as long as the one given may get */
static PyObject *
items_deque(PyObject *made, PyObject *value)
{
    PyObject *copy = items_empty_copy(value);
    PyObject *done =
        copy != NULL ? fe_call_method(copy, "extend", made) : NULL;
    if (done == NULL) {
        Py_CLEAR(copy);
    }
    Py_XDECREF(done);
    return copy;
}

/* new: the items in a container like the one given: sets stay sets, a deque a
 * deque; what else there is may not be made of items, and becomes a list.
 * stolen: made
 */
static PyObject *
items_made_steal(PyObject *made, PyObject *value)
{
    PyObject *result = NULL;
    int set =
        PyAnySet_Check(value) ? 1 : items_is(value, "collections.abc", "Set");
    int deque = set == 0 ? items_is(value, "collections", "deque") : 0;
    if (PyFrozenSet_Check(value)) {
        result = PyFrozenSet_New(made);
    }
    else if (set > 0) {
        result = PySet_New(made);
    }
    else if (set == 0 && deque > 0) {
        result = items_deque(made, value);
    }
    if (result == NULL && !PyErr_Occurred()) {
        return made;
    }
    Py_DECREF(made);
    return result;
}

/* Everything that iterates; a container of the items where one has changed. */
static PyObject *
items_walk(validate_context *context, validate_plan *child, PyObject *value,
           const validate_path *path)
{
    PyObject *iterator = PyObject_GetIter(value);
    PyObject *made = iterator != NULL && child->strips ? PyList_New(0) : NULL;
    if (iterator == NULL || (child->strips && made == NULL)) {
        Py_XDECREF(iterator);
        return NULL;
    }
    bool changed = false, failed = false;
    PyObject *item;
    for (Py_ssize_t i = 0; !failed && (item = PyIter_Next(iterator)) != NULL;
         i++) {
        PyObject *result = items_step(context, child, item, path, NULL, i);
        changed = changed || result != item;
        failed = result == NULL
                 || (made != NULL && PyList_Append(made, result) < 0);
        Py_XDECREF(result);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    if (failed || PyErr_Occurred()) {
        Py_XDECREF(made);
        return NULL;
    }
    if (!changed || made == NULL || PyUnicode_Check(value)) {
        Py_XDECREF(made);
        return Py_NewRef(value);
    }
    return items_made_steal(made, value);
}

/* A container, and not an iterator, which would be consumed? */
static bool
items_is_container(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    bool sized = (type->tp_as_sequence != NULL
                  && type->tp_as_sequence->sq_length != NULL)
                 || (type->tp_as_mapping != NULL
                     && type->tp_as_mapping->mp_length != NULL);
    return sized && type->tp_iter != NULL && !PyIter_Check(value);
}

PyObject *
validate_items(validate_context *context, validate_plan *plan, PyObject *value,
               const validate_path *path)
{
    validate_plan *child = plan->children[0];
    if (PyList_Check(value)) {
        return items_list(context, child, value, path);
    }
    if (PyTuple_Check(value)) {
        return items_tuple(context, plan->children, 0, value, path);
    }
    if (!items_is_container(value)
        || (PyUnicode_Check(value) && child->shape == VALIDATE_STR
            && child->check_count == 0)) {
        return Py_NewRef(value);
    }
    return items_walk(context, child, value, path);
}

PyObject *
validate_tuple(validate_context *context, validate_plan *plan, PyObject *value,
               const validate_path *path)
{
    if (PyTuple_GET_SIZE(value) == plan->child_count) {
        return items_tuple(context, plan->children, 1, value, path);
    }
    if (context->quiet > 0) {
        return validate_refuse_within(context);
    }
    PyObject *place = validate_text_path(path, context->hidden > 0);
    if (place != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%s%U must be a tuple of %zd items, got %zd",
                     context->function, place, plan->child_count,
                     PyTuple_GET_SIZE(value));
        Py_DECREF(place);
    }
    return NULL;
}

/* ---- mappings */

typedef struct {
    validate_plan *key;
    validate_plan *value;
    PyObject *made; /* owned dict, where something may change; or NULL */
    bool changed;
    bool renamed; /* a key has become another */
} items_pairs;

/* 0, or -1: the key is there already, another has become the same */
static int
items_pair_distinct(validate_context *context, const items_pairs *pairs,
                    PyObject *key, const validate_path *path)
{
    int twice = pairs->renamed ? PyDict_Contains(pairs->made, key) : 0;
    if (twice <= 0) {
        return twice;
    }
    int hides = context->quiet > 0 ? 0 : validate_hides(pairs->key);
    if (hides >= 0) {
        context->hidden += hides;
        validate_refuse(context, validate_text_keys, NULL, NULL, key, path);
        context->hidden -= hides;
    }
    return -1;
}

/* Put a pair into what is made. 0 or -1 */
static int
items_pair_put(validate_context *context, const items_pairs *pairs,
               PyObject *key, PyObject *value, const validate_path *path)
{
    return items_pair_distinct(context, pairs, key, path) < 0
               ? -1
               : PyDict_SetItem(pairs->made, key, value);
}

/* One pair, both borrowed and held by the caller. 0 or -1 */
static int
items_pair(validate_context *context, items_pairs *pairs, PyObject *key,
           PyObject *value, const validate_path *path)
{
    const validate_key_path place = {{path, key, VALIDATE_KEY_OF}, pairs->key};
    const validate_path *step = &place.step;
    PyObject *new_key = pairs->key == NULL || validate_quick(pairs->key, key)
                            ? Py_NewRef(key)
                            : validate_value(context, pairs->key, key, step);
    if (new_key == NULL) {
        return -1;
    }
    PyObject *new_value =
        pairs->value == NULL || validate_quick(pairs->value, value)
            ? Py_NewRef(value)
            : validate_value(context, pairs->value, value, step);
    pairs->renamed = pairs->renamed || new_key != key;
    pairs->changed = pairs->changed || pairs->renamed || new_value != value;
    int result =
        new_value == NULL ? -1
        : pairs->made == NULL
            ? 0
            : items_pair_put(context, pairs, new_key, new_value, path);
    Py_DECREF(new_key);
    Py_XDECREF(new_value);
    return result;
}

static int
items_dict(validate_context *context, items_pairs *pairs, PyObject *dict,
           const validate_path *path)
{
    Py_ssize_t at = 0, size = PyDict_GET_SIZE(dict);
    PyObject *key, *value;
    while (PyDict_Next(dict, &at, &key, &value)) {
        if (pairs->made == NULL
            && (pairs->key == NULL || validate_quick(pairs->key, key))
            && (pairs->value == NULL || validate_quick(pairs->value, value))) {
            continue;
        }
        Py_INCREF(key);
        Py_INCREF(value);
        int result = items_pair(context, pairs, key, value, path);
        Py_DECREF(key);
        Py_DECREF(value);
        if (result < 0) {
            return -1;
        }
        if (PyDict_GET_SIZE(dict) != size) {
            PyErr_SetString(PyExc_RuntimeError,
                            "dictionary changed size while it was validated");
            return -1;
        }
    }
    return 0;
}

static int
items_other_mapping(validate_context *context, items_pairs *pairs,
                    PyObject *mapping, const validate_path *path)
{
    PyObject *items = PyMapping_Items(mapping);
    int result = items != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_Format(PyExc_TypeError, "%s.items() must give pairs",
                         Py_TYPE(mapping)->tp_name);
            result = -1;
            break;
        }
        Py_INCREF(pair);
        result = items_pair(context, pairs, PyTuple_GET_ITEM(pair, 0),
                            PyTuple_GET_ITEM(pair, 1), path);
        Py_DECREF(pair);
    }
    Py_XDECREF(items);
    return result;
}

/* new: the pairs in a dict like the one given: a defaultdict stays one, with
 * its factory. Other mappings become a dict. stolen: made
 */
static PyObject *
items_like_steal(PyObject *made, PyObject *value)
{
    if (!PyDict_Check(value) || PyDict_CheckExact(value)) {
        return made;
    }
    PyObject *copy = items_empty_copy(value);
    if (copy == NULL) {
        if (PyErr_Occurred()) {
            Py_CLEAR(made);
        }
        return made;
    }
    Py_ssize_t at = 0;
    PyObject *key, *item;
    while (copy != NULL && PyDict_Next(made, &at, &key, &item)) {
        if (PyObject_SetItem(copy, key, item) < 0) {
            Py_CLEAR(copy);
        }
    }
    Py_DECREF(made);
    return copy;
}

PyObject *
validate_mapping(validate_context *context, validate_plan *plan,
                 PyObject *value, const validate_path *path)
{
    items_pairs pairs = {
        .key = plan->child_count > 0 ? plan->children[0] : NULL,
        .value = plan->child_count > 1 ? plan->children[1] : NULL,
    };
    if ((pairs.key != NULL && pairs.key->strips)
        || (pairs.value != NULL && pairs.value->strips)) {
        pairs.made = PyDict_New();
        if (pairs.made == NULL) {
            return NULL;
        }
    }
    int result = PyDict_Check(value)
                     ? items_dict(context, &pairs, value, path)
                     : items_other_mapping(context, &pairs, value, path);
    if (result == 0 && pairs.changed && pairs.made != NULL) {
        return items_like_steal(pairs.made, value);
    }
    Py_XDECREF(pairs.made);
    return result == 0 ? Py_NewRef(value) : NULL;
}
