/* SPDX-License-Identifier: MIT
 *
 * ModelInference: counts the call, then filters. The fields are the object's
 * own; whatever else is set on it is in its __dict__, and its state for pickle
 * and copy is that of a Python class: one dict with all of them.
 */
#include "calls_state.h"

#include "args.h"
#include "cpu.h"
#include "filter_list.h"

typedef struct {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *dict, *weakrefs;
    PyObject *model;     /* owned; NULL: not set */
    PyObject *threshold; /* owned; NULL: not set */
    long long count;
    PyObject *module; /* owned: keeps the kernels */
    const calls_state *state;
} model_inference;

#define MODEL(op) ((model_inference *)(op))

/* ---- calls */

static const char *const call_names[] = {"data", NULL};
static const fe_sig call_sig = {"ModelInference.__call__", call_names, 1, 1};

/* new: what a subclass may have made of `threshold` */
static PyObject *
threshold_of(model_inference *self)
{
    if (FE_LIKELY(Py_IS_TYPE(self, self->state->model_inference_type)
                  && self->threshold != NULL)) {
        return Py_NewRef(self->threshold);
    }
    return PyObject_GetAttr((PyObject *)self, self->state->str_threshold);
}

static PyObject *
model_inference_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                           PyObject *kwnames)
{
    model_inference *self = MODEL(op);
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    PyObject *data;
    if (FE_LIKELY(nargs == 1 && kwnames == NULL)) {
        data = args[0];
    }
    else if (fe_args_unpack(&call_sig, args, nargs, kwnames, &data) < 0) {
        return NULL;
    }
    if (FE_UNLIKELY(self->module == NULL)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "ferrule.calls has been shut down");
        return NULL;
    }
    self->count++; /* under the interpreter lock: exact */
    PyObject *threshold = threshold_of(self);
    if (threshold == NULL) {
        return NULL;
    }
    PyObject *found = fe_filter_list(&self->state->filter, data, threshold,
                                     FE_FILTER_GT, FE_FILTER_VALUES);
    Py_DECREF(threshold);
    return found;
}

/* ---- construction */

static PyObject *
model_inference_tp_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                       PyObject *Py_UNUSED(kwargs))
{
    PyObject *module = calls_module_borrow(type);
    if (module == NULL) {
        return NULL;
    }
    model_inference *self = MODEL(type->tp_alloc(type, 0));
    if (self != NULL) {
        self->vectorcall = model_inference_vectorcall;
        self->module = Py_NewRef(module);
        self->state = calls_get_state(module);
    }
    return (PyObject *)self;
}

static const char *const init_names[] = {"model_path", "threshold", NULL};
static const fe_sig init_sig = {"ModelInference", init_names, 2, 1};

/* Arguments of a slot, as fast-call functions get them: fills values[]. */
static int
unpack_slot(const fe_sig *sig, PyObject *args, PyObject *kwargs,
            PyObject **values)
{
    if (kwargs == NULL || PyDict_GET_SIZE(kwargs) == 0) {
        return fe_args_unpack(sig, &PyTuple_GET_ITEM(args, 0),
                              PyTuple_GET_SIZE(args), NULL, values);
    }
    Py_ssize_t nargs = PyTuple_GET_SIZE(args);
    Py_ssize_t count = nargs + PyDict_GET_SIZE(kwargs), at = nargs, next = 0;
    PyObject *kwnames = PyTuple_New(PyDict_GET_SIZE(kwargs));
    PyObject **given = PyMem_New(PyObject *, (size_t)count);
    int status = -1;
    if (kwnames == NULL || given == NULL) {
        PyErr_NoMemory();
        goto error;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        given[i] = PyTuple_GET_ITEM(args, i);
    }
    PyObject *key, *value;
    while (at < count && PyDict_Next(kwargs, &next, &key, &value)) {
        PyTuple_SET_ITEM(kwnames, at - nargs, Py_NewRef(key));
        given[at++] = value;
    }
    status = fe_args_unpack(sig, given, nargs, kwnames, values);
error:
    Py_XDECREF(kwnames);
    PyMem_Free(given);
    return status;
}

static int
model_inference_tp_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    model_inference *self = MODEL(op);
    const calls_state *state = self->state;
    PyObject *given[2];
    if (unpack_slot(&init_sig, args, kwargs, given) < 0) {
        return -1;
    }
    PyObject *threshold =
        given[1] != NULL ? Py_NewRef(given[1]) : PyFloat_FromDouble(0.5);
    if (threshold == NULL) {
        return -1;
    }
    int status = -1;
    PyObject *model =
        PyObject_CallMethodOneArg(op, state->str_load_model, given[0]);
    if (model != NULL && Py_IS_TYPE(op, state->model_inference_type)) {
        Py_XSETREF(self->model, Py_NewRef(model));
        Py_XSETREF(self->threshold, Py_NewRef(threshold));
        status = 0;
    }
    else if (model != NULL) { /* a subclass may have made properties of them */
        status =
            PyObject_SetAttr(op, state->str_model, model) < 0
                    || PyObject_SetAttr(op, state->str_threshold, threshold)
                           < 0
                ? -1
                : 0;
    }
    if (status == 0) {
        self->count = 0;
    }
    Py_XDECREF(model);
    Py_DECREF(threshold);
    return status;
}

