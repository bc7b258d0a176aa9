/* SPDX-License-Identifier: MIT
 *
 * Construction: from call arguments to fields.
 *
 * records_vectorcall is tp_vectorcall of a class whose __init__ is its own
 * generated one. The Init object in the class's namespace does the same to an
 * object that exists already (super().__init__(...), obj.__init__(...)):
 * into a staging block first, so that a bad argument leaves it as it was.
 *
 * Error texts are those of a Python function with the same signature.
 */
#include "records_state.h"

enum { STACK_VALUES = 32 };

/* ------------------------------------------------------------- errors */

/* new: "'a', 'b', and 'c'" of the parameters in [start, stop) not given */
static PyObject *
missing_names(const record_plan *plan, PyObject *const *values,
              Py_ssize_t start, Py_ssize_t stop, Py_ssize_t count)
{
    fe_text text;
    fe_text_init(&text);
    Py_ssize_t seen = 0;
    int status = 0;
    for (Py_ssize_t i = start; i < stop && status == 0; i++) {
        const record_param *param = &plan->params[i];
        if (values[i] != NULL || param->default_value != NULL
            || param->factory != NULL) {
            continue;
        }
        const char *between = seen == 0           ? ""
                              : count == 2        ? " and "
                              : seen == count - 1 ? ", and "
                                                  : ", ";
        seen++;
        status = fe_text_literal(&text, between) < 0
                         || fe_text_repr(&text, param->name) < 0
                     ? -1
                     : 0;
    }
    PyObject *names = status == 0 ? fe_text_finish(&text) : NULL;
    fe_text_free(&text);
    return names;
}

/* 0: all required parameters of [start, stop) are there */
static int
check_missing(const record_plan *plan, PyObject *const *values,
              Py_ssize_t start, Py_ssize_t stop, const char *what)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t i = start; i < stop; i++) {
        const record_param *param = &plan->params[i];
        count += values[i] == NULL && param->default_value == NULL
                 && param->factory == NULL;
    }
    if (count == 0) {
        return 0;
    }
    PyObject *names = missing_names(plan, values, start, stop, count);
    if (names != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%U.__init__() missing %zd required %s argument%s: %U",
                     plan->qualname, count, what, count == 1 ? "" : "s",
                     names);
        Py_DECREF(names);
    }
    return -1;
}

static void
complain_too_many(const record_plan *plan, Py_ssize_t nargs, PyObject *kwnames)
{
    Py_ssize_t optional = 0, keywords = 0;
    for (Py_ssize_t i = 0; i < plan->positional_count; i++) {
        optional += plan->params[i].default_value != NULL
                    || plan->params[i].factory != NULL;
    }
    for (Py_ssize_t i = plan->positional_count; i < plan->param_count; i++) {
        int given = kwnames != NULL
                        ? PySequence_Contains(kwnames, plan->params[i].name)
                        : 0;
        if (given < 0) {
            return;
        }
        keywords += given;
    }
    Py_ssize_t takes = plan->positional_count + 1;
    char range[64] = "", extra[96] = "";
    if (optional > 0) {
        PyOS_snprintf(range, sizeof(range), "from %zd to ", takes - optional);
    }
    if (keywords > 0) {
        PyOS_snprintf(extra, sizeof(extra),
                      " positional argument%s (and %zd keyword-only "
                      "argument%s)",
                      nargs == 0 ? "" : "s", keywords,
                      keywords == 1 ? "" : "s");
    }
    PyErr_Format(PyExc_TypeError,
                 "%U.__init__() takes %s%zd positional argument%s "
                 "but %zd%s were given",
                 plan->qualname, range, takes,
                 takes == 1 && optional == 0 ? "" : "s", nargs + 1, extra);
}

/* ------------------------------------------------------------ binding */

static Py_ssize_t
find_param(const record_plan *plan, PyObject *name)
{
    for (Py_ssize_t i = 0; i < plan->param_count; i++) {
        if (plan->params[i].name == name) {
            return i;
        }
    }
    for (Py_ssize_t i = 0; i < plan->param_count; i++) {
        int same = PyObject_RichCompareBool(plan->params[i].name, name, Py_EQ);
        if (same != 0) {
            return same < 0 ? -2 : i;
        }
    }
    return -1;
}

