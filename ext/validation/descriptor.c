/* SPDX-License-Identifier: MIT
 *
 * Bounded and Validated as Python objects: reading, writing and unsetting the
 * attribute, the names they get from __set_name__, pickle, and the capsule by
 * which record classes find them.
 */
#include "validation_state.h"
#include "field_check.h"

/* -------------------------------------------------------------- names */

static const char *
descriptor_type_name(const descriptor_object *self)
{
    return self->validated ? "Validated" : "Bounded";
}

static void
descriptor_complain_unbound(descriptor_object *self, PyObject *obj)
{
    const char *name = descriptor_type_name(self);
    PyErr_Format(PyExc_TypeError,
                 "%s: an attribute of '%s' has no name: it was assigned after "
                 "the class was made; call its __set_name__(cls, name)",
                 name, Py_TYPE(obj)->tp_name);
}

/* One descriptor, one name: two attributes would share their values. */
static int
descriptor_check_name(descriptor_object *self, PyObject *owner, PyObject *name)
{
    if (self->owner == NULL || self->name == NULL) {
        return 0;
    }
    int same = PyUnicode_Compare(self->name, name);
    if (same != 0 && !PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError,
                     "%s: one descriptor cannot be both %U.%U and %U.%U; make "
                     "one for each",
                     descriptor_type_name(self), self->owner, self->name,
                     owner, name);
    }
    return same == 0 && !PyErr_Occurred() ? 0 : -1;
}

/* Take the name, an exact str, and what is made of it. owner NULL: stays free
 * to be bound to another.
 */
static int
descriptor_take_name(descriptor_object *self, PyObject *owner, PyObject *name)
{
    Py_INCREF(name);
    PyUnicode_InternInPlace(&name);
    PyObject *private_name =
        PyUnicode_FromFormat(self->validated ? "_%U" : "_bounded_%U", name);
    if (private_name == NULL) {
        Py_DECREF(name);
        return -1;
    }
    PyUnicode_InternInPlace(&private_name);
    memset(self->places, 0, sizeof(self->places));
    self->hint.type = NULL;
    Py_XSETREF(self->name, name);
    Py_XSETREF(self->private_name, private_name);
    Py_XSETREF(self->owner, Py_XNewRef(owner));
    return 0;
}

PyDoc_STRVAR(descriptor___set_name____doc__,
             "__set_name__($self, owner, name, /)\n--\n\n"
             "Called when a class with the attribute is made: the value is "
             "kept under a\nname made of it. TypeError if it is the attribute "
             "of another name already.");

static PyObject *
descriptor___set_name__(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    descriptor_object *self = DESCRIPTOR(op);
    if (nargs != 2 || !PyType_Check(args[0]) || !PyUnicode_Check(args[1])) {
        PyErr_Format(PyExc_TypeError,
                     "%s.__set_name__() wants a class and a name",
                     descriptor_type_name(self));
        return NULL;
    }
    PyObject *name = PyUnicode_FromObject(args[1]);
    PyObject *owner =
        name != NULL ? PyType_GetQualName((PyTypeObject *)args[0]) : NULL;
    int status =
        owner == NULL || descriptor_check_name(self, owner, name) < 0 ? -1 : 0;
    if (status == 0 && (self->owner == NULL || self->name == NULL)) {
        status = descriptor_take_name(self, owner, name);
    }
    Py_XDECREF(name);
    Py_XDECREF(owner);
    return status == 0 ? Py_NewRef(Py_None) : NULL;
}

/* ------------------------------------------------- reading and writing */

static PyObject **
descriptor_slot(PyObject *obj, Py_ssize_t offset)
{
    return (PyObject **)((char *)obj + offset);
}

/* Where the instances of the type keep the value: known, or found out now
 * and written to *place. NULL with an exception.
 */
FE_INLINE const descriptor_place *
descriptor_find_place(descriptor_object *self, PyObject *obj,
                      descriptor_place *room)
{
    PyTypeObject *type = Py_TYPE(obj);
    const descriptor_place *place =
        &self->places[(uintptr_t)type / 64 % DESCRIPTOR_PLACES];
    if (FE_LIKELY(place->type == type
                  && fe_type_is_version(type, place->version))) {
        return place;
    }
    if (self->private_name == NULL) {
        descriptor_complain_unbound(self, obj);
        return NULL;
    }
    return descriptor_place_of(self, type, room) == 0 ? room : NULL;
}

