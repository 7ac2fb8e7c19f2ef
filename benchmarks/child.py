"""The client of a separate process that answers lines: for what must not share memory or threads with anything else."""

import subprocess
import sys
import tempfile

from .timing import environment


class ChildFailed(RuntimeError):
    """The process ended; the message has its arguments and the end of its errors.

    Attributes:
        reason: the last line of its errors.
    """

    def __init__(self, words, errors):
        super().__init__(f"{' '.join(words)}: {errors[-2000:]}")
        self.reason = (errors.strip() or "ended").splitlines()[-1]


class Child:
    """`python -m MODULE WORDS`, which prints `ready`, then answers each line `WORD ...` with a line `WORD ANSWER`.

    The constructor starts the process. The `with` block waits until it is ready and ends it. All methods raise
    ChildFailed if it failed.
    """

    def __init__(self, module, *words):
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen([sys.executable, "-m", module, *words], env=environment(), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)

    def ask(self, word, rest=""):
        """The answer to a line."""
        try:
            self.process.stdin.write(f"{word} {rest}\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it has ended, and _answer says why
            pass
        return self._answer(word)

    def __enter__(self):
        try:
            self._answer("ready")
        except ChildFailed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.communicate()
        self.errors.close()

    def _answer(self, word):
        for line in self.process.stdout:
            name, _, value = line.strip().partition(" ")
            if name == word:  # a runtime may print other lines
                return value
        self.process.wait()
        self.errors.seek(0)
        raise ChildFailed(self.process.args[3:], self.errors.read())
