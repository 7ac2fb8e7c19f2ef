"""The tables of the pages hold the figures of docs/results: each number as in the CSV, rounded to the digits shown."""

import csv
import re

import pytest
from conftest import ROOT

RESULTS = ROOT / "docs" / "results"
SSH, TINY, SSD = "SSH MobileNetV1 x0.25", "Tiny Faces MobileNetV1 x0.25, its pyramid", "SSD MobileNetV2 x0.75"
ULTRALIGHT, YUNET = "Ultra-Light RFB-640, at 640 x 480 (ONNX Runtime)", "YuNet-n (OpenCV)"
ORIGINAL, SMALL = "Detectors at original size", "Detectors at 300 x 300"
FULL, EVENTS = "WIDER FACE val", "wider_events"  # up to the comma
README = {  # row of wider_full_val.csv -> table and row of detectors.csv
    "ssh_mobilenet_v1_025": (ORIGINAL, f"{SSH} (ONNX Runtime, float32)"),
    "tiny_mobilenet_v1_025": (ORIGINAL, f"{TINY} (ONNX Runtime, float32)"),
    "ssd_mobilenet_v2_075": (SMALL, f"{SSD} (ONNX Runtime, float32)"),
    "mtcnn": (ORIGINAL, "MTCNN, its own thresholds (OpenVINO, float32)"),
    "RetinaFace MobileNet-0.25": (ORIGINAL, "RetinaFace MobileNetV1 x0.25"), "YuNet-n": (ORIGINAL, YUNET),
    "SCRFD-2.5G": None}
PEERS = [  # begin of a row -> table and row of detectors.csv, row of peers.csv
    ("**ssh_mobilenet_v1_025**", ORIGINAL, f"{SSH} (ONNX Runtime, float32)", "ssh_mobilenet_v1_025 (onnxruntime)"),
    ("the same, OpenVINO in bfloat16 (`pre", ORIGINAL, f"{SSH} (OpenVINO, bf16)", None),
    ("**tiny_mobilenet_v1_025**", ORIGINAL, f"{TINY} (ONNX Runtime, float32)",
     "tiny_mobilenet_v1_025 at 0.25, 0.5, 1, 2 (onnxruntime)"),
    ("the same, OpenVINO in bfloat16", ORIGINAL, f"{TINY} (OpenVINO, bf16)", None),
    ("YuNet-n (OpenCV)", ORIGINAL, YUNET, YUNET), ("Ultra-Light RFB-640", ORIGINAL, ULTRALIGHT, ULTRALIGHT),
    ("**ssd_mobilenet_v2_075**", SMALL, f"{SSD} (OpenVINO, bf16)", None), ("YuNet-n at 300x300", SMALL, YUNET, None)]
COLUMNS = {"ordinary scenes": "wider val", "crowd": "wider_crowd", "face masks": "facemask AP50",
           "under 20 px": "AP50 < 20 px"}  # others as there


