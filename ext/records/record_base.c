/* SPDX-License-Identifier: MIT
 *
 * The base type all records inherit their slots and methods from, Record
 * itself, and the two methods of frozen records.
 */
#include "records_state.h"

/* ------------------------------------------------------------- frozen */

/* Set dataclasses.FrozenInstanceError. */
static void
refuse_frozen(PyObject *self, PyObject *name, const char *verb)
{
    PyObject *module = PyImport_ImportModule("dataclasses");
    PyObject *exception =
        module != NULL ? PyObject_GetAttrString(module, "FrozenInstanceError")
                       : NULL;
    if (exception != NULL) {
        PyErr_Format(exception, "cannot %s field %R of frozen record '%U'",
                     verb, name, RECORD_PLAN(self)->qualname);
    }
    Py_XDECREF(module);
    Py_XDECREF(exception);
}

/* May the attribute be set? In __post_init__, and on a plain subclass of a
 * frozen record when it is no field.
 */
static bool
may_set(PyObject *self, PyObject *name)
{
    const record_plan *plan = RECORD_PLAN(self);
    if (records_thawed(RECORD_CLASS(Py_TYPE(self))->state, self)) {
        return true;
    }
    return plan->plain && PyUnicode_Check(name)
           && records_find_field(plan, name) == NULL;
}

/* new: None, the attribute set or deleted as if the record were not frozen */
static PyObject *
set_thawed(PyObject *self, PyObject *name, PyObject *value)
{
    int status = RECORD_PLAN(self)->checks != NULL
                     ? records_setattr_checked(self, name, value)
                     : PyObject_GenericSetAttr(self, name, value);
    return status == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
frozen_setattr(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_Format(PyExc_TypeError,
                     "__setattr__() takes 2 arguments, got %zd", nargs);
        return NULL;
    }
    if (!may_set(self, args[0])) {
        refuse_frozen(self, args[0], "assign to");
        return NULL;
    }
    return set_thawed(self, args[0], args[1]);
}

static PyObject *
frozen_delattr(PyObject *self, PyObject *name)
{
    if (!may_set(self, name)) {
        refuse_frozen(self, name, "delete");
        return NULL;
    }
    return set_thawed(self, name, NULL);
}

static PyMethodDef frozen_methods[] = {
    {"__setattr__", FE_METHOD(frozen_setattr), METH_FASTCALL,
     "Refuse to change a frozen record."},
    {"__delattr__", FE_METHOD(frozen_delattr), METH_O,
     "Refuse to change a frozen record."},
    {NULL, NULL, 0, NULL},
};

/* ---------------------------------------------------------- base type */

PyDoc_STRVAR(copy__doc__, "__copy__($self, /)\n--\n\nA shallow copy.");
PyDoc_STRVAR(deepcopy__doc__,
             "__deepcopy__($self, memo, /)\n--\n\nA deep copy.");
PyDoc_STRVAR(replace__doc__, "__replace__($self, /, **changes)\n--\n\n"
                             "A new record with some fields changed.");
PyDoc_STRVAR(reduce__doc__,
             "__reduce_ex__($self, protocol, /)\n--\n\nPickle support.");
PyDoc_STRVAR(getstate__doc__,
             "__getstate__($self, /)\n--\n\n(dict or None, fields).");
PyDoc_STRVAR(setstate__doc__, "__setstate__($self, state, /)\n--\n\n"
                              "Fill the fields from what __getstate__ gave.");
PyDoc_STRVAR(restore__doc__,
             "_restore($type, /, *values)\n--\n\n"
             "What unpickling calls: an instance with these fields.");

