/* SPDX-License-Identifier: MIT
 *
 * A packet layout: how the fields of a record class lie on the wire. Compiled
 * once per class and byte order (packet_plan.c), kept in the class's annex,
 * read by packet_*.c, lazy*.c and bulk*.c.
 *
 * On the wire fields follow one another in the order of their declaration,
 * without padding.
 */
#ifndef WIRE_PACKET_H
#define WIRE_PACKET_H

#include "record_capi.h"

#define PACKET_UNKNOWN UINT32_MAX
/* nested layouts and tails inside one another */
#define PACKET_DEPTH_MAX 64
/* how many items of no bytes an array may have */
#define PACKET_EMPTY_ITEMS_MAX 65536

typedef struct packet_layout packet_layout;

typedef enum {
    PACKET_SCALAR, /* a number or bool8; kind says which */
    PACKET_BITS, /* `bits` bits of a run of `size` bytes, shifted by `shift` */
    PACKET_FIXED,  /* bytes or str of `size` bytes, FE_BYTES or FE_STR */
    PACKET_SIZED,  /* bytes or str: as many as field `by` says, less `less` */
    PACKET_REST,   /* bytes or str: all that is left; the last field */
    PACKET_NESTED, /* a record */
    PACKET_ARRAY,  /* `count` items, or as many as field `by` says */
    PACKET_TAGGED, /* a record, by the value of field `by` */
} packet_shape;

typedef enum {
    PACKET_NO_SUM,
    PACKET_CRC32,
    PACKET_CRC32C,
    PACKET_INTERNET
} packet_sum;

/* How the bytes of a scalar get into a record's own field and back. */
typedef enum {
    PACKET_COPY_1,
    PACKET_COPY_2,
    PACKET_COPY_4,
    PACKET_COPY_8,
    PACKET_SWAP_2,
    PACKET_SWAP_4,
    PACKET_SWAP_8,
    PACKET_MOVE_BOOL /* reading: 0 or 1, or it is refused */
} packet_move;

/* One field of a layout of scalars only. */
typedef struct {
    uint32_t wire;   /* from the packet's first byte */
    uint32_t record; /* from the record's */
    uint32_t move;   /* packet_move */
} packet_step;

/* One case of a PACKET_TAGGED field. */
typedef struct {
    int64_t tag; /* unsigned tags above INT64_MAX: as two's complement */
    packet_layout *layout; /* owned; NULL: bytes, all that is left */
} packet_case;

typedef struct {
    const record_field *field; /* where the record keeps it: .name, .offset */
    Py_ssize_t index;          /* of the field in the record class */
    uint8_t shape;             /* packet_shape */
    uint8_t kind;  /* fe_kind: of the scalar, of the bytes or text, of an
                      array's items (FE_OBJECT: records, `layout`) */
    uint8_t move;  /* packet_move, of a scalar or of an array's items */
    bool big;      /* byte order of scalar, bits or items */
    bool as_bool;  /* PACKET_BITS: the value is True or False */
    bool as_list;  /* PACKET_ARRAY: a list, not a tuple */
    bool measured; /* some later field is sized, counted or tagged by it */
    uint8_t bits, shift; /* PACKET_BITS: value = run >> shift & mask; a run's
                            fields have the same offset and size */
    bool run_start;      /* PACKET_BITS: the first field of its run */
    uint8_t sum;         /* packet_sum */
    int32_t by;          /* index in fields[] of length, count or tag; -1 */
    int32_t slot; /* measured: its place among those that are; else -1 */
    uint32_t scale, less;  /* bytes = value * scale - less; items: 1, 0 */
    uint32_t offset;       /* from the record's first byte; PACKET_UNKNOWN:
                              something before it has no fixed size */
    uint32_t size;         /* on the wire; PACKET_UNKNOWN: not fixed */
    uint32_t item_size;    /* PACKET_ARRAY; PACKET_UNKNOWN: not fixed */
    uint32_t count;        /* PACKET_ARRAY with by < 0 */
    PyObject *enumeration; /* owned or NULL: an Enum class */
    PyObject *members;     /* owned: dict value -> member, known ones */
    PyObject *tags;        /* owned or NULL: str "1, 2", for messages */
    packet_layout *layout; /* owned or NULL: nested, items, default case */
    packet_case *cases;    /* owned: PACKET_TAGGED, sorted by tag */
    Py_ssize_t case_count;
    bool default_bytes; /* PACKET_TAGGED: unknown tags are bytes */
    int32_t *over;      /* owned: fields a checksum covers, ascending, of a
                           bit run only the first; NULL with over_count 0: all
                           others */
    Py_ssize_t over_count;
} packet_field;

