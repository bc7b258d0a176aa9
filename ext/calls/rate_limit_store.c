/* SPDX-License-Identifier: MIT
 *
 * SharedStore: the page in which the processes of one machine share limits.
 * What is in the page, rate_limit_core.c knows; here it is found, made and
 * mapped. The mapping lives as long as the object: slots hold it.
 */
#include "calls_state.h"
#include "args.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS 1024

typedef struct {
    PyObject_HEAD rate_limit_page page;
    void *data; /* mapped, or NULL */
    size_t size;
    PyObject *path; /* owned: bytes or str; NULL: no file */
} shared_store;

#define STORE(op) ((shared_store *)(op))

/* ---- names */

int64_t *
shared_store_word(PyObject *store, PyObject *name, const rate_limit_rule *rule)
{
    const rate_limit_page *page = &STORE(store)->page;
    const char *text;
    Py_ssize_t length;
    if (PyBytes_Check(name)) {
        text = PyBytes_AS_STRING(name);
        length = PyBytes_GET_SIZE(name);
    }
    else {
        text = PyUnicode_AsUTF8AndSize(name, &length);
        if (text == NULL) {
            return NULL;
        }
    }
    int64_t *word = NULL;
    switch (rate_limit_page_find(page, text, (size_t)length, rule, &word)) {
    case RATE_LIMIT_FOUND:
        return word;
    case RATE_LIMIT_FULL:
        PyErr_Format(PyExc_RuntimeError,
                     "SharedStore: all %u names are in use; one more: %R",
                     (unsigned int)page->count, name);
        return NULL;
    default:
        PyErr_Format(PyExc_ValueError,
                     "SharedStore: %R has another rate or burst in this store",
                     name);
        return NULL;
    }
}

static PyObject *plain_key(PyObject *key, int depth);

static PyObject *
plain_tuple(PyObject *key, int depth)
{
    PyObject *plain = PyTuple_New(PyTuple_GET_SIZE(key));
    for (Py_ssize_t i = 0; plain != NULL && i < PyTuple_GET_SIZE(key); i++) {
        PyObject *item = plain_key(PyTuple_GET_ITEM(key, i), depth + 1);
        if (item == NULL) {
            Py_CLEAR(plain);
            break;
        }
        PyTuple_SET_ITEM(plain, i, item);
    }
    return plain;
}

/* new: the key, or one equal to it, as every process writes it */
static PyObject *
plain_key(PyObject *key, int depth)
{
    if (PyBool_Check(key)) {
        return PyLong_FromLong(key == Py_True);
    }
    if (PyFloat_CheckExact(key)) {
        double value = PyFloat_AS_DOUBLE(key);
        return floor(value) == value && isfinite(value)
                   ? PyLong_FromDouble(value)
                   : Py_NewRef(key);
    }
    if (PyUnicode_CheckExact(key) || PyBytes_CheckExact(key)
        || PyLong_CheckExact(key) || key == Py_None) {
        return Py_NewRef(key);
    }
    if (PyTuple_CheckExact(key) && depth < 16) {
        return plain_tuple(key, depth);
    }
    return PyErr_Format(PyExc_TypeError,
                        "SharedStore: key: wanted str, bytes, int, float, "
                        "bool, None or a tuple of them, got %.200s",
                        Py_TYPE(key)->tp_name);
}

PyObject *
shared_store_key_name(PyObject *name, PyObject *key)
{
    PyObject *plain = plain_key(key, 0), *bytes = NULL;
    if (plain == NULL) {
        return NULL;
    }
    PyObject *text = PyUnicode_FromFormat("%U\n%A", name, plain);
    if (text != NULL) {
        bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    }
    Py_XDECREF(text);
    Py_DECREF(plain);
    return bytes;
}

/* ---- the file */

static int
refuse_errno(PyObject *path)
{
    PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    return -1;
}

/* The boot that this machine's monotonic clock counts from. 0 or -1 */
static int
read_boot(uint8_t boot[16])
{
    char text[64];
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof(text)) : -1;
    if (file >= 0) {
        close(file);
    }
    if (length < 0) {
        PyErr_SetString(PyExc_OSError,
                        "SharedStore: /proc/sys/kernel/random/boot_id cannot "
                        "be read");
        return -1;
    }
    memset(boot, 0, 16);
    for (ssize_t i = 0, digits = 0; i < length && digits < 32; i++) {
        char c = text[i];
        int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : -1;
        if (value >= 0) {
            boot[digits / 2] = (uint8_t)(boot[digits / 2] << 4 | value);
            digits++;
        }
    }
    return 0;
}

static int
map(shared_store *self, int file, size_t size)
{
    int flags = file >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);
    if (data == MAP_FAILED) {
        return refuse_errno(self->path);
    }
    self->data = data;
    self->size = size;
    return 0;
}

