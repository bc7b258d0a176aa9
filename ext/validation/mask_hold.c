/* SPDX-License-Identifier: MIT
 *
 * What is in exceptions, bound methods, partial objects and Enum members.
 */
#include "mask_plan.h"

/* Append what an attribute is; there may be none. 0 or -1 */
static int
hold_attribute(PyObject *value, const char *name, PyObject *list)
{
    PyObject *item;
    int found = fe_find_attr(value, name, &item);
    int status = found > 0 ? PyList_Append(list, item) : found;
    Py_XDECREF(item);
    return status;
}

/* Is it a descriptor of a value in the object itself, not a dunder? */
static bool
hold_is_member(PyObject *name, PyObject *descriptor)
{
    return (Py_TYPE(descriptor) == &PyMemberDescr_Type
            || Py_TYPE(descriptor) == &PyGetSetDescr_Type)
           && PyUnicode_Check(name)
           && !(PyUnicode_GET_LENGTH(name) > 1
                && PyUnicode_READ_CHAR(name, 0) == '_'
                && PyUnicode_READ_CHAR(name, 1) == '_');
}

/* Append what the members of one class hold. 0 or -1 */
static int
hold_members(PyObject *value, PyTypeObject *type, PyObject *list)
{
    PyObject *own = fe_type_dict_borrow(type);
    PyObject *items = own != NULL ? PyDict_Items(own) : PyList_New(0);
    int status = items != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        PyObject *descriptor = PyTuple_GET_ITEM(pair, 1);
        if (!hold_is_member(PyTuple_GET_ITEM(pair, 0), descriptor)) {
            continue;
        }
        PyObject *item =
            Py_TYPE(descriptor)
                ->tp_descr_get(descriptor, value, (PyObject *)Py_TYPE(value));
        if (item != NULL) {
            status = PyList_Append(list, item);
            Py_DECREF(item);
        }
        else if (mask_error_counts()) {
            PyErr_Clear(); /* AttributeError or TypeError: not set */
        }
        else {
            status = -1;
        }
    }
    Py_XDECREF(items);
    return status;
}

static int
hold_error(PyObject *value, PyObject *list)
{
    PyObject *mro = Py_XNewRef(Py_TYPE(value)->tp_mro);
    int status = hold_attribute(value, "__dict__", list);
    for (Py_ssize_t i = 0;
         mro != NULL && status == 0 && i < PyTuple_GET_SIZE(mro); i++) {
        status = hold_members(value, (PyTypeObject *)PyTuple_GET_ITEM(mro, i),
                              list);
    }
    Py_XDECREF(mro);
    return status;
}

static int
hold_all(mask_hold hold, PyObject *value, PyObject *list)
{
    switch (hold) {
    case MASK_HOLD_METHOD:
        return PyList_Append(list, PyMethod_GET_SELF(value));
    case MASK_HOLD_MEMBER:
        return hold_attribute(value, "_value_", list);
    case MASK_HOLD_PARTIAL:
        return hold_attribute(value, "func", list) < 0
                       || hold_attribute(value, "args", list) < 0
                       || hold_attribute(value, "keywords", list) < 0
                   ? -1
                   : 0;
    case MASK_HOLD_ERROR:
        return hold_error(value, list);
    case MASK_HOLD_NONE:
        break;
    }
    return 0;
}

PyObject *
mask_held(mask_hold hold, PyObject *value)
{
    PyObject *list = PyList_New(0);
    if (list != NULL && hold_all(hold, value, list) < 0) {
        Py_CLEAR(list);
    }
    return list;
}
