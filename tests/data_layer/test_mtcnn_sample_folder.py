"""The folder of MTCNN's samples: a killed run ends with the same bytes, memory does not grow, errors are clear."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mtcnn_scenes import config, make, maker, write_records

from manyfaces import locks
from manyfaces.data_layer.mtcnn.folder import SampleFolder
from manyfaces.data_layer.mtcnn.sample_list import write_list
from manyfaces.data_layer.mtcnn.tfrecords import KINDS, open_samples
from manyfaces.datasets.roidb import Record
from manyfaces.errors import InputError
from manyfaces.progress import Progress


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("images"), 150)


def contents(folder):
    """File -> bytes of everything a run writes but its lock, which has the time; the journal sorted by lines."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.suffix == ".tfrecord"
            else sorted(path.read_bytes().splitlines()) for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != ".lock"}


class Killed(Exception):
    pass


class Killer:
    """Progress that ends the run after this many images."""

    def __init__(self, images):
        self.left = images

    def advance(self, count):
        self.left -= count
        if self.left < 0:
            raise Killed


def test_a_killed_run_continues_to_the_same_bytes(records, tmp_path):
    """300 tasks are 5 shards of 60. Killed in the first and in the fourth; a half-written file and line remain."""
    whole = make(tmp_path / "whole", maker(records))
    assert {part: len(rows) for part, rows in whole.shards.items()} == {"train": 5, "select": 1}
    for images, shards in ((30, 0), (210, 3)):
        with pytest.raises(Killed):
            make(tmp_path / "broken", maker(records), Killer(images))
        assert len(SampleFolder(tmp_path / "broken").shards["train"]) == shards
    with open(tmp_path / "broken/journal.jsonl", "ab") as file:
        file.write(b'{"part": "train", "sha')
    (tmp_path / "broken/train/.part-00003.tfrecord.1.2.part").write_bytes(b"half of it")
    make(tmp_path / "broken", maker(records, LOADER__WORKERS=1))
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*.tfrecord")}
    make(tmp_path / "whole", maker(records))
    assert before == {path: path.stat().st_mtime_ns for path in before}, "what is done is not done again"


def test_a_second_process_leaves_the_samples_alone(tmp_path):
    """It would remove what the first one is writing; with --overwrite all of it."""
    folder = SampleFolder(tmp_path)
    folder.begin({"a": 1})
    part = tmp_path / "train" / ".part-00003.tfrecord.1.2.part"
    part.parent.mkdir()
    part.write_bytes(b"being written")
    code = ("import sys; from manyfaces.data_layer.mtcnn.folder import SampleFolder\n"
            "SampleFolder(sys.argv[1]).begin({'a': 1}, sys.argv[2] == 'overwrite')")
    for word in ("continue", "overwrite"):
        done = subprocess.run([sys.executable, "-c", code, tmp_path, word], capture_output=True, text=True)
        assert f"{tmp_path}: process {os.getpid()} on " in done.stderr and "(MTCNN.SAMPLES)" in done.stderr
        assert part.exists() and (tmp_path / "journal.jsonl").exists()
    locks.release(tmp_path)


def test_samples_have_the_wanted_number_and_come_from_the_image_they_name(records, tmp_path):
    folder = make(tmp_path, maker(records))
    counts = folder.counts("train")
    for kind, wanted in zip(KINDS, config().MTCNN.COUNTS, strict=True):
        assert 0.85 * wanted <= counts[kind] <= 1.15 * wanted
    assert folder.counts("select")["landmark"] == 0 and folder.counts("select")["positive"] > 0
    # Boxes of positives: moved back from the crop, each has the shape of one of the faces (they are squares).
    for rows in folder.open("train")["positive"]:
        sides = rows["box"][:, 2:] + 1 - rows["box"][:, :2]
        np.testing.assert_allclose(sides[:, 0], sides[:, 1], atol=0.02)
        assert (sides > 0.7).all()


def test_the_proposals_of_a_cascade_become_samples(records, tmp_path):
    """It proposes each image's first face and one corner; the corner becomes a negative, and nothing else does."""
    corner = np.float32([170, 120, 200, 150])
    free = [r for r in records[:5] if not any((box[2] > 170) & (box[3] > 120) for box in r.boxes)]
    assert free
    seen = []

    def propose(images):
        seen.extend(images)
        return [np.stack([np.rint(free[0].boxes[0]), corner]) for _ in images]

    folder = make(tmp_path, maker(free[:1] * 5, propose, MTCNN__EASY=0, MTCNN__COUNTS="[15, 0, 5, 50]"))
    assert len(seen) == 10 and folder.counts("train") == {"positive": 15, "part": 0, "landmark": 5, "negative": 5}
    rows = open_samples(folder.file("train", "negative", 0), "negative", 12)
    assert (rows["image"] == rows["image"][0]).all(), "the same corner in all"
    assert folder.shards["train"][0]["faces"] == 15 and folder.shards["train"][0]["found"] == 5


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """64 and 640 entries: ten times the samples, written as they are made."""
    pytest.importorskip("resource")
    script, found = Path(__file__).with_name("mtcnn_scenes.py"), []
    for count in (64, 640):
        done = subprocess.run([sys.executable, script, tmp_path / str(count), str(count)], capture_output=True,
                              text=True, check=True)
        found.append([float(word) for word in done.stdout.split()])
    (few, small), (many, large) = found
    assert many > 8 * few and large < small + 30, found


