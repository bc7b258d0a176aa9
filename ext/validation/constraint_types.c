/* SPDX-License-Identifier: MIT
 *
 * The tables that make the types of constraints from what constraint.c does.
 */
#include "constraint_types.h"

#define CONSTRAINT_FLAGS                                                      \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE)

#define CONSTRAINT_ATTRIBUTE(attribute)                                       \
    {attribute, Py_T_OBJECT_EX, offsetof(constraint_object, value),           \
     Py_READONLY, NULL}

static PyMethodDef constraint_methods[] = {
    {"__reduce__", constraint___reduce__, METH_NOARGS,
     constraint___reduce____doc__},
    {"__copy__", constraint___copy__, METH_NOARGS, constraint___copy____doc__},
    {"__deepcopy__", constraint___copy__, METH_O,
     constraint___deepcopy____doc__},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef Interval_methods[] = {
    {"__reduce__", Interval___reduce__, METH_NOARGS,
     constraint___reduce____doc__},
    {"__copy__", constraint___copy__, METH_NOARGS, constraint___copy____doc__},
    {"__deepcopy__", constraint___copy__, METH_O,
     constraint___deepcopy____doc__},
    {NULL, NULL, 0, NULL},
};

#define CONSTRAINT_SLOTS(methods)                                             \
    {Py_tp_repr, FE_SLOT(constraint_tp_repr)},                                \
        {Py_tp_str, FE_SLOT(constraint_tp_str)},                              \
        {Py_tp_hash, FE_SLOT(constraint_tp_hash)},                            \
        {Py_tp_richcompare, FE_SLOT(constraint_tp_richcompare)},              \
        {Py_tp_traverse, FE_SLOT(constraint_tp_traverse)},                    \
        {Py_tp_dealloc, FE_SLOT(constraint_tp_dealloc)},                      \
    {                                                                         \
        Py_tp_methods, methods                                                \
    }

#define CONSTRAINT_SPEC(type)                                                 \
    static PyType_Spec type##_spec = {                                        \
        .name = "ferrule.validation." #type,                                  \
        .basicsize = sizeof(constraint_object),                               \
        .flags = CONSTRAINT_FLAGS,                                            \
        .slots = type##_slots,                                                \
    }

/* A type with one argument, kept as it is. */
#define CONSTRAINT_TYPE(type, attribute, doc)                                 \
    static PyMemberDef type##_members[] = {CONSTRAINT_ATTRIBUTE(attribute),   \
                                           {0}};                              \
    static PyType_Slot type##_slots[] = {                                     \
        CONSTRAINT_SLOTS(constraint_methods),                                 \
        {Py_tp_new, FE_SLOT(constraint_tp_new)},                              \
        {Py_tp_members, type##_members},                                      \
        {Py_tp_doc, FE_TEXT(doc)},                                            \
        {0, NULL},                                                            \
    };                                                                        \
    CONSTRAINT_SPEC(type)

CONSTRAINT_TYPE(Gt, "gt", "Gt(gt)\n--\n\nGreater than gt. NaN is not.");
CONSTRAINT_TYPE(Ge, "ge",
                "Ge(ge)\n--\n\nGreater than or equal to ge. NaN is not.");
CONSTRAINT_TYPE(Lt, "lt", "Lt(lt)\n--\n\nLess than lt. NaN is not.");
CONSTRAINT_TYPE(Le, "le",
                "Le(le)\n--\n\nLess than or equal to le. NaN is not.");
CONSTRAINT_TYPE(MultipleOf, "multiple_of",
                "MultipleOf(multiple_of)\n--\n\n"
                "value % multiple_of == 0, as Python computes it.");
CONSTRAINT_TYPE(MinLength, "min_length",
                "MinLength(min_length)\n--\n\n"
                "len(value) >= min_length. Equal to its str, 'min_len:3', "
                "which means the same in Annotated.");
CONSTRAINT_TYPE(MaxLength, "max_length",
                "MaxLength(max_length)\n--\n\n"
                "len(value) <= max_length. Equal to its str, 'max_len:3', "
                "which means the same in Annotated.");
