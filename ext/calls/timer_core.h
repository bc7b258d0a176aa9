/* SPDX-License-Identifier: MIT
 *
 * Durations counted: exact sums, and a histogram of fixed size for the
 * percentiles. Plain C. Nanoseconds below 128 have a bucket each; above, every
 * doubling is cut in 64, so that the middle of a bucket is at most 1/128 off.
 */
#ifndef TIMER_CORE_H
#define TIMER_CORE_H

#include <stdint.h>

#define TIMER_BITS 6 /* 64 buckets a doubling */
#define TIMER_EXACT 128
#define TIMER_TOP                                                             \
    50 /* what takes 2**50 ns, 13 days, is in the last bucket                 \
        */
#define TIMER_BUCKETS                                                         \
    (TIMER_EXACT + (TIMER_TOP - TIMER_BITS - 1) * (1 << TIMER_BITS))

typedef struct {
    uint64_t count, errors;
    uint64_t total; /* 584 years */
    int64_t last, min, max;
    uint64_t buckets[TIMER_BUCKETS]; /* their sum is count */
} timer_stats;

static inline unsigned
timer_bucket(int64_t elapsed)
{
    uint64_t value = (uint64_t)elapsed;
    if (value < TIMER_EXACT) {
        return (unsigned)value;
    }
    if (value >> TIMER_TOP) {
        return TIMER_BUCKETS - 1;
    }
    unsigned shift = 63 - TIMER_BITS - (unsigned)__builtin_clzll(value);
    return ((shift + 1) << TIMER_BITS) + (unsigned)(value >> shift)
           - (1 << TIMER_BITS) + (TIMER_EXACT - (2 << TIMER_BITS));
}

/* elapsed is not negative */
static inline void
timer_stats_note(timer_stats *stats, int64_t elapsed, int failed)
{
    stats->count++;
    stats->errors += failed != 0;
    stats->total += (uint64_t)elapsed;
    stats->last = elapsed;
    stats->min = elapsed < stats->min ? elapsed : stats->min;
    stats->max = elapsed > stats->max ? elapsed : stats->max;
    stats->buckets[timer_bucket(elapsed)]++;
}

void timer_stats_reset(timer_stats *stats);
/* The nearest rank: nanoseconds that q of 100 calls did not exceed. There has
 * been a call, and q is from 0 to 100.
 */
int64_t timer_stats_percentile(const timer_stats *stats, double q);

#endif
