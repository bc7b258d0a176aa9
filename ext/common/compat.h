/* SPDX-License-Identifier: MIT
 *
 * The only file that knows which CPython it is compiled for.
 *
 * Shims carry the newer API's real name and exist only where the running
 * header lacks it, so callers read like code for the newest CPython.
 * Everything that leans on a layout CPython does not promise is here too,
 * with the reason and the version range it was read for.
 */
#ifndef FE_COMPAT_H
#define FE_COMPAT_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if PY_VERSION_HEX < 0x030b0000
#error "ferrule needs CPython 3.11 or newer"
#endif

#if PY_VERSION_HEX < 0x030c0000
#include <structmember.h>
#define Py_T_BOOL T_BOOL
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_READONLY READONLY
#endif

/* A function as a type-slot or method-table value. */
#define FE_SLOT(f) ((void *)(uintptr_t)(f))
#define FE_METHOD(f) ((PyCFunction)(uintptr_t)(f))

/* A literal where CPython's structs forgot the const. */
#define FE_TEXT(s) ((char *)(uintptr_t)(s))

#define FE_LIKELY(x) __builtin_expect(!!(x), 1)
#define FE_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define FE_NOINLINE __attribute__((noinline))
#define FE_INLINE static inline __attribute__((always_inline))

/* 3.14: the annotations of a class body are a function (PEP 649). */
#define FE_LAZY_ANNOTATIONS (PY_VERSION_HEX >= 0x030e0000)
/* 3.12: dataclasses._DataclassParams tells match_args and what follows too. */
#define FE_DATACLASS_PARAMS_TEN (PY_VERSION_HEX >= 0x030c0000)

/* Free lists need the interpreter lock, and hide use after free from ASan. */
#if defined(Py_GIL_DISABLED) && !defined(FE_NO_FREELIST)
#define FE_NO_FREELIST
#endif

/* Multi-phase init slots every room uses: what tests/ show is declared. */
#if PY_VERSION_HEX >= 0x030c0000
#define FE_MODULE_SLOTS(exec)                                                 \
    {                                                                         \
        {Py_mod_exec, FE_SLOT(exec)},                                         \
        {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED}, \
        {0, NULL},                                                            \
    }
#else
#define FE_MODULE_SLOTS(exec)                                                 \
    {                                                                         \
        {Py_mod_exec, FE_SLOT(exec)},                                         \
        {0, NULL},                                                            \
    }
#endif

/* borrowed from the type: its namespace. Call PyType_Modified after a write */
static inline PyObject *
fe_type_dict_borrow(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *dict = PyType_GetDict(type);
    Py_XDECREF(dict); /* the type itself keeps it */
    return dict;
#else
    return type->tp_dict;
#endif
}

#if PY_VERSION_HEX < 0x030c0000
/* new: the current exception, cleared */
static inline PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

/* stolen: exc becomes the current exception */
static inline void
PyErr_SetRaisedException(PyObject *exc)
{
    PyErr_Restore(Py_NewRef(Py_TYPE(exc)), exc, PyException_GetTraceback(exc));
}
#endif

/* The current exception put aside as it is: in a deallocator it must come back
 * unchanged, and making it whole could find no memory.
 */
typedef struct {
    PyObject *type, *value, *traceback;
} fe_error;

static inline fe_error
fe_error_put_aside(void)
{
    fe_error error = {NULL, NULL, NULL};
#if PY_VERSION_HEX >= 0x030c0000
    error.value = PyErr_GetRaisedException();
#else
    PyErr_Fetch(&error.type, &error.value, &error.traceback);
#endif
    return error;
}

static inline void
fe_error_put_back(fe_error error)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyErr_SetRaisedException(error.value);
#else
    PyErr_Restore(error.type, error.value, error.traceback);
#endif
}

#if PY_VERSION_HEX < 0x030d0000
/* 1: found, *result is new; 0: absent; -1: error */
static inline int
PyDict_GetItemRef(PyObject *dict, PyObject *key, PyObject **result)
{
    PyObject *item = PyDict_GetItemWithError(dict, key);
    *result = Py_XNewRef(item);
    return item != NULL ? 1 : (PyErr_Occurred() ? -1 : 0);
}

