"""TempFileManager: the file goes once, also after a crash."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest


def start(impl, program, *args, **options):
    """A process with `TempFileManager`; its first line of output is awaited."""
    head = f"import gc, os, sys, time\nfrom {impl.__name__} import TempFileManager\n"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c"]
        + [head + textwrap.dedent(program), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def run(impl, program, *args, status=0, **options):
    process, first = start(impl, program, *args, **options)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == status
    return (first + out).split()


OWNER = """
    manager = TempFileManager(sys.argv[1], sweepable=True)
    open(sys.argv[1], "w").close()
    print("ready", flush=True)
    sys.stdin.read()
    """


def crash(impl, path, program=OWNER):
    """Leave a sweepable file behind."""
    process, _ = start(impl, program, path)
    process.kill()
    process.communicate(timeout=60)
    assert path.exists() and marker(path).exists()


def marker(path):
    return path.with_name(f".{path.name}.ferrule-temp")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    return path


@pytest.fixture(params=[False, True], ids=["plain", "sweepable"])
def sweepable(request):
    return request.param


# ---- the article's class


def test_remove(impl, path, sweepable):
    manager = impl.TempFileManager(path, sweepable=sweepable)
    assert manager.filename is path
    assert manager.is_active
    assert manager.remove() is None
    assert not manager.is_active
    assert os.listdir(path.parent) == []
    path.write_text("somebody else's")
    manager.remove()
    del manager
    gc.collect()
    assert path.exists()


def test_it_goes_with_the_manager(impl, path, sweepable):
    manager = impl.TempFileManager(str(path), sweepable=sweepable)
    gc.collect()
    assert path.exists()
    del manager
    assert os.listdir(path.parent) == []


def test_it_goes_with_the_cycle_of_the_manager(impl, path, sweepable):
    class Manager(impl.TempFileManager):
        pass

    manager = Manager(str(path), sweepable=sweepable)
    manager.me = manager
    ref = weakref.ref(manager)
    del manager
    assert path.exists()
    gc.collect()
    assert ref() is None and os.listdir(path.parent) == []


def test_at_exit(impl, path, sweepable):
    program = f"""
        os.chdir(os.path.dirname(sys.argv[1]))
        manager = TempFileManager(os.path.basename(sys.argv[1]), sweepable={sweepable})
        os.chdir("/")
        print(manager.is_active, manager.filename)
        """
    assert run(impl, program, path) == ["True", "file"]
    assert os.listdir(path.parent) == []


def test_a_missing_file_is_no_error(impl, tmp_path, sweepable):
    manager = impl.TempFileManager(tmp_path / "missing", sweepable=sweepable)
    manager.remove()
    assert not manager.is_active
    manager = impl.TempFileManager(tmp_path / "missing", sweepable=sweepable)
    del manager
    assert os.listdir(tmp_path) == []


def test_names_of_all_kinds(impl, path, sweepable):
    for name in (str(path), os.fsencode(path), path, Path(path)):
        path.write_text("x")
        manager = impl.TempFileManager(name, sweepable=sweepable)
        assert manager.filename is name
        assert not sweepable or marker(path).exists()
        manager.remove()
        assert os.listdir(path.parent) == []


def test_a_name_that_is_no_text(impl, tmp_path, sweepable):
    name = os.path.join(os.fsencode(tmp_path), b"\xff\xfe")
    with open(name, "w"):
        manager = impl.TempFileManager(name, sweepable=sweepable)
    manager.remove()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [None, 5, 2.5, ["x"]])
def test_names_of_no_kind(impl, name, sweepable):
    with pytest.raises(TypeError):
        impl.TempFileManager(name, sweepable=sweepable)


def test_arguments(impl, path):
    with pytest.raises(TypeError):
        impl.TempFileManager()
    with pytest.raises(TypeError):
        impl.TempFileManager(path, True)
    assert path.exists()


def test_a_context_manager(impl, path, sweepable):
    with impl.TempFileManager(path, sweepable=sweepable) as manager:
        assert manager.is_active and path.exists()
    assert not manager.is_active and not path.exists()
    path.write_text("x")
    with (
        pytest.raises(ZeroDivisionError),
        impl.TempFileManager(path, sweepable=sweepable),
    ):
        raise ZeroDivisionError
    assert os.listdir(path.parent) == []


def test_other_errors_leave_it_active(impl, tmp_path, sweepable):
    folder = tmp_path / "folder"
    folder.mkdir()
    manager = impl.TempFileManager(folder, sweepable=sweepable)
    for _ in range(2):
        with pytest.raises(OSError, match="folder"):
            manager.remove()
        assert manager.is_active
    if sweepable:
        assert impl.TempFileManager.sweep(tmp_path) == []
        with pytest.raises(FileExistsError):
            impl.TempFileManager(folder, sweepable=True)
    folder.rmdir()
    folder.write_text("x")
    manager.remove()
    assert not manager.is_active and os.listdir(tmp_path) == []


def test_without_permission(impl, path, sweepable, monkeypatch):
    def refuse(name, **_):
        raise PermissionError(13, "Permission denied", name)

    manager = impl.TempFileManager(path, sweepable=sweepable)
    with monkeypatch.context() as patch:
        patch.setattr(os, "remove", refuse)
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(PermissionError):
            manager.remove()
    assert manager.is_active and path.exists()
    manager.remove()
    assert os.listdir(path.parent) == []


def test_an_error_at_the_death_of_the_manager_is_reported(impl, tmp_path, sweepable, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))
    folder = tmp_path / "folder"
    folder.mkdir()
    manager = impl.TempFileManager(folder, sweepable=sweepable)
    del manager
    gc.collect()
    assert len(seen) == 1 and issubclass(seen[0], OSError)
    assert folder.exists()


def test_threads_that_remove_the_same_one(impl, path, sweepable):
    for _ in range(20):
        path.write_text("x")
        manager = impl.TempFileManager(path, sweepable=sweepable)
        threads = [threading.Thread(target=manager.remove) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.listdir(path.parent) == []


def test_descriptors_are_given_back(impl, path):
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        impl.TempFileManager(path, sweepable=True).remove()
        one = impl.TempFileManager(path, sweepable=True)
        with pytest.raises(FileExistsError):
            impl.TempFileManager(path, sweepable=True)
        impl.TempFileManager.sweep(path.parent)
        del one
        gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)


# ---- forks


@pytest.mark.parametrize("end", ["sys.exit()", "os._exit(0)", "del manager; gc.collect()"])
def test_children_leave_it_alone(impl, path, sweepable, end):
    program = f"""
        manager = TempFileManager(sys.argv[1], sweepable={sweepable})
        pid = os.fork()
        if pid == 0:
            {end}
            sys.exit()
        os.waitpid(pid, 0)
        print(os.path.exists(sys.argv[1]), len(os.listdir(os.path.dirname(sys.argv[1]))))
        """
    assert run(impl, program, path) == ["True", "2" if sweepable else "1"]
    assert os.listdir(path.parent) == []


def test_a_child_may_remove_it(impl, path, sweepable):
    program = f"""
        manager = TempFileManager(sys.argv[1], sweepable={sweepable})
        pid = os.fork()
        if pid == 0:
            manager.remove()
            assert not manager.is_active
            sys.exit()
        assert os.waitpid(pid, 0)[1] == 0
        print(len(os.listdir(os.path.dirname(sys.argv[1]))))
        """
    assert run(impl, program, path) == ["0"]


def test_a_child_that_outlives_the_crash_of_its_parent(native, path):
    """It does not hold its parent's lock."""
    program = """
        manager = TempFileManager(sys.argv[1], sweepable=True)
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            time.sleep(60)
            os._exit(0)
        time.sleep(60)
        """
    process, child = start(native, program, path)
    try:
        assert native.TempFileManager.sweep(path.parent) == []
        process.kill()
        process.wait(60)
        os.kill(int(child), 0)
        assert native.TempFileManager.sweep(path.parent) == [str(path)]
    finally:
        os.kill(int(child), signal.SIGKILL)
        process.communicate(timeout=60)


