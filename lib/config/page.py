"""The page of all config keys, docs/config.md, from the table in keys.py and its comments.

Usage: python -m manyfaces.config.page > docs/config.md
"""

import re
from pathlib import Path

from . import keys
from .keys import KEYS, ROLES, RULES

HEAD = """# Config keys

All keys of a config. A YAML file in `cfgs/` holds what differs from these defaults, and `--set KEY VALUE` changes a key
on the command line. A value that is not allowed is an error that names the file and the key.

The files of `cfgs/` are part of the package. `--cfg ssh_vgg16` finds one by its name from any folder, and a file of
your own that says `BASE: ssh_vgg16` holds only what differs from it. Paths in a config, such as `data/pickles`, start
from the working folder.

This page is made from `lib/config/keys.py`, the only place where a key is defined:
`python -m manyfaces.config.page > docs/config.md`.

Roles:
"""
TABLE = ["| key | default | allowed | role | meaning |", "|---|---|---|---|---|"]
LINE = re.compile(r'( *)(?:"(\w+)": )?(.*?)(?: *# (.*))?')  # indent, name of a key, code, comment


def meanings() -> dict[str, str]:
    """Key -> its comment in keys.py. A comment on a line of its own continues the one above."""
    comments: dict[str, str] = {}
    group = key = ""
    for line in Path(keys.__file__).read_text(encoding="utf-8").split("\nKEYS = ")[1].splitlines():
        match = LINE.fullmatch(line)
        assert match, line  # each of its parts may be empty
        indent, name, code, comment = match.groups()
        if name and code.startswith("Group("):
            group = f"{name}."
        elif name:
            key = f"{group}{name}" if len(indent) == 8 else name
        if comment and key:
            comments[key] = f"{comments[key]} {comment}" if key in comments else comment
        if code == "})":
            break
    return comments


def page() -> str:
    """Text of docs/config.md."""
    comments = meanings()
    lines = [HEAD, *(f"- `{role}`: {words}" for role, words in ROLES.items())]
    for title in [None, *(name for name, entry in KEYS.items() if isinstance(entry, dict))]:
        lines += [f"\n## {title}\n" if title else "", *TABLE]
        for key, rule in RULES.items():
            if (key.partition(".")[0] if "." in key else None) == title:
                default = "null" if rule.default is None else f"`{rule.default!r}`".replace("'", '"')
                cells = f"`{key}`", default, rule.allowed(), ", ".join(rule.role.split()), comments.get(key, "")
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
