"""The loader's benchmark at a small size, on toy scenes: its rows, and that a loader with other images is an error."""

import numpy as np
import pytest

from benchmarks import loader


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # without data/, so toy scenes are used


@pytest.mark.slow
def test_tables(monkeypatch):
    monkeypatch.setattr(loader, "grain_processes", lambda *_: None)  # takes seconds to start
    stages, whole = loader.run(images=16, steps=2, size=96)
    assert [row[0] for row in stages.rows] == [
        "cv2.imdecode alone", "read and decode", "warp: crop, resize, faces", "flip and colour", "targets",
        "batch, uint8", "batch, float32 instead"]
    decoding = float(stages.rows[0][1])
    for name, ms, rate, ratio in stages.rows[:-2]:
        assert float(ms) > 0 and float(rate) == pytest.approx(1000 / float(ms), rel=0.2), name
        assert float(ratio) == pytest.approx(float(ms) / decoding, rel=0.2, abs=0.02), name
    assert "toy scenes" in stages.note
    names = [row[0] for row in whole.rows]
    assert names[:2] == ["manyfaces, 2 threads", "manyfaces, 1 thread"] and set(names[2:]) <= {"Grain, 2 threads"}
    assert whole.rows[0][2] == "1.00" and all(float(row[1]) > 0 for row in whole.rows)


def test_a_loader_that_gives_other_images_is_an_error(monkeypatch):
    def wrong(records, cfg, steps):
        return ({"images": np.zeros((16, 96, 96, 3), np.uint8)} for _ in range(steps))

    monkeypatch.setattr(loader, "grain_threads", wrong)
    with pytest.raises(RuntimeError, match="Grain, 2 threads gives other images than ours"):
        loader.run(images=4, steps=1, size=96)
