/* SPDX-License-Identifier: MIT
 *
 * Read a pattern in re's syntax to a tree. re has compiled the pattern before,
 * so that what is wrong with it has been said; here it is only taken apart,
 * and what an automaton cannot do is named.
 */
#include "regex_core.h"

#include <string.h>

/* re itself runs into Python's recursion limit not much later */
#define PARSE_DEPTH_MAX 200

/* Sets are sorted and compared in quadratic time */
#define PARSE_RANGES_MAX 4096
#define PARSE_SETS_MAX 2048

enum { NO_CHARACTER = 0x110000 };

typedef struct {
    regex_tree *tree;
    const uint32_t *text;
    size_t length;
    size_t at;
    regex_problem *problem;
    regex_verdict verdict;
} parser;

bool
regex_grow(const regex_host *host, void *block_pointer, size_t *room,
           size_t count, size_t size)
{
    if (count < *room) {
        return true;
    }
    size_t wanted = *room < 8 ? 16 : *room * 2;
    void *block;
    memcpy(&block, block_pointer, sizeof(block));
    block = host->resize(block, wanted * size);
    if (block == NULL) {
        return false;
    }
    memcpy(block_pointer, &block, sizeof(block));
    *room = wanted;
    return true;
}

void
regex_tree_clear(regex_tree *tree)
{
    tree->host->release(tree->nodes);
    tree->host->release(tree->sets);
    tree->host->release(tree->ranges);
    tree->nodes = NULL;
    tree->sets = NULL;
    tree->ranges = NULL;
}

/* Always false: the parser stops */
static bool
parse_give_up(parser *p, const char *what, size_t at)
{
    if (p->verdict == REGEX_GOOD) {
        p->verdict = REGEX_IRREGULAR;
        p->problem->what = what;
        p->problem->at = at;
    }
    return false;
}

static bool
parse_no_memory(parser *p)
{
    p->verdict = REGEX_NO_MEMORY;
    return false;
}

/* What re would have refused */
static bool
parse_strange(parser *p)
{
    return parse_give_up(p, "something unknown", p->at);
}

static uint32_t
peek(const parser *p, size_t ahead)
{
    return p->at + ahead < p->length ? p->text[p->at + ahead] : NO_CHARACTER;
}

static bool
take(parser *p, uint32_t character)
{
    if (peek(p, 0) != character) {
        return false;
    }
    p->at++;
    return true;
}

static bool
is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool
is_octal(uint32_t c)
{
    return c >= '0' && c <= '7';
}

