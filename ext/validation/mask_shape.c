/* SPDX-License-Identifier: MIT
 *
 * From annotations to shapes: where in a value the sensitive ones are.
 *
 * In doubt a shape hides: what cannot be followed exactly, such as an alias
 * that names itself, is sensitive as a whole if anything in it is.
 */
#include "mask_plan.h"

/* Annotations being looked at, innermost first: an alias may name itself. */
typedef struct shape_frame {
    const struct shape_frame *outer;
    PyObject *annotation; /* borrowed */
} shape_frame;

typedef struct {
    validation_state *state;
    bool real; /* something sensitive was found, not only a repetition */
} shape_scan;

static int shape_make(shape_scan *scan, PyObject *annotation,
                      const shape_frame *outer, mask_shape **shape);

mask_shape *
mask_shape_new(mask_kind kind, Py_ssize_t count, bool named)
{
    mask_shape *shape = PyMem_Calloc(
        1, sizeof(mask_shape) + (size_t)count * sizeof(shape->parts[0]));
    if (shape == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    shape->kind = kind;
    shape->count = count;
    if (named) {
        shape->names = PyMem_Calloc((size_t)count + 1, sizeof(PyObject *));
        if (shape->names == NULL) {
            PyMem_Free(shape);
            PyErr_NoMemory();
            return NULL;
        }
    }
    return shape;
}

void
mask_shape_free(mask_shape *shape)
{
    if (shape == NULL) {
        return;
    }
    for (Py_ssize_t i = 0; i < shape->count; i++) {
        mask_shape_free(shape->parts[i]);
        if (shape->names != NULL) {
            Py_XDECREF(shape->names[i]);
        }
    }
    PyMem_Free(shape->names);
    PyMem_Free(shape);
}

static int
shape_stars(shape_scan *scan, mask_shape **shape)
{
    scan->real = true;
    *shape = mask_shape_new(MASK_STARS, 0, false);
    return *shape != NULL ? 0 : -1;
}

/* Keep the shape if one of its parts says something. */
static void
shape_settle(mask_shape *made, mask_shape **shape)
{
    for (Py_ssize_t i = 0; i < made->count; i++) {
        if (made->parts[i] != NULL) {
            *shape = made;
            return;
        }
    }
    mask_shape_free(made);
}

/* A shape of `kind` with a part for each annotation from `start` on. */
static int
shape_of_args(shape_scan *scan, mask_kind kind, PyObject *args,
              Py_ssize_t start, Py_ssize_t count, const shape_frame *outer,
              mask_shape **shape)
{
    mask_shape *made = mask_shape_new(kind, count, kind == MASK_EITHER);
    if (made == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (shape_make(scan, PyTuple_GET_ITEM(args, start + i), outer,
                       &made->parts[i])
            < 0) {
            mask_shape_free(made);
            return -1;
        }
    }
    shape_settle(made, shape);
    return 0;
}

/* The parts of an annotation: 1, *origin and *args are new; 0: it has none */
static int
shape_parts(PyObject *base, PyObject **origin, PyObject **args)
{
    *origin = NULL;
    int found = fe_find_attr(base, "__args__", args);
    if (found > 0 && PyTuple_Check(*args)) {
        found = fe_find_attr(base, "__origin__", origin);
        if (found >= 0) {
            return 1;
        }
    }
    Py_CLEAR(*args);
    return found < 0 ? -1 : 0;
}

/* ---- unions: which values a part allows that has nothing sensitive */

static int
shape_allow(PyObject *cls, PyObject *classes)
{
    PyObject *weak = PyWeakref_NewRef(cls, NULL);
    int status = weak != NULL ? PyList_Append(classes, weak) : -1;
    Py_XDECREF(weak);
    return status;
}

/* float takes int, complex both, and a TypedDict is a dict. */
static int
shape_allow_class(PyObject *cls, PyObject *classes)
{
    PyTypeObject *type = (PyTypeObject *)cls;
    if (type == &PyFloat_Type || type == &PyComplex_Type) {
        if (shape_allow((PyObject *)&PyLong_Type, classes) < 0
            || shape_allow((PyObject *)&PyFloat_Type, classes) < 0) {
            return -1;
        }
    }
    PyObject *total;
    int typed = PyType_IsSubtype(type, &PyDict_Type)
                    ? fe_find_attr(cls, "__total__", &total)
                    : 0;
    if (typed != 0) {
        Py_XDECREF(total);
        cls = (PyObject *)&PyDict_Type;
    }
    return typed < 0 ? -1 : shape_allow(cls, classes);
}

static int shape_allow_all(shape_scan *scan, PyObject *annotation,
                           PyObject *classes);

/* Of Literal the classes of its values, of a union those of its members */
static int
shape_allow_args(shape_scan *scan, bool literal, PyObject *args,
                 PyObject *classes)
{
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(args); i++) {
        PyObject *arg = PyTuple_GET_ITEM(args, i);
        status = literal ? shape_allow((PyObject *)Py_TYPE(arg), classes)
                         : shape_allow_all(scan, arg, classes);
    }
    return status;
}