PyDoc_STRVAR(
    model_inference_load_model__doc__,
    "_load_model($self, path, /)\n--\n\n"
    "What becomes the model: for a subclass to override. Called once,\n"
    "when the object is made; this one gives 'Model(path)' and opens\n"
    "no file.");

static PyObject *
model_inference_load_model(PyObject *Py_UNUSED(self), PyObject *path)
{
    PyObject *text = PyObject_Format(path, NULL);
    if (text == NULL) {
        return NULL;
    }
    PyObject *model = PyUnicode_FromFormat("Model(%U)", text);
    Py_DECREF(text);
    return model;
}

/* ---- state */

/* Where a field of this name is, or NULL. The count is not among them. */
static PyObject **
field_named(model_inference *self, PyObject *name)
{
    return PyUnicode_CompareWithASCIIString(name, "model") == 0 ? &self->model
           : PyUnicode_CompareWithASCIIString(name, "threshold") == 0
               ? &self->threshold
               : NULL;
}

static int
add_fields(model_inference *self, PyObject *dict)
{
    const calls_state *state = self->state;
    PyObject *count = PyLong_FromLongLong(self->count);
    int status = -1;
    if (count != NULL
        && (self->model == NULL
            || PyDict_SetItem(dict, state->str_model, self->model) == 0)
        && (self->threshold == NULL
            || PyDict_SetItem(dict, state->str_threshold, self->threshold)
                   == 0)) {
        status = PyDict_SetItem(dict, state->str_inference_count, count);
    }
    Py_XDECREF(count);
    return status;
}

PyDoc_STRVAR(
    model_inference_getstate__doc__,
    "__getstate__($self, /)\n--\n\n"
    "A dict of the fields and of whatever else was set; with that of\n"
    "__slots__ in a pair, as object.__getstate__ does.");

static PyObject *
model_inference_getstate(PyObject *self, PyObject *Py_UNUSED(unused))
{
    PyObject *state = PyObject_CallMethod((PyObject *)&PyBaseObject_Type,
                                          "__getstate__", "O", self);
    if (state == NULL) {
        return NULL;
    }
    PyObject *slots = NULL, *dict = NULL;
    PyObject *own = state;
    if (PyTuple_CheckExact(state) && PyTuple_GET_SIZE(state) == 2) {
        own = PyTuple_GET_ITEM(state, 0);
        slots = PyTuple_GET_ITEM(state, 1);
    }
    dict = PyDict_CheckExact(own) ? PyDict_Copy(own) : PyDict_New();
    if (dict == NULL || add_fields(MODEL(self), dict) < 0) {
        Py_XDECREF(dict);
        Py_DECREF(state);
        return NULL;
    }
    if (slots != NULL) {
        Py_SETREF(dict, PyTuple_Pack(2, dict, slots));
    }
    Py_DECREF(state);
    return dict;
}

static int set_count(PyObject *self, PyObject *value, void *unused);

static int
set_one(PyObject *self, PyObject *name, PyObject *value)
{
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError,
                     "ModelInference.__setstate__(): names must be str, got "
                     "%.200s",
                     Py_TYPE(name)->tp_name);
        return -1;
    }
    PyObject **field = field_named(MODEL(self), name);
    if (field != NULL) {
        Py_XSETREF(*field, Py_NewRef(value));
        return 0;
    }
    if (PyUnicode_CompareWithASCIIString(name, "inference_count") == 0) {
        return set_count(self, value, NULL);
    }
    return PyObject_SetAttr(self, name, value);
}

static int
set_all(PyObject *self, PyObject *dict)
{
    if (dict == Py_None) {
        return 0;
    }
    if (!PyDict_Check(dict)) {
        PyErr_Format(PyExc_TypeError,
                     "ModelInference.__setstate__(): wanted a dict, or a pair "
                     "of dicts, got %.200s",
                     Py_TYPE(dict)->tp_name);
        return -1;
    }
    PyObject *items = PyDict_Items(dict); /* setting may run Python code */
    if (items == NULL) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        status = set_one(self, PyTuple_GET_ITEM(item, 0),
                         PyTuple_GET_ITEM(item, 1));
    }
    Py_DECREF(items);
    return status;
}

PyDoc_STRVAR(model_inference_setstate__doc__,
             "__setstate__($self, state, /)\n--\n\n"
             "Set what __getstate__ gave. TypeError if it is something else.");

