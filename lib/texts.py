"""Text files in every encoding that a byte order mark names. For others, errors say which encoding it looks like."""

import codecs
import os
import re

from .errors import InputError

# UTF-32's little-endian mark begins with that of UTF-16, so it comes first.
_MARKS = ((codecs.BOM_UTF8, "UTF-8"), (codecs.BOM_UTF32_LE, "UTF-32-LE"), (codecs.BOM_UTF32_BE, "UTF-32-BE"),
          (codecs.BOM_UTF16_LE, "UTF-16-LE"), (codecs.BOM_UTF16_BE, "UTF-16-BE"))
# Legacy encodings of two bytes per character, which a strict decoder tells apart, more or less.
_DOUBLE = {"gb2312": "GB2312", "shift_jis": "Shift-JIS", "euc_kr": "EUC-KR", "big5": "Big5", "euc_jp": "EUC-JP",
           "gb18030": "GB18030"}
_SAMPLE = 1 << 16  # bytes that the guess reads


def read_bytes(path: str | os.PathLike, kind: str = "text file") -> bytes:
    """Read a whole file.

    Args:
        path: the file.
        kind: what is expected, for the message about a folder.

    Raises:
        InputError: when the file is absent, a folder or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a {kind}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # a NUL byte in the path
        raise InputError(f"{str(path)!r}: not a path ({error})") from None


def read_text(path: str | os.PathLike, kind: str = "text file") -> str:
    r"""Read a text file: UTF-8, or UTF-8, UTF-16 or UTF-32 with a byte order mark. Line ends become "\n".

    Raises:
        InputError: as read_bytes and decoded do.
    """
    return decoded(read_bytes(path, kind), path)


def decoded(data: bytes, where: str | os.PathLike) -> str:
    r"""Decode the bytes of a text file as read_text does.

    Args:
        data: the bytes.
        where: the file, for messages.

    Raises:
        InputError: names the first byte that is wrong, and the encoding that the bytes look like.

    Examples:
        >>> decoded("\ufeffone\r\ntwo".encode("utf-16-be"), "a.txt")
        'one\ntwo'
    """
    mark, encoding = marked_encoding(data)
    try:
        text = data[len(mark):].decode(encoding)
    except UnicodeDecodeError as error:
        byte = len(mark) + error.start
        if mark and encoding != "UTF-8":
            raise InputError(f"{where}: not a text file: it begins with the mark of {encoding}, but byte {byte:,} is "
                             "not; it is damaged or of another kind") from None
        line = data.count(b"\n", 0, byte) + 1
        raise InputError(f"{where}: not a text file in UTF-8 (byte {byte:,}, line {line}); {_looks_like(data)}"
                         ) from None
    if "\0" in text:
        raise InputError(f"{where}: not a text file (it contains zero bytes); {_looks_like(data)}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def can_be_path(text: str) -> bool:
    """Tell whether a system could have a file of this name: no zero byte and no half of a pair of UTF-16."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def marked_encoding(data: bytes) -> tuple[bytes, str]:
    """Find the byte order mark that the bytes begin with and the encoding it means; b"" and UTF-8 without one."""
    return next(((mark, encoding) for mark, encoding in _MARKS if data.startswith(mark)), (b"", "UTF-8"))


def _looks_like(data):
    """What bytes that are no UTF-8 seem to be, and what to do."""
    sample = data[:_SAMPLE]
    if b"\0" in sample:
        zeros = [sample[start::2].count(0) * 2 / max(len(sample), 1) for start in (0, 1)]
        if max(zeros) > 0.4 and min(zeros) < 0.1:
            return f"it looks like UTF-16-{'BE' if zeros[0] > zeros[1] else 'LE'} without a mark: save it as UTF-8"
        return "it looks like a binary file"
    runs = re.findall(rb"[\x80-\xff]+", sample)
    if sum(map(len, runs)) > len(sample) * 0.9 or re.search(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]", sample):
        return "it looks like a binary file"
    names = [name for codec, name in _DOUBLE.items() if _decodes(sample, codec)]
    if not names or max(map(len, runs), default=0) < 2:
        return "it looks like Windows-1252 or another encoding of one byte per character: save it as UTF-8"
    return f"it looks like {' or '.join(names[:2])}: save it as UTF-8"


def _decodes(data, codec):
    try:
        codecs.getincrementaldecoder(codec)("strict").decode(data)  # the sample may end inside a character
    except UnicodeDecodeError:
        return False
    return True
