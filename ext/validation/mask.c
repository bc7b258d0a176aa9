/* SPDX-License-Identifier: MIT
 *
 * mask(): an object as a dict in which no sensitive value is, and the same
 * walk for logs. Everything that can be changed is copied; the object itself
 * is only read. A sensitive field is not even read.
 */
#include "args.h"
#include "mask_plan.h"

/* Containers and objects being walked, innermost first. */
typedef struct mask_frame {
    const struct mask_frame *outer;
    PyObject *value; /* borrowed */
} mask_frame;

typedef struct {
    validation_state *state;
    PyObject *stars;   /* borrowed: what stands for a sensitive value */
    PyObject *factory; /* borrowed or NULL: called with name and dict of an
                          object, or with an exception, method …, gives what
                          stands for it (logs) */
    bool probe;        /* only `hidden` is wanted */
    bool hidden;       /* something was */
} mask_walk;

static PyObject *mask_any(mask_walk *walk, const mask_shape *shape,
                          PyObject *value, const mask_frame *outer);

/* new */
static PyObject *
mask_hide(mask_walk *walk)
{
    walk->hidden = true;
    return Py_NewRef(walk->stars);
}

/* ---- fields */

/* One field into the result. 0 or -1 */
static inline int
mask_field(mask_walk *walk, const mask_shape *shape, Py_ssize_t i,
           PyObject *value, PyObject *result, const mask_frame *frame)
{
    PyObject *name = shape->names[i], *item;
    int found = PyObject_GetOptionalAttr(value, name, &item);
    if (FE_UNLIKELY(found <= 0)) {
        return found < 0 ? -1 : fe_dict_discard(result, name) < 0 ? -1 : 0;
    }
    if (shape->parts[i] != NULL || !mask_is_atom(item)) {
        Py_SETREF(item, mask_any(walk, shape->parts[i], item, frame));
        if (item == NULL) {
            return -1;
        }
    }
    int status = PyDict_SetItem(result, name, item);
    Py_DECREF(item);
    return status;
}

/* new: dict of the fields. A copy of the dict with all names takes half the
 * time of entering them one by one.
 */
