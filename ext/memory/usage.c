/* SPDX-License-Identifier: MIT
 *
 * _usage() and _children(): the files of /proc/<pid>, read without the
 * interpreter lock, since a rollup walks every page of the process (about
 * 5 ms for 200 MB). The text is understood in usage_core.c; trees are put
 * together in Python.
 *
 * A process may end, or execute another program, at any moment. Files are
 * opened below one descriptor of its folder, so that all of them are of the
 * same process even if its number is given away meanwhile.
 */
#include "args.h"
#include "memory_state.h"
#include "usage.h"
#include "usage_core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A rollup has 800 bytes; a mapping in smaps about as many, and a process
 * 65,530 mappings unless somebody raised vm.max_map_count.
 */
#define USAGE_ROLLUP_LIMIT ((uint64_t)64 << 10)
#define USAGE_SMAPS_LIMIT ((uint64_t)1 << 30)
#define USAGE_CHILDREN_LIMIT ((uint64_t)64 << 20)
#define USAGE_PIECE 8192
/* A process that executes another program loses what was opened before. */
#define USAGE_ATTEMPTS 3

typedef enum {
    USAGE_DONE,
    USAGE_GONE,     /* ended, or a kernel thread: no memory of its own */
    USAGE_FAILED,   /* errno is in `error` */
    USAGE_TOO_LONG, /* more text than the limit */
    USAGE_NO_FILE,  /* this kernel does not offer the file */
} usage_status;

/* ---- names of processes */

typedef struct {
    char folder[PATH_MAX]; /* "/proc/123" */
    char who[40];          /* "process 123", for messages */
} usage_place;

/* `pid`: an int above 0, or None for the calling process. */
static int
usage_place_init(usage_place *place, const char *function, PyObject *pid,
                 PyObject *proc)
{
    char name[24] = "self";
    if (pid != Py_None) {
        PyObject *index = PyNumber_Index(pid);
        if (index == NULL) {
            if (PyErr_ExceptionMatches(PyExc_TypeError)) {
                PyErr_Format(PyExc_TypeError,
                             "%s(): pid must be an int or None, got %.200s",
                             function, Py_TYPE(pid)->tp_name);
            }
            return -1;
        }
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(index, &overflow);
        if (overflow != 0 || number < 1 || number > INT32_MAX) {
            PyErr_Format(PyExc_ValueError,
                         "%s(): pid must be from 1 to %d, got %R", function,
                         INT32_MAX, index);
            Py_DECREF(index);
            return -1;
        }
        Py_DECREF(index);
        snprintf(name, sizeof(name), "%lld", number);
    }
    snprintf(place->who, sizeof(place->who), "%s%s",
             pid == Py_None ? "this process" : "process ",
             pid == Py_None ? "" : name);
    const char *root = "/proc";
    PyObject *encoded = NULL;
    if (proc != NULL) {
        if (!PyUnicode_FSConverter(proc, &encoded)) {
            return -1;
        }
        root = PyBytes_AS_STRING(encoded);
    }
    int length =
        snprintf(place->folder, sizeof(place->folder), "%s/%s", root, name);
    Py_XDECREF(encoded);
    if (length < 0 || (size_t)length >= sizeof(place->folder)) {
        PyErr_Format(PyExc_ValueError, "%s(): proc is too long", function);
        return -1;
    }
    return 0;
}

/* set OSError or the subclass that belongs to `code` */
static void
usage_raise(int code, const char *function, const char *format,
            const char *detail)
{
    PyObject *text = PyUnicode_FromFormat(format, function, detail);
    PyObject *exc =
        text == NULL ? NULL
                     : PyObject_CallFunction(PyExc_OSError, "iO", code, text);
    Py_XDECREF(text);
    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
}

