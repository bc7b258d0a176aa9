/* SPDX-License-Identifier: MIT
 *
 * Constraints as values: what stands in Annotated[...], made uniform.
 */
#ifndef CONSTRAINT_H
#define CONSTRAINT_H

typedef enum {
    CONSTRAINT_GT,
    CONSTRAINT_GE,
    CONSTRAINT_LT,
    CONSTRAINT_LE,
    CONSTRAINT_MULTIPLE_OF,
    CONSTRAINT_MIN_LENGTH,
    CONSTRAINT_MAX_LENGTH,
    CONSTRAINT_REGEX,
    CONSTRAINT_EMAIL,
    CONSTRAINT_STRIP,
    CONSTRAINT_PREDICATE,
    CONSTRAINT_TIMEZONE,
    CONSTRAINT_SENSITIVE,
    CONSTRAINT_DOC,
    /* made of others; never in a normalised tuple */
    CONSTRAINT_LENGTH,
    CONSTRAINT_INTERVAL,
    CONSTRAINT_KIND_COUNT
} constraint_kind;

/* An instance of each: Ge(5) is {CONSTRAINT_GE, value 5}. Immutable. Regex and
 * Email have layouts of their own: constraint_kind_of tells them.
 */
typedef struct {
    PyObject_HEAD PyObject *value; /* owned or NULL: bound, length, function,
                                      text; Interval: tuple gt, ge, lt, le */
    PyObject *other;               /* owned or NULL: Length's maximum */
    constraint_kind kind;
} constraint_object;

#define CONSTRAINT(op) ((constraint_object *)(op))

#define CONSTRAINT_STATE(X)                                                   \
    X(PyTypeObject *,                                                         \
      constraint_type)              /* base of all, those of regex.c too */   \
    X(PyObject *, constraint_types) /* tuple by kind, None for others' */     \
    X(PyObject *, constraint_cache) /* see constraint_cache.c */              \
    X(PyObject *, constraint_none)  /* the empty tuple */                     \
    X(PyObject *, sensitive)        /* the constraint Sensitive */            \
    X(PyObject *, strip)                                                      \
    X(PyObject *, typing)           /* the module, once it was needed */      \
    X(PyObject *, typing_forms)     /* dict: special form -> its code */      \
    X(PyObject *, typing_union)     /* typing.Union */                        \
    X(PyObject *, typing_annotated) /* type of Annotated[...] */              \
    X(PyObject *, typing_or)        /* type of int | None */                  \
    X(PyObject *, typing_alias)     /* TypeAliasType, or None */              \
    X(PyObject *, typing_newtype)

int constraint_register(PyObject *module, validation_state *state);

/* Of a constraint, Regex and Email included; CONSTRAINT_KIND_COUNT for any
 * other object.
 */
constraint_kind constraint_kind_of(validation_state *state, PyObject *obj);

/* new: one of our types' instance; ValueError or TypeError for bad arguments.
 * other is NULL but for Length.
 */
PyObject *constraint_new(validation_state *state, constraint_kind kind,
                         PyObject *value, PyObject *other);

/* new: repr(value) for a text; "int of 20000 bits" or "<X object>" where repr
 * raises an Exception (ints have a limit of digits)
 */
PyObject *constraint_repr(PyObject *value);

/* Can nothing be above low and below high? 1, 0, or -1: they do not compare */
int constraint_contradict(PyObject *low, bool low_open, PyObject *high,
                          bool high_open);

/* ---- constraint_facts.c: what an annotation says, taken apart */

typedef struct {
    PyObject *base;        /* owned: the type without Annotated and None */
    PyObject *constraints; /* owned: tuple of our objects, normalised, in order
                              (Regex, Email, Sensitive, Doc among them) */
    PyObject *doc;         /* owned str or NULL */
    bool optional;         /* None is allowed too */
    bool sensitive;
} constraint_facts;

/* 0 or -1; `where` (borrowed str, or NULL) names the annotation's place in
 * errors. Runs Python code.
 */
int constraint_facts_of(validation_state *state, PyObject *annotation,
                        PyObject *where, constraint_facts *facts);
void constraint_facts_clear(constraint_facts *facts);

/* Special forms of typing; the values are what typing_forms holds. */
typedef enum {
    TYPING_NONE,
    TYPING_ANY,
    TYPING_NEVER,
    TYPING_TEXT,  /* LiteralString */
    TYPING_TRUTH, /* TypeGuard, TypeIs */
    TYPING_LITERAL,
    TYPING_UNION,
    TYPING_INNER, /* Final, Required, ReadOnly …: about the place */
    TYPING_CLASS_VAR,
    TYPING_UNPACK,
} typing_form;

/* Make typing's objects known. 0 or -1 */
int constraint_typing(validation_state *state);
/* TYPING_NONE for what is none; -1 with an exception */
int constraint_form(validation_state *state, PyObject *form);
/* new, or NULL without an exception: what X is an alias of (X.__value__), for
 * X a type alias, Alias[...] included. -1: error
 */
int constraint_alias_value(validation_state *state, PyObject *annotation,
                           PyObject **value);
/* A TypeError or ValueError that is set gets "where: " in front. Always -1 */
int constraint_error_where(PyObject *where);

/* ---- constraint_cache.c: annotations met before, by identity */

typedef struct {
    PyObject *key;   /* borrowed; compare only */
    PyObject *guard; /* owned: weak reference to key, or key; NULL: free */
    PyObject *constraints; /* owned or NULL */
    PyObject *plan;        /* owned or NULL */
} constraint_entry;

#define CONSTRAINT_CACHE_WAYS 2
#define CONSTRAINT_CACHE_ROWS 256

typedef struct {
    PyObject_HEAD PyObject *forget; /* owned: called when a key dies */
    constraint_entry entries[CONSTRAINT_CACHE_ROWS][CONSTRAINT_CACHE_WAYS];
} constraint_cache;

static inline size_t
constraint_cache_row(PyObject *key)
{
    uintptr_t word = (uintptr_t)key >> 4;
    return (word ^ (word >> 8)) % CONSTRAINT_CACHE_ROWS;
}

/* borrowed from the cache, or NULL: runs no code */
static inline constraint_entry *
constraint_cache_find(PyObject *cache, PyObject *key)
{
    constraint_entry *row =
        ((constraint_cache *)cache)->entries[constraint_cache_row(key)];
    for (int i = 0; i < CONSTRAINT_CACHE_WAYS; i++) {
        if (row[i].key == key && row[i].guard != NULL
            && (row[i].guard == key || fe_weakref_peek(row[i].guard) == key)) {
            return &row[i];
        }
    }
    return NULL;
}

/* Enter one of constraints and plan (the other NULL) of a key. `strong`: a key
 * without weak references may be kept alive. 0 or -1; runs Python code.
 */
int constraint_cache_add(validation_state *state, PyObject *key,
                         PyObject *constraints, PyObject *plan, bool strong);
/* Forget all annotations. May run Python code. */
void constraint_cache_empty(PyObject *cache);
int constraint_cache_register(PyObject *module, validation_state *state);

#endif
