/* SPDX-License-Identifier: MIT
 *
 * Addresses as mail servers take them: a dot-atom (RFC 5322, 3.2.3), an at
 * sign, a host name with a dot in it (RFC 1123, 2.1). No quoted strings, no
 * literals of IP addresses, no display names.
 */
#include "email_core.h"

#include <string.h>

#define ADDRESS_MAX 254 /* RFC 5321, 4.5.3.1.3 */
#define DOMAIN_MAX 253  /* RFC 1035, 2.3.4 */
#define LABEL_MAX 63

const char *const email_reasons[EMAIL_VERDICTS] = {
    [EMAIL_GOOD] = "",
    [EMAIL_NO_AT] = "has no @",
    [EMAIL_NO_LOCAL] = "has nothing before the @",
    [EMAIL_NO_DOMAIN] = "has nothing after the @",
    [EMAIL_LONG] = "is too long",
    [EMAIL_LOCAL_CHARACTER] = "has a character before the @ that may not be",
    [EMAIL_LOCAL_DOT] = "has a misplaced dot before the @",
    [EMAIL_DOMAIN_CHARACTER] = "has a character after the @ that may not be",
    [EMAIL_DOMAIN_LABEL] = "has a misplaced dot or hyphen after the @",
    [EMAIL_LABEL_LONG] = "has more than 63 characters between two dots",
    [EMAIL_NO_DOT] = "has no dot after the @",
    [EMAIL_TOP_LEVEL] = "has no top-level domain at its end",
    [EMAIL_SPECIAL_USE] = "has a domain that is kept for special use",
};

enum { LOCAL = 1, DOMAIN = 2, BOTH = LOCAL | DOMAIN };

/* What a character may stand in, dots apart */
static const uint8_t places[128] = {
    ['!'] = LOCAL,  ['#'] = LOCAL, ['$'] = LOCAL, ['%'] = LOCAL, ['&'] = LOCAL,
    ['\''] = LOCAL, ['*'] = LOCAL, ['+'] = LOCAL, ['-'] = BOTH,  ['/'] = LOCAL,
    ['0'] = BOTH,   ['1'] = BOTH,  ['2'] = BOTH,  ['3'] = BOTH,  ['4'] = BOTH,
    ['5'] = BOTH,   ['6'] = BOTH,  ['7'] = BOTH,  ['8'] = BOTH,  ['9'] = BOTH,
    ['='] = LOCAL,  ['?'] = LOCAL, ['A'] = BOTH,  ['B'] = BOTH,  ['C'] = BOTH,
    ['D'] = BOTH,   ['E'] = BOTH,  ['F'] = BOTH,  ['G'] = BOTH,  ['H'] = BOTH,
    ['I'] = BOTH,   ['J'] = BOTH,  ['K'] = BOTH,  ['L'] = BOTH,  ['M'] = BOTH,
    ['N'] = BOTH,   ['O'] = BOTH,  ['P'] = BOTH,  ['Q'] = BOTH,  ['R'] = BOTH,
    ['S'] = BOTH,   ['T'] = BOTH,  ['U'] = BOTH,  ['V'] = BOTH,  ['W'] = BOTH,
    ['X'] = BOTH,   ['Y'] = BOTH,  ['Z'] = BOTH,  ['^'] = LOCAL, ['_'] = LOCAL,
    ['`'] = LOCAL,  ['a'] = BOTH,  ['b'] = BOTH,  ['c'] = BOTH,  ['d'] = BOTH,
    ['e'] = BOTH,   ['f'] = BOTH,  ['g'] = BOTH,  ['h'] = BOTH,  ['i'] = BOTH,
    ['j'] = BOTH,   ['k'] = BOTH,  ['l'] = BOTH,  ['m'] = BOTH,  ['n'] = BOTH,
    ['o'] = BOTH,   ['p'] = BOTH,  ['q'] = BOTH,  ['r'] = BOTH,  ['s'] = BOTH,
    ['t'] = BOTH,   ['u'] = BOTH,  ['v'] = BOTH,  ['w'] = BOTH,  ['x'] = BOTH,
    ['y'] = BOTH,   ['z'] = BOTH,  ['{'] = LOCAL, ['|'] = LOCAL, ['}'] = LOCAL,
    ['~'] = LOCAL,
};

