/* SPDX-License-Identifier: MIT
 *
 * Shapes of a View: where items lie, cast(), and what the buffer protocol
 * tells of them. Runs Python code only for the arguments of cast().
 */
#include "view_object.h"

/* ---- regions */

void
view_region_of(const view_object *view, view_region *region)
{
    const view_shape *shape = view->shape;
    region->data = view->hold.data;
    if (shape == NULL) {
        region->ndim = 1;
        region->itemsize = region->strides[0] = 1;
        region->shape[0] = view->hold.length;
        return;
    }
    size_t size = (size_t)shape->ndim * sizeof(Py_ssize_t);
    region->ndim = shape->ndim;
    region->itemsize = shape->itemsize;
    memcpy(region->shape, shape->dims, size);
    memcpy(region->strides, shape->dims + shape->ndim, size);
}

static bool
region_empty(const view_region *region)
{
    for (int i = 0; i < region->ndim; i++) {
        if (region->shape[i] == 0) {
            return true;
        }
    }
    return false;
}

/* In the order of C, or the other way round. */
static bool
region_ordered(const view_region *region, bool fortran)
{
    Py_ssize_t step = region->itemsize;
    for (int i = 0; i < region->ndim; i++) {
        int dim = fortran ? i : region->ndim - 1 - i;
        if (region->shape[dim] > 1 && region->strides[dim] != step) {
            return false;
        }
        step *= region->shape[dim];
    }
    return true;
}

bool
view_region_contiguous(const view_region *region)
{
    return region_empty(region) || region_ordered(region, false);
}

Py_ssize_t
view_region_bytes(const view_region *region)
{
    Py_ssize_t bytes = region->itemsize;
    for (int i = 0; i < region->ndim; i++) {
        bytes *= region->shape[i];
    }
    return bytes;
}

/* From strided memory to packed, or (`out`) the other way; returns where the
 * packed bytes go on. */
static char *
region_move(const view_region *region, char *at, int dim, char *packed,
            bool out)
{
    if (dim == region->ndim) {
        memcpy(out ? at : packed, out ? packed : at, (size_t)region->itemsize);
        return packed + region->itemsize;
    }
    for (Py_ssize_t i = 0; i < region->shape[dim]; i++) {
        packed = region_move(region, at + i * region->strides[dim], dim + 1,
                             packed, out);
    }
    return packed;
}

void
view_region_copy(char *to, const view_region *from)
{
    if (view_region_contiguous(from)) {
        memcpy(to, from->data, (size_t)view_region_bytes(from));
    }
    else {
        region_move(from, from->data, 0, to, false);
    }
}

void
view_region_fill(const view_region *to, const char *from)
{
    if (view_region_contiguous(to)) {
        memmove(to->data, from, (size_t)view_region_bytes(to));
    }
    else {
        region_move(to, to->data, 0, (char *)(uintptr_t)from, true);
    }
}

/* Strides of items that lie in C order. */
static void
region_pack(view_region *region)
{
    Py_ssize_t step = region->itemsize;
    for (int i = region->ndim - 1; i >= 0; i--) {
        region->strides[i] = step;
        step *= region->shape[i] > 0 ? region->shape[i] : 1;
    }
}

/* ---- buffers of others */

/* Do the dimensions have as many bytes as the buffer says? */
static bool
region_agrees(const view_region *region, Py_ssize_t length)
{
    Py_ssize_t bytes = region->itemsize;
    for (int i = 0; i < region->ndim; i++) {
        if (region->shape[i] < 0) {
            return false;
        }
    }
    if (region_empty(region) || bytes == 0) {
        return length == 0;
    }
    for (int i = 0; i < region->ndim; i++) {
        if (bytes > length / region->shape[i]) {
            return false;
        }
        bytes *= region->shape[i];
    }
    return bytes == length;
}

static bool
buffer_usable(const Py_buffer *buffer)
{
    return buffer->ndim >= 0 && buffer->ndim <= PyBUF_MAX_NDIM
           && buffer->itemsize >= 0
           && (buffer->shape != NULL || buffer->ndim <= 1)
           && (buffer->shape != NULL || buffer->ndim == 0
               || buffer->itemsize > 0)
           && (buffer->format == NULL || strlen(buffer->format) <= 1000000);
}

/* Only dimensions that point somewhere else: what of this an exporter of
 * strides must refuse by itself. */
static bool
buffer_indirect(const Py_buffer *buffer)
{
    for (int i = 0; buffer->suboffsets != NULL && i < buffer->ndim; i++) {
        if (buffer->suboffsets[i] >= 0) {
            return true;
        }
    }
    return false;
}

