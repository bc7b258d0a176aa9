/* SPDX-License-Identifier: MIT
 *
 * ferrule._wire: assembles the room. No logic here.
 */
#include "wire_state.h"

static struct PyModuleDef wire_module;

wire_state *
wire_get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

wire_state *
wire_refuse_shut(void)
{
    PyErr_SetString(PyExc_RuntimeError, "ferrule.wire has been shut down");
    return NULL;
}

wire_state *
wire_state_or_null(PyObject *instance)
{
    /* PyType_GetModuleState, less its checks */
    PyObject *module = ((PyHeapTypeObject *)Py_TYPE(instance))->ht_module;
    return FE_LIKELY(module != NULL) ? PyModule_GetState(module) : NULL;
}

wire_state *
wire_state_of(PyObject *instance)
{
    wire_state *state = wire_state_or_null(instance);
    return FE_LIKELY(state != NULL) ? state : wire_refuse_shut();
}

/* The functions of the records room. 0, or -1 with ImportError. */
static int
find_records(wire_state *state)
{
    state->records_module = PyImport_ImportModule(FE_RECORDS_CAPI_MODULE);
    PyObject *capsule = state->records_module != NULL
                            ? PyObject_GetAttrString(state->records_module,
                                                     FE_RECORDS_CAPI_ATTRIBUTE)
                            : NULL;
    if (capsule != NULL) {
        state->records = PyCapsule_GetPointer(capsule, FE_RECORDS_CAPI_NAME);
        Py_DECREF(capsule);
    }
    if (state->records == NULL) {
        return -1;
    }
    if (state->records->version != FE_RECORDS_CAPI_VERSION) {
        PyErr_Format(PyExc_ImportError,
                     "ferrule._wire wants version %d of ferrule._records, "
                     "found %d",
                     FE_RECORDS_CAPI_VERSION, state->records->version);
        return -1;
    }
    return 0;
}

static int
wire_exec(PyObject *module)
{
    wire_state *state = wire_get_state(module);
    static int (*const features[])(PyObject *, wire_state *) = {
        checksum_register, view_register, packet_register,
        lazy_register,     bulk_register, pcap_register,
    };
    if (fe_cpu_choose(&state->cpu) < 0 || find_records(state) < 0) {
        return -1;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(features); i++) {
        if (features[i](module, state) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
wire_module_traverse(PyObject *module, visitproc visit, void *arg)
{
    wire_state *state = wire_get_state(module);
    WIRE_STATE(FE_STATE_VISIT)
    return 0;
}

static int
wire_module_clear(PyObject *module)
{
    wire_state *state = wire_get_state(module);
    /* first: what is dead goes before its type, and nothing is kept after */
    view_table_clear(state);
    lazy_clear(state);
    WIRE_STATE(FE_STATE_CLEAR)
    return 0;
}

static void
wire_module_free(void *module)
{
    wire_module_clear(module);
}

PyDoc_STRVAR(
    wire_module__doc__,
    "Views, packets and their columns (native part of ferrule.wire).");

static PyModuleDef_Slot wire_module_slots[] = FE_MODULE_SLOTS(wire_exec);

static struct PyModuleDef wire_module = {
    PyModuleDef_HEAD_INIT,        .m_name = "_wire",
    .m_doc = wire_module__doc__,  .m_size = sizeof(wire_state),
    .m_slots = wire_module_slots, .m_traverse = wire_module_traverse,
    .m_clear = wire_module_clear, .m_free = wire_module_free,
};

PyMODINIT_FUNC PyInit__wire(void);

PyMODINIT_FUNC
PyInit__wire(void)
{
    return PyModuleDef_Init(&wire_module);
}
