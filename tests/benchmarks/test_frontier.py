"""The picture of AP against ms, drawn from a made-up CSV: what is where, and which labels cover which."""

import re
from xml.etree import ElementTree

import pytest

from benchmarks import detectors, frontier
from manyfaces.commands.command_line import run
from manyfaces.errors import InputError

ROWS = {  # (table, row) -> (events, ms)
    (detectors.ORIGINAL, "SSH MobileNetV1 x0.25 (OpenVINO, float32)"): ("0.9 0.6 0.50", 10),
    (detectors.ORIGINAL, "SSH MobileNetV1 x0.25 (Keras)"): ("0.9 0.6 0.50", 100),
    (detectors.ORIGINAL, "Other <new> & good"): ("0.9 0.8 0.70", 1000),
    (detectors.ORIGINAL, "YuNet-n (OpenCV)"): ("0.9 0.7 0.40", 31.6227766),
    (detectors.SMALL, "YuNet-n (OpenCV)"): ("0.9 0.5 0.30", 1),
}


@pytest.fixture
def csv(tmp_path):
    lines = [f'"{table}, no flip","{row}",{column},{value}' for (table, row), cells in ROWS.items()
             for column, value in zip((frontier.AP, frontier.MS), cells, strict=True)]
    path = tmp_path / "detectors.csv"
    path.write_text("\n".join(["table,row,column,value", *lines, '"A","Ultra-Light",ms,5']) + "\n")
    return path


def test_what_is_read(csv):
    chains = {chain.name: chain for chain in frontier.read_chains(csv, "hard")}
    assert list(chains) == ["SSH MobileNetV1 x0.25", "Other <new> & good", "YuNet-n", "YuNet-n, 300 x 300"]
    assert chains["SSH MobileNetV1 x0.25"].points == [(10, 0.5, "OpenVINO"), (100, 0.5, "Keras")]
    assert [chain.ours for chain in chains.values()] == [True, False, False, False]
    assert frontier.read_chains(csv, "medium")[0].points[0][1] == 0.6
    # YuNet at 31.6 ms with .40 is behind SSH at 10 ms with .50, and so is SSH in Keras.
    assert frontier.frontier(list(chains.values())) == [(1, 0.3), (10, 0.5), (1000, 0.7)]


def test_the_picture(csv, tmp_path, tool, capsys):
    assert run(tool("frontier").main, ["--csv", str(csv), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines() == [f"wrote {tmp_path}/out/frontier_{name}.svg"
                                                    for name in ("hard", "medium")]
    text = (tmp_path / "out/frontier_hard.svg").read_text()
    root = ElementTree.fromstring(text)
    assert "prefers-color-scheme: dark" in text and "http" not in text.replace("http://www.w3.org/2000/svg", "")
    marks = [(node.get("class"), *map(float, re.findall(r"[\d.]+", node.get("transform"))))
             for node in root.iter("{http://www.w3.org/2000/svg}path") if node.get("transform")][: len(ROWS)]
    assert [kind for kind, *_ in marks] == ["ours", "ours", "peers", "peers", "peers"]
    fast, slow, other, yunet, small = ((x, y) for _, x, y in marks)
    # A factor of ten is as wide anywhere, and so is a tenth high.
    assert slow[0] - fast[0] == pytest.approx(other[0] - slow[0], abs=0.2) == pytest.approx(fast[0] - small[0], abs=0.2)
    assert yunet[0] == pytest.approx((fast[0] + slow[0]) / 2, abs=0.2)
    assert fast[1] == slow[1] and small[1] - yunet[1] == pytest.approx(yunet[1] - fast[1], abs=0.2)
    assert small[1] > yunet[1] > fast[1] > other[1] and small[0] > frontier.LEFT
    names = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text") if "label" in node.get("class")]
    assert names == ["SSH MobileNetV1 x0.25", "Other <new> & good", "YuNet-n", "YuNet-n, 300 x 300"]


def test_labels_of_neighbours_do_not_cover_one_another():
    points = [(f"Detector number {n}", [(300 + 9 * (n % 3), 200 + 7 * (n // 3)) for _ in range(2)]) for n in range(5)]
    boxes = [frontier.box(left, base, len(name) * frontier.FONT * frontier.LETTER)
             for name, left, base in frontier.labels(points, [(62, 210), (300, 210)])]
    assert len(boxes) == 5
    assert not [1 for a in boxes for b in boxes if a is not b and frontier.common(a, b) > 0]
    assert all(frontier.outside(box) == 0 for box in boxes)
    # In a corner there is room on one side only.
    (_, left, base), = frontier.labels([("a corner", [(frontier.WIDTH - 30, frontier.TOP + 8)])], [])
    assert left < frontier.WIDTH - 80 and base > frontier.TOP + 8


@pytest.mark.parametrize("line, message", [
    ("", "no row has wider_events and ms alone"), ('T,"x",wider_events,0.1 0.2\nT,"x",ms alone,3', "row 'x': expected"),
    ('T,"x",wider_events,0.1 0.2 0.3\nT,"x",ms alone,0', "found '0.1 0.2 0.3' and '0'"),
    ('T,"x",wider_events,0.1 0.2 nan\nT,"x",ms alone,1', "row 'x'"),
    ('T,"x",wider_events,0.1 0.2 0.3\nT,"x",ms alone,-', "row 'x'")])
def test_a_table_without_such_figures_is_an_error(line, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"table,row,column,value\n{line}\n")
    with pytest.raises(InputError, match=re.escape(message)):
        frontier.read_chains(path, "hard")
    with pytest.raises(InputError, match="no such file"):
        frontier.read_chains(tmp_path / "b.csv", "hard")
