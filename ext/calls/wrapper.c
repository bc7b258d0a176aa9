/* SPDX-License-Identifier: MIT
 *
 * Wrapper, the base of all wrappers, which hands its call through; and the
 * object a decorator with arguments is until it gets its function.
 */
#include "calls_state.h"
#include "args.h"

/* ---- the doc of a type and of its instances */

/* What a wrapper type has under __doc__. pydoc reads it past tp_getattro, by
 * object.__getattribute__, and would take the type's text for the instance's.
 */
typedef struct {
    PyObject_HEAD PyObject *text; /* owned: what the type's __doc__ was */
} doc_object;

static PyObject *
doc_tp_descr_get(PyObject *self, PyObject *obj, PyObject *Py_UNUSED(type))
{
    if (obj == NULL || obj == Py_None) {
        return Py_NewRef(((doc_object *)self)->text);
    }
    return fe_getattr(obj, "__doc__");
}

static void
doc_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((doc_object *)self)->text);
    type->tp_free(self);
    Py_DECREF(type);
}

/* walked because it holds its type, and so the module */
static int
doc_tp_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((doc_object *)self)->text);
    return 0;
}

static PyType_Slot doc_slots[] = {
    {Py_tp_traverse, FE_SLOT(doc_tp_traverse)},
    {Py_tp_descr_get, FE_SLOT(doc_tp_descr_get)},
    {Py_tp_dealloc, FE_SLOT(doc_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec doc_spec = {
    .name = "ferrule.calls.Doc",
    .basicsize = sizeof(doc_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = doc_slots,
};

/* new: the type itself (stolen; may be NULL with an exception) */
static PyTypeObject *
doc_install_steal(calls_state *state, PyTypeObject *type)
{
    if (type == NULL) {
        return NULL;
    }
    doc_object *doc =
        (doc_object *)state->doc_type->tp_alloc(state->doc_type, 0);
    if (doc != NULL) {
        doc->text = fe_getattr((PyObject *)type, "__doc__");
    }
    if (doc == NULL || doc->text == NULL
        || PyDict_SetItemString(fe_type_dict_borrow(type), "__doc__",
                                (PyObject *)doc)
               < 0) {
        Py_CLEAR(type);
    }
    else {
        PyType_Modified(type);
    }
    Py_XDECREF(doc);
    return type;
}

/* ---- Wrapper */

static PyObject *
wrapper_tp_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf,
                      PyObject *kwnames)
{
    return fe_wrap_call(FE_WRAP(self)->wrapped, args, nargsf, kwnames);
}

static int
copy_doc(PyObject *self, PyObject *func)
{
    PyObject *doc, *name = PyUnicode_InternFromString("__doc__");
    if (name == NULL) {
        return -1;
    }
    int result = PyObject_GetOptionalAttr(func, name, &doc);
    if (result > 0) {
        result = PyObject_GenericSetAttr(self, name, doc);
        Py_DECREF(doc);
    }
    Py_DECREF(name);
    return result;
}

static PyObject *
wrapper_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"", NULL};
    static const fe_sig sig = {"Wrapper", names, 1, 1};
    PyObject *func;
    /* what a subclass's __init__ takes besides is its own business */
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    if (count < 1 && fe_args_unpack(&sig, NULL, 0, NULL, &func) < 0) {
        return NULL;
    }
    func = PyTuple_GET_ITEM(args, 0);
    if (type->tp_init == PyBaseObject_Type.tp_init
        && (count > 1 || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0))) {
        return PyErr_Format(
            PyExc_TypeError, "Wrapper: wanted one function, got %zd arguments",
            count + (kwargs != NULL ? PyDict_GET_SIZE(kwargs) : 0));
    }
    if (fe_wrap_check("Wrapper", func) < 0) {
        return NULL;
    }
    int kind = fe_wrap_kind(func);
    if (kind < 0) {
        return NULL;
    }
    fe_wrap *self =
        fe_wrap_new(type, func, wrapper_tp_vectorcall, (fe_kind)kind);
    if (self == NULL) {
        return NULL;
    }
    PyObject_GC_Track(self);
    /* a class statement puts its own __doc__ in front of doc_object */
    if (!PyType_HasFeature(type, Py_TPFLAGS_IMMUTABLETYPE)
        && copy_doc((PyObject *)self, func) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
wrapper_tp_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, wrapper_tp_dealloc) fe_wrap_free(FE_WRAP(self));
    Py_TRASHCAN_END
}

PyDoc_STRVAR(
    wrapper__doc__,
    "Wrapper(func, /, *args, **kwargs)\n--\n\n"
    "An object in the place of func: it hands every call through.\n\n"
    "The base of what the decorators of ferrule.calls make, and for classes\n"
    "of your own: override __call__ and call self.__wrapped__. Names, doc,\n"
    "annotations, signature and kind (coroutine function or not) are those "
    "of\n"
    "func; it binds to instances as a function does, pickles by name and can\n"
    "be weakly referenced. Further arguments are for the __init__ of a\n"
    "subclass. TypeError if func cannot be called.");

