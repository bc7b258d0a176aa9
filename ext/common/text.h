/* SPDX-License-Identifier: MIT
 *
 * A growing UTF-8 buffer on the C stack first, on the heap when it must.
 * For building one str out of many short pieces: one allocation, no joins.
 */
#ifndef FE_TEXT_H
#define FE_TEXT_H

#include "compat.h"

typedef struct {
    char *data; /* `local` until it grows */
    size_t size;
    size_t room;
    char local[512];
} fe_text;

void fe_text_init(fe_text *text);
void fe_text_free(fe_text *text);

/* 0, or -1 with MemoryError */
int fe_text_write(fe_text *text, const char *bytes, size_t size);
int fe_text_literal(fe_text *text, const char *literal);
int fe_text_i64(fe_text *text, int64_t value);
int fe_text_u64(fe_text *text, uint64_t value);
/* as repr(float) */
int fe_text_f64(fe_text *text, double value);
/* lone surrogates travel as `surrogatepass` */
int fe_text_str(fe_text *text, PyObject *str);
int fe_text_repr(fe_text *text, PyObject *obj);
/* repr(str), without the object when nothing needs escaping */
int fe_text_quoted(fe_text *text, PyObject *str);

/* new: the text as str */
PyObject *fe_text_finish(const fe_text *text);

#endif
