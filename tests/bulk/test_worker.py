"""The rows of a part: those of the detector, in the order of the images, with an error where one cannot be read."""

import numpy as np
import pytest
from bulk_data import encoded, folder_of, link, opener, pa, parquet_of, pq, shard_of, squares
from stand_in import picture, save, square_detector

from manyfaces.bulk.rows import detections_of
from manyfaces.bulk.sources.find import find_source
from manyfaces.bulk.sources.items import items_of
from manyfaces.bulk.tries import Tries
from manyfaces.bulk.worker import Job, Worker
from manyfaces.datasets.images import ImageError, read_image
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.inference.demo.journal import detector_mark


def rows(source, tmp_path, open_detector=opener, number=0, **options):
    """The rows of all images of a source as one part."""
    source = find_source(str(source), **options)
    job = Job(open_detector, detector_mark(open_detector()), 0.2, (1.0,), None, source.kind, source.image_column,
              str(tmp_path / "out" / "_tries"))
    (tmp_path / "out").mkdir(exist_ok=True)
    part = Worker(job).part(number, list(items_of(source.table)))
    table = pq.read_table(pa.BufferReader(part.data))
    assert part.images == table.num_rows and part.errors == table.num_rows - table["error"].null_count
    return table.to_pylist()


@pytest.mark.parametrize("batch", [1, 4])
def test_rows_are_those_of_the_detector(tmp_path, batch):
    faces = folder_of(tmp_path / "photos", 9)
    found = rows(tmp_path / "photos", tmp_path, lambda: square_detector(BATCH=batch))
    assert [row["path"] for row in found] == sorted(f"{tmp_path}/photos/{name}" for name in faces)
    for row in found:
        alone = square_detector().detect(row["path"], threshold=0.2)
        again = detections_of(row, 0.2)
        assert len(again) == faces[row["path"].removeprefix(f"{tmp_path}/photos/")] and row["error"] is None
        for name in ("boxes", "scores", "landmarks"):
            assert np.array_equal(getattr(again, name), getattr(alone, name)), name
        assert (row["width"], row["height"]) == read_image(row["path"]).shape[1::-1]


def test_images_of_one_size_share_a_batch(tmp_path):
    for number in range(8):
        save(tmp_path / "photos" / f"{number}.png", picture((64, 96)[number % 2], 64))
    detector = square_detector(BATCH=4)
    rows(tmp_path / "photos", tmp_path, lambda: detector)
    assert sorted(detector.family.shapes) == [(4, 64, 64, 3), (4, 64, 96, 3)]


def test_errors_have_the_words_of_the_file_reader(tmp_path):
    good = encoded(picture(50, 40, (4, 4, 20)))
    bad = {"empty.png": b"", "text.jpg": b"no image, but a text\n", "short.png": good[:-20]}
    for name, data in bad.items():
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    (tmp_path / "photos" / "good.png").write_bytes(good)
    (tmp_path / "photos" / "gone.png").symlink_to("nowhere")
    found = {row["path"].rpartition("/")[2]: row for row in rows(tmp_path / "photos", tmp_path)}
    for name in [*bad, "gone.png"]:
        with pytest.raises(ImageError) as error:
            read_image(tmp_path / "photos" / name)
        assert found[name]["error"] == str(error.value)
        assert [found[name][key] for key in ("width", "height", "boxes", "scores", "landmarks")] == [None] * 5
    assert found["good.png"]["error"] is None and len(found["good.png"]["boxes"]) == 1
    # The same files in a shard and in rows: the same words, with the names that they have there.
    shard = shard_of(tmp_path / "s.tar", [*bad.items(), ("good.png", good), link("l.png", "good.png")])
    packed = {row["path"]: row["error"] for row in rows(shard, tmp_path, number=1)}
    for name in bad:
        assert packed[f"{shard}/{name}"].replace(f"{shard}", f"{tmp_path}/photos") == found[name]["error"]
    assert packed[f"{shard}/good.png"] is packed[f"{shard}/l.png"] is None
    table = parquet_of(tmp_path / "t.parquet", {"jpg": [*bad.values(), None, good]})
    in_rows = [row["error"] for row in rows(table, tmp_path, number=2)]
    assert in_rows[0] == f"{table}/0: empty file, expected an image"
    assert in_rows[3:] == [f"{table}/3: the row holds no image", None]


