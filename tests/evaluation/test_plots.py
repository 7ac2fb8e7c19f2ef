import re
import subprocess
import sys
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from small_sets import image, matched, random_set

from manyfaces.errors import InputError
from manyfaces.evaluation import SETTINGS, Curve
from manyfaces.evaluation.curve import area_under_curve
from manyfaces.evaluation.report.analysis import curves
from manyfaces.evaluation.report.charts import COLOURS, precision_recall
from manyfaces.evaluation.report.html.svg import colour_style, line_chart
from manyfaces.evaluation.report.plots import draw, pr_figure, pr_plot, shortened
from manyfaces.evaluation.report.published import PUBLISHED, USUAL, choose_published


def curve(strength):
    recall = np.linspace(0, 0.9 * strength, 1000)
    precision = 1 - 0.5 * (recall / strength) ** 6
    precision[:20], recall[:20] = 0, 0  # thresholds that no score reaches
    return Curve(recall, precision, area_under_curve(recall, precision), 0.0, 100)


def method(name, *strengths):
    return name, {setting: curve(strength) for setting, strength in zip(SETTINGS, strengths, strict=True)}


THREE = [method("low", 0.8, 0.7, 0.3), method("high", 0.9, 0.8, 1.0), method("middle", 1.0, 0.6, 0.5)]
TEN = [method(f"{'ssh_mobilenet_v1_025_with_a_name_that_does_not_end' if i % 3 else 'mtcnn'}_{i}", *([1 - i / 30] * 3))
       for i in range(10)]


def test_a_panel_per_setting_with_the_legend_by_falling_ap():
    figure = pr_figure(THREE)
    panels = figure.axes[:3]
    assert [axes.get_title() for axes in panels] == ["Easy", "Medium", "Hard"]
    for axes, setting in zip(panels, SETTINGS, strict=True):
        expected = sorted(((found[setting].ap, name) for name, found in THREE), reverse=True)
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        assert texts == [f"{name}: {ap:.3f}" for ap, name in expected]
        lines = {line.get_label().split(":")[0]: line for line in axes.get_lines()}
        for name, found in THREE:
            np.testing.assert_array_equal(lines[name].get_xdata(), found[setting].recall[20:])
            np.testing.assert_array_equal(lines[name].get_ydata(), found[setting].precision[20:])
    # A method looks the same in each panel, whatever its place in the legend.
    looks = [{line.get_label().split(":")[0]: line.get_color() for line in axes.get_lines()} for axes in panels]
    assert looks[0] == looks[1] == looks[2] == {"low": COLOURS[0], "high": COLOURS[1], "middle": COLOURS[2]}


def test_both_renderers_draw_the_same_chart():
    """The curves of the report's SVG are those of the figure, in the same colours, ticks and limits."""
    chart = precision_recall("Hard", [(name, found["hard"]) for name, found in TEN])
    axes = Figure().subplots()
    draw(axes, chart)
    page = ElementTree.fromstring(line_chart(chart))
    paths = [path for path in page.iter("path") if path.get("class").startswith("curve ")]
    style = dict(re.findall(r"\.(s\d) { --c: (#\w+); }", colour_style().split("@media")[0]))
    lines = {line.get_label().split(": ")[0]: line for line in axes.get_lines()}
    assert len(paths) == len(lines) == len({(path.get("class"), path.get("stroke-dasharray")) for path in paths}) == 10
    for path, line in zip(paths, chart.lines, strict=True):
        drawn = lines[shortened(line.name)]
        assert style[path.get("class").split()[1]] == drawn.get_color()
        points = [list(map(float, point.split())) for point in path.get("d")[1:].split("L")]
        x, y = drawn.get_data()
        for at in (0, -1):
            assert points[at] == pytest.approx([42 + 288 * x[at], 222 - 212 * y[at]], abs=0.06)
    ticks = [text.text for text in page.iter("text") if text.get("class") == "muted"]
    assert ticks == [f"{value:.1f}" for value in (*axes.get_xticks(), *axes.get_yticks())]
    assert axes.get_xlim() == (0, 1)
    assert {axes.get_xlabel(), axes.get_ylabel()} == {text.text for text in page.iter("text")} - set(ticks)


def test_ten_methods_differ_in_colour_or_line():
    lines = pr_figure(TEN).axes[0].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 10


