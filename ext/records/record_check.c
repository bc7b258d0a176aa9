/* SPDX-License-Identifier: MIT
 *
 * Checked fields: what a class body assigns may check the values of its field
 * (common/field_check.h). Here is how such an object is found and bound, and
 * how instances are written then: by a tp_setattro that only classes with
 * checked fields have, so that reads stay those of plain member descriptors.
 *
 * A check may run Python code that changes class and instance: what is used
 * after it has been read before it.
 */
#include "records_state.h"

/* ------------------------------------------------------------- finding */

/* 1: the object checks a field, *how is set; 0: it does not; -1: error */
int
records_find_check(records_state *state, PyObject *obj,
                   const fe_field_check **how)
{
    PyObject *capsule;
    int found = PyObject_GetOptionalAttr((PyObject *)Py_TYPE(obj),
                                         state->str_field_check, &capsule);
    if (found <= 0) {
        return found;
    }
    *how = NULL;
    if (PyCapsule_IsValid(capsule, FE_FIELD_CHECK_NAME)) {
        *how = PyCapsule_GetPointer(capsule, FE_FIELD_CHECK_NAME);
    }
    Py_DECREF(capsule); /* the type keeps it, and the object its type */
    if (*how != NULL && (*how)->version != FE_FIELD_CHECK_VERSION) {
        PyErr_Format(PyExc_TypeError,
                     "%s checks fields of version %d, records know version %d",
                     Py_TYPE(obj)->tp_name, (*how)->version,
                     FE_FIELD_CHECK_VERSION);
        return -1;
    }
    return *how != NULL;
}

