#!/usr/bin/env python3
"""Times of the page beside Python's, in turns: make web-times

The same picture goes to the page with one thread and with several (without and with the headers), and to ONNX Runtime
in Python with one thread and with two. Per picture: processor time of all processes, with the drawing of the page; and
time from pixels to faces, the median and the least, which means something on a quiet machine only.
"""

import argparse
import functools
import os
import statistics
import tempfile
import time
from pathlib import Path

from chromium import Browser, find_chromium
from page import Page, served

from benchmarks.process_tree import ProcessTree
from manyfaces import Detector, web
from manyfaces.datasets.images import read_image
from manyfaces.web.runtime import fetch_runtime
from manyfaces.web.site import shipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    files = web.site_files(runtime=fetch_runtime())
    with tempfile.TemporaryDirectory() as folder, served(files) as isolated, served(files, threads=False) as bare:
        crowd = Path(folder, "crowd.jpg")
        crowd.write_bytes(files["crowd.jpg"])
        places = [Path(folder, name) for name in ("one", "two", "downloads")]
        places[2].mkdir()
        with Browser(find_chromium(), places[0]) as first, Browser(find_chromium(), places[1]) as second:
            pages = {"page": Page(first, places[2]), "page, threads": Page(second, places[2])}
            for page, url in zip(pages.values(), (bare, isolated), strict=True):
                page.open(url)
                page.choose(crowd)
                page.found()
            print(f"{pages['page, threads'].text('threads')} {rounds} rounds")
            for name in shipped():
                measure(name, pages, read_image(crowd), rounds)


def measure(name, pages, image, rounds):
    detectors = {f"Python, {count} thread{'s'[:count - 1]}": Detector.load(name, runtime="onnxruntime", threads=count,
                                                                           overrides=["TEST.SCALES", [1.0]])
                 for count in (1, 2)}
    for page in pages.values():
        page.put("model", name)
        page.wait("document.querySelector('#model option:checked').innerText.startsWith("
                  "document.getElementById('facts').innerText.split(' · ').pop())")
    work = {**{who: functools.partial(by_python, detector, image) for who, detector in detectors.items()},
            **{who: functools.partial(by_page, page) for who, page in pages.items()}}
    times, processor = {who: [] for who in work}, dict.fromkeys(work, 0.0)
    for _ in range(rounds + 1):
        for who, find in work.items():
            tree = pages[who].browser.process.pid if who in pages else os.getpid()
            with ProcessTree(tree) as used:
                times[who].append(find())
            processor[who] += used.seconds if len(times[who]) > 1 else 0  # the first one warms up
    for who, (_, *rest) in times.items():
        print(f"{name:28} {who:18} processor {1e3 * processor[who] / rounds:6.0f} ms   wall: median "
              f"{statistics.median(rest):6.0f} ms, least {min(rest):6.0f} ms", flush=True)


def by_python(detector, image):
    start = time.perf_counter()
    detector.detect(image, threshold=0)
    return 1e3 * (time.perf_counter() - start)


def by_page(page):
    page.browser.evaluate("document.getElementById('facts').innerText = ''")
    page.put("side", "1280")
    whole = page.wait("document.getElementById('facts').innerText.match(/whole ([0-9,]+) ms/)?.[1]")
    return float(whole.replace(",", ""))


if __name__ == "__main__":
    main()
