"""The commands and code blocks that README.md and the pages of docs/ name."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Command:
    """A command of a page; `inline`: in a sentence, where it need not be complete."""

    page: str
    line: int
    text: str
    inline: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def pages() -> list[Path]:
    """README.md and the pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, language, content) of each fenced block."""
    for match in re.finditer(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE):
        yield text.count("\n", 0, match.start(3)) + 1, match[2], match[3]


def commands(page: str, text: str) -> list[Command]:
    """Commands of the fenced blocks without a language or of a shell, and those in backticks."""
    found, names = [], r"(?:manyfaces|make|(?:\.\./)*tools/\w+\.py|experiments/scripts/\w+\.sh)"
    for first, language, content in blocks(text):
        if language not in ("", "sh", "bash", "shell", "console"):
            continue
        line, whole = first, ""
        for row in content.splitlines():
            whole += row.strip().removeprefix("$ ")
            if whole.endswith("\\"):
                whole = whole[:-1] + " "
                continue
            if language or re.match(rf"(\w+=\S+ +)*({names}|\S*python3?|pip|cd|git|mkdir) ", whole + " "):
                found += [Command(page, line, part) for part in _parts(whole)]
            line, whole = line + 1 + whole.count("\n"), ""
    fenced = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
    prose = fenced.sub(lambda match: "\n" * match[0].count("\n"), text)
    return found + [Command(page, prose.count("\n", 0, match.start()) + 1, " ".join(match[1].split()), True)
                    for match in re.finditer(rf"`({names} [^`]+)`", prose)]


def _parts(line):
    """The simple commands of a line, without comments and redirections."""
    words = shlex.shlex(line.replace("\n", " "), posix=False, punctuation_chars="|&;<>")
    words.whitespace_split, words.commenters = True, "#"
    parts, target = [[]], False
    for word in words:
        if set(word) <= set("|&;"):
            parts.append([])
        elif set(word) <= set("<>"):
            target = True
        elif target:
            target = False
        else:
            parts[-1].append(word)
    return [" ".join(part) for part in parts if part]
