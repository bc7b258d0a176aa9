/* SPDX-License-Identifier: MIT
 *
 * A class body read: each annotation evaluated, classified, and made a Field
 * with its storage kind; the defaults taken out of the body. Rules and texts
 * of mistakes are those of dataclasses.
 *
 * Evaluating an annotation written as text runs code of the user's module.
 */
#include "records_state.h"

/* What one pass over a class body needs to know. */
typedef struct {
    records_state *state;
    record_plan *plan;
    PyObject *namespace;   /* borrowed: the class body */
    PyObject *globals;     /* borrowed or NULL */
    PyObject *locals;      /* owned or NULL: the enclosing function's */
    bool looked;           /* for them */
    PyObject *dataclasses; /* borrowed or NULL: the module, if imported */
    PyObject *typing;      /* borrowed or NULL */
    bool kw_only;          /* fields from here on */
    bool saw_marker;       /* KW_ONLY was there */
} scan;

/* 1: obj is module.name; 0 not; -1 error. No module: 0. */
static int
is_from(PyObject *obj, PyObject *module, const char *name)
{
    if (module == NULL) {
        return 0;
    }
    PyObject *value = PyObject_GetAttrString(module, name);
    if (value == NULL) {
        return -1;
    }
    Py_DECREF(value); /* the module keeps it */
    return value == obj;
}

typedef enum { IS_FIELD, IS_CLASSVAR, IS_INITVAR, IS_KW_ONLY } meaning;

/* The meaning of an annotation, -1 on error. */
static int
meaning_of(scan *s, PyObject *annotation)
{
    if (s->dataclasses != NULL) {
        int found = is_from(annotation, s->dataclasses, "KW_ONLY");
        if (found != 0) {
            return found < 0 ? -1 : IS_KW_ONLY;
        }
        found = is_from(annotation, s->dataclasses, "InitVar");
        if (found == 0) {
            found = is_from((PyObject *)Py_TYPE(annotation), s->dataclasses,
                            "InitVar");
        }
        if (found != 0) {
            return found < 0 ? -1 : IS_INITVAR;
        }
    }
    if (PyType_Check(annotation) || s->typing == NULL) {
        return IS_FIELD;
    }
    int found = is_from(annotation, s->typing, "ClassVar");
    if (found != 0) {
        return found < 0 ? -1 : IS_CLASSVAR;
    }
    PyObject *origin;
    found =
        PyObject_GetOptionalAttr(annotation, s->state->str_origin, &origin);
    if (found <= 0) {
        return found < 0 ? -1 : IS_FIELD;
    }
    found = is_from(origin, s->typing, "ClassVar");
    Py_DECREF(origin);
    return found < 0 ? -1 : (found ? IS_CLASSVAR : IS_FIELD);
}

/* The variables of the function the class statement stands in. */
static void
find_locals(scan *s)
{
    if (s->locals != NULL || s->looked) {
        return;
    }
    s->looked = true;
    PyObject *locals = PyEval_GetLocals();
    if (locals != NULL && locals != s->globals && PyDict_Check(locals)) {
        s->locals = Py_NewRef(locals);
    }
}

/* Put the class's type parameters (PEP 695) into the scope by name. */
static int
add_type_params(scan *s, PyObject *scope)
{
    PyObject *params;
    PyObject *key = PyUnicode_FromString("__type_params__");
    int found =
        key != NULL ? PyDict_GetItemRef(s->namespace, key, &params) : -1;
    Py_XDECREF(key);
    if (found <= 0 || !PyTuple_Check(params)) {
        return found < 0 ? -1 : 0;
    }
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(params); i++) {
        PyObject *param = PyTuple_GET_ITEM(params, i);
        PyObject *name = PyObject_GetAttrString(param, "__name__");
        status = name != NULL ? PyDict_SetItem(scope, name, param) : -1;
        Py_XDECREF(name);
    }
    Py_DECREF(params);
    return status;
}

