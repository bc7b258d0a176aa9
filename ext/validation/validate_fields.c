/* SPDX-License-Identifier: MIT
 *
 * The fields of annotated classes, read once and kept in the class itself, so
 * that they go with it; and objects checked field by field.
 */
#include "validate_plan.h"

#define FIELDS(op) ((validate_fields *)(op))

/* ---- annotations */

/* new: typing.get_type_hints(cls, locals=…, include_extras=True) */
PyObject *
validate_hints(PyObject *cls, PyObject *locals)
{
    PyObject *typing = PyImport_ImportModule("typing");
    PyObject *function =
        typing != NULL ? fe_getattr(typing, "get_type_hints") : NULL;
    PyObject *args =
        function != NULL
            ? PyTuple_Pack(3, cls, Py_None, locals != NULL ? locals : Py_None)
            : NULL;
    PyObject *kwargs = args != NULL
                           ? Py_BuildValue("{s:O}", "include_extras", Py_True)
                           : NULL;
    PyObject *hints =
        kwargs != NULL ? PyObject_Call(function, args, kwargs) : NULL;
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    Py_XDECREF(function);
    Py_XDECREF(typing);
    return hints;
}

/* new: dict of names a class may mean by its own: itself and what is in it */
static PyObject *
fields_locals(PyObject *cls)
{
    PyObject *own = fe_type_dict_borrow((PyTypeObject *)cls);
    PyObject *locals = PyDict_Copy(own);
    PyObject *name = locals != NULL ? fe_getattr(cls, "__name__") : NULL;
    if (name == NULL || PyDict_SetItem(locals, name, cls) < 0) {
        Py_CLEAR(locals);
    }
    Py_XDECREF(name);
    return locals;
}

/* Does the repr of the annotation show the name? 1, 0, -1 */
static int
fields_mentions(PyObject *annotation, PyObject *name)
{
    PyObject *repr = PyObject_Repr(annotation);
    int is = repr != NULL ? PyUnicode_Contains(repr, name) : -1;
    Py_XDECREF(repr);
    return is;
}

/* new: the field that a NameError is about, or NULL without an exception */
static PyObject *
fields_culprit(PyObject *cls, PyObject *error)
{
    PyObject *name, *found = NULL;
    if (fe_find_attr(error, "name", &name) <= 0 || !PyUnicode_Check(name)) {
        Py_XDECREF(name);
        return NULL;
    }
    PyObject *mro = ((PyTypeObject *)cls)->tp_mro;
    for (Py_ssize_t i = 0; found == NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *own;
        if (fe_find_attr(PyTuple_GET_ITEM(mro, i), "__annotations__", &own)
            < 0) {
            break;
        }
        Py_ssize_t at = 0;
        PyObject *key, *annotation;
        while (own != NULL && PyDict_Check(own) && found == NULL
               && PyDict_Next(own, &at, &key, &annotation)) {
            Py_INCREF(key);
            int mentions = fields_mentions(annotation, name);
            if (mentions < 0) {
                Py_DECREF(key);
                break;
            }
            found = mentions ? Py_NewRef(key) : NULL;
            Py_DECREF(key);
        }
        Py_XDECREF(own);
    }
    Py_DECREF(name);
    return found;
}

/* The current exception, told of the class and the field */
static void
fields_unresolved(PyObject *cls, PyObject *qualname)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)
        || PyErr_ExceptionMatches(PyExc_MemoryError)
        || PyErr_ExceptionMatches(PyExc_RecursionError)) {
        return;
    }
    PyObject *error = PyErr_GetRaisedException();
    PyObject *text = error != NULL ? PyObject_Str(error) : NULL;
    if (text != NULL) {
        PyObject *field = fields_culprit(cls, error);
        if (field != NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%U.%S: annotation cannot be resolved: %U", qualname,
                         field, text);
            Py_DECREF(field);
        }
        else if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_TypeError,
                         "%U: annotations cannot be resolved: %U", qualname,
                         text);
        }
        Py_DECREF(text);
    }
    Py_XDECREF(error);
}

