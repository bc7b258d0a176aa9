/* SPDX-License-Identifier: MIT
 *
 * RecordArray.sort_by: a stable radix sort. Every field value becomes a
 * number of 64 bits whose order is the value's (text: one for each eight
 * bytes, sorted from the last). As many of the number's bits as fit travel in
 * one word with the row they belong to; these words are sorted eleven bits at
 * a time, from the lowest. Then the rows are moved once.
 *
 * Against pairs of key and row: half the memory, and 1.6 times as fast for
 * 100,000 rows.
 */
#include "record_array.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES = 6 };

/* Few rows: below the first, clearing the counts would take longer than the
 * sort; below the second, giving the lock away would. */
enum { INSERTION_ROWS = 64, UNLOCK_ROWS = 4096 };

/* What a sort works with; all of `count` rows. */
typedef struct {
    const array_object *array;
    const record_field *field;
    bool reverse;
    size_t count;
    int row_bits;    /* of a word; the rest is key */
    uint64_t *keys;  /* by row */
    uint64_t *words; /* in the order so far: key bits above row */
    uint64_t *other;
    size_t (*places)[DIGITS];
    char *out; /* the sorted rows */
} sort_work;

static uint64_t
key_of_float(double value, bool reverse)
{
    static const uint64_t sign = (uint64_t)1 << 63;
    if (value != value) {
        return reverse ? 0 : UINT64_MAX; /* NaN: last either way */
    }
    value += 0.0; /* -0.0 equals 0.0 */
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits & sign ? ~bits : bits | sign;
}

/* Up to eight bytes of text, the first one highest. */
static uint64_t
key_of_text(const char *at, uint32_t size)
{
    uint64_t key = 0;
    for (uint32_t i = 0; i < 8; i++) {
        key = key << 8 | (i < size ? (uint8_t)at[i] : 0);
    }
    return key;
}

static uint64_t
key_of_int(int64_t value)
{
    return (uint64_t)value ^ (uint64_t)1 << 63;
}

/* part: which eight bytes of a text */
static uint64_t
key_of(const record_field *field, const char *at, uint32_t part, bool reverse)
{
    switch ((fe_kind)field->kind) {
    case FE_I8:
        return key_of_int(FE_READ(int8_t, at));
    case FE_I16:
        return key_of_int(FE_READ(int16_t, at));
    case FE_I32:
        return key_of_int(FE_READ(int32_t, at));
    case FE_I64:
        return key_of_int(FE_READ(int64_t, at));
    case FE_U8:
        return FE_READ(uint8_t, at);
    case FE_BOOL8:
        return *at != 0;
    case FE_U16:
        return FE_READ(uint16_t, at);
    case FE_U32:
        return FE_READ(uint32_t, at);
    case FE_U64:
        return FE_READ(uint64_t, at);
    case FE_F32:
        return key_of_float((double)FE_READ(float, at), reverse);
    case FE_F64:
        return key_of_float(FE_READ(double, at), reverse);
    default:
        return key_of_text(at + 8 * part, field->size - 8 * part);
    }
}

static int
bits_of(uint64_t value)
{
    return value != 0 ? 64 - __builtin_clzll(value) : 0;
}

static void
insertion_sort(sort_work *work)
{
    uint64_t *words = work->words;
    for (size_t i = 1; i < work->count; i++) {
        uint64_t word = words[i], key = word >> work->row_bits;
        size_t at = i;
        for (; at > 0 && words[at - 1] >> work->row_bits > key; at--) {
            words[at] = words[at - 1];
        }
        words[at] = word;
    }
}

/* One digit, if it is not the same in all words. */
static void
radix_pass(sort_work *work, size_t *place, int shift)
{
    if (place[work->words[0] >> shift & (DIGITS - 1)] == work->count) {
        return;
    }
    size_t sum = 0;
    for (int value = 0; value < DIGITS; value++) {
        size_t here = place[value];
        place[value] = sum;
        sum += here;
    }
    for (size_t i = 0; i < work->count; i++) {
        uint64_t word = work->words[i];
        work->other[place[word >> shift & (DIGITS - 1)]++] = word;
    }
    uint64_t *swap = work->words;
    work->words = work->other;
    work->other = swap;
}

/* Sort the words by `bits` bits above the row; equal ones stay in order. */
static void
radix_sort(sort_work *work, int bits)
{
    int passes = (bits + DIGIT_BITS - 1) / DIGIT_BITS;
    memset(work->places, 0, (size_t)passes * sizeof(*work->places));
    for (size_t i = 0; i < work->count; i++) {
        uint64_t key = work->words[i] >> work->row_bits;
        for (int pass = 0; pass < passes; pass++) {
            work->places[pass][key & (DIGITS - 1)]++;
            key >>= DIGIT_BITS;
        }
    }
    for (int pass = 0; pass < passes; pass++) {
        radix_pass(work, work->places[pass],
                   work->row_bits + pass * DIGIT_BITS);
    }
}

