/* SPDX-License-Identifier: MIT
 *
 * Regular patterns in re's syntax, compiled to automata and run over the code
 * points of a text. Answers are yes or no: no groups, no positions. Plain C,
 * without Python.h; what it must know about characters it asks its host.
 *
 * A pattern goes through three files: regex_parse_core.c reads it to a tree,
 * regex_build_core.c makes of the tree a nondeterministic automaton and an
 * alphabet (characters no part of the pattern tells apart are one symbol),
 * regex_run_core.c makes deterministic states while texts are read.
 */
#ifndef REGEX_CORE_H
#define REGEX_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Flags, with re's values */
enum {
    REGEX_IGNORECASE = 2,
    REGEX_MULTILINE = 8,
    REGEX_DOTALL = 16,
    REGEX_UNICODE = 32,
    REGEX_VERBOSE = 64,
    REGEX_ASCII = 256
};

/* What a character is, in Unicode's eyes */
enum {
    REGEX_WORD = 1,
    REGEX_DIGIT = 2,
    REGEX_SPACE = 4,
    REGEX_CASED = 8, /* has another case */
    REGEX_KINDS = 8  /* combinations of the first three */
};

typedef struct {
    void *(*resize)(void *block, size_t size); /* NULL: no memory */
    void (*release)(void *block);              /* NULL is given too */
    unsigned (*traits)(uint32_t character);    /* of 128 and above */
    bool empty_not_boundary; /* \B matches the empty text: 3.14 and later */
} regex_host;

typedef enum {
    REGEX_GOOD,
    REGEX_IRREGULAR, /* has what no automaton can do, or we do not */
    REGEX_NO_MEMORY
} regex_verdict;

typedef struct {
    const char *what; /* "a backreference" */
    size_t at;        /* where in the pattern */
} regex_problem;

typedef enum {
    REGEX_SEARCH,
    REGEX_MATCH,
    REGEX_FULLMATCH,
    REGEX_MODES
} regex_mode;

/* ---- the tree */

/* Characters: below 128 a bitmap; from there on ranges and combinations of
 * traits. Negation is already in the bitmap; above it is applied last.
 */
typedef struct {
    uint64_t ascii[2];
    uint32_t first; /* in regex_tree.ranges */
    uint32_t count;
    uint8_t kinds; /* bit k: characters with the traits k */
    bool negated;
} regex_set;

typedef struct {
    uint32_t low, high;
} regex_range;

typedef enum {
    REGEX_AT_START,      /* \A, ^ */
    REGEX_AT_LINE_START, /* ^ with MULTILINE */
    REGEX_AT_END,        /* \Z */
    REGEX_AT_LAST_END,   /* $: or before a newline that ends the text */
    REGEX_AT_LINE_END,   /* $ with MULTILINE */
    REGEX_AT_BOUNDARY,   /* \b */
    REGEX_AT_INSIDE,     /* \B */
    REGEX_AT_ASCII_BOUNDARY,
    REGEX_AT_ASCII_INSIDE
} regex_assertion;

typedef enum {
    REGEX_NODE_SET,      /* a: set */
    REGEX_NODE_ASSERT,   /* a: assertion */
    REGEX_NODE_SEQUENCE, /* a: first child or 0 */
    REGEX_NODE_CHOICE,   /* a: first child, each a sequence */
    REGEX_NODE_REPEAT    /* a: child; low, high */
} regex_node_kind;

#define REGEX_ENDLESS UINT32_MAX

typedef struct {
    regex_node_kind kind;
    uint32_t a;
    uint32_t next; /* sibling or 0 */
    uint32_t low, high;
} regex_node;

typedef struct {
    const regex_host *host;
    regex_node *nodes; /* [0] is none */
    regex_set *sets;
    regex_range *ranges;
    size_t node_count, node_room;
    size_t set_count, set_room;
    size_t range_count, range_room;
    uint32_t root;
    unsigned assertions; /* bit per regex_assertion */
} regex_tree;

/* Read a pattern that re has accepted. What re would refuse may be read in any
 * way, but is read safely. The tree is to be cleared whatever comes.
 */
regex_verdict regex_parse(regex_tree *tree, const regex_host *host,
                          const uint32_t *pattern, size_t length,
                          unsigned flags, regex_problem *problem);
void regex_tree_clear(regex_tree *tree);

/* One more element in a growing block: false without memory */
bool regex_grow(const regex_host *host, void *block_pointer, size_t *room,
                size_t count, size_t size);

/* ---- the automaton */

/* More is left to re: copies of counted parts, mostly */
#define REGEX_STEPS_MAX 8192
/* Splits, jumps and assertions: each may cost a visit at every character */
#define REGEX_TURNS_MAX 1024

typedef enum {
    REGEX_STEP_SET,    /* a: set; goes on with the step after it */
    REGEX_STEP_ASSERT, /* a: assertion; goes on with the step after it */
    REGEX_STEP_SPLIT,  /* goes on with a and with b */
    REGEX_STEP_JUMP,   /* goes on with a */
    REGEX_STEP_MATCH
} regex_step_kind;

typedef struct {
    uint32_t kind, a, b;
} regex_step;

/* What stands before a place: bits of a state. Only those are set that an
 * assertion of the pattern asks for.
 */
