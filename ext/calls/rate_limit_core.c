/* SPDX-License-Identifier: MIT
 *
 * Rate limits without Python (rate_limit_core.h): plain C for a fuzzer to
 * drive. Must not trust what it finds in a page.
 */
#include "rate_limit_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC UINT64_C(0x31656761505f6566) /* "fe_Page1" */
#define VERSION 1

bool
rate_limit_rule_set(rate_limit_rule *rule, double calls_per_sec, int64_t burst)
{
    double interval = ceil(1e9 / calls_per_sec);
    if (!(calls_per_sec > 0) || calls_per_sec > 1e9
        || interval > (double)RATE_LIMIT_FAR) {
        return false;
    }
    rule->interval = (int64_t)interval;
    /* the quotient is rounded: a nanosecond more where that made it short */
    if ((long double)rule->interval * (long double)calls_per_sec < 1e9L) {
        rule->interval++;
    }
    return !__builtin_mul_overflow(rule->interval, burst - 1, &rule->tolerance)
           && rule->tolerance <= RATE_LIMIT_FAR - rule->interval;
}

/* ---- permits handed back */

void
rate_limit_spare_clear(rate_limit_spare *spare)
{
    free(spare->bases);
    memset(spare, 0, sizeof(*spare));
}

static void
spare_drop_first(rate_limit_spare *spare)
{
    spare->first++;
    if (--spare->count == 0) {
        rate_limit_spare_clear(spare);
    }
}

bool
rate_limit_spare_take(rate_limit_spare *spare, int64_t now, int64_t *base)
{
    while (spare->count > 0) {
        *base = spare->bases[spare->first];
        spare_drop_first(spare);
        if (*base >= now) {
            return true;
        }
    }
    return false;
}

/* Room for one more behind the last; false: no memory */
static bool
spare_reserve(rate_limit_spare *spare)
{
    if (spare->first + spare->count < spare->capacity) {
        return true;
    }
    if (spare->first > spare->capacity / 2) {
        memmove(spare->bases, spare->bases + spare->first,
                spare->count * sizeof(int64_t));
        spare->first = 0;
        return true;
    }
    size_t capacity = spare->capacity != 0 ? 2 * spare->capacity : 8;
    int64_t *bases = realloc(spare->bases, capacity * sizeof(int64_t));
    if (bases == NULL) {
        return false;
    }
    spare->bases = bases;
    spare->capacity = capacity;
    return true;
}

static void
spare_keep(rate_limit_spare *spare, int64_t base, int64_t now)
{
    while (spare->count > 0 && spare->bases[spare->first] < now) {
        spare_drop_first(spare);
    }
    if (base < now || !spare_reserve(spare)) {
        return; /* the permit counts as used, which is the safe side */
    }
    int64_t *end = spare->bases + spare->first + spare->count;
    size_t after = 0;
    while (after < spare->count && end[-1 - (ptrdiff_t)after] > base) {
        after++;
    }
    memmove(end - after + 1, end - after, after * sizeof(int64_t));
    end[-(ptrdiff_t)after] = base;
    spare->count++;
}

