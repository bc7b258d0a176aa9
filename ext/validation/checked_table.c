/* SPDX-License-Identifier: MIT
 *
 * What checked knows of a function: its signature as inspect reads it, its
 * annotations as typing resolves them, and a plan for each. Once a function;
 * no call comes here but the first.
 */
#include "validation_state.h"

/* Where annotations are resolved. */
typedef struct {
    validation_state *state;
    PyObject *typing;   /* owned */
    PyObject *globals;  /* owned dict: of the function */
    PyObject *qualname; /* owned str: the function's */
    PyObject *params;   /* owned tuple: type parameters of the function */
    PyObject *nothing;  /* owned dict, empty */
    PyObject *locals;   /* owned mapping; NULL until asked for */
    bool first_call;    /* what cannot be resolved now is an error */
    PyObject *first; /* borrowed: the first argument of that call, or NULL */
} checked_scope;

static void
checked_scope_clear(checked_scope *scope)
{
    Py_CLEAR(scope->typing);
    Py_CLEAR(scope->globals);
    Py_CLEAR(scope->qualname);
    Py_CLEAR(scope->params);
    Py_CLEAR(scope->nothing);
    Py_CLEAR(scope->locals);
}

/* ---- names */

/* new: the function that func leads to (partials, methods, wrappers, objects
 * with __call__), or what there is instead
 */
static PyObject *
checked_innermost(PyObject *func)
{
    static const char *const ways[] = {"__wrapped__", "func", "__func__"};
    func = Py_NewRef(func);
    for (int depth = 0; depth < 1000 && !PyFunction_Check(func); depth++) {
        PyObject *next = NULL;
        for (size_t i = 0; i < Py_ARRAY_LENGTH(ways) && next == NULL; i++) {
            if (fe_find_attr(func, ways[i], &next) < 0) {
                Py_DECREF(func);
                return NULL;
            }
        }
        if (next == NULL && !PyCFunction_Check(func)
            && fe_find_attr((PyObject *)Py_TYPE(func), "__call__", &next)
                   < 0) {
            Py_DECREF(func);
            return NULL;
        }
        if (next == NULL) {
            break;
        }
        Py_SETREF(func, next);
    }
    return func;
}

/* new: "a.b" of "a.b.c", "a" of "a.<locals>.c", "" of "c" */
static PyObject *
checked_parent(PyObject *qualname)
{
    PyObject *locals = PyUnicode_InternFromString(".<locals>");
    Py_ssize_t end = PyUnicode_FindChar(qualname, '.', 0,
                                        PyUnicode_GET_LENGTH(qualname), -1);
    PyObject *parent = PyUnicode_Substring(qualname, 0, end < 0 ? 0 : end);
    Py_ssize_t tail =
        parent != NULL && locals != NULL
            ? PyUnicode_Tailmatch(parent, locals, 0, PY_SSIZE_T_MAX, 1)
            : -1;
    if (tail > 0) {
        Py_SETREF(parent, PyUnicode_Substring(
                              parent, 0, end - PyUnicode_GET_LENGTH(locals)));
    }
    Py_XDECREF(locals);
    if (tail < 0) {
        Py_CLEAR(parent);
    }
    return parent;
}

/* Is the frame that runs the scope the function was defined in? */
static int
checked_is_scope(PyFrameObject *frame, PyObject *globals, PyObject *qualname)
{
    PyObject *theirs = PyFrame_GetGlobals(frame);
    Py_XDECREF(theirs); /* the frame has it */
    if (theirs != globals) {
        return theirs != NULL ? 0 : -1;
    }
    PyObject *parent = checked_parent(qualname);
    if (parent == NULL) {
        return -1;
    }
    PyCodeObject *code = PyFrame_GetCode(frame);
    int same =
        PyUnicode_GET_LENGTH(parent) == 0
            ? PyUnicode_CompareWithASCIIString(code->co_qualname, "<module>")
                  == 0
            : PyUnicode_Compare(code->co_qualname, parent) == 0;
    Py_DECREF(code);
    Py_DECREF(parent);
    return same;
}

/* new: the names of the scope that is being left for the decorator, where that
 * is the function's own; else no names
 */
static PyObject *
checked_local_names(PyObject *globals, PyObject *qualname)
{
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    int same = frame != NULL ? checked_is_scope(frame, globals, qualname) : 0;
    if (same < 0) {
        return NULL;
    }
    return same ? PyFrame_GetLocals(frame) : PyDict_New();
}

