/* SPDX-License-Identifier: MIT
 *
 * cache: the decorator, and what a call does. The table, threads that wait,
 * instances and coroutines have files of their own.
 */
#include "calls_state.h"
#include "args.h"
#include "fork.h"

/* ----------------------------------------------------------------- calls */

typedef struct {
    cache_object *self;
    cache_instance *holder; /* whose table it is, or NULL: self's */
    cache_table *table;
    PyObject *const *args;
    size_t nargsf;
    PyObject *kwnames;
    cache_key key;
} cache_call;

/* The depth is counted as for functools' cache: twice for each call. */
static PyObject *
cache_compute(const cache_object *self, PyObject *const *args, size_t nargsf,
              PyObject *kwnames)
{
    if (Py_EnterRecursiveCall(" while calling a cached function")) {
        return NULL;
    }
    PyObject *result = fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    Py_LeaveRecursiveCall();
    return result;
}

/* new: computed without a flight. What is there when it is done stays. */
static PyObject *
cache_call_alone(const cache_call *call)
{
    cache_object *self = call->self;
    cache_table *table = call->table;
    cache_entry *entry, *gone = NULL;
    double now;
    uint64_t epoch = table->epoch;
    self->misses++;
    PyObject *value =
        cache_compute(self, call->args, call->nargsf, call->kwnames);
    if (value == NULL) {
        return NULL;
    }
    int found = cache_now(self, &now);
    if (found == 0 && table->epoch == epoch) {
        found = cache_table_find(table, &call->key, &entry);
    }
    if (found == 0 && table->epoch == epoch) {
        entry = cache_table_add(table, &call->key);
        found = entry != NULL ? 1 : -1;
        if (entry != NULL) {
            entry->refs--; /* the table's stays */
        }
    }
    if (found < 0) {
        Py_DECREF(value);
        return NULL;
    }
    if (table->epoch == epoch && entry->status == CACHE_PENDING) {
        cache_flight *flight = entry->as.by.flight;
        cache_table_done(self, table, entry, Py_NewRef(value), now, &gone);
        cache_flight_end(flight, value);
        cache_entries_release(gone);
    }
    return value;
}

/* The computation of an entry has ended, with a value or an exception. */
static void
cache_call_end(const cache_call *call, cache_entry *entry_steal,
               PyObject *value, double now)
{
    cache_entry *entry = entry_steal, *gone = NULL;
    cache_flight *flight = NULL;
    if (entry->status == CACHE_PENDING
        && entry->as.by.thread == PyThread_get_thread_ident()) {
        flight = entry->as.by.flight;
        entry->as.by.flight = NULL;
        if (entry->in_table && value != NULL) {
            cache_table_done(call->self, call->table, entry, Py_NewRef(value),
                             now, &gone);
        }
        else if (entry->in_table) {
            cache_table_take(call->table, entry);
            entry->refs--;
        }
    }
    cache_flight_end(flight, value);
    cache_entries_release(gone);
    cache_entry_release(entry);
}

/* new: computed by this thread, for all who come meanwhile */
static PyObject *
cache_call_lead(const cache_call *call, cache_entry *entry_steal)
{
    cache_object *self = call->self;
    double now = 0.0;
    entry_steal->as.by.thread = PyThread_get_thread_ident();
    self->misses++;
    PyObject *value =
        cache_compute(self, call->args, call->nargsf, call->kwnames);
    if (value != NULL && cache_now(self, &now) < 0) {
        Py_CLEAR(value);
    }
    cache_call_end(call, entry_steal, value, now);
    return value;
}

