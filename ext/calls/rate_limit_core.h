/* SPDX-License-Identifier: MIT
 *
 * What a rate limit computes, without Python: GCRA on one 64-bit word, permits
 * that were handed back, and the page in which processes share such words.
 *
 * The word holds the theoretical arrival time: when the next call would come
 * if all came at exactly the rate. A call at `now` gets the base max(word,
 * now) and moves the word to base + interval; its time is base - tolerance,
 * and tolerance is burst - 1 intervals. Between any two times t there are at
 * most burst + t / interval bases within reach, whoever moved the word.
 *
 * A page is not trusted: any value of any word of it gives some answer.
 */
#ifndef RATE_LIMIT_CORE_H
#define RATE_LIMIT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 36 years in nanoseconds: interval + tolerance, and how long a call waits. A
 * time is between -2 and 2 times that, so that no sum here overflows.
 */
#define RATE_LIMIT_FAR ((int64_t)1 << 60)
#define RATE_LIMIT_TIME_MAX (2 * RATE_LIMIT_FAR)
#define RATE_LIMIT_IDLE (-2 * RATE_LIMIT_FAR)

typedef struct {
    int64_t interval;  /* >= 1 */
    int64_t tolerance; /* >= 0; interval + tolerance <= RATE_LIMIT_FAR */
} rate_limit_rule;

/* Take a permit whose time is at most `patience` (<= RATE_LIMIT_FAR) after
 * now. *base is the permit's; without a permit it is what it would have been.
 * `late` >= `early` bound the clock: no call is let through before its time by
 * the one, no time is counted twice by the other.
 */
static inline bool
rate_limit_take_between(int64_t *word, int64_t interval, int64_t tolerance,
                        int64_t early, int64_t late, int64_t patience,
                        int64_t *base)
{
    uint64_t reach = (uint64_t)tolerance + (uint64_t)patience;
    int64_t tat = __atomic_load_n(word, __ATOMIC_RELAXED);
    do {
        int64_t at = tat > early ? tat : early;
        /* at >= early: the difference fits in 64 bits without a sign */
        if ((uint64_t)at - (uint64_t)early > reach) {
            *base = at;
            return false;
        }
        *base = at > late ? at : late;
    } while (!__atomic_compare_exchange_n(word, &tat, *base + interval, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

static inline bool
rate_limit_take(int64_t *word, int64_t interval, int64_t tolerance,
                int64_t now, int64_t patience, int64_t *base)
{
    return rate_limit_take_between(word, interval, tolerance, now, now,
                                   patience, base);
}

/* Nanoseconds from now to the time of a permit; 0: it has come */
static inline uint64_t
rate_limit_wait(int64_t base, int64_t tolerance, int64_t now)
{
    if (base <= now) {
        return 0;
    }
    uint64_t ahead = (uint64_t)base - (uint64_t)now;
    return ahead > (uint64_t)tolerance ? ahead - (uint64_t)tolerance : 0;
}

/* When a call could come: the base of the next permit */
static inline int64_t
rate_limit_next(const int64_t *word, int64_t now)
{
    int64_t tat = __atomic_load_n(word, __ATOMIC_RELAXED);
    return tat > now ? tat : now;
}

/* Has every permit's time passed, so that a fresh word would do as well? */
static inline bool
rate_limit_is_idle(const int64_t *word, int64_t now)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED) <= now;
}

/* Rule of a rate and a burst: exactly, or slower by less than a nanosecond a
 * call. false: more than one call in a nanosecond, or beyond RATE_LIMIT_FAR.
 */
bool rate_limit_rule_set(rate_limit_rule *rule, double calls_per_sec,
                         int64_t burst);

/* ---- permits handed back */

/* Bases of permits that nobody uses, while later ones are taken: they serve
 * whoever comes before their time is over. Ascending.
 */
typedef struct {
    int64_t *bases; /* owned */
    size_t first, count, capacity;
} rate_limit_spare;

void rate_limit_spare_clear(rate_limit_spare *spare);
/* Take the earliest that is not over at now: *base; false if there is none */
bool rate_limit_spare_take(rate_limit_spare *spare, int64_t now,
                           int64_t *base);
/* Hand a permit back: to the word while it is the last, else it is kept. */
void rate_limit_give_back(rate_limit_spare *spare, int64_t *word,
                          int64_t interval, int64_t base, int64_t now);

/* ---- the page */

#define RATE_LIMIT_SLOTS_MAX ((uint32_t)1 << 20)

typedef struct {
    uint64_t name;     /* hash of the name; 0: free. Written once. */
    int64_t word;      /* 0: never used */
    int64_t interval;  /* 0: not told yet */
    int64_t tolerance; /* one more than it is; 0: not told yet */
    uint64_t unused[4];
} rate_limit_page_slot;

typedef struct {
    uint64_t magic; /* written last */
    uint32_t version;
    uint32_t count;   /* slots that follow */
    uint8_t boot[16]; /* of the machine: times are of one boot */
    uint64_t seed[2]; /* of the names' hash: nobody can choose what meets */
    uint64_t unused[2];
} rate_limit_page_head;

typedef struct {
    rate_limit_page_slot *slots;
    uint32_t count; /* as checked: what the page says later is not read */
    uint64_t seed[2];
} rate_limit_page;

typedef enum {
    RATE_LIMIT_PAGE_GOOD,
    RATE_LIMIT_PAGE_EMPTY,      /* all zero as far as its magic */
    RATE_LIMIT_PAGE_OLD,        /* of another boot: nobody uses it */
    RATE_LIMIT_PAGE_FOREIGN,    /* not one of ours */
    RATE_LIMIT_PAGE_VERSION,    /* another version's */
    RATE_LIMIT_PAGE_WRONG_SIZE, /* not as long as it says */
} rate_limit_page_state;

typedef enum {
    RATE_LIMIT_FOUND,
    RATE_LIMIT_FULL,
    RATE_LIMIT_OTHER_RULE, /* the name has another rate or burst */
} rate_limit_found;

/* 0 < count <= RATE_LIMIT_SLOTS_MAX */
size_t rate_limit_page_size(uint32_t count);
/* data: aligned to 8 bytes */
rate_limit_page_state rate_limit_page_check(const void *data, size_t size,
                                            const uint8_t boot[16]);
/* data: rate_limit_page_size(count) bytes that nobody uses */
void rate_limit_page_init(void *data, uint32_t count, const uint8_t boot[16],
                          const uint64_t seed[2]);
/* data: RATE_LIMIT_PAGE_GOOD */
void rate_limit_page_open(rate_limit_page *page, void *data, size_t size);
uint32_t rate_limit_page_used(const rate_limit_page *page);
/* The name's word, which is entered if it is new. A process that dies anywhere
 * in this leaves a name that the next one completes.
 */
rate_limit_found rate_limit_page_find(const rate_limit_page *page,
                                      const void *name, size_t length,
                                      const rate_limit_rule *rule,
                                      int64_t **word);

#endif