/* Each type parameter by its name. 0, or -1 with an exception */
static int
checked_add_params(PyObject *names, PyObject *params)
{
    int result = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(params) && result == 0; i++) {
        PyObject *param = PyTuple_GET_ITEM(params, i);
        PyObject *name = fe_getattr(param, "__name__");
        result = name != NULL ? PyDict_SetItem(names, name, param) : -1;
        Py_XDECREF(name);
    }
    return result;
}

/* A class and its type parameters. 0, or -1 with an exception */
static int
checked_add_class(PyObject *names, PyObject *cls, PyObject *name)
{
    PyObject *params;
    int result = fe_find_attr(cls, "__type_params__", &params);
    if (result > 0 && PyTuple_Check(params)) {
        result = checked_add_params(names, params);
    }
    Py_XDECREF(params);
    return result < 0 ? -1 : PyDict_SetItem(names, name, cls);
}

/* new: the class a method was defined in, by its own name; no names where
 * `first`, the first argument of the call, is not of it. For classes in
 * functions: of others the module knows by now.
 */
static PyObject *
checked_own_class(PyObject *first, PyObject *qualname)
{
    PyObject *names = PyDict_New();
    PyObject *parent = names != NULL ? checked_parent(qualname) : NULL;
    PyTypeObject *type = first == NULL         ? NULL
                         : PyType_Check(first) ? (PyTypeObject *)first
                                               : Py_TYPE(first);
    PyObject *mro = type != NULL ? Py_XNewRef(type->tp_mro) : NULL;
    Py_ssize_t count = mro != NULL ? PyTuple_GET_SIZE(mro) : 0;
    int result = parent != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; i < count && result == 0; i++) {
        PyTypeObject *cls = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (!PyType_HasFeature(cls, Py_TPFLAGS_HEAPTYPE)) {
            continue;
        }
        PyHeapTypeObject *heap = (PyHeapTypeObject *)cls;
        if (PyUnicode_Compare(heap->ht_qualname, parent) == 0) {
            result = checked_add_class(names, (PyObject *)cls, heap->ht_name);
            break;
        }
    }
    Py_XDECREF(mro);
    Py_XDECREF(parent);
    if (result < 0) {
        Py_CLEAR(names);
    }
    return names;
}

/* new: the names and, in front of them, the type parameters; typing looks at
 * these from 3.12.4 on
 */
static PyObject *
checked_with_params(PyObject *names, PyObject *params)
{
    PyObject *all = PyDict_New();
    int result = all != NULL ? PyDict_Update(all, names) : -1;
    if (result < 0 || checked_add_params(all, params) < 0) {
        Py_CLEAR(all);
    }
    return all;
}

/* borrowed from the scope: the names in front of the globals. Asked for only
 * when there is something to look up: before 3.13 the frame of a function
 * keeps what it has once told of its variables, and with it their values.
 */
static PyObject *
checked_names(checked_scope *scope)
{
    if (scope->locals == NULL) {
        scope->locals =
            scope->first_call
                ? checked_own_class(scope->first, scope->qualname)
                : checked_local_names(scope->globals, scope->qualname);
        if (scope->locals != NULL && PyTuple_GET_SIZE(scope->params) > 0) {
            Py_SETREF(scope->locals,
                      checked_with_params(scope->locals, scope->params));
        }
    }
    return scope->locals;
}

/* The parts of a scope that are there at once. 0, or -1 with an exception */
static int
checked_scope_fill(checked_scope *scope, PyObject *func)
{
    scope->typing = PyImport_ImportModule("typing");
    if (scope->typing == NULL
        || fe_find_attr(func, "__type_params__", &scope->params) < 0) {
        return -1;
    }
    if (scope->params == NULL || !PyTuple_Check(scope->params)) {
        Py_XSETREF(scope->params, PyTuple_New(0));
    }
    scope->globals = PyFunction_Check(func)
                         ? Py_NewRef(PyFunction_GET_GLOBALS(func))
                         : PyDict_New();
    scope->nothing = PyDict_New();
    if (scope->params == NULL || scope->globals == NULL
        || scope->nothing == NULL) {
        return -1;
    }
    scope->qualname = fe_wrap_name(func, "__qualname__");
    return scope->qualname != NULL ? 0 : -1;
}

