/* SPDX-License-Identifier: MIT
 *
 * Annotations taken apart: through Annotated, None in unions, NewType, type
 * aliases and the forms that say something of the place (Final, Required).
 *
 * typing is not imported before an annotation needs it: what has no metadata
 * and is a class needs nothing.
 */
#include "constraint_types.h"

/* ---- typing */

static const struct {
    const char *name;
    typing_form form;
} facts_forms[] = {
    {"Any", TYPING_ANY},
    {"Never", TYPING_NEVER},
    {"NoReturn", TYPING_NEVER},
    {"LiteralString", TYPING_TEXT},
    {"TypeGuard", TYPING_TRUTH},
    {"TypeIs", TYPING_TRUTH},
    {"Literal", TYPING_LITERAL},
    {"Union", TYPING_UNION},
    {"Final", TYPING_INNER},
    {"Required", TYPING_INNER},
    {"NotRequired", TYPING_INNER},
    {"ReadOnly", TYPING_INNER},
    {"ClassVar", TYPING_CLASS_VAR},
    {"Unpack", TYPING_UNPACK},
    {"Self", TYPING_ANY},
};

/* Enter the forms of a module that has the same names. */
static int
facts_read_forms(PyObject *module, PyObject *forms)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(facts_forms); i++) {
        PyObject *form;
        int found = fe_find_attr(module, facts_forms[i].name, &form);
        if (found < 0) {
            return -1;
        }
        if (found == 0) {
            continue;
        }
        PyObject *code = PyLong_FromLong(facts_forms[i].form);
        int failed = code == NULL || PyDict_SetItem(forms, form, code) < 0;
        Py_XDECREF(code);
        Py_DECREF(form);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

/* new: a module, if it has been imported; else NULL without an exception */
static PyObject *
facts_imported(const char *name)
{
    PyObject *text = PyUnicode_FromString(name);
    PyObject *module = text != NULL ? PyImport_GetModule(text) : NULL;
    Py_XDECREF(text);
    return module;
}

/* typing_extensions has forms of its own where typing lacks them. */
static int
facts_read_extensions(PyObject *forms)
{
    PyObject *module = facts_imported("typing_extensions");
    if (module == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int result = facts_read_forms(module, forms);
    Py_DECREF(module);
    return result;
}

/* new: the type of an annotation made by subscripting */
static PyObject *
facts_sample(PyObject *typing)
{
    PyObject *form = fe_getattr(typing, "Annotated");
    PyObject *items =
        form != NULL ? Py_BuildValue("(Oi)", &PyLong_Type, 0) : NULL;
    PyObject *sample = items != NULL ? PyObject_GetItem(form, items) : NULL;
    PyObject *type =
        sample != NULL ? Py_NewRef((PyObject *)Py_TYPE(sample)) : NULL;
    Py_XDECREF(sample);
    Py_XDECREF(items);
    Py_XDECREF(form);
    return type;
}

static int
facts_read_typing(validation_state *state, PyObject *typing)
{
    PyObject *either = PyNumber_Or((PyObject *)&PyLong_Type, Py_None);
    if (either == NULL) {
        return -1;
    }
    Py_XSETREF(state->typing_or, Py_NewRef((PyObject *)Py_TYPE(either)));
    Py_DECREF(either);
    Py_XSETREF(state->typing_annotated, facts_sample(typing));
    Py_XSETREF(state->typing_union, fe_getattr(typing, "Union"));
    Py_XSETREF(state->typing_newtype, fe_getattr(typing, "NewType"));
    PyObject *alias;
    int found = fe_find_attr(typing, "TypeAliasType", &alias);
    if (found < 0) {
        return -1;
    }
    Py_XSETREF(state->typing_alias, found ? alias : Py_NewRef(Py_None));
    Py_XSETREF(state->typing_forms, PyDict_New());
    if (state->typing_annotated == NULL || state->typing_union == NULL
        || state->typing_newtype == NULL || state->typing_forms == NULL) {
        return -1;
    }
    return facts_read_forms(typing, state->typing_forms) < 0
               ? -1
               : facts_read_extensions(state->typing_forms);
}

int
constraint_typing(validation_state *state)
{
    if (FE_LIKELY(state->typing != NULL)) {
        return 0;
    }
    PyObject *typing = PyImport_ImportModule("typing");
    if (typing == NULL) {
        return -1;
    }
    if (facts_read_typing(state, typing) < 0) {
        Py_DECREF(typing);
        return -1;
    }
    Py_XSETREF(state->typing, typing);
    return 0;
}

static int
facts_form_known(validation_state *state, PyObject *form)
{
    PyObject *code = PyDict_GetItemWithError(state->typing_forms, form);
    if (code == NULL && PyErr_Occurred()
        && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear(); /* TypeError: not hashable, so no form */
    }
    return code != NULL       ? (int)PyLong_AsLong(code)
           : PyErr_Occurred() ? -1
                              : TYPING_NONE;
}

int
constraint_form(validation_state *state, PyObject *form)
{
    if (constraint_typing(state) < 0) {
        return -1;
    }
    int code = facts_form_known(state, form);
    if (code != TYPING_NONE || PyType_Check(form)) {
        return code;
    }
    /* typing_extensions may have come since */
    return facts_read_extensions(state->typing_forms) < 0
               ? -1
               : facts_form_known(state, form);
}

/* ---- errors */

int
constraint_error_where(PyObject *where)
{
    if (where == NULL
        || !(PyErr_ExceptionMatches(PyExc_TypeError)
             || PyErr_ExceptionMatches(PyExc_ValueError)
             || PyErr_ExceptionMatches(PyExc_NameError))) {
        return -1;
    }
    PyObject *error = PyErr_GetRaisedException();
    if (error == NULL) {
        return -1;
    }
    PyObject *text = PyObject_Str(error);
    if (text != NULL) {
        PyErr_Format(
            PyObject_TypeCheck(error, (PyTypeObject *)PyExc_ValueError)
                ? PyExc_ValueError
                : PyExc_TypeError,
            "%U: %U", where, text);
        Py_DECREF(text);
    }
    Py_DECREF(error);
    return -1;
}

/* ---- metadata */

typedef struct {
    validation_state *state;
    PyObject *found; /* owned list */
    PyObject *doc;   /* owned or NULL */
    bool optional;
    bool sensitive;
} facts_gather;

static int facts_metadata(facts_gather *gather, PyObject *meta);

static int
facts_append_steal(facts_gather *gather, PyObject *constraint)
{
    if (constraint == NULL) {
        return -1;
    }
    int result = PyList_Append(gather->found, constraint);
    Py_DECREF(constraint);
    return result;
}

static int
facts_each(facts_gather *gather, PyObject *group)
{
    PyObject *iterator = PyObject_GetIter(group);
    if (iterator == NULL || Py_EnterRecursiveCall(" in metadata")) {
        Py_XDECREF(iterator);
        return -1;
    }
    PyObject *meta;
    int result = 0;
    while (result == 0 && (meta = PyIter_Next(iterator)) != NULL) {
        result = facts_metadata(gather, meta);
        Py_DECREF(meta);
    }
    Py_LeaveRecursiveCall();
    Py_DECREF(iterator);
    return result < 0 || PyErr_Occurred() ? -1 : 0;
}

static int
facts_own(facts_gather *gather, constraint_kind kind, PyObject *meta)
{
    PyObject *parts;
    int result;
    switch (kind) {
    case CONSTRAINT_LENGTH:
    case CONSTRAINT_INTERVAL:
        parts = constraint_parts(gather->state, meta);
        result = parts != NULL ? facts_each(gather, parts) : -1;
        Py_XDECREF(parts);
        return result;
    case CONSTRAINT_SENSITIVE:
        gather->sensitive = true;
        break;
    case CONSTRAINT_DOC:
        Py_XSETREF(gather->doc, Py_NewRef(CONSTRAINT(meta)->value));
        break;
    default:
        break;
    }
    return PyList_Append(gather->found, meta);
}

/* 1, 0, -1 */
static int
facts_word_starts(PyObject *word, const char *with)
{
    PyObject *start = PyUnicode_FromString(with);
    Py_ssize_t does =
        start != NULL ? PyUnicode_Tailmatch(word, start, 0, PY_SSIZE_T_MAX, -1)
                      : -1;
    Py_XDECREF(start);
    return (int)does;
}

/* new: the number of a word like "min_len:3", and nothing else that int()
 * would take; NULL with ValueError
 */
static PyObject *
facts_word_number(PyObject *word)
{
    const Py_ssize_t start = 8, end = PyUnicode_GET_LENGTH(word);
    bool digits = start < end && end - start < 1000;
    for (Py_ssize_t i = start; digits && i < end; i++) {
        Py_UCS4 character = PyUnicode_READ_CHAR(word, i);
        digits = character >= '0' && character <= '9';
    }
    if (!digits) {
        PyErr_Format(PyExc_ValueError, "%R wants a length after the colon",
                     word);
        return NULL;
    }
    PyObject *text = PyUnicode_Substring(word, start, end);
    PyObject *number =
        text != NULL ? PyLong_FromUnicodeObject(text, 10) : NULL;
    Py_XDECREF(text);
    return number;
}

/* "min_len:3" and the like */
static int
facts_word(facts_gather *gather, PyObject *word)
{
    if (PyUnicode_CompareWithASCIIString(word, "sensitive_data") == 0) {
        return facts_own(gather, CONSTRAINT_SENSITIVE,
                         gather->state->sensitive);
    }
    int low = facts_word_starts(word, "min_len:");
    int high = low == 0 ? facts_word_starts(word, "max_len:") : 0;
    if (low <= 0 && high <= 0) {
        return low < 0 ? low : high;
    }
    PyObject *value = facts_word_number(word);
    if (value == NULL) {
        return -1;
    }
    PyObject *made = constraint_new(
        gather->state, low > 0 ? CONSTRAINT_MIN_LENGTH : CONSTRAINT_MAX_LENGTH,
        value, NULL);
    Py_DECREF(value);
    return facts_append_steal(gather, made);
}

static const struct {
    const char *name;
    const char *attribute;
    constraint_kind kind;
} facts_foreign_table[] = {
    {"Gt", "gt", CONSTRAINT_GT},
    {"Ge", "ge", CONSTRAINT_GE},
    {"Lt", "lt", CONSTRAINT_LT},
    {"Le", "le", CONSTRAINT_LE},
    {"MultipleOf", "multiple_of", CONSTRAINT_MULTIPLE_OF},
    {"MinLen", "min_length", CONSTRAINT_MIN_LENGTH},
    {"MaxLen", "max_length", CONSTRAINT_MAX_LENGTH},
    {"Predicate", "func", CONSTRAINT_PREDICATE},
    {"Timezone", "tz", CONSTRAINT_TIMEZONE},
    {"DocInfo", "documentation", CONSTRAINT_DOC},
    {"Doc", "documentation", CONSTRAINT_DOC}, /* of typing_extensions */
};

/* Is it an instance of a class of this module, by name? 1, 0, -1 */
static int
facts_instance_of(PyObject *meta, PyObject *module, const char *name)
{
    PyObject *cls;
    int found = fe_find_attr(module, name, &cls);
    if (found > 0 && PyType_Check(cls)) {
        found = PyObject_TypeCheck(meta, (PyTypeObject *)cls);
    }
    else if (found > 0) {
        found = 0;
    }
    Py_XDECREF(cls);
    return found;
}

static int
facts_foreign(facts_gather *gather, PyObject *meta, PyObject *module)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(facts_foreign_table); i++) {
        int is = facts_instance_of(meta, module, facts_foreign_table[i].name);
        if (is == 0) {
            continue;
        }
        PyObject *value =
            is > 0 ? fe_getattr(meta, facts_foreign_table[i].attribute) : NULL;
        if (value == NULL) {
            return -1;
        }
        PyObject *made = constraint_new(
            gather->state, facts_foreign_table[i].kind, value, NULL);
        Py_DECREF(value);
        int result = made != NULL
                         ? facts_own(gather, facts_foreign_table[i].kind, made)
                         : -1;
        Py_XDECREF(made);
        return result < 0 ? -1 : 1;
    }
    return 0;
}

