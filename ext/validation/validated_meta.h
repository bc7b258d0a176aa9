/* SPDX-License-Identifier: MIT */
#ifndef VALIDATED_META_H
#define VALIDATED_META_H

#define VALIDATED_META_STATE(X)                                               \
    X(PyTypeObject *, validated_meta)                                         \
    X(PyObject *, validated_meta_doc) /* "__doc__" */

int validated_meta_register(PyObject *module, validation_state *state);

#endif
