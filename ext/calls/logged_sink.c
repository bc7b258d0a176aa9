/* SPDX-License-Identifier: MIT
 *
 * Where the texts of wrappers go. The level is asked before anything is
 * formatted, with what the logger itself has noted: Logger.isEnabledFor keeps
 * its answers in a dict that setLevel, logging.disable and logging.config
 * clear, and so reacts at once; reading that dict takes nanoseconds, calling
 * the method fifty.
 */
#include "calls_state.h"

#include "logged_sink.h"

/* ---- asking */

FE_NOINLINE int
logged_sink_ask(logged_sink *sink)
{
    if (PyErr_Occurred()) {
        return -1; /* from looking into the dicts */
    }
    PyObject *answer =
        fe_call_method(sink->logger, "isEnabledFor", sink->level);
    int yes = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return yes;
}

/* new: the logger of this package */
static PyObject *
own_logger(PyObject *logging)
{
    PyObject *name = PyUnicode_InternFromString("ferrule.calls");
    PyObject *logger =
        name != NULL ? fe_call_method(logging, "getLogger", name) : NULL;
    Py_XDECREF(name);
    return logger;
}

/* 1: found, *value is borrowed from dict; 0: absent; -1 */
static int
look_up(PyObject *dict, const char *text, PyObject **value)
{
    PyObject *name = PyUnicode_InternFromString(text);
    *value = NULL;
    if (name == NULL) {
        return -1;
    }
    *value = PyDict_GetItemWithError(dict, name);
    Py_DECREF(name);
    return *value != NULL ? 1 : (PyErr_Occurred() ? -1 : 0);
}

/* Is attribute `name` of the two types the same object (or in neither)? 1, 0
 * or -1
 */
static int
same_attribute(PyTypeObject *type, PyObject *other, const char *text)
{
    PyObject *mine = NULL, *theirs = NULL;
    PyObject *name = PyUnicode_InternFromString(text);
    int same = -1;
    if (name != NULL
        && PyObject_GetOptionalAttr((PyObject *)type, name, &mine) >= 0
        && PyObject_GetOptionalAttr(other, name, &theirs) >= 0) {
        same = mine == theirs;
    }
    Py_XDECREF(name);
    Py_XDECREF(mine);
    Py_XDECREF(theirs);
    return same;
}

/* Is a logger of this type asked as those of logging are? 1, 0 or -1 */
static int
asked_as_usual(PyTypeObject *type, PyObject *logging)
{
    static const char *const names[] = {"isEnabledFor", "disabled", "_cache",
                                        "__getattribute__"};
    PyObject *class = fe_getattr(logging, "Logger");
    int same = class != NULL ? 1 : -1;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(names) && same == 1; i++) {
        same = same_attribute(type, class, names[i]);
    }
    Py_XDECREF(class);
    return same;
}

/* logger's __dict__ and, in it, its answers: both new. 1; 0: it has no such
 * things, or a method of its own; or -1
 */
static int
find_fields(PyObject *logger, PyObject **fields, PyObject **answers)
{
    PyObject *disabled, *own;
    *answers = NULL;
    *fields = PyObject_GenericGetDict(logger, NULL);
    if (*fields == NULL) {
        return -1;
    }
    int result = look_up(*fields, "disabled", &disabled);
    if (result == 1) {
        result = look_up(*fields, "isEnabledFor", &own);
        result = result < 0 ? -1 : !result;
    }
    if (result == 1) {
        result = look_up(*fields, "_cache", answers);
    }
    if (result == 1 && !PyDict_CheckExact(*answers)) {
        result = 0;
    }
    if (result == 1) {
        Py_INCREF(*answers);
    }
    else {
        *answers = NULL;
        Py_CLEAR(*fields);
    }
    return result;
}

/* Does isEnabledFor note its answers, and setLevel clear them? Tried with a
 * logger of our own, whose level stays what it is, and a level nobody uses.
 * 1, 0 or -1
 */
