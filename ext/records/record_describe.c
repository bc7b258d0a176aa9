/* SPDX-License-Identifier: MIT
 *
 * What a record class says of itself, made when asked: signature, docstring,
 * the attributes dataclasses looks for, the layout. All cold.
 */
#include "records_state.h"

/* ---------------------------------------------------------- signature */

static PyObject *
shown_default(const record_param *param, PyObject *inspect)
{
    if (param->factory == NULL) {
        return param->default_value != NULL
                   ? Py_NewRef(param->default_value)
                   : PyObject_GetAttrString(inspect, "_empty");
    }
    PyObject *module = PyImport_ImportModule("dataclasses");
    PyObject *mark =
        module != NULL ? PyObject_GetAttrString(module, "_HAS_DEFAULT_FACTORY")
                       : NULL;
    Py_XDECREF(module);
    if (mark == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear(); /* AttributeError: a later dataclasses */
        mark = Py_NewRef(Py_Ellipsis);
    }
    return mark;
}

static PyObject *
new_parameter(PyObject *inspect, PyObject *name, const char *kind,
              PyObject *default_value, PyObject *annotation)
{
    PyObject *cls = PyObject_GetAttrString(inspect, "Parameter");
    PyObject *value = cls != NULL ? PyObject_GetAttrString(cls, kind) : NULL;
    PyObject *args = value != NULL ? PyTuple_Pack(2, name, value) : NULL;
    PyObject *kwargs = PyDict_New();
    PyObject *result = NULL;
    if (args != NULL && kwargs != NULL
        && (default_value == NULL
            || PyDict_SetItemString(kwargs, "default", default_value) == 0)
        && (annotation == NULL
            || PyDict_SetItemString(kwargs, "annotation", annotation) == 0)) {
        result = PyObject_Call(cls, args, kwargs);
    }
    Py_XDECREF(cls);
    Py_XDECREF(value);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return result;
}

static PyObject *
parameter_of(const record_plan *plan, Py_ssize_t index, PyObject *inspect)
{
    const record_param *param = &plan->params[index];
    PyObject *field, *result = NULL;
    if (PyDict_GetItemRef(plan->by_name, param->name, &field) < 0) {
        return NULL;
    }
    PyObject *value = shown_default(param, inspect);
    if (value != NULL && field != NULL) {
        result = new_parameter(inspect, param->name,
                               index < plan->positional_count
                                   ? "POSITIONAL_OR_KEYWORD"
                                   : "KEYWORD_ONLY",
                               value, ((field_object *)field)->type);
    }
    Py_XDECREF(field);
    Py_XDECREF(value);
    return result;
}

/* new: what __init__ calls the instance: not like a field */
static PyObject *
self_name(const record_plan *plan)
{
    PyObject *name = PyUnicode_FromString("self");
    int taken = name != NULL ? PyDict_Contains(plan->by_name, name) : -1;
    if (taken > 0) {
        Py_SETREF(name, PyUnicode_FromString("__dataclass_self__"));
    }
    else if (taken < 0) {
        Py_CLEAR(name);
    }
    return name;
}

/* new: list of inspect.Parameter */
static PyObject *
parameters_of(const record_plan *plan, PyObject *inspect, bool with_self)
{
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = with_self ? -1 : 0;
         list != NULL && i < plan->param_count; i++) {
        PyObject *parameter;
        if (i < 0) {
            PyObject *name = self_name(plan);
            parameter = name != NULL ? new_parameter(inspect, name,
                                                     "POSITIONAL_OR_KEYWORD",
                                                     NULL, NULL)
                                     : NULL;
            Py_XDECREF(name);
        }
        else {
            parameter = parameter_of(plan, i, inspect);
        }
        if (parameter == NULL || PyList_Append(list, parameter) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(parameter);
    }
    return list;
}