static bool
is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 16: none */
static unsigned
hex_value(uint32_t c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* A new node's number; 0: no memory */
static uint32_t
parse_node(parser *p, regex_node_kind kind, uint32_t a)
{
    regex_tree *tree = p->tree;
    if (!regex_grow(tree->host, &tree->nodes, &tree->node_room,
                    tree->node_count, sizeof(regex_node))) {
        p->verdict = REGEX_NO_MEMORY;
        return 0;
    }
    tree->nodes[tree->node_count] = (regex_node){.kind = kind, .a = a};
    return (uint32_t)tree->node_count++;
}

/* ---- sets */

static void
set_add_ascii(regex_set *set, uint32_t low, uint32_t high)
{
    for (uint32_t c = low; c <= high && c < 128; c++) {
        set->ascii[c >> 6] |= (uint64_t)1 << (c & 63);
    }
}

static bool
set_has_ascii(const regex_set *set, uint32_t c)
{
    return (set->ascii[c >> 6] >> (c & 63)) & 1;
}

/* low to high, of the set that is the last of the tree */
static bool
set_add(parser *p, regex_set *set, uint32_t low, uint32_t high)
{
    regex_tree *tree = p->tree;
    set_add_ascii(set, low, high);
    if (high < 128) {
        return true;
    }
    if (set->count >= PARSE_RANGES_MAX) {
        return parse_give_up(p, "a larger set than is read here", p->at);
    }
    if (!regex_grow(tree->host, &tree->ranges, &tree->range_room,
                    tree->range_count, sizeof(regex_range))) {
        return parse_no_memory(p);
    }
    tree->ranges[tree->range_count++] =
        (regex_range){low < 128 ? 128 : low, high};
    set->count++;
    return true;
}

/* \d \w \s and their opposites */
static void
set_add_category(regex_set *set, uint32_t letter, unsigned flags)
{
    regex_set own = {{0, 0}, 0, 0, 0, false};
    unsigned trait = 0;
    bool ascii = (flags & REGEX_ASCII) != 0;
    switch (letter | 0x20) {
    case 'd':
        set_add_ascii(&own, '0', '9');
        trait = REGEX_DIGIT;
        break;
    case 'w':
        set_add_ascii(&own, '0', '9');
        set_add_ascii(&own, 'A', 'Z');
        set_add_ascii(&own, '_', '_');
        set_add_ascii(&own, 'a', 'z');
        trait = REGEX_WORD;
        break;
    default:
        set_add_ascii(&own, '\t', '\r');
        set_add_ascii(&own, ' ', ' ');
        if (!ascii) {
            set_add_ascii(&own, 0x1c, 0x1f); /* separators */
        }
        trait = REGEX_SPACE;
    }
    for (unsigned kind = 0; kind < REGEX_KINDS; kind++) {
        if (!ascii && (kind & trait)) {
            own.kinds |= (uint8_t)(1u << kind);
        }
    }
    bool opposite = (letter & 0x20) == 0;
    set->ascii[0] |= opposite ? ~own.ascii[0] : own.ascii[0];
    set->ascii[1] |= opposite ? ~own.ascii[1] : own.ascii[1];
    set->kinds |= opposite ? (uint8_t)~own.kinds : own.kinds;
}

/* Characters beyond ASCII whose case is not theirs alone: two lower forms of
 * one capital, of which re takes one for the other sometimes. It has no other
 * case by itself, so that the host would not know.
 */
static bool
is_odd(uint32_t c)
{
    return c == 0xdf || c == 0x390 || c == 0x3b0 || c == 0x1fd3 || c == 0x1fe3
           || c == 0xfb05 || c == 0xfb06;
}

/* Upper and lower case alike, as re has it: a character is put into lower
 * case, then looked for. Among the others three of ASCII's letters have
 * relatives: LATIN CAPITAL I WITH DOT ABOVE and SMALL DOTLESS I, SMALL LONG S,
 * KELVIN SIGN.
 */
static bool
set_fold(parser *p, regex_set *set, unsigned flags, size_t at)
{
    bool unicode = (flags & REGEX_ASCII) == 0;
    regex_tree *tree = p->tree;
    for (uint32_t i = 0; i < set->count; i++) {
        regex_range range = tree->ranges[set->first + i];
        if (!unicode && range.high <= 0xffff) {
            continue; /* beyond, re tries capitals even with ASCII */
        }
        for (uint32_t c = range.low; c <= range.high; c++) {
            if (is_odd(c) || (tree->host->traits(c) & REGEX_CASED)) {
                return parse_give_up(p, "a letter beyond ASCII in either case",
                                     at);
            }
        }
    }
    for (uint32_t c = 'a'; c <= 'z'; c++) {
        if (!set_has_ascii(set, c) && !set_has_ascii(set, c - 32)) {
            continue;
        }
        set_add_ascii(set, c, c);
        set_add_ascii(set, c - 32, c - 32);
        if (unicode
            && ((c == 'i' && !set_add(p, set, 0x130, 0x131))
                || (c == 's' && !set_add(p, set, 0x17f, 0x17f))
                || (c == 'k' && !set_add(p, set, 0x212a, 0x212a)))) {
            return false;
        }
    }
    return true;
}

/* Ranges in order, none touching the next */
static void
set_sort(regex_tree *tree, regex_set *set)
{
    if (set->count == 0) {
        return; /* there may be no ranges at all */
    }
    regex_range *ranges = tree->ranges + set->first;
    size_t kept = 0;
    for (size_t i = 1; i < set->count; i++) {
        regex_range moved = ranges[i];
        size_t j = i;
        for (; j > 0 && ranges[j - 1].low > moved.low; j--) {
            ranges[j] = ranges[j - 1];
        }
        ranges[j] = moved;
    }
    for (size_t i = 1; i < set->count; i++) {
        if (ranges[i].low <= ranges[kept].high + 1) {
            if (ranges[i].high > ranges[kept].high) {
                ranges[kept].high = ranges[i].high;
            }
        }
        else {
            ranges[++kept] = ranges[i];
        }
    }
    if (set->count > 0) {
        set->count = (uint32_t)kept + 1;
        tree->range_count = set->first + kept + 1;
    }
}

static bool
set_equal(const regex_tree *tree, const regex_set *a, const regex_set *b)
{
    return a->ascii[0] == b->ascii[0] && a->ascii[1] == b->ascii[1]
           && a->count == b->count && a->kinds == b->kinds
           && a->negated == b->negated
           && (a->count == 0
               || memcmp(tree->ranges + a->first, tree->ranges + b->first,
                         a->count * sizeof(regex_range))
                      == 0);
}

/* Finish a set and make a node of it; 0: stop */
static uint32_t
parse_set_node(parser *p, regex_set *set, unsigned flags, size_t at)
{
    regex_tree *tree = p->tree;
    if ((flags & REGEX_IGNORECASE) && !set_fold(p, set, flags, at)) {
        return 0;
    }
    set_sort(tree, set);
    if (set->negated) {
        set->ascii[0] = ~set->ascii[0];
        set->ascii[1] = ~set->ascii[1];
    }
    for (size_t i = tree->set_count; i-- > 0;) {
        if (set_equal(tree, &tree->sets[i], set)) {
            tree->range_count = set->first;
            return parse_node(p, REGEX_NODE_SET, (uint32_t)i);
        }
    }
    if (tree->set_count >= PARSE_SETS_MAX) {
        parse_give_up(p, "more different characters than are read here", at);
        return 0;
    }
    if (!regex_grow(tree->host, &tree->sets, &tree->set_room, tree->set_count,
                    sizeof(regex_set))) {
        p->verdict = REGEX_NO_MEMORY;
        return 0;
    }
    tree->sets[tree->set_count] = *set;
    return parse_node(p, REGEX_NODE_SET, (uint32_t)tree->set_count++);
}

static regex_set
set_new(const parser *p)
{
    return (regex_set){.first = (uint32_t)p->tree->range_count};
}

static uint32_t
parse_literal(parser *p, uint32_t c, unsigned flags, size_t at)
{
    regex_set set = set_new(p);
    return set_add(p, &set, c, c) ? parse_set_node(p, &set, flags, at) : 0;
}

/* ---- escapes */

/* `count` hexadecimal digits */
static bool
parse_hex(parser *p, unsigned count, uint32_t *c)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned digit = hex_value(peek(p, 0));
        if (digit == 16) {
            return parse_strange(p);
        }
        value = value << 4 | digit;
        p->at++;
    }
    *c = value;
    return value < NO_CHARACTER || parse_strange(p);
}

