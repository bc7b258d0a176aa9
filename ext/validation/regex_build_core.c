/* SPDX-License-Identifier: MIT
 *
 * From the tree of a pattern to its nondeterministic automaton, and the
 * alphabet: characters that no set of the pattern tells apart are one symbol.
 */
#include "regex_core.h"

#include <string.h>

/* Sets times what they are asked about: a pattern of some hundred sets stays
 * below, and a compilation below 0.1 s
 */
#define BUILD_QUESTIONS_MAX ((size_t)1 << 21)

typedef struct {
    regex_program *program;
    const regex_tree *tree;
    regex_verdict verdict;
} builder;

/* ---- steps */

/* The step's number; UINT32_MAX: stop */
static uint32_t
emit(builder *b, regex_step_kind kind, uint32_t a)
{
    regex_program *program = b->program;
    bool turn = kind != REGEX_STEP_SET && kind != REGEX_STEP_MATCH;
    program->turns += turn;
    if (program->step_count >= REGEX_STEPS_MAX
        || program->turns > REGEX_TURNS_MAX) {
        b->verdict = REGEX_IRREGULAR;
        return UINT32_MAX;
    }
    if (!regex_grow(program->host, &program->steps, &program->step_room,
                    program->step_count, sizeof(regex_step))) {
        b->verdict = REGEX_NO_MEMORY;
        return UINT32_MAX;
    }
    program->steps[program->step_count] = (regex_step){kind, a, 0};
    return (uint32_t)program->step_count++;
}

static bool emit_node(builder *b, uint32_t node);

static bool
emit_sequence(builder *b, uint32_t node)
{
    for (uint32_t part = b->tree->nodes[node].a; part != 0;
         part = b->tree->nodes[part].next) {
        if (!emit_node(b, part)) {
            return false;
        }
    }
    return true;
}

/* Set `b` of a chain of splits, or `a` of a chain of jumps, to the next step.
 * The chain runs through that very field; UINT32_MAX ends it.
 */
static void
patch(builder *b, uint32_t chain)
{
    regex_step *steps = b->program->steps;
    uint32_t target = (uint32_t)b->program->step_count;
    while (chain != UINT32_MAX) {
        uint32_t *field = steps[chain].kind == REGEX_STEP_SPLIT
                              ? &steps[chain].b
                              : &steps[chain].a;
        chain = *field;
        *field = target;
    }
}

/* split A, B; A: first, jump end; B: split ... */
static bool
emit_choice(builder *b, uint32_t node)
{
    uint32_t ends = UINT32_MAX;
    uint32_t branch = b->tree->nodes[node].a;
    while (b->tree->nodes[branch].next != 0) {
        uint32_t split = emit(b, REGEX_STEP_SPLIT, 0);
        if (split == UINT32_MAX) {
            return false;
        }
        b->program->steps[split].a = split + 1;
        if (!emit_sequence(b, branch)) {
            return false;
        }
        uint32_t jump = emit(b, REGEX_STEP_JUMP, ends);
        if (jump == UINT32_MAX) {
            return false;
        }
        ends = jump;
        b->program->steps[split].b = jump + 1;
        branch = b->tree->nodes[branch].next;
    }
    if (!emit_sequence(b, branch)) {
        return false;
    }
    patch(b, ends);
    return true;
}

/* What is repeated without end: at least once, or not at all */
static bool
emit_loop(builder *b, uint32_t body, bool once)
{
    uint32_t start = (uint32_t)b->program->step_count;
    if (once) {
        if (!emit_node(b, body)) {
            return false;
        }
        uint32_t split = emit(b, REGEX_STEP_SPLIT, start);
        if (split == UINT32_MAX) {
            return false;
        }
        b->program->steps[split].b = split + 1;
        return true;
    }
    uint32_t split = emit(b, REGEX_STEP_SPLIT, start + 1);
    if (split == UINT32_MAX || !emit_node(b, body)
        || emit(b, REGEX_STEP_JUMP, start) == UINT32_MAX) {
        return false;
    }
    b->program->steps[split].b = (uint32_t)b->program->step_count;
    return true;
}

