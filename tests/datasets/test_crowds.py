import cv2
import numpy as np
import pytest

from manyfaces.commands.command_line import run
from manyfaces.datasets import read_image
from manyfaces.datasets.roidb import Record, Roidb, load_roidb, save_roidb
from manyfaces.datasets.toy.crowds import write_crowds
from manyfaces.errors import InputError


def record(folder, number, width, height, boxes, ignore=None):
    """Write an image with white faces on black; returns its Record."""
    image = np.zeros((height, width), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    cv2.imwrite(str(folder / f"{number}.png"), image)
    boxes, count = np.float32(boxes).reshape(-1, 4), len(boxes)
    return Record(str(folder), f"{number}.png", width, height, boxes, np.zeros((count, 5, 2), np.float32),
                  np.zeros(count, bool) if ignore is None else np.array(ignore), {"blur": np.ones(count, int)})


@pytest.fixture
def records(tmp_path):
    return [record(tmp_path, 0, 200, 100, [(20, 40, 80, 80), (120, 20, 180, 60)], [False, True]),
            record(tmp_path, 1, 60, 120, [(12, 24, 48, 96)]), record(tmp_path, 2, 80, 80, []),
            record(tmp_path, 3, 40, 40, [(4, 4, 28, 36)]), record(tmp_path, 4, 400, 400, [(100, 100, 300, 300)])]


def test_the_faces_of_a_sheet_lie_where_they_are_seen(records, tmp_path):
    roidb = write_crowds(records, tmp_path / "out", sheets=3, columns=2, side=100)
    assert len(roidb) == 3 and roidb.records[1].image == "crowds/0001.jpg"
    for sheet in roidb.records:
        image = read_image(sheet.path)[..., 0]
        assert image.shape == (200, 200) == (sheet.height, sheet.width)
        assert len(sheet.boxes) == 5 == len(sheet.landmarks) and sheet.ignore.sum() == 1  # each image with faces once
        assert np.isnan(sheet.landmarks).all()
        painted = np.zeros((200, 200), bool)
        for x1, y1, x2, y2 in sheet.boxes.round().astype(int):
            assert np.median(image[y1:y2, x1:x2]) > 250 and image[y1 + 2:y2 - 2, x1 + 2:x2 - 2].min() > 200
            painted[max(y1 - 2, 0):y2 + 2, max(x1 - 2, 0):x2 + 2] = True
        assert image[~painted].max() < 180  # black, and the grey of empty places
        # Scales: 1/2 of 200 x 100, 5/6 of 60 x 120, 2.5 of 40 x 40 and 1/4 of 400 x 400.
        sizes = sorted((sheet.boxes[:, 2:] - sheet.boxes[:, :2]).tolist())
        np.testing.assert_allclose(sizes, [[30, 20], [30, 20], [30, 60], [50, 50], [60, 80]], atol=0.5)


def test_another_seed_draws_another_order_and_too_few_images_are_named(records, tmp_path):
    one, same, other = (write_crowds(records, tmp_path / name, 2, 2, 64, seed).records
                        for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert all((a.boxes == b.boxes).all() for a, b in zip(one, same, strict=True))
    assert any((a.boxes != b.boxes).any() for a, b in zip(one, other, strict=True))
    with pytest.raises(InputError, match="4 images with a face: expected at least 9 for 3 x 3 on a sheet"):
        write_crowds(records, tmp_path / "d", columns=3)
    assert not (tmp_path / "d").exists()


def test_the_tool_writes_sheets_and_their_roidb(tool, capsys, records, tmp_path):
    main, source, out = tool("make_crowds").main, tmp_path / "source.pkl", tmp_path / "out"
    save_roidb(Roidb(records), source)
    assert run(main, ["--roidb", str(source), "--out", str(out), "--sheets", "2", "--columns", "2"]) == 0
    assert f"wrote {out}/crowds.pkl: 2 sheets, 10 faces" in capsys.readouterr().out
    assert [sheet.name for sheet in load_roidb(out / "crowds.pkl").records] == ["crowds/0000", "crowds/0001"]
    assert run(main, ["--roidb", str(source), "--out", str(out), "--side", "8"]) == 2
    assert capsys.readouterr().err == "error: --side 8: expected at least 16\n"
