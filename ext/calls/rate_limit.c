/* SPDX-License-Identifier: MIT
 *
 * rate_limit: a function that is called at most so often. Here are the
 * decorator, its wrapper and the way straight through it; who has to wait or
 * is refused goes by rate_limit_wait.c.
 */
#include "calls_state.h"

/* ---- calls */

/* Straight through by bounds of the time. What lies between them is lost when
 * a limit is unused: 2 us.
 */
static PyObject *
rate_limit_tp_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                         PyObject *kwnames)
{
    rate_limit_object *self = RATE_LIMIT(op);
    int64_t base, late;
    int64_t early = rate_limit_clock_read(&self->state->rate_limit, &late);
    if (FE_UNLIKELY(!rate_limit_take_between(self->word, self->interval,
                                             self->tolerance, early, late, 0,
                                             &base))) {
        return rate_limit_call_slow(op, args, nargsf, kwnames);
    }
    self->allowed++;
    return fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
}

static PyObject *
call_exactly(PyObject *op, PyObject *const *args, size_t nargsf,
             PyObject *kwnames)
{
    rate_limit_object *self = RATE_LIMIT(op);
    int64_t base;
    if (FE_UNLIKELY(!rate_limit_take(self->word, self->interval,
                                     self->tolerance, fe_clock_now(), 0,
                                     &base))) {
        return rate_limit_call_slow(op, args, nargsf, kwnames);
    }
    self->allowed++;
    return fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
}

/* ---- what both ways use */

static int
refuse_clock(PyObject *value, bool number)
{
    PyErr_Format(number ? PyExc_ValueError : PyExc_TypeError,
                 "rate_limit: clock gave %R, wanted seconds as a finite float",
                 value);
    return -1;
}

/* 0, or -1 with an exception: nanoseconds, rounded down */
static int
nanoseconds_of(PyObject *value, int64_t *raw)
{
    if (!PyFloat_Check(value) && !PyLong_Check(value)) {
        return refuse_clock(value, false);
    }
    double seconds = PyFloat_AsDouble(value);
    if (seconds == -1.0 && PyErr_Occurred()) {
        PyErr_Clear(); /* OverflowError: an int beyond all floats */
        return refuse_clock(value, true);
    }
    double limit = (double)RATE_LIMIT_FAR * 1e-9;
    if (!(seconds > -limit && seconds < limit)) {
        return refuse_clock(value, true);
    }
    int64_t whole = (int64_t)(seconds * 1e9);
    *raw = whole - ((double)whole > seconds * 1e9);
    return 0;
}

/* A clock that steps back stands still for that moment, and goes on from
 * there: what it took back is neither waited for nor given out. But a thread
 * that read it before another and gets here after it saw no step.
 */
static void
advance_clock(rate_limit_side *side, int64_t raw, uint64_t count)
{
    if (side->clock_count == 0) {
        side->clock_raw = side->clock_now = raw;
    }
    else if (raw > side->clock_raw) {
        int64_t step = raw - side->clock_raw;
        side->clock_now = side->clock_now > RATE_LIMIT_TIME_MAX - step
                              ? RATE_LIMIT_TIME_MAX
                              : side->clock_now + step;
        side->clock_raw = raw;
    }
    else if (count == side->clock_count) {
        side->clock_raw = raw;
    }
    side->clock_count++;
}

int
rate_limit_now(rate_limit_object *self, int64_t *now)
{
    rate_limit_side *side = self->side;
    if (FE_LIKELY(side->clock == NULL)) {
        *now = fe_clock_now();
        return 0;
    }
    uint64_t count = side->clock_count;
    PyObject *clock = Py_NewRef(side->clock);
    PyObject *value = PyObject_CallNoArgs(clock);
    Py_DECREF(clock);
    int64_t raw;
    int failed = value == NULL ? -1 : nanoseconds_of(value, &raw);
    Py_XDECREF(value);
    if (failed == 0) {
        advance_clock(side, raw, count);
    }
    *now = side->clock_now;
    return failed;
}