CONSTRAINT_TYPE(Predicate, "func",
                "Predicate(func)\n--\n\n"
                "func(value) is true. What it raises goes to the caller.");
CONSTRAINT_TYPE(Timezone, "tz",
                "Timezone(tz)\n--\n\n"
                "A datetime or time without a time zone (None), with any\n"
                "(...), or with the one given, by name or as tzinfo.");
CONSTRAINT_TYPE(Doc, "documentation",
                "Doc(documentation)\n--\n\nWhat the value is for.");

static PyMemberDef Length_members[] = {CONSTRAINT_ATTRIBUTE("min_length"),
                                       {0}};
static PyGetSetDef Length_getset[] = {
    {"max_length", Length_get_max_length, NULL, "None: no maximum.", NULL},
    {0},
};
static PyType_Slot Length_slots[] = {
    CONSTRAINT_SLOTS(constraint_methods),
    {Py_tp_new, FE_SLOT(Length_tp_new)},
    {Py_tp_iter, FE_SLOT(constraint_tp_iter)},
    {Py_tp_members, Length_members},
    {Py_tp_getset, Length_getset},
    {Py_tp_doc,
     FE_TEXT("Length(min_length, max_length=None)\n--\n\n"
             "min_length <= len(value) <= max_length. Iterates into "
             "MinLength and MaxLength.")},
    {0, NULL},
};
CONSTRAINT_SPEC(Length);

static PyGetSetDef Interval_getset[] = {
    {"gt", Interval_get, NULL, NULL, (void *)0},
    {"ge", Interval_get, NULL, NULL, (void *)1},
    {"lt", Interval_get, NULL, NULL, (void *)2},
    {"le", Interval_get, NULL, NULL, (void *)3},
    {0},
};
static PyType_Slot Interval_slots[] = {
    CONSTRAINT_SLOTS(Interval_methods),
    {Py_tp_new, FE_SLOT(Interval_tp_new)},
    {Py_tp_iter, FE_SLOT(constraint_tp_iter)},
    {Py_tp_getset, Interval_getset},
    {Py_tp_doc,
     FE_TEXT("Interval(*, gt=None, ge=None, lt=None, le=None)\n--\n\n"
             "Several bounds at once. Iterates into Gt, Ge, Lt and Le.")},
    {0, NULL},
};
CONSTRAINT_SPEC(Interval);

/* Types of the constants, which have no public name. */
#define CONSTRAINT_CONSTANT(type, doc)                                        \
    static PyType_Slot type##_slots[] = {                                     \
        CONSTRAINT_SLOTS(constraint_methods),                                 \
        {Py_tp_call, FE_SLOT(constant_tp_call)},                              \
        {Py_tp_doc, FE_TEXT(doc)},                                            \
        {0, NULL},                                                            \
    };                                                                        \
    static PyType_Spec type##_spec = {                                        \
        .name = "ferrule.validation." #type,                                  \
        .basicsize = sizeof(constraint_object),                               \
        .flags = CONSTRAINT_FLAGS | Py_TPFLAGS_DISALLOW_INSTANTIATION,        \
        .slots = type##_slots,                                                \
    }

CONSTRAINT_CONSTANT(Strip, "White space is taken off both ends of a str "
                           "before anything else is looked at.");
CONSTRAINT_CONSTANT(Sensitive, "The value is shown nowhere. Equal to "
                               "'sensitive_data', which means the same in "
                               "Annotated.");

static PyType_Slot base_slots[] = {
    {Py_tp_doc, FE_TEXT("What all constraints are instances of.")},
    {0, NULL},
};

static PyType_Spec base_spec = {
    .name = "ferrule.validation.Constraint",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = base_slots,
};

