"""The report as a browser shows it, on a desktop and on a phone."""

import cv2
import numpy as np
import pytest
from chromium import DESKTOP, OVERFLOW, PHONE
from report_set import write_predictions

from manyfaces.commands.command_line import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(toy, tool, tmp_path_factory):
    """Address of a report on two methods."""
    folder = tmp_path_factory.mktemp("report")
    pred = [str(write_predictions(folder / name / "pred", toy, seed, settings=not seed))
            for seed, name in enumerate(("toy", "a_second_method_with_quite_a_long_name"))]
    out = folder / "report.html"
    assert run(tool("report").main, ["--pred", pred[0], "--pred", pred[1], "--gt", toy["ground_truth"], "--images",
                                     toy["images"], "--out", str(out)]) == 0
    return out.as_uri()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_fits_the_window_and_shows_everything(browser, page, size, dark):
    browser.open(page, *size, dark)
    assert browser.evaluate("innerWidth") == size[0]  # the window is really as narrow as a phone
    assert browser.evaluate(OVERFLOW) == 0
    loaded = browser.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(loaded) > 20 and set(loaded) == {160}
    assert browser.complaints() == []
    asked = [url for url in browser.requests() if not url.startswith("data:")]
    assert asked == [page]  # only the file itself

    picture = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[:2] == size[::-1]
    ground = picture[3, 3].astype(int)
    written = np.abs(picture - ground).max(axis=2) > 60
    assert (ground.mean() < 60) == dark and 0.01 < written.mean() < 0.6


def test_what_is_too_wide_for_a_phone_scrolls_in_its_own_box(browser, page):
    browser.open(page, *PHONE)
    browser.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.evaluate(OVERFLOW) == 0
    boxes = "[...document.querySelectorAll('.scroll')]"
    assert browser.evaluate(f"{boxes}.filter(box => box.scrollWidth > box.clientWidth).length") > 0
    assert browser.evaluate(f"{boxes}.every(box => box.tabIndex == 0)")  # so that it can be scrolled with the keyboard
    # The charts stay readable.
    smallest = browser.evaluate("""Math.min(...[...document.querySelectorAll('.chart text')].map(text => {
        const turned = text.getScreenCTM();
        return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(turned.a, turned.b);
    }))""")
    assert smallest > 10


def test_boxes_are_on_their_crops_and_can_be_hidden(browser, page):
    browser.open(page, *DESKTOP)
    apart = browser.evaluate("""Math.max(...[...document.querySelectorAll('.crop')].map(crop => {
        const [a, b] = [crop.querySelector('img'), crop.querySelector('svg')].map(part => part.getBoundingClientRect());
        return Math.max(...['x', 'y', 'right', 'bottom'].map(side => Math.abs(a[side] - b[side])));
    }))""")
    assert apart < 0.5
    shown = "[...document.querySelectorAll('.overlay')].filter(part => getComputedStyle(part).display != 'none').length"
    assert browser.evaluate(shown) == len(browser.evaluate("[...document.images].map(i => 0)"))
    browser.evaluate("document.getElementById('hide-boxes').click()")
    assert browser.evaluate(shown) == 0


def test_each_link_leads_to_its_section(browser, page):
    browser.open(page, *PHONE)
    links = browser.evaluate("[...document.querySelectorAll('nav a')].map(link => link.getAttribute('href'))")
    assert len(links) >= 6
    assert browser.evaluate("[...document.querySelectorAll('nav a')].every(link => "
                            "document.querySelector(link.getAttribute('href')).querySelector('h2'))")
