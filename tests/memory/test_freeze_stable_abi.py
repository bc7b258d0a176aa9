"""An extension built for the stable ABI of 3.7 counts references to immortal objects too."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from memory.frozen import IMMORTAL, run

SOURCE = r"""
#define Py_LIMITED_API 0x03070000
#include <Python.h>

/* what the macros of before 3.12 compile to; today's headers know better */
#undef Py_INCREF
#undef Py_DECREF
#define Py_INCREF(op) ((void)((op)->ob_refcnt++))
#define Py_DECREF(op) ((void)((op)->ob_refcnt--))

static PyObject *
increments(PyObject *module, PyObject *args)
{
    PyObject *obj;
    Py_ssize_t n;
    if (!PyArg_ParseTuple(args, "On", &obj, &n)) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_INCREF(obj);
    }
    for (Py_ssize_t i = 0; i < -n; i++) {
        Py_DECREF(obj);
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"increments", increments, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "old_abi", NULL, -1, methods, NULL, NULL, NULL, NULL,
};
PyMODINIT_FUNC PyInit_old_abi(void);
PyMODINIT_FUNC
PyInit_old_abi(void)
{
    return PyModule_Create(&module);
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no compiler: {compiler[0]}")
    folder = tmp_path_factory.mktemp("old_abi")
    (folder / "old_abi.c").write_text(SOURCE)
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        pytest.skip("no headers of Python")
    subprocess.run(
        [*compiler, "-O2", "-shared", "-fPIC", f"-I{include}", "old_abi.c", "-o", "old_abi.so"],
        cwd=folder,
        check=True,
    )
    return folder


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.skipif(not IMMORTAL, reason="nothing is made immortal here")
def test_drift_is_seen_and_repaired(folder: Path) -> None:
    run(f"""
    sys.path.insert(0, {str(folder)!r})
    import old_abi
    data = [[i] for i in range(100)]
    texts = ["".join(["text ", str(i)]) for i in range(100)]
    freeze()
    assert drift().drifted == 0
    for thing in [*data, *texts]: old_abi.increments(thing, -1000)
    seen = drift().drifted
    assert 200 <= seen < 220, seen
    assert all(immortal(thing) for thing in [*data, *texts])
    freeze()
    assert drift().drifted == 0
    # balanced: nothing to see
    for thing in [*data, *texts]: old_abi.increments(thing, 5); old_abi.increments(thing, -5)
    freeze()
    assert drift().drifted == 0
    # a count that has run up to where it is no immortal one any more
    for thing in data[:3]: old_abi.increments(thing, 2**20)
    data[:3]
    gc.collect()
    freeze()
    assert drift().drifted == 0 and all(sys.getrefcount(thing) == FOREVER for thing in data)
    """)
