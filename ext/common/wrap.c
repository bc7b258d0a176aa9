/* SPDX-License-Identifier: MIT
 *
 * Slots and attributes of objects that stand in a function's place (wrap.h).
 * No types and no state here: each room makes its own types from them.
 */
#include "wrap.h"

/* ---- life */

fe_wrap *
fe_wrap_new(PyTypeObject *type, PyObject *wrapped, vectorcallfunc vectorcall,
            fe_kind kind)
{
    fe_wrap *self = FE_WRAP(type->tp_alloc(type, 0));
    if (self == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(self);
    self->vectorcall = vectorcall;
    self->wrapped = Py_NewRef(wrapped);
    self->kind = kind;
    return self;
}

int
fe_wrap_traverse(fe_wrap *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->wrapped);
    Py_VISIT(self->dict);
    return 0;
}

int
fe_wrap_clear(fe_wrap *self)
{
    Py_CLEAR(self->wrapped);
    Py_CLEAR(self->dict);
    return 0;
}

void
fe_wrap_free(fe_wrap *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    fe_wrap_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- calls */

FE_NOINLINE PyObject *
fe_wrap_call_other(PyObject *func, PyObject *const *args, size_t nargsf,
                   PyObject *kwnames)
{
    if (func == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the wrapped function has been cleared by the "
                        "garbage collector");
        return NULL;
    }
    if (Py_EnterRecursiveCall(" while calling a wrapped function")) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(func, args, nargsf, kwnames);
    Py_LeaveRecursiveCall();
    return result;
}

int
fe_wrap_check(const char *decorator, PyObject *func)
{
    if (PyCallable_Check(func)) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s: wanted a callable, got %.200s%s",
                 decorator, Py_TYPE(func)->tp_name,
                 PyObject_TypeCheck(func, &PyProperty_Type)
                     ? " (decorate the function inside it)"
                     : "");
    return -1;
}

static int
kind_of_flags(int flags)
{
    if (flags & CO_COROUTINE) {
        return FE_COROUTINE;
    }
    if (flags & CO_ASYNC_GENERATOR) {
        return FE_ASYNC_GENERATOR;
    }
    return flags & CO_GENERATOR ? FE_GENERATOR : FE_PLAIN;
}

/* What the module inspect says: it knows partials and marked functions. */
static int
kind_by_inspect(PyObject *func)
{
    static const char *const questions[] = {
        "iscoroutinefunction", "isgeneratorfunction", "isasyncgenfunction"};
    PyObject *inspect = PyImport_ImportModule("inspect");
    if (inspect == NULL) {
        return -1;
    }
    int kind = FE_PLAIN;
    for (int i = 0; i < 3 && kind == FE_PLAIN; i++) {
        PyObject *answer = fe_call_method(inspect, questions[i], func);
        int yes = answer != NULL ? PyObject_IsTrue(answer) : -1;
        Py_XDECREF(answer);
        kind = yes < 0 ? -1 : (yes ? FE_COROUTINE + i : FE_PLAIN);
    }
    Py_DECREF(inspect);
    return kind;
}

/* of a callable without code: that of its class's __call__ */
static int
kind_of_call_method(PyObject *func)
{
    PyObject *method;
    if (PyType_Check(func)) {
        return FE_PLAIN;
    }
    int found = fe_find_attr((PyObject *)Py_TYPE(func), "__call__", &method);
    if (found <= 0) {
        return found < 0 ? -1 : FE_PLAIN;
    }
    int kind = FE_PLAIN;
    if (PyFunction_Check(method)) {
        PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(method);
        kind = kind_of_flags(code->co_flags);
    }
    Py_DECREF(method);
    return kind;
}

/* Did inspect.markcoroutinefunction (3.12) leave its mark? */
static int
has_mark(PyObject *dict)
{
    if (PyDict_GET_SIZE(dict) == 0) {
        return 0;
    }
    PyObject *name = PyUnicode_InternFromString("_is_coroutine_marker");
    int found = name != NULL ? PyDict_Contains(dict, name) : -1;
    Py_XDECREF(name);
    return found;
}

