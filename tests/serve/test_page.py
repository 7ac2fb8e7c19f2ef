"""The page at / of a real service, in a browser."""

import time

import pytest
from chromium import DESKTOP
from test_service import encoded

from benchmarks.service.process import Served

pytestmark = pytest.mark.slow
KEY = "0123456789abcdef0123"


def test_a_photograph_is_sent_to_the_service_and_its_faces_are_shown(browser, tmp_path):
    """The service asks for a key, and the page asks the reader for it."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encoded(side=512))
    variables = {"XDG_CACHE_HOME": str(tmp_path), "MANYFACES_API_KEY": KEY}
    with Served(variables=variables) as served:  # without a runtime for the browser, as after pip install
        browser.open(f"http://127.0.0.1:{served.port}/", *DESKTOP)
        shown = "document.body.innerText"
        wait_for(browser, "document.body.getAttribute('aria-busy') === 'false'")  # before, a file is not noticed
        root = browser.tab("DOM.getDocument")["root"]["nodeId"]
        field = browser.tab("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
        browser.tab("DOM.setFileInputFiles", nodeId=field, files=[str(photo)])
        wait_for(browser, "!document.getElementById('key-row').hidden")
        assert not browser.evaluate(f"{shown}.includes('face found')")
        browser.evaluate(f"(field => {{ field.value = '{KEY}'; field.dispatchEvent(new Event('change')) }})"
                         "(document.getElementById('key'))")
        wait_for(browser, f"{shown}.includes('1 face found')")
        assert [row["status"] for row in served.log() if row.get("path") == "/v1/detect"] == [401, 200]
        requests = [url for url in browser.requests() if not url.startswith("blob:")]
        assert requests and all(url.startswith(f"http://127.0.0.1:{served.port}/") for url in requests)
        complaints = map(str, browser.complaints())
        assert [text for text in complaints if "status of 401" not in text] == []


def wait_for(browser, expression):
    end = time.monotonic() + 60
    while not browser.evaluate(expression):
        assert time.monotonic() < end, browser.evaluate("document.body.innerText")
        time.sleep(0.05)