/* Objects of annotated_types and typing_extensions, if these are there: they
 * are when such an object is.
 */
static int
facts_library(facts_gather *gather, PyObject *meta)
{
    static const char *const modules[] = {"annotated_types",
                                          "typing_extensions"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(modules); i++) {
        PyObject *module = facts_imported(modules[i]);
        if (module == NULL) {
            if (PyErr_Occurred()) {
                return -1;
            }
            continue;
        }
        int done = facts_foreign(gather, meta, module);
        Py_DECREF(module);
        if (done != 0) {
            return done < 0 ? -1 : 0;
        }
    }
    PyObject *grouped;
    int found = fe_find_attr(meta, "__is_annotated_types_grouped_metadata__",
                             &grouped);
    bool group = grouped == Py_True;
    Py_XDECREF(grouped);
    return found < 0 ? -1 : group ? facts_each(gather, meta) : 0;
}

/* A constraint's class says nothing: it was meant to be called. 0 or -1 */
static int
facts_class(const facts_gather *gather, PyObject *meta)
{
    PyTypeObject *base = gather->state->constraint_type;
    if ((PyTypeObject *)meta == base
        || !PyType_IsSubtype((PyTypeObject *)meta, base)) {
        return 0;
    }
    PyObject *name = fe_getattr(meta, "__name__");
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "%S is a class: write %S(...)", name,
                     name);
        Py_DECREF(name);
    }
    return -1;
}