PyObject *
rate_limit_key(rate_limit_object *self, PyObject *const *args, size_t nargsf,
               PyObject *kwnames)
{
    if (self->side->key == NULL) {
        return Py_NewRef(Py_None);
    }
    PyObject *func = Py_NewRef(self->side->key);
    PyObject *key = PyObject_Vectorcall(
        func, args, (size_t)PyVectorcall_NARGS(nargsf), kwnames);
    Py_DECREF(func);
    return key;
}

/* new: a slot for a key that is not in the table yet */
static rate_limit_slot *
make_slot(rate_limit_object *self, PyObject *key)
{
    rate_limit_side *side = self->side;
    rate_limit_rule rule = {self->interval, self->tolerance};
    PyObject *name = NULL, *store = Py_XNewRef(side->store);
    rate_limit_slot *slot = NULL;
    if (store != NULL) {
        name = shared_store_key_name(side->name, key);
    }
    if (store == NULL || name != NULL) {
        slot = rate_limit_slot_new(self->state, store, name, &rule);
    }
    Py_XDECREF(name);
    Py_XDECREF(store);
    return slot;
}

int
rate_limit_find_key(rate_limit_object *self, PyObject *key,
                    rate_limit_slot **slot, int64_t *now)
{
    rate_limit_side *side = self->side;
    rate_limit_slot *fresh = NULL;
    Py_hash_t hash = PyObject_Hash(key);
    if (hash == -1) {
        return -1;
    }
    int found = rate_limit_table_find(&side->table, key, hash, slot);
    if (FE_LIKELY(found != 0)) {
        return found;
    }
    fresh = make_slot(self, key);
    if (fresh == NULL) {
        return -1;
    }
    /* once more: slot and clock may have run code that entered the key */
    rate_limit_entry *dropped = NULL;
    found = rate_limit_now(self, now) < 0
                ? -1
                : rate_limit_table_find(&side->table, key, hash, slot);
    if (found == 0) {
        found = rate_limit_table_add(&side->table, key, hash, fresh, *now,
                                     &dropped);
        if (found > 0) {
            *slot = (rate_limit_slot *)Py_NewRef((PyObject *)fresh);
        }
    }
    rate_limit_entries_free(dropped);
    Py_DECREF(fresh);
    return found;
}

int
rate_limit_find(rate_limit_object *self, PyObject *key, rate_limit_slot **slot,
                int64_t *now)
{
    rate_limit_side *side = self->side;
    for (;;) {
        if (side->key == NULL) {
            if (side->slot == NULL) {
                PyErr_SetString(PyExc_RuntimeError,
                                "rate_limit: the limit has been cleared by "
                                "the garbage collector");
                return -1;
            }
            *slot = (rate_limit_slot *)Py_NewRef((PyObject *)side->slot);
        }
        else {
            int found = rate_limit_find_key(self, key, slot, now);
            if (found <= 0) {
                return found;
            }
        }
        if (rate_limit_now(self, now) < 0) {
            Py_DECREF(*slot);
            return -1;
        }
        /* the user's clock may have run long enough for others to drop it */
        if (FE_LIKELY(!(*slot)->gone)) {
            return 1;
        }
        Py_DECREF(*slot);
    }
}

/* ---- RateLimited */

/* new: "0.25" */
static PyObject *
number_text(double value)
{
    char *text = PyOS_double_to_string(value, 'g', 6, 0, NULL);
    if (text == NULL) {
        return NULL;
    }
    PyObject *result = PyUnicode_FromString(text);
    PyMem_Free(text);
    return result;
}

/* new: what the exception says */
static PyObject *
refusal_text(rate_limit_object *self, double seconds, const char *why)
{
    PyObject *func = self->head.wrapped;
    PyObject *name =
        fe_wrap_name(func != NULL ? func : Py_None, "__qualname__");
    PyObject *rate = number_text(self->side->calls_per_sec);
    PyObject *wait = number_text(seconds);
    PyObject *text = NULL;
    if (name != NULL && rate != NULL && wait != NULL) {
        text = PyUnicode_FromFormat(
            "%U: limited to %U calls per second (burst %lld)%s; retry after "
            "%U s",
            name, rate, (long long)self->side->burst, why, wait);
    }
    Py_XDECREF(name);
    Py_XDECREF(rate);
    Py_XDECREF(wait);
    return text;
}

