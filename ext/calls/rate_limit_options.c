/* SPDX-License-Identifier: MIT
 *
 * rate_limit: what the decorator is given, checked once, before it has a
 * function. Must not make anything but the tuple of options.
 */
#include "calls_state.h"
#include "args.h"

#define MAX_KEYS 65536

static const char *const names[] = {"calls_per_sec", "burst", "key",
                                    "mode",          "store", "name",
                                    "max_keys",      "clock", NULL};
enum { A_RATE, A_BURST, A_KEY, A_MODE, A_STORE, A_NAME, A_MAX, A_CLOCK };
static const fe_sig rate_limit_sig = {"rate_limit", names, 1, 1};

/* new: float; NULL with an exception */
static PyObject *
check_rate(PyObject *value)
{
    bool number = PyNumber_Check(value) && !PyBool_Check(value)
                  && !PyUnicode_Check(value) && !PyComplex_Check(value);
    if (!number) {
        PyErr_Format(PyExc_TypeError,
                     "rate_limit: calls_per_sec: wanted a number, got "
                     "%.200s%s",
                     Py_TYPE(value)->tp_name,
                     PyCallable_Check(value)
                         ? " (write @rate_limit(10), with the rate)"
                         : "");
        return NULL;
    }
    PyObject *rate = PyNumber_Float(value);
    if (rate == NULL && PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear(); /* OverflowError: an int beyond all floats */
        rate = PyFloat_FromDouble(Py_HUGE_VAL);
    }
    if (rate == NULL) {
        return NULL;
    }
    double number_value = PyFloat_AsDouble(rate);
    if (!(number_value > 0) || number_value > 1e9) {
        PyErr_Format(PyExc_ValueError,
                     "rate_limit: calls_per_sec: wanted more than 0 and at "
                     "most 1e9, got %R",
                     value);
        Py_CLEAR(rate);
    }
    return rate;
}

/* new: an int from 1 on; NULL with an exception */
static PyObject *
check_count(const char *name, PyObject *value, long long otherwise)
{
    if (value == NULL) {
        return PyLong_FromLongLong(otherwise);
    }
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        return PyErr_Format(PyExc_TypeError,
                            "rate_limit: %s: wanted an int, got %.200s", name,
                            Py_TYPE(value)->tp_name);
    }
    int overflow;
    long long count = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0 || count < 1 || count > PY_SSIZE_T_MAX / 64) {
        return PyErr_Format(
            PyExc_ValueError, "rate_limit: %s: wanted at least 1%s, got %R",
            name, overflow > 0 || count > 1 ? " and at most 2**57 - 1" : "",
            value);
    }
    return PyLong_FromLongLong(count);
}

/* new: True for "wait", False for "raise" */
static PyObject *
check_mode(PyObject *value)
{
    if (value != NULL && !PyUnicode_Check(value)) {
        return PyErr_Format(PyExc_TypeError,
                            "rate_limit: mode: wanted 'wait' or 'raise', got "
                            "%.200s",
                            Py_TYPE(value)->tp_name);
    }
    bool waits =
        value == NULL || PyUnicode_CompareWithASCIIString(value, "wait") == 0;
    if (!waits && PyUnicode_CompareWithASCIIString(value, "raise") != 0) {
        return PyErr_Format(PyExc_ValueError,
                            "rate_limit: mode: wanted 'wait' or 'raise', got "
                            "%R",
                            value);
    }
    return Py_NewRef(waits ? Py_True : Py_False);
}

/* 0, or -1 with TypeError: neither None nor callable */
static int
check_callable(const char *name, PyObject *value)
{
    if (value == NULL || value == Py_None || PyCallable_Check(value)) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError,
                 "rate_limit: %s: wanted a callable or None, got %.200s", name,
                 Py_TYPE(value)->tp_name);
    return -1;
}

