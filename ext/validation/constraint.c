/* SPDX-License-Identifier: MIT
 *
 * The types of constraints, and constraints(tp). Instances are immutable and
 * compare by kind, type and value: typing caches aliases by equality, and
 * Annotated[int, Ge(5)] must not turn into Annotated[int, Ge(5.0)].
 */
#include "constraint_types.h"

/* ---- arguments */

/* Is it unequal to itself? Decimal's signalling NaN does not compare. 1, 0, -1
 */
static int
constraint_is_nan(PyObject *value)
{
    PyObject *same = PyObject_RichCompare(value, value, Py_EQ);
    int is = same != NULL ? PyObject_Not(same) : -1;
    Py_XDECREF(same);
    if (is < 0 && PyErr_ExceptionMatches(PyExc_ArithmeticError)) {
        PyErr_Clear(); /* ArithmeticError: as said above */
        return 1;
    }
    if (is < 0 && PyErr_ExceptionMatches(PyExc_Exception)
        && !PyErr_ExceptionMatches(PyExc_MemoryError)
        && !PyErr_ExceptionMatches(PyExc_RecursionError)) {
        PyErr_Clear(); /* Exception: it does not compare, so it is no NaN */
        return 0;
    }
    return is;
}

static const char *
short_name(PyTypeObject *type)
{
    const char *dot = strrchr(type->tp_name, '.');
    return dot != NULL ? dot + 1 : type->tp_name;
}

PyObject *
constraint_repr(PyObject *value)
{
    PyObject *repr = PyObject_Repr(value);
    if (repr != NULL || !PyErr_ExceptionMatches(PyExc_Exception)
        || PyErr_ExceptionMatches(PyExc_MemoryError)
        || PyErr_ExceptionMatches(PyExc_RecursionError)) {
        return repr;
    }
    PyErr_Clear(); /* Exception: its own repr fails, the text need not */
    if (!PyLong_Check(value)) {
        return PyUnicode_FromFormat("<%s object>", short_name(Py_TYPE(value)));
    }
    PyObject *bits = PyObject_CallMethod((PyObject *)&PyLong_Type,
                                         "bit_length", "O", value);
    PyObject *text =
        bits != NULL ? PyUnicode_FromFormat("int of %S bits", bits) : NULL;
    Py_XDECREF(bits);
    return text;
}

int
constraint_contradict(PyObject *low, bool low_open, PyObject *high,
                      bool high_open)
{
    int fits = PyObject_RichCompareBool(low, high,
                                        low_open || high_open ? Py_LT : Py_LE);
    return fits < 0 ? -1 : !fits;
}

/* new: the length as an exact int */
static PyObject *
constraint_length(const char *name, PyObject *value)
{
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s: wanted a length (int), got %.100s",
                     name, short_name(Py_TYPE(value)));
        return NULL;
    }
    Py_ssize_t length = PyLong_AsSsize_t(value);
    if (length == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return NULL;
        }
        PyErr_Clear(); /* OverflowError */
        length = -1;
    }
    if (length < 0) {
        PyObject *got = constraint_repr(value);
        if (got != NULL) {
            PyErr_Format(PyExc_ValueError,
                         "%s: wanted a length from 0 to %zd, got %U", name,
                         PY_SSIZE_T_MAX, got);
            Py_DECREF(got);
        }
        return NULL;
    }
    return PyLong_FromSsize_t(length);
}

static int
constraint_check_bound(const char *name, PyObject *value)
{
    if (value == Py_None) {
        PyErr_Format(PyExc_TypeError, "%s: wanted a bound, got None", name);
        return -1;
    }
    int nan = constraint_is_nan(value);
    if (nan > 0) {
        PyErr_Format(PyExc_ValueError, "%s: NaN is no bound", name);
    }
    return nan != 0 ? -1 : 0;
}

