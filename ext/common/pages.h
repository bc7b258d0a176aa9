/* SPDX-License-Identifier: MIT
 *
 * Large blocks on large pages. A fresh block of 24 MB costs 6,000 page faults
 * with small ones, more than it takes to fill it.
 */
#ifndef FE_PAGES_H
#define FE_PAGES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#define FE_PAGES_LARGE ((size_t)4 << 20) /* from here on it pays; as NumPy */

/* A wish, not a need: the system may say no, and nothing depends on it. */
static inline void
fe_pages_advise(void *data, size_t size)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (size >= FE_PAGES_LARGE) {
        uintptr_t page = 4096,
                  start = ((uintptr_t)data + page - 1) & ~(page - 1);
        size_t skipped = (size_t)(start - (uintptr_t)data);
        (void)madvise((void *)start, size - skipped, MADV_HUGEPAGE);
    }
#else
    (void)data;
    (void)size;
#endif
}

#endif