def test_a_program_that_is_started_does_not_hold_the_lock(impl, path):
    program = """
        import subprocess
        manager = TempFileManager(sys.argv[1], sweepable=True)
        child = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
        print(child.pid, flush=True)
        time.sleep(60)
        """
    process, child = start(impl, program, path)
    try:
        process.kill()
        process.wait(60)
        assert impl.TempFileManager.sweep(path.parent) == [str(path)]
    finally:
        os.kill(int(child), signal.SIGKILL)
        process.communicate(timeout=60)


# ---- crashes and sweeps


def test_a_sweep_removes_what_a_crash_left(impl, tmp_path):
    paths = [tmp_path / name for name in ("b", "a", ".hidden", "c c\n")]
    for path in paths:
        crash(impl, path)
    (tmp_path / "other").write_text("x")
    swept = impl.TempFileManager.sweep(tmp_path)
    assert swept == sorted(map(str, paths))
    assert os.listdir(tmp_path) == ["other"]
    assert impl.TempFileManager.sweep(str(tmp_path)) == []


def test_a_sweep_leaves_live_owners_alone(impl, tmp_path):
    mine, other, dead = (tmp_path / name for name in ("mine", "other", "dead"))
    mine.write_text("x")
    manager = impl.TempFileManager(mine, sweepable=True)
    crash(impl, dead)
    process, _ = start(impl, OWNER, other)
    assert impl.TempFileManager.sweep(os.fsencode(tmp_path)) == [str(dead)]
    assert mine.exists() and other.exists()
    process.communicate("", timeout=60)
    assert not other.exists() and not marker(other).exists()
    manager.remove()
    assert os.listdir(tmp_path) == []


