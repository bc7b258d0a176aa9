/* SPDX-License-Identifier: MIT
 *
 * State and private structures of the records room.
 */
#ifndef RECORDS_STATE_H
#define RECORDS_STATE_H

#include "args.h"
#include "field_check.h"
#include "numeric.h"
#include "record_capi.h"
#include "record_layout.h"
#include "state.h"
#include "text.h"

/* Fields start right after the object's header. */
#define RECORDS_HEADER ((uint32_t)sizeof(PyObject))
#define RECORDS_SIZE_MAX (1 << 20)     /* of one Size(n) */
#define RECORDS_INSTANCE_MAX (1 << 26) /* of one record; offsets are u32 */

/* One entry of the constructor: a parameter, or a field the constructor sets
 * by itself (init=False with a default).
 */
typedef struct {
    PyObject *name;          /* borrowed from the Field */
    PyObject *default_value; /* owned or NULL */
    PyObject *factory;       /* owned or NULL */
    int32_t field;           /* index in fields[]; -1: an InitVar */
} record_param;

/* Free bytes between fields, for later fields that fit. */
typedef struct {
    uint32_t start;
    uint32_t stop;
} record_hole;

typedef struct {
    uint32_t end; /* first byte after the last field */
    uint32_t alignment;
    uint32_t hole_count;
    record_hole *holes; /* owned; by address */
} record_space;

/* What checks the values of a field, beside fields[]. */
typedef struct {
    const fe_field_check *how; /* NULL: nothing does */
    PyObject *check;           /* owned; NULL: the collector took it */
} record_check;

/* A field by which instances with checked fields are written. */
typedef struct {
    PyObject *name; /* borrowed from the field */
    record_field field;
    const fe_field_check *how;
    PyObject *check; /* borrowed from checks[] */
} record_slot;

/* Options of a class, in the order of record_option_names[]. */
typedef struct {
    bool frozen, order, eq, repr, init, unsafe_hash, match_args, kw_only;
    bool weakref, sealed, packed;
    int8_t gc;     /* -1: by the fields */
    int8_t endian; /* 0 native, 1 little, 2 big */
} record_options;

/* Everything a class knows of its fields; made before the class, bound to it
 * by __set_name__, so that __init_subclass__ already sees a whole record.
 * Lives as long as the class; tp_clear only drops what users put in.
 */
typedef struct {
    PyObject_HEAD PyObject *qualname; /* owned: for messages */
    PyObject *by_name;                /* owned: dict name -> Field, in order */
    PyObject *init;                   /* owned: its __init__ object, or NULL */
    PyObject *restore;     /* owned: bound _restore, made when pickling */
    PyObject *cached;      /* owned: tuple of names of cached properties */
    PyObject *field_tuple; /* owned: fields(cls), made when asked */
    record_field *fields;  /* stored fields, base's first */
    Py_ssize_t field_count;
    record_param *params; /* parameters, then self-set fields */
    Py_ssize_t param_count;
    Py_ssize_t positional_count; /* the rest of the parameters: keyword only */
    Py_ssize_t entry_count;      /* params[] in all */
    uint32_t *objects; /* offsets of every object slot, hidden ones too */
    Py_ssize_t object_count;
    PyMemberDef *members; /* of this class's own object fields */
    record_field *lookup; /* hash table of fields for record_getattro_fast */
    uint32_t lookup_mask;
    record_check *checks; /* beside fields[]; NULL: no field is checked */
    record_slot *slots;   /* hash table of fields for tp_setattro, or NULL */
    uint32_t slots_mask;
    struct array_layout *rows;    /* owned: made by the first array */
    struct table_schema *columns; /* owned: made by the first table */
    PyObject *annex; /* owned or NULL: what the wire room made of the class */
    record_space space;
    record_options options;
    /* How many leading fields take part: a class without, say, its own repr
     * inherits its base's, which knows the base's fields only. */
    Py_ssize_t eq_fields, order_fields, hash_fields, repr_fields;
    bool simple;    /* parameters are exactly the fields, nothing else */
    bool bare;      /* instances hold the fields and nothing else */
    bool post_init; /* has __post_init__ */
    bool has_initvars;
    bool methods;      /* defines something callable: no fast getattro */
    bool stated;       /* some option was given */
    bool decorated;    /* made by @record: subclasses are plain classes */
    bool checked;      /* some field is or was checked: all have checks[] */
    bool plain;        /* an undecorated subclass of a decorated record */
    bool own_weaklist; /* the layout holds the weak reference list */
    bool sensitive;    /* some field is */
} record_plan;