static int
constraint_check_divisor(const char *name, PyObject *value)
{
    PyNumberMethods *number = Py_TYPE(value)->tp_as_number;
    if (number == NULL || number->nb_remainder == NULL
        || PyUnicode_Check(value) || PyBytes_Check(value)
        || PyByteArray_Check(value)) { /* there % formats */
        PyErr_Format(PyExc_TypeError, "%s: wanted a number, got %.100s", name,
                     short_name(Py_TYPE(value)));
        return -1;
    }
    int truth = PyObject_IsTrue(value);
    int nan = truth > 0 ? constraint_is_nan(value) : 0;
    if (truth == 0 || nan > 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s: wanted a number other than 0, got %R", name, value);
        return -1;
    }
    return truth < 0 || nan < 0 ? -1 : 0;
}

static int
constraint_check_zone(const char *name, PyObject *value)
{
    if (value == Py_None || value == Py_Ellipsis || PyUnicode_Check(value)) {
        return 0;
    }
    PyObject *offset;
    int found = fe_find_attr(value, "utcoffset", &offset);
    Py_XDECREF(offset);
    if (found == 0) {
        PyErr_Format(PyExc_TypeError,
                     "%s: wanted None, ..., a name or a tzinfo, got %.100s",
                     name, short_name(Py_TYPE(value)));
    }
    return found > 0 ? 0 : -1;
}

static const char *const interval_names[] = {"gt", "ge", "lt", "le"};

/* Two bounds of an interval, by their places in it. 0 or -1 */
static int
constraint_check_sides(const char *name, PyObject *below, int low,
                       PyObject *above, int high)
{
    int empty = constraint_contradict(below, low == 0, above, high == 2);
    if (empty < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear(); /* TypeError: the operands do not go together */
        PyErr_Format(PyExc_TypeError, "%s: %s and %s cannot be compared", name,
                     interval_names[low], interval_names[high]);
    }
    if (empty <= 0) {
        return empty;
    }
    PyObject *least = constraint_repr(below);
    PyObject *most = least != NULL ? constraint_repr(above) : NULL;
    if (most != NULL) {
        PyErr_Format(PyExc_ValueError, "%s: nothing is %s %U and %s %U", name,
                     low == 0 ? ">" : ">=", least,
                     high == 2 ? "<" : "<=", most);
    }
    Py_XDECREF(most);
    Py_XDECREF(least);
    return -1;
}

