/* SPDX-License-Identifier: MIT
 *
 * Regex: a pattern that answers yes or no. re compiles every pattern first, so
 * that what is wrong with one is said in its words; then regex_core.h is asked
 * for an automaton. Where there is none, re's own matcher answers.
 */
#include "validation_state.h"
#include "regex_core.h"

typedef struct {
    PyObject_HEAD
        /* borrowed from the program, NULL until they are made, or for ever */
        const regex_packed *packed[REGEX_MODES];
    regex_program *program;          /* NULL: left to re */
    PyObject *pattern;               /* owned: exact str */
    PyObject *matchers[REGEX_MODES]; /* owned: methods of re's pattern; NULL
                                        where there is a program */
    long long flags;                 /* as given, an int */
    char linear;
} regex_object;

#define REGEX(op) ((regex_object *)(op))

static void *
regex_resize(void *block, size_t size)
{
    return PyMem_Realloc(block, size);
}

static unsigned
regex_traits(uint32_t c)
{
    return (Py_UNICODE_ISALNUM(c) ? REGEX_WORD : 0)
           | (Py_UNICODE_ISDECIMAL(c) ? REGEX_DIGIT : 0)
           | (Py_UNICODE_ISSPACE(c) ? REGEX_SPACE : 0)
           | (Py_UNICODE_TOLOWER(c) != c || Py_UNICODE_TOUPPER(c) != c
                  ? REGEX_CASED
                  : 0);
}

/* [1]: of a Python where \B matches the empty text */
static const regex_host regex_hosts[] = {
    {regex_resize, PyMem_Free, regex_traits, false},
    {regex_resize, PyMem_Free, regex_traits, true},
};

/* ---- asking */

/* Read the text; signals' handlers run now and then, and may do anything, such
 * as to ask the same Regex. 1, 0 or -1
 */