/* new: of the thread that computes the entry. *again: look once more */
static PyObject *
cache_call_pending(const cache_call *call, cache_entry *entry, bool *again)
{
    cache_object *self = call->self;
    PyObject *value = NULL;
    *again = false;
    if (!self->single_flight
        || entry->as.by.thread == PyThread_get_thread_ident()) {
        return cache_call_alone(call);
    }
    if (entry->fork != fe_fork_depth) { /* by a thread of a parent process */
        entry->fork = fe_fork_depth;
        entry->as.by.flight = NULL; /* its lock is in no known state */
        entry->refs++;
        return cache_call_lead(call, entry);
    }
    calls_state *state = calls_state_of((PyObject *)self);
    if (state == NULL) {
        return NULL;
    }
    switch (cache_flight_wait(&state->cache_waits, entry, &value)) {
    case CACHE_WAIT_VALUE:
        self->hits++;
        break;
    case CACHE_WAIT_ERROR:
        self->misses++;
        break;
    case CACHE_WAIT_AGAIN:
        *again = true;
        break;
    case CACHE_WAIT_ALONE:
        return cache_call_alone(call);
    case CACHE_WAIT_FAILED:
        break;
    }
    return value;
}

/* new: an awaitable. entry is pending, or NULL: there is none yet */
static PyObject *
cache_call_async(const cache_call *call, cache_entry *entry)
{
    calls_state *state = calls_state_of((PyObject *)call->self);
    if (state == NULL) {
        return NULL;
    }
    if (entry != NULL) {
        entry->refs++;
    }
    else {
        entry = cache_table_add(call->table, &call->key);
    }
    return entry != NULL ? cache_fly(state, call->self, call->holder, entry,
                                     call->args, call->nargsf, call->kwnames)
                         : NULL;
}

/* new: what there was. entry is done */
static PyObject *
cache_call_hit(const cache_call *call, cache_entry *entry)
{
    cache_object *self = call->self;
    self->hits++;
    cache_touch(self, call->table, entry);
    if (FE_LIKELY(self->head.kind != FE_COROUTINE)) {
        return Py_NewRef(entry->value);
    }
    calls_state *state = calls_state_of((PyObject *)self);
    return state != NULL ? cache_ready_new(state, entry->value) : NULL;
}

/* new: the result of a call whose key has its hash */
static PyObject *
cache_call_look_up(const cache_call *call)
{
    cache_object *self = call->self;
    bool again = true;
    PyObject *result = NULL;
    while (again) {
        cache_entry *entry;
        double now;
        if (cache_now(self, &now) < 0) {
            return NULL;
        }
        int found = cache_table_find(call->table, &call->key, &entry);
        if (found < 0) {
            return NULL;
        }
        if (found && entry->status == CACHE_DONE) {
            if (cache_is_fresh(self, entry, now)) {
                return cache_call_hit(call, entry);
            }
            cache_table_take(call->table, entry);
            cache_entry_release(entry);
            continue; /* letting go of it may have changed the table */
        }
        if (self->head.kind == FE_COROUTINE) {
            return cache_call_async(call, found ? entry : NULL);
        }
        if (found) {
            result = cache_call_pending(call, entry, &again);
            continue;
        }
        if (!self->single_flight) {
            return cache_call_alone(call);
        }
        entry = cache_table_add(call->table, &call->key);
        return entry != NULL ? cache_call_lead(call, entry) : NULL;
    }
    return result;
}

/* The exception of an unhashable argument says of which function. */
static void
cache_add_note(const cache_object *self)
{
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
        return;
    }
    PyObject *error = PyErr_GetRaisedException();
    PyObject *name = fe_wrap_name(self->head.wrapped, "__qualname__");
    PyObject *note =
        name != NULL
            ? PyUnicode_FromFormat(
                  "in a call of %U, which is cached by its arguments", name)
            : NULL;
    PyObject *done =
        note != NULL ? fe_call_method(error, "add_note", note) : NULL;
    PyErr_Clear(); /* whatever it was: the error itself matters more */
    Py_XDECREF(name);
    Py_XDECREF(note);
    Py_XDECREF(done);
    PyErr_SetRaisedException(error);
}

