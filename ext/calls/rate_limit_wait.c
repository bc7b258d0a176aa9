/* SPDX-License-Identifier: MIT
 *
 * rate_limit: calls that do not go straight through. They have a key or a
 * clock of the user's, they wait, or they are refused. A permit is taken first
 * and waited for then; who does not wait to the end hands it back.
 */
#include "calls_state.h"

/* A permit that has been taken. */
typedef struct {
    rate_limit_slot *slot; /* owned */
    int64_t base;
    uint32_t epoch; /* of the slot, when it was taken */
} permit;

static double
seconds_of(uint64_t nanoseconds)
{
    return (double)nanoseconds * 1e-9;
}

/* Take a permit: first what goes at once, then what was handed back, then the
 * end of the queue.
 */
static bool
take(rate_limit_object *self, rate_limit_slot *slot, int64_t now,
     int64_t patience, permit *given)
{
    int64_t *word = slot->word;
    given->slot = slot;
    given->epoch = slot->epoch;
    return rate_limit_take(word, self->interval, self->tolerance, now, 0,
                           &given->base)
           || (patience > 0
               && (rate_limit_spare_take(&slot->spare, now, &given->base)
                   || rate_limit_take(word, self->interval, self->tolerance,
                                      now, patience, &given->base)));
}

/* An exception may be set, so a clock of the user's is not asked again. */
static void
give_back(rate_limit_object *self, const permit *given)
{
    rate_limit_slot *slot = given->slot;
    int64_t now =
        self->side->clock == NULL ? fe_clock_now() : self->side->clock_now;
    self->side->cancelled++;
    if (slot->epoch == given->epoch) {
        rate_limit_give_back(&slot->spare, slot->word, self->interval,
                             given->base, now);
    }
}

/* Take a permit for the key, its time up to `patience` off. 1: *given; 0: none
 * but in *wait nanoseconds; -1: exception
 */
static int
acquire(rate_limit_object *self, PyObject *key, int64_t patience,
        permit *given, uint64_t *wait)
{
    int64_t now;
    rate_limit_slot *slot;
    int found = rate_limit_find(self, key, &slot, &now);
    if (found <= 0) {
        if (found == 0) {
            *wait = rate_limit_wait(self->side->table.full_until, 0, now);
        }
        given->slot = NULL;
        return found;
    }
    bool taken = take(self, slot, now, patience, given);
    *wait = rate_limit_wait(given->base, self->tolerance, now);
    if (!taken) {
        Py_DECREF(slot);
    }
    return taken;
}

/* -1 with RateLimited, after acquire gave 0 */
static int
refuse(rate_limit_object *self, PyObject *key, const permit *given,
       uint64_t wait)
{
    return rate_limit_refuse(self, key, seconds_of(wait),
                             given->slot == NULL ? ", all keys are in use"
                                                 : "");
}

int
rate_limit_try(rate_limit_object *self, PyObject *key, double *seconds)
{
    permit given;
    uint64_t wait = 0;
    int taken;
    if (self->side->limiter != NULL) {
        return rate_limit_try_limiter(self, key, seconds);
    }
    taken = acquire(self, key, 0, &given, &wait);
    if (taken > 0) {
        Py_DECREF(given.slot);
    }
    *seconds = seconds_of(wait);
    return taken;
}

int
rate_limit_peek(rate_limit_object *self, PyObject *key, double *seconds)
{
    int64_t now;
    rate_limit_slot *slot;
    uint64_t wait;
    if (self->side->limiter != NULL) {
        return rate_limit_peek_limiter(self, key, seconds);
    }
    int found = rate_limit_find(self, key, &slot, &now);
    if (found < 0) {
        return -1;
    }
    if (found == 0) {
        wait = rate_limit_wait(self->side->table.full_until, 0, now);
    }
    else {
        wait = rate_limit_wait(rate_limit_next(slot->word, now),
                               self->tolerance, now);
        Py_DECREF(slot);
    }
    *seconds = seconds_of(wait);
    return 0;
}

/* ---- functions that wait where they are called */

/* Sleep until the permit's time. 0; or -1 with an exception, and the permit is
 * handed back.
 */
static int
sleep_for(rate_limit_object *self, const permit *given, uint64_t wait)
{
    int64_t now;
    while (wait > 0) {
        if (calls_sleep(seconds_of(wait)) < 0
            || rate_limit_now(self, &now) < 0) {
            give_back(self, given);
            return -1;
        }
        wait = rate_limit_wait(given->base, self->tolerance, now);
    }
    return 0;
}

/* 0: the permit is there and its time has come; -1 with an exception */
static int
pass(rate_limit_object *self, PyObject *key)
{
    permit given;
    uint64_t wait = 0;
    int64_t patience = self->side->waits ? RATE_LIMIT_FAR : 0;
    int taken = acquire(self, key, patience, &given, &wait);
    if (taken <= 0) {
        return taken < 0 ? -1 : refuse(self, key, &given, wait);
    }
    int failed = wait > 0 ? sleep_for(self, &given, wait) : 0;
    Py_DECREF(given.slot);
    self->side->waited += failed == 0 && wait > 0;
    return failed;
}

/* ---- coroutines: they wait where they are awaited */

/* number[1] of the coroutine: the stage, and above it the slot's epoch.
 * number[0]: the permit's base. extra: the key, then the permit's slot.
 */
enum { ASLEEP = RATE_LIMIT_CALLED + 1, STAGES };