struct packet_layout {
    PyObject_HEAD PyTypeObject *cls; /* owned */
    PyObject *qualname;              /* owned: for messages */
    packet_layout *other; /* owned or NULL: the class in the other order */
    const void *owner;    /* the wire_state it was made by */
    packet_field *fields; /* owned, in order of declaration */
    Py_ssize_t count;
    packet_step *steps; /* owned: all_scalar: count of them */
    int32_t *sums;      /* owned: own checksum fields, in the order in which
                           they are computed */
    Py_ssize_t sum_count;
    Py_ssize_t slot_count;  /* measured fields */
    uint32_t size;          /* on the wire; PACKET_UNKNOWN: not fixed */
    uint32_t minimum;       /* no packet is shorter */
    bool big;               /* order it was compiled for */
    bool all_scalar;        /* only PACKET_SCALAR fields without an Enum */
    bool boxed;             /* some field is an object slot of the record */
    bool open;              /* ends with all that is left */
    bool summed;            /* has a checksum, itself or nested */
    bool empties;           /* an array of items of no bytes, likewise */
    bool plain;             /* record_capi.is_plain when compiled */
    int depth;              /* of nesting; 1: none */
    struct lazy_plan *lazy; /* owned or NULL: what lazy_plan.c made of it */
};

/* Where in the outermost record something is, for messages: on the stack. */
typedef struct packet_path {
    const struct packet_path *outer; /* NULL: `layout` is the outermost */
    const packet_layout *layout;
    const packet_field *field;
    Py_ssize_t item; /* of an array; -1 */
} packet_path;

struct wire_state;

#define PACKET_STATE(X)                                                       \
    X(PyTypeObject *, layout_type)                                            \
    X(PyObject *, enum_type)    /* enum.Enum */                               \
    X(PyObject *, str_metadata) /* __metadata__ */                            \
    X(PyObject *, str_origin)   /* __origin__ */                              \
    X(PyObject *, str_args)     /* __args__ */                                \
    X(PyObject *, str_class)    /* __class__ */                               \
    X(PyObject *, str_parts)                                                  \
    X(PyObject *, str_where)                                                  \
    X(PyObject *, str_value)                                                  \
    X(PyObject *, wire_error) /* WireError */                                 \
    X(PyObject *, bits_mark)  /* the classes of the markers */                \
    X(PyObject *, count_mark)                                                 \
    X(PyObject *, sized_mark)                                                 \
    X(PyObject *, tagged_mark)                                                \
    X(PyObject *, crc32_mark)                                                 \
    X(PyObject *, crc32c_mark)                                                \
    X(PyObject *, internet_mark)

/* packet_plan.c */
/* borrowed from the class (take a reference before anything that may run
 * Python code): its layout in its own order; `function` is for the TypeError
 * of what is no layout. */
packet_layout *packet_layout_of(struct wire_state *state, PyObject *cls,
                                const char *function);

/* packet_type.c */
extern PyType_Spec packet_layout_spec;
/* new: of a class, without fields yet */
packet_layout *packet_layout_new(struct wire_state *state, PyTypeObject *cls,
                                 bool big);
/* 1: *chosen is the case's layout, NULL for bytes; 0: no such tag */
int packet_choose(const packet_field *field, int64_t tag,
                  packet_layout **chosen);