/* new: dict name -> annotation, bases first */
static PyObject *
fields_hints(validation_state *state, PyObject *cls, PyObject *qualname)
{
    PyObject *hints = validate_hints(cls, NULL);
    if (hints == NULL && PyErr_ExceptionMatches(PyExc_NameError)) {
        PyErr_Clear(); /* NameError: a class within a function, perhaps */
        PyObject *locals = fields_locals(cls);
        hints = locals != NULL ? validate_hints(cls, locals) : NULL;
        Py_XDECREF(locals);
    }
    if (hints == NULL) {
        fields_unresolved(cls, qualname);
    }
    else if (!PyDict_Check(hints)) {
        PyErr_SetString(PyExc_TypeError, "get_type_hints() gave no dict");
        Py_CLEAR(hints);
    }
    return hints;
}

/* Is it a field at all, not a ClassVar, an InitVar or KW_ONLY? 1, 0, -1 */
static int
fields_counts(validation_state *state, PyObject *annotation)
{
    if (PyType_Check(annotation)) {
        return 1;
    }
    const char *type = Py_TYPE(annotation)->tp_name;
    if (strcmp(type, "InitVar") == 0 || strcmp(type, "_KW_ONLY_TYPE") == 0) {
        return 0;
    }
    PyObject *origin;
    int found = fe_find_attr(annotation, "__origin__", &origin);
    if (found < 0) {
        return -1;
    }
    int form = constraint_form(state, found > 0 ? origin : annotation);
    Py_XDECREF(origin);
    if (form < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear(); /* TypeError: not hashable, so no form */
        form = TYPING_NONE;
    }
    return form < 0 ? -1 : form != TYPING_CLASS_VAR;
}

/* ---- defaults */

/* 1: the mapping attribute `table` of cls has the name, *value is new; 0; -1
 */
static int
fields_lookup(PyObject *cls, const char *table, PyObject *name,
              PyObject **value)
{
    PyObject *mapping;
    *value = NULL;
    int found = fe_find_attr(cls, table, &mapping);
    if (found > 0 && PyDict_Check(mapping)) {
        found = PyDict_GetItemRef(mapping, name, value);
    }
    else if (found > 0) {
        found = 0;
    }
    Py_XDECREF(mapping);
    return found;
}

/* What a class attribute says: descriptors (slots, properties) are none. */
static int
fields_attribute(PyObject *cls, PyObject *name, PyObject **value)
{
    PyObject *mro = ((PyTypeObject *)cls)->tp_mro;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *own =
            fe_type_dict_borrow((PyTypeObject *)PyTuple_GET_ITEM(mro, i));
        int found = PyDict_GetItemRef(own, name, value);
        if (found > 0
            && (Py_TYPE(*value)->tp_descr_get != NULL
                || Py_TYPE(*value)->tp_descr_set != NULL)) {
            Py_CLEAR(*value);
            return 0;
        }
        if (found != 0) {
            return found;
        }
    }
    return 0;
}

/* *value is new, or NULL: none. 0 or -1 */
static int
fields_default(PyObject *cls, PyObject *name, PyObject **value)
{
    PyObject *field;
    *value = NULL;
    int found = fields_lookup(cls, "__dataclass_fields__", name, &field);
    if (found > 0) {
        PyObject *given = fe_getattr(field, "default");
        Py_DECREF(field);
        if (given == NULL) {
            return -1;
        }
        if (strcmp(Py_TYPE(given)->tp_name, "_MISSING_TYPE") == 0) {
            Py_DECREF(given);
        }
        else {
            *value = given;
        }
        return 0;
    }
    if (found == 0) {
        found = fields_lookup(cls, "_field_defaults", name, value);
    }
    if (found == 0) {
        found = fields_attribute(cls, name, value);
    }
    return found < 0 ? -1 : 0;
}

/* A default whose constraint refuses it; of a wrong type it may be (None for
 * a str is common). 0, or -1 with ValueError
 */
static int
fields_check_default(validation_state *state, validate_fields *self,
                     const validate_field *field)
{
    if (field->default_value == NULL
        || validate_quick(field->plan, field->default_value)) {
        return 0;
    }
    validate_context context = {.state = state, .function = "", .quiet = 1};
    PyObject *result =
        validate_value(&context, field->plan, field->default_value, NULL);
    if (result != NULL || PyErr_Occurred() || !context.broken) {
        int failed = result == NULL && PyErr_Occurred();
        Py_XDECREF(result);
        return failed ? -1 : 0;
    }
    PyObject *where = PyUnicode_FromFormat("%U.%U", self->name, field->name);
    if (where == NULL) {
        return -1;
    }
    const validate_path path = {NULL, where, 0};
    result = validate_run(state, field->plan, field->default_value, &path);
    Py_DECREF(where);
    if (result == NULL
        && PyErr_ExceptionMatches((PyObject *)state->constraint_error)) {
        PyObject *error = PyErr_GetRaisedException();
        PyObject *text = error != NULL ? PyObject_Str(error) : NULL;
        if (text != NULL) {
            PyErr_Format(PyExc_ValueError, "default of %U", text);
        }
        Py_XDECREF(text);
        Py_XDECREF(error);
    }
    Py_XDECREF(result);
    return PyErr_Occurred() ? -1 : 0;
}

