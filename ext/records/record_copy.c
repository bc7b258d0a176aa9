/* SPDX-License-Identifier: MIT
 *
 * Records made of records: copy, deepcopy, replace, pickle.
 */
#include "records_state.h"

/* new: as clone_untracked, of a class whose instances are fields only */
static PyObject *
clone_bare(PyObject *self, record_class *cls)
{
    const record_plan *plan = cls->plan;
    PyObject *copy = records_alloc(cls);
    if (copy == NULL) {
        return NULL;
    }
    memcpy((char *)copy + RECORDS_HEADER, (char *)self + RECORDS_HEADER,
           plan->space.end - RECORDS_HEADER);
    for (Py_ssize_t i = 0; i < plan->object_count; i++) {
        Py_XINCREF(*(PyObject **)((char *)copy + plan->objects[i]));
    }
    return copy;
}

/* new: an untracked copy: every field shared or unset, caches empty */
static PyObject *
clone_untracked(PyObject *self)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    const record_plan *plan = cls->plan;
    if (plan->bare) {
        return clone_bare(self, cls);
    }
    PyObject *copy = records_alloc_zeroed(cls);
    if (copy == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        if (field->kind == FE_OBJECT) {
            FE_FIELD_OBJECT(copy, field) =
                Py_XNewRef(FE_FIELD_OBJECT(self, field));
        }
        else {
            memcpy(FE_FIELD_AT(copy, field), FE_FIELD_AT(self, field),
                   field->size);
        }
    }
    return copy;
}

/* Give a mixed copy what stands in the original's __dict__. */
static int
copy_dict(PyObject *self, PyObject *copy, records_state *state)
{
    if (!RECORD_CLASS(Py_TYPE(self))->mixed) {
        return 0;
    }
    PyObject *from, *to = NULL;
    int found = PyObject_GetOptionalAttr(self, state->str_dict, &from);
    if (found > 0) {
        found = PyObject_GetOptionalAttr(copy, state->str_dict, &to);
    }
    int status = found > 0 ? PyDict_Update(to, from) : found;
    Py_XDECREF(from);
    Py_XDECREF(to);
    return status < 0 ? -1 : 0;
}

PyObject *
records_copy(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    PyObject *copy = clone_untracked(self);
    if (copy == NULL) {
        return NULL;
    }
    records_track(cls, copy);
    if (copy_dict(self, copy, cls->state) < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

/* ----------------------------------------------------------- deepcopy */

bool
records_is_atomic(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return type == &PyUnicode_Type || type == &PyLong_Type
           || type == &PyFloat_Type || type == &PyBool_Type || value == Py_None
           || type == &PyBytes_Type || type == &PyComplex_Type
           || value == Py_Ellipsis || value == Py_NotImplemented
           || PyType_Check(value) || type == &PyFunction_Type
           || type == &PyCFunction_Type;
}

/* new: copy.deepcopy(value, memo); memo may be NULL */
PyObject *
records_deepcopy_value(records_state *state, PyObject *value, PyObject *memo)
{
    if (records_is_atomic(value)) {
        return Py_NewRef(value);
    }
    PyObject *module = PyImport_ImportModule("copy");
    if (module == NULL) {
        return NULL;
    }
    PyObject *args[] = {module, value, memo};
    PyObject *copy = PyObject_VectorcallMethod(state->str_deepcopy, args,
                                               memo != NULL ? 3 : 2, NULL);
    Py_DECREF(module);
    return copy;
}

static int
deepen(PyObject *self, PyObject *copy, PyObject *memo)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    const record_plan *plan = cls->plan;
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        if (field->kind != FE_OBJECT || FE_FIELD_OBJECT(copy, field) == NULL) {
            continue;
        }
        PyObject *shared = Py_NewRef(FE_FIELD_OBJECT(copy, field));
        PyObject *deep = records_deepcopy_value(cls->state, shared, memo);
        Py_DECREF(shared);
        if (deep == NULL) {
            return -1;
        }
        Py_XSETREF(FE_FIELD_OBJECT(copy, field), deep);
    }
    return 0;
}