/* Of what is no class and has no class for its origin. What is not known
 * allows nothing.
 */
static int
shape_allow_form(shape_scan *scan, PyObject *base, PyObject *origin,
                 PyObject *args, PyObject *classes)
{
    const char *type = Py_TYPE(base)->tp_name;
    if (strcmp(type, "TypeVar") == 0 || strcmp(type, "typing.TypeVar") == 0) {
        return shape_allow((PyObject *)&PyBaseObject_Type, classes);
    }
    int form =
        args != NULL && origin == NULL
            ? TYPING_UNION /* int | str */
            : constraint_form(scan->state, origin != NULL ? origin : base);
    switch (form) {
    case TYPING_ANY:
        return shape_allow((PyObject *)&PyBaseObject_Type, classes);
    case TYPING_TEXT:
        return shape_allow((PyObject *)&PyUnicode_Type, classes);
    case TYPING_LITERAL:
    case TYPING_UNION:
        return args != NULL ? shape_allow_args(scan, form == TYPING_LITERAL,
                                               args, classes)
                            : 0;
    default:
        return form < 0 ? -1 : 0;
    }
}

static int
shape_allow_base(shape_scan *scan, PyObject *base, PyObject *classes)
{
    if (PyType_Check(base)) { /* Any is a class */
        int form = constraint_form(scan->state, base);
        return form < 0 ? -1
               : form == TYPING_ANY
                   ? shape_allow((PyObject *)&PyBaseObject_Type, classes)
                   : shape_allow_class(base, classes);
    }
    PyObject *origin = NULL, *args = NULL;
    int status = shape_parts(base, &origin, &args);
    if (status >= 0) {
        status = origin != NULL && PyType_Check(origin)
                     ? shape_allow(origin, classes)
                     : shape_allow_form(scan, base, origin, args, classes);
    }
    Py_XDECREF(origin);
    Py_XDECREF(args);
    return status;
}

static int
shape_allow_all(shape_scan *scan, PyObject *annotation, PyObject *classes)
{
    constraint_facts facts;
    if (PyUnicode_Check(annotation)) {
        return 0;
    }
    if (Py_EnterRecursiveCall(" in an annotation")) {
        return -1;
    }
    int status = constraint_facts_of(scan->state, annotation, NULL, &facts);
    if (status == 0) {
        status = shape_allow_base(scan, facts.base, classes);
        constraint_facts_clear(&facts);
    }
    Py_LeaveRecursiveCall();
    return status;
}

/* Of a union: its parts, and the classes of those that show. */
static int
shape_of_union(shape_scan *scan, PyObject *args, const shape_frame *outer,
               mask_shape **shape)
{
    mask_shape *made = NULL;
    if (shape_of_args(scan, MASK_EITHER, args, 0, PyTuple_GET_SIZE(args),
                      outer, &made)
        < 0) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; made != NULL && status == 0 && i < made->count;
         i++) {
        if (made->parts[i] != NULL) {
            continue;
        }
        PyObject *classes = PyList_New(0);
        status =
            classes != NULL
                ? shape_allow_all(scan, PyTuple_GET_ITEM(args, i), classes)
                : -1;
        if (status == 0) {
            made->names[i] = PyList_AsTuple(classes);
            status = made->names[i] != NULL ? 0 : -1;
        }
        Py_XDECREF(classes);
    }
    if (status < 0) {
        mask_shape_free(made);
        made = NULL;
    }
    *shape = made;
    return status;
}

/* Hide all if any argument has something sensitive. */
static int
shape_whole(shape_scan *scan, PyObject *args, const shape_frame *outer,
            mask_shape **shape)
{
    mask_shape *any = NULL;
    if (shape_of_args(scan, MASK_EITHER, args, 0, PyTuple_GET_SIZE(args),
                      outer, &any)
        < 0) {
        return -1;
    }
    if (any == NULL) {
        return 0;
    }
    mask_shape_free(any);
    *shape = mask_shape_new(MASK_STARS, 0, false);
    return *shape != NULL ? 0 : -1;
}

static int
shape_of_mapping(shape_scan *scan, PyObject *args, const shape_frame *outer,
                 mask_shape **shape)
{
    mask_shape *key = NULL;
    if (shape_make(scan, PyTuple_GET_ITEM(args, 0), outer, &key) < 0) {
        return -1;
    }
    if (key != NULL) { /* keys cannot be told apart once they are hidden */
        mask_shape_free(key);
        *shape = mask_shape_new(MASK_STARS, 0, false);
        return *shape != NULL ? 0 : -1;
    }
    return PyTuple_GET_SIZE(args) < 2
               ? 0
               : shape_of_args(scan, MASK_MAPPING, args, 1, 1, outer, shape);
}

static int
shape_of_tuple(shape_scan *scan, PyObject *args, const shape_frame *outer,
               mask_shape **shape)
{
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    if (count == 2 && PyTuple_GET_ITEM(args, 1) == Py_Ellipsis) {
        return shape_of_args(scan, MASK_ITEMS, args, 0, 1, outer, shape);
    }
    return shape_of_args(scan, MASK_TUPLE, args, 0, count, outer, shape);
}

