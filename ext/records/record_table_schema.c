/* SPDX-License-Identifier: MIT
 *
 * From the annotations of a record class to the columns of its tables, and
 * the errors of values that do not fit a column.
 */
#include "record_table.h"

/* -------------------------------------------------------------- schema */

typedef struct {
    records_state *state;
    record_class *cls;
    field_object *field;
    const char *function;
} schema_scan;

static int
refuse_annotation(const schema_scan *s, PyObject *annotation)
{
    PyErr_Format(PyExc_TypeError,
                 "%s cannot keep field '%U' of %U: no column type for %.200R",
                 s->function, s->field->name, s->cls->plan->qualname,
                 annotation);
    return -1;
}

/* new: the attribute, NULL without an exception if there is none */
static PyObject *
optional(PyObject *obj, const char *name)
{
    PyObject *key = PyUnicode_InternFromString(name);
    PyObject *value = NULL;
    if (key != NULL && PyObject_GetOptionalAttr(obj, key, &value) < 0) {
        value = NULL;
    }
    Py_XDECREF(key);
    return value;
}

/* X | None: new X; NULL without an exception: it is no such union */
static PyObject *
union_member(PyObject *annotation)
{
    PyObject *args = optional(annotation, "__args__");
    PyObject *member = NULL;
    if (args == NULL || !PyTuple_Check(args) || PyTuple_GET_SIZE(args) != 2) {
        Py_XDECREF(args);
        return NULL;
    }
    PyObject *none = (PyObject *)Py_TYPE(Py_None);
    PyObject *a = PyTuple_GET_ITEM(args, 0), *b = PyTuple_GET_ITEM(args, 1);
    if (b == none || b == Py_None) {
        member = Py_NewRef(a);
    }
    else if (a == none || a == Py_None) {
        member = Py_NewRef(b);
    }
    Py_DECREF(args);
    return member;
}

/* Is the annotation a union, not a generic alias such as dict[str, None]? */
static int
is_union(PyObject *annotation)
{
    if (strcmp(Py_TYPE(annotation)->tp_name, "types.UnionType") == 0
        || strcmp(Py_TYPE(annotation)->tp_name, "typing.Union") == 0) {
        return 1;
    }
    PyObject *origin = optional(annotation, "__origin__");
    if (origin == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *typing = PyImport_ImportModule("typing");
    PyObject *kind =
        typing != NULL ? PyObject_GetAttrString(typing, "Union") : NULL;
    int result = kind != NULL ? origin == kind : -1;
    Py_XDECREF(kind);
    Py_XDECREF(typing);
    Py_DECREF(origin);
    return result;
}

static int
set_number(table_column *column, fe_kind kind)
{
    column->value.kind = (uint8_t)kind;
    column->value.size = column->width = records_kind_size(kind);
    column->shape = kind == FE_BOOL8 ? COLUMN_BITS : COLUMN_FIXED;
    return 1;
}

static int
set_text(table_column *column, fe_kind kind, uint32_t limit)
{
    column->value.kind = (uint8_t)kind;
    column->value.size = limit;
    column->shape = COLUMN_TEXT;
    return 1;
}

/* 1: a column type; 0: none */
static int
from_type(table_column *column, PyObject *type)
{
    return type == (PyObject *)&PyLong_Type      ? set_number(column, FE_I64)
           : type == (PyObject *)&PyFloat_Type   ? set_number(column, FE_F64)
           : type == (PyObject *)&PyBool_Type    ? set_number(column, FE_BOOL8)
           : type == (PyObject *)&PyUnicode_Type ? set_text(column, FE_STR, 0)
           : type == (PyObject *)&PyBytes_Type ? set_text(column, FE_BYTES, 0)
                                               : 0;
}

static bool
says_coded(const schema_scan *s, PyObject *metadata)
{
    PyObject *coded = (PyObject *)s->state->coded_type;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(metadata); i++) {
        PyObject *item = PyTuple_GET_ITEM(metadata, i);
        if (item == coded || (PyObject *)Py_TYPE(item) == coded) {
            return true;
        }
    }
    return false;
}

static int from_annotation(const schema_scan *s, table_column *column,
                           PyObject *annotation);

/* Annotated[inner, ...]: Storage and Size as in records, Coded, and what is
 * not ours ignored.
 */
static int
from_annotated(const schema_scan *s, table_column *column,
               PyObject *annotation, PyObject *metadata)
{
    field_object *trial = records_field_new(s->state);
    if (trial == NULL) {
        return -1;
    }
    trial->name = Py_NewRef(s->field->name);
    int status = records_field_storage(s->state, trial, annotation,
                                       s->cls->plan->qualname, false);
    fe_kind kind = (fe_kind)trial->kind;
    uint32_t size = trial->size;
    Py_DECREF(trial);
    if (status < 0) {
        return -1;
    }
    if (kind == FE_STR) {
        set_text(column, FE_STR, size);
    }
    else if (kind != FE_OBJECT) {
        set_number(column, kind);
        column->value.size = column->width = size;
    }
    else {
        PyObject *inner = optional(annotation, "__origin__");
        status = inner != NULL ? from_annotation(s, column, inner) : -1;
        Py_XDECREF(inner);
        if (status < 0) {
            return -1;
        }
    }
    if (says_coded(s, metadata)) {
        if (column->value.kind != FE_STR) {
            return refuse_annotation(s, annotation);
        }
        column->shape = COLUMN_CODED;
    }
    return 1;
}