/* ---- making them */

static validate_fields *
fields_new(validation_state *state, PyObject *cls, Py_ssize_t count)
{
    validate_fields *self = (validate_fields *)state->fields_type->tp_alloc(
        state->fields_type, count);
    if (self == NULL) {
        return NULL;
    }
    self->name = fe_getattr(cls, "__qualname__");
    self->owner = PyWeakref_NewRef(cls, NULL);
    if (self->name != NULL && !PyUnicode_Check(self->name)) {
        PyErr_SetString(PyExc_TypeError, "__qualname__ must be a str");
        Py_CLEAR(self->name);
    }
    if (self->name == NULL || self->owner == NULL) {
        Py_CLEAR(self);
    }
    return self;
}

/* 1, 0, -1; every key is required where the class does not say */
static int
fields_required(PyObject *cls, PyObject *name)
{
    PyObject *keys;
    int found = fe_find_attr(cls, "__required_keys__", &keys);
    int is = found > 0 ? PySequence_Contains(keys, name) : found;
    Py_XDECREF(keys);
    return is;
}

static int
fields_fill(validation_state *state, validate_fields *self, PyObject *cls,
            Py_ssize_t i, PyObject *name, PyObject *annotation)
{
    validate_field *field = &self->fields[i];
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "%U: wanted names of fields, got %R",
                     self->name, name);
        return -1;
    }
    field->name = Py_NewRef(name);
    PyUnicode_InternInPlace(&field->name);
    field->annotation = Py_NewRef(annotation);
    PyObject *where = PyUnicode_FromFormat("%U.%U", self->name, name);
    if (where == NULL) {
        return -1;
    }
    int result = constraint_facts_of(state, annotation, where, &field->facts);
    if (result == 0) {
        field->plan = validate_plan_of(state, annotation, where);
        result = field->plan != NULL
                     ? fields_default(cls, name, &field->default_value)
                     : -1;
    }
    Py_DECREF(where);
    int required = result == 0 ? fields_required(cls, name) : -1;
    field->required = required > 0;
    self->any_sensitive = self->any_sensitive || field->facts.sensitive;
    return required < 0 ? -1 : 0;
}

/* new: a list of (name, annotation) of what counts */
static PyObject *
fields_list(validation_state *state, PyObject *hints)
{
    PyObject *list = PyList_New(0);
    Py_ssize_t at = 0;
    PyObject *name, *annotation;
    while (list != NULL && PyDict_Next(hints, &at, &name, &annotation)) {
        Py_INCREF(name);
        Py_INCREF(annotation);
        int counts = fields_counts(state, annotation);
        PyObject *pair = counts > 0 ? PyTuple_Pack(2, name, annotation) : NULL;
        if (counts < 0
            || (counts > 0
                && (pair == NULL || PyList_Append(list, pair) < 0))) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
        Py_DECREF(name);
        Py_DECREF(annotation);
    }
    return list;
}

/* new: without the check of the defaults */
static validate_fields *
fields_read(validation_state *state, PyObject *cls)
{
    if (constraint_typing(state) < 0) {
        return NULL;
    }
    PyObject *qualname = fe_getattr(cls, "__qualname__");
    PyObject *hints = qualname != NULL && PyUnicode_Check(qualname)
                          ? fields_hints(state, cls, qualname)
                          : NULL;
    PyObject *list = hints != NULL ? fields_list(state, hints) : NULL;
    Py_XDECREF(hints);
    Py_XDECREF(qualname);
    validate_fields *self =
        list != NULL ? fields_new(state, cls, PyList_GET_SIZE(list)) : NULL;
    for (Py_ssize_t i = 0; self != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *pair = PyList_GET_ITEM(list, i);
        if (fields_fill(state, self, cls, i, PyTuple_GET_ITEM(pair, 0),
                        PyTuple_GET_ITEM(pair, 1))
            < 0) {
            Py_CLEAR(self);
        }
    }
    Py_XDECREF(list);
    return self;
}

