/* SPDX-License-Identifier: MIT
 *
 * The plan of a class: where in the object each field lies, and what the
 * constructor takes. Made once per class.
 */
#include "records_state.h"

record_plan *
records_plan_new(records_state *state)
{
    record_plan *plan =
        (record_plan *)state->plan_type->tp_alloc(state->plan_type, 0);
    if (plan == NULL) {
        return NULL;
    }
    plan->space.end = RECORDS_HEADER;
    plan->space.alignment = 1;
    plan->options.eq = plan->options.repr = true;
    plan->options.init = plan->options.match_args = true;
    plan->options.gc = -1;
    plan->eq_fields = plan->order_fields = -1;
    plan->hash_fields = plan->repr_fields = -1;
    plan->by_name = PyDict_New();
    if (plan->by_name == NULL) {
        Py_CLEAR(plan);
    }
    return plan;
}

/* A copy of `size` bytes, or of nothing; *failed on lack of memory. */
static void *
duplicate(const void *from, size_t count, size_t item, bool *failed)
{
    if (count == 0) {
        return NULL;
    }
    void *copy = PyMem_Malloc(count * item);
    if (copy == NULL) {
        PyErr_NoMemory();
        *failed = true;
        return NULL;
    }
    memcpy(copy, from, count * item);
    return copy;
}

/* new: starts where the base's plan ends: its fields, their places, its
 * options. Everything of the class itself is empty.
 */
record_plan *
records_plan_copy(records_state *state, const record_plan *base)
{
    record_plan *plan = records_plan_new(state);
    if (plan == NULL) {
        return NULL;
    }
    if (PyDict_Update(plan->by_name, base->by_name) < 0) {
        Py_DECREF(plan);
        return NULL;
    }
    bool failed = false;
    plan->options = base->options;
    plan->space = base->space;
    plan->space.holes = duplicate(base->space.holes, base->space.hole_count,
                                  sizeof(record_hole), &failed);
    plan->fields = duplicate(base->fields, (size_t)base->field_count,
                             sizeof(record_field), &failed);
    plan->objects = duplicate(base->objects, (size_t)base->object_count,
                              sizeof(uint32_t), &failed);
    if (failed) {
        Py_DECREF(plan);
        return NULL;
    }
    plan->field_count = base->field_count;
    plan->object_count = base->object_count;
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        Py_INCREF(plan->fields[i].name);
    }
    plan->eq_fields = base->eq_fields;
    plan->order_fields = base->order_fields;
    plan->hash_fields = base->hash_fields;
    plan->repr_fields = base->repr_fields;
    plan->has_initvars = base->has_initvars;
    plan->methods = base->methods;
    plan->checked = base->checked;
    return plan;
}

static void
drop_params(record_plan *plan)
{
    for (Py_ssize_t i = 0; i < plan->entry_count; i++) {
        Py_CLEAR(plan->params[i].default_value);
        Py_CLEAR(plan->params[i].factory);
    }
}

static int
plan_tp_traverse(record_plan *plan, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(plan));
    Py_VISIT(plan->by_name);
    Py_VISIT(plan->init);
    Py_VISIT(plan->restore);
    Py_VISIT(plan->field_tuple);
    Py_VISIT(plan->annex);
    for (Py_ssize_t i = 0; i < plan->entry_count; i++) {
        Py_VISIT(plan->params[i].default_value);
        Py_VISIT(plan->params[i].factory);
    }
    for (Py_ssize_t i = 0; plan->checks != NULL && i < plan->field_count;
         i++) {
        Py_VISIT(plan->checks[i].check);
    }
    return 0;
}

static int
plan_tp_clear(record_plan *plan)
{
    Py_CLEAR(plan->by_name);
    Py_CLEAR(plan->init);
    Py_CLEAR(plan->restore);
    Py_CLEAR(plan->field_tuple);
    Py_CLEAR(plan->annex);
    records_checks_clear(plan);
    drop_params(plan);
    return 0;
}

