/* SPDX-License-Identifier: MIT
 *
 * libFuzzer driver of rate_limit_core.c: pages of any content, and any times
 * for any words. Whatever comes, the answers must hold together.
 */
#include "rate_limit_core.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The next number of the input; 0 when it has ended */
static int64_t
take_number(const uint8_t **data, size_t *size)
{
    int64_t number = 0;
    size_t length = *size < sizeof(number) ? *size : sizeof(number);
    memcpy(&number, *data, length);
    *data += length;
    *size -= length;
    return number;
}

/* A number from low to high */
static int64_t
take_between(const uint8_t **data, size_t *size, int64_t low, int64_t high)
{
    uint64_t range = (uint64_t)high - (uint64_t)low + 1;
    return low + (int64_t)((uint64_t)take_number(data, size) % range);
}

static void
use_word(int64_t *word, const uint8_t **data, size_t *size)
{
    rate_limit_spare spare = {NULL, 0, 0, 0};
    int64_t interval = take_between(data, size, 1, RATE_LIMIT_FAR);
    int64_t tolerance = take_between(data, size, 0, RATE_LIMIT_FAR - interval);
    while (*size > 0) {
        int64_t now = take_between(data, size, -RATE_LIMIT_TIME_MAX,
                                   RATE_LIMIT_TIME_MAX);
        int64_t patience = take_between(data, size, 0, RATE_LIMIT_FAR), base;
        bool taken =
            rate_limit_take(word, interval, tolerance, now, patience, &base);
        uint64_t wait = rate_limit_wait(base, tolerance, now);
        require(taken == (wait <= (uint64_t)patience));
        require(!taken || *word == base + interval);
        require(base >= now && rate_limit_next(word, now) >= base);
        if (taken && (now & 1)) {
            rate_limit_give_back(&spare, word, interval, base, now);
            require(*word <= base + interval);
        }
        if (rate_limit_spare_take(&spare, now, &base)) {
            require(base >= now);
        }
    }
    rate_limit_spare_clear(&spare);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t boot[16] = {0};
    /* exactly as long as the input: one byte too far is seen */
    void *copy = aligned_alloc(8, (size + 7) & ~(size_t)7);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    if (rate_limit_page_check(copy, size, boot) == RATE_LIMIT_PAGE_GOOD) {
        rate_limit_page page;
        rate_limit_rule rule;
        int64_t *word = NULL;
        rate_limit_page_open(&page, copy, size);
        require(rate_limit_page_used(&page) <= page.count);
        require(rate_limit_rule_set(&rule, 3.0, 5));
        if (rate_limit_page_find(&page, data, size % 40, &rule, &word)
            == RATE_LIMIT_FOUND) {
            require((char *)word > (char *)copy
                    && (char *)(word + 1) <= (char *)copy + size);
            use_word(word, &data, &size);
        }
        free(copy);
        return 0;
    }
    free(copy);
    int64_t word = take_number(&data, &size);
    use_word(&word, &data, &size);
    return 0;
}