static PyType_Slot wrapper_slots[] = {
    {Py_tp_new, FE_SLOT(wrapper_tp_new)},
    {Py_tp_dealloc, FE_SLOT(wrapper_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(fe_wrap_traverse)},
    {Py_tp_clear, FE_SLOT(fe_wrap_clear)},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_descr_get, FE_SLOT(fe_wrap_descr_get)},
    {Py_tp_getattro, FE_SLOT(fe_wrap_getattro)},
    {Py_tp_setattro, FE_SLOT(PyObject_GenericSetAttr)},
    {Py_tp_repr, FE_SLOT(fe_wrap_repr)},
    {Py_tp_members, fe_wrap_members},
    {Py_tp_getset, fe_wrap_getset},
    {Py_tp_methods, fe_wrap_methods},
    {Py_tp_doc, FE_TEXT(wrapper__doc__)},
    {0, NULL},
};

static PyType_Spec wrapper_spec = {
    .name = "ferrule.calls.Wrapper",
    .basicsize = sizeof(fe_wrap),
    .flags = FE_WRAP_FLAGS | Py_TPFLAGS_BASETYPE,
    .slots = wrapper_slots,
};

PyTypeObject *
wrapper_subtype(PyObject *module, calls_state *state, const PyType_Spec *spec)
{
    /* slots and offsets that these two flags stand for are inherited, which a
     * debug build of CPython does not know yet when it checks the flags */
    const unsigned int late =
        Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR;
    PyType_Spec own = *spec;
    own.flags = (spec->flags | Py_TPFLAGS_DISALLOW_INSTANTIATION) & ~late;
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &own, (PyObject *)state->wrapper_type);
    if (type != NULL) {
        type->tp_flags |= late;
    }
    return doc_install_steal(state, type);
}

/* ---- decorators */

typedef struct {
    PyObject_HEAD vectorcallfunc vectorcall;
    const calls_kind *kind;
    PyObject *options; /* owned, or NULL */
} decorator_object;

#define DECORATOR(op) ((decorator_object *)(op))

PyObject *
wrapper_decorate(calls_state *state, const calls_kind *kind, PyObject *func,
                 PyObject *options)
{
    PyTypeObject *type = Py_TYPE(func);
    if (type != &PyStaticMethod_Type && type != &PyClassMethod_Type) {
        return fe_wrap_check(kind->name, func) < 0
                   ? NULL
                   : kind->make(state, func, options);
    }
    PyObject *inside = fe_getattr(func, "__func__");
    if (inside == NULL) {
        return NULL;
    }
    PyObject *made = wrapper_decorate(state, kind, inside, options);
    Py_DECREF(inside);
    if (made == NULL) {
        return NULL;
    }
    PyObject *method = PyObject_CallOneArg((PyObject *)type, made);
    Py_DECREF(made);
    return method;
}

static PyObject *
decorator_tp_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                        PyObject *kwnames)
{
    decorator_object *self = DECORATOR(op);
    Py_ssize_t count = PyVectorcall_NARGS(nargsf)
                       + (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);
    if (count != 1 || PyVectorcall_NARGS(nargsf) != 1) {
        return PyErr_Format(PyExc_TypeError,
                            "%s decorator: wanted one function, got %zd "
                            "arguments",
                            self->kind->name, count);
    }
    calls_state *state = calls_state_of(op);
    return state != NULL
               ? wrapper_decorate(state, self->kind, args[0], self->options)
               : NULL;
}

PyObject *
wrapper_decorator(calls_state *state, const calls_kind *kind,
                  PyObject *options)
{
    decorator_object *self =
        PyObject_GC_New(decorator_object, state->decorator_type);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = decorator_tp_vectorcall;
    self->kind = kind;
    self->options = Py_XNewRef(options);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static int
decorator_tp_traverse(decorator_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->options);
    return 0;
}

static void
decorator_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(DECORATOR(self)->options);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
decorator_tp_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<ferrule.calls.%s decorator>",
                                DECORATOR(self)->kind->name);
}

PyDoc_STRVAR(decorator__doc__,
             "A decorator that has its arguments and waits for its function.");

static PyMemberDef decorator_members[] = {
    {FE_TEXT("__vectorcalloffset__"), Py_T_PYSSIZET,
     offsetof(decorator_object, vectorcall), Py_READONLY, NULL},
    {0},
};

static PyType_Slot decorator_slots[] = {
    {Py_tp_dealloc, FE_SLOT(decorator_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(decorator_tp_traverse)},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_repr, FE_SLOT(decorator_tp_repr)},
    {Py_tp_members, decorator_members},
    {Py_tp_doc, FE_TEXT(decorator__doc__)},
    {0, NULL},
};

static PyType_Spec decorator_spec = {
    .name = "ferrule.calls.Decorator",
    .basicsize = sizeof(decorator_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = decorator_slots,
};

int
wrapper_register(PyObject *module, calls_state *state)
{
    state->doc_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &doc_spec, NULL);
    if (state->doc_type == NULL) {
        return -1;
    }
    state->wrapper_type = doc_install_steal(
        state,
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &wrapper_spec, NULL));
    state->decorator_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &decorator_spec, NULL);
    state->coroutine_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &calls_coroutine_spec, NULL);
    if (state->wrapper_type == NULL || state->decorator_type == NULL
        || state->coroutine_type == NULL
        || PyModule_AddType(module, state->wrapper_type) < 0
        || PyModule_AddFunctions(module, wrapper_update_functions) < 0) {
        return -1;
    }
    return wrapper_update_register(state);
}
