/* SPDX-License-Identifier: MIT
 *
 * From an annotation to one field of a layout: what it is and how large, but
 * not where it lies. Annotations are objects of users and of typing, read by
 * their attributes: any of that may run Python code.
 */
#include "packet_number.h"
#include "packet_plan.h"

static const uint8_t kind_sizes[FE_KIND_COUNT] = {
    [FE_I8] = 1,  [FE_U8] = 1,  [FE_BOOL8] = 1, [FE_I16] = 2,
    [FE_U16] = 2, [FE_I32] = 4, [FE_U32] = 4,   [FE_F32] = 4,
    [FE_I64] = 8, [FE_U64] = 8, [FE_F64] = 8,
};

static int
refuse_annotation(const packet_plan *plan, const packet_field *field,
                  PyObject *meaning)
{
    return packet_plan_refuse(plan, field, "no wire layout for %R", meaning);
}

/* ---- annotations */

/* 1: *metadata is a new tuple and *origin new; 0: not Annotated; -1 */
static int
take_apart(const wire_state *state, PyObject *obj, PyObject **metadata,
           PyObject **origin)
{
    *metadata = *origin = NULL;
    if (PyType_Check(obj)) {
        return 0;
    }
    int found = PyObject_GetOptionalAttr(obj, state->str_metadata, metadata);
    if (found > 0 && PyTuple_Check(*metadata)) {
        found = PyObject_GetOptionalAttr(obj, state->str_origin, origin);
        if (found > 0) {
            return 1;
        }
    }
    Py_CLEAR(*metadata);
    return found < 0 ? -1 : 0;
}

/* The kind of a storage marker, or of an alias like u8; FE_OBJECT: neither.
 * -1 with an exception */
static int
storage_of(const wire_state *state, PyObject *marker)
{
    uint32_t kind, size;
    if (state->records->storage(state->records, marker, &kind, &size) == 1) {
        return (int)kind;
    }
    PyObject *metadata, *origin;
    int found = take_apart(state, marker, &metadata, &origin);
    if (found <= 0) {
        return found < 0 ? -1 : FE_OBJECT;
    }
    int result = FE_OBJECT;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(metadata); i++) {
        PyObject *item = PyTuple_GET_ITEM(metadata, i);
        if (state->records->storage(state->records, item, &kind, &size) == 1) {
            result = (int)kind;
        }
    }
    Py_DECREF(metadata);
    Py_DECREF(origin);
    return result;
}

/* Which marker is it? */
static packet_mark
mark_of(const wire_state *state, PyObject *obj, uint8_t *sum)
{
    const struct {
        PyObject *type;
        uint8_t mark, sum;
    } marks[] = {
        {state->bits_mark, MARK_BITS, 0},
        {state->count_mark, MARK_COUNT, 0},
        {state->sized_mark, MARK_SIZED, 0},
        {state->tagged_mark, MARK_TAGGED, 0},
        {state->crc32_mark, MARK_SUM, PACKET_CRC32},
        {state->crc32c_mark, MARK_SUM, PACKET_CRC32C},
        {state->internet_mark, MARK_SUM, PACKET_INTERNET},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(marks); i++) {
        if (PyObject_TypeCheck(obj, (PyTypeObject *)marks[i].type)) {
            *sum = marks[i].sum;
            return marks[i].mark;
        }
    }
    return MARK_NONE;
}

static int
read_marker(packet_plan *plan, const packet_field *field, PyObject *meaning,
            PyObject *item, packet_annotation *annotation)
{
    uint8_t sum = PACKET_NO_SUM;
    packet_mark mark = mark_of(plan->state, item, &sum);
    if (mark == MARK_NONE) {
        int kind = storage_of(plan->state, item);
        if (kind >= 0 && kind != FE_OBJECT) {
            annotation->kind = (uint8_t)kind;
        }
        return kind < 0 ? -1 : 0;
    }
    if (annotation->mark != MARK_NONE) {
        return refuse_annotation(plan, field, meaning);
    }
    annotation->mark = mark;
    annotation->sum = sum;
    annotation->parts = PyObject_GetAttr(item, plan->state->str_parts);
    static const uint8_t counts[] = {[MARK_BITS] = 1,
                                     [MARK_COUNT] = 1,
                                     [MARK_SIZED] = 3,
                                     [MARK_TAGGED] = 3,
                                     [MARK_SUM] = 1};
    if (annotation->parts != NULL
        && (!PyTuple_Check(annotation->parts)
            || PyTuple_GET_SIZE(annotation->parts) != counts[mark])) {
        return refuse_annotation(plan, field, meaning);
    }
    return annotation->parts != NULL ? 0 : -1;
}

