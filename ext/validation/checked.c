/* SPDX-License-Identifier: MIT
 *
 * checked: the wrapper and its call. The way of values that are right makes
 * nothing: arguments are looked at where the caller has them, and the function
 * gets the caller's vector. Signatures and annotations: checked_table.c.
 */
#include "validation_state.h"
#include "args.h"

/* ---- the way of values that pass as they are */

/* borrowed: what checks a keyword argument; NULL: nothing does. Names at call
 * sites are interned; others come from dicts.
 */
static const checked_place *
checked_keyword(const checked_object *self, PyObject *name)
{
    for (Py_ssize_t i = self->only; i < self->count; i++) {
        if (self->places[i].name == name) {
            return &self->places[i];
        }
    }
    bool is_text = PyUnicode_Check(name);
    if (is_text && FE_UNLIKELY(!PyUnicode_CHECK_INTERNED(name))) {
        for (Py_ssize_t i = self->only; i < self->count; i++) {
            if (PyUnicode_Compare(self->places[i].name, name) == 0) {
                return &self->places[i];
            }
        }
    }
    return &self->more[CHECKED_OTHERS];
}

static bool
list_passes(const checked_place *place, PyObject *value)
{
    PyObject *const *item = ((PyListObject *)value)->ob_item;
    PyObject *const *end = item + PyList_GET_SIZE(value);
    while (item < end && Py_IS_TYPE(*item, place->items)) {
        item++;
    }
    return item == end;
}

/* Does it pass as it is? No call and no Python code: the registers of a call
 * stay where they are, and a list as it is. Not a switch, whose jump by table
 * took 3 of 70 ns.
 */
FE_INLINE bool
passes(const checked_place *place, PyObject *value)
{
    const checked_glance glance = place->glance;
    if (FE_LIKELY(Py_IS_TYPE(value, place->type))) {
        if (glance == CHECKED_EXACT) {
            return true;
        }
        if (glance == CHECKED_INT) {
            int64_t number;
            return fe_long_in_place(value, &number) && number >= place->low
                   && number <= place->high;
        }
        if (glance == CHECKED_STR) {
            Py_ssize_t length = PyUnicode_GET_LENGTH(value);
            return length >= place->low && length <= place->high;
        }
        return list_passes(place, value);
    }
    return glance == CHECKED_ANY
           || (place->plan->quick != VALIDATE_QUICK_NOT
                   ? validate_quick(place->plan, value)
                   : place->plan->optional && value == Py_None);
}

/* how many of the first `count` arguments pass, up to one that does not */
FE_INLINE Py_ssize_t
checked_quick(const checked_object *self, PyObject *const *args,
              Py_ssize_t count)
{
    Py_ssize_t i = 0;
    while (i < count && passes(&self->places[i], args[i])) {
        i++;
    }
    return i;
}

/* what follows the named parameters: *args and keywords */
static bool
checked_quick_more(const checked_object *self, PyObject *const *args,
                   Py_ssize_t nargs, PyObject *kwnames)
{
    const checked_place *rest = &self->more[CHECKED_REST];
    for (Py_ssize_t i = self->positional; i < nargs; i++) {
        if (!passes(rest, args[i])) {
            return false;
        }
    }
    Py_ssize_t count = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        if (!passes(checked_keyword(self, name), args[nargs + i])) {
            return false;
        }
    }
    return true;
}

/* ---- the way of all others */

/* A call while its arguments are checked. */
typedef struct {
    checked_object *self;
    validation_state *state;
    PyObject *const *args; /* the caller's, or `own` */
    PyObject **own;        /* owned, with a free place in front, or NULL */
    Py_ssize_t total;      /* keyword arguments included */
} checked_call;