/* new: inspect.Signature of the constructor, or of __init__ */
PyObject *
records_signature(PyObject *cls, bool with_self)
{
    const record_plan *plan = RECORD_CLASS(cls)->plan;
    PyObject *inspect = PyImport_ImportModule("inspect");
    PyObject *list = inspect != NULL && plan->by_name != NULL
                         ? parameters_of(plan, inspect, with_self)
                         : NULL;
    PyObject *result = NULL;
    PyObject *signature =
        list != NULL ? PyObject_GetAttrString(inspect, "Signature") : NULL;
    PyObject *kwargs =
        signature != NULL ? Py_BuildValue("{sO}", "return_annotation", Py_None)
                          : NULL;
    PyObject *args = kwargs != NULL ? PyTuple_Pack(1, list) : NULL;
    if (args != NULL) {
        result = PyObject_Call(signature, args, kwargs);
    }
    Py_XDECREF(inspect);
    Py_XDECREF(list);
    Py_XDECREF(signature);
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    return result;
}

/* ---------------------------------------------------- lazy attributes */

typedef enum {
    LAZY_DOC,
    LAZY_FIELDS,
    LAZY_PARAMS,
    LAZY_OPTIONS,
    LAZY_STARS, /* no attribute: shows as *** */
} lazy_kind;

typedef struct {
    PyObject_HEAD lazy_kind kind;
} lazy_object;

static PyObject *lazy_new(records_state *state, lazy_kind kind);

/* new: obj.replace(keyword=value) */
static PyObject *
replaced(PyObject *obj, const char *keyword, PyObject *value)
{
    PyObject *method = fe_getattr(obj, "replace");
    PyObject *kwargs =
        method != NULL ? Py_BuildValue("{sO}", keyword, value) : NULL;
    PyObject *args = kwargs != NULL ? PyTuple_New(0) : NULL;
    PyObject *result =
        args != NULL ? PyObject_Call(method, args, kwargs) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(method);
    return result;
}

/* new: an inspect.Parameter whose default does not show, if it is of a
 * sensitive field
 */
static PyObject *
without_secret(const record_plan *plan, PyObject *parameter, PyObject *stars)
{
    PyObject *field = NULL, *result = NULL;
    PyObject *name = fe_getattr(parameter, "name");
    int found =
        name != NULL ? PyDict_GetItemRef(plan->by_name, name, &field) : -1;
    if (found >= 0) {
        const field_object *known = (const field_object *)field;
        bool hide =
            known != NULL && known->sensitive && known->default_value != NULL;
        result = hide ? replaced(parameter, "default", stars)
                      : Py_NewRef(parameter);
    }
    Py_XDECREF(field);
    Py_XDECREF(name);
    return result;
}

/* new: the signature (stolen) without the defaults of sensitive fields */
static PyObject *
without_secrets(const record_class *cls, PyObject *signature)
{
    const record_plan *plan = cls->plan;
    PyObject *stars = lazy_new(cls->state, LAZY_STARS);
    PyObject *all = stars != NULL ? fe_getattr(signature, "parameters") : NULL;
    PyObject *list = all != NULL ? PyMapping_Values(all) : NULL;
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *one = without_secret(plan, PyList_GET_ITEM(list, i), stars);
        if (one == NULL || PyList_SetItem(list, i, one) < 0) {
            Py_CLEAR(list);
        }
    }
    PyObject *result =
        list != NULL ? replaced(signature, "parameters", list) : NULL;
    Py_XDECREF(stars);
    Py_XDECREF(all);
    Py_XDECREF(list);
    Py_DECREF(signature);
    return result;
}

/* "SensorReading(timestamp: i64, …)", as dataclasses writes it */
static PyObject *
make_doc(PyObject *cls)
{
    const record_class *record = RECORD_CLASS(cls);
    PyObject *inspect = PyImport_ImportModule("inspect");
    PyObject *signature =
        inspect != NULL ? PyObject_CallMethod(inspect, "signature", "O", cls)
                        : NULL;
    if (signature != NULL && record->plan->sensitive
        && record->plan->by_name != NULL) {
        signature = without_secrets(record, signature);
    }
    PyObject *text = signature != NULL ? PyObject_Str(signature) : NULL;
    PyObject *short_text = NULL, *result = NULL;
    Py_XDECREF(inspect);
    Py_XDECREF(signature);
    if (signature == NULL
        && (PyErr_ExceptionMatches(PyExc_TypeError)
            || PyErr_ExceptionMatches(PyExc_ValueError))) {
        PyErr_Clear(); /* TypeError, ValueError: no signature to show */
        text = PyUnicode_FromString("");
    }
    if (text != NULL) {
        short_text =
            PyObject_CallMethod(text, "replace", "ss", " -> None", "");
    }
    PyObject *name = PyType_GetName((PyTypeObject *)cls);
    if (short_text != NULL && name != NULL) {
        result = PyUnicode_FromFormat("%U%U", name, short_text);
    }
    Py_XDECREF(text);
    Py_XDECREF(short_text);
    Py_XDECREF(name);
    return result;
}

