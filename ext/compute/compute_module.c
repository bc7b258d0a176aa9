/* SPDX-License-Identifier: MIT
 *
 * ferrule._compute: assembles the room. No logic here.
 */
#include "compute_state.h"

compute_state *
compute_get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

static int
compute_exec(PyObject *module)
{
    compute_state *state = compute_get_state(module);
    return fe_cpu_choose(&state->cpu) < 0
                   || PyModule_AddStringConstant(module, "cpu",
                                                 fe_cpu_names[state->cpu])
                          < 0
                   || filter_register(module, state) < 0
               ? -1
               : 0;
}

static int
compute_module_traverse(PyObject *module, visitproc visit, void *arg)
{
    compute_state *state = compute_get_state(module);
    COMPUTE_STATE(FE_STATE_VISIT)
    return 0;
}

static int
compute_module_clear(PyObject *module)
{
    compute_state *state = compute_get_state(module);
    COMPUTE_STATE(FE_STATE_CLEAR)
    return 0;
}

static void
compute_module_free(void *module)
{
    compute_module_clear(module);
}

PyDoc_STRVAR(compute_module__doc__,
             "Kernels over lists and buffers (native part of "
             "ferrule.compute).");

static PyModuleDef_Slot compute_module_slots[] = FE_MODULE_SLOTS(compute_exec);

static struct PyModuleDef compute_module = {
    PyModuleDef_HEAD_INIT,           .m_name = "_compute",
    .m_doc = compute_module__doc__,  .m_size = sizeof(compute_state),
    .m_slots = compute_module_slots, .m_traverse = compute_module_traverse,
    .m_clear = compute_module_clear, .m_free = compute_module_free,
};

PyMODINIT_FUNC PyInit__compute(void);

PyMODINIT_FUNC
PyInit__compute(void)
{
    return PyModuleDef_Init(&compute_module);
}
