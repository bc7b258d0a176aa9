/* SPDX-License-Identifier: MIT
 *
 * Annotations to plans: the shape of a plan and its children. Constraints are
 * put in by validate_check.c. Classes with annotations are only named here:
 * their fields are looked up when a value comes, so classes may be recursive.
 */
#include "validate_plan.h"

static validate_plan *compile_fresh(validation_state *state,
                                    PyObject *annotation, PyObject *where,
                                    const validate_progress *progress);

static validate_plan *
compile_refuse(PyObject *annotation, const char *why)
{
    PyErr_Format(PyExc_TypeError, "annotation %R %s", annotation, why);
    return NULL;
}

/* stolen: child */
static int
compile_child(validate_plan *plan, Py_ssize_t i, validate_plan *child)
{
    plan->children[i] = child;
    if (child == NULL) {
        return -1;
    }
    plan->strips = plan->strips || child->strips;
    plan->mortal = plan->mortal || child->mortal;
    return 0;
}

/* A child for each annotation of the tuple. 0 or -1 */
static int
compile_children(validation_state *state, validate_plan *plan, PyObject *args,
                 Py_ssize_t count, PyObject *where,
                 const validate_progress *progress)
{
    if (validate_plan_children(plan, count) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        validate_plan *child = validate_compile(
            state, PyTuple_GET_ITEM(args, i), where, progress);
        if (compile_child(plan, i, child) < 0) {
            return -1;
        }
    }
    return 0;
}

/* new: a plan of a shape with a class (or NULL) and children */
static validate_plan *
compile_of(validation_state *state, validate_shape shape, PyObject *cls,
           PyObject *args, Py_ssize_t count, PyObject *where,
           const validate_progress *progress)
{
    validate_plan *plan = validate_plan_new(state, shape);
    if (plan == NULL) {
        return NULL;
    }
    if ((cls != NULL && validate_plan_refer(plan, cls) < 0)
        || compile_children(state, plan, args, count, where, progress) < 0) {
        Py_CLEAR(plan);
    }
    return plan;
}

/* ---- classes */

/* Is the attribute there, and True? 1, 0, -1 */
static int
compile_flag(PyObject *cls, const char *name)
{
    PyObject *value;
    int found = fe_find_attr(cls, name, &value);
    bool is = value == Py_True;
    Py_XDECREF(value);
    return found < 0 ? -1 : is;
}

static int
compile_has(PyObject *cls, const char *name)
{
    PyObject *value;
    int found = fe_find_attr(cls, name, &value);
    Py_XDECREF(value);
    return found;
}

/* Has the class, or one of its bases, annotations? 1, 0, -1 */
static int
compile_annotated(PyTypeObject *cls)
{
    static const char *const names[] = {"__annotations__", "__annotate_func__",
                                        "__annotate__"};
    PyObject *mro = cls->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (!(base->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
            continue;
        }
        for (size_t k = 0; k < Py_ARRAY_LENGTH(names); k++) {
            PyObject *own;
            PyObject *name = PyUnicode_InternFromString(names[k]);
            int found =
                name != NULL
                    ? PyDict_GetItemRef(fe_type_dict_borrow(base), name, &own)
                    : -1;
            Py_XDECREF(name);
            if (found == 0) {
                continue;
            }
            bool some = found > 0 && own != Py_None
                        && !(PyDict_Check(own) && PyDict_GET_SIZE(own) == 0);
            if (found > 0) {
                Py_DECREF(own);
            }
            if (found < 0 || some) {
                return found;
            }
        }
    }
    return 0;
}

/* The shape of a class made by a statement, or -1 */
static int
compile_class_shape(PyObject *cls)
{
    PyTypeObject *type = (PyTypeObject *)cls;
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return VALIDATE_CLASS;
    }
    if (PyType_IsSubtype(type, &PyDict_Type)) {
        int typed = compile_has(cls, "__required_keys__");
        if (typed != 0) {
            return typed < 0 ? -1 : VALIDATE_TYPED_DICT;
        }
    }
    if (Py_TYPE(type) != &PyType_Type) {
        int protocol = compile_flag(cls, "_is_protocol");
        int usable =
            protocol > 0 ? compile_flag(cls, "_is_runtime_protocol") : 1;
        if (protocol > 0 && usable == 0) {
            compile_refuse(cls, "is a protocol without runtime_checkable");
            return -1;
        }
        int plain =
            protocol != 0 ? protocol : compile_has(cls, "_member_map_");
        if (plain != 0 || usable < 0) {
            return plain < 0 || usable < 0 ? -1 : VALIDATE_CLASS;
        }
    }
    int annotated = compile_annotated(type);
    return annotated < 0 ? -1 : annotated ? VALIDATE_FIELDS : VALIDATE_CLASS;
}