/* Sort by keys[], which differ by `range` at most from their least, `low`. */
static void
sort_by_keys(sort_work *work, uint64_t low, uint64_t range)
{
    int room = 64 - work->row_bits;
    uint64_t row_mask = ((uint64_t)1 << work->row_bits) - 1;
    uint64_t key_mask = room < 64 ? ((uint64_t)1 << room) - 1 : UINT64_MAX;
    for (int done = 0; done < bits_of(range); done += room) {
        for (size_t i = 0; i < work->count; i++) {
            uint64_t row = work->words[i] & row_mask;
            uint64_t key = (work->keys[row] - low) >> done & key_mask;
            work->words[i] = key << work->row_bits | row;
        }
        int bits = bits_of(range) - done;
        bits = bits < room ? bits : room;
        if (work->count <= INSERTION_ROWS) {
            insertion_sort(work);
        }
        else {
            radix_sort(work, bits);
        }
    }
}

/* Sorted rows into work->out. Runs without the interpreter lock. */
static void
sort_rows(sort_work *work)
{
    const record_field *field = work->field;
    uint32_t offset = ARRAY_FIELD_OFFSET(field);
    bool text = field->kind == FE_STR || field->kind == FE_BYTES;
    uint32_t parts = text ? (field->size + 7) / 8 : 1;
    uint64_t flip = work->reverse ? UINT64_MAX : 0;
    for (size_t i = 0; i < work->count; i++) {
        work->words[i] = i;
    }
    for (uint32_t part = parts; part-- > 0;) {
        uint64_t low = UINT64_MAX, high = 0;
        for (size_t i = 0; i < work->count; i++) {
            const char *at = array_at(work->array, (Py_ssize_t)i) + offset;
            uint64_t key = key_of(field, at, part, work->reverse) ^ flip;
            work->keys[i] = key;
            low = key < low ? key : low;
            high = key > high ? key : high;
        }
        sort_by_keys(work, low, high - low);
    }
    uint64_t row_mask = ((uint64_t)1 << work->row_bits) - 1;
    uint32_t size = work->array->layout->size;
    for (size_t i = 0; i < work->count; i++) {
        Py_ssize_t row = (Py_ssize_t)(work->words[i] & row_mask);
        memcpy(work->out + i * size, array_at(work->array, row), size);
    }
}

static void
put_back(array_object *self, const char *sorted)
{
    size_t size = self->layout->size;
    if (self->stride == (Py_ssize_t)size) {
        memcpy(self->data, sorted, (size_t)self->length * size);
        return;
    }
    for (Py_ssize_t i = 0; i < self->length; i++) {
        memcpy(array_at(self, i), sorted + (size_t)i * size, size);
    }
}

static int
sort(array_object *self, const record_field *field, bool reverse)
{
    size_t count = (size_t)self->length;
    if (count > (size_t)PY_SSIZE_T_MAX / (3 * sizeof(uint64_t))) {
        PyErr_NoMemory();
        return -1;
    }
    uint64_t *numbers = PyMem_Malloc(3 * count * sizeof(*numbers));
    sort_work work = {
        .array = self,
        .field = field,
        .reverse = reverse,
        .count = count,
        .row_bits = bits_of(count - 1),
        .keys = numbers,
        .words = numbers + count,
        .other = numbers + 2 * count,
        .places = PyMem_Malloc(PASSES * sizeof(*work.places)),
        .out = PyMem_Malloc(count * self->layout->size),
    };
    int status = -1;
    if (numbers == NULL || work.places == NULL || work.out == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    /* the memory stays where it is while the lock is away */
    array_owner(self)->sharers++;
    PyThreadState *unlocked =
        self->length >= UNLOCK_ROWS ? PyEval_SaveThread() : NULL;
    sort_rows(&work);
    if (unlocked != NULL) {
        PyEval_RestoreThread(unlocked);
    }
    array_owner(self)->sharers--;
    put_back(self, work.out);
    status = 0;
done:
    PyMem_Free(numbers);
    PyMem_Free(work.places);
    PyMem_Free(work.out);
    return status;
}

PyObject *
array_sort_by(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    static const char function[] = "RecordArray.sort_by()";
    static const char *const names[] = {"name", "reverse", NULL};
    static const fe_sig sig = {"RecordArray.sort_by", names, 1, 1};
    array_object *self = (array_object *)op;
    PyObject *values[2];
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    int reverse = values[1] != NULL ? PyObject_IsTrue(values[1]) : 0;
    const record_field *field =
        reverse >= 0 ? array_field(self, values[0], function) : NULL;
    if (field == NULL || array_check_writable(self, function) < 0) {
        return NULL;
    }
    Py_ssize_t own = self->owner != NULL ? 1 : 0;
    Py_ssize_t others = array_owner(self)->sharers - own;
    if (others > 0) {
        PyErr_Format(PyExc_BufferError,
                     "%s: the memory is shared by %zd more slice%s, row%s or "
                     "buffer%s",
                     function, others, others == 1 ? "" : "s",
                     others == 1 ? "" : "s", others == 1 ? "" : "s");
        return NULL;
    }
    if (self->length > 1 && sort(self, field, reverse) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}