static int
start_page(shared_store *self, uint32_t count, const uint8_t boot[16])
{
    uint64_t seed[2];
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        return refuse_errno(NULL);
    }
    rate_limit_page_init(self->data, count, boot, seed);
    return 0;
}

static int
refuse_page(shared_store *self, const char *why)
{
    PyErr_Format(PyExc_ValueError, "SharedStore: %R %s", self->path, why);
    return -1;
}

/* The file, locked against those who open it too, comes to hold a page.
 * count 0: as many slots as it has.
 */
static int
open_page(shared_store *self, int file, uint32_t count, const uint8_t boot[16])
{
    struct stat info;
    if (fstat(file, &info) < 0) {
        return refuse_errno(self->path);
    }
    if (!S_ISREG(info.st_mode)) {
        return refuse_page(self, "is not a regular file");
    }
    if (info.st_uid != geteuid()) {
        return refuse_page(self, "belongs to another user");
    }
    uint32_t wanted = count != 0 ? count : SLOTS;
    size_t size = (size_t)info.st_size;
    if (size == 0) {
        size = rate_limit_page_size(wanted);
        /* given now: a full file system must not show at a later write */
        errno = posix_fallocate(file, 0, (off_t)size);
        if (errno != 0) {
            return refuse_errno(self->path);
        }
    }
    if (size > rate_limit_page_size(RATE_LIMIT_SLOTS_MAX)) {
        return refuse_page(self, "is no store: it is too long");
    }
    if (map(self, file, size) < 0) {
        return -1;
    }
    switch (rate_limit_page_check(self->data, size, boot)) {
    case RATE_LIMIT_PAGE_GOOD:
        break;
    case RATE_LIMIT_PAGE_OLD: /* who used it is no more */
        memcpy(&wanted,
               (char *)self->data + offsetof(rate_limit_page_head, count),
               sizeof(wanted));
        if (start_page(self, wanted, boot) < 0) {
            return -1;
        }
        break;
    case RATE_LIMIT_PAGE_EMPTY: /* new, or its maker died */
        if (size != rate_limit_page_size(wanted)) {
            return refuse_page(self, "is no store");
        }
        if (start_page(self, wanted, boot) < 0) {
            return -1;
        }
        break;
    case RATE_LIMIT_PAGE_VERSION:
        return refuse_page(self, "is a store of another version of ferrule");
    case RATE_LIMIT_PAGE_WRONG_SIZE:
        return refuse_page(self, "is a damaged store: not as long as it says");
    default:
        return refuse_page(self, "is no store");
    }
    if (count != 0 && size != rate_limit_page_size(count)) {
        return refuse_page(self, "has another number of slots");
    }
    return 0;
}

/* Wait for those who open it now. 0, or -1 with an exception */
static int
lock_file(int file, PyObject *path)
{
    int locked;
    do {
        PyThreadState *thread = PyEval_SaveThread();
        locked = flock(file, LOCK_EX);
        PyEval_RestoreThread(thread);
        if (locked < 0 && (errno != EINTR || PyErr_CheckSignals() < 0)) {
            return PyErr_Occurred() ? -1 : refuse_errno(path);
        }
    } while (locked < 0);
    return 0;
}

static int
open_file(shared_store *self, uint32_t count, const uint8_t boot[16])
{
    PyObject *bytes = NULL;
    if (!PyUnicode_FSConverter(self->path, &bytes)) {
        return -1;
    }
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int file = open(PyBytes_AS_STRING(bytes), flags, 0600);
    Py_DECREF(bytes);
    if (file < 0) {
        return refuse_errno(self->path);
    }
    int failed = lock_file(file, self->path);
    if (failed == 0) {
        failed = open_page(self, file, count, boot);
        /* closing would not do: the mapping keeps what is locked */
        (void)flock(file, LOCK_UN);
    }
    close(file);
    return failed;
}

/* ---- the type */

/* new: the path of a name without a slash, else what was given; a str or bytes
 */
static PyObject *
path_of(PyObject *value)
{
    PyObject *path = PyOS_FSPath(value);
    if (path == NULL || path != value || !PyUnicode_Check(path)) {
        return path;
    }
    Py_ssize_t slash =
        PyUnicode_FindChar(path, '/', 0, PyUnicode_GET_LENGTH(path), 1);
    if (slash == -1 && PyUnicode_GET_LENGTH(path) > 0) {
        Py_SETREF(path, PyUnicode_FromFormat("/dev/shm/ferrule-%lu-%U",
                                             (unsigned long)geteuid(), path));
    }
    return path;
}

