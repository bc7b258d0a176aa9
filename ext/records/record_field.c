/* SPDX-License-Identifier: MIT
 *
 * What a class body says of one field: Field and field(), and the markers
 * Storage and Size that stand in Annotated metadata.
 */
#include "records_state.h"

/* ------------------------------------------------------------- Field */

field_object *
records_field_new(records_state *state)
{
    field_object *self = PyObject_GC_New(field_object, state->field_type);
    if (self == NULL) {
        return NULL;
    }
    self->name = NULL;
    self->type = NULL;
    self->meaning = NULL;
    self->default_value = NULL;
    self->factory = NULL;
    self->metadata = Py_NewRef(Py_None);
    self->check = NULL;
    self->how = NULL;
    self->init = self->repr = self->compare = 1;
    self->hash = self->kw_only = -1;
    self->role = ROLE_FIELD;
    self->kind = FE_OBJECT;
    self->size = sizeof(PyObject *);
    self->resolved = true;
    self->sensitive = false;
    PyObject_GC_Track(self);
    return self;
}

field_object *
records_field_copy(records_state *state, const field_object *from)
{
    field_object *self = records_field_new(state);
    if (self == NULL) {
        return NULL;
    }
    self->name = Py_XNewRef(from->name);
    self->type = Py_XNewRef(from->type);
    self->meaning = Py_XNewRef(from->meaning);
    self->default_value = Py_XNewRef(from->default_value);
    self->factory = Py_XNewRef(from->factory);
    Py_SETREF(self->metadata, Py_NewRef(from->metadata));
    self->check = Py_XNewRef(from->check);
    self->how = from->how;
    self->init = from->init;
    self->repr = from->repr;
    self->compare = from->compare;
    self->hash = from->hash;
    self->kw_only = from->kw_only;
    self->role = from->role;
    self->kind = from->kind;
    self->size = from->size;
    self->resolved = from->resolved;
    self->sensitive = from->sensitive;
    return self;
}

/* new: dataclasses.MISSING, the public name of "no default" */
static PyObject *
missing(void)
{
    PyObject *module = PyImport_ImportModule("dataclasses");
    if (module == NULL) {
        return NULL;
    }
    PyObject *value = PyObject_GetAttrString(module, "MISSING");
    Py_DECREF(module);
    return value;
}

/* 1 or 0, -1 on error; None and MISSING count as `unset` */
static int
flag_of(PyObject *obj, const char *attribute, PyObject *nothing, int unset)
{
    PyObject *value = PyObject_GetAttrString(obj, attribute);
    if (value == NULL) {
        return -2;
    }
    int flag =
        value == Py_None || value == nothing ? unset : PyObject_IsTrue(value);
    Py_DECREF(value);
    return flag == -1 && PyErr_Occurred() ? -2 : flag;
}

static int
adopt_flags(field_object *self, PyObject *foreign, PyObject *nothing)
{
    int init = flag_of(foreign, "init", nothing, 1);
    int repr = flag_of(foreign, "repr", nothing, 1);
    int compare = flag_of(foreign, "compare", nothing, 1);
    int hash = flag_of(foreign, "hash", nothing, -1);
    int kw_only = flag_of(foreign, "kw_only", nothing, -1);
    if (init == -2 || repr == -2 || compare == -2 || hash == -2
        || kw_only == -2) {
        return -1;
    }
    self->init = (char)init;
    self->repr = (char)repr;
    self->compare = (char)compare;
    self->hash = (int8_t)hash;
    self->kw_only = (int8_t)kw_only;
    return 0;
}

/* new: a Field that says what a dataclasses.Field says */
field_object *
records_field_adopt(records_state *state, PyObject *foreign)
{
    PyObject *nothing = missing();
    field_object *self = records_field_new(state);
    if (nothing == NULL || self == NULL
        || adopt_flags(self, foreign, nothing) < 0) {
        goto error;
    }
    self->default_value = PyObject_GetAttr(foreign, state->str_default);
    self->factory = PyObject_GetAttr(foreign, state->str_default_factory);
    if (self->default_value == NULL || self->factory == NULL) {
        goto error;
    }
    if (self->default_value == nothing) {
        Py_CLEAR(self->default_value);
    }
    if (self->factory == nothing) {
        Py_CLEAR(self->factory);
    }
    PyObject *metadata = PyObject_GetAttr(foreign, state->str_metadata);
    if (metadata == NULL) {
        goto error;
    }
    Py_SETREF(self->metadata, metadata);
    Py_DECREF(nothing);
    return self;
error:
    Py_XDECREF(nothing);
    Py_XDECREF(self);
    return NULL;
}