static void
usage_raise_status(usage_status status, int code, const char *function,
                   const usage_place *place)
{
    switch (status) {
    case USAGE_GONE:
        usage_raise(ESRCH, function,
                    "%s(): %s does not exist, has ended, or has no memory "
                    "of its own",
                    place->who);
        return;
    case USAGE_TOO_LONG:
        usage_raise(EFBIG, function, "%s(): more text than expected about %s",
                    place->who);
        return;
    case USAGE_NO_FILE:
        usage_raise(ENOSYS, function,
                    "%s(): this kernel has neither smaps_rollup nor smaps "
                    "for %s",
                    place->who);
        return;
    default:
        if (code == EACCES || code == EPERM) {
            usage_raise(code, function,
                        "%s(): not permitted to read the memory of %s",
                        place->who);
        }
        else {
            usage_raise(code, function, "%s(): cannot read about %s",
                        place->who);
        }
    }
}

/* ---- reading, without the interpreter lock */

static ssize_t
usage_read_piece(int file, char *piece)
{
    ssize_t got;
    do {
        got = read(file, piece, USAGE_PIECE);
    } while (got < 0 && errno == EINTR);
    return got;
}

static usage_status
usage_failed(int *error)
{
    *error = errno;
    return errno == ENOENT || errno == ESRCH || errno == ENOTDIR
               ? USAGE_GONE
               : USAGE_FAILED;
}

static usage_status
usage_sum(int file, uint64_t limit, usage_reading *reading, int *error)
{
    char piece[USAGE_PIECE];
    uint64_t total = 0;
    ssize_t got;
    usage_reading_begin(reading);
    while ((got = usage_read_piece(file, piece)) > 0) {
        total += (uint64_t)got;
        if (total > limit) {
            return USAGE_TOO_LONG;
        }
        usage_reading_feed(reading, piece, (size_t)got);
    }
    if (got < 0) {
        return usage_failed(error);
    }
    usage_reading_end(reading);
    return reading->any ? USAGE_DONE : USAGE_GONE;
}

/* smaps comes mapping by mapping and just stops when the process ends: whole
 * is what can be read again from its start.
 */
static usage_status
usage_sum_smaps(int folder, usage_reading *reading, int *error)
{
    int file = openat(folder, "smaps", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return usage_failed(error);
    }
    usage_status status = usage_sum(file, USAGE_SMAPS_LIMIT, reading, error);
    if (status == USAGE_DONE) {
        char piece[USAGE_PIECE];
        if (lseek(file, 0, SEEK_SET) < 0
            || usage_read_piece(file, piece) <= 0) {
            status = USAGE_GONE;
        }
    }
    close(file);
    return status;
}

static usage_status
usage_sum_any(int folder, usage_reading *reading, int *error)
{
    int file = openat(folder, "smaps_rollup", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        usage_status status =
            usage_sum(file, USAGE_ROLLUP_LIMIT, reading, error);
        close(file);
        return status;
    }
    if (errno != ENOENT) {
        return usage_failed(error);
    }
    /* before Linux 4.14, or the process is gone */
    usage_status status = usage_sum_smaps(folder, reading, error);
    if (status == USAGE_GONE && *error == ENOENT
        && faccessat(folder, "stat", F_OK, 0) == 0) {
        return USAGE_NO_FILE;
    }
    return status;
}

static usage_status
usage_of(const usage_place *place, usage_reading *reading, int *error)
{
    usage_status status = USAGE_GONE;
    for (int i = 0; i < USAGE_ATTEMPTS && status == USAGE_GONE; i++) {
        *error = 0;
        int folder = open(place->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
            return usage_failed(error);
        }
        status = usage_sum_any(folder, reading, error);
        close(folder);
    }
    return status;
}

/* ---- _usage */

