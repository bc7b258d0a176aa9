/* SPDX-License-Identifier: MIT
 *
 * Run an automaton over a text. A deterministic state is the set of steps the
 * nondeterministic automaton may be at, between two characters; it is made
 * when a text first leads to it, and kept while there is room. Each character
 * costs one look into a table, or one making of a state at most: linear time.
 */
#include "regex_core.h"

#include <string.h>

/* A cache is emptied before it grows beyond; then states are made again */
#define CACHE_STATES_MAX 2000
#define CACHE_STEPS_MAX ((size_t)1 << 18)
#define CACHE_CELLS_MAX ((size_t)1 << 18)
/* States that regex_prepare makes before it leaves the rest to the texts */
#define PREPARE_STATES_MAX 40

/* The first rows */
enum { UNMADE, REFUSE, ACCEPT, FIRST_STATE };

#define NO_ROW UINT32_MAX

void
regex_cache_clear(const regex_host *host, regex_cache *cache)
{
    host->release(cache->rows);
    host->release(cache->states);
    host->release(cache->steps);
    host->release(cache->index);
    memset(cache, 0, sizeof(*cache));
}

uint32_t
regex_symbol(const regex_program *program, uint32_t character)
{
    size_t low = 0, high = program->bound_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (program->bounds[middle] <= character) {
            low = middle;
        }
        else {
            high = middle;
        }
    }
    unsigned kind = 0;
    if (program->kinds > 1) {
        kind = program->host->traits(character) & (REGEX_KINDS - 1);
    }
    return program->wide[low * program->kinds + kind];
}

/* ---- sets of steps */

/* Where steps are collected: a list without repetitions. Steps marked with
 * the program's round are in it, or led to what is.
 */
typedef struct {
    uint32_t *steps;
    uint32_t count;
    bool pending; /* has an assertion that waits for the next character */
    bool match;
} collection;

static void
begin_round(regex_program *program)
{
    if (++program->round == 0) { /* after four thousand million of them */
        memset(program->marks, 0, program->step_count * sizeof(uint32_t));
        program->round = 1;
    }
}

/* Does an assertion hold that looks back only? */
static bool
holds_before(uint32_t assertion, uint32_t after)
{
    return (after & REGEX_AFTER_START)
           || (assertion == REGEX_AT_LINE_START
               && (after & REGEX_AFTER_NEWLINE));
}

/* On the stack, unless it has been there in this round */
static inline uint32_t
push(regex_program *program, uint32_t depth, uint32_t step)
{
    program->stack[depth] = step;
    bool fresh = program->marks[step] != program->round;
    program->marks[step] = program->round;
    return depth + fresh;
}

/* Add a step, or all that it leads to without a character */
static void
collect(regex_program *program, collection *all, uint32_t step, uint32_t after)
{
    uint32_t depth = push(program, 0, step);
    while (depth > 0) {
        uint32_t number = program->stack[--depth];
        const regex_step *s = &program->steps[number];
        switch (s->kind) {
        case REGEX_STEP_SPLIT:
            depth = push(program, depth, s->b);
            depth = push(program, depth, s->a);
            continue;
        case REGEX_STEP_JUMP:
            depth = push(program, depth, s->a);
            continue;
        case REGEX_STEP_ASSERT:
            if (s->a <= REGEX_AT_LINE_START) {
                if (holds_before(s->a, after)) {
                    depth = push(program, depth, number + 1);
                }
                continue;
            }
            all->pending = true;
            break;
        default:
            all->match |= s->kind == REGEX_STEP_MATCH;
        }
        all->steps[all->count++] = number;
    }
}

