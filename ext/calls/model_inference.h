/* SPDX-License-Identifier: MIT
 *
 * An object that is called like a function, with a model behind it and a
 * count of its calls.
 */
#ifndef MODEL_INFERENCE_H
#define MODEL_INFERENCE_H

#include "compat.h"
#include "filter_core.h"

typedef struct calls_state calls_state;

#define MODEL_INFERENCE_STATE(X)                                              \
    X(PyTypeObject *, model_inference_type)                                   \
    X(PyObject *, str_load_model)                                             \
    X(PyObject *, str_model)                                                  \
    X(PyObject *, str_threshold)                                              \
    X(PyObject *, str_inference_count)

int model_inference_register(PyObject *module, calls_state *state);

#endif
