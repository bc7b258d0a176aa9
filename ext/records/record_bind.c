/* SPDX-License-Identifier: MIT
 *
 * Second half of a record class's birth, and its life: the binder that gives
 * a fresh type its layout, and the type RecordMeta itself.
 *
 * The moment of binding is __set_name__: CPython has made the type (base,
 * MRO, slots from the body), no instance exists, __init_subclass__ has not
 * run. Only public fields of PyTypeObject are written, and only here.
 */
#include "records_state.h"

/* ------------------------------------------------------------- layout */

/* Make sure instances begin as the storage base's do. type.__new__ takes any
 * base of object's shape for tp_base (a Protocol, a mixin); one that brings
 * storage of its own (dict, Exception) cannot be joined with a record.
 */
static int
settle_base(record_class *cls, record_class *base)
{
    PyTypeObject *type = &cls->heap.ht_type;
    if (base == NULL || PyType_IsSubtype(type->tp_base, &base->heap.ht_type)) {
        return 0;
    }
    PyTypeObject *chosen = type->tp_base;
    Py_ssize_t header = PyBaseObject_Type.tp_basicsize;
    Py_ssize_t weak = chosen->tp_weaklistoffset == header
                          ? (Py_ssize_t)sizeof(PyObject *)
                          : 0;
    bool bare =
        chosen->tp_itemsize == 0 && chosen->tp_basicsize == header + weak;
    if (!bare && !PyObject_TypeCheck(chosen, Py_TYPE(base))) {
        PyErr_Format(PyExc_TypeError,
                     "%s: base %s brings storage of its own and cannot be "
                     "joined with a record",
                     type->tp_name, chosen->tp_name);
        return -1;
    }
    Py_INCREF(base);
    type->tp_base = &base->heap.ht_type;
    Py_DECREF(chosen);
    return 0;
}

/* __weakref__: the first weak reference, or None */
static PyObject *
get_weakref(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject **list =
        (PyObject **)((char *)self + Py_TYPE(self)->tp_weaklistoffset);
    return Py_NewRef(*list != NULL ? *list : Py_None);
}

static PyGetSetDef weakref_getset = {"__weakref__", get_weakref, NULL,
                                     "First weak reference, or None.", NULL};

static int
add_weakref(record_class *cls, PyObject *dict)
{
    cls->plan->own_weaklist = true;
    PyObject *descriptor =
        PyDescr_NewGetSet(&cls->heap.ht_type, &weakref_getset);
    int status = descriptor != NULL
                     ? PyDict_SetItemString(dict, "__weakref__", descriptor)
                     : -1;
    Py_XDECREF(descriptor);
    return status;
}

static int
place_hidden(record_class *cls, PyObject *dict)
{
    record_plan *plan = cls->plan;
    Py_ssize_t count =
        plan->cached != NULL ? PyTuple_GET_SIZE(plan->cached) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(plan->cached, i), *cached;
        uint32_t offset;
        if (records_plan_add_object(plan, &offset) < 0
            || PyDict_GetItemRef(dict, name, &cached) < 0) {
            return -1;
        }
        int status =
            cached != NULL
                ? records_cached_bind(cached, &cls->heap.ht_type, offset)
                : 0;
        Py_XDECREF(cached);
        if (status < 0) {
            return -1;
        }
    }
    PyTypeObject *type = &cls->heap.ht_type;
    if (plan->options.weakref && type->tp_weaklistoffset == 0) {
        uint32_t offset;
        if (records_space_reserve(&plan->space, sizeof(PyObject *),
                                  sizeof(PyObject *), &offset)
            < 0) {
            return -1;
        }
        type->tp_weaklistoffset = (Py_ssize_t)offset;
        return add_weakref(cls, dict);
    }
    return 0;
}

