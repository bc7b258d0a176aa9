/* SPDX-License-Identifier: MIT
 *
 * ConstraintError, a ValueError that keeps the parts of its text and makes it
 * when asked: most refusals are caught and never read, and formatting was 330
 * of the 460 ns of one.
 */
#ifndef VALIDATION_ERROR_H
#define VALIDATION_ERROR_H

#define ERROR_STATE(X) X(PyTypeObject *, constraint_error)

int error_register(PyObject *module, validation_state *state);

/* new: the text, a str; every part but name may be NULL. `value` is NULL where
 * it must not be shown: then the text says "***" or leaves it out.
 */
typedef PyObject *(*error_format)(PyObject *name, PyObject *low,
                                  PyObject *high, PyObject *value);

/* Raise ConstraintError; always NULL. `name` is what was given a value (a
 * str: an attribute, an argument, a path), `low` and `high` what `format`
 * makes of them.
 */
PyObject *error_raise(validation_state *state, error_format format,
                      PyObject *name, PyObject *low, PyObject *high,
                      PyObject *value);

#endif