/* new: what the class keeps, NULL (without an exception) if it keeps none. A
 * copy of a class's namespace (dataclass(slots=True)) has another's.
 */
static validate_fields *
fields_kept(validation_state *state, PyObject *cls)
{
    PyObject *kept;
    int found = PyDict_GetItemRef(fe_type_dict_borrow((PyTypeObject *)cls),
                                  state->fields_name, &kept);
    if (found <= 0) {
        return NULL;
    }
    if (Py_TYPE(kept) == state->fields_type && FIELDS(kept)->owner != NULL
        && fe_weakref_peek(FIELDS(kept)->owner) == cls) {
        return FIELDS(kept);
    }
    Py_DECREF(kept);
    return NULL;
}

/* They are kept before the defaults are looked at: a default may be an
 * instance of its class.
 */
static int
fields_keep(validation_state *state, validate_fields *self, PyObject *cls)
{
    PyObject *own = fe_type_dict_borrow((PyTypeObject *)cls);
    if (PyDict_SetItem(own, state->fields_name, (PyObject *)self) < 0) {
        return -1;
    }
    PyType_Modified((PyTypeObject *)cls);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        if (fields_check_default(state, self, &self->fields[i]) < 0) {
            fe_error error = fe_error_put_aside();
            if (fe_dict_discard(own, state->fields_name) < 0) {
                PyErr_Clear(); /* the first error is the one to tell */
            }
            PyType_Modified((PyTypeObject *)cls);
            fe_error_put_back(error);
            return -1;
        }
    }
    return 0;
}