/* values[i]: the argument of parameter i, borrowed, or NULL */
static int
bind(const record_plan *plan, PyObject *const *args, Py_ssize_t nargs,
     PyObject *kwnames, PyObject **values)
{
    for (Py_ssize_t i = 0; i < plan->param_count; i++) {
        values[i] = i < nargs && i < plan->positional_count ? args[i] : NULL;
    }
    Py_ssize_t keywords = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t k = 0; k < keywords; k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k);
        Py_ssize_t i = find_param(plan, name);
        if (i < 0) {
            if (i == -1) {
                PyErr_Format(PyExc_TypeError,
                             "%U.__init__() got an unexpected keyword "
                             "argument '%S'",
                             plan->qualname, name);
            }
            return -1;
        }
        if (values[i] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%U.__init__() got multiple values for argument "
                         "'%U'",
                         plan->qualname, name);
            return -1;
        }
        values[i] = args[nargs + k];
    }
    if (nargs > plan->positional_count) {
        complain_too_many(plan, nargs, kwnames);
        return -1;
    }
    if (check_missing(plan, values, 0, plan->positional_count, "positional")
        < 0) {
        return -1;
    }
    return check_missing(plan, values, plan->positional_count,
                         plan->param_count, "keyword-only");
}

/* ------------------------------------------------------------ filling */

/* Write one field of a block in which it is still unset. */
FE_INLINE int
put(const record_plan *plan, const record_field *field, char *block,
    PyObject *value)
{
    char *at = block + field->offset;
    if (field->kind == FE_OBJECT) {
        Py_INCREF(value);
        memcpy(at, &value, sizeof(value));
        return 0;
    }
    return records_store(plan->qualname, field, at, value);
}

static int
put_entry(const record_plan *plan, const record_param *param, char *block,
          PyObject *value)
{
    if (value != NULL || param->factory == NULL) {
        value = value != NULL ? value : param->default_value;
        if (param->field < 0 || value == NULL) {
            return 0;
        }
        return put(plan, &plan->fields[param->field], block, value);
    }
    PyObject *factory = Py_NewRef(param->factory);
    PyObject *made = PyObject_CallNoArgs(factory);
    Py_DECREF(factory);
    if (made == NULL) {
        return -1;
    }
    int status = put(plan, &plan->fields[param->field], block, made);
    Py_DECREF(made);
    return status;
}

/* Every entry of a zeroed block, from bound values and defaults. */
static int
fill_bound(const record_plan *plan, char *block, PyObject *const *values)
{
    for (Py_ssize_t i = 0; i < plan->entry_count; i++) {
        PyObject *value = i < plan->param_count ? values[i] : NULL;
        if (put_entry(plan, &plan->params[i], block, value) < 0) {
            return -1;
        }
    }
    return 0;
}

/* All fields at once, args in field order, into an uninitialised instance of
 * a simple class. On failure the object slots not reached are NULL.
 */
FE_INLINE int
fill_simple(const record_plan *plan, PyObject *self, PyObject *const *args)
{
    Py_ssize_t i = 0, count = plan->field_count;
    const record_field *field = plan->fields;
    for (; i < count; i++, field++) {
        if (FE_UNLIKELY(put(plan, field, (char *)self, args[i]) < 0)) {
            goto error;
        }
    }
    return 0;
error:
    for (; i < count; i++, field++) {
        if (field->kind == FE_OBJECT) {
            FE_FIELD_OBJECT(self, field) = NULL;
        }
    }
    return -1;
}

/* ---------------------------------------------------------- post-init */

/* 1: this thread is inside the record's __post_init__ */
int
records_thawed(records_state *state, PyObject *record)
{
    unsigned long thread = PyThread_get_thread_ident();
    for (record_thaw *t = state->thawed; t != NULL; t = t->outer) {
        if (t->record == record && t->thread == thread) {
            return 1;
        }
    }
    return 0;
}

