/* SPDX-License-Identifier: MIT
 *
 * [x for x in values if x > threshold], for any objects.
 */
#ifndef FE_FILTER_LIST_H
#define FE_FILTER_LIST_H

#include "compat.h"
#include "filter_core.h"

/* The bound of a threshold that is exactly a float, an int or a bool, whatever
 * its size. 1; 0: it is something else; -1 with MemoryError.
 */
int fe_filter_bound(PyObject *threshold, fe_bound *bound);

/* new: a list of what passes, of bools or of indices, as the comprehension
 * gives it: the list is read as its iterator reads it, if a comparison changes
 * it; a comparison that is not of a float or an int is Python's own. NULL with
 * what a comparison or the iterator of `values` raised.
 */
PyObject *fe_filter_list(const fe_filter_kernels *kernels, PyObject *values,
                         PyObject *threshold, fe_filter_op op,
                         fe_filter_want want);

#endif