static uint8_t
lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool
is_word(const uint8_t *text, size_t length, const char *word)
{
    for (size_t i = 0; i < length; i++) {
        if (word[i] == '\0' || lower(text[i]) != (uint8_t)word[i]) {
            return false;
        }
    }
    return word[length] == '\0';
}

/* Top-level domains that reach nobody (RFC 6761, 6762, 7686) */
static bool
is_special(const uint8_t *text, size_t length)
{
    static const char *const words[] = {"arpa",      "invalid", "local",
                                        "localhost", "onion",   "test"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (is_word(text, length, words[i])) {
            return true;
        }
    }
    return false;
}

static email_verdict
scan_local(const uint8_t *text, const uint8_t *at)
{
    uint8_t before = '.';
    email_verdict verdict = EMAIL_GOOD;
    for (; text < at; text++) {
        if (*text == '.') {
            if (before == '.') {
                verdict = EMAIL_LOCAL_DOT;
            }
        }
        else if (!(places[*text & 127] & LOCAL)) {
            return EMAIL_LOCAL_CHARACTER;
        }
        before = *text;
    }
    return before == '.' ? EMAIL_LOCAL_DOT : verdict;
}

/* One label without its dot: where hyphens are, and how long it is */
static email_verdict
scan_label(const uint8_t *label, size_t length, bool *punycode)
{
    if (length == 0 || label[0] == '-' || label[length - 1] == '-') {
        return EMAIL_DOMAIN_LABEL;
    }
    bool hyphens = length >= 4 && label[2] == '-' && label[3] == '-';
    if (hyphens && !is_word(label, 2, "xn")) {
        return EMAIL_DOMAIN_LABEL; /* kept for other encodings: RFC 5890 */
    }
    *punycode |= hyphens;
    return length > LABEL_MAX ? EMAIL_LABEL_LONG : EMAIL_GOOD;
}

static email_verdict
scan_domain(const uint8_t *text, const uint8_t *end, bool *punycode)
{
    const uint8_t *label = text;
    email_verdict verdict = EMAIL_GOOD;
    for (const uint8_t *c = text; c < end; c++) {
        if (*c != '.') {
            if (!(places[*c & 127] & DOMAIN)) {
                return EMAIL_DOMAIN_CHARACTER;
            }
            continue;
        }
        email_verdict next = scan_label(label, (size_t)(c - label), punycode);
        verdict = verdict == EMAIL_GOOD || next == EMAIL_DOMAIN_LABEL
                      ? next
                      : verdict;
        label = c + 1;
        if (verdict == EMAIL_DOMAIN_LABEL) {
            /* a character that may not be is said first */
            for (c++; c < end; c++) {
                if (*c != '.' && !(places[*c & 127] & DOMAIN)) {
                    return EMAIL_DOMAIN_CHARACTER;
                }
            }
            return verdict;
        }
    }
    email_verdict last = scan_label(label, (size_t)(end - label), punycode);
    if (last == EMAIL_DOMAIN_LABEL || verdict != EMAIL_GOOD) {
        return last == EMAIL_DOMAIN_LABEL ? last : verdict;
    }
    if (last != EMAIL_GOOD) {
        return last;
    }
    if (label == text) {
        return EMAIL_NO_DOT;
    }
    uint8_t letter = lower(end[-1]);
    if (letter < 'a' || letter > 'z') {
        return EMAIL_TOP_LEVEL;
    }
    return is_special(label, (size_t)(end - label)) ? EMAIL_SPECIAL_USE
                                                    : EMAIL_GOOD;
}

email_verdict
email_scan(const uint8_t *text, size_t length, bool *punycode)
{
    const uint8_t *end = text + length, *at = memchr(text, '@', length);
    *punycode = false;
    if (at == NULL) {
        return EMAIL_NO_AT;
    }
    if (at == text) {
        return EMAIL_NO_LOCAL;
    }
    if (at + 1 == end) {
        return EMAIL_NO_DOMAIN;
    }
    if (length > ADDRESS_MAX || end - at - 1 > DOMAIN_MAX) {
        return EMAIL_LONG;
    }
    email_verdict verdict = scan_local(text, at);
    return verdict != EMAIL_GOOD ? verdict
                                 : scan_domain(at + 1, end, punycode);
}
