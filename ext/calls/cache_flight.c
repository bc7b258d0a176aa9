/* SPDX-License-Identifier: MIT
 *
 * Threads that wait for the one that computes. A flight exists only while
 * somebody waits; everything here is done with the interpreter's lock, except
 * to wait.
 */
#include "calls_state.h"
#include "fork.h"

static cache_flight *
cache_flight_new(void)
{
    cache_flight *flight = PyMem_Calloc(1, sizeof(*flight));
    if (flight == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    flight->lock = PyThread_allocate_lock();
    if (flight->lock == NULL) {
        PyMem_Free(flight);
        PyErr_NoMemory();
        return NULL;
    }
    (void)PyThread_acquire_lock(flight->lock, NOWAIT_LOCK); /* it is new */
    flight->refs = 1;
    return flight;
}

/* May call into Python. */
static void
cache_flight_release(cache_flight *flight)
{
    if (--flight->refs > 0) {
        return;
    }
    PyThread_free_lock(flight->lock);
    PyObject *value = flight->value, *error = flight->error;
    PyMem_Free(flight);
    Py_XDECREF(value);
    Py_XDECREF(error);
}

void
cache_flight_end(cache_flight *flight, PyObject *value)
{
    if (flight == NULL) {
        return;
    }
    if (value != NULL) {
        flight->value = Py_NewRef(value);
    }
    else if (PyErr_ExceptionMatches(PyExc_Exception)) {
        PyObject *error = PyErr_GetRaisedException();
        flight->error = Py_NewRef(error);
        PyErr_SetRaisedException(error);
    }
    PyThread_release_lock(flight->lock);
    cache_flight_release(flight);
}

/* ---- who waits for whom */

/* Does the thread wait, itself or through others, for this one? */
static bool
cache_waits_for(const cache_waits *waits, unsigned long thread,
                unsigned long me)
{
    const cache_wait *wait = waits->first;
    while (wait != NULL) {
        if (wait->thread != thread) {
            wait = wait->next;
            continue;
        }
        if (wait->owner == me) {
            return true;
        }
        thread = wait->owner;
        wait = waits->first;
    }
    return false;
}

static void
cache_waits_enter(cache_waits *waits, cache_wait *wait)
{
    if (waits->fork != fe_fork_depth) {
        waits->first = NULL; /* they were threads of a parent process */
        waits->fork = fe_fork_depth;
    }
    wait->next = waits->first;
    waits->first = wait;
}

static void
cache_waits_leave(cache_waits *waits, cache_wait *wait)
{
    cache_wait **at = &waits->first;
    while (*at != wait) {
        at = &(*at)->next;
    }
    *at = wait->next;
}

/* ---- waiting */

/* Until it is over: 0; or -1 with the exception of a signal's handler */
static int
cache_flight_block(cache_waits *waits, cache_flight *flight, cache_wait *wait)
{
    uint32_t fork = fe_fork_depth;
    for (;;) {
        PyLockStatus status;
        cache_waits_enter(waits, wait);
        Py_BEGIN_ALLOW_THREADS status =
            PyThread_acquire_lock_timed(flight->lock, -1, 1);
        Py_END_ALLOW_THREADS cache_waits_leave(waits, wait);
        if (status == PY_LOCK_ACQUIRED) {
            PyThread_release_lock(flight->lock); /* for the next that waits */
            return 0;
        }
        if (PyErr_CheckSignals() < 0) {
            return -1;
        }
        if (fork != fe_fork_depth) {
            return 0; /* the handler forked: nobody computes it here */
        }
    }
}

cache_wait_result
cache_flight_wait(cache_waits *waits, cache_entry *entry, PyObject **value)
{
    cache_wait wait = {PyThread_get_thread_ident(), entry->as.by.thread, NULL};
    if (waits->fork == fe_fork_depth
        && cache_waits_for(waits, wait.owner, wait.thread)) {
        return CACHE_WAIT_ALONE;
    }
    cache_flight *flight = entry->as.by.flight;
    if (flight == NULL) {
        flight = cache_flight_new();
        if (flight == NULL) {
            return CACHE_WAIT_FAILED;
        }
        entry->as.by.flight = flight;
    }
    flight->refs++;
    cache_wait_result result = CACHE_WAIT_AGAIN;
    if (cache_flight_block(waits, flight, &wait) < 0) {
        result = CACHE_WAIT_FAILED;
    }
    else if (flight->value != NULL) {
        *value = Py_NewRef(flight->value);
        result = CACHE_WAIT_VALUE;
    }
    else if (flight->error != NULL) {
        /* as it is: no context of this thread's */
        PyErr_SetRaisedException(Py_NewRef(flight->error));
        result = CACHE_WAIT_ERROR;
    }
    cache_flight_release(flight);
    return result;
}
