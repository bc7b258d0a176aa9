/* SPDX-License-Identifier: MIT
 *
 * Patterns of Python's re as advanced regular expressions of PostgreSQL, where
 * both say the same of every text; all else is refused. `search` is meant: how
 * much is matched does not matter, so lazy and greedy are the same.
 *
 * What differs: `.` stops at a line end, `$` stands before a last one, \d \w
 * \s go by Unicode (with re.ASCII they are spelled out), [[:alpha:]] is no
 * class, a count has no limit of 255.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "sql_schema_regex_core.h"

typedef struct {
    const char *at, *end;
    char *out;
    int depth; /* of parentheses */
    bool ascii, dotall;
} regex_cursor;

static void
regex_put(regex_cursor *c, const char *text)
{
    size_t size = strlen(text);
    memcpy(c->out, text, size);
    c->out += size;
}

/* A character that stands for itself. */
static void
regex_put_char(regex_cursor *c, char byte)
{
    bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z')
                 || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == ' '
                 || (unsigned char)byte >= 0x80 || (unsigned char)byte < ' ';
    if (!plain) {
        *c->out++ = '\\';
    }
    *c->out++ = byte;
}

static bool
regex_is_letter(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z')
           || (byte >= 'A' && byte <= 'Z');
}

/* The inside of a class that \d, \w or \s is in ASCII; NULL for others */
static const char *
regex_class(char letter)
{
    switch (letter) {
    case 'd':
        return "0-9";
    case 'w':
        return "a-zA-Z0-9_";
    case 's':
        return " \\t\\n\\r\\f\\v";
    default:
        return NULL;
    }
}

/* The byte that follows a backslash, for itself: "." of \., LF of \n. 0: none
 */
static char
regex_escaped(char letter)
{
    static const char from[] = "ntrfv", to[] = "\n\t\r\f\v";
    const char *known = strchr(from, letter);
    if (known != NULL && letter != '\0') {
        return to[known - from];
    }
    return regex_is_letter(letter) || (unsigned char)letter >= 0x80 ? '\0'
                                                                    : letter;
}

/* One end of a range, or a single character, ASCII. 0: not understood */
static char
regex_member(regex_cursor *c)
{
    if (c->at == c->end || (unsigned char)*c->at >= 0x80) {
        return '\0';
    }
    char byte = *c->at++;
    if (byte != '\\') {
        return byte;
    }
    return c->at < c->end ? regex_escaped(*c->at++) : '\0';
}

/* "[…]", behind its "[" */
static bool
regex_bracket(regex_cursor *c)
{
    *c->out++ = '[';
    if (c->at < c->end && *c->at == '^') {
        *c->out++ = *c->at++;
    }
    bool first = true;
    while (c->at < c->end && (*c->at != ']' || first)) {
        first = false;
        if (c->ascii && c->end - c->at >= 2 && *c->at == '\\'
            && regex_class(c->at[1]) != NULL) {
            regex_put(c, regex_class(c->at[1]));
            c->at += 2;
            if (c->at < c->end && *c->at == '-') {
                return false;
            }
            continue;
        }
        char low = regex_member(c);
        if (low == '\0') {
            return false;
        }
        regex_put_char(c, low);
        if (c->end - c->at >= 2 && *c->at == '-' && c->at[1] != ']') {
            c->at++;
            char high = regex_member(c);
            if (high == '\0' || high < low) {
                return false;
            }
            *c->out++ = '-';
            regex_put_char(c, high);
        }
    }
    if (c->at == c->end) {
        return false;
    }
    *c->out++ = *c->at++;
    return true;
}

/* A number up to 255. -1: none, or more */
static int
regex_count(regex_cursor *c)
{
    if (c->at == c->end || *c->at < '0' || *c->at > '9') {
        return -1;
    }
    int count = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && count <= 255) {
        count = count * 10 + (*c->at++ - '0');
    }
    return count <= 255 ? count : -1;
}

