/* SPDX-License-Identifier: MIT
 *
 * Frames of a capture file.
 */
#ifndef WIRE_PCAP_H
#define WIRE_PCAP_H

#include "view.h"

#define PCAP_STATE(X)                                                         \
    X(PyTypeObject *, pcap_type)                                              \
    X(PyTypeObject *, frame_type)

int pcap_register(PyObject *module, struct wire_state *state);

#endif
