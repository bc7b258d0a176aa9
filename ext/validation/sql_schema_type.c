/* SPDX-License-Identifier: MIT
 *
 * Which type a column has: by the class of its annotation, the values of an
 * Enum or Literal, the storage kinds of records.
 */
#include "sql_schema_parts.h"

static const struct {
    const char *module, *name;
    sql_type type;
} sql_known[] = {
    {"builtins", "bool", SQL_BOOL},           {"builtins", "int", SQL_INT},
    {"builtins", "float", SQL_FLOAT},         {"builtins", "str", SQL_TEXT},
    {"builtins", "bytes", SQL_BLOB},          {"builtins", "list", SQL_ARRAY},
    {"builtins", "tuple", SQL_ARRAY},         {"builtins", "set", SQL_ARRAY},
    {"builtins", "frozenset", SQL_ARRAY},     {"builtins", "dict", SQL_OBJECT},
    {"decimal", "Decimal", SQL_DECIMAL},      {"datetime", "date", SQL_DATE},
    {"datetime", "datetime", SQL_DATETIME},   {"datetime", "time", SQL_TIME},
    {"datetime", "timedelta", SQL_TIMEDELTA}, {"uuid", "UUID", SQL_UUID},
};

static const sql_storage sql_storages[] = {
    {"i8", SQL_INT, "SMALLINT", "-128", "127", false},
    {"i16", SQL_INT, "SMALLINT", "-32768", "32767", true},
    {"i32", SQL_INT, "INTEGER", "-2147483648", "2147483647", true},
    {"i64", SQL_INT, "BIGINT", NULL, NULL, true},
    {"u8", SQL_INT, "SMALLINT", "0", "255", false},
    {"u16", SQL_INT, "INTEGER", "0", "65535", false},
    {"u32", SQL_INT, "BIGINT", "0", "4294967295", false},
    {"u64", SQL_INT, "NUMERIC(20, 0)", "0", "18446744073709551615", false},
    {"f32", SQL_FLOAT, "REAL", NULL, NULL, true},
    {"f64", SQL_FLOAT, "DOUBLE PRECISION", NULL, NULL, true},
    {"bool8", SQL_BOOL, "BOOLEAN", NULL, NULL, true},
};

/* Enter the classes of the modules that are loaded: of others there can be no
 * annotation. 0 or -1
 */
static int
type_refresh(PyObject *types)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(sql_known); i++) {
        PyObject *name = PyUnicode_FromString(sql_known[i].module);
        PyObject *module = name != NULL ? PyImport_GetModule(name) : NULL;
        Py_XDECREF(name);
        if (module == NULL) {
            if (PyErr_Occurred()) {
                return -1;
            }
            continue;
        }
        PyObject *cls;
        int found = fe_find_attr(module, sql_known[i].name, &cls);
        Py_DECREF(module);
        PyObject *code = found > 0 ? PyLong_FromLong(sql_known[i].type) : NULL;
        if (found < 0
            || (found > 0
                && (code == NULL || PyDict_SetItem(types, cls, code) < 0))) {
            found = -1;
        }
        Py_XDECREF(cls);
        Py_XDECREF(code);
        if (found < 0) {
            return -1;
        }
    }
    return 0;
}

int
sql_types_new(validation_state *state)
{
    return (state->sql_types = PyDict_New()) != NULL
                   && (state->sql_metadata =
                           PyUnicode_InternFromString("__metadata__"))
                          != NULL
                   && (state->sql_args =
                           PyUnicode_InternFromString("__args__"))
                          != NULL
               ? 0
               : -1;
}

/* SQL_NONE: not known; -1: error */
static int
type_look_up(PyObject *types, PyTypeObject *cls)
{
    PyObject *mro = cls->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        /* hashed by identity: a metaclass may have a __hash__ */
        PyObject *code = Py_TYPE(base)->tp_hash == PyType_Type.tp_hash
                             ? PyDict_GetItemWithError(types, base)
                             : NULL;
        if (code != NULL) {
            return (int)PyLong_AsLong(code);
        }
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return SQL_NONE;
}

static int
type_of_class(validation_state *state, PyObject *cls)
{
    int found = type_look_up(state->sql_types, (PyTypeObject *)cls);
    if (found == SQL_NONE && type_refresh(state->sql_types) == 0) {
        found = type_look_up(state->sql_types, (PyTypeObject *)cls);
    }
    return PyErr_Occurred() ? -1 : found;
}