/* new: the names an annotation may use besides the module's */
static PyObject *
annotation_scope(scan *s)
{
    PyObject *scope = PyDict_New();
    if (scope == NULL
        || (s->locals != NULL && PyDict_Update(scope, s->locals) < 0)
        || add_type_params(s, scope) < 0
        || PyDict_Update(scope, s->namespace) < 0) {
        Py_CLEAR(scope);
    }
    return scope;
}

/* 1: found, *value is new; 0: no such name; -1: error */
static int
look_up(scan *s, PyObject *scope, PyObject *name, PyObject **value)
{
    int found = PyDict_GetItemRef(scope, name, value);
    if (found == 0) {
        found = PyDict_GetItemRef(s->globals, name, value);
    }
    if (found == 0) {
        found = PyDict_GetItemRef(PyEval_GetBuiltins(), name, value);
    }
    return found;
}

/* new: the value of a dotted name, by look-ups: nearly every annotation is
 * one, and the compiler behind eval() costs a hundred times as much. NULL: it
 * has none (*plain) or is no dotted name; or, with an exception, an error.
 */
static PyObject *
evaluate_name(scan *s, PyObject *scope, PyObject *text, bool *plain)
{
    PyObject *parts = PyObject_CallMethod(text, "split", "s", ".");
    PyObject *value = NULL;
    *plain = parts != NULL;
    for (Py_ssize_t i = 0; *plain && i < PyList_GET_SIZE(parts); i++) {
        *plain = PyUnicode_IsIdentifier(PyList_GET_ITEM(parts, i));
    }
    if (!*plain) {
        Py_XDECREF(parts);
        return NULL;
    }
    int found = look_up(s, scope, PyList_GET_ITEM(parts, 0), &value);
    for (Py_ssize_t i = 1; found > 0 && i < PyList_GET_SIZE(parts); i++) {
        PyObject *inner;
        found =
            PyObject_GetOptionalAttr(value, PyList_GET_ITEM(parts, i), &inner);
        Py_SETREF(value, inner);
    }
    Py_DECREF(parts);
    return found > 0 ? value : NULL;
}

/* new: eval(text) */
static PyObject *
evaluate_expression(scan *s, PyObject *scope, PyObject *text)
{
    const char *source = PyUnicode_AsUTF8(text);
    return source != NULL
               ? PyRun_String(source, Py_eval_input, s->globals, scope)
               : NULL;
}

/* new: what the text means where the class stands; NULL without an exception
 * when it means nothing, with one when the class must not be made.
 */
static PyObject *
evaluate_text(scan *s, PyObject *text)
{
    find_locals(s);
    if (PyErr_Occurred()) {
        return NULL;
    }
    PyObject *stripped = PyObject_CallMethod(text, "strip", NULL);
    PyObject *scope = stripped != NULL ? annotation_scope(s) : NULL;
    PyObject *result = NULL;
    if (scope != NULL) {
        bool plain;
        bool none = PyUnicode_CompareWithASCIIString(stripped, "None") == 0;
        result = none ? Py_NewRef(Py_None)
                      : evaluate_name(s, scope, stripped, &plain);
        if (result == NULL && !PyErr_Occurred() && !plain) {
            result = evaluate_expression(s, scope, stripped);
        }
    }
    Py_XDECREF(stripped);
    Py_XDECREF(scope);
    if (result == NULL && PyErr_Occurred()
        && PyErr_ExceptionMatches(PyExc_Exception)
        && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear(); /* any Exception: the annotation stays text */
    }
    return result;
}

/* new: the leading part of an annotation that can be a dotted name */
static PyObject *
dotted_head(PyObject *text)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(text), end = 0, name_end = 0;
    for (; end < size; end++) {
        Py_UCS4 c = PyUnicode_READ_CHAR(text, end);
        if (Py_UNICODE_ISALNUM(c) || c == '_') {
            name_end = end + 1;
        }
        else if (c != '.' && !Py_UNICODE_ISSPACE(c)) {
            break;
        }
    }
    return PyUnicode_Substring(text, 0, name_end);
}

