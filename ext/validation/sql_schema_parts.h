/* SPDX-License-Identifier: MIT
 *
 * Between the files of sql_schema: a column being written.
 */
#ifndef SQL_SCHEMA_PARTS_H
#define SQL_SCHEMA_PARTS_H

#include "mask_plan.h"
#include "sql_schema_regex_core.h"
#include "text.h"

typedef enum {
    SQL_NONE,
    SQL_BOOL,
    SQL_INT,
    SQL_FLOAT,
    SQL_TEXT,
    SQL_BLOB,
    SQL_DECIMAL,
    SQL_DATE,
    SQL_DATETIME,
    SQL_TIME,
    SQL_TIMEDELTA, /* seconds, or an interval */
    SQL_UUID,
    SQL_ARRAY,  /* JSON */
    SQL_OBJECT, /* JSON */
} sql_type;

typedef struct {
    validation_state *state;
    PyObject *owner;             /* borrowed str: the class, for errors */
    const validate_field *field; /* borrowed */
    PyObject *choices;           /* owned list or NULL: the only values */
    PyObject *mask; /* owned: of a Flag the int of its bits, None: any; NULL */
    const struct sql_storage *storage; /* or NULL */
    long size;                         /* of Size(n), or -1 */
    sql_type type;
    bool postgres;
    bool nullable;
    bool aware;     /* datetime: with a time zone */
    fe_text quoted; /* the name as SQL has it */
    fe_text line;   /* "name" TYPE … */
    fe_text notes;  /* comments above it, each a line */
} sql_column;

/* A storage kind of records: its range where the column's type has another. */
typedef struct sql_storage {
    const char *kind;
    sql_type type;
    const char *postgres; /* type */
    const char *low, *high;
    bool implied; /* PostgreSQL's type has the very range */
} sql_storage;

/* ---- sql_schema_type.c: 0 or -1 */

/* The type, choices, storage and size of the column; TypeError naming it */
int sql_column_type(sql_column *column);
int sql_types_new(validation_state *state);

/* ---- sql_schema_literal.c */

/* A name in double quotes, a text in single ones: 0 or -1 */
int sql_write_name(fe_text *text, PyObject *name);
int sql_write_text(fe_text *text, PyObject *str, bool postgres);
/* Text for a comment: on one line, whatever is in it */
int sql_write_comment(fe_text *text, PyObject *str);
/* Has a datetime or time a zone? 1, 0 or -1; of other values 0 */
int sql_has_zone(PyObject *value);
/* The value as the column keeps it. 1: written; 0: it has no such value,
 * nothing written; -1 */
int sql_write_value(sql_column *column, fe_text *text, PyObject *value);

/* ---- sql_schema_check.c: what follows the type. 0 or -1 */
int sql_column_checks(sql_column *column);

#endif