/* bounds: a tuple gt, ge, lt, le */
static int
constraint_check_interval(const char *name, PyObject *bounds)
{
    for (int low = 0; low < 2; low++) {
        for (int high = 2; high < 4; high++) {
            PyObject *below = PyTuple_GET_ITEM(bounds, low);
            PyObject *above = PyTuple_GET_ITEM(bounds, high);
            if (below != Py_None && above != Py_None
                && constraint_check_sides(name, below, low, above, high) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* new: the value in the form it is kept in */
static PyObject *
constraint_accept(const char *name, constraint_kind kind, PyObject *value)
{
    int good = 0;
    switch (kind) {
    case CONSTRAINT_MIN_LENGTH:
    case CONSTRAINT_MAX_LENGTH:
    case CONSTRAINT_LENGTH:
        return constraint_length(name, value);
    case CONSTRAINT_GT:
    case CONSTRAINT_GE:
    case CONSTRAINT_LT:
    case CONSTRAINT_LE:
        good = constraint_check_bound(name, value);
        break;
    case CONSTRAINT_MULTIPLE_OF:
        good = constraint_check_divisor(name, value);
        break;
    case CONSTRAINT_TIMEZONE:
        good = constraint_check_zone(name, value);
        break;
    case CONSTRAINT_INTERVAL:
        good = constraint_check_interval(name, value);
        break;
    case CONSTRAINT_PREDICATE:
        if (!PyCallable_Check(value)) {
            PyErr_Format(PyExc_TypeError, "%s: wanted a callable, got %.100s",
                         name, short_name(Py_TYPE(value)));
            return NULL;
        }
        break;
    case CONSTRAINT_DOC:
        if (!PyUnicode_Check(value)) {
            PyErr_Format(PyExc_TypeError, "%s: wanted a str, got %.100s", name,
                         short_name(Py_TYPE(value)));
            return NULL;
        }
        break;
    default:
        break;
    }
    return good < 0 ? NULL : Py_NewRef(value);
}

/* new: NULL where there is none, too; -1 with an exception */
static int
constraint_accept_maximum(const char *name, PyObject *minimum,
                          PyObject *maximum, PyObject **kept)
{
    *kept = NULL;
    if (maximum == NULL || maximum == Py_None) {
        return 0;
    }
    *kept = constraint_length(name, maximum);
    if (*kept == NULL) {
        return -1;
    }
    if (PyLong_AsSsize_t(minimum) > PyLong_AsSsize_t(*kept)) {
        PyErr_Format(PyExc_ValueError,
                     "%s: the minimum, %R, is above the maximum, %R", name,
                     minimum, *kept);
        Py_CLEAR(*kept);
        return -1;
    }
    return 0;
}

static PyObject *
constraint_alloc(PyTypeObject *type, constraint_kind kind)
{
    PyObject *self = type->tp_alloc(type, 0);
    if (self != NULL) {
        CONSTRAINT(self)->kind = kind;
    }
    return self;
}

static PyObject *
constraint_build(PyTypeObject *type, constraint_kind kind, PyObject *value,
                 PyObject *other)
{
    const char *name = short_name(type);
    PyObject *kept = constraint_accept(name, kind, value), *maximum;
    if (kept == NULL) {
        return NULL;
    }
    if (constraint_accept_maximum(name, kept, other, &maximum) < 0) {
        Py_DECREF(kept);
        return NULL;
    }
    PyObject *self = constraint_alloc(type, kind);
    if (self == NULL) {
        Py_DECREF(kept);
        Py_XDECREF(maximum);
        return NULL;
    }
    CONSTRAINT(self)->value = kept;
    CONSTRAINT(self)->other = maximum;
    return self;
}

PyObject *
constraint_new(validation_state *state, constraint_kind kind, PyObject *value,
               PyObject *other)
{
    PyTypeObject *type =
        (PyTypeObject *)PyTuple_GET_ITEM(state->constraint_types, kind);
    return constraint_build(type, kind, value, other);
}

/* CONSTRAINT_KIND_COUNT: it is none of those listed */
static constraint_kind
constraint_kind_of_type(validation_state *state, PyTypeObject *type)
{
    PyObject *types = state->constraint_types;
    Py_ssize_t i = 0;
    while (i < PyTuple_GET_SIZE(types)
           && PyTuple_GET_ITEM(types, i) != (PyObject *)type) {
        i++;
    }
    return i < PyTuple_GET_SIZE(types) ? (constraint_kind)i
                                       : CONSTRAINT_KIND_COUNT;
}

constraint_kind
constraint_kind_of(validation_state *state, PyObject *obj)
{
    if (!PyObject_TypeCheck(obj, state->constraint_type)) {
        return obj == state->email ? CONSTRAINT_EMAIL
               : state->regex_type != NULL && Py_TYPE(obj) == state->regex_type
                   ? CONSTRAINT_REGEX
                   : CONSTRAINT_KIND_COUNT;
    }
    constraint_kind kind = constraint_kind_of_type(state, Py_TYPE(obj));
    return kind != CONSTRAINT_KIND_COUNT       ? kind
           : obj == state->email               ? CONSTRAINT_EMAIL
           : Py_TYPE(obj) == state->regex_type ? CONSTRAINT_REGEX
                                               : CONSTRAINT_KIND_COUNT;
}

/* ---- making them */

/* Parameter, and format of its parser, of the types that have one. */
static const struct {
    const char *keyword;
    const char *format;
} constraint_parameter[] = {
    [CONSTRAINT_GT] = {"gt", "O:Gt"},
    [CONSTRAINT_GE] = {"ge", "O:Ge"},
    [CONSTRAINT_LT] = {"lt", "O:Lt"},
    [CONSTRAINT_LE] = {"le", "O:Le"},
    [CONSTRAINT_MULTIPLE_OF] = {"multiple_of", "O:MultipleOf"},
    [CONSTRAINT_MIN_LENGTH] = {"min_length", "O:MinLength"},
    [CONSTRAINT_MAX_LENGTH] = {"max_length", "O:MaxLength"},
    [CONSTRAINT_PREDICATE] = {"func", "O:Predicate"},
    [CONSTRAINT_TIMEZONE] = {"tz", "O:Timezone"},
    [CONSTRAINT_DOC] = {"documentation", "O:Doc"},
};

PyObject *
constraint_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    validation_state *state = PyType_GetModuleState(type);
    if (state == NULL) {
        return NULL;
    }
    constraint_kind kind = constraint_kind_of_type(state, type);
    if (kind >= Py_ARRAY_LENGTH(constraint_parameter)
        || constraint_parameter[kind].keyword == NULL) {
        PyErr_BadInternalCall();
        return NULL;
    }
    char *names[] = {FE_TEXT(constraint_parameter[kind].keyword), NULL};
    PyObject *value;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, constraint_parameter[kind].format, names, &value)) {
        return NULL;
    }
    return constraint_build(type, kind, value, NULL);
}

PyObject *
Length_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *names[] = {FE_TEXT("min_length"), FE_TEXT("max_length"), NULL};
    PyObject *minimum, *maximum = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:Length", names,
                                     &minimum, &maximum)) {
        return NULL;
    }
    return constraint_build(type, CONSTRAINT_LENGTH, minimum, maximum);
}