def test_published_results_are_among_the_methods_by_falling_hard_ap():
    axes = pr_figure(THREE, published=choose_published("ssh,mtcnn")).axes[3]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["high", "SSH VGG16 (1200 px)", "MTCNN", "middle", "low"]
    texts = [text.get_text() for text in axes.texts]
    assert texts[3:6] == ["0.919", "0.907", "0.814"] and texts[6:9] == ["0.851", "0.820", "0.607"]
    marked = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.get_lines() if len(line.get_xdata()) == 1}
    assert {(0.919, 1), (0.907, 1), (0.814, 1), (0.607, 2)} <= marked
    assert "reported by the authors" in axes.get_xlabel()
    assert len(pr_figure(THREE).axes[3].get_yticklabels()) == 3 + len(USUAL)
    assert len(pr_figure(THREE, published=()).axes) == 3
    assert [axes.get_title() for axes in pr_figure(THREE, ["hard"]).axes] == ["Hard", ""]


@pytest.mark.parametrize("methods, published, settings", [
    (THREE[:1], "usual", SETTINGS), (TEN, "all", SETTINGS), (TEN, "usual", ["hard"]), (THREE, "none", SETTINGS)])
def test_no_text_covers_another_or_leaves_the_figure(methods, published, settings):
    figure = pr_figure(methods, settings, choose_published(published))
    figure.canvas.draw()
    texts, panels = [], [axes.get_window_extent() for axes in figure.axes]
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *axes.get_legend().get_texts(),
                  *axes.get_xticklabels(), *axes.get_yticklabels()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    for place, (text, box) in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
        # Half a point of the box around a line of text is empty.
        meeting = [other for other, around in boxes[:place] if box.padded(-0.7).overlaps(around.padded(-0.7))]
        assert not meeting, (text, meeting)
    if len(methods) > 5:  # the legends are below the curves
        for axes in figure.axes[:len(settings)]:
            assert not any(axes.get_legend().get_window_extent().overlaps(panel) for panel in panels)


def test_both_files_are_written_and_the_same_twice(tmp_path):
    for name, base in (("new/a.png", "new/a"), ("b.v2", "b.v2")):
        written = pr_plot(THREE[:1], tmp_path / name, ["hard"], published=())
        assert written == [f"{tmp_path / base}.png", f"{tmp_path / base}.pdf"]
        picture = cv2.imread(written[0])
        assert picture.shape[1] == 2160 and picture.min() < 50 and picture.max() == 255
        assert open(written[1], "rb").read(5) == b"%PDF-"
    assert (tmp_path / "new/a.pdf").read_bytes() == (tmp_path / "b.v2.pdf").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.v2.pdf", "b.v2.png", "new"]


def test_curves_of_a_set_and_of_nothing_found():
    matches = matched(*random_set(3))
    found = curves(matches)
    assert list(found) == list(SETTINGS) and 0 < found["hard"].ap < 1
    nothing = curves(matched(image("a", [[0, 0, 20, 20]], [])))
    texts = pr_figure([("some", found), ("nothing", nothing)]).axes[2].get_legend().get_texts()
    assert texts[1].get_text() == "nothing: 0.000"


def test_published_results_are_those_that_were_reported(shared_dir):
    facts = (shared_dir / "FACTS.md").read_text().replace(" ", "")
    for row in PUBLISHED:
        assert "/".join(f"{getattr(row, s):.3f}"[1:] for s in SETTINGS) in facts, row
        assert row.model and row.source


def test_published_results_are_chosen_by_key():
    assert [row.key for row in choose_published()] == list(USUAL)
    assert choose_published("all") == PUBLISHED and choose_published("none") == ()
    assert [row.key for row in choose_published("mtcnn,ssh")] == ["mtcnn", "ssh"]
    assert len({row.key for row in PUBLISHED}) == len(PUBLISHED)
    with pytest.raises(InputError, match="no 'sshh'; expected usual, all, none or some of hr_resnet101,"):
        choose_published("mtcnn,sshh")


def test_matplotlib_comes_in_with_the_first_figure_and_pyplot_never():
    code = ("import sys, manyfaces.evaluation.report.plots as plots; assert 'matplotlib' not in sys.modules; "
            "plots.pr_figure([], ['hard'], published=()); assert 'matplotlib' in sys.modules; "
            "assert 'matplotlib.pyplot' not in sys.modules")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).returncode == 0