/* Parts that may be left out, each within the one before: one exit for all */
static bool
emit_optional(builder *b, uint32_t body, uint32_t count)
{
    uint32_t exits = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t split = emit(b, REGEX_STEP_SPLIT, 0);
        if (split == UINT32_MAX) {
            return false;
        }
        b->program->steps[split].a = split + 1;
        b->program->steps[split].b = exits;
        exits = split;
        if (!emit_node(b, body)) {
            return false;
        }
        if (b->program->step_count == split + 1) {
            break; /* nothing in it: once is as often as many times */
        }
    }
    patch(b, exits);
    return true;
}

static bool
emit_repeat(builder *b, const regex_node *node)
{
    bool endless = node->high == REGEX_ENDLESS;
    uint32_t alone = endless && node->low > 0 ? node->low - 1 : node->low;
    for (uint32_t i = 0; i < alone; i++) {
        size_t before = b->program->step_count;
        if (!emit_node(b, node->a)) {
            return false;
        }
        if (b->program->step_count == before) {
            break;
        }
    }
    return endless ? emit_loop(b, node->a, node->low > 0)
                   : emit_optional(b, node->a, node->high - node->low);
}

static bool
emit_node(builder *b, uint32_t number)
{
    const regex_node *node = &b->tree->nodes[number];
    switch (node->kind) {
    case REGEX_NODE_SET:
        return emit(b, REGEX_STEP_SET, node->a) != UINT32_MAX;
    case REGEX_NODE_ASSERT:
        return emit(b, REGEX_STEP_ASSERT, node->a) != UINT32_MAX;
    case REGEX_NODE_SEQUENCE:
        return emit_sequence(b, number);
    case REGEX_NODE_CHOICE:
        return emit_choice(b, number);
    default:
        return emit_repeat(b, node);
    }
}

/* ---- the alphabet */

/* Where intervals begin beyond ASCII: at 128, at each range and behind it.
 * Sorted, without repetitions.
 */
static bool
alphabet_bounds(builder *b)
{
    regex_program *program = b->program;
    const regex_tree *tree = b->tree;
    size_t room = 2 * tree->range_count + 1, count = 0;
    uint32_t *bounds = program->host->resize(NULL, room * sizeof(*bounds));
    if (bounds == NULL) {
        return false;
    }
    program->bounds = bounds;
    bounds[count++] = 128;
    for (size_t i = 0; i < 2 * tree->range_count; i++) {
        const regex_range *range = &tree->ranges[i / 2];
        uint32_t bound = i % 2 ? range->high + 1 : range->low;
        size_t low = 0, high = count;
        while (low < high) { /* the first that is not below */
            size_t middle = (low + high) / 2;
            if (bounds[middle] < bound) {
                low = middle + 1;
            }
            else {
                high = middle;
            }
        }
        if (low == count || bounds[low] != bound) {
            memmove(bounds + low + 1, bounds + low,
                    (count - low) * sizeof(*bounds));
            bounds[low] = bound;
            count++;
        }
    }
    program->bound_count = count;
    return true;
}

static bool
set_has_wide(const regex_tree *tree, const regex_set *set, uint32_t character,
             unsigned kind)
{
    bool found = (set->kinds >> kind) & 1;
    size_t low = 0, high = set->count;
    while (low < high && !found) {
        size_t middle = (low + high) / 2;
        const regex_range *range = &tree->ranges[set->first + middle];
        if (character < range->low) {
            high = middle;
        }
        else if (character > range->high) {
            low = middle + 1;
        }
        else {
            found = true;
        }
    }
    return found != set->negated;
}

static bool
is_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_'
           || (c >= 'a' && c <= 'z');
}

/* Elements of the alphabet before it is sorted into symbols: ASCII, then each
 * interval with each combination of traits.
 */
typedef struct {
    uint16_t *symbols;
    size_t count;
    size_t symbol_count;
    uint32_t *split; /* symbol -> the symbol of those that answer true, or 0 */
} alphabet;

