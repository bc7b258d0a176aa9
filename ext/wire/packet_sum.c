/* SPDX-License-Identifier: MIT
 *
 * Checksums in packets: which bytes one covers, what it should be, and what
 * stands there. The arithmetic is checksum_core's.
 */
#include "packet_parts.h"

/* A record whose fields have places. */
typedef struct {
    const wire_state *state;
    const packet_layout *layout;
    const uint8_t *data;
    Py_ssize_t at;
    const Py_ssize_t *starts; /* NULL: size and offsets are fixed */
} sum_record;

static Py_ssize_t
start_of(const sum_record *record, Py_ssize_t index)
{
    if (record->starts != NULL) {
        return record->starts[index];
    }
    return record->at
           + (Py_ssize_t)(index < record->layout->count
                              ? record->layout->fields[index].offset
                              : record->layout->size);
}

static Py_ssize_t
stop_of(const sum_record *record, Py_ssize_t index)
{
    return record->starts != NULL
               ? record->starts[index + 1]
               : start_of(record, index)
                     + (Py_ssize_t)record->layout->fields[index].size;
}

/* A checksum over pieces, so far. */
typedef struct {
    const checksum_functions *functions;
    uint8_t sum; /* packet_sum */
    bool odd;    /* an odd number of bytes so far */
    uint32_t value;
} sum_state;

static uint32_t
fold(uint32_t value)
{
    value = (value & 0xFFFF) + (value >> 16);
    return (value & 0xFFFF) + (value >> 16);
}

static void
add_piece(sum_state *sum, const sum_record *record, Py_ssize_t start,
          Py_ssize_t stop)
{
    if (stop <= start) {
        return;
    }
    const uint8_t *from = record->data + start;
    size_t length = (size_t)(stop - start);
    if (sum->sum == PACKET_CRC32) {
        sum->value = sum->functions->crc32(sum->value, from, length);
        return;
    }
    if (sum->sum == PACKET_CRC32C) {
        sum->value = sum->functions->crc32c(sum->value, from, length);
        return;
    }
    uint32_t piece = fold(sum->functions->internet(0, from, length));
    if (sum->odd) { /* its words lie across: the sum's bytes change places */
        piece = (piece & 0xFF) << 8 | piece >> 8;
    }
    sum->value = fold(sum->value + piece);
    sum->odd ^= length & 1;
}

/* Neighbours are added at once. */
static void
add_covered(sum_state *sum, const sum_record *record,
            const packet_field *field)
{
    Py_ssize_t start = 0, stop = 0;
    for (Py_ssize_t i = 0; i < field->over_count; i++) {
        int32_t part = field->over[i];
        if (start_of(record, part) != stop) {
            add_piece(sum, record, start, stop);
            start = start_of(record, part);
        }
        stop = stop_of(record, part);
    }
    add_piece(sum, record, start, stop);
}

static uint32_t
compute(const sum_record *record, Py_ssize_t index)
{
    const packet_field *field = &record->layout->fields[index];
    sum_state sum = {.functions = record->state->checksums, .sum = field->sum};
    if (field->over == NULL) {
        /* a sum's own two bytes are an even number: left out, not zeroed */
        add_piece(&sum, record, record->at, start_of(record, index));
        add_piece(&sum, record, stop_of(record, index),
                  start_of(record, record->layout->count));
    }
    add_covered(&sum, record, field);
    return field->sum == PACKET_INTERNET ? ~sum.value & 0xFFFF : sum.value;
}

bool
packet_sum_right(const wire_state *state, const packet_layout *layout,
                 Py_ssize_t index, const uint8_t *data,
                 const Py_ssize_t *starts)
{
    const packet_field *field = &layout->fields[index];
    sum_record record = {state, layout, data, starts[0], starts};
    return compute(&record, index)
           == (uint32_t)packet_load_int((fe_kind)field->kind, field->big,
                                        data + starts[index]);
}

static int
refuse_sum(const packet_source *source, const packet_path *path,
           Py_ssize_t offset, uint32_t right, uint32_t had)
{
    static const char *const names[] = {
        [PACKET_CRC32] = "CRC32",
        [PACKET_CRC32C] = "CRC32C",
        [PACKET_INTERNET] = "Internet checksum",
    };
    bool narrow = path->field->sum == PACKET_INTERNET;
    PyObject *wanted = PyUnicode_FromFormat(narrow ? "%s 0x%04x" : "%s 0x%08x",
                                            names[path->field->sum], right);
    return packet_refuse(
        source->state, path, offset, wanted,
        wanted != NULL
            ? packet_shown(path->field, PyUnicode_FromFormat(
                                            narrow ? "0x%04x" : "0x%08x", had))
            : NULL);
}

int
packet_verify(const packet_source *source, const packet_layout *layout,
              Py_ssize_t at, const Py_ssize_t *starts,
              const packet_path *outer)
{
    sum_record record = {source->state, layout, source->data, at, starts};
    for (int32_t i = 0; i < layout->count; i++) {
        const packet_field *field = &layout->fields[i];
        if (field->sum == PACKET_NO_SUM) {
            continue;
        }
        Py_ssize_t offset = start_of(&record, i);
        uint32_t right = compute(&record, i);
        uint32_t had = (uint32_t)packet_load_int(
            (fe_kind)field->kind, field->big, source->data + offset);
        if (FE_UNLIKELY(right != had)) {
            packet_path path = {outer, layout, field, -1};
            return refuse_sum(source, &path, offset, right, had);
        }
    }
    return 0;
}

void
packet_seal(const wire_state *state, const packet_layout *layout,
            uint8_t *data, Py_ssize_t at, const Py_ssize_t *starts)
{
    sum_record record = {state, layout, data, at, starts};
    for (Py_ssize_t i = 0; i < layout->sum_count; i++) {
        const packet_field *field = &layout->fields[layout->sums[i]];
        packet_store_run(data + start_of(&record, layout->sums[i]),
                         field->size, field->big,
                         compute(&record, layout->sums[i]));
    }
}
