/* SPDX-License-Identifier: MIT
 *
 * Does a clean-up keep alive what it waits for? Only paths that can be seen
 * without running any code, and that lead there for good: methods of the
 * object, partials, closures, defaults, and built-in containers among the
 * arguments. Other objects are not looked into: what they hold they may let
 * go.
 */
#include "lifetime_state.h"

#define MAX_LOOKED_AT 1000
#define MAX_DEPTH 8

typedef struct {
    PyObject *obj;
    int left;
} search;

static int reaches(search *s, PyObject *value, int depth);

/* A container may lose its item on the way: the iterator of a set further in
 * is an allocation, and so may run a collection.
 */
static int
held_reaches(search *s, PyObject *borrowed, int depth)
{
    Py_INCREF(borrowed);
    int found = reaches(s, borrowed, depth);
    Py_DECREF(borrowed);
    return found;
}

static int
attribute_reaches(search *s, PyObject *value, const char *name, int depth)
{
    PyObject *held = PyObject_GetAttrString(value, name);
    if (held == NULL) {
        return -1;
    }
    int found = reaches(s, held, depth);
    Py_DECREF(held);
    return found;
}

static int
partial_reaches(search *s, PyObject *partial, int depth)
{
    static const char *const parts[] = {"func", "args", "keywords"};
    int found = 0;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(parts) && found == 0; i++) {
        found = attribute_reaches(s, partial, parts[i], depth);
    }
    return found;
}

/* A cell's value is compared, and looked into only where it is a method: what
 * else a closure holds may be meant to change. Classes live till exit as a
 * rule, and a clean-up made in a class method may well close over its class.
 */
static int
closure_reaches(search *s, PyObject *closure)
{
    if (PyType_Check(s->obj)) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(closure); i++) {
        PyObject *held = PyCell_Get(PyTuple_GET_ITEM(closure, i));
        bool found = held != NULL
                     && (held == s->obj
                         || (PyMethod_Check(held)
                             && PyMethod_GET_SELF(held) == s->obj));
        Py_XDECREF(held);
        if (found) {
            return 1;
        }
    }
    return 0;
}

static int
function_reaches(search *s, PyObject *function, int depth)
{
    PyObject *closure = PyFunction_GET_CLOSURE(function);
    if (closure != NULL && closure_reaches(s, closure)) {
        return 1;
    }
    PyObject *defaults = PyFunction_GET_DEFAULTS(function);
    int found = defaults != NULL ? held_reaches(s, defaults, depth) : 0;
    /* read after it: a collection may have run */
    PyObject *named = PyFunction_GET_KW_DEFAULTS(function);
    if (found == 0 && named != NULL) {
        found = held_reaches(s, named, depth);
    }
    return found;
}

static int
sequence_reaches(search *s, PyObject *sequence, int depth)
{
    int found = 0;
    for (Py_ssize_t i = 0;
         found == 0 && s->left > 0 && i < PySequence_Fast_GET_SIZE(sequence);
         i++) {
        found = held_reaches(s, PySequence_Fast_GET_ITEM(sequence, i), depth);
    }
    return found;
}

static int
dict_reaches(search *s, PyObject *dict, int depth)
{
    Py_ssize_t at = 0;
    PyObject *key, *value;
    int found = 0;
    while (found == 0 && s->left > 0 && PyDict_Next(dict, &at, &key, &value)) {
        Py_INCREF(value);
        found = held_reaches(s, key, depth);
        if (found == 0) {
            found = reaches(s, value, depth);
        }
        Py_DECREF(value);
    }
    return found;
}

static int
set_reaches(search *s, PyObject *set, int depth)
{
    PyObject *iterator = PyObject_GetIter(set), *item;
    if (iterator == NULL) {
        return -1;
    }
    int found = 0;
    while (found == 0 && s->left > 0
           && (item = PyIter_Next(iterator)) != NULL) {
        found = reaches(s, item, depth);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : found;
}

/* 1: it does; 0: not that can be seen; -1: error */
static int
reaches(search *s, PyObject *value, int depth)
{
    if (value == s->obj) {
        return 1;
    }
    if (depth >= MAX_DEPTH || s->left-- <= 0) {
        return 0;
    }
    depth++;
    if (PyFunction_Check(value)) {
        return function_reaches(s, value, depth);
    }
    if (PyMethod_Check(value)) {
        return PyMethod_GET_SELF(value) == s->obj;
    }
    if (PyCFunction_Check(value)) {
        return PyCFunction_GET_SELF(value) == s->obj;
    }
    if (PyTuple_CheckExact(value) || PyList_CheckExact(value)) {
        return sequence_reaches(s, value, depth);
    }
    if (PyDict_CheckExact(value)) {
        return dict_reaches(s, value, depth);
    }
    if (PyAnySet_CheckExact(value)) {
        return set_reaches(s, value, depth);
    }
    const char *name = Py_TYPE(value)->tp_name;
    if (strcmp(name, "functools.partial") == 0) {
        return partial_reaches(s, value, depth);
    }
    /* obj.__len__ and the like */
    if (strcmp(name, "method-wrapper") == 0) {
        return attribute_reaches(s, value, "__self__", MAX_DEPTH);
    }
    return 0;
}

static int
refuse_func(PyObject *obj, PyObject *func)
{
    bool method =
        (PyMethod_Check(func) && PyMethod_GET_SELF(func) == obj)
        || (PyCFunction_Check(func) && PyCFunction_GET_SELF(func) == obj);
    PyErr_Format(PyExc_TypeError,
                 "finalize(): func %s the %.100s it would wait for, which "
                 "then never dies; give a function and only what it needs",
                 method ? "is a bound method of" : "holds",
                 Py_TYPE(obj)->tp_name);
    return -1;
}

static int
refuse_argument(PyObject *obj, Py_ssize_t i, Py_ssize_t count,
                PyObject *kwnames)
{
    Py_ssize_t positional =
        count - (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject *place =
        i < positional
            ? PyUnicode_FromFormat("args[%zd]", i)
            : PyUnicode_FromFormat("kwargs[%R]",
                                   PyTuple_GET_ITEM(kwnames, i - positional));
    if (place != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "finalize(): %U reaches the %.100s it would wait for, "
                     "which then never dies",
                     place, Py_TYPE(obj)->tp_name);
        Py_DECREF(place);
    }
    return -1;
}

int
finalize_refuse_reach(PyObject *obj, PyObject *func, PyObject *const *values,
                      Py_ssize_t count, PyObject *kwnames)
{
    search s = {obj, MAX_LOOKED_AT};
    int found = reaches(&s, func, 0);
    if (found != 0) {
        return found < 0 ? -1 : refuse_func(obj, func);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        found = reaches(&s, values[i], 0);
        if (found != 0) {
            return found < 0 ? -1 : refuse_argument(obj, i, count, kwnames);
        }
    }
    return 0;
}