static void
set_memory(record_class *cls, const record_class *base)
{
    PyTypeObject *type = &cls->heap.ht_type;
    const record_plan *plan = cls->plan;
    records_state *state = cls->state;
    size_t word = sizeof(void *);
    size_t size = (plan->space.end + word - 1) / word * word;
    if ((Py_ssize_t)size > type->tp_basicsize) {
        type->tp_basicsize = (Py_ssize_t)size;
    }
    cls->mixed = fe_type_is_mixed(type) || Py_SIZE(type) > 0
                 || (base != NULL && base->mixed);
    bool holds = plan->object_count > 0 || type->tp_finalize != NULL;
    bool gc = plan->options.gc >= 0 ? plan->options.gc : holds;
    if (cls->mixed) {
        type->tp_dealloc = state->subtype_dealloc;
        type->tp_traverse = state->subtype_traverse;
        type->tp_clear = state->subtype_clear;
        fe_type_forget_inline_values(type);
        gc = true;
    }
    else {
        type->tp_dealloc = records_dealloc;
        type->tp_traverse = records_traverse;
        type->tp_clear = records_clear;
        cls->gc = gc;
    }
    type->tp_alloc = PyType_GenericAlloc;
    type->tp_free = gc ? PyObject_GC_Del : PyObject_Free;
    if (gc) {
        type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    }
    else {
        type->tp_flags &= ~Py_TPFLAGS_HAVE_GC;
    }
}

/* -------------------------------------------------------- descriptors */

static PyObject *
new_descriptor(record_class *cls, const record_field *field,
               PyMemberDef *member)
{
    if (field->kind != FE_OBJECT) {
        return records_unboxed_new(cls->state, &cls->heap.ht_type, field);
    }
    member->name = PyUnicode_AsUTF8(field->name);
    member->type = Py_T_OBJECT_EX;
    member->offset = (Py_ssize_t)field->offset;
    return member->name != NULL ? PyDescr_NewMember(&cls->heap.ht_type, member)
                                : NULL;
}

/* Descriptors of the class's own fields, and the __slots__ it shows. */
static int
add_descriptors(record_class *cls, PyObject *dict, Py_ssize_t inherited)
{
    record_plan *plan = cls->plan;
    Py_ssize_t own = plan->field_count - inherited;
    bool weak = plan->own_weaklist;
    plan->members = PyMem_Calloc((size_t)own + 1, sizeof(PyMemberDef));
    PyObject *names = PyTuple_New(own + weak);
    int status = -1;
    if (plan->members == NULL || names == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < own; i++) {
        const record_field *field = &plan->fields[inherited + i];
        PyObject *descriptor = new_descriptor(cls, field, &plan->members[i]);
        if (descriptor == NULL) {
            goto done;
        }
        int set = PyDict_SetItem(dict, field->name, descriptor);
        Py_DECREF(descriptor);
        if (set < 0) {
            goto done;
        }
        PyTuple_SET_ITEM(names, i, Py_NewRef(field->name));
    }
    if (weak) {
        PyObject *name = PyUnicode_FromString("__weakref__");
        if (name == NULL) {
            goto done;
        }
        PyTuple_SET_ITEM(names, own, name);
    }
    status = PyDict_SetItem(dict, cls->state->str_slots, names);
done:
    Py_XDECREF(names);
    return status;
}

/* ------------------------------------------------------------ binding */

/* No __dict__, weak reference list or hidden slot: the fields are all. */
static bool
is_bare(const record_class *cls)
{
    const record_plan *plan = cls->plan;
    Py_ssize_t objects = 0;
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        objects += plan->fields[i].kind == FE_OBJECT;
    }
    return !cls->mixed && cls->heap.ht_type.tp_weaklistoffset == 0
           && objects == plan->object_count;
}

static bool
is_simple(const record_class *cls)
{
    const record_plan *plan = cls->plan;
    const record_class *base = RECORD_CLASS(cls->heap.ht_type.tp_base);
    if (plan->post_init || plan->has_initvars || plan->checks != NULL
        || plan->positional_count != plan->field_count
        || plan->entry_count != plan->field_count) {
        return false;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        if (plan->params[i].field != i) {
            return false;
        }
    }
    return plan->bare && base != NULL;
}

/* Does the class find a data descriptor of a class that is no record before
 * the field's own? 1: a TypeError is set, 0, -1
 */
