/* SPDX-License-Identifier: MIT
 *
 * Is a text of ASCII an address of electronic mail? Plain C.
 */
#ifndef EMAIL_CORE_H
#define EMAIL_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which they are looked for */
typedef enum {
    EMAIL_GOOD,
    EMAIL_NO_AT,
    EMAIL_NO_LOCAL,
    EMAIL_NO_DOMAIN,
    EMAIL_LONG,
    EMAIL_LOCAL_CHARACTER,
    EMAIL_LOCAL_DOT,
    EMAIL_DOMAIN_CHARACTER,
    EMAIL_DOMAIN_LABEL,
    EMAIL_LABEL_LONG,
    EMAIL_NO_DOT,
    EMAIL_TOP_LEVEL,
    EMAIL_SPECIAL_USE,
    EMAIL_VERDICTS
} email_verdict;

/* "has no @", for a message; [EMAIL_GOOD] is empty */
extern const char *const email_reasons[EMAIL_VERDICTS];

/* Characters of 0 to 127. *punycode: the domain has a label that stands for
 * other characters, which are not judged here.
 */
email_verdict email_scan(const uint8_t *text, size_t length, bool *punycode);

#endif