static int
field_tp_traverse(field_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->name);
    Py_VISIT(self->type);
    Py_VISIT(self->meaning);
    Py_VISIT(self->default_value);
    Py_VISIT(self->factory);
    Py_VISIT(self->metadata);
    Py_VISIT(self->check);
    return 0;
}

static int
field_tp_clear(field_object *self)
{
    Py_CLEAR(self->name);
    Py_CLEAR(self->type);
    Py_CLEAR(self->meaning);
    Py_CLEAR(self->default_value);
    Py_CLEAR(self->factory);
    Py_CLEAR(self->metadata);
    Py_CLEAR(self->check);
    return 0;
}

static void
field_tp_dealloc(field_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    field_tp_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *
or_none(PyObject *value)
{
    return Py_NewRef(value != NULL ? value : Py_None);
}

static PyObject *
field_get_name(field_object *self, void *Py_UNUSED(closure))
{
    return or_none(self->name);
}

static PyObject *
field_get_type(field_object *self, void *Py_UNUSED(closure))
{
    return or_none(self->type);
}

static PyObject *
field_get_default(field_object *self, void *Py_UNUSED(closure))
{
    return self->default_value != NULL ? Py_NewRef(self->default_value)
                                       : missing();
}

static PyObject *
field_get_default_factory(field_object *self, void *Py_UNUSED(closure))
{
    return self->factory != NULL ? Py_NewRef(self->factory) : missing();
}

static PyObject *
field_get_metadata(field_object *self, void *Py_UNUSED(closure))
{
    if (self->metadata != NULL && self->metadata != Py_None) {
        return Py_IS_TYPE(self->metadata, &PyDictProxy_Type)
                   ? Py_NewRef(self->metadata)
                   : PyDictProxy_New(self->metadata);
    }
    PyObject *empty = PyDict_New();
    if (empty == NULL) {
        return NULL;
    }
    PyObject *proxy = PyDictProxy_New(empty);
    Py_DECREF(empty);
    return proxy;
}

static PyObject *
field_get_hash(field_object *self, void *Py_UNUSED(closure))
{
    return self->hash < 0 ? Py_NewRef(Py_None) : PyBool_FromLong(self->hash);
}

static PyObject *
field_get_kw_only(field_object *self, void *Py_UNUSED(closure))
{
    return self->kw_only < 0 ? missing() : PyBool_FromLong(self->kw_only);
}

/* dataclasses asks this of what it finds in __dataclass_fields__ */
static PyObject *
field_get_role(field_object *self, void *Py_UNUSED(closure))
{
    static const char *const names[] = {
        [ROLE_FIELD] = "_FIELD",
        [ROLE_INITVAR] = "_FIELD_INITVAR",
        [ROLE_CLASSVAR] = "_FIELD_CLASSVAR",
    };
    PyObject *module = PyImport_ImportModule("dataclasses");
    if (module == NULL) {
        return NULL;
    }
    PyObject *role = PyObject_GetAttrString(module, names[self->role]);
    Py_DECREF(module);
    return role;
}

static PyGetSetDef field_getset[] = {
    {"name", (getter)field_get_name, NULL, "Name of the field.", NULL},
    {"type", (getter)field_get_type, NULL, "Its annotation.", NULL},
    {"default", (getter)field_get_default, NULL,
     "Default value, or dataclasses.MISSING.", NULL},
    {"default_factory", (getter)field_get_default_factory, NULL,
     "Callable giving the default, or dataclasses.MISSING.", NULL},
    {"metadata", (getter)field_get_metadata, NULL,
     "Read-only mapping given to field().", NULL},
    {"hash", (getter)field_get_hash, NULL,
     "Part of hash(): True, False, or None for as compare.", NULL},
    {"kw_only", (getter)field_get_kw_only, NULL,
     "Keyword-only in __init__; MISSING before the class exists.", NULL},
    {"_field_type", (getter)field_get_role, NULL,
     "The mark by which dataclasses knows a field.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef field_members[] = {
    {"init", Py_T_BOOL, offsetof(field_object, init), Py_READONLY,
     "Parameter of __init__."},
    {"repr", Py_T_BOOL, offsetof(field_object, repr), Py_READONLY,
     "Shown by repr()."},
    {"compare", Py_T_BOOL, offsetof(field_object, compare), Py_READONLY,
     "Part of == and of order."},
    {NULL, 0, 0, 0, NULL},
};

/* One attribute in the repr; a sensitive field's default does not show. */
static int
show_part(fe_text *text, field_object *self, const char *name)
{
    if (fe_text_literal(text, name) < 0 || fe_text_literal(text, "=") < 0) {
        return -1;
    }
    if (self->sensitive && self->default_value != NULL
        && strcmp(name, "default") == 0) {
        return fe_text_literal(text, "***");
    }
    PyObject *value = PyObject_GetAttrString((PyObject *)self, name);
    int status = value != NULL ? fe_text_repr(text, value) : -1;
    Py_XDECREF(value);
    return status;
}

static PyObject *
field_tp_repr(field_object *self)
{
    static const char *const names[] = {
        "name", "type",    "default",  "default_factory", "init", "repr",
        "hash", "compare", "metadata", "kw_only",         NULL};
    int entered = Py_ReprEnter((PyObject *)self);
    if (entered != 0) {
        return entered < 0 ? NULL : PyUnicode_FromString("...");
    }
    fe_text text;
    fe_text_init(&text);
    int status = fe_text_literal(&text, "Field(");
    for (int i = 0; status == 0 && names[i] != NULL; i++) {
        status = (i > 0 && fe_text_literal(&text, ",") < 0)
                         || show_part(&text, self, names[i]) < 0
                     ? -1
                     : 0;
    }
    PyObject *result = NULL;
    if (status == 0 && fe_text_literal(&text, ")") == 0) {
        result = fe_text_finish(&text);
    }
    fe_text_free(&text);
    Py_ReprLeave((PyObject *)self);
    return result;
}

PyDoc_STRVAR(field_type__doc__,
             "What a class says of one of its fields; made by field().");

static PyMethodDef field_methods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "Field[T] for annotations."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot field_slots[] = {
    {Py_tp_doc, FE_SLOT(field_type__doc__)},
    {Py_tp_traverse, FE_SLOT(field_tp_traverse)},
    {Py_tp_clear, FE_SLOT(field_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(field_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(field_tp_repr)},
    {Py_tp_getset, FE_SLOT(field_getset)},
    {Py_tp_members, FE_SLOT(field_members)},
    {Py_tp_methods, FE_SLOT(field_methods)},
    {0, NULL},
};

PyType_Spec records_field_spec = {
    .name = "ferrule.records.Field",
    .basicsize = sizeof(field_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = field_slots,
};

/* ----------------------------------------------------------- field() */

/* -1: absent, None or MISSING; -2: error */
static int
optional_flag(PyObject *value, int unset)
{
    if (value == NULL || value == Py_None) {
        return unset;
    }
    if (!PyBool_Check(value)) {
        PyObject *nothing = missing();
        if (nothing == NULL) {
            return -2;
        }
        Py_DECREF(nothing);
        if (value == nothing) {
            return unset;
        }
    }
    int flag = PyObject_IsTrue(value);
    return flag < 0 ? -2 : flag;
}

static int
given(PyObject **value)
{
    if (*value == NULL || PyBool_Check(*value) || PyLong_Check(*value)
        || PyUnicode_Check(*value)) {
        return 0;
    }
    PyObject *nothing = missing();
    if (nothing == NULL) {
        return -1;
    }
    if (*value == nothing) {
        *value = NULL;
    }
    Py_DECREF(nothing);
    return 0;
}

PyDoc_STRVAR(
    records_field__doc__,
    "field($module, /, *, default=<missing>, default_factory=<missing>,\n"
    "      init=True, repr=True, hash=None, compare=True, metadata=None,\n"
    "      kw_only=<missing>)\n--\n\n"
    "Say more of a field than its annotation does; as dataclasses.field.\n\n"
    "Raises ValueError when both default and default_factory are given.");

static PyObject *
field_function(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    enum { DEFAULT, FACTORY, INIT, REPR, HASH, COMPARE, METADATA, KW_ONLY };
    static const char *const names[] = {
        "default", "default_factory", "init",    "repr", "hash",
        "compare", "metadata",        "kw_only", NULL};
    static const fe_sig sig = {"field", names, 0, 0};
    PyObject *values[8];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0
        || given(&values[DEFAULT]) < 0 || given(&values[FACTORY]) < 0) {
        return NULL;
    }
    if (values[DEFAULT] != NULL && values[FACTORY] != NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "cannot specify both default and default_factory");
        return NULL;
    }
    PyObject *metadata = values[METADATA];
    if (metadata != NULL && metadata != Py_None
        && !PyMapping_Check(metadata)) {
        PyErr_Format(PyExc_TypeError,
                     "field() metadata must be a mapping, not %s",
                     Py_TYPE(metadata)->tp_name);
        return NULL;
    }
    int init = optional_flag(values[INIT], 1);
    int repr = optional_flag(values[REPR], 1);
    int compare = optional_flag(values[COMPARE], 1);
    int hash = optional_flag(values[HASH], -1);
    int kw_only = optional_flag(values[KW_ONLY], -1);
    if (init == -2 || repr == -2 || compare == -2 || hash == -2
        || kw_only == -2) {
        return NULL;
    }
    field_object *self = records_field_new(records_get_state(module));
    if (self == NULL) {
        return NULL;
    }
    self->default_value = Py_XNewRef(values[DEFAULT]);
    self->factory = Py_XNewRef(values[FACTORY]);
    if (metadata != NULL) {
        Py_SETREF(self->metadata, Py_NewRef(metadata));
    }
    self->init = (char)init;
    self->repr = (char)repr;
    self->compare = (char)compare;
    self->hash = (int8_t)hash;
    self->kw_only = (int8_t)kw_only;
    return (PyObject *)self;
}

PyMethodDef records_field_methods[] = {
    {"field", FE_METHOD(field_function), METH_FASTCALL | METH_KEYWORDS,
     records_field__doc__},
    {NULL, NULL, 0, NULL},
};

/* ---------------------------------------------------- Storage and Size */

static PyObject *
storage_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {FE_TEXT("kind"), NULL};
    const char *kind;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:Storage", names,
                                     &kind)) {
        return NULL;
    }
    for (int i = 0; i < FE_BYTES; i++) {
        if (strcmp(kind, fe_kind_names[i]) == 0) {
            storage_object *self = (storage_object *)type->tp_alloc(type, 0);
            if (self != NULL) {
                self->kind = (uint8_t)i;
                self->size = records_kind_size((fe_kind)i);
            }
            return (PyObject *)self;
        }
    }
    PyErr_Format(PyExc_ValueError, "Storage() knows no kind '%s'", kind);
    return NULL;
}

