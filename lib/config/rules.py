"""Rules of config keys: each holds the default of a key, its allowed values and its role. keys.py lists them all."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import Range, shown
from ..texts import can_be_path


class NotAllowedError(ValueError):
    """A value that a rule does not allow; the text follows the name of the key: `is 50, expected from 0 to 1`."""


@dataclass(frozen=True)
class Rule:
    """A key with one value: text, a number or true and false.

    Attributes:
        default: value that the key has where no config says otherwise.
        role: words of keys.ROLES with spaces between them; empty: those of the group.
        kind: type of the value.
        range: range of a number.
        choices: the allowed values, where there are only these.
        null: whether null (None) is allowed.
        example: an allowed value for messages; None: the default.
    """

    default: Any
    role: str = ""
    kind: type = str
    range: Range = Range()
    choices: tuple[str, ...] = ()
    null: bool = False
    example: Any = None

    def check(self, value: Any) -> Any:
        """Return the value in the type of the key: a float takes an int and the text 1e-3, text takes null.

        Raises:
            NotAllowedError: the value has another type or is out of range.
        """
        if value is None and (self.null or self.kind is str):
            return None if self.null else ""  # `KEY:` with nothing behind it is an empty text
        if self.kind is float and not isinstance(value, bool):
            try:
                value = float(value)
            except (TypeError, ValueError, OverflowError):
                pass
        if type(value) is not self.kind:
            found = "null" if value is None else shown(value)
            raise NotAllowedError(f"is {found}, expected {self.allowed().replace('`', '')}, such as "
                                  f"{self._example()!r}")
        if isinstance(value, str) and not can_be_path(value):
            raise NotAllowedError(f"is {shown(value)}, expected text without characters that no file name can have")
        if self.choices and value not in self.choices:
            raise NotAllowedError(f"is {shown(value)}, expected one of {', '.join(self.choices)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise NotAllowedError(f"is {shown(value)}, expected a finite number, such as {self._example()!r}")
        if isinstance(value, int | float) and self.kind in (int, float) and value not in self.range:
            raise NotAllowedError(f"is {shown(value)}, expected {self.range}, such as {self._example()!r}")
        return value

    def allowed(self) -> str:
        """Words for the page of all keys, such as `number, more than 0`."""
        kinds = {str: "text", int: "whole number", float: "number", bool: "true or false"}
        words = ", ".join(f"`{choice}`" for choice in self.choices) or kinds[self.kind]
        return words + (f", {self.range}" if str(self.range) else "") + (", or null" if self.null else "")

    def _example(self) -> Any:
        return self.default if self.example is None else self.example


@dataclass(frozen=True)
class ListRule(Rule):
    """A key with a list of numbers, or a list of such lists.

    Attributes:
        range: range of every number.
        whole: whether the numbers are whole.
        nested: whether the value is a list of lists.
        length: number of entries; 0: any.
        empty: whether an empty list is allowed.
        ordered: whether no entry may be lower than the one before.
    """

    kind: type = list
    whole: bool = False
    nested: bool = False
    length: int = 0
    empty: bool = False
    ordered: bool = False

    def check(self, value: Any) -> list:
        """Return the list as it is.

        Raises:
            NotAllowedError: it is no list, or an entry has another type or is out of range, or the length is wrong.
        """
        value = super().check(value)
        for item in value:
            if self.nested != isinstance(item, list):
                raise NotAllowedError(f"holds {shown(item)}, expected {self._words()}, such as {self._example()!r}")
            if self.nested and not item:
                raise NotAllowedError(f"holds {shown(item)}, expected {self._words()}, such as {self._example()!r}")
            for number in item if self.nested else [item]:
                if (not isinstance(number, int | float) or isinstance(number, bool) or number not in self.range
                        or (self.whole and not isinstance(number, int))):
                    raise NotAllowedError(f"holds {shown(number)}, expected {self._words()}, such as "
                                          f"{self._example()!r}")
        fits = len(value) == self.length if self.length and value else value or self.empty
        if not fits or (self.ordered and value != sorted(value)):
            raise NotAllowedError(f"is {shown(value)}, expected {self._words()}, such as {self._example()!r}")
        return value

    def allowed(self) -> str:
        return self._words()

    def _words(self) -> str:
        words = f"{self.length or ''} {'lists of ' * self.nested}{'whole ' * self.whole}numbers".strip()
        words += f", each {self.range}" if str(self.range) else ""
        words += ", lowest first" if self.ordered else ""
        return words + (", or an empty list" if self.empty else "" if self.length else ", at least one")


# ------------------------------------------- the words that the table of keys is written in


def text(default: str, role: str = "") -> Rule:
    """Any text."""
    return Rule(default, role)


def flag(default: bool, role: str = "") -> Rule:
    """True or False."""
    return Rule(default, role, bool)


def one_of(*choices: str, role: str = "") -> Rule:
    """One of these texts; the first is the default."""
    return Rule(choices[0], role, choices=choices)


def number(default: float | None, role: str = "", **bounds: float) -> Rule:
    """A number in a range (`least`, `over`, `most`, `below`); whole where the default is whole."""
    return Rule(default, role, int if type(default) is int else float, Range(**bounds))


def positive(default: float, role: str = "") -> Rule:
    """A number of more than 0."""
    return number(default, role, over=0)


def from_0(default: float, role: str = "") -> Rule:
    """A number of 0 or more."""
    return number(default, role, least=0)


def fraction(default: float | None, role: str = "") -> Rule:
    """A number from 0 to 1."""
    return number(default, role, least=0, most=1)


def nullable(rule: Rule, example: Any) -> Rule:
    """The same rule, but null is allowed too; example: an allowed value that is not null."""
    return replace(rule, null=True, example=example)


def numbers(default: list, role: str = "", *, length: int = 0, empty: bool = False, whole: bool = False,
            ordered: bool = False, nested: bool = False, example: list | None = None, **bounds: float) -> ListRule:
    """A list of numbers in a range; see ListRule for the options."""
    return ListRule(default, role, range=Range(**bounds), whole=whole, nested=nested, length=length, empty=empty,
                    ordered=ordered, example=example)


def pair(default: list, role: str = "", **options: Any) -> ListRule:
    """The lowest and the highest number of a range to draw from."""
    return numbers(default, role, length=2, ordered=True, **options)


class Group(dict[str, "Rule | Group"]):
    """Keys below a common name; `role` is that of each key that names none."""

    def __init__(self, role: str, keys: Mapping[str, "Rule | Group"]) -> None:
        super().__init__(keys)
        self.role = role
