/* SPDX-License-Identifier: MIT
 *
 * What the files of the room share: the module's state and how to reach it.
 * What only one feature knows is in that feature's header.
 */
#ifndef WIRE_STATE_H
#define WIRE_STATE_H

#include "args.h"
#include "cpu.h"
#include "record_capi.h"
#include "state.h"

typedef struct wire_state wire_state;

#include "bulk.h"
#include "checksum.h"
#include "lazy.h"
#include "packet.h"
#include "pcap.h"
#include "view.h"

#define WIRE_STATE(X)                                                         \
    X(PyObject *, records_module) /* keeps `records` */                       \
    VIEW_STATE(X)                                                             \
    PACKET_STATE(X)                                                           \
    LAZY_STATE(X)                                                             \
    PCAP_STATE(X)

struct wire_state {
    WIRE_STATE(FE_STATE_FIELD)
    const fe_records_capi *records;
    const checksum_functions *checksums;
    fe_cpu cpu;
    view_table views;
    lazy_table lazies;
};

/* wire_module.c */
wire_state *wire_get_state(PyObject *module);
/* of an instance of a type made by this module, not of a subclass; NULL when
 * the collector has taken the module from the type */
wire_state *wire_state_or_null(PyObject *instance);
/* the same, but with RuntimeError; */
wire_state *wire_state_of(PyObject *instance);
/* which is this; NULL */
wire_state *wire_refuse_shut(void);

/* wire_input.c: bytes from outside for the time of one call */
typedef struct {
    const uint8_t *data;
    Py_ssize_t length;
    Py_buffer buffer; /* .obj NULL: exactly bytes */
} wire_input;

/* 0, or -1: TypeError "unpack() wants a contiguous buffer, got str", or
 * BufferError likewise */
int wire_input_take_slow(PyObject *obj, int flags, const char *function,
                         wire_input *input);

FE_INLINE int
wire_input_take(PyObject *obj, const char *function, wire_input *input)
{
    if (FE_LIKELY(PyBytes_CheckExact(obj))) {
        input->data = (const uint8_t *)PyBytes_AS_STRING(obj);
        input->length = PyBytes_GET_SIZE(obj);
        input->buffer.obj = NULL;
        return 0;
    }
    return wire_input_take_slow(obj, PyBUF_SIMPLE, function, input);
}

FE_INLINE void
wire_input_drop(wire_input *input)
{
    if (input->buffer.obj != NULL) {
        PyBuffer_Release(&input->buffer);
    }
}

/* Set WireError for what is in no field; the objects are stolen (NULL: an
 * exception is set). */
void wire_refuse(wire_state *state, Py_ssize_t offset, PyObject *wanted,
                 PyObject *had, PyObject *where);

/* Reading pages of an mmap that its file no longer has ends the process: see,
 * before all of it is read, that the file is as long. 0; -1 with BufferError,
 * or what mmap.size() raises. */
int wire_check_mapped(PyObject *buffer, Py_ssize_t length,
                      const char *function);

/* An offset argument: 0 or more; NULL: 0. -1 with TypeError, ValueError or
 * OverflowError that begins with `function`. */
Py_ssize_t wire_offset(PyObject *value, const char *function);

#endif
