/* SPDX-License-Identifier: MIT
 *
 * crc32(), crc32c(), internet_checksum(): arguments, and the interpreter lock
 * where a buffer is long. The sums are checksum_core's.
 */
#include "wire_state.h"

/* Bytes from which on the interpreter lock is released: to give it back and
 * get it again costs 60 ns, to read as many bytes 1 us and more. */
#define UNLOCKED 65536

typedef uint32_t (*checksum_function)(uint32_t, const uint8_t *, size_t);

static const char *const names[] = {"data", "value", NULL};
static const fe_sig crc32_sig = {"crc32", names, 2, 1};
static const fe_sig crc32c_sig = {"crc32c", names, 2, 1};
static const fe_sig internet_sig = {"internet_checksum", names, 2, 1};

/* A result so far: an int, 0 to `most`. 0, or -1 with TypeError or
 * OverflowError. */
static int
checksum_value(PyObject *value, const char *function, uint32_t most,
               uint32_t *result)
{
    if (!PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s() value must be an int, not %s",
                     function, Py_TYPE(value)->tp_name);
        return -1;
    }
    PyObject *number = PyNumber_Index(value);
    if (number == NULL) {
        return -1;
    }
    int overflow;
    long long given = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow != 0 || given < 0 || given > (long long)most) {
        PyErr_Format(PyExc_OverflowError,
                     "%s() value must be 0 to %lu, got %S", function,
                     (unsigned long)most, number);
        Py_DECREF(number);
        return -1;
    }
    Py_DECREF(number);
    *result = (uint32_t)given;
    return 0;
}

/* Arguments, sum, result: `flip` is what its value and result are xored
 * with, and `most` the largest. */
static inline PyObject *
checksum_call(checksum_function sum, const fe_sig *sig, uint32_t most,
              uint32_t flip, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    PyObject *given[2] = {nargs == 1 ? args[0] : NULL, NULL};
    if ((kwnames != NULL || nargs != 1)
        && fe_args_unpack(sig, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    wire_input input;
    if (wire_input_take(given[0], sig->function, &input) < 0) {
        return NULL;
    }
    uint32_t value = flip;
    if (given[1] != NULL
        && checksum_value(given[1], sig->function, most, &value) < 0) {
        wire_input_drop(&input);
        return NULL;
    }
    if (input.length < UNLOCKED) {
        value = sum(value ^ flip, input.data, (size_t)input.length);
    }
    else {
        Py_BEGIN_ALLOW_THREADS value =
            sum(value ^ flip, input.data, (size_t)input.length);
        Py_END_ALLOW_THREADS
    }
    wire_input_drop(&input);
    return PyLong_FromUnsignedLong(value ^ flip);
}

PyDoc_STRVAR(
    crc32__doc__,
    "crc32($module, /, data, value=0)\n--\n\n"
    "The CRC-32 of a contiguous buffer, as zlib.crc32 gives it.\n\n"
    "value is the result for the bytes before it. Large buffers are\n"
    "read without the interpreter lock. Raises TypeError or\n"
    "BufferError for what is no contiguous buffer, OverflowError for\n"
    "a value that is no result. Source: ISO 3309, RFC 1952.");

static PyObject *
crc32(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
      PyObject *kwnames)
{
    return checksum_call(wire_get_state(module)->checksums->crc32, &crc32_sig,
                         UINT32_MAX, 0, args, nargs, kwnames);
}

PyDoc_STRVAR(
    crc32c__doc__,
    "crc32c($module, /, data, value=0)\n--\n\n"
    "The CRC-32 of a contiguous buffer with Castagnoli's "
    "polynomial.\n\n"
    "value is the result for the bytes before it. Large buffers are\n"
    "read without the interpreter lock. Raises TypeError or\n"
    "BufferError for what is no contiguous buffer, OverflowError for\n"
    "a value that is no result. Source: RFC 3720.");

static PyObject *
crc32c(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
       PyObject *kwnames)
{
    return checksum_call(wire_get_state(module)->checksums->crc32c,
                         &crc32c_sig, UINT32_MAX, 0, args, nargs, kwnames);
}

PyDoc_STRVAR(
    internet_checksum__doc__,
    "internet_checksum($module, /, data, value=65535)\n--\n\n"
    "The checksum of IP, TCP and UDP: the ones' complement of the ones'\n"
    "complement sum of big-endian 16-bit words.\n\n"
    "An odd last byte is the high half of a word. value is the result for\n"
    "the bytes before data, 65535 for none; only after an even number of\n"
    "bytes may a sum be continued. Data that contains its right checksum\n"
    "gives 0. Raises TypeError or BufferError for what is no contiguous\n"
    "buffer, OverflowError for a value that is no result. Source: RFC 1071.");

static PyObject *
internet_checksum(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *kwnames)
{
    return checksum_call(wire_get_state(module)->checksums->internet,
                         &internet_sig, UINT16_MAX, UINT16_MAX, args, nargs,
                         kwnames);
}

static PyMethodDef checksum_functions_table[] = {
    {"crc32", FE_METHOD(crc32), METH_FASTCALL | METH_KEYWORDS, crc32__doc__},
    {"crc32c", FE_METHOD(crc32c), METH_FASTCALL | METH_KEYWORDS,
     crc32c__doc__},
    {"internet_checksum", FE_METHOD(internet_checksum),
     METH_FASTCALL | METH_KEYWORDS, internet_checksum__doc__},
    {NULL, NULL, 0, NULL},
};

int
checksum_register(PyObject *module, wire_state *state)
{
    state->checksums = checksum_choose((int)state->cpu);
    return PyModule_AddFunctions(module, checksum_functions_table);
}
