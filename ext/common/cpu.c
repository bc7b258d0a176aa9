/* SPDX-License-Identifier: MIT */
#include "cpu.h"
#include "compat.h"

#include <stdlib.h>

const char *const fe_cpu_names[FE_CPU_LEVELS] = {
    [FE_CPU_PORTABLE] = "portable",
    [FE_CPU_SSE2] = "sse2",
    [FE_CPU_AVX2] = "avx2",
    [FE_CPU_AVX512] = "avx512",
};

/* The compiler's own test knows what the system saves of the registers too. */
static fe_cpu
best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("bmi2")) {
        return FE_CPU_AVX512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt")) {
        return FE_CPU_AVX2;
    }
    return FE_CPU_SSE2;
#else
    return FE_CPU_PORTABLE;
#endif
}

int
fe_cpu_choose(fe_cpu *level)
{
    const char *wanted = getenv("FERRULE_CPU");
    *level = best();
    if (wanted == NULL || wanted[0] == '\0') {
        return 0;
    }
    for (int i = 0; i < FE_CPU_LEVELS; i++) {
        if (strcmp(wanted, fe_cpu_names[i]) == 0) {
            if (i > (int)*level) {
                PyErr_Format(PyExc_ImportError,
                             "FERRULE_CPU: this processor has no %s, the best "
                             "it has is %s",
                             wanted, fe_cpu_names[*level]);
                return -1;
            }
            *level = (fe_cpu)i;
            return 0;
        }
    }
    PyErr_Format(PyExc_ImportError,
                 "FERRULE_CPU: wanted portable, sse2, avx2 or avx512, "
                 "got '%.100s'",
                 wanted);
    return -1;
}
