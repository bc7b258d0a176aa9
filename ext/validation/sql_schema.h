/* SPDX-License-Identifier: MIT
 *
 * Classes as CREATE TABLE.
 */
#ifndef SQL_SCHEMA_H
#define SQL_SCHEMA_H

#define SQL_SCHEMA_STATE(X)                                                   \
    X(PyObject *, sql_types)    /* dict: class -> sql_type, an int */         \
    X(PyObject *, sql_metadata) /* "__metadata__" */                          \
    X(PyObject *, sql_args)     /* "__args__" */                              \
    X(PyObject *, sql_sqlite)   /* cache: class -> text */                    \
    X(PyObject *, sql_postgres) /* the same for PostgreSQL */

int sql_schema_register(PyObject *module, validation_state *state);

#endif
