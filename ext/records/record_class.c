/* SPDX-License-Identifier: MIT
 *
 * RecordMeta, the metaclass: from a class statement to a record class.
 *
 * The class body is rewritten (defaults taken out, dunder methods put in as
 * dataclasses would, a binder put first), CPython's type.__new__ makes the
 * class, and the binder's __set_name__, which runs before __init_subclass__,
 * gives it its layout. Until then `plan` is NULL and nothing can be made of
 * the class.
 */
#include "records_state.h"

bool
records_is_class(records_state *state, PyObject *obj)
{
    return PyType_Check(obj) && PyObject_TypeCheck(obj, state->meta_type)
           && RECORD_CLASS(obj)->plan != NULL;
}

/* One class statement on its way to a class. */
typedef struct {
    records_state *state;
    PyObject *meta;      /* borrowed */
    PyObject *name;      /* borrowed */
    PyObject *bases;     /* borrowed tuple */
    PyObject *namespace; /* owned: a copy, rewritten */
    PyObject *rest;      /* owned: keywords for __init_subclass__ */
    PyObject *locals;    /* owned or NULL: where annotations may look */
    record_class *base;  /* borrowed: brings the storage; NULL for Record */
    record_plan *plan;   /* owned */
    bool any_option;
    int frozen; /* as given: -1 not */
} statement;

/* No metaclass of somebody else: nothing runs but type.__new__. */
static bool
is_own_meta(const statement *s)
{
    return s->meta == (PyObject *)s->state->meta_type
           || s->meta == (PyObject *)s->state->checked_meta_type;
}

/* ------------------------------------------------------------ options */

typedef struct {
    const char *name;
    size_t offset;
} option;

#define OPTION(name) {#name, offsetof(record_options, name)}

static const option options[] = {
    OPTION(frozen),  OPTION(order),       OPTION(eq),         OPTION(repr),
    OPTION(init),    OPTION(unsafe_hash), OPTION(match_args), OPTION(kw_only),
    OPTION(weakref), OPTION(sealed),      OPTION(packed),     {NULL, 0},
};

/* 1: found and removed from rest, *value owned; 0: absent; -1: error */
static int
take(PyObject *rest, const char *name, PyObject **value)
{
    PyObject *key = PyUnicode_FromString(name);
    if (key == NULL) {
        return -1;
    }
    int found = PyDict_GetItemRef(rest, key, value);
    if (found > 0 && PyDict_DelItem(rest, key) < 0) {
        Py_CLEAR(*value);
        found = -1;
    }
    Py_DECREF(key);
    return found;
}

static int
take_flag(statement *s, const option *one)
{
    PyObject *value;
    int found = take(s->rest, one->name, &value);
    if (found <= 0) {
        return found;
    }
    int flag = PyObject_IsTrue(value);
    Py_DECREF(value);
    if (flag < 0) {
        return -1;
    }
    *(bool *)((char *)&s->plan->options + one->offset) = flag;
    s->any_option = true;
    if (one->offset == offsetof(record_options, frozen)) {
        s->frozen = flag;
    }
    return 0;
}

static int
take_gc(statement *s)
{
    PyObject *value;
    int found = take(s->rest, "gc", &value);
    if (found <= 0) {
        return found;
    }
    int flag = value == Py_None ? -1 : PyObject_IsTrue(value);
    Py_DECREF(value);
    s->plan->options.gc = (int8_t)flag;
    s->any_option = true;
    return flag < 0 && PyErr_Occurred() ? -1 : 0;
}

static int
take_endian(statement *s)
{
    static const char *const names[] = {"native", "little", "big"};
    PyObject *value;
    int found = take(s->rest, "endian", &value);
    if (found <= 0) {
        return found;
    }
    int endian = value == Py_None ? 0 : -1;
    for (int i = 0; i < 3 && endian < 0 && PyUnicode_Check(value); i++) {
        if (PyUnicode_CompareWithASCIIString(value, names[i]) == 0) {
            endian = i;
        }
    }
    if (endian < 0) {
        PyErr_Format(PyExc_ValueError,
                     "%U: endian must be 'little', 'big' or 'native', not %R",
                     s->plan->qualname, value);
    }
    Py_DECREF(value);
    s->plan->options.endian = (int8_t)endian;
    s->any_option = true;
    return endian < 0 ? -1 : 0;
}