typedef struct records_state records_state;

/* Instances of RecordMeta: a type and what construction needs at once. */
typedef struct {
    PyHeapTypeObject heap;
    records_state *state; /* borrowed from module */
    PyObject *module;     /* owned: keeps state */
    record_plan *plan;    /* owned; NULL until bound */
    record_plan *failed;  /* owned: descriptors point into it */
    PyObject *free_list;  /* dead instances linked by their first word */
    uint32_t free_count;
    bool mixed;   /* has a __dict__ or CPython's own weak list */
    bool gc;      /* compact instances have a collector header */
    bool recycle; /* dead instances go to the free list */
    bool quick;   /* compact, and nothing but fields to see to at the end */
} record_class;

#define RECORD_CLASS(type) ((record_class *)(type))
#define RECORD_PLAN(obj) (RECORD_CLASS(Py_TYPE(obj))->plan)

/* Is the type made by RecordMeta? RecordBase, for one, is not. */
static inline bool
records_has_plan(PyTypeObject *type)
{
    return Py_TYPE(type)->tp_basicsize >= (Py_ssize_t)sizeof(record_class)
           && RECORD_CLASS(type)->plan != NULL;
}

/* An object that assigns its own fields in __post_init__ although frozen. */
typedef struct record_thaw {
    PyObject *record;
    unsigned long thread;
    struct record_thaw *outer;
} record_thaw;

#define RECORDS_STATE(X)                                                      \
    X(PyTypeObject *, meta_type)                                              \
    X(PyTypeObject *, checked_meta_type)                                      \
    X(PyTypeObject *, base_type)                                              \
    X(PyTypeObject *, record_type)                                            \
    X(PyTypeObject *, plan_type)                                              \
    X(PyTypeObject *, binder_type)                                            \
    X(PyTypeObject *, field_type)                                             \
    X(PyTypeObject *, storage_type)                                           \
    X(PyTypeObject *, size_type)                                              \
    X(PyTypeObject *, unboxed_type)                                           \
    X(PyTypeObject *, cached_type)                                            \
    X(PyTypeObject *, init_type)                                              \
    X(PyTypeObject *, lazy_type)                                              \
    X(PyTypeObject *, array_type)                                             \
    X(PyTypeObject *, row_type)                                               \
    X(PyTypeObject *, cells_type)                                             \
    X(PyTypeObject *, table_type)                                             \
    X(PyTypeObject *, dictionary_type)                                        \
    X(PyTypeObject *, column_type)                                            \
    X(PyTypeObject *, coded_type)                                             \
    X(PyObject *, empty_tuple)                                                \
    X(PyObject *, frozen_setattr)                                             \
    X(PyObject *, frozen_delattr)                                             \
    X(PyObject *, methods)                                                    \
    X(PyObject *, restore_array)                                              \
    X(PyObject *, restore_table)                                              \
    X(PyObject *, sensitive_marks)                                            \
    X(PyObject *, lazy_doc)                                                   \
    X(PyObject *, str_annotations)                                            \
    X(PyObject *, str_binder)                                                 \
    X(PyObject *, str_cached_property)                                        \
    X(PyObject *, str_class_meta)                                             \
    X(PyObject *, str_dataclass_fields)                                       \
    X(PyObject *, str_deepcopy)                                               \
    X(PyObject *, str_default)                                                \
    X(PyObject *, str_default_factory)                                        \
    X(PyObject *, str_delattr)                                                \
    X(PyObject *, str_dict)                                                   \
    X(PyObject *, str_doc)                                                    \
    X(PyObject *, str_eq)                                                     \
    X(PyObject *, str_field_check)                                            \
    X(PyObject *, str_func)                                                   \
    X(PyObject *, str_getstate)                                               \
    X(PyObject *, str_hash)                                                   \
    X(PyObject *, str_init)                                                   \
    X(PyObject *, str_match_args)                                             \
    X(PyObject *, str_metadata)                                               \
    X(PyObject *, str_module)                                                 \
    X(PyObject *, str_new)                                                    \
    X(PyObject *, str_origin)                                                 \
    X(PyObject *, str_post_init)                                              \
    X(PyObject *, str_qualname)                                               \
    X(PyObject *, str_reduce)                                                 \
    X(PyObject *, str_restore)                                                \
    X(PyObject *, str_setattr)                                                \
    X(PyObject *, str_setstate)                                               \
    X(PyObject *, str_slots)

