/* SPDX-License-Identifier: MIT
 *
 * ferrule._records: assembles the room. No logic here.
 */
#include "record_array.h"
#include "record_table.h"

static struct PyModuleDef records_module;

records_state *
records_get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

records_state *
records_state_of_type(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}

static const struct {
    size_t offset;
    const char *text;
} names[] = {
#define NAME(field, text) {offsetof(records_state, field), text}
    NAME(str_annotations, "__annotations__"),
    NAME(str_binder, "__record_binder__"),
    NAME(str_cached_property, "cached_property"),
    NAME(str_class_meta, "__metadata__"),
    NAME(str_dataclass_fields, "__dataclass_fields__"),
    NAME(str_deepcopy, "deepcopy"),
    NAME(str_default, "default"),
    NAME(str_default_factory, "default_factory"),
    NAME(str_delattr, "__delattr__"),
    NAME(str_dict, "__dict__"),
    NAME(str_doc, "__doc__"),
    NAME(str_eq, "__eq__"),
    NAME(str_field_check, FE_FIELD_CHECK_ATTRIBUTE),
    NAME(str_func, "func"),
    NAME(str_getstate, "__getstate__"),
    NAME(str_hash, "__hash__"),
    NAME(str_init, "__init__"),
    NAME(str_match_args, "__match_args__"),
    NAME(str_metadata, "metadata"),
    NAME(str_module, "__module__"),
    NAME(str_new, "__new__"),
    NAME(str_origin, "__origin__"),
    NAME(str_post_init, "__post_init__"),
    NAME(str_qualname, "__qualname__"),
    NAME(str_reduce, "__reduce__"),
    NAME(str_restore, "_restore"),
    NAME(str_setattr, "__setattr__"),
    NAME(str_setstate, "__setstate__"),
    NAME(str_slots, "__slots__"),
#undef NAME
};

static int
add_names(records_state *state)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(names); i++) {
        PyObject *name = PyUnicode_InternFromString(names[i].text);
        if (name == NULL) {
            return -1;
        }
        memcpy((char *)state + names[i].offset, &name, sizeof(name));
    }
    state->empty_tuple = PyTuple_New(0);
    PyObject *marks = Py_BuildValue("(s)", "sensitive_data");
    state->sensitive_marks = marks != NULL ? PyFrozenSet_New(marks) : NULL;
    Py_XDECREF(marks);
    return state->empty_tuple != NULL && state->sensitive_marks != NULL ? 0
                                                                        : -1;
}

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
}

static int
add_types(PyObject *module, records_state *state)
{
    return (state->plan_type = add_type(module, &records_plan_spec))
                   && (state->binder_type =
                           add_type(module, &records_binder_spec))
                   && (state->field_type =
                           add_type(module, &records_field_spec))
                   && (state->storage_type =
                           add_type(module, &records_storage_spec))
                   && (state->size_type = add_type(module, &records_size_spec))
                   && (state->unboxed_type =
                           add_type(module, &records_unboxed_spec))
                   && (state->cached_type =
                           add_type(module, &records_cached_spec))
                   && (state->init_type = add_type(module, &records_init_spec))
                   && (state->lazy_type = add_type(module, &records_lazy_spec))
                   && (state->array_type = add_type(module, &array_spec))
                   && (state->row_type = add_type(module, &row_spec))
                   && (state->cells_type = add_type(module, &cells_spec))
                   && (state->table_type = add_type(module, &table_spec))
                   && (state->dictionary_type =
                           add_type(module, &table_dictionary_spec))
                   && (state->column_type = add_type(module, &column_spec))
                   && (state->coded_type = add_type(module, &coded_spec))
                   && (state->meta_type = add_type(module, &records_meta_spec))
                   && (state->base_type = add_type(module, &records_base_spec))
               ? 0
               : -1;
}

/* The functions that pickles name. */
static int
add_restore(PyObject *module, records_state *state)
{
    state->restore_array = PyObject_GetAttrString(module, "_restore_array");
    state->restore_table = PyObject_GetAttrString(module, "_restore_table");
    return state->restore_array != NULL && state->restore_table != NULL ? 0
                                                                        : -1;
}

static int
records_exec(PyObject *module)
{
    records_state *state = records_get_state(module);
    if (add_names(state) < 0 || add_types(module, state) < 0
        || records_describe_setup(state) < 0
        || records_base_setup(module, state) < 0
        || PyModule_AddFunctions(module, records_field_methods) < 0
        || PyModule_AddFunctions(module, records_convert_methods) < 0
        || PyModule_AddFunctions(module, records_describe_methods) < 0
        || PyModule_AddFunctions(module, array_functions) < 0
        || PyModule_AddFunctions(module, table_functions) < 0
        || add_restore(module, state) < 0
        || records_capi_register(module, state) < 0
        || PyModule_AddType(module, state->field_type) < 0
        || PyModule_AddType(module, state->storage_type) < 0
        || PyModule_AddType(module, state->size_type) < 0
        || PyModule_AddType(module, state->meta_type) < 0
        || PyModule_AddType(module, state->checked_meta_type) < 0
        || PyModule_AddType(module, state->record_type) < 0
        || PyModule_AddType(module, state->array_type) < 0
        || PyModule_AddType(module, state->row_type) < 0
        || PyModule_AddType(module, state->table_type) < 0
        || PyModule_AddType(module, state->column_type) < 0
        || PyModule_AddType(module, state->coded_type) < 0) {
        return -1;
    }
    return 0;
}

static int
records_module_traverse(PyObject *module, visitproc visit, void *arg)
{
    records_state *state = records_get_state(module);
    RECORDS_STATE(FE_STATE_VISIT)
    return 0;
}

static int
records_module_clear(PyObject *module)
{
    records_state *state = records_get_state(module);
    RECORDS_STATE(FE_STATE_CLEAR)
    return 0;
}

static void
records_module_free(void *module)
{
    records_module_clear(module);
    PyMem_Free(records_get_state(module)->pending);
}

PyDoc_STRVAR(records_module__doc__,
             "Compact typed records (native part of ferrule.records).");

static PyModuleDef_Slot records_module_slots[] = FE_MODULE_SLOTS(records_exec);

static struct PyModuleDef records_module = {
    PyModuleDef_HEAD_INIT,           .m_name = "_records",
    .m_doc = records_module__doc__,  .m_size = sizeof(records_state),
    .m_slots = records_module_slots, .m_traverse = records_module_traverse,
    .m_clear = records_module_clear, .m_free = records_module_free,
};

PyMODINIT_FUNC PyInit__records(void);

PyMODINIT_FUNC
PyInit__records(void)
{
    return PyModuleDef_Init(&records_module);
}