/* borrowed from self: under which attribute the value is */
static PyObject *
descriptor_attribute(descriptor_object *self, const descriptor_place *place)
{
    return place->way == PLACE_RECORD ? self->name : self->private_name;
}

/* new: by getattr, None where there is none. Runs Python code. */
static FE_NOINLINE PyObject *
descriptor_get_attribute(descriptor_object *self, PyObject *obj,
                         const descriptor_place *place)
{
    PyObject *name = Py_NewRef(descriptor_attribute(self, place)), *value;
    int found = PyObject_GetOptionalAttr(obj, name, &value);
    Py_DECREF(name);
    return found == 0 ? Py_NewRef(Py_None) : value;
}

static PyObject *
descriptor_tp_descr_get(PyObject *op, PyObject *obj, PyObject *Py_UNUSED(type))
{
    if (obj == NULL) {
        return Py_NewRef(op);
    }
    descriptor_object *self = DESCRIPTOR(op);
    descriptor_place room;
    const descriptor_place *place = descriptor_find_place(self, obj, &room);
    if (FE_UNLIKELY(place == NULL)) {
        return NULL;
    }
    if (place->way == PLACE_SLOT) {
        PyObject *value = *descriptor_slot(obj, place->offset);
        return Py_NewRef(value != NULL ? value : Py_None);
    }
    if (FE_LIKELY(place->way == PLACE_PLAIN)) {
        PyObject *value; /* the name lives as long as the look-up needs it */
        return PyObject_GetOptionalAttr(obj, self->private_name, &value) == 0
                   ? Py_NewRef(Py_None)
                   : value;
    }
    return descriptor_get_attribute(self, obj, place);
}

static FE_NOINLINE int
descriptor_complain_unset(descriptor_object *self, PyObject *obj)
{
    PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '%U'",
                 Py_TYPE(obj)->tp_name, self->private_name);
    return -1;
}

/* by setattr, or delattr. Runs Python code. */
static FE_NOINLINE int
descriptor_put_attribute(descriptor_object *self, PyObject *obj,
                         const descriptor_place *place, PyObject *value)
{
    PyObject *name = Py_NewRef(descriptor_attribute(self, place));
    int status = PyObject_SetAttr(obj, name, value);
    Py_DECREF(name);
    return status;
}

/* value NULL: unset */
static int
descriptor_tp_descr_set(PyObject *op, PyObject *obj, PyObject *value)
{
    descriptor_object *self = DESCRIPTOR(op);
    if (FE_UNLIKELY(self->private_name == NULL)) {
        descriptor_complain_unbound(self, obj);
        return -1;
    }
    if (FE_LIKELY(value != NULL)
        && descriptor_check(self, value, obj, false) < 0) {
        return -1;
    }
    descriptor_place room;
    const descriptor_place *place = descriptor_find_place(self, obj, &room);
    if (FE_UNLIKELY(place == NULL)) {
        return -1;
    }
    if (place->way == PLACE_SLOT) {
        PyObject **slot = descriptor_slot(obj, place->offset);
        if (FE_UNLIKELY(value == NULL && *slot == NULL)) {
            return descriptor_complain_unset(self, obj);
        }
        Py_XSETREF(*slot, Py_XNewRef(value));
        return 0;
    }
    /* PyObject_SetAttr less interning the name, and a call: a sixth. The old
     * value may run code that drops the descriptor, but then the name is not
     * needed any more. */
    return FE_LIKELY(place->way == PLACE_PLAIN)
               ? PyObject_GenericSetAttr(obj, self->private_name, value)
               : descriptor_put_attribute(self, obj, place, value);
}

/* ----------------------------------------------------- in record classes */

static int
descriptor_field_check(PyObject *check, PyObject *value, int sensitive)
{
    return descriptor_check(DESCRIPTOR(check), value, NULL, sensitive);
}

/* A record writes its slot itself: what a subclass does in __set__ or __get__
 * would not be done.
 */
static int
descriptor_field_bind(PyObject *check, PyTypeObject *owner, PyObject *name)
{
    PyTypeObject *type = Py_TYPE(check);
    bool replaced = type->tp_descr_get != descriptor_tp_descr_get
                    || type->tp_descr_set != descriptor_tp_descr_set;
    PyObject *result = replaced ? NULL
                                : PyObject_CallMethod(check, "__set_name__",
                                                      "OO", owner, name);
    Py_XDECREF(result);
    if (!replaced
        && (result == NULL || DESCRIPTOR(check)->private_name != NULL)) {
        return result != NULL ? 0 : -1;
    }
    PyObject *where = PyType_GetQualName(owner);
    if (where != NULL) {
        PyErr_Format(PyExc_TypeError,
                     replaced ? "%U.%U: %s defines __get__, __set__ or "
                                "__delete__, which a record does not call"
                              : "%U.%U: __set_name__ of %s does not call that "
                                "of its base",
                     where, name, type->tp_name);
        Py_DECREF(where);
    }
    return -1;
}

