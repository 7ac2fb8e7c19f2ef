"""Each image has one row, whatever ends: a worker, the driver, the disk; and a folder takes one run only."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from bulk_data import deadly_opener, folder_of, in_this_process, opener, rows_of, slow_opener
from bulk_kills import Processes
from conftest import ROOT
from full_disk import room_for
from processes import wait_for
from stand_in import picture, save, square_detector

from manyfaces.bulk import local, stop
from manyfaces.bulk.run import run_bulk
from manyfaces.bulk.sources.find import find_source
from manyfaces.bulk.worker import Worker
from manyfaces.errors import InputError

DRIVER = """
import sys
sys.path[:0] = {paths!r}
import bulk_data
from manyfaces.bulk.run import run_bulk
from manyfaces.bulk.sources.find import find_source
from manyfaces.commands.command_line import run

def main(arguments=None):
    done = run_bulk(find_source(sys.argv[1]), sys.argv[2], bulk_data.slow_opener, 0.2, rows=2, workers=2)
    return 128 + done.signal if done.signal else 0

if __name__ == "__main__":
    sys.exit(run(main))
"""


@pytest.fixture
def photos(tmp_path):
    folder_of(tmp_path / "photos", 24)
    return tmp_path / "photos"


@pytest.fixture
def here(monkeypatch):
    in_this_process(monkeypatch)


def bulk(photos, out, open_detector=opener, **options):
    return run_bulk(find_source(str(photos)), out, open_detector, **{"rows": 4, "workers": 2, "score": 0.2, **options})


def complete(photos, out):
    return sorted(rows_of(out)) == sorted(str(path) for path in photos.rglob("*.png"))


@pytest.mark.slow
def test_a_killed_worker_is_replaced(photos, tmp_path, capsys):
    out, killed = tmp_path / "out", []

    def kill():
        while not killed:
            for child in Processes().below(os.getpid(), "spawn_main"):
                if len(list(out.glob("part-*"))) >= 1:
                    killed.append(child)
                    os.kill(child, signal.SIGKILL)
                    return
            time.sleep(0.02)

    threading.Thread(target=kill, daemon=True).start()
    done = bulk(photos, out, slow_opener)
    assert killed and complete(photos, out)
    assert (done.images, done.before, done.errors, done.faces) == (24, 0, 0, 24)
    assert "a worker process ended" in capsys.readouterr().err
    assert not (out / "_tries").exists()


@pytest.mark.slow
def test_an_image_that_ends_its_process_is_a_row_with_an_error(tmp_path):
    for number in range(6):
        save(tmp_path / "photos" / f"{number}.png", picture(77 if number == 3 else 64, 64, (4, 4, 20)))
    done = bulk(tmp_path / "photos", tmp_path / "out", deadly_opener, workers=1, rows=6)
    errors = {path[-5:]: row["error"] for path, row in rows_of(tmp_path / "out").items()}
    assert errors.pop("3.png") == f"{tmp_path}/photos/3.png: ended the process that read it, twice; left out"
    assert set(errors.values()) == {None} and (done.errors, done.faces) == (1, 5)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_is_stopped_continues(photos, tmp_path, number):
    out, program = tmp_path / "out", tmp_path / "driver.py"
    program.write_text(DRIVER.format(paths=[str(ROOT / "tests" / "bulk"), str(ROOT / "tests")]))
    command = [sys.executable, str(program), str(photos), str(out)]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: list(out.glob("part-*")), driver)
    os.kill(driver.pid, number)
    text = driver.communicate()[1]
    assert driver.returncode == (-number if number == signal.SIGKILL else 128 + number), text
    finished = {path.name: path.read_bytes() for path in out.glob("part-*")}
    assert 0 < len(finished) < 12  # of the rest, four at most were in work
    if number != signal.SIGKILL:
        assert f"stopped by {number.name}: " in text and "of 24 images are done; the same command continues" in text
    else:  # its workers end by themselves
        assert wait_until(lambda: not session(driver.pid))
    done = bulk(photos, out, rows=2)
    assert (done.before, done.images) == (2 * len(finished), 24 - 2 * len(finished))
    assert complete(photos, out)
    assert all((out / name).read_bytes() == data for name, data in finished.items())


def session(leader):
    """The processes of a session, but for its leader."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = open(f"/proc/{name}/stat").read().rpartition(")")[2].split()
            if int(fields[3]) == leader and int(name) != leader and fields[0] != "Z":
                found.append(name)
    return found


def wait_until(state, seconds=60):
    end = time.monotonic() + seconds
    while not state() and time.monotonic() < end:
        time.sleep(0.05)
    return state()


@pytest.mark.usefixtures("here")
def test_a_second_run_does_what_is_missing(photos, tmp_path):
    out = tmp_path / "out"
    assert bulk(photos, out).images == 24
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "_run.json" in whole and len(whole) == 8
    (out / "part-000002.parquet").unlink()
    (out / "part-000004.parquet").write_bytes(whole["part-000004.parquet"][:100])  # damaged
    (out / ".part-000001.parquet.x.1.1.part").write_bytes(b"left by a process that was killed")
    done = bulk(photos, out, rows=None)
    assert (done.images, done.before, done.total) == (8, 16, 24)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole
    assert bulk(photos, out).images == 0