def read(name):
    """Dict (table, row) -> dict column -> value of a CSV; the table's name up to its first comma."""
    rows = {}
    with open(RESULTS / name, newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            rows.setdefault((line["table"].partition(",")[0], line["row"]), {})[line["column"]] = line["value"]
    return rows


def table(page, first):
    """(heads, rows of cells) of the table whose first head is `first`."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    cells = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells.append([cell.strip() for cell in line.strip("|").split("|")])
    return cells[0], cells[2:]


def differences(cell, value):
    """What a cell shows that is not the value, rounded; quartiles in brackets need not be shown."""
    shown, exact = ([number.replace(",", "") for number in re.findall(r"-?\d[\d,]*\.?\d*|\.\d+", text)]
                    for text in (cell, value.partition(" (")[0]))
    digits = [len(number.partition(".")[2]) for number in shown]
    same = len(shown) == len(exact) and all(abs(float(a) - float(b)) <= 0.5 * 10.0 ** -places + 1e-9
                                            for a, b, places in zip(shown, exact, digits, strict=True))
    return [] if same else [f"{cell} is {value} in the CSV"]


def test_the_table_of_the_readme():
    heads, rows = table("README.md", "detector")
    official, measured, wrong = read("wider_full_val.csv"), read("detectors.csv"), []
    assert {row for _, row in official} == set(README) and len(rows) == len(README)
    assert heads[2:] == ["wider_events", "all of val", "ms"]
    for cells, (name, source) in zip(rows, README.items(), strict=True):
        assert cells[0].strip("*").startswith(name)
        three = ["easy", "medium", "hard"]
        elsewhere = {EVENTS: " ".join(official.get((EVENTS, name), {}).values()), "ms": ""}
        here = measured[source] if source else elsewhere
        values = [here[EVENTS], " ".join(official[FULL, name][head] for head in three), here["ms"]]
        wrong += [f"{name}, {head}: {text}" for head, cell, value in zip(heads[2:], cells[2:], values, strict=True)
                  for text in differences(cell, value)]
    assert not wrong


def test_the_source_of_each_official_figure_is_named():
    with open(RESULTS / "wider_full_val.csv", newline="", encoding="utf-8") as file:
        assert all(re.match("measured: |published by ", line["source"]) for line in csv.DictReader(file))


def test_the_table_of_detectors_and_peers():
    heads, rows = table("docs/results/README.md", "detector")
    measured, compared, wrong, seen = read("detectors.csv"), read("peers.csv"), [], 0
    assert len(rows) == len(PEERS)
    for cells, (begin, title, row, peer) in zip(rows, PEERS, strict=True):
        assert cells[0].startswith(begin)
        figures = compared.get(("Detectors", peer), {}) | measured[title, row]
        for head, cell in list(zip(heads, cells, strict=True))[2:]:
            value = figures.get(COLUMNS.get(head, head))
            if cell and value:
                wrong, seen = wrong + [f"{cells[0]}, {head}: {text}" for text in differences(cell, value)], seen + 1
    assert not wrong and seen >= 3 * len(PEERS) - 1


def test_what_losses_cost():
    heads, rows = table("docs/evaluation.md", "AP in %")
    figures, wrong = read("wider.csv"), []
    for name, *cells in rows:
        name = {"IoU without the +1": "overlap without the +1"}.get(name, name.replace("per image", "an image"))
        for head, cell in zip(heads[1:], cells, strict=True):
            wrong += [f"{name}, {head}: {text}" for text in differences(cell, figures["What losses cost", name][head])]
    assert not wrong and len(rows) > 5


def test_the_ablations_of_ssh():
    heads, rows = table("docs/ssh.md", "row")
    with open(RESULTS / "ablations.csv", newline="", encoding="utf-8") as file:
        figures = {line["name"]: line for line in csv.DictReader(file) if line["steps"] == "1250"}
    columns = {"AP": "AP", "wider": "AP_wider_select", "masks": "AP_facemask_select",
               "wider_more": "AP_wider_more_select"}
    assert heads[2:] == list(columns)
    wrong = [f"{name}, {column}: {text}" for name, _, *cells in rows
             for cell, column in zip(cells, columns.values(), strict=True)
             for text in differences(cell, figures[name][column])]
    assert not wrong and len(rows) > 5


@pytest.mark.parametrize("cell, value, same", [
    (".957 / .962", "0.957 0.9623", True), ("**15**", "15.2", True), ("23", "24.1", False), ("1,863", "1863", True),
    (".957", "0.957 0.962", False), ("1.5", "1.56", False), ("3.2", "3.21 (3.1 to 3.4)", True),
    ("3.3", "3.21 (3.1 to 3.4)", False)])
def test_numbers_are_compared_to_the_digits_shown(cell, value, same):
    assert (not differences(cell, value)) == same


def test_what_several_hosts_send():
    heads, rows = table("docs/several-hosts.md", "net")
    figures = {row: values for (_, row), values in read("hosts.csv").items()}
    assert {name.strip("`") for name, *_ in rows} == set(figures)
    wrong = [text for name, *cells in rows for head, cell in zip(heads[1:], cells, strict=True)
             for text in differences(cell, figures[name.strip("`")][head])]
    assert not wrong


def test_the_figures_of_the_service():
    heads, rows = table("docs/serve.md", "SSH, a JPEG of 640 x 640 px")
    figures = read("service.csv")
    assert [name for name, *_ in rows] == [row for title, row in figures if title == "Service: load"]
    wrong = [text for name, *cells in rows for head, cell in zip(heads[1:], cells, strict=True)
             for text in differences(cell, figures["Service: load", name][head])]
    texts = dict(table("docs/serve.md", "what was tried")[1])

    def value(title, row, column):
        return f"{int(figures[f'Service: {title}', row][column]):,}"

    def named(begin):
        name, text = next((name, text) for name, text in texts.items() if name.startswith(begin))
        return f"{name} {text}"

    attacks = {row: value("hostile requests", row, "sent") for title, row in figures if title.endswith("e requests")}
    assert all(value("hostile requests", row, "answered rightly") == sent for row, sent in attacks.items())
    assert all(f" {sent} " in f" {named(attacks['all'])} " for row, sent in attacks.items()
               if row != "a photograph afterwards")
    memory = [f"{value('memory', row, 'resident MB')} MB" for title, row in figures if title == "Service: memory"]
    assert re.findall(r"\d+ MB", named("10,000 requests")) == memory
    stops = {row: value("SIGTERM under load", row, "count") for row in ("SIGTERM", "exit code 0", "answered 200",
                                                                       "answered 503", "lost")}
    assert f"{stops['exit code 0']} times exit code 0" in named(f"{stops['SIGTERM']} SIGTERMs")
    assert "{answered 200} answers, {answered 503} times 503, {lost} lost".format(**stops) in named("20 SIGTERMs")
    restarts = [value("two restarts", row, "count") for row in ("answered 200", "answered 503", "lost")]
    assert "{} answers, {} times 503, {} lost".format(*restarts) in named("two restarts")
    refused = figures["Service: full queue", "answers 503"]["value"], figures[
        "Service: full queue", "% of the 503 within 100 ms"]["value"]
    assert f"{int(refused[0]):,} answers 503" in named("16 clients") and f"{refused[1]} %" in named("16 clients")
    assert not wrong
