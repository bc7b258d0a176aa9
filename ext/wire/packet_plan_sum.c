/* SPDX-License-Identifier: MIT
 *
 * What checksums cover, and in which order they can be computed: one that
 * covers another after it.
 */
#include "packet_plan.h"

/* fields[] index of a name, of a bit run its first; -1: none */
static Py_ssize_t
find_covered(const packet_layout *layout, PyObject *name)
{
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        if (PyUnicode_Compare(layout->fields[i].field->name, name) == 0) {
            while (layout->fields[i].shape == PACKET_BITS
                   && !layout->fields[i].run_start) {
                i--;
            }
            return i;
        }
    }
    return -1;
}

/* One more index, ascending, once. */
static void
insert_covered(packet_field *field, int32_t index)
{
    Py_ssize_t at = field->over_count;
    while (at > 0 && field->over[at - 1] > index) {
        at--;
    }
    if (at > 0 && field->over[at - 1] == index) {
        return;
    }
    memmove(&field->over[at + 1], &field->over[at],
            (size_t)(field->over_count - at) * sizeof(int32_t));
    field->over[at] = index;
    field->over_count++;
}

/* `over` as a checksum's marker says it: None, or a tuple of names */
static int
read_over(packet_plan *plan, packet_field *field, PyObject *over)
{
    if (over == Py_None) {
        return 0;
    }
    Py_ssize_t count = PyTuple_Check(over) ? PyTuple_GET_SIZE(over) : 0;
    field->over = PyMem_New(int32_t, (size_t)count + 1);
    if (field->over == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(over, i);
        Py_ssize_t found =
            PyUnicode_Check(name) ? find_covered(plan->layout, name) : -1;
        if (found < 0 || &plan->layout->fields[found] == field) {
            return packet_plan_refuse(plan, field, "no other field %R to sum",
                                      name);
        }
        insert_covered(field, (int32_t)found);
    }
    return 0;
}

static bool
covers(const packet_field *field, int32_t index)
{
    if (field->over == NULL) {
        return true;
    }
    for (Py_ssize_t i = 0; i < field->over_count; i++) {
        if (field->over[i] == index) {
            return true;
        }
    }
    return false;
}

/* Does the checksum cover one that has no place in the order yet? */
static bool
must_wait(const packet_layout *layout, const bool *placed, int32_t index)
{
    for (int32_t i = 0; i < layout->count; i++) {
        if (i != index && layout->fields[i].sum != PACKET_NO_SUM && !placed[i]
            && covers(&layout->fields[index], i)) {
            return true;
        }
    }
    return false;
}

static int
order_sums(packet_plan *plan, bool *placed)
{
    packet_layout *layout = plan->layout;
    int32_t index = 0, first = -1;
    while (index < layout->count) {
        if (layout->fields[index].sum == PACKET_NO_SUM || placed[index]) {
            index++;
            continue;
        }
        if (must_wait(layout, placed, index)) {
            first = first < 0 ? index : first;
            index++;
            continue;
        }
        layout->sums[layout->sum_count++] = index;
        placed[index] = true;
        index = first < 0 ? index : first; /* those passed by: again */
        first = -1;
    }
    return first < 0 ? 0
                     : packet_plan_refuse(plan, &layout->fields[first],
                                          "covers a checksum that covers it");
}

static int
read_overs(packet_plan *plan)
{
    packet_layout *layout = plan->layout;
    Py_ssize_t sums = 0;
    int status = 0;
    for (Py_ssize_t i = 0; i < layout->count && status == 0; i++) {
        if (layout->fields[i].sum != PACKET_NO_SUM) {
            status = read_over(plan, &layout->fields[i],
                               PyList_GET_ITEM(plan->overs, sums++));
        }
    }
    return status;
}

int
packet_plan_sums(packet_plan *plan)
{
    packet_layout *layout = plan->layout;
    size_t count = (size_t)layout->count + 1;
    if (read_overs(plan) < 0) {
        return -1;
    }
    layout->sums = PyMem_New(int32_t, count);
    bool *placed = PyMem_Calloc(count, sizeof(bool));
    int status = -1;
    if (layout->sums == NULL || placed == NULL) {
        PyErr_NoMemory();
    }
    else {
        status = order_sums(plan, placed);
    }
    PyMem_Free(placed);
    return status;
}
