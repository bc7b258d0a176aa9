/* SPDX-License-Identifier: MIT
 *
 * The constraints of a column as CHECK clauses, and comments for those that
 * the database cannot check as Python does.
 */
#include "sql_schema_parts.h"

/* ---- building blocks: 0 or -1 */

static int
check_open(sql_column *c)
{
    return fe_text_literal(&c->line, " CHECK (");
}

static int
check_close(sql_column *c)
{
    return fe_text_literal(&c->line, ")");
}

static int
check_name(sql_column *c)
{
    return fe_text_write(&c->line, c->quoted.data, c->quoted.size);
}

/* before, the column's name, after */
static int
check_around(sql_column *c, const char *before, const char *after)
{
    return fe_text_literal(&c->line, before) < 0 || check_name(c) < 0
                   || fe_text_literal(&c->line, after) < 0
               ? -1
               : 0;
}

/* " CHECK (before name after)" */
static int
check_simple(sql_column *c, const char *before, const char *after)
{
    return check_open(c) < 0 || check_around(c, before, after) < 0
                   || check_close(c) < 0
               ? -1
               : 0;
}

/* Nothing passes but NULL, which NOT NULL refuses. */
static int
check_never(sql_column *c)
{
    return check_simple(c, "", " IS NULL");
}

/* "-- not checked: …" with the constraint's repr or only its kind */
static int
check_note(sql_column *c, const char *kind, PyObject *shown)
{
    if (fe_text_literal(&c->notes, "    -- not checked: ") < 0
        || fe_text_literal(&c->notes, kind) < 0) {
        return -1;
    }
    if (shown != NULL) {
        PyObject *text = PyObject_Repr(shown);
        int status = text == NULL || fe_text_literal(&c->notes, "(") < 0
                             || sql_write_comment(&c->notes, text) < 0
                             || fe_text_literal(&c->notes, ")") < 0
                         ? -1
                         : 0;
        Py_XDECREF(text);
        if (status < 0) {
            return -1;
        }
    }
    return fe_text_literal(&c->notes, "\n");
}

/* ---- bounds */

static const struct {
    const char *name, *sign;
} check_bounds[] = {
    [CONSTRAINT_GT] = {"Gt", " > "},
    [CONSTRAINT_GE] = {"Ge", " >= "},
    [CONSTRAINT_LT] = {"Lt", " < "},
    [CONSTRAINT_LE] = {"Le", " <= "},
};

/* Is the bound unequal to itself: nothing is beyond it. 1, 0, -1 */
static int
check_is_nan(PyObject *bound)
{
    PyObject *differs = PyObject_RichCompare(bound, bound, Py_NE);
    if (differs == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_ArithmeticError)) {
            return -1;
        }
        PyErr_Clear(); /* InvalidOperation: a signalling NaN of decimal */
        return 1;
    }
    int nan = differs == Py_True;
    Py_DECREF(differs);
    return nan;
}

/* To PostgreSQL, NaN is above all numbers. */
static int
check_no_nan(sql_column *c)
{
    return !c->postgres ? 0
           : c->type == SQL_FLOAT
               ? check_around(c, " AND ", " <> 'NaN'::DOUBLE PRECISION")
           : c->type == SQL_DECIMAL
               ? check_around(c, " AND ", " <> 'NaN'::NUMERIC")
               : 0;
}

/* SQLite compares texts: those with zones not as the moments. 1, 0 or -1 */
static int
check_is_moment(const sql_column *c, PyObject *bound)
{
    return c->postgres || (c->type != SQL_DATETIME && c->type != SQL_TIME) ? 0
           : c->aware ? 1
                      : sql_has_zone(bound);
}

static int
check_bound(sql_column *c, constraint_kind kind, PyObject *bound)
{
    int nan = check_is_nan(bound);
    if (nan != 0) {
        return nan < 0 ? -1 : check_never(c);
    }
    int moment = check_is_moment(c, bound);
    if (moment != 0) {
        return moment < 0 ? -1 : check_note(c, check_bounds[kind].name, bound);
    }
    size_t before = c->line.size;
    /* PostgreSQL's own order of texts is that of a language */
    bool text = c->postgres && c->type == SQL_TEXT;
    if (check_open(c) < 0
        || check_around(c, "", text ? " COLLATE \"C\"" : "") < 0
        || fe_text_literal(&c->line, check_bounds[kind].sign) < 0) {
        return -1;
    }
    int written = sql_write_value(c, &c->line, bound);
    if (written <= 0) {
        c->line.size = before;
        return written < 0 ? -1
                           : check_note(c, check_bounds[kind].name, bound);
    }
    bool low = kind == CONSTRAINT_GT || kind == CONSTRAINT_GE;
    return (low && check_no_nan(c) < 0) || check_close(c) < 0 ? -1 : 0;
}