/* Does an assertion hold between what is before and the next symbol? */
static bool
holds(const regex_program *program, uint32_t assertion, uint32_t after,
      uint32_t symbol)
{
    bool end = symbol == REGEX_SYMBOL_END(program);
    bool last = symbol == REGEX_SYMBOL_NEWLINE(program);
    uint32_t next = end    ? 0
                    : last ? REGEX_AFTER_NEWLINE
                           : program->after[symbol];
    uint32_t bit = REGEX_AFTER_WORD;
    switch (assertion) {
    case REGEX_AT_START:
    case REGEX_AT_LINE_START:
        return holds_before(assertion, after);
    case REGEX_AT_END:
        return end;
    case REGEX_AT_LAST_END:
        return end || last;
    case REGEX_AT_LINE_END:
        return end || (next & REGEX_AFTER_NEWLINE);
    case REGEX_AT_ASCII_BOUNDARY:
    case REGEX_AT_ASCII_INSIDE:
        bit = REGEX_AFTER_ASCII_WORD;
        break;
    default:
        break;
    }
    bool inside =
        assertion == REGEX_AT_INSIDE || assertion == REGEX_AT_ASCII_INSIDE;
    if (end && (after & REGEX_AFTER_START)) { /* the empty text */
        return inside && program->host->empty_not_boundary;
    }
    bool boundary = !(after & bit) != !(next & bit);
    return boundary != inside;
}

/* The state's steps, and those behind assertions that hold now */
static collection
resolve(regex_program *program, const regex_cache *cache,
        const regex_state *state, uint32_t symbol)
{
    collection all = {program->current, state->count, false, false};
    begin_round(program);
    for (uint32_t i = 0; i < state->count; i++) {
        uint32_t step = cache->steps[state->steps + i];
        all.steps[i] = step;
        program->marks[step] = program->round;
        all.match |= program->steps[step].kind == REGEX_STEP_MATCH;
    }
    for (uint32_t i = 0; i < all.count; i++) {
        const regex_step *s = &program->steps[all.steps[i]];
        if (s->kind == REGEX_STEP_ASSERT
            && holds(program, s->a, state->after, symbol)) {
            collect(program, &all, all.steps[i] + 1, state->after);
        }
    }
    return all;
}

/* ---- states */

/* Forget all states but keep the memory */
static void
cache_empty(regex_cache *cache)
{
    cache->state_count = 0;
    cache->step_count = 0;
    cache->start = UNMADE;
    memset(cache->index, 0, cache->index_room * sizeof(uint32_t));
}

/* Room for one state more, its steps at their most, and its row */
static bool
cache_room(const regex_program *program, regex_cache *cache)
{
    const regex_host *host = program->host;
    size_t width = program->width;
    size_t rows = cache->state_count + FIRST_STATE + 1;
    while (cache->step_room < cache->step_count + program->step_count) {
        if (!regex_grow(host, &cache->steps, &cache->step_room,
                        cache->step_room, sizeof(uint32_t))) {
            return false;
        }
    }
    while (cache->row_room < rows * width) {
        if (!regex_grow(host, &cache->rows, &cache->row_room, cache->row_room,
                        sizeof(uint32_t))) {
            return false;
        }
    }
    if (!regex_grow(host, &cache->states, &cache->state_room,
                    cache->state_count, sizeof(regex_state))) {
        return false;
    }
    if (cache->index_room >= 2 * (cache->state_count + 1)) {
        return true;
    }
    size_t index_room = cache->index_room < 16 ? 32 : cache->index_room * 2;
    uint32_t *index = host->resize(NULL, index_room * sizeof(uint32_t));
    if (index == NULL) {
        return false;
    }
    memset(index, 0, index_room * sizeof(uint32_t));
    for (uint32_t i = 0; i < cache->state_count; i++) {
        size_t at = cache->states[i].hash & (index_room - 1);
        while (index[at] != 0) {
            at = (at + 1) & (index_room - 1);
        }
        index[at] = i + 1;
    }
    host->release(cache->index);
    cache->index = index;
    cache->index_room = index_room;
    return true;
}