int
view_region_import(PyObject *exporter, const Py_buffer *buffer,
                   view_region *region)
{
    const char *name = view_type_name(exporter);
    if (!buffer_usable(buffer) || buffer_indirect(buffer)) {
        PyErr_Format(PyExc_BufferError,
                     "View() cannot use the buffer of %s: %d dimensions, "
                     "items of %zd bytes%s",
                     name, buffer->ndim, buffer->itemsize,
                     buffer->suboffsets != NULL ? ", indirect" : "");
        return -1;
    }
    region->data = buffer->buf;
    region->ndim = buffer->ndim;
    region->itemsize = buffer->itemsize;
    for (int i = 0; i < buffer->ndim; i++) {
        region->shape[i] = buffer->shape != NULL
                               ? buffer->shape[i]
                               : buffer->len / buffer->itemsize;
    }
    if (!region_agrees(region, buffer->len)) {
        PyErr_Format(PyExc_BufferError,
                     "View() cannot use the buffer of %s: its shape does not "
                     "have %zd bytes",
                     name, buffer->len);
        return -1;
    }
    region_pack(region);
    if (buffer->strides != NULL) {
        memcpy(region->strides, buffer->strides,
               (size_t)buffer->ndim * sizeof(Py_ssize_t));
    }
    return 0;
}

/* ---- the block of a view */

static bool
region_plain(const view_region *region, const char *format)
{
    format += format[0] == '@';
    return region->ndim == 1 && region->itemsize == 1
           && strcmp(format, "B") == 0
           && (region->shape[0] <= 1 || region->strides[0] == 1);
}

view_shape *
view_shape_new(const view_region *region, const char *format, bool *plain)
{
    *plain = region_plain(region, format);
    if (*plain) {
        return NULL;
    }
    size_t ndim = (size_t)region->ndim, text = strlen(format) + 1;
    size_t size = ndim * sizeof(Py_ssize_t);
    view_shape *shape = PyMem_Malloc(sizeof(*shape) + 2 * size + text);
    if (shape == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    shape->itemsize = region->itemsize;
    shape->ndim = region->ndim;
    shape->fortran = region_empty(region) || region_ordered(region, true);
    memcpy(shape->dims, region->shape, size);
    memcpy(shape->dims + ndim, region->strides, size);
    shape->format = (char *)(shape->dims + 2 * ndim);
    memcpy(shape->format, format, text);
    shape->code = view_code_parse(format);
    if (view_code_size(shape->code) != shape->itemsize) {
        shape->code = 0; /* the exporter contradicts itself */
    }
    return shape;
}

/* ---- cast */

static const char *const cast_names[] = {"format", "shape", NULL};
static const fe_sig cast_sig = {"View.cast", cast_names, 2, 1};

static const char *
cast_format(PyObject *value, Py_ssize_t *size)
{
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "View.cast() format wants a str, got %s",
                     view_type_name(value));
        return NULL;
    }
    const char *format = PyUnicode_AsUTF8(value);
    if (format == NULL) {
        return NULL;
    }
    char code = view_code_parse(format);
    *size = view_code_size(code);
    if (code == 0 || strlen(format) != (size_t)PyUnicode_GetLength(value)) {
        PyErr_Format(PyExc_ValueError,
                     "View.cast() format wants one native character, got %R",
                     value);
        return NULL;
    }
    return format;
}

/* One dimension of shape. -1 with an exception */
static Py_ssize_t
cast_dimension(PyObject *item)
{
    if (!PyLong_Check(item)) {
        PyErr_Format(PyExc_TypeError, "View.cast() shape wants ints, got %s",
                     view_type_name(item));
        return -1;
    }
    Py_ssize_t count = PyLong_AsSsize_t(item);
    if (count == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* OverflowError: no buffer has so many */
        count = -1;
    }
    if (count <= 0) {
        PyErr_Format(PyExc_ValueError,
                     "View.cast() shape wants ints of 1 to %zd, got %R",
                     PY_SSIZE_T_MAX, item);
        return -1;
    }
    return count;
}

