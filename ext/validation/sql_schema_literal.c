/* SPDX-License-Identifier: MIT
 *
 * Names, texts and values as SQL writes them. Nothing that comes from outside
 * reaches the statement but through these.
 */
#include "sql_schema_parts.h"

/* The str as UTF-8; NULL with ValueError for what no statement can hold. */
static const char *
literal_utf8(PyObject *str, Py_ssize_t *size)
{
    const char *utf8 = PyUnicode_AsUTF8AndSize(str, size);
    if (utf8 == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear(); /* UnicodeEncodeError, a lone surrogate */
            PyErr_SetString(PyExc_ValueError,
                            "sql_schema(): text with a lone surrogate");
        }
        return NULL;
    }
    if (memchr(utf8, '\0', (size_t)*size) != NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "sql_schema(): text with a NUL character");
        return NULL;
    }
    return utf8;
}

/* `quote` around the text, and twice where it is in it */
static int
literal_quoted(fe_text *text, const char *utf8, Py_ssize_t size, char quote,
               bool backslashes)
{
    int status = fe_text_write(text, &quote, 1);
    for (Py_ssize_t i = 0; status == 0 && i < size; i++) {
        bool twice = utf8[i] == quote || (backslashes && utf8[i] == '\\');
        if (twice) {
            status = fe_text_write(text, &utf8[i], 1);
        }
        if (status == 0) {
            status = fe_text_write(text, &utf8[i], 1);
        }
    }
    return status < 0 ? -1 : fe_text_write(text, &quote, 1);
}

int
sql_write_name(fe_text *text, PyObject *name)
{
    Py_ssize_t size;
    const char *utf8 = literal_utf8(name, &size);
    return utf8 != NULL ? literal_quoted(text, utf8, size, '"', false) : -1;
}

/* PostgreSQL reads backslashes in '...' by a setting; in E'...' always. */
int
sql_write_text(fe_text *text, PyObject *str, bool postgres)
{
    Py_ssize_t size;
    const char *utf8 = literal_utf8(str, &size);
    if (utf8 == NULL) {
        return -1;
    }
    bool escaped = postgres && memchr(utf8, '\\', (size_t)size) != NULL;
    return escaped && fe_text_literal(text, "E") < 0
               ? -1
               : literal_quoted(text, utf8, size, '\'', escaped);
}

