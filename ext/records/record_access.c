/* SPDX-License-Identifier: MIT
 *
 * Descriptors a record class carries in its namespace: unboxed fields and
 * cached properties. (Object fields are CPython's own member descriptors, the
 * only kind LOAD_ATTR and STORE_ATTR specialise.)
 */
#include "records_state.h"

typedef struct {
    PyObject_HEAD PyTypeObject *owner; /* owned */
    record_field field;                /* .name owned */
} unboxed_object;

/* Is obj an instance this descriptor may read? TypeError if not. */
static bool
check_owner(PyTypeObject *owner, PyObject *name, PyObject *obj)
{
    if (FE_LIKELY(Py_IS_TYPE(obj, owner) || PyObject_TypeCheck(obj, owner))) {
        return true;
    }
    PyErr_Format(PyExc_TypeError,
                 "descriptor '%U' for '%s' objects doesn't apply to a '%s' "
                 "object",
                 name, owner->tp_name, Py_TYPE(obj)->tp_name);
    return false;
}

static PyObject *
unboxed_tp_descr_get(PyObject *op, PyObject *obj, PyObject *Py_UNUSED(type))
{
    unboxed_object *self = (unboxed_object *)op;
    if (obj == NULL) {
        return Py_NewRef(op);
    }
    if (!check_owner(self->owner, self->field.name, obj)) {
        return NULL;
    }
    return fe_load_unboxed(FE_FIELD_AT(obj, &self->field), &self->field);
}

static int
unboxed_tp_descr_set(PyObject *op, PyObject *obj, PyObject *value)
{
    unboxed_object *self = (unboxed_object *)op;
    if (!check_owner(self->owner, self->field.name, obj)) {
        return -1;
    }
    const record_plan *plan = RECORD_PLAN(obj);
    const record_field *field = &self->field;
    if (FE_UNLIKELY(
            plan->sensitive)) { /* a subclass may have declared it so */
        field = records_find_field(plan, field->name);
    }
    PyObject *qualname = plan->qualname;
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError,
                     "cannot delete unboxed field '%U' of record '%U'",
                     self->field.name, qualname);
        return -1;
    }
    return records_store(qualname, field, FE_FIELD_AT(obj, field), value);
}

PyObject *
records_unboxed_new(records_state *state, PyTypeObject *owner,
                    const record_field *field)
{
    unboxed_object *self =
        PyObject_GC_New(unboxed_object, state->unboxed_type);
    if (self == NULL) {
        return NULL;
    }
    self->owner = (PyTypeObject *)Py_NewRef(owner);
    self->field = *field;
    Py_INCREF(field->name);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* Is the descriptor that of this very field? */
bool
records_unboxed_is(PyObject *obj, const record_field *field)
{
    const record_field *own = &((unboxed_object *)obj)->field;
    return own->name == field->name && own->offset == field->offset;
}

static int
unboxed_tp_traverse(unboxed_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    return 0;
}

static void
unboxed_tp_dealloc(unboxed_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_DECREF(self->owner);
    Py_DECREF(self->field.name);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *
unboxed_tp_repr(unboxed_object *self)
{
    return PyUnicode_FromFormat("<unboxed %s field '%U' of '%s' records>",
                                fe_kind_names[self->field.kind],
                                self->field.name, self->owner->tp_name);
}

static PyObject *
unboxed_get_name(unboxed_object *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->field.name);
}

static PyObject *
unboxed_get_owner(unboxed_object *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->owner);
}

static PyObject *
unboxed_get_kind(unboxed_object *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(fe_kind_names[self->field.kind]);
}

static PyObject *
unboxed_get_doc(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Py_RETURN_NONE;
}