int
packet_annotation_read(packet_plan *plan, const packet_field *field,
                       PyObject *meaning, packet_annotation *annotation)
{
    PyObject *metadata;
    *annotation = (packet_annotation){.kind = FE_OBJECT};
    int found =
        take_apart(plan->state, meaning, &metadata, &annotation->origin);
    if (found == 0) {
        annotation->origin = Py_NewRef(meaning);
    }
    int status = found < 0 ? -1 : 0;
    for (Py_ssize_t i = 0;
         found > 0 && status == 0 && i < PyTuple_GET_SIZE(metadata); i++) {
        status = read_marker(plan, field, meaning,
                             PyTuple_GET_ITEM(metadata, i), annotation);
    }
    Py_XDECREF(metadata);
    if (status < 0) {
        packet_annotation_drop(annotation);
    }
    return status;
}

void
packet_annotation_drop(packet_annotation *annotation)
{
    Py_CLEAR(annotation->origin);
    Py_CLEAR(annotation->parts);
}

/* ---- enumerations */

bool
packet_is_enum(const wire_state *state, PyObject *obj)
{
    return PyType_Check(obj)
           && PyType_IsSubtype((PyTypeObject *)obj,
                               (PyTypeObject *)state->enum_type);
}

/* Does the kind hold whole numbers? */
static bool
is_integer(int kind)
{
    return kind >= FE_I8 && kind <= FE_U64;
}

static int
add_member(PyObject *members, PyObject *member)
{
    PyObject *value = fe_getattr(member, "value");
    int status = value == NULL         ? -1
                 : PyLong_Check(value) ? PyDict_SetItem(members, value, member)
                                       : 0;
    Py_XDECREF(value);
    return status;
}

/* new: dict of the members by their numbers. By __members__ (aliases are the
 * same members): iterating over the class makes a generator, which CPython
 * 3.12 does not survive without memory. */
static PyObject *
members_of(PyObject *enumeration)
{
    PyObject *names = fe_getattr(enumeration, "__members__");
    PyObject *each = names != NULL ? PyMapping_Values(names) : NULL;
    PyObject *members = each != NULL ? PyDict_New() : NULL;
    for (Py_ssize_t i = 0; members != NULL && i < PyList_GET_SIZE(each); i++) {
        PyObject *member = Py_NewRef(PyList_GET_ITEM(each, i));
        if (add_member(members, member) < 0) {
            Py_CLEAR(members);
        }
        Py_DECREF(member);
    }
    Py_XDECREF(each);
    Py_XDECREF(names);
    return members;
}

/* The values of an Enum: enumeration and members of the field. */
static int
packet_take_enum(packet_field *field, PyObject *enumeration)
{
    field->enumeration = Py_NewRef(enumeration);
    field->members = members_of(enumeration);
    return field->members != NULL ? 0 : -1;
}

/* ---- numbers */

static uint8_t
move_of(int kind, bool big)
{
    bool swap = big != PACKET_NATIVE_BIG;
    switch (kind_sizes[kind]) {
    case 2:
        return swap ? PACKET_SWAP_2 : PACKET_COPY_2;
    case 4:
        return swap ? PACKET_SWAP_4 : PACKET_COPY_4;
    case 8:
        return swap ? PACKET_SWAP_8 : PACKET_COPY_8;
    default:
        return kind == FE_BOOL8 ? PACKET_MOVE_BOOL : PACKET_COPY_1;
    }
}

