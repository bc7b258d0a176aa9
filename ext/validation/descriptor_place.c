/* SPDX-License-Identifier: MIT
 *
 * Where the instances of a class keep a descriptor's value.
 *
 * The article reads and writes an attribute of the private name, whatever the
 * class makes of it. Where the class makes a __slots__ member of it and has
 * neither __getattr__ nor __setattr__ of its own, that is a word of the
 * instance, and is read and written in place: for the very type that was
 * looked at, and as long as neither it nor a base of it changes.
 */
#include "validation_state.h"

/* 1: *found is new: what the type's MRO holds under the name; 0: nothing; -1
 */
static int
descriptor_lookup(PyTypeObject *type, PyObject *name, PyObject **found)
{
    PyObject *mro = Py_XNewRef(type->tp_mro);
    int status = 0;
    *found = NULL;
    for (Py_ssize_t i = 0;
         mro != NULL && status == 0 && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        PyObject *dict = Py_XNewRef(fe_type_dict_borrow(base));
        if (dict != NULL) {
            status = PyDict_GetItemRef(dict, name, found);
            Py_DECREF(dict);
        }
    }
    Py_XDECREF(mro);
    return status;
}

/* Does a record keep the value? Its class then shows the descriptor, but has
 * something else to find it by. 1, 0, -1
 */
static int
descriptor_is_shown(descriptor_object *self, PyTypeObject *type)
{
    PyObject *found;
    int status = descriptor_lookup(type, self->name, &found);
    bool other = status > 0 && found != (PyObject *)self;
    Py_XDECREF(found);
    if (status < 0 || !other) {
        return status < 0 ? -1 : 0;
    }
    status = PyObject_GetOptionalAttr((PyObject *)type, self->name, &found);
    other = found == (PyObject *)self;
    Py_XDECREF(found);
    return status < 0 ? -1 : other;
}

/* 1: *offset is where a __slots__ member of the private name lies; 0; -1 */
static int
descriptor_find_slot(descriptor_object *self, PyTypeObject *type,
                     Py_ssize_t *offset)
{
    PyObject *found;
    int status = descriptor_lookup(type, self->private_name, &found);
    if (status <= 0) {
        return status;
    }
    status = 0;
    if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        const PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == Py_T_OBJECT_EX
            && (member->flags & Py_READONLY) == 0
            && PyType_IsSubtype(type, PyDescr_TYPE(found))) {
            *offset = member->offset;
            status = 1;
        }
    }
    Py_DECREF(found);
    return status;
}

/* The way, or PLACE_NONE with an exception. */
static descriptor_way
descriptor_find_way(descriptor_object *self, PyTypeObject *type,
                    Py_ssize_t *offset)
{
    int shown = descriptor_is_shown(self, type);
    if (shown != 0) {
        return shown < 0 ? PLACE_NONE : PLACE_RECORD;
    }
    if (type->tp_getattro != PyObject_GenericGetAttr
        || type->tp_setattro != PyObject_GenericSetAttr) {
        return PLACE_ATTRIBUTE;
    }
    int slot = descriptor_find_slot(self, type, offset);
    return slot < 0 ? PLACE_NONE : (slot > 0 ? PLACE_SLOT : PLACE_PLAIN);
}

int
descriptor_place_of(descriptor_object *self, PyTypeObject *type,
                    descriptor_place *place)
{
    *place = (descriptor_place){type, fe_type_version(type), PLACE_NONE, 0};
    place->way = descriptor_find_way(self, type, &place->offset);
    if (place->way == PLACE_NONE) {
        return -1;
    }
    if (place->version != 0 && fe_type_version(type) == place->version) {
        self->places[(uintptr_t)type / 64 % DESCRIPTOR_PLACES] = *place;
    }
    return 0;
}
