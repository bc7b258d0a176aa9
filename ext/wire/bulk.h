/* SPDX-License-Identifier: MIT
 *
 * Streams of records to columns: unpack_many, index_many.
 */
#ifndef WIRE_BULK_H
#define WIRE_BULK_H

#include "packet.h"

int bulk_register(PyObject *module, struct wire_state *state);

#endif
