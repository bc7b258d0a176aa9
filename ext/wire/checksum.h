/* SPDX-License-Identifier: MIT
 *
 * CRC32, CRC32C and the Internet checksum as Python functions; the work is in
 * checksum_core.
 */
#ifndef WIRE_CHECKSUM_H
#define WIRE_CHECKSUM_H

#include "checksum_core.h"
#include "compat.h"

struct wire_state;

int checksum_register(PyObject *module, struct wire_state *state);

#endif