PyObject *
Interval_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *names[] = {FE_TEXT("gt"), FE_TEXT("ge"), FE_TEXT("lt"),
                     FE_TEXT("le"), NULL};
    PyObject *bounds[4] = {Py_None, Py_None, Py_None, Py_None};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO:Interval", names,
                                     &bounds[0], &bounds[1], &bounds[2],
                                     &bounds[3])) {
        return NULL;
    }
    int given = 0;
    for (int i = 0; i < 4; i++) {
        if (bounds[i] != Py_None) {
            given++;
            if (constraint_check_bound("Interval", bounds[i]) < 0) {
                return NULL;
            }
        }
    }
    if (given == 0) {
        PyErr_SetString(PyExc_TypeError, "Interval: wanted a bound");
        return NULL;
    }
    PyObject *value =
        PyTuple_Pack(4, bounds[0], bounds[1], bounds[2], bounds[3]);
    if (value == NULL) {
        return NULL;
    }
    PyObject *self = constraint_build(type, CONSTRAINT_INTERVAL, value, NULL);
    Py_DECREF(value);
    return self;
}

/* Strip and Sensitive, called: themselves */
PyObject *
constant_tp_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) > 0
        || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)) {
        PyErr_Format(PyExc_TypeError, "%s() takes no arguments",
                     short_name(Py_TYPE(self)));
        return NULL;
    }
    return Py_NewRef(self);
}

/* ---- reading them */

PyObject *
Interval_get(PyObject *self, void *closure)
{
    return Py_NewRef(PyTuple_GET_ITEM(CONSTRAINT(self)->value,
                                      (Py_ssize_t)(uintptr_t)closure));
}

PyObject *
Length_get_max_length(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *maximum = CONSTRAINT(self)->other;
    return Py_NewRef(maximum != NULL ? maximum : Py_None);
}

