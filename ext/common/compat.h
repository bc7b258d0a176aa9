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
#define Py_T_LONGLONG T_LONGLONG
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

#if PY_VERSION_HEX < 0x030d0000
/* 1: *referent is new; 0: it is dead; -1: not a weak reference */
static inline int
PyWeakref_GetRef(PyObject *ref, PyObject **referent)
{
    PyObject *obj = PyWeakref_GetObject(ref); /* borrowed from nobody */
    *referent = NULL;
    if (obj == NULL) {
        return -1;
    }
    if (obj == Py_None) {
        return 0;
    }
    *referent = Py_NewRef(obj);
    return 1;
}

/* by identity, as object.__hash__ */
static inline Py_hash_t
PyObject_GenericHash(PyObject *obj)
{
    return PyBaseObject_Type.tp_hash(obj);
}
#endif

/* weakref.ref. CPython's header names it in PyWeakref_CheckRef, a macro that
 * every extension compiles in: it cannot go away without breaking those.
 */
#define FE_WEAKREF_TYPE (&_PyWeakref_RefType)

/* Tracked, but in a list of its own that no collection walks: for weak
 * references that own nothing but a callback. Untracked they cannot be, for
 * the collector moves a reference whose callback it is going to call from its
 * list to another (handle_weakrefs); walked, a million of them cost every full
 * collection 90 ms. An object that comes to own something is tracked anew.
 * Layout read for 3.11-3.13: two words in front of the object, next and
 * previous, the latter with flags in its lowest two bits. fe_gc_can_be_alone
 * checks it.
 */
#if PY_VERSION_HEX < 0x030e0000 && !defined(Py_GIL_DISABLED)
static inline uintptr_t *
fe_gc_head(PyObject *obj)
{
    return (uintptr_t *)(void *)obj - 2;
}

static inline void
fe_gc_track_alone(PyObject *obj)
{
    uintptr_t *head = fe_gc_head(obj);
    head[0] = head[1] = (uintptr_t)head;
}

static inline bool
fe_gc_is_alone(PyObject *obj)
{
    return fe_gc_head(obj)[0] == (uintptr_t)fe_gc_head(obj);
}

/* Try with an object that is tracked as usual, and will be so afterwards. */
static inline bool
fe_gc_can_be_alone(PyObject *obj)
{
    uintptr_t *head = fe_gc_head(obj);
    const uintptr_t *next = (const uintptr_t *)head[0];
    if (!PyObject_GC_IsTracked(obj) || next == NULL
        || (next[1] & ~(uintptr_t)3) != (uintptr_t)head) {
        return false;
    }
    PyObject_GC_UnTrack(obj);
    bool same = head[0] == 0 && (head[1] & ~(uintptr_t)3) == 0;
    if (same) {
        fe_gc_track_alone(obj);
        same = PyObject_GC_IsTracked(obj);
        PyObject_GC_UnTrack(obj);
        same = same && head[0] == 0 && !PyObject_GC_IsTracked(obj);
    }
    PyObject_GC_Track(obj);
    return same;
}
#else
static inline void
fe_gc_track_alone(PyObject *obj)
{
    PyObject_GC_Track(obj);
}

static inline bool
fe_gc_is_alone(PyObject *Py_UNUSED(obj))
{
    return false;
}

static inline bool
fe_gc_can_be_alone(PyObject *Py_UNUSED(obj))
{
    return false;
}
#endif

static inline void
fe_gc_track_lightly(PyObject *obj, bool alone)
{
    if (FE_LIKELY(alone)) {
        fe_gc_track_alone(obj);
    }
    else {
        PyObject_GC_Track(obj);
    }
}

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