static int
deepen_dict(PyObject *self, PyObject *copy, PyObject *memo,
            records_state *state)
{
    if (copy_dict(self, copy, state) < 0) {
        return -1;
    }
    PyObject *dict;
    int found = RECORD_CLASS(Py_TYPE(self))->mixed
                    ? PyObject_GetOptionalAttr(copy, state->str_dict, &dict)
                    : 0;
    if (found <= 0) {
        return found;
    }
    PyObject *deep = records_deepcopy_value(state, dict, memo);
    int status = deep != NULL ? PyDict_Update(dict, deep) : -1;
    Py_XDECREF(deep);
    Py_DECREF(dict);
    return status;
}

PyObject *
records_deepcopy(PyObject *self, PyObject *memo)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    PyObject *copy = clone_untracked(self);
    PyObject *key = copy != NULL ? PyLong_FromVoidPtr(self) : NULL;
    if (copy != NULL) {
        records_track(cls, copy);
    }
    /* known to the memo before its fields are: cycles come back here */
    if (key == NULL || PyObject_SetItem(memo, key, copy) < 0
        || deepen(self, copy, memo) < 0
        || deepen_dict(self, copy, memo, cls->state) < 0) {
        Py_CLEAR(copy);
    }
    Py_XDECREF(key);
    return copy;
}

/* ------------------------------------------------------------ replace */

/* Every field is a plain constructor parameter: copy and overwrite. */
static PyObject *
replace_in_copy(PyObject *self, PyObject *const *values, PyObject *kwnames)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    const record_plan *plan = cls->plan;
    PyObject *copy = clone_untracked(self);
    if (copy == NULL) {
        return NULL;
    }
    Py_ssize_t count = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t k = 0; k < count; k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k);
        const record_field *field = records_find_field(plan, name);
        if (field == NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%U.__init__() got an unexpected keyword argument "
                         "'%S'",
                         plan->qualname, name);
            goto error;
        }
        if (field->kind == FE_OBJECT) {
            Py_XSETREF(FE_FIELD_OBJECT(copy, field), Py_NewRef(values[k]));
        }
        else if (records_store(plan->qualname, field, FE_FIELD_AT(copy, field),
                               values[k])
                 < 0) {
            goto error;
        }
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        if (field->kind == FE_OBJECT && !FE_FIELD_OBJECT(copy, field)) {
            records_unset(self, field);
            goto error;
        }
    }
    records_track(cls, copy);
    return copy;
error:
    records_discard(copy);
    return NULL;
}

/* dataclasses.replace's rules for one field; -1 with an exception */
static int
carry_over(PyObject *self, const record_plan *plan, PyObject *name,
           const field_object *field, PyObject *changes)
{
    int given = PyDict_Contains(changes, name);
    if (given < 0) {
        return -1;
    }
    if (field->role == ROLE_FIELD && !field->init) {
        if (given) {
            PyErr_Format(PyExc_TypeError,
                         "field %U is declared with init=False, it cannot be "
                         "specified with replace()",
                         name);
        }
        return given ? -1 : 0;
    }
    if (given || field->role == ROLE_CLASSVAR) {
        return 0;
    }
    if (field->role == ROLE_INITVAR) {
        if (field->default_value == NULL) {
            PyErr_Format(PyExc_TypeError,
                         "InitVar %R must be specified with replace()", name);
            return -1;
        }
        return 0; /* the constructor has the default */
    }
    const record_field *stored = records_find_field(plan, name);
    PyObject *value = stored != NULL ? PyObject_GetAttr(self, name) : NULL;
    int status = value != NULL ? PyDict_SetItem(changes, name, value) : -1;
    Py_XDECREF(value);
    return status;
}