/* The capsule's struct, and whose it is. */
typedef struct {
    fe_records_capi table; /* first */
    records_state *state;
} record_capi;

struct records_state {
    RECORDS_STATE(FE_STATE_FIELD)
    record_capi capi;
    PyObject **pending; /* dead records waiting to be freed; PyMem */
    size_t pending_count, pending_room;
    int dealloc_depth;
    record_thaw *thawed;
    /* CPython's dealloc, traverse and clear for classes with a __dict__ */
    destructor subtype_dealloc;
    traverseproc subtype_traverse;
    inquiry subtype_clear;
};

/* record_kind.c: values in and out of unboxed storage */
extern const char *const fe_kind_names[FE_KIND_COUNT];
uint32_t records_kind_size(fe_kind kind); /* 0: given by Size */
uint32_t records_kind_alignment(fe_kind kind);
/* the cold conversion: any kind but FE_OBJECT, any value */
int records_store_slow(PyObject *qualname, const record_field *field, char *at,
                       PyObject *value);
int records_compare_unboxed(const record_field *field, const char *a,
                            const char *b, int op, int *equal);
Py_hash_t records_hash_unboxed(const record_field *field, const char *at);
PyObject *records_unset(PyObject *obj, const record_field *field);
PyObject *records_shown(const record_field *field, PyObject *value);
void records_refuse_given(const record_plan *plan, const char *function,
                          const char *before, const char *after,
                          PyObject *given);

