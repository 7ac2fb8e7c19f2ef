"""Files that are written completely or not at all: on a disk that becomes full, and beside other writers."""

import errno
import os
import subprocess
import sys

import pytest
from full_disk import room_for

from manyfaces.files import append_whole, remove_parts, whole_file, write_whole


def test_what_does_not_fit_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "file"
    append_whole(path, b"first\n")
    with room_for(10):
        for write in (append_whole, write_whole):
            with pytest.raises(OSError) as caught:
                write(path, b"second line\n")
            assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
            assert path.read_bytes() == b"first\n" and os.listdir(tmp_path) == ["file"]
        append_whole(path, b"2nd\n")
    append_whole(path, b"third\n", sync=True)
    assert path.read_bytes() == b"first\n2nd\nthird\n"
    with pytest.raises(OSError, match=f"{tmp_path}/absent/file"):
        append_whole(tmp_path / "absent" / "file", b"x")


def test_a_new_file_that_does_not_fit_stays_empty(tmp_path):
    with room_for(3), pytest.raises(OSError):
        append_whole(tmp_path / "file", b"first\n")
    assert (tmp_path / "file").read_bytes() == b""


def test_what_a_killed_process_left_of_a_file_goes_with_the_next_one(tmp_path):
    code = ("import os, signal, sys; from manyfaces.files import whole_file\n"
            "with whole_file(sys.argv[1]) as beside:\n"
            "    beside.write_bytes(b'half')\n"
            "    if sys.argv[2] == 'die': os.kill(os.getpid(), signal.SIGKILL)\n"
            "    print('writes', flush=True); sys.stdin.read()")
    for name in ("[a]", "[a].b"):
        assert subprocess.run([sys.executable, "-c", code, tmp_path / name, "die"]).returncode == -9
    dead = sorted(os.listdir(tmp_path))
    (tmp_path / dead[0].replace("[a]", "[b]")).write_bytes(b"of another file")
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "[a]", "live"], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as living:
        assert living.stdout.readline() == "writes\n"
        with whole_file(tmp_path / "[a]", ".h5") as beside, whole_file(tmp_path / "[a]", ".npz") as other:
            beside.write_bytes(b"whole")
            other.write_bytes(b"later")
        write_whole(tmp_path / "[a].b", b"b")
        living.communicate("")
    assert living.returncode == 0 and (tmp_path / "[a]").read_bytes() == b"half"
    assert sorted(os.listdir(tmp_path)) == sorted(["[a]", "[a].b", dead[0].replace("[a]", "[b]")])


def test_only_the_parts_of_ended_processes_are_removed(tmp_path):
    (tmp_path / ".file.1.2.part").write_bytes(b"of a process that was killed")
    (tmp_path / f".file.{os.getpid()}.2.part.h5").write_bytes(b"of an earlier process with the same number")
    (tmp_path / ".partly").write_bytes(b"of something else")
    with whole_file(tmp_path / "file") as beside:
        beside.write_bytes(b"x")
        remove_parts(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".partly", "file"] and (tmp_path / "file").read_bytes() == b"x"