static void
refreeze(records_state *state, record_thaw *thaw)
{
    /* other threads may have pushed in between: unlink, wherever it is */
    record_thaw **link = &state->thawed;
    while (*link != thaw) {
        link = &(*link)->outer;
    }
    *link = thaw->outer;
}

static int
call_post_init(record_class *cls, PyObject *self, PyObject *const *values)
{
    const record_plan *plan = cls->plan;
    PyObject **stack =
        PyMem_Malloc((size_t)(plan->param_count + 1) * sizeof(PyObject *));
    if (stack == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    size_t count = 0;
    stack[count++] = self;
    for (Py_ssize_t i = 0; i < plan->param_count; i++) {
        const record_param *param = &plan->params[i];
        if (param->field < 0) {
            stack[count++] =
                values[i] != NULL ? values[i] : param->default_value;
        }
    }
    records_state *state = cls->state;
    record_thaw thaw = {self, PyThread_get_thread_ident(), state->thawed};
    state->thawed = &thaw;
    PyObject *result =
        PyObject_VectorcallMethod(state->str_post_init, stack, count, NULL);
    refreeze(state, &thaw);
    PyMem_Free(stack);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int
records_post_init(record_class *cls, PyObject *self)
{
    const record_plan *plan = cls->plan;
    for (Py_ssize_t i = 0; i < plan->param_count; i++) {
        const record_param *param = &plan->params[i];
        if (param->field < 0 && param->default_value == NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%U.%U: an InitVar without a default, which only "
                         "the constructor can be given",
                         plan->qualname, param->name);
            return -1;
        }
    }
    PyObject **values =
        PyMem_Calloc((size_t)plan->param_count + 1, sizeof(PyObject *));
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int status = call_post_init(cls, self, values);
    PyMem_Free(values);
    return status;
}

/* ------------------------------------------------------- construction */

/* Parameters in another order than fields, defaults, keywords, InitVars. */
static FE_NOINLINE PyObject *
construct_bound(record_class *cls, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    record_plan *plan = cls->plan;
    PyObject *stack[STACK_VALUES], **values = stack, *self = NULL;
    if (plan->param_count > STACK_VALUES) {
        values = PyMem_Malloc((size_t)plan->param_count * sizeof(PyObject *));
        if (values == NULL) {
            return PyErr_NoMemory();
        }
    }
    Py_INCREF(plan); /* a factory may drop the last reference to the class */
    if (bind(plan, args, nargs, kwnames, values) < 0
        || (plan->checks != NULL && records_check_bound(plan, values) < 0)) {
        goto done;
    }
    self = records_alloc_zeroed(cls);
    if (self == NULL) {
        goto done;
    }
    if (fill_bound(plan, (char *)self, values) < 0) {
        records_discard(self);
        self = NULL;
        goto done;
    }
    records_track(cls, self);
    if (plan->post_init && call_post_init(cls, self, values) < 0) {
        Py_CLEAR(self);
    }
done:
    if (values != stack) {
        PyMem_Free(values);
    }
    Py_DECREF(plan);
    return self;
}

/* Do the keywords, after nargs positions, name the fields in order? */
FE_INLINE bool
in_order(const record_plan *plan, Py_ssize_t nargs, PyObject *kwnames)
{
    Py_ssize_t count = PyTuple_GET_SIZE(kwnames);
    if (nargs + count != plan->field_count) {
        return false;
    }
    const record_field *field = plan->fields + nargs;
    for (Py_ssize_t k = 0; k < count; k++, field++) {
        if (PyTuple_GET_ITEM(kwnames, k) != field->name) {
            return false;
        }
    }
    return true;
}

/* new: an instance of a bare class, from the values of all its fields */
FE_INLINE PyObject *
from_values(record_class *cls, PyObject *const *values)
{
    PyObject *self = records_alloc(cls);
    if (FE_UNLIKELY(self == NULL)) {
        return NULL;
    }
    if (FE_UNLIKELY(fill_simple(cls->plan, self, values) < 0)) {
        records_discard(self);
        return NULL;
    }
    if (cls->gc) {
        PyObject_GC_Track(self);
    }
    return self;
}

PyObject *
records_from_values(record_class *cls, PyObject *const *values)
{
    return from_values(cls, values);
}

PyObject *
records_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                   PyObject *kwnames)
{
    record_class *cls = RECORD_CLASS(op);
    const record_plan *plan = cls->plan;
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (FE_UNLIKELY(!plan->simple)
        || !(kwnames == NULL ? nargs == plan->field_count
                             : in_order(plan, nargs, kwnames))) {
        return construct_bound(cls, args, nargs, kwnames);
    }
    return from_values(cls, args);
}

