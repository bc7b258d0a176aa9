/* SPDX-License-Identifier: MIT
 *
 * sql_schema(): a class as a CREATE TABLE statement, made once for each class
 * and dialect. What the constraints refuse the database refuses too, or a
 * comment says that it does not.
 */
#include "args.h"
#include "sql_schema_parts.h"

static const char *
schema_type_name(const sql_column *c)
{
    static const char *const names[][2] = {
        [SQL_BOOL] = {"INTEGER", "BOOLEAN"},
        [SQL_INT] = {"INTEGER", "BIGINT"},
        [SQL_FLOAT] = {"REAL", "DOUBLE PRECISION"},
        [SQL_TEXT] = {"TEXT", "TEXT"},
        [SQL_BLOB] = {"BLOB", "BYTEA"},
        [SQL_DECIMAL] = {"NUMERIC", "NUMERIC"},
        [SQL_DATE] = {"TEXT", "DATE"},
        [SQL_DATETIME] = {"TEXT", "TIMESTAMP"},
        [SQL_TIME] = {"TEXT", "TIME"},
        [SQL_TIMEDELTA] = {"REAL", "INTERVAL"},
        [SQL_UUID] = {"TEXT", "UUID"},
        [SQL_ARRAY] = {"TEXT", "JSONB"},
        [SQL_OBJECT] = {"TEXT", "JSONB"},
    };
    if (c->postgres && c->storage != NULL) {
        return c->storage->postgres;
    }
    return c->postgres && c->aware && c->type == SQL_DATETIME
               ? "TIMESTAMPTZ"
               : names[c->type][c->postgres];
}

/* The smallest MaxLength of a text; 0: none */
static long long
schema_max_length(const sql_column *c)
{
    PyObject *constraints = c->field->facts.constraints;
    long long least = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(constraints); i++) {
        PyObject *item = PyTuple_GET_ITEM(constraints, i);
        if (constraint_kind_of(c->state, item) != CONSTRAINT_MAX_LENGTH) {
            continue;
        }
        int over;
        long long length =
            PyLong_AsLongLongAndOverflow(CONSTRAINT(item)->value, &over);
        if (over == 0 && length > 0 && (least == 0 || length < least)) {
            least = length;
        }
    }
    return least;
}

/* PostgreSQL's VARCHAR(n) cuts blanks off that are too many, instead of
 * refusing them: there the length is a CHECK alone.
 */
static int
schema_write_type(sql_column *c)
{
    long long limit =
        !c->postgres && c->type == SQL_TEXT ? schema_max_length(c) : 0;
    if (limit == 0) {
        return fe_text_literal(&c->line, schema_type_name(c));
    }
    return fe_text_literal(&c->line, "VARCHAR(") < 0
                   || fe_text_i64(&c->line, limit) < 0
                   || fe_text_literal(&c->line, ")") < 0
               ? -1
               : 0;
}

/* Note a zone. 0 or -1 */
static int
schema_zone_of(sql_column *c, PyObject *value)
{
    int zone = value != NULL ? sql_has_zone(value) : 0;
    c->aware = c->aware || zone > 0;
    return zone < 0 ? -1 : 0;
}

/* Has a bound, a choice, the default or the annotation a time zone? 0 or -1 */
static int
schema_find_zone(sql_column *c)
{
    if (c->type != SQL_DATETIME && c->type != SQL_TIME) {
        return 0;
    }
    PyObject *constraints = c->field->facts.constraints;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(constraints); i++) {
        PyObject *item = PyTuple_GET_ITEM(constraints, i);
        constraint_kind kind = constraint_kind_of(c->state, item);
        if (kind == CONSTRAINT_TIMEZONE) {
            c->aware = c->aware || CONSTRAINT(item)->value != Py_None;
        }
        else if (kind <= CONSTRAINT_LE
                 && schema_zone_of(c, CONSTRAINT(item)->value) < 0) {
            return -1;
        }
    }
    if (c->choices != NULL) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(c->choices); i++) {
            if (schema_zone_of(c, PyList_GET_ITEM(c->choices, i)) < 0) {
                return -1;
            }
        }
        return 0;
    }
    return schema_zone_of(c, c->field->default_value);
}

