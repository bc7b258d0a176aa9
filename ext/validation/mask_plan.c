/* SPDX-License-Identifier: MIT
 *
 * What masking has to know of a class: is it shown as it is, walked, or taken
 * apart into fields.
 */
#include "mask_plan.h"

#define PLAN(op) ((mask_plan *)(op))

static void
plan_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(PLAN(self)->name);
    Py_XDECREF(PLAN(self)->blank);
    mask_shape_free(PLAN(self)->shape);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot plan_slots[] = {
    {Py_tp_dealloc, FE_SLOT(plan_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec plan_spec = {
    .name = "ferrule.validation._MaskPlan",
    .basicsize = sizeof(mask_plan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = plan_slots,
};

/* ---- ABCs */

/* new: tuple in the order of MASK_ABC_… */
static PyObject *
plan_read_abcs(void)
{
    static const char *const wanted[][2] = {
        {"collections.abc", "Mapping"},
        {"collections.abc", "Iterable"},
        {"collections.abc", "Callable"},
        {"functools", "partial"},
        {"types", "SimpleNamespace"},
        {"collections.abc", "Set"},
        {"collections.abc", "ValuesView"},
        {"collections.abc", "MutableSequence"},
    };
    PyObject *found = PyTuple_New(MASK_ABC_COUNT);
    for (Py_ssize_t i = 0; found != NULL && i < MASK_ABC_COUNT; i++) {
        PyObject *module = PyImport_ImportModule(wanted[i][0]);
        PyObject *cls =
            module != NULL ? fe_getattr(module, wanted[i][1]) : NULL;
        Py_XDECREF(module);
        if (cls != NULL && !PyType_Check(cls)) {
            PyErr_Format(PyExc_TypeError, "wanted %s.%s to be a class",
                         wanted[i][0], wanted[i][1]);
            Py_CLEAR(cls);
        }
        if (cls == NULL) {
            Py_CLEAR(found);
        }
        else {
            PyTuple_SET_ITEM(found, i, cls);
        }
    }
    return found;
}

int
mask_abcs(validation_state *state)
{
    if (FE_LIKELY(state->mask_abcs != NULL)) {
        return 0;
    }
    PyObject *abcs = plan_read_abcs();
    if (abcs == NULL) {
        return -1;
    }
    Py_XSETREF(state->mask_abcs, abcs);
    return 0;
}

/* ---- classes */

static bool
plan_is_atom(PyTypeObject *type)
{
    static PyTypeObject *const atoms[] = {
        &PyUnicode_Type,  &PyLong_Type,      &PyFloat_Type,
        &PyBytes_Type,    &PyComplex_Type,   &PyByteArray_Type,
        &PyRange_Type,    &PyType_Type,      &PyMemoryView_Type,
        &PyFunction_Type, &PyCFunction_Type, &PyModule_Type,
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(atoms); i++) {
        if (PyType_IsSubtype(type, atoms[i])) {
            return true;
        }
    }
    return type == Py_TYPE(Py_None) || type == &PyBaseObject_Type;
}

/* The kind of a class by its bases; -1: error. MASK_ATOM if it has none. */
static int
plan_container(validation_state *state, PyTypeObject *type)
{
    int is = PyObject_IsSubclass(
        (PyObject *)type,
        PyTuple_GET_ITEM(state->mask_abcs, MASK_ABC_MAPPING));
    if (is != 0) {
        return is < 0 ? -1 : MASK_DICT;
    }
    for (Py_ssize_t i = MASK_ABC_SET; is == 0 && i < MASK_ABC_COUNT; i++) {
        is = PyObject_IsSubclass((PyObject *)type,
                                 PyTuple_GET_ITEM(state->mask_abcs, i));
    }
    return is < 0 ? -1 : is ? MASK_OTHERS : MASK_ATOM;
}

/* Is it a class of Enum members, or one that says that it has fields? */
static int
plan_has(PyTypeObject *type, const char *name)
{
    PyObject *found;
    int status = fe_find_attr((PyObject *)type, name, &found);
    Py_XDECREF(found);
    return status;
}

static int
plan_take_fields(validation_state *state, mask_plan *plan,
                 validate_fields *fields)
{
    Py_ssize_t count = Py_SIZE(fields);
    plan->shape = mask_shape_new(MASK_FIELDS, count, true);
    plan->blank = PyDict_New();
    if (plan->shape == NULL || plan->blank == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const validate_field *field = &fields->fields[i];
        plan->shape->names[i] = Py_NewRef(field->name);
        if (mask_shape_of(state, field->annotation, &plan->shape->parts[i]) < 0
            || PyDict_SetItem(plan->blank, field->name, state->mask_stars)
                   < 0) {
            return -1;
        }
    }
    plan->kind = MASK_OBJECT;
    return 0;
}

/* Fields of a class, if it has any. 0 or -1 */
static int
plan_fields(validation_state *state, mask_plan *plan, PyTypeObject *type)
{
    int member = Py_TYPE(type) != &PyType_Type
                     ? plan_has(type, "_member_map_") /* Enum */
                     : 0;
    if (member != 0) {
        plan->hold = MASK_HOLD_MEMBER;
        return member < 0 ? -1 : 0;
    }
    validate_fields *fields = validate_fields_of(state, (PyObject *)type);
    if (fields == NULL) {
        return -1;
    }
    int has = Py_SIZE(fields) > 0 ? 1 : plan_has(type, "__dataclass_fields__");
    int status = has > 0 ? plan_take_fields(state, plan, fields) : has;
    Py_DECREF(fields);
    return status;
}

/* Is it a field at all, not a ClassVar, an InitVar or KW_ONLY? 1, 0, -1 */
static int
plan_counts(validation_state *state, PyObject *annotation)
{
    const char *type = Py_TYPE(annotation)->tp_name;
    if (strcmp(type, "InitVar") == 0 || strcmp(type, "_KW_ONLY_TYPE") == 0) {
        return 0;
    }
    PyObject *origin;
    int found = fe_find_attr(annotation, "__origin__", &origin);
    int form = found < 0
                   ? -1
                   : constraint_form(state, found > 0 ? origin : annotation);
    Py_XDECREF(origin);
    if (form < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear(); /* TypeError: not hashable, so no form */
        form = TYPING_NONE;
    }
    return form < 0 ? -1 : form != TYPING_CLASS_VAR;
}

/* Enter one field; what its annotation says cannot be read: it is hidden. */
static int
plan_loose_field(validation_state *state, mask_plan *plan, PyObject *name,
                 PyObject *annotation)
{
    mask_shape *shape = plan->shape, **part = &shape->parts[shape->count];
    int counts = 1, status = -1;
    if (annotation != Py_None) {
        counts = plan_counts(state, annotation);
        status = counts > 0 ? mask_shape_of(state, annotation, part) : counts;
    }
    if (counts == 0) {
        return 0;
    }
    if (status < 0) {
        if (PyErr_Occurred() && !mask_error_counts()) {
            return -1;
        }
        PyErr_Clear(); /* any Exception of the annotation */
        plan->failed = true;
        *part = mask_shape_new(MASK_STARS, 0, false);
    }
    shape->names[shape->count] = Py_NewRef(name);
    PyUnicode_InternInPlace(&shape->names[shape->count]);
    shape->count++;
    return (status < 0 && *part == NULL)
                   || PyDict_SetItem(plan->blank, name, state->mask_stars) < 0
               ? -1
               : 0;
}

/* The fields of a class of which some annotations cannot be read, or cannot
 * be checked against a value, which masking does not ask for. */
static int
plan_loose(validation_state *state, mask_plan *plan, PyTypeObject *type)
{
    PyObject *hints = mask_hints_of(type);
    PyObject *items = hints != NULL ? PyDict_Items(hints) : NULL;
    Py_XDECREF(hints);
    Py_ssize_t count = items != NULL ? PyList_GET_SIZE(items) : 0;
    mask_shape_free(plan->shape);
    plan->shape =
        items != NULL ? mask_shape_new(MASK_FIELDS, count, true) : NULL;
    Py_XSETREF(plan->blank, plan->shape != NULL ? PyDict_New() : NULL);
    int status = plan->blank != NULL && constraint_typing(state) == 0 ? 0 : -1;
    if (plan->shape != NULL) {
        plan->shape->count = 0;
    }
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (PyUnicode_CheckExact(PyTuple_GET_ITEM(pair, 0))) {
            status = plan_loose_field(state, plan, PyTuple_GET_ITEM(pair, 0),
                                      PyTuple_GET_ITEM(pair, 1));
        }
    }
    Py_XDECREF(items);
    if (status == 0 && plan->shape->count > 0) {
        plan->kind = MASK_OBJECT;
    }
    return status;
}

/* The error of validate_fields_of is set. */
static int
plan_without_fields(validation_state *state, mask_plan *plan,
                    PyTypeObject *type)
{
    if (!mask_error_counts()) {
        return -1;
    }
    PyErr_Clear(); /* TypeError or NameError of its annotations */
    if (plan_loose(state, plan, type) == 0) {
        return 0;
    }
    if (!mask_error_counts()) {
        return -1;
    }
    PyErr_Clear(); /* any Exception: nothing of it is understood */
    plan->failed = true;
    plan->kind = MASK_WHOLE;
    return 0;
}

/* ---- what has something in it without being a container */

static mask_hold
plan_holder(validation_state *state, PyTypeObject *type)
{
    if (PyType_IsSubtype(type, (PyTypeObject *)PyExc_BaseException)) {
        return MASK_HOLD_ERROR;
    }
    if (type == &PyMethod_Type) {
        return MASK_HOLD_METHOD;
    }
    PyObject *partial = PyTuple_GET_ITEM(state->mask_abcs, MASK_ABC_PARTIAL);
    return PyType_IsSubtype(type, (PyTypeObject *)partial) ? MASK_HOLD_PARTIAL
                                                           : MASK_HOLD_NONE;
}

static int
plan_fill(validation_state *state, mask_plan *plan, PyTypeObject *type)
{
    plan->kind = MASK_ATOM;
    if (plan_is_atom(type)) {
        return 0;
    }
    if (PyType_IsSubtype(type, &PyDict_Type)) {
        int status = type != &PyDict_Type ? plan_fields(state, plan, type) : 0;
        if (status < 0) {
            status = plan_without_fields(state, plan, type);
        }
        /* what the class says of its keys is in plan->shape */
        plan->kind = plan->kind == MASK_WHOLE ? MASK_WHOLE : MASK_DICT;
        return status;
    }
    if (PyType_IsSubtype(type, &PyList_Type)) {
        plan->kind = MASK_LIST;
        return 0;
    }
    if (PyType_IsSubtype(type, &PySet_Type)
        || PyType_IsSubtype(type, &PyFrozenSet_Type)) {
        plan->kind = MASK_OTHERS;
        return 0;
    }
    if (mask_abcs(state) < 0
        || (type != &PyTuple_Type && plan_fields(state, plan, type) < 0
            && plan_without_fields(state, plan, type) < 0)) {
        return -1;
    }
    if (plan->hold == MASK_HOLD_NONE) {
        plan->hold = plan_holder(state, type);
    }
    if (plan->kind != MASK_ATOM || plan->hold != MASK_HOLD_NONE) {
        return 0;
    }
    if (PyType_IsSubtype(type, &PyTuple_Type)) {
        plan->kind = MASK_ROW;
        return 0;
    }
    if (PyType_IsSubtype(type, (PyTypeObject *)PyTuple_GET_ITEM(
                                   state->mask_abcs, MASK_ABC_NAMESPACE))) {
        plan->kind = MASK_NAMESPACE;
        return 0;
    }
    int kind = plan_container(state, type);
    plan->kind = kind > 0 ? (mask_class)kind : MASK_ATOM;
    return kind < 0 ? -1 : 0;
}

mask_plan *
mask_plan_of(validation_state *state, PyTypeObject *type)
{
    PyObject *known = mask_cache_get(state->mask_cache, (PyObject *)type);
    if (FE_LIKELY(known != NULL)) {
        return PLAN(known);
    }
    mask_plan *plan = PyObject_New(mask_plan, state->mask_plan_type);
    if (plan == NULL) {
        return NULL;
    }
    plan->name = plan->blank = NULL;
    plan->shape = NULL;
    plan->failed = false;
    plan->hold = MASK_HOLD_NONE;
    plan->name = PyType_GetQualName(type);
    /* what could not be read may become so: a name defined later */
    if (plan->name == NULL || plan_fill(state, plan, type) < 0
        || (!plan->failed
            && mask_cache_set(state->mask_cache, (PyObject *)type,
                              (PyObject *)plan)
                   < 0)) {
        Py_CLEAR(plan);
    }
    return plan;
}

int
mask_plan_register(PyObject *module, validation_state *state)
{
    state->mask_plan_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &plan_spec, NULL);
    return state->mask_plan_type != NULL ? 0 : -1;
}