static void
sort(uint32_t *steps, uint32_t count)
{
    /* heap sort: sets of thousands happen, and no pattern may make it slow */
    for (uint32_t end = count, root = count / 2; end > 1;) {
        uint32_t moved;
        if (root > 0) {
            moved = steps[--root];
        }
        else {
            moved = steps[--end];
            steps[end] = steps[0];
        }
        uint32_t hole = root, child;
        while ((child = 2 * hole + 1) < end) {
            child += child + 1 < end && steps[child + 1] > steps[child];
            if (steps[child] <= moved) {
                break;
            }
            steps[hole] = steps[child];
            hole = child;
        }
        steps[hole] = moved;
    }
}

/* The row of the state whose steps lie behind the cache's; makes it if it is
 * new. NO_ROW: no memory
 */
static uint32_t
intern(regex_program *program, regex_cache *cache, regex_mode mode,
       const collection *all, uint32_t after)
{
    uint32_t width = program->width;
    if (all->match && mode != REGEX_FULLMATCH) {
        return ACCEPT * width;
    }
    /* a search may begin once more behind a newline, though nowhere now */
    bool again = mode == REGEX_SEARCH
                 && (program->assertions & 1u << REGEX_AT_LINE_START);
    if (all->count == 0 && !again) {
        return REFUSE * width;
    }
    uint32_t *steps = cache->steps + cache->step_count;
    sort(steps, all->count);
    after = all->pending ? after : 0; /* nobody else will ask */
    uint32_t hash = after * 0x9e3779b1u + all->count;
    for (uint32_t i = 0; i < all->count; i++) {
        hash = (hash ^ steps[i]) * 0x01000193u;
        hash ^= hash >> 15;
    }
    size_t mask = cache->index_room - 1, at = hash & mask;
    for (; cache->index[at] != 0; at = (at + 1) & mask) {
        const regex_state *state = &cache->states[cache->index[at] - 1];
        if (state->hash == hash && state->count == all->count
            && state->after == after
            && memcmp(cache->steps + state->steps, steps,
                      all->count * sizeof(uint32_t))
                   == 0) {
            return (cache->index[at] - 1 + FIRST_STATE) * width;
        }
    }
    uint32_t number = (uint32_t)cache->state_count++;
    cache->states[number] =
        (regex_state){(uint32_t)cache->step_count, all->count, hash, after};
    cache->step_count += all->count;
    cache->index[at] = number + 1;
    uint32_t row = (number + FIRST_STATE) * width;
    memset(cache->rows + row, 0, width * sizeof(uint32_t));
    return row;
}

/* The first state; NO_ROW: no memory */
static uint32_t
start_row(regex_program *program, regex_mode mode)
{
    regex_cache *cache = &program->caches[mode];
    if (cache->start != UNMADE) {
        return cache->start;
    }
    if (!cache_room(program, cache)) {
        return NO_ROW;
    }
    uint32_t width = program->width;
    for (uint32_t i = 0; i < width; i++) {
        cache->rows[UNMADE * width + i] = UNMADE;
        cache->rows[REFUSE * width + i] = REFUSE * width;
        cache->rows[ACCEPT * width + i] = ACCEPT * width;
    }
    collection all = {cache->steps + cache->step_count, 0, false, false};
    begin_round(program);
    collect(program, &all, 0, REGEX_AFTER_START);
    cache->start = intern(program, cache, mode, &all, REGEX_AFTER_START);
    return cache->start;
}

/* Where a state goes with a symbol; NO_ROW: no memory. May empty the cache:
 * then rows known before are gone.
 */