/* Of list[...] and its like, and of classes of the user */
static int
shape_of_generic(shape_scan *scan, PyObject *origin, PyObject *args,
                 const shape_frame *outer, mask_shape **shape)
{
    PyObject *abcs = scan->state->mask_abcs;
    if (origin == (PyObject *)&PyType_Type
        || origin == PyTuple_GET_ITEM(abcs, MASK_ABC_CALL)
        || PyTuple_GET_SIZE(args) == 0) {
        return 0;
    }
    if (PyType_IsSubtype((PyTypeObject *)origin, &PyTuple_Type)) {
        return shape_of_tuple(scan, args, outer, shape);
    }
    int is =
        PyObject_IsSubclass(origin, PyTuple_GET_ITEM(abcs, MASK_ABC_MAPPING));
    if (is != 0) {
        return is < 0 ? -1 : shape_of_mapping(scan, args, outer, shape);
    }
    is = PyTuple_GET_SIZE(args) == 1
             ? PyObject_IsSubclass(origin,
                                   PyTuple_GET_ITEM(abcs, MASK_ABC_ITERABLE))
             : 0;
    if (is != 0) {
        return is < 0
                   ? -1
                   : shape_of_args(scan, MASK_ITEMS, args, 0, 1, outer, shape);
    }
    return shape_whole(scan, args, outer, shape);
}

/* A TypedDict: its values are dicts, which do not know of it. */
static int
shape_of_typed_dict(shape_scan *scan, PyObject *cls, const shape_frame *outer,
                    mask_shape **shape)
{
    validate_fields *fields = validate_fields_of(scan->state, cls);
    if (fields == NULL) {
        return -1;
    }
    mask_shape *made = mask_shape_new(MASK_FIELDS, Py_SIZE(fields), true);
    int status = made != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < Py_SIZE(fields); i++) {
        made->names[i] = Py_NewRef(fields->fields[i].name);
        status = shape_make(scan, fields->fields[i].annotation, outer,
                            &made->parts[i]);
    }
    Py_DECREF(fields);
    if (status < 0) {
        mask_shape_free(made);
        return -1;
    }
    shape_settle(made, shape);
    return 0;
}

static int
shape_of_class(shape_scan *scan, PyObject *cls, const shape_frame *outer,
               mask_shape **shape)
{
    if (!PyType_IsSubtype((PyTypeObject *)cls, &PyDict_Type)) {
        return 0;
    }
    PyObject *total;
    int found = fe_find_attr(cls, "__total__", &total);
    Py_XDECREF(total);
    return found <= 0 ? found : shape_of_typed_dict(scan, cls, outer, shape);
}

/* What is left of an annotation without Annotated and None. */
static int
shape_of_base(shape_scan *scan, PyObject *base, const shape_frame *outer,
              mask_shape **shape)
{
    PyObject *origin, *args;
    int found = shape_parts(base, &origin, &args);
    if (found <= 0) {
        return found < 0            ? -1
               : PyType_Check(base) ? shape_of_class(scan, base, outer, shape)
                                    : 0;
    }
    int status;
    if (origin != NULL && PyType_Check(origin)) {
        status = shape_of_generic(scan, origin, args, outer, shape);
    }
    else {
        int form = origin != NULL ? constraint_form(scan->state, origin) : 0;
        status = form < 0 ? -1
                 : form == TYPING_LITERAL
                     ? 0
                     : shape_of_union(scan, args, outer, shape);
    }
    Py_XDECREF(origin);
    Py_DECREF(args);
    return status;
}

static int
shape_make(shape_scan *scan, PyObject *annotation, const shape_frame *outer,
           mask_shape **shape)
{
    *shape = NULL;
    for (const shape_frame *f = outer; f != NULL; f = f->outer) {
        if (f->annotation == annotation) {
            *shape = mask_shape_new(MASK_STARS, 0, false);
            return *shape != NULL ? 0 : -1;
        }
    }
    /* Ellipsis, and the [int, str] and strs of Callable and Literal */
    if (annotation == Py_Ellipsis || PyList_Check(annotation)
        || PyUnicode_Check(annotation)) {
        return 0;
    }
    constraint_facts facts;
    if (Py_EnterRecursiveCall(" in an annotation")) {
        return -1;
    }
    int status = constraint_facts_of(scan->state, annotation, NULL, &facts);
    if (status == 0) {
        shape_frame frame = {outer, annotation};
        status = facts.sensitive
                     ? shape_stars(scan, shape)
                     : shape_of_base(scan, facts.base, &frame, shape);
        constraint_facts_clear(&facts);
    }
    Py_LeaveRecursiveCall();
    return status;
}

int
mask_shape_of(validation_state *state, PyObject *annotation,
              mask_shape **shape)
{
    *shape = NULL;
    if (mask_abcs(state) < 0) {
        return -1;
    }
    shape_scan scan = {state, false};
    if (shape_make(&scan, annotation, NULL, shape) < 0) {
        return -1;
    }
    if (!scan.real) {
        mask_shape_free(*shape);
        *shape = NULL;
    }
    return 0;
}
