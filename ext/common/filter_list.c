/* SPDX-License-Identifier: MIT
 *
 * Lists and tuples are read a run at a time: as many floats and ints of less
 * than 60 bits as follow one another, for which no Python code runs. Floats
 * are compared 64 at a time by the kernels for boxed doubles. No branch is
 * taken on an outcome, which nobody can predict: what passes is packed.
 */
#include "filter_list.h"

#include <float.h>

/* Objects of a run: 16 KiB of floats, which stay in the first cache until
 * their references are counted. */
#define RUN 512
#define RUN_WORDS (RUN / FE_FILTER_WORD)
/* Room that is asked for at once; what stays unused is given back. */
#define EXPECTED (1 << 20)

/* ---- thresholds */

/* An int beyond 64 bits, and what lies around it among the doubles. */
static int
bound_large(PyObject *number, bool negative, fe_bound *bound)
{
    double nearest = PyLong_AsDouble(number);
    if (nearest == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* OverflowError: beyond the largest double */
        *bound = fe_bound_of_large(negative, negative ? -Py_HUGE_VAL : DBL_MAX,
                                   false);
        return 1;
    }
    PyObject *found = PyLong_FromDouble(nearest);
    if (found == NULL) {
        return -1;
    }
    int above = PyObject_RichCompareBool(found, number, Py_GT);
    int equal = PyObject_RichCompareBool(found, number, Py_EQ);
    Py_DECREF(found);
    if (above < 0 || equal < 0) {
        return -1;
    }
    *bound = fe_bound_of_large(
        negative, above ? fe_double_below(nearest) : nearest, equal);
    return 1;
}