int
sql_write_comment(fe_text *text, PyObject *str)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(str);
    for (Py_ssize_t i = 0; i < size; i++) {
        Py_UCS4 ch = PyUnicode_READ_CHAR(str, i);
        char utf8[4];
        size_t length = 1;
        if (ch < 0x20 || (ch >= 0x7F && ch < 0xA0) || ch == 0x2028
            || ch == 0x2029 || (ch >= 0xD800 && ch < 0xE000)) {
            utf8[0] = ' ';
        }
        else if (ch < 0x80) {
            utf8[0] = (char)ch;
        }
        else {
            length = ch < 0x800 ? 2 : ch < 0x10000 ? 3 : 4;
            static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
            for (size_t k = length - 1; k > 0; k--) {
                utf8[k] = (char)(0x80 | (ch & 0x3F));
                ch >>= 6;
            }
            utf8[0] = (char)(lead[length] | ch);
        }
        if (fe_text_write(text, utf8, length) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- values: 1 written, 0 not, -1 */

static int
literal_done(int status)
{
    return status < 0 ? -1 : 1;
}

/* The str() of a value, which must be plain: digits, signs and letters. */
static int
literal_plain(fe_text *text, PyObject *value)
{
    PyObject *str = PyObject_Str(value);
    if (str == NULL) {
        return -1;
    }
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(str, &size);
    int status = utf8 != NULL ? 1 : -1;
    for (Py_ssize_t i = 0; status == 1 && i < size; i++) {
        char c = utf8[i];
        status = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
                         || (c >= 'A' && c <= 'Z')
                         || strchr("+-.:_ ", c) != NULL
                     ? 1
                     : 0;
    }
    if (status == 1) {
        status = literal_done(fe_text_write(text, utf8, (size_t)size));
    }
    Py_DECREF(str);
    return status;
}

/* An int, whatever subclass of int it is. */
static int
literal_int(fe_text *text, PyObject *value)
{
    PyObject *digits = PyLong_Type.tp_repr(value);
    int status = digits != NULL ? fe_text_str(text, digits) : -1;
    Py_XDECREF(digits);
    return literal_done(status);
}

static int
literal_infinity(const sql_column *c, fe_text *text, bool negative)
{
    if (!c->postgres) {
        return literal_done(
            fe_text_literal(text, negative ? "-9e999" : "9e999"));
    }
    int status =
        fe_text_literal(text, negative ? "'-Infinity'" : "'Infinity'");
    return status < 0
               ? -1
               : literal_done(fe_text_literal(text, c->type == SQL_FLOAT
                                                        ? "::DOUBLE PRECISION"
                                                        : "::NUMERIC"));
}

static int
literal_float(const sql_column *c, fe_text *text, double number)
{
    if (number != number) {
        return 0;
    }
    if (number - number != 0) {
        return literal_infinity(c, text, number < 0);
    }
    if (c->type != SQL_INT || number != (double)(int64_t)number) {
        return literal_done(fe_text_f64(text, number));
    }
    return literal_done(fe_text_i64(text, (int64_t)number));
}

/* As fe_text_f64 but whole for ints, which compare by all their digits. */
static int
literal_number(const sql_column *c, fe_text *text, PyObject *value)
{
    if (PyBool_Check(value)) {
        return literal_done(
            fe_text_literal(text, value == Py_True ? "1" : "0"));
    }
    if (PyLong_Check(value)) {
        return literal_int(text, value);
    }
    if (PyFloat_Check(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        if (c->type == SQL_INT && number - number == 0
            && (number >= 0x1p63 || number < -0x1p63)) {
            PyObject *whole = PyLong_FromDouble(number);
            int status = whole != NULL ? literal_int(text, whole) : -1;
            Py_XDECREF(whole);
            return status;
        }
        return literal_float(c, text, number);
    }
    PyObject *types = c->state->sql_types;
    PyObject *code =
        PyDict_GetItemWithError(types, (PyObject *)Py_TYPE(value));
    if (code == NULL || PyLong_AsLong(code) != SQL_DECIMAL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *finite = fe_call_method(value, "is_finite", NULL);
    if (finite == NULL) {
        return -1;
    }
    bool plain = finite == Py_True;
    Py_DECREF(finite);
    if (plain) {
        return literal_plain(text, value);
    }
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear(); /* ValueError: a signalling NaN */
        return 0;
    }
    return literal_float(c, text, number);
}

static int
literal_bytes(const sql_column *c, fe_text *text, PyObject *value)
{
    static const char digits[] = "0123456789abcdef";
    int status = fe_text_literal(text, c->postgres ? "E'\\\\x" : "X'");
    const char *data = PyBytes_AS_STRING(value);
    for (Py_ssize_t i = 0; status == 0 && i < PyBytes_GET_SIZE(value); i++) {
        unsigned char byte = (unsigned char)data[i];
        char pair[2] = {digits[byte >> 4], digits[byte & 15]};
        status = fe_text_write(text, pair, 2);
    }
    return status < 0 ? -1
                      : literal_done(fe_text_literal(
                            text, c->postgres ? "'::BYTEA" : "'"));
}

/* What isoformat() or str() gives, in quotes, with PostgreSQL's type. */
static int
literal_typed(const sql_column *c, fe_text *text, PyObject *str,
              const char *cast)
{
    if (str == NULL) {
        return -1;
    }
    int status =
        PyUnicode_Check(str) ? sql_write_text(text, str, c->postgres) : 0;
    Py_DECREF(str);
    if (status < 0 || !c->postgres) {
        return literal_done(status);
    }
    return literal_done(fe_text_literal(text, cast));
}

static int
literal_timedelta(const sql_column *c, fe_text *text, PyObject *value)
{
    PyObject *seconds = fe_call_method(value, "total_seconds", NULL);
    if (seconds == NULL || !PyFloat_Check(seconds)) {
        Py_XDECREF(seconds);
        return seconds == NULL ? -1 : 0;
    }
    double number = PyFloat_AS_DOUBLE(seconds);
    Py_DECREF(seconds);
    if (!c->postgres) {
        return literal_done(fe_text_f64(text, number));
    }
    return fe_text_literal(text, "'") < 0 || fe_text_f64(text, number) < 0
                   || fe_text_literal(text, " seconds'::INTERVAL") < 0
               ? -1
               : 1;
}

int
sql_has_zone(PyObject *value)
{
    PyObject *zone;
    int found = fe_find_attr(value, "tzinfo", &zone);
    if (found > 0) {
        found = zone != Py_None;
        Py_DECREF(zone);
    }
    return found;
}

/* PostgreSQL drops the zone of a TIME, and would give a TIMESTAMPTZ without
 * one the session's.
 */
static int
literal_keeps_zone(const sql_column *c, PyObject *value)
{
    if (!c->postgres || (c->type != SQL_DATETIME && c->type != SQL_TIME)) {
        return 1;
    }
    int zone = sql_has_zone(value);
    return zone < 0 ? -1 : zone == (c->type == SQL_DATETIME && c->aware);
}

/* Of the types that are their own: value is an instance of such. */
static int
literal_time(const sql_column *c, fe_text *text, PyObject *value)
{
    int kept = literal_keeps_zone(c, value);
    if (kept <= 0) {
        return kept;
    }
    switch (c->type) {
    case SQL_DATE:
        return literal_typed(c, text, fe_call_method(value, "isoformat", NULL),
                             "::DATE");
    case SQL_DATETIME:
        return literal_typed(c, text, fe_call_method(value, "isoformat", NULL),
                             c->aware ? "::TIMESTAMPTZ" : "::TIMESTAMP");
    case SQL_TIME:
        return literal_typed(c, text, fe_call_method(value, "isoformat", NULL),
                             "::TIME");
    case SQL_TIMEDELTA:
        return literal_timedelta(c, text, value);
    case SQL_UUID:
        return literal_typed(c, text, PyObject_Str(value), "::UUID");
    default:
        return 0;
    }
}

int
sql_write_value(sql_column *c, fe_text *text, PyObject *value)
{
    switch (c->type) {
    case SQL_BOOL:
        return !PyBool_Check(value) ? 0
               : c->postgres ? literal_done(fe_text_literal(
                                   text, value == Py_True ? "TRUE" : "FALSE"))
                             : literal_number(c, text, value);
    case SQL_INT:
    case SQL_FLOAT:
    case SQL_DECIMAL:
        return literal_number(c, text, value);
    case SQL_TEXT:
        return PyUnicode_Check(value)
                   ? literal_done(sql_write_text(text, value, c->postgres))
                   : 0;
    case SQL_BLOB:
        return PyBytes_Check(value) ? literal_bytes(c, text, value) : 0;
    default:
        break;
    }
    PyObject *code = PyDict_GetItemWithError(c->state->sql_types,
                                             (PyObject *)Py_TYPE(value));
    if (code == NULL || PyLong_AsLong(code) != (long)c->type) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return literal_time(c, text, value);
}
