/* SPDX-License-Identifier: MIT
 *
 * The head of every object that stands in a function's place, and the slots
 * such types share. Attributes it has not got are the function's, so name,
 * signature, annotations and kind are right without a copy; what is set on it
 * stays its own.
 */
#ifndef FE_WRAP_H
#define FE_WRAP_H

#include "compat.h"

/* What a call of a function gives. */
typedef enum {
    FE_PLAIN,
    FE_COROUTINE,
    FE_GENERATOR,
    FE_ASYNC_GENERATOR,
} fe_kind;

typedef struct {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *wrapped; /* owned; NULL once the collector has cleared it */
    PyObject *dict;    /* owned; NULL while nothing was set or asked for */
    PyObject *weakrefs;
    bool dict_full; /* __dict__ was asked for: it has wrapped's items too */
    bool in_class;  /* __set_name__ came: calls bring the instance first */
    fe_kind kind;   /* of the function that is called in the end */
} fe_wrap;

#define FE_WRAP(op) ((fe_wrap *)(op))

/* Methods are called with the instance in front, without a bound method; the
 * interpreter specialises that only where the type cannot change (43 -> 12
 * ns).
 */
#define FE_WRAP_FLAGS                                                         \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL     \
     | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE)

/* Members, methods and attributes of the base type of a room's wrappers. */
extern PyMemberDef fe_wrap_members[];
extern PyGetSetDef fe_wrap_getset[];
extern PyMethodDef fe_wrap_methods[];

PyObject *fe_wrap_getattro(PyObject *self, PyObject *name);
PyObject *fe_wrap_descr_get(PyObject *self, PyObject *obj, PyObject *type);
PyObject *fe_wrap_repr(PyObject *self);
int fe_wrap_traverse(fe_wrap *self, visitproc visit, void *arg);
int fe_wrap_clear(fe_wrap *self);
/* The end of tp_dealloc, once the type's own fields are released. */
void fe_wrap_free(fe_wrap *self);

/* new, not yet tracked, its own fields zero; NULL with MemoryError */
fe_wrap *fe_wrap_new(PyTypeObject *type, PyObject *wrapped,
                     vectorcallfunc vectorcall, fe_kind kind);

/* 0; or -1 with TypeError naming the decorator: not callable */
int fe_wrap_check(const char *decorator, PyObject *func);
/* What a call of func gives; -1 with an exception. May run Python code. */
int fe_wrap_kind(PyObject *func);
/* new: the function's own __qualname__ or __name__, or its repr; a str */
PyObject *fe_wrap_name(PyObject *func, const char *attribute);

/* The way into anything but a plain function: it counts the depth. */
PyObject *fe_wrap_call_other(PyObject *func, PyObject *const *args,
                             size_t nargsf, PyObject *kwnames);

/* Call what is wrapped. The interpreter counts the depth of functions. */
FE_INLINE PyObject *
fe_wrap_call(PyObject *func, PyObject *const *args, size_t nargsf,
             PyObject *kwnames)
{
    if (FE_LIKELY(func != NULL && PyFunction_Check(func))) {
        return ((PyFunctionObject *)func)
            ->vectorcall(func, args, nargsf, kwnames);
    }
    return fe_wrap_call_other(func, args, nargsf, kwnames);
}

#endif
