/* SPDX-License-Identifier: MIT
 *
 * Patterns: the regular subset by a table, the rest by `re`.
 */
#ifndef REGEX_H
#define REGEX_H

#define REGEX_STATE(X) X(PyTypeObject *, regex_type)

int regex_register(PyObject *module, validation_state *state);

/* Does the str match somewhere in it (re.search)? `regex` is a Regex.
 * 1, 0, or -1 with an exception. Runs no Python code but re's own, and
 * signals' handlers while a long text is read.
 */
int regex_search(PyObject *regex, PyObject *str);
/* borrowed from the Regex: its pattern, a str */
PyObject *regex_pattern_borrow(PyObject *regex);

#endif