/* Give the memory of a list of dead objects back. */
static inline void
fe_dead_links_free(PyObject *dead)
{
    while (dead != NULL) {
        PyObject *next = fe_dead_link_take(dead);
        PyObject_GC_Del(dead);
        dead = next;
    }
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

/* A list over `items`, which PyMem_Malloc gave and which hold `count` new
 * references: a copy of a long list costs a tenth of what it takes to filter
 * one. Layout and allocator read for 3.11 to 3.13. new; the items are its own
 * then, and with NULL still the caller's
 */
static inline PyObject *
fe_list_adopt(PyObject **items, Py_ssize_t count)
{
#if PY_VERSION_HEX < 0x030e0000 && !defined(Py_GIL_DISABLED)
    PyObject *list = PyList_New(0);
    if (list != NULL) {
        ((PyListObject *)list)->ob_item = items;
        ((PyListObject *)list)->allocated = count;
        Py_SET_SIZE(list, count);
    }
#else
    PyObject *list = PyList_New(count);
    if (list != NULL) {
        for (Py_ssize_t i = 0; i < count; i++) {
            PyList_SET_ITEM(list, i, items[i]);
        }
        PyMem_Free(items);
    }
#endif
    return list;
}

/* A word of a class for its decorator: tp_cache, which CPython keeps for old
 * extensions and does not use, but owns: its collector walks and clears it.
 * Read for 3.11 to 3.13. borrowed from the class; NULL: free
 */
static inline PyObject *
fe_type_cache(PyTypeObject *type)
{
    return type->tp_cache;
}

/* stolen: value; the word is free */
static inline void
fe_type_cache_set(PyTypeObject *type, PyObject *value)
{
    type->tp_cache = value;
}

/* What changes whenever the type or one of its bases does: 0, there is none.
 * tp_version_tag is what every inline cache of the interpreter is guarded by;
 * PyType_Modified sets it to 0, and no number is given out twice. Read for
 * 3.11 to 3.13. Before 3.12 only an attribute lookup gives a type its number.
 */
static inline unsigned int
fe_type_version(PyTypeObject *type)
{
#if defined(Py_GIL_DISABLED)
    (void)type;
    return 0;
#elif PY_VERSION_HEX >= 0x030c0000
    return PyUnstable_Type_AssignVersionTag(type) ? type->tp_version_tag : 0;
#else
    return PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG)
               ? type->tp_version_tag
               : 0;
#endif
}

/* Is the version, not 0, still the type's? */
static inline bool
fe_type_is_version(const PyTypeObject *type, unsigned int version)
{
    return type->tp_version_tag == version;
}

/* ---- async generators and frames */

/* CPython has no public way to learn that an async generator has died, or
 * where it was first iterated. Read here: fields of structs in Include/cpython
 * of 3.11, 3.12 and 3.13; 3.14 hides them, and FE_ASYNCGEN_READ is 0 there.
 */
#if PY_VERSION_HEX < 0x030e0000
#define FE_ASYNCGEN_READ 1

/* The word that keeps the finalizer from the first iteration on. The generator
 * owns it and releases it when it dies, after its weak references.
 */
static inline PyObject **
fe_asyncgen_finalizer(PyObject *gen)
{
    return &((PyAsyncGenObject *)gen)->ag_origin_or_finalizer;
}

/* Has the interpreter asked for the hooks? It does so once. */
static inline bool
fe_asyncgen_begun(PyObject *gen)
{
    return ((PyAsyncGenObject *)gen)->ag_hooks_inited != 0;
}

/* Above 0 are the states of a frame that has returned (FRAME_COMPLETED,
 * FRAME_CLEARED); ag_frame is None then, but asking it may make a frame.
 */
static inline bool
fe_asyncgen_ended(PyObject *gen)
{
    return ((PyAsyncGenObject *)gen)->ag_frame_state > 0;
}

/* borrowed from the generator. PyGen_GetCode asserts a plain generator. */
static inline PyObject *
fe_asyncgen_code_borrow(PyObject *gen)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *code = PyUnstable_InterpreterFrame_GetCode(
        (struct _PyInterpreterFrame *)((PyAsyncGenObject *)gen)->ag_iframe);
    Py_DECREF(code);
    return code;
#else
    return (PyObject *)((PyAsyncGenObject *)gen)->ag_code;
#endif
}

static inline PyObject **
fe_thread_firstiter(PyThreadState *tstate)
{
    return &tstate->async_gen_firstiter;
}

#if PY_VERSION_HEX < 0x030c0000
/* The head of 3.11's struct _PyInterpreterFrame (pycore_frame.h), up to what
 * is read. PyThreadState_GetFrame makes a frame object: 40 ns a new frame.
 */
typedef struct {
    PyObject *func, *globals, *builtins, *locals;
    PyCodeObject *code;
    PyFrameObject *frame;
    void *previous;
    char *prev_instr;
} fe_frame_head;
#endif

/* borrowed from the frame that runs: its code, and the byte offset of the
 * instruction; NULL if no Python code runs
 */
