/* SPDX-License-Identifier: MIT
 *
 * Email: the constraint, and its check. ASCII is judged in email_core.c; other
 * addresses need tables of Unicode and of IDNA, and are left to Python code.
 */
#include "constraint_types.h"
#include "email_core.h"

/* new: None, or the reason, of the judge of international addresses */
static PyObject *
email_ask(validation_state *state, PyObject *str)
{
    if (state->email_international == NULL) {
        /* not in pure.validation: that imports datetime, which CPython 3.13.0
         * does not survive in interpreters with locks of their own */
        PyObject *module =
            PyImport_ImportModule("ferrule.pure._email_address");
        if (module == NULL) {
            return NULL;
        }
        PyObject *function = fe_getattr(module, "reason");
        Py_DECREF(module);
        if (function == NULL) {
            return NULL;
        }
        Py_XSETREF(state->email_international, function);
    }
    PyObject *function = Py_NewRef(state->email_international);
    PyObject *exact = PyUnicode_FromObject(str);
    PyObject *reason =
        exact != NULL ? PyObject_CallOneArg(function, exact) : NULL;
    Py_XDECREF(exact);
    Py_DECREF(function);
    return reason;
}

/* What email_core.c says; *asks: more is to be asked. -1: error */
static int
email_judge(PyObject *str, bool *asks)
{
    if (PyUnicode_READY(str) < 0) {
        return -1;
    }
    *asks = !PyUnicode_IS_ASCII(str);
    if (*asks) {
        return EMAIL_GOOD;
    }
    return (int)email_scan(PyUnicode_1BYTE_DATA(str),
                           (size_t)PyUnicode_GET_LENGTH(str), asks);
}

int
email_check(validation_state *state, PyObject *str)
{
    bool asks;
    int verdict = email_judge(str, &asks);
    if (FE_LIKELY(verdict != EMAIL_GOOD || !asks)) {
        return verdict < 0 ? -1 : verdict == EMAIL_GOOD;
    }
    PyObject *reason = email_ask(state, str);
    int good = reason == NULL ? -1 : reason == Py_None;
    Py_XDECREF(reason);
    return good;
}

PyObject *
email_reason(validation_state *state, PyObject *str)
{
    bool asks;
    int verdict = email_judge(str, &asks);
    if (verdict < 0) {
        return NULL;
    }
    if (verdict != EMAIL_GOOD || !asks) {
        return PyUnicode_FromString(email_reasons[verdict]);
    }
    PyObject *reason = email_ask(state, str);
    if (reason == Py_None) {
        Py_SETREF(reason, PyUnicode_FromString(""));
    }
    return reason;
}

PyDoc_STRVAR(email_check__doc__, "_email_check($module, address, /)\n--\n\n"
                                 "Is the str an address of electronic mail?");

static PyObject *
email_check_py(PyObject *module, PyObject *str)
{
    if (!PyUnicode_Check(str)) {
        PyErr_Format(PyExc_TypeError,
                     "_email_check() wants a str, not '%.200s'",
                     Py_TYPE(str)->tp_name);
        return NULL;
    }
    int good = email_check(validation_get_state(module), str);
    return good < 0 ? NULL : Py_NewRef(good ? Py_True : Py_False);
}

static PyMethodDef email_functions[] = {
    {"_email_check", email_check_py, METH_O, email_check__doc__},
    {0},
};

static PyMethodDef email_methods[] = {
    {"__reduce__", constraint___reduce__, METH_NOARGS,
     constraint___reduce____doc__},
    {"__copy__", constraint___copy__, METH_NOARGS, constraint___copy____doc__},
    {"__deepcopy__", constraint___copy__, METH_O,
     constraint___deepcopy____doc__},
    {0},
};

PyDoc_STRVAR(Email__doc__,
             "The str is an address of electronic mail, by RFC 5321, 5322\n"
             "and 6531 and the rules for host names; no network is asked.");

static PyType_Slot email_slots[] = {
    {Py_tp_repr, FE_SLOT(constraint_tp_repr)},
    {Py_tp_str, FE_SLOT(constraint_tp_str)},
    {Py_tp_hash, FE_SLOT(constraint_tp_hash)},
    {Py_tp_richcompare, FE_SLOT(constraint_tp_richcompare)},
    {Py_tp_traverse, FE_SLOT(constraint_tp_traverse)},
    {Py_tp_dealloc, FE_SLOT(constraint_tp_dealloc)},
    {Py_tp_call, FE_SLOT(constant_tp_call)},
    {Py_tp_methods, email_methods},
    {Py_tp_doc, FE_TEXT(Email__doc__)},
    {0, NULL},
};

static PyType_Spec email_spec = {
    .name = "ferrule.validation.Email",
    .basicsize = sizeof(constraint_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = email_slots,
};

int
email_register(PyObject *module, validation_state *state)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &email_spec, (PyObject *)state->constraint_type);
    if (type == NULL) {
        return -1;
    }
    state->email = type->tp_alloc(type, 0);
    Py_DECREF(type);
    if (state->email == NULL) {
        return -1;
    }
    CONSTRAINT(state->email)->kind = CONSTRAINT_EMAIL;
    return PyModule_AddObjectRef(module, "Email", state->email) < 0
               ? -1
               : PyModule_AddFunctions(module, email_functions);
}