static FE_NOINLINE PyObject *
cache_call_any(cache_object *self, PyObject *const *args, size_t nargsf,
               PyObject *kwnames)
{
    bool method = self->head.in_class && self->per_instance;
    Py_ssize_t given = PyVectorcall_NARGS(nargsf);
    if (kwnames != NULL && PyTuple_GET_SIZE(kwnames) == 0) {
        kwnames = NULL;
    }
    if (self->maxsize == 0 || (method && given == 0)) {
        self->misses++;
        return cache_compute(self, args, nargsf, kwnames);
    }
    cache_call call = {self, NULL, &self->table, args, nargsf, kwnames, {0}};
    call.key = (cache_key){
        .values = args + method,
        .kwnames = kwnames,
        .count =
            given - method + (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0),
        .typed = self->typed,
    };
    call.key.bare = call.key.count == 1 && kwnames == NULL && !self->typed
                    && (PyLong_CheckExact(call.key.values[0])
                        || PyUnicode_CheckExact(call.key.values[0]));
    if (method) {
        call.holder = cache_instance_find(self, args[0]);
        Py_XINCREF(call.holder);
        if (call.holder == NULL) {
            calls_state *state = calls_state_of((PyObject *)self);
            call.holder =
                state != NULL ? cache_instance_of(state, self, args[0]) : NULL;
        }
        if (call.holder == NULL) {
            return NULL;
        }
        call.table = &call.holder->table;
    }
    PyObject *result = NULL;
    if (cache_key_hash(&call.key) < 0) {
        cache_add_note(self);
    }
    else {
        result = cache_call_look_up(&call);
    }
    Py_XDECREF(call.holder);
    return result;
}

/* borrowed: the value for one exact int or str, or NULL */
FE_INLINE PyObject *
cache_hit_bare(cache_object *self, PyObject *arg)
{
    cache_table *table = &self->table;
    int64_t number = 0;
    Py_hash_t hash;
    bool text = PyUnicode_CheckExact(arg);
    if (text) {
        hash = ((PyASCIIObject *)arg)->hash;
    }
    else if (PyLong_CheckExact(arg) && fe_long_in_place(arg, &number)) {
        hash = (Py_hash_t)number;
    }
    else {
        return NULL;
    }
    if (table->slots == NULL) {
        return NULL;
    }
    size_t mask = ((size_t)1 << table->bits) - 1;
    size_t at = cache_home(table, hash);
    for (;; at = (at + 1) & mask) {
        cache_entry *entry = table->slots[at].entry;
        if (entry == NULL) {
            return NULL;
        }
        if (table->slots[at].hash != hash || !entry->bare) {
            continue;
        }
        if (entry->key[0] != arg) {
            /* other ints and strs with this hash are for the general way */
            int64_t other;
            if (text || !PyLong_CheckExact(entry->key[0])
                || !fe_long_in_place(entry->key[0], &other)
                || other != number) {
                return NULL;
            }
        }
        if (entry->status != CACHE_DONE) {
            return NULL;
        }
        cache_touch(self, table, entry);
        return entry->value;
    }
}

static PyObject *
cache_tp_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                    PyObject *kwnames)
{
    cache_object *self = CACHE(op);
    if (PyVectorcall_NARGS(nargsf) == 1 && kwnames == NULL && self->quick
        && !(self->head.in_class && self->per_instance)) {
        PyObject *value = cache_hit_bare(self, args[0]);
        if (FE_LIKELY(value != NULL)) {
            self->hits++;
            return Py_NewRef(value);
        }
    }
    return cache_call_any(self, args, nargsf, kwnames);
}

/* --------------------------------------------------------------- methods */

/* new: CacheInfo, which is Python's */
static PyObject *
cache_info_class(calls_state *state)
{
    if (state->cache_info_class == NULL) {
        PyObject *module = PyImport_ImportModule("ferrule.calls._cache_info");
        if (module == NULL) {
            return NULL;
        }
        PyObject *found = fe_getattr(module, "CacheInfo");
        Py_DECREF(module);
        if (found == NULL) {
            return NULL;
        }
        Py_XSETREF(state->cache_info_class, found);
    }
    return Py_NewRef(state->cache_info_class);
}

PyDoc_STRVAR(
    cache_cache_info__doc__,
    "cache_info($self, /)\n--\n\n"
    "CacheInfo(hits, misses, maxsize, currsize): a named tuple.\n\n"
    "Every call whose arguments could be hashed is a hit or a miss. A call\n"
    "that shared the result of another that ran is a hit. Of a method: the\n"
    "sum over its instances, while maxsize is for each.");

