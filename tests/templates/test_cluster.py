"""Clustered templates: distances against boxes, medoids against all combinations, the tool, the authors' templates."""

import itertools

import numpy as np
import pytest
import yaml

from manyfaces.boxes import overlaps
from manyfaces.commands.command_line import run
from manyfaces.datasets.roidb import Record, Roidb, save_roidb
from manyfaces.errors import InputError
from manyfaces.templates.cluster import best_overlaps, cluster_sizes, grid_cells, k_medoids, size_overlaps
from manyfaces.templates.sets import coverage, face_sizes, read_templates, yaml_lines


def record(boxes, ignore=None, name="x.jpg"):
    boxes = np.float32(boxes).reshape(-1, 4)
    ignore = np.zeros(len(boxes), bool) if ignore is None else np.array(ignore)
    return Record("", name, 0, 0, boxes, np.full((len(boxes), 5, 2), np.nan, np.float32), ignore)


def test_overlaps_of_sizes_are_those_of_boxes_about_one_centre():
    rng = np.random.default_rng(0)
    one, other = rng.integers(1, 60, (7, 2)), rng.integers(1, 60, (5, 2))
    boxes = [np.concatenate([-part / 2, part / 2], axis=1).astype(np.float32) for part in (one, other)]
    np.testing.assert_allclose(size_overlaps(one, other), overlaps(*boxes), atol=1e-6)
    np.testing.assert_allclose(best_overlaps(one, other), overlaps(*boxes).max(axis=1), atol=1e-6)
    assert best_overlaps(np.zeros((0, 2)), other).shape == (0,)


def by_all_combinations(distances, weights, count):
    """The lowest cost over all choices of `count` medoids."""
    return min(float(weights @ distances[:, list(chosen)].min(axis=1))
               for chosen in itertools.combinations(range(len(weights)), count))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_medoids_are_the_best_of_all_combinations(count):
    """Twelve sizes in three groups with weights: few enough to try every choice of medoids."""
    rng = np.random.default_rng(7)
    sizes = np.concatenate([rng.uniform(0.8, 1.25, (4, 2)) * side for side in (10, 40, 150)])
    weights, distances = rng.integers(1, 9, 12).astype(float), 1 - size_overlaps(sizes, sizes)
    costs = [k_medoids(distances, weights, count, np.random.default_rng(seed))[1] for seed in range(4)]
    assert min(costs) == pytest.approx(by_all_combinations(distances, weights, count), rel=1e-12)


def test_no_swap_of_a_medoid_would_lower_the_cost():
    rng = np.random.default_rng(1)
    sizes, weights = np.exp(rng.normal(3, 1, (60, 2))), rng.integers(1, 9, 60).astype(float)
    distances = 1 - size_overlaps(sizes, sizes)
    medoids, cost = k_medoids(distances, weights, 6, rng)
    assert len(set(medoids)) == 6
    assert cost == pytest.approx(weights @ distances[:, medoids].min(axis=1))
    swapped = [weights @ distances[:, medoids[:i] + [other] + medoids[i + 1 :]].min(axis=1)
               for i in range(6) for other in range(60)]
    assert min(swapped) >= cost * (1 - 1e-8)


def test_cells_of_equal_sizes_keep_them_and_count_them():
    sizes = np.float64([[10, 14]] * 3 + [[40, 50]] * 2 + [[10, 14]])
    cells, weights = grid_cells(sizes)
    np.testing.assert_allclose(cells, [[10, 14], [40, 50]])
    assert weights.tolist() == [4, 2]


def test_templates_of_three_groups_are_their_medians_and_follow_the_seed():
    rng = np.random.default_rng(3)
    sizes = np.concatenate([np.exp(rng.normal(0, 0.05, (500, 2))) * side for side in ((10, 14), (40, 50), (160, 220))])
    templates = cluster_sizes(sizes, 3, seed=5)
    np.testing.assert_allclose(templates, [[160, 220], [40, 50], [10, 14]], rtol=0.04)
    np.testing.assert_array_equal(cluster_sizes(sizes, 3, seed=5), templates)
    with pytest.raises(InputError, match="4 templates: expected 1 to 1"):
        cluster_sizes([[10, 14]] * 9, 4)


