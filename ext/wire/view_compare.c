/* SPDX-License-Identifier: MIT
 *
 * A View's items all at once: compared, hashed, copied out as bytes, text or
 * lists.
 */
#include "view_object.h"

/* ---- comparing */

/* Plain bytes: 1 equal, 0 not; -1: `other` is something else */
static int
compare_plain(wire_state *state, const view_object *view, PyObject *other)
{
    const char *data;
    Py_ssize_t length;
    if (view->shape != NULL) {
        return -1;
    }
    if (PyBytes_CheckExact(other)) {
        data = PyBytes_AS_STRING(other);
        length = PyBytes_GET_SIZE(other);
    }
    else if (Py_IS_TYPE(other, state->view_type)
             && ((view_object *)other)->shape == NULL) {
        data = ((view_object *)other)->hold.data;
        length = ((view_object *)other)->hold.length;
    }
    else {
        return -1;
    }
    return view->hold.length == length
           && (length == 0
               || memcmp(view->hold.data, data, (size_t)length) == 0);
}

/* Items by value, whatever their formats: as memoryview does it. */
static PyObject *
compare_items(view_object *view, PyObject *other, int how)
{
    view->hold.exports++;
    PyObject *left = PyMemoryView_FromObject((PyObject *)view);
    PyObject *result =
        left != NULL ? PyObject_RichCompare(left, other, how) : NULL;
    Py_XDECREF(left);
    view->hold.exports--;
    return result;
}

PyObject *
view_tp_richcompare(PyObject *op, PyObject *other, int how)
{
    view_object *view = (view_object *)op;
    if ((how != Py_EQ && how != Py_NE) || !PyObject_CheckBuffer(other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    wire_state *state = view_get_state(view);
    if (state == NULL || view_check(view) < 0) {
        return NULL;
    }
    if (Py_IS_TYPE(other, state->view_type)
        && view_check((view_object *)other) < 0) {
        return NULL;
    }
    int equal = compare_plain(state, view, other);
    return equal >= 0 ? PyBool_FromLong(equal == (how == Py_EQ))
                      : compare_items(view, other, how);
}

/* ---- hashing */

static int
hash_check(const view_object *view)
{
    if (!view->hold.readonly) {
        PyErr_SetString(PyExc_ValueError,
                        "View of writable memory cannot be hashed");
        return -1;
    }
    char code = view_code_of(view);
    if (code != 'B' && code != 'b' && code != 'c') {
        PyErr_Format(PyExc_ValueError,
                     "View of format '%s' cannot be hashed: wanted B, b or c",
                     view_format_of(view));
        return -1;
    }
    /* read-only here may be writable there: bytearray cannot be hashed */
    return view->hold.pin != NULL && PyObject_Hash(view->hold.exporter) == -1
               ? -1
               : 0;
}

/* What bytes of this content have: CPython's own function, where short ones
 * are not hashed by another. */
static Py_hash_t
hash_bytes(const char *data, Py_ssize_t length)
{
    Py_hash_t hash = length > 0 ? PyHash_GetFuncDef()->hash(data, length) : 0;
    return hash != -1 ? hash : -2;
}

Py_hash_t
view_tp_hash(PyObject *op)
{
    view_object *view = (view_object *)op;
    if (view_check(view) < 0 || view->hash != -1) {
        return view->hold.exporter != NULL ? view->hash : -1;
    }
    view->hold.exports++;
    if (hash_check(view) == 0) {
        if (!view->hold.strided && Py_HASH_CUTOFF == 0) {
            view->hash = hash_bytes(view->hold.data, view->hold.length);
        }
        else {
            PyObject *bytes = view_tobytes(op, NULL);
            view->hash = bytes != NULL ? PyObject_Hash(bytes) : -1;
            Py_XDECREF(bytes);
        }
    }
    view->hold.exports--;
    return view->hash;
}

/* ---- copies */

const char view_tobytes__doc__[] =
    PyDoc_STR("tobytes($self, /)\n--\n\n"
              "The items' bytes, in C order; bytes(view) is the same.");

PyObject *
view_tobytes(PyObject *op, PyObject *Py_UNUSED(unused))
{
    view_object *view = (view_object *)op;
    if (view_check(view) < 0) {
        return NULL;
    }
    if (!view->hold.strided) {
        return PyBytes_FromStringAndSize(view->hold.data, view->hold.length);
    }
    view_region region;
    view_region_of(view, &region);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, view->hold.length);
    if (bytes != NULL) {
        view_region_copy(PyBytes_AS_STRING(bytes), &region);
    }
    return bytes;
}

const char view_tolist__doc__[] =
    PyDoc_STR("tolist($self, /)\n--\n\n"
              "The items as a list, or a list of lists for more dimensions.");

PyObject *
view_tolist(PyObject *op, PyObject *Py_UNUSED(unused))
{
    view_object *view = (view_object *)op;
    if (view_check(view) < 0) {
        return NULL;
    }
    char code = view_code_of(view);
    if (code == 0) {
        view_refuse_format(view_format_of(view));
        return NULL;
    }
    view_region region;
    view_region_of(view, &region);
    view->hold.exports++; /* a list made may run the collector */
    PyObject *list = view_region_list(&region, code);
    view->hold.exports--;
    return list;
}

static const char *const decode_names[] = {"encoding", "errors", NULL};
static const fe_sig decode_sig = {"View.decode", decode_names, 2, 0};

/* NULL with TypeError or ValueError; `value` NULL: not given */
static const char *
decode_text(PyObject *value, const char *name, const char *otherwise)
{
    if (value == NULL) {
        return otherwise;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "View.decode() %s wants a str, got %s",
                     name, view_type_name(value));
        return NULL;
    }
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(value, &length);
    if (text != NULL && strlen(text) != (size_t)length) {
        PyErr_SetString(PyExc_ValueError, "embedded null character");
        return NULL;
    }
    return text;
}