static PyObject *
cache_cache_info(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    cache_object *self = CACHE(op);
    calls_state *state = calls_state_of(op);
    PyObject *class = state != NULL ? cache_info_class(state) : NULL;
    if (class == NULL) {
        return NULL;
    }
    PyObject *maxsize = self->maxsize < 0 ? Py_NewRef(Py_None)
                                          : PyLong_FromSsize_t(self->maxsize);
    PyObject *info =
        maxsize == NULL
            ? NULL
            : PyObject_CallFunction(class, "LLNn", (long long)self->hits,
                                    (long long)self->misses, maxsize,
                                    self->table.live + cache_map_live(self));
    Py_DECREF(class);
    return info;
}

PyDoc_STRVAR(cache_cache_clear__doc__,
             "cache_clear($self, /)\n--\n\n"
             "Forget all results and begin to count anew.\n\n"
             "What is being computed meanwhile goes to those who wait for it "
             "and is not kept.");

static PyObject *
cache_cache_clear(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    cache_object *self = CACHE(op);
    self->hits = self->misses = 0;
    cache_map_clear(self);
    cache_table_clear(&self->table);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(cache_cache_parameters__doc__,
             "cache_parameters($self, /)\n--\n\n"
             "A new dict of maxsize and typed; and ttl, if there is one.");

static PyObject *
cache_cache_parameters(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    cache_object *self = CACHE(op);
    PyObject *maxsize = self->maxsize < 0 ? Py_NewRef(Py_None)
                                          : PyLong_FromSsize_t(self->maxsize);
    if (maxsize == NULL) {
        return NULL;
    }
    PyObject *typed = self->typed ? Py_True : Py_False;
    if (self->ttl == CACHE_NO_TTL) {
        return Py_BuildValue("{sNsO}", "maxsize", maxsize, "typed", typed);
    }
    return Py_BuildValue("{sNsOsd}", "maxsize", maxsize, "typed", typed, "ttl",
                         self->ttl);
}

/* -------------------------------------------------------------- the type */

static int
cache_tp_traverse(cache_object *self, visitproc visit, void *arg)
{
    Py_VISIT(self->clock);
    int stop = cache_table_traverse(&self->table, visit, arg);
    if (stop == 0) {
        stop = cache_map_traverse(self, visit, arg);
    }
    return stop != 0 ? stop : fe_wrap_traverse(&self->head, visit, arg);
}

static int
cache_tp_clear(cache_object *self)
{
    Py_CLEAR(self->clock);
    cache_map_clear(self);
    cache_table_clear(&self->table);
    return fe_wrap_clear(&self->head);
}

static void
cache_tp_dealloc(cache_object *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, cache_tp_dealloc) Py_CLEAR(self->clock);
    cache_map_clear(self);
    cache_table_clear(&self->table);
    fe_wrap_free(&self->head);
    Py_TRASHCAN_END
}

PyDoc_STRVAR(
    cache_object__doc__,
    "A function that remembers its results: see ferrule.calls.cache.");

static PyMethodDef cache_methods[] = {
    {"cache_info", cache_cache_info, METH_NOARGS, cache_cache_info__doc__},
    {"cache_clear", cache_cache_clear, METH_NOARGS, cache_cache_clear__doc__},
    {"cache_parameters", cache_cache_parameters, METH_NOARGS,
     cache_cache_parameters__doc__},
    {0},
};