static inline PyObject *
fe_caller_borrow(int *offset)
{
    PyThreadState *tstate = PyThreadState_Get();
#if PY_VERSION_HEX >= 0x030d0000
    struct _PyInterpreterFrame *frame = tstate->current_frame;
#else
    struct _PyInterpreterFrame *frame = tstate->cframe->current_frame;
#endif
    *offset = 0;
    if (frame == NULL) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *code = PyUnstable_InterpreterFrame_GetCode(frame);
    Py_XDECREF(code);
    if (code == NULL || !PyCode_Check(code)) {
        return NULL;
    }
    *offset = PyUnstable_InterpreterFrame_GetLasti(frame);
    return code;
#else
    const fe_frame_head *head = (const fe_frame_head *)(const void *)frame;
    *offset = (int)(head->prev_instr - head->code->co_code_adaptive);
    return (PyObject *)head->code;
#endif
}
#else
#define FE_ASYNCGEN_READ 0

static inline PyObject **
fe_asyncgen_finalizer(PyObject *Py_UNUSED(gen))
{
    return NULL;
}

static inline bool
fe_asyncgen_begun(PyObject *Py_UNUSED(gen))
{
    return false;
}

static inline bool
fe_asyncgen_ended(PyObject *Py_UNUSED(gen))
{
    return false;
}

static inline PyObject *
fe_asyncgen_code_borrow(PyObject *Py_UNUSED(gen))
{
    return NULL;
}

static inline PyObject **
fe_thread_firstiter(PyThreadState *Py_UNUSED(tstate))
{
    return NULL;
}

static inline PyObject *
fe_caller_borrow(int *offset)
{
    *offset = 0;
    return NULL;
}
#endif

/* A weak reference used again: `ref` is a plain one, made by PyWeakref_NewRef
 * and cleared since, that nobody else holds. A new one costs 50 ns. false: not
 * while the generator has others, whose order matters.
 */
static inline bool
fe_asyncgen_refer(PyObject *ref, PyObject *gen)
{
#if FE_ASYNCGEN_READ
    PyWeakReference *again = (PyWeakReference *)ref;
    PyObject **head = &((PyAsyncGenObject *)gen)->ag_weakreflist;
    if (*head == NULL && again->wr_object == Py_None && Py_REFCNT(ref) == 1) {
        again->wr_object = gen;
        again->hash = -1;
        *head = ref;
        return true;
    }
#endif
    (void)ref, (void)gen;
    return false;
}

/* borrowed from nobody: the referent, NULL once the interpreter has begun to
 * take it down. For code that runs no Python until it is done with it.
 */
static inline PyObject *
fe_weakref_peek(PyObject *ref)
{
    PyObject *obj = ((PyWeakReference *)ref)->wr_object;
    return obj != Py_None && Py_REFCNT(obj) > 0 ? obj : NULL;
}

/* A built-in function taken over where it is: extensions keep the object
 * itself, so that replacing the module's attribute would not reach them.
 * methodobject.c calls through m_ml each time it is called; the vectorcall
 * pointer in the object was chosen by the flags of m_ml, and they must not
 * change. Read for 3.11 to 3.13, and checked by fe_builtin_refuse.
 */
typedef struct {
    PyObject *function; /* owned; NULL: not taken */
    PyMethodDef own;    /* m_ml meanwhile: so this struct must stay in place */
    PyMethodDef *old;
    PyObject *self; /* owned: m_self as it was */
} fe_builtin;

/* Why the function (NULL: there is none) cannot be taken over, or NULL */
static inline const char *
fe_builtin_refuse(PyObject *function, int flags)
{
    if (!FE_ASYNCGEN_READ) {
        return "of a Python this version of ferrule was not read for";
    }
    if (function == NULL || !PyCFunction_CheckExact(function)) {
        return "not the built-in function";
    }
    PyCFunctionObject *builtin = (PyCFunctionObject *)function;
    if (builtin->m_ml->ml_flags != flags || builtin->m_self == NULL
        || (builtin->vectorcall != NULL) != (flags == METH_NOARGS)) {
        return "not built as it was";
    }
    return NULL;
}

/* Calls of the function go to `meth` with `self`. Never fails. */
static inline void
fe_builtin_take(fe_builtin *taken, PyObject *function, PyCFunction meth,
                PyObject *self)
{
    PyCFunctionObject *builtin = (PyCFunctionObject *)function;
    taken->function = Py_NewRef(function);
    taken->old = builtin->m_ml;
    taken->own = *builtin->m_ml;
    taken->own.ml_meth = meth;
    taken->self = builtin->m_self;
    builtin->m_ml = &taken->own;
    builtin->m_self = Py_NewRef(self);
}