static int
facts_metadata(facts_gather *gather, PyObject *meta)
{
    constraint_kind kind = constraint_kind_of(gather->state, meta);
    if (kind != CONSTRAINT_KIND_COUNT) {
        return facts_own(gather, kind, meta);
    }
    if (PyUnicode_Check(meta)) {
        return facts_word(gather, meta);
    }
    if (PyType_Check(meta)) {
        return facts_class(gather, meta);
    }
    if (meta == Py_None || PyLong_Check(meta) || PyFloat_Check(meta)
        || PyTuple_Check(meta) || PyDict_Check(meta)) {
        return 0;
    }
    return facts_library(gather, meta);
}

/* ---- annotations */

static int facts_unwrap(facts_gather *gather, PyObject *annotation,
                        PyObject **base);

int
constraint_alias_value(validation_state *state, PyObject *annotation,
                       PyObject **value)
{
    *value = NULL;
    PyObject *alias = state->typing_alias;
    if ((PyObject *)Py_TYPE(annotation) == alias) {
        *value = fe_getattr(annotation, "__value__");
        return *value != NULL ? 0 : -1;
    }
    if (alias == Py_None || !Py_IS_TYPE(annotation, &Py_GenericAliasType)) {
        return 0;
    }
    PyObject *origin = fe_getattr(annotation, "__origin__");
    if (origin == NULL || (PyObject *)Py_TYPE(origin) != alias) {
        Py_XDECREF(origin);
        return origin != NULL ? 0 : -1;
    }
    PyObject *generic = fe_getattr(origin, "__value__");
    PyObject *args =
        generic != NULL ? fe_getattr(annotation, "__args__") : NULL;
    *value = args != NULL ? PyObject_GetItem(generic, args) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(generic);
    Py_DECREF(origin);
    return *value != NULL ? 0 : -1;
}