/* 5-tuple in the order of ferrule.memory.Usage */
static PyObject *
usage_as_tuple(const usage_reading *reading)
{
    const uint64_t *bytes = reading->bytes;
    const uint64_t clean = bytes[USAGE_PRIVATE_CLEAN];
    const uint64_t shared_clean = bytes[USAGE_SHARED_CLEAN];
    if (reading->overflow || clean > UINT64_MAX - bytes[USAGE_PRIVATE_DIRTY]
        || shared_clean > UINT64_MAX - bytes[USAGE_SHARED_DIRTY]) {
        PyErr_SetString(PyExc_OverflowError,
                        "usage(): a sum is beyond 2**64 bytes");
        return NULL;
    }
    return Py_BuildValue(
        "(KKKKK)", (unsigned long long)(clean + bytes[USAGE_PRIVATE_DIRTY]),
        (unsigned long long)(shared_clean + bytes[USAGE_SHARED_DIRTY]),
        (unsigned long long)bytes[USAGE_PSS],
        (unsigned long long)bytes[USAGE_RSS],
        (unsigned long long)bytes[USAGE_SWAP]);
}

static const char *const usage_names[] = {"pid", "proc", NULL};

PyDoc_STRVAR(
    usage_usage__doc__,
    "_usage($module, /, pid=None, proc='/proc')\n"
    "--\n"
    "\n"
    "Memory of one process in bytes: (private, shared, pss, rss, swap).\n"
    "\n"
    "Reads smaps_rollup, or smaps where the kernel is older than 4.14, in\n"
    "the folder of the process below `proc`. None is the calling process.\n"
    "ProcessLookupError: no such process, or it has ended; PermissionError:\n"
    "it is somebody else's; OSError: the text is not as expected.\n"
    "Source: proc(5); Documentation/filesystems/proc.rst of Linux.");

static PyObject *
usage_usage(PyObject *Py_UNUSED(module), PyObject *const *args,
            Py_ssize_t nargs, PyObject *kwnames)
{
    static const fe_sig sig = {"usage", usage_names, 2, 0};
    PyObject *values[2];
    usage_place place;
    usage_reading reading;
    usage_status status;
    int error = 0;
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0
        || usage_place_init(&place, "usage",
                            values[0] != NULL ? values[0] : Py_None, values[1])
               < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS status = usage_of(&place, &reading, &error);
    Py_END_ALLOW_THREADS if (status != USAGE_DONE)
    {
        usage_raise_status(status, error, "usage", &place);
        return NULL;
    }
    const char *missing = usage_reading_missing(&reading);
    if (missing != NULL && !reading.overflow) {
        usage_raise(ENODATA, "usage",
                    "%s(): what the kernel says about the memory has no %s",
                    missing);
        return NULL;
    }
    return usage_as_tuple(&reading);
}

/* ---- _children */

typedef struct {
    int32_t *pids;
    size_t count;
    size_t room;
} usage_list;

static bool
usage_list_add(usage_list *list, int32_t pid)
{
    if (list->count == list->room) {
        size_t room = list->room != 0 ? list->room * 2 : 64;
        int32_t *pids = PyMem_RawRealloc(list->pids, room * sizeof(*pids));
        if (pids == NULL) {
            return false;
        }
        list->pids = pids;
        list->room = room;
    }
    list->pids[list->count++] = pid;
    return true;
}

static usage_status
usage_list_read(usage_list *list, int file, int *error)
{
    char piece[USAGE_PIECE];
    usage_pids pids = {0, false};
    uint64_t total = 0;
    int32_t pid;
    ssize_t got;
    while ((got = usage_read_piece(file, piece)) > 0) {
        size_t at = 0;
        total += (uint64_t)got;
        if (total > USAGE_CHILDREN_LIMIT) {
            return USAGE_TOO_LONG;
        }
        while (usage_pids_next(&pids, piece, (size_t)got, &at, &pid)) {
            if (!usage_list_add(list, pid)) {
                *error = ENOMEM;
                return USAGE_FAILED;
            }
        }
    }
    if (got < 0) {
        return usage_failed(error);
    }
    if (usage_pids_end(&pids, &pid) && !usage_list_add(list, pid)) {
        *error = ENOMEM;
        return USAGE_FAILED;
    }
    return USAGE_DONE;
}

/* A child belongs to the thread that forked it. A thread that ends meanwhile
 * leaves its children to another one: what is missed then is what would have
 * been missed a moment earlier.
 */