/* Codecs and error handlers may be Python code. */
static PyObject *
decode_by(view_object *view, const char *encoding, const char *errors)
{
    view->hold.exports++;
    PyObject *packed = NULL, *text = NULL;
    const char *data = view->hold.data;
    if (view->hold.strided) {
        packed = view_tobytes((PyObject *)view, NULL);
        data = packed != NULL ? PyBytes_AS_STRING(packed) : NULL;
    }
    if (!view->hold.strided || packed != NULL) {
        text = PyUnicode_Decode(data, view->hold.length, encoding, errors);
    }
    Py_XDECREF(packed);
    view->hold.exports--;
    return text;
}

const char view_decode__doc__[] =
    PyDoc_STR("decode($self, /, encoding='utf-8', errors='strict')\n--\n\n"
              "The bytes as text, as bytes.decode has it.");

PyObject *
view_decode(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    view_object *view = (view_object *)op;
    PyObject *values[2] = {NULL, NULL};
    if (view_check(view) < 0) {
        return NULL;
    }
    if (FE_LIKELY(nargs == 0 && kwnames == NULL && !view->hold.strided)) {
        view->hold.exports++; /* "strict" may be anybody's handler */
        PyObject *text =
            PyUnicode_DecodeUTF8(view->hold.data, view->hold.length, NULL);
        view->hold.exports--;
        return text;
    }
    if (fe_args_unpack(&decode_sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    const char *encoding = decode_text(values[0], "encoding", "utf-8");
    const char *errors =
        encoding != NULL ? decode_text(values[1], "errors", "strict") : NULL;
    return errors != NULL ? decode_by(view, encoding, errors) : NULL;
}

const char view_hex__doc__[] =
    PyDoc_STR("hex($self, /, sep=None, bytes_per_sep=1)\n--\n\n"
              "The bytes as hexadecimal digits, as bytes.hex has it.");

static const char *const hex_names[] = {"sep", "bytes_per_sep", NULL};
static const fe_sig hex_sig = {"View.hex", hex_names, 2, 0};

PyObject *
view_hex(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
         PyObject *kwnames)
{
    PyObject *values[2];
    if (fe_args_unpack(&hex_sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    PyObject *name = PyUnicode_InternFromString("hex");
    PyObject *bytes = name != NULL ? view_tobytes(op, NULL) : NULL;
    PyObject *text = NULL;
    if (bytes != NULL) {
        bool sep = values[0] != NULL && values[0] != Py_None;
        PyObject *const call[] = {bytes, values[0], values[1]};
        size_t count = 1 + (sep ? 1 + (values[1] != NULL) : 0);
        text = PyObject_VectorcallMethod(name, call, count, NULL);
    }
    Py_XDECREF(bytes);
    Py_XDECREF(name);
    return text;
}