static bool
word_step_back(int64_t *word, int64_t interval, int64_t base)
{
    int64_t last = base + interval;
    return __atomic_compare_exchange_n(word, &last, base, false,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void
rate_limit_give_back(rate_limit_spare *spare, int64_t *word, int64_t interval,
                     int64_t base, int64_t now)
{
    if (!word_step_back(word, interval, base)) {
        spare_keep(spare, base, now);
        return;
    }
    /* those kept that are the last by now follow */
    while (spare->count > 0
           && word_step_back(word, interval,
                             spare->bases[spare->first + spare->count - 1])) {
        if (--spare->count == 0) {
            rate_limit_spare_clear(spare);
        }
    }
}

/* ---- the page */

static inline uint64_t
rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void
mix(uint64_t v[4], int rounds)
{
    for (int i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

/* SipHash-2-4 (Aumasson and Bernstein, 2012), words in the machine's order:
 * a page does not leave its machine.
 */
static uint64_t
hash_name(const uint64_t seed[2], const void *name, size_t length)
{
    uint64_t v[4] = {
        seed[0] ^ UINT64_C(0x736f6d6570736575),
        seed[1] ^ UINT64_C(0x646f72616e646f6d),
        seed[0] ^ UINT64_C(0x6c7967656e657261),
        seed[1] ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *bytes = name;
    for (size_t at = 0;; at += 8) {
        uint64_t word = 0;
        size_t left = length - at;
        if (left >= 8) {
            memcpy(&word, bytes + at, 8);
        }
        else {
            if (left > 0) {
                memcpy(&word, bytes + at, left);
            }
            word ^= (uint64_t)length << 56;
        }
        v[3] ^= word;
        mix(v, 2);
        v[0] ^= word;
        if (left < 8) {
            break;
        }
    }
    v[2] ^= 0xff;
    mix(v, 4);
    uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    return hash != 0 ? hash : 1;
}

size_t
rate_limit_page_size(uint32_t count)
{
    return sizeof(rate_limit_page_head)
           + (size_t)count * sizeof(rate_limit_page_slot);
}

rate_limit_page_state
rate_limit_page_check(const void *data, size_t size, const uint8_t boot[16])
{
    const rate_limit_page_head *head = data;
    if (size < sizeof(*head)) {
        return size == 0 ? RATE_LIMIT_PAGE_EMPTY : RATE_LIMIT_PAGE_FOREIGN;
    }
    if (head->magic == 0) {
        return RATE_LIMIT_PAGE_EMPTY;
    }
    if (head->magic != MAGIC) {
        return RATE_LIMIT_PAGE_FOREIGN;
    }
    if (head->version != VERSION) {
        return RATE_LIMIT_PAGE_VERSION;
    }
    if (head->count == 0 || head->count > RATE_LIMIT_SLOTS_MAX
        || rate_limit_page_size(head->count) != size) {
        return RATE_LIMIT_PAGE_WRONG_SIZE;
    }
    return memcmp(head->boot, boot, sizeof(head->boot)) == 0
               ? RATE_LIMIT_PAGE_GOOD
               : RATE_LIMIT_PAGE_OLD;
}

void
rate_limit_page_init(void *data, uint32_t count, const uint8_t boot[16],
                     const uint64_t seed[2])
{
    rate_limit_page_head *head = data;
    __atomic_store_n(&head->magic, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memset((char *)data + sizeof(head->magic), 0,
           rate_limit_page_size(count) - sizeof(head->magic));
    head->version = VERSION;
    head->count = count;
    memcpy(head->boot, boot, sizeof(head->boot));
    memcpy(head->seed, seed, sizeof(head->seed));
    __atomic_store_n(&head->magic, MAGIC, __ATOMIC_RELEASE);
}

void
rate_limit_page_open(rate_limit_page *page, void *data, size_t size)
{
    const rate_limit_page_head *head = data;
    page->slots =
        (rate_limit_page_slot *)(void *)((char *)data + sizeof(*head));
    page->count = (uint32_t)((size - sizeof(*head)) / sizeof(*page->slots));
    memcpy(page->seed, head->seed, sizeof(page->seed));
}

uint32_t
rate_limit_page_used(const rate_limit_page *page)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < page->count; i++) {
        used += __atomic_load_n(&page->slots[i].name, __ATOMIC_RELAXED) != 0;
    }
    return used;
}

/* Is it ours, or was it free and is ours now? */
static bool
slot_claim(rate_limit_page_slot *slot, uint64_t hash)
{
    uint64_t name = __atomic_load_n(&slot->name, __ATOMIC_ACQUIRE);
    if (name != 0) {
        return name == hash;
    }
    /* on failure name is what another process has just entered */
    return __atomic_compare_exchange_n(&slot->name, &name, hash, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
           || name == hash;
}

/* Is it `value`, or was it 0 and is `value` now? */
static bool
number_claim(int64_t *number, int64_t value)
{
    int64_t was = __atomic_load_n(number, __ATOMIC_ACQUIRE);
    if (was == 0
        && __atomic_compare_exchange_n(number, &was, value, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        return true;
    }
    return was == value;
}

rate_limit_found
rate_limit_page_find(const rate_limit_page *page, const void *name,
                     size_t length, const rate_limit_rule *rule,
                     int64_t **word)
{
    uint64_t hash = hash_name(page->seed, name, length);
    for (uint32_t i = 0; i < page->count; i++) {
        rate_limit_page_slot *slot =
            &page->slots[(hash % page->count + i) % page->count];
        if (slot_claim(slot, hash)) {
            *word = &slot->word;
            return number_claim(&slot->interval, rule->interval)
                           && number_claim(&slot->tolerance,
                                           rule->tolerance + 1)
                       ? RATE_LIMIT_FOUND
                       : RATE_LIMIT_OTHER_RULE;
        }
    }
    return RATE_LIMIT_FULL;
}
