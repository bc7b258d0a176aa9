/* SPDX-License-Identifier: MIT
 *
 * fields, asdict, astuple, replace: the functions of dataclasses, for records
 * natively and for dataclasses through dataclasses itself.
 */
#include "records_state.h"

/* How containers are made on the way. */
typedef struct {
    records_state *state;
    PyObject *factory; /* borrowed: what a record becomes; NULL: exact type */
    bool as_tuple;
} conversion;

static PyObject *convert(const conversion *how, PyObject *value);

/* new: function(obj, **{keyword: factory}) of the dataclasses module */
static PyObject *
by_dataclasses(const conversion *how, PyObject *obj)
{
    PyObject *module = PyImport_ImportModule("dataclasses");
    PyObject *function =
        module != NULL ? PyObject_GetAttrString(
                             module, how->as_tuple ? "astuple" : "asdict")
                       : NULL;
    PyObject *result = NULL;
    PyObject *kwnames =
        Py_BuildValue("(s)", how->as_tuple ? "tuple_factory" : "dict_factory");
    if (function != NULL && kwnames != NULL) {
        PyObject *args[] = {obj, how->factory};
        result = PyObject_Vectorcall(function, args, 1,
                                     how->factory != NULL ? kwnames : NULL);
    }
    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(kwnames);
    return result;
}

/* new: the value of a field, converted */
static PyObject *
convert_field(const conversion *how, PyObject *self, const record_field *field)
{
    PyObject *value = records_load(self, field);
    if (value == NULL || field->kind != FE_OBJECT
        || records_is_atomic(value)) {
        return value;
    }
    Py_SETREF(value, convert(how, value));
    return value;
}

static PyObject *
record_to_dict(const conversion *how, PyObject *self)
{
    const record_plan *plan = RECORD_PLAN(self);
    PyObject *result = PyDict_New();
    for (Py_ssize_t i = 0; result != NULL && i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        PyObject *value = convert_field(how, self, field);
        if (value == NULL || PyDict_SetItem(result, field->name, value) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(value);
    }
    return result;
}

/* new: [(name, value), …] or, for astuple, [value, …] */
static PyObject *
record_to_list(const conversion *how, PyObject *self)
{
    const record_plan *plan = RECORD_PLAN(self);
    PyObject *result = PyList_New(plan->field_count);
    for (Py_ssize_t i = 0; result != NULL && i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        PyObject *item = convert_field(how, self, field);
        if (item != NULL && !how->as_tuple) {
            Py_SETREF(item, PyTuple_Pack(2, field->name, item));
        }
        if (item == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyList_SET_ITEM(result, i, item);
    }
    return result;
}

static PyObject *
convert_with_plan(const conversion *how, PyObject *self)
{
    if (how->factory == NULL && !how->as_tuple) {
        return record_to_dict(how, self);
    }
    PyObject *list = record_to_list(how, self);
    if (list == NULL) {
        return NULL;
    }
    PyObject *result = how->factory != NULL
                           ? PyObject_CallOneArg(how->factory, list)
                           : PyList_AsTuple(list);
    Py_DECREF(list);
    return result;
}

static PyObject *
convert_record(const conversion *how, PyObject *self)
{
    PyObject *plan = (PyObject *)RECORD_PLAN(self);
    Py_INCREF(plan); /* a value's __deepcopy__ may drop the class */
    PyObject *result = convert_with_plan(how, self);
    Py_DECREF(plan);
    return result;
}

/* new: list of the converted items of a list or tuple */
static PyObject *
convert_items(const conversion *how, PyObject *sequence)
{
    PyObject *items = PySequence_List(sequence);
    for (Py_ssize_t i = 0; items != NULL && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = convert(how, PyList_GET_ITEM(items, i));
        if (item == NULL || PyList_SetItem(items, i, item) < 0) {
            Py_CLEAR(items);
        }
    }
    return items;
}

static PyObject *
convert_sequence(const conversion *how, PyObject *sequence)
{
    PyTypeObject *type = Py_TYPE(sequence);
    PyObject *items = convert_items(how, sequence);
    if (items == NULL || type == &PyList_Type) {
        return items;
    }
    PyObject *result;
    if (type == &PyTuple_Type) {
        result = PyList_AsTuple(items);
    }
    else if (PyTuple_Check(sequence)
             && PyObject_HasAttrString(sequence, "_fields")) {
        PyObject *args = PyList_AsTuple(items); /* a named tuple */
        result =
            args != NULL ? PyObject_Call((PyObject *)type, args, NULL) : NULL;
        Py_XDECREF(args);
    }
    else {
        result = PyObject_CallOneArg((PyObject *)type, items);
    }
    Py_DECREF(items);
    return result;
}

/* new: an empty mapping of the same type */
static PyObject *
empty_like(PyObject *mapping)
{
    PyTypeObject *type = Py_TYPE(mapping);
    if (type == &PyDict_Type) {
        return PyDict_New();
    }
    PyObject *factory = PyObject_GetAttrString(mapping, "default_factory");
    if (factory == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return NULL;
        }
        PyErr_Clear(); /* AttributeError: no defaultdict */
        return PyObject_CallNoArgs((PyObject *)type);
    }
    PyObject *result = PyObject_CallOneArg((PyObject *)type, factory);
    Py_DECREF(factory);
    return result;
}

static PyObject *
convert_mapping(const conversion *how, PyObject *mapping)
{
    PyObject *result = empty_like(mapping);
    PyObject *items = result != NULL ? PyMapping_Items(mapping) : NULL;
    if (items == NULL) {
        Py_XDECREF(result);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_Format(PyExc_TypeError,
                         "%s.items() gave %s instead of a pair",
                         Py_TYPE(mapping)->tp_name, Py_TYPE(pair)->tp_name);
            Py_CLEAR(result);
            break;
        }
        PyObject *key = convert(how, PyTuple_GET_ITEM(pair, 0));
        PyObject *value =
            key != NULL ? convert(how, PyTuple_GET_ITEM(pair, 1)) : NULL;
        int status = value != NULL ? PyObject_SetItem(result, key, value) : -1;
        Py_XDECREF(key);
        Py_XDECREF(value);
        if (status < 0) {
            Py_CLEAR(result);
            break;
        }
    }
    Py_DECREF(items);
    return result;
}