/* new: the members of a union but for None, as a tuple */
static PyObject *
facts_members(facts_gather *gather, PyObject *annotation)
{
    PyObject *args = fe_getattr(annotation, "__args__");
    PyObject *rest = args != NULL ? PyList_New(0) : NULL;
    PyObject *iterator = rest != NULL ? PyObject_GetIter(args) : NULL;
    PyObject *arg;
    bool failed = iterator == NULL;
    while (!failed && (arg = PyIter_Next(iterator)) != NULL) {
        if (arg == Py_None || arg == (PyObject *)Py_TYPE(Py_None)) {
            gather->optional = true;
        }
        else {
            failed = PyList_Append(rest, arg) < 0;
        }
        Py_DECREF(arg);
    }
    PyObject *tuple = failed || PyErr_Occurred() ? NULL : PyList_AsTuple(rest);
    Py_XDECREF(iterator);
    Py_XDECREF(rest);
    Py_XDECREF(args);
    return tuple;
}

static int
facts_unwrap_union(facts_gather *gather, PyObject *annotation, PyObject **base)
{
    bool before = gather->optional;
    gather->optional = false;
    PyObject *rest = facts_members(gather, annotation);
    bool found = gather->optional;
    gather->optional = before || found;
    if (rest == NULL) {
        return -1;
    }
    int result = 0;
    if (PyTuple_GET_SIZE(rest) == 1) {
        result = facts_unwrap(gather, PyTuple_GET_ITEM(rest, 0), base);
    }
    else if (!found) {
        *base = Py_NewRef(annotation);
    }
    else {
        *base = PyObject_GetItem(gather->state->typing_union, rest);
        result = *base != NULL ? 0 : -1;
    }
    Py_DECREF(rest);
    return result;
}

/* new, in *inner: what a wrapper of the given attribute holds */
static int
facts_step(facts_gather *gather, PyObject *inner, PyObject **base)
{
    if (inner == NULL) {
        return -1;
    }
    int result = facts_unwrap(gather, inner, base);
    Py_DECREF(inner);
    return result;
}

