"""What is searched: keys of the config and where their values lie, as words such as TRAIN.RATE=log:1e-4:1e-2."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easydict import EasyDict

from ...config import override
from ...errors import InputError

if TYPE_CHECKING:
    import optuna

KINDS = "KEY=log:LOW:HIGH, KEY=float:LOW:HIGH, KEY=int:LOW:HIGH or KEY=choice:A,B,C"


@dataclass(frozen=True)
class Axis:
    """One key of the search.

    Attributes:
        key: of the config.
        kind: `log`, `float`, `int` or `choice`.
        low: least value, if not a choice.
        high: greatest value, if not a choice.
        choices: values as --set takes them.
    """

    key: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    choices: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The word that names it."""
        return f"{self.key}={self.kind}:{','.join(self.choices) if self.choices else f'{self.low}:{self.high}'}"

    def suggest(self, trial: optuna.trial.Trial) -> Any:
        """The value that a trial tries."""
        if self.kind == "choice":
            return trial.suggest_categorical(self.key, self.choices)
        if self.kind == "int":
            return trial.suggest_int(self.key, int(self.low), int(self.high))
        return trial.suggest_float(self.key, self.low, self.high, log=self.kind == "log")


def read_space(words: Sequence[str], cfg: EasyDict) -> list[Axis]:
    """The axes that words name.

    Args:
        words: one per key, such as LOSS.BOX=choice:diou,smooth_l1.
        cfg: the config that is changed; each value at an end of an axis, and each choice, must be allowed there.

    Raises:
        InputError: names the word, the key, and what was expected.
    """
    axes = [_axis(word) for word in words]
    for axis in axes:
        if [other.key for other in axes].count(axis.key) > 1:
            raise InputError(f"{axis.key}: named twice, expected one range per key")
        ends = axis.choices or ([int(axis.low), int(axis.high)] if axis.kind == "int" else [axis.low, axis.high])
        for value in ends:
            override(copy.deepcopy(cfg), [axis.key, value])
    if not axes:
        raise InputError(f"no key to search; expected some of {KINDS}")
    return axes


def _axis(word):
    key, equals, rest = word.partition("=")
    kind, colon, values = rest.partition(":")
    if not (key and equals and colon) or kind not in ("log", "float", "int", "choice"):
        raise InputError(f"{word!r}: expected {KINDS}")
    if kind == "choice":
        choices = list(dict.fromkeys(_split(values)))
        if len(choices) < 2:
            raise InputError(f"{word!r}: one choice, expected two or more, joined by commas")
        return Axis(key, kind, choices=choices)
    try:
        low, high = map(float, values.split(":"))
    except ValueError:
        raise InputError(f"{word!r}: expected two numbers, {key}={kind}:LOW:HIGH") from None
    if not low < high < float("inf") or low == -float("inf"):
        raise InputError(f"{word!r}: the range is empty, expected LOW below HIGH")
    if kind == "log" and low <= 0:
        raise InputError(f"{word!r}: a logarithmic range needs LOW above 0")
    if kind == "int" and (low % 1 or high % 1):
        raise InputError(f"{word!r}: expected whole numbers")
    return Axis(key, kind, low, high)


def _split(text):
    """Parts between commas that are not inside brackets: [1, 2],[3] are two."""
    part, depth = "", 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += letter
    yield part.strip()
