"""Names of families or backbones and what they stand for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Any

from ..errors import InputError


class Registry(MutableMapping[str, Any]):
    """A dict whose values may be text: `module:name` or `module`, imported when first asked for.

    So a name is known without loading Keras for it.

    Args:
        kind: what the names are of, for messages: the config key, such as FAMILY.
        package: what relative modules are relative to.
        entries: the names that come with the package.
    """

    def __init__(self, kind: str, package: str, entries: dict[str, str]) -> None:
        self.kind, self.package, self.entries = kind, package, dict[str, Any](entries)

    def __getitem__(self, name: str) -> Any:
        if isinstance(self.entries[name], str):
            module, _, attribute = self.entries[name].partition(":")
            value = importlib.import_module(module, self.package)
            self.entries[name] = getattr(value, attribute) if attribute else value
        return self.entries[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.entries[name] = value

    def __delitem__(self, name: str) -> None:
        del self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, name: str) -> Any:
        """The entry of a name.

        Raises:
            InputError: as check.
        """
        self.check(name)
        return self[name]

    def check(self, name: str) -> None:
        """Check a name without importing its entry.

        Raises:
            InputError: the name is not registered; lists those that are.
        """
        if name not in self.entries:
            raise InputError(f"{self.kind}: found {name!r}, expected one of {', '.join(sorted(self.entries))}")

    def register(self, name: str, value: Any) -> None:
        """Add an entry. The same entry may be registered twice.

        Raises:
            InputError: the name is no text, or stands for something else already.
        """
        if not isinstance(name, str) or not name:
            raise InputError(f"{self.kind}: the name to register is {name!r}, expected text")
        if name in self.entries and self[name] is not value:
            raise InputError(f"{self.kind}: {name!r} is registered for {self[name]!r} already; choose another name "
                             f"than that for {value!r}")
        self.entries[name] = value
