/* SPDX-License-Identifier: MIT
 *
 * above(): lists and other iterables by common/filter_list, buffers by
 * common/filter_core.
 */
#include "compute_state.h"

#include "args.h"
#include "filter_list.h"

/* Bytes of a buffer from which on the interpreter lock is released: to give it
 * back and get it again costs 60 ns, to read as many bytes 2 us. */
#define UNLOCKED 65536

/* ---- arguments */

static const char *const ops[] = {"gt", "ge", "lt", "le", "eq", "ne", NULL};
static const char *const wants[] = {"values", "mask", "indices", NULL};

/* The place of a word in a list, or -1 with an exception. NULL: the first */
static int
choose(const char *parameter, const char *const *words, const char *wanted,
       PyObject *given)
{
    if (given == NULL) {
        return 0;
    }
    if (!PyUnicode_Check(given)) {
        PyErr_Format(PyExc_TypeError, "above(): %s must be a str, got %.200s",
                     parameter, Py_TYPE(given)->tp_name);
        return -1;
    }
    for (int i = 0; words[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(given, words[i]) == 0) {
            return i;
        }
    }
    PyErr_Format(PyExc_ValueError, "above(): %s must be %s, got %R", parameter,
                 wanted, given);
    return -1;
}

/* ---- thresholds of buffers */

static int
threshold_refuse(PyObject *threshold)
{
    PyErr_Format(PyExc_TypeError,
                 "above(): the threshold of a buffer must be an int or a "
                 "float, got %.200s",
                 Py_TYPE(threshold)->tp_name);
    return -1;
}

/* A number that is neither exactly a float nor an int, such as NumPy's: as an
 * int, or as a float of the same value. new, or NULL with an exception
 */
