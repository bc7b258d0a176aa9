/* SPDX-License-Identifier: MIT
 *
 * A View and what its files share. A view without `shape` is one dimension of
 * unsigned bytes, as nearly all are; what it needs is in the head.
 */
#ifndef WIRE_VIEW_OBJECT_H
#define WIRE_VIEW_OBJECT_H

#include "view_table.h"

#define VIEW_MAX_FREE 256

/* Of memory that is not plain bytes: one block, never changed. */
typedef struct {
    Py_ssize_t itemsize;
    int ndim;
    char code;         /* of items that can be read; 0: they cannot */
    bool fortran;      /* contiguous in Fortran's order */
    char *format;      /* behind dims */
    Py_ssize_t dims[]; /* shape, then strides */
} view_shape;

typedef struct {
    wire_hold hold;
    wire_state *state; /* of the module, which the type keeps; see below */
    view_shape *shape; /* owned; NULL: hold.length bytes */
    PyObject *weakrefs;
    Py_hash_t hash; /* -1: not computed yet */
    bool tracked;   /* by the collector */
} view_object;

/* Some of a view's items, while one call looks at them. */
typedef struct {
    char *data;
    int ndim;
    Py_ssize_t itemsize;
    Py_ssize_t shape[PyBUF_MAX_NDIM], strides[PyBUF_MAX_NDIM];
} view_region;

/* NULL once the collector has taken the module from the type. Kept in the
 * view: PyModule_GetState costs 1.5 of the 15 ns that a view takes. */
FE_INLINE wire_state *
view_state_or_null(const view_object *view)
{
    const PyHeapTypeObject *type = (const PyHeapTypeObject *)Py_TYPE(view);
    return FE_LIKELY(type->ht_module != NULL) ? view->state : NULL;
}

/* ---- view.c */

FE_INLINE wire_state *
view_get_state(const view_object *view)
{
    wire_state *state = view_state_or_null(view);
    return FE_LIKELY(state != NULL) ? state : wire_refuse_shut();
}

/* 0, or -1 with ValueError */
int view_refuse_released(void);
/* new: tuple of `count` numbers */
PyObject *view_tuple(const Py_ssize_t *numbers, int count);

FE_INLINE int
view_check(const view_object *view)
{
    return FE_LIKELY(view->hold.exporter != NULL) ? 0 : view_refuse_released();
}

/* new: what is not of the free list; nothing but NULL in it. The collector may
 * run and release `from` (NULL: nothing): then NULL with ValueError. */
view_object *view_alloc_slow(wire_state *state, PyTypeObject *type,
                             const wire_hold *from);
/* new: all bytes of a contiguous buffer; NULL as from wire_hold_take */
view_object *view_take_bytes(wire_state *state, PyTypeObject *type,
                             PyObject *buffer, const char *function);
/* new: of the same exporter, with the region's items in the view's format
 * (`format` NULL) or another; NULL with MemoryError */
PyObject *view_derive(view_object *view, const view_region *region,
                      const char *format);

/* Link what is filled in, and let the collector see it if it must. 0, or -1
 * with MemoryError: released, and not tracked */
FE_INLINE int
view_finish(wire_state *state, view_object *view)
{
    if (FE_UNLIKELY(state->views.track_sites)) {
        if (view_link_with_site(state, &view->hold) < 0) {
            view->tracked = false;
            return -1;
        }
    }
    else {
        view_link(&state->views, &view->hold);
    }
    if (FE_UNLIKELY(view->tracked)) {
        PyObject_GC_Track(view);
    }
    return 0;
}

#ifndef FE_NO_FREELIST
/* borrowed from nobody: a dead view; there is one */
FE_INLINE PyObject *
view_pop(view_table *table)
{
    PyObject *dead = table->free_list;
    table->free_list = fe_dead_link_take(dead);
    table->free_count--;
    return dead;
}
#endif

/* A view that holds nothing yet; all but the head's first words is set. It is
 * to hold what `from` does, which is not released, or NULL. */