/* Does a set, or a fact numbered from the last set on, hold of an element? */
static bool
alphabet_answer(const builder *b, size_t question, size_t element)
{
    const regex_program *program = b->program;
    const regex_tree *tree = b->tree;
    uint32_t c = (uint32_t)element;
    size_t wide = element - 128;
    unsigned kind = element < 128 ? 0 : (unsigned)(wide % program->kinds);
    if (question < tree->set_count) {
        const regex_set *set = &tree->sets[question];
        if (element < 128) {
            return (set->ascii[c >> 6] >> (c & 63)) & 1;
        }
        return set_has_wide(tree, set, program->bounds[wide / program->kinds],
                            kind);
    }
    switch (question - tree->set_count) {
    case 0:
        return c == '\n';
    case 1: /* a word for ASCII's \b */
        return element < 128 && is_word(c);
    default:
        return element < 128 ? is_word(c) : (kind & REGEX_WORD) != 0;
    }
}

/* Symbols whose elements answer differently are divided */
static void
alphabet_divide(const builder *b, alphabet *all, size_t question)
{
    size_t known = all->symbol_count;
    /* [s]: those of s that say yes, [known + s]: whether any says no */
    uint32_t *yes = all->split, *no = all->split + all->count;
    memset(yes, 0, known * sizeof(*yes));
    memset(no, 0, known * sizeof(*no));
    for (size_t i = 0; i < all->count; i++) {
        bool answer = alphabet_answer(b, question, i);
        *(answer ? &yes[all->symbols[i]] : &no[all->symbols[i]]) = 1;
    }
    for (size_t s = 0; s < known; s++) {
        if (yes[s] && no[s]) {
            yes[s] = (uint32_t)all->symbol_count++;
        }
        else {
            yes[s] = 0;
        }
    }
    for (size_t i = 0; i < all->count; i++) {
        uint32_t other = yes[all->symbols[i]];
        if (other != 0 && alphabet_answer(b, question, i)) {
            all->symbols[i] = (uint16_t)other;
        }
    }
}

/* What assertions ask of characters */
static bool
alphabet_asked(const builder *b, size_t fact)
{
    unsigned assertions = b->tree->assertions;
    switch (fact) {
    case 0:
        return (assertions
                & (1u << REGEX_AT_LINE_START | 1u << REGEX_AT_LINE_END
                   | 1u << REGEX_AT_LAST_END))
               != 0;
    case 1:
        return (assertions
                & (1u << REGEX_AT_ASCII_BOUNDARY
                   | 1u << REGEX_AT_ASCII_INSIDE))
               != 0;
    default:
        return (assertions & (1u << REGEX_AT_BOUNDARY | 1u << REGEX_AT_INSIDE))
               != 0;
    }
}

/* From the elements' symbols the tables of the program */
static bool
alphabet_tables(builder *b, const alphabet *all)
{
    regex_program *program = b->program;
    const regex_host *host = program->host;
    size_t sets = b->tree->set_count, symbols = all->symbol_count;
    size_t wide = all->count - 128;
    size_t words = (symbols + 63) / 64;
    program->symbols = (uint32_t)symbols;
    program->width = (uint32_t)symbols + 2;
    program->member_words = (uint32_t)words;
    program->wide = host->resize(NULL, wide * sizeof(uint16_t));
    program->after = host->resize(NULL, symbols);
    program->members =
        host->resize(NULL, (sets * words + 1) * sizeof(uint64_t));
    if (program->wide == NULL || program->after == NULL
        || program->members == NULL) {
        return false;
    }
    memcpy(program->wide, all->symbols + 128, wide * sizeof(uint16_t));
    memcpy(program->latin, all->symbols, 128 * sizeof(uint16_t));
    memset(program->after, 0, symbols);
    memset(program->members, 0, sets * words * sizeof(uint64_t));
    for (size_t i = 0; i < all->count; i++) {
        uint32_t s = all->symbols[i];
        static const uint8_t after[] = {
            REGEX_AFTER_NEWLINE, REGEX_AFTER_ASCII_WORD, REGEX_AFTER_WORD};
        for (size_t fact = 0; fact < 3; fact++) {
            if (alphabet_asked(b, fact)
                && alphabet_answer(b, sets + fact, i)) {
                program->after[s] |= after[fact];
            }
        }
    }
    for (size_t set = 0; set < sets; set++) {
        uint64_t *row = program->members + set * words;
        for (size_t i = 0; i < all->count; i++) {
            if (alphabet_answer(b, set, i)) {
                uint32_t s = all->symbols[i];
                row[s >> 6] |= (uint64_t)1 << (s & 63);
            }
        }
    }
    for (uint32_t c = 128; c < 256; c++) {
        program->latin[c] = (uint16_t)regex_symbol(program, c);
    }
    return true;
}

