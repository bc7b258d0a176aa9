/* SPDX-License-Identifier: MIT
 *
 * Run an automaton over a text. A deterministic state is the set of steps the
 * nondeterministic automaton may be at, between two characters; it is made
 * when a text first leads to it, and kept while there is room. Each character
 * costs one look into a table, or one making of a state at most: linear time.
 * Where texts lead to new states all the time, none is made any more, and the
 * nondeterministic automaton itself runs, its steps the bits of a set.
 */
#include "regex_core.h"

#include <string.h>

/* A cache is emptied before it grows beyond; then states are made again */
#ifndef CACHE_STATES_MAX /* the fuzz driver sets it to a few */
#define CACHE_STATES_MAX 2000
#endif
#define CACHE_STEPS_MAX ((size_t)1 << 18)
#define CACHE_CELLS_MAX ((size_t)1 << 18)
/* States that regex_prepare makes before it leaves the rest to the texts */
#define PREPARE_STATES_MAX 40

/* The first rows */
enum { UNMADE, REFUSE, ACCEPT, FIRST_STATE };

#define NO_ROW UINT32_MAX
#define FULL (UINT32_MAX - 1) /* no room for the state to be made */

/* A run rests after so many characters, or visits without states: some ms */
#define CHARACTERS_MAX ((size_t)1 << 22)
#define VISITS_MAX 1000000

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
    cache->read = 0;
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

static bool
cache_full(const regex_program *program, const regex_cache *cache)
{
    return cache->state_count >= CACHE_STATES_MAX
           || cache->step_count >= CACHE_STEPS_MAX
           || (cache->state_count + FIRST_STATE) * program->width
                  >= CACHE_CELLS_MAX;
}

/* Where a state goes with a symbol; NO_ROW: no memory. In a full cache it may
 * empty it: then rows known before are gone. Otherwise FULL.
 */