int
fe_wrap_kind(PyObject *func)
{
    if (PyMethod_Check(func)) {
        func = PyMethod_GET_FUNCTION(func);
    }
    if (PyCFunction_CheckExact(func)) {
        return FE_PLAIN;
    }
    if (Py_TYPE(func)->tp_getattro == fe_wrap_getattro) {
        return FE_WRAP(func)->kind;
    }
    if (PyFunction_Check(func)) {
        PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(func);
        int kind = kind_of_flags(code->co_flags);
        PyObject *dict = ((PyFunctionObject *)func)->func_dict;
        if (kind != FE_PLAIN || dict == NULL) {
            return kind;
        }
        int marked = has_mark(dict);
        if (marked <= 0) {
            return marked < 0 ? -1 : FE_PLAIN;
        }
    }
    int kind = kind_by_inspect(func);
    return kind == FE_PLAIN ? kind_of_call_method(func) : kind;
}

PyObject *
fe_wrap_name(PyObject *func, const char *attribute)
{
    PyObject *name;
    if (fe_find_attr(func, attribute, &name) < 0) {
        return NULL;
    }
    if (name != NULL && PyUnicode_Check(name)) {
        return name;
    }
    Py_XDECREF(name); /* partials and instances have none */
    return PyObject_Repr(func);
}

/* ---- attributes */

/* Is the attribute the function's, though the type has one of that name? The
 * last two come into a type's dict when the type is asked for them. __call__:
 * who asks whether that is a coroutine function (uvicorn) gets the object.
 */