/* Is it an int that the column's 64 bits do not hold? 1, 0 or -1 */
static int
schema_too_large(const sql_column *c, PyObject *value)
{
    if (c->type != SQL_INT || !PyLong_Check(value)
        || (c->postgres && c->storage != NULL)) {
        return 0;
    }
    int over;
    long long number = PyLong_AsLongLongAndOverflow(value, &over);
    return number == -1 && PyErr_Occurred() ? -1 : over != 0;
}

/* A default that is a value of the column; a sensitive one stays out. */
static int
schema_write_default(sql_column *c)
{
    PyObject *value = c->field->default_value, *inner = NULL;
    if (value == NULL || value == Py_None || c->field->facts.sensitive) {
        return 0;
    }
    if (c->choices != NULL && fe_find_attr(value, "_value_", &inner) < 0) {
        return -1;
    }
    value = inner != NULL ? inner : value;
    size_t before = c->line.size;
    int large = schema_too_large(c, value);
    int written = large != 0 ? -(large < 0)
                  : fe_text_literal(&c->line, " DEFAULT ") < 0
                      ? -1
                      : sql_write_value(c, &c->line, value);
    if (written == 0) {
        c->line.size = before;
    }
    Py_XDECREF(inner);
    return written < 0 ? -1 : 0;
}

/* Comments of SQLite stand in the statement, before the column. */
static int
schema_write_doc(sql_column *c)
{
    PyObject *doc = c->field->facts.doc;
    if (doc == NULL || c->postgres) {
        return 0;
    }
    return fe_text_literal(&c->notes, "    -- ") < 0
                   || sql_write_comment(&c->notes, doc) < 0
                   || fe_text_literal(&c->notes, "\n") < 0
               ? -1
               : 0;
}

static int
schema_fill_column(sql_column *c)
{
    return sql_column_type(c) < 0 || schema_find_zone(c) < 0
                   || schema_write_doc(c) < 0
                   || fe_text_write(&c->line, c->quoted.data, c->quoted.size)
                          < 0
                   || fe_text_literal(&c->line, " ") < 0
                   || schema_write_type(c) < 0
                   || (!c->nullable
                       && fe_text_literal(&c->line, " NOT NULL") < 0)
                   || schema_write_default(c) < 0 || sql_column_checks(c) < 0
               ? -1
               : 0;
}

/* The first 63 bytes of a name are all that PostgreSQL looks at. */
static int
schema_check_name(PyObject *name, bool postgres, const char *what)
{
    Py_ssize_t size;
    if (PyUnicode_GET_LENGTH(name) == 0) {
        PyErr_Format(PyExc_ValueError, "sql_schema(): the %s has no name",
                     what);
        return -1;
    }
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &size);
    if (utf8 == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear(); /* UnicodeEncodeError: written, it is refused */
            return 0;
        }
        return -1;
    }
    if (postgres && size > 63) {
        PyErr_Format(PyExc_ValueError,
                     "sql_schema(): the %s name %R is longer than the 63 "
                     "bytes that PostgreSQL keeps",
                     what, name);
        return -1;
    }
    return 0;
}

/* new: the name as SQL has it */
static PyObject *
schema_quote(PyObject *name)
{
    fe_text text;
    fe_text_init(&text);
    PyObject *quoted =
        sql_write_name(&text, name) == 0 ? fe_text_finish(&text) : NULL;
    fe_text_free(&text);
    return quoted;
}

/* The current ValueError, told of the field */
static void
schema_where(const sql_column *c)
{
    PyObject *where =
        PyErr_ExceptionMatches(PyExc_ValueError)
            ? PyUnicode_FromFormat("%U.%U", c->owner, c->field->name)
            : NULL;
    if (where != NULL) {
        constraint_error_where(where);
        Py_DECREF(where);
    }
}

