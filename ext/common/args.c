/* SPDX-License-Identifier: MIT */
#include "args.h"

static int
find(const fe_sig *sig, PyObject *keyword)
{
    for (int i = 0; sig->names[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(keyword, sig->names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static int
unpack_keywords(const fe_sig *sig, PyObject *const *given, PyObject *kwnames,
                PyObject **values)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(kwnames); k++) {
        PyObject *keyword = PyTuple_GET_ITEM(kwnames, k);
        int i = find(sig, keyword);
        if (i < 0) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got an unexpected keyword argument '%U'",
                         sig->function, keyword);
            return -1;
        }
        if (values[i] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got multiple values for argument '%U'",
                         sig->function, keyword);
            return -1;
        }
        values[i] = given[k];
    }
    return 0;
}

int
fe_args_unpack(const fe_sig *sig, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames, PyObject **values)
{
    if (nargs > sig->positional) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most %d positional argument%s "
                     "but %zd were given",
                     sig->function, sig->positional,
                     sig->positional == 1 ? "" : "s", nargs);
        return -1;
    }
    for (int i = 0; sig->names[i] != NULL; i++) {
        values[i] = i < nargs ? args[i] : NULL;
    }
    if (kwnames != NULL
        && unpack_keywords(sig, args + nargs, kwnames, values) < 0) {
        return -1;
    }
    for (int i = 0; i < sig->required; i++) {
        if (values[i] == NULL) {
            if (sig->names[i][0] == '\0') {
                PyErr_Format(PyExc_TypeError,
                             "%s() missing positional argument %d",
                             sig->function, i + 1);
            }
            else {
                PyErr_Format(PyExc_TypeError, "%s() missing argument '%s'",
                             sig->function, sig->names[i]);
            }
            return -1;
        }
    }
    return 0;
}
