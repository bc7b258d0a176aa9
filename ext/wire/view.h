/* SPDX-License-Identifier: MIT
 *
 * Who holds an exporter's memory: the head that View, LayoutView and Frame
 * share, linked into a list per exporter.
 */
#ifndef WIRE_VIEW_H
#define WIRE_VIEW_H

#include "compat.h"

struct wire_state;

/* A buffer got once and shared by a view and its slices. An object, so that
 * the collector counts its reference to the exporter once. */
typedef struct {
    PyObject_HEAD Py_buffer buffer;
} view_pin;

/* The first members of every object that holds memory in place. */
typedef struct wire_hold {
    PyObject_HEAD struct wire_hold *next; /* of the same bucket */
    struct wire_hold **link; /* what points to this one; NULL: unlinked */
    PyObject *exporter;      /* owned: whose memory it is; NULL: released */
    view_pin *pin;           /* owned; NULL: exporter is exactly bytes */
    char *data;              /* the first item */
    Py_ssize_t length;       /* bytes */
    Py_ssize_t exports; /* buffers given out, and calls that are using it: not
                           to be dropped while there are any */
    PyObject *site;     /* owned or NULL: "file.py:12 in f", if track_sites */
    bool readonly;
    bool strided; /* not contiguous: only a View, which knows more */
} wire_hold;

/* view_pin.c */
/* A hold is part of an object that is complete but for what it holds: whoever
 * asks for holders() while it is linked gets that object. */
/* Fill and link a head that holds nothing, from any exporter of contiguous
 * bytes; a View's, LayoutView's or Frame's exporter becomes its own, and so
 * does a memoryview's. What was in the head before is not looked at; a
 * failure leaves it released. 0, or -1 with TypeError or BufferError that
 * begins with `function` (or what an exporter raises), or ValueError. */
int wire_hold_take(struct wire_state *state, wire_hold *hold, PyObject *buffer,
                   const char *function);
/* The same memory, [start, start + length), of a hold that is not released
 * and not strided. Cannot fail, but for the site (then it is released). */
int wire_hold_share(struct wire_state *state, wire_hold *hold,
                    const wire_hold *from, Py_ssize_t start,
                    Py_ssize_t length);
/* Unlink and let go; may run Python code (an exporter's end), after which the
 * head is released. Harmless on a released head. `state` may be NULL: the
 * collector has taken the module. Call only while exports is 0. */
void wire_hold_drop(struct wire_state *state, wire_hold *hold);
/* For tp_traverse of a type with Py_TPFLAGS_HAVE_GC. tp_clear drops the hold
 * if exports is 0, and leaves it else: a memoryview of it goes first. */
int wire_hold_traverse(const wire_hold *hold, visitproc visit, void *arg);
/* Can what it holds lead back to the holder? Never for exactly bytes and
 * exactly bytearray: then there is no reason to be tracked by the collector.
 */
bool wire_hold_may_cycle(const wire_hold *hold);
/* borrowed: the head of a View, LayoutView or Frame; NULL: another object */
wire_hold *wire_hold_of(struct wire_state *state, PyObject *obj);
/* How many bytes it exports: all, but of a LayoutView what its record takes
 * now. -1 with WireError */
Py_ssize_t wire_hold_extent(struct wire_state *state, const wire_hold *hold);
/* bf_getbuffer and bf_releasebuffer for objects that export all of a hold as
 * one dimension of bytes. They count `exports`. */
int wire_hold_getbuffer(PyObject *self, Py_buffer *buffer, int flags);
void wire_hold_releasebuffer(PyObject *self, Py_buffer *buffer);
/* -1 with BufferError "View.release(): 1 buffer of it is still in use" */
int wire_hold_check_idle(const wire_hold *hold, const char *function);

/* view.c */
/* new: View of data[start:start + length] of what another holds */
PyObject *view_share(struct wire_state *state, const wire_hold *from,
                     Py_ssize_t start, Py_ssize_t length);

/* What the module must keep beside its object pointers (view_pin.c). Views by
 * the exporter's address; the table doubles with their number. */
#define VIEW_BUCKETS 256
typedef struct {
    wire_hold **buckets; /* `first`, or of its own */
    size_t size;         /* of buckets: a power of two */
    unsigned shift;      /* 64 - log2(size) */
    size_t count;        /* of holds linked */
    bool track_sites;
    PyObject *free_list; /* dead views, linked */
    uint32_t free_count;
    wire_hold *first[VIEW_BUCKETS];
} view_table;

#define VIEW_STATE(X)                                                         \
    X(PyTypeObject *, view_type)                                              \
    X(PyTypeObject *, view_pin_type)

int view_register(PyObject *module, struct wire_state *state);
void view_table_clear(struct wire_state *state); /* when the module goes */

#endif