/* From here on the vector is ours. 0, or -1 with MemoryError */
static int
own_vector(checked_call *call)
{
    PyObject **block = PyMem_New(PyObject *, (size_t)call->total + 1);
    if (block == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    call->own = block + 1;
    for (Py_ssize_t i = 0; i < call->total; i++) {
        call->own[i] = Py_NewRef(call->args[i]);
    }
    call->args = call->own;
    return 0;
}

static void
drop_vector(checked_call *call)
{
    if (call->own == NULL) {
        return;
    }
    for (Py_ssize_t i = 0; i < call->total; i++) {
        Py_DECREF(call->own[i]);
    }
    PyMem_Free(call->own - 1);
}

/* 0, or -1 with an exception. within: where the value is in what the place
 * has, of *args and **kwargs; else NULL
 */
static int
checked_argument(checked_call *call, const checked_place *place, Py_ssize_t i,
                 const validate_path *within)
{
    PyObject *value = call->args[i];
    if (passes(place, value)) {
        return 0;
    }
    const validate_path root = {NULL, place->where, 0};
    validate_path item = root;
    if (within != NULL) {
        item = *within;
        item.outer = &root;
    }
    PyObject *now = validate_run(call->state, place->plan, value, &item);
    if (now == NULL || now == value) {
        Py_XDECREF(now);
        return now != NULL ? 0 : -1;
    }
    if (call->own == NULL && own_vector(call) < 0) {
        Py_DECREF(now);
        return -1;
    }
    Py_SETREF(call->own[i], now);
    return 0;
}

/* *args and keywords */
static int
checked_more_arguments(checked_call *call, Py_ssize_t nargs, PyObject *kwnames)
{
    const checked_object *self = call->self;
    const checked_place *others = &self->more[CHECKED_OTHERS];
    for (Py_ssize_t i = self->positional; i < nargs; i++) {
        const validate_path item = {NULL, NULL, i - self->positional};
        if (checked_argument(call, &self->more[CHECKED_REST], i, &item) < 0) {
            return -1;
        }
    }
    for (Py_ssize_t i = nargs; i < call->total; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i - nargs);
        const checked_place *place = checked_keyword(self, name);
        const validate_path item = {NULL, name, VALIDATE_KEY};
        if (checked_argument(call, place, i, place == others ? &item : NULL)
            < 0) {
            return -1;
        }
    }
    return 0;
}

static int
checked_arguments(checked_call *call, Py_ssize_t nargs, PyObject *kwnames)
{
    Py_ssize_t positional = call->self->positional;
    Py_ssize_t named = nargs < positional ? nargs : positional;
    for (Py_ssize_t i = 0; i < named; i++) {
        if (checked_argument(call, &call->self->places[i], i, NULL) < 0) {
            return -1;
        }
    }
    return checked_more_arguments(call, nargs, kwnames);
}

static FE_NOINLINE PyObject *
checked_slowly(checked_object *self, PyObject *const *args, size_t nargsf,
               PyObject *kwnames)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    checked_call call = {
        .self = self,
        .state = validation_state_of((PyObject *)self),
        .args = args,
        .total = nargs + (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0),
    };
    PyObject *result = NULL;
    if (call.state != NULL && checked_arguments(&call, nargs, kwnames) == 0) {
        size_t flags = call.own != NULL
                           ? (size_t)nargs | PY_VECTORCALL_ARGUMENTS_OFFSET
                           : nargsf;
        result = fe_wrap_call(self->head.wrapped, call.args, flags, kwnames);
    }
    drop_vector(&call);
    return result;
}

FE_NOINLINE PyObject *
checked_result_steal(checked_object *self, PyObject *result)
{
    const checked_place *place = &self->more[CHECKED_RESULT];
    const validate_path root = {NULL, place->where, 0};
    validation_state *state = validation_state_of((PyObject *)self);
    PyObject *now = NULL;
    if (FE_UNLIKELY(place->plan == NULL)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the checked function has been cleared by the "
                        "garbage collector");
    }
    else if (state != NULL) {
        now = validate_run(state, place->plan, result, &root);
    }
    Py_DECREF(result);
    return now;
}

/* result (stolen) did not pass at once, or is to be awaited */
static FE_NOINLINE PyObject *
checked_result_slowly(checked_object *self, PyObject *result)
{
    if (self->head.kind != FE_COROUTINE) {
        return checked_result_steal(self, result);
    }
    validation_state *state = validation_state_of((PyObject *)self);
    PyObject *coroutine =
        state != NULL ? checked_coroutine_new(state, (PyObject *)self, result)
                      : NULL;
    Py_DECREF(result);
    return coroutine;
}

/* A call with more than named arguments by position that pass: the first
 * `passed` do.
 */
static FE_NOINLINE PyObject *
checked_call_more(checked_object *self, PyObject *const *args, size_t nargsf,
                  PyObject *kwnames, Py_ssize_t passed)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if ((passed == nargs || passed == self->positional)
        && checked_quick_more(self, args, nargs, kwnames)) {
        return fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    }
    return checked_slowly(self, args, nargsf, kwnames);
}