static const fe_field_check descriptor_capsule = {
    FE_FIELD_CHECK_VERSION, descriptor_field_check, descriptor_field_bind};

static int
descriptor_offer(PyTypeObject *type)
{
    /* a capsule holds a pointer that is not const */
    void *pointer = (void *)(uintptr_t)&descriptor_capsule;
    PyObject *capsule = PyCapsule_New(pointer, FE_FIELD_CHECK_NAME, NULL);
    int status = capsule != NULL
                     ? PyDict_SetItemString(fe_type_dict_borrow(type),
                                            FE_FIELD_CHECK_ATTRIBUTE, capsule)
                     : -1;
    Py_XDECREF(capsule);
    PyType_Modified(type);
    return status;
}

/* ----------------------------------------------------------- the object */

static PyObject *
descriptor_new(PyTypeObject *type, bool validated)
{
    descriptor_object *self = DESCRIPTOR(type->tp_alloc(type, 0));
    if (self != NULL) {
        self->validated = validated;
        self->min_val = Py_NewRef(Py_None);
        self->max_val = Py_NewRef(Py_None);
    }
    return (PyObject *)self;
}

static PyObject *
bounded_tp_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
               PyObject *Py_UNUSED(kwargs))
{
    return descriptor_new(type, false);
}

static PyObject *
validated_tp_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                 PyObject *Py_UNUSED(kwargs))
{
    return descriptor_new(type, true);
}

static int
bounded_tp_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    char *names[] = {FE_TEXT("min_val"), FE_TEXT("max_val"), NULL};
    PyObject *low = Py_None, *high = Py_None;
    return PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:Bounded", names,
                                       &low, &high)
               ? descriptor_set_bounds(DESCRIPTOR(self), low, high)
               : -1;
}

static int
validated_tp_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    char *names[] = {FE_TEXT("min_val"), FE_TEXT("max_val"), NULL};
    PyObject *low = NULL, *high = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OO:Validated", names,
                                     &low, &high)) {
        return -1;
    }
    low = low != NULL ? Py_NewRef(low) : PyFloat_FromDouble(-Py_HUGE_VAL);
    high = high != NULL ? Py_NewRef(high) : PyFloat_FromDouble(Py_HUGE_VAL);
    int status = low != NULL && high != NULL
                     ? descriptor_set_bounds(DESCRIPTOR(self), low, high)
                     : -1;
    Py_XDECREF(low);
    Py_XDECREF(high);
    return status;
}

static int
descriptor_tp_traverse(descriptor_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->min_val);
    Py_VISIT(self->max_val);
    return 0;
}

/* The bounds are never NULL: whoever still holds the descriptor can use it. */
static int
descriptor_tp_clear(descriptor_object *self)
{
    self->quick = false;
    Py_SETREF(self->min_val, Py_NewRef(Py_None));
    Py_SETREF(self->max_val, Py_NewRef(Py_None));
    return 0;
}