/* Up to `count` octal digits */
static uint32_t
parse_octal(parser *p, unsigned count)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < count && is_octal(peek(p, 0)); i++) {
        value = value << 3 | (peek(p, 0) - '0');
        p->at++;
    }
    return value;
}

/* A character by its escape, behind the backslash and the letter */
static bool
parse_escaped(parser *p, uint32_t letter, uint32_t *c)
{
    static const char plain[] = "a\af\fn\nr\rt\tv\v";
    switch (letter) {
    case 'x':
        return parse_hex(p, 2, c);
    case 'u':
        return parse_hex(p, 4, c);
    case 'U':
        return parse_hex(p, 8, c);
    case 'N':
        return parse_give_up(p, "a character by its name", p->at - 2);
    default:
        break;
    }
    for (size_t i = 0; i < sizeof(plain) - 1; i += 2) {
        if (letter == (uint32_t)plain[i]) {
            *c = (uint32_t)plain[i + 1];
            return true;
        }
    }
    *c = letter;
    return !is_letter(letter) || parse_strange(p);
}

/* 0: stop */
static uint32_t
parse_assertion(parser *p, regex_assertion assertion)
{
    p->tree->assertions |= 1u << assertion;
    return parse_node(p, REGEX_NODE_ASSERT, assertion);
}

/* \1 to \99 refer to groups, three octal digits are a character */
static uint32_t
parse_number(parser *p, unsigned flags, size_t at)
{
    if (!(is_octal(peek(p, 0)) && is_octal(peek(p, 1))
          && is_octal(peek(p, 2)))) {
        parse_give_up(p, "a backreference", at);
        return 0;
    }
    return parse_literal(p, parse_octal(p, 3), flags, at);
}