/* 0, or -1 with an exception; first_call, first: see checked_table_settle */
static int
checked_scope_open(checked_scope *scope, validation_state *state,
                   checked_object *self, bool first_call, PyObject *first)
{
    *scope = (checked_scope){
        .state = state, .first_call = first_call, .first = first};
    PyObject *func = self->head.wrapped != NULL
                         ? checked_innermost(self->head.wrapped)
                         : Py_NewRef(Py_None); /* cleared: fe_wrap_call says */
    if (func == NULL) {
        return -1;
    }
    int filled = checked_scope_fill(scope, func);
    Py_DECREF(func);
    if (filled < 0) {
        checked_scope_clear(scope);
    }
    return filled;
}

/* ---- annotations */

/* new: an object with this annotation alone, for typing.get_type_hints */
static PyObject *
checked_holder(PyObject *annotation)
{
    PyObject *types = PyImport_ImportModule("types");
    PyObject *make =
        types != NULL ? fe_getattr(types, "SimpleNamespace") : NULL;
    PyObject *given =
        make != NULL
            ? Py_BuildValue("{s:{s:O}}", "__annotations__", "it", annotation)
            : NULL;
    PyObject *none = given != NULL ? PyTuple_New(0) : NULL;
    PyObject *holder = none != NULL ? PyObject_Call(make, none, given) : NULL;
    Py_XDECREF(none);
    Py_XDECREF(given);
    Py_XDECREF(make);
    Py_XDECREF(types);
    return holder;
}

/* new: the annotation with strings and names in it resolved */
static PyObject *
checked_resolve(const checked_scope *scope, PyObject *annotation,
                PyObject *locals)
{
    PyObject *holder = checked_holder(annotation);
    PyObject *resolve =
        holder != NULL ? fe_getattr(scope->typing, "get_type_hints") : NULL;
    PyObject *names =
        resolve != NULL ? Py_BuildValue("(s)", "include_extras") : NULL;
    PyObject *hints = NULL, *hint = NULL;
    if (names != NULL) {
        PyObject *const args[] = {holder, scope->globals, locals, Py_True};
        hints = PyObject_Vectorcall(resolve, args, 3, names);
    }
    if (hints != NULL) {
        hint = PyMapping_GetItemString(hints, "it");
    }
    Py_XDECREF(hints);
    Py_XDECREF(names);
    Py_XDECREF(resolve);
    Py_XDECREF(holder);
    return hint;
}

/* May the exception that is set mean that a name will be there later? */
static bool
checked_may_wait(const checked_scope *scope)
{
    return !scope->first_call
           && (PyErr_ExceptionMatches(PyExc_NameError)
               || PyErr_ExceptionMatches(PyExc_AttributeError));
}

/* An error of resolving becomes a TypeError that names the place. */
static void
checked_refuse(const checked_place *place, PyObject *annotation)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)
        || PyErr_ExceptionMatches(PyExc_MemoryError)
        || PyErr_ExceptionMatches(PyExc_RecursionError)) {
        return;
    }
    PyObject *cause = PyErr_GetRaisedException();
    PyErr_Format(PyExc_TypeError, "%U: cannot resolve %R: %S", place->where,
                 annotation, cause);
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
        Py_DECREF(cause);
        return;
    }
    PyObject *error = PyErr_GetRaisedException();
    PyException_SetContext(error, Py_NewRef(cause));
    PyException_SetCause(error, cause);
    PyErr_SetRaisedException(error);
}

/* Is the annotation `typing.<name>` itself? */
static int
checked_is(const checked_scope *scope, PyObject *annotation, const char *name)
{
    PyObject *it;
    int found = fe_find_attr(scope->typing, name, &it);
    Py_XDECREF(it); /* typing has it */
    return found < 0 ? -1 : found > 0 && it == annotation;
}

/* Does it say nothing about a value? Self has no class here; of *args and
 * **kwargs, what describes all of them (P.args, *Ts, Unpack[...]).
 */
static int
checked_says_nothing(const checked_scope *scope, PyObject *annotation,
                     bool of_many)
{
    int self = checked_is(scope, annotation, "Self");
    if (self != 0 || !of_many) {
        return self;
    }
    PyObject *type = (PyObject *)Py_TYPE(annotation);
    int args = checked_is(scope, type, "ParamSpecArgs");
    int kwargs = args == 0 ? checked_is(scope, type, "ParamSpecKwargs") : args;
    if (kwargs != 0) {
        return kwargs;
    }
    PyObject *flag;
    int found = fe_find_attr(annotation, "__unpacked__", &flag);
    if (found > 0) {
        found = PyObject_IsTrue(flag);
        Py_DECREF(flag);
    }
    if (found != 0) {
        return found;
    }
    PyObject *origin = fe_call_method(scope->typing, "get_origin", annotation);
    int unpack = origin != NULL ? checked_is(scope, origin, "Unpack") : -1;
    Py_XDECREF(origin);
    return unpack;
}