/* 0, or -1 with TypeError or ValueError */
static int
check_store(calls_state *state, PyObject *const *values)
{
    PyObject *store = values[A_STORE], *name = values[A_NAME], *method;
    if (name != NULL && name != Py_None && !PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError,
                     "rate_limit: name: wanted a str or None, got %.200s",
                     Py_TYPE(name)->tp_name);
        return -1;
    }
    if (store == NULL || store == Py_None) {
        return 0;
    }
    if (values[A_CLOCK] != NULL && values[A_CLOCK] != Py_None) {
        PyErr_SetString(PyExc_ValueError,
                        "rate_limit: clock: a store has a clock of its own");
        return -1;
    }
    if (PyObject_TypeCheck(store, state->shared_store_type)) {
        return 0;
    }
    int found =
        PyType_Check(store) ? 0 : fe_find_attr(store, "limiter", &method);
    if (found > 0) {
        Py_DECREF(method);
        return 0;
    }
    if (found == 0) {
        PyErr_Format(PyExc_TypeError,
                     "rate_limit: store: wanted a SharedStore, a RedisStore "
                     "or None, got %.200s",
                     Py_TYPE(store)->tp_name);
    }
    return -1;
}

/* 0, or -1 with ValueError: rate and burst do not go together */
static int
check_rule(PyObject *rate, PyObject *burst)
{
    rate_limit_rule rule;
    if (rate_limit_rule_set(&rule, PyFloat_AS_DOUBLE(rate),
                            PyLong_AsLongLong(burst))) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError,
                 "rate_limit: burst / calls_per_sec: wanted at most 36 years, "
                 "got %S / %S seconds",
                 burst, rate);
    return -1;
}

static PyObject *
or_none(PyObject *value)
{
    return Py_NewRef(value != NULL ? value : Py_None);
}

/* new: the tuple of options */
static PyObject *
check_options(calls_state *state, PyObject *const *values)
{
    PyObject *rate = check_rate(values[A_RATE]), *options = NULL;
    PyObject *burst = NULL, *waits = NULL, *most = NULL;
    if (rate == NULL) {
        return NULL;
    }
    burst = check_count("burst", values[A_BURST], 1);
    waits = burst != NULL ? check_mode(values[A_MODE]) : NULL;
    most = waits != NULL ? check_count("max_keys", values[A_MAX], MAX_KEYS)
                         : NULL;
    if (most != NULL && check_rule(rate, burst) == 0
        && check_callable("key", values[A_KEY]) == 0
        && check_callable("clock", values[A_CLOCK]) == 0
        && check_store(state, values) == 0) {
        options = PyTuple_New(RATE_LIMIT_OPTIONS);
    }
    if (options != NULL) {
        PyTuple_SET_ITEM(options, RATE_LIMIT_RATE, Py_NewRef(rate));
        PyTuple_SET_ITEM(options, RATE_LIMIT_BURST, Py_NewRef(burst));
        PyTuple_SET_ITEM(options, RATE_LIMIT_KEY, or_none(values[A_KEY]));
        PyTuple_SET_ITEM(options, RATE_LIMIT_WAITS, Py_NewRef(waits));
        PyTuple_SET_ITEM(options, RATE_LIMIT_STORE, or_none(values[A_STORE]));
        PyTuple_SET_ITEM(options, RATE_LIMIT_NAME, or_none(values[A_NAME]));
        PyTuple_SET_ITEM(options, RATE_LIMIT_MAX, Py_NewRef(most));
        PyTuple_SET_ITEM(options, RATE_LIMIT_CLOCK, or_none(values[A_CLOCK]));
    }
    Py_DECREF(rate);
    Py_XDECREF(burst);
    Py_XDECREF(waits);
    Py_XDECREF(most);
    return options;
}

PyObject *
rate_limit_options(calls_state *state, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    PyObject *values[Py_ARRAY_LENGTH(names) - 1];
    return fe_args_unpack(&rate_limit_sig, args, nargs, kwnames, values) < 0
               ? NULL
               : check_options(state, values);
}