FE_INLINE view_object *
view_alloc(wire_state *state, PyTypeObject *type, const wire_hold *from)
{
#ifndef FE_NO_FREELIST
    if (FE_LIKELY(state->views.free_list != NULL)) {
        return (view_object *)fe_revive(view_pop(&state->views), type);
    }
#endif
    return view_alloc_slow(state, type, from);
}

/* What a view of bytes of another hold is, but for its place in the table. */
FE_INLINE void
view_fill(view_object *view, const wire_hold *from, Py_ssize_t start,
          Py_ssize_t length, bool tracked)
{
    view->hold.exporter = Py_NewRef(from->exporter);
    view->hold.pin = (view_pin *)Py_XNewRef(from->pin);
    view->hold.data = from->data + start;
    view->hold.length = length;
    view->hold.readonly = from->readonly;
    view->hold.strided = false;
    view->hash = -1;
    view->tracked = tracked;
}

/* new: bytes of a hold that is not released or strided; the caller knows
 * whether the collector has to see it. NULL with MemoryError, or ValueError:
 * released meanwhile */
FE_INLINE view_object *
view_sub(wire_state *state, PyTypeObject *type, const wire_hold *from,
         Py_ssize_t start, Py_ssize_t length, bool tracked)
{
    view_object *view = view_alloc(state, type, from);
    if (FE_UNLIKELY(view == NULL)) {
        return NULL;
    }
    view_fill(view, from, start, length, tracked);
    if (FE_UNLIKELY(view_finish(state, view) < 0)) {
        Py_DECREF(view);
        return NULL;
    }
    return view;
}

/* ---- view_shape.c */

/* Both of the view must be alive. */
void view_region_of(const view_object *view, view_region *region);
bool view_region_contiguous(const view_region *region);
Py_ssize_t view_region_bytes(const view_region *region);
void view_region_copy(char *to, const view_region *from); /* C order */
/* Write items that lie in C order. */
void view_region_fill(const view_region *to, const char *from);
/* The region a buffer describes. 0, or -1 with BufferError */
int view_region_import(PyObject *exporter, const Py_buffer *buffer,
                       view_region *region);
/* new, PyMem: NULL with MemoryError. *plain: none is needed */
view_shape *view_shape_new(const view_region *region, const char *format,
                           bool *plain);
PyObject *view_cast(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames);
int view_bf_getbuffer(PyObject *op, Py_buffer *buffer, int flags);
extern const char view_cast__doc__[];

FE_INLINE const char *
view_format_of(const view_object *view)
{
    return view->shape != NULL ? view->shape->format : "B";
}

FE_INLINE char
view_code_of(const view_object *view)
{
    return view->shape != NULL ? view->shape->code : 'B';
}

/* ---- view_item.c */

/* Of a native format of one character, "@" before it or not; 0: another */
char view_code_parse(const char *format);
Py_ssize_t view_code_size(char code);
/* new: the item there; `code` is not 0 */
PyObject *view_item_get(char code, const char *at);
/* Into eight bytes; may run Python code. 0, or -1 with TypeError, ValueError
 */
int view_item_pack(char code, PyObject *value, char *cell);
/* -1 with ValueError */
int view_refuse_format(const char *format);
PyObject *view_region_list(const view_region *region, char code);

/* ---- view_index.c */

PyObject *view_sq_item(PyObject *op, Py_ssize_t index);
PyObject *view_mp_subscript(PyObject *op, PyObject *key);
int view_mp_ass_subscript(PyObject *op, PyObject *key, PyObject *value);

/* ---- view_compare.c */

PyObject *view_tp_richcompare(PyObject *op, PyObject *other, int how);
Py_hash_t view_tp_hash(PyObject *op);
PyObject *view_decode(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *view_tobytes(PyObject *op, PyObject *unused);
PyObject *view_tolist(PyObject *op, PyObject *unused);
PyObject *view_hex(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames);
extern const char view_decode__doc__[], view_tobytes__doc__[],
    view_tolist__doc__[], view_hex__doc__[];

/* ---- view_holders.c */

int view_holders_register(PyObject *module);

#endif