static PyType_Slot cache_slots[] = {
    {Py_tp_dealloc, FE_SLOT(cache_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(cache_tp_traverse)},
    {Py_tp_clear, FE_SLOT(cache_tp_clear)},
    {Py_tp_methods, cache_methods},
    {Py_tp_doc, FE_TEXT(cache_object__doc__)},
    {0, NULL},
};

static PyType_Spec cache_spec = {
    .name = "ferrule.calls.Cache",
    .basicsize = sizeof(cache_object),
    .flags = FE_WRAP_FLAGS,
    .slots = cache_slots,
};

/* ---------------------------------------------------------- the decorator */

enum {
    MAXSIZE,
    TYPED,
    TTL,
    PER_INSTANCE,
    SINGLE_FLIGHT,
    CLOCK,
    CACHE_OPTIONS
};

/* What is made once is used up the first time it is read. */
static int
cache_check_kind(PyObject *func)
{
    int kind = fe_wrap_kind(func);
    if (kind != FE_GENERATOR && kind != FE_ASYNC_GENERATOR) {
        return kind;
    }
    PyObject *name = fe_wrap_name(func, "__qualname__");
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "cache: wanted a function or a coroutine function, got "
                     "%s function %U: what it makes can be iterated once only",
                     kind == FE_GENERATOR ? "the generator"
                                          : "the async generator",
                     name);
        Py_DECREF(name);
    }
    return -1;
}

/* options: a tuple that cache_options made */
static PyObject *
cache_make(calls_state *state, PyObject *func, PyObject *options)
{
    int kind = cache_check_kind(func);
    if (kind < 0) {
        return NULL;
    }
    cache_object *self = CACHE(fe_wrap_new(
        state->cache_type, func, cache_tp_vectorcall, (fe_kind)kind));
    if (self == NULL) {
        return NULL;
    }
    PyObject *const *option = ((PyTupleObject *)options)->ob_item;
    /* cannot fail: they were read before */
    self->maxsize = option[MAXSIZE] == Py_None
                        ? CACHE_NO_LIMIT
                        : PyLong_AsSsize_t(option[MAXSIZE]);
    self->ttl =
        option[TTL] == Py_None ? CACHE_NO_TTL : PyFloat_AS_DOUBLE(option[TTL]);
    self->typed = option[TYPED] == Py_True;
    self->per_instance = option[PER_INSTANCE] == Py_True;
    self->single_flight = option[SINGLE_FLIGHT] == Py_True;
    self->clock = option[CLOCK] != Py_None ? Py_NewRef(option[CLOCK]) : NULL;
    self->quick = !self->typed && self->ttl == CACHE_NO_TTL
                  && self->maxsize != 0 && kind != FE_COROUTINE;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static const calls_kind cache_kind = {"cache", cache_make};

/* new: an int that is at least 0, or None */
static PyObject *
cache_option_maxsize(PyObject *value)
{
    if (value == Py_None) {
        return Py_NewRef(value);
    }
    if (!PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError,
                        "Expected first argument to be an integer, a "
                        "callable, or None");
        return NULL;
    }
    Py_ssize_t size = PyLong_AsSsize_t(value);
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyLong_FromSsize_t(size < 0 ? 0 : size);
}

/* new: a float above 0, or None */
static PyObject *
cache_option_ttl(PyObject *value)
{
    if (value == Py_None) {
        return Py_NewRef(value);
    }
    double seconds = PyFloat_AsDouble(value);
    if (seconds == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError,
                         "cache: ttl must be a number of seconds or None, got "
                         "%.200s",
                         Py_TYPE(value)->tp_name);
        }
        return NULL;
    }
    if (!(seconds > 0.0)) {
        return PyErr_Format(PyExc_ValueError,
                            "cache: ttl must be above 0, got %R", value);
    }
    return PyFloat_FromDouble(seconds);
}

/* new: True or False */
static PyObject *
cache_option_bool(PyObject *value)
{
    int yes = PyObject_IsTrue(value);
    return yes < 0 ? NULL : PyBool_FromLong(yes);
}

static PyObject *
cache_option_clock(PyObject *value)
{
    if (value != Py_None && !PyCallable_Check(value)) {
        return PyErr_Format(PyExc_TypeError,
                            "cache: clock must be callable or None, got "
                            "%.200s",
                            Py_TYPE(value)->tp_name);
    }
    return Py_NewRef(value);
}

