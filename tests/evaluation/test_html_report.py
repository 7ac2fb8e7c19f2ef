"""The report as a file: its content, that it loads nothing else, and that a name cannot become markup."""

import base64
import json
import os
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from report_set import write_predictions

from manyfaces.commands.command_line import run
from manyfaces.evaluation import SETTINGS, evaluate_wider, read_ground_truth, read_predictions

VOID = ("meta", "img", "input", "wbr")
ODD = '<b>&"ü \u202eשלום'  # markup, an ampersand, a quote, a letter of two bytes, a mark that reverses what follows


class Page(HTMLParser):
    """The elements of a page, (name, attributes), and its text. Each element that is opened must be closed."""

    def __init__(self, data):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(data.decode("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    def all(self, name):
        return [attributes for found, attributes in self.elements if found == name]

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


@pytest.fixture
def report(tool, toy, tmp_path, capsys):
    """report(folders, ...) writes a page: (exit code, Page or None, standard output, standard error)."""
    def call(*folders, images=toy["images"], gt=toy["ground_truth"], more=()):
        out, pred = tmp_path / "report.html", [part for folder in folders for part in ("--pred", str(folder))]
        out.unlink(missing_ok=True)
        arguments = [*pred, "--gt", str(gt), "--out", str(out), *more]
        code = run(tool("report").main, arguments + (["--images", str(images)] if images else []))
        return code, Page(out.read_bytes()) if out.exists() else None, *capsys.readouterr()
    return call


@pytest.fixture(scope="module")
def pred(toy, tmp_path_factory):
    return write_predictions(tmp_path_factory.mktemp("toy") / "pred", toy)


def test_a_whole_page(report, pred, toy):
    code, page, out, _ = report(pred)
    assert code == 0 and re.search(r"report.html: 0.\d\d MB, \d+ crops\n$", out)
    result = evaluate_wider(read_predictions(pred), read_ground_truth(toy["ground_truth"]))
    for setting in SETTINGS:
        assert all(f"{result[kind][setting]:.4f}" in page.text for kind in ("ports", "official", "exact"))
    for said in ("toy <net>, toy.weights.h5, SHA-256 0123456789ab", "scales 0.5 1.0, mirrored too: yes", "NMS 0.3",
                 "Missed faces", "Poor localisation", "Duplicates", "Background detected as a face", "Face height",
                 "IoU 0.1 to 0.5 with a box. "):
        assert said in page.text
    assert "Weakest height: " in page.text and "Weakest label" not in page.text  # all toy faces are labelled alike
    assert "Warnings" not in page.text  # there is no reason for a warning

    titles = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    links = [attributes["href"][1:] for attributes in page.all("a")]
    assert len(titles) == len(set(titles)) and links and set(links) <= set(titles)
    assert all(attributes["scope"] in ("row", "col") for attributes in page.all("th"))
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert all(drawing.get("aria-label") or drawing.get("aria-hidden") == "true" for drawing in page.all("svg"))


def test_it_asks_for_nothing_outside_and_runs_nothing(report, pred):
    page = report(pred)[1]
    addresses = [attributes[key] for _, attributes in page.elements for key in ("src", "href") if key in attributes]
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in addresses)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "image", "use"} and len(page.all("img")) > 10
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_several_methods(report, pred, toy, tmp_path):
    other = write_predictions(tmp_path / "other" / "pred", toy, seed=1, settings=False)
    code, page, *_ = report(pred, other, more=["--names", f"one,{ODD}", "--crops", "2", "--setting", "easy"])
    assert code == 0 and page.text.count(ODD) > 10 and "AP easy" in page.text
    assert f"{ODD}: the folder has no settings.json" in page.text and "one: the folder" not in page.text
    images = page.all("img")
    assert len(images) == len({a["src"] for a in images}) or len(images) == 16
    assert 8 < len(images) <= 16  # at most two per kind and method, four kinds


def test_methods_that_saw_different_images_are_told_apart(report, pred, toy, tmp_path):
    other = write_predictions(tmp_path / "less" / "pred", toy)
    for name in sorted(os.listdir(other / "0--Toy"))[:4]:
        os.remove(other / "0--Toy" / name)
    page = report(pred, other, more=["--subset"])[1]
    assert "different numbers of images (8, 12): their figures do not compare" in page.text


def test_names_are_text_whatever_they_hold(report, toy, tmp_path):
    """An event and an image with markup in their names, on disk and in the ground truth."""
    from scipy.io import loadmat, savemat

    (tmp_path / "gt").mkdir()
    for name in os.listdir(toy["ground_truth"]):
        lists = {key: value for key, value in loadmat(os.path.join(toy["ground_truth"], name)).items() if key[0] != "_"}
        lists["event_list"][0, 0] = np.array([ODD])
        for cell in lists["file_list"][0, 0]:
            cell[0] = np.array([ODD + str(cell[0][0])])
        savemat(tmp_path / "gt" / name, lists)
    source = write_predictions(tmp_path / "plain", toy) / "0--Toy"
    folders = {source: tmp_path / "pred" / ODD, os.path.join(toy["images"], "0--Toy"): tmp_path / "images" / ODD}
    for old, new in folders.items():
        new.mkdir(parents=True)
        for name in os.listdir(old):
            with open(os.path.join(old, name), "rb") as file:
                (new / (ODD + name)).write_bytes(file.read())
    code, page, out, _ = report(tmp_path / "pred", gt=tmp_path / "gt", images=tmp_path / "images")
    assert code == 0 and "cannot" not in out and len(page.all("img")) > 10
    assert f"{ODD}/ {ODD}0_Toy_00000".replace(" ", "") in page.text.replace(" ", "")
    assert page.all("b") == []  # which the page itself never uses