/* new: the annotation's value, or the text itself when it has none. */
static PyObject *
evaluate(scan *s, PyObject *text)
{
    if (s->globals == NULL) {
        return Py_NewRef(text);
    }
    PyObject *value = evaluate_text(s, text);
    if (value != NULL || PyErr_Occurred()) {
        return value;
    }
    /* "ClassVar[Unknown]": the dotted name in front says enough */
    PyObject *head = dotted_head(text);
    value = head != NULL ? evaluate_text(s, head) : NULL;
    Py_XDECREF(head);
    if (value == NULL && PyErr_Occurred()) {
        return NULL;
    }
    if (value != NULL) {
        int what = meaning_of(s, value);
        if (what > IS_FIELD) {
            return value;
        }
        Py_DECREF(value);
        if (what < 0) {
            return NULL;
        }
    }
    return Py_NewRef(text);
}

/* ------------------------------------------------------------ sensitive */

/* What somebody's code raised, unless it must stop us: 0 then, else -1 */
static int
forgive(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)
        || PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return -1;
    }
    PyErr_Clear(); /* any Exception of a metadata object: it says nothing */
    return 0;
}

/* Is one of the metadata the marker "sensitive_data", or equal to it? By a
 * look-up in a set: an array's == or a placeholder equal to everything has no
 * such hash.
 */
static int
has_marker(scan *s, PyObject *metadata)
{
    int found = 0;
    Py_ssize_t count =
        PyTuple_Check(metadata) ? PyTuple_GET_SIZE(metadata) : 0;
    for (Py_ssize_t i = 0; found == 0 && i < count; i++) {
        found = PySet_Contains(s->state->sensitive_marks,
                               PyTuple_GET_ITEM(metadata, i));
        if (found < 0) {
            found = forgive();
        }
    }
    return found;
}

/* What could not be evaluated is sensitive if it looks like it. */
static int
text_has_marker(PyObject *text)
{
    static const char *const words[] = {"Sensitive", "sensitive_data"};
    Py_ssize_t at = -1;
    for (size_t i = 0; at == -1 && i < Py_ARRAY_LENGTH(words); i++) {
        PyObject *word = PyUnicode_FromString(words[i]);
        if (word == NULL) {
            return -1;
        }
        at = PyUnicode_Find(text, word, 0, PY_SSIZE_T_MAX, 1);
        Py_DECREF(word);
    }
    return at == -2 ? -1 : at >= 0;
}

static int part_is_sensitive(scan *s, PyObject *part, PyObject *seen);

/* of one, or of those in a tuple */
static int
parts_are_sensitive(scan *s, PyObject *parts, bool many, PyObject *seen)
{
    if (!many) {
        return part_is_sensitive(s, parts, seen);
    }
    int found = 0;
    Py_ssize_t count = PyTuple_Check(parts) ? PyTuple_GET_SIZE(parts) : 0;
    for (Py_ssize_t i = 0; found == 0 && i < count; i++) {
        found = part_is_sensitive(s, PyTuple_GET_ITEM(parts, i), seen);
    }
    return found;
}

static int
form_is_sensitive(scan *s, PyObject *annotation, PyObject *seen)
{
    PyObject *value;
    int found = fe_find_attr(annotation, "__metadata__", &value);
    if (found > 0) {
        found = has_marker(s, value);
        Py_DECREF(value);
    }
    else if (found < 0) {
        found = forgive();
    }
    static const struct {
        const char *name;
        bool many, last;
    } parts[] = {
        {"__origin__", false, false},     {"__args__", true, true},
        {"__value__", false, true},       {"__supertype__", false, true},
        {"__forward_arg__", false, true},
    };
    for (size_t i = 0; found == 0 && i < Py_ARRAY_LENGTH(parts); i++) {
        PyObject *part;
        found = fe_find_attr(annotation, parts[i].name, &part);
        if (found < 0) {
            found = forgive();
            continue;
        }
        if (found > 0) {
            found = parts_are_sensitive(s, part, parts[i].many, seen);
            Py_DECREF(part);
            if (parts[i].last) {
                break; /* it is of this kind */
            }
        }
    }
    return found;
}