/* 1: found, *result is new; 0: no such attribute; -1: error */
static inline int
PyObject_GetOptionalAttr(PyObject *obj, PyObject *name, PyObject **result)
{
    *result = PyObject_GetAttr(obj, name);
    if (*result != NULL) {
        return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return -1;
    }
    PyErr_Clear(); /* AttributeError: that is the answer */
    return 0;
}

/* 1: removed; 0: absent; -1: error */
static inline int
fe_dict_discard(PyObject *dict, PyObject *key)
{
    int found = PyDict_Contains(dict, key);
    if (found == 1 && PyDict_DelItem(dict, key) < 0) {
        return -1;
    }
    return found;
}
#else
static inline int
fe_dict_discard(PyObject *dict, PyObject *key)
{
    return PyDict_Pop(dict, key, NULL);
}
#endif

/* Does the type keep a dict or weak references in front of the object, or a
 * dict anywhere? Such instances are made and freed by CPython's own functions.
 */
static inline bool
fe_type_is_mixed(PyTypeObject *type)
{
    unsigned long mask = Py_TPFLAGS_MANAGED_DICT;
#if PY_VERSION_HEX >= 0x030c0000
    mask |= Py_TPFLAGS_MANAGED_WEAKREF;
#endif
    return (type->tp_flags & mask) != 0 || type->tp_dictoffset != 0;
}

/* 3.13 keeps the values of a __dict__ right behind the header of types that
 * had no fields when type.__new__ made them: there our fields are.
 */
static inline void
fe_type_forget_inline_values(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030d0000
    type->tp_flags &= ~(unsigned long)Py_TPFLAGS_INLINE_VALUES;
#else
    (void)type;
#endif
}

/* A link through the reference-count word of an object that is already dead:
 * the one word every layout has and nobody reads any more.
 */
static inline void
fe_dead_link_set(PyObject *dead, PyObject *next)
{
    memcpy(&dead->ob_refcnt, &next, sizeof(next));
}

static inline PyObject *
fe_dead_link_take(PyObject *dead)
{
    PyObject *next;
    memcpy(&next, &dead->ob_refcnt, sizeof(next));
    dead->ob_refcnt = 0;
    return next;
}

/* An object from a free list, alive again: what PyObject_Init does, without
 * the call (5 of 26 ns of a construction). Its type word is still in place.
 */
static inline PyObject *
fe_revive(PyObject *dead, PyTypeObject *type)
{
#if defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS) || defined(FE_NO_FREELIST)
    return PyObject_Init(dead, type);
#else
    dead->ob_refcnt = 1;
    Py_INCREF(type);
    return dead;
#endif
}

/* Digits of an int below 2**60, read in place. PyLong_AsLongLong costs a call
 * and a loop for every int that is not one digit. Layout read for
 * 3.11 (ob_size) and 3.12-3.14 (lv_tag); any other takes the public way.
 */
#if PYLONG_BITS_IN_DIGIT == 30 && PY_VERSION_HEX < 0x030f0000
static inline bool
fe_long_in_place(PyObject *v, int64_t *out)
{
    const PyLongObject *n = (const PyLongObject *)v;
#if PY_VERSION_HEX >= 0x030c0000
    const digit *digits = n->long_value.ob_digit;
    uintptr_t tag = n->long_value.lv_tag;
    uintptr_t count = tag >> 3;
    bool negative = (tag & 3) == 2;
#else
    const digit *digits = n->ob_digit;
    Py_ssize_t size = Py_SIZE(v);
    bool negative = size < 0;
    uintptr_t count = (uintptr_t)(negative ? -size : size);
#endif
    int64_t value;
    if (count == 2) {
        value = (int64_t)digits[0] | (int64_t)digits[1] << 30;
    }
    else if (count == 1) {
        value = (int64_t)digits[0];
    }
    else if (count == 0) {
        value = 0;
    }
    else {
        return false;
    }
    *out = negative ? -value : value;
    return true;
}
#else
static inline bool
fe_long_in_place(PyObject *Py_UNUSED(v), int64_t *Py_UNUSED(out))
{
    return false;
}
#endif

#endif
