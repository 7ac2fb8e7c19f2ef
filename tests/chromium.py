"""A headless Chromium driven over its DevTools protocol through two pipes: JSON, with a NUL after each message.

Only the browser is needed. A page can be shown as on a phone, which --window-size cannot do: windows have a minimum
width.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

DESKTOP, PHONE = (1440, 900), (390, 844)
# px by which the page itself scrolls sideways; what is hidden in a box that scrolls does not count. A scroll bar takes
# width from the client, so this can be negative.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without these Chromium asks for updates and the like; --no-sandbox because root has none.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-quic", "--hide-scrollbars",
         "--remote-debugging-pipe")


def find_chromium():
    """Path of the browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """with Browser(path, profile folder) as browser: browser.open(url, width, height); browser.evaluate("1 + 1")."""

    def __init__(self, chromium, profile, patience=90, flags=()):
        self.patience, self.number, self.events, self.rest = patience, 0, [], b""
        theirs_in, self.to = (_high(fd) for fd in os.pipe())
        self.back, theirs_out = (_high(fd) for fd in os.pipe())

        def take_over():
            os.dup2(theirs_in, 3)  # where --remote-debugging-pipe looks for them
            os.dup2(theirs_out, 4)

        self.process = subprocess.Popen(
            [chromium, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"], preexec_fn=take_over,
            pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tab(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(RuntimeError, TimeoutError, OSError):
            self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.back)

    def open(self, url, width, height, dark=False):
        """Load a page in a window of this size. Afterwards `events` has what happened since."""
        self.tab("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 500)
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.tab("Emulation.setEmulatedMedia", features=theme)
        self.events = []
        self.tab("Page.navigate", url=url)
        until = time.monotonic() + self.patience
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive(until)

    def evaluate(self, expression):
        """The value of a JavaScript expression in the page, which may be a promise."""
        answer = self.tab("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def screenshot(self, whole=False):
        """PNG bytes of the window, or of the whole page."""
        return base64.b64decode(self.tab("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def complaints(self):
        """Console messages and failures of the page since it was opened."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed")
        return [event for event in self.events if event["method"] in kinds]

    def requests(self):
        """The addresses that the page requested."""
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]

    def tab(self, method, **parameters):
        return self.call(method, session=self.session, **parameters)

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + self.patience
        while True:
            answer = self._receive(until)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _receive(self, until):
        while b"\0" not in self.rest:
            if not select.select([self.back], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError(f"no answer from Chromium within {self.patience} s")
            data = os.read(self.back, 1 << 20)
            if not data:
                raise RuntimeError(f"Chromium has ended with code {self.process.wait()}")
            self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(message)
        if "method" in message:
            self.events.append(message)
        return message


def _high(fd):
    """A pipe's end under a number other than 3 and 4."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return moved
