/* SPDX-License-Identifier: MIT
 *
 * update_wrapper and wraps: what functools has under these names, in C.
 */
#include "calls_state.h"
#include "args.h"

/* new: a tuple of interned strings */
static PyObject *
names_tuple(const char *const *names, Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple != NULL && i < count; i++) {
        PyObject *name = PyUnicode_InternFromString(names[i]);
        if (name == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, name);
    }
    return tuple;
}

/* 0: copied, or wrapped has no such attribute; -1 with an exception */
static int
copy_attribute(PyObject *wrapper, PyObject *wrapped, PyObject *name)
{
    PyObject *value;
    int found = PyObject_GetOptionalAttr(wrapped, name, &value);
    if (found > 0) {
        found = PyObject_SetAttr(wrapper, name, value);
        Py_DECREF(value);
    }
    return found < 0 ? -1 : 0;
}

/* wrapper.name.update(wrapped.name) */
static int
merge_attribute(PyObject *wrapper, PyObject *wrapped, PyObject *name)
{
    PyObject *theirs, *own = PyObject_GetAttr(wrapper, name);
    if (own == NULL) {
        return -1;
    }
    PyObject *result = NULL;
    if (PyObject_GetOptionalAttr(wrapped, name, &theirs) == 0) {
        theirs = PyDict_New(); /* what own is, is checked all the same */
    }
    if (theirs != NULL) {
        result = fe_call_method(own, "update", theirs);
        Py_DECREF(theirs);
    }
    Py_DECREF(own);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

typedef int (*each_name)(PyObject *wrapper, PyObject *wrapped, PyObject *name);

static int
for_names(PyObject *names, each_name act, PyObject *wrapper, PyObject *wrapped)
{
    PyObject *iter = PyObject_GetIter(names), *name;
    if (iter == NULL) {
        return -1;
    }
    int result = 0;
    while (result == 0 && (name = PyIter_Next(iter)) != NULL) {
        result = act(wrapper, wrapped, name);
        Py_DECREF(name);
    }
    Py_DECREF(iter);
    return result < 0 || PyErr_Occurred() ? -1 : 0;
}

/* new: wrapper itself */
static PyObject *
update(PyObject *wrapper, PyObject *wrapped, PyObject *assigned,
       PyObject *updated)
{
    if (for_names(assigned, copy_attribute, wrapper, wrapped) < 0
        || for_names(updated, merge_attribute, wrapper, wrapped) < 0
        || PyObject_SetAttrString(wrapper, "__wrapped__", wrapped) < 0) {
        return NULL;
    }
    return Py_NewRef(wrapper);
}

PyDoc_STRVAR(
    update_wrapper__doc__,
    "update_wrapper($module, /, wrapper, wrapped, assigned=..., updated=...)\n"
    "--\n\n"
    "Make wrapper look like wrapped, and give it back.\n\n"
    "Copies the attributes named in assigned (module, names, doc,\n"
    "annotations, type parameters) where wrapped has them, merges those in\n"
    "updated (__dict__), and sets __wrapped__. What functools.update_wrapper\n"
    "does; AttributeError if wrapper lacks one of updated.");

static PyObject *
update_wrapper(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    static const char *const names[] = {"wrapper", "wrapped", "assigned",
                                        "updated", NULL};
    static const fe_sig sig = {"update_wrapper", names, 4, 2};
    PyObject *values[4];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    calls_state *state = calls_get_state(module);
    return update(values[0], values[1],
                  values[2] != NULL ? values[2] : state->assigned,
                  values[3] != NULL ? values[3] : state->updated);
}

/* options: wrapped, assigned, updated */
static PyObject *
wraps_make(calls_state *Py_UNUSED(state), PyObject *func, PyObject *options)
{
    return update(func, PyTuple_GET_ITEM(options, 0),
                  PyTuple_GET_ITEM(options, 1), PyTuple_GET_ITEM(options, 2));
}

static const calls_kind wraps_kind = {"wraps", wraps_make};

PyDoc_STRVAR(wraps__doc__,
             "wraps($module, /, wrapped, assigned=..., updated=...)\n--\n\n"
             "A decorator that applies update_wrapper to what it decorates.");

static PyObject *
wraps(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
      PyObject *kwnames)
{
    static const char *const names[] = {"wrapped", "assigned", "updated",
                                        NULL};
    static const fe_sig sig = {"wraps", names, 3, 1};
    PyObject *values[3];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    calls_state *state = calls_get_state(module);
    PyObject *options = PyTuple_Pack(
        3, values[0], values[1] != NULL ? values[1] : state->assigned,
        values[2] != NULL ? values[2] : state->updated);
    if (options == NULL) {
        return NULL;
    }
    PyObject *made = wrapper_decorator(state, &wraps_kind, options);
    Py_DECREF(options);
    return made;
}

PyMethodDef wrapper_update_functions[] = {
    {"update_wrapper", FE_METHOD(update_wrapper),
     METH_FASTCALL | METH_KEYWORDS, update_wrapper__doc__},
    {"wraps", FE_METHOD(wraps), METH_FASTCALL | METH_KEYWORDS, wraps__doc__},
    {0},
};

int
wrapper_update_register(calls_state *state)
{
    static const char *const assigned[] = {
        "__module__", "__name__",        "__qualname__",
        "__doc__",    "__annotations__", "__type_params__"};
    static const char *const updated[] = {"__dict__"};
    state->assigned = names_tuple(assigned, Py_ARRAY_LENGTH(assigned));
    state->updated = names_tuple(updated, Py_ARRAY_LENGTH(updated));
    return state->assigned != NULL && state->updated != NULL ? 0 : -1;
}