/* ---------------------------------------------------------- __init__ */

typedef struct {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyTypeObject *owner; /* owned; NULL until bound */
} init_object;

/* Swap the entries' fields between a block and an instance. */
static void
swap_entries(const record_plan *plan, char *block, PyObject *self)
{
    for (Py_ssize_t i = 0; i < plan->entry_count; i++) {
        const record_param *param = &plan->params[i];
        if (param->field < 0) {
            continue;
        }
        const record_field *field = &plan->fields[param->field];
        char *a = block + field->offset, *b = FE_FIELD_AT(self, field);
        for (uint32_t k = 0; k < field->size; k++) {
            char byte = a[k];
            a[k] = b[k];
            b[k] = byte;
        }
    }
}

static void
drop_block(const record_plan *plan, char *block)
{
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].kind == FE_OBJECT) {
            Py_XDECREF(FE_FIELD_OBJECT(block, &plan->fields[i]));
        }
    }
    PyMem_Free(block);
}

static int
init_existing(record_class *cls, PyObject *self, PyObject *const *args,
              Py_ssize_t nargs, PyObject *kwnames)
{
    record_plan *plan = cls->plan;
    PyObject **values =
        PyMem_Malloc((size_t)(plan->param_count + 1) * sizeof(PyObject *));
    char *block = PyMem_Calloc(1, (size_t)cls->heap.ht_type.tp_basicsize);
    int status = -1;
    if (values == NULL || block == NULL) {
        PyErr_NoMemory();
        PyMem_Free(block);
        goto done;
    }
    if (bind(plan, args, nargs, kwnames, values) == 0
        && (plan->checks == NULL || records_check_bound(plan, values) == 0)
        && fill_bound(plan, block, values) == 0) {
        swap_entries(plan, block, self);
        status = 0;
    }
    drop_block(plan, block);
    if (status == 0 && plan->post_init) {
        status = call_post_init(cls, self, values);
    }
done:
    PyMem_Free(values);
    return status;
}

static PyObject *
init_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                PyObject *kwnames)
{
    init_object *init = (init_object *)op;
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (init->owner == NULL || nargs < 1
        || !PyObject_TypeCheck(args[0], init->owner)) {
        PyErr_Format(PyExc_TypeError, "%s.__init__() needs a %s object first",
                     init->owner != NULL ? init->owner->tp_name : "record",
                     init->owner != NULL ? init->owner->tp_name : "record");
        return NULL;
    }
    PyTypeObject *owner = (PyTypeObject *)Py_NewRef(init->owner);
    int status = init_existing(RECORD_CLASS(owner), args[0], args + 1,
                               nargs - 1, kwnames);
    Py_DECREF(owner);
    return status == 0 ? Py_NewRef(Py_None) : NULL;
}