static bool
was_seen(PyObject *seen, PyObject *annotation)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(seen); i++) {
        if (PyList_GET_ITEM(seen, i) == annotation) {
            return true;
        }
    }
    return false;
}

/* `seen` (list): what is being looked at, for an alias may name itself. */
static int
value_is_sensitive(scan *s, PyObject *annotation, PyObject *seen)
{
    if (PyUnicode_Check(annotation)) {
        return text_has_marker(annotation);
    }
    if (PyType_Check(annotation) || was_seen(seen, annotation)) {
        return 0;
    }
    PyObject *origin;
    int found = fe_find_attr(annotation, "__origin__", &origin);
    if (found > 0) { /* what Literal holds are values */
        found = is_from(origin, s->typing, "Literal");
        Py_DECREF(origin);
    }
    if (found != 0) {
        return found < 0 ? forgive() : 0;
    }
    if (PyList_Append(seen, annotation) < 0
        || Py_EnterRecursiveCall(" in an annotation")) {
        return -1;
    }
    found = form_is_sensitive(s, annotation, seen);
    Py_LeaveRecursiveCall();
    return found;
}

/* of a part of an annotation, in which text is a forward reference */
static int
part_is_sensitive(scan *s, PyObject *part, PyObject *seen)
{
    PyObject *value =
        PyUnicode_Check(part) ? evaluate(s, part) : Py_NewRef(part);
    int found = value != NULL ? value_is_sensitive(s, value, seen) : -1;
    Py_XDECREF(value);
    return found;
}

/* Does the evaluated annotation say Sensitive, at whatever depth? A record
 * shows its fields whole or not at all. 1, 0, -1
 */
static int
says_sensitive(scan *s, PyObject *annotation)
{
    if (PyType_Check(annotation)) {
        return 0;
    }
    PyObject *seen = PyList_New(0);
    int found = seen != NULL ? value_is_sensitive(s, annotation, seen) : -1;
    Py_XDECREF(seen);
    return found;
}

/* --------------------------------------------------------------- fields */

/* new: a Field whose values `check` checks: it has no default */
static field_object *
checked_field(scan *s, PyObject *check, const fe_field_check *how)
{
    field_object *field = records_field_new(s->state);
    if (field != NULL) {
        field->check = Py_NewRef(check);
        field->how = how;
    }
    return field;
}

/* new: the Field for a name: what the body assigned, or a bare one */
static field_object *
field_of(scan *s, PyObject *name, bool *assigned)
{
    PyObject *value;
    int found = PyDict_GetItemRef(s->namespace, name, &value);
    if (found < 0) {
        return NULL;
    }
    *assigned = found > 0;
    field_object *field;
    const fe_field_check *how = NULL;
    int checks = found > 0 ? records_find_check(s->state, value, &how) : 0;
    if (checks < 0) {
        field = NULL;
    }
    else if (checks > 0) {
        field = checked_field(s, value, how);
    }
    else if (found == 0) {
        field = records_field_new(s->state);
    }
    else if (Py_IS_TYPE(value, s->state->field_type)) {
        field = records_field_copy(s->state, (field_object *)value);
    }
    else {
        int foreign =
            is_from((PyObject *)Py_TYPE(value), s->dataclasses, "Field");
        field = foreign < 0   ? NULL
                : foreign > 0 ? records_field_adopt(s->state, value)
                              : records_field_new(s->state);
        if (field != NULL && !foreign) {
            field->default_value = Py_NewRef(value);
        }
    }
    Py_XDECREF(value);
    if (field != NULL) {
        Py_XSETREF(field->name, Py_NewRef(name));
    }
    return field;
}