/* new: "min_len:3", "sensitive_data", or NULL without an exception */
static PyObject *
constraint_word(PyObject *self)
{
    switch (CONSTRAINT(self)->kind) {
    case CONSTRAINT_MIN_LENGTH:
        return PyUnicode_FromFormat("min_len:%S", CONSTRAINT(self)->value);
    case CONSTRAINT_MAX_LENGTH:
        return PyUnicode_FromFormat("max_len:%S", CONSTRAINT(self)->value);
    case CONSTRAINT_SENSITIVE:
        return PyUnicode_FromString("sensitive_data");
    default:
        return NULL;
    }
}

static PyObject *
Interval_tp_repr(PyObject *self)
{
    PyObject *parts = PyList_New(0);
    if (parts == NULL) {
        return NULL;
    }
    for (int i = 0; i < 4; i++) {
        PyObject *bound = PyTuple_GET_ITEM(CONSTRAINT(self)->value, i);
        if (bound == Py_None) {
            continue;
        }
        PyObject *shown = constraint_repr(bound);
        PyObject *part =
            shown != NULL
                ? PyUnicode_FromFormat("%s=%U", interval_names[i], shown)
                : NULL;
        Py_XDECREF(shown);
        int failed = part == NULL || PyList_Append(parts, part) < 0;
        Py_XDECREF(part);
        if (failed) {
            Py_DECREF(parts);
            return NULL;
        }
    }
    PyObject *comma = PyUnicode_FromString(", ");
    PyObject *joined = comma != NULL ? PyUnicode_Join(comma, parts) : NULL;
    PyObject *text =
        joined != NULL ? PyUnicode_FromFormat("Interval(%U)", joined) : NULL;
    Py_XDECREF(joined);
    Py_XDECREF(comma);
    Py_DECREF(parts);
    return text;
}

/* new: "Ge(5)" */
static PyObject *
constraint_value_repr(const char *name, PyObject *value)
{
    PyObject *shown = constraint_repr(value);
    PyObject *text =
        shown != NULL ? PyUnicode_FromFormat("%s(%U)", name, shown) : NULL;
    Py_XDECREF(shown);
    return text;
}

PyObject *
constraint_tp_repr(PyObject *self)
{
    const char *name = short_name(Py_TYPE(self));
    PyObject *value = CONSTRAINT(self)->value;
    PyObject *other = CONSTRAINT(self)->other;
    if (value == NULL) {
        return PyUnicode_FromString(name);
    }
    int entered = Py_ReprEnter(self); /* a bound may hold its constraint */
    if (entered != 0) {
        return entered > 0 ? PyUnicode_FromFormat("%s(...)", name) : NULL;
    }
    PyObject *text =
        CONSTRAINT(self)->kind == CONSTRAINT_INTERVAL ? Interval_tp_repr(self)
        : other != NULL
            ? PyUnicode_FromFormat("%s(%R, %R)", name, value, other)
            : constraint_value_repr(name, value);
    Py_ReprLeave(self);
    return text;
}

PyObject *
constraint_tp_str(PyObject *self)
{
    PyObject *word = constraint_word(self);
    return word != NULL || PyErr_Occurred() ? word : constraint_tp_repr(self);
}

Py_hash_t
constraint_tp_hash(PyObject *self)
{
    PyObject *key = constraint_word(self);
    if (key == NULL) {
        if (PyErr_Occurred()) {
            return -1;
        }
        PyObject *value = CONSTRAINT(self)->value;
        PyObject *other = CONSTRAINT(self)->other;
        key = PyTuple_Pack(3, Py_TYPE(self), value != NULL ? value : Py_None,
                           other != NULL ? other : Py_None);
        if (key == NULL) {
            return -1;
        }
    }
    Py_hash_t hash = PyObject_Hash(key);
    Py_DECREF(key);
    return hash;
}

/* 1 or 0, -1: the same type and equal; of tuples, item by item */
static int
constraint_same(PyObject *a, PyObject *b)
{
    if (a == b) {
        return 1;
    }
    if (a == NULL || b == NULL || Py_TYPE(a) != Py_TYPE(b)) {
        return 0;
    }
    return PyObject_RichCompareBool(a, b, Py_EQ);
}