/* new: module.name(**kwargs) */
static PyObject *
call_with(const char *module_name, const char *name, PyObject *kwargs)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *function =
        module != NULL ? PyObject_GetAttrString(module, name) : NULL;
    PyObject *empty = PyTuple_New(0), *result = NULL;
    if (function != NULL && empty != NULL && kwargs != NULL) {
        result = PyObject_Call(function, empty, kwargs);
    }
    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(empty);
    return result;
}

#define FLAG(name) #name, o->name ? Py_True : Py_False

/* __dataclass_params__: dataclasses' own object, of its own fields */
static PyObject *
make_params(PyObject *cls)
{
    const record_options *o = &RECORD_CLASS(cls)->plan->options;
    PyObject *kwargs =
        Py_BuildValue("{sOsOsOsOsOsO}", FLAG(init), FLAG(repr), FLAG(eq),
                      FLAG(order), FLAG(unsafe_hash), FLAG(frozen));
#if FE_DATACLASS_PARAMS_TEN
    PyObject *more = Py_BuildValue(
        "{sOsOsOsO}", FLAG(match_args), FLAG(kw_only), "slots", Py_True,
        "weakref_slot", o->weakref ? Py_True : Py_False);
    if (kwargs == NULL || more == NULL || PyDict_Update(kwargs, more) < 0) {
        Py_CLEAR(kwargs);
    }
    Py_XDECREF(more);
#endif
    PyObject *result = call_with("dataclasses", "_DataclassParams", kwargs);
    Py_XDECREF(kwargs);
    return result;
}

/* __record_params__: every class keyword in force */
static PyObject *
make_options(PyObject *cls)
{
    static const char *const endians[] = {"native", "little", "big"};
    const record_options *o = &RECORD_CLASS(cls)->plan->options;
    PyObject *gc = o->gc < 0 ? Py_None : (o->gc ? Py_True : Py_False);
    PyObject *kwargs = Py_BuildValue(
        "{sOsOsOsOsOsOsOsOsOsOsOsOss}", FLAG(frozen), FLAG(order), FLAG(eq),
        FLAG(repr), FLAG(init), FLAG(unsafe_hash), FLAG(match_args),
        FLAG(kw_only), FLAG(weakref), "gc", gc, FLAG(sealed), FLAG(packed),
        "endian", endians[o->endian]);
    PyObject *result = call_with("types", "SimpleNamespace", kwargs);
    Py_XDECREF(kwargs);
    return result;
}

#undef FLAG

static PyObject *
lazy_tp_descr_get(PyObject *op, PyObject *Py_UNUSED(obj), PyObject *type)
{
    records_state *state = records_state_of_type(Py_TYPE(op));
    if (type == NULL || !records_is_class(state, type)) {
        return Py_NewRef(op);
    }
    switch (((lazy_object *)op)->kind) {
    case LAZY_DOC:
        return make_doc(type);
    case LAZY_PARAMS:
        return make_params(type);
    case LAZY_OPTIONS:
        return make_options(type);
    case LAZY_FIELDS:
        break;
    case LAZY_STARS:
        return Py_NewRef(op);
    }
    PyObject *by_name = RECORD_CLASS(type)->plan->by_name;
    return by_name != NULL ? PyDict_Copy(by_name) : PyDict_New();
}

/* new: a lazy attribute of record classes */
static PyObject *
lazy_new(records_state *state, lazy_kind kind)
{
    lazy_object *self = PyObject_New(lazy_object, state->lazy_type);
    if (self != NULL) {
        self->kind = kind;
    }
    return (PyObject *)self;
}