static PyObject *
checked_tp_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                      PyObject *kwnames)
{
    checked_object *self = CHECKED(op);
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    Py_ssize_t named = nargs < self->positional ? nargs : self->positional;
    Py_ssize_t passed = checked_quick(self, args, named);
    PyObject *result;
    if (FE_LIKELY(passed == nargs && kwnames == NULL)) {
        result = fe_wrap_call(self->head.wrapped, args, nargsf, NULL);
    }
    else {
        result = checked_call_more(self, args, nargsf, kwnames, passed);
    }
    const checked_place *place = &self->more[CHECKED_RESULT];
    if (place->plan == NULL || FE_UNLIKELY(result == NULL)
        || FE_LIKELY(self->head.kind != FE_COROUTINE
                     && passes(place, result))) {
        return result;
    }
    return checked_result_slowly(self, result);
}

/* Until the first call: some annotations name what was not there yet. */
static PyObject *
checked_first(PyObject *op, PyObject *const *args, size_t nargsf,
              PyObject *kwnames)
{
    checked_object *self = CHECKED(op);
    validation_state *state = validation_state_of(op);
    PyObject *first = PyVectorcall_NARGS(nargsf) > 0 ? args[0] : NULL;
    if (state == NULL || checked_table_settle(state, self, first) < 0) {
        return NULL;
    }
    self->head.vectorcall = checked_tp_vectorcall;
    return checked_tp_vectorcall(op, args, nargsf, kwnames);
}

/* ---- the decorator */

/* new: func checked */
static PyObject *
checked_make(validation_state *state, PyObject *func, bool result)
{
    int kind = fe_wrap_kind(func);
    if (kind < 0) {
        return NULL;
    }
    checked_object *self = CHECKED(fe_wrap_new(
        state->checked_type, func, checked_tp_vectorcall, (fe_kind)kind));
    if (self == NULL) {
        return NULL;
    }
    /* what a generator function gives is not what its annotation is about */
    bool has_result = kind == FE_PLAIN || kind == FE_COROUTINE;
    int filled = checked_table_fill(state, self, result && has_result);
    if (filled < 0) {
        PyObject_GC_Track(self);
        Py_DECREF(self);
        return NULL;
    }
    if (filled == 0) {
        self->head.vectorcall = checked_first;
    }
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* new: what a static or class method holds is checked, and stays what it was
 */
static PyObject *
checked_decorate(validation_state *state, PyObject *func, bool result)
{
    PyTypeObject *type = Py_TYPE(func);
    if (type != &PyStaticMethod_Type && type != &PyClassMethod_Type) {
        if (PyType_Check(func)) {
            return PyErr_Format(PyExc_TypeError,
                                "checked: wanted a function, got class %.200s "
                                "(decorate its __init__)",
                                ((PyTypeObject *)func)->tp_name);
        }
        return fe_wrap_check("checked", func) < 0
                   ? NULL
                   : checked_make(state, func, result);
    }
    PyObject *inside = fe_getattr(func, "__func__");
    if (inside == NULL) {
        return NULL;
    }
    PyObject *made = checked_decorate(state, inside, result);
    Py_DECREF(inside);
    if (made == NULL) {
        return NULL;
    }
    PyObject *method = PyObject_CallOneArg((PyObject *)type, made);
    Py_DECREF(made);
    return method;
}

/* new: functools.partial(checked, result=...): to be called with a function */
static PyObject *
checked_decorator(PyObject *module, PyObject *result)
{
    PyObject *functools = PyImport_ImportModule("functools");
    PyObject *partial =
        functools != NULL ? fe_getattr(functools, "partial") : NULL;
    PyObject *own = partial != NULL ? fe_getattr(module, "checked") : NULL;
    PyObject *names = own != NULL ? Py_BuildValue("(s)", "result") : NULL;
    PyObject *decorator = NULL;
    if (names != NULL) {
        PyObject *const args[] = {own, result};
        decorator = PyObject_Vectorcall(partial, args, 1, names);
    }
    Py_XDECREF(names);
    Py_XDECREF(own);
    Py_XDECREF(partial);
    Py_XDECREF(functools);
    return decorator;
}

PyDoc_STRVAR(
    checked__doc__,
    "checked($module, func=None, /, *, result=True)\n--\n\n"
    "func, with arguments and result checked by their annotations.\n\n"
    "Arguments are checked when it is called, the result when it returns, "
    "or\n"
    "when it is awaited; result=False leaves that out, and without func a\n"
    "decorator is given. What a constraint changes (Strip) is passed on\n"
    "changed. Defaults are checked here, and not at calls; what generators\n"
    "yield is not checked. A name in an annotation that is not there yet is\n"
    "looked up again at the first call.\n\n"
    "A value of the wrong type raises TypeError, one that breaks a "
    "constraint\n"
    "ConstraintError; both name function and argument. TypeError here if "
    "func\n"
    "is no function, or an annotation no type.\n\n"
    "Source: \"Annotated Types & Runtime Metadata\".");

static PyObject *
checked(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
        PyObject *kwnames)
{
    static const char *const names[] = {"", "result", NULL};
    static const fe_sig sig = {"checked", names, 1, 0};
    PyObject *values[2];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    PyObject *result = values[1] != NULL ? values[1] : Py_True;
    int wanted = PyObject_IsTrue(result);
    if (wanted < 0) {
        return NULL;
    }
    if (values[0] == NULL || values[0] == Py_None) {
        return checked_decorator(module, wanted ? Py_True : Py_False);
    }
    return checked_decorate(validation_get_state(module), values[0],
                            wanted != 0);
}

/* ---- the type */

static int
checked_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    checked_object *self = CHECKED(op);
    Py_ssize_t count = self->places != NULL ? self->count + CHECKED_MORE : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_VISIT(self->places[i].annotation);
        Py_VISIT(self->places[i].default_value);
        Py_VISIT((PyObject *)self->places[i].plan);
    }
    return fe_wrap_traverse(FE_WRAP(op), visit, arg);
}