/* packet_error.c */
/* Set WireError: "Class.field: byte 4: wanted 2 bytes, had 1"; -1. */
int packet_short(struct wire_state *state, const packet_path *path,
                 Py_ssize_t offset, Py_ssize_t wanted, Py_ssize_t had);
/* The same with any objects, stolen (NULL: an exception is set); -1. */
int packet_refuse(struct wire_state *state, const packet_path *path,
                  Py_ssize_t offset, PyObject *wanted, PyObject *had);
/* new: a value of the field, stolen, as an error may show it: *** if it is
 * sensitive. NULL stays NULL. */
PyObject *packet_shown(const packet_field *field, PyObject *value);
/* new: str "Class.field.inner[3].last" */
PyObject *packet_where(const packet_path *path);

/* packet_read.c */
/* Bytes being read. */
typedef struct {
    struct wire_state *state;
    const uint8_t *data;
    Py_ssize_t length;
    bool stable; /* exactly bytes: nobody writes meanwhile */
} packet_source;

/* new: the record at `at`; *end: where it ended. NULL with WireError. Every
 * length is read once. `outer`: where it is nested, or NULL. */
PyObject *packet_read(const packet_source *source, const packet_layout *layout,
                      Py_ssize_t at, const packet_path *outer,
                      Py_ssize_t *end);
/* new: the value of one field of which place and size are known; `by`: the
 * number of its field `by`, if it has one */
PyObject *packet_value(const packet_source *source,
                       const packet_layout *layout, const packet_field *field,
                       Py_ssize_t at, Py_ssize_t size, int64_t by,
                       const packet_path *outer);

/* packet_measure.c */
/* Where the record at `at` ends, without making anything; -1 with WireError.
 * Lengths, counts and tags are checked, values and checksums are not. */
Py_ssize_t packet_measure(const packet_source *source,
                          const packet_layout *layout, Py_ssize_t at,
                          const packet_path *outer);
/* How many bytes the field at `at` takes, all of them there; -1 with
 * WireError. `by`: the value of its field `by`, if it has one. */
Py_ssize_t packet_extent(const packet_source *source,
                         const packet_layout *layout,
                         const packet_field *field, Py_ssize_t at, int64_t by,
                         const packet_path *outer);
/* The number of a measured field (u64 as two's complement). */
int64_t packet_number_at(const packet_field *field, const uint8_t *at);

/* packet_sum.c */
/* Compare the checksums of the record at `at`. starts[i]: where field i lies,
 * up to starts[i + 1] (a bit run at its first field, the others empty); NULL:
 * the layout's size is fixed. 0, or -1 with WireError. */
int packet_verify(const packet_source *source, const packet_layout *layout,
                  Py_ssize_t at, const Py_ssize_t *starts,
                  const packet_path *outer);
/* Is the checksum in field `index` right? No Python, no lock; starts: as
 * above, not NULL. */
bool packet_sum_right(const struct wire_state *state,
                      const packet_layout *layout, Py_ssize_t index,
                      const uint8_t *data, const Py_ssize_t *starts);
/* Compute them, and write them. */
void packet_seal(const struct wire_state *state, const packet_layout *layout,
                 uint8_t *data, Py_ssize_t at, const Py_ssize_t *starts);

/* packet_write.c */
/* new: bytes of a record, or of a view of one. NULL with ValueError, TypeError
 * or OverflowError naming class and field. */
PyObject *packet_write(struct wire_state *state, const packet_layout *layout,
                       PyObject *record);
/* Write one value where a field lies, `size` bytes; nothing on failure. Of a
 * bit run only the field's own bits. `by` as for packet_value. */
int packet_put(struct wire_state *state, const packet_layout *layout,
               const packet_field *field, uint8_t *at, Py_ssize_t size,
               int64_t by, PyObject *value, const packet_path *outer);

int packet_register(PyObject *module, struct wire_state *state);

#endif
