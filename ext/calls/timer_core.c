/* SPDX-License-Identifier: MIT */
#include "timer_core.h"

#include <math.h>
#include <string.h>

void
timer_stats_reset(timer_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
    stats->min = INT64_MAX;
}

/* the value in the middle of a bucket */
static int64_t
timer_middle(unsigned bucket)
{
    if (bucket < TIMER_EXACT) {
        return bucket;
    }
    unsigned shift = (bucket >> TIMER_BITS) - 1;
    uint64_t low =
        (uint64_t)((bucket & ((1 << TIMER_BITS) - 1)) + (1 << TIMER_BITS))
        << shift;
    return (int64_t)(low + ((uint64_t)1 << shift) / 2);
}

int64_t
timer_stats_percentile(const timer_stats *stats, double q)
{
    double wanted = ceil(q / 100 * (double)stats->count);
    uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted;
    if (rank >= stats->count) {
        return stats->max;
    }
    if (rank == 1) {
        return stats->min;
    }
    uint64_t seen = 0;
    unsigned bucket = 0;
    while (bucket < TIMER_BUCKETS - 1
           && (seen += stats->buckets[bucket]) < rank) {
        bucket++;
    }
    int64_t middle = timer_middle(bucket);
    middle = middle < stats->min ? stats->min : middle;
    return middle > stats->max ? stats->max : middle;
}
