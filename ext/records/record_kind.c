/* SPDX-License-Identifier: MIT
 *
 * Values in and out of unboxed storage: one conversion per kind, with the
 * errors that name class and field. The common cases (an exact int for i64,
 * an exact float for f64) are inline in records_state.h.
 *
 * Conversions may run Python code (__index__, __float__): they finish into a
 * local before anything is written.
 */
#include "records_state.h"

#include <float.h>
#include <math.h>

const char *const fe_kind_names[FE_KIND_COUNT] = {
    [FE_I8] = "i8",   [FE_I16] = "i16",       [FE_I32] = "i32",
    [FE_I64] = "i64", [FE_U8] = "u8",         [FE_U16] = "u16",
    [FE_U32] = "u32", [FE_U64] = "u64",       [FE_F32] = "f32",
    [FE_F64] = "f64", [FE_BOOL8] = "bool8",   [FE_BYTES] = "bytes",
    [FE_STR] = "str", [FE_OBJECT] = "object",
};

static const struct {
    uint8_t size, alignment;
} kind_shape[FE_KIND_COUNT] = {
    [FE_I8] = {1, 1},    [FE_I16] = {2, 2},
    [FE_I32] = {4, 4},   [FE_I64] = {8, 8},
    [FE_U8] = {1, 1},    [FE_U16] = {2, 2},
    [FE_U32] = {4, 4},   [FE_U64] = {8, 8},
    [FE_F32] = {4, 4},   [FE_F64] = {8, 8},
    [FE_BOOL8] = {1, 1}, [FE_BYTES] = {0, 1},
    [FE_STR] = {0, 1},   [FE_OBJECT] = {sizeof(void *), sizeof(void *)},
};

uint32_t
records_kind_size(fe_kind kind)
{
    return kind_shape[kind].size;
}

uint32_t
records_kind_alignment(fe_kind kind)
{
    return kind_shape[kind].alignment;
}

/* new: repr(value), cut at 60 characters; *** for a sensitive field */
PyObject *
records_shown(const record_field *field, PyObject *value)
{
    if (field->flags & FE_FIELD_SENSITIVE) {
        return PyUnicode_FromString("***");
    }
    PyObject *shown = PyObject_Repr(value);
    if (shown != NULL && PyUnicode_GET_LENGTH(shown) > 60) {
        PyObject *start = PyUnicode_Substring(shown, 0, 57);
        Py_SETREF(shown,
                  start != NULL ? PyUnicode_FromFormat("%U...", start) : NULL);
        Py_XDECREF(start);
    }
    return shown;
}

/* TypeError: "f() wants <before>Class<after>, got list [...]"; without `after`
 * the class is left out. What should have been rows is not shown if it could
 * hold a sensitive value.
 */
void
records_refuse_given(const record_plan *plan, const char *function,
                     const char *before, const char *after, PyObject *given)
{
    PyObject *wanted =
        after != NULL
            ? PyUnicode_FromFormat("%s%U%s", before, plan->qualname, after)
            : PyUnicode_FromString(before);
    if (wanted == NULL) {
        return;
    }
    if (plan->sensitive) {
        PyErr_Format(PyExc_TypeError, "%s wants %U, got %s", function, wanted,
                     Py_TYPE(given)->tp_name);
    }
    else {
        PyErr_Format(PyExc_TypeError, "%s wants %U, got %s %.100R", function,
                     wanted, Py_TYPE(given)->tp_name, given);
    }
    Py_DECREF(wanted);
}

/* Set `exception`: "Class.field: wanted i64, got str 'abc'"; -1. */
static FE_NOINLINE int
refuse(PyObject *exception, PyObject *qualname, const record_field *field,
       PyObject *value)
{
    PyObject *wanted =
        field->kind == FE_BYTES || field->kind == FE_STR
            ? PyUnicode_FromFormat("%s[%u]", fe_kind_names[field->kind],
                                   (unsigned)field->size)
            : PyUnicode_FromString(fe_kind_names[field->kind]);
    PyObject *shown = wanted != NULL ? records_shown(field, value) : NULL;
    if (shown != NULL) {
        PyErr_Format(exception, "%U.%U: wanted %U, got %s %U", qualname,
                     field->name, wanted, Py_TYPE(value)->tp_name, shown);
    }
    Py_XDECREF(wanted);
    Py_XDECREF(shown);
    return -1;
}

/* new: an int (exact or not) from an int or an __index__ object; NULL */
static PyObject *
as_int(PyObject *qualname, const record_field *field, PyObject *value)
{
    if (PyLong_Check(value)) {
        return Py_NewRef(value);
    }
    if (!PyIndex_Check(value)) {
        refuse(PyExc_TypeError, qualname, field, value);
        return NULL;
    }
    return PyNumber_Index(value);
}

static const struct {
    int64_t low, high;
} int_range[] = {
    [FE_I8] = {INT8_MIN, INT8_MAX},    [FE_I16] = {INT16_MIN, INT16_MAX},
    [FE_I32] = {INT32_MIN, INT32_MAX}, [FE_I64] = {INT64_MIN, INT64_MAX},
    [FE_U8] = {0, UINT8_MAX},          [FE_U16] = {0, UINT16_MAX},
    [FE_U32] = {0, UINT32_MAX},
};