/* Outside of a set, behind the backslash; 0: stop */
static uint32_t
parse_escape(parser *p, unsigned flags)
{
    size_t at = p->at - 1;
    bool ascii = (flags & REGEX_ASCII) != 0;
    uint32_t letter = peek(p, 0);
    if (is_digit(letter) && letter != '0') {
        return parse_number(p, flags, at);
    }
    if (letter == NO_CHARACTER) {
        parse_strange(p);
        return 0;
    }
    if (letter == '0') {
        return parse_literal(p, parse_octal(p, 3), flags, at);
    }
    p->at++;
    switch (letter) {
    case 'A':
        return parse_assertion(p, REGEX_AT_START);
    case 'Z':
        return parse_assertion(p, REGEX_AT_END);
    case 'b':
        return parse_assertion(p, ascii ? REGEX_AT_ASCII_BOUNDARY
                                        : REGEX_AT_BOUNDARY);
    case 'B':
        return parse_assertion(p, ascii ? REGEX_AT_ASCII_INSIDE
                                        : REGEX_AT_INSIDE);
    case 'd':
    case 'D':
    case 's':
    case 'S':
    case 'w':
    case 'W': {
        regex_set set = set_new(p);
        set_add_category(&set, letter, flags);
        return parse_set_node(p, &set, flags, at);
    }
    default: {
        uint32_t c;
        return parse_escaped(p, letter, &c) ? parse_literal(p, c, flags, at)
                                            : 0;
    }
    }
}

/* One element of a set: *c is its character, or NO_CHARACTER where a category
 * went into the set.
 */
static bool
parse_element(parser *p, regex_set *set, unsigned flags, uint32_t *c)
{
    *c = peek(p, 0);
    if (*c == NO_CHARACTER) {
        return parse_strange(p);
    }
    p->at++;
    if (*c != '\\') {
        return true;
    }
    uint32_t letter = peek(p, 0);
    if (is_octal(letter)) {
        *c = parse_octal(p, 3);
        return true;
    }
    if (letter == NO_CHARACTER || is_digit(letter)) {
        return parse_strange(p);
    }
    p->at++;
    switch (letter) {
    case 'd':
    case 'D':
    case 's':
    case 'S':
    case 'w':
    case 'W':
        set_add_category(set, letter, flags);
        *c = NO_CHARACTER;
        return true;
    case 'b':
        *c = '\b';
        return true;
    default:
        return parse_escaped(p, letter, c);
    }
}

/* Behind the bracket; 0: stop */
static uint32_t
parse_set(parser *p, unsigned flags)
{
    size_t at = p->at - 1;
    regex_set set = set_new(p);
    set.negated = take(p, '^');
    for (size_t first = p->at; p->at == first || !take(p, ']');) {
        uint32_t low, high;
        if (!parse_element(p, &set, flags, &low)) {
            return 0;
        }
        high = low;
        if (peek(p, 0) == '-' && peek(p, 1) != ']') {
            p->at++;
            if (!parse_element(p, &set, flags, &high)) {
                return 0;
            }
            if (low == NO_CHARACTER || high == NO_CHARACTER || high < low) {
                parse_strange(p);
                return 0;
            }
        }
        if (low != NO_CHARACTER && !set_add(p, &set, low, high)) {
            return 0;
        }
    }
    return parse_set_node(p, &set, flags, at);
}

/* ---- quantifiers */

static uint32_t
parse_count(parser *p, uint32_t missing)
{
    uint64_t value = 0;
    if (!is_digit(peek(p, 0))) {
        return missing;
    }
    for (; is_digit(peek(p, 0)); p->at++) {
        value = value * 10 + (peek(p, 0) - '0');
        value = value < REGEX_ENDLESS ? value : REGEX_ENDLESS - 1;
    }
    return (uint32_t)value;
}