static PyMethodDef base_methods[] = {
    {"__copy__", FE_METHOD(records_copy), METH_NOARGS, copy__doc__},
    {"__deepcopy__", FE_METHOD(records_deepcopy), METH_O, deepcopy__doc__},
    {"__replace__", FE_METHOD(records_replace_method),
     METH_FASTCALL | METH_KEYWORDS, replace__doc__},
    {"__reduce_ex__", FE_METHOD(records_reduce_ex), METH_O, reduce__doc__},
    {"__getstate__", FE_METHOD(records_getstate), METH_NOARGS,
     getstate__doc__},
    {"__setstate__", FE_METHOD(records_setstate), METH_O, setstate__doc__},
    {"_restore", FE_METHOD(records_restore), METH_FASTCALL | METH_CLASS,
     restore__doc__},
    {NULL, NULL, 0, NULL},
};

static PyObject *
base_get_class(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(Py_TYPE(self));
}

/* Same places, same memory: what object's own check takes for granted when
 * sizes agree, though a field may lie in what was a hole.
 */
static bool
same_layout(const record_class *a, const record_class *b)
{
    return a->plan->field_count == b->plan->field_count
           && a->plan->object_count == b->plan->object_count
           && a->heap.ht_type.tp_weaklistoffset
                  == b->heap.ht_type.tp_weaklistoffset
           && a->gc == b->gc && a->mixed == b->mixed;
}

static int
base_set_class(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    if (value != NULL && records_is_class(cls->state, value)
        && !same_layout(cls, RECORD_CLASS(value))) {
        PyErr_Format(PyExc_TypeError,
                     "__class__ assignment: record layouts of '%U' and '%U' "
                     "differ",
                     RECORD_CLASS(value)->plan->qualname, cls->plan->qualname);
        return -1;
    }
    PyObject *objects = PyMapping_GetItemString(
        fe_type_dict_borrow(&PyBaseObject_Type), "__class__");
    if (objects == NULL) {
        return -1;
    }
    int status = Py_TYPE(objects)->tp_descr_set(objects, self, value);
    Py_DECREF(objects);
    return status;
}

static PyGetSetDef base_getset[] = {
    {"__class__", base_get_class, base_set_class, "Class of the record.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot base_slots[] = {
    {Py_tp_getset, FE_SLOT(base_getset)},
    {Py_tp_new, FE_SLOT(records_new)},
    {Py_tp_dealloc, FE_SLOT(records_dealloc)},
    {Py_tp_traverse, FE_SLOT(records_traverse)},
    {Py_tp_clear, FE_SLOT(records_clear)},
    {Py_tp_richcompare, FE_SLOT(records_richcompare)},
    {Py_tp_hash, FE_SLOT(records_hash)},
    {Py_tp_repr, FE_SLOT(records_repr)},
    {Py_tp_setattro, FE_SLOT(records_setattr_checked)},
    {Py_tp_methods, FE_SLOT(base_methods)},
    {0, NULL},
};

PyType_Spec records_base_spec = {
    .name = "ferrule._records.RecordBase",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = base_slots,
};

PyDoc_STRVAR(record__doc__,
             "Base of compact typed records: annotate the fields.\n\n"
             "Storage annotations (i8 … u64, f32, f64, bool8, Annotated[bytes,"
             "\nSize(n)], Annotated[str, Size(n)]) are kept unboxed; any other"
             "\nis a slot that holds the object itself. Class keywords: frozen"
             "\norder eq repr init unsafe_hash match_args kw_only weakref gc"
             "\nsealed packed endian.\n\n"
             "A wrong value raises TypeError, OverflowError or ValueError that"
             "\nnames class and field, and leaves the record as it was.");

/* Keep the slot wrappers aside and give the base object's slots back: a class
 * shows __eq__, __hash__, __repr__ and the order only when it asked for them,
 * __setattr__ and __delattr__ only when it has checked fields.
 */
static int
set_methods_aside(records_state *state)
{
    static const char *const names[] = {
        "__eq__",      "__ne__",      "__lt__",   "__le__",
        "__gt__",      "__ge__",      "__hash__", "__repr__",
        "__setattr__", "__delattr__", NULL};
    PyTypeObject *base = state->base_type;
    PyObject *dict = fe_type_dict_borrow(base);
    state->methods = PyDict_New();
    if (state->methods == NULL) {
        return -1;
    }
    for (int i = 0; names[i] != NULL; i++) {
        PyObject *method = PyMapping_GetItemString(dict, names[i]);
        int status = method != NULL ? PyDict_SetItemString(state->methods,
                                                           names[i], method)
                                    : -1;
        Py_XDECREF(method);
        if (status < 0 || PyDict_DelItemString(dict, names[i]) < 0) {
            return -1;
        }
    }
    base->tp_richcompare = PyBaseObject_Type.tp_richcompare;
    base->tp_hash = PyBaseObject_Type.tp_hash;
    base->tp_repr = PyBaseObject_Type.tp_repr;
    base->tp_setattro = PyBaseObject_Type.tp_setattro;
    PyType_Modified(base);
    return 0;
}

static PyMethodDef meta_new_def = {"__new__", FE_METHOD(records_meta_new),
                                   METH_VARARGS | METH_KEYWORDS,
                                   "Create a record class."};

/* RecordMeta.__new__ is an attribute, not the slot: type.__new__ then accepts
 * calls from the metaclasses that come after it (ABCMeta).
 */
static int
add_meta_new(PyObject *module, records_state *state)
{
    PyObject *function = PyCFunction_New(&meta_new_def, module);
    PyObject *method = function != NULL ? PyStaticMethod_New(function) : NULL;
    int status = method != NULL
                     ? PyType_Type.tp_setattro((PyObject *)state->meta_type,
                                               state->str_new, method)
                     : -1;
    Py_XDECREF(function);
    Py_XDECREF(method);
    if (status == 0) {
        /* 3.11 inherits vectorcall only to static types, and wants a tp_call
         * in the spec of one that claims it */
        state->meta_type->tp_flags |=
            Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_VECTORCALL;
    }
    return status;
}

/* The metaclass of classes with checked fields: made once RecordMeta is whole,
 * from which it takes __new__.
 */
static int
add_checked_meta(PyObject *module, records_state *state)
{
    PyTypeObject *meta = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &records_checked_meta_spec, (PyObject *)state->meta_type);
    if (meta == NULL) {
        return -1;
    }
    meta->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_VECTORCALL;
    state->checked_meta_type = meta;
    return 0;
}