static int
schema_column(validation_state *state, const validate_fields *fields,
              const validate_field *field, bool postgres, bool last,
              fe_text *out)
{
    sql_column c;
    c.state = state;
    c.owner = fields->name;
    c.field = field;
    c.choices = NULL;
    c.mask = NULL;
    c.storage = NULL;
    c.size = -1;
    c.type = SQL_NONE;
    c.postgres = postgres;
    c.nullable = field->facts.optional;
    c.aware = false;
    fe_text_init(&c.quoted);
    fe_text_init(&c.line);
    fe_text_init(&c.notes);
    int status = -1;
    if (schema_check_name(field->name, postgres, "column") == 0
        && sql_write_name(&c.quoted, field->name) == 0
        && schema_fill_column(&c) == 0
        && fe_text_write(out, c.notes.data, c.notes.size) == 0
        && fe_text_literal(out, "    ") == 0
        && fe_text_write(out, c.line.data, c.line.size) == 0
        && fe_text_literal(out, last ? "\n" : ",\n") == 0) {
        status = 0;
    }
    else {
        schema_where(&c);
    }
    fe_text_free(&c.quoted);
    fe_text_free(&c.line);
    fe_text_free(&c.notes);
    Py_XDECREF(c.choices);
    Py_XDECREF(c.mask);
    return status;
}

/* COMMENT ON, for PostgreSQL */
static int
schema_comment(const validate_field *field, PyObject *table, fe_text *out)
{
    if (field->facts.doc == NULL) {
        return 0;
    }
    fe_text line;
    fe_text_init(&line);
    PyObject *doc = sql_write_comment(&line, field->facts.doc) == 0
                        ? fe_text_finish(&line)
                        : NULL;
    fe_text_free(&line);
    int status =
        doc == NULL || fe_text_literal(out, "\nCOMMENT ON COLUMN ") < 0
                || fe_text_str(out, table) < 0 || fe_text_literal(out, ".") < 0
                || sql_write_name(out, field->name) < 0
                || fe_text_literal(out, " IS ") < 0
                || sql_write_text(out, doc, true) < 0
                || fe_text_literal(out, ";") < 0
            ? -1
            : 0;
    Py_XDECREF(doc);
    return status;
}

static int
schema_write(validation_state *state, const validate_fields *fields,
             bool postgres, PyObject *table, fe_text *out)
{
    Py_ssize_t count = Py_SIZE(fields);
    int status = fe_text_literal(out, "CREATE TABLE ") < 0
                         || fe_text_str(out, table) < 0
                         || fe_text_literal(out, " (\n") < 0
                     ? -1
                     : 0;
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        status = schema_column(state, fields, &fields->fields[i], postgres,
                               i == count - 1, out);
    }
    if (status == 0) {
        status = fe_text_literal(out, ");");
    }
    for (Py_ssize_t i = 0; status == 0 && postgres && i < count; i++) {
        status = schema_comment(&fields->fields[i], table, out);
    }
    return status;
}

/* Do the names begin alike, whatever the case of ASCII letters? So SQLite
 * looks at names.
 */
static bool
schema_same(PyObject *a, PyObject *b, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_UCS4 x = PyUnicode_READ_CHAR(a, i), y = PyUnicode_READ_CHAR(b, i);
        if (x != y
            && (x >= 128 || y >= 128
                || Py_TOLOWER((unsigned char)x)
                       != Py_TOLOWER((unsigned char)y))) {
            return false;
        }
    }
    return true;
}

/* What SQLite's names may not be: 0 or -1 */
static int
schema_check_sqlite(const validate_fields *fields, PyObject *table)
{
    PyObject *reserved = PyUnicode_FromString("sqlite_");
    if (reserved == NULL) {
        return -1;
    }
    bool taken =
        PyUnicode_GET_LENGTH(table) >= 7 && schema_same(table, reserved, 7);
    Py_DECREF(reserved);
    if (taken) {
        PyErr_Format(PyExc_ValueError,
                     "sql_schema(): the table name %R is one that SQLite "
                     "keeps for itself",
                     table);
        return -1;
    }
    for (Py_ssize_t i = 1; i < Py_SIZE(fields); i++) {
        PyObject *name = fields->fields[i].name;
        for (Py_ssize_t k = 0; k < i; k++) {
            PyObject *other = fields->fields[k].name;
            Py_ssize_t length = PyUnicode_GET_LENGTH(name);
            if (length == PyUnicode_GET_LENGTH(other)
                && schema_same(name, other, length)) {
                PyErr_Format(PyExc_ValueError,
                             "%U.%U: sql_schema(): SQLite takes the name for "
                             "that of %U.%U",
                             fields->name, name, fields->name, other);
                return -1;
            }
        }
    }
    return 0;
}

