/* SPDX-License-Identifier: MIT
 *
 * libFuzzer driver of regex_core.h: any pattern over any text, by three ways
 * that must agree: prepared or not, and each width of characters. The first
 * two bytes are flags, the next the length of the pattern. Built with
 * -DCACHE_STATES_MAX=3, most of each text is read without states.
 */
#include "regex_core.h"

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

static unsigned
traits(uint32_t c)
{
    return (c % 3 == 0 ? REGEX_WORD : 0) | (c % 15 == 0 ? REGEX_DIGIT : 0)
           | (c % 7 == 1 && c % 3 != 0 ? REGEX_SPACE : 0)
           | (c % 11 == 0 ? REGEX_CASED : 0);
}

static const regex_host host = {realloc, free, traits, false};

static regex_program *
compile(const uint32_t *pattern, size_t length, unsigned flags)
{
    regex_problem problem;
    regex_program *program;
    regex_verdict verdict =
        regex_compile(&program, &host, pattern, length, flags, &problem);
    require((verdict == REGEX_GOOD) == (program != NULL));
    require(verdict != REGEX_IRREGULAR
            || (problem.what != NULL && problem.at <= length));
    return program;
}

static int
regex_run(regex_program *program, regex_mode mode, int size, const void *text,
          size_t length)
{
    regex_scan scan;
    regex_scan_begin(&scan, program, mode, size, text, length);
    int verdict = regex_scan_go(&scan);
    while (verdict == REGEX_PAUSED) {
        verdict = regex_scan_go(&scan);
    }
    regex_scan_end(&scan);
    return verdict;
}

/* `text` is copied to blocks of its very length */
static void
run(regex_program *a, regex_program *b, const uint8_t *text, size_t length)
{
    uint8_t *narrow = malloc(length + 1);
    uint16_t *middle = malloc(2 * length + 1);
    uint32_t *wide = malloc(4 * length + 1);
    if (narrow != NULL && middle != NULL && wide != NULL) {
        for (size_t i = 0; i < length; i++) {
            narrow[i] = text[i] & 127;
            middle[i] = narrow[i];
            wide[i] = narrow[i];
        }
        for (regex_mode mode = REGEX_SEARCH; mode < REGEX_MODES; mode++) {
            int verdict = regex_run(a, mode, 1, narrow, length);
            require(verdict == 0 || verdict == 1);
            require(regex_run(b, mode, 2, middle, length) == verdict);
            require(regex_prepare(b, mode));
            require(regex_run(b, mode, 4, wide, length) == verdict);
            require(b->packed[mode] == NULL
                    || regex_run_packed(b->packed[mode], narrow, length)
                           == verdict);
            for (size_t i = 0; i < length; i++) {
                wide[i] = text[i] * 0x97u; /* any other characters */
            }
            verdict = regex_run(b, mode, 4, wide, length);
            require(regex_run(a, mode, 4, wide, length) == verdict);
            for (size_t i = 0; i < length; i++) {
                wide[i] = narrow[i];
            }
        }
        require(regex_run(a, REGEX_SEARCH, 1, narrow, length)
                >= regex_run(a, REGEX_MATCH, 1, narrow, length));
        require(regex_run(a, REGEX_MATCH, 1, narrow, length)
                >= regex_run(a, REGEX_FULLMATCH, 1, narrow, length));
    }
    free(narrow);
    free(middle);
    free(wide);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    unsigned flags = (data[0] | (unsigned)data[1] << 8)
                     & (REGEX_IGNORECASE | REGEX_MULTILINE | REGEX_DOTALL
                        | REGEX_VERBOSE | REGEX_ASCII);
    size_t length = data[2] < size - 3 ? data[2] : size - 3;
    uint32_t *pattern = malloc(length * sizeof(*pattern) + 1);
    if (pattern == NULL) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        uint8_t c = data[3 + i];
        pattern[i] = c < 128 ? c : c * 0x97u;
    }
    regex_program *a = compile(pattern, length, flags);
    regex_program *b = compile(pattern, length, flags);
    free(pattern);
    if (a != NULL && b != NULL) {
        run(a, b, data + 3 + length, size - 3 - length);
    }
    regex_free(a);
    regex_free(b);
    return 0;
}