static uint32_t
follow_symbol(regex_program *program, regex_mode mode, uint32_t row,
              uint32_t symbol)
{
    regex_cache *cache = &program->caches[mode];
    uint32_t width = program->width, target;
    bool end = symbol == REGEX_SYMBOL_END(program);
    bool last = symbol == REGEX_SYMBOL_NEWLINE(program);
    if (!cache_room(program, cache)) {
        return NO_ROW;
    }
    const regex_state *state = &cache->states[row / width - FIRST_STATE];
    collection now = resolve(program, cache, state, symbol);
    if (end || (now.match && mode != REGEX_FULLMATCH)) {
        target = (now.match ? ACCEPT : REFUSE) * width;
        cache->rows[row + symbol] = target;
        return target;
    }
    bool full =
        cache->state_count >= CACHE_STATES_MAX
        || cache->step_count >= CACHE_STEPS_MAX
        || (cache->state_count + FIRST_STATE) * width >= CACHE_CELLS_MAX;
    if (full) {
        cache_empty(cache);
    }
    uint32_t real = last ? program->latin['\n'] : symbol;
    uint32_t after = program->after[real];
    collection next = {cache->steps + cache->step_count, 0, false, false};
    begin_round(program);
    for (uint32_t i = 0; i < now.count; i++) {
        const regex_step *s = &program->steps[now.steps[i]];
        const uint64_t *members =
            program->members + (size_t)s->a * program->member_words;
        if (s->kind == REGEX_STEP_SET
            && ((members[real >> 6] >> (real & 63)) & 1)) {
            collect(program, &next, now.steps[i] + 1, after);
        }
    }
    if (mode == REGEX_SEARCH) {
        collect(program, &next, 0, after);
    }
    target = intern(program, cache, mode, &next, after);
    if (!full) {
        cache->rows[row + symbol] = target;
    }
    return target;
}

/* ---- small automata */

static inline __attribute__((always_inline)) int
run_packed(const regex_packed *packed, const uint8_t *text, size_t length)
{
    uint64_t state = packed->start;
    const uint8_t *end = text + length;
    bool newline = packed->newline && length > 0 && end[-1] == '\n';
    end -= newline;
    while (end - text >= 8) {
        for (int i = 0; i < 8; i++) {
            state = packed->words[text[i]] >> (state & 63);
        }
        text += 8;
        if ((packed->settled >> (state & 63)) & 1) {
            return (int)((packed->accept >> (state & 63)) & 1);
        }
    }
    while (text < end) {
        state = packed->words[*text++] >> (state & 63);
    }
    if (newline) {
        state = packed->words[REGEX_PACKED_NEWLINE] >> (state & 63);
    }
    return (int)((packed->accept >> (state & 63)) & 1);
}

static int
run_packed_any(const regex_packed *packed, const uint8_t *text, size_t length)
{
    return run_packed(packed, text, length);
}

/* With a shift by any register, one instruction and not two: 1.5 times as fast
 * over 32 bytes.
 */
#if defined(__x86_64__)
__attribute__((target("bmi2"))) static int
run_packed_bmi2(const regex_packed *packed, const uint8_t *text, size_t length)
{
    return run_packed(packed, text, length);
}

static bool
has_bmi2(void)
{
    return __builtin_cpu_supports("bmi2");
}
#else
#define run_packed_bmi2 run_packed_any

static bool
has_bmi2(void)
{
    return false;
}
#endif

/* ---- preparation */

/* Make the word of each character. All rows are made, and few. */
static void
pack(const regex_program *program, const regex_cache *cache,
     regex_packed *packed)
{
    uint32_t width = program->width;
    size_t rows = cache->state_count + FIRST_STATE;
    memset(packed, 0, sizeof(*packed));
    packed->run = has_bmi2() ? run_packed_bmi2 : run_packed_any;
    packed->newline = program->last_newline;
    packed->start = (cache->start / width - 1) * REGEX_PACKED_BITS;
    packed->settled =
        1 | (uint64_t)1 << REGEX_PACKED_BITS; /* REFUSE and ACCEPT */
    for (size_t row = REFUSE; row < rows; row++) {
        const uint32_t *cells = cache->rows + row * width;
        size_t shift = (row - 1) * REGEX_PACKED_BITS;
        for (uint32_t c = 0; c <= REGEX_PACKED_NEWLINE; c++) {
            uint32_t symbol = c == REGEX_PACKED_NEWLINE
                                  ? REGEX_SYMBOL_NEWLINE(program)
                                  : program->latin[c];
            uint64_t next = cells[symbol] / width - 1;
            packed->words[c] |= next * REGEX_PACKED_BITS << shift;
        }
        if (cells[REGEX_SYMBOL_END(program)] == ACCEPT * width) {
            packed->accept |= (uint64_t)1 << shift;
        }
    }
}