static PyObject *
convert_nested(const conversion *how, PyObject *value)
{
    if (records_is_class(how->state, (PyObject *)Py_TYPE(value))) {
        return convert_record(how, value);
    }
    if (PyList_Check(value) || PyTuple_Check(value)) {
        return convert_sequence(how, value);
    }
    if (PyDict_Check(value)) {
        return convert_mapping(how, value);
    }
    PyObject *found;
    int dataclass = PyObject_GetOptionalAttr(
        (PyObject *)Py_TYPE(value), how->state->str_dataclass_fields, &found);
    Py_XDECREF(found);
    if (dataclass != 0) {
        return dataclass < 0 ? NULL : by_dataclasses(how, value);
    }
    return records_deepcopy_value(how->state, value, NULL);
}

/* new: value as asdict or astuple gives it */
static PyObject *
convert(const conversion *how, PyObject *value)
{
    if (records_is_atomic(value)) {
        return Py_NewRef(value);
    }
    if (Py_EnterRecursiveCall(" while converting a record")) {
        return NULL;
    }
    Py_INCREF(value);
    PyObject *result = convert_nested(how, value);
    Py_DECREF(value);
    Py_LeaveRecursiveCall();
    return result;
}

/* new: what obj becomes; a record, else a dataclass, else TypeError */
static PyObject *
convert_top(const conversion *how, PyObject *obj, const char *function)
{
    if (records_is_class(how->state, (PyObject *)Py_TYPE(obj))) {
        return convert_record(how, obj);
    }
    PyObject *found;
    int dataclass = PyObject_GetOptionalAttr(
        (PyObject *)Py_TYPE(obj), how->state->str_dataclass_fields, &found);
    Py_XDECREF(found);
    if (dataclass > 0) {
        return by_dataclasses(how, obj);
    }
    if (dataclass == 0) {
        PyErr_Format(PyExc_TypeError,
                     "%s() should be called on record instances, got %s",
                     function, Py_TYPE(obj)->tp_name);
    }
    return NULL;
}