static int
regex_scan_text(regex_program *program, regex_mode mode, PyObject *text)
{
    regex_scan scan;
    regex_scan_begin(&scan, program, mode, (int)PyUnicode_KIND(text),
                     PyUnicode_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
    int verdict = regex_scan_go(&scan);
    while (verdict == REGEX_PAUSED) {
        if (PyErr_CheckSignals() < 0) {
            regex_scan_end(&scan);
            return -1;
        }
        verdict = regex_scan_go(&scan);
    }
    regex_scan_end(&scan);
    if (verdict < 0) {
        PyErr_NoMemory();
    }
    return verdict;
}

/* Other texts than ASCII, larger automata, and what is left to re */
static FE_NOINLINE int
regex_ask(regex_object *self, regex_mode mode, PyObject *text)
{
    regex_program *program = self->program;
    if (program == NULL) {
        PyObject *found = PyObject_CallOneArg(self->matchers[mode], text);
        int verdict = found == NULL ? -1 : found != Py_None;
        Py_XDECREF(found);
        return verdict;
    }
    if (PyUnicode_READY(text) < 0) {
        return -1;
    }
    if (program->caches[mode].rows == NULL && !regex_prepare(program, mode)) {
        PyErr_NoMemory();
        return -1;
    }
    if (program->packed[mode] != NULL && PyUnicode_IS_ASCII(text)) {
        self->packed[mode] = program->packed[mode];
        return regex_run_packed(program->packed[mode],
                                PyUnicode_1BYTE_DATA(text),
                                (size_t)PyUnicode_GET_LENGTH(text));
    }
    Py_INCREF(self);
    Py_INCREF(text);
    int verdict = regex_scan_text(program, mode, text);
    Py_DECREF(text);
    Py_DECREF(self);
    return verdict;
}

static inline int
regex_verdict_of(regex_object *self, regex_mode mode, PyObject *text)
{
    const regex_packed *packed = self->packed[mode];
    if (FE_LIKELY(packed != NULL && PyUnicode_IS_COMPACT_ASCII(text))) {
        return regex_run_packed(packed,
                                (const uint8_t *)((PyASCIIObject *)text + 1),
                                (size_t)PyUnicode_GET_LENGTH(text));
    }
    return regex_ask(self, mode, text);
}

int
regex_search(PyObject *regex, PyObject *str)
{
    return regex_verdict_of(REGEX(regex), REGEX_SEARCH, str);
}

PyObject *
regex_pattern_borrow(PyObject *regex)
{
    return REGEX(regex)->pattern;
}

static inline PyObject *
regex_answer(PyObject *self, regex_mode mode, PyObject *text,
             const char *method)
{
    if (FE_UNLIKELY(!PyUnicode_Check(text))) {
        PyErr_Format(PyExc_TypeError, "Regex.%s() wants a str, not '%.200s'",
                     method, Py_TYPE(text)->tp_name);
        return NULL;
    }
    int verdict = regex_verdict_of(REGEX(self), mode, text);
    if (FE_UNLIKELY(verdict < 0)) {
        return NULL;
    }
    return Py_NewRef(verdict ? Py_True : Py_False);
}

PyDoc_STRVAR(Regex_search__doc__,
             "search($self, text, /)\n--\n\n"
             "Does the pattern match anywhere in text? As re.search.\n\n"
             "True or False; TypeError if text is no str.");

static PyObject *
Regex_search(PyObject *self, PyObject *text)
{
    return regex_answer(self, REGEX_SEARCH, text, "search");
}

PyDoc_STRVAR(Regex_match__doc__,
             "match($self, text, /)\n--\n\n"
             "Does the pattern match at the start of text? As re.match.\n\n"
             "True or False; TypeError if text is no str.");

static PyObject *
Regex_match(PyObject *self, PyObject *text)
{
    return regex_answer(self, REGEX_MATCH, text, "match");
}

PyDoc_STRVAR(Regex_fullmatch__doc__,
             "fullmatch($self, text, /)\n--\n\n"
             "Does the pattern match all of text? As re.fullmatch.\n\n"
             "True or False; TypeError if text is no str.");

static PyObject *
Regex_fullmatch(PyObject *self, PyObject *text)
{
    return regex_answer(self, REGEX_FULLMATCH, text, "fullmatch");
}

/* ---- making */

/* Does \B match the empty text? 1, 0 or -1 */
static int
regex_asks_empty(PyObject *module)
{
    PyObject *found = PyObject_CallMethod(module, "search", "ss", "\\B", "");
    int answer = found == NULL ? -1 : found != Py_None;
    Py_XDECREF(found);
    return answer;
}

/* Leave all to re's pattern. 0 or -1 */
static int
regex_leave(regex_object *self, PyObject *compiled)
{
    static const char *const methods[REGEX_MODES] = {"search", "match",
                                                     "fullmatch"};
    for (int mode = 0; mode < REGEX_MODES; mode++) {
        self->matchers[mode] = fe_getattr(compiled, methods[mode]);
        if (self->matchers[mode] == NULL) {
            return -1;
        }
    }
    return 0;
}

/* Flags of re's pattern: those given and those in it; -1 with an exception */
static long
regex_flags_of(PyObject *compiled)
{
    PyObject *flags = fe_getattr(compiled, "flags");
    if (flags == NULL) {
        return -1;
    }
    long value = PyLong_AsLong(flags);
    Py_DECREF(flags);
    return value;
}

/* Find an automaton. 1; 0: there is none, and why; -1 */
static int
regex_build(regex_object *self, PyObject *module, long flags,
            regex_problem *problem)
{
    Py_UCS4 *pattern = PyUnicode_AsUCS4Copy(self->pattern);
    if (pattern == NULL) {
        return -1;
    }
    regex_verdict verdict = regex_compile(
        &self->program, &regex_hosts[0], pattern,
        (size_t)PyUnicode_GET_LENGTH(self->pattern), (unsigned)flags, problem);
    PyMem_Free(pattern);
    if (verdict == REGEX_NO_MEMORY) {
        PyErr_NoMemory();
        return -1;
    }
    if (verdict == REGEX_GOOD
        && (self->program->assertions
            & (1u << REGEX_AT_INSIDE | 1u << REGEX_AT_ASCII_INSIDE))) {
        int empty = regex_asks_empty(module);
        if (empty < 0) {
            return -1;
        }
        self->program->host = &regex_hosts[empty];
    }
    return verdict == REGEX_GOOD;
}

/* 0 or -1 */
static int
regex_fill(regex_object *self, bool linear)
{
    PyObject *module = PyImport_ImportModule("re");
    if (module == NULL) {
        return -1;
    }
    regex_problem problem = {"", 0};
    int result = -1;
    PyObject *compiled = PyObject_CallMethod(module, "compile", "Oi",
                                             self->pattern, (int)self->flags);
    long flags = compiled != NULL ? regex_flags_of(compiled) : -1;
    if (flags >= 0) {
        result = regex_build(self, module, flags, &problem);
    }
    if (result == 0 && linear) {
        PyErr_Format(PyExc_ValueError,
                     "Regex() pattern has %s at position %zu, which takes "
                     "more than linear time",
                     problem.what, problem.at);
        result = -1;
    }
    else if (result == 0) {
        result = regex_leave(self, compiled);
    }
    self->linear = self->program != NULL;
    Py_XDECREF(compiled);
    Py_DECREF(module);
    return result < 0 ? -1 : 0;
}

PyDoc_STRVAR(
    Regex__doc__,
    "Regex(pattern, flags=0, *, linear=False)\n--\n\n"
    "A pattern in re's syntax that answers yes or no, as re would.\n\n"
    "Regular patterns take time in proportion to the text, whatever it\n"
    "is; those with lookaround, backreferences, conditional or atomic\n"
    "groups or possessive quantifiers are left to re, and the attribute\n"
    "linear is False. With linear=True these are refused with ValueError.\n"
    "re.error if re cannot compile the pattern, TypeError if it is no\n"
    "str. In Annotated[str, Regex(p)] it means search.");

static PyObject *
regex_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {FE_TEXT("pattern"), FE_TEXT("flags"),
                            FE_TEXT("linear"), NULL};
    PyObject *pattern;
    int flags = 0, linear = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|i$p:Regex", names,
                                     &pattern, &flags, &linear)) {
        return NULL;
    }
    regex_object *self = (regex_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->flags = flags;
    self->pattern = PyUnicode_FromObject(pattern);
    if (self->pattern == NULL || regex_fill(self, linear) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
regex_tp_dealloc(regex_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    regex_free(self->program);
    Py_XDECREF(self->pattern);
    for (int mode = 0; mode < REGEX_MODES; mode++) {
        Py_XDECREF(self->matchers[mode]);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- as a value */

static PyObject *
regex_tp_repr(regex_object *self)
{
    return self->flags == 0 ? PyUnicode_FromFormat("Regex(%R)", self->pattern)
                            : PyUnicode_FromFormat("Regex(%R, %d)",
                                                   self->pattern, self->flags);
}

static PyObject *
regex_tp_str(regex_object *self)
{
    return PyUnicode_FromFormat("pattern:%U", self->pattern);
}

static Py_hash_t
regex_tp_hash(regex_object *self)
{
    Py_hash_t hash = PyObject_Hash(self->pattern) ^ (Py_hash_t)self->flags;
    return hash == -1 ? -2 : hash;
}

static PyObject *
regex_tp_richcompare(PyObject *a, PyObject *b, int op)
{
    if ((op != Py_EQ && op != Py_NE) || Py_TYPE(a) != Py_TYPE(b)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    int equal = PyUnicode_Compare(REGEX(a)->pattern, REGEX(b)->pattern) == 0
                && REGEX(a)->flags == REGEX(b)->flags;
    return Py_NewRef(equal == (op == Py_EQ) ? Py_True : Py_False);
}

PyDoc_STRVAR(Regex___reduce____doc__, "__reduce__($self, /)\n--\n\n"
                                      "Pickled by pattern and flags.");

static PyObject *
Regex___reduce__(regex_object *self, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("O(Oi)", Py_TYPE(self), self->pattern,
                         (int)self->flags);
}

static PyMemberDef regex_members[] = {
    {"pattern", Py_T_OBJECT_EX, offsetof(regex_object, pattern), Py_READONLY,
     "The pattern, as given."},
    {"flags", Py_T_LONGLONG, offsetof(regex_object, flags), Py_READONLY,
     "The flags, as given."},
    {"linear", Py_T_BOOL, offsetof(regex_object, linear), Py_READONLY,
     "Does every text take linear time? False: left to re."},
    {0},
};

static PyMethodDef regex_methods[] = {
    {"search", Regex_search, METH_O, Regex_search__doc__},
    {"match", Regex_match, METH_O, Regex_match__doc__},
    {"fullmatch", Regex_fullmatch, METH_O, Regex_fullmatch__doc__},
    {"__reduce__", FE_METHOD(Regex___reduce__), METH_NOARGS,
     Regex___reduce____doc__},
    {0},
};

static PyType_Slot regex_slots[] = {
    {Py_tp_new, FE_SLOT(regex_tp_new)},
    {Py_tp_dealloc, FE_SLOT(regex_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(regex_tp_repr)},
    {Py_tp_str, FE_SLOT(regex_tp_str)},
    {Py_tp_hash, FE_SLOT(regex_tp_hash)},
    {Py_tp_richcompare, FE_SLOT(regex_tp_richcompare)},
    {Py_tp_members, regex_members},
    {Py_tp_methods, regex_methods},
    {Py_tp_doc, FE_TEXT(Regex__doc__)},
    {0, NULL},
};

static PyType_Spec regex_spec = {
    .name = "ferrule.validation.Regex",
    .basicsize = sizeof(regex_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = regex_slots,
};

int
regex_register(PyObject *module, validation_state *state)
{
    state->regex_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &regex_spec, (PyObject *)state->constraint_type);
    return state->regex_type != NULL
               ? PyModule_AddType(module, state->regex_type)
               : -1;
}