/* new: a tuple of what cache_make reads */
static PyObject *
cache_options(PyObject *const *values)
{
    static PyObject *(*const read[CACHE_OPTIONS])(PyObject *) = {
        [MAXSIZE] = cache_option_maxsize,
        [TYPED] = cache_option_bool,
        [TTL] = cache_option_ttl,
        [PER_INSTANCE] = cache_option_bool,
        [SINGLE_FLIGHT] = cache_option_bool,
        [CLOCK] = cache_option_clock,
    };
    PyObject *options = PyTuple_New(CACHE_OPTIONS);
    for (int i = 0; options != NULL && i < CACHE_OPTIONS; i++) {
        PyObject *value = read[i](values[i]);
        if (value == NULL) {
            Py_CLEAR(options);
            break;
        }
        PyTuple_SET_ITEM(options, i, value);
    }
    return options;
}

PyDoc_STRVAR(
    cache__doc__,
    "cache($module, /, maxsize=128, typed=False, *, ttl=None, "
    "per_instance=True,\n"
    "      single_flight=True, clock=None)\n--\n\n"
    "Remember the results of a function by its arguments.\n\n"
    "@cache alone, or cache(func): without a limit, as functools.cache.\n"
    "@cache(maxsize=128, typed=False): the least recently used go, as in\n"
    "functools.lru_cache, with the same keys, cache_info, cache_clear and\n"
    "cache_parameters. None: no limit; 0: nothing is kept.\n\n"
    "ttl            seconds a result is good for, by clock() (monotonic "
    "time)\n"
    "per_instance   methods: results for each instance by identity, up to\n"
    "               maxsize each; they go with it and do not keep it alive\n"
    "single_flight  threads, and tasks of one event loop, that want the same\n"
    "               result at once compute it once; an exception goes to all\n"
    "               that wait, and is not kept\n\n"
    "Of a coroutine function what it returns is kept. TypeError for "
    "generator\n"
    "functions, for what cannot be called or hashed, and for instances that\n"
    "cannot be weakly referenced; ValueError for a ttl that is not above 0.\n"
    "Source: the articles' section \"functools Deep Dive\".");

static PyObject *
cache(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
      PyObject *kwnames)
{
    static const char *const names[] = {
        "maxsize",       "typed", "ttl", "per_instance",
        "single_flight", "clock", NULL};
    static const fe_sig sig = {"cache", names, 2, 0};
    PyObject *values[CACHE_OPTIONS];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    calls_state *state = calls_get_state(module);
    PyObject *func = values[MAXSIZE], *made;
    if (func == NULL
        || !(PyCallable_Check(func)
             || PyObject_TypeCheck(func, &PyClassMethod_Type))) {
        func = NULL;
    }
    PyObject *standard = PyLong_FromLong(128);
    if (standard == NULL) {
        return NULL;
    }
    PyObject *const defaults[CACHE_OPTIONS] = {standard, Py_False, Py_None,
                                               Py_True,  Py_True,  Py_None};
    for (int i = 0; i < CACHE_OPTIONS; i++) {
        values[i] = values[i] != NULL ? values[i] : defaults[i];
    }
    values[MAXSIZE] = func != NULL ? Py_None : values[MAXSIZE];
    PyObject *options = cache_options(values);
    Py_DECREF(standard);
    if (options == NULL) {
        return NULL;
    }
    made = func != NULL ? wrapper_decorate(state, &cache_kind, func, options)
                        : wrapper_decorator(state, &cache_kind, options);
    Py_DECREF(options);
    return made;
}

static PyMethodDef cache_functions[] = {
    {"cache", FE_METHOD(cache), METH_FASTCALL | METH_KEYWORDS, cache__doc__},
    {0},
};

int
cache_register(PyObject *module, calls_state *state)
{
    if (fe_fork_watch() < 0) {
        return -1;
    }
    state->cache_type = wrapper_subtype(module, state, &cache_spec);
    state->cache_instance_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &cache_instance_spec, NULL);
    state->cache_ready_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &cache_ready_spec, NULL);
    state->cache_ticket_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &cache_ticket_spec, NULL);
    if (state->cache_type == NULL || state->cache_instance_type == NULL
        || state->cache_ready_type == NULL
        || state->cache_ticket_type == NULL) {
        return -1;
    }
    return PyModule_AddFunctions(module, cache_functions);
}