static int
cast_shape(view_region *region, Py_ssize_t bytes, PyObject *value)
{
    if (value == NULL || value == Py_None) {
        region->ndim = 1;
        region->shape[0] = bytes / region->itemsize;
        return 0;
    }
    if (!PyList_Check(value) && !PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "View.cast() shape wants a tuple or list, got %s",
                     view_type_name(value));
        return -1;
    }
    if (PySequence_Fast_GET_SIZE(value) > PyBUF_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError,
                     "View.cast() shape wants at most %d dimensions, got %zd",
                     PyBUF_MAX_NDIM, PySequence_Fast_GET_SIZE(value));
        return -1;
    }
    region->ndim = (int)PySequence_Fast_GET_SIZE(value);
    for (int i = 0; i < region->ndim; i++) {
        region->shape[i] = cast_dimension(PySequence_Fast_GET_ITEM(value, i));
        if (region->shape[i] <= 0) {
            return -1;
        }
    }
    if (!region_agrees(region, bytes)) {
        PyErr_Format(PyExc_TypeError,
                     "View.cast() shape %R of items of %zd bytes is not %zd "
                     "bytes",
                     value, region->itemsize, bytes);
        return -1;
    }
    return 0;
}

const char view_cast__doc__[] = PyDoc_STR(
    "cast($self, /, format, shape=None)\n--\n\n"
    "View of the same bytes as items of a native format.\n\n"
    "format: one character of struct's native formats. shape: a\n"
    "tuple of dimensions; None: one. TypeError when the view is not\n"
    "contiguous or the bytes are no whole number of items.");

/* Runs no Python code: the arguments are read in place. */
PyObject *
view_cast(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    view_object *view = (view_object *)op;
    PyObject *values[2];
    view_region region;
    if (fe_args_unpack(&cast_sig, args, nargs, kwnames, values) < 0
        || view_check(view) < 0) {
        return NULL;
    }
    const char *format = cast_format(values[0], &region.itemsize);
    if (format == NULL) {
        return NULL;
    }
    if (view->hold.strided) {
        PyErr_SetString(PyExc_TypeError,
                        "View.cast() wants a contiguous view");
        return NULL;
    }
    if (view->hold.length % region.itemsize != 0) {
        PyErr_Format(PyExc_TypeError,
                     "View.cast() of %zd bytes: not a multiple of %zd",
                     view->hold.length, region.itemsize);
        return NULL;
    }
    if (cast_shape(&region, view->hold.length, values[1]) < 0) {
        return NULL;
    }
    region.data = view->hold.data;
    region_pack(&region);
    return view_derive(view, &region, format);
}

/* ---- the buffer protocol */

static bool
asks(int flags, int wanted)
{
    return (flags & wanted) == wanted;
}

/* NULL, or why the flags cannot be served */
static const char *
getbuffer_refuse(const view_object *view, int flags)
{
    bool strided = view->hold.strided;
    bool fortran = view->shape == NULL || view->shape->fortran;
    if (asks(flags, PyBUF_WRITABLE) && view->hold.readonly) {
        return "View of read-only memory cannot be written to";
    }
    if (asks(flags, PyBUF_C_CONTIGUOUS) && strided) {
        return "View is not C-contiguous";
    }
    if (asks(flags, PyBUF_F_CONTIGUOUS) && !fortran) {
        return "View is not Fortran contiguous";
    }
    if (asks(flags, PyBUF_ANY_CONTIGUOUS) && strided && !fortran) {
        return "View is not contiguous";
    }
    if (!asks(flags, PyBUF_STRIDES) && strided) {
        return "View is not C-contiguous";
    }
    if (asks(flags, PyBUF_FORMAT) && !asks(flags, PyBUF_ND)
        && view->shape != NULL) {
        return "View has items, not bytes: a format needs their number";
    }
    return NULL;
}

int
view_bf_getbuffer(PyObject *op, Py_buffer *buffer, int flags)
{
    view_object *view = (view_object *)op;
    const view_shape *shape = view->shape;
    buffer->obj = NULL;
    if (view_check(view) < 0) {
        return -1;
    }
    const char *reason = getbuffer_refuse(view, flags);
    if (reason != NULL) {
        PyErr_SetString(PyExc_BufferError, reason);
        return -1;
    }
    if (shape == NULL) {
        return wire_hold_getbuffer(op, buffer, flags);
    }
    Py_ssize_t *dims = (Py_ssize_t *)(uintptr_t)shape->dims;
    memset(buffer, 0, sizeof(*buffer));
    buffer->buf = view->hold.data;
    buffer->len = view->hold.length;
    buffer->itemsize = shape->itemsize;
    buffer->readonly = view->hold.readonly;
    buffer->format = asks(flags, PyBUF_FORMAT) ? shape->format : NULL;
    buffer->ndim = asks(flags, PyBUF_ND) ? shape->ndim : 1;
    buffer->shape = asks(flags, PyBUF_ND) ? dims : NULL;
    buffer->strides = asks(flags, PyBUF_STRIDES) ? dims + shape->ndim : NULL;
    buffer->obj = Py_NewRef(op);
    view->hold.exports++;
    return 0;
}