static void
descriptor_tp_dealloc(descriptor_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_DECREF(self->min_val);
    Py_DECREF(self->max_val);
    Py_XDECREF(self->name);
    Py_XDECREF(self->private_name);
    Py_XDECREF(self->owner);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *
descriptor_tp_repr(descriptor_object *self)
{
    const char *name = Py_TYPE(self)->tp_name;
    const char *dot = strrchr(name, '.');
    PyObject *low = Py_NewRef(self->min_val);
    PyObject *high = Py_NewRef(self->max_val);
    PyObject *text = PyUnicode_FromFormat(
        "%s(min_val=%R, max_val=%R)", dot != NULL ? dot + 1 : name, low, high);
    Py_DECREF(low);
    Py_DECREF(high);
    return text;
}

/* ---------------------------------------------------- copies and pickle */

static PyObject *
descriptor_own_dict(PyObject *self)
{
    PyObject *dict;
    int found = fe_find_attr(self, "__dict__", &dict);
    return found == 0 ? Py_NewRef(Py_None) : dict;
}

PyDoc_STRVAR(descriptor___reduce____doc__,
             "__reduce__($self, /)\n--\n\n"
             "For copy and pickle: bounds and name; a copy may be given "
             "another name.");

static PyObject *
descriptor___reduce__(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    descriptor_object *self = DESCRIPTOR(op);
    PyObject *module = PyImport_ImportModule("copyreg");
    PyObject *make = module != NULL ? fe_getattr(module, "__newobj__") : NULL;
    PyObject *dict = make != NULL ? descriptor_own_dict(op) : NULL;
    PyObject *args = dict != NULL ? PyTuple_Pack(1, Py_TYPE(op)) : NULL;
    PyObject *name = self->name != NULL ? self->name : Py_None;
    PyObject *state = args != NULL ? PyTuple_Pack(4, self->min_val,
                                                  self->max_val, name, dict)
                                   : NULL;
    PyObject *result =
        state != NULL ? PyTuple_Pack(3, make, args, state) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(make);
    Py_XDECREF(dict);
    Py_XDECREF(args);
    Py_XDECREF(state);
    return result;
}

PyDoc_STRVAR(descriptor___setstate____doc__,
             "__setstate__($self, state, /)\n--\n\n"
             "Take the state that __reduce__ gave.");

static PyObject *
descriptor___setstate__(PyObject *op, PyObject *state)
{
    descriptor_object *self = DESCRIPTOR(op);
    if (!PyTuple_Check(state) || PyTuple_GET_SIZE(state) != 4) {
        PyErr_Format(PyExc_TypeError,
                     "%s.__setstate__() wants the state of one, got %s",
                     descriptor_type_name(self), Py_TYPE(state)->tp_name);
        return NULL;
    }
    PyObject *name = PyTuple_GET_ITEM(state, 2);
    PyObject *given = PyTuple_GET_ITEM(state, 3);
    if (descriptor_set_bounds(self, PyTuple_GET_ITEM(state, 0),
                              PyTuple_GET_ITEM(state, 1))
            < 0
        || (PyUnicode_CheckExact(name)
            && descriptor_take_name(self, NULL, name) < 0)) {
        return NULL;
    }
    if (given == Py_None) {
        Py_RETURN_NONE;
    }
    PyObject *dict = fe_getattr(op, "__dict__");
    int status = dict != NULL ? PyDict_Update(dict, given) : -1;
    Py_XDECREF(dict);
    return status == 0 ? Py_NewRef(Py_None) : NULL;
}

/* ------------------------------------------------------------ attributes */

static PyObject *
descriptor_get_min_val(descriptor_object *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->min_val);
}

static PyObject *
descriptor_get_max_val(descriptor_object *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->max_val);
}

/* closure: not NULL for max_val */
static int
descriptor_set_bound(descriptor_object *self, PyObject *value, void *closure)
{
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "%s: a bound cannot be deleted",
                     descriptor_type_name(self));
        return -1;
    }
    PyObject *low = Py_NewRef(closure == NULL ? value : self->min_val);
    PyObject *high = Py_NewRef(closure == NULL ? self->max_val : value);
    int status = descriptor_set_bounds(self, low, high);
    Py_DECREF(low);
    Py_DECREF(high);
    return status;
}

static PyObject *
descriptor_given_name(descriptor_object *self, PyObject *name,
                      const char *attribute)
{
    if (name == NULL) {
        PyErr_Format(PyExc_AttributeError,
                     "'%s' object has no attribute '%s' before __set_name__",
                     descriptor_type_name(self), attribute);
        return NULL;
    }
    return Py_NewRef(name);
}

static PyObject *
descriptor_get_public_name(descriptor_object *self, void *closure)
{
    return descriptor_given_name(self, self->name, closure);
}

static PyObject *
descriptor_get_private_name(descriptor_object *self, void *closure)
{
    return descriptor_given_name(self, self->private_name, closure);
}

#define DESCRIPTOR_BOUNDS                                                     \
    {"min_val", (getter)descriptor_get_min_val, (setter)descriptor_set_bound, \
     "The least value allowed.", NULL},                                       \
    {                                                                         \
        "max_val", (getter)descriptor_get_max_val,                            \
            (setter)descriptor_set_bound, "The greatest value allowed.",      \
            FE_TEXT("max_val")                                                \
    }

