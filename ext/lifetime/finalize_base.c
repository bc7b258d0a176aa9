/* SPDX-License-Identifier: MIT
 *
 * Finalizable: a base whose instances carry their clean-up, __finalize__, as
 * a node of the registry inside the object: 24 bytes, no weak reference.
 *
 * The list does not own its instances; each leaves it when it dies.
 */
#include "lifetime_state.h"
#include "fork.h"

typedef struct {
    PyObject_HEAD finalize_node node;
} finalizable_object;

#define FINALIZABLE(op) ((finalizable_object *)(op))

PyObject *
finalizable_node_object(finalize_node *node)
{
    return (PyObject *)((char *)node - offsetof(finalizable_object, node));
}

PyObject *
finalizable_run(finalize_node *node)
{
    PyObject *self = finalizable_node_object(node);
    finalize_unlink(node);
    lifetime_state *state = lifetime_state_of_subtype(Py_TYPE(self));
    return state != NULL ? PyObject_CallMethodNoArgs(self, state->str_finalize)
                         : NULL;
}

static PyObject *
finalizable_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    bool given = PyTuple_GET_SIZE(args) > 0
                 || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0);
    if (given && type->tp_init == PyBaseObject_Type.tp_init
        && type->tp_new == finalizable_tp_new) {
        return PyErr_Format(PyExc_TypeError, "%.200s() takes no arguments",
                            type->tp_name);
    }
    lifetime_state *state = lifetime_state_of_subtype(type);
    if (state == NULL || finalize_prepare(state) < 0) {
        return NULL;
    }
    /* object.__new__, which refuses abstract classes */
    PyObject *self = PyBaseObject_Type.tp_new(type, state->empty_tuple, NULL);
    if (self != NULL) {
        FINALIZABLE(self)->node.embedded = true;
        finalize_link(state, &FINALIZABLE(self)->node);
    }
    return self;
}

/* As __del__: the object is whole, and may come back to life. */
static void
finalizable_tp_finalize(PyObject *self)
{
    finalize_node *node = &FINALIZABLE(self)->node;
    if (!node->alive) {
        return;
    }
    fe_error error = fe_error_put_aside();
    lifetime_state *state = lifetime_state_of_subtype(Py_TYPE(self));
    if (state == NULL || !finalize_may_run(state, node)) {
        PyErr_Clear(); /* TypeError: the module is gone */
        finalize_unlink(node);
    }
    else {
        PyObject *result = finalizable_run(node);
        if (result == NULL) {
            PyErr_WriteUnraisable(self);
        }
        Py_XDECREF(result);
    }
    fe_error_put_back(error);
}

/* A __del__ put into the class later hides tp_finalize. */
FE_NOINLINE static void
report_hidden(PyObject *self)
{
    fe_error error = fe_error_put_aside();
    PyErr_Format(PyExc_RuntimeError,
                 "%.200s.__del__ was set after the class was made: "
                 "__finalize__ did not run",
                 Py_TYPE(self)->tp_name);
    PyErr_WriteUnraisable((PyObject *)Py_TYPE(self));
    fe_error_put_back(error);
}

/* Of subclasses CPython's own runs tp_finalize, then comes here. */
static void
finalizable_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (type->tp_dealloc == finalizable_tp_dealloc
        && PyObject_CallFinalizerFromDealloc(self) < 0) {
        return;
    }
    finalize_node *node = &FINALIZABLE(self)->node;
    if (node->alive) {
        finalize_unlink(node);
        report_hidden(self);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(finalizable_init_subclass__doc__,
             "__init_subclass__($type, /, **options)\n--\n\n"
             "TypeError if the class has a __del__, which would hide "
             "__finalize__.");

/* Also of a base further on, which ours would hide without a word. */
static bool
has_del(PyTypeObject *type)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i);
        if (base->tp_finalize != NULL
            && base->tp_finalize != finalizable_tp_finalize) {
            return true;
        }
    }
    return false;
}