/* new: the statement */
static PyObject *
schema_make(validation_state *state, PyObject *cls, bool postgres,
            PyObject *table)
{
    validate_fields *fields = validate_fields_of(state, cls);
    if (fields == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    if (Py_SIZE(fields) == 0) {
        PyErr_Format(PyExc_TypeError, "sql_schema(): %U has no fields",
                     fields->name);
    }
    else if (schema_check_name(table, postgres, "table") == 0
             && (postgres || schema_check_sqlite(fields, table) == 0)) {
        fe_text out;
        fe_text_init(&out);
        PyObject *quoted = schema_quote(table);
        if (quoted != NULL
            && schema_write(state, fields, postgres, quoted, &out) == 0) {
            result = fe_text_finish(&out);
        }
        Py_XDECREF(quoted);
        fe_text_free(&out);
    }
    Py_DECREF(fields);
    return result;
}

/* ---- the function */

/* 0 SQLite, 1 PostgreSQL, -1 with ValueError or TypeError */
static int
schema_dialect(PyObject *value)
{
    if (value == NULL) {
        return 0;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "sql_schema(): dialect must be a str, got %s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    if (PyUnicode_CompareWithASCIIString(value, "sqlite") == 0) {
        return 0;
    }
    if (PyUnicode_CompareWithASCIIString(value, "postgresql") == 0) {
        return 1;
    }
    PyErr_Format(PyExc_ValueError,
                 "sql_schema(): dialect must be 'sqlite' or 'postgresql', got "
                 "%R",
                 value);
    return -1;
}

PyDoc_STRVAR(
    sql_schema__doc__,
    "sql_schema($module, cls, /, *, dialect='sqlite', table=None)\n--\n\n"
    "The class as a CREATE TABLE statement.\n\n"
    "dialect is \"sqlite\" or \"postgresql\"; table the table's name, that "
    "of\n"
    "the class if None. A column for each field: its type, NOT NULL unless\n"
    "None is allowed, a simple default, and a CHECK for each constraint; a\n"
    "comment names those that the database cannot check as Python does.\n\n"
    "Raises TypeError naming class and field where there is no column type,\n"
    "ValueError for names that cannot be.");

static PyObject *
sql_schema(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    static const char *const names[] = {"", "dialect", "table", NULL};
    static const fe_sig sig = {"sql_schema", names, 1, 1};
    PyObject *values[3];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    validation_state *state = validation_get_state(module);
    PyObject *cls = values[0], *table = values[2];
    int postgres = schema_dialect(values[1]);
    if (postgres < 0) {
        return NULL;
    }
    if (!PyType_Check(cls)) {
        PyErr_Format(PyExc_TypeError,
                     "sql_schema() wants a class with annotated fields, got "
                     "%s",
                     Py_TYPE(cls)->tp_name);
        return NULL;
    }
    if (table != NULL && table != Py_None) {
        if (!PyUnicode_Check(table)) {
            PyErr_Format(PyExc_TypeError,
                         "sql_schema(): table must be a str or None, got %s",
                         Py_TYPE(table)->tp_name);
            return NULL;
        }
        return schema_make(state, cls, postgres, table);
    }
    PyObject *cache = postgres ? state->sql_postgres : state->sql_sqlite;
    PyObject *text = mask_cache_get(cache, cls);
    if (FE_LIKELY(text != NULL)) {
        return text;
    }
    PyObject *name = PyType_GetName((PyTypeObject *)cls);
    text = name != NULL ? schema_make(state, cls, postgres, name) : NULL;
    Py_XDECREF(name);
    if (text != NULL && mask_cache_set(cache, cls, text) < 0) {
        Py_CLEAR(text);
    }
    return text;
}

static PyMethodDef sql_schema_functions[] = {
    {"sql_schema", FE_METHOD(sql_schema), METH_FASTCALL | METH_KEYWORDS,
     sql_schema__doc__},
    {NULL, NULL, 0, NULL},
};

int
sql_schema_register(PyObject *module, validation_state *state)
{
    return sql_types_new(state) == 0
                   && (state->sql_sqlite = mask_cache_new(state)) != NULL
                   && (state->sql_postgres = mask_cache_new(state)) != NULL
                   && PyModule_AddFunctions(module, sql_schema_functions) == 0
               ? 0
               : -1;
}