/* Internal keywords of @record: it decorates, and where it was called. */
static int
take_internal(statement *s)
{
    PyObject *value;
    int found = take(s->rest, "_decorated", &value);
    if (found > 0) {
        s->plan->decorated = value == Py_True;
        Py_DECREF(value);
        found = take(s->rest, "_locals", &value);
    }
    if (found > 0) {
        s->locals = value;
    }
    return found < 0 ? -1 : 0;
}

static int
check_frozen(statement *s)
{
    if (s->frozen < 0 || s->base == NULL) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(s->bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(s->bases, i);
        if (!records_is_class(s->state, base)) {
            continue;
        }
        const record_plan *plan = RECORD_CLASS(base)->plan;
        bool blank = PyDict_GET_SIZE(plan->by_name) == 0 && !plan->stated;
        if (blank || plan->options.frozen == (s->frozen > 0)) {
            continue;
        }
        PyErr_Format(PyExc_TypeError,
                     plan->options.frozen
                         ? "cannot inherit non-frozen dataclass from a "
                           "frozen one (%U from %U)"
                         : "cannot inherit frozen dataclass from a "
                           "non-frozen one (%U from %U)",
                     s->plan->qualname, plan->qualname);
        return -1;
    }
    return 0;
}

static int
take_options(statement *s)
{
    if (take_internal(s) < 0 || take_gc(s) < 0 || take_endian(s) < 0) {
        return -1;
    }
    for (const option *one = options; one->name != NULL; one++) {
        if (take_flag(s, one) < 0) {
            return -1;
        }
    }
    s->plan->stated = s->any_option;
    if (s->plan->options.order && !s->plan->options.eq) {
        PyErr_SetString(PyExc_ValueError, "eq must be true if order is true");
        return -1;
    }
    return check_frozen(s);
}

/* -------------------------------------------------------------- bases */

/* May `other` stand beside the storage base? Its fields must all lie where
 * the storage base has them, and it may hold nothing else.
 */
static int
check_prefix(statement *s, record_class *other)
{
    const record_plan *plan = other->plan;
    Py_ssize_t visible = 0;
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        const record_field *theirs = &plan->fields[i];
        const record_field *ours =
            records_find_field(s->base->plan, theirs->name);
        visible += theirs->kind == FE_OBJECT;
        if (ours == NULL || ours->offset != theirs->offset
            || ours->kind != theirs->kind || ours->size != theirs->size) {
            PyErr_Format(
                PyExc_TypeError,
                "%U: field '%U' of base %U clashes with the layout of base "
                "%U (one base brings the storage, the fields of others must "
                "be a prefix of its fields)",
                s->plan->qualname, theirs->name, plan->qualname,
                s->base->plan->qualname);
            return -1;
        }
    }
    if (plan->object_count != visible
        || other->heap.ht_type.tp_weaklistoffset > 0) {
        PyErr_Format(PyExc_TypeError,
                     "%U: base %U holds more than fields (a cached property "
                     "or weak references) and cannot stand beside base %U",
                     s->plan->qualname, plan->qualname,
                     s->base->plan->qualname);
        return -1;
    }
    return 0;
}

static int
refuse_dataclass(statement *s, PyObject *base)
{
    PyObject *found;
    int dataclass =
        PyObject_GetOptionalAttr(base, s->state->str_dataclass_fields, &found);
    Py_XDECREF(found);
    if (dataclass > 0) {
        PyErr_Format(PyExc_TypeError,
                     "%U: base %R is a dataclass, not a record; make it a "
                     "record too",
                     s->name, base);
    }
    return dataclass != 0 ? -1 : 0;
}