static void
set_scalar(packet_field *field, int kind)
{
    field->shape = PACKET_SCALAR;
    field->kind = (uint8_t)kind;
    field->move = move_of(kind, field->big);
    field->size = kind_sizes[kind];
}

static int
fill_bits(packet_plan *plan, packet_field *field,
          const packet_annotation *annotation, PyObject *meaning)
{
    long bits = PyLong_AsLong(PyTuple_GET_ITEM(annotation->parts, 0));
    if (bits == -1 && PyErr_Occurred()) {
        return -1;
    }
    PyObject *origin = annotation->origin;
    bool as_bool = origin == (PyObject *)&PyBool_Type;
    bool named = packet_is_enum(plan->state, origin);
    if ((origin != (PyObject *)&PyLong_Type && !as_bool && !named)
        || field->field->kind != FE_OBJECT || bits < 1 || bits > 64
        || (as_bool && bits != 1)) {
        return refuse_annotation(plan, field, meaning);
    }
    field->shape = PACKET_BITS;
    field->bits = (uint8_t)bits;
    field->as_bool = as_bool;
    return named ? packet_take_enum(field, origin) : 0;
}

/* ---- what another field measures */

/* May the field say a length or count (`tag`: choose a tail)? */
static bool
can_measure(const packet_field *field, bool tag)
{
    bool number = field->shape == PACKET_BITS || field->shape == PACKET_SCALAR;
    bool plain = field->enumeration == NULL && !field->as_bool
                 && field->kind != FE_BOOL8;
    bool whole = field->shape == PACKET_BITS || is_integer(field->kind)
                 || field->kind == FE_BOOL8;
    return number && whole && (tag || plain) && field->sum == PACKET_NO_SUM;
}

/* Find the earlier field of the name, and mark it as measured. */
static int
find_measure(packet_plan *plan, packet_field *field, PyObject *name, bool tag)
{
    packet_layout *layout = plan->layout;
    for (Py_ssize_t i = 0; PyUnicode_Check(name) && i < field - layout->fields;
         i++) {
        packet_field *other = &layout->fields[i];
        if (PyUnicode_Compare(other->field->name, name) != 0
            || !can_measure(other, tag)) {
            continue;
        }
        if (!other->measured) {
            other->measured = true;
            other->slot = (int32_t)layout->slot_count++;
        }
        field->by = (int32_t)i;
        return 0;
    }
    return packet_plan_refuse(plan, field, "%R is no integer field before it",
                              name);
}

static int
fill_sized(packet_plan *plan, packet_field *field,
           const packet_annotation *annotation, PyObject *meaning)
{
    PyObject *parts = annotation->parts;
    bool text = annotation->origin == (PyObject *)&PyUnicode_Type;
    if ((!text && annotation->origin != (PyObject *)&PyBytes_Type)
        || field->field->kind != FE_OBJECT) {
        return refuse_annotation(plan, field, meaning);
    }
    long long scale = PyLong_AsLongLong(PyTuple_GET_ITEM(parts, 1));
    long long less =
        PyErr_Occurred() ? -1 : PyLong_AsLongLong(PyTuple_GET_ITEM(parts, 2));
    if (PyErr_Occurred()) {
        return -1;
    }
    if (scale < 1 || scale > 65536 || less < 0 || less > 1 << 30) {
        return refuse_annotation(plan, field, meaning);
    }
    field->shape = PACKET_SIZED;
    field->kind = text ? FE_STR : FE_BYTES;
    field->scale = (uint32_t)scale;
    field->less = (uint32_t)less;
    field->size = PACKET_UNKNOWN;
    return find_measure(plan, field, PyTuple_GET_ITEM(parts, 0), false);
}

/* ---- arrays */