/* Write an unboxed field: the common values inline, the rest called. */
FE_INLINE int
records_store(PyObject *qualname, const record_field *field, char *at,
              PyObject *value)
{
    if (field->kind == FE_I64 && PyLong_CheckExact(value)) {
        int64_t number;
        if (FE_LIKELY(fe_long_in_place(value, &number))) {
            memcpy(at, &number, sizeof(number));
            return 0;
        }
    }
    else if (field->kind == FE_F64 && PyFloat_CheckExact(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        memcpy(at, &number, sizeof(number));
        return 0;
    }
    return records_store_slow(qualname, field, at, value);
}

/* Where the search for an interned name begins in a table of mask + 1. */
static inline uint32_t
records_lookup_start(PyObject *name, uint32_t mask)
{
    uintptr_t p = (uintptr_t)name;
    return (uint32_t)(p >> 4 ^ p >> 10) & mask;
}

/* record_check.c: fields whose values are checked */
int records_find_check(records_state *state, PyObject *obj,
                       const fe_field_check **how);
int records_checks_join(records_state *state, record_plan *plan,
                        PyObject *bases, const record_class *base);
int records_checks_bind(record_class *cls, const record_class *base);
void records_checks_clear(record_plan *plan);
int records_check_value(const record_plan *plan, Py_ssize_t index,
                        PyObject *value);
int records_check_restored(const record_plan *plan, Py_ssize_t index,
                           PyObject *value);
int records_check_cell(const record_plan *plan, Py_ssize_t index,
                       PyObject *value);
int records_check_bound(const record_plan *plan, PyObject *const *values);
void records_fill_unset(const record_plan *plan, PyObject *self);
int records_setattr_checked(PyObject *self, PyObject *name, PyObject *value);
int records_refresh_slots(record_class *cls);
PyObject *records_checked_getattro(PyObject *op, PyObject *name);
PyObject *records_checked_meta(records_state *state, PyObject *given);
int records_check_written(records_state *state, PyObject *where,
                          PyObject *bases, PyObject *namespace);

/* May the value be written to the field? 0, or -1 with an exception. */
FE_INLINE int
records_check(const record_plan *plan, Py_ssize_t index, PyObject *value)
{
    return FE_LIKELY(plan->checks == NULL)
               ? 0
               : records_check_value(plan, index, value);
}

/* record.c: instances */
PyObject *records_alloc_fresh(record_class *cls);
PyObject *records_alloc_zeroed(record_class *cls);
void records_track(record_class *cls, PyObject *self);
void records_discard(PyObject *self);
void records_dealloc(PyObject *self);
void records_drain_free_list(record_class *cls);
int records_traverse(PyObject *self, visitproc visit, void *arg);
int records_clear(PyObject *self);
PyObject *records_load(PyObject *self, const record_field *field);
int records_plan_lookup(record_plan *plan);
PyObject *records_getattro_fast(PyObject *self, PyObject *name);
PyObject *records_richcompare(PyObject *self, PyObject *other, int op);
Py_hash_t records_hash(PyObject *self);
PyObject *records_repr(PyObject *self);

/* new: an instance whose payload is NOT initialised (mixed: zeroed), and not
 * yet tracked by the collector (mixed: tracked).
 */
FE_INLINE PyObject *
records_alloc(record_class *cls)
{
#ifndef FE_NO_FREELIST
    PyObject *self = cls->free_list;
    if (FE_LIKELY(self != NULL)) {
        cls->free_list = fe_dead_link_take(self);
        cls->free_count--;
        return fe_revive(self, &cls->heap.ht_type);
    }
#endif
    return records_alloc_fresh(cls);
}

/* record_access.c: descriptors */
extern PyType_Spec records_unboxed_spec, records_cached_spec;
PyObject *records_unboxed_new(records_state *state, PyTypeObject *owner,
                              const record_field *field);
bool records_unboxed_is(PyObject *obj, const record_field *field);
PyObject *records_cached_new(records_state *state, PyObject *name,
                             PyObject *property);
int records_cached_bind(PyObject *cached, PyTypeObject *owner,
                        uint32_t offset);

/* record_init.c: construction */
extern PyType_Spec records_init_spec;
PyObject *records_vectorcall(PyObject *type, PyObject *const *args,
                             size_t nargsf, PyObject *kwnames);
PyObject *records_from_values(record_class *cls, PyObject *const *values);
PyObject *records_init_new(records_state *state);
void records_init_bind(PyObject *init, PyTypeObject *owner);
int records_thawed(records_state *state, PyObject *record);
/* __post_init__ with the defaults of InitVars. 0, or -1. */
int records_post_init(record_class *cls, PyObject *self);

/* record_capi.c */
int records_capi_register(PyObject *module, records_state *state);

/* record_copy.c: records made of records */
bool records_is_atomic(PyObject *value);
PyObject *records_deepcopy_value(records_state *state, PyObject *value,
                                 PyObject *memo);
PyObject *records_copy(PyObject *self, PyObject *ignored);
PyObject *records_deepcopy(PyObject *self, PyObject *memo);
PyObject *records_replace(PyObject *self, PyObject *const *values,
                          PyObject *kwnames);
PyObject *records_replace_method(PyObject *self, PyObject *const *args,
                                 Py_ssize_t nargs, PyObject *kwnames);
PyObject *records_reduce_ex(PyObject *self, PyObject *protocol);
PyObject *records_getstate(PyObject *self, PyObject *ignored);
PyObject *records_setstate(PyObject *self, PyObject *given);
PyObject *records_restore(PyObject *cls, PyObject *const *args,
                          Py_ssize_t nargs);

/* record_convert.c: fields, asdict, astuple, replace */
extern PyMethodDef records_convert_methods[];

/* record_describe.c: signature, docstring, layout */
extern PyType_Spec records_lazy_spec;
extern PyMethodDef records_describe_methods[];
PyObject *records_signature(PyObject *cls, bool with_self);
int records_describe_setup(records_state *state);

/* record_scan.c: from a class body to Fields */
int records_plan_collect(records_state *state, record_plan *plan,
                         PyObject *namespace, PyObject *annotations,
                         PyObject *locals);

/* record_plan.c: places and parameters */
extern PyType_Spec records_plan_spec;
record_plan *records_plan_new(records_state *state);
record_plan *records_plan_copy(records_state *state, const record_plan *base);
const record_field *records_find_field(const record_plan *plan,
                                       PyObject *name);
int records_plan_params(record_plan *plan);
int records_plan_place(record_plan *plan, uint32_t tail);
int records_plan_add_object(record_plan *plan, uint32_t *offset);
int records_space_reserve(record_space *space, uint32_t size,
                          uint32_t alignment, uint32_t *offset);

/* A class body's first entry: its __set_name__ gives the class its layout.
 * While type.__new__ looks at the bases, the verified prefixes among them
 * stand in `flattened`, with their true sizes beside.
 */
typedef struct {
    PyObject_HEAD record_plan *plan; /* owned; handed over to the class */
    PyObject *error;     /* owned: what went wrong in __set_name__ */
    record_class *base;  /* borrowed: for the statement's time */
    PyObject *flattened; /* owned: list of classes */
    PyObject *sizes;     /* owned: list of their sizes */
    bool collecting;     /* the collector was on */
} binder_object;

/* record_class.c: the class statement */
bool records_is_class(records_state *state, PyObject *obj);
void records_binder_unflatten(binder_object *binder);
PyObject *records_meta_new(PyObject *module, PyObject *args, PyObject *kwargs);

/* record_bind.c: layout of a class, RecordMeta */
extern PyType_Spec records_binder_spec, records_meta_spec;
extern PyType_Spec records_checked_meta_spec;
int records_class_refresh(record_class *cls);
PyObject *records_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);