enum {
    REGEX_AFTER_START = 1,
    REGEX_AFTER_NEWLINE = 2,
    REGEX_AFTER_WORD = 4,
    REGEX_AFTER_ASCII_WORD = 8
};

typedef struct {
    uint32_t steps; /* where its steps begin in regex_cache.steps */
    uint32_t count;
    uint32_t hash;
    uint32_t after;
} regex_state;

/* Deterministic states made so far, for one mode. Row 0 is "not made yet", 1
 * refuses and 2 accepts, whatever comes; states follow. An entry of a row is
 * where the next row begins, so 0 sends to the maker.
 */
typedef struct {
    uint32_t *rows; /* NULL: nothing made yet */
    regex_state *states;
    uint32_t *steps;
    size_t state_count, state_room, row_room;
    size_t step_count, step_room;
    uint32_t *index; /* hash table of states, 0: free */
    size_t index_room;
    uint32_t start; /* row of the first state */
    size_t read;    /* characters since it was empty, of runs that ended */
    size_t held;    /* paused runs that stand in a row of it */
    bool frozen;    /* made more than it answered: no state is made again */
} regex_cache;

/* All states of a small automaton in one word for each character: the field at
 * bit s of words[c] is the state that follows s at c. One shift a character,
 * which is a fifth of the latency of a row: 32 bytes 8 ns against 40.
 */
#define REGEX_PACKED_STATES 10
#define REGEX_PACKED_BITS 6
#define REGEX_PACKED_NEWLINE 128 /* the newline that ends the text */

typedef struct regex_packed regex_packed;

struct regex_packed {
    int (*run)(const regex_packed *packed, const uint8_t *text, size_t length);
    uint64_t words[129];
    uint64_t accept;  /* bit s: the text may end in state s */
    uint64_t settled; /* bit s: no character changes state s */
    uint32_t start;
    bool newline; /* a newline at the end is no common one */
};

typedef struct {
    const regex_host *host;
    regex_packed *packed[REGEX_MODES]; /* or NULL */
    bool last_newline;                 /* $ without MULTILINE is used */
    uint32_t symbols;                  /* of characters; two more follow */
    uint32_t width;                    /* symbols + 2 */
    unsigned assertions;
    uint16_t latin[256]; /* character -> symbol */
    uint32_t *bounds;    /* where intervals of characters begin, from 128 */
    uint16_t *wide;      /* interval * kinds + traits -> symbol */
    size_t bound_count;
    uint32_t kinds;    /* 1 or REGEX_KINDS */
    uint8_t *after;    /* symbol -> REGEX_AFTER_ bits */
    uint64_t *members; /* set * words + symbol / 64 */
    uint32_t member_words;
    regex_step *steps;
    size_t step_count, step_room;
    size_t turns;
    regex_cache caches[REGEX_MODES];
    /* scratch of the maker, step_count long */
    uint32_t *stack;
    uint32_t *marks; /* step -> the round that met it */
    uint32_t *current;
    uint32_t round;
    /* for runs without states, made when the first one is: symbol * words +
     * step / 64, then the turns, then the assertions that look ahead */
    uint64_t *moves;
    uint32_t words;
} regex_program;

#define REGEX_SYMBOL_NEWLINE(program) ((program)->symbols)
#define REGEX_SYMBOL_END(program) ((program)->symbols + 1)

/* REGEX_GOOD: *program is new, for regex_free */
regex_verdict regex_compile(regex_program **program, const regex_host *host,
                            const uint32_t *pattern, size_t length,
                            unsigned flags, regex_problem *problem);
void regex_free(regex_program *program);

/* regex_run_core.c: make all states of a mode, if they are few. false: no
 * memory */
bool regex_prepare(regex_program *program, regex_mode mode);
void regex_cache_clear(const regex_host *host, regex_cache *cache);

/* The symbol of a character of 256 and above */
uint32_t regex_symbol(const regex_program *program, uint32_t character);

/* One text being read. It rests now and then; meanwhile others may use the
 * program.
 */
typedef struct {
    regex_program *program;
    regex_mode mode;
    int size; /* bytes of a character: 1, 2 or 4 */
    const void *text;
    size_t length; /* without a newline that only the end may see */
    bool newline;
    bool held;
    size_t at;
    uint32_t row;   /* where it stands, or without states: */
    uint32_t after; /* what is before */
    uint64_t *sets; /* the steps it is at, those it goes to; or NULL */
} regex_scan;

#define REGEX_PAUSED 2

/* 1, 0, -1 without memory; REGEX_PAUSED: go on. Takes time in proportion to
 * the length, whatever the pattern: at most REGEX_TURNS_MAX visits and a look
 * at REGEX_STEPS_MAX bits for a character. Ended in any case.
 */
void regex_scan_begin(regex_scan *scan, regex_program *program,
                      regex_mode mode, int size, const void *text,
                      size_t length);
int regex_scan_go(regex_scan *scan);
void regex_scan_end(regex_scan *scan);

/* The same for ASCII and a small automaton; never fails */
static inline int
regex_run_packed(const regex_packed *packed, const uint8_t *text,
                 size_t length)
{
    return packed->run(packed, text, length);
}

#endif