int
rate_limit_refuse(rate_limit_object *self, PyObject *key, double seconds,
                  const char *why)
{
    PyObject *exc = NULL, *wait = NULL;
    self->side->rejected++;
    PyObject *text = refusal_text(self, seconds, why);
    if (text == NULL) {
        return -1;
    }
    exc = PyObject_CallOneArg(self->state->rate_limited, text);
    wait = PyFloat_FromDouble(seconds);
    if (exc != NULL && wait != NULL
        && PyObject_SetAttrString(exc, "retry_after", wait) == 0
        && PyObject_SetAttrString(exc, "key", key) == 0) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    }
    Py_DECREF(text);
    Py_XDECREF(exc);
    Py_XDECREF(wait);
    return -1;
}

/* ---- making */

static PyObject *
option_ref(PyObject *options, int i)
{
    PyObject *value = PyTuple_GET_ITEM(options, i);
    return value != Py_None ? Py_NewRef(value) : NULL;
}

/* new: module and qualified name, what stores know the function by */
static PyObject *
store_name(PyObject *func)
{
    PyObject *module;
    int found = fe_find_attr(func, "__module__", &module);
    if (found < 0) {
        return NULL;
    }
    if (found == 0) { /* a callable without a module */
        module = Py_NewRef(Py_None);
    }
    PyObject *name = fe_wrap_name(func, "__qualname__"), *result = NULL;
    if (name != NULL) {
        result = PyUnicode_FromFormat("%S.%U", module, name);
    }
    Py_XDECREF(name);
    Py_DECREF(module);
    return result;
}

/* The slot, or what a store of Python's makes of it. 0, or -1 */
static int
connect_store(calls_state *state, rate_limit_object *self, PyObject *func,
              PyObject *options)
{
    rate_limit_side *side = self->side;
    PyObject *store = PyTuple_GET_ITEM(options, RATE_LIMIT_STORE);
    rate_limit_rule rule = {self->interval, self->tolerance};
    if (store != Py_None) {
        side->name = option_ref(options, RATE_LIMIT_NAME);
        if (side->name == NULL) {
            side->name = store_name(func);
        }
        if (side->name == NULL) {
            return -1;
        }
        if (!PyObject_TypeCheck(store, state->shared_store_type)) {
            PyObject *limiter = fe_getattr(store, "limiter");
            if (limiter == NULL) {
                return -1;
            }
            side->limiter = PyObject_CallFunctionObjArgs(
                limiter, side->name,
                PyTuple_GET_ITEM(options, RATE_LIMIT_RATE),
                PyTuple_GET_ITEM(options, RATE_LIMIT_BURST),
                PyTuple_GET_ITEM(options, RATE_LIMIT_MAX),
                self->head.kind == FE_COROUTINE ? Py_True : Py_False, NULL);
            Py_DECREF(limiter);
            return side->limiter != NULL ? 0 : -1;
        }
        side->store = Py_NewRef(store);
    }
    if (side->key == NULL) {
        side->slot =
            rate_limit_slot_new(state, side->store, side->name, &rule);
        if (side->slot == NULL) {
            return -1;
        }
        self->word = side->slot->word;
    }
    return 0;
}

static rate_limit_side *
make_side(rate_limit_object *self, PyObject *options)
{
    rate_limit_side *side = PyMem_Calloc(1, sizeof(rate_limit_side));
    if (side == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    rate_limit_rule rule;
    side->calls_per_sec =
        PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(options, RATE_LIMIT_RATE));
    side->burst =
        PyLong_AsLongLong(PyTuple_GET_ITEM(options, RATE_LIMIT_BURST));
    (void)rate_limit_rule_set(&rule, side->calls_per_sec, side->burst);
    self->interval = rule.interval;
    self->tolerance = rule.tolerance;
    side->waits = PyTuple_GET_ITEM(options, RATE_LIMIT_WAITS) == Py_True;
    side->key = option_ref(options, RATE_LIMIT_KEY);
    side->clock = option_ref(options, RATE_LIMIT_CLOCK);
    side->table.count_max =
        (size_t)PyLong_AsSsize_t(PyTuple_GET_ITEM(options, RATE_LIMIT_MAX));
    side->table.full_until = RATE_LIMIT_IDLE;
    return side;
}