def test_rows_of_several_groups_and_files(tmp_path):
    data = [encoded(image) for image, _ in squares(50)]
    parquet_of(tmp_path / "p" / "a.parquet", {"jpg": data[:35]}, row_group_size=20)
    parquet_of(tmp_path / "p" / "b.parquet", {"jpg": data[35:]})
    (tmp_path / "p" / "c.parquet").write_bytes(b"x")
    found = rows(tmp_path / "p", tmp_path)
    assert [len(row["boxes"]) for row in found[:-1]] == [faces for _, faces in squares(50)]
    assert "cannot be read as a Parquet file" in found[-1]["error"]
    source = find_source(str(tmp_path / "p" / "a.parquet"))
    job = Job(opener, detector_mark(opener()), 0.2, (1.0,), None, source.kind, "jpg", str(tmp_path / "out" / "_tries"))
    part = Worker(job).part(1, list(items_of(source.table.slice(17, 9))))  # over the border of two groups
    table = pq.read_table(pa.BufferReader(part.data))
    assert table["path"].to_pylist() == [f"{tmp_path}/p/a.parquet/{row}" for row in range(17, 26)]
    assert [len(boxes) for boxes in table["boxes"].to_pylist()] == [faces for _, faces in squares(50)][17:26]


def test_what_went_away_after_the_list_was_made_is_an_error_of_its_rows(tmp_path):
    shard = shard_of(tmp_path / "s.tar", [("1.png", encoded(picture(50, 40))), ("2.png", encoded(picture(50, 40)))])
    table = parquet_of(tmp_path / "t.parquet", {"jpg": [encoded(picture(50, 40))] * 2})
    for path, change in ((shard, lambda: shard.write_bytes(shard.read_bytes()[:600])), (table, table.unlink)):
        source = find_source(str(path))
        job = Job(opener, detector_mark(opener()), 0.2, (1.0,), None, source.kind, source.image_column,
                  str(tmp_path / "out" / "_tries"))
        (tmp_path / "out").mkdir(exist_ok=True)
        change()
        errors = pq.read_table(pa.BufferReader(Worker(job).part(0, list(items_of(source.table))).data))["error"]
        assert all(text.startswith(f"{path}/") for text in errors.to_pylist()), errors


def test_a_defect_on_one_image_does_not_end_the_others(tmp_path):
    folder_of(tmp_path / "photos", 6)

    def failing():
        detector = square_detector(BATCH=3)
        run = detector.run

        def on_some(images):
            if images.shape[2] == 128:
                raise ZeroDivisionError("by a test")
            return run(images)

        detector.run = on_some
        return detector

    found = rows(tmp_path / "photos", tmp_path, failing)
    assert [bool(row["error"]) for row in sorted(found, key=lambda row: row["path"][-7:])] == [False, True] * 3
    assert "the detector failed on it (ZeroDivisionError: by a test)" in str(found)


def test_a_detector_without_landmarks_and_damaged_weights(tmp_path):
    folder_of(tmp_path / "photos", 3)

    def boxes_only():
        detector = square_detector()
        decode = detector.family.decode

        def without(outputs, size):
            faces = decode(outputs, size)
            return Detections(faces.boxes, faces.scores)

        detector.family.decode = without
        return detector

    assert {row["landmarks"] is None and row["boxes"] is not None
            for row in rows(tmp_path / "photos", tmp_path, boxes_only)} == {True}

    def damaged():
        detector = square_detector()
        detector.run = lambda images: {"green": np.full(images.shape[:3], np.nan, np.float32)}
        return detector

    with pytest.raises(InputError, match="not finite"):
        rows(tmp_path / "photos", tmp_path, damaged)


def test_another_detector_than_the_drivers_is_refused(tmp_path):
    job = Job(opener, "other 123", 0.2, (1.0,), None, "files", None, str(tmp_path / "_tries"))
    with pytest.raises(InputError, match="expected other 123, which the run began with"):
        Worker(job)


def test_the_image_that_ended_two_attempts_is_given_up(tmp_path):
    def attempt(*places):
        tries = Tries(tmp_path / "tries", 3)
        for place in places:
            tries.note(place)
        return tries.careful, tries.given_up

    assert attempt(0, 1, 2) == (False, set())  # not careful: nothing is noted, and no image is suspected for it
    assert attempt(0, 1, 2) == (True, set())
    assert attempt(0, 1) == (True, set())
    assert attempt(0, 1, 2) == (True, set())
    assert attempt(0, 1, 3) == (True, {2})
    assert attempt(0) == (True, {2})
    Tries(tmp_path / "tries", 3).close()
    assert attempt() == (False, set())


def test_a_part_leaves_no_file_of_tries(tmp_path):
    folder_of(tmp_path / "photos", 2)
    rows(tmp_path / "photos", tmp_path)
    assert list((tmp_path / "out" / "_tries").iterdir()) == []
