/* SPDX-License-Identifier: MIT
 *
 * ValidatedMeta: a metaclass that wants a docstring in every public method.
 *
 * Its __new__ is an attribute of the type, not its slot: type.__new__ then
 * accepts calls from the metaclasses that come after it (ABCMeta).
 */
#include "validation_state.h"

/* 0: the class may have the attribute; -1 with an exception */
static int
validated_meta_check(validation_state *state, PyObject *cls_name,
                     PyObject *name, PyObject *value)
{
    if (!PyCallable_Check(value) || !PyUnicode_Check(name)
        || (PyUnicode_GET_LENGTH(name) > 0
            && PyUnicode_READ_CHAR(name, 0) == '_')) {
        return 0;
    }
    PyObject *doc = PyObject_GetAttr(value, state->validated_meta_doc);
    int documented = doc != NULL ? PyObject_IsTrue(doc) : -1;
    Py_XDECREF(doc);
    if (documented == 0) {
        PyErr_Format(PyExc_TypeError, "%S.%S must have a docstring", cls_name,
                     name);
    }
    return documented > 0 ? 0 : -1;
}

static int
validated_meta_check_all(validation_state *state, PyObject *cls_name,
                         PyObject *namespace)
{
    /* reading __doc__ may run code that changes the namespace */
    PyObject *items = PyMapping_Items(namespace);
    int status = items != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
            PyErr_SetString(PyExc_TypeError,
                            "ValidatedMeta.__new__(): items() of the "
                            "namespace must give pairs");
            status = -1;
        }
        else {
            Py_INCREF(item); /* the list may be shared */
            status = validated_meta_check(state, cls_name,
                                          PyTuple_GET_ITEM(item, 0),
                                          PyTuple_GET_ITEM(item, 1));
            Py_DECREF(item);
        }
    }
    Py_XDECREF(items);
    return status;
}

/* new: super().__new__(*args, **kwargs); args begin with the metaclass */
static PyObject *
validated_meta_go_on(PyTypeObject *own, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_ITEM(args, 0) == (PyObject *)own) {
        PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
        PyObject *made =
            rest != NULL ? PyType_Type.tp_new(own, rest, kwargs) : NULL;
        Py_XDECREF(rest);
        return made;
    }
    PyObject *super = PyObject_CallFunctionObjArgs(
        (PyObject *)&PySuper_Type, own, PyTuple_GET_ITEM(args, 0), NULL);
    PyObject *next = super != NULL ? fe_getattr(super, "__new__") : NULL;
    PyObject *cls = next != NULL ? PyObject_Call(next, args, kwargs) : NULL;
    Py_XDECREF(super);
    Py_XDECREF(next);
    return cls;
}

PyDoc_STRVAR(validated_meta_new__doc__,
             "__new__(mcs, name, bases, namespace, /, **kwargs)\n--\n\n"
             "Make a class. TypeError if a public callable in its body has no "
             "docstring.");

static PyObject *
validated_meta_new(PyObject *module, PyObject *args, PyObject *kwargs)
{
    validation_state *state = validation_get_state(module);
    PyObject *mcs, *name, *bases, *namespace;
    if (!PyArg_ParseTuple(args, "OOOO:ValidatedMeta.__new__", &mcs, &name,
                          &bases, &namespace)) {
        return NULL;
    }
    if (!PyType_Check(mcs)
        || !PyType_IsSubtype((PyTypeObject *)mcs, state->validated_meta)) {
        PyErr_Format(PyExc_TypeError,
                     "ValidatedMeta.__new__(): %R is not a subtype of "
                     "ValidatedMeta",
                     mcs);
        return NULL;
    }
    return validated_meta_check_all(state, name, namespace) == 0
               ? validated_meta_go_on(state->validated_meta, args, kwargs)
               : NULL;
}

static PyMethodDef validated_meta_new_def = {
    "__new__", FE_METHOD(validated_meta_new), METH_VARARGS | METH_KEYWORDS,
    validated_meta_new__doc__};

static int
validated_meta_tp_traverse(PyObject *cls, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(cls)); /* type's own does not, and it is a heap type */
    return PyType_Type.tp_traverse(cls, visit, arg);
}

static int
validated_meta_tp_clear(PyObject *cls)
{
    return PyType_Type.tp_clear(cls);
}

static void
validated_meta_tp_dealloc(PyObject *cls)
{
    PyTypeObject *meta = Py_TYPE(cls);
    PyType_Type.tp_dealloc(cls);
    Py_DECREF(meta);
}

PyDoc_STRVAR(validated_meta__doc__,
             "Metaclass of classes whose public methods all have docstrings.");

static PyType_Slot validated_meta_slots[] = {
    {Py_tp_doc, FE_TEXT(validated_meta__doc__)},
    {Py_tp_base, &PyType_Type},
    {Py_tp_traverse, FE_SLOT(validated_meta_tp_traverse)},
    {Py_tp_clear, FE_SLOT(validated_meta_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(validated_meta_tp_dealloc)},
    {0, NULL},
};

/* basicsize 0: that of type */
static PyType_Spec validated_meta_spec = {
    .name = "ferrule.validation.ValidatedMeta",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = validated_meta_slots,
};

int
validated_meta_register(PyObject *module, validation_state *state)
{
    state->validated_meta_doc = PyUnicode_InternFromString("__doc__");
    if (state->validated_meta_doc == NULL) {
        return -1;
    }
    state->validated_meta = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &validated_meta_spec, NULL);
    PyObject *function = PyCFunction_New(&validated_meta_new_def, module);
    PyObject *method = function != NULL ? PyStaticMethod_New(function) : NULL;
    int status =
        state->validated_meta != NULL && method != NULL
                && PyObject_SetAttrString((PyObject *)state->validated_meta,
                                          "__new__", method)
                       == 0
            ? PyModule_AddType(module, state->validated_meta)
            : -1;
    Py_XDECREF(function);
    Py_XDECREF(method);
    return status;
}
