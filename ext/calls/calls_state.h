/* SPDX-License-Identifier: MIT
 *
 * What the files of the room share: the module's state and how to reach it.
 * What only one feature knows is in that feature's header.
 */
#ifndef CALLS_STATE_H
#define CALLS_STATE_H

#include "compat.h"
#include "state.h"

#include "cache.h"
#include "counted.h"
#include "logged.h"
#include "model_inference.h"
#include "rate_limit.h"
#include "register.h"
#include "retry.h"
#include "singleton.h"
#include "timer.h"
#include "wrapper.h"

#define CALLS_STATE(X)                                                        \
    WRAPPER_STATE(X)                                                          \
    CACHE_STATE(X)                                                            \
    COUNTED_STATE(X)                                                          \
    LOGGED_STATE(X)                                                           \
    MODEL_INFERENCE_STATE(X)                                                  \
    RATE_LIMIT_STATE(X)                                                       \
    REGISTER_STATE(X)                                                         \
    RETRY_STATE(X)                                                            \
    SINGLETON_STATE(X)                                                        \
    TIMER_STATE(X)

struct calls_state {
    CALLS_STATE(FE_STATE_FIELD)
    cache_waits cache_waits;
    calls_coroutine_pool coroutine_free;
    fe_filter_kernels filter; /* of ModelInference */
    rate_limit_clock rate_limit;
    singleton_wait *singleton_waits; /* threads that wait for an instance */
};

/* calls_module.c */
calls_state *calls_get_state(PyObject *module);
/* of an instance of a type made by this module, not of a subclass; NULL with
 * RuntimeError when the collector has taken the module from the type */
calls_state *calls_state_of(PyObject *instance);
/* borrowed from the type: the module of a type made by it or derived from one;
 * NULL with TypeError */
PyObject *calls_module_borrow(PyTypeObject *type);

#endif