static PyGetSetDef unboxed_getset[] = {
    {"__name__", (getter)unboxed_get_name, NULL, "Name of the field.", NULL},
    {"__objclass__", (getter)unboxed_get_owner, NULL,
     "Class that declares it.", NULL},
    {"__doc__", (getter)unboxed_get_doc, NULL, NULL, NULL},
    {"kind", (getter)unboxed_get_kind, NULL, "Storage kind.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot unboxed_slots[] = {
    {Py_tp_descr_get, FE_SLOT(unboxed_tp_descr_get)},
    {Py_tp_descr_set, FE_SLOT(unboxed_tp_descr_set)},
    {Py_tp_traverse, FE_SLOT(unboxed_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(unboxed_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(unboxed_tp_repr)},
    {Py_tp_getset, FE_SLOT(unboxed_getset)},
    {0, NULL},
};

PyType_Spec records_unboxed_spec = {
    .name = "ferrule._records.UnboxedField",
    .basicsize = sizeof(unboxed_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = unboxed_slots,
};

/* --------------------------------------------------- cached properties */

typedef struct {
    PyObject_HEAD PyTypeObject *owner; /* owned; NULL until bound */
    PyObject *name;                    /* owned */
    PyObject *property; /* owned: the functools.cached_property */
    PyObject *func;     /* owned */
    uint32_t offset;    /* of the hidden object slot */
} cached_object;

static PyObject **
cached_slot(cached_object *self, PyObject *obj)
{
    return (PyObject **)((char *)obj + self->offset);
}

static bool
cached_applies(cached_object *self, PyObject *obj)
{
    if (self->owner == NULL || self->func == NULL) {
        PyErr_Format(PyExc_TypeError,
                     "cached property '%U' belongs to no finished record",
                     self->name);
        return false;
    }
    return check_owner(self->owner, self->name, obj);
}

static PyObject *
cached_tp_descr_get(PyObject *op, PyObject *obj, PyObject *Py_UNUSED(type))
{
    cached_object *self = (cached_object *)op;
    if (obj == NULL) {
        return Py_NewRef(op);
    }
    if (!cached_applies(self, obj)) {
        return NULL;
    }
    PyObject *value = *cached_slot(self, obj);
    if (value != NULL) {
        return Py_NewRef(value);
    }
    value = PyObject_CallOneArg(self->func, obj);
    if (value != NULL && *cached_slot(self, obj) == NULL) {
        *cached_slot(self, obj) = Py_NewRef(value);
    }
    return value;
}

static int
cached_tp_descr_set(PyObject *op, PyObject *obj, PyObject *value)
{
    cached_object *self = (cached_object *)op;
    if (!cached_applies(self, obj)) {
        return -1;
    }
    PyObject **slot = cached_slot(self, obj);
    if (value == NULL && *slot == NULL) {
        PyErr_SetObject(PyExc_AttributeError, self->name);
        return -1;
    }
    Py_XSETREF(*slot, Py_XNewRef(value));
    return 0;
}

/* new: stands for `property` in the class body until records_cached_bind */
PyObject *
records_cached_new(records_state *state, PyObject *name, PyObject *property)
{
    PyObject *func = PyObject_GetAttr(property, state->str_func);
    if (func == NULL) {
        return NULL;
    }
    cached_object *self = PyObject_GC_New(cached_object, state->cached_type);
    if (self == NULL) {
        Py_DECREF(func);
        return NULL;
    }
    self->owner = NULL;
    self->name = Py_NewRef(name);
    self->property = Py_NewRef(property);
    self->func = func;
    self->offset = 0;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* Give it its slot, and tell the property its name. 0 or -1 */
int
records_cached_bind(PyObject *op, PyTypeObject *owner, uint32_t offset)
{
    cached_object *self = (cached_object *)op;
    self->offset = offset;
    Py_XSETREF(self->owner, (PyTypeObject *)Py_NewRef(owner));
    PyObject *result = PyObject_CallMethod(self->property, "__set_name__",
                                           "OO", owner, self->name);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

static int
cached_tp_traverse(cached_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    Py_VISIT(self->property);
    Py_VISIT(self->func);
    return 0;
}

static int
cached_tp_clear(cached_object *self)
{
    Py_CLEAR(self->owner);
    Py_CLEAR(self->property);
    Py_CLEAR(self->func);
    return 0;
}

static void
cached_tp_dealloc(cached_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    cached_tp_clear(self);
    Py_DECREF(self->name);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *
cached_get(cached_object *self, void *closure)
{
    if (self->property == NULL) {
        Py_RETURN_NONE;
    }
    return PyObject_GetAttrString(self->property, closure);
}

static PyGetSetDef cached_getset[] = {
    {"func", (getter)cached_get, NULL, "The decorated function.",
     FE_TEXT("func")},
    {"attrname", (getter)cached_get, NULL, "Name in the class.",
     FE_TEXT("attrname")},
    {"__doc__", (getter)cached_get, NULL, NULL, FE_TEXT("__doc__")},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot cached_slots[] = {
    {Py_tp_descr_get, FE_SLOT(cached_tp_descr_get)},
    {Py_tp_descr_set, FE_SLOT(cached_tp_descr_set)},
    {Py_tp_getset, FE_SLOT(cached_getset)},
    {Py_tp_traverse, FE_SLOT(cached_tp_traverse)},
    {Py_tp_clear, FE_SLOT(cached_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(cached_tp_dealloc)},
    {0, NULL},
};

PyType_Spec records_cached_spec = {
    .name = "ferrule._records.CachedField",
    .basicsize = sizeof(cached_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cached_slots,
};