static void
plan_tp_dealloc(record_plan *plan)
{
    PyTypeObject *type = Py_TYPE(plan);
    PyObject_GC_UnTrack(plan);
    plan_tp_clear(plan);
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        Py_DECREF(plan->fields[i].name);
    }
    for (Py_ssize_t i = 0; i < plan->entry_count; i++) {
        Py_DECREF(plan->params[i].name);
    }
    Py_XDECREF(plan->qualname);
    Py_XDECREF(plan->cached);
    PyMem_Free(plan->checks);
    PyMem_Free(plan->fields);
    PyMem_Free(plan->params);
    PyMem_Free(plan->objects);
    PyMem_Free(plan->members);
    PyMem_Free(plan->lookup);
    PyMem_Free(plan->space.holes);
    PyMem_Free(plan->rows);
    PyMem_Free(plan->columns);
    PyObject_GC_Del(plan);
    Py_DECREF(type);
}

PyDoc_STRVAR(plan__doc__, "The compiled field table of a record class.");

static PyType_Slot plan_slots[] = {
    {Py_tp_doc, FE_SLOT(plan__doc__)},
    {Py_tp_traverse, FE_SLOT(plan_tp_traverse)},
    {Py_tp_clear, FE_SLOT(plan_tp_clear)},
    {Py_tp_dealloc, FE_SLOT(plan_tp_dealloc)},
    {0, NULL},
};

PyType_Spec records_plan_spec = {
    .name = "ferrule._records.Plan",
    .basicsize = sizeof(record_plan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = plan_slots,
};

/* NULL: no stored field has this name (a str); interned names go by address */
const record_field *
records_find_field(const record_plan *plan, PyObject *name)
{
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].name == name) {
            return &plan->fields[i];
        }
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        if (PyUnicode_Compare(plan->fields[i].name, name) == 0) {
            return &plan->fields[i];
        }
    }
    return NULL;
}

/* ------------------------------------------------------------- places */

static uint32_t
round_up(uint32_t at, uint32_t alignment)
{
    return (at + alignment - 1) / alignment * alignment;
}