/* The default must pass, and as it is: calls do not look at it. */
static int
checked_check_default(const checked_scope *scope, const checked_place *place,
                      struct validate_plan *plan)
{
    PyObject *value = Py_XNewRef(place->default_value);
    if (value == NULL || plan == NULL || validate_quick(plan, value)) {
        Py_XDECREF(value);
        return 0;
    }
    PyObject *where = PyUnicode_FromFormat("default of %U", place->where);
    const validate_path root = {NULL, where, 0};
    PyObject *now =
        where != NULL ? validate_run(scope->state, plan, value, &root) : NULL;
    Py_XDECREF(where);
    int result = now != NULL ? 0 : -1;
    if (now != NULL && now != value) {
        PyErr_Format(PyExc_ValueError,
                     "%U: the default is not what its annotation makes of it",
                     place->where);
        result = -1;
    }
    Py_XDECREF(now);
    Py_DECREF(value);
    return result;
}

/* new: a str in the function's scope; in anything else there are rarely names
 */
static PyObject *
checked_look_up(checked_scope *scope, PyObject *annotation)
{
    if (PyType_Check(annotation)) {
        return Py_NewRef(annotation);
    }
    if (!PyUnicode_Check(annotation)) {
        PyObject *hint = checked_resolve(scope, annotation, scope->nothing);
        if (hint != NULL || !PyErr_ExceptionMatches(PyExc_NameError)) {
            return hint;
        }
        PyErr_Clear(); /* NameError: a name in it, of the scope perhaps */
    }
    PyObject *names = checked_names(scope);
    return names != NULL ? checked_resolve(scope, annotation, names) : NULL;
}

/* new: the annotation resolved; NULL without an exception: it has to wait */
static PyObject *
checked_hint(checked_scope *scope, const checked_place *place)
{
    PyObject *annotation = Py_NewRef(place->annotation);
    PyObject *hint = checked_look_up(scope, annotation);
    if (hint == NULL) {
        if (checked_may_wait(scope)) {
            PyErr_Clear(); /* NameError, AttributeError: not there yet */
        }
        else {
            checked_refuse(place, annotation);
        }
    }
    Py_DECREF(annotation);
    return hint;
}

/* borrowed: the type whose own instances pass whatever they are; NULL: none */
static PyTypeObject *
checked_exact(const struct validate_plan *plan)
{
    bool all = plan->low <= 0 && plan->high >= PY_SSIZE_T_MAX;
    if (plan->quick == VALIDATE_QUICK_INT && all && plan->low == INT64_MIN) {
        return &PyLong_Type;
    }
    if (plan->quick == VALIDATE_QUICK_STR && all) {
        return &PyUnicode_Type;
    }
    return plan->quick == VALIDATE_QUICK_EXACT ? (PyTypeObject *)plan->type
                                               : NULL;
}

/* stolen: plan */
static void
checked_set_plan(checked_place *place, struct validate_plan *plan)
{
    place->plan = plan;
    if (plan == NULL || plan->quick == VALIDATE_QUICK_ANY) {
        return; /* as it is: CHECKED_ANY */
    }
    place->type = checked_exact(plan);
    place->glance = place->type != NULL ? CHECKED_EXACT : CHECKED_OTHER;
    place->low = plan->low;
    place->high = plan->high;
    if (place->type == NULL && plan->quick == VALIDATE_QUICK_INT) {
        place->type = &PyLong_Type;
        place->glance = CHECKED_INT;
    }
    else if (place->type == NULL && plan->quick == VALIDATE_QUICK_STR) {
        place->type = &PyUnicode_Type;
        place->glance = CHECKED_STR;
    }
    else if (plan->quick == VALIDATE_QUICK_NOT && plan->shape == VALIDATE_ITEMS
             && plan->check_count == 0
             && plan->type == (PyObject *)&PyList_Type) {
        place->items = checked_exact(plan->children[0]);
        place->type = place->items != NULL ? &PyList_Type : NULL;
        place->glance = place->items != NULL ? CHECKED_LIST : CHECKED_OTHER;
    }
}