/* new: X of tuple[X, ...] or list[X]; NULL, with an exception or not */
static PyObject *
item_type(const wire_state *state, PyObject *origin, bool *as_list)
{
    PyObject *generic = NULL, *args = NULL, *item = NULL;
    if (PyType_Check(origin)
        || PyObject_GetOptionalAttr(origin, state->str_origin, &generic) <= 0
        || PyObject_GetOptionalAttr(origin, state->str_args, &args) <= 0) {
        Py_XDECREF(generic);
        return NULL;
    }
    *as_list = generic == (PyObject *)&PyList_Type;
    Py_ssize_t count = PyTuple_Check(args) ? PyTuple_GET_SIZE(args) : 0;
    if (*as_list ? count == 1
                 : generic == (PyObject *)&PyTuple_Type && count == 2
                       && PyTuple_GET_ITEM(args, 1) == Py_Ellipsis) {
        item = Py_NewRef(PyTuple_GET_ITEM(args, 0));
    }
    Py_DECREF(args);
    Py_DECREF(generic);
    return item;
}

static int
set_items(packet_plan *plan, packet_field *field, PyObject *meaning,
          PyObject *item)
{
    const wire_state *state = plan->state;
    if (state->records->is_class(state->records, item)) {
        field->layout = packet_compile(plan, field, item, field->big);
        if (field->layout == NULL) {
            return -1;
        }
        if (field->layout->open) {
            return refuse_annotation(plan, field, meaning);
        }
        if (field->layout->empties) { /* two bytes would make 65,535 records */
            return packet_plan_refuse(
                plan, field, "its items have arrays of items of no bytes");
        }
        field->kind = FE_OBJECT;
        field->item_size = field->layout->size;
        return 0;
    }
    packet_annotation inner;
    if (packet_annotation_read(plan, field, item, &inner) < 0) {
        return -1;
    }
    int status = 0;
    bool named = packet_is_enum(state, inner.origin);
    if (inner.mark != MARK_NONE || inner.kind == FE_OBJECT
        || (named && !is_integer(inner.kind))) {
        status = refuse_annotation(plan, field, meaning);
    }
    else {
        set_scalar(field, inner.kind);
        field->item_size = field->size;
        status = named ? packet_take_enum(field, inner.origin) : 0;
    }
    packet_annotation_drop(&inner);
    return status;
}

static int
fill_count(packet_plan *plan, packet_field *field,
           const packet_annotation *annotation, PyObject *meaning)
{
    PyObject *count = PyTuple_GET_ITEM(annotation->parts, 0);
    bool as_list = false;
    if (field->field->kind != FE_OBJECT) {
        return refuse_annotation(plan, field, meaning);
    }
    PyObject *item = item_type(plan->state, annotation->origin, &as_list);
    if (item == NULL) {
        return PyErr_Occurred() ? -1 : refuse_annotation(plan, field, meaning);
    }
    int status = set_items(plan, field, meaning, item);
    Py_DECREF(item);
    field->shape = PACKET_ARRAY;
    field->as_list = as_list;
    field->scale = 1;
    field->size = PACKET_UNKNOWN;
    if (status < 0 || PyUnicode_Check(count)) {
        return status < 0 ? -1 : find_measure(plan, field, count, false);
    }
    unsigned long fixed = PyLong_AsUnsignedLong(count);
    if (fixed == (unsigned long)-1 && PyErr_Occurred()) {
        return -1;
    }
    uint64_t each = field->item_size != PACKET_UNKNOWN ? field->item_size
                    : field->layout != NULL            ? field->layout->minimum
                                                       : 0;
    if (fixed >= PACKET_UNKNOWN || fixed * each >= PACKET_UNKNOWN) {
        return packet_plan_refuse(plan, field, "%lu items are too many",
                                  fixed);
    }
    field->count = (uint32_t)fixed;
    if (field->item_size != PACKET_UNKNOWN) {
        field->size = (uint32_t)(fixed * field->item_size);
    }
    return 0;
}

/* ---- tagged */

/* The number of a tag. 1; 0: it cannot be in the field; -1 */
static int
tag_of_int(PyObject *value, bool unsigned64, int64_t *number)
{
    int overflow;
    *number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (unsigned64 && overflow > 0) {
        *number = (int64_t)PyLong_AsUnsignedLongLong(value);
        if (PyErr_Occurred()) {
            PyErr_Clear(); /* OverflowError: beyond 64 bits */
            return 0;
        }
        return 1;
    }
    return overflow == 0 && !(unsigned64 && *number < 0);
}