static PyObject *
plain_number(PyObject *threshold)
{
    if (PyIndex_Check(threshold)) {
        return PyNumber_Index(threshold);
    }
    PyNumberMethods *methods = Py_TYPE(threshold)->tp_as_number;
    if (methods == NULL || methods->nb_float == NULL) {
        threshold_refuse(threshold);
        return NULL;
    }
    double value = PyFloat_AsDouble(threshold);
    if (value == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *number = PyFloat_FromDouble(value);
    if (number == NULL || value != value) {
        return number;
    }
    PyObject *same = PyObject_RichCompare(number, threshold, Py_EQ);
    int equal = same == NULL ? -1 : PyObject_IsTrue(same);
    Py_XDECREF(same);
    if (equal > 0) {
        return number;
    }
    if (equal == 0) {
        PyErr_Format(PyExc_ValueError,
                     "above(): the threshold of a buffer must be an int or "
                     "have the value of a float, got %R",
                     threshold);
    }
    Py_DECREF(number);
    return NULL;
}

static int
threshold_bound(PyObject *threshold, fe_bound *bound)
{
    int plain = fe_filter_bound(threshold, bound);
    if (plain != 0) {
        return plain < 0 ? -1 : 0;
    }
    PyObject *number = plain_number(threshold);
    if (number == NULL) {
        return -1;
    }
    plain = fe_filter_bound(number, bound);
    Py_DECREF(number);
    return plain < 0 ? -1 : 0;
}

/* ---- buffers */

/* A letter of the struct module in its native size */
static int
kind_of(char letter, Py_ssize_t size)
{
    static const char letters[] = "bBhHiIlLqQnN";
    static const fe_number_kind whole[2][4] = {
        {FE_KIND_I8, FE_KIND_I16, FE_KIND_I32, FE_KIND_I64},
        {FE_KIND_U8, FE_KIND_U16, FE_KIND_U32, FE_KIND_U64},
    };
    const char *at = letter == '\0' ? NULL : strchr(letters, letter);
    if (at != NULL) {
        int log = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
        return size == 1 << log ? (int)whole[(at - letters) % 2][log] : -1;
    }
    return letter == 'd' && size == 8   ? (int)FE_KIND_F64
           : letter == 'f' && size == 4 ? (int)FE_KIND_F32
           : letter == 'e' && size == 2 ? (int)FE_KIND_F16
           : letter == '?' && size == 1 ? (int)FE_KIND_BOOL
                                        : -1;
}

/* The letter for `size` bytes, in place of one whose standard size differs. */
static char
native_letter(fe_number_kind kind, char letter)
{
    switch (kind) {
    case FE_KIND_I64:
        return letter == 'l' && sizeof(long) != 8 ? 'q' : letter;
    case FE_KIND_U64:
        return letter == 'L' && sizeof(long) != 8 ? 'Q' : letter;
    case FE_KIND_I32:
        return letter == 'l' && sizeof(long) != 4 ? 'i' : letter;
    case FE_KIND_U32:
        return letter == 'L' && sizeof(long) != 4 ? 'I' : letter;
    default:
        return letter;
    }
}

/* What the view holds, and in `format` what its numbers are called when they
 * are alone. 0, or -1 with a TypeError.
 */
static int
describe(const Py_buffer *view, fe_filter_input *input, char *format)
{
    if (view->ndim != 1) {
        PyErr_Format(PyExc_TypeError,
                     "above(): values must have one dimension, got %d",
                     view->ndim);
        return -1;
    }
    const char *given = view->format == NULL ? "B" : view->format;
    char order = strchr("@=<>!", given[0]) != NULL ? given[0] : '@';
    const char *letter = given + (given[0] == order);
    int kind = letter[0] != '\0' && letter[1] == '\0'
                   ? kind_of(letter[0], view->itemsize)
                   : -1;
    if (kind < 0) {
        PyErr_Format(PyExc_TypeError,
                     "above(): values must be ints or floats, got a buffer of "
                     "format '%.100s'",
                     given);
        return -1;
    }
    char foreign = PY_BIG_ENDIAN ? '<' : '>';
    *input = (fe_filter_input){
        .data = view->buf,
        .stride = view->strides == NULL ? view->itemsize : view->strides[0],
        .count = (size_t)(view->shape == NULL ? view->len / view->itemsize
                                              : view->shape[0]),
        .kind = (fe_number_kind)kind,
        .swapped = view->itemsize > 1
                   && (order == foreign || (order == '!' && !PY_BIG_ENDIAN)),
    };
    memset(format, 0, 4);
    if (input->swapped) {
        format[0] = order;
        format[1] = letter[0];
    }
    else {
        format[0] = native_letter(input->kind, letter[0]);
    }
    return 0;
}

/* new: what was found in the view, in memory of its own */
static filter_memory *
filter_view(compute_state *state, const Py_buffer *view, PyObject *threshold,
            fe_filter_op op, fe_filter_want want)
{
    fe_filter_input input;
    fe_bound bound;
    char format[4];
    if (describe(view, &input, format) < 0
        || threshold_bound(threshold, &bound) < 0) {
        return NULL;
    }
    fe_filter_test test = fe_filter_test_for(input.kind, op, &bound);
    Py_ssize_t size = view->itemsize;
    if (want != FE_FILTER_VALUES) {
        size = want == FE_FILTER_MASK ? 1 : 8;
        memcpy(format, want == FE_FILTER_MASK ? "?\0\0" : "q\0\0", 4);
    }
    filter_memory *memory =
        filter_memory_new(state, (Py_ssize_t)input.count, size, format);
    if (memory == NULL) {
        return NULL;
    }
    size_t found;
    if (input.count * (size_t)view->itemsize < UNLOCKED) {
        found =
            fe_filter_run(&state->filter, &input, &test, want, memory->data);
    }
    else {
        Py_BEGIN_ALLOW_THREADS found =
            fe_filter_run(&state->filter, &input, &test, want, memory->data);
        Py_END_ALLOW_THREADS
    }
    filter_memory_shrink(memory, (Py_ssize_t)found);
    return memory;
}

/* ---- results of the kind of the argument */

/* Is `values` an instance of module.name? Only if the module was imported.
 * 1: *type is new; 0; -1 with an exception
 */
static int
made_by(PyObject *values, PyObject *module_name, PyObject *name,
        PyObject **type)
{
    *type = NULL;
    PyObject *module = PyImport_GetModule(module_name);
    if (module == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int found = PyObject_GetOptionalAttr(module, name, type);
    Py_DECREF(module);
    if (found <= 0) {
        return found;
    }
    if (PyType_Check(*type)
        && PyObject_TypeCheck(values, (PyTypeObject *)*type)) {
        return 1;
    }
    Py_CLEAR(*type);
    return 0;
}

/* new: numpy.ndarray over the memory, of the dtype of `values` or of its own
 */
static PyObject *
as_ndarray(compute_state *state, PyObject *type, PyObject *values,
           filter_memory *memory, fe_filter_want want)
{
    PyObject *dtype =
        want == FE_FILTER_VALUES
            ? PyObject_GetAttr(values, state->str_dtype)
            : PyUnicode_FromString(want == FE_FILTER_MASK ? "?" : "i8");
    PyObject *shape = PyLong_FromSsize_t(memory->count);
    PyObject *result = NULL;
    if (dtype != NULL && shape != NULL) {
        PyObject *args[] = {NULL, shape, dtype, (PyObject *)memory};
        result = PyObject_Vectorcall(type, args + 1,
                                     3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_XDECREF(dtype);
    Py_XDECREF(shape);
    return result;
}

/* new: array.array with a copy of the memory */
static PyObject *
as_array(compute_state *state, PyObject *type, PyObject *values,
         filter_memory *memory, fe_filter_want want)
{
    PyObject *typecode = want == FE_FILTER_VALUES
                             ? PyObject_GetAttr(values, state->str_typecode)
                             : PyUnicode_FromString("q");
    if (typecode == NULL) {
        return NULL;
    }
    PyObject *array = PyObject_CallOneArg(type, typecode);
    Py_DECREF(typecode);
    if (array == NULL) {
        return NULL;
    }
    memory->count *= memory->size; /* frombytes() wants bytes */
    memory->size = 1;
    PyObject *done = PyObject_CallMethodOneArg(array, state->str_frombytes,
                                               (PyObject *)memory);
    if (done == NULL) {
        Py_DECREF(array);
        return NULL;
    }
    Py_DECREF(done);
    return array;
}

static PyObject *
wrap(compute_state *state, PyObject *values, filter_memory *memory,
     fe_filter_want want)
{
    PyObject *type, *result;
    int found = 0;
    if (!PyMemoryView_Check(values) && !PyBytes_Check(values)
        && !PyByteArray_Check(values)) {
        found = made_by(values, state->str_array, state->str_array, &type);
        if (found > 0 && want != FE_FILTER_MASK) {
            result = as_array(state, type, values, memory, want);
            Py_DECREF(type);
            return result;
        }
        if (found > 0) {
            Py_DECREF(type); /* array.array has no bools */
        }
        else if (found == 0) {
            found =
                made_by(values, state->str_numpy, state->str_ndarray, &type);
            if (found > 0) {
                result = as_ndarray(state, type, values, memory, want);
                Py_DECREF(type);
                return result;
            }
        }
    }
    return found < 0 ? NULL : PyMemoryView_FromObject((PyObject *)memory);
}

static PyObject *
filter_buffer(compute_state *state, PyObject *values, PyObject *threshold,
              fe_filter_op op, fe_filter_want want)
{
    Py_buffer view;
    if (PyObject_GetBuffer(values, &view, PyBUF_RECORDS_RO) < 0) {
        return NULL;
    }
    filter_memory *memory = filter_view(state, &view, threshold, op, want);
    PyBuffer_Release(&view);
    if (memory == NULL) {
        return NULL;
    }
    PyObject *result = wrap(state, values, memory, want);
    Py_DECREF(memory);
    return result;
}

/* ---- above */

static const char *const above_names[] = {"values", "threshold", "op", "out",
                                          NULL};
static const fe_sig above_sig = {"above", above_names, 2, 2};

PyDoc_STRVAR(
    above__doc__,
    "above($module, /, values, threshold, *, op='gt', out='values')\n--\n\n"
    "The values above the threshold, in their order.\n\n"
    "op is gt, ge, lt, le, eq or ne. out is values, mask (a bool for each\n"
    "value) or indices. Of a list or another iterable this is\n"
    "[x for x in values if x > threshold], a list with the same objects; of\n"
    "a buffer of ints or floats with one dimension it is a buffer: a NumPy\n"
    "array of a NumPy array, an array.array of an array.array (but its "
    "mask),\n"
    "else a memoryview. Comparisons are exact: an int and a float are never\n"
    "rounded to meet. TypeError for a buffer of something else or with more\n"
    "dimensions, or a threshold of a buffer that is no number; otherwise "
    "what\n"
    "the comparison raises.\n\n"
    "Source: the article's ModelInference.__call__.");

static PyObject *
above(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
      PyObject *kwnames)
{
    PyObject *given[4];
    if (fe_args_unpack(&above_sig, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    int op =
        choose("op", ops, "'gt', 'ge', 'lt', 'le', 'eq' or 'ne'", given[2]);
    if (op < 0) {
        return NULL;
    }
    int want = choose("out", wants, "'values', 'mask' or 'indices'", given[3]);
    if (want < 0) {
        return NULL;
    }
    PyObject *values = given[0];
    if (!PyList_CheckExact(values) && PyObject_CheckBuffer(values)) {
        return filter_buffer(compute_get_state(module), values, given[1],
                             (fe_filter_op)op, (fe_filter_want)want);
    }
    if (Py_TYPE(values)->tp_iter == NULL && !PySequence_Check(values)) {
        return PyErr_Format(PyExc_TypeError,
                            "above(): values must be iterable, got %.200s",
                            Py_TYPE(values)->tp_name);
    }
    return fe_filter_list(&compute_get_state(module)->filter, values, given[1],
                          (fe_filter_op)op, (fe_filter_want)want);
}

static PyMethodDef filter_functions[] = {
    {"above", FE_METHOD(above), METH_FASTCALL | METH_KEYWORDS, above__doc__},
    {NULL, NULL, 0, NULL},
};

int
filter_register(PyObject *module, compute_state *state)
{
    const struct {
        PyObject **at;
        const char *text;
    } texts[] = {
        {&state->str_array, "array"},
        {&state->str_dtype, "dtype"},
        {&state->str_frombytes, "frombytes"},
        {&state->str_ndarray, "ndarray"},
        {&state->str_numpy, "numpy"},
        {&state->str_typecode, "typecode"},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(texts); i++) {
        *texts[i].at = PyUnicode_InternFromString(texts[i].text);
        if (*texts[i].at == NULL) {
            return -1;
        }
    }
    fe_filter_choose(&state->filter, state->cpu);
    return filter_memory_register(module, state) < 0
                   || PyModule_AddFunctions(module, filter_functions) < 0
               ? -1
               : 0;
}
