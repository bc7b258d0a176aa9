/* SPDX-License-Identifier: MIT
 *
 * A packet being written: what packet_write.c and packet_put.c share.
 */
#ifndef WIRE_PACKET_WRITE_H
#define WIRE_PACKET_WRITE_H

#include "packet_parts.h"

/* Bytes being written, into an object of which nobody knows yet. */
typedef struct {
    wire_state *state;
    PyObject *bytes; /* owned, `room` of them */
    Py_ssize_t used, room;
} packet_writer;

/* Room for so many bytes more at the end, counted as used: their place, valid
 * until the next call; NULL with MemoryError */
uint8_t *packet_writer_take(packet_writer *writer, Py_ssize_t size);

FE_INLINE uint8_t *
packet_writer_data(const packet_writer *writer)
{
    return (uint8_t *)PyBytes_AS_STRING(writer->bytes);
}

/* packet_put.c: values. 0, or -1 with an exception that says where. */
/* "P.f: wanted <wanted>, got str 'x'"; wanted: UTF-8 text; -1 */
int packet_wrong(const packet_path *path, PyObject *exception,
                 const char *wanted, PyObject *value);
/* A scalar or fixed bytes or text to its place. */
int packet_put_fixed(wire_state *state, const packet_path *path, uint8_t *at,
                     PyObject *value);
/* The bits of a value, not shifted. */
int packet_put_bits(const wire_state *state, const packet_path *path,
                    PyObject *value, uint64_t *bits);
/* borrowed from the value: the bytes of bytes or str; NULL */
const char *packet_blob(const packet_path *path, PyObject *value,
                        Py_ssize_t *size);

#endif