static int
take_checks(records_state *state, record_plan *plan, const record_plan *from)
{
    Py_ssize_t at = 0;
    PyObject *name, *value, *ours;
    while (PyDict_Next(from->by_name, &at, &name, &value)) {
        const field_object *field = (field_object *)value;
        if (field->check == NULL
            || (ours = PyDict_GetItemWithError(plan->by_name, name)) == NULL) {
            continue;
        }
        field_object *copy =
            records_field_copy(state, (const field_object *)ours);
        if (copy == NULL) {
            return -1;
        }
        Py_XSETREF(copy->check, Py_NewRef(field->check));
        copy->how = field->how;
        plan->checked = true;
        int status = PyDict_SetItem(plan->by_name, name, (PyObject *)copy);
        Py_DECREF(copy);
        if (status < 0) {
            return -1;
        }
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* Bases whose fields are a prefix of the storage base's, and that come before
 * it, decide by their place what checks these fields. 0 or -1
 */
int
records_checks_join(records_state *state, record_plan *plan, PyObject *bases,
                    const record_class *base)
{
    for (Py_ssize_t i = PyTuple_GET_SIZE(bases); i-- > 0;) {
        PyObject *other = PyTuple_GET_ITEM(bases, i);
        bool before = false;
        for (Py_ssize_t k = i + 1; k < PyTuple_GET_SIZE(bases); k++) {
            before = before || PyTuple_GET_ITEM(bases, k) == (PyObject *)base;
        }
        if (before && records_is_class(state, other)
            && RECORD_CLASS(other)->plan->checked
            && take_checks(state, plan, RECORD_CLASS(other)->plan) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Did the class's own body declare the field's check? 1, 0, -1 */
static int
declared_here(const record_class *base, PyObject *name, PyObject *field)
{
    if (base == NULL || base->plan->by_name == NULL) {
        return 1;
    }
    PyObject *theirs;
    int found = PyDict_GetItemRef(base->plan->by_name, name, &theirs);
    Py_XDECREF(theirs);
    return found < 0 ? -1 : theirs != field;
}

/* Put the checks of by_name beside the placed fields, and tell the new ones
 * their class and name. 0 or -1
 */
int
records_checks_bind(record_class *cls, const record_class *base)
{
    record_plan *plan = cls->plan;
    if (!plan->checked) {
        return 0;
    }
    plan->checks =
        PyMem_Calloc((size_t)plan->field_count + 1, sizeof(record_check));
    if (plan->checks == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t at = 0, index = 0;
    PyObject *name, *value;
    while (PyDict_Next(plan->by_name, &at, &name, &value)) {
        const field_object *field = (field_object *)value;
        if (field->role != ROLE_FIELD) {
            continue;
        }
        if (field->check != NULL) {
            plan->checks[index] =
                (record_check){field->how, Py_NewRef(field->check)};
        }
        index++;
    }
    /* binding runs Python code: by fields[], which stays */
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        record_check *check = &plan->checks[i];
        if (check->how == NULL
            || PyDict_GetItemRef(plan->by_name, plan->fields[i].name, &value)
                   <= 0) {
            continue;
        }
        int own = declared_here(base, plan->fields[i].name, value);
        Py_DECREF(value);
        if (own < 0
            || (own
                && check->how->bind(check->check, &cls->heap.ht_type,
                                    plan->fields[i].name)
                       < 0)) {
            return -1;
        }
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* Let go of what users put in. */
void
records_checks_clear(record_plan *plan)
{
    for (Py_ssize_t i = 0; plan->checks != NULL && i < plan->field_count;
         i++) {
        Py_CLEAR(plan->checks[i].check);
    }
    PyMem_Free(plan->slots);
    plan->slots = NULL;
}

/* ------------------------------------------------------------- checking */

int
records_check_value(const record_plan *plan, Py_ssize_t index, PyObject *value)
{
    const record_check *check = &plan->checks[index];
    int sensitive = plan->fields[index].flags & FE_FIELD_SENSITIVE;
    return check->check != NULL
               ? check->how->check(check->check, value, sensitive)
               : 0;
}

/* A table's cell: a null is what the column says it may be */
int
records_check_cell(const record_plan *plan, Py_ssize_t index, PyObject *value)
{
    return value == Py_None ? 0 : records_check(plan, index, value);
}

/* A field that was never set reads as None, and is copied and pickled so. */
int
records_check_restored(const record_plan *plan, Py_ssize_t index,
                       PyObject *value)
{
    return value == Py_None && plan->fields[index].kind == FE_OBJECT
               ? 0
               : records_check_value(plan, index, value);
}

/* values[]: of the constructor's parameters, NULL: not given */
int
records_check_bound(const record_plan *plan, PyObject *const *values)
{
    for (Py_ssize_t i = 0; i < plan->param_count; i++) {
        int32_t field = plan->params[i].field;
        if (field >= 0 && values[i] != NULL
            && records_check_value(plan, field, values[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The checked object fields of an instance whose fields are all unset. */
void
records_fill_unset(const record_plan *plan, PyObject *self)
{
    for (Py_ssize_t i = 0; plan->checks != NULL && i < plan->field_count;
         i++) {
        if (plan->checks[i].how != NULL && plan->fields[i].kind == FE_OBJECT) {
            FE_FIELD_OBJECT(self, &plan->fields[i]) = Py_NewRef(Py_None);
        }
    }
}

/* -------------------------------------------------------------- writing */

static const record_slot *
find_slot(const record_plan *plan, PyObject *name)
{
    const record_slot *table = plan->slots;
    if (FE_UNLIKELY(table == NULL)) {
        return NULL;
    }
    uint32_t at = records_lookup_start(name, plan->slots_mask);
    while (table[at].name != NULL) {
        if (table[at].name == name) {
            return &table[at];
        }
        at = (at + 1) & plan->slots_mask;
    }
    return NULL;
}

/* Deleting a checked field unsets it: it reads as None again. */
static int
unset_field(PyObject *self, const record_slot *slot, PyObject *name)
{
    PyObject **at = (PyObject **)((char *)self + slot->field.offset);
    if (*at == NULL || *at == Py_None) {
        PyErr_Format(PyExc_AttributeError, "'%U' object has no attribute '%U'",
                     RECORD_PLAN(self)->qualname, name);
        return -1;
    }
    Py_SETREF(*at, Py_NewRef(Py_None));
    return 0;
}

/* Everything but a field's interned name and a value */
static FE_NOINLINE int
set_otherwise(PyObject *self, PyObject *name, PyObject *value)
{
    const record_slot *slot = find_slot(RECORD_PLAN(self), name);
    if (slot != NULL && value == NULL && slot->how != NULL
        && slot->field.kind == FE_OBJECT) {
        return unset_field(self, slot, name);
    }
    if (!PyUnicode_Check(name)
        || (PyUnicode_CheckExact(name) && PyUnicode_CHECK_INTERNED(name))) {
        return PyObject_GenericSetAttr(self, name, value);
    }
    /* setattr() interns; __setattr__ called by hand does not */
    PyObject *own = PyUnicode_FromObject(name);
    if (own == NULL) {
        return -1;
    }
    PyUnicode_InternInPlace(&own);
    int status = find_slot(RECORD_PLAN(self), own) != NULL
                     ? records_setattr_checked(self, own, value)
                     : PyObject_GenericSetAttr(self, own, value);
    Py_DECREF(own);
    return status;
}

int
records_setattr_checked(PyObject *self, PyObject *name, PyObject *value)
{
    const record_slot *slot = find_slot(RECORD_PLAN(self), name);
    if (FE_UNLIKELY(slot == NULL || value == NULL)) {
        return set_otherwise(self, name, value);
    }
    const record_field field = slot->field;
    if (slot->how != NULL && slot->check != NULL
        && slot->how->check(slot->check, value,
                            field.flags & FE_FIELD_SENSITIVE)
               < 0) {
        return -1;
    }
    if (FE_LIKELY(field.kind == FE_OBJECT)) {
        Py_XSETREF(FE_FIELD_OBJECT(self, &field), Py_NewRef(value));
        return 0;
    }
    return records_store(RECORD_PLAN(self)->qualname, &field,
                         FE_FIELD_AT(self, &field), value);
}

/* ----------------------------------------------- after a class's changes */

/* Does the class find the field by its own descriptor? 1, 0, -1 */
static int
shows_field(record_class *cls, const record_field *field)
{
    PyObject *found = PyType_Type.tp_getattro((PyObject *)cls, field->name);
    if (found == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear(); /* AttributeError: deleted from the class */
        return 0;
    }
    int ours = 0;
    if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        ours = ((PyMemberDescrObject *)found)->d_member->offset
               == (Py_ssize_t)field->offset;
    }
    else if (Py_IS_TYPE(found, cls->state->unboxed_type)) {
        ours = records_unboxed_is(found, field);
    }
    Py_DECREF(found);
    return ours;
}

/* Make the table by which instances are written: of the fields that the class
 * has not hidden behind another attribute.
 */
int
records_refresh_slots(record_class *cls)
{
    record_plan *plan = cls->plan;
    if (plan->checks == NULL) {
        return 0;
    }
    uint32_t size = 4;
    while (size < 2 * (size_t)plan->field_count) {
        size *= 2;
    }
    record_slot *table = PyMem_Calloc(size, sizeof(record_slot));
    if (table == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < plan->field_count; i++) {
        int shows = shows_field(cls, &plan->fields[i]);
        if (shows < 0) {
            PyMem_Free(table);
            return -1;
        }
        uint32_t at = records_lookup_start(plan->fields[i].name, size - 1);
        while (table[at].name != NULL) {
            at = (at + 1) & (size - 1);
        }
        if (shows) {
            table[at] =
                (record_slot){plan->fields[i].name, plan->fields[i],
                              plan->checks[i].how, plan->checks[i].check};
        }
    }
    PyMem_Free(plan->slots);
    plan->slots = table;
    plan->slots_mask = size - 1;
    return 0;
}

/* ---------------------------------------------------------- metaclass */

/* tp_getattro of the metaclass: what checks a field is what the class shows of
 * it. Only the metaclass of checked classes has it: each attribute of a class
 * costs 1 to 2.5 of 15 to 22 ns more by it.
 */
PyObject *
records_checked_getattro(PyObject *op, PyObject *name)
{
    const record_plan *plan = RECORD_CLASS(op)->plan;
    if (plan != NULL && plan->slots != NULL) {
        const record_slot *slot = find_slot(plan, name);
        if (slot != NULL && slot->check != NULL) {
            return Py_NewRef(slot->check);
        }
    }
    return PyType_Type.tp_getattro(op, name);
}

/* borrowed: the metaclass to make a checked class with. One that somebody
 * derived from RecordMeta itself is it, and gets the slot, unless it has a
 * __getattribute__ of its own.
 */
PyObject *
records_checked_meta(records_state *state, PyObject *given)
{
    if (given == (PyObject *)state->meta_type) {
        return (PyObject *)state->checked_meta_type;
    }
    PyTypeObject *meta = (PyTypeObject *)given;
    if (meta->tp_getattro == PyType_Type.tp_getattro) {
        meta->tp_getattro = records_checked_getattro;
        PyType_Modified(meta);
    }
    return given;
}

/* The class will be written by records_setattr_checked. 0; -1: its body or a
 * base has a __setattr__, which object's would have to serve, and that goes
 * round the checks.
 */
int
records_check_written(records_state *state, PyObject *where, PyObject *bases,
                      PyObject *namespace)
{
    int other = PyDict_Contains(namespace, state->str_setattr);
    if (other == 0) {
        other = PyDict_Contains(namespace, state->str_delattr);
    }
    for (Py_ssize_t i = 0; other == 0 && i < PyTuple_GET_SIZE(bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(bases, i);
        setattrofunc set = PyType_Check(base)
                               ? ((PyTypeObject *)base)->tp_setattro
                               : PyObject_GenericSetAttr;
        other =
            set != PyObject_GenericSetAttr && set != records_setattr_checked;
    }
    if (other > 0) {
        PyErr_Format(PyExc_TypeError,
                     "%U: checked fields do not go with a __setattr__ or "
                     "__delattr__ of the class or its bases; define it in a "
                     "subclass",
                     where);
    }
    return other != 0 ? -1 : 0;
}
