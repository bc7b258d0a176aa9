/* SPDX-License-Identifier: MIT
 *
 * ferrule._validation: assembles the room. No logic here.
 */
#include "validation_state.h"

static struct PyModuleDef validation_module;

validation_state *
validation_get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

validation_state *
validation_state_of(PyObject *instance)
{
    /* PyType_GetModuleState, less its checks */
    PyObject *module = ((PyHeapTypeObject *)Py_TYPE(instance))->ht_module;
    if (FE_UNLIKELY(module == NULL)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "ferrule.validation has been shut down");
        return NULL;
    }
    return PyModule_GetState(module);
}

PyObject *
validation_module_borrow(PyTypeObject *type)
{
    return PyType_GetModuleByDef(type, &validation_module);
}

static int
validation_exec(PyObject *module)
{
    validation_state *state = validation_get_state(module);
    static int (*const features[])(PyObject *, validation_state *) = {
        error_register,      constraint_register,     regex_register,
        email_register,      validate_register,       descriptor_register,
        mask_register,       validated_meta_register, checked_register,
        sql_schema_register,
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(features); i++) {
        if (features[i](module, state) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
validation_module_traverse(PyObject *module, visitproc visit, void *arg)
{
    validation_state *state = validation_get_state(module);
    VALIDATION_STATE(FE_STATE_VISIT)
    return 0;
}

static int
validation_module_clear(PyObject *module)
{
    validation_state *state = validation_get_state(module);
    VALIDATION_STATE(FE_STATE_CLEAR)
    return 0;
}

static void
validation_module_free(void *module)
{
    validation_module_clear(module);
}

PyDoc_STRVAR(validation_module__doc__,
             "Rules for values (native part of ferrule.validation).");

static PyModuleDef_Slot validation_module_slots[] =
    FE_MODULE_SLOTS(validation_exec);

static struct PyModuleDef validation_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_validation",
    .m_doc = validation_module__doc__,
    .m_size = sizeof(validation_state),
    .m_slots = validation_module_slots,
    .m_traverse = validation_module_traverse,
    .m_clear = validation_module_clear,
    .m_free = validation_module_free,
};

PyMODINIT_FUNC PyInit__validation(void);

PyMODINIT_FUNC
PyInit__validation(void)
{
    return PyModuleDef_Init(&validation_module);
}