/* record_base.c: the base type and Record */
extern PyType_Spec records_base_spec;
int records_base_setup(PyObject *module, records_state *state);

/* records_module.c */
records_state *records_get_state(PyObject *module);
records_state *records_state_of_type(PyTypeObject *type);

/* record_field.c: Field, Storage, Size */
extern PyType_Spec records_field_spec, records_storage_spec, records_size_spec;
extern PyMethodDef records_field_methods[];
typedef enum { ROLE_FIELD, ROLE_INITVAR, ROLE_CLASSVAR } record_role;
typedef struct {
    PyObject_HEAD PyObject *name; /* owned or NULL */
    PyObject *type;               /* owned or NULL */
    PyObject *meaning;         /* owned or NULL: the annotation, evaluated */
    PyObject *default_value;   /* owned or NULL: no default */
    PyObject *factory;         /* owned or NULL */
    PyObject *metadata;        /* owned: mapping or None */
    PyObject *check;           /* owned or NULL: what checks its values */
    const fe_field_check *how; /* how it is asked */
    char init, repr, compare;
    int8_t hash;    /* -1: as compare */
    int8_t kw_only; /* -1: as the class */
    uint8_t role, kind;
    bool resolved;
    bool sensitive;
    uint32_t size;
} field_object;
typedef struct {
    PyObject_HEAD uint32_t size; /* Size: n */
    uint8_t kind;                /* Storage: its kind */
} storage_object;
field_object *records_field_new(records_state *state);
field_object *records_field_copy(records_state *state, const field_object *);
field_object *records_field_adopt(records_state *state, PyObject *foreign);
int records_field_storage(records_state *state, field_object *field,
                          PyObject *annotation, PyObject *where, bool packed);
#endif
