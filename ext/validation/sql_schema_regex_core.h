/* SPDX-License-Identifier: MIT
 *
 * Patterns of Python's re for PostgreSQL.
 */
#ifndef SQL_SCHEMA_REGEX_CORE_H
#define SQL_SCHEMA_REGEX_CORE_H

#include <stdbool.h>
#include <stddef.h>

/* Room for what a pattern of so many bytes can become. */
#define SQL_REGEX_ROOM(size) ((size) * 16 + 16)

/* The pattern as PostgreSQL's `~` has it, written to out: how many bytes, or
 * -1 where it would mean something else. `ascii` and `dotall` are re.ASCII and
 * re.DOTALL; with other flags it must not be called.
 */
long sql_regex_translate(const char *pattern, size_t size, bool ascii,
                         bool dotall, char *out);

#endif