/* The same of an int or an Enum member. */
static int
tag_number(packet_plan *plan, const packet_field *field, PyObject *tag,
           bool unsigned64, int64_t *number)
{
    PyObject *value = NULL;
    if (PyLong_Check(tag)) {
        value = Py_NewRef(tag);
    }
    else if (fe_find_attr(tag, "value", &value) < 0) {
        return -1;
    }
    int result =
        value != NULL && PyLong_Check(value)
            ? tag_of_int(value, unsigned64, number)
            : packet_plan_refuse(plan, field, "a tag wants an int, got %s %R",
                                 Py_TYPE(tag)->tp_name, tag);
    Py_XDECREF(value);
    return result;
}

/* new: the layout of what a tag stands for; NULL: bytes, or an exception */
static packet_layout *
case_layout(packet_plan *plan, packet_field *field, PyObject *meaning)
{
    if (meaning == (PyObject *)&PyBytes_Type) {
        return NULL;
    }
    if (!plan->state->records->is_class(plan->state->records, meaning)) {
        packet_plan_refuse(plan, field,
                           "a case wants a record class or bytes, got %R",
                           meaning);
        return NULL;
    }
    return packet_compile(plan, field, meaning, field->big);
}

/* The case at its place; the later of two with one number counts. */
static void
insert_case(packet_field *field, int64_t tag, packet_layout *layout)
{
    Py_ssize_t at = field->case_count;
    while (at > 0 && field->cases[at - 1].tag > tag) {
        at--;
    }
    if (at > 0 && field->cases[at - 1].tag == tag) {
        Py_XSETREF(field->cases[at - 1].layout, layout);
        return;
    }
    memmove(&field->cases[at + 1], &field->cases[at],
            (size_t)(field->case_count - at) * sizeof(packet_case));
    field->cases[at] = (packet_case){tag, layout};
    field->case_count++;
}

static int
fill_cases(packet_plan *plan, packet_field *field, PyObject *items)
{
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    const packet_field *by = &plan->layout->fields[field->by];
    bool unsigned64 = by->shape == PACKET_BITS || by->kind == FE_U64;
    field->cases = PyMem_New(packet_case, (size_t)count + 1);
    if (field->cases == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GET_ITEM(items, i);
        int64_t tag = 0;
        int possible = tag_number(plan, field, PyTuple_GET_ITEM(pair, 0),
                                  unsigned64, &tag);
        packet_layout *layout =
            possible < 0 ? NULL
                         : case_layout(plan, field, PyTuple_GET_ITEM(pair, 1));
        if (layout == NULL && PyErr_Occurred()) {
            return -1;
        }
        if (possible == 0) {
            Py_XDECREF(layout);
            continue;
        }
        insert_case(field, tag, layout);
    }
    return 0;
}

/* new: str "1, 2" */
static PyObject *
tag_names(const packet_field *field, bool unsigned64)
{
    PyObject *names = PyUnicode_FromString("");
    for (Py_ssize_t i = 0; names != NULL && i < field->case_count; i++) {
        const char *between = i > 0 ? ", " : "";
        long long tag = field->cases[i].tag;
        Py_SETREF(names,
                  unsigned64
                      ? PyUnicode_FromFormat("%U%s%llu", names, between,
                                             (unsigned long long)tag)
                      : PyUnicode_FromFormat("%U%s%lld", names, between, tag));
    }
    return names;
}