/* The function goes first: without plans it must not be called any more. */
static int
checked_tp_clear(PyObject *op)
{
    checked_object *self = CHECKED(op);
    Py_ssize_t count = self->places != NULL ? self->count + CHECKED_MORE : 0;
    fe_wrap_clear(FE_WRAP(op));
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_CLEAR(self->places[i].annotation);
        Py_CLEAR(self->places[i].default_value);
        self->places[i].glance = CHECKED_ANY;
        self->places[i].type = NULL;
        Py_CLEAR(self->places[i].plan);
    }
    return 0;
}

static void
checked_tp_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, checked_tp_dealloc) checked_table_drop(CHECKED(op));
    fe_wrap_free(FE_WRAP(op));
    Py_TRASHCAN_END
}

/* pydoc asks object.__getattribute__, past tp_getattro, and would find the
 * type's text: so the type has none.
 */
static PyObject *
checked_get_doc(PyObject *op, void *Py_UNUSED(closure))
{
    return fe_getattr(op, "__doc__");
}

static PyGetSetDef checked_doc = {"__doc__", checked_get_doc, NULL,
                                  FE_TEXT("The function's."), NULL};

static PyType_Slot checked_slots[] = {
    {Py_tp_dealloc, FE_SLOT(checked_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(checked_tp_traverse)},
    {Py_tp_clear, FE_SLOT(checked_tp_clear)},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_descr_get, FE_SLOT(fe_wrap_descr_get)},
    {Py_tp_getattro, FE_SLOT(fe_wrap_getattro)},
    {Py_tp_setattro, FE_SLOT(PyObject_GenericSetAttr)},
    {Py_tp_repr, FE_SLOT(fe_wrap_repr)},
    {Py_tp_members, fe_wrap_members},
    {Py_tp_getset, fe_wrap_getset},
    {Py_tp_methods, fe_wrap_methods},
    {0, NULL},
};

static PyType_Spec checked_spec = {
    .name = "ferrule.validation.Checked",
    .basicsize = sizeof(checked_object),
    .flags = FE_WRAP_FLAGS | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = checked_slots,
};

static PyMethodDef checked_functions[] = {
    {"checked", FE_METHOD(checked), METH_FASTCALL | METH_KEYWORDS,
     checked__doc__},
    {0},
};

/* 0, or -1 with an exception */
static int
checked_add_doc(PyTypeObject *type)
{
    PyObject *doc = PyDescr_NewGetSet(type, &checked_doc);
    int result = doc != NULL ? PyDict_SetItemString(fe_type_dict_borrow(type),
                                                    "__doc__", doc)
                             : -1;
    Py_XDECREF(doc);
    PyType_Modified(type);
    return result;
}

int
checked_register(PyObject *module, validation_state *state)
{
    state->checked_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &checked_spec, NULL);
    state->checked_coroutine_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &checked_coroutine_spec, NULL);
    return state->checked_type != NULL && state->checked_coroutine_type != NULL
                   && checked_add_doc(state->checked_type) == 0
               ? PyModule_AddFunctions(module, checked_functions)
               : -1;
}