/* ---- choices */

/* Take the type of a value among the choices; all must have the same. 0, -1 */
static int
type_add_choice(sql_column *c, PyObject *value)
{
    if (value == Py_None) {
        c->nullable = true;
        return 0;
    }
    int type = type_of_class(c->state, (PyObject *)Py_TYPE(value));
    if (type < 0) {
        return -1;
    }
    bool first = PyList_GET_SIZE(c->choices) == 0;
    if (type == SQL_NONE || type >= SQL_ARRAY
        || (!first && type != (int)c->type)) {
        PyErr_Format(
            PyExc_TypeError,
            "%U.%U: sql_schema() wants choices of one simple type, got "
            "one of type %s",
            c->owner, c->field->name, Py_TYPE(value)->tp_name);
        return -1;
    }
    c->type = (sql_type)type;
    return PyList_Append(c->choices, value);
}

static int
type_add_literals(sql_column *c, PyObject *args)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
        PyObject *value = PyTuple_GET_ITEM(args, i), *inner;
        int found = fe_find_attr(value, "_value_", &inner); /* Enum member */
        if (found < 0) {
            return -1;
        }
        int status = type_add_choice(c, found > 0 ? inner : value);
        Py_XDECREF(inner);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* The mask of a Flag: of an Enum's class only this has a boundary. 0 or -1 */
static int
type_take_mask(sql_column *c, PyObject *cls)
{
    PyObject *boundary, *word;
    int found =
        c->type == SQL_INT ? fe_find_attr(cls, "_boundary_", &boundary) : 0;
    if (found <= 0) {
        return found;
    }
    found = boundary != Py_None ? fe_find_attr(boundary, "_value_", &word) : 0;
    Py_DECREF(boundary);
    if (found <= 0) {
        return found;
    }
    /* KEEP takes any int */
    bool any = PyUnicode_Check(word)
               && PyUnicode_CompareWithASCIIString(word, "keep") == 0;
    Py_DECREF(word);
    if (any) {
        c->mask = Py_NewRef(Py_None);
        return 0;
    }
    found = fe_find_attr(cls, "_flag_mask_", &c->mask);
    if (found > 0 && !PyLong_Check(c->mask)) {
        Py_CLEAR(c->mask);
    }
    return found < 0 ? -1 : 0;
}

/* 1: it is an Enum, and its values are the choices; 0; -1 */
static int
type_of_enum(sql_column *c, PyObject *cls)
{
    PyObject *members;
    int found = Py_TYPE(cls) != &PyType_Type /* an Enum has its own */
                    ? fe_find_attr(cls, "_member_map_", &members)
                    : 0;
    if (found <= 0) {
        return found;
    }
    PyObject *values = PyMapping_Values(members);
    PyObject *tuple = values != NULL ? PyList_AsTuple(values) : NULL;
    Py_DECREF(members);
    Py_XDECREF(values);
    c->choices = tuple != NULL ? PyList_New(0) : NULL;
    int status = c->choices != NULL ? type_add_literals(c, tuple) : -1;
    Py_XDECREF(tuple);
    return status < 0 || type_take_mask(c, cls) < 0 ? -1 : 1;
}

/* ---- annotations */

static int
type_refuse(sql_column *c)
{
    if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError,
                     "%U.%U: sql_schema() has no column type for %R", c->owner,
                     c->field->name, c->field->facts.base);
    }
    return -1;
}

/* list[...], dict[...] and the ABCs. */
static int
type_of_generic(sql_column *c, PyObject *origin)
{
    int type = type_of_class(c->state, origin);
    if (type == SQL_NONE) {
        if (mask_abcs(c->state) < 0) {
            return -1;
        }
        PyObject *abcs = c->state->mask_abcs;
        int is = PyObject_IsSubclass(origin,
                                     PyTuple_GET_ITEM(abcs, MASK_ABC_MAPPING));
        type = is < 0 ? -1 : is ? SQL_OBJECT : SQL_NONE;
        if (is == 0) {
            is = PyObject_IsSubclass(
                origin, PyTuple_GET_ITEM(abcs, MASK_ABC_ITERABLE));
            type = is < 0 ? -1 : is ? SQL_ARRAY : SQL_NONE;
        }
    }
    if (type < SQL_ARRAY) {
        return type_refuse(c);
    }
    c->type = (sql_type)type;
    return 0;
}