static bool
hides_the_types(PyObject *op, PyObject *name)
{
    static const char *const names[] = {"__doc__", "__module__",
                                        "__annotations__", "__type_params__"};
    Py_ssize_t length = PyUnicode_GET_LENGTH(name);
    if (length == 8) {
        return PyUnicode_CompareWithASCIIString(name, "__call__") == 0
               && Py_TYPE(op)->tp_call == PyVectorcall_Call;
    }
    if (length != 7 && length != 10 && length != 15) {
        return false;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(names); i++) {
        if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static PyObject *
get_from_wrapped(fe_wrap *self, PyObject *name)
{
    if (self->wrapped == NULL) {
        PyErr_SetObject(PyExc_AttributeError, name);
        return NULL;
    }
    if (PyUnicode_CompareWithASCIIString(name, "__wrapped__") == 0) {
        return Py_NewRef(self->wrapped);
    }
    if (Py_EnterRecursiveCall(" while looking an attribute up")) {
        return NULL;
    }
    PyObject *result = PyObject_GetAttr(self->wrapped, name);
    Py_LeaveRecursiveCall();
    return result;
}

PyObject *
fe_wrap_getattro(PyObject *op, PyObject *name)
{
    fe_wrap *self = FE_WRAP(op);
    if (PyUnicode_Check(name) && hides_the_types(op, name)) {
        PyObject *own = NULL;
        int found =
            self->dict != NULL ? PyDict_GetItemRef(self->dict, name, &own) : 0;
        if (found == 0 && PyUnicode_GET_LENGTH(name) == 8) {
            return Py_NewRef(op);
        }
        return found == 0 ? get_from_wrapped(self, name) : own;
    }
    PyObject *result = PyObject_GenericGetAttr(op, name);
    if (result != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return result;
    }
    PyErr_Clear(); /* AttributeError: then it is the function's */
    return get_from_wrapped(self, name);
}

/* wrapped's own items, and __wrapped__: what functools.wraps would copy */
static int
fill_dict(fe_wrap *self)
{
    PyObject *theirs = NULL;
    int result = -1;
    if (self->wrapped != NULL
        && fe_find_attr(self->wrapped, "__dict__", &theirs) < 0) {
        return -1;
    }
    if (self->dict == NULL) {
        self->dict = PyDict_New();
    }
    if (self->dict == NULL
        || (theirs != NULL && PyDict_Check(theirs)
            && PyDict_Merge(self->dict, theirs, 0) < 0)
        || (self->wrapped != NULL
            && PyDict_SetItemString(self->dict, "__wrapped__", self->wrapped)
                   < 0)) {
        goto done;
    }
    self->dict_full = true;
    result = 0;
done:
    Py_XDECREF(theirs);
    return result;
}

static PyObject *
get_dict(PyObject *op, void *Py_UNUSED(closure))
{
    fe_wrap *self = FE_WRAP(op);
    if (!self->dict_full && fill_dict(self) < 0) {
        return NULL;
    }
    return Py_NewRef(self->dict);
}

static int
set_dict(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_Format(PyExc_TypeError, "__dict__: wanted a dict, got %.200s",
                     value != NULL ? Py_TYPE(value)->tp_name : "deletion");
        return -1;
    }
    Py_XSETREF(FE_WRAP(op)->dict, Py_NewRef(value));
    FE_WRAP(op)->dict_full = true;
    return 0;
}

PyMemberDef fe_wrap_members[] = {
    {FE_TEXT("__vectorcalloffset__"), Py_T_PYSSIZET,
     offsetof(fe_wrap, vectorcall), Py_READONLY, NULL},
    {FE_TEXT("__weaklistoffset__"), Py_T_PYSSIZET, offsetof(fe_wrap, weakrefs),
     Py_READONLY, NULL},
    {FE_TEXT("__dictoffset__"), Py_T_PYSSIZET, offsetof(fe_wrap, dict),
     Py_READONLY, NULL},
    {0},
};

PyGetSetDef fe_wrap_getset[] = {
    {"__dict__", get_dict, set_dict,
     FE_TEXT("What was set here, and the function's own attributes."), NULL},
    {0},
};

/* ---- as a function does */

PyObject *
fe_wrap_descr_get(PyObject *self, PyObject *obj, PyObject *Py_UNUSED(type))
{
    if (obj == NULL || obj == Py_None) {
        return Py_NewRef(self);
    }
    return PyMethod_New(self, obj);
}

PyObject *
fe_wrap_repr(PyObject *self)
{
    PyObject *wrapped = FE_WRAP(self)->wrapped;
    const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
    return PyUnicode_FromFormat(
        "<%s of %R>", name != NULL ? name + 1 : Py_TYPE(self)->tp_name,
        wrapped != NULL ? wrapped : Py_None);
}

PyDoc_STRVAR(reduce__doc__, "__reduce__($self, /)\n--\n\n"
                            "Pickled by name, as functions are.");

static PyObject *
reduce(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return fe_getattr(self, "__qualname__");
}

PyDoc_STRVAR(copy__doc__, "__copy__($self, /)\n--\n\n"
                          "The object itself, as for functions.");

static PyObject *
copy(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

PyDoc_STRVAR(deepcopy__doc__, "__deepcopy__($self, memo, /)\n--\n\n"
                              "The object itself, as for functions.");

static PyObject *
deepcopy(PyObject *self, PyObject *Py_UNUSED(memo))
{
    return Py_NewRef(self);
}

PyDoc_STRVAR(set_name__doc__,
             "__set_name__($self, owner, name, /)\n--\n\n"
             "A class body has it: told to the wrapped object too.");

static PyObject *
set_name(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    fe_wrap *self = FE_WRAP(op);
    if (nargs != 2) {
        return PyErr_Format(PyExc_TypeError,
                            "__set_name__: wanted owner and name, got %zd "
                            "arguments",
                            nargs);
    }
    self->in_class = true;
    if (self->wrapped == NULL || PyFunction_Check(self->wrapped)) {
        Py_RETURN_NONE;
    }
    PyObject *method;
    int found = fe_find_attr(self->wrapped, "__set_name__", &method);
    if (found <= 0) {
        return found < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyObject *result = PyObject_Vectorcall(method, args, 2, NULL);
    Py_DECREF(method);
    return result;
}

PyDoc_STRVAR(class_getitem__doc__, "__class_getitem__($type, item, /)\n--\n\n"
                                   "For annotations: Wrapper[P, R].");

PyMethodDef fe_wrap_methods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     class_getitem__doc__},
    {"__reduce__", reduce, METH_NOARGS, reduce__doc__},
    {"__copy__", copy, METH_NOARGS, copy__doc__},
    {"__deepcopy__", deepcopy, METH_O, deepcopy__doc__},
    {"__set_name__", FE_METHOD(set_name), METH_FASTCALL, set_name__doc__},
    {0},
};