static int
check_role(scan *s, field_object *field)
{
    PyObject *where = s->plan->qualname;
    if (field->check != NULL && field->role == ROLE_INITVAR) {
        PyErr_Format(PyExc_TypeError, "%U.%U: an InitVar cannot be checked",
                     where, field->name);
        return -1;
    }
    if (field->check != NULL && field->role == ROLE_CLASSVAR) {
        /* it is the class's own attribute, as any other object there */
        field->default_value = field->check;
        field->check = NULL;
    }
    if (field->role != ROLE_FIELD && field->factory != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%U: field %U cannot have a default factory", where,
                     field->name);
        return -1;
    }
    if (field->role == ROLE_CLASSVAR && field->kw_only >= 0) {
        PyErr_Format(PyExc_TypeError,
                     "%U: field %U is a ClassVar but specifies kw_only", where,
                     field->name);
        return -1;
    }
    if (field->role == ROLE_FIELD && field->default_value != NULL
        && Py_TYPE(field->default_value)->tp_hash
               == PyObject_HashNotImplemented) {
        PyErr_Format(PyExc_ValueError,
                     "mutable default %R for field %U is not allowed: "
                     "use default_factory",
                     Py_TYPE(field->default_value), field->name);
        return -1;
    }
    return 0;
}

/* The default of an unboxed field is tried once, at definition. */
static int
check_default(scan *s, field_object *field)
{
    if (field->kind == FE_OBJECT || field->default_value == NULL
        || field->role != ROLE_FIELD) {
        return 0;
    }
    record_field trial = {.name = field->name,
                          .size = field->size,
                          .kind = field->kind,
                          .flags = field->sensitive ? FE_FIELD_SENSITIVE : 0};
    char *room = PyMem_Malloc(field->size);
    if (room == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int status =
        records_store(s->plan->qualname, &trial, room, field->default_value);
    PyMem_Free(room);
    return status;
}

/* A field declared again keeps its storage. */
static int
check_redeclared(scan *s, field_object *field)
{
    PyObject *old_value;
    int found = PyDict_GetItemRef(s->plan->by_name, field->name, &old_value);
    if (found <= 0) {
        return found;
    }
    field_object *old = (field_object *)old_value;
    int status = 0;
    if (old->role == ROLE_CLASSVAR) {
        /* a new field: it goes behind the base's, in storage and signature */
        status = PyDict_DelItem(s->plan->by_name, field->name);
    }
    else if (old->role != field->role) {
        static const char *const roles[] = {"a field", "an InitVar",
                                            "a ClassVar"};
        PyErr_Format(PyExc_TypeError,
                     "%U.%U: declared as %s, but a base has it as %s",
                     s->plan->qualname, field->name, roles[field->role],
                     roles[old->role]);
        status = -1;
    }
    else if (old->role != ROLE_INITVAR
             && (old->kind != field->kind || old->size != field->size)) {
        PyErr_Format(PyExc_TypeError,
                     "%U.%U: declared as %s, but a base stores it as %s",
                     s->plan->qualname, field->name,
                     fe_kind_names[field->kind], fe_kind_names[old->kind]);
        status = -1;
    }
    Py_DECREF(old_value);
    return status;
}

static bool
reserved(PyObject *name)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(name);
    return size > 4 && PyUnicode_READ_CHAR(name, 0) == '_'
           && PyUnicode_READ_CHAR(name, 1) == '_'
           && PyUnicode_READ_CHAR(name, size - 1) == '_'
           && PyUnicode_READ_CHAR(name, size - 2) == '_';
}

/* Take the default out of the class body: the field's descriptor goes where
 * it stood. ClassVar and InitVar defaults stay as class attributes.
 */
static int
settle_default(scan *s, field_object *field, bool assigned)
{
    if (!assigned) {
        return 0;
    }
    if (field->role == ROLE_FIELD || field->default_value == NULL) {
        return fe_dict_discard(s->namespace, field->name) < 0 ? -1 : 0;
    }
    return PyDict_SetItem(s->namespace, field->name, field->default_value);
}