/* Is there one, and which? */
static bool
parse_quantifier(parser *p, uint32_t *low, uint32_t *high)
{
    size_t at = p->at;
    *low = 0;
    *high = REGEX_ENDLESS;
    if (take(p, '*')) {
        return true;
    }
    if (take(p, '+')) {
        *low = 1;
        return true;
    }
    if (take(p, '?')) {
        *high = 1;
        return true;
    }
    if (!take(p, '{') || peek(p, 0) == '}') {
        p->at = at;
        return false;
    }
    *low = parse_count(p, 0);
    bool alone = is_digit(p->text[p->at - 1]);
    if (take(p, ',')) {
        *high = parse_count(p, REGEX_ENDLESS);
    }
    else if (alone) {
        *high = *low;
    }
    if (!take(p, '}')) {
        p->at = at;
        return false;
    }
    return true;
}

/* The quantifier behind a node; gives the node repeated, 0: stop */
static uint32_t
parse_repeat(parser *p, uint32_t node, uint32_t low, uint32_t high)
{
    if (peek(p, 0) == '+') {
        parse_give_up(p, "a possessive quantifier", p->at);
        return 0;
    }
    take(p, '?'); /* the same words, tried in another order */
    if (high < low) {
        parse_strange(p);
        return 0;
    }
    uint32_t repeat = parse_node(p, REGEX_NODE_REPEAT, node);
    if (repeat != 0) {
        p->tree->nodes[repeat].low = low;
        p->tree->nodes[repeat].high = high;
    }
    return repeat;
}

/* ---- groups */

static uint32_t parse_choice(parser *p, unsigned flags, int depth);

static unsigned
flag_of(uint32_t letter)
{
    switch (letter) {
    case 'a':
        return REGEX_ASCII;
    case 'i':
        return REGEX_IGNORECASE;
    case 'm':
        return REGEX_MULTILINE;
    case 's':
        return REGEX_DOTALL;
    case 'u':
        return REGEX_UNICODE;
    case 'x':
        return REGEX_VERBOSE;
    default:
        return 0;
    }
}

/* (?i) (?i:  (?-i:  behind the question mark. *content: is there a group? */
static bool
parse_flags(parser *p, unsigned *flags, bool *content)
{
    size_t at = p->at - 2;
    unsigned given[2] = {0, 0};
    int off = 0;
    for (;; p->at++) {
        uint32_t c = peek(p, 0);
        if (c == ':' || c == ')') {
            break;
        }
        if (c == '-' && !off) {
            off = 1;
            continue;
        }
        if (flag_of(c) == 0) {
            return parse_strange(p);
        }
        given[off] |= flag_of(c);
    }
    *content = take(p, ':');
    if (!*content) {
        p->at++; /* flags of all the pattern: re has told us */
        return true;
    }
    if (given[0] & (REGEX_ASCII | REGEX_UNICODE)) {
        /* re.search looks for the first character by the flags outside */
        return parse_give_up(p, "a group with its own kind of letters", at);
    }
    *flags = (*flags | given[0]) & ~given[1];
    return true;
}

/* Skip to behind `end` */
static bool
parse_skip(parser *p, uint32_t end)
{
    while (p->at < p->length) {
        if (p->text[p->at++] == end) {
            return true;
        }
    }
    return parse_strange(p);
}

/* Behind "(?": flags of the content; *content: is there any? */
static bool
parse_extension(parser *p, unsigned *flags, bool *content)
{
    size_t at = p->at - 2;
    uint32_t c = peek(p, 0);
    bool behind = c == '<';
    *content = true;
    if (c == '=' || c == '!' || behind) {
        return parse_give_up(p, behind ? "a lookbehind" : "a lookahead", at);
    }
    if (c == '>') {
        return parse_give_up(p, "an atomic group", at);
    }
    if (c == '(') {
        return parse_give_up(p, "a conditional group", at);
    }
    if (c == 'P') {
        if (peek(p, 1) == '=') {
            return parse_give_up(p, "a backreference", at);
        }
        return parse_skip(p, '>');
    }
    if (c == '#') {
        *content = false;
        return parse_skip(p, ')');
    }
    if (c == ':') {
        p->at++;
        return true;
    }
    return parse_flags(p, flags, content);
}

/* Behind "(": *node is 0 where there is nothing to repeat */
static bool
parse_group(parser *p, unsigned flags, int depth, uint32_t *node)
{
    size_t at = p->at - 1;
    bool content = true;
    *node = 0;
    if (depth >= PARSE_DEPTH_MAX) {
        return parse_give_up(p, "deeper groups than are read here", at);
    }
    if (take(p, '?') && !parse_extension(p, &flags, &content)) {
        return false;
    }
    if (!content) {
        return true;
    }
    *node = parse_choice(p, flags, depth + 1);
    return *node != 0 && (take(p, ')') || parse_strange(p));
}

