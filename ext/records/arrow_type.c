/* SPDX-License-Identifier: MIT
 *
 * Types by their formats: what a table's columns are, what others send and
 * ask for. Extension types count as what they are stored as.
 */
#include "arrow.h"

static const struct {
    char format[3];
    uint8_t shape, kind, size;
} formats[] = {
    {"n", ARROW_NULLS, FE_OBJECT, 0}, {"b", ARROW_BITS, FE_BOOL8, 0},
    {"c", ARROW_CELLS, FE_I8, 1},     {"s", ARROW_CELLS, FE_I16, 2},
    {"i", ARROW_CELLS, FE_I32, 4},    {"l", ARROW_CELLS, FE_I64, 8},
    {"C", ARROW_CELLS, FE_U8, 1},     {"S", ARROW_CELLS, FE_U16, 2},
    {"I", ARROW_CELLS, FE_U32, 4},    {"L", ARROW_CELLS, FE_U64, 8},
    {"f", ARROW_CELLS, FE_F32, 4},    {"g", ARROW_CELLS, FE_F64, 8},
    {"u", ARROW_TEXT32, FE_STR, 0},   {"U", ARROW_TEXT64, FE_STR, 0},
    {"vu", ARROW_VIEWS, FE_STR, 0},   {"z", ARROW_TEXT32, FE_BYTES, 0},
    {"Z", ARROW_TEXT64, FE_BYTES, 0}, {"vz", ARROW_VIEWS, FE_BYTES, 0},
};

static arrow_type
cells_of_bytes(const char *digits)
{
    arrow_type other = {ARROW_OTHER, FE_OBJECT, ARROW_PLAIN, 0};
    uint64_t size = 0;
    for (; *digits != '\0'; digits++) {
        if (*digits < '0' || *digits > '9' || size > INT32_MAX / 10) {
            return other;
        }
        size = size * 10 + (uint64_t)(*digits - '0');
    }
    if (size == 0 || size > INT32_MAX) {
        return other;
    }
    return (arrow_type){ARROW_CELLS, FE_BYTES, ARROW_PLAIN, (uint32_t)size};
}

static arrow_type
type_of_format(const char *format)
{
    if (format != NULL && format[0] == 'w' && format[1] == ':') {
        return cells_of_bytes(format + 2);
    }
    for (size_t i = 0; format != NULL && i < Py_ARRAY_LENGTH(formats); i++) {
        if (strcmp(format, formats[i].format) == 0) {
            return (arrow_type){formats[i].shape, formats[i].kind, ARROW_PLAIN,
                                formats[i].size};
        }
    }
    return (arrow_type){ARROW_OTHER, FE_OBJECT, ARROW_PLAIN, 0};
}

arrow_type
arrow_type_of(const struct ArrowSchema *schema)
{
    arrow_type type = type_of_format(schema->format);
    if (schema->dictionary == NULL) {
        return type;
    }
    arrow_type values = type_of_format(schema->dictionary->format);
    if (!arrow_is_int(type.kind) || values.shape == ARROW_NULLS
        || schema->dictionary->dictionary != NULL) {
        values.shape = ARROW_OTHER;
    }
    values.index = type.kind;
    return values;
}

arrow_type
arrow_type_of_column(const table_column *column, const table_coding *coding)
{
    uint8_t kind = column->value.kind;
    switch ((column_shape)column->shape) {
    case COLUMN_FIXED:
        return (arrow_type){ARROW_CELLS, kind, ARROW_PLAIN, column->width};
    case COLUMN_BITS:
        return (arrow_type){ARROW_BITS, kind, ARROW_PLAIN, 0};
    case COLUMN_TEXT:
        return (arrow_type){ARROW_TEXT32, kind, ARROW_PLAIN, 0};
    case COLUMN_CODED:
        break;
    }
    uint8_t index = coding->width == 1   ? FE_I8
                    : coding->width == 2 ? FE_I16
                                         : FE_I32;
    return (arrow_type){ARROW_TEXT32, FE_STR, index, 0};
}

const char *
arrow_kind_format(uint8_t kind)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(formats); i++) {
        if (formats[i].shape == ARROW_CELLS && formats[i].kind == kind) {
            return formats[i].format;
        }
    }
    Py_UNREACHABLE();
}

void
arrow_type_format(arrow_type type, char *format)
{
    if (type.shape == ARROW_CELLS && type.kind == FE_BYTES) {
        snprintf(format, ARROW_FORMAT_MAX, "w:%u", (unsigned)type.size);
        return;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(formats); i++) {
        if (formats[i].shape == type.shape && formats[i].kind == type.kind) {
            memcpy(format, formats[i].format, sizeof(formats[i].format));
            return;
        }
    }
    Py_UNREACHABLE();
}

PyObject *
arrow_column_text(const table_column *column)
{
    const char *kind = fe_kind_names[column->value.kind];
    const char *end = column->nullable ? " | None" : "";
    bool sized =
        column->value.kind == FE_BYTES || column->value.kind == FE_STR;
    if (!sized || column->value.size == 0) {
        return PyUnicode_FromFormat("%s%s", kind, end);
    }
    return PyUnicode_FromFormat("%s[%u]%s", kind, (unsigned)column->value.size,
                                end);
}

PyObject *
arrow_schema_text(const struct ArrowSchema *schema)
{
    const char *format = schema->format != NULL ? schema->format : "";
    if (schema->dictionary == NULL || schema->dictionary->format == NULL) {
        return PyUnicode_FromFormat("'%.60s'", format);
    }
    return PyUnicode_FromFormat("'%.60s' with a dictionary of '%.60s'", format,
                                schema->dictionary->format);
}