/* new: a class's __init__, not yet bound to it */
PyObject *
records_init_new(records_state *state)
{
    init_object *self = PyObject_GC_New(init_object, state->init_type);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = init_vectorcall;
    self->owner = NULL;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

void
records_init_bind(PyObject *op, PyTypeObject *owner)
{
    init_object *self = (init_object *)op;
    Py_XSETREF(self->owner, (PyTypeObject *)Py_NewRef(owner));
}

static int
init_tp_traverse(init_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    return 0;
}

static int
init_tp_clear(init_object *self)
{
    Py_CLEAR(self->owner);
    return 0;
}

static void
init_tp_dealloc(init_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    init_tp_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *
init_tp_descr_get(PyObject *self, PyObject *obj, PyObject *Py_UNUSED(type))
{
    return obj == NULL ? Py_NewRef(self) : PyMethod_New(self, obj);
}

static PyObject *
init_tp_repr(init_object *self)
{
    return PyUnicode_FromFormat("<function %s.__init__>",
                                self->owner != NULL ? self->owner->tp_name
                                                    : "record");
}

static PyObject *
init_get_name(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    return PyUnicode_FromString("__init__");
}

static PyObject *
init_get_qualname(init_object *self, void *Py_UNUSED(closure))
{
    if (self->owner == NULL) {
        return PyUnicode_FromString("__init__");
    }
    return PyUnicode_FromFormat("%U.__init__",
                                RECORD_CLASS(self->owner)->plan->qualname);
}

static PyObject *
init_get_module(init_object *self, void *Py_UNUSED(closure))
{
    if (self->owner == NULL) {
        Py_RETURN_NONE;
    }
    return PyObject_GetAttrString((PyObject *)self->owner, "__module__");
}

static PyObject *
init_get_owner(init_object *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->owner != NULL ? (PyObject *)self->owner : Py_None);
}

static PyObject *
init_get_signature(init_object *self, void *Py_UNUSED(closure))
{
    if (self->owner == NULL) {
        Py_RETURN_NONE;
    }
    return records_signature((PyObject *)self->owner, true);
}

static PyObject *
init_get_annotations(init_object *self, void *Py_UNUSED(closure))
{
    PyObject *result = PyDict_New();
    if (result == NULL || self->owner == NULL) {
        return result;
    }
    const record_plan *plan = RECORD_CLASS(self->owner)->plan;
    for (Py_ssize_t i = 0; i < plan->param_count; i++) {
        PyObject *field =
            plan->by_name != NULL
                ? PyDict_GetItemWithError(plan->by_name, plan->params[i].name)
                : NULL;
        if (field == NULL
            || PyDict_SetItem(result, plan->params[i].name,
                              ((field_object *)field)->type)
                   < 0) {
            Py_DECREF(result);
            return NULL;
        }
    }
    if (PyDict_SetItemString(result, "return", Py_None) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* the module's namespace, for typing.get_type_hints */
static PyObject *
init_get_globals(init_object *self, void *Py_UNUSED(closure))
{
    PyObject *name = init_get_module(self, NULL);
    PyObject *module = name != NULL ? PyImport_GetModule(name) : NULL;
    PyObject *globals = NULL;
    if (module != NULL && PyModule_Check(module)) {
        globals = Py_NewRef(PyModule_GetDict(module));
    }
    else if (!PyErr_Occurred()) {
        globals = PyDict_New();
    }
    Py_XDECREF(name);
    Py_XDECREF(module);
    return globals;
}

static PyGetSetDef init_getset[] = {
    {"__globals__", (getter)init_get_globals, NULL, NULL, NULL},
    {"__name__", (getter)init_get_name, NULL, NULL, NULL},
    {"__qualname__", (getter)init_get_qualname, NULL, NULL, NULL},
    {"__module__", (getter)init_get_module, NULL, NULL, NULL},
    {"__objclass__", (getter)init_get_owner, NULL, NULL, NULL},
    {"__signature__", (getter)init_get_signature, NULL, NULL, NULL},
    {"__annotations__", (getter)init_get_annotations, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef init_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(init_object, vectorcall),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(init__doc__, "The generated __init__ of a record class.");

static PyType_Slot init_slots[] = {
    {Py_tp_doc, FE_SLOT(init__doc__)},
    {Py_tp_call, FE_SLOT(PyVectorcall_Call)},
    {Py_tp_descr_get, FE_SLOT(init_tp_descr_get)},
    {Py_tp_traverse, FE_SLOT(init_tp_traverse)},
    {Py_tp_clear, FE_SLOT(init_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(init_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(init_tp_repr)},
    {Py_tp_getset, FE_SLOT(init_getset)},
    {Py_tp_members, FE_SLOT(init_members)},
    {0, NULL},
};

PyType_Spec records_init_spec = {
    .name = "ferrule._records.Init",
    .basicsize = sizeof(init_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR
             | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = init_slots,
};