static int
add_field(scan *s, field_object *field, PyObject *annotation, bool assigned)
{
    record_plan *plan = s->plan;
    if (reserved(field->name) && field->role == ROLE_FIELD) {
        PyErr_Format(PyExc_TypeError, "%U.%U: the name is reserved",
                     plan->qualname, field->name);
        return -1;
    }
    if (field->role == ROLE_FIELD && field->resolved
        && records_field_storage(s->state, field, annotation, plan->qualname,
                                 plan->options.packed)
               < 0) {
        return -1;
    }
    if (check_role(s, field) < 0 || check_redeclared(s, field) < 0
        || check_default(s, field) < 0) {
        return -1;
    }
    if (field->kw_only < 0 && field->role != ROLE_CLASSVAR) {
        field->kw_only = s->kw_only;
    }
    if (field->role == ROLE_INITVAR) {
        plan->has_initvars = true;
    }
    if (field->check != NULL) {
        plan->checked = true;
    }
    if (settle_default(s, field, assigned) < 0) {
        return -1;
    }
    return PyDict_SetItem(plan->by_name, field->name, (PyObject *)field);
}

static int
scan_one(scan *s, PyObject *name, PyObject *declared)
{
    PyObject *annotation = PyUnicode_Check(declared) ? evaluate(s, declared)
                                                     : Py_NewRef(declared);
    if (annotation == NULL) {
        return -1;
    }
    bool assigned = false;
    field_object *field = NULL;
    int status = -1;
    int what = meaning_of(s, annotation);
    if (what < 0) {
        goto done;
    }
    if (what == IS_KW_ONLY) {
        if (s->saw_marker) {
            PyErr_Format(PyExc_TypeError,
                         "%R is KW_ONLY, but KW_ONLY has already been "
                         "specified",
                         name);
            goto done;
        }
        s->kw_only = true;
        s->saw_marker = true;
        status = 0;
        goto done;
    }
    field = field_of(s, name, &assigned);
    if (field == NULL) {
        goto done;
    }
    Py_XSETREF(field->type, Py_NewRef(declared));
    Py_XSETREF(field->meaning, Py_NewRef(annotation));
    field->role = what == IS_CLASSVAR  ? ROLE_CLASSVAR
                  : what == IS_INITVAR ? ROLE_INITVAR
                                       : ROLE_FIELD;
    field->resolved = !PyUnicode_Check(annotation);
    int sensitive = what == IS_FIELD ? says_sensitive(s, annotation) : 0;
    if (sensitive < 0) {
        goto done;
    }
    field->sensitive = sensitive;
    status = add_field(s, field, annotation, assigned);
done:
    Py_DECREF(annotation);
    Py_XDECREF(field);
    return status;
}

/* dataclasses' rule: a field() without an annotation is a mistake. */
static int
check_unannotated(scan *s, PyObject *annotations)
{
    Py_ssize_t at = 0;
    PyObject *name, *value;
    while (PyDict_Next(s->namespace, &at, &name, &value)) {
        int foreign =
            is_from((PyObject *)Py_TYPE(value), s->dataclasses, "Field");
        if (foreign < 0) {
            return -1;
        }
        if (!foreign && !Py_IS_TYPE(value, s->state->field_type)) {
            continue;
        }
        int known =
            annotations != NULL ? PyDict_Contains(annotations, name) : 0;
        if (known < 0) {
            return -1;
        }
        if (!known) {
            PyErr_Format(PyExc_TypeError,
                         "%R is a field but has no type annotation", name);
            return -1;
        }
    }
    return 0;
}

/* A check without an annotation: a field that the constructor leaves alone
 * (it is None until something sets it), or a base's field checked anew.
 */