static bool
alphabet_make(builder *b)
{
    regex_program *program = b->program;
    const regex_host *host = program->host;
    size_t sets = b->tree->set_count;
    bool kinds = alphabet_asked(b, 2);
    for (size_t i = 0; i < sets; i++) {
        kinds = kinds || (b->tree->sets[i].kinds + 1) % 256 > 1;
    }
    program->kinds = kinds ? REGEX_KINDS : 1;
    if (!alphabet_bounds(b)) {
        return false;
    }
    alphabet all = {.count = 128 + program->bound_count * program->kinds,
                    .symbol_count = 1};
    if (all.count > UINT16_MAX || all.count * sets > BUILD_QUESTIONS_MAX) {
        b->verdict = REGEX_IRREGULAR;
        return false;
    }
    all.symbols = host->resize(NULL, all.count * sizeof(uint16_t));
    all.split = host->resize(NULL, 2 * all.count * sizeof(uint32_t));
    bool made = all.symbols != NULL && all.split != NULL;
    if (made) {
        memset(all.symbols, 0, all.count * sizeof(uint16_t));
        for (size_t question = 0; question < sets + 3; question++) {
            if (question < sets || alphabet_asked(b, question - sets)) {
                alphabet_divide(b, &all, question);
            }
        }
        made = alphabet_tables(b, &all);
    }
    host->release(all.symbols);
    host->release(all.split);
    return made;
}

/* ---- all of it */

static bool
build(builder *b)
{
    regex_program *program = b->program;
    const regex_host *host = program->host;
    program->assertions = b->tree->assertions;
    program->last_newline =
        (program->assertions & 1u << REGEX_AT_LAST_END) != 0;
    if (!emit_node(b, b->tree->root)
        || emit(b, REGEX_STEP_MATCH, 0) == UINT32_MAX || !alphabet_make(b)) {
        return false;
    }
    size_t size = program->step_count * sizeof(uint32_t);
    program->stack = host->resize(NULL, size + sizeof(uint32_t));
    program->marks = host->resize(NULL, size);
    program->current = host->resize(NULL, size);
    if (program->stack == NULL || program->marks == NULL
        || program->current == NULL) {
        return false;
    }
    memset(program->marks, 0, size);
    return true;
}

regex_verdict
regex_compile(regex_program **result, const regex_host *host,
              const uint32_t *pattern, size_t length, unsigned flags,
              regex_problem *problem)
{
    regex_tree tree;
    *result = NULL;
    *problem = (regex_problem){"more parts than are followed here", 0};
    regex_verdict verdict =
        regex_parse(&tree, host, pattern, length, flags, problem);
    regex_program *program =
        verdict == REGEX_GOOD ? host->resize(NULL, sizeof(*program)) : NULL;
    if (program != NULL) {
        memset(program, 0, sizeof(*program));
        program->host = host;
        builder b = {program, &tree, REGEX_NO_MEMORY};
        if (build(&b)) {
            *result = program;
        }
        else {
            verdict = b.verdict;
            regex_free(program);
        }
    }
    else if (verdict == REGEX_GOOD) {
        verdict = REGEX_NO_MEMORY;
    }
    regex_tree_clear(&tree);
    return verdict;
}

void
regex_free(regex_program *program)
{
    if (program == NULL) {
        return;
    }
    const regex_host *host = program->host;
    for (int mode = 0; mode < REGEX_MODES; mode++) {
        host->release(program->packed[mode]);
        regex_cache_clear(host, &program->caches[mode]);
    }
    host->release(program->bounds);
    host->release(program->wide);
    host->release(program->after);
    host->release(program->members);
    host->release(program->steps);
    host->release(program->stack);
    host->release(program->marks);
    host->release(program->current);
    host->release(program->moves);
    host->release(program);
}