int
records_describe_setup(records_state *state)
{
    state->lazy_doc = lazy_new(state, LAZY_DOC);
    PyObject *dict = fe_type_dict_borrow(state->base_type);
    PyObject *fields = lazy_new(state, LAZY_FIELDS);
    PyObject *params = lazy_new(state, LAZY_PARAMS);
    PyObject *options = lazy_new(state, LAZY_OPTIONS);
    int status =
        state->lazy_doc == NULL || fields == NULL || params == NULL
                || options == NULL
                || PyDict_SetItemString(dict, "__record_params__", options) < 0
                || PyDict_SetItem(dict, state->str_dataclass_fields, fields)
                       < 0
                || PyDict_SetItemString(dict, "__dataclass_params__", params)
                       < 0
            ? -1
            : 0;
    Py_XDECREF(fields);
    Py_XDECREF(params);
    Py_XDECREF(options);
    PyType_Modified(state->base_type);
    return status;
}

static void
lazy_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *
lazy_tp_repr(PyObject *op)
{
    return ((lazy_object *)op)->kind == LAZY_STARS
               ? PyUnicode_FromString("***")
               : PyUnicode_FromFormat("<%s at %p>", Py_TYPE(op)->tp_name, op);
}

static PyType_Slot lazy_slots[] = {
    {Py_tp_descr_get, FE_SLOT(lazy_tp_descr_get)},
    {Py_tp_repr, FE_SLOT(lazy_tp_repr)},
    {Py_tp_dealloc, FE_SLOT(lazy_tp_dealloc)},
    {0, NULL},
};

PyType_Spec records_lazy_spec = {
    .name = "ferrule._records.Lazy",
    .basicsize = sizeof(lazy_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = lazy_slots,
};

/* ------------------------------------------------------------- layout */

static PyObject *
layout_of_field(const record_plan *plan, const record_field *field)
{
    PyObject *described;
    if (PyDict_GetItemRef(plan->by_name, field->name, &described) < 0) {
        return NULL;
    }
    bool resolved = described == NULL || ((field_object *)described)->resolved;
    Py_XDECREF(described);
    return Py_BuildValue("(OIsIO)", field->name,
                         (unsigned)(field->offset - RECORDS_HEADER),
                         fe_kind_names[field->kind], (unsigned)field->size,
                         resolved ? Py_True : Py_False);
}

/* _layout(cls) -> (size, alignment, fields, instance_size, gc, mixed) */
static PyObject *
describe_layout(PyObject *module, PyObject *obj)
{
    records_state *state = records_get_state(module);
    PyObject *cls = PyType_Check(obj) ? obj : (PyObject *)Py_TYPE(obj);
    if (!records_is_class(state, cls)) {
        PyErr_Format(PyExc_TypeError,
                     "layout() wants a record class, got %s %R",
                     Py_TYPE(obj)->tp_name, obj);
        return NULL;
    }
    record_class *record = RECORD_CLASS(cls);
    const record_plan *plan = record->plan;
    PyObject *fields = PyTuple_New(plan->field_count);
    uint32_t end = RECORDS_HEADER, alignment = 1;
    for (Py_ssize_t i = 0; fields != NULL && i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        PyObject *one = layout_of_field(plan, field);
        if (one == NULL) {
            Py_CLEAR(fields);
            break;
        }
        PyTuple_SET_ITEM(fields, i, one);
        uint32_t own = records_kind_alignment((fe_kind)field->kind);
        end = field->offset + field->size > end ? field->offset + field->size
                                                : end;
        alignment = own > alignment ? own : alignment;
    }
    if (fields == NULL) {
        return NULL;
    }
    uint32_t size = end - RECORDS_HEADER;
    size = (size + alignment - 1) / alignment * alignment;
    bool gc = PyType_IS_GC((PyTypeObject *)cls);
    return Py_BuildValue("(IINnOO)", (unsigned)size, (unsigned)alignment,
                         fields, record->heap.ht_type.tp_basicsize,
                         gc ? Py_True : Py_False,
                         record->mixed ? Py_True : Py_False);
}

PyMethodDef records_describe_methods[] = {
    {"_layout", FE_METHOD(describe_layout), METH_O,
     "_layout($module, cls, /)\n--\n\nThe numbers behind layout()."},
    {NULL, NULL, 0, NULL},
};