def test_an_image_that_cannot_be_read_is_reported_and_left_out(records, tmp_path, capsys):
    absent = Record(str(tmp_path), "absent.jpg", 200, 150, *(getattr(records[0], key) for key in
                                                             ("boxes", "landmarks", "ignore")))
    folder = make(tmp_path / "samples", maker([*records[:5], absent]))
    assert "absent.jpg: no such file; left out" in capsys.readouterr().err
    assert len(folder.shards["train"][0]["unreadable"]) == 2, "for its boxes, and for its landmarks"


def test_samples_of_other_settings_are_refused(records, tmp_path):
    make(tmp_path, maker(records[:10]))
    with pytest.raises(InputError, match=r"made with MTCNN\.POSITIVE 0\.65, now it is 0\.7; --overwrite makes"):
        make(tmp_path, maker(records[:10], MTCNN__POSITIVE=0.7))
    with pytest.raises(InputError, match="made with images of train '20 [0-9a-f]{12}', now it is '18 "):
        make(tmp_path, maker(records[:9]))
    make(tmp_path, maker(records[:9]), overwrite=True)
    (tmp_path / "journal.jsonl").write_bytes(b'{"settings": {}}\nno line of ours\n')
    with pytest.raises(InputError, match=r"journal\.jsonl line 2: found 'no line of ours'"):
        SampleFolder(tmp_path)


def test_samples_that_are_missing_are_named(records, tmp_path):
    with pytest.raises(InputError, match="no samples there; make them with `manyfaces data samples`"):
        SampleFolder(tmp_path / "none").open("train")
    with pytest.raises(Killed):
        make(tmp_path, maker(records), Killer(130))
    with pytest.raises(InputError, match="2 of 5 shards of train are there"):
        SampleFolder(tmp_path).open("train")


def test_the_text_list_has_crops_and_offsets(records, tmp_path):
    folder = make(tmp_path / "samples", maker(records[:5]))
    path = tmp_path / "list" / "list.txt"
    count = write_list(folder, path, Progress(1, "samples", every=1e9))
    lines = [line.split() for line in path.read_text().splitlines()]
    assert len(lines) == count == sum(folder.counts("train").values())
    assert {(fields[1], len(fields)) for fields in lines} == {("1", 6), ("-1", 6), ("-2", 12), ("0", 2)}
    first = folder.open("train")["part"][0][0]
    fields = next(fields for fields in lines if fields[0] == "part/00000-000000.png")
    np.testing.assert_allclose([float(field) for field in fields[2:]], first["box"], rtol=1e-5)
    np.testing.assert_array_equal(cv2.imread(str(path.parent / fields[0]))[..., ::-1], first["image"])


@pytest.mark.parametrize("line", [
    '{"part": "train", "shard": "0", "records": {}}', '{"part": "train", "shard": 0, "records": {"face": 1}}',
    '{"part": "train", "shard": 0, "records": {"part": -1}}', '{"part": "train", "shard": 0, "records": {"part": 1.5}}',
    '{"part": "train", "shard": 0, "records": []}', '{"part": "test", "shard": 0, "records": {}}', "[" * 100_000])
def test_a_line_that_describes_no_shard_is_named(tmp_path, line):
    (tmp_path / "journal.jsonl").write_text('{"settings": {"side": 12, "shards": {"train": 1}}}\n' + line + "\n")
    with pytest.raises(InputError, match="journal.jsonl line 2: found .*, expected a line of `manyfaces data samples`"):
        SampleFolder(tmp_path)


@pytest.mark.parametrize("settings", ['{}', '{"side": 12}', '{"side": 12, "shards": 7}', '{"side": 12, "shards": {}}',
                                      '{"side": 0, "shards": {"train": 1}}', '{"shards": {"train": 1}}',
                                      '{"side": 1e9, "shards": {"train": 1}}'])
def test_settings_without_a_side_or_shards_are_named(tmp_path, settings):
    (tmp_path / "journal.jsonl").write_text('{"settings": ' + settings + '}\n')
    with pytest.raises(InputError, match="journal.jsonl: its settings lack the side of a crop or the number of shards"):
        SampleFolder(tmp_path).open("train")


def test_a_shard_of_another_number_does_not_count(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"settings": {"side": 12, "shards": {"train": 1}}}\n'
                                            '{"part": "train", "shard": 7, "records": {}}\n')
    with pytest.raises(InputError, match="0 of 1 shards of train are there"):
        SampleFolder(tmp_path).open("train")
