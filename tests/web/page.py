"""The page in a headless Chromium, as a reader uses it."""

import contextlib
import json
import threading
import time
from http import HTTPStatus

from chromium import DESKTOP

from manyfaces.web.server import Server, _Handler

READY = "document.body.getAttribute('aria-busy') === 'false'"


class Service(_Handler):
    """The page's server, which also answers POST v1/detect: what it was sent, and answers to give next."""

    sent, answers = [], []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.sent.append((self.path, dict(self.headers), body))
        status, headers, answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self._answer(HTTPStatus(status), {"Content-Type": "application/json", **headers}, json.dumps(answer).encode())


@contextlib.contextmanager
def served(files, handler=None, **more):
    """The address of a server of the table, in a thread."""
    with Server(files, 0, **more) as server:
        server.RequestHandlerClass = handler or server.RequestHandlerClass
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


class Page:
    """Opens the page in a browser, and waits where it works.

    Args:
        browser: a `chromium.Browser`.
        downloads: folder for what the page gives to keep.
    """

    def __init__(self, browser, downloads):
        self.browser, self.downloads = browser, downloads
        browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def open(self, url, size=DESKTOP, dark=False):
        self.browser.open(url, *size, dark=dark)
        self.wait(READY)

    def wait(self, expression, seconds=60):
        until = time.monotonic() + seconds
        while not (value := self.browser.evaluate(expression)):
            if time.monotonic() > until:
                raise TimeoutError(f"{expression} is {value!r}; the page says: {self.text('panel')!r}")
            time.sleep(0.03)
        return value

    def text(self, name):
        return self.browser.evaluate(f"document.getElementById('{name}').innerText")

    def shown(self, name):
        return self.browser.evaluate(f"document.getElementById('{name}').checkVisibility()")

    def click(self, name):
        self.browser.evaluate(f"document.getElementById('{name}').click()")

    def put(self, name, value):
        """Give a control a value, as a reader would."""
        self.browser.evaluate(f"""(control => {{
            control.value = {json.dumps(value)};
            for (const kind of ['input', 'change']) control.dispatchEvent(new Event(kind, {{ bubbles: true }}));
        }})(document.getElementById('{name}'))""")

    def choose(self, path):
        """Choose a file in the file dialog."""
        document = self.browser.tab("DOM.getDocument")["root"]["nodeId"]
        node = self.browser.tab("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
        self.browser.tab("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def found(self):
        """The line that counts the faces, when the work is done."""
        return self.wait(f"{READY} && document.getElementById('count').textContent.includes('found')"
                         " && document.getElementById('count').textContent")

    def message(self):
        """The words of an error."""
        self.wait(f"{READY} && !document.getElementById('message').hidden")
        return self.text("message")

    def kept(self, button):
        """Path of the file that a button gives to keep."""
        for path in self.downloads.iterdir():
            path.unlink()  # the browser replaces a file of the same name
        self.click(button)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            new = [path for path in self.downloads.iterdir() if path.suffix != ".crdownload"]
            if new and new[0].stat().st_size:
                return new[0]
            time.sleep(0.03)
        raise TimeoutError(f"{button} gave no file")


def is_clean(page, url):
    """No error in the console, no failed request, and none that leaves the origin."""
    foreign = [each for each in page.browser.requests() if not each.startswith((url, "data:", f"blob:{url}"))]
    return foreign == [] and page.browser.complaints() == []