static int
add_hole(record_space *space, uint32_t at_index, uint32_t start, uint32_t stop)
{
    if (start == stop) {
        return 0;
    }
    record_hole *holes = PyMem_Realloc(
        space->holes, (space->hole_count + 1) * sizeof(record_hole));
    if (holes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memmove(holes + at_index + 1, holes + at_index,
            (space->hole_count - at_index) * sizeof(record_hole));
    holes[at_index] = (record_hole){start, stop};
    space->holes = holes;
    space->hole_count++;
    return 0;
}

/* First fit: the lowest aligned place that is free. Deterministic in the
 * order of calls, so a prefix of the fields always has a prefix layout.
 */
int
records_space_reserve(record_space *space, uint32_t size, uint32_t alignment,
                      uint32_t *offset)
{
    for (uint32_t i = 0; i < space->hole_count; i++) {
        record_hole hole = space->holes[i];
        uint32_t at = round_up(hole.start, alignment);
        if (at + size > hole.stop) {
            continue;
        }
        space->holes[i] = (record_hole){hole.start, at};
        *offset = at;
        return add_hole(space, i + 1, at + size, hole.stop);
    }
    uint32_t at = round_up(space->end, alignment);
    if (add_hole(space, space->hole_count, space->end, at) < 0) {
        return -1;
    }
    *offset = at;
    space->end = at + size;
    if (alignment > space->alignment) {
        space->alignment = alignment;
    }
    return 0;
}

static int
add_object(record_plan *plan, uint32_t offset)
{
    uint32_t *objects = PyMem_Realloc(
        plan->objects, (size_t)(plan->object_count + 1) * sizeof(*objects));
    if (objects == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    plan->objects = objects;
    objects[plan->object_count++] = offset;
    return 0;
}

int
records_plan_add_object(record_plan *plan, uint32_t *offset)
{
    if (records_space_reserve(&plan->space, sizeof(PyObject *),
                              sizeof(PyObject *), offset)
        < 0) {
        return -1;
    }
    return add_object(plan, *offset);
}

static uint8_t
field_flags(const field_object *field)
{
    bool hashed = field->hash < 0 ? field->compare : field->hash;
    return (uint8_t)((field->repr ? FE_FIELD_REPR : 0)
                     | (field->compare ? FE_FIELD_COMPARE : 0)
                     | (hashed ? FE_FIELD_HASH : 0)
                     | (field->init ? FE_FIELD_INIT : 0)
                     | (field->sensitive ? FE_FIELD_SENSITIVE : 0));
}

static int
place_field(record_plan *plan, const field_object *field)
{
    record_field *entry = &plan->fields[plan->field_count];
    entry->kind = field->kind;
    entry->size = field->size;
    entry->flags = field_flags(field);
    uint32_t alignment = records_kind_alignment((fe_kind)field->kind);
    if (records_space_reserve(&plan->space, field->size, alignment,
                              &entry->offset)
            < 0
        || (field->kind == FE_OBJECT && add_object(plan, entry->offset) < 0)) {
        return -1;
    }
    entry->name = Py_NewRef(field->name);
    plan->field_count++;
    return 0;
}

/* Give every field of by_name its place, after the base's and after `tail`,
 * the bytes CPython itself may have added at the end.
 */
int
records_plan_place(record_plan *plan, uint32_t tail)
{
    if (tail > plan->space.end) {
        plan->space.end = tail;
    }
    size_t room = (size_t)PyDict_GET_SIZE(plan->by_name) + 1;
    record_field *fields =
        PyMem_Realloc(plan->fields, room * sizeof(record_field));
    if (fields == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    plan->fields = fields;
    Py_ssize_t at = 0, index = 0;
    PyObject *name, *value;
    plan->sensitive = false;
    while (PyDict_Next(plan->by_name, &at, &name, &value)) {
        field_object *field = (field_object *)value;
        if (field->role != ROLE_FIELD) {
            continue;
        }
        if (index < plan->field_count) { /* the base placed it */
            fields[index].flags = field_flags(field);
        }
        else if (place_field(plan, field) < 0) {
            return -1;
        }
        index++;
        plan->sensitive |= field->sensitive;
        if (plan->space.end > RECORDS_INSTANCE_MAX) {
            PyErr_Format(PyExc_TypeError, "%U: fields take more than %d bytes",
                         plan->qualname, RECORDS_INSTANCE_MAX);
            return -1;
        }
    }
    return 0;
}

/* ---------------------------------------------------------- parameters */

static void
add_param(record_plan *plan, const field_object *field, Py_ssize_t index)
{
    record_param *param = &plan->params[plan->entry_count++];
    param->name = Py_NewRef(field->name);
    param->default_value = Py_XNewRef(field->default_value);
    param->factory = Py_XNewRef(field->factory);
    param->field = field->role == ROLE_FIELD ? (int32_t)index : -1;
}

typedef enum { POSITIONAL, KEYWORD, SELF_SET } param_group;

static bool
belongs(const field_object *field, param_group group)
{
    bool settable = field->default_value != NULL || field->factory != NULL;
    if (field->role == ROLE_CLASSVAR) {
        return false;
    }
    if (!field->init) {
        return group == SELF_SET && settable && field->role == ROLE_FIELD;
    }
    return group == (field->kw_only > 0 ? KEYWORD : POSITIONAL);
}

static int
add_group(record_plan *plan, param_group group)
{
    PyObject *optional = NULL; /* borrowed: last name with a default */
    Py_ssize_t at = 0, index = 0;
    PyObject *name, *value;
    while (PyDict_Next(plan->by_name, &at, &name, &value)) {
        field_object *field = (field_object *)value;
        if (belongs(field, group)) {
            bool has_default =
                field->default_value != NULL || field->factory != NULL;
            if (has_default) {
                optional = name;
            }
            else if (optional != NULL && group == POSITIONAL) {
                PyErr_Format(PyExc_TypeError,
                             "non-default argument %R follows default "
                             "argument %R",
                             name, optional);
                return -1;
            }
            add_param(plan, field, index);
        }
        index += field->role == ROLE_FIELD;
    }
    return 0;
}

/* What the constructor takes, in signature order. */
int
records_plan_params(record_plan *plan)
{
    size_t room = (size_t)PyDict_GET_SIZE(plan->by_name) + 1;
    plan->params = PyMem_Calloc(room, sizeof(record_param));
    if (plan->params == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (add_group(plan, POSITIONAL) < 0) {
        return -1;
    }
    plan->positional_count = plan->entry_count;
    if (add_group(plan, KEYWORD) < 0) {
        return -1;
    }
    plan->param_count = plan->entry_count;
    return add_group(plan, SELF_SET);
}