static PyObject *
finalizable_init_subclass(PyObject *cls, PyObject *args, PyObject *kwargs)
{
    PyTypeObject *type = (PyTypeObject *)cls;
    if (has_del(type)) {
        return PyErr_Format(PyExc_TypeError,
                            "%.200s has a __del__; what it does belongs into "
                            "__finalize__",
                            type->tp_name);
    }
    lifetime_state *state = lifetime_state_of_subtype(type);
    if (state == NULL) {
        return NULL;
    }
    PyObject *super = PyObject_CallFunctionObjArgs(
        (PyObject *)&PySuper_Type, state->finalizable_type, cls, NULL);
    PyObject *next = super != NULL
                         ? PyObject_GetAttrString(super, "__init_subclass__")
                         : NULL;
    PyObject *done = next != NULL ? PyObject_Call(next, args, kwargs) : NULL;
    Py_XDECREF(next);
    Py_XDECREF(super);
    return done;
}

PyDoc_STRVAR(finalizable_dunder_finalize__doc__,
             "__finalize__($self, /)\n--\n\n"
             "What is to be done once; a subclass says it. The base does "
             "nothing.");

static PyObject *
finalizable_dunder_finalize(PyObject *Py_UNUSED(self),
                            PyObject *Py_UNUSED(ignored))
{
    Py_RETURN_NONE;
}

PyDoc_STRVAR(finalizable_finalize__doc__,
             "finalize($self, /)\n--\n\n"
             "Run __finalize__ now if it has not run yet, and give its "
             "result; else None.\nIts exceptions come through; it counts as "
             "run all the same.");

static PyObject *
finalizable_finalize(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    finalize_node *node = &FINALIZABLE(self)->node;
    if (!node->alive) {
        Py_RETURN_NONE;
    }
    lifetime_state *state = lifetime_state_of_subtype(Py_TYPE(self));
    if (state == NULL) {
        return NULL;
    }
    if (state->finalize.shut) {
        finalize_unlink(node);
        Py_RETURN_NONE;
    }
    return finalizable_run(node);
}

static PyObject *
finalizable_get_alive(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(FINALIZABLE(self)->node.alive);
}

static PyObject *
finalizable_get(PyObject *self, void *flag)
{
    return finalize_get_flag(&FINALIZABLE(self)->node, flag);
}

static int
finalizable_set(PyObject *self, PyObject *value, void *flag)
{
    return finalize_set_flag(&FINALIZABLE(self)->node, value, flag);
}

static PyMethodDef finalizable_methods[] = {
    {"__finalize__", finalizable_dunder_finalize, METH_NOARGS,
     finalizable_dunder_finalize__doc__},
    {"__init_subclass__", FE_METHOD(finalizable_init_subclass),
     METH_CLASS | METH_VARARGS | METH_KEYWORDS,
     finalizable_init_subclass__doc__},
    {"finalize", finalizable_finalize, METH_NOARGS,
     finalizable_finalize__doc__},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(finalizable_alive__doc__, "Is __finalize__ still to be run?");
PyDoc_STRVAR(finalizable_atexit__doc__,
             "Is it run at exit? True at first; can be set while alive.");
PyDoc_STRVAR(finalizable_inherit__doc__,
             "Is it run in child processes too? False at first; can be set "
             "while alive.");

static PyGetSetDef finalizable_getset[] = {
    {"alive", finalizable_get_alive, NULL, finalizable_alive__doc__, NULL},
    {"atexit", finalizable_get, finalizable_set, finalizable_atexit__doc__,
     (void *)FINALIZE_ATEXIT},
    {"inherit", finalizable_get, finalizable_set, finalizable_inherit__doc__,
     (void *)FINALIZE_INHERIT},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(
    finalizable__doc__,
    "Finalizable()\n--\n\n"
    "Base for classes that define __finalize__(self). It runs once: "
    "when finalize() is\ncalled, when the object dies (in a cycle "
    "too), or at exit, youngest first, together\nwith what `finalize` "
    "registered. Exceptions and child processes: as there.\n\n"
    "Cheaper than `finalize` (24 bytes in the object, no weak "
    "reference), and it sees\nself. A subclass must not define "
    "__del__.");

static PyType_Slot finalizable_slots[] = {
    {Py_tp_doc, FE_TEXT(finalizable__doc__)},
    {Py_tp_new, FE_SLOT(finalizable_tp_new)},
    {Py_tp_finalize, FE_SLOT(finalizable_tp_finalize)},
    {Py_tp_dealloc, FE_SLOT(finalizable_tp_dealloc)},
    {Py_tp_methods, finalizable_methods},
    {Py_tp_getset, finalizable_getset},
    {0, NULL},
};

PyType_Spec finalizable_spec = {
    .name = "ferrule._lifetime.Finalizable",
    .basicsize = sizeof(finalizable_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = finalizable_slots,
};