static validate_plan *
compile_class(validation_state *state, PyObject *cls)
{
    static const struct {
        PyTypeObject *type;
        validate_shape shape;
    } own[] = {
        {&PyBool_Type, VALIDATE_BOOL},       {&PyLong_Type, VALIDATE_INT},
        {&PyFloat_Type, VALIDATE_FLOAT},     {&PyUnicode_Type, VALIDATE_STR},
        {&PyComplex_Type, VALIDATE_COMPLEX}, {&PyBytes_Type, VALIDATE_BYTES},
        {&PyBaseObject_Type, VALIDATE_ANY},
    };
    int shape = -1;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(own); i++) {
        if ((PyTypeObject *)cls == own[i].type) {
            shape = (int)own[i].shape;
        }
    }
    if (cls == (PyObject *)Py_TYPE(Py_None)) {
        shape = VALIDATE_NONE;
    }
    if (shape < 0 && Py_TYPE(cls) != &PyType_Type) {
        int form = constraint_form(state, cls); /* Any is a class */
        if (form < 0) {
            return NULL;
        }
        shape = form == TYPING_ANY ? VALIDATE_ANY : -1;
    }
    if (shape < 0) {
        shape = compile_class_shape(cls);
    }
    validate_plan *plan =
        shape >= 0 ? validate_plan_new(state, (validate_shape)shape) : NULL;
    if (plan != NULL && validate_plan_refer(plan, cls) < 0) {
        Py_CLEAR(plan);
    }
    return plan;
}

/* ---- generic aliases */

/* Does the class belong to Python's own containers, whose parameters say what
 * is in them? 1, 0, -1
 */
static int
compile_is_container(PyObject *cls)
{
    static const char *const homes[] = {"builtins", "collections",
                                        "collections.abc", "typing"};
    PyObject *module;
    int found = fe_find_attr(cls, "__module__", &module);
    int is = 0;
    for (size_t i = 0; found > 0 && i < Py_ARRAY_LENGTH(homes); i++) {
        is = is
             || (PyUnicode_Check(module)
                 && PyUnicode_CompareWithASCIIString(module, homes[i]) == 0);
    }
    Py_XDECREF(module);
    return found < 0 ? -1 : is;
}

/* Python's iterators and generators are not consumed, so only their class is
 * looked at. The shape, or -1
 */
static int
compile_container_shape(PyObject *cls, Py_ssize_t count)
{
    int own = compile_is_container(cls);
    if (own <= 0) {
        return own < 0 ? -1 : VALIDATE_CLASS;
    }
    int keys = compile_has(cls, "keys");
    if (keys != 0) {
        return keys < 0 ? -1 : VALIDATE_MAPPING;
    }
    int walks = count == 1 ? compile_has(cls, "__iter__") : 0;
    int consumed = walks > 0 ? compile_has(cls, "__next__") : 0;
    return walks < 0 || consumed < 0 ? -1
           : walks && !consumed      ? VALIDATE_ITEMS
                                     : VALIDATE_CLASS;
}

/* Is it *Ts or *tuple[...]? 1, 0, -1 */
static int
compile_is_unpacked(validation_state *state, PyObject *arg)
{
    int starred = PyType_Check(arg) ? 0 : compile_flag(arg, "__unpacked__");
    PyObject *origin;
    if (starred != 0 || PyType_Check(arg)) {
        return starred;
    }
    int found = fe_find_attr(arg, "__origin__", &origin);
    int form = found > 0 ? constraint_form(state, origin) : found;
    Py_XDECREF(origin);
    return form < 0 ? -1 : form == TYPING_UNPACK;
}

static validate_plan *
compile_tuple(validation_state *state, PyObject *args, PyObject *where,
              const validate_progress *progress)
{
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    PyObject *cls = (PyObject *)&PyTuple_Type;
    if (count == 2 && PyTuple_GET_ITEM(args, 1) == Py_Ellipsis) {
        return compile_of(state, VALIDATE_ITEMS, cls, args, 1, where,
                          progress);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        int unpacked = compile_is_unpacked(state, PyTuple_GET_ITEM(args, i));
        if (unpacked != 0) {
            return unpacked < 0 ? NULL : compile_class(state, cls);
        }
    }
    return compile_of(state, VALIDATE_TUPLE, cls, args, count, where,
                      progress);
}