/* Through the constructor, as dataclasses.replace does it. */
static PyObject *
replace_by_call(PyObject *self, PyObject *const *values, PyObject *kwnames)
{
    const record_plan *plan = RECORD_PLAN(self);
    PyObject *changes = PyDict_New();
    PyObject *result = NULL;
    Py_ssize_t count = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    if (changes == NULL) {
        return NULL;
    }
    for (Py_ssize_t k = 0; k < count; k++) {
        if (PyDict_SetItem(changes, PyTuple_GET_ITEM(kwnames, k), values[k])
            < 0) {
            goto done;
        }
    }
    Py_ssize_t at = 0;
    PyObject *name, *field;
    while (PyDict_Next(plan->by_name, &at, &name, &field)) {
        if (carry_over(self, plan, name, (field_object *)field, changes) < 0) {
            goto done;
        }
    }
    result =
        PyObject_VectorcallDict((PyObject *)Py_TYPE(self), NULL, 0, changes);
done:
    Py_DECREF(changes);
    return result;
}

/* new: replace(self, **changes); values in the order of kwnames */
PyObject *
records_replace(PyObject *self, PyObject *const *values, PyObject *kwnames)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    return cls->heap.ht_type.tp_vectorcall == records_vectorcall
                   && cls->plan->simple
               ? replace_in_copy(self, values, kwnames)
               : replace_by_call(self, values, kwnames);
}

PyObject *
records_replace_method(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    if (nargs != 0) {
        PyErr_SetString(PyExc_TypeError,
                        "__replace__() takes keyword arguments only");
        return NULL;
    }
    return records_replace(self, args, kwnames);
}

/* ------------------------------------------------------------- pickle */

/* new: the bound _restore of the class, one object per class so that the
 * pickler writes it once.
 */
static PyObject *
restore_of(record_class *cls)
{
    record_plan *plan = cls->plan;
    if (plan->restore == NULL) {
        plan->restore =
            PyObject_GetAttr((PyObject *)cls, cls->state->str_restore);
    }
    return Py_XNewRef(plan->restore);
}

/* new: does the class say by itself how it is pickled? 1, 0, -1 */
static int
overrides(record_class *cls, PyObject *name)
{
    PyObject *own, *base;
    if (PyObject_GetOptionalAttr((PyObject *)cls, name, &own) < 0
        || PyObject_GetOptionalAttr((PyObject *)cls->state->record_type, name,
                                    &base)
               < 0) {
        return -1;
    }
    Py_XDECREF(own);
    Py_XDECREF(base);
    return own != base;
}

/* Can the values be written as arguments? Not when one is unset, or could
 * lead back to the record: pickle can only follow a cycle through the state.
 */
static bool
fits_arguments(PyObject *self, record_class *cls)
{
    const record_plan *plan = cls->plan;
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        if (field->kind == FE_OBJECT
            && (FE_FIELD_OBJECT(self, field) == NULL
                || !records_is_atomic(FE_FIELD_OBJECT(self, field)))) {
            return false;
        }
    }
    return plan->field_count > 0 && !cls->mixed;
}

/* new: (_restore, values) */
static PyObject *
reduce_to_arguments(PyObject *self, const record_plan *plan, PyObject *restore)
{
    PyObject *values = PyTuple_New(plan->field_count);
    for (Py_ssize_t i = 0; values != NULL && i < plan->field_count; i++) {
        PyObject *value = records_load(self, &plan->fields[i]);
        if (value == NULL) {
            Py_CLEAR(values);
            break;
        }
        PyTuple_SET_ITEM(values, i, value);
    }
    PyObject *result =
        values != NULL ? PyTuple_Pack(2, restore, values) : NULL;
    Py_XDECREF(values);
    return result;
}