@pytest.mark.usefixtures("here")
def test_a_folder_takes_one_run_only(photos, tmp_path):
    out = tmp_path / "out"
    settings = {"name": "x", "nms": 0.4}
    bulk(photos, out, settings=lambda detector: settings)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def refused(source=photos, opener=opener, **options):
        with pytest.raises(InputError) as error:
            bulk(source, out, opener, **{"settings": lambda detector: settings, **options})
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
        return str(error.value)

    assert "score was 0.2, now it is 0.25; choose another --out" in refused(score=0.25)
    assert "scales was [1], now it is [1, 2]" in refused(scales=[1, 2]).replace(".0", "")
    assert "flip was False, now it is True" in refused(flip=True)
    assert "rows was 4, now it is 5" in refused(rows=5)
    assert "settings.nms was 0.4, now it is 0.3" in refused(settings=lambda detector: {**settings, "nms": 0.3})
    assert "model was " in refused(opener=functools.partial(square_detector, NMS=0.2))
    assert f"source was '{photos}', now it is '{photos}/e0'" in refused(photos / "e0")
    save(photos / "e1" / "000b.png", picture(20, 20))
    assert (f"the source has changed: it had 24 images, now it has 25; image 9 was '{photos}/e1/001.png', now it is "
            f"'{photos}/e1/000b.png'") in refused()
    (photos / "e1" / "000b.png").unlink()
    (photos / "e2" / "023.png").unlink()
    assert f"image 24 was '{photos}/e2/023.png', now it is 'the end of the source'" in refused()


@pytest.mark.usefixtures("here")
def test_a_folder_of_something_else_is_left_alone(photos, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for out, words in (("mine", "holds 'thesis.txt' but no _run.json"), ("file", "is a file"),
                       ("photos/out", "is inside the source")):
        with pytest.raises(InputError, match=words):
            bulk(photos, tmp_path / out)
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"] and not (photos / "out").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "_run.json").write_text('{"format": "another"}')
    with pytest.raises(InputError, match="found 'another', expected 'manyfaces bulk 1'"):
        bulk(photos, tmp_path / "old")


def test_two_runs_at_once_are_refused(photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    code = ("import sys; from manyfaces.locks import hold; hold(sys.argv[1]); print('held', flush=True); "
            "sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", code, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"process {other.pid} on .* works there"):
            bulk(photos, out)
        other.stdin.close()


@pytest.mark.usefixtures("here")
def test_a_full_disk_ends_with_its_name_and_the_rest_follows_later(photos, tmp_path):
    out = tmp_path / "out"
    bulk(photos, out)
    for path in sorted(out.glob("part-*"))[2:]:
        path.unlink()
    with room_for(1000), pytest.raises(OSError) as error:
        bulk(photos, out)
    assert error.value.filename == str(out / "part-000002.parquet")
    assert len(list(out.glob("part-*"))) == 2
    assert bulk(photos, out).images == 16 and complete(photos, out)


def test_a_folder_that_is_removed_meanwhile_does_not_come_back_without_its_parts(photos, tmp_path, monkeypatch):
    def parts(job, plan, workers, stop):
        worker = Worker(job)
        for number in plan.todo:
            if number == 2:
                os.rename(tmp_path / "out", tmp_path / "moved")
            yield worker.part(number, plan.items(number))

    monkeypatch.setattr(local, "local_parts", parts)
    with pytest.raises(FileNotFoundError, match="was removed while parts were written"):
        bulk(photos, tmp_path / "out")
    assert len(list((tmp_path / "moved").glob("part-*"))) == 2


@pytest.mark.usefixtures("here")
def test_parts_with_errors_are_done_again_if_asked(photos, tmp_path):
    (photos / "e0" / "000.png").rename(tmp_path / "away.png")
    (photos / "e0" / "000.png").symlink_to(tmp_path / "mounted.png")
    assert bulk(photos, tmp_path / "out").errors == 1
    (tmp_path / "away.png").rename(tmp_path / "mounted.png")
    assert bulk(photos, tmp_path / "out").images == 0
    done = bulk(photos, tmp_path / "out", again=True)
    assert (done.images, done.errors) == (4, 0) and complete(photos, tmp_path / "out")


def test_a_part_that_comes_twice_is_written_once(photos, tmp_path, monkeypatch):
    def parts(job, plan, workers, stop):
        worker = Worker(job)
        for number in [0, 0, *plan.todo, 1]:
            yield worker.part(number, plan.items(number))

    monkeypatch.setattr(local, "local_parts", parts)
    assert bulk(photos, tmp_path / "out").images == 24 and complete(photos, tmp_path / "out")


@pytest.mark.parametrize("options, words", [
    ({"rows": 0}, "--rows is 0"), ({"workers": 0}, "--workers is 0"), ({"gpus": -1}, "--gpus is -1"),
    ({"engine": "spark"}, "expected one of local, ray"), ({"score": 2}, "--score"),
    ({"engine": "local", "gpus": 1}, "--gpus is for --engine ray"),
    ({"engine": "local", "address": "auto"}, "--address is for --engine ray")])
def test_wrong_options(photos, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        bulk(photos, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_stop_signal_has_a_time_limit(monkeypatch):
    with stop.Stop() as asked:
        assert not asked.asked and not asked.expired
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.asked == signal.SIGTERM and not asked.expired
        monkeypatch.setattr(stop, "GRACE", 0)
        assert asked.expired
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    monkeypatch.setattr(stop, "GRACE", 0.05)
    with pytest.raises(stop.TimeUp), stop.Stop() as asked:
        asked.raise_when_expired()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)


def test_the_size_of_parts_depends_on_the_number_of_images_only():
    from manyfaces.bulk.plan import usual_rows

    assert [usual_rows(images) for images in (1, 200, 2000, 20_000, 10 ** 6)] == [16, 16, 32, 256, 256]