validate_fields *
validate_fields_of(validation_state *state, PyObject *cls)
{
    if (!PyType_Check(cls)) {
        PyErr_Format(PyExc_TypeError, "wanted a class, got %.100s",
                     Py_TYPE(cls)->tp_name);
        return NULL;
    }
    if (!(((PyTypeObject *)cls)->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return fields_new(state, cls, 0);
    }
    validate_fields *self = fields_kept(state, cls);
    if (self != NULL || PyErr_Occurred()) {
        return self;
    }
    if (Py_EnterRecursiveCall(" in the fields of a class")) {
        return NULL;
    }
    self = fields_read(state, cls);
    Py_LeaveRecursiveCall();
    if (self != NULL && Py_SIZE(self) > 0
        && fields_keep(state, self, cls) < 0) {
        Py_CLEAR(self);
    }
    return self;
}

/* ---- objects */

/* new: the fields of the plan's class */
static validate_fields *
fields_of_plan(validation_state *state, validate_plan *plan)
{
    PyObject *known =
        plan->fields != NULL ? fe_weakref_peek(plan->fields) : NULL;
    if (FE_LIKELY(known != NULL)) {
        return FIELDS(Py_NewRef(known));
    }
    PyObject *cls = Py_XNewRef(validate_plan_class(plan));
    if (cls == NULL) {
        PyErr_SetString(PyExc_TypeError, "the class is gone");
        return NULL;
    }
    validate_fields *fields = validate_fields_of(state, cls);
    Py_DECREF(cls);
    PyObject *weak =
        fields != NULL ? PyWeakref_NewRef((PyObject *)fields, NULL) : NULL;
    if (weak == NULL) {
        Py_XDECREF(fields);
        return NULL;
    }
    Py_XSETREF(plan->fields, weak);
    return fields;
}

/* An object is checked, not changed: Strip counts for what follows it only. */
PyObject *
validate_object(validate_context *context, validate_plan *plan,
                PyObject *value, const validate_path *path)
{
    validate_fields *fields = fields_of_plan(context->state, plan);
    if (fields == NULL) {
        return NULL;
    }
    bool good = true;
    for (Py_ssize_t i = 0; good && i < Py_SIZE(fields); i++) {
        const validate_field *field = &fields->fields[i];
        PyObject *item;
        int found = PyObject_GetOptionalAttr(value, field->name, &item);
        if (found <= 0) {
            good = found == 0;
            continue;
        }
        if (!validate_quick(field->plan, item)) {
            const validate_path step = {path, field->name, 0};
            PyObject *result =
                validate_value(context, field->plan, item, &step);
            good = result != NULL;
            Py_XDECREF(result);
        }
        Py_DECREF(item);
    }
    Py_DECREF(fields);
    return good ? Py_NewRef(value) : NULL;
}

static int
fields_missing_key(validate_context *context, const validate_field *field,
                   const validate_path *path)
{
    if (context->quiet == 0) {
        PyObject *place = validate_text_path(path, context->hidden > 0);
        if (place != NULL) {
            PyErr_Format(PyExc_TypeError, "%s%U must have the key %R",
                         context->function, place, field->name);
            Py_DECREF(place);
        }
    }
    else {
        validate_refuse_within(context);
    }
    return -1;
}

/* One key; *copy (owned or NULL) is made when an item changes. 0 or -1 */
static int
fields_key(validate_context *context, const validate_field *field,
           PyObject *dict, PyObject **copy, const validate_path *path)
{
    PyObject *item;
    int found = PyDict_GetItemRef(dict, field->name, &item);
    if (found <= 0) {
        return found < 0         ? -1
               : field->required ? fields_missing_key(context, field, path)
                                 : 0;
    }
    const validate_path step = {path, field->name, VALIDATE_KEY};
    PyObject *result = validate_value(context, field->plan, item, &step);
    int good = result != NULL ? 0 : -1;
    if (result != NULL && result != item) {
        if (*copy == NULL) {
            *copy = PyDict_Copy(dict);
        }
        good = *copy != NULL ? PyDict_SetItem(*copy, field->name, result) : -1;
    }
    Py_XDECREF(result);
    Py_DECREF(item);
    return good;
}

PyObject *
validate_typed_dict(validate_context *context, validate_plan *plan,
                    PyObject *value, const validate_path *path)
{
    if (!PyDict_Check(value)) {
        return validate_refuse_type(context, plan, value, path);
    }
    validate_fields *fields = fields_of_plan(context->state, plan);
    if (fields == NULL) {
        return NULL;
    }
    PyObject *copy = NULL;
    int good = 0;
    for (Py_ssize_t i = 0; good == 0 && i < Py_SIZE(fields); i++) {
        good = fields_key(context, &fields->fields[i], value, &copy, path);
    }
    Py_DECREF(fields);
    if (good < 0) {
        Py_XDECREF(copy);
        return NULL;
    }
    return copy != NULL ? copy : Py_NewRef(value);
}

/* ---- the type */

/* Whoever pickles a class by value (cloudpickle) gets None, and the fields
 * are read anew there.
 */
static PyObject *
fields___reduce__(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("O()", Py_TYPE(Py_None));
}

static PyMethodDef fields_methods[] = {
    {"__reduce__", fields___reduce__, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef fields_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(validate_fields, weakrefs),
     Py_READONLY, NULL},
    {0},
};

static int
fields_tp_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(FIELDS(self)->owner);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        const validate_field *field = &FIELDS(self)->fields[i];
        Py_VISIT(field->annotation);
        Py_VISIT(field->facts.base);
        Py_VISIT(field->facts.constraints);
        Py_VISIT(field->default_value);
        Py_VISIT(field->plan);
    }
    return 0;
}

/* No tp_clear: the class lets go of its namespace. */
static void
fields_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (FIELDS(self)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        validate_field *field = &FIELDS(self)->fields[i];
        Py_XDECREF(field->name);
        Py_XDECREF(field->annotation);
        constraint_facts_clear(&field->facts);
        Py_XDECREF(field->default_value);
        Py_XDECREF(field->plan);
    }
    Py_XDECREF(FIELDS(self)->name);
    Py_XDECREF(FIELDS(self)->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot fields_slots[] = {
    {Py_tp_methods, fields_methods},
    {Py_tp_members, fields_members},
    {Py_tp_traverse, FE_SLOT(fields_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(fields_tp_dealloc)},
    {0, NULL},
};

static PyType_Spec fields_spec = {
    .name = "ferrule.validation._Fields",
    .basicsize = offsetof(validate_fields, fields),
    .itemsize = sizeof(validate_field),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = fields_slots,
};

int
validate_fields_register(PyObject *module, validation_state *state)
{
    state->fields_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &fields_spec, NULL);
    state->fields_name = PyUnicode_InternFromString("__ferrule_fields__");
    return state->fields_type != NULL && state->fields_name != NULL ? 0 : -1;
}
