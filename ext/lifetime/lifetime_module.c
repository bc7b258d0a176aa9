/* SPDX-License-Identifier: MIT
 *
 * ferrule._lifetime: assembles the room. No logic but the shared way to make
 * a weak reference.
 */
#include "fork.h"
#include "lifetime_state.h"

static struct PyModuleDef lifetime_module;

lifetime_state *
lifetime_get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

lifetime_state *
lifetime_state_of_type(PyTypeObject *type)
{
    /* PyType_GetModuleState, less its checks: 35 instructions, thrice in the
     * life of a finalizer */
    PyObject *module = ((PyHeapTypeObject *)type)->ht_module;
    return FE_LIKELY(module != NULL) ? PyModule_GetState(module) : NULL;
}

PyObject *
lifetime_gone(void)
{
    PyErr_SetString(PyExc_RuntimeError, "ferrule.lifetime has been shut down");
    return NULL;
}

lifetime_state *
lifetime_state_of_subtype(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &lifetime_module);
    return module != NULL ? lifetime_get_state(module) : NULL;
}

/* weakref.ref.__new__ reads its arguments from a tuple; making one each time
 * would cost a third of the whole. While the pair is lent, a collection may
 * run code that comes here again: that gets a pair of its own.
 */
PyObject *
lifetime_new_ref(lifetime_state *state, PyTypeObject *type, PyObject *obj,
                 PyObject *callback)
{
    if (callback == NULL) {
        return lifetime_gone();
    }
    PyObject *pair = state->ref_arguments;
    state->ref_arguments = NULL;
    if (pair == NULL) {
        pair = PyTuple_New(2);
        if (pair == NULL) {
            return NULL;
        }
        PyObject_GC_UnTrack(pair); /* nobody is to find it empty */
    }
    PyTuple_SET_ITEM(pair, 0, Py_NewRef(obj));
    PyTuple_SET_ITEM(pair, 1, Py_NewRef(callback));
    PyObject *ref = FE_WEAKREF_TYPE->tp_new(type, pair, NULL);
    bool mine = Py_REFCNT(pair) == 1;
    if (mine) {
        PyTuple_SET_ITEM(pair, 0, NULL);
        PyTuple_SET_ITEM(pair, 1, NULL);
        Py_DECREF(obj);
        Py_DECREF(callback);
    }
    if (mine && state->ref_arguments == NULL) {
        state->ref_arguments = pair;
    }
    else {
        Py_DECREF(pair);
    }
    return ref;
}

static int
lifetime_exec(PyObject *module)
{
    lifetime_state *state = lifetime_get_state(module);
    if (fe_fork_watch() < 0) {
        return -1;
    }
    PyObject *tracked = PyList_New(0);
    if (tracked == NULL) {
        return -1;
    }
    state->alone = fe_gc_can_be_alone(tracked);
    Py_DECREF(tracked);
    state->empty_tuple = PyTuple_New(0);
    if (state->empty_tuple == NULL || finalize_register(module, state) < 0
        || weak_dict_register(module, state) < 0
        || asyncgen_register(module, state) < 0) {
        return -1;
    }
    return 0;
}

static int
lifetime_module_traverse(PyObject *module, visitproc visit, void *arg)
{
    lifetime_state *state = lifetime_get_state(module);
    LIFETIME_STATE(FE_STATE_VISIT)
    return asyncgen_traverse(state, visit, arg);
}

/* The features first: what they let go may still ask for the types. */
static int
lifetime_module_clear(PyObject *module)
{
    lifetime_state *state = lifetime_get_state(module);
    asyncgen_clear(state);
    finalize_free(state);
    weak_dict_free(state);
    LIFETIME_STATE(FE_STATE_CLEAR)
    return 0;
}

static void
lifetime_module_free(void *module)
{
    lifetime_module_clear(module);
}

PyDoc_STRVAR(lifetime_module__doc__,
             "Finalizers, weak caches, async generators that can be counted "
             "(native part of ferrule.lifetime).");

static PyModuleDef_Slot lifetime_module_slots[] =
    FE_MODULE_SLOTS(lifetime_exec);

static struct PyModuleDef lifetime_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_lifetime",
    .m_doc = lifetime_module__doc__,
    .m_size = sizeof(lifetime_state),
    .m_slots = lifetime_module_slots,
    .m_traverse = lifetime_module_traverse,
    .m_clear = lifetime_module_clear,
    .m_free = lifetime_module_free,
};

PyMODINIT_FUNC PyInit__lifetime(void);

PyMODINIT_FUNC
PyInit__lifetime(void)
{
    return PyModuleDef_Init(&lifetime_module);
}
