/* SPDX-License-Identifier: MIT
 *
 * Annotations of a class in which not all can be read: each one for itself, so
 * that one name that is known to type checkers only does not undo the others.
 */
#include "mask_plan.h"

/* Any Exception means that the annotation cannot be read; these are no
 * statement about it. */
bool
mask_error_counts(void)
{
    return PyErr_ExceptionMatches(PyExc_Exception)
           && !PyErr_ExceptionMatches(PyExc_MemoryError)
           && !PyErr_ExceptionMatches(PyExc_RecursionError);
}

/* new: what one annotation means where `base` stands; None: it has no meaning
 */
static PyObject *
hints_one(PyObject *base, PyObject *scope, PyObject *name, PyObject *text)
{
    PyObject *module = NULL, *single = NULL, *hints = NULL, *meaning = NULL;
    if (fe_find_attr(base, "__module__", &module) > 0) {
        single = PyObject_CallFunction(
            (PyObject *)&PyType_Type, "s(){s{OO}sO}", "Single",
            "__annotations__", name, text, "__module__", module);
    }
    hints = single != NULL ? validate_hints(single, scope) : NULL;
    if (hints != NULL) {
        meaning = PyObject_GetItem(hints, name);
    }
    Py_XDECREF(module);
    Py_XDECREF(single);
    Py_XDECREF(hints);
    if (meaning == NULL && PyErr_Occurred() && mask_error_counts()) {
        PyErr_Clear(); /* any Exception of the evaluation */
    }
    return meaning != NULL || PyErr_Occurred() ? meaning : Py_NewRef(Py_None);
}

/* new: dict of the names that a class statement within a function may mean */
static PyObject *
hints_scope(PyObject *base)
{
    PyObject *scope = PyDict_Copy(fe_type_dict_borrow((PyTypeObject *)base));
    PyObject *name = scope != NULL ? fe_getattr(base, "__name__") : NULL;
    if (name == NULL || PyDict_SetItem(scope, name, base) < 0) {
        Py_CLEAR(scope);
    }
    Py_XDECREF(name);
    return scope;
}

/* Enter the annotations of one class. 0 or -1 */
static int
hints_of_base(PyObject *base, PyObject *hints)
{
    PyObject *own;
    int found = fe_find_attr(base, "__annotations__", &own);
    PyObject *items =
        found > 0 && PyDict_Check(own) ? PyDict_Items(own) : NULL;
    Py_XDECREF(own);
    if (items == NULL) {
        return found < 0 || PyErr_Occurred() ? -1 : 0;
    }
    PyObject *scope = hints_scope(base);
    int status = scope != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        PyObject *name = PyTuple_GET_ITEM(pair, 0);
        PyObject *meaning =
            hints_one(base, scope, name, PyTuple_GET_ITEM(pair, 1));
        status = meaning != NULL ? PyDict_SetItem(hints, name, meaning) : -1;
        Py_XDECREF(meaning);
    }
    Py_XDECREF(scope);
    Py_DECREF(items);
    return status;
}

PyObject *
mask_hints_of(PyTypeObject *type)
{
    PyObject *hints = validate_hints((PyObject *)type, NULL);
    if (hints != NULL && PyDict_Check(hints)) {
        return hints;
    }
    Py_XDECREF(hints);
    if (PyErr_Occurred() && !mask_error_counts()) {
        return NULL;
    }
    PyErr_Clear(); /* any Exception: each annotation for itself */
    hints = PyDict_New();
    PyObject *mro = Py_XNewRef(type->tp_mro);
    Py_ssize_t i = mro != NULL ? PyTuple_GET_SIZE(mro) : 0;
    while (hints != NULL && --i >= 0) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        if ((((PyTypeObject *)base)->tp_flags & Py_TPFLAGS_HEAPTYPE)
            && hints_of_base(base, hints) < 0) {
            Py_CLEAR(hints);
        }
    }
    Py_XDECREF(mro);
    return hints;
}