/* 0: *count is set; -1 with an exception */
static int
count_of(PyObject *value, uint32_t *count)
{
    *count = 0;
    if (value == NULL || value == Py_None) {
        return 0;
    }
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "SharedStore: slots: wanted an int or None, got %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    int overflow;
    long slots = PyLong_AsLongAndOverflow(value, &overflow);
    if (overflow != 0 || slots < 1 || slots > (long)RATE_LIMIT_SLOTS_MAX) {
        PyErr_Format(PyExc_ValueError,
                     "SharedStore: slots: wanted 1 to %ld, got %R",
                     (long)RATE_LIMIT_SLOTS_MAX, value);
        return -1;
    }
    *count = (uint32_t)slots;
    return 0;
}

static int
fill(shared_store *self, PyObject *path, uint32_t count)
{
    uint8_t boot[16];
    if (read_boot(boot) < 0) {
        return -1;
    }
    if (path == NULL || path == Py_None) {
        count = count != 0 ? count : SLOTS;
        if (map(self, -1, rate_limit_page_size(count)) < 0
            || start_page(self, count, boot) < 0) {
            return -1;
        }
    }
    else {
        self->path = path_of(path);
        if (self->path == NULL || open_file(self, count, boot) < 0) {
            return -1;
        }
    }
    rate_limit_page_open(&self->page, self->data, self->size);
    return 0;
}

static PyObject *
shared_store_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {FE_TEXT("path"), FE_TEXT("slots"), NULL};
    PyObject *path = NULL, *slots = NULL;
    uint32_t count;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$O:SharedStore",
                                     keywords, &path, &slots)
        || count_of(slots, &count) < 0) {
        return NULL;
    }
    shared_store *self = STORE(type->tp_alloc(type, 0));
    if (self != NULL && fill(self, path, count) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
shared_store_tp_dealloc(PyObject *op)
{
    shared_store *self = STORE(op);
    PyTypeObject *type = Py_TYPE(op);
    if (self->data != NULL) {
        munmap(self->data, self->size);
    }
    Py_XDECREF(self->path);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
shared_store_tp_repr(PyObject *op)
{
    shared_store *self = STORE(op);
    return PyUnicode_FromFormat("SharedStore(%R, slots=%u)",
                                self->path != NULL ? self->path : Py_None,
                                (unsigned int)self->page.count);
}

PyDoc_STRVAR(shared_store_reduce__doc__,
             "__reduce__($self, /)\n--\n\n"
             "By path; TypeError for a store without one.");

static PyObject *
shared_store_reduce(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    shared_store *self = STORE(op);
    if (self->path == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "SharedStore: a store without a path is shared by "
                        "forking only, it cannot be pickled");
        return NULL;
    }
    return Py_BuildValue("O(O)", Py_TYPE(op), self->path);
}

static PyObject *
shared_store_get_path(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *path = STORE(op)->path;
    return Py_NewRef(path != NULL ? path : Py_None);
}

static PyObject *
shared_store_get_slots(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(STORE(op)->page.count);
}

static PyObject *
shared_store_get_used(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(rate_limit_page_used(&STORE(op)->page));
}

static PyGetSetDef shared_store_getset[] = {
    {"path", shared_store_get_path, NULL,
     FE_TEXT("The file's path; None: memory shared by forking."), NULL},
    {"slots", shared_store_get_slots, NULL,
     FE_TEXT("How many names there is room for."), NULL},
    {"used", shared_store_get_used, NULL, FE_TEXT("How many names there are."),
     NULL},
    {0},
};

static PyMethodDef shared_store_methods[] = {
    {"__reduce__", shared_store_reduce, METH_NOARGS,
     shared_store_reduce__doc__},
    {0},
};

PyDoc_STRVAR(
    shared_store__doc__,
    "SharedStore(path=None, *, slots=None)\n--\n\n"
    "Rate limits that the processes of one machine share: "
    "rate_limit(store=…).\n\n"
    "Without a path, by this process and those it forks. A name without a "
    "slash\n"
    "is a file of the user's in /dev/shm, anything else a path; the file is "
    "made\n"
    "if need be, and starts anew after a boot. slots (1024, or what the file\n"
    "has) is how many names there is room for: a name is a function, or one "
    "of\n"
    "its keys, and stays. ValueError if the file is something else,\n"
    "RuntimeError when a name finds no room.");

static PyType_Slot shared_store_slots[] = {
    {Py_tp_new, FE_SLOT(shared_store_tp_new)},
    {Py_tp_dealloc, FE_SLOT(shared_store_tp_dealloc)},
    {Py_tp_repr, FE_SLOT(shared_store_tp_repr)},
    {Py_tp_methods, shared_store_methods},
    {Py_tp_getset, shared_store_getset},
    {Py_tp_doc, FE_TEXT(shared_store__doc__)},
    {0, NULL},
};

PyType_Spec shared_store_spec = {
    .name = "ferrule.calls.SharedStore",
    .basicsize = sizeof(shared_store),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = shared_store_slots,
};