calls_answer
rate_limit_call_now(calls_coroutine *coroutine, PyObject **value)
{
    rate_limit_object *self = RATE_LIMIT(coroutine->owner);
    self->allowed++;
    coroutine->number[1] = RATE_LIMIT_CALLED;
    *value = calls_call_again(coroutine);
    return *value != NULL ? CALLS_MORE : CALLS_FAIL;
}

/* Sleep, or call if the time has come. */
static calls_answer
sleep_or_call(calls_coroutine *coroutine, uint64_t wait, PyObject **value)
{
    if (wait == 0) {
        return rate_limit_call_now(coroutine, value);
    }
    *value = calls_sleep_async(seconds_of(wait));
    return *value != NULL ? CALLS_MORE : CALLS_FAIL;
}

static permit
permit_of(calls_coroutine *coroutine)
{
    permit given = {(rate_limit_slot *)coroutine->extra, coroutine->number[0],
                    (uint32_t)(coroutine->number[1] / STAGES)};
    return given;
}

static calls_answer
begin(calls_coroutine *coroutine, PyObject **value)
{
    rate_limit_object *self = RATE_LIMIT(coroutine->owner);
    permit given;
    uint64_t wait = 0;
    int taken = acquire(self, coroutine->extra, RATE_LIMIT_FAR, &given, &wait);
    if (taken <= 0) {
        if (taken == 0) {
            refuse(self, coroutine->extra, &given, wait);
        }
        return CALLS_FAIL;
    }
    coroutine->number[0] = given.base;
    coroutine->number[1] = ASLEEP + STAGES * (int64_t)given.epoch;
    Py_SETREF(coroutine->extra, (PyObject *)given.slot);
    calls_answer answer = sleep_or_call(coroutine, wait, value);
    if (answer == CALLS_FAIL && coroutine->number[1] != RATE_LIMIT_CALLED) {
        give_back(self, &given);
    }
    return answer;
}

static calls_answer
wake(calls_coroutine *coroutine, PyObject **value)
{
    rate_limit_object *self = RATE_LIMIT(coroutine->owner);
    permit given = permit_of(coroutine);
    int64_t now;
    calls_answer answer = CALLS_FAIL;
    if (*value != NULL) {
        Py_CLEAR(*value);
        if (rate_limit_now(self, &now) == 0) {
            uint64_t wait = rate_limit_wait(given.base, self->tolerance, now);
            self->side->waited += wait == 0;
            answer = sleep_or_call(coroutine, wait, value);
        }
    }
    if (answer == CALLS_FAIL && coroutine->number[1] != RATE_LIMIT_CALLED) {
        give_back(self, &given);
    }
    return answer;
}

static calls_answer
rate_limit_step(calls_coroutine *coroutine, PyObject **value)
{
    int64_t stage = coroutine->number[1] % STAGES;
    if (stage == ASLEEP) {
        return wake(coroutine, value);
    }
    if (stage == RATE_LIMIT_CALLED) {
        return *value != NULL ? CALLS_DONE : CALLS_FAIL;
    }
    Py_CLEAR(*value);
    return begin(coroutine, value);
}

PyObject *
rate_limit_coroutine(rate_limit_object *self, PyObject *key, calls_step step,
                     PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    calls_coroutine *coroutine =
        calls_coroutine_new(self->state, (PyObject *)self, NULL, step);
    if (coroutine == NULL) {
        return NULL;
    }
    coroutine->extra = Py_NewRef(key);
    if (calls_coroutine_keep(coroutine, args, nargsf, kwnames) < 0) {
        Py_CLEAR(coroutine);
    }
    return (PyObject *)coroutine;
}

/* new: the coroutine of a call that goes at once, or of one that waits */
static PyObject *
call_coroutine(rate_limit_object *self, PyObject *key, PyObject *const *args,
               size_t nargsf, PyObject *kwnames)
{
    permit given;
    uint64_t wait = 0;
    int taken = acquire(self, key, 0, &given, &wait);
    if (taken < 0) {
        return NULL;
    }
    if (taken == 0) {
        return rate_limit_coroutine(self, key, rate_limit_step, args, nargsf,
                                    kwnames);
    }
    Py_DECREF(given.slot);
    self->allowed++;
    return fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
}

/* 1: a permit of the key is taken whose time has come, by bounds of the time;
 * 0: not so; -1: exception
 */
static int
pass_key(rate_limit_object *self, PyObject *key)
{
    int64_t base, late;
    rate_limit_slot *slot;
    if (self->side->key == NULL || self->side->clock != NULL
        || self->interval + self->tolerance < RATE_LIMIT_EXACT) {
        return 0;
    }
    int found = rate_limit_find_key(self, key, &slot, &late);
    if (found <= 0) {
        return found;
    }
    int64_t early = rate_limit_clock_read(&self->state->rate_limit, &late);
    bool taken = rate_limit_take_between(
        slot->word, self->interval, self->tolerance, early, late, 0, &base);
    Py_DECREF(slot);
    return taken;
}

PyObject *
rate_limit_call_slow(PyObject *op, PyObject *const *args, size_t nargsf,
                     PyObject *kwnames)
{
    rate_limit_object *self = RATE_LIMIT(op);
    PyObject *result = NULL;
    PyObject *key = rate_limit_key(self, args, nargsf, kwnames);
    if (key == NULL) {
        return NULL;
    }
    int passed = pass_key(self, key);
    if (passed == 0 && self->head.kind == FE_COROUTINE && self->side->waits) {
        result = call_coroutine(self, key, args, nargsf, kwnames);
    }
    else if (passed > 0 || (passed == 0 && pass(self, key) == 0)) {
        self->allowed++;
        result = fe_wrap_call(self->head.wrapped, args, nargsf, kwnames);
    }
    Py_DECREF(key);
    return result;
}
