/* SPDX-License-Identifier: MIT
 *
 * libFuzzer driver of email_core.c: any bytes, cut to ASCII, and what an
 * address must have whatever else it is.
 */
#include "email_core.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* exactly as long as the input: one byte too far is seen */
    uint8_t *text = malloc(size > 0 ? size : 1);
    bool punycode;
    if (text == NULL) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        text[i] = data[i] & 127;
    }
    email_verdict verdict = email_scan(text, size, &punycode);
    require(verdict >= EMAIL_GOOD && verdict < EMAIL_VERDICTS);
    require(email_reasons[verdict] != NULL);
    if (verdict == EMAIL_GOOD) {
        const uint8_t *at = memchr(text, '@', size);
        require(size <= 254 && at != NULL && at > text && text[0] != '.');
        size_t domain = size - (size_t)(at + 1 - text);
        require(memchr(at + 1, '@', domain) == NULL);
        require(memchr(at + 1, '.', domain) != NULL);
        for (size_t i = 0; i < size; i++) {
            require(text[i] > ' ' && text[i] < 127);
            require(text[i] != '.' || text[i - 1] != '.');
        }
    }
    free(text);
    return 0;
}