static PyObject *
mask_fields(mask_walk *walk, mask_plan *plan, PyObject *value,
            const mask_frame *outer)
{
    mask_frame frame = {outer, value};
    const mask_shape *shape = plan->shape;
    PyObject *result = PyDict_Copy(plan->blank);
    for (Py_ssize_t i = 0; result != NULL && i < shape->count; i++) {
        const mask_shape *part = shape->parts[i];
        int status = 0;
        if (part == NULL || part->kind != MASK_STARS) {
            status = mask_field(walk, shape, i, value, result, &frame);
        }
        else {
            walk->hidden = true;
            if (walk->factory != NULL) { /* blank may have other stars */
                status = PyDict_SetItem(result, shape->names[i], walk->stars);
            }
        }
        if (status < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

/* new: what stands for an object with these fields (stolen, may be NULL) */
static PyObject *
mask_shown(mask_walk *walk, mask_plan *plan, PyObject *fields)
{
    if (fields == NULL || walk->factory == NULL) {
        return fields;
    }
    PyObject *const args[] = {plan->name, fields};
    PyObject *shown = PyObject_Vectorcall(walk->factory, args, 2, NULL);
    Py_DECREF(fields);
    return shown;
}

/* ---- containers */

static const mask_shape *
mask_part(const mask_shape *shape, PyObject *key)
{
    if (shape == NULL || shape->kind == MASK_MAPPING) {
        return shape != NULL ? shape->parts[0] : NULL;
    }
    for (Py_ssize_t i = 0; i < shape->count; i++) {
        if (shape->names[i] == key
            || (PyUnicode_Check(key)
                && PyUnicode_Compare(shape->names[i], key) == 0)) {
            return shape->parts[i];
        }
    }
    return NULL;
}

/* new: the key itself, or text where an object with fields is in it */
static PyObject *
mask_key(mask_walk *walk, PyObject *key, const mask_frame *frame)
{
    if (mask_is_atom(key)) {
        return Py_NewRef(key);
    }
    PyObject *masked = mask_any(walk, NULL, key, frame);
    if (masked == NULL || PyObject_Hash(masked) != -1) {
        return masked;
    }
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
        Py_DECREF(masked);
        return NULL;
    }
    PyErr_Clear(); /* TypeError: a dict or list, not to be hashed */
    Py_SETREF(masked, PyObject_Repr(masked));
    return masked;
}

/* `own`: what the class of the mapping says of its keys, or NULL */
static int
mask_entry(mask_walk *walk, const mask_shape *shape, const mask_shape *own,
           PyObject *pair, PyObject *result, const mask_frame *frame)
{
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        PyErr_Format(PyExc_TypeError,
                     "mask(): items() of a mapping gave %s instead of a pair",
                     Py_TYPE(pair)->tp_name);
        return -1;
    }
    PyObject *key = mask_key(walk, PyTuple_GET_ITEM(pair, 0), frame);
    if (key == NULL) {
        return -1;
    }
    const mask_shape *part = mask_part(own, PyTuple_GET_ITEM(pair, 0));
    if (part == NULL) {
        part = mask_part(shape, PyTuple_GET_ITEM(pair, 0));
    }
    PyObject *item = mask_any(walk, part, PyTuple_GET_ITEM(pair, 1), frame);
    int status = item != NULL ? PyDict_SetItem(result, key, item) : -1;
    Py_DECREF(key);
    Py_XDECREF(item);
    return status;
}

static PyObject *
mask_dict(mask_walk *walk, const mask_shape *shape, const mask_shape *own,
          PyObject *value, const mask_frame *outer)
{
    mask_frame frame = {outer, value};
    PyObject *items = PyMapping_Items(value);
    PyObject *result = items != NULL ? PyDict_New() : NULL;
    for (Py_ssize_t i = 0; result != NULL && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = Py_NewRef(PyList_GET_ITEM(items, i));
        if (mask_entry(walk, shape, own, pair, result, &frame) < 0) {
            Py_CLEAR(result);
        }
        Py_DECREF(pair);
    }
    Py_XDECREF(items);
    return result;
}

/* new: list of the items. `value` is a list or tuple, which may be changed
 * meanwhile.
 */
static PyObject *
mask_items(mask_walk *walk, const mask_shape *shape, PyObject *value,
           const mask_frame *frame)
{
    PyObject *result = PyList_New(0);
    for (Py_ssize_t i = 0;
         result != NULL && i < PySequence_Fast_GET_SIZE(value); i++) {
        const mask_shape *part = NULL;
        bool over = false;
        if (shape != NULL) {
            over = shape->kind == MASK_TUPLE && i >= shape->count;
            part =
                over ? NULL : shape->parts[shape->kind == MASK_TUPLE ? i : 0];
        }
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(value, i));
        Py_SETREF(item,
                  over ? mask_hide(walk) : mask_any(walk, part, item, frame));
        if (item == NULL || PyList_Append(result, item) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(item);
    }
    return result;
}

static PyObject *
mask_sequence(mask_walk *walk, const mask_shape *shape, mask_class kind,
              PyObject *value, const mask_frame *outer)
{
    mask_frame frame = {outer, value};
    PyObject *items =
        kind == MASK_OTHERS ? PySequence_List(value) : Py_NewRef(value);
    PyObject *result =
        items != NULL ? mask_items(walk, shape, items, &frame) : NULL;
    Py_XDECREF(items);
    return result;
}

/* 1: *fields is a new dict of the items by the names that a named tuple has
 * for them; 0: it has none; -1
 */
static int
mask_named(PyObject *value, PyObject *items, PyObject **fields)
{
    PyObject *names;
    *fields = NULL;
    int found = fe_find_attr((PyObject *)Py_TYPE(value), "_fields", &names);
    if (found > 0
        && (!PyTuple_Check(names)
            || PyTuple_GET_SIZE(names) != PyList_GET_SIZE(items))) {
        found = 0;
    }
    if (found > 0) {
        *fields = PyDict_New();
        found = *fields != NULL ? 1 : -1;
    }
    for (Py_ssize_t i = 0; found > 0 && i < PyTuple_GET_SIZE(names); i++) {
        if (PyDict_SetItem(*fields, PyTuple_GET_ITEM(names, i),
                           PyList_GET_ITEM(items, i))
            < 0) {
            found = -1;
        }
    }
    if (found <= 0) {
        Py_CLEAR(*fields);
    }
    Py_XDECREF(names);
    return found;
}

/* new: tuple; for logs the fields of a named tuple */
static PyObject *
mask_row(mask_walk *walk, const mask_shape *shape, mask_plan *plan,
         PyObject *value, const mask_frame *outer)
{
    PyObject *items = mask_sequence(walk, shape, MASK_ROW, value, outer);
    if (items == NULL) {
        return NULL;
    }
    PyObject *fields = NULL, *result = NULL;
    int named = walk->factory != NULL && !PyTuple_CheckExact(value)
                    ? mask_named(value, items, &fields)
                    : 0;
    if (named >= 0) {
        result =
            named ? mask_shown(walk, plan, fields) : PyList_AsTuple(items);
    }
    Py_DECREF(items);
    return result;
}

static PyObject *
mask_namespace(mask_walk *walk, mask_plan *plan, PyObject *value,
               const mask_frame *outer)
{
    mask_frame frame = {outer, value};
    PyObject *own = fe_getattr(value, "__dict__");
    PyObject *fields =
        own != NULL ? mask_dict(walk, NULL, NULL, own, &frame) : NULL;
    Py_XDECREF(own);
    return mask_shown(walk, plan, fields);
}

/* ---- exceptions, methods … */

/* Is something to be hidden in what the value holds? 1, 0, -1. The walk over
 * it starts anew: what it comes back to is in it, but is no cycle to report.
 */
static int
mask_hides(mask_walk *walk, mask_plan *plan, PyObject *value,
           const mask_frame *outer)
{
    mask_walk inner = {walk->state, walk->stars, NULL, true, false};
    mask_frame frame = {walk->probe ? outer : NULL, value};
    PyObject *held = mask_held(plan->hold, value);
    PyObject *seen =
        held != NULL ? mask_items(&inner, NULL, held, &frame) : NULL;
    Py_XDECREF(held);
    if (seen == NULL) {
        if (!mask_error_counts()) {
            return -1;
        }
        PyErr_Clear(); /* any Exception of an attribute: what does not show */
        return 1;
    }
    Py_DECREF(seen);
    return inner.hidden;
}

static PyObject *
mask_holder(mask_walk *walk, mask_plan *plan, PyObject *value,
            const mask_frame *outer)
{
    if (walk->factory != NULL) {
        PyObject *result = PyObject_CallOneArg(walk->factory, value);
        walk->hidden = walk->hidden || (result != NULL && result != value);
        return result;
    }
    int hides = mask_hides(walk, plan, value, outer);
    return hides < 0 ? NULL : hides ? mask_hide(walk) : Py_NewRef(value);
}

/* ---- shapes and values */

/* Is the value's class one of these (weak references), or beneath one? */
static bool
mask_allows(PyObject *classes, PyObject *value)
{
    for (Py_ssize_t i = 0; classes != NULL && i < PyTuple_GET_SIZE(classes);
         i++) {
        PyObject *cls =
            Py_XNewRef(fe_weakref_peek(PyTuple_GET_ITEM(classes, i)));
        int is = cls != NULL
                     ? PyObject_IsSubclass((PyObject *)Py_TYPE(value), cls)
                     : 0;
        Py_XDECREF(cls);
        if (is > 0) {
            return true;
        }
        if (is < 0) {
            PyErr_Clear(); /* any: a Protocol, or what an ABC's hook raises */
        }
    }
    return false;
}

/* Can the value be what the shape says? */
static bool
mask_fits(const mask_shape *shape, mask_class kind, PyObject *value)
{
    switch (shape->kind) {
    case MASK_ITEMS:
        return kind == MASK_LIST || kind == MASK_ROW || kind == MASK_OTHERS;
    case MASK_TUPLE:
        return kind == MASK_ROW;
    case MASK_MAPPING:
    case MASK_FIELDS:
        return kind == MASK_DICT;
    case MASK_EITHER:
        for (Py_ssize_t i = 0; i < shape->count; i++) {
            if (shape->parts[i] != NULL
                    ? mask_fits(shape->parts[i], kind, value)
                    : mask_allows(shape->names[i], value)) {
                return true;
            }
        }
        return false;
    case MASK_STARS:
        break;
    }
    return true;
}

/* The shape that applies. *hide: none does that would show the value. */
static const mask_shape *
mask_choose(const mask_shape *shape, mask_class kind, PyObject *value,
            bool *hide)
{
    if (shape->kind != MASK_EITHER) {
        *hide = !mask_fits(shape, kind, value) || shape->kind == MASK_STARS;
        return shape;
    }
    const mask_shape *chosen = NULL;
    *hide = false;
    for (Py_ssize_t i = 0; i < shape->count; i++) {
        const mask_shape *part = shape->parts[i];
        if (part != NULL && mask_fits(part, kind, value)) {
            *hide = *hide || chosen != NULL || part->kind == MASK_STARS;
            chosen = part;
        }
    }
    *hide = *hide || (chosen == NULL && !mask_fits(shape, kind, value));
    if (!*hide && chosen != NULL && chosen->kind == MASK_EITHER) {
        return mask_choose(chosen, kind, value, hide);
    }
    return chosen;
}

/* new: for a value that contains itself */
static PyObject *
mask_cycle(mask_walk *walk, PyObject *value)
{
    if (walk->factory != NULL || walk->probe) {
        return Py_NewRef(walk->stars);
    }
    PyErr_Format(PyExc_ValueError,
                 "mask(): a value of type %s contains itself",
                 Py_TYPE(value)->tp_name);
    return NULL;
}

static PyObject *
mask_compound(mask_walk *walk, const mask_shape *shape, mask_plan *plan,
              PyObject *value, const mask_frame *outer)
{
    for (const mask_frame *f = outer; f != NULL; f = f->outer) {
        if (f->value == value) {
            return mask_cycle(walk, value);
        }
    }
    switch (plan->kind) {
    case MASK_ATOM:
        return mask_holder(walk, plan, value, outer);
    case MASK_OBJECT: /* for logs exceptions are made again, not taken apart */
        return plan->hold != MASK_HOLD_NONE && walk->factory != NULL
                       && outer != NULL
                   ? mask_holder(walk, plan, value, outer)
                   : mask_shown(walk, plan,
                                mask_fields(walk, plan, value, outer));
    case MASK_DICT:
        return mask_dict(walk, shape, plan->shape, value, outer);
    case MASK_ROW:
        return mask_row(walk, shape, plan, value, outer);
    case MASK_NAMESPACE:
        return mask_namespace(walk, plan, value, outer);
    default:
        return mask_sequence(walk, shape, plan->kind, value, outer);
    }
}

/* new: what stands for the value */
static PyObject *
mask_any(mask_walk *walk, const mask_shape *shape, PyObject *value,
         const mask_frame *outer)
{
    if (shape == NULL && mask_is_atom(value)) {
        return Py_NewRef(value);
    }
    mask_plan *plan = mask_plan_of(walk->state, Py_TYPE(value));
    if (plan == NULL) {
        return NULL;
    }
    bool hide = plan->kind == MASK_WHOLE;
    if (shape != NULL && !hide
        && (value != Py_None || shape->kind == MASK_STARS)) {
        shape = mask_choose(shape, plan->kind, value, &hide);
    }
    PyObject *result;
    if (hide) {
        result = mask_hide(walk);
    }
    else if (plan->kind == MASK_ATOM && plan->hold == MASK_HOLD_NONE) {
        result = Py_NewRef(value);
    }
    else if (Py_EnterRecursiveCall(" while masking")) {
        result = NULL;
    }
    else {
        result = mask_compound(walk, shape, plan, value, outer);
        Py_LeaveRecursiveCall();
    }
    Py_DECREF(plan);
    return result;
}

/* ---- functions */

/* TypeError: nothing that could be made a dict. Always NULL */
static PyObject *
mask_refuse(validation_state *state, const mask_plan *plan, PyObject *obj)
{
    if (plan->failed) { /* the error that says why */
        validate_fields *fields =
            validate_fields_of(state, (PyObject *)Py_TYPE(obj));
        if (fields == NULL) {
            return NULL;
        }
        Py_DECREF(fields);
    }
    PyErr_Format(PyExc_TypeError,
                 "mask() wants an object with annotated fields or a mapping, "
                 "got %s",
                 Py_TYPE(obj)->tp_name);
    return NULL;
}

PyDoc_STRVAR(
    mask__doc__,
    "mask($module, obj, /)\n--\n\n"
    "The fields of obj as a dict, with \"***\" for the sensitive ones.\n\n"
    "Takes records, dataclasses, named tuples, objects of annotated classes,\n"
    "and mappings. What is annotated Sensitive is hidden, whole or item by\n"
    "item, in nested objects too, which become dicts; lists, tuples and "
    "dicts\n"
    "are copied, other collections become lists. Attributes that are not set\n"
    "are left out. The object is not changed, and sensitive fields are not\n"
    "read.\n\n"
    "Raises TypeError for an object without fields, ValueError for one that\n"
    "contains itself.");

static PyObject *
mask(PyObject *module, PyObject *obj)
{
    validation_state *state = validation_get_state(module);
    mask_plan *plan = mask_plan_of(state, Py_TYPE(obj));
    if (plan == NULL) {
        return NULL;
    }
    mask_walk walk = {state, state->mask_stars, NULL, false, false};
    PyObject *result;
    if (FE_LIKELY(plan->kind == MASK_OBJECT && !plan->failed)) {
        result = mask_fields(&walk, plan, obj, NULL);
    }
    else if (plan->kind == MASK_DICT && !plan->failed) {
        result = mask_dict(&walk, NULL, plan->shape, obj, NULL);
    }
    else if (plan->kind == MASK_NAMESPACE) {
        result = mask_namespace(&walk, plan, obj, NULL);
    }
    else {
        result = mask_refuse(state, plan, obj);
    }
    Py_DECREF(plan);
    return result;
}

PyDoc_STRVAR(mask_value__doc__,
             "_mask_value($module, value, stars, factory, /)\n--\n\n"
             "(what stands for value, was something hidden) for logs: stars\n"
             "for what is sensitive, factory(name, fields) for objects,\n"
             "factory(value) for exceptions, methods, partial objects and\n"
             "Enum members.");

static PyObject *
mask_value(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_Format(PyExc_TypeError,
                     "_mask_value() takes 3 arguments, got %zd", nargs);
        return NULL;
    }
    mask_walk walk = {validation_get_state(module), args[1], args[2], false,
                      false};
    PyObject *result = mask_any(&walk, NULL, args[0], NULL);
    return result != NULL ? Py_BuildValue("(NO)", result,
                                          walk.hidden ? Py_True : Py_False)
                          : NULL;
}

static PyMethodDef mask_functions[] = {
    {"mask", mask, METH_O, mask__doc__},
    {"_mask_value", FE_METHOD(mask_value), METH_FASTCALL, mask_value__doc__},
    {NULL, NULL, 0, NULL},
};

int
mask_register(PyObject *module, validation_state *state)
{
    state->mask_stars = PyUnicode_InternFromString("***");
    return state->mask_stars != NULL && mask_cache_register(module, state) == 0
                   && (state->mask_cache = mask_cache_new(state)) != NULL
                   && mask_plan_register(module, state) == 0
                   && PyModule_AddFunctions(module, mask_functions) == 0
               ? 0
               : -1;
}
