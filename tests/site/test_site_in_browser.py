"""The site in headless Chromium, all pages on a phone and some on a desktop: nothing is cut off, missing or loaded."""

import pytest
from chromium import DESKTOP, OVERFLOW, PHONE
from test_site import build, build_site, needs_extra

pytestmark = [pytest.mark.slow, needs_extra]

MISSING = "[...document.images].filter(image => !image.naturalWidth).map(image => image.src)"


@pytest.fixture(scope="module", autouse=True)
def built(browser):
    """The site of these sources, and not that of an earlier day; needed only where there is a browser."""
    done, _ = build()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("size, pages", [(PHONE, "*"), (DESKTOP, "[acdgi]*")], ids=["phone", "desktop"])
def test_no_page_scrolls_sideways_or_misses_a_picture(browser, size, pages):
    wrong = []
    for path in sorted(build_site.SITE.rglob(f"{pages}.html")):
        if path.name == "404.html":
            continue  # its addresses are those of a server
        browser.open(path.as_uri(), *size)
        assert browser.evaluate("innerWidth") == size[0]
        foreign = [url for url in browser.requests() if not url.startswith(("file:", "data:", "blob:"))]
        found = {"overflow": max(0, browser.evaluate(OVERFLOW)), "missing": browser.evaluate(MISSING),
                 "foreign": foreign}
        if any(found.values()):
            wrong.append((path.relative_to(build_site.SITE).as_posix(), found))
    assert not wrong


def test_a_wide_table_scrolls_in_its_own_box(browser):
    browser.open((build_site.SITE / "backbones.html").as_uri(), *PHONE)
    hidden = browser.evaluate("""[...document.querySelectorAll('.md-content table')].map(table => {
        let most = 0;
        for (let box = table; box != document.body; box = box.parentElement)
            if (/auto|scroll/.test(getComputedStyle(box).overflowX))
                most = Math.max(most, box.scrollWidth - box.clientWidth);
        return most;
    })""")  # px of each table that its box hides until it is scrolled
    assert len(hidden) > 3 and max(hidden) > 100
