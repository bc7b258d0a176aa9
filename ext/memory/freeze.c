/* SPDX-License-Identifier: MIT
 *
 * The native half of freeze(): the walk as a function, and what this build
 * can do. What is done when, and what is said about it, is Python's
 * (ferrule/memory/_freeze.py).
 */
#include "memory_state.h"

static const char *const reasons[] = {"finalizer", "owner", "running",
                                      "asked"};
static_assert(Py_ARRAY_LENGTH(reasons) == FREEZE_REASONS, "one name each");

static int
set_count(PyObject *dict, const char *name, Py_ssize_t count)
{
    PyObject *value = PyLong_FromSsize_t(count);
    int done = value != NULL ? PyDict_SetItemString(dict, name, value) : -1;
    Py_XDECREF(value);
    return done;
}

static PyObject *
as_dict(const freeze_counts *counts)
{
    PyObject *dict = PyDict_New();
    if (dict == NULL || set_count(dict, "immortal", counts->immortal) < 0
        || set_count(dict, "already", counts->already) < 0
        || set_count(dict, "drifted", counts->drifted) < 0
        || set_count(dict, "lost", counts->lost) < 0
        || set_count(dict, "hashed", counts->hashed) < 0
        || set_count(dict, "versioned", counts->versioned) < 0
        || set_count(dict, "missed", counts->missed) < 0) {
        Py_XDECREF(dict);
        return NULL;
    }
    for (size_t i = 0; i < FREEZE_REASONS; i++) {
        if (set_count(dict, reasons[i], counts->mortal[i]) < 0) {
            Py_DECREF(dict);
            return NULL;
        }
    }
    return dict;
}

PyDoc_STRVAR(freeze_walk__doc__,
             "_walk($module, keep, immortal, hash, /)\n--\n\n"
             "Make what can be reached immortal, or only count it.");

static PyObject *
freeze_walk_function(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !PyTuple_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "_walk(): wanted a tuple and two bools");
        return NULL;
    }
    freeze_options options = {.keep = args[0],
                              .immortal = args[1] == Py_True,
                              .hash = args[2] == Py_True};
    freeze_counts counts;
    if (freeze_walk(&options, &counts) < 0) {
        return NULL;
    }
    if (options.immortal) {
        memory_get_state(module)->frozen = true;
    }
    return as_dict(&counts);
}

PyDoc_STRVAR(freeze_threads__doc__,
             "_threads($module, /)\n--\n\n"
             "How many threads this interpreter knows.");

static PyObject *
freeze_threads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t count = 0;
    PyThreadState *thread =
        PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; thread != NULL; thread = PyThreadState_Next(thread)) {
        count++;
    }
    return PyLong_FromSsize_t(count);
}

PyDoc_STRVAR(freeze_interpreters__doc__,
             "_interpreters($module, /)\n--\n\n"
             "How many interpreters this process has.");

static PyObject *
freeze_interpreters(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t count = 0;
    PyInterpreterState *interpreter = PyInterpreterState_Head();
    for (; interpreter != NULL;
         interpreter = PyInterpreterState_Next(interpreter)) {
        count++;
    }
    return PyLong_FromSsize_t(count);
}

static PyMethodDef methods[] = {
    {"_threads", freeze_threads, METH_NOARGS, freeze_threads__doc__},
    {"_interpreters", freeze_interpreters, METH_NOARGS,
     freeze_interpreters__doc__},
    {"_walk", FE_METHOD(freeze_walk_function), METH_FASTCALL,
     freeze_walk__doc__},
    {NULL, NULL, 0, NULL},
};

int
freeze_register(PyObject *module, memory_state *state)
{
#if FE_IMMORTAL
    /* the constant of the header is the one this interpreter was built with */
    bool able = fe_is_immortal_exact(Py_None);
#else
    bool able = false;
#endif
    return PyModule_AddFunctions(module, methods) < 0
                   || PyModule_AddObjectRef(module, "_IMMORTAL",
                                            able ? Py_True : Py_False)
                          < 0
                   || freeze_exit_register(module, state) < 0
               ? -1
               : 0;
}
