/* SPDX-License-Identifier: MIT
 *
 * Is a row what its layout says: bool8, UTF-8 and checksums. Without Python
 * and without the interpreter's lock.
 */
#include "bulk_stream.h"

static bool
field_good(const packet_field *field, const uint8_t *at, size_t size)
{
    switch ((packet_shape)field->shape) {
    case PACKET_SCALAR:
        return field->kind != FE_BOOL8 || *at <= 1;
    case PACKET_FIXED:
    case PACKET_SIZED:
    case PACKET_REST:
        return field->kind != FE_STR || bulk_is_utf8(at, size);
    default:
        return true;
    }
}

bool
bulk_row_good(const bulk_stream *stream, const Py_ssize_t *starts)
{
    const packet_layout *layout = stream->layout;
    const uint8_t *data = stream->source.data;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        if (!field_good(&layout->fields[i], data + starts[i],
                        (size_t)(starts[i + 1] - starts[i]))) {
            return false;
        }
    }
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        if (layout->fields[i].sum != PACKET_NO_SUM
            && !packet_sum_right(stream->state, layout, i, data, starts)) {
            return false;
        }
    }
    return true;
}