/* false: somebody took it over from us, and still calls us */
static inline bool
fe_builtin_give_back(fe_builtin *taken)
{
    PyCFunctionObject *builtin = (PyCFunctionObject *)taken->function;
    if (builtin == NULL) {
        return true;
    }
    if (builtin->m_ml != &taken->own) {
        return false;
    }
    PyObject *own = builtin->m_self;
    builtin->m_ml = taken->old;
    builtin->m_self = taken->self;
    taken->function = taken->self = NULL;
    Py_DECREF(builtin);
    Py_XDECREF(own);
    return true;
}

#if PY_VERSION_HEX < 0x030d0000
static inline int
Py_IsFinalizing(void)
{
    return _Py_IsFinalizing(); /* its name before it was made public */
}
#endif

/* PyObject_GetAttrString with the name interned: each new string would take a
 * place in the interpreter's cache of attributes.
 */
static inline PyObject *
fe_getattr(PyObject *obj, const char *name)
{
    PyObject *interned = PyUnicode_InternFromString(name);
    if (interned == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_GetAttr(obj, interned);
    Py_DECREF(interned);
    return result;
}

/* 1: there, *result is new; 0: no such attribute, NULL; -1: error, NULL */
static inline int
fe_find_attr(PyObject *obj, const char *name, PyObject **result)
{
    PyObject *interned = PyUnicode_InternFromString(name);
    *result = NULL;
    if (interned == NULL) {
        return -1;
    }
    int found = PyObject_GetOptionalAttr(obj, interned, result);
    Py_DECREF(interned);
    return found;
}

/* obj.name(arg), or obj.name() if arg is NULL; the name interned, as above */
static inline PyObject *
fe_call_method(PyObject *obj, const char *name, PyObject *arg)
{
    PyObject *method = fe_getattr(obj, name);
    if (method == NULL) {
        return NULL;
    }
    PyObject *result = arg != NULL ? PyObject_CallOneArg(method, arg)
                                   : PyObject_CallNoArgs(method);
    Py_DECREF(method);
    return result;
}

/* ---- immortal objects and the collector's lists: 3.12 and 3.13, with the
 * interpreter lock. CPython offers no way to make an existing object immortal
 * (PyUnstable_SetImmortal, 3.15, wants new ones); the count itself is in its
 * public header, and Py_SET_REFCNT writes it. 3.14 moves the value: the guard
 * is an upper bound, and `freeze` checks one object before it walks.
 */
#if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030e0000               \
    && !defined(Py_GIL_DISABLED) && !defined(Py_REF_DEBUG)
#define FE_IMMORTAL 1

/* member that reads as None while it is not set: deprecated, so without a
 * public name, but old extensions have it
 */
#define FE_T_OBJECT _Py_T_OBJECT

static inline bool
fe_is_immortal(PyObject *obj)
{
    return _Py_IsImmortal(obj) != 0;
}

/* with the very count that immortals are made with */
static inline bool
fe_is_immortal_exact(PyObject *obj)
{
    return Py_REFCNT(obj) == (Py_ssize_t)_Py_IMMORTAL_REFCNT;
}

static inline void
fe_immortalise(PyObject *obj)
{
    /* a string in the table of interned ones is not counted there: the table
     * must know that it will not go */
    if (PyUnicode_CheckExact(obj)
        && ((PyASCIIObject *)obj)->state.interned == SSTATE_INTERNED_MORTAL) {
        ((PyASCIIObject *)obj)->state.interned = SSTATE_INTERNED_IMMORTAL;
    }
    obj->ob_refcnt = _Py_IMMORTAL_REFCNT;
}

static inline PyObject *
fe_code_cached_borrow(PyCodeObject *code, int i)
{
    if (code->_co_cached == NULL) {
        return NULL;
    }
    PyObject *const cached[] = {
        code->_co_cached->_co_code, code->_co_cached->_co_varnames,
        code->_co_cached->_co_cellvars, code->_co_cached->_co_freevars};
    return i < 4 ? cached[i] : NULL;
}
#else
#define FE_IMMORTAL 0
#endif

#endif
