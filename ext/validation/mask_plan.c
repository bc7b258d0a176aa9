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

static PyObject *
plan_read_abcs(PyObject *abc)
{
    PyObject *names[6] = {NULL};
    static const char *const wanted[6] = {"Mapping",  "MutableSequence",
                                          "Set",      "ValuesView",
                                          "Iterable", "Callable"};
    PyObject *result = NULL;
    size_t i = 0;
    while (i < 6 && (names[i] = fe_getattr(abc, wanted[i])) != NULL) {
        i++;
    }
    if (i == 6) {
        result = Py_BuildValue("(O(OOO)OO)", names[0], names[1], names[2],
                               names[3], names[4], names[5]);
    }
    for (i = 0; i < 6; i++) {
        Py_XDECREF(names[i]);
    }
    return result;
}

int
mask_abcs(validation_state *state)
{
    if (FE_LIKELY(state->mask_abcs != NULL)) {
        return 0;
    }
    PyObject *abc = PyImport_ImportModule("collections.abc");
    PyObject *abcs = abc != NULL ? plan_read_abcs(abc) : NULL;
    Py_XDECREF(abc);
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
    if (mask_abcs(state) < 0) {
        return -1;
    }
    int is = PyObject_IsSubclass(
        (PyObject *)type,
        PyTuple_GET_ITEM(state->mask_abcs, MASK_ABC_MAPPING));
    if (is != 0) {
        return is < 0 ? -1 : MASK_DICT;
    }
    is = PyObject_IsSubclass(
        (PyObject *)type, PyTuple_GET_ITEM(state->mask_abcs, MASK_ABC_OTHERS));
    return is < 0 ? -1 : is ? MASK_OTHERS : MASK_ATOM;
}

/* Is it a class of Enum members, or a class that says itself that it has
 * fields, though none? */
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

/* Does what is written in the class look sensitive? For annotations that
 * cannot be read. */
static int
plan_looks_sensitive(PyTypeObject *type)
{
    PyObject *mro = Py_XNewRef(type->tp_mro);
    int looks = 0;
    for (Py_ssize_t i = 0;
         mro != NULL && looks == 0 && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *annotations;
        looks = fe_find_attr(PyTuple_GET_ITEM(mro, i), "__annotations__",
                             &annotations);
        PyObject *text = looks > 0 ? PyObject_Repr(annotations) : NULL;
        Py_XDECREF(annotations);
        looks = looks > 0 ? -1 : looks;
        if (text != NULL) {
            const char *utf8 = PyUnicode_AsUTF8(text);
            looks = utf8 == NULL ? -1
                                 : strstr(utf8, "Sensitive") != NULL
                                       || strstr(utf8, "sensitive_data");
            Py_DECREF(text);
        }
        if (looks < 0 && PyErr_ExceptionMatches(PyExc_Exception)
            && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
            PyErr_Clear(); /* any Exception: what does not show is hidden */
            looks = 1;
        }
    }
    Py_XDECREF(mro);
    return looks;
}

static int
plan_without_fields(mask_plan *plan, PyTypeObject *type)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)
        || PyErr_ExceptionMatches(PyExc_MemoryError)
        || PyErr_ExceptionMatches(PyExc_RecursionError)) {
        return -1;
    }
    PyErr_Clear(); /* TypeError or NameError of its annotations */
    int looks = plan_looks_sensitive(type);
    plan->failed = true;
    plan->kind = looks > 0 ? MASK_WHOLE : MASK_ATOM;
    return looks < 0 ? -1 : 0;
}

static int
plan_fill(validation_state *state, mask_plan *plan, PyTypeObject *type)
{
    plan->kind = MASK_ATOM;
    if (plan_is_atom(type)) {
        return 0;
    }
    if (PyType_IsSubtype(type, &PyDict_Type)
        || PyType_IsSubtype(type, &PyList_Type)) {
        plan->kind =
            PyType_IsSubtype(type, &PyDict_Type) ? MASK_DICT : MASK_LIST;
        return 0;
    }
    if (PyType_IsSubtype(type, &PySet_Type)
        || PyType_IsSubtype(type, &PyFrozenSet_Type)) {
        plan->kind = MASK_OTHERS;
        return 0;
    }
    if (type != &PyTuple_Type && plan_fields(state, plan, type) < 0
        && plan_without_fields(plan, type) < 0) {
        return -1;
    }
    if (plan->kind != MASK_ATOM) {
        return 0;
    }
    if (PyType_IsSubtype(type, &PyTuple_Type)) {
        plan->kind = MASK_ROW;
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
