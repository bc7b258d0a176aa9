/* SPDX-License-Identifier: MIT
 *
 * Which vector instructions this process may use, decided when a room is
 * imported. Code for a level is compiled by __attribute__((target)) into
 * functions that only a table for that level names: nothing is compiled for
 * the machine that builds.
 */
#ifndef FE_CPU_H
#define FE_CPU_H

/* Each has the instructions of those before it. */
typedef enum {
    FE_CPU_PORTABLE, /* plain C; what the compiler makes of it */
    FE_CPU_SSE2,
    FE_CPU_AVX2,
    FE_CPU_AVX512, /* F, BW, DQ and VL */
    FE_CPU_LEVELS,
} fe_cpu;

extern const char *const fe_cpu_names[FE_CPU_LEVELS];

/* The best level there is, or what FERRULE_CPU asks for. 0, or -1 with an
 * ImportError: no such level, or not on this processor.
 */
int fe_cpu_choose(fe_cpu *level);

#endif