int
fe_filter_bound(PyObject *threshold, fe_bound *bound)
{
    if (PyFloat_CheckExact(threshold)) {
        *bound = fe_bound_of_double(PyFloat_AS_DOUBLE(threshold));
        return 1;
    }
    if (!PyLong_CheckExact(threshold) && !PyBool_Check(threshold)) {
        return 0;
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(threshold, &overflow);
    if (number == -1 && overflow == 0 && PyErr_Occurred()) {
        return -1;
    }
    if (overflow == 0) {
        *bound = fe_bound_of_signed(number);
        return 1;
    }
    if (overflow > 0) {
        unsigned long long large = PyLong_AsUnsignedLongLong(threshold);
        if (large != (unsigned long long)-1 || !PyErr_Occurred()) {
            *bound = fe_bound_of_unsigned(large);
            return 1;
        }
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* OverflowError: it has more bits */
    }
    return bound_large(threshold, overflow < 0, bound);
}

/* ---- what is found */

/* Owned references, first in the struct and then on the heap: the list is made
 * when its length is known. */
typedef struct {
    PyObject **items;
    size_t count, room;
    size_t expected; /* at most so many, as far as one knows */
    PyObject *small[RUN];
} found_list;

static int
found_grow(found_list *found, size_t least)
{
    size_t room = found->room * 2;
    if (room < found->expected) {
        room = found->expected < EXPECTED ? found->expected : EXPECTED;
    }
    if (room < least) {
        room = least;
    }
    if (room > PY_SSIZE_T_MAX / sizeof(PyObject *)) {
        PyErr_NoMemory();
        return -1;
    }
    bool small = found->items == found->small;
    PyObject **items =
        PyMem_Realloc(small ? NULL : found->items, room * sizeof(PyObject *));
    if (items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (small) {
        memcpy(items, found->small, found->count * sizeof(PyObject *));
    }
    found->items = items;
    found->room = room;
    return 0;
}

static void
found_free(found_list *found)
{
    if (found->items != found->small) {
        PyMem_Free(found->items);
    }
}

static void
found_drop(found_list *found)
{
    for (size_t i = 0; i < found->count; i++) {
        Py_DECREF(found->items[i]);
    }
    found_free(found);
}

/* new: the list, which takes the references; NULL: they are gone too */
static PyObject *
found_finish(found_list *found)
{
    Py_ssize_t count = (Py_ssize_t)found->count;
    PyObject *list;
    if (found->items != found->small && count > 0) {
        PyObject **items =
            PyMem_Realloc(found->items, found->count * sizeof(PyObject *));
        if (items != NULL) { /* else it keeps more than it needs */
            found->items = items;
        }
        list = fe_list_adopt(found->items, count);
    }
    else {
        list = PyList_New(count);
        for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
            PyList_SET_ITEM(list, i, found->items[i]);
        }
        if (list != NULL) {
            found_free(found);
        }
    }
    if (list == NULL) {
        found_drop(found);
    }
    return list;
}

/* ---- the filter */

typedef struct {
    const fe_filter_kernels *kernels;
    PyObject *threshold; /* borrowed */
    int compare;         /* Py_GT … */
    fe_filter_want want;
    bool fast;                  /* the threshold is a plain number */
    fe_filter_test real, whole; /* if so */
    Py_ssize_t at;              /* of the next object */
    found_list found;
} list_filter;

static bool
passes_real(const fe_filter_test *test, double x)
{
    double than = test->than.f64;
    bool is = false;
    switch (test->op) {
    case FE_FILTER_GT:
        is = x > than;
        break;
    case FE_FILTER_GE:
        is = x >= than;
        break;
    case FE_FILTER_LT:
        is = x < than;
        break;
    case FE_FILTER_LE:
        is = x <= than;
        break;
    default:
        is = x == than;
    }
    return is != test->invert;
}

static bool
passes_whole(const fe_filter_test *test, int64_t x)
{
    bool is =
        test->op == FE_FILTER_EQ ? x == test->than.i64 : x > test->than.i64;
    return is != test->invert;
}

/* How many objects from `items` on are plain numbers, up to 64, and a bit for
 * each of them that passes */
static size_t
scan_mixed(const list_filter *filter, PyObject *const *items, size_t count,
           uint64_t *bits)
{
    uint64_t word = 0;
    size_t i = 0;
    int64_t whole;
    for (; i < count && i < FE_FILTER_WORD; i++) {
        PyObject *x = items[i];
        bool passes;
        if (PyFloat_CheckExact(x)) {
            passes = passes_real(&filter->real, PyFloat_AS_DOUBLE(x));
        }
        else if (PyLong_CheckExact(x) && fe_long_in_place(x, &whole)) {
            passes = passes_whole(&filter->whole, whole);
        }
        else {
            break;
        }
        word |= (uint64_t)passes << i;
    }
    *bits = word;
    return i;
}

/* The same, up to RUN objects in whole words if they are floats. */
static size_t
scan(const list_filter *filter, PyObject *const *items, size_t count,
     uint64_t *bits)
{
    const bool boxed = offsetof(PyObject, ob_type) == FE_BOXED_TYPE
                       && offsetof(PyFloatObject, ob_fval) == FE_BOXED_VALUE;
    size_t words = (count < RUN ? count : RUN) / FE_FILTER_WORD;
    if (boxed && words > 0 && PyFloat_CheckExact(items[0])) {
        const fe_filter_test *test = &filter->real;
        filter->kernels->boxed[test->op](
            (const char *const *)(const void *)items, words, &PyFloat_Type,
            test->than.f64, bits, &words);
        for (size_t w = 0; test->invert && w < words; w++) {
            bits[w] = ~bits[w];
        }
        if (words > 0) {
            return words * FE_FILTER_WORD;
        }
    }
    return scan_mixed(filter, items, count, bits);
}

/* new references: the objects that pass, of whole words or of less than one;
 * how many */
static size_t
add_values(const list_filter *filter, PyObject *const *items, size_t count,
           const uint64_t *bits, PyObject **to)
{
    size_t passed = 0;
    if (count % FE_FILTER_WORD == 0) {
        filter->kernels->pack[3](to, items, count / FE_FILTER_WORD, bits,
                                 &passed);
    }
    else {
        for (uint64_t word = bits[0]; word != 0; word &= word - 1) {
            to[passed++] = items[__builtin_ctzll(word)];
        }
    }
    for (size_t i = 0; i < passed; i++) {
        Py_INCREF(to[i]);
    }
    return passed;
}

/* how many, or -1 with MemoryError and those made before in found */
static int
add_indices(list_filter *filter, size_t count, const uint64_t *bits)
{
    found_list *found = &filter->found;
    for (size_t w = 0; w * FE_FILTER_WORD < count; w++) {
        for (uint64_t word = bits[w]; word != 0; word &= word - 1) {
            size_t place = w * FE_FILTER_WORD + (size_t)__builtin_ctzll(word);
            PyObject *index =
                PyLong_FromSsize_t(filter->at + (Py_ssize_t)place);
            if (index == NULL) {
                return -1;
            }
            found->items[found->count++] = index;
        }
    }
    return 0;
}

/* Note the outcome of a run. Runs no Python code: `items` stay. */
static int
add_run(list_filter *filter, PyObject *const *items, size_t count,
        const uint64_t *bits)
{
    found_list *found = &filter->found;
    /* the kernel that packs writes whole words */
    if (found->count + count > found->room
        && found_grow(found, found->count + count) < 0) {
        return -1;
    }
    PyObject **to = found->items + found->count;
    if (filter->want == FE_FILTER_VALUES) {
        found->count += add_values(filter, items, count, bits, to);
    }
    else if (filter->want == FE_FILTER_MASK) {
        PyObject *const verdicts[] = {Py_False, Py_True};
        for (size_t i = 0; i < count; i++) {
            uint64_t bit = bits[i / FE_FILTER_WORD] >> i % FE_FILTER_WORD & 1;
            to[i] = Py_NewRef(verdicts[bit]);
        }
        found->count += count;
    }
    else if (add_indices(filter, count, bits) < 0) {
        return -1;
    }
    filter->at += (Py_ssize_t)count;
    return 0;
}

/* Note the outcome for one object, held by the caller. */
static int
add_one(list_filter *filter, PyObject *x)
{
    PyObject *verdict =
        PyObject_RichCompare(x, filter->threshold, filter->compare);
    if (verdict == NULL) {
        return -1;
    }
    int passes = PyObject_IsTrue(verdict);
    Py_DECREF(verdict);
    if (passes < 0) {
        return -1;
    }
    found_list *found = &filter->found;
    Py_ssize_t at = filter->at++;
    if (!passes && filter->want != FE_FILTER_MASK) {
        return 0;
    }
    if (found->count == found->room
        && found_grow(found, found->count + 1) < 0) {
        return -1;
    }
    PyObject *item = filter->want == FE_FILTER_VALUES ? Py_NewRef(x)
                     : filter->want == FE_FILTER_MASK ? PyBool_FromLong(passes)
                                                      : PyLong_FromSsize_t(at);
    if (item == NULL) {
        return -1;
    }
    found->items[found->count++] = item;
    return 0;
}

/* A list or a tuple. Its size and its items are read again after a comparison
 * that may run Python code. */
static int
filter_items(list_filter *filter, PyObject *values)
{
    bool is_list = PyList_Check(values);
    uint64_t bits[RUN_WORDS];
    for (;;) {
        Py_ssize_t size = Py_SIZE(values);
        if (filter->at >= size) {
            return 0;
        }
        PyObject **items = is_list ? ((PyListObject *)values)->ob_item
                                   : ((PyTupleObject *)values)->ob_item;
        items += filter->at;
        size_t left = (size_t)(size - filter->at);
        size_t decided = filter->fast ? scan(filter, items, left, bits) : 0;
        if (decided > 0) {
            if (add_run(filter, items, decided, bits) < 0) {
                return -1;
            }
            continue;
        }
        PyObject *x = Py_NewRef(items[0]);
        int status = add_one(filter, x);
        Py_DECREF(x);
        if (status < 0) {
            return -1;
        }
    }
}

static int
filter_iterator(list_filter *filter, PyObject *values)
{
    PyObject *iterator = PyObject_GetIter(values);
    if (iterator == NULL) {
        return -1;
    }
    int status = 0;
    PyObject *x;
    while (status == 0 && (x = PyIter_Next(iterator)) != NULL) {
        uint64_t bits;
        if (filter->fast && scan_mixed(filter, &x, 1, &bits) == 1) {
            status = add_run(filter, &x, 1, &bits);
        }
        else {
            status = add_one(filter, x);
        }
        Py_DECREF(x);
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

static int
compare_of(fe_filter_op op)
{
    static const uint8_t compare[FE_FILTER_OPS] = {
        [FE_FILTER_GT] = Py_GT, [FE_FILTER_GE] = Py_GE, [FE_FILTER_LT] = Py_LT,
        [FE_FILTER_LE] = Py_LE, [FE_FILTER_EQ] = Py_EQ, [FE_FILTER_NE] = Py_NE,
    };
    return compare[op];
}

PyObject *
fe_filter_list(const fe_filter_kernels *kernels, PyObject *values,
               PyObject *threshold, fe_filter_op op, fe_filter_want want)
{
    list_filter filter;
    fe_bound bound;
    filter.kernels = kernels;
    filter.threshold = threshold;
    filter.compare = compare_of(op);
    filter.want = want;
    filter.at = 0;
    filter.found.items = filter.found.small;
    filter.found.count = 0;
    filter.found.room = RUN;
    filter.found.expected = 16 * RUN;
    int plain = fe_filter_bound(threshold, &bound);
    if (plain < 0) {
        return NULL;
    }
    filter.fast = plain;
    if (plain) {
        filter.real = fe_filter_test_for(FE_KIND_F64, op, &bound);
        filter.whole = fe_filter_test_for(FE_KIND_I64, op, &bound);
    }
    getiterfunc iter = Py_TYPE(values)->tp_iter;
    bool direct = (PyList_Check(values) && iter == PyList_Type.tp_iter)
                  || (PyTuple_Check(values) && iter == PyTuple_Type.tp_iter);
    if (direct) {
        filter.found.expected = (size_t)Py_SIZE(values) + FE_FILTER_WORD;
    }
    int status = direct ? filter_items(&filter, values)
                        : filter_iterator(&filter, values);
    if (status < 0) {
        fe_error error = fe_error_put_aside();
        found_drop(&filter.found);
        fe_error_put_back(error);
        return NULL;
    }
    return found_finish(&filter.found);
}