static PyObject *
size_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {FE_TEXT("n"), NULL};
    PyObject *given_size;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Size", names,
                                     &given_size)) {
        return NULL;
    }
    if (!PyLong_Check(given_size) || PyBool_Check(given_size)) {
        PyErr_Format(PyExc_TypeError, "Size() wants an int, got %s %R",
                     Py_TYPE(given_size)->tp_name, given_size);
        return NULL;
    }
    int overflow;
    long n = PyLong_AsLongAndOverflow(given_size, &overflow);
    if (overflow != 0 || n < 1 || n > RECORDS_SIZE_MAX) {
        PyErr_Format(PyExc_ValueError, "Size() wants 1 to %d bytes, got %S",
                     RECORDS_SIZE_MAX, given_size);
        return NULL;
    }
    storage_object *self = (storage_object *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->kind = FE_BYTES;
        self->size = (uint32_t)n;
    }
    return (PyObject *)self;
}

static void
storage_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
storage_tp_repr(storage_object *self)
{
    return PyUnicode_FromFormat("Storage('%s')", fe_kind_names[self->kind]);
}

static PyObject *
size_tp_repr(storage_object *self)
{
    return PyUnicode_FromFormat("Size(%u)", (unsigned)self->size);
}

static PyObject *
storage_tp_richcompare(storage_object *self, PyObject *other, int op)
{
    if (!Py_IS_TYPE(other, Py_TYPE(self)) || (op != Py_EQ && op != Py_NE)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    storage_object *that = (storage_object *)other;
    bool same = self->kind == that->kind && self->size == that->size;
    return PyBool_FromLong(same == (op == Py_EQ));
}

static Py_hash_t
storage_tp_hash(storage_object *self)
{
    return (Py_hash_t)self->size * 31 + self->kind;
}

static PyObject *
storage_get_kind(storage_object *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(fe_kind_names[self->kind]);
}

static PyObject *
size_get_n(storage_object *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(self->size);
}

static PyObject *
storage_reduce(storage_object *self, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("O(s)", Py_TYPE(self), fe_kind_names[self->kind]);
}

static PyObject *
size_reduce(storage_object *self, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("O(k)", Py_TYPE(self), (unsigned long)self->size);
}

static PyGetSetDef storage_getset[] = {
    {"kind", (getter)storage_get_kind, NULL, "Name of the kind.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef size_getset[] = {
    {"n", (getter)size_get_n, NULL, "Number of bytes.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef storage_methods[] = {
    {"__reduce__", FE_METHOD(storage_reduce), METH_NOARGS, "Pickle support."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef size_methods[] = {
    {"__reduce__", FE_METHOD(size_reduce), METH_NOARGS, "Pickle support."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(storage__doc__,
             "Storage(kind)\n--\n\n"
             "Annotated metadata: keep the field unboxed as this kind.");

static PyType_Slot storage_slots[] = {
    {Py_tp_doc, FE_SLOT(storage__doc__)},
    {Py_tp_new, FE_SLOT(storage_tp_new)},
    {Py_tp_dealloc, FE_SLOT(storage_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(storage_tp_repr)},
    {Py_tp_richcompare, FE_SLOT(storage_tp_richcompare)},
    {Py_tp_hash, FE_SLOT(storage_tp_hash)},
    {Py_tp_getset, FE_SLOT(storage_getset)},
    {Py_tp_methods, FE_SLOT(storage_methods)},
    {0, NULL},
};

PyType_Spec records_storage_spec = {
    .name = "ferrule.records.Storage",
    .basicsize = sizeof(storage_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = storage_slots,
};

PyDoc_STRVAR(size__doc__,
             "Size(n)\n--\n\n"
             "Annotated metadata: keep bytes of exactly n bytes, or str of\n"
             "at most n bytes of UTF-8, inside the record.");

static PyType_Slot size_slots[] = {
    {Py_tp_doc, FE_SLOT(size__doc__)},
    {Py_tp_new, FE_SLOT(size_tp_new)},
    {Py_tp_dealloc, FE_SLOT(storage_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(size_tp_repr)},
    {Py_tp_richcompare, FE_SLOT(storage_tp_richcompare)},
    {Py_tp_hash, FE_SLOT(storage_tp_hash)},
    {Py_tp_getset, FE_SLOT(size_getset)},
    {Py_tp_methods, FE_SLOT(size_methods)},
    {0, NULL},
};

PyType_Spec records_size_spec = {
    .name = "ferrule.records.Size",
    .basicsize = sizeof(storage_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = size_slots,
};

/* --------------------------------------------- annotation -> storage */

static int
set_storage(field_object *field, fe_kind kind, uint32_t size)
{
    field->kind = (uint8_t)kind;
    field->size = size;
    return 0;
}

static int
set_sized(field_object *field, PyObject *annotation, PyObject *where,
          uint32_t size, records_state *state)
{
    PyObject *origin = PyObject_GetAttr(annotation, state->str_origin);
    if (origin == NULL) {
        return -1;
    }
    Py_DECREF(origin); /* Annotated keeps it */
    if (origin == (PyObject *)&PyBytes_Type) {
        return set_storage(field, FE_BYTES, size);
    }
    if (origin == (PyObject *)&PyUnicode_Type) {
        return set_storage(field, FE_STR, size);
    }
    PyErr_Format(PyExc_TypeError, "%U.%U: Size(%u) wants bytes or str, got %R",
                 where, field->name, (unsigned)size, origin);
    return -1;
}

/* Read the storage kind off an evaluated annotation. */
int
records_field_storage(records_state *state, field_object *field,
                      PyObject *annotation, PyObject *where, bool packed)
{
    if (PyType_Check(annotation)) {
        if (packed && annotation == (PyObject *)&PyLong_Type) {
            return set_storage(field, FE_I64, 8);
        }
        if (packed && annotation == (PyObject *)&PyFloat_Type) {
            return set_storage(field, FE_F64, 8);
        }
        if (packed && annotation == (PyObject *)&PyBool_Type) {
            return set_storage(field, FE_BOOL8, 1);
        }
        return 0;
    }
    PyObject *metadata;
    int found =
        PyObject_GetOptionalAttr(annotation, state->str_class_meta, &metadata);
    if (found <= 0) {
        return found;
    }
    int status = 0;
    Py_ssize_t count =
        PyTuple_Check(metadata) ? PyTuple_GET_SIZE(metadata) : 0;
    bool stored = false;
    for (Py_ssize_t i = 0; i < count && status == 0; i++) {
        PyObject *item = PyTuple_GET_ITEM(metadata, i);
        bool sized = Py_IS_TYPE(item, state->size_type);
        if (!sized && !Py_IS_TYPE(item, state->storage_type)) {
            continue;
        }
        storage_object *storage = (storage_object *)item;
        if (stored) {
            PyErr_Format(PyExc_TypeError,
                         "%U.%U: two storage kinds in one annotation, %R",
                         where, field->name, annotation);
            status = -1;
        }
        else if (sized) {
            status = set_sized(field, annotation, where, storage->size, state);
        }
        else {
            status = set_storage(field, (fe_kind)storage->kind, storage->size);
        }
        stored = true;
    }
    Py_DECREF(metadata);
    return status;
}