static usage_status
usage_list_thread(usage_list *list, int tasks, const char *thread, int *error)
{
    char name[NAME_MAX + 16];
    snprintf(name, sizeof(name), "%.*s/children", NAME_MAX, thread);
    int file = openat(tasks, name, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return usage_failed(error);
    }
    usage_status status = usage_list_read(list, file, error);
    close(file);
    return status;
}

static usage_status
usage_list_threads(usage_list *list, const usage_place *place, int *error)
{
    char name[PATH_MAX + 8];
    snprintf(name, sizeof(name), "%s/task", place->folder);
    DIR *tasks = opendir(name);
    usage_status status = USAGE_DONE;
    if (tasks == NULL) {
        return usage_failed(error);
    }
    struct dirent *entry;
    while ((entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') {
            status =
                usage_list_thread(list, dirfd(tasks), entry->d_name, error);
            if (status != USAGE_DONE && status != USAGE_GONE) {
                break;
            }
            status = USAGE_DONE;
        }
    }
    closedir(tasks);
    return status;
}

/* new: a list of ints */
static PyObject *
usage_list_as_ints(const usage_list *list)
{
    PyObject *ints = PyList_New((Py_ssize_t)list->count);
    if (ints == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < list->count; i++) {
        PyObject *pid = PyLong_FromLong(list->pids[i]);
        if (pid == NULL) {
            Py_DECREF(ints);
            return NULL;
        }
        PyList_SET_ITEM(ints, (Py_ssize_t)i, pid);
    }
    return ints;
}

PyDoc_STRVAR(
    usage_children__doc__,
    "_children($module, /, pid=None, proc='/proc')\n"
    "--\n"
    "\n"
    "Ids of the children of a process, of all its threads, as a list.\n"
    "\n"
    "Empty for a process that has ended. A child that ends while the list is\n"
    "read may take a sibling out of it. Needs a kernel with these lists\n"
    "(/proc/thread-self/children, CONFIG_PROC_CHILDREN).\n"
    "OSError: the lists cannot be read.\n"
    "Source: proc(5).");

static PyObject *
usage_children(PyObject *Py_UNUSED(module), PyObject *const *args,
               Py_ssize_t nargs, PyObject *kwnames)
{
    static const fe_sig sig = {"_children", usage_names, 2, 0};
    PyObject *values[2], *ints = NULL;
    usage_place place;
    usage_list list = {NULL, 0, 0};
    usage_status status;
    int error = 0;
    if (fe_args_unpack(&sig, args, nargs, kwnames, values) < 0
        || usage_place_init(&place, "usage",
                            values[0] != NULL ? values[0] : Py_None, values[1])
               < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS status = usage_list_threads(&list, &place, &error);
    Py_END_ALLOW_THREADS if (status == USAGE_DONE || status == USAGE_GONE)
    {
        ints = usage_list_as_ints(&list);
    }
    else if (error == ENOMEM)
    {
        PyErr_NoMemory();
    }
    else
    {
        usage_raise_status(status, error, "usage", &place);
    }
    PyMem_RawFree(list.pids);
    return ints;
}

PyDoc_STRVAR(usage_in_main_interpreter__doc__,
             "_in_main_interpreter($module, /)\n"
             "--\n"
             "\n"
             "False in a sub-interpreter, where tracemalloc does not work.");

static PyObject *
usage_in_main_interpreter(PyObject *Py_UNUSED(module),
                          PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(PyInterpreterState_Get()
                           == PyInterpreterState_Main());
}

static PyMethodDef usage_methods[] = {
    {"_usage", FE_METHOD(usage_usage), METH_FASTCALL | METH_KEYWORDS,
     usage_usage__doc__},
    {"_children", FE_METHOD(usage_children), METH_FASTCALL | METH_KEYWORDS,
     usage_children__doc__},
    {"_in_main_interpreter", usage_in_main_interpreter, METH_NOARGS,
     usage_in_main_interpreter__doc__},
    {NULL, NULL, 0, NULL},
};

int
usage_register(PyObject *module, memory_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, usage_methods);
}