static PyObject *
convert_function(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames, const fe_sig *sig, conversion *how)
{
    how->state = records_get_state(module);
    if (nargs == 1 && kwnames == NULL) {
        return convert_top(how, args[0], sig->function);
    }
    PyObject *values[2];
    if (fe_args_unpack(sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    PyObject *plain =
        how->as_tuple ? (PyObject *)&PyTuple_Type : (PyObject *)&PyDict_Type;
    how->factory = values[1] != plain ? values[1] : NULL;
    return convert_top(how, values[0], sig->function);
}

static PyObject *
records_asdict(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    static const char *const names[] = {"obj", "dict_factory", NULL};
    static const fe_sig sig = {"asdict", names, 1, 1};
    conversion how = {.as_tuple = false};
    return convert_function(module, args, nargs, kwnames, &sig, &how);
}

static PyObject *
records_astuple(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    static const char *const names[] = {"obj", "tuple_factory", NULL};
    static const fe_sig sig = {"astuple", names, 1, 1};
    conversion how = {.as_tuple = true};
    return convert_function(module, args, nargs, kwnames, &sig, &how);
}

/* ---------------------------------------------------- fields, replace */

/* new: the Field objects of a class, its stored fields only */
static PyObject *
field_tuple(record_plan *plan)
{
    if (plan->field_tuple != NULL) {
        return Py_NewRef(plan->field_tuple);
    }
    PyObject *list = PyList_New(0);
    Py_ssize_t at = 0;
    PyObject *name, *field;
    while (list != NULL && PyDict_Next(plan->by_name, &at, &name, &field)) {
        if (((field_object *)field)->role == ROLE_FIELD
            && PyList_Append(list, field) < 0) {
            Py_CLEAR(list);
        }
    }
    PyObject *result = list != NULL ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    plan->field_tuple = Py_XNewRef(result);
    return result;
}

static PyObject *
records_fields(PyObject *module, PyObject *obj)
{
    records_state *state = records_get_state(module);
    PyObject *cls =
        records_is_class(state, obj) ? obj : (PyObject *)Py_TYPE(obj);
    if (records_is_class(state, cls)) {
        return field_tuple(RECORD_CLASS(cls)->plan);
    }
    PyObject *found;
    int dataclass =
        PyObject_GetOptionalAttr(obj, state->str_dataclass_fields, &found);
    if (dataclass <= 0) {
        if (dataclass == 0) {
            PyErr_SetString(PyExc_TypeError,
                            "fields() must be called with a record type or "
                            "instance");
        }
        return NULL;
    }
    Py_DECREF(found);
    PyObject *dataclasses = PyImport_ImportModule("dataclasses");
    PyObject *result =
        dataclasses != NULL
            ? PyObject_CallMethod(dataclasses, "fields", "O", obj)
            : NULL;
    Py_XDECREF(dataclasses);
    return result;
}

static PyObject *
replace_dataclass(PyObject *const *args, PyObject *kwnames)
{
    PyObject *dataclasses = PyImport_ImportModule("dataclasses");
    PyObject *function = dataclasses != NULL
                             ? PyObject_GetAttrString(dataclasses, "replace")
                             : NULL;
    PyObject *result = function != NULL
                           ? PyObject_Vectorcall(function, args, 1, kwnames)
                           : NULL;
    Py_XDECREF(dataclasses);
    Py_XDECREF(function);
    return result;
}

static PyObject *
records_replace_function(PyObject *module, PyObject *const *args,
                         Py_ssize_t nargs, PyObject *kwnames)
{
    if (nargs != 1) {
        PyErr_Format(PyExc_TypeError,
                     "replace() takes 1 positional argument but %zd were "
                     "given",
                     nargs);
        return NULL;
    }
    if (records_is_class(records_get_state(module),
                         (PyObject *)Py_TYPE(args[0]))) {
        return records_replace(args[0], args + 1, kwnames);
    }
    return replace_dataclass(args, kwnames);
}

PyDoc_STRVAR(records_asdict__doc__,
             "asdict($module, obj, /, *, dict_factory=dict)\n--\n\n"
             "The record as a dict, nested records, dataclasses, lists,\n"
             "tuples and dicts too; other values are deep copies.\n\n"
             "Raises TypeError for anything but a record or dataclass\n"
             "instance, AttributeError for a field that is unset.");
PyDoc_STRVAR(records_astuple__doc__,
             "astuple($module, obj, /, *, tuple_factory=tuple)\n--\n\n"
             "The record as a tuple of its fields; otherwise as asdict().");
PyDoc_STRVAR(records_fields__doc__,
             "fields($module, class_or_instance, /)\n--\n\n"
             "The Field objects of a record class, in order.\n\n"
             "Raises TypeError for anything but a record or a dataclass.");
PyDoc_STRVAR(records_replace__doc__,
             "replace($module, obj, /, **changes)\n--\n\n"
             "A new record of the same class with some fields changed.\n\n"
             "Raises TypeError for an unknown field or one with init=False,\n"
             "and what the constructor raises for a wrong value.");

PyMethodDef records_convert_methods[] = {
    {"asdict", FE_METHOD(records_asdict), METH_FASTCALL | METH_KEYWORDS,
     records_asdict__doc__},
    {"astuple", FE_METHOD(records_astuple), METH_FASTCALL | METH_KEYWORDS,
     records_astuple__doc__},
    {"fields", FE_METHOD(records_fields), METH_O, records_fields__doc__},
    {"replace", FE_METHOD(records_replace_function),
     METH_FASTCALL | METH_KEYWORDS, records_replace__doc__},
    {NULL, NULL, 0, NULL},
};
