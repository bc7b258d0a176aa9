/* SPDX-License-Identifier: MIT
 *
 * Tables written by other rooms, column by column: a part of record_capi.h.
 */
#ifndef RECORD_BULK_H
#define RECORD_BULK_H

#include "record_capi.h"

/* record_bulk.c: the functions that make and fill tables */
void records_bulk_fill(fe_records_capi *table);

#endif
