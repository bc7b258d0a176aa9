/* SPDX-License-Identifier: MIT
 *
 * ferrule._memory: assembles the room. No logic here.
 */
#include "memory_state.h"
#include "usage.h"

memory_state *
memory_get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

static int
memory_exec(PyObject *module)
{
    memory_state *state = memory_get_state(module);
    return freeze_register(module, state) < 0
                   || usage_register(module, state) < 0
               ? -1
               : 0;
}

static int
memory_module_traverse(PyObject *module, visitproc visit, void *arg)
{
    memory_state *state = memory_get_state(module);
    MEMORY_STATE(FE_STATE_VISIT)
    return 0;
}

static int
memory_module_clear(PyObject *module)
{
    memory_state *state = memory_get_state(module);
    MEMORY_STATE(FE_STATE_CLEAR)
    return 0;
}

static void
memory_module_free(void *module)
{
    memory_module_clear(module);
}

PyDoc_STRVAR(memory_module__doc__,
             "Memory that forked processes share (native part of "
             "ferrule.memory).");

static PyModuleDef_Slot memory_module_slots[] = FE_MODULE_SLOTS(memory_exec);

static struct PyModuleDef memory_module = {
    PyModuleDef_HEAD_INIT,          .m_name = "_memory",
    .m_doc = memory_module__doc__,  .m_size = sizeof(memory_state),
    .m_slots = memory_module_slots, .m_traverse = memory_module_traverse,
    .m_clear = memory_module_clear, .m_free = memory_module_free,
};

PyMODINIT_FUNC PyInit__memory(void);

PyMODINIT_FUNC
PyInit__memory(void)
{
    return PyModuleDef_Init(&memory_module);
}