static int
scan_check(scan *s, PyObject *name, PyObject *check, const fe_field_check *how)
{
    PyObject *old;
    int found = PyDict_GetItemRef(s->plan->by_name, name, &old);
    if (found < 0) {
        return -1;
    }
    bool again = found > 0 && ((field_object *)old)->role == ROLE_FIELD;
    field_object *field =
        again ? records_field_copy(s->state, (field_object *)old)
              : checked_field(s, check, how);
    Py_XDECREF(old);
    if (field == NULL) {
        return -1;
    }
    PyObject *type = (PyObject *)&PyBaseObject_Type;
    if (again) {
        Py_XSETREF(field->check, Py_NewRef(check));
        field->how = how;
    }
    else {
        field->name = Py_NewRef(name);
        field->type = Py_NewRef(type);
        field->meaning = Py_NewRef(type);
        field->default_value = Py_NewRef(Py_None);
        field->init = 0;
    }
    int status;
    if (again) {
        s->plan->checked = true;
        status =
            settle_default(s, field, true) < 0
                ? -1
                : PyDict_SetItem(s->plan->by_name, name, (PyObject *)field);
    }
    else {
        status = add_field(s, field, type, true);
    }
    Py_DECREF(field);
    return status;
}

static int
scan_checks(scan *s, PyObject *annotations)
{
    PyObject *items = PyDict_Items(s->namespace);
    int status = items != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *name = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *value = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
        const fe_field_check *how;
        int known = annotations != NULL && PyUnicode_Check(name)
                        ? PyDict_Contains(annotations, name)
                        : 0;
        int checks = known == 0 && PyUnicode_CheckExact(name)
                         ? records_find_check(s->state, value, &how)
                         : 0;
        if (known < 0 || checks < 0) {
            status = -1;
        }
        else if (checks > 0) {
            Py_INCREF(name);
            PyUnicode_InternInPlace(&name);
            status = scan_check(s, name, value, how);
            Py_DECREF(name);
        }
    }
    Py_XDECREF(items);
    return status;
}

static int
scan_all(scan *s, PyObject *annotations)
{
    if (check_unannotated(s, annotations) < 0) {
        return -1;
    }
    if (annotations == NULL) {
        return 0;
    }
    /* evaluating runs code that may change the dict: walk a copy */
    PyObject *items = PyDict_Items(annotations);
    if (items == NULL) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items) && status == 0; i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *name = PyTuple_GET_ITEM(item, 0);
        if (!PyUnicode_Check(name)) {
            PyErr_Format(PyExc_TypeError, "%U: field name %R is not a str",
                         s->plan->qualname, name);
            status = -1;
            break;
        }
        Py_INCREF(name);
        PyUnicode_InternInPlace(&name);
        status = scan_one(s, name, PyTuple_GET_ITEM(item, 1));
        Py_DECREF(name);
    }
    Py_DECREF(items);
    return status;
}

/* new reference to an imported module, NULL (no error) when not imported */
static PyObject *
imported(const char *name)
{
    PyObject *key = PyUnicode_FromString(name);
    PyObject *module = key != NULL ? PyImport_GetModule(key) : NULL;
    Py_XDECREF(key);
    return module;
}

/* Read the annotations of a class body into plan->by_name, and take the
 * defaults out of the body. `locals`: the enclosing function's, or NULL.
 */
int
records_plan_collect(records_state *state, record_plan *plan,
                     PyObject *namespace, PyObject *annotations,
                     PyObject *locals)
{
    scan s = {.state = state,
              .plan = plan,
              .namespace = namespace,
              .locals = Py_XNewRef(locals),
              .kw_only = plan->options.kw_only};
    s.dataclasses = imported("dataclasses");
    s.typing = PyErr_Occurred() ? NULL : imported("typing");
    PyObject *module = NULL, *name = NULL;
    int status = -1;
    if (PyErr_Occurred()
        || PyDict_GetItemRef(namespace, state->str_module, &name) < 0) {
        goto done;
    }
    if (name != NULL && PyUnicode_Check(name)) {
        module = PyImport_GetModule(name);
        if (module == NULL && PyErr_Occurred()) {
            goto done;
        }
    }
    s.globals = module != NULL && PyModule_Check(module)
                    ? PyModule_GetDict(module)
                    : PyEval_GetGlobals();
    status = scan_all(&s, annotations) < 0 ? -1 : scan_checks(&s, annotations);
done:
    Py_XDECREF(name);
    Py_XDECREF(module);
    Py_XDECREF(s.locals);
    Py_XDECREF(s.dataclasses);
    Py_XDECREF(s.typing);
    return status;
}