static int
type_of_form(sql_column *c, PyObject *base)
{
    PyObject *origin, *args;
    int found = fe_find_attr(base, "__origin__", &origin);
    if (found <= 0) {
        return type_refuse(c);
    }
    int status = -1;
    if (PyType_Check(origin)) {
        status = type_of_generic(c, origin);
    }
    else if (constraint_form(c->state, origin) == TYPING_LITERAL
             && fe_find_attr(base, "__args__", &args) > 0) {
        c->choices = PyList_New(0);
        status = c->choices != NULL && PyTuple_Check(args)
                     ? type_add_literals(c, args)
                     : -1;
        Py_DECREF(args);
    }
    else {
        status = type_refuse(c);
    }
    Py_DECREF(origin);
    return status;
}

/* ---- what records say of storage */

static bool
type_is_named(PyObject *obj, const char *name)
{
    const char *dotted = Py_TYPE(obj)->tp_name;
    const char *last = strrchr(dotted, '.');
    return strcmp(last != NULL ? last + 1 : dotted, name) == 0;
}

/* Storage(kind): 0 or -1 */
static int
type_take_storage(sql_column *c, PyObject *mark)
{
    PyObject *kind;
    int found = fe_find_attr(mark, "kind", &kind);
    if (found <= 0) {
        return found;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(sql_storages); i++) {
        if (PyUnicode_Check(kind)
            && PyUnicode_CompareWithASCIIString(kind, sql_storages[i].kind)
                   == 0
            && sql_storages[i].type == c->type) {
            c->storage = &sql_storages[i];
        }
    }
    Py_DECREF(kind);
    return 0;
}

static int
type_take_size(sql_column *c, PyObject *mark)
{
    PyObject *n;
    int found = fe_find_attr(mark, "n", &n);
    if (found <= 0) {
        return found;
    }
    if (PyLong_Check(n) && (c->type == SQL_TEXT || c->type == SQL_BLOB)) {
        c->size = PyLong_AsLong(n);
    }
    Py_DECREF(n);
    return PyErr_Occurred() ? -1 : 0;
}

/* Metadata of records, at the annotation or at a member of a union with None
 */
static int
type_of_marks(sql_column *c, PyObject *annotation, int depth)
{
    PyObject *metadata, *args;
    if (PyType_Check(annotation)) {
        return 0;
    }
    int found = PyObject_GetOptionalAttr(annotation, c->state->sql_metadata,
                                         &metadata);
    for (Py_ssize_t i = 0; found > 0 && PyTuple_Check(metadata)
                           && i < PyTuple_GET_SIZE(metadata);
         i++) {
        PyObject *mark = PyTuple_GET_ITEM(metadata, i);
        found = type_is_named(mark, "Storage") ? type_take_storage(c, mark)
                : type_is_named(mark, "Size")  ? type_take_size(c, mark)
                                               : 0;
        found = found < 0 ? -1 : 1;
    }
    Py_XDECREF(metadata);
    if (found < 0) {
        return -1;
    }
    found = depth < 4 ? PyObject_GetOptionalAttr(annotation,
                                                 c->state->sql_args, &args)
                      : 0;
    if (found <= 0) {
        return found;
    }
    int status = 0;
    for (Py_ssize_t i = 0;
         status == 0 && PyTuple_Check(args) && i < PyTuple_GET_SIZE(args);
         i++) {
        status = type_of_marks(c, PyTuple_GET_ITEM(args, i), depth + 1);
    }
    Py_DECREF(args);
    return status;
}

int
sql_column_type(sql_column *c)
{
    PyObject *base = c->field->facts.base;
    if (!PyType_Check(base)) {
        if (type_of_form(c, base) < 0) {
            return -1;
        }
    }
    else {
        int type = type_of_enum(c, base);
        if (type == 0) {
            type = type_of_class(c->state, base);
            c->type = type > 0 ? (sql_type)type : SQL_NONE;
        }
        if (type < 0) {
            return -1;
        }
    }
    if (c->type == SQL_NONE) {
        return type_refuse(c);
    }
    return c->type >= SQL_ARRAY || c->choices != NULL
               ? 0
               : type_of_marks(c, c->field->annotation, 0);
}