static void
put_int(const record_field *field, char *at, int64_t number)
{
    switch (field->size) {
    case 1: {
        int8_t narrow = (int8_t)number;
        memcpy(at, &narrow, 1);
        break;
    }
    case 2: {
        int16_t narrow = (int16_t)number;
        memcpy(at, &narrow, 2);
        break;
    }
    case 4: {
        int32_t narrow = (int32_t)number;
        memcpy(at, &narrow, 4);
        break;
    }
    default:
        memcpy(at, &number, 8);
    }
}

static int
store_u64(PyObject *qualname, const record_field *field, char *at,
          PyObject *number, PyObject *value)
{
    uint64_t wide = PyLong_AsUnsignedLongLong(number);
    if (wide == (uint64_t)-1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* OverflowError: ours names the field */
        return refuse(PyExc_OverflowError, qualname, field, value);
    }
    memcpy(at, &wide, sizeof(wide));
    return 0;
}

static int
store_int(PyObject *qualname, const record_field *field, char *at,
          PyObject *value)
{
    PyObject *number = as_int(qualname, field, value);
    if (number == NULL) {
        return -1;
    }
    if (field->kind == FE_U64) {
        int status = store_u64(qualname, field, at, number, value);
        Py_DECREF(number);
        return status;
    }
    int overflow;
    long long wide = PyLong_AsLongLongAndOverflow(number, &overflow);
    Py_DECREF(number);
    if (wide == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (overflow != 0 || wide < int_range[field->kind].low
        || wide > int_range[field->kind].high) {
        return refuse(PyExc_OverflowError, qualname, field, value);
    }
    put_int(field, at, wide);
    return 0;
}

/* A double that is exactly the int, or an error. */
static int
exact_double(PyObject *qualname, const record_field *field, PyObject *number,
             PyObject *value, double *out)
{
    double real = PyLong_AsDouble(number);
    if (real == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* OverflowError: ours names the field */
        return refuse(PyExc_OverflowError, qualname, field, value);
    }
    if (field->kind == FE_F32 && fabs(real) > (double)FLT_MAX) {
        return refuse(PyExc_OverflowError, qualname, field, value);
    }
    double kept = field->kind == FE_F32 ? (double)(float)real : real;
    PyObject *back = PyLong_FromDouble(kept);
    if (back == NULL) {
        return -1;
    }
    int same = PyObject_RichCompareBool(back, number, Py_EQ);
    Py_DECREF(back);
    if (same < 0) {
        return -1;
    }
    if (!same) {
        return refuse(PyExc_ValueError, qualname, field, value);
    }
    *out = real;
    return 0;
}

static int
as_double(PyObject *qualname, const record_field *field, PyObject *value,
          double *out)
{
    if (PyFloat_Check(value)) {
        *out = PyFloat_AS_DOUBLE(value);
        return 0;
    }
    if (PyIndex_Check(value)) {
        PyObject *number = as_int(qualname, field, value);
        if (number == NULL) {
            return -1;
        }
        int status = exact_double(qualname, field, number, value, out);
        Py_DECREF(number);
        return status;
    }
    PyNumberMethods *methods = Py_TYPE(value)->tp_as_number;
    if (methods == NULL || methods->nb_float == NULL) {
        return refuse(PyExc_TypeError, qualname, field, value);
    }
    *out = PyFloat_AsDouble(value);
    return *out == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int
store_float(PyObject *qualname, const record_field *field, char *at,
            PyObject *value)
{
    double number;
    if (as_double(qualname, field, value, &number) < 0) {
        return -1;
    }
    if (field->kind == FE_F64) {
        memcpy(at, &number, sizeof(number));
        return 0;
    }
    /* Casting a double beyond the range to float is undefined; what rounds
     * down to FLT_MAX is still in range. */
    static const double limit = 0x1.ffffffp127; /* FLT_MAX + half an ulp */
    if (isfinite(number) && fabs(number) >= limit) {
        return refuse(PyExc_OverflowError, qualname, field, value);
    }
    float narrow = fabs(number) > (double)FLT_MAX && isfinite(number)
                       ? copysignf(FLT_MAX, number < 0 ? -1.0f : 1.0f)
                       : (float)number;
    memcpy(at, &narrow, sizeof(narrow));
    return 0;
}

static int
store_bytes(PyObject *qualname, const record_field *field, char *at,
            PyObject *value)
{
    if (!PyBytes_Check(value)) {
        return refuse(PyExc_TypeError, qualname, field, value);
    }
    if (PyBytes_GET_SIZE(value) != (Py_ssize_t)field->size) {
        return refuse(PyExc_ValueError, qualname, field, value);
    }
    memcpy(at, PyBytes_AS_STRING(value), field->size);
    return 0;
}

static int
store_str(PyObject *qualname, const record_field *field, char *at,
          PyObject *value)
{
    if (!PyUnicode_Check(value)) {
        return refuse(PyExc_TypeError, qualname, field, value);
    }
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(value, &size);
    if (utf8 == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return -1;
        }
        PyErr_Clear(); /* UnicodeEncodeError, a lone surrogate */
        return refuse(PyExc_ValueError, qualname, field, value);
    }
    if (size > (Py_ssize_t)field->size
        || (size > 0 && utf8[size - 1] == '\0')) {
        return refuse(PyExc_ValueError, qualname, field, value);
    }
    memcpy(at, utf8, (size_t)size);
    memset(at + size, 0, field->size - (size_t)size);
    return 0;
}

int
records_store_slow(PyObject *qualname, const record_field *field, char *at,
                   PyObject *value)
{
    switch ((fe_kind)field->kind) {
    case FE_F32:
    case FE_F64:
        return store_float(qualname, field, at, value);
    case FE_BOOL8:
        if (!PyBool_Check(value)) {
            return refuse(PyExc_TypeError, qualname, field, value);
        }
        *at = value == Py_True;
        return 0;
    case FE_BYTES:
        return store_bytes(qualname, field, at, value);
    case FE_STR:
        return store_str(qualname, field, at, value);
    default:
        return store_int(qualname, field, at, value);
    }
}

/* --------------------------------------------------- compare and hash */

static int
order(int op, bool less, bool greater)
{
    switch (op) {
    case Py_LT:
        return less;
    case Py_LE:
        return less || !greater;
    case Py_GT:
        return greater;
    default:
        return greater || !less;
    }
}

static int
compare_text(const record_field *field, const char *a, const char *b, int op,
             int *equal)
{
    /* NUL padding sorts first, so whole fields compare like their text */
    int sign = memcmp(a, b, field->size);
    *equal = sign == 0;
    return order(op, sign < 0, sign > 0);
}

#define COMPARE_AS(type)                                                      \
    {                                                                         \
        type x = FE_READ(type, a), y = FE_READ(type, b);                      \
        *equal = x == y;                                                      \
        switch (op) {                                                         \
        case Py_LT:                                                           \
            verdict = x < y;                                                  \
            break;                                                            \
        case Py_LE:                                                           \
            verdict = x <= y;                                                 \
            break;                                                            \
        case Py_GT:                                                           \
            verdict = x > y;                                                  \
            break;                                                            \
        default:                                                              \
            verdict = x >= y;                                                 \
        }                                                                     \
        break;                                                                \
    }

/* The verdict of an ordering op (any but == and !=); *equal apart. */
int
records_compare_unboxed(const record_field *field, const char *a,
                        const char *b, int op, int *equal)
{
    int verdict = 0;
    switch ((fe_kind)field->kind) {
    case FE_I8:
        COMPARE_AS(int8_t)
    case FE_I16:
        COMPARE_AS(int16_t)
    case FE_I32:
        COMPARE_AS(int32_t)
    case FE_I64:
        COMPARE_AS(int64_t)
    case FE_U8:
    case FE_BOOL8:
        COMPARE_AS(uint8_t)
    case FE_U16:
        COMPARE_AS(uint16_t)
    case FE_U32:
        COMPARE_AS(uint32_t)
    case FE_U64:
        COMPARE_AS(uint64_t)
    case FE_F32:
        COMPARE_AS(float)
    case FE_F64:
        COMPARE_AS(double)
    default:
        return compare_text(field, a, b, op, equal);
    }
    return verdict;
}

static Py_hash_t
hash_object(PyObject *value)
{
    if (value == NULL) {
        return -1;
    }
    Py_hash_t hash = PyObject_Hash(value);
    Py_DECREF(value);
    return hash;
}

/* -1 on error, as PyObject_Hash */
Py_hash_t
records_hash_unboxed(const record_field *field, const char *at)
{
    switch ((fe_kind)field->kind) {
    case FE_I8:
        return fe_hash_i64(FE_READ(int8_t, at));
    case FE_I16:
        return fe_hash_i64(FE_READ(int16_t, at));
    case FE_I32:
        return fe_hash_i64(FE_READ(int32_t, at));
    case FE_I64:
        return fe_hash_i64(FE_READ(int64_t, at));
    case FE_U8:
    case FE_BOOL8:
        return fe_hash_u64(FE_READ(uint8_t, at));
    case FE_U16:
        return fe_hash_u64(FE_READ(uint16_t, at));
    case FE_U32:
        return fe_hash_u64(FE_READ(uint32_t, at));
    case FE_U64:
        return fe_hash_u64(FE_READ(uint64_t, at));
    case FE_F32:
        return fe_hash_f64((double)FE_READ(float, at));
    case FE_F64:
        return fe_hash_f64(FE_READ(double, at));
    default:
        return hash_object(fe_load_unboxed(at, field));
    }
}

/* AttributeError: an object field that was never set, or deleted. NULL. */
PyObject *
records_unset(PyObject *obj, const record_field *field)
{
    PyErr_Format(PyExc_AttributeError, "'%U' object has no attribute '%U'",
                 RECORD_PLAN(obj)->qualname, field->name);
    return NULL;
}