static PyObject *
rate_limit_make(calls_state *state, PyObject *func, PyObject *options)
{
    int kind = fe_wrap_kind(func);
    if (kind < 0) {
        return NULL;
    }
    if (kind == FE_ASYNC_GENERATOR
        && PyTuple_GET_ITEM(options, RATE_LIMIT_WAITS) == Py_True) {
        PyErr_SetString(PyExc_TypeError,
                        "rate_limit: the call of an async generator function "
                        "cannot wait without blocking the event loop; use "
                        "mode='raise'");
        return NULL;
    }
    rate_limit_object *self =
        RATE_LIMIT(fe_wrap_new(state->rate_limit_type, func,
                               rate_limit_tp_vectorcall, (fe_kind)kind));
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    self->side = make_side(self, options);
    if (self->side == NULL || connect_store(state, self, func, options) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (self->side->limiter != NULL) {
        self->head.vectorcall = rate_limit_call_limiter;
    }
    else if (self->side->key != NULL || self->side->clock != NULL) {
        self->head.vectorcall = rate_limit_call_slow;
    }
    else if (self->interval + self->tolerance < RATE_LIMIT_EXACT) {
        self->head.vectorcall = call_exactly;
    }
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static const calls_kind rate_limit_kind = {"rate_limit", rate_limit_make};

/* ---- the decorator */

PyDoc_STRVAR(
    rate_limit__doc__,
    "rate_limit($module, /, calls_per_sec, *, burst=1, key=None, "
    "mode='wait',\n"
    "           store=None, name=None, max_keys=65536, clock=None)\n--\n\n"
    "A decorator: the function is called at most so often.\n\n"
    "Never more than burst + t * calls_per_sec calls come in t seconds. A "
    "call\n"
    "too many waits (mode 'wait'; coroutines without blocking their loop) or\n"
    "raises RateLimited (mode 'raise'). With key, called with the arguments "
    "of\n"
    "the call, each key has a limit of its own; of max_keys at most, idle "
    "ones\n"
    "make room, and while none is idle a new one is refused. store shares "
    "the\n"
    "limit under a name, by default the function's. clock, which gives "
    "seconds,\n"
    "takes the place of the system's.\n\n"
    "Source: the article's section \"Higher-Order Decorators with\n"
    "functools.update_wrapper\".");

static PyObject *
rate_limit(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    calls_state *state = calls_get_state(module);
    PyObject *options = rate_limit_options(state, args, nargs, kwnames);
    if (options == NULL) {
        return NULL;
    }
    PyObject *decorator = wrapper_decorator(state, &rate_limit_kind, options);
    Py_DECREF(options);
    return decorator;
}

static PyMethodDef rate_limit_functions[] = {
    {"rate_limit", FE_METHOD(rate_limit), METH_FASTCALL | METH_KEYWORDS,
     rate_limit__doc__},
    {0},
};

/* ---- the type */

static PyObject *
rate_limit_get_count(PyObject *op, void *which)
{
    const rate_limit_object *self = RATE_LIMIT(op);
    const int64_t counts[] = {self->allowed, self->side->waited,
                              self->side->rejected, self->side->cancelled,
                              self->side->burst};
    return PyLong_FromLongLong(counts[(uintptr_t)which]);
}

static PyObject *
rate_limit_get_calls_per_sec(PyObject *op, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(RATE_LIMIT(op)->side->calls_per_sec);
}

static PyObject *
rate_limit_get_mode(PyObject *op, void *Py_UNUSED(closure))
{
    return PyUnicode_InternFromString(RATE_LIMIT(op)->side->waits ? "wait"
                                                                  : "raise");
}

static PyGetSetDef rate_limit_getset[] = {
    {"calls_per_sec", rate_limit_get_calls_per_sec, NULL,
     FE_TEXT("The rate, as a float."), NULL},
    {"mode", rate_limit_get_mode, NULL,
     FE_TEXT("'wait' or 'raise': what happens to a call too many."), NULL},
    {"allowed", rate_limit_get_count, NULL,
     FE_TEXT("How many calls were let through, at once or after a wait."),
     (void *)0},
    {"waited", rate_limit_get_count, NULL,
     FE_TEXT("How many of those had to wait."), (void *)1},
    {"rejected", rate_limit_get_count, NULL,
     FE_TEXT("How many calls were refused."), (void *)2},
    {"cancelled", rate_limit_get_count, NULL,
     FE_TEXT("How many calls ended while they waited."), (void *)3},
    {"burst", rate_limit_get_count, NULL,
     FE_TEXT("How many calls may come at once."), (void *)4},
    {0},
};

PyDoc_STRVAR(
    rate_limit_retry_after__doc__,
    "retry_after($self, /, *args, **kwargs)\n--\n\n"
    "Seconds until a call with these arguments would go through; 0.0: now.\n\n"
    "Only key looks at the arguments. Nothing is taken.");

static PyObject *
rate_limit_retry_after(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    rate_limit_object *self = RATE_LIMIT(op);
    double seconds;
    PyObject *key = rate_limit_key(self, args, (size_t)nargs, kwnames);
    if (key == NULL) {
        return NULL;
    }
    int failed = rate_limit_peek(self, key, &seconds);
    Py_DECREF(key);
    return failed < 0 ? NULL : PyFloat_FromDouble(seconds);
}

PyDoc_STRVAR(rate_limit_try_acquire__doc__,
             "try_acquire($self, /, *args, **kwargs)\n--\n\n"
             "Take the permit of a call with these arguments: True, or False "
             "if it would\nhave to wait. The function is not called.");

static PyObject *
rate_limit_try_acquire(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    rate_limit_object *self = RATE_LIMIT(op);
    double seconds;
    PyObject *key = rate_limit_key(self, args, (size_t)nargs, kwnames);
    if (key == NULL) {
        return NULL;
    }
    int taken = rate_limit_try(self, key, &seconds);
    Py_DECREF(key);
    if (taken < 0) {
        return NULL;
    }
    self->allowed += taken;
    self->side->rejected += !taken;
    return PyBool_FromLong(taken);
}

PyDoc_STRVAR(rate_limit_reset__doc__,
             "reset($self, /)\n--\n\n"
             "Forget all calls there were, and count from 0 again.\n\n"
             "In a store, for everybody who shares the name.");

static PyObject *
rate_limit_reset(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    rate_limit_object *self = RATE_LIMIT(op);
    rate_limit_side *side = self->side;
    if (side->limiter != NULL) {
        PyObject *done = rate_limit_reset_limiter(self);
        if (done == NULL) {
            return NULL;
        }
        Py_DECREF(done);
    }
    if (side->slot != NULL) {
        rate_limit_slot_reset(side->slot);
    }
    for (size_t i = 0; i < side->table.capacity; i++) {
        if (side->table.entries[i].key != NULL) {
            rate_limit_slot_reset(side->table.entries[i].slot);
        }
    }
    self->allowed = 0;
    side->waited = side->rejected = side->cancelled = 0;
    rate_limit_table_clear(&side->table);
    Py_RETURN_NONE;
}

static PyMethodDef rate_limit_methods[] = {
    {"retry_after", FE_METHOD(rate_limit_retry_after),
     METH_FASTCALL | METH_KEYWORDS, rate_limit_retry_after__doc__},
    {"try_acquire", FE_METHOD(rate_limit_try_acquire),
     METH_FASTCALL | METH_KEYWORDS, rate_limit_try_acquire__doc__},
    {"reset", rate_limit_reset, METH_NOARGS, rate_limit_reset__doc__},
    {0},
};

static int
rate_limit_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    rate_limit_side *side = RATE_LIMIT(op)->side;
    if (side != NULL) {
        Py_VISIT(side->key);
        Py_VISIT(side->clock);
        Py_VISIT(side->limiter);
        int stop = rate_limit_table_traverse(&side->table, visit, arg);
        if (stop != 0) {
            return stop;
        }
    }
    return fe_wrap_traverse(FE_WRAP(op), visit, arg);
}

/* The slot stays: the way straight through does not ask for it. */
static int
rate_limit_tp_clear(PyObject *op)
{
    rate_limit_side *side = RATE_LIMIT(op)->side;
    if (side != NULL) {
        Py_CLEAR(side->key);
        Py_CLEAR(side->clock);
        Py_CLEAR(side->limiter);
        rate_limit_table_clear(&side->table);
    }
    return fe_wrap_clear(FE_WRAP(op));
}

/* The object goes first: weak references to it are dead before other code
 * runs.
 */
static void
rate_limit_free(PyObject *op)
{
    rate_limit_side *side = RATE_LIMIT(op)->side;
    fe_wrap_free(FE_WRAP(op));
    if (side != NULL) {
        rate_limit_table_clear(&side->table);
        Py_XDECREF(side->key);
        Py_XDECREF(side->clock);
        Py_XDECREF(side->limiter);
        Py_XDECREF(side->store);
        Py_XDECREF(side->name);
        Py_XDECREF(side->slot);
        PyMem_Free(side);
    }
}

static void
rate_limit_tp_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, rate_limit_tp_dealloc) rate_limit_free(op);
    Py_TRASHCAN_END
}