/* White space and comments of VERBOSE */
static bool
parse_blank(parser *p, unsigned flags)
{
    uint32_t c = peek(p, 0);
    if (!(flags & REGEX_VERBOSE)) {
        return false;
    }
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
        p->at++;
        return true;
    }
    if (c != '#') {
        return false;
    }
    while (p->at < p->length && p->text[p->at] != '\n') {
        p->at++;
    }
    return true;
}

/* One part of a sequence: *node is 0 where it is none (a comment) */
static bool
parse_part(parser *p, unsigned flags, int depth, uint32_t *node)
{
    size_t at = p->at;
    uint32_t c = p->text[p->at++];
    bool lines = (flags & REGEX_MULTILINE) != 0;
    regex_set set;
    switch (c) {
    case '(':
        return parse_group(p, flags, depth, node);
    case '[':
        *node = parse_set(p, flags);
        break;
    case '\\':
        *node = parse_escape(p, flags);
        break;
    case '.':
        set = set_new(p);
        set.negated = true;
        if (!(flags & REGEX_DOTALL)) {
            set_add_ascii(&set, '\n', '\n');
        }
        *node = parse_set_node(p, &set, flags, at);
        break;
    case '^':
        *node =
            parse_assertion(p, lines ? REGEX_AT_LINE_START : REGEX_AT_START);
        break;
    case '$':
        *node =
            parse_assertion(p, lines ? REGEX_AT_LINE_END : REGEX_AT_LAST_END);
        break;
    default:
        *node = parse_literal(p, c, flags, at);
    }
    return *node != 0;
}

/* Up to a bar, a closing parenthesis or the end; 0: stop */
static uint32_t
parse_sequence(parser *p, unsigned flags, int depth)
{
    uint32_t sequence = parse_node(p, REGEX_NODE_SEQUENCE, 0);
    uint32_t last = 0, before = 0; /* the last part, and the one before it */
    if (sequence == 0) {
        return 0;
    }
    while (p->at < p->length && peek(p, 0) != '|' && peek(p, 0) != ')') {
        uint32_t node, low, high;
        if (parse_blank(p, flags)) {
            continue;
        }
        regex_node *nodes;
        if (last != 0 && parse_quantifier(p, &low, &high)) {
            node = parse_repeat(p, last, low, high);
            if (node == 0) {
                return 0;
            }
            nodes = p->tree->nodes;
            *(before != 0 ? &nodes[before].next : &nodes[sequence].a) = node;
            last = node;
            continue;
        }
        if (!parse_part(p, flags, depth, &node)) {
            return 0;
        }
        if (node != 0) {
            nodes = p->tree->nodes;
            *(last != 0 ? &nodes[last].next : &nodes[sequence].a) = node;
            before = last;
            last = node;
        }
    }
    return sequence;
}

/* Sequences with bars between them; 0: stop */
static uint32_t
parse_choice(parser *p, unsigned flags, int depth)
{
    uint32_t choice = parse_node(p, REGEX_NODE_CHOICE, 0);
    uint32_t last = 0;
    if (choice == 0) {
        return 0;
    }
    do {
        uint32_t sequence = parse_sequence(p, flags, depth);
        if (sequence == 0) {
            return 0;
        }
        regex_node *nodes = p->tree->nodes;
        *(last != 0 ? &nodes[last].next : &nodes[choice].a) = sequence;
        last = sequence;
    } while (take(p, '|'));
    return choice;
}

regex_verdict
regex_parse(regex_tree *tree, const regex_host *host, const uint32_t *pattern,
            size_t length, unsigned flags, regex_problem *problem)
{
    *tree = (regex_tree){.host = host};
    parser p = {tree, pattern, length, 0, problem, REGEX_GOOD};
    if (parse_node(&p, REGEX_NODE_SEQUENCE, 0) != 0
        || p.verdict == REGEX_GOOD) {
        tree->root = parse_choice(&p, flags, 0);
        if (tree->root != 0 && p.at < length) {
            parse_strange(&p);
        }
    }
    return p.verdict;
}