bool
regex_prepare(regex_program *program, regex_mode mode)
{
    regex_cache *cache = &program->caches[mode];
    uint32_t width = program->width;
    if (start_row(program, mode) == NO_ROW) {
        return false;
    }
    for (size_t i = 0; i < cache->state_count; i++) {
        if (cache->state_count > PREPARE_STATES_MAX
            || width * cache->state_count > CACHE_CELLS_MAX / 8) {
            return true;
        }
        uint32_t row = (uint32_t)(i + FIRST_STATE) * width;
        for (uint32_t symbol = 0; symbol < width; symbol++) {
            if (follow_symbol(program, mode, row, symbol) == NO_ROW) {
                return false;
            }
        }
    }
    if (cache->state_count + 2 > REGEX_PACKED_STATES) {
        return true;
    }
    regex_packed *packed = program->host->resize(NULL, sizeof(*packed));
    if (packed == NULL) {
        return false;
    }
    pack(program, cache, packed);
    program->packed[mode] = packed;
    return true;
}

/* ---- the run */

static inline uint32_t
character_at(const void *text, int size, size_t i)
{
    return size == 1   ? ((const uint8_t *)text)[i]
           : size == 2 ? ((const uint16_t *)text)[i]
                       : ((const uint32_t *)text)[i];
}

static inline uint32_t
symbol_at(const regex_program *program, const void *text, int size, size_t i)
{
    uint32_t c = character_at(text, size, i);
    return size == 1 || c < 256 ? program->latin[c] : regex_symbol(program, c);
}

/* `length` characters, all of them common */
static inline uint32_t
run_rows(regex_program *program, regex_mode mode, int size, const void *text,
         size_t length, uint32_t row)
{
    const uint32_t *rows = program->caches[mode].rows;
    uint32_t settled = ACCEPT * program->width;
    for (size_t i = 0; i < length; i++) {
        uint32_t symbol = symbol_at(program, text, size, i);
        uint32_t next = rows[row + symbol];
        if (next <= settled) {
            if (next == UNMADE) {
                next = follow_symbol(program, mode, row, symbol);
                rows = program->caches[mode].rows;
            }
            if (next <= settled || next == NO_ROW) {
                return next;
            }
        }
        row = next;
    }
    return row;
}

/* One symbol more */
static uint32_t
run_symbol(regex_program *program, regex_mode mode, uint32_t row,
           uint32_t symbol)
{
    uint32_t next = program->caches[mode].rows[row + symbol];
    return next != UNMADE ? next : follow_symbol(program, mode, row, symbol);
}

int
regex_run(regex_program *program, regex_mode mode, int size, const void *text,
          size_t length)
{
    uint32_t settled = ACCEPT * program->width;
    uint32_t row = start_row(program, mode);
    bool newline = program->last_newline && length > 0
                   && character_at(text, size, length - 1) == '\n';
    length -= newline;
    if (row > settled && row != NO_ROW) {
        row = size == 1   ? run_rows(program, mode, 1, text, length, row)
              : size == 2 ? run_rows(program, mode, 2, text, length, row)
                          : run_rows(program, mode, 4, text, length, row);
    }
    if (row > settled && row != NO_ROW && newline) {
        row = run_symbol(program, mode, row, REGEX_SYMBOL_NEWLINE(program));
    }
    if (row > settled && row != NO_ROW) {
        row = run_symbol(program, mode, row, REGEX_SYMBOL_END(program));
    }
    return row == NO_ROW ? -1 : row == settled;
}