static int
try_answers(PyObject *logging, PyObject *level)
{
    PyObject *fields = NULL, *answers = NULL, *own = NULL, *done = NULL;
    PyObject *probe = own_logger(logging);
    int result = probe != NULL ? asked_as_usual(Py_TYPE(probe), logging) : -1;
    if (result == 1) {
        result = find_fields(probe, &fields, &answers);
    }
    if (result == 1) {
        done = fe_call_method(probe, "isEnabledFor", level);
        result = done != NULL ? PyDict_Contains(answers, level) : -1;
        Py_CLEAR(done);
    }
    if (result == 1) {
        own = fe_getattr(probe, "level");
        result = own != NULL ? 1 : -1;
    }
    if (result == 1) {
        done = fe_call_method(probe, "setLevel", own);
        result = done != NULL ? PyDict_Contains(answers, level) : -1;
        result = result < 0 ? -1 : !result;
    }
    Py_XDECREF(probe);
    Py_XDECREF(fields);
    Py_XDECREF(answers);
    Py_XDECREF(own);
    Py_XDECREF(done);
    return result;
}

/* May a logger's answers be read? Tried once. 1, 0 or -1 */
static int
trusted(calls_state *state, PyObject *logging)
{
    if (state->sink_trust == NULL) {
        PyObject *level = PyLong_FromLong(987654321);
        int trust = level != NULL ? try_answers(logging, level) : -1;
        Py_XDECREF(level);
        if (trust < 0) {
            return -1;
        }
        Py_XSETREF(state->sink_trust, PyBool_FromLong(trust));
    }
    return state->sink_trust == Py_True;
}

/* Find the logger's answers, if they can be read. 0, or -1. */
static int
look_into(calls_state *state, logged_sink *sink, PyObject *logging)
{
    int result = trusted(state, logging);
    if (result == 1) {
        result = asked_as_usual(Py_TYPE(sink->logger), logging);
    }
    if (result == 1) {
        result = find_fields(sink->logger, &sink->fields, &sink->answers);
    }
    return result < 0 ? -1 : 0;
}

/* ---- made from a decorator's arguments */

/* new: an int; the level that was given, by number or by name */
static PyObject *
parse_level(const char *name, PyObject *level)
{
    if (level == NULL) {
        return PyLong_FromLong(20); /* INFO */
    }
    if (PyLong_Check(level) && !PyBool_Check(level)) {
        return PyNumber_Long(level);
    }
    if (!PyUnicode_Check(level)) {
        return PyErr_Format(PyExc_TypeError,
                            "%s: level: wanted an int or the name of a level, "
                            "got %.200s",
                            name, Py_TYPE(level)->tp_name);
    }
    PyObject *logging = PyImport_ImportModule("logging");
    PyObject *names =
        logging != NULL ? fe_call_method(logging, "getLevelNamesMapping", NULL)
                        : NULL;
    Py_XDECREF(logging);
    PyObject *value = names != NULL ? PyObject_GetItem(names, level) : NULL;
    Py_XDECREF(names);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Format(PyExc_ValueError, "%s: level: there is no level %R", name,
                     level);
    }
    return value;
}

/* 1, 0 or -1 */
static int
has_method(PyObject *obj, const char *text)
{
    PyObject *method;
    int found = fe_find_attr(obj, text, &method);
    if (found > 0) {
        found = PyCallable_Check(method);
        Py_DECREF(method);
    }
    return found;
}

/* new: the logger that was given, itself or by name */
static PyObject *
parse_logger(const char *name, PyObject *logging, PyObject *logger)
{
    if (logger == NULL) {
        return own_logger(logging);
    }
    if (PyUnicode_Check(logger)) {
        return fe_call_method(logging, "getLogger", logger);
    }
    int good = PyType_Check(logger) ? 0 : has_method(logger, "log");
    if (good > 0) {
        good = has_method(logger, "isEnabledFor");
    }
    if (good > 0) {
        return Py_NewRef(logger);
    }
    return good < 0 ? NULL
                    : PyErr_Format(PyExc_TypeError,
                                   "%s: logger: wanted a logger or the name "
                                   "of one, got %.200s",
                                   name, Py_TYPE(logger)->tp_name);
}

/* 0: printer can be called and stands alone; -1 with TypeError */
static int
check_printer(const char *name, PyObject *printer, PyObject *logger,
              PyObject *level)
{
    if (!PyCallable_Check(printer)) {
        PyErr_Format(PyExc_TypeError,
                     "%s: printer: wanted a callable, got %.200s", name,
                     Py_TYPE(printer)->tp_name);
        return -1;
    }
    if (logger != NULL || level != NULL) {
        PyErr_Format(
            PyExc_TypeError,
            "%s: wanted a printer or a logger and its level, got both", name);
        return -1;
    }
    return 0;
}

