/* SPDX-License-Identifier: MIT
 *
 * Anchors of rate_limit_clock.h. What has gone wrong with a counter (virtual
 * machines that move, firmware that writes it) shows as a speed it had not
 * before: then it is measured anew, and after some times left alone.
 */
#include "rate_limit_clock.h"

#define MILLISECOND 1000000
#define SPAN_MAX 2000 /* ticks between the readings of an anchor: 0.7 us */
#define FAULTS_MAX 8

#if defined(__x86_64__)

#include <cpuid.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Does it run at one speed in all states, and does the kernel use it? */
static bool
clock_is_usable(void)
{
    unsigned int a, b, c, d;
    if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1u << 8)) {
        return false;
    }
    char name[8] = "";
    int file = open("/sys/devices/system/clocksource/clocksource0/"
                    "current_clocksource",
                    O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    ssize_t length = read(file, name, sizeof(name) - 1);
    close(file);
    return length == 4 && memcmp(name, "tsc\n", 4) == 0;
}

static void
measure_from(rate_limit_clock *clock, uint64_t ticks, int64_t time)
{
    clock->first_ticks = ticks;
    clock->first_time = time;
}

/* The speed from the first reading to this one. It may be off by 2 * 0.7 us in
 * 10 ms, and the kernel steers its clock by up to 500 ppm: 1/1024 covers both.
 */
static bool
measure_speed(rate_limit_clock *clock, uint64_t ticks, int64_t time)
{
    int64_t passed = time - clock->first_time;
    if (clock->first_ticks == 0 || ticks <= clock->first_ticks) {
        measure_from(clock, ticks, time);
        return false;
    }
    if (passed < 10 * MILLISECOND) {
        return clock->slow != 0;
    }
    double speed =
        (double)passed / (double)(ticks - clock->first_ticks) * 0x1p32;
    if (!(speed > 0x1p28 && speed < 0x1p36)
        || (clock->slow != 0
            && (speed < (double)clock->slow || speed > (double)clock->fast))) {
        clock->usable = ++clock->faults < FAULTS_MAX;
        clock->slow = clock->life = 0;
        measure_from(clock, ticks, time);
        return false;
    }
    clock->slow = (uint64_t)(speed * (1 - 0x1p-10));
    clock->fast = (uint64_t)(speed * (1 + 0x1p-10)) + 1;
    if (passed > 1000 * MILLISECOND) {
        measure_from(clock, ticks, time);
    }
    return true;
}

int64_t
rate_limit_clock_renew(rate_limit_clock *clock)
{
    if (!clock->asked) {
        clock->usable = clock_is_usable();
        clock->asked = true;
    }
    if (!clock->usable) {
        return fe_clock_now();
    }
    uint64_t before = __builtin_ia32_rdtsc();
    int64_t time = fe_clock_now();
    uint64_t after = __builtin_ia32_rdtsc(), span = after - before;
    if (span < SPAN_MAX && measure_speed(clock, after, time)) {
        clock->ticks = after;
        clock->early = time;
        clock->late = time + (int64_t)(span * clock->fast >> 32) + 1;
        clock->life = ((uint64_t)MILLISECOND << 32) / clock->fast;
    }
    return time;
}

#else

int64_t
rate_limit_clock_renew(rate_limit_clock *clock)
{
    (void)clock;
    return fe_clock_now();
}

#endif
