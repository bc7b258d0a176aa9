/* SPDX-License-Identifier: MIT
 *
 * The clock of everything that waits or expires: CLOCK_MONOTONIC, which is
 * there on every system this builds on and cannot fail.
 */
#ifndef FE_CLOCK_H
#define FE_CLOCK_H

#include "compat.h"

#include <time.h>

/* Nanoseconds. */
static inline int64_t
fe_clock_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Seconds, as time.monotonic gives them. */
static inline double
fe_clock_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#endif