def test_without_images_the_page_says_why_there_are_none(report, pred):
    code, page, out, _ = report(pred, images=None)
    assert code == 0 and page.all("img") == [] and "made without --images" in page.text and "0 crops" in out


def test_images_that_are_missing_or_damaged_leave_their_boxes(report, pred, toy, tmp_path):
    folder = tmp_path / "images" / "0--Toy"
    folder.mkdir(parents=True)
    for index, name in enumerate(sorted(os.listdir(os.path.join(toy["images"], "0--Toy")))):
        with open(os.path.join(toy["images"], "0--Toy", name), "rb") as file:
            data = file.read()
        if index % 3:
            (folder / name).write_bytes(data if index % 3 == 1 else data[:200])
    code, page, out, _ = report(pred, images=tmp_path / "images")
    assert "Of the images, 4 are not in the folder that --images named" in page.text
    lost = [a for a in page.all("svg") if a.get("class") == "overlay boxes" and "aria-label" in a]
    assert code == 0 and f"of {len(lost)} more the image cannot be read" in out and len(lost) > 3
    assert "cut short" in page.text and len(page.all("img")) > 3
    titles = [figure["title"] for figure in page.all("figure") if "title" in figure]
    assert titles and not any(int(title[-2:]) % 3 == 0 for title in titles)

    code, page, _, err = report(pred, images=tmp_path / "gt")
    assert code == 2 and page is None and "no such folder of images" in err
    os.rename(folder, folder.with_name("1--Other"))
    code, page, _, err = report(pred, images=tmp_path / "images")
    assert code == 2 and page is None and "has none of the 12 evaluated images" in err


@pytest.mark.parametrize("text", ["{", "[1]", "\xff", '{"scales": {"a": "<i>"}, "name": 1e400, "flip": [[]]}'])
def test_settings_may_be_anything(report, toy, tmp_path, text):
    pred = write_predictions(tmp_path / "pred", toy)
    (pred / "settings.json").write_bytes(text.encode("latin-1"))
    code, page, *_ = report(pred, images=None)
    assert code == 0 and page.all("i") == []
    assert ("cannot be read" in page.text) == (text[0] != "{" or text == "{")


def test_bad_input_is_one_line(report, pred, toy, tmp_path):
    broken = write_predictions(tmp_path / "pred", toy)
    (broken / "0--Toy" / "0_Toy_00003.txt").write_text("x\n1\n1 2 3 4\n")
    code, page, _, err = report(broken)
    assert (code, page) == (2, None) and err.count("\n") == 1 and "0_Toy_00003.txt, line 3" in err
    assert "skipped while reading: 0 files, 1 lines" in report(broken, more=["--lenient"])[1].text
    for arguments, message in ((["--names", "a,b"], "2 names for 1"), (["--crops", "-1"], "--crops is -1, expected")):
        code, _, _, err = report(pred, more=arguments)
        assert code == 2 and message in err


def test_nothing_found_and_nothing_to_find(report, toy, tmp_path):
    (tmp_path / "pred" / "0--Toy").mkdir(parents=True)
    for name in os.listdir(os.path.join(toy["images"], "0--Toy")):
        (tmp_path / "pred" / "0--Toy" / (name[:-4] + ".txt")).write_text("x\n0\n")
    code, page, *_ = report(tmp_path / "pred")
    assert code == 0 and "there is no prediction at all" in page.text and "None in hard." in page.text
    (tmp_path / "pred" / "settings.json").write_text(json.dumps({"name": "x"}))
    with_one = report(tmp_path / "pred", more=["--crops", "0"])[1]
    assert "None shown." in with_one.text and with_one.all("img") == []


def test_a_crop_shows_the_face_it_is_about(report, pred, toy):
    """The crop of a missed face shows the region of the image that its text names."""
    shown = next(a for a in report(pred)[1].all("img") if a["alt"].startswith("Missed face"))
    words = re.fullmatch(r"Missed face, (\d+) × (\d+) px, at x (\d+), y (\d+) in (\S+)", shown["alt"])
    (w, h, x, y), name = map(int, words.groups()[:4]), words[5]
    data = base64.b64decode(shown["src"].split(",")[1])
    crop = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    image = cv2.imread(os.path.join(toy["images"], name + ".jpg"))
    assert crop.shape == (160, 160, 3)
    face = image[y:y + h, x:x + w]
    sides = [round(160 * side / (2.5 * max(w, h))) for side in (w, h)]
    found = cv2.matchTemplate(crop, cv2.resize(face, sides, interpolation=cv2.INTER_AREA), cv2.TM_CCOEFF_NORMED)
    assert found.max() > 0.9  # with noise and JPEG