static int
check_multiple(sql_column *c, PyObject *factor)
{
    bool exact = c->type == SQL_INT || (c->type == SQL_DECIMAL && c->postgres);
    bool whole = PyLong_Check(factor) && !PyBool_Check(factor);
    if (!exact || (c->type == SQL_INT && !whole) || PyFloat_Check(factor)) {
        return check_note(c, "MultipleOf", factor);
    }
    if (whole) {
        int over;
        long long number = PyLong_AsLongLongAndOverflow(factor, &over);
        if (number == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (over != 0 && c->type == SQL_INT && c->storage == NULL) {
            return check_simple(c, "", " = 0"); /* of 64 bits, no other is */
        }
        if (number == 0) {
            return check_never(c);
        }
    }
    size_t before = c->line.size;
    if (check_open(c) < 0 || check_around(c, "", " % ") < 0) {
        return -1;
    }
    int written = sql_write_value(c, &c->line, factor);
    if (written <= 0) {
        c->line.size = before;
        return written < 0 ? -1 : check_note(c, "MultipleOf", factor);
    }
    return fe_text_literal(&c->line, " = 0)");
}

/* ---- lengths */

static const char *
check_length_function(const sql_column *c)
{
    switch (c->type) {
    case SQL_TEXT:
        return c->postgres ? "character_length(" : "length(";
    case SQL_BLOB:
        return c->postgres ? "octet_length(" : "length(";
    case SQL_ARRAY:
        return c->postgres ? "jsonb_array_length(" : "json_array_length(";
    default:
        return NULL;
    }
}

static int
check_write_length(sql_column *c, PyObject *length)
{
    int64_t number;
    if (PyLong_CheckExact(length) && fe_long_in_place(length, &number)) {
        return fe_text_i64(&c->line, number);
    }
    PyObject *digits = PyLong_Type.tp_repr(length);
    int status = digits != NULL ? fe_text_str(&c->line, digits) : -1;
    Py_XDECREF(digits);
    return status;
}

static int
check_length(sql_column *c, constraint_kind kind, PyObject *length)
{
    bool low = kind == CONSTRAINT_MIN_LENGTH;
    const char *function =
        c->choices == NULL ? check_length_function(c) : NULL;
    if (function == NULL) {
        return check_note(c, low ? "MinLength" : "MaxLength", length);
    }
    if (check_open(c) < 0 || check_around(c, function, ")") < 0
        || fe_text_literal(&c->line, low ? " >= " : " <= ") < 0
        || check_write_length(c, length) < 0) {
        return -1;
    }
    return check_close(c);
}

/* ---- patterns */

static int
check_pattern(sql_column *c, PyObject *pattern, long flags)
{
    enum { ASCII = 256, UNICODE = 32, DOTALL = 16 };
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(pattern, &size);
    if (utf8 == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return -1;
        }
        PyErr_Clear(); /* UnicodeEncodeError: no text of the column has it */
        return check_note(c, "Regex", pattern);
    }
    char *out = PyMem_Malloc(SQL_REGEX_ROOM((size_t)size));
    if (out == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    long written = (flags & ~(long)(ASCII | UNICODE | DOTALL)) == 0
                       ? sql_regex_translate(utf8, (size_t)size, flags & ASCII,
                                             flags & DOTALL, out)
                       : -1;
    PyObject *text = written >= 0 ? PyUnicode_FromStringAndSize(out, written)
                                  : Py_NewRef(Py_None);
    PyMem_Free(out);
    int status = -1;
    if (text == Py_None) {
        status = check_note(c, "Regex", pattern);
    }
    else if (text != NULL) {
        status = check_open(c) < 0 || check_around(c, "", " ~ ") < 0
                         || sql_write_text(&c->line, text, true) < 0
                         || check_close(c) < 0
                     ? -1
                     : 0;
    }
    Py_XDECREF(text);
    return status;
}

static int
check_regex(sql_column *c, PyObject *regex)
{
    PyObject *pattern = Py_NewRef(regex_pattern_borrow(regex));
    PyObject *flags = NULL;
    int found = c->postgres && c->type == SQL_TEXT && c->choices == NULL
                    ? fe_find_attr(regex, "flags", &flags)
                    : 0;
    int status = found;
    if (found > 0) {
        long bits = PyLong_AsLong(flags);
        status = bits == -1 && PyErr_Occurred()
                     ? -1
                     : check_pattern(c, pattern, bits);
        Py_DECREF(flags);
    }
    else if (found == 0) {
        status = check_note(c, "Regex", pattern);
    }
    Py_DECREF(pattern);
    return status;
}

/* ---- what the type itself asks for */

/* SQLite keeps in a column whatever it is given. */
static int
check_typeof(sql_column *c, const char *one, const char *or_null)
{
    return check_simple(c, "typeof(", c->nullable ? or_null : one);
}

static int
check_optional(sql_column *c)
{
    return c->nullable ? check_around(c, "", " IS NULL OR (") : 0;
}

/* Text of a day and perhaps a time as isoformat() writes it: that the texts
 * compare like the values. '+0 days' makes SQLite see that there is no 30th of
 * February.
 */
static int
check_sqlite_time(sql_column *c)
{
    bool day = c->type != SQL_TIME, time = c->type != SQL_DATE;
    if (check_open(c) < 0 || check_optional(c) < 0) {
        return -1;
    }
    if (day
        && (check_around(c, "date(substr(", ", 1, 10), '+0 days') IS substr(")
                < 0
            || check_around(c, "", ", 1, 10)") < 0)) {
        return -1;
    }
    if (!time && check_around(c, " AND length(", ") = 10") < 0) {
        return -1;
    }
    /* SQLite rounds the last microsecond, and knows few zones: the rest is
     * looked at by its characters */
    if (day && time
        && (check_around(c, " AND ", " GLOB '??????????T??:??*'") < 0
            || check_around(c, " AND datetime(substr(",
                            ", 1, 19)) IS NOT NULL")
                   < 0
            || check_around(c, " AND substr(", ", 20) NOT GLOB '*[^0-9:.+-]*'")
                   < 0)) {
        return -1;
    }
    if (!day
        && (check_around(c, "", " GLOB '??:??*'") < 0
            || check_around(c, " AND time(substr(", ", 1, 8)) IS NOT NULL") < 0
            || check_around(c, " AND substr(", ", 9) NOT GLOB '*[^0-9:.+-]*'")
                   < 0)) {
        return -1;
    }
    return fe_text_literal(&c->line, c->nullable ? "))" : ")");
}

/* json_valid(NULL) is 0 to older versions. */
static int
check_json(sql_column *c, const char *is_type)
{
    return check_open(c) < 0
                   || (c->nullable && check_around(c, "", " IS NULL OR ") < 0)
                   || check_around(c, "json_valid(", ")") < 0
                   || check_close(c) < 0
                   || check_simple(c, "json_type(", is_type) < 0
               ? -1
               : 0;
}

static int
check_sqlite_type(sql_column *c)
{
    switch (c->type) {
    case SQL_BOOL:
        return check_simple(c, "", " IN (0, 1)");
    case SQL_INT:
        return check_typeof(c, ") = 'integer'", ") IN ('integer', 'null')");
    case SQL_FLOAT:
    case SQL_TIMEDELTA:
        return check_typeof(c, ") = 'real'", ") IN ('real', 'null')");
    case SQL_DECIMAL:
        return check_typeof(c, ") IN ('integer', 'real')",
                            ") IN ('integer', 'real', 'null')");
    case SQL_TEXT:
        return check_typeof(c, ") = 'text'", ") IN ('text', 'null')");
    case SQL_BLOB:
        return check_typeof(c, ") = 'blob'", ") IN ('blob', 'null')");
    case SQL_UUID:
        return check_simple(c, "length(", ") = 36") < 0
                   ? -1
                   : check_simple(c, "", " NOT GLOB '*[^0-9a-f-]*'");
    case SQL_ARRAY:
        return check_json(c, ") = 'array'");
    case SQL_OBJECT:
        return check_json(c, ") = 'object'");
    default:
        return check_sqlite_time(c);
    }
}

static int
check_postgres_type(sql_column *c)
{
    switch (c->type) {
    case SQL_ARRAY:
        return check_simple(c, "jsonb_typeof(", ") = 'array'");
    case SQL_OBJECT:
        return check_simple(c, "jsonb_typeof(", ") = 'object'");
    default:
        return 0;
    }
}

static int
check_storage(sql_column *c)
{
    const sql_storage *s = c->storage;
    if (s != NULL && s->low != NULL && !(c->postgres && s->implied)) {
        if (check_open(c) < 0 || check_around(c, "", " BETWEEN ") < 0
            || fe_text_literal(&c->line, s->low) < 0
            || fe_text_literal(&c->line, " AND ") < 0
            || fe_text_literal(&c->line, s->high) < 0 || check_close(c) < 0) {
            return -1;
        }
    }
    if (c->size < 0) {
        return 0;
    }
    const char *function = c->postgres           ? "octet_length("
                           : c->type == SQL_TEXT ? "length(CAST("
                                                 : "length(";
    const char *after =
        c->postgres || c->type == SQL_BLOB ? ")" : " AS BLOB))";
    return check_open(c) < 0 || check_around(c, function, after) < 0
                   || fe_text_literal(&c->line,
                                      c->type == SQL_BLOB ? " = " : " <= ")
                          < 0
                   || fe_text_i64(&c->line, c->size) < 0 || check_close(c) < 0
               ? -1
               : 0;
}

/* The members of a Flag are combined: no other bits than theirs */
static int
check_mask(sql_column *c)
{
    if (c->mask == Py_None) {
        return 0;
    }
    int over;
    long long mask = PyLong_AsLongLongAndOverflow(c->mask, &over);
    if (mask == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (over != 0) {
        return check_note(c, "Flag", c->mask);
    }
    return check_open(c) < 0 || check_around(c, "(", " & ") < 0
                   || fe_text_i64(&c->line, ~(int64_t)mask) < 0
                   || fe_text_literal(&c->line, ") = 0)") < 0
               ? -1
               : 0;
}

static int
check_choices(sql_column *c)
{
    if (c->choices == NULL) {
        return 0;
    }
    if (c->mask != NULL) {
        return check_mask(c);
    }
    if (PyList_GET_SIZE(c->choices) == 0) {
        return check_never(c);
    }
    if (check_open(c) < 0 || check_around(c, "", " IN (") < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(c->choices); i++) {
        PyObject *value = PyList_GET_ITEM(c->choices, i);
        if (i > 0 && fe_text_literal(&c->line, ", ") < 0) {
            return -1;
        }
        int written = sql_write_value(c, &c->line, value);
        if (written <= 0) {
            if (written == 0) {
                PyErr_Format(
                    PyExc_TypeError,
                    "%U.%U: sql_schema() cannot write a choice of type "
                    "%s",
                    c->owner, c->field->name, Py_TYPE(value)->tp_name);
            }
            return -1;
        }
    }
    return fe_text_literal(&c->line, "))");
}

static int
check_constraint(sql_column *c, PyObject *constraint)
{
    constraint_kind kind = constraint_kind_of(c->state, constraint);
    PyObject *value = kind == CONSTRAINT_REGEX || kind == CONSTRAINT_EMAIL
                              || kind == CONSTRAINT_KIND_COUNT
                          ? NULL
                          : CONSTRAINT(constraint)->value;
    switch (kind) {
    case CONSTRAINT_GT:
    case CONSTRAINT_GE:
    case CONSTRAINT_LT:
    case CONSTRAINT_LE:
        return check_bound(c, kind, value);
    case CONSTRAINT_MULTIPLE_OF:
        return check_multiple(c, value);
    case CONSTRAINT_MIN_LENGTH:
    case CONSTRAINT_MAX_LENGTH:
        return check_length(c, kind, value);
    case CONSTRAINT_REGEX:
        return check_regex(c, constraint);
    case CONSTRAINT_EMAIL:
        return check_note(c, "Email", NULL);
    case CONSTRAINT_PREDICATE:
        return check_note(c, "Predicate", NULL);
    default: /* Strip changes what is stored; Sensitive and Doc ask nothing */
        return 0;
    }
}

int
sql_column_checks(sql_column *c)
{
    bool typed = c->choices != NULL && c->mask == NULL ? true
                 : c->postgres ? check_postgres_type(c) == 0
                               : check_sqlite_type(c) == 0;
    if (!typed || check_choices(c) < 0 || check_storage(c) < 0) {
        return -1;
    }
    PyObject *constraints = c->field->facts.constraints;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(constraints); i++) {
        if (check_constraint(c, PyTuple_GET_ITEM(constraints, i)) < 0) {
            return -1;
        }
    }
    return 0;
}
