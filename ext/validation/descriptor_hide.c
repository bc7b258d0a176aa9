/* SPDX-License-Identifier: MIT
 *
 * May errors show what an attribute was given? Not if the class annotates it
 * as sensitive. Asked when a value is refused, and no sooner: the annotation
 * may name what is defined after the class. Record classes know it of their
 * fields and are not asked.
 */
#include "mask_plan.h"

/* What somebody's annotation raised, unless it must stop us: 0 then, else -1
 */
static int
hide_forgive(void)
{
    if (PyErr_Occurred()
        && (!PyErr_ExceptionMatches(PyExc_Exception)
            || PyErr_ExceptionMatches(PyExc_MemoryError))) {
        return -1;
    }
    PyErr_Clear(); /* any Exception: the annotation's text must do */
    return 0;
}

/* Does the text look sensitive? 1, 0, -1 */
static int
hide_text(PyObject *text)
{
    static const char *const words[] = {"Sensitive", "sensitive_data"};
    Py_ssize_t at = -1;
    for (size_t i = 0; at == -1 && i < Py_ARRAY_LENGTH(words); i++) {
        PyObject *word = PyUnicode_FromString(words[i]);
        at = word != NULL ? PyUnicode_Find(text, word, 0, PY_SSIZE_T_MAX, 1)
                          : -2;
        Py_XDECREF(word);
    }
    return at == -2 ? -1 : at >= 0;
}

/* new: eval(text) in the module and the class; NULL: it means nothing there,
 * mostly with an exception
 */
static PyObject *
hide_evaluate(PyTypeObject *owner, PyObject *text)
{
    PyObject *name, *value = NULL;
    if (fe_find_attr((PyObject *)owner, "__module__", &name) <= 0) {
        return NULL;
    }
    PyObject *module = PyImport_GetModule(name);
    const char *source = module != NULL && PyModule_Check(module)
                             ? PyUnicode_AsUTF8(text)
                             : NULL;
    PyObject *locals =
        source != NULL ? PyDict_Copy(fe_type_dict_borrow(owner)) : NULL;
    if (locals != NULL) {
        value = PyRun_String(source, Py_eval_input, PyModule_GetDict(module),
                             locals);
    }
    Py_XDECREF(locals);
    Py_XDECREF(module);
    Py_DECREF(name);
    return value;
}

/* Does an annotation that is no text say so, at whatever depth? 1, 0, -1 */
static int
hide_value(validation_state *state, PyObject *annotation)
{
    mask_shape *shape;
    if (mask_shape_of(state, annotation, &shape) == 0) {
        bool hidden = shape != NULL;
        mask_shape_free(shape);
        return hidden;
    }
    if (hide_forgive() < 0) {
        return -1;
    }
    PyObject *text = PyObject_Repr(annotation);
    int hidden = text != NULL ? hide_text(text) : -1;
    Py_XDECREF(text);
    /* what does not even show is hidden */
    return hidden < 0 && hide_forgive() == 0 ? 1 : hidden;
}

/* 1, 0, -1; *sure: it will be the same next time */
static int
hide_annotation(validation_state *state, PyTypeObject *owner,
                PyObject *annotation, bool *sure)
{
    if (PyType_Check(annotation)) {
        return 0;
    }
    if (!PyUnicode_Check(annotation)) {
        return hide_value(state, annotation);
    }
    int hidden = hide_text(annotation);
    if (hidden != 0) {
        return hidden;
    }
    PyObject *value = hide_evaluate(owner, annotation);
    if (value == NULL) {
        *sure = false;
        return hide_forgive();
    }
    hidden = PyType_Check(value) ? 0 : hide_value(state, value);
    Py_DECREF(value);
    return hidden;
}

/* new: what the class itself annotates the name with. 1, 0 (NULL), -1 */
static int
hide_find(validation_state *state, PyTypeObject *type, PyObject *name,
          PyObject **annotation)
{
    PyObject *dict = Py_XNewRef(fe_type_dict_borrow(type)), *all = NULL;
    *annotation = NULL;
    int found =
        dict != NULL
            ? PyDict_GetItemRef(dict, state->descriptor_annotations, &all)
            : 0;
    if (found > 0) {
        found =
            PyDict_Check(all) ? PyDict_GetItemRef(all, name, annotation) : 0;
    }
    Py_XDECREF(all);
    Py_XDECREF(dict);
    return found;
}

/* The first class of the MRO that annotates the name decides. */
static int
hide_look(validation_state *state, PyTypeObject *type, PyObject *name,
          bool *sure)
{
    PyObject *mro = Py_XNewRef(type->tp_mro);
    int found = 0, hidden = 0;
    for (Py_ssize_t i = 0;
         mro != NULL && found == 0 && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        PyObject *annotation;
        found = hide_find(state, base, name, &annotation);
        if (found > 0) {
            hidden = hide_annotation(state, base, annotation, sure);
            Py_DECREF(annotation);
        }
    }
    Py_XDECREF(mro);
    return found < 0 ? -1 : hidden;
}

int
descriptor_is_hidden(descriptor_object *self, PyTypeObject *type)
{
    if (self->hint.type == type
        && fe_type_is_version(type, self->hint.version)) {
        return self->hint.hidden;
    }
    PyObject *module = validation_module_borrow(Py_TYPE(self));
    if (module == NULL) {
        return -1;
    }
    PyObject *name = Py_NewRef(self->name);
    unsigned int version = fe_type_version(type);
    bool sure = true;
    int hidden = hide_look(validation_get_state(module), type, name, &sure);
    if (hidden >= 0 && sure && version != 0 && self->name == name
        && fe_type_version(type) == version) {
        self->hint = (descriptor_hint){type, version, hidden};
    }
    Py_DECREF(name);
    return hidden;
}