/* Choose the base that brings the storage. */
static int
choose_base(statement *s)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(s->bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(s->bases, i);
        if (!records_is_class(s->state, base)) {
            if (s->state->record_type != NULL
                && refuse_dataclass(s, base) < 0) {
                return -1;
            }
            continue;
        }
        record_class *cls = RECORD_CLASS(base);
        if (s->base == NULL
            || cls->plan->space.end > s->base->plan->space.end) {
            s->base = cls;
        }
    }
    if (s->base == NULL && s->state->record_type != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%U: a record class needs Record among its bases",
                     s->name);
        return -1;
    }
    return 0;
}

static int
check_bases(statement *s)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(s->bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(s->bases, i);
        if (records_is_class(s->state, base) && base != (PyObject *)s->base
            && !PyType_IsSubtype(&s->base->heap.ht_type, (PyTypeObject *)base)
            && check_prefix(s, RECORD_CLASS(base)) < 0) {
            return -1;
        }
    }
    return 0;
}

/* CPython lets only one base widen an object. A verified prefix widens
 * nothing, so while type.__new__ looks at the bases, and no other code runs,
 * such a base says it has the size of its own base.
 */
static int
flatten(binder_object *binder, PyTypeObject *type)
{
    Py_ssize_t floor = (Py_ssize_t)RECORDS_HEADER;
    for (; type != NULL && type->tp_basicsize > floor; type = type->tp_base) {
        PyObject *size = PyLong_FromSsize_t(type->tp_basicsize);
        int status =
            size == NULL
                    || PyList_Append(binder->flattened, (PyObject *)type) < 0
                    || PyList_Append(binder->sizes, size) < 0
                ? -1
                : 0;
        Py_XDECREF(size);
        if (status < 0) {
            return -1;
        }
        type->tp_basicsize = floor;
    }
    return 0;
}

void
records_binder_unflatten(binder_object *binder)
{
    if (binder->collecting) {
        binder->collecting = false;
        PyGC_Enable();
    }
    for (Py_ssize_t i = PyList_GET_SIZE(binder->sizes); i-- > 0;) {
        PyTypeObject *type =
            (PyTypeObject *)PyList_GET_ITEM(binder->flattened, i);
        type->tp_basicsize =
            PyLong_AsSsize_t(PyList_GET_ITEM(binder->sizes, i));
    }
    PyList_SetSlice(binder->sizes, 0, PY_SSIZE_T_MAX, NULL);
    PyList_SetSlice(binder->flattened, 0, PY_SSIZE_T_MAX, NULL);
}

/* Another metaclass would run its own code between flatten and unflatten. */
static void
refuse_prefix(statement *s, const record_plan *plan)
{
    PyErr_Format(PyExc_TypeError,
                 "%U: field '%U' of base %U clashes with the layout of base "
                 "%U (a class whose metaclass is not RecordMeta itself takes "
                 "fields from one base only)",
                 s->plan->qualname, plan->fields[0].name, plan->qualname,
                 s->base->plan->qualname);
}