static int
fill_with_logger(calls_state *state, logged_sink *sink, const char *name,
                 PyObject *logger, PyObject *level)
{
    PyObject *logging = PyImport_ImportModule("logging");
    if (logging == NULL) {
        return -1;
    }
    sink->disabled = PyUnicode_InternFromString("disabled");
    if (sink->disabled != NULL) {
        sink->level = parse_level(name, level);
    }
    if (sink->level != NULL) {
        sink->logger = parse_logger(name, logging, logger);
    }
    int result = sink->logger != NULL ? look_into(state, sink, logging) : -1;
    Py_DECREF(logging);
    return result;
}

/* new */
static logged_sink *
make_sink(calls_state *state, const char *name, PyObject *printer,
          PyObject *logger, PyObject *level)
{
    logged_sink *sink =
        (logged_sink *)state->sink_type->tp_alloc(state->sink_type, 0);
    if (sink == NULL) {
        return NULL;
    }
    if (printer != NULL) {
        sink->printer = Py_NewRef(printer);
    }
    else if (fill_with_logger(state, sink, name, logger, level) < 0) {
        Py_CLEAR(sink);
    }
    return sink;
}

logged_sink *
logged_sink_new(calls_state *state, const char *name, PyObject *printer,
                PyObject *logger, PyObject *level)
{
    printer = printer != Py_None ? printer : NULL;
    logger = logger != Py_None ? logger : NULL;
    level = level != Py_None ? level : NULL;
    if (printer != NULL || logger != NULL || level != NULL) {
        return printer != NULL
                       && check_printer(name, printer, logger, level) < 0
                   ? NULL
                   : make_sink(state, name, printer, logger, level);
    }
    if (state->sink_default == NULL) {
        logged_sink *sink = make_sink(state, name, NULL, NULL, NULL);
        if (sink == NULL) {
            return NULL;
        }
        Py_XSETREF(state->sink_default, (PyObject *)sink);
    }
    return (logged_sink *)Py_NewRef(state->sink_default);
}

/* ---- putting out */

int
logged_sink_put_steal(logged_sink *sink, const char *format, PyObject *args)
{
    PyObject *text = args != NULL ? PyUnicode_FromString(format) : NULL;
    PyObject *result = NULL;
    if (text != NULL && sink->printer != NULL) {
        Py_SETREF(text, PyUnicode_Format(text, args));
        if (text != NULL) {
            result = PyObject_CallOneArg(sink->printer, text);
        }
    }
    else if (text != NULL) {
        /* not formatted here: handlers and aggregators want both */
        PyObject *log = fe_getattr(sink->logger, "log");
        PyObject *given[5] = {NULL, sink->level, text};
        Py_ssize_t count = PyTuple_GET_SIZE(args);
        for (Py_ssize_t i = 0; i < count; i++) {
            given[3 + i] = PyTuple_GET_ITEM(args, i);
        }
        if (log != NULL) {
            result = PyObject_Vectorcall(
                log, given + 1,
                (size_t)(2 + count) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
            Py_DECREF(log);
        }
    }
    Py_XDECREF(text);
    Py_XDECREF(args);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

PyObject *
logged_sink_name(PyObject *func)
{
    if (func != NULL && PyFunction_Check(func)) {
        return Py_NewRef(((PyFunctionObject *)func)->func_name);
    }
    if (func == NULL) {
        return PyUnicode_FromString("?");
    }
    return fe_wrap_name(func, "__name__");
}

/* ---- the type */

static int
logged_sink_tp_traverse(logged_sink *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->printer);
    Py_VISIT(self->logger);
    Py_VISIT(self->fields);
    Py_VISIT(self->answers);
    return 0;
}

static void
logged_sink_tp_dealloc(PyObject *op)
{
    logged_sink *self = (logged_sink *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_XDECREF(self->printer);
    Py_XDECREF(self->logger);
    Py_XDECREF(self->level);
    Py_XDECREF(self->fields);
    Py_XDECREF(self->answers);
    Py_XDECREF(self->disabled);
    type->tp_free(op);
    Py_DECREF(type);
}

/* no tp_clear: a sink cannot change, so what holds it breaks the cycle */
static PyType_Slot logged_sink_slots[] = {
    {Py_tp_dealloc, FE_SLOT(logged_sink_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(logged_sink_tp_traverse)},
    {0, NULL},
};

PyType_Spec logged_sink_spec = {
    .name = "ferrule.calls.Sink",
    .basicsize = sizeof(logged_sink),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = logged_sink_slots,
};
