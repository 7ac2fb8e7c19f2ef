"""How far a long command has come: a bar on a terminal, plain lines in a log."""

import sys
import time


class Progress:
    """`with Progress(3226, "images") as progress:`, then `progress.advance()` and, for a line, `progress.note(text)`.

    On a terminal tqdm draws a bar where it is installed; elsewhere a line says number, rate and time left every `every`
    seconds, and at the end. total: None where nobody knows it, as for a camera. `done`: how many were done before. All
    of it goes to standard error, so that standard output holds results only.
    """

    def __init__(self, total, unit, every=30.0, done=0):
        self.total, self.unit, self.every = total, unit, every
        self.first, self.done, self.began = done, done, time.perf_counter()
        self.said = self.began
        self.bar = self._bar() if sys.stderr.isatty() else None

    def _bar(self):
        try:
            from tqdm import tqdm
        except ImportError:
            return None
        return tqdm(total=self.total, initial=self.first, unit=f" {self.unit}", dynamic_ncols=True, smoothing=0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.close()

    def advance(self, count=1, detail=None):
        """So many more are done. detail: function that gives text for the line, called when one is written."""
        self.done += count
        if self.bar:
            if detail:
                self.bar.set_postfix_str(detail(), refresh=False)
            self.bar.update(count)
            return
        now = time.perf_counter()
        if now - self.said >= self.every or self.done == self.total:
            self.said, rate = now, (self.done - self.first) / max(now - self.began, 1e-9)
            text = f", {detail()}" if detail else ""
            if self.total is None:
                print(f"{self.done} {self.unit}, {rate:.3g}/s{text}", file=sys.stderr, flush=True)
                return
            left = max(0, self.total - self.done) / rate
            clock = f"{int(left // 3600)}:{int(left // 60 % 60):02d}:{int(left % 60):02d}"
            print(f"{self.done}/{self.total} {self.unit}, {rate:.3g}/s, {clock} left{text}",
                  file=sys.stderr, flush=True)

    def note(self, text, file=None):
        """A line that stays, above the bar where there is one. file: None: standard error."""
        file = sys.stderr if file is None else file
        if self.bar:
            self.bar.write(text, file=file)
        else:
            print(text, file=file, flush=True)
