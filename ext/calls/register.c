/* SPDX-License-Identifier: MIT
 *
 * register: a dict from names to classes, which is called as a decorator. The
 * module's own is an instance of Registry like any other.
 */
#include "calls_state.h"

#include "args.h"

typedef struct {
    PyObject_HEAD PyObject *classes; /* owned dict: name -> class */
    PyObject *view;                  /* owned: a read-only view of it */
} register_object;

#define REGISTER(op) ((register_object *)(op))

/* new: "module.Qualified" for messages; of anything */
static PyObject *
register_label(const calls_state *state, PyObject *cls)
{
    PyObject *module, *name, *label = NULL;
    if (PyObject_GetOptionalAttr(cls, state->str_module, &module) < 0) {
        return NULL;
    }
    if (PyObject_GetOptionalAttr(cls, state->str_qualname, &name) > 0) {
        label = module == NULL ? PyObject_Str(name)
                               : PyUnicode_FromFormat("%S.%S", module, name);
        Py_DECREF(name);
    }
    else if (!PyErr_Occurred()) {
        label = PyObject_Repr(cls);
    }
    Py_XDECREF(module);
    return label;
}

/* NULL, with the TypeError of a name that another class has */
static PyObject *
register_taken(const calls_state *state, PyObject *name, PyObject *found,
               PyObject *cls)
{
    PyObject *old = register_label(state, found);
    PyObject *new = old == NULL ? NULL : register_label(state, cls);
    if (new != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "register(): the name %R of %U is taken by %U", name, new,
                     old);
    }
    Py_XDECREF(old);
    Py_XDECREF(new);
    return NULL;
}

/* new: the class. name: borrowed or NULL */
static PyObject *
register_class(register_object *self, PyObject *cls, PyObject *name)
{
    if (!PyType_Check(cls)) {
        return PyErr_Format(PyExc_TypeError,
                            "register(): wanted a class, got %.200s",
                            Py_TYPE(cls)->tp_name);
    }
    calls_state *state = calls_state_of((PyObject *)self);
    if (state == NULL) {
        return NULL;
    }
    name = name != NULL ? Py_NewRef(name)
                        : PyObject_GetAttr(cls, state->str_name);
    if (name == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError,
                     "register(): the name must be a str, got %.200s",
                     Py_TYPE(name)->tp_name);
    }
    else {
        PyObject *found = PyDict_SetDefault(self->classes, name, cls);
        if (found == cls) {
            result = Py_NewRef(cls);
        }
        else if (found != NULL) {
            Py_INCREF(found);
            register_taken(state, name, found, cls);
            Py_DECREF(found);
        }
    }
    Py_DECREF(name);
    return result;
}

/* ---- register(name="x") */

/* pair: the registry and the name */
static PyObject *
register_named(PyObject *pair, PyObject *cls)
{
    return register_class(REGISTER(PyTuple_GET_ITEM(pair, 0)), cls,
                          PyTuple_GET_ITEM(pair, 1));
}

PyDoc_STRVAR(register_named__doc__,
             "register(cls, /)\n--\n\n"
             "Register the class under the name that was given.");

static PyMethodDef register_named_def = {"register", register_named, METH_O,
                                         register_named__doc__};

static PyObject *
register_decorator(register_object *self, PyObject *name)
{
    if (!PyUnicode_Check(name)) {
        return PyErr_Format(PyExc_TypeError,
                            "register(): the name must be a str, got %.200s",
                            Py_TYPE(name)->tp_name);
    }
    PyObject *pair = PyTuple_Pack(2, self, name);
    if (pair == NULL) {
        return NULL;
    }
    PyObject *decorator = PyCFunction_New(&register_named_def, pair);
    Py_DECREF(pair);
    return decorator;
}

static PyObject *
register_tp_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *name = NULL;
    Py_ssize_t given = PyTuple_GET_SIZE(args);
    Py_ssize_t keywords = kwargs == NULL ? 0 : PyDict_GET_SIZE(kwargs);
    if (keywords > 0) {
        calls_state *state = calls_state_of(self);
        if (state == NULL) {
            return NULL;
        }
        name = PyDict_GetItemWithError(kwargs, state->str_keyword);
        if (name == NULL && PyErr_Occurred()) {
            return NULL;
        }
    }
    if (given > 1 || keywords > (name != NULL)
        || (given == 0 && keywords == 0)) {
        PyErr_SetString(PyExc_TypeError,
                        "register() takes a class, name='...', or both");
        return NULL;
    }
    return given == 0 ? register_decorator(REGISTER(self), name)
                      : register_class(REGISTER(self),
                                       PyTuple_GET_ITEM(args, 0), name);
}

/* ---- methods */