static uint32_t
follow_symbol(regex_program *program, regex_mode mode, uint32_t row,
              uint32_t symbol, bool may_empty)
{
    regex_cache *cache = &program->caches[mode];
    uint32_t width = program->width, target;
    bool end = symbol == REGEX_SYMBOL_END(program);
    bool last = symbol == REGEX_SYMBOL_NEWLINE(program);
    bool full = cache_full(program, cache);
    if (full && !may_empty && !end) {
        return FULL;
    }
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
            uint32_t next = follow_symbol(program, mode, row, symbol, false);
            if (next >= FULL) {
                return next == FULL;
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

/* ---- runs without states */

static inline void
bit_set(uint64_t *bits, uint32_t step)
{
    bits[step >> 6] |= (uint64_t)1 << (step & 63);
}

/* What the rows of the automaton know, as sets of steps */
static bool
moves_make(regex_program *program)
{
    size_t words = (program->step_count + 63) / 64;
    uint32_t rows = program->symbols + 2;
    size_t size = rows * words * sizeof(uint64_t);
    program->words = (uint32_t)words;
    program->moves = program->host->resize(NULL, size);
    if (program->moves == NULL) {
        return false;
    }
    memset(program->moves, 0, size);
    uint64_t *turns = program->moves + program->symbols * words;
    for (uint32_t i = 0; i < program->step_count; i++) {
        const regex_step *s = &program->steps[i];
        if (s->kind == REGEX_STEP_MATCH) {
            continue;
        }
        if (s->kind != REGEX_STEP_SET) {
            bit_set(turns, i);
            if (s->kind == REGEX_STEP_ASSERT && s->a > REGEX_AT_LINE_START) {
                bit_set(turns + words, i);
            }
            continue;
        }
        const uint64_t *members =
            program->members + (size_t)s->a * program->member_words;
        for (uint32_t c = 0; c < program->symbols; c++) {
            if ((members[c >> 6] >> (c & 63)) & 1) {
                bit_set(program->moves + c * words, i);
            }
        }
    }
    return true;
}

#define NO_SYMBOL UINT32_MAX

/* Into the set, and on the stack if it leads on without a character */
static inline uint32_t
scan_push(regex_program *program, uint64_t *set, uint32_t depth, uint32_t step)
{
    uint64_t bit = (uint64_t)1 << (step & 63);
    const uint64_t *turns = program->moves + program->symbols * program->words;
    bool turn = !(set[step >> 6] & bit) && (turns[step >> 6] & bit);
    set[step >> 6] |= bit;
    program->stack[depth] = step;
    return depth + turn;
}

/* All that the steps on the stack lead to. Assertions that look ahead hold
 * only where the symbol is known. Returns how many steps were visited.
 */
static uint32_t
scan_spread(regex_program *program, uint64_t *set, uint32_t depth,
            uint32_t after, uint32_t symbol)
{
    uint32_t visits = 0;
    for (; depth > 0; visits++) {
        uint32_t number = program->stack[--depth];
        const regex_step *s = &program->steps[number];
        bool through;
        switch (s->kind) {
        case REGEX_STEP_SPLIT:
            depth = scan_push(program, set, depth, s->b);
            depth = scan_push(program, set, depth, s->a);
            break;
        case REGEX_STEP_JUMP:
            depth = scan_push(program, set, depth, s->a);
            break;
        default:
            through = s->a <= REGEX_AT_LINE_START ? holds_before(s->a, after)
                      : symbol == NO_SYMBOL
                          ? false
                          : holds(program, s->a, after, symbol);
            if (through) {
                depth = scan_push(program, set, depth, number + 1);
            }
        }
    }
    return visits;
}

/* The steps behind assertions that wait for the symbol. Visits */
static uint32_t
scan_resolve(regex_scan *scan, uint32_t symbol)
{
    regex_program *program = scan->program;
    size_t words = program->words;
    const uint64_t *waits = program->moves + (program->symbols + 1) * words;
    uint32_t depth = 0;
    for (size_t w = 0; w < words; w++) {
        for (uint64_t found = scan->sets[w] & waits[w]; found != 0;
             found &= found - 1) {
            program->stack[depth++] =
                (uint32_t)(64 * w) + (uint32_t)__builtin_ctzll(found);
        }
    }
    return scan_spread(program, scan->sets, depth, scan->after, symbol);
}

/* The steps behind the character. Visits, or 0: there are none left */
static uint32_t
scan_move(regex_scan *scan, uint32_t symbol)
{
    regex_program *program = scan->program;
    size_t words = program->words;
    uint64_t *now = scan->sets, *next = scan->sets + words, carry = 0, any = 0;
    const uint64_t *move = program->moves + symbol * words;
    const uint64_t *turns = program->moves + program->symbols * words;
    uint32_t depth = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t moved = now[w] & move[w];
        uint64_t set = moved << 1 | carry;
        carry = moved >> 63;
        next[w] = set;
        any |= set;
        for (uint64_t found = set & turns[w]; found != 0; found &= found - 1) {
            program->stack[depth++] =
                (uint32_t)(64 * w) + (uint32_t)__builtin_ctzll(found);
        }
    }
    bool search = scan->mode == REGEX_SEARCH;
    if (any == 0 && !search) {
        return 0;
    }
    if (search) {
        depth = scan_push(program, next, depth, 0);
    }
    scan->after = program->after[symbol];
    uint32_t visits =
        scan_spread(program, next, depth, scan->after, NO_SYMBOL);
    memcpy(now, next, words * sizeof(uint64_t));
    return visits + (uint32_t)words;
}

static inline bool
scan_matches(const regex_scan *scan)
{
    uint32_t last = (uint32_t)scan->program->step_count - 1;
    return (scan->sets[last >> 6] >> (last & 63)) & 1;
}

/* From the row where it stands to the set of its steps. false: no memory */
static bool
scan_leave_row(regex_scan *scan)
{
    regex_program *program = scan->program;
    const regex_cache *cache = &program->caches[scan->mode];
    if (program->moves == NULL && !moves_make(program)) {
        return false;
    }
    size_t size = 2 * (size_t)program->words * sizeof(uint64_t);
    scan->sets = program->host->resize(NULL, size);
    if (scan->sets == NULL) {
        return false;
    }
    memset(scan->sets, 0, size);
    const regex_state *state =
        &cache->states[scan->row / program->width - FIRST_STATE];
    for (uint32_t i = 0; i < state->count; i++) {
        bit_set(scan->sets, cache->steps[state->steps + i]);
    }
    scan->after = state->after;
    return true;
}

/* The rest of the text, as follow_symbol does it */
static int
scan_without_states(regex_scan *scan)
{
    regex_program *program = scan->program;
    bool partly = scan->mode != REGEX_FULLMATCH;
    size_t visits = 0;
    while (visits < VISITS_MAX) {
        bool last = scan->at == scan->length;
        bool end = last && !scan->newline;
        uint32_t real =
            last ? program->latin['\n']
                 : symbol_at(program, scan->text, scan->size, scan->at);
        uint32_t symbol = end    ? REGEX_SYMBOL_END(program)
                          : last ? REGEX_SYMBOL_NEWLINE(program)
                                 : real;
        visits += scan_resolve(scan, symbol);
        if (end || (partly && scan_matches(scan))) {
            return scan_matches(scan);
        }
        uint32_t moved = scan_move(scan, real);
        if (moved == 0) {
            return 0;
        }
        visits += moved;
        if (last) {
            scan->newline = false;
        }
        else {
            scan->at++;
        }
    }
    return REGEX_PAUSED;
}

/* ---- runs over rows */

/* Characters up to `end`, all of them common */
static inline uint32_t
run_rows(regex_scan *scan, int size, size_t end)
{
    regex_program *program = scan->program;
    const void *text = scan->text;
    const uint32_t *rows = program->caches[scan->mode].rows;
    uint32_t settled = ACCEPT * program->width, row = scan->row;
    for (size_t i = scan->at; i < end; i++) {
        uint32_t symbol = symbol_at(program, text, size, i);
        uint32_t next = rows[row + symbol];
        if (next <= settled) {
            if (next == UNMADE) {
                next = follow_symbol(program, scan->mode, row, symbol, false);
                rows = program->caches[scan->mode].rows;
            }
            if (next <= settled || next >= FULL) {
                scan->at = i;
                scan->row = row;
                return next;
            }
        }
        row = next;
    }
    scan->at = end;
    scan->row = row;
    return row;
}

/* A full cache is emptied if that is worth it. To make a state costs as much
 * as some visits more than it has steps; a character may cost a few.
 */
static bool
scan_may_empty(const regex_scan *scan, size_t begun)
{
    regex_cache *cache = &scan->program->caches[scan->mode];
    size_t read = cache->read + (scan->at - begun);
    cache->frozen =
        cache->frozen || 4 * read < 8 * cache->state_count + cache->step_count;
    return !cache->frozen && cache->held == 0;
}

/* One symbol more */
static uint32_t
run_symbol(const regex_scan *scan, uint32_t row, uint32_t symbol)
{
    uint32_t next = scan->program->caches[scan->mode].rows[row + symbol];
    return next != UNMADE
               ? next
               : follow_symbol(scan->program, scan->mode, row, symbol, false);
}

/* Rows as far as they go: 1, 0, -1; REGEX_PAUSED with sets or without */
static int
scan_rows(regex_scan *scan)
{
    regex_program *program = scan->program;
    uint32_t settled = ACCEPT * program->width, next;
    size_t begun = scan->at;
    size_t end = scan->length - begun > CHARACTERS_MAX ? begun + CHARACTERS_MAX
                                                       : scan->length;
    for (;;) {
        next = scan->size == 1   ? run_rows(scan, 1, end)
               : scan->size == 2 ? run_rows(scan, 2, end)
                                 : run_rows(scan, 4, end);
        if (next != FULL) {
            break;
        }
        if (!scan_may_empty(scan, begun)) {
            return scan_leave_row(scan) ? REGEX_PAUSED : -1;
        }
        uint32_t symbol = symbol_at(program, scan->text, scan->size, scan->at);
        next = follow_symbol(program, scan->mode, scan->row, symbol, true);
        if (next <= settled || next >= FULL) {
            break;
        }
        scan->row = next;
        begun = ++scan->at;
    }
    program->caches[scan->mode].read += scan->at - begun;
    if (next > settled && next < FULL && scan->at < scan->length) {
        return REGEX_PAUSED;
    }
    if (next > settled && next < FULL && scan->newline) {
        next = run_symbol(scan, next, REGEX_SYMBOL_NEWLINE(program));
        if (next == FULL) {
            return scan_leave_row(scan) ? REGEX_PAUSED : -1;
        }
    }
    if (next > settled && next < FULL) {
        next = run_symbol(scan, next, REGEX_SYMBOL_END(program));
    }
    return next == NO_ROW ? -1 : next == settled;
}

void
regex_scan_begin(regex_scan *scan, regex_program *program, regex_mode mode,
                 int size, const void *text, size_t length)
{
    bool newline = program->last_newline && length > 0
                   && character_at(text, size, length - 1) == '\n';
    *scan = (regex_scan){.program = program,
                         .mode = mode,
                         .size = size,
                         .text = text,
                         .length = length - newline,
                         .newline = newline};
}

int
regex_scan_go(regex_scan *scan)
{
    regex_program *program = scan->program;
    regex_cache *cache = &program->caches[scan->mode];
    if (scan->sets != NULL) {
        return scan_without_states(scan);
    }
    cache->held -= scan->held;
    scan->held = false;
    if (scan->row == UNMADE) {
        uint32_t settled = ACCEPT * program->width;
        scan->row = start_row(program, scan->mode);
        if (scan->row <= settled || scan->row == NO_ROW) {
            return scan->row == NO_ROW ? -1 : scan->row == settled;
        }
    }
    int verdict = scan_rows(scan);
    scan->held = verdict == REGEX_PAUSED && scan->sets == NULL;
    cache->held += scan->held;
    return verdict;
}

void
regex_scan_end(regex_scan *scan)
{
    scan->program->caches[scan->mode].held -= scan->held;
    scan->program->host->release(scan->sets);
}