PyDoc_STRVAR(rate_limit_type__doc__,
             "A function that is called at most so often: see rate_limit.");

static PyType_Slot rate_limit_slots[] = {
    {Py_tp_dealloc, FE_SLOT(rate_limit_tp_dealloc)},
    {Py_tp_traverse, FE_SLOT(rate_limit_tp_traverse)},
    {Py_tp_clear, FE_SLOT(rate_limit_tp_clear)},
    {Py_tp_methods, rate_limit_methods},
    {Py_tp_getset, rate_limit_getset},
    {Py_tp_doc, FE_TEXT(rate_limit_type__doc__)},
    {0, NULL},
};

static PyType_Spec rate_limit_spec = {
    .name = "ferrule.calls.RateLimit",
    .basicsize = sizeof(rate_limit_object),
    .flags = FE_WRAP_FLAGS,
    .slots = rate_limit_slots,
};

PyDoc_STRVAR(
    rate_limited__doc__,
    "Raised instead of a call that would come too soon.\n\n"
    "retry_after: seconds until one would go through; key: the call's, or "
    "None.");

/* new: the exception's class, whose instances have these attributes always */
static PyObject *
make_exception(void)
{
    PyObject *space =
        Py_BuildValue("{s:d,s:O}", "retry_after", 0.0, "key", Py_None);
    if (space == NULL) {
        return NULL;
    }
    PyObject *type = PyErr_NewExceptionWithDoc(
        "ferrule.calls.RateLimited", rate_limited__doc__, NULL, space);
    Py_DECREF(space);
    return type;
}

int
rate_limit_register(PyObject *module, calls_state *state)
{
    state->rate_limited = make_exception();
    state->rate_limit_slot_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &rate_limit_slot_spec, NULL);
    state->shared_store_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &shared_store_spec, NULL);
    if (state->rate_limited == NULL || state->rate_limit_slot_type == NULL
        || state->shared_store_type == NULL) {
        return -1;
    }
    state->rate_limit_type = wrapper_subtype(module, state, &rate_limit_spec);
    if (state->rate_limit_type == NULL
        || PyModule_AddType(module, state->shared_store_type) < 0
        || PyModule_AddObjectRef(module, "RateLimited", state->rate_limited)
               < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, rate_limit_functions);
}