static validate_plan *
compile_generic_class(validation_state *state, PyObject *cls, PyObject *args,
                      PyObject *where, const validate_progress *progress)
{
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    if (cls == (PyObject *)&PyTuple_Type) {
        return compile_tuple(state, args, where, progress);
    }
    if (cls == (PyObject *)&PyType_Type) {
        return compile_of(state, VALIDATE_TYPE, cls, args, 1, where, progress);
    }
    int shape = compile_container_shape(cls, count);
    if (shape < 0) {
        return NULL;
    }
    if (shape == VALIDATE_CLASS) {
        int callable = compile_is_container(cls);
        callable = callable > 0 ? compile_has(cls, "__call__") : callable;
        PyObject *name = callable > 0 ? fe_getattr(cls, "__name__") : NULL;
        bool is = name != NULL && PyUnicode_Check(name)
                  && PyUnicode_CompareWithASCIIString(name, "Callable") == 0;
        Py_XDECREF(name);
        return callable < 0 || PyErr_Occurred() ? NULL
               : is ? validate_plan_new(state, VALIDATE_CALLABLE)
                    : compile_class(state, cls);
    }
    if (shape == VALIDATE_MAPPING) { /* Counter has one parameter */
        return compile_of(state, VALIDATE_MAPPING, cls, args,
                          count < 2 ? count : 2, where, progress);
    }
    return compile_of(state, VALIDATE_ITEMS, cls, args, 1, where, progress);
}

static validate_plan *
compile_literal(validation_state *state, PyObject *args)
{
    validate_plan *plan = validate_plan_new(state, VALIDATE_LITERAL);
    if (plan == NULL) {
        return NULL;
    }
    plan->values = Py_NewRef(args);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
        PyTypeObject *type = Py_TYPE(PyTuple_GET_ITEM(args, i));
        plan->mortal =
            plan->mortal || (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
    }
    return plan;
}

/* X[args], by the form or class X; args is a tuple */
static validate_plan *
compile_generic(validation_state *state, PyObject *annotation,
                PyObject *origin, PyObject *args, PyObject *where,
                const validate_progress *progress)
{
    if (PyType_Check(origin)) {
        return compile_generic_class(state, origin, args, where, progress);
    }
    int form = constraint_form(state, origin);
    switch (form) {
    case -1:
        return NULL;
    case TYPING_LITERAL:
        return compile_literal(state, args);
    case TYPING_UNION:
        return compile_of(state, VALIDATE_UNION, NULL, args,
                          PyTuple_GET_SIZE(args), where, progress);
    case TYPING_TRUTH:
        return compile_class(state, (PyObject *)&PyBool_Type);
    case TYPING_UNPACK:
        return validate_plan_new(state, VALIDATE_ANY);
    default:
        return compile_refuse(annotation, "is not a type ferrule knows");
    }
}

/* ---- what is left: bare forms, type variables */

static validate_plan *
compile_variable(validation_state *state, PyObject *variable, PyObject *where,
                 const validate_progress *progress)
{
    PyObject *choices, *bound;
    int found = fe_find_attr(variable, "__constraints__", &choices);
    if (found <= 0) {
        int typing =
            found < 0 ? -1 : compile_has(variable, "__typing_subst__");
        return typing < 0    ? NULL
               : typing == 0 ? compile_refuse(variable, "is not a type")
                             : validate_plan_new(state, VALIDATE_ANY);
    }
    if (PyTuple_Check(choices) && PyTuple_GET_SIZE(choices) > 0) {
        validate_plan *plan =
            compile_of(state, VALIDATE_UNION, NULL, choices,
                       PyTuple_GET_SIZE(choices), where, progress);
        Py_DECREF(choices);
        return plan;
    }
    Py_DECREF(choices);
    found = fe_find_attr(variable, "__bound__", &bound);
    if (found < 0) {
        return NULL;
    }
    validate_plan *plan = bound == NULL || bound == Py_None
                              ? validate_plan_new(state, VALIDATE_ANY)
                              : compile_fresh(state, bound, where, progress);
    Py_XDECREF(bound);
    return plan;
}

static validate_plan *
compile_bare(validation_state *state, PyObject *base, PyObject *where,
             const validate_progress *progress)
{
    int form = constraint_form(state, base);
    switch (form) {
    case -1:
        return NULL;
    case TYPING_ANY:
    case TYPING_INNER:
    case TYPING_CLASS_VAR:
        return validate_plan_new(state, VALIDATE_ANY);
    case TYPING_NEVER:
        return validate_plan_new(state, VALIDATE_NEVER);
    case TYPING_TEXT:
        return compile_class(state, (PyObject *)&PyUnicode_Type);
    case TYPING_NONE:
        return compile_variable(state, base, where, progress);
    default:
        return compile_refuse(base, "wants parameters");
    }
}