static int
facts_unwrap_annotated(facts_gather *gather, PyObject *annotation,
                       PyObject **base)
{
    if (facts_step(gather, fe_getattr(annotation, "__origin__"), base) < 0) {
        return -1;
    }
    PyObject *metadata = fe_getattr(annotation, "__metadata__");
    int result = metadata != NULL ? facts_each(gather, metadata) : -1;
    Py_XDECREF(metadata);
    if (result < 0) {
        Py_CLEAR(*base);
    }
    return result;
}

/* Final[X], Union[X, None] and the like, by their __origin__ */
static int
facts_unwrap_form(facts_gather *gather, PyObject *annotation, PyObject **base)
{
    PyObject *origin;
    int found = fe_find_attr(annotation, "__origin__", &origin);
    int form = found > 0 ? constraint_form(gather->state, origin) : found;
    Py_XDECREF(origin);
    if (form < 0) {
        return -1;
    }
    if (form == TYPING_UNION) {
        return facts_unwrap_union(gather, annotation, base);
    }
    if (form == TYPING_INNER || form == TYPING_CLASS_VAR) {
        PyObject *args = fe_getattr(annotation, "__args__");
        PyObject *inner = args != NULL ? PySequence_GetItem(args, 0) : NULL;
        Py_XDECREF(args);
        return facts_step(gather, inner, base);
    }
    *base = Py_NewRef(annotation);
    return 0;
}

static int
facts_unwrap_any(facts_gather *gather, PyObject *annotation, PyObject **base)
{
    validation_state *state = gather->state;
    PyObject *type = (PyObject *)Py_TYPE(annotation), *value;
    if (PyType_Check(annotation)) {
        *base = Py_NewRef(annotation);
        return 0;
    }
    if (annotation == Py_None) {
        *base = Py_NewRef(type);
        return 0;
    }
    if (constraint_typing(state) < 0) {
        return -1;
    }
    if (type == state->typing_annotated) {
        return facts_unwrap_annotated(gather, annotation, base);
    }
    if (type == state->typing_or) {
        return facts_unwrap_union(gather, annotation, base);
    }
    if (type == state->typing_newtype) {
        return facts_step(gather, fe_getattr(annotation, "__supertype__"),
                          base);
    }
    if (constraint_alias_value(state, annotation, &value) < 0) {
        return -1;
    }
    return value != NULL ? facts_step(gather, value, base)
                         : facts_unwrap_form(gather, annotation, base);
}

/* *base is new; an alias may lead to itself */
static int
facts_unwrap(facts_gather *gather, PyObject *annotation, PyObject **base)
{
    if (Py_EnterRecursiveCall(" in an annotation")) {
        return -1;
    }
    *base = NULL;
    int result = facts_unwrap_any(gather, annotation, base);
    Py_LeaveRecursiveCall();
    return result;
}

static int
facts_check_resolved(PyObject *base)
{
    bool name = PyUnicode_Check(base);
    if (!name && !PyType_Check(base)) {
        PyObject *argument;
        int found = fe_find_attr(base, "__forward_arg__", &argument);
        Py_XDECREF(argument);
        if (found < 0) {
            return -1;
        }
        name = found > 0;
    }
    if (name) {
        PyErr_Format(PyExc_TypeError,
                     "annotation %R is a name that has not been resolved",
                     base);
        return -1;
    }
    return 0;
}

int
constraint_facts_of(validation_state *state, PyObject *annotation,
                    PyObject *where, constraint_facts *facts)
{
    memset(facts, 0, sizeof(*facts));
    if (PyType_Check(annotation)) {
        facts->base = Py_NewRef(annotation);
        facts->constraints = Py_NewRef(state->constraint_none);
        return 0;
    }
    facts_gather gather = {.state = state, .found = PyList_New(0)};
    if (gather.found == NULL
        || facts_unwrap(&gather, annotation, &facts->base) < 0
        || facts_check_resolved(facts->base) < 0) {
        Py_XDECREF(gather.found);
        Py_XDECREF(gather.doc);
        Py_CLEAR(facts->base);
        return constraint_error_where(where);
    }
    facts->constraints = PyList_GET_SIZE(gather.found) == 0
                             ? Py_NewRef(state->constraint_none)
                             : PyList_AsTuple(gather.found);
    Py_DECREF(gather.found);
    facts->doc = gather.doc;
    facts->optional = gather.optional;
    facts->sensitive = gather.sensitive;
    if (facts->constraints == NULL) {
        constraint_facts_clear(facts);
        return -1;
    }
    return 0;
}

void
constraint_facts_clear(constraint_facts *facts)
{
    Py_CLEAR(facts->base);
    Py_CLEAR(facts->constraints);
    Py_CLEAR(facts->doc);
}