static int
constraint_same_values(PyObject *self, PyObject *other)
{
    PyObject *a = CONSTRAINT(self)->value, *b = CONSTRAINT(other)->value;
    if (CONSTRAINT(self)->kind != CONSTRAINT_INTERVAL) {
        int same = constraint_same(a, b);
        return same != 1 ? same
                         : constraint_same(CONSTRAINT(self)->other,
                                           CONSTRAINT(other)->other);
    }
    int same = 1;
    for (int i = 0; i < 4 && same == 1; i++) {
        same = constraint_same(PyTuple_GET_ITEM(a, i), PyTuple_GET_ITEM(b, i));
    }
    return same;
}

PyObject *
constraint_tp_richcompare(PyObject *self, PyObject *other, int op)
{
    if (op != Py_EQ && op != Py_NE) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (PyUnicode_Check(other)) {
        PyObject *word = constraint_word(self);
        if (word != NULL) {
            PyObject *result = PyObject_RichCompare(word, other, op);
            Py_DECREF(word);
            return result;
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    if (Py_TYPE(self) != Py_TYPE(other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    int same = self == other ? 1 : constraint_same_values(self, other);
    return same < 0 ? NULL : PyBool_FromLong(same == (op == Py_EQ));
}

/* ---- pickling, copying, taking apart */

const char constraint___reduce____doc__[] =
    PyDoc_STR("__reduce__($self, /)\n--\n\nFor pickle and copy.");

PyObject *
constraint___reduce__(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *value = CONSTRAINT(self)->value;
    PyObject *other = CONSTRAINT(self)->other;
    if (value == NULL) {
        return PyUnicode_FromString(short_name(Py_TYPE(self)));
    }
    if (other != NULL) {
        return Py_BuildValue("O(OO)", Py_TYPE(self), value, other);
    }
    return Py_BuildValue("O(O)", Py_TYPE(self), value);
}

/* By keywords: copyreg.__newobj_ex__ is a function every protocol can name. */
PyObject *
Interval___reduce__(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *kwargs = PyDict_New();
    for (int i = 0; kwargs != NULL && i < 4; i++) {
        PyObject *bound = PyTuple_GET_ITEM(CONSTRAINT(self)->value, i);
        if (bound != Py_None
            && PyDict_SetItemString(kwargs, interval_names[i], bound) < 0) {
            Py_CLEAR(kwargs);
        }
    }
    PyObject *module =
        kwargs != NULL ? PyImport_ImportModule("copyreg") : NULL;
    PyObject *make =
        module != NULL ? fe_getattr(module, "__newobj_ex__") : NULL;
    Py_XDECREF(module);
    if (make == NULL) {
        Py_XDECREF(kwargs);
        return NULL;
    }
    return Py_BuildValue("N(O()N)", make, Py_TYPE(self), kwargs);
}

const char constraint___copy____doc__[] =
    PyDoc_STR("__copy__($self, /)\n--\n\nItself: it does not change.");
const char constraint___deepcopy____doc__[] =
    PyDoc_STR("__deepcopy__($self, memo, /)\n--\n\n"
              "Itself: it does not change.");

PyObject *
constraint___copy__(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

/* new: the single-bound constraints of Length and Interval, a tuple */
PyObject *
constraint_parts(validation_state *state, PyObject *self)
{
    static const constraint_kind kinds[] = {CONSTRAINT_GT, CONSTRAINT_GE,
                                            CONSTRAINT_LT, CONSTRAINT_LE};
    PyObject *parts[4];
    Py_ssize_t count = 0;
    bool failed = false;
    if (CONSTRAINT(self)->kind == CONSTRAINT_LENGTH) {
        PyObject *maximum = CONSTRAINT(self)->other;
        parts[count++] = constraint_new(state, CONSTRAINT_MIN_LENGTH,
                                        CONSTRAINT(self)->value, NULL);
        if (maximum != NULL) {
            parts[count++] =
                constraint_new(state, CONSTRAINT_MAX_LENGTH, maximum, NULL);
        }
    }
    else {
        for (int i = 0; i < 4; i++) {
            PyObject *bound = PyTuple_GET_ITEM(CONSTRAINT(self)->value, i);
            if (bound != Py_None) {
                parts[count++] = constraint_new(state, kinds[i], bound, NULL);
            }
        }
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        failed = failed || parts[i] == NULL;
    }
    PyObject *tuple = failed ? NULL : PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (tuple != NULL) {
            PyTuple_SET_ITEM(tuple, i, parts[i]);
        }
        else {
            Py_XDECREF(parts[i]);
        }
    }
    return tuple;
}

PyObject *
constraint_tp_iter(PyObject *self)
{
    validation_state *state = validation_state_of(self);
    PyObject *parts = state != NULL ? constraint_parts(state, self) : NULL;
    PyObject *iterator = parts != NULL ? PyObject_GetIter(parts) : NULL;
    Py_XDECREF(parts);
    return iterator;
}

/* ---- life */

int
constraint_tp_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(CONSTRAINT(self)->value);
    Py_VISIT(CONSTRAINT(self)->other);
    return 0;
}

void
constraint_tp_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, constraint_tp_dealloc)
        Py_CLEAR(CONSTRAINT(self)->value);
    Py_CLEAR(CONSTRAINT(self)->other);
    type->tp_free(self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

/* ---- the module's part */

PyDoc_STRVAR(constraints__doc__,
             "constraints($module, tp, /)\n--\n\n"
             "The constraints that an annotation carries, a tuple.\n\n"
             "Inner ones first; Length, Interval, objects of annotated_types\n"
             "and strings as 'min_len:3' are turned into ours, other\n"
             "metadata is left out. Looks through Annotated, None in unions,\n"
             "NewType and type aliases. TypeError where an annotation is a\n"
             "name that has not been resolved.");

static FE_NOINLINE PyObject *
constraints_find(validation_state *state, PyObject *tp)
{
    constraint_facts facts;
    PyObject *where = PyUnicode_FromString("constraints()");
    int failed =
        where != NULL ? constraint_facts_of(state, tp, where, &facts) : -1;
    Py_XDECREF(where);
    if (failed < 0) {
        return NULL;
    }
    PyObject *found = Py_NewRef(facts.constraints);
    constraint_facts_clear(&facts);
    /* int | None is made anew each time: nothing to keep alive */
    if (constraint_cache_add(state, tp, found, NULL, false) < 0) {
        Py_CLEAR(found);
    }
    return found;
}

static PyObject *
constraints(PyObject *module, PyObject *tp)
{
    validation_state *state = validation_get_state(module);
    if (PyType_Check(tp)) {
        return Py_NewRef(state->constraint_none);
    }
    constraint_entry *entry =
        constraint_cache_find(state->constraint_cache, tp);
    if (entry != NULL && entry->constraints != NULL) {
        return Py_NewRef(entry->constraints);
    }
    return constraints_find(state, tp);
}

PyDoc_STRVAR(forget__doc__, "_forget($module, /)\n--\n\n"
                            "Forget the annotations met so far.");

static PyObject *
constraint_forget(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    constraint_cache_empty(validation_get_state(module)->constraint_cache);
    Py_RETURN_NONE;
}

static PyMethodDef constraint_functions[] = {
    {"constraints", constraints, METH_O, constraints__doc__},
    {"_forget", constraint_forget, METH_NOARGS, forget__doc__},
    {NULL, NULL, 0, NULL},
};

int
constraint_register(PyObject *module, validation_state *state)
{
    return constraint_types_register(module, state) < 0
                   || constraint_cache_register(module, state) < 0
               ? -1
               : PyModule_AddFunctions(module, constraint_functions);
}