static void
regex_put_count(regex_cursor *c, int count)
{
    char digits[4];
    int n = 0;
    do {
        digits[n++] = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    while (n > 0) {
        *c->out++ = digits[--n];
    }
}

/* "{m}", "{m,}", "{,n}", "{m,n}", behind its "{" */
static bool
regex_braces(regex_cursor *c)
{
    bool open = c->at < c->end && *c->at == ',';
    int low = open ? 0 : regex_count(c);
    if (low < 0 || c->at == c->end) {
        return false;
    }
    *c->out++ = '{';
    regex_put_count(c, low);
    if (*c->at == ',') {
        c->at++;
        *c->out++ = ',';
        if (c->at < c->end && *c->at != '}') {
            int high = regex_count(c);
            if (high < low) {
                return false;
            }
            regex_put_count(c, high);
        }
        else if (open) { /* "{,}" is text to some versions */
            return false;
        }
    }
    if (c->at == c->end || *c->at != '}') {
        return false;
    }
    *c->out++ = *c->at++;
    return true;
}

/* What may follow an atom: a quantifier, at most one. */
static bool
regex_quantifier(regex_cursor *c)
{
    if (c->at == c->end) {
        return true;
    }
    char byte = *c->at;
    if (byte == '*' || byte == '+' || byte == '?') {
        *c->out++ = *c->at++;
    }
    else if (byte == '{') {
        c->at++;
        if (!regex_braces(c)) {
            return false;
        }
    }
    else {
        return true;
    }
    if (c->at < c->end && *c->at == '?') {
        c->at++; /* lazy */
    }
    return c->at == c->end
           || !(*c->at == '*' || *c->at == '+' || *c->at == '?'
                || *c->at == '{');
}

/* Is the next byte a quantifier? Behind "^" and its like that is refused. */
static bool
regex_is_quantified(const regex_cursor *c)
{
    return c->at < c->end && memchr("*+?{", *c->at, 4) != NULL;
}

/* Behind a backslash. */
static bool
regex_backslash(regex_cursor *c)
{
    if (c->at == c->end) {
        return false;
    }
    char letter = *c->at++;
    if (letter == 'A' || letter == 'Z') {
        *c->out++ = '\\';
        *c->out++ = letter;
        return !regex_is_quantified(c);
    }
    const char *inside = c->ascii ? regex_class(letter) : NULL;
    if (inside != NULL) {
        *c->out++ = '[';
        regex_put(c, inside);
        *c->out++ = ']';
        return regex_quantifier(c);
    }
    if (regex_escaped(letter) == '\0') {
        return false;
    }
    regex_put_char(c, regex_escaped(letter));
    return regex_quantifier(c);
}

/* "$" stands at the end, or before a line end that is the last character;
 * only where nothing can follow may that be consumed instead. */
static bool
regex_dollar(regex_cursor *c)
{
    if (c->depth > 0 || (c->at < c->end && *c->at != '|')) {
        return false;
    }
    regex_put(c, "\\n?$");
    return true;
}

static bool
regex_open(regex_cursor *c)
{
    if (c->at < c->end && *c->at == '?') {
        if (c->end - c->at < 2 || c->at[1] != ':') {
            return false;
        }
        c->at += 2;
    }
    regex_put(c, "(?:");
    c->depth++;
    return !regex_is_quantified(c);
}

static bool
regex_close(regex_cursor *c)
{
    *c->out++ = ')';
    c->depth--;
    return c->depth >= 0 && regex_quantifier(c);
}

/* One piece: an atom with its quantifier, or what stands between. */
static bool
regex_piece(regex_cursor *c)
{
    char byte = *c->at++;
    switch (byte) {
    case '\\':
        return regex_backslash(c);
    case '[':
        return regex_bracket(c) && regex_quantifier(c);
    case '(':
        return regex_open(c);
    case ')':
        return regex_close(c);
    case '$':
        return regex_dollar(c);
    case '^':
    case '|':
        *c->out++ = byte;
        return !regex_is_quantified(c);
    case '.':
        regex_put(c, c->dotall ? "." : "[^\\n]");
        return regex_quantifier(c);
    case '*':
    case '+':
    case '?':
    case '{':
    case '\0':
        return false;
    default:
        regex_put_char(c, byte);
        /* a quantifier takes the whole character */
        while (c->at < c->end && ((unsigned char)*c->at & 0xC0) == 0x80) {
            *c->out++ = *c->at++;
        }
        return regex_quantifier(c);
    }
}

long
sql_regex_translate(const char *pattern, size_t size, bool ascii, bool dotall,
                    char *out)
{
    regex_cursor c = {pattern, pattern + size, out, 0, ascii, dotall};
    while (c.at < c.end) {
        if (!regex_piece(&c)) {
            return -1;
        }
    }
    return c.depth == 0 ? (long)(c.out - out) : -1;
}