static int
collect_fields(PyObject *self, const record_plan *plan, PyObject *values)
{
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *field = &plan->fields[i];
        if (field->kind == FE_OBJECT && !FE_FIELD_OBJECT(self, field)) {
            continue;
        }
        PyObject *value = records_load(self, field);
        int status =
            value != NULL ? PyDict_SetItem(values, field->name, value) : -1;
        Py_XDECREF(value);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

static bool
all_set(PyObject *self, const record_plan *plan)
{
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].kind == FE_OBJECT
            && FE_FIELD_OBJECT(self, &plan->fields[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* The values in order, a list, as dataclasses gives them for slots; with a
 * __dict__ or a field that is unset (dict or None, {name: value}).
 */
PyObject *
records_getstate(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    PyObject *dict = NULL, *result = NULL;
    PyObject *values = PyDict_New();
    if (values == NULL || collect_fields(self, cls->plan, values) < 0) {
        goto done;
    }
    if (!cls->mixed && all_set(self, cls->plan)) {
        result = PyDict_Values(values);
    }
    else if (!cls->mixed
             || PyObject_GetOptionalAttr(self, cls->state->str_dict, &dict)
                    >= 0) {
        result = PyTuple_Pack(2, dict != NULL ? dict : Py_None, values);
    }
done:
    Py_XDECREF(dict);
    Py_XDECREF(values);
    return result;
}

static PyObject *
reduce_fields(PyObject *self, record_class *cls)
{
    PyObject *restore = restore_of(cls);
    PyObject *result = NULL;
    if (restore != NULL && fits_arguments(self, cls)) {
        result = reduce_to_arguments(self, cls->plan, restore);
    }
    else if (restore != NULL) {
        PyObject *fields = records_getstate(self, NULL);
        result = fields != NULL ? PyTuple_Pack(3, restore,
                                               cls->state->empty_tuple, fields)
                                : NULL;
        Py_XDECREF(fields);
    }
    Py_XDECREF(restore);
    return result;
}

/* The class has a state of its own: as object does it, by __newobj__, which
 * serves the protocols before it too.
 */
static PyObject *
reduce_with_state(PyObject *self, PyObject *protocol)
{
    PyObject *two = PyLong_FromLong(2);
    int old =
        two != NULL ? PyObject_RichCompareBool(protocol, two, Py_LT) : -1;
    PyObject *reducer =
        old >= 0 ? PyObject_GetAttrString((PyObject *)&PyBaseObject_Type,
                                          "__reduce_ex__")
                 : NULL;
    PyObject *result = NULL;
    if (reducer != NULL) {
        PyObject *args[] = {self, old ? two : protocol};
        result = PyObject_Vectorcall(reducer, args, 2, NULL);
    }
    Py_XDECREF(two);
    Py_XDECREF(reducer);
    return result;
}

PyObject *
records_reduce_ex(PyObject *self, PyObject *protocol)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    records_state *state = cls->state;
    int reduce = overrides(cls, state->str_reduce);
    if (reduce != 0) {
        return reduce < 0 ? NULL
                          : PyObject_CallMethodNoArgs(self, state->str_reduce);
    }
    int get = overrides(cls, state->str_getstate);
    int set = overrides(cls, state->str_setstate);
    if (get < 0 || set < 0) {
        return NULL;
    }
    if (get || set) {
        return reduce_with_state(self, protocol);
    }
    return reduce_fields(self, cls);
}

static int
restore_one(PyObject *self, const record_plan *plan, const record_field *field,
            PyObject *value)
{
    if (FE_UNLIKELY(plan->checks != NULL)
        && records_check_restored(plan, field - plan->fields, value) < 0) {
        return -1;
    }
    if (field->kind != FE_OBJECT) {
        return records_store(plan->qualname, field, FE_FIELD_AT(self, field),
                             value);
    }
    Py_XSETREF(FE_FIELD_OBJECT(self, field), Py_NewRef(value));
    return 0;
}

/* _restore(*values), or _restore() for an instance __setstate__ will fill:
 * what unpickling calls. Values are checked by kind; neither __init__ nor
 * __post_init__ runs.
 */
PyObject *
records_restore(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    record_class *cls = RECORD_CLASS(op);
    if (!records_has_plan((PyTypeObject *)op)) {
        PyErr_Format(PyExc_TypeError, "%s is not a finished record class",
                     ((PyTypeObject *)op)->tp_name);
        return NULL;
    }
    record_plan *plan = cls->plan;
    if (nargs != 0 && nargs != plan->field_count) {
        PyErr_Format(PyExc_TypeError,
                     "%s._restore() takes %zd values, got %zd (did the class "
                     "change since it was pickled?)",
                     cls->heap.ht_type.tp_name, plan->field_count, nargs);
        return NULL;
    }
    if (plan->bare && plan->checks == NULL && nargs > 0) {
        return records_from_values(cls, args);
    }
    PyObject *self = records_alloc_zeroed(cls);
    if (self == NULL) {
        return NULL;
    }
    records_fill_unset(plan, self);
    for (Py_ssize_t i = 0; i < nargs; i++) {
        if (restore_one(self, plan, &plan->fields[i], args[i]) < 0) {
            records_discard(self);
            return NULL;
        }
    }
    records_track(cls, self);
    return self;
}

static int
restore_fields(PyObject *self, PyObject *values)
{
    const record_plan *plan = RECORD_PLAN(self);
    Py_ssize_t at = 0;
    PyObject *name, *value;
    while (PyDict_Next(values, &at, &name, &value)) {
        const record_field *field =
            PyUnicode_Check(name) ? records_find_field(plan, name) : NULL;
        if (field == NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%U.__setstate__(): the class has no field %R (did "
                         "it change since it was pickled?)",
                         plan->qualname, name);
            return -1;
        }
        if (restore_one(self, plan, field, value) < 0) {
            return -1;
        }
    }
    return 0;
}

/* state: the values in order; `partial`: of the first fields only will do */
static int
restore_sequence(PyObject *self, PyObject *values, bool partial)
{
    const record_plan *plan = RECORD_PLAN(self);
    Py_ssize_t count = PySequence_Fast_GET_SIZE(values);
    if (count > plan->field_count || (count < plan->field_count && !partial)) {
        PyErr_Format(PyExc_TypeError,
                     "%U.__setstate__() takes %zd values, got %zd",
                     plan->qualname, plan->field_count, count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (restore_one(self, plan, &plan->fields[i],
                        PySequence_Fast_GET_ITEM(values, i))
            < 0) {
            return -1;
        }
    }
    return 0;
}

static int
restore_pair(PyObject *self, PyObject *pair, records_state *state)
{
    PyObject *extra = PyTuple_GET_ITEM(pair, 0);
    PyObject *values = PyDict_Copy(PyTuple_GET_ITEM(pair, 1)); /* ours alone */
    int restored = values != NULL ? restore_fields(self, values) : -1;
    Py_XDECREF(values);
    if (restored < 0 || extra == Py_None) {
        return restored;
    }
    PyObject *dict = PyObject_GetAttr(self, state->str_dict);
    int status = dict != NULL ? PyDict_Update(dict, extra) : -1;
    Py_XDECREF(dict);
    return status;
}

/* __setstate__(state): either form that Record's __getstate__ gives; from a
 * class's own __getstate__, the values in order.
 */
PyObject *
records_setstate(PyObject *self, PyObject *given)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    int own = overrides(cls, cls->state->str_getstate);
    if (own < 0) {
        return NULL;
    }
    int status;
    if (!own && PyTuple_Check(given) && PyTuple_GET_SIZE(given) == 2
        && PyDict_Check(PyTuple_GET_ITEM(given, 1))) {
        status = restore_pair(self, given, cls->state);
    }
    else if (PyTuple_Check(given) || PyList_Check(given)) {
        PyObject *values = PySequence_Tuple(given); /* ours alone */
        status = values != NULL ? restore_sequence(self, values, own) : -1;
        Py_XDECREF(values);
    }
    else {
        PyErr_Format(PyExc_TypeError,
                     "%U.__setstate__() wants (dict or None, fields) or the "
                     "values in order, got %s",
                     cls->plan->qualname, Py_TYPE(given)->tp_name);
        return NULL;
    }
    return status < 0 ? NULL : Py_NewRef(Py_None);
}