def test_a_sweep_removes_markers_without_a_file(impl, path):
    crash(impl, path)
    path.unlink()
    assert impl.TempFileManager.sweep(path.parent) == []
    assert os.listdir(path.parent) == []


def test_a_sweep_passes_over_what_is_no_marker(impl, tmp_path):
    (tmp_path / ".folder.ferrule-temp").mkdir()
    for name in ("..ferrule-temp", "...ferrule-temp", "....ferrule-temp", ".ferrule-temp"):
        (tmp_path / name).write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "target").write_text("x")
    (tmp_path / ".file.ferrule-temp").symlink_to("target")
    os.mkfifo(tmp_path / ".fifo.ferrule-temp")
    before = sorted(os.listdir(tmp_path))
    assert impl.TempFileManager.sweep(tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give files away")
def test_a_sweep_does_not_believe_other_users(impl, path):
    marker(path).touch()
    os.chown(marker(path), 12345, 12345)
    assert impl.TempFileManager.sweep(path.parent) == []
    assert path.exists()


def test_what_cannot_be_removed_is_left(impl, tmp_path):
    folder, path = tmp_path / "folder", tmp_path / "path"
    folder.mkdir()
    marker(folder).touch()
    crash(impl, path)
    before = len(os.listdir("/proc/self/fd"))
    assert impl.TempFileManager.sweep(tmp_path) == [str(path)]
    assert sorted(os.listdir(tmp_path)) == [".folder.ferrule-temp", "folder"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_sweep_of_nothing(impl, tmp_path):
    assert impl.TempFileManager.sweep(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        impl.TempFileManager.sweep(tmp_path / "missing")
    with pytest.raises(TypeError):
        impl.TempFileManager.sweep(None)


def test_sweeps_at_the_same_time(native, tmp_path):
    for i in range(30):
        (tmp_path / f"{i}").write_text("x")
        marker(tmp_path / f"{i}").touch()
    swept = []
    threads = [
        threading.Thread(target=lambda: swept.extend(native.TempFileManager.sweep(tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(swept) == sorted(str(tmp_path / f"{i}") for i in range(30))
    assert os.listdir(tmp_path) == []


def test_a_live_owner_refuses_another(impl, path):
    process, _ = start(impl, OWNER, path)
    with pytest.raises(FileExistsError, match="live TempFileManager") as raised:
        impl.TempFileManager(path, sweepable=True)
    assert raised.value.filename == path
    assert path.exists()
    process.communicate("", timeout=60)
    mine = impl.TempFileManager(path, sweepable=True)
    with pytest.raises(FileExistsError):
        impl.TempFileManager(str(path), sweepable=True)
    assert mine.is_active
    mine.remove()


def test_what_a_crash_left_is_taken_over(impl, path):
    crash(impl, path)
    manager = impl.TempFileManager(path, sweepable=True)
    assert impl.TempFileManager.sweep(path.parent) == []
    assert path.exists()
    manager.remove()
    assert os.listdir(path.parent) == []


def test_processes_that_take_turns(native, path):
    """Whoever gets the name owns it: also when the marker goes while another opens it."""
    program = """
        got = 0
        for _ in range(300):
            try:
                manager = TempFileManager(sys.argv[1], sweepable=True)
            except FileExistsError:
                continue
            # nobody else may be in here
            fd = os.open(sys.argv[1] + ".lock", os.O_CREAT | os.O_EXCL)
            os.close(fd)
            os.remove(sys.argv[1] + ".lock")
            manager.remove()
            got += 1
        assert got
        """
    processes = [start(native, program, path)[0] for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    for process in processes:
        process.communicate()
    assert os.listdir(path.parent) == []


def test_without_locks(impl, path, monkeypatch):
    module = sys.modules[impl.TempFileManager.__module__]
    monkeypatch.setattr(module, "fcntl", None)
    with pytest.raises(OSError, match="fcntl") as raised:
        impl.TempFileManager(path, sweepable=True)
    assert raised.value.filename == path
    impl.TempFileManager(path).remove()
    assert os.listdir(path.parent) == []


def test_a_marker_that_cannot_be_made(impl, tmp_path):
    with pytest.raises(FileNotFoundError):
        impl.TempFileManager(tmp_path / "missing" / "file", sweepable=True)
    with pytest.raises(OSError):
        impl.TempFileManager(tmp_path / ("x" * 250), sweepable=True)
    path = tmp_path / "file"
    marker(path).symlink_to("elsewhere")
    with pytest.raises(OSError):
        impl.TempFileManager(path, sweepable=True)
    assert not (tmp_path / "elsewhere").exists()