static int
fill_tagged(packet_plan *plan, packet_field *field,
            const packet_annotation *annotation, PyObject *meaning)
{
    PyObject *fallback = PyTuple_GET_ITEM(annotation->parts, 2);
    field->shape = PACKET_TAGGED;
    field->kind = FE_OBJECT;
    field->size = PACKET_UNKNOWN;
    if (field->field->kind != FE_OBJECT
        || !PyDict_Check(PyTuple_GET_ITEM(annotation->parts, 1))) {
        return refuse_annotation(plan, field, meaning);
    }
    if (find_measure(plan, field, PyTuple_GET_ITEM(annotation->parts, 0), true)
        < 0) {
        return -1;
    }
    /* a tuple: an Enum's `value` is Python code, which could change a list */
    PyObject *list = PyDict_Items(PyTuple_GET_ITEM(annotation->parts, 1));
    PyObject *items = list != NULL ? PyList_AsTuple(list) : NULL;
    int status = items != NULL ? fill_cases(plan, field, items) : -1;
    Py_XDECREF(items);
    Py_XDECREF(list);
    if (status == 0 && fallback != Py_None) {
        field->layout = case_layout(plan, field, fallback);
        field->default_bytes = field->layout == NULL;
        status = field->layout == NULL && PyErr_Occurred() ? -1 : 0;
    }
    const packet_field *by = &plan->layout->fields[field->by];
    field->tags = status == 0 ? tag_names(field, by->shape == PACKET_BITS
                                                     || by->kind == FE_U64)
                              : NULL;
    return field->tags != NULL ? 0 : -1;
}

/* ---- one field */

static int
fill_sum(packet_plan *plan, packet_field *field,
         const packet_annotation *annotation, PyObject *meaning)
{
    static const char *const names[] = {[PACKET_CRC32] = "Crc32",
                                        [PACKET_CRC32C] = "Crc32c",
                                        [PACKET_INTERNET] =
                                            "InternetChecksum"};
    int wanted = annotation->sum == PACKET_INTERNET ? FE_U16 : FE_U32;
    (void)meaning;
    if (field->field->kind != wanted) {
        return packet_plan_refuse(plan, field, "%s stands with u%d",
                                  names[annotation->sum],
                                  wanted == FE_U16 ? 16 : 32);
    }
    set_scalar(field, wanted);
    field->sum = annotation->sum;
    return PyList_Append(plan->overs, PyTuple_GET_ITEM(annotation->parts, 0));
}

/* Without a marker: storage, an Enum, bytes or str at the end, a record. */
static int
fill_plain(packet_plan *plan, packet_field *field,
           const packet_annotation *annotation, PyObject *meaning)
{
    PyObject *origin = annotation->origin;
    int kind = field->field->kind;
    if (kind == FE_BYTES || kind == FE_STR) {
        field->shape = PACKET_FIXED;
        field->kind = (uint8_t)kind;
        field->size = field->field->size;
        return 0;
    }
    if (kind != FE_OBJECT) {
        set_scalar(field, kind);
        return 0;
    }
    if (annotation->kind != FE_OBJECT) {
        if (!packet_is_enum(plan->state, origin)
            || !is_integer(annotation->kind)) {
            return refuse_annotation(plan, field, meaning);
        }
        set_scalar(field, annotation->kind);
        return packet_take_enum(field, origin);
    }
    if (origin == (PyObject *)&PyBytes_Type
        || origin == (PyObject *)&PyUnicode_Type) {
        field->shape = PACKET_REST;
        field->kind = origin == (PyObject *)&PyBytes_Type ? FE_BYTES : FE_STR;
        field->size = PACKET_UNKNOWN;
        return 0;
    }
    if (plan->state->records->is_class(plan->state->records, origin)) {
        field->shape = PACKET_NESTED;
        field->kind = FE_OBJECT;
        field->layout = packet_compile(plan, field, origin, field->big);
        field->size = field->layout != NULL ? field->layout->size : 0;
        return field->layout != NULL ? 0 : -1;
    }
    return refuse_annotation(plan, field, meaning);
}

int
packet_fill(packet_plan *plan, packet_field *field,
            const packet_annotation *annotation, PyObject *meaning)
{
    static int (*const fill[])(packet_plan *, packet_field *,
                               const packet_annotation *, PyObject *) = {
        [MARK_NONE] = fill_plain,    [MARK_BITS] = fill_bits,
        [MARK_COUNT] = fill_count,   [MARK_SIZED] = fill_sized,
        [MARK_TAGGED] = fill_tagged, [MARK_SUM] = fill_sum,
    };
    return fill[annotation->mark](plan, field, annotation, meaning);
}