PyDoc_STRVAR(registry_unregister__doc__,
             "unregister($self, name, /)\n--\n\n"
             "Forget the class of this name and give it back. KeyError if\n"
             "there is none.");

static PyObject *
registry_unregister(PyObject *self, PyObject *name)
{
    PyObject *classes = REGISTER(self)->classes, *found;
    if (PyDict_GetItemRef(classes, name, &found) < 0) {
        return NULL;
    }
    int gone = found == NULL ? 0 : fe_dict_discard(classes, name);
    if (gone == 0) {
        PyObject *text = PyUnicode_FromFormat(
            "unregister(): no class is registered as %R", name);
        if (text != NULL) {
            PyErr_SetObject(PyExc_KeyError, text);
            Py_DECREF(text);
        }
    }
    if (gone <= 0) {
        Py_XDECREF(found);
        return NULL;
    }
    return found;
}

PyDoc_STRVAR(registry_clear__doc__, "clear($self, /)\n--\n\n"
                                    "Forget all classes.");

static PyObject *
registry_clear(PyObject *self, PyObject *Py_UNUSED(unused))
{
    PyDict_Clear(REGISTER(self)->classes);
    Py_RETURN_NONE;
}

static PyObject *
registry_tp_repr(PyObject *self)
{
    Py_ssize_t count = PyDict_GET_SIZE(REGISTER(self)->classes);
    return PyUnicode_FromFormat("<Registry of %zd class%s>", count,
                                count == 1 ? "" : "es");
}

/* ---- the type */

static PyObject *
registry_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) > 0
        || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)) {
        PyErr_SetString(PyExc_TypeError, "Registry() takes no arguments");
        return NULL;
    }
    register_object *self = REGISTER(type->tp_alloc(type, 0));
    if (self == NULL) {
        return NULL;
    }
    self->classes = PyDict_New();
    self->view = self->classes == NULL ? NULL : PyDictProxy_New(self->classes);
    if (self->view == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
registry_tp_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(REGISTER(self)->classes);
    Py_VISIT(REGISTER(self)->view);
    return 0;
}

/* The dict stays: who still has the registry may call it. Its classes go. */
static int
registry_tp_clear(PyObject *self)
{
    if (REGISTER(self)->classes != NULL) {
        PyDict_Clear(REGISTER(self)->classes);
    }
    return 0;
}

static void
registry_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(REGISTER(self)->view);
    Py_CLEAR(REGISTER(self)->classes);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    registry__doc__,
    "Registry()\n--\n\n"
    "Classes by name; an instance is a class decorator.\n\n"
    "registry(cls) keeps the class under its __name__ and gives it back;\n"
    "registry(name='x') is a decorator that keeps it under that name. A name\n"
    "that another class has is a TypeError which names both; the same class\n"
    "again is not. The attribute registry is a read-only live mapping.\n\n"
    "Source: the article's class decorator register.");

static PyMemberDef registry_members[] = {
    {"registry", Py_T_OBJECT_EX, offsetof(register_object, view), Py_READONLY,
     "The classes by name: a read-only live mapping."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef registry_methods[] = {
    {"unregister", registry_unregister, METH_O, registry_unregister__doc__},
    {"clear", registry_clear, METH_NOARGS, registry_clear__doc__},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot registry_slots[] = {
    {Py_tp_doc, FE_TEXT(registry__doc__)},
    {Py_tp_new, FE_SLOT(registry_tp_new)},
    {Py_tp_call, FE_SLOT(register_tp_call)},
    {Py_tp_repr, FE_SLOT(registry_tp_repr)},
    {Py_tp_traverse, FE_SLOT(registry_tp_traverse)},
    {Py_tp_clear, FE_SLOT(registry_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(registry_tp_dealloc)},
    {Py_tp_members, registry_members},
    {Py_tp_methods, registry_methods},
    {0, NULL},
};

static PyType_Spec registry_spec = {
    .name = "ferrule.calls.Registry",
    .basicsize = sizeof(register_object),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = registry_slots,
};

int
register_register(PyObject *module, calls_state *state)
{
    state->str_name = PyUnicode_InternFromString("__name__");
    state->str_module = PyUnicode_InternFromString("__module__");
    state->str_qualname = PyUnicode_InternFromString("__qualname__");
    state->str_keyword = PyUnicode_InternFromString("name");
    if (state->str_keyword == NULL || state->str_name == NULL
        || state->str_module == NULL || state->str_qualname == NULL) {
        return -1;
    }
    state->registry_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &registry_spec, NULL);
    if (state->registry_type == NULL
        || PyModule_AddType(module, state->registry_type) < 0) {
        return -1;
    }
    PyObject *own = PyObject_CallNoArgs((PyObject *)state->registry_type);
    int status = PyModule_AddObjectRef(module, "register", own);
    Py_XDECREF(own);
    return status;
}