static PyObject *
model_inference_setstate(PyObject *self, PyObject *state)
{
    int status;
    if (PyTuple_CheckExact(state) && PyTuple_GET_SIZE(state) == 2) {
        status = set_all(self, PyTuple_GET_ITEM(state, 0));
        status = status < 0 ? -1 : set_all(self, PyTuple_GET_ITEM(state, 1));
    }
    else {
        status = set_all(self, state);
    }
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
get_count(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromLongLong(MODEL(self)->count);
}

static int
set_count(PyObject *self, PyObject *value, void *Py_UNUSED(unused))
{
    if (value == NULL || !PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "ModelInference.inference_count must be an int, got "
                     "%.200s",
                     value == NULL ? "nothing" : Py_TYPE(value)->tp_name);
        return -1;
    }
    long long count = PyLong_AsLongLong(value);
    if (count == -1 && PyErr_Occurred()) {
        return -1;
    }
    MODEL(self)->count = count;
    return 0;
}

/* ---- the type */

static int
model_inference_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    model_inference *self = MODEL(op);
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->dict);
    Py_VISIT(self->model);
    Py_VISIT(self->threshold);
    Py_VISIT(self->module);
    return 0;
}

static int
model_inference_tp_clear(PyObject *op)
{
    model_inference *self = MODEL(op);
    Py_CLEAR(self->dict);
    Py_CLEAR(self->model);
    Py_CLEAR(self->threshold);
    return 0; /* the module stays: the object may still be called */
}

static void
model_inference_tp_dealloc(PyObject *op)
{
    model_inference *self = MODEL(op);
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    model_inference_tp_clear(op);
    Py_CLEAR(self->module);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    model_inference__doc__,
    "ModelInference(model_path, threshold=0.5)\n--\n\n"
    "A function with a state: called with data it gives the list of what is\n"
    "above the threshold, and counts the call.\n\n"
    "model is what the hook _load_model(model_path) gave, once; threshold is\n"
    "read once a call; inference_count is exact under threads, and counts\n"
    "calls that raise, too. A subclass may override __call__.\n\n"
    "Source: the article's \"Leverage __call__ and State Tracking\".");

static PyMemberDef model_inference_members[] = {
    {"model", Py_T_OBJECT_EX, offsetof(model_inference, model), 0,
     "What _load_model() gave."},
    {"threshold", Py_T_OBJECT_EX, offsetof(model_inference, threshold), 0,
     "What a value must be above."},
    {"__dictoffset__", Py_T_PYSSIZET, offsetof(model_inference, dict),
     Py_READONLY, NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(model_inference, weakrefs),
     Py_READONLY, NULL},
    {"__vectorcalloffset__", Py_T_PYSSIZET,
     offsetof(model_inference, vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef model_inference_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"inference_count", get_count, set_count, "How often it was called.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef model_inference_methods[] = {
    {"_load_model", model_inference_load_model, METH_O,
     model_inference_load_model__doc__},
    {"__getstate__", model_inference_getstate, METH_NOARGS,
     model_inference_getstate__doc__},
    {"__setstate__", model_inference_setstate, METH_O,
     model_inference_setstate__doc__},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot model_inference_slots[] = {
    {Py_tp_doc, FE_TEXT(model_inference__doc__)},
    {Py_tp_new, FE_SLOT(model_inference_tp_new)},
    {Py_tp_init, FE_SLOT(model_inference_tp_init)},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_traverse, FE_SLOT(model_inference_tp_traverse)},
    {Py_tp_clear, FE_SLOT(model_inference_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(model_inference_tp_dealloc)},
    {Py_tp_members, model_inference_members},
    {Py_tp_getset, model_inference_getset},
    {Py_tp_methods, model_inference_methods},
    {0, NULL},
};

static PyType_Spec model_inference_spec = {
    .name = "ferrule.calls.ModelInference",
    .basicsize = sizeof(model_inference),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = model_inference_slots,
};

int
model_inference_register(PyObject *module, calls_state *state)
{
    const struct {
        PyObject **at;
        const char *text;
    } texts[] = {
        {&state->str_load_model, "_load_model"},
        {&state->str_model, "model"},
        {&state->str_threshold, "threshold"},
        {&state->str_inference_count, "inference_count"},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(texts); i++) {
        *texts[i].at = PyUnicode_InternFromString(texts[i].text);
        if (*texts[i].at == NULL) {
            return -1;
        }
    }
    fe_cpu level;
    if (fe_cpu_choose(&level) < 0) {
        return -1;
    }
    fe_filter_choose(&state->filter, level);
    state->model_inference_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &model_inference_spec, NULL);
    return state->model_inference_type == NULL
                   || PyModule_AddType(module, state->model_inference_type) < 0
               ? -1
               : 0;
}