static validate_plan *
compile_subscripted(validation_state *state, PyObject *base, PyObject *origin,
                    PyObject *where, const validate_progress *progress)
{
    PyObject *args;
    int found = fe_find_attr(base, "__args__", &args);
    if (found < 0) {
        return NULL;
    }
    validate_plan *plan;
    if (found > 0 && PyTuple_Check(args)) {
        plan = compile_generic(state, base, origin, args, where, progress);
    }
    else if (PyType_Check(origin)) { /* typing.List and the like, bare */
        plan = compile_class(state, origin);
    }
    else {
        plan = compile_refuse(base, "wants parameters");
    }
    Py_XDECREF(args);
    return plan;
}

static validate_plan *
compile_base(validation_state *state, PyObject *base, PyObject *where,
             const validate_progress *progress)
{
    if (PyType_Check(base)) {
        return compile_class(state, base);
    }
    if (constraint_typing(state) < 0) {
        return NULL;
    }
    PyObject *origin;
    int found = (PyObject *)Py_TYPE(base) == state->typing_or
                    ? (origin = Py_NewRef(state->typing_union), 1)
                    : fe_find_attr(base, "__origin__", &origin);
    if (found < 0) {
        return NULL;
    }
    validate_plan *plan =
        found > 0 ? compile_subscripted(state, base, origin, where, progress)
                  : compile_bare(state, base, where, progress);
    Py_XDECREF(origin);
    return plan;
}

/* new: a plan nobody else has, with its constraints */
static validate_plan *
compile_fresh(validation_state *state, PyObject *annotation, PyObject *where,
              const validate_progress *progress)
{
    constraint_facts facts;
    if (constraint_facts_of(state, annotation, NULL, &facts) < 0) {
        return NULL;
    }
    validate_plan *plan = compile_base(state, facts.base, where, progress);
    if (plan != NULL) {
        plan->optional = plan->optional || facts.optional;
        plan->sensitive = plan->sensitive || facts.sensitive;
        if (validate_check_add(state, plan, facts.constraints) < 0) {
            Py_CLEAR(plan);
        }
    }
    constraint_facts_clear(&facts);
    if (plan != NULL) {
        validate_check_quick(plan);
    }
    return plan;
}

/* A plan that has its child later: an alias may lead back to itself, and the
 * ones with parameters do so by ever new objects.
 */
static validate_plan *
compile_alias(validation_state *state, PyObject *alias, PyObject *value,
              PyObject *where, const validate_progress *outer)
{
    for (const validate_progress *at = outer; at != NULL; at = at->outer) {
        if (at->annotation == alias) {
            return (validate_plan *)Py_NewRef((PyObject *)at->plan);
        }
    }
    validate_plan *plan = validate_plan_new(state, VALIDATE_ALIAS);
    if (plan == NULL || validate_plan_children(plan, 1) < 0) {
        Py_XDECREF(plan);
        return NULL;
    }
    plan->values = Py_NewRef(alias);
    plan->strips = plan->mortal = true; /* not known yet */
    if (Py_IS_TYPE(alias, &Py_GenericAliasType)) {
        return plan;
    }
    validate_progress progress = {outer, alias, plan};
    validate_plan *child = validate_compile(state, value, where, &progress);
    if (child == NULL) {
        Py_DECREF(plan);
        return NULL;
    }
    plan->children[0] = child;
    return plan;
}

static validate_plan *
compile_any(validation_state *state, PyObject *annotation, PyObject *where,
            const validate_progress *progress)
{
    PyObject *value = NULL;
    if (!PyType_Check(annotation)
        && (constraint_typing(state) < 0
            || constraint_alias_value(state, annotation, &value) < 0)) {
        return NULL;
    }
    if (value == NULL) {
        return compile_fresh(state, annotation, where, progress);
    }
    validate_plan *plan =
        compile_alias(state, annotation, value, where, progress);
    Py_DECREF(value);
    return plan;
}

validate_plan *
validate_compile(validation_state *state, PyObject *annotation,
                 PyObject *where, const validate_progress *progress)
{
    constraint_entry *entry =
        constraint_cache_find(state->constraint_cache, annotation);
    if (entry != NULL && entry->plan != NULL) {
        return (validate_plan *)Py_NewRef(entry->plan);
    }
    if (Py_EnterRecursiveCall(" in an annotation")) {
        return NULL;
    }
    validate_plan *plan = compile_any(state, annotation, where, progress);
    Py_LeaveRecursiveCall();
    if (plan != NULL
        && constraint_cache_add(state, annotation, NULL, (PyObject *)plan,
                                !plan->mortal)
               < 0) {
        Py_CLEAR(plan);
    }
    return plan;
}

validate_plan *
validate_plan_of(validation_state *state, PyObject *annotation,
                 PyObject *where)
{
    validate_plan *plan = validate_compile(state, annotation, where, NULL);
    if (plan == NULL) {
        constraint_error_where(where);
    }
    return plan;
}
