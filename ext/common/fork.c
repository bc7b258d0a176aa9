/* SPDX-License-Identifier: MIT */
#include "compat.h"
#include "fork.h"

#include <pthread.h>

uint32_t fe_fork_depth = 0;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int failed = 0;

static void
count_fork(void)
{
    fe_fork_depth++;
}

static void
watch(void)
{
    failed = pthread_atfork(NULL, NULL, count_fork);
}

int
fe_fork_watch(void)
{
    (void)pthread_once(&once, watch);
    if (failed != 0) {
        PyErr_NoMemory(); /* the only error that pthread_atfork has */
        return -1;
    }
    return 0;
}
