/* SPDX-License-Identifier: MIT
 *
 * Where the texts of wrappers go: a logger at a level, or a function that
 * takes the text.
 */
#ifndef LOGGED_SINK_H
#define LOGGED_SINK_H

#include "wrapper.h"

/* Shared by all functions one decorator has decorated. */
typedef struct {
    PyObject_HEAD PyObject *printer; /* owned; NULL: a logger */
    PyObject *logger;                /* owned */
    PyObject *level;                 /* owned int */
    /* What Logger.isEnabledFor reads, owned: the logger's own __dict__, and
     * the dict there in which it keeps its answers until a level changes.
     * NULL: isEnabledFor is called.
     */
    PyObject *fields;
    PyObject *answers;
    PyObject *disabled; /* owned: the string "disabled" */
} logged_sink;

extern PyType_Spec logged_sink_spec;

/* new. The arguments are as the decorator `name` got them: NULL or None are
 * not given. TypeError, ValueError. Imports logging if it is to be a logger.
 */
logged_sink *logged_sink_new(calls_state *state, const char *name,
                             PyObject *printer, PyObject *logger,
                             PyObject *level);

/* isEnabledFor called: 1, 0 or -1 */
int logged_sink_ask(logged_sink *sink);

/* 1 if a text would go anywhere, else 0; -1 with the exception of a logger of
 * another class. No Python code runs while no level changes.
 */
FE_INLINE int
logged_sink_enabled(logged_sink *sink)
{
    if (sink->fields != NULL) {
        PyObject *answer = PyDict_GetItemWithError(sink->answers, sink->level);
        if (FE_LIKELY(answer == Py_False)) {
            return 0;
        }
        if (answer == Py_True
            && PyDict_GetItemWithError(sink->fields, sink->disabled)
                   == Py_False) {
            return 1;
        }
    }
    return sink->printer != NULL ? 1 : logged_sink_ask(sink);
}

/* format % args (stolen; may be NULL with an exception) goes out. 0, or -1
 * with the exception of the printer or of a filter.
 */
int logged_sink_put_steal(logged_sink *sink, const char *format,
                          PyObject *args);

/* new: func.__name__, as in the articles' texts; without one its repr */
PyObject *logged_sink_name(PyObject *func);

#endif
