/* SPDX-License-Identifier: MIT
 *
 * ConstraintError: a ValueError whose text is made when somebody reads it.
 */
#include "validation_state.h"

typedef struct {
    PyBaseExceptionObject base;
    error_format format; /* NULL once the text is in `args`, or made by hand */
    PyObject *name;      /* owned or NULL, and so the rest */
    PyObject *low;
    PyObject *high;
    PyObject *value;
} error_object;

#define ERROR(op) ((error_object *)(op))

/* Put the text into args, where every reader of exceptions looks. 0 or -1 */
static int
error_settle(error_object *self)
{
    error_format format = self->format;
    if (format == NULL) {
        return 0;
    }
    PyObject *text = format(self->name, self->low, self->high, self->value);
    PyObject *args = text != NULL ? PyTuple_Pack(1, text) : NULL;
    Py_XDECREF(text);
    if (args == NULL) {
        return -1;
    }
    self->format = NULL;
    Py_XSETREF(self->base.args, args);
    return 0;
}

/* __init__(*args): sets args, as for any exception */
static int
error_tp_init(error_object *self, PyObject *args, PyObject *kwargs)
{
    if (((PyTypeObject *)PyExc_ValueError)
            ->tp_init((PyObject *)self, args, kwargs)
        < 0) {
        return -1;
    }
    self->format = NULL;
    return 0;
}

static PyObject *
error_tp_str(error_object *self)
{
    if (error_settle(self) < 0) {
        return NULL;
    }
    return ((PyTypeObject *)PyExc_ValueError)->tp_str((PyObject *)self);
}

static PyObject *
error_tp_repr(error_object *self)
{
    if (error_settle(self) < 0) {
        return NULL;
    }
    return ((PyTypeObject *)PyExc_ValueError)->tp_repr((PyObject *)self);
}

static PyObject *
error_get_args(error_object *self, void *Py_UNUSED(closure))
{
    if (error_settle(self) < 0) {
        return NULL;
    }
    return Py_NewRef(self->base.args);
}

static int
error_set_args(error_object *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "args may not be deleted");
        return -1;
    }
    PyObject *args = PySequence_Tuple(value);
    if (args == NULL) {
        return -1;
    }
    self->format = NULL;
    Py_XSETREF(self->base.args, args);
    return 0;
}

static PyObject *
error_get_part(error_object *self, void *closure)
{
    PyObject *part = *(PyObject **)((char *)self + (size_t)closure);
    return Py_NewRef(part != NULL ? part : Py_None);
}

/* The text travels, the parts do not: a value may not be picklable. */
static PyObject *
error___reduce__(error_object *self, PyObject *Py_UNUSED(ignored))
{
    if (error_settle(self) < 0) {
        return NULL;
    }
    if (self->base.dict != NULL && PyDict_GET_SIZE(self->base.dict) > 0) {
        return Py_BuildValue("OOO", Py_TYPE(self), self->base.args,
                             self->base.dict);
    }
    return Py_BuildValue("OO", Py_TYPE(self), self->base.args);
}

static int
error_tp_traverse(error_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->name);
    Py_VISIT(self->low);
    Py_VISIT(self->high);
    Py_VISIT(self->value);
    return ((PyTypeObject *)PyExc_ValueError)
        ->tp_traverse((PyObject *)self, visit, arg);
}

static int
error_tp_clear(error_object *self)
{
    self->format = NULL;
    Py_CLEAR(self->name);
    Py_CLEAR(self->low);
    Py_CLEAR(self->high);
    Py_CLEAR(self->value);
    return ((PyTypeObject *)PyExc_ValueError)->tp_clear((PyObject *)self);
}

/* The base's dealloc would free the object before our fields are let go, and
 * does not let go of a heap type: this is it, written out.
 */
static void
error_tp_dealloc(error_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, error_tp_dealloc) error_tp_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

#define ERROR_PART(member) (void *)offsetof(error_object, member)

static PyGetSetDef error_getset[] = {
    {"args", (getter)error_get_args, (setter)error_set_args, NULL, NULL},
    {"name", (getter)error_get_part, NULL,
     "What was given the value: attribute, argument or path; or None.",
     ERROR_PART(name)},
    {"value", (getter)error_get_part, NULL,
     "The value refused; None where it is sensitive.", ERROR_PART(value)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef error_methods[] = {
    {"__reduce__", (PyCFunction)error___reduce__, METH_NOARGS,
     PyDoc_STR("__reduce__($self, /)\n--\n\nFor pickle: the text alone.")},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(error__doc__,
             "A value breaks a constraint. Its text is made when it is read.");

static PyType_Slot error_slots[] = {
    {Py_tp_doc, FE_TEXT(error__doc__)},
    {Py_tp_init, FE_SLOT(error_tp_init)},
    {Py_tp_str, FE_SLOT(error_tp_str)},
    {Py_tp_repr, FE_SLOT(error_tp_repr)},
    {Py_tp_getset, error_getset},
    {Py_tp_methods, error_methods},
    {Py_tp_traverse, FE_SLOT(error_tp_traverse)},
    {Py_tp_clear, FE_SLOT(error_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(error_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec error_spec = {
    .name = "ferrule.validation.ConstraintError",
    .basicsize = sizeof(error_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = error_slots,
};

/* Does it show tomorrow what it shows today, without running code? */
static bool
error_is_fixed(PyObject *part)
{
    return part == NULL || part == Py_None || PyLong_CheckExact(part)
           || PyFloat_CheckExact(part) || PyUnicode_CheckExact(part)
           || PyBytes_CheckExact(part) || PyBool_Check(part);
}

/* The text of parts that may change is made at once. 0 or -1 */
static int
error_settle_now(error_object *self)
{
    if ((error_is_fixed(self->low) && error_is_fixed(self->high)
         && error_is_fixed(self->value))
        || error_settle(self) == 0) {
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)
        || PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return -1;
    }
    PyErr_Clear(); /* any Exception of a value: whoever reads it is told */
    return 0;
}

PyObject *
error_raise(validation_state *state, error_format format, PyObject *name,
            PyObject *low, PyObject *high, PyObject *value)
{
    error_object *self = (error_object *)state->constraint_error->tp_alloc(
        state->constraint_error, 0);
    if (self == NULL) {
        return NULL;
    }
    /* what BaseException_new gives, without the arguments' tuple */
    self->base.args = PyTuple_New(0);
    self->format = format;
    self->name = Py_XNewRef(name);
    self->low = Py_XNewRef(low);
    self->high = Py_XNewRef(high);
    self->value = Py_XNewRef(value);
    if (self->base.args != NULL && error_settle_now(self) == 0) {
        PyErr_SetObject((PyObject *)state->constraint_error, (PyObject *)self);
    }
    Py_DECREF(self);
    return NULL;
}

int
error_register(PyObject *module, validation_state *state)
{
    state->constraint_error = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &error_spec, PyExc_ValueError);
    return state->constraint_error != NULL
               ? PyModule_AddType(module, state->constraint_error)
               : -1;
}
