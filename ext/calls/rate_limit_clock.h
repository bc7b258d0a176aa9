/* SPDX-License-Identifier: MIT
 *
 * CLOCK_MONOTONIC between two bounds, from the processor's time stamp counter:
 * 8 ns a reading where clock_gettime takes 20. Only where the kernel itself
 * takes its time from that counter; elsewhere both bounds are the system's
 * clock. Must not be used without the interpreter lock.
 */
#ifndef RATE_LIMIT_CLOCK_H
#define RATE_LIMIT_CLOCK_H

#include "clock.h"
#include "compat.h"

/* Zeros to begin with. An anchor is a moment at which both clocks were read;
 * it is good for a millisecond, in which the bounds come to be 2 us apart.
 */
typedef struct {
    uint64_t ticks;       /* of the anchor */
    uint64_t life;        /* for how many ticks it is good; 0: no anchor */
    int64_t early, late;  /* the time at the anchor is between them */
    uint64_t slow, fast;  /* nanoseconds a tick, times 2**32; 0: not known */
    uint64_t first_ticks; /* where measuring that began */
    int64_t first_time;
    uint8_t faults; /* how often the counter was not what it had been */
    bool asked, usable;
} rate_limit_clock;

/* The system's time; a new anchor if it can be had. */
int64_t rate_limit_clock_renew(rate_limit_clock *clock);

/* No earlier than the result, no later than *late. */
static inline int64_t
rate_limit_clock_read(rate_limit_clock *clock, int64_t *late)
{
#if defined(__x86_64__)
    uint64_t passed = __builtin_ia32_rdtsc() - clock->ticks;
    if (__builtin_expect(passed < clock->life, 1)) {
        *late = clock->late + (int64_t)(passed * clock->fast >> 32);
        return clock->early + (int64_t)(passed * clock->slow >> 32);
    }
#endif
    return *late = rate_limit_clock_renew(clock);
}

#endif