/* place gets its plan. 1; 0: it has to wait; -1 with an exception */
static int
checked_settle_place(checked_scope *scope, checked_place *place, bool of_many)
{
    if (place->annotation == NULL) {
        return 1;
    }
    PyObject *hint = checked_hint(scope, place);
    if (hint == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    struct validate_plan *plan = NULL;
    int nothing = checked_says_nothing(scope, hint, of_many);
    if (nothing == 0) {
        plan = validate_plan_of(scope->state, hint, place->where);
    }
    Py_DECREF(hint);
    if (nothing < 0 || (nothing == 0 && plan == NULL)
        || checked_check_default(scope, place, plan) < 0) {
        Py_XDECREF((PyObject *)plan);
        return -1;
    }
    if (place->annotation == NULL) { /* another thread was faster */
        Py_XDECREF((PyObject *)plan);
        return 1;
    }
    checked_set_plan(place, plan);
    Py_CLEAR(place->annotation);
    Py_CLEAR(place->default_value);
    return 1;
}

/* 1: all have their plans; 0: some wait; -1 with an exception */
static int
checked_settle_all(checked_scope *scope, checked_object *self)
{
    int all = 1;
    for (Py_ssize_t i = 0; i < self->count + CHECKED_MORE; i++) {
        bool of_many = i == self->count + CHECKED_REST
                       || i == self->count + CHECKED_OTHERS;
        int settled = checked_settle_place(scope, &self->places[i], of_many);
        if (settled < 0) {
            return -1;
        }
        all &= settled;
    }
    return all;
}

/* ---- signatures */

enum { ONLY, EITHER, REST, KEYWORD, OTHERS }; /* inspect.Parameter.kind */

/* new list: the parameters; *result: new, the annotation of the result;
 * *empty: new, what stands where there is nothing
 */
static PyObject *
checked_signature(PyObject *func, PyObject **result, PyObject **empty)
{
    PyObject *inspect = PyImport_ImportModule("inspect");
    PyObject *list = NULL, *parameters = NULL, *values = NULL;
    PyObject *signature =
        inspect != NULL ? fe_call_method(inspect, "signature", func) : NULL;
    Py_XDECREF(inspect);
    if (signature == NULL) {
        return NULL;
    }
    *result = fe_getattr(signature, "return_annotation");
    *empty = *result != NULL ? fe_getattr(signature, "empty") : NULL;
    if (*empty != NULL) {
        parameters = fe_getattr(signature, "parameters");
    }
    if (parameters != NULL) {
        values = fe_call_method(parameters, "values", NULL);
    }
    if (values != NULL) {
        list = PySequence_List(values);
    }
    Py_XDECREF(values);
    Py_XDECREF(parameters);
    Py_DECREF(signature);
    if (list == NULL) {
        Py_CLEAR(*result);
        Py_CLEAR(*empty);
    }
    return list;
}

/* What inspect finds no signature of cannot be checked. */
static void
checked_no_signature(PyObject *func)
{
    if (PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear(); /* ValueError: no signature found */
        PyErr_Format(PyExc_TypeError, "checked: %R has no signature", func);
    }
}

/* new: attribute of a parameter; NULL without an exception where it is empty,
 * with *failed otherwise
 */
static PyObject *
checked_part(PyObject *parameter, const char *name, PyObject *empty,
             bool *failed)
{
    PyObject *part = fe_getattr(parameter, name);
    if (part == NULL) {
        *failed = true;
    }
    else if (part == empty) {
        Py_CLEAR(part);
    }
    return part;
}

static int
checked_kind(PyObject *parameter)
{
    PyObject *kind = fe_getattr(parameter, "kind");
    int number = kind != NULL ? (int)PyLong_AsLong(kind) : -1;
    Py_XDECREF(kind);
    return number;
}

/* new: "f() argument 'a'", "f() argument '**kwargs'", "f() result" */
static PyObject *
checked_where(checked_object *self, PyObject *name, int kind)
{
    static const char *const stars[] = {"", "", "*", "", "**"};
    return name == NULL
               ? PyUnicode_FromFormat("%U result", self->called)
               : PyUnicode_FromFormat("%U argument '%s%U'", self->called,
                                      stars[kind], name);
}

static int
checked_read_place(checked_object *self, checked_place *place,
                   PyObject *parameter, int kind, PyObject *empty)
{
    bool failed = false;
    PyObject *name = fe_getattr(parameter, "name");
    if (name == NULL) {
        return -1;
    }
    PyUnicode_InternInPlace(&name);
    place->name = name;
    place->where = checked_where(self, name, kind);
    if (place->where == NULL) {
        return -1;
    }
    place->annotation = checked_part(parameter, "annotation", empty, &failed);
    if (!failed) {
        place->default_value =
            checked_part(parameter, "default", empty, &failed);
    }
    return failed ? -1 : 0;
}

/* Where parameters[i] has its place; counts those before it. */
static checked_place *
checked_next_place(checked_object *self, int kind, Py_ssize_t *named)
{
    if (kind == REST || kind == OTHERS) {
        return &self->more[kind == REST ? CHECKED_REST : CHECKED_OTHERS];
    }
    self->only += kind == ONLY;
    self->positional += kind != KEYWORD;
    return &self->places[(*named)++];
}

/* 0, or -1 with an exception */
static int
checked_read(checked_object *self, PyObject *list, PyObject *empty)
{
    Py_ssize_t named = 0, total = PyList_GET_SIZE(list);
    self->places = PyMem_New(checked_place, (size_t)(total + CHECKED_MORE));
    if (self->places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(self->places, 0,
           (size_t)(total + CHECKED_MORE) * sizeof(checked_place));
    for (Py_ssize_t i = 0; i < total; i++) {
        int kind = checked_kind(PyList_GET_ITEM(list, i));
        if (kind < 0) {
            return -1;
        }
        self->count += kind != REST && kind != OTHERS;
    }
    self->more = self->places + self->count;
    for (Py_ssize_t i = 0; i < total; i++) {
        PyObject *parameter = PyList_GET_ITEM(list, i);
        int kind = checked_kind(parameter);
        if (kind < 0
            || checked_read_place(self, checked_next_place(self, kind, &named),
                                  parameter, kind, empty)
                   < 0) {
            return -1;
        }
    }
    return 0;
}

/* new: "f()" */
static PyObject *
checked_called(PyObject *func)
{
    PyObject *name = fe_wrap_name(func, "__qualname__");
    PyObject *called =
        name != NULL ? PyUnicode_FromFormat("%U()", name) : NULL;
    Py_XDECREF(name);
    return called;
}

/* The places, without plans. 0, or -1 with an exception. */
static int
checked_make(checked_object *self, bool has_result)
{
    PyObject *func = self->head.wrapped, *result = NULL, *empty = NULL;
    self->called = checked_called(func);
    if (self->called == NULL) {
        return -1;
    }
    PyObject *list = checked_signature(func, &result, &empty);
    if (list == NULL) {
        checked_no_signature(func);
        return -1;
    }
    int made = checked_read(self, list, empty);
    if (made == 0 && has_result && result != empty) {
        checked_place *place = &self->more[CHECKED_RESULT];
        place->annotation = Py_NewRef(result);
        place->where = checked_where(self, NULL, 0);
        made = place->where != NULL ? 0 : -1;
    }
    Py_DECREF(list);
    Py_DECREF(result);
    Py_DECREF(empty);
    return made;
}

int
checked_table_fill(validation_state *state, checked_object *self,
                   bool has_result)
{
    checked_scope scope;
    if (checked_make(self, has_result) < 0
        || checked_scope_open(&scope, state, self, false, NULL) < 0) {
        return -1;
    }
    int all = checked_settle_all(&scope, self);
    checked_scope_clear(&scope);
    return all;
}

int
checked_table_settle(validation_state *state, checked_object *self,
                     PyObject *first)
{
    checked_scope scope;
    if (checked_scope_open(&scope, state, self, true, first) < 0) {
        return -1;
    }
    int all = checked_settle_all(&scope, self);
    checked_scope_clear(&scope);
    return all < 0 ? -1 : 0;
}

void
checked_table_drop(checked_object *self)
{
    checked_place *places = self->places;
    Py_ssize_t count = places != NULL ? self->count + CHECKED_MORE : 0;
    self->places = NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_XDECREF(places[i].name);
        Py_XDECREF(places[i].where);
        Py_XDECREF(places[i].annotation);
        Py_XDECREF(places[i].default_value);
        Py_XDECREF((PyObject *)places[i].plan);
    }
    PyMem_Free(places);
    Py_CLEAR(self->called);
}