/* Record defines nothing of its own: no ==, no hash, no __match_args__ that a
 * class which leaves one out would inherit. Its subclasses start from the
 * default options all the same.
 */
static int
add_record(records_state *state)
{
    PyObject *args =
        Py_BuildValue("(s(O){ssss})", "Record", state->base_type, "__module__",
                      "ferrule.records", "__doc__", record__doc__);
    PyObject *options =
        Py_BuildValue("{sOsOsOsO}", "eq", Py_False, "repr", Py_False, "init",
                      Py_False, "match_args", Py_False);
    if (args != NULL && options != NULL) {
        state->record_type = (PyTypeObject *)PyObject_Call(
            (PyObject *)state->meta_type, args, options);
    }
    Py_XDECREF(args);
    Py_XDECREF(options);
    if (state->record_type == NULL) {
        return -1;
    }
    record_plan *plan = RECORD_CLASS(state->record_type)->plan;
    plan->options.eq = plan->options.repr = true;
    plan->options.init = plan->options.match_args = true;
    plan->methods = plan->stated = false;
    /* nothing else may inherit from the base: its instances need a plan */
    state->base_type->tp_flags &= ~Py_TPFLAGS_BASETYPE;
    state->base_type->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;
    return 0;
}

int
records_base_setup(PyObject *module, records_state *state)
{
    state->frozen_setattr =
        PyDescr_NewMethod(state->base_type, &frozen_methods[0]);
    state->frozen_delattr =
        PyDescr_NewMethod(state->base_type, &frozen_methods[1]);
    if (state->frozen_setattr == NULL || state->frozen_delattr == NULL
        || set_methods_aside(state) < 0) {
        return -1;
    }
    return add_meta_new(module, state) < 0
                   || add_checked_meta(module, state) < 0
               ? -1
               : add_record(state);
}