/* By kind; NULL: another feature's. match: names for match-case, "a b" */
static const struct {
    PyType_Spec *spec;
    const char *match;
    bool constant;
} constraint_table[CONSTRAINT_KIND_COUNT] = {
    [CONSTRAINT_GT] = {&Gt_spec, "gt", false},
    [CONSTRAINT_GE] = {&Ge_spec, "ge", false},
    [CONSTRAINT_LT] = {&Lt_spec, "lt", false},
    [CONSTRAINT_LE] = {&Le_spec, "le", false},
    [CONSTRAINT_MULTIPLE_OF] = {&MultipleOf_spec, "multiple_of", false},
    [CONSTRAINT_MIN_LENGTH] = {&MinLength_spec, "min_length", false},
    [CONSTRAINT_MAX_LENGTH] = {&MaxLength_spec, "max_length", false},
    [CONSTRAINT_STRIP] = {&Strip_spec, "", true},
    [CONSTRAINT_PREDICATE] = {&Predicate_spec, "func", false},
    [CONSTRAINT_TIMEZONE] = {&Timezone_spec, "tz", false},
    [CONSTRAINT_SENSITIVE] = {&Sensitive_spec, "", true},
    [CONSTRAINT_DOC] = {&Doc_spec, "documentation", false},
    [CONSTRAINT_LENGTH] = {&Length_spec, "min_length max_length", false},
    [CONSTRAINT_INTERVAL] = {&Interval_spec, "gt ge lt le", false},
};

static int
types_match_args(PyTypeObject *type, const char *match)
{
    PyObject *text = PyUnicode_FromString(match);
    PyObject *list = text != NULL ? PyUnicode_Split(text, NULL, -1) : NULL;
    PyObject *names = list != NULL ? PyList_AsTuple(list) : NULL;
    int result = names != NULL
                     ? PyDict_SetItemString(fe_type_dict_borrow(type),
                                            "__match_args__", names)
                     : -1;
    PyType_Modified(type);
    Py_XDECREF(names);
    Py_XDECREF(list);
    Py_XDECREF(text);
    return result;
}

static int
types_constant(PyObject *module, PyTypeObject *type, constraint_kind kind,
               const char *name, PyObject **kept)
{
    PyObject *constant = type->tp_alloc(type, 0);
    if (constant == NULL) {
        return -1;
    }
    ((constraint_object *)constant)->kind = kind;
    *kept = constant;
    return PyModule_AddObjectRef(module, name, constant);
}

/* Make the type of a kind; it is kept in the tuple at once. */
static int
types_add(PyObject *module, validation_state *state, constraint_kind kind)
{
    PyType_Spec *spec = constraint_table[kind].spec;
    if (spec == NULL) {
        PyTuple_SET_ITEM(state->constraint_types, kind, Py_NewRef(Py_None));
        return 0;
    }
    PyObject *made = PyType_FromModuleAndSpec(
        module, spec, (PyObject *)state->constraint_type);
    if (made == NULL) {
        return -1;
    }
    PyTuple_SET_ITEM(state->constraint_types, kind, made);
    PyTypeObject *type = (PyTypeObject *)made;
    if (constraint_table[kind].constant) {
        bool strip = kind == CONSTRAINT_STRIP;
        return types_constant(module, type, kind,
                              strip ? "Strip" : "Sensitive",
                              strip ? &state->strip : &state->sensitive);
    }
    return types_match_args(type, constraint_table[kind].match) < 0
               ? -1
               : PyModule_AddType(module, type);
}

int
constraint_types_register(PyObject *module, validation_state *state)
{
    state->constraint_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &base_spec, NULL);
    state->constraint_types = PyTuple_New(CONSTRAINT_KIND_COUNT);
    state->constraint_none = PyTuple_New(0);
    if (state->constraint_type == NULL || state->constraint_types == NULL
        || state->constraint_none == NULL
        || PyModule_AddType(module, state->constraint_type) < 0) {
        return -1;
    }
    for (int kind = 0; kind < CONSTRAINT_KIND_COUNT; kind++) {
        if (types_add(module, state, (constraint_kind)kind) < 0) {
            return -1;
        }
    }
    return 0;
}
