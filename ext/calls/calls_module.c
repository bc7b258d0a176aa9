/* SPDX-License-Identifier: MIT
 *
 * ferrule._calls: assembles the room. No logic here.
 */
#include "calls_state.h"

static struct PyModuleDef calls_module;

calls_state *
calls_get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

calls_state *
calls_state_of(PyObject *instance)
{
    /* PyType_GetModuleState, less its checks */
    PyObject *module = ((PyHeapTypeObject *)Py_TYPE(instance))->ht_module;
    if (FE_UNLIKELY(module == NULL)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "ferrule.calls has been shut down");
        return NULL;
    }
    return PyModule_GetState(module);
}

PyObject *
calls_module_borrow(PyTypeObject *type)
{
    return PyType_GetModuleByDef(type, &calls_module);
}

static int
calls_exec(PyObject *module)
{
    calls_state *state = calls_get_state(module);
    static int (*const features[])(PyObject *, calls_state *) = {
        wrapper_register,  cache_register,           counted_register,
        logged_register,   model_inference_register, rate_limit_register,
        register_register, retry_register,           singleton_register,
        timer_register,
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(features); i++) {
        if (features[i](module, state) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
calls_module_traverse(PyObject *module, visitproc visit, void *arg)
{
    calls_state *state = calls_get_state(module);
    CALLS_STATE(FE_STATE_VISIT)
    return 0;
}

static int
calls_module_clear(PyObject *module)
{
    calls_state *state = calls_get_state(module);
    CALLS_STATE(FE_STATE_CLEAR)
    calls_coroutine_drain(state);
    return 0;
}

static void
calls_module_free(void *module)
{
    calls_module_clear(module);
}

PyDoc_STRVAR(calls_module__doc__,
             "Functions that carry work (native part of ferrule.calls).");

static PyModuleDef_Slot calls_module_slots[] = FE_MODULE_SLOTS(calls_exec);

static struct PyModuleDef calls_module = {
    PyModuleDef_HEAD_INIT,         .m_name = "_calls",
    .m_doc = calls_module__doc__,  .m_size = sizeof(calls_state),
    .m_slots = calls_module_slots, .m_traverse = calls_module_traverse,
    .m_clear = calls_module_clear, .m_free = calls_module_free,
};

PyMODINIT_FUNC PyInit__calls(void);

PyMODINIT_FUNC
PyInit__calls(void)
{
    return PyModuleDef_Init(&calls_module);
}