static int
flatten_prefixes(statement *s, binder_object *binder)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(s->bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(s->bases, i);
        if (s->base == NULL || !records_is_class(s->state, base)
            || base == (PyObject *)s->base
            || PyType_IsSubtype(&s->base->heap.ht_type, (PyTypeObject *)base)
            || RECORD_CLASS(base)->plan->field_count == 0) {
            continue;
        }
        if (!is_own_meta(s)) {
            refuse_prefix(s, RECORD_CLASS(base)->plan);
            return -1;
        }
        /* no collection, so no finalizer, until unflatten */
        binder->collecting = PyGC_Disable() || binder->collecting;
        if (flatten(binder, (PyTypeObject *)base) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --------------------------------------------------------- class body */

/* 1 present, 0 absent, -1 error */
static int
has(statement *s, PyObject *name)
{
    return PyDict_Contains(s->namespace, name);
}

/* Put a method of ours into the body, unless one is there. From a wrapper in
 * the class CPython takes the C function into the slot.
 */
static int
put_method(statement *s, const char *name)
{
    PyObject *key = PyUnicode_InternFromString(name);
    if (key == NULL) {
        return -1;
    }
    int status = has(s, key);
    if (status == 0) {
        PyObject *method;
        status = PyDict_GetItemRef(s->state->methods, key, &method);
        if (status > 0) {
            status = PyDict_SetItem(s->namespace, key, method);
            Py_DECREF(method);
        }
    }
    Py_DECREF(key);
    return status < 0 ? -1 : 0;
}

static int
refuse_overwrite(statement *s, const char *name, const char *advice)
{
    PyObject *key = PyUnicode_InternFromString(name);
    int found = key != NULL ? has(s, key) : -1;
    Py_XDECREF(key);
    if (found > 0) {
        PyErr_Format(PyExc_TypeError,
                     "Cannot overwrite attribute %s in class %U%s", name,
                     s->name, advice);
    }
    return found != 0 ? -1 : 0;
}

static Py_ssize_t
stored_count(const record_plan *plan)
{
    Py_ssize_t at = 0, count = 0;
    PyObject *name, *field;
    while (PyDict_Next(plan->by_name, &at, &name, &field)) {
        count += ((field_object *)field)->role == ROLE_FIELD;
    }
    return count;
}

/* dataclasses' table: what becomes of __hash__ */
static int
settle_hash(statement *s, Py_ssize_t count)
{
    const record_options *o = &s->plan->options;
    PyObject *hash;
    int found = PyDict_GetItemRef(s->namespace, s->state->str_hash, &hash);
    int own_eq = found < 0 ? -1 : has(s, s->state->str_eq);
    if (own_eq < 0) {
        Py_XDECREF(hash);
        return -1;
    }
    /* the compiler's __hash__ = None beside a user's __eq__ says nothing */
    bool explicit_hash = hash != NULL && !(hash == Py_None && own_eq);
    Py_XDECREF(hash);
    if (o->unsafe_hash && explicit_hash) {
        return refuse_overwrite(s, "__hash__", "");
    }
    if (explicit_hash || !(o->unsafe_hash || o->eq)) {
        return 0;
    }
    if (!o->unsafe_hash && !o->frozen) {
        return PyDict_SetItem(s->namespace, s->state->str_hash, Py_None);
    }
    if (fe_dict_discard(s->namespace, s->state->str_hash) < 0) {
        return -1;
    }
    s->plan->hash_fields = count;
    return put_method(s, "__hash__");
}

static int
settle_order(statement *s, Py_ssize_t count)
{
    static const char *const names[] = {"__lt__", "__le__", "__gt__", "__ge__",
                                        NULL};
    if (!s->plan->options.order) {
        return 0;
    }
    for (int i = 0; names[i] != NULL; i++) {
        if (refuse_overwrite(s, names[i],
                             ". Consider using functools.total_ordering")
                < 0
            || put_method(s, names[i]) < 0) {
            return -1;
        }
    }
    s->plan->order_fields = count;
    return 0;
}

/* A class whose fields are the first to be checked is written by a slot. */
static int
settle_checked(statement *s)
{
    if (!s->plan->checked || s->plan->options.frozen
        || (s->base != NULL && s->base->plan->checked)) {
        return 0;
    }
    if (records_check_written(s->state, s->plan->qualname, s->bases,
                              s->namespace)
            < 0
        || put_method(s, "__setattr__") < 0) {
        return -1;
    }
    return put_method(s, "__delattr__");
}

static int
settle_frozen(statement *s)
{
    records_state *state = s->state;
    if (!s->plan->options.frozen) {
        return 0;
    }
    if (refuse_overwrite(s, "__setattr__", "") < 0
        || refuse_overwrite(s, "__delattr__", "") < 0) {
        return -1;
    }
    if (PyDict_SetItem(s->namespace, state->str_setattr, state->frozen_setattr)
        < 0) {
        return -1;
    }
    return PyDict_SetItem(s->namespace, state->str_delattr,
                          state->frozen_delattr);
}

/* The comparison and repr methods, as dataclasses sets them. */
static int
settle_methods(statement *s)
{
    record_plan *plan = s->plan;
    Py_ssize_t count = stored_count(plan);
    if (settle_hash(s, count) < 0 || settle_order(s, count) < 0
        || settle_frozen(s) < 0 || settle_checked(s) < 0) {
        return -1;
    }
    if (plan->options.eq) {
        plan->eq_fields = count;
        if (put_method(s, "__eq__") < 0) {
            return -1;
        }
    }
    if (plan->options.repr) {
        plan->repr_fields = count;
        return put_method(s, "__repr__");
    }
    return 0;
}

static int
settle_init(statement *s)
{
    if (!s->plan->options.init) {
        return 0;
    }
    int own = has(s, s->state->str_init);
    if (own != 0) {
        return own < 0 ? -1 : 0;
    }
    s->plan->init = records_init_new(s->state);
    if (s->plan->init == NULL) {
        return -1;
    }
    return PyDict_SetItem(s->namespace, s->state->str_init, s->plan->init);
}

static int
settle_match_args(statement *s)
{
    int own = has(s, s->state->str_match_args);
    if (own != 0 || !s->plan->options.match_args) {
        return own < 0 ? -1 : 0;
    }
    const record_plan *plan = s->plan;
    PyObject *names = PyTuple_New(plan->positional_count);
    if (names == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < plan->positional_count; i++) {
        PyTuple_SET_ITEM(names, i, Py_NewRef(plan->params[i].name));
    }
    int status = PyDict_SetItem(s->namespace, s->state->str_match_args, names);
    Py_DECREF(names);
    return status;
}

static int
settle_doc(statement *s)
{
    PyObject *doc;
    int found = PyDict_GetItemRef(s->namespace, s->state->str_doc, &doc);
    Py_XDECREF(doc);
    if (found < 0 || (found > 0 && doc != Py_None)) {
        return found < 0 ? -1 : 0;
    }
    return PyDict_SetItem(s->namespace, s->state->str_doc, s->state->lazy_doc);
}

/* Replace each functools.cached_property by one that needs no __dict__, and
 * note whether the class defines anything callable.
 */
static int
scan_members(statement *s, PyObject *cached_property)
{
    PyObject *items = PyDict_Items(s->namespace);
    PyObject *names = PyList_New(0);
    int status = items != NULL && names != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *name = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *value = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
        if (Py_TYPE(value)->tp_descr_get != NULL) {
            s->plan->methods = true;
        }
        if ((PyObject *)Py_TYPE(value) != cached_property) {
            continue;
        }
        PyObject *cached = records_cached_new(s->state, name, value);
        if (cached == NULL || PyDict_SetItem(s->namespace, name, cached) < 0
            || PyList_Append(names, name) < 0) {
            status = -1;
        }
        Py_XDECREF(cached);
    }
    if (status == 0 && PyList_GET_SIZE(names) > 0) {
        s->plan->cached = PyList_AsTuple(names);
        status = s->plan->cached != NULL ? 0 : -1;
    }
    Py_XDECREF(items);
    Py_XDECREF(names);
    return status;
}

static int
settle_members(statement *s)
{
    PyObject *name = PyUnicode_FromString("functools");
    PyObject *functools = name != NULL ? PyImport_GetModule(name) : NULL;
    Py_XDECREF(name);
    PyObject *cached_property = NULL;
    if (functools != NULL) {
        cached_property =
            PyObject_GetAttr(functools, s->state->str_cached_property);
        Py_DECREF(functools);
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    int status = scan_members(s, cached_property);
    Py_XDECREF(cached_property);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(s->bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(s->bases, i);
        if (!records_is_class(s->state, base)
            && base != (PyObject *)&PyBaseObject_Type) {
            s->plan->methods = true;
        }
    }
    return status;
}

static int
check_slots(statement *s)
{
    int own = has(s, s->state->str_slots);
    if (own > 0) {
        PyErr_Format(PyExc_TypeError,
                     "%U already specifies __slots__; a record's slots are "
                     "its annotations",
                     s->name);
    }
    return own != 0 ? -1
                    : PyDict_SetItem(s->namespace, s->state->str_slots,
                                     s->state->empty_tuple);
}

/* new: the annotations of the body, or NULL: none (no error) */
static PyObject *
annotations_of(statement *s)
{
    PyObject *annotations;
    int found = PyDict_GetItemRef(s->namespace, s->state->str_annotations,
                                  &annotations);
#if FE_LAZY_ANNOTATIONS
    if (found == 0) { /* PEP 649: a function that makes them */
        PyObject *module = PyImport_ImportModule("ferrule._annotations");
        annotations = module != NULL
                          ? PyObject_CallMethod(module, "of_namespace", "O",
                                                s->namespace)
                          : NULL;
        Py_XDECREF(module);
        if (annotations == Py_None) {
            Py_CLEAR(annotations);
        }
    }
#endif
    if (found > 0 && !PyDict_Check(annotations)) {
        Py_CLEAR(annotations);
    }
    return annotations;
}

static int
rewrite_body(statement *s)
{
    if (check_slots(s) < 0) {
        return -1;
    }
    PyObject *annotations = annotations_of(s);
    if (annotations == NULL && PyErr_Occurred()) {
        return -1;
    }
    int status = records_plan_collect(s->state, s->plan, s->namespace,
                                      annotations, s->locals);
    Py_XDECREF(annotations);
    if (status < 0 || records_plan_params(s->plan) < 0 || settle_members(s) < 0
        || settle_methods(s) < 0 || settle_init(s) < 0
        || settle_match_args(s) < 0) {
        return -1;
    }
    return settle_doc(s);
}

/* ------------------------------------------------------------- making */

static PyObject *
call_type_new(statement *s)
{
    PyObject *args = PyTuple_Pack(3, s->name, s->bases, s->namespace);
    PyObject *result = NULL;
    if (args == NULL) {
        return NULL;
    }
    if (is_own_meta(s)) {
        result = PyType_Type.tp_new((PyTypeObject *)s->meta, args, s->rest);
        Py_DECREF(args);
        return result;
    }
    /* a metaclass with other parents (ABCMeta …): theirs come next */
    PyObject *super = PyObject_CallFunctionObjArgs(
        (PyObject *)&PySuper_Type, s->state->meta_type, s->meta, NULL);
    PyObject *next =
        super != NULL ? PyObject_GetAttr(super, s->state->str_new) : NULL;
    PyObject *full = next != NULL ? PyTuple_Pack(4, s->meta, s->name, s->bases,
                                                 s->namespace)
                                  : NULL;
    if (full != NULL) {
        result = PyObject_Call(next, full, s->rest);
    }
    Py_XDECREF(super);
    Py_XDECREF(next);
    Py_XDECREF(full);
    Py_DECREF(args);
    return result;
}

/* new: a copy of the body that begins with the binder */
static PyObject *
with_binder(statement *s, binder_object *binder)
{
    PyObject *namespace = PyDict_New();
    if (namespace == NULL
        || PyDict_SetItem(namespace, s->state->str_binder, (PyObject *)binder)
               < 0
        || PyDict_Update(namespace, s->namespace) < 0) {
        Py_CLEAR(namespace);
    }
    return namespace;
}

/* The class exists but its binder was not called. */
static void
complain_unbound(statement *s)
{
    if (is_own_meta(s)) {
        /* type.__new__ lost the error of looking up __set_name__: only a
         * failed allocation makes it fail */
        PyErr_NoMemory();
        return;
    }
    PyErr_Format(PyExc_TypeError,
                 "%U: the metaclass did not pass the class body on", s->name);
}

static PyObject *
make_class(statement *s)
{
    binder_object *binder = (binder_object *)s->state->binder_type->tp_alloc(
        s->state->binder_type, 0);
    if (binder == NULL) {
        return NULL;
    }
    PyObject *cls = NULL, *namespace = NULL;
    binder->plan = (record_plan *)Py_NewRef(s->plan);
    binder->base = s->base;
    binder->flattened = PyList_New(0);
    binder->sizes = PyList_New(0);
    if (binder->flattened == NULL || binder->sizes == NULL) {
        goto done;
    }
    namespace = with_binder(s, binder);
    if (namespace == NULL) {
        goto done;
    }
    Py_SETREF(s->namespace, namespace);
    if (flatten_prefixes(s, binder) == 0) {
        cls = call_type_new(s);
    }
    records_binder_unflatten(binder);
    if (binder->error != NULL) {
        Py_CLEAR(cls);
        PyErr_SetRaisedException(Py_NewRef(binder->error));
    }
    else if (cls != NULL && !records_is_class(s->state, cls)) {
        complain_unbound(s);
        Py_CLEAR(cls);
    }
    if (cls != NULL && s->plan->options.sealed) {
        ((PyTypeObject *)cls)->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;
        PyType_Modified((PyTypeObject *)cls);
    }
done:
    binder->base = NULL;
    Py_DECREF(binder);
    return cls;
}

static int
set_qualname(statement *s)
{
    PyObject *qualname;
    int found =
        PyDict_GetItemRef(s->namespace, s->state->str_qualname, &qualname);
    if (found > 0 && !PyUnicode_Check(qualname)) {
        Py_DECREF(qualname);
        found = 0;
    }
    Py_XSETREF(s->plan->qualname, found > 0 ? qualname : Py_NewRef(s->name));
    return found < 0 ? -1 : 0;
}

static PyObject *
build(statement *s)
{
    int taken = has(s, s->state->str_binder);
    if (taken > 0) {
        PyErr_Format(PyExc_TypeError, "%U: the name %R is reserved", s->name,
                     s->state->str_binder);
    }
    if (taken != 0 || choose_base(s) < 0) {
        return NULL;
    }
    s->plan = s->base != NULL ? records_plan_copy(s->state, s->base->plan)
                              : records_plan_new(s->state);
    if (s->plan == NULL || set_qualname(s) < 0 || take_options(s) < 0
        || check_bases(s) < 0
        || records_checks_join(s->state, s->plan, s->bases, s->base) < 0) {
        return NULL;
    }
    /* an undecorated subclass of a decorated record is a plain class */
    s->plan->plain = s->base != NULL && !s->any_option
                     && (s->base->plan->decorated || s->base->plan->plain);
    if (s->plan->plain) {
        s->plan->methods = true;
    }
    else if (rewrite_body(s) < 0) {
        return NULL;
    }
    if (s->plan->checked) {
        s->meta = records_checked_meta(s->state, s->meta);
    }
    return make_class(s);
}

/* RecordMeta.__new__(mcls, name, bases, namespace, /, **options) */
PyObject *
records_meta_new(PyObject *module, PyObject *args, PyObject *kwargs)
{
    statement s = {.state = records_get_state(module), .frozen = -1};
    PyObject *namespace;
    if (!PyArg_ParseTuple(args, "OUO!O!:RecordMeta.__new__", &s.meta, &s.name,
                          &PyTuple_Type, &s.bases, &PyDict_Type, &namespace)) {
        return NULL;
    }
    if (!PyType_Check(s.meta)
        || !PyType_IsSubtype((PyTypeObject *)s.meta, s.state->meta_type)) {
        PyErr_Format(PyExc_TypeError,
                     "RecordMeta.__new__(): %R is not a record metaclass",
                     s.meta);
        return NULL;
    }
    s.namespace = PyDict_Copy(namespace);
    s.rest = kwargs != NULL ? PyDict_Copy(kwargs) : PyDict_New();
    PyObject *cls = s.namespace != NULL && s.rest != NULL ? build(&s) : NULL;
    Py_XDECREF(s.namespace);
    Py_XDECREF(s.rest);
    Py_XDECREF(s.locals);
    Py_XDECREF(s.plan);
    return cls;
}
