/* SPDX-License-Identifier: MIT
 *
 * The capsule of record_capi.h: what other rooms may do with record classes.
 */
#include "record_capi.h"

#include "record_bulk.h"
#include "records_state.h"

/* What the capsule points to; lives in the module's state. */
static records_state *
state_of(const fe_records_capi *self)
{
    return ((const record_capi *)self)->state;
}

static bool
capi_is_class(const fe_records_capi *self, PyObject *obj)
{
    return records_is_class(state_of(self), obj);
}

static int
capi_describe(const fe_records_capi *self, PyTypeObject *cls, Py_ssize_t index,
              fe_record_entry *entry)
{
    const record_plan *plan = RECORD_CLASS(cls)->plan;
    (void)self;
    if (index >= plan->field_count) {
        return 0;
    }
    const record_field *field = &plan->fields[index];
    PyObject *described =
        plan->by_name != NULL
            ? PyDict_GetItemWithError(plan->by_name, field->name)
            : NULL;
    if (described == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_TypeError, "class %U is being destroyed",
                         plan->qualname);
        }
        return -1;
    }
    entry->field = field;
    entry->index = index;
    entry->meaning = ((field_object *)described)->meaning;
    entry->checked = plan->checks != NULL && plan->checks[index].how != NULL;
    return 1;
}

static PyObject *
capi_qualname(PyTypeObject *cls)
{
    return RECORD_CLASS(cls)->plan->qualname;
}

static int
capi_endian(PyTypeObject *cls)
{
    return RECORD_CLASS(cls)->plan->options.endian;
}

static int
capi_storage(const fe_records_capi *self, PyObject *marker, uint32_t *kind,
             uint32_t *size)
{
    const records_state *state = state_of(self);
    const storage_object *storage = (const storage_object *)marker;
    if (Py_IS_TYPE(marker, state->size_type)) {
        *size = storage->size;
        return 2;
    }
    if (!Py_IS_TYPE(marker, state->storage_type)) {
        return 0;
    }
    *kind = storage->kind;
    *size = records_kind_size((fe_kind)storage->kind);
    return 1;
}

static PyObject **
capi_annex(PyTypeObject *cls)
{
    return &RECORD_CLASS(cls)->plan->annex;
}

static int
capi_store(PyTypeObject *cls, const record_field *field, char *at,
           PyObject *value)
{
    return records_store(RECORD_CLASS(cls)->plan->qualname, field, at, value);
}

static int
capi_check(PyTypeObject *cls, Py_ssize_t index, PyObject *value)
{
    return records_check(RECORD_CLASS(cls)->plan, index, value);
}

static PyObject *
capi_begin(PyTypeObject *type)
{
    record_class *cls = RECORD_CLASS(type);
    return FE_LIKELY(cls->plan->bare) ? records_alloc(cls)
                                      : records_alloc_zeroed(cls);
}

/* Steals the instance: what a class adds to plain fields. */
static FE_NOINLINE PyObject *
finish_checked(record_class *cls, PyObject *self)
{
    const record_plan *plan = cls->plan;
    Py_INCREF(plan);
    for (Py_ssize_t i = 0; plan->checks != NULL && i < plan->field_count;
         i++) {
        PyObject *value = records_load(self, &plan->fields[i]);
        int status = value != NULL ? records_check(plan, i, value) : -1;
        Py_XDECREF(value);
        if (status < 0) {
            records_discard(self);
            Py_DECREF(plan);
            return NULL;
        }
    }
    records_track(cls, self);
    if (plan->post_init && records_post_init(cls, self) < 0) {
        Py_CLEAR(self);
    }
    Py_DECREF(plan);
    return self;
}

static PyObject *
capi_finish(PyObject *self)
{
    record_class *cls = RECORD_CLASS(Py_TYPE(self));
    const record_plan *plan = cls->plan;
    if (FE_UNLIKELY(plan->checks != NULL || plan->post_init)) {
        return finish_checked(cls, self);
    }
    records_track(cls, self);
    return self;
}

static bool
capi_is_plain(PyTypeObject *cls)
{
    const record_plan *plan = RECORD_CLASS(cls)->plan;
    return plan->bare && plan->checks == NULL && !plan->post_init;
}

int
records_capi_register(PyObject *module, records_state *state)
{
    state->capi = (record_capi){
        .table =
            {
                .version = FE_RECORDS_CAPI_VERSION,
                .is_class = capi_is_class,
                .describe = capi_describe,
                .qualname = capi_qualname,
                .endian = capi_endian,
                .storage = capi_storage,
                .annex = capi_annex,
                .store = capi_store,
                .check = capi_check,
                .begin = capi_begin,
                .finish = capi_finish,
                .abort = records_discard,
                .is_plain = capi_is_plain,
            },
        .state = state,
    };
    records_bulk_fill(&state->capi.table);
    PyObject *capsule =
        PyCapsule_New(&state->capi, FE_RECORDS_CAPI_NAME, NULL);
    int status =
        capsule != NULL
            ? PyModule_AddObjectRef(module, FE_RECORDS_CAPI_ATTRIBUTE, capsule)
            : -1;
    Py_XDECREF(capsule);
    return status;
}