static int
is_overridden(const record_class *cls, const record_field *field)
{
    PyObject *mro = Py_NewRef(cls->heap.ht_type.tp_mro), *found = NULL;
    Py_ssize_t i = 0;
    int status = 0;
    while (status == 0 && i < PyTuple_GET_SIZE(mro)) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i++);
        status =
            PyDict_GetItemRef(fe_type_dict_borrow(base), field->name, &found);
    }
    if (status > 0) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i - 1);
        status = Py_TYPE(found)->tp_descr_set != NULL
                 && !records_is_class(cls->state, (PyObject *)base);
        if (status) {
            PyErr_Format(PyExc_TypeError,
                         "%U.%U: the field is hidden by the %s of base %s",
                         cls->plan->qualname, field->name,
                         Py_TYPE(found)->tp_name, base->tp_name);
        }
    }
    Py_XDECREF(found);
    Py_DECREF(mro);
    return status;
}

/* Only one of several bases can come before the one with the field. 0 or -1 */
static int
check_overridden(const record_class *cls)
{
    const record_plan *plan = cls->plan;
    if (PyTuple_GET_SIZE(cls->heap.ht_type.tp_bases) < 2) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        if (is_overridden(cls, &plan->fields[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int
bind_plan(record_class *cls, record_class *base, PyObject *module)
{
    PyTypeObject *type = &cls->heap.ht_type;
    PyObject *dict = fe_type_dict_borrow(type);
    record_plan *plan = cls->plan;
    if (settle_base(cls, base) < 0) {
        return -1;
    }
    Py_ssize_t inherited = plan->field_count;
    bool grown =
        base != NULL && type->tp_basicsize > base->heap.ht_type.tp_basicsize;
    uint32_t tail = grown ? (uint32_t)type->tp_basicsize : 0;
    cls->module = Py_NewRef(module);
    if (records_plan_place(plan, tail) < 0
        || records_checks_bind(cls, base) < 0 || place_hidden(cls, dict) < 0) {
        return -1;
    }
    set_memory(cls, base);
    if ((!plan->plain && add_descriptors(cls, dict, inherited) < 0)
        || check_overridden(cls) < 0) {
        return -1;
    }
    if (type->tp_new == PyBaseObject_Type.tp_new || base == NULL) {
        type->tp_new = records_new;
    }
    PyType_Modified(type);
    if (records_class_refresh(cls) < 0) {
        return -1;
    }
    if (plan->init != NULL) { /* last: an Init with an owner has its plan */
        records_init_bind(plan->init, type);
    }
    return 0;
}

/* __set_name__ of the binder: never raises (3.11 would wrap the exception),
 * keeps the error for RecordMeta.__new__.
 */
static PyObject *
binder_set_name(binder_object *self, PyObject *const *args, Py_ssize_t nargs)
{
    records_state *state = records_state_of_type(Py_TYPE(self));
    PyObject *module = PyType_GetModule(Py_TYPE(self));
    if (module == NULL) {
        return NULL;
    }
    records_binder_unflatten(self);
    if (nargs != 2 || self->plan == NULL
        || !PyObject_TypeCheck(args[0], state->meta_type)
        || RECORD_CLASS(args[0])->plan != NULL) {
        Py_RETURN_NONE;
    }
    record_class *cls = RECORD_CLASS(args[0]);
    PyTypeObject *type = &cls->heap.ht_type;
    if (state->record_type == NULL) { /* this is Record itself */
        state->subtype_dealloc = type->tp_dealloc;
        state->subtype_traverse = type->tp_traverse;
        state->subtype_clear = type->tp_clear;
    }
    cls->state = state;
    cls->plan = self->plan;
    self->plan = NULL;
    if (fe_dict_discard(fe_type_dict_borrow(type), state->str_binder) < 0
        || bind_plan(cls, self->base, module) < 0) {
        self->error = PyErr_GetRaisedException();
        cls->failed = cls->plan; /* no plan: no instance can be made */
        cls->plan = NULL;
        type->tp_vectorcall = NULL;
    }
    Py_RETURN_NONE;
}

static int
binder_tp_traverse(binder_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->plan);
    Py_VISIT(self->error);
    Py_VISIT(self->flattened);
    Py_VISIT(self->sizes);
    return 0;
}

static int
binder_tp_clear(binder_object *self)
{
    Py_CLEAR(self->plan);
    Py_CLEAR(self->error);
    Py_CLEAR(self->flattened);
    Py_CLEAR(self->sizes);
    return 0;
}

static void
binder_tp_dealloc(binder_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    binder_tp_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef binder_methods[] = {
    {"__set_name__", FE_METHOD(binder_set_name), METH_FASTCALL,
     "Give the class its layout."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot binder_slots[] = {
    {Py_tp_traverse, FE_SLOT(binder_tp_traverse)},
    {Py_tp_clear, FE_SLOT(binder_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(binder_tp_dealloc)},
    {Py_tp_methods, FE_SLOT(binder_methods)},
    {0, NULL},
};

PyType_Spec records_binder_spec = {
    .name = "ferrule._records.Binder",
    .basicsize = sizeof(binder_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = binder_slots,
};

/* ------------------------------------------------ a class after binding */

/* Is type.name what binding put there? 1, 0, -1 */
static int
still_ours(record_class *cls, const record_field *field)
{
    PyObject *found;
    int status =
        PyObject_GetOptionalAttr((PyObject *)cls, field->name, &found);
    if (status <= 0) {
        return status;
    }
    status = Py_IS_TYPE(found, cls->state->unboxed_type)
             && records_unboxed_is(found, field);
    Py_DECREF(found);
    return status;
}

/* Choose tp_getattro: the fast one for unboxed fields and nothing else. */
static int
refresh_getattro(record_class *cls)
{
    PyTypeObject *type = &cls->heap.ht_type;
    record_plan *plan = cls->plan;
    if (type->tp_getattro != PyObject_GenericGetAttr
        && type->tp_getattro != records_getattro_fast) {
        return 0; /* a user's __getattribute__ or __getattr__ */
    }
    bool fast = !cls->mixed && !plan->methods && plan->object_count == 0
                && plan->field_count > 0;
    for (Py_ssize_t i = 0; fast && i < plan->field_count; i++) {
        int ours = still_ours(cls, &plan->fields[i]);
        if (ours < 0) {
            return -1;
        }
        fast = ours;
    }
    if (fast && plan->lookup == NULL && records_plan_lookup(plan) < 0) {
        return -1;
    }
    type->tp_getattro = fast ? records_getattro_fast : PyObject_GenericGetAttr;
    return 0;
}

/* Choose tp_vectorcall: ours while __init__ and __new__ are. */
static int
refresh_vectorcall(record_class *cls)
{
    PyTypeObject *type = &cls->heap.ht_type;
    const record_plan *plan = cls->plan;
    type->tp_vectorcall = NULL;
    if (plan->init == NULL || type->tp_new != records_new
        || (type->tp_flags & Py_TPFLAGS_IS_ABSTRACT) != 0) {
        return 0; /* type.__call__ goes through tp_new, which refuses */
    }
    PyObject *init;
    int found = PyObject_GetOptionalAttr((PyObject *)type,
                                         cls->state->str_init, &init);
    Py_XDECREF(init);
    if (found > 0 && init == plan->init) {
        type->tp_vectorcall = records_vectorcall;
    }
    return found < 0 ? -1 : 0;
}

/* 1: type.name is our method; 0: object's own; -1: error; 2: another */
static int
whose(record_class *cls, const char *name)
{
    PyObject *found = PyObject_GetAttrString((PyObject *)cls, name);
    PyObject *objects =
        PyObject_GetAttrString((PyObject *)&PyBaseObject_Type, name);
    PyObject *key = PyUnicode_FromString(name), *ours = NULL;
    int result = -1;
    if (found != NULL && objects != NULL && key != NULL
        && PyDict_GetItemRef(cls->state->methods, key, &ours) >= 0) {
        result = found == ours ? 1 : (found == objects ? 0 : 2);
    }
    Py_XDECREF(found);
    Py_XDECREF(objects);
    Py_XDECREF(key);
    Py_XDECREF(ours);
    return result;
}

/* Choose tp_richcompare. CPython fills the slot directly only if all six
 * methods come from one C function; ours leave to object what was not asked
 * for, and answer for it as object does.
 */
static int
refresh_richcompare(record_class *cls)
{
    static const char *const names[] = {"__eq__", "__ne__", "__lt__", "__le__",
                                        "__gt__", "__ge__", NULL};
    int any = 0;
    for (int i = 0; names[i] != NULL; i++) {
        int from = whose(cls, names[i]);
        if (from < 0 || from == 2) {
            return from < 0 ? -1 : 0; /* a user's: CPython's dispatch */
        }
        any |= from;
    }
    if (any) {
        cls->heap.ht_type.tp_richcompare = records_richcompare;
    }
    return 0;
}

static int
refresh_post_init(record_class *cls)
{
    PyObject *post_init;
    int found = PyObject_GetOptionalAttr(
        (PyObject *)cls, cls->state->str_post_init, &post_init);
    Py_XDECREF(post_init);
    cls->plan->post_init = found > 0;
    cls->plan->bare = is_bare(cls);
    cls->plan->simple = is_simple(cls);
    cls->recycle =
        !cls->mixed && !(cls->gc && cls->heap.ht_type.tp_finalize != NULL);
    cls->quick =
        cls->plan->bare && !cls->gc && cls->heap.ht_type.tp_finalize == NULL;
    return found < 0 ? -1 : 0;
}

/* After a change to the class's namespace; its subclasses too. */
int
records_class_refresh(record_class *cls)
{
    if (cls->plan == NULL) {
        return 0;
    }
    if (refresh_post_init(cls) < 0 || refresh_vectorcall(cls) < 0
        || refresh_getattro(cls) < 0 || refresh_richcompare(cls) < 0
        || records_refresh_slots(cls) < 0) {
        return -1;
    }
    PyObject *children = PyObject_CallMethod((PyObject *)&PyType_Type,
                                             "__subclasses__", "O", cls);
    if (children == NULL) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(children); i++) {
        PyObject *child = PyList_GET_ITEM(children, i);
        if (records_is_class(cls->state, child)
            && records_class_refresh(RECORD_CLASS(child)) < 0) {
            status = -1;
        }
    }
    Py_DECREF(children);
    return status;
}

/* tp_new: an empty instance; __init__ fills it. */
PyObject *
records_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    record_class *cls = RECORD_CLASS(type);
    if (!records_has_plan(type)) {
        PyErr_Format(PyExc_TypeError, "%s is not a finished record class",
                     type->tp_name);
        return NULL;
    }
    if (type->tp_flags & Py_TPFLAGS_IS_ABSTRACT) {
        /* object.__new__ has the message, and refuses */
        return PyBaseObject_Type.tp_new(type, cls->state->empty_tuple, NULL);
    }
    if (type->tp_init == PyBaseObject_Type.tp_init
        && (PyTuple_GET_SIZE(args) > 0
            || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0))) {
        PyErr_Format(PyExc_TypeError, "%U() takes no arguments",
                     cls->plan->qualname);
        return NULL;
    }
    PyObject *self = records_alloc_zeroed(cls);
    if (self != NULL) {
        records_fill_unset(cls->plan, self);
        records_track(cls, self);
    }
    return self;
}

/* --------------------------------------------------------- RecordMeta */

static int
meta_tp_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    if (PyType_Type.tp_setattro(op, name, value) < 0) {
        return -1;
    }
    return records_class_refresh(RECORD_CLASS(op));
}

static int
meta_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    record_class *cls = RECORD_CLASS(op);
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(cls->plan);
    Py_VISIT(cls->failed);
    Py_VISIT(cls->module);
    return PyType_Type.tp_traverse(op, visit, arg);
}

static int
meta_tp_clear(PyObject *op)
{
    /* the plan stays: instances in the same garbage still need it */
    if (RECORD_CLASS(op)->plan != NULL) {
        Py_TYPE(RECORD_CLASS(op)->plan)
            ->tp_clear((PyObject *)RECORD_CLASS(op)->plan);
    }
    return PyType_Type.tp_clear(op);
}

static void
meta_tp_dealloc(PyObject *op)
{
    record_class *cls = RECORD_CLASS(op);
    PyTypeObject *meta = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    records_drain_free_list(cls);
    Py_CLEAR(cls->plan);
    Py_CLEAR(cls->failed);
    Py_CLEAR(cls->module);
    PyObject_GC_Track(op); /* type's dealloc untracks by itself */
    PyType_Type.tp_dealloc(op);
    Py_DECREF(meta);
}

static PyObject *
meta_get_signature(PyObject *op, void *Py_UNUSED(closure))
{
    record_class *cls = RECORD_CLASS(op);
    if (cls->plan == NULL || cls->heap.ht_type.tp_vectorcall == NULL
        || Py_TYPE(op)->tp_call != PyType_Type.tp_call) {
        PyErr_SetString(PyExc_AttributeError, "__signature__");
        return NULL;
    }
    return records_signature(op, false);
}

/* Size of the type object and of the field table it owns. */
static PyObject *
meta_sizeof(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyObject *size =
        PyObject_CallMethod((PyObject *)&PyType_Type, "__sizeof__", "O", op);
    const record_plan *plan = RECORD_CLASS(op)->plan;
    if (size == NULL || plan == NULL) {
        return size;
    }
    size_t own = sizeof(record_plan)
                 + (size_t)plan->field_count * sizeof(record_field)
                 + (size_t)plan->entry_count * sizeof(record_param)
                 + (size_t)plan->object_count * sizeof(uint32_t)
                 + plan->space.hole_count * sizeof(record_hole);
    if (plan->lookup != NULL) {
        own += (plan->lookup_mask + 1) * sizeof(record_field);
    }
    PyObject *extra = PyLong_FromSize_t(own);
    Py_SETREF(size, extra != NULL ? PyNumber_Add(size, extra) : NULL);
    Py_XDECREF(extra);
    return size;
}

static PyGetSetDef meta_getset[] = {
    {"__signature__", meta_get_signature, NULL,
     "Signature of the generated constructor.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef meta_methods[] = {
    {"__sizeof__", FE_METHOD(meta_sizeof), METH_NOARGS,
     "Bytes of the class and its field table."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef meta_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET,
     offsetof(PyTypeObject, tp_vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(meta__doc__, "Metaclass of records.");

static PyType_Slot meta_slots[] = {
    {Py_tp_doc, FE_SLOT(meta__doc__)},
    {Py_tp_base, FE_SLOT(&PyType_Type)},
    {Py_tp_setattro, FE_SLOT(meta_tp_setattro)},
    {Py_tp_traverse, FE_SLOT(meta_tp_traverse)},
    {Py_tp_clear, FE_SLOT(meta_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(meta_tp_dealloc)},
    {Py_tp_getset, FE_SLOT(meta_getset)},
    {Py_tp_methods, FE_SLOT(meta_methods)},
    {Py_tp_members, FE_SLOT(meta_members)},
    {0, NULL},
};

PyType_Spec records_meta_spec = {
    .name = "ferrule.records.RecordMeta",
    .basicsize = sizeof(record_class),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = meta_slots,
};

/* The same for classes with checked fields. A subclass, not RecordMeta itself:
 * its tp_getattro would slow the class attributes of all records.
 */
static PyType_Slot checked_meta_slots[] = {
    {Py_tp_doc, FE_SLOT(meta__doc__)},
    {Py_tp_getattro, FE_SLOT(records_checked_getattro)},
    {Py_tp_setattro, FE_SLOT(meta_tp_setattro)},
    {Py_tp_traverse, FE_SLOT(meta_tp_traverse)},
    {Py_tp_clear, FE_SLOT(meta_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(meta_tp_dealloc)},
    {0, NULL},
};

PyType_Spec records_checked_meta_spec = {
    .name = "ferrule._records._CheckedRecordMeta",
    .basicsize = sizeof(record_class),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = checked_meta_slots,
};
