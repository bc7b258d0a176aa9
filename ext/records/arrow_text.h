/* SPDX-License-Identifier: MIT
 *
 * Texts of foreign arrays, whatever their form: opened once, which checks all
 * that leads to memory, then read without checks.
 */
#ifndef FE_ARROW_TEXT_H
#define FE_ARROW_TEXT_H

#include "arrow.h"

typedef struct {
    uint8_t shape;                /* arrow_shape */
    const uint8_t *main;          /* offsets or views, from row 0 on */
    const uint8_t *text;          /* what offsets lead to */
    const uint8_t *const *blocks; /* what views lead to */
    int64_t block_count;
    const uint8_t *block_sizes; /* int64s */
    const uint8_t *validity;    /* bit `at + i` for row i; NULL */
    int64_t at;
    int64_t length;
} arrow_texts;

#define ARROW_VIEW_SIZE 16
#define ARROW_VIEW_INLINE 12

/* A view of more than ARROW_VIEW_INLINE bytes: length, prefix, block, offset.
 */
static inline int32_t
arrow_view_part(const uint8_t *view, int part)
{
    return FE_READ(int32_t, view + 4 * part);
}

static inline bool
arrow_text_null(const arrow_texts *texts, int64_t i)
{
    return texts->validity != NULL
           && !table_bit(texts->validity, texts->at + i);
}

/* The text of a row, which is not null. */
static inline const uint8_t *
arrow_text_at(const arrow_texts *texts, int64_t i, size_t *size)
{
    if (texts->shape == ARROW_TEXT32) {
        int32_t start = FE_READ(int32_t, texts->main + 4 * i);
        int32_t stop = FE_READ(int32_t, texts->main + 4 * i + 4);
        *size = (size_t)(stop - start);
        return texts->text + start;
    }
    if (texts->shape == ARROW_TEXT64) {
        int64_t start = FE_READ(int64_t, texts->main + 8 * i);
        int64_t stop = FE_READ(int64_t, texts->main + 8 * i + 8);
        *size = (size_t)(stop - start);
        return texts->text + start;
    }
    const uint8_t *view = texts->main + ARROW_VIEW_SIZE * i;
    int32_t length = arrow_view_part(view, 0);
    *size = (size_t)length;
    return length <= ARROW_VIEW_INLINE
               ? view + 4
               : texts->blocks[arrow_view_part(view, 2)]
                     + arrow_view_part(view, 3);
}

/* The text of a row, by its code if there are codes; NULL: it has none. */
static inline const uint8_t *
arrow_text_of_row(const arrow_texts *texts, const int32_t *codes, int64_t i,
                  size_t *size)
{
    *size = 0;
    if (codes == NULL) {
        return arrow_text_null(texts, i) ? NULL
                                         : arrow_text_at(texts, i, size);
    }
    return codes[i] < 0 ? NULL : arrow_text_at(texts, codes[i], size);
}

/* arrow_text.c */
/* Entries from `offset` on, not none, of an array in which there is no
 * arrow_array_problem(); what makes it wrong, or NULL. */
const char *arrow_texts_open(arrow_texts *texts,
                             const struct ArrowArray *array, arrow_type type,
                             int64_t offset, int64_t length,
                             const uint8_t *validity);
/* The rows of a column that has no dictionary. 0, or -1. */
int arrow_open_texts(const arrow_input *in, arrow_texts *texts);
/* Is it a value of the column? */
bool arrow_text_fits(const table_column *column, const uint8_t *text,
                     size_t size);
/* ValueError that shows the text; -1 */
int arrow_refuse_text(const arrow_input *in, int64_t row, const uint8_t *text,
                      size_t size);
/* Write texts and offsets, row by row; validity is the caller's. 0; -1;
 * ARROW_SPLIT. */
int arrow_copy_texts(const arrow_input *in, table_cells *cells,
                     const arrow_texts *texts, const int32_t *codes);

/* arrow_coded.c */
int arrow_decode(const arrow_input *in, table_cells *cells);

#endif