static int
from_one(const schema_scan *s, table_column *column, PyObject *annotation)
{
    if (from_type(column, annotation)) {
        return 1;
    }
    PyObject *metadata = optional(annotation, "__metadata__");
    if (metadata != NULL && PyTuple_Check(metadata)) {
        int status = from_annotated(s, column, annotation, metadata);
        Py_DECREF(metadata);
        return status;
    }
    Py_XDECREF(metadata);
    int joined = PyErr_Occurred() ? -1 : is_union(annotation);
    PyObject *member = joined > 0 ? union_member(annotation) : NULL;
    if (member != NULL) {
        int status = from_annotation(s, column, member);
        Py_DECREF(member);
        column->nullable = true;
        return status;
    }
    return PyErr_Occurred() ? -1 : refuse_annotation(s, annotation);
}

static int
from_annotation(const schema_scan *s, table_column *column,
                PyObject *annotation)
{
    if (Py_EnterRecursiveCall(" in an annotation")) {
        return -1;
    }
    int status = from_one(s, column, annotation);
    Py_LeaveRecursiveCall();
    return status;
}

static int
column_of(schema_scan *s, table_column *column, const record_field *field)
{
    PyObject *described;
    PyObject *by_name = s->cls->plan->by_name;
    int found = by_name != NULL
                    ? PyDict_GetItemRef(by_name, field->name, &described)
                    : 0;
    if (found <= 0) {
        if (found == 0) {
            PyErr_Format(PyExc_TypeError, "%s: class %U is being destroyed",
                         s->function, s->cls->plan->qualname);
        }
        return -1;
    }
    s->field = (field_object *)described;
    column->field = field;
    column->value = *field;
    int status;
    if (field->kind == FE_OBJECT || field->kind == FE_STR) {
        PyObject *meaning = s->field->meaning;
        status = meaning != NULL ? from_annotation(s, column, meaning)
                                 : refuse_annotation(s, Py_None);
    }
    else {
        status = set_number(column, (fe_kind)field->kind);
        column->value.size = column->width = field->size;
    }
    Py_DECREF(described);
    return status < 0 ? -1 : 0;
}

const table_schema *
table_schema_of(record_class *cls, const char *function)
{
    record_plan *plan = cls->plan;
    if (plan->columns != NULL) {
        return plan->columns;
    }
    if (plan->field_count == 0) {
        PyErr_Format(PyExc_TypeError, "%s: %U has no fields", function,
                     plan->qualname);
        return NULL;
    }
    schema_scan s = {.state = cls->state, .cls = cls, .function = function};
    table_schema *schema = PyMem_Calloc(1, sizeof(table_schema)
                                               + (size_t)plan->field_count
                                                     * sizeof(table_column));
    if (schema == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    schema->count = plan->field_count;
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        if (column_of(&s, &schema->columns[i], &plan->fields[i]) < 0) {
            PyMem_Free(schema);
            return NULL;
        }
    }
    if (plan->columns != NULL) { /* looking at annotations ran code */
        PyMem_Free(schema);
        return plan->columns;
    }
    plan->columns = schema;
    return schema;
}

/* -------------------------------------------------------------- values */

int
table_refuse(PyObject *exception, PyObject *qualname,
             const table_column *column, PyObject *value)
{
    bool sized =
        column->value.kind == FE_BYTES || column->value.kind == FE_STR;
    char limit[16] = "";
    if (sized && column->value.size > 0) {
        PyOS_snprintf(limit, sizeof(limit), "[%u]",
                      (unsigned)column->value.size);
    }
    PyObject *shown = records_shown(&column->value, value);
    if (shown != NULL) {
        PyErr_Format(exception, "%U.%U: wanted %s%s%s, got %s %U", qualname,
                     column->value.name, fe_kind_names[column->value.kind],
                     limit, column->nullable ? " | None" : "",
                     Py_TYPE(value)->tp_name, shown);
        Py_DECREF(shown);
    }
    return -1;
}

const char *
table_text_of(const table_column *column, PyObject *qualname, PyObject *value,
              Py_ssize_t *size)
{
    const char *data;
    if (column->value.kind == FE_BYTES) {
        if (!PyBytes_Check(value)) {
            table_refuse(PyExc_TypeError, qualname, column, value);
            return NULL;
        }
        *size = PyBytes_GET_SIZE(value);
        data = PyBytes_AS_STRING(value);
    }
    else {
        if (!PyUnicode_Check(value)) {
            table_refuse(PyExc_TypeError, qualname, column, value);
            return NULL;
        }
        data = PyUnicode_AsUTF8AndSize(value, size);
        if (data == NULL) {
            if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
                PyErr_Clear(); /* UnicodeEncodeError: a lone surrogate */
                table_refuse(PyExc_ValueError, qualname, column, value);
            }
            return NULL;
        }
    }
    size_t most = column->value.size > 0 ? column->value.size : TABLE_TEXT_MAX;
    /* as in a record, where NUL pads the text */
    bool padded = column->value.kind == FE_STR && column->value.size > 0;
    if ((size_t)*size > most
        || (padded && *size > 0 && data[*size - 1] == '\0')) {
        table_refuse(PyExc_ValueError, qualname, column, value);
        return NULL;
    }
    return data;
}

/* --------------------------------------------------------------- Coded */

PyDoc_STRVAR(
    coded__doc__,
    "Annotated[str, Coded]: a column of a RecordTable that keeps each "
    "distinct\ntext once and a code for every row. In a record it "
    "changes nothing.");

static PyType_Slot coded_slots[] = {
    {Py_tp_doc, FE_SLOT(coded__doc__)},
    {0, NULL},
};

PyType_Spec coded_spec = {
    .name = "ferrule.records.Coded",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = coded_slots,
};