def test_face_sizes_leave_out_the_ignored_and_those_out_of_range():
    records = [record([[0, 0, 10, 20], [5, 5, 105, 105], [0, 0, 3, 3]], [False, True, False]), record([])]
    np.testing.assert_array_equal(face_sizes(records), [[10, 20], [3, 3]])
    np.testing.assert_array_equal(face_sizes(records, (0.5, 2), low=5, high=7.1), [[5, 10], [6, 6]])


def test_yaml_lines_can_be_read_back():
    templates = np.random.default_rng(0).uniform(4, 400, (25, 2))
    lines = yaml_lines(templates)
    anchors = yaml.safe_load("\n".join(lines))["ANCHORS"]
    assert max(map(len, lines)) <= 120
    np.testing.assert_allclose(np.stack([anchors["WIDTHS"], anchors["HEIGHTS"]], axis=1), templates, rtol=1e-3)


def test_the_tool_prints_templates_for_a_config(tool, tmp_path, capsys):
    rng = np.random.default_rng(0)
    records = []
    for number in range(30):
        sides = np.exp(rng.normal(0, 0.03, (6, 2))) * np.repeat([(12, 16), (90, 120)], 3, axis=0)
        records.append(record(np.concatenate([np.zeros((6, 2)), sides], axis=1), name=f"{number}.jpg"))
    path, other = tmp_path / "faces.pkl", tmp_path / "other.yml"
    save_roidb(Roidb(records), path)
    other.write_text("ANCHORS: {WIDTHS: [12], HEIGHTS: [16]}\n")
    words = ["--roidb", str(path), "--count", "2", "--scales", "1,2", "--against", str(other)]
    assert run(tool("cluster_templates").main, words + ["--low", "50", "--plot", str(tmp_path / "sizes.png")]) == 0
    printed = capsys.readouterr().out
    anchors = yaml.safe_load(printed[printed.index("ANCHORS:"):].partition("wrote")[0])["ANCHORS"]
    np.testing.assert_allclose(anchors["WIDTHS"], [180, 90], rtol=0.05)
    assert (tmp_path / "sizes.png").read_bytes()[:4] == b"\x89PNG"
    assert "2 fitted" in printed and "other.yml" in printed
    assert run(tool("cluster_templates").main, ["--count", "2"]) == 2
    assert run(tool("cluster_templates").main, words + ["--low", "5000"]) == 2
    assert "no face to fit" in capsys.readouterr().err


def test_files_without_templates_are_errors(tmp_path):
    (tmp_path / "empty.yml").write_text("FAMILY: ssh\n")
    (tmp_path / "broken.mat").write_bytes(b"no MATLAB file")
    for name, message in (("empty.yml", "found 0 templates"), ("broken.mat", "not a MATLAB file"),
                          ("none.mat", "no such file")):
        with pytest.raises(InputError, match=message):
            read_templates(tmp_path / name)


def test_fitted_templates_cover_faces_better_than_the_reference_boxes(shared_dir):
    """On the half of WIDER's train faces that the fit did not use."""
    from manyfaces.datasets import READERS

    data = shared_dir / "data"
    records = READERS["wider"](data / "wider_official" / "wider_face_train.mat").records
    order = np.random.default_rng(0).permutation(len(records))
    fitted, held = (face_sizes([records[i] for i in order[part::2]]) for part in (0, 1))
    ours = coverage(held, cluster_sizes(fitted, 25, restarts=1))
    theirs = coverage(held, read_templates(data / "tiny" / "RefBox_N25.mat"))
    assert ours[0] > theirs[0] + 0.005 > 0.85
    assert ours[2] > theirs[2], "more faces reach the overlap of a positive"
