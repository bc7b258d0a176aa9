/* SPDX-License-Identifier: MIT
 *
 * Addresses of electronic mail (RFC 5321, 5322, 6531), without the network.
 */
#ifndef EMAIL_H
#define EMAIL_H

#define EMAIL_STATE(X)                                                        \
    X(PyObject *, email)               /* the constraint Email */             \
    X(PyObject *, email_international) /* what judges other than ASCII, once  \
                                          it was needed */

int email_register(PyObject *module, validation_state *state);

/* Is the str an address? 1, 0, or -1 with an exception. Runs Python code where
 * the str is not ASCII.
 */
int email_check(validation_state *state, PyObject *str);
/* new: why it is none, for a message: "has no @" */
PyObject *email_reason(validation_state *state, PyObject *str);

#endif