static PyGetSetDef bounded_getset[] = {
    DESCRIPTOR_BOUNDS,
    {"storage_name", (getter)descriptor_get_private_name, NULL,
     "Name of the attribute that holds the value.", FE_TEXT("storage_name")},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef validated_getset[] = {
    DESCRIPTOR_BOUNDS,
    {"public_name", (getter)descriptor_get_public_name, NULL,
     "Name of the attribute.", FE_TEXT("public_name")},
    {"private_name", (getter)descriptor_get_private_name, NULL,
     "Name of the attribute that holds the value.", FE_TEXT("private_name")},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef descriptor_methods[] = {
    {"__set_name__", FE_METHOD(descriptor___set_name__), METH_FASTCALL,
     descriptor___set_name____doc__},
    {"__reduce__", descriptor___reduce__, METH_NOARGS,
     descriptor___reduce____doc__},
    {"__setstate__", descriptor___setstate__, METH_O,
     descriptor___setstate____doc__},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    bounded__doc__,
    "Bounded(min_val=None, max_val=None)\n--\n\n"
    "A descriptor: the attribute's value lies within bounds.\n\n"
    "Bounds and values are of any type with an order; None is no bound. A "
    "value\noutside raises ConstraintError (a ValueError), one that cannot be "
    "compared\nTypeError; the attribute keeps what it had. It reads as None "
    "while unset. The\nvalue is kept as _bounded_<name>.");

PyDoc_STRVAR(
    validated__doc__,
    "Validated(*, min_val=-1e999, max_val=1e999)\n--\n\n"
    "A descriptor: the attribute's value is a number within bounds.\n\n"
    "What is no int or float raises TypeError, a number outside "
    "ConstraintError (a\nValueError); the attribute keeps what it had. It "
    "reads as None while unset. The\nvalue is kept as _<name>.");

#define DESCRIPTOR_SLOTS                                                      \
    {Py_tp_descr_get, FE_SLOT(descriptor_tp_descr_get)},                      \
        {Py_tp_descr_set, FE_SLOT(descriptor_tp_descr_set)},                  \
        {Py_tp_traverse, FE_SLOT(descriptor_tp_traverse)},                    \
        {Py_tp_clear, FE_SLOT(descriptor_tp_clear)},                          \
        {Py_tp_dealloc, FE_SLOT(descriptor_tp_dealloc)},                      \
        {Py_tp_repr, FE_SLOT(descriptor_tp_repr)},                            \
    {                                                                         \
        Py_tp_methods, descriptor_methods                                     \
    }

static PyType_Slot bounded_slots[] = {
    {Py_tp_doc, FE_TEXT(bounded__doc__)},
    {Py_tp_new, FE_SLOT(bounded_tp_new)},
    {Py_tp_init, FE_SLOT(bounded_tp_init)},
    {Py_tp_getset, bounded_getset},
    DESCRIPTOR_SLOTS,
    {0, NULL},
};

static PyType_Slot validated_slots[] = {
    {Py_tp_doc, FE_TEXT(validated__doc__)},
    {Py_tp_new, FE_SLOT(validated_tp_new)},
    {Py_tp_init, FE_SLOT(validated_tp_init)},
    {Py_tp_getset, validated_getset},
    DESCRIPTOR_SLOTS,
    {0, NULL},
};

enum {
    DESCRIPTOR_FLAGS = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
    | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE
};

static PyType_Spec bounded_spec = {
    .name = "ferrule.validation.Bounded",
    .basicsize = sizeof(descriptor_object),
    .flags = DESCRIPTOR_FLAGS,
    .slots = bounded_slots,
};

static PyType_Spec validated_spec = {
    .name = "ferrule.validation.Validated",
    .basicsize = sizeof(descriptor_object),
    .flags = DESCRIPTOR_FLAGS,
    .slots = validated_slots,
};

static PyTypeObject *
descriptor_add(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL
        && (descriptor_offer(type) < 0
            || PyModule_AddType(module, type) < 0)) {
        Py_CLEAR(type);
    }
    return type;
}

int
descriptor_register(PyObject *module, validation_state *state)
{
    state->descriptor_annotations =
        PyUnicode_InternFromString("__annotations__");
    if (state->descriptor_annotations == NULL) {
        return -1;
    }
    state->bounded_type = descriptor_add(module, &bounded_spec);
    state->validated_type = state->bounded_type != NULL
                                ? descriptor_add(module, &validated_spec)
                                : NULL;
    return state->validated_type != NULL ? 0 : -1;
}
