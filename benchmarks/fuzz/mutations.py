"""Damages bytes, texts and values. Everything is a function of the generator, so an input can be made again."""

import io
import json
import pickle
import re

import numpy as np

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
CHECKSUM = re.compile(rb'"checksum": *"')
NUMBERS = [b"0", b"-0", b"-1", b"1e309", b"-1e309", b"1e-320", b"nan", b"NaN", b"-inf", b"Infinity", b"1e5", b"0.1",
           b"2147483647", b"2147483648", b"-2147483649", b"9223372036854775808", b"9" * 40, b"1" * 5000, b"1,5",
           b"0x10", b"1_000", b"1.", b".5", b"--1", b"true", b"null", b"", b" ", b"\xef\xbc\x91", b"\xd9\xa3", b"1e",
           b'"7"', b"[]", b"{}"]
TOKENS = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b"\t", b"\x0b\x0c", b"\xc2\x85", b"\xe2\x80\xa8",
          b"\x1a", b"../", b"/", b"\\", b"%s", b"<!--", b"]]>", b"&amp;", b"*a", b"&a ", b"!!python/object:os.system ",
          b"- ", b": ", b"#", b"'", b'"', b"{", b"[", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"A" * 70_000]
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp037", "utf-7"]
WHOLE = [0, 1, -1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1]


def pick(rng, values):
    """One of the values."""
    return values[int(rng.integers(len(values)))]


def some(rng, most=4):
    """1 to `most`, small numbers more often."""
    return 1 + min(int(rng.geometric(0.5)) - 1, most - 1)


# -------------------------------------------------------------------- bytes


def mutate_bytes(rng, data, head=0):
    """Flip, set, cut, repeat or move bytes; head: number of bytes at the start that are hit more often."""
    for _ in range(some(rng)):
        if not data:
            return bytes(rng.integers(0, 256, 8, np.uint8))
        data = pick(rng, BINARY)(rng, bytearray(data), head)
    return bytes(data)


def _place(rng, data, head):
    return int(rng.integers(min(head, len(data)) if head and rng.random() < 0.6 else len(data)))


def _span(rng, data, head):
    start = _place(rng, data, head)
    return start, min(len(data), start + int(2 ** rng.uniform(0, 10)))


def _flip(rng, data, head):
    for _ in range(some(rng, 8)):
        data[_place(rng, data, head)] ^= 1 << int(rng.integers(8))
    return data


def _set(rng, data, head):
    data[_place(rng, data, head)] = pick(rng, [0, 1, 0x7F, 0x80, 0xFE, 0xFF, int(rng.integers(256))])
    return data


def _whole_number(rng, data, head):
    size, order = pick(rng, [2, 4, 8]), pick(rng, ["little", "big"])
    start = _place(rng, data, head)
    data[start:start + size] = (pick(rng, WHOLE) % 256**size).to_bytes(size, order)
    return data


def _cut(rng, data, head):
    return data[:_place(rng, data, 0)]


def _remove(rng, data, head):
    start, end = _span(rng, data, head)
    del data[start:end]
    return data


def _repeat(rng, data, head):
    start, end = _span(rng, data, head)
    return data[:end] + data[start:end] * some(rng, 8) + data[end:]


def _insert(rng, data, head):
    start = _place(rng, data, head)
    return data[:start] + rng.bytes(int(2 ** rng.uniform(0, 8))) + data[start:]


def _blank(rng, data, head):
    start, end = _span(rng, data, head)
    data[start:end] = bytes([pick(rng, [0, 0xFF])]) * (end - start)
    return data


def _swap(rng, data, head):
    (a, b), (c, d) = sorted([_span(rng, data, head), _span(rng, data, 0)])
    return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


BINARY = [_flip, _flip, _set, _whole_number, _whole_number, _cut, _remove, _repeat, _insert, _blank, _swap]


# --------------------------------------------------------------------- text


def mutate_text(rng, data, head=0):
    """Change numbers, fields, lines, the encoding; nest; sometimes damage the bytes."""
    for _ in range(some(rng)):
        data = pick(rng, TEXT)(rng, data)
    return data


def _number(rng, data):
    found = list(NUMBER.finditer(data))
    for match in [pick(rng, found)] if found else []:
        data = data[:match.start()] + pick(rng, NUMBERS) + data[match.end():]
    return data


def _lines(rng, data):
    lines = data.split(b"\n")
    at, to = int(rng.integers(len(lines))), int(rng.integers(len(lines)))
    how = int(rng.integers(5))
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(to, lines[at])
    elif how == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif how == 3:
        lines[at:at + 1] = [lines[at]] * pick(rng, [3, 1000])
    else:
        lines[at] = b" ".join(reversed(lines[at].split()))
    return b"\n".join(lines)


def _fields(rng, data):
    lines = data.split(b"\n")
    at = int(rng.integers(len(lines)))
    fields = lines[at].split(b" ")
    one, two = int(rng.integers(len(fields))), int(rng.integers(len(fields)))
    how = int(rng.integers(4))
    if how == 0:
        fields[one], fields[two] = fields[two], fields[one]
    elif how == 1:
        del fields[one]
    elif how == 2:
        fields.insert(one, fields[two])
    else:
        fields[one] = pick(rng, TOKENS + NUMBERS)
    lines[at] = pick(rng, [b" ", b" ", b" ", b"\t", b",", b"  "]).join(fields)
    return b"\n".join(lines)


def _token(rng, data):
    at = int(rng.integers(len(data) + 1))
    return data[:at] + pick(rng, TOKENS) + data[at:]


def _encoding(rng, data):
    text = data.decode("utf-8", "replace")
    if rng.random() < 0.3:  # names of China and Western Europe, in their old encodings
        word, encoding = pick(rng, [("游行", "gb2312"), ("Köln", "latin-1")])
        return text.replace("a", word, 1).encode(encoding, "replace")
    return text.encode(pick(rng, ENCODINGS), "replace")


def _line_ends(rng, data):
    return data.replace(b"\n", pick(rng, [b"\r\n", b"\r", b"\n\n", b"", b"\0\n", b"\x85"]))


def _nest(rng, data):
    at, depth = int(rng.integers(len(data) + 1)), pick(rng, [10, 1000, 100_000])
    opening, closing = pick(rng, [(b"[", b"]"), (b'{"a":', b"}"), (b"<a>", b"</a>"), (b"(", b")"), (b"[", b""),
                                  (b"- ", b""), (b"<a>", b""), (b"{a: ", b"")])
    return data[:at] + opening * depth + closing * depth + data[at:]


def _aliases(rng, data):
    """YAML whose aliases make a huge value, or XML whose entities do."""
    if rng.random() < 0.5:
        lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9)]
        name = pick(rng, [b"NAME", b"TEST", b"BASE", b"a"])
        return data + b"\n" + b"\n".join(lines) + b"\n" + name + b": *a8\n"
    entities = b'<!ENTITY e0 "lol">' + b"".join(b'<!ENTITY e%d "%s">' % (i, b"&e%d;" % (i - 1) * 10)
                                                for i in range(1, 9))
    return b"<!DOCTYPE annotation [" + entities + b"]>" + data.replace(b">a", b">&e8;")


def _damage(rng, data):
    return mutate_bytes(rng, data)


TEXT = [_number, _number, _number, _lines, _fields, _fields, _token, _encoding, _line_ends, _nest, _aliases, _damage]


# ------------------------------------------------------------------- values


def mutate_value(rng, value):
    """Replace, remove, repeat or move something inside nested dicts, lists, tuples and arrays."""
    for _ in range(some(rng, 3)):
        value = _inside(rng, value)
    return value


def _inside(rng, value):
    if isinstance(value, dict) and value and rng.random() < 0.9:
        keys = list(value)
        key = pick(rng, keys)
        how = rng.random()
        if how < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if how < 0.2:
            return {**value, pick(rng, ["x", 7, "", str(key) + "s", str(key).swapcase()]): value[key]}
        if how < 0.3:
            other = pick(rng, keys)
            return {**value, key: value[other], other: value[key]}
        return {**value, key: _inside(rng, value[key])}
    if isinstance(value, (list, tuple)) and value and rng.random() < 0.9:
        values, at = list(value), int(rng.integers(len(value)))
        how = rng.random()
        if how < 0.1:
            del values[at]
        elif how < 0.2:
            values[at:at] = [values[at]] * pick(rng, [1, 2, 1000])
        elif how < 0.25:
            values.reverse()
        else:
            values[at] = _inside(rng, values[at])
        return values if isinstance(value, list) or rng.random() < 0.1 else tuple(values)
    if isinstance(value, np.ndarray) and rng.random() < 0.9:
        return odd_array(rng, value)
    return odd_value(rng, value)


def odd_value(rng, value):
    """Something in the place of a number, a text or a group."""
    if isinstance(value, (int, float)) and rng.random() < 0.6:
        return pick(rng, [-value, 0, -1, 0.5, value * 1000, value + 1, float("nan"), float("inf"), -float("inf"),
                          1e308, 2**31, 2**63, -(2**63) - 1, 10**400, True, str(value)])
    if isinstance(value, str) and rng.random() < 0.6:
        return pick(rng, ["", " ", value[:1000] * 1000, value[::-1], value + "\0", "\n" + value, "../" * 9 + value,
                          "/" + value, "\ud800", "é" + value, "0", value.upper(), value[:-1]])
    if isinstance(value, bytes) and rng.random() < 0.8:
        return mutate_bytes(rng, value)
    return pick(rng, [None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [value], [value] * 1000, {"a": value}, 2**70,
                      float("nan"), _deep(1000), "9" * 5000])


def _deep(levels):
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


def odd_array(rng, array):
    """An array of another shape, type, order or content."""
    how, flat = int(rng.integers(16)), array.reshape(-1)
    if not array.ndim:
        return odd_value(rng, array[()].item())
    if how < 4 and array.size and array.dtype.kind in "iuf":
        array = array.copy()
        values = [np.nan, np.inf, -np.inf, 3e38, -1, 0, 1e-38] if array.dtype.kind == "f" else [0, 1, -1, 2**31, 2**62]
        with np.errstate(all="ignore"):
            for _ in range(some(rng, 6)):
                array.reshape(-1)[int(rng.integers(array.size))] = np.array(pick(rng, values)).astype(array.dtype)
        return array
    shapes = [lambda: array[:0], lambda: array[:-1], lambda: array[None], lambda: flat, lambda: array[..., :1],
              lambda: np.repeat(array, 2, axis=-1), lambda: array[::-1], lambda: array.T,
              lambda: np.asfortranarray(array), lambda: np.concatenate([array, array]),
              lambda: array.astype(pick(rng, [np.float64, np.float16, np.int8, np.int64, bool, complex])),
              lambda: array.astype(object), lambda: array.astype(str), lambda: array.astype(array.dtype.newbyteorder()),
              lambda: np.full((2,) * int(rng.integers(0, 6)), 1.0), lambda: array.tolist(), lambda: array[()],
              lambda: np.broadcast_to(array, (3, *array.shape))]
    with np.errstate(all="ignore"):
        try:
            return pick(rng, shapes)()
        except (ValueError, TypeError, OverflowError):  # what is no number cannot be of a type of numbers
            return array[:0]


# -------------------------------------------------- values inside their files


def mutate_json(rng, data, head=0):
    """Damage the value of a JSON text, or the text."""
    if rng.random() < 0.4:
        return mutate_text(rng, data)
    try:
        text = json.dumps(mutate_value(rng, json.loads(data)), indent=pick(rng, [None, 1]))
        return text.encode(errors="surrogatepass")
    except (ValueError, RecursionError):  # a number too long to write, a value too deep
        return mutate_text(rng, data)


def mutate_checked_json(rng, data, head=0):
    """As mutate_json, but the checksum stays: without it a sidecar is one of an old version, which anyone may edit."""
    while (damaged := mutate_json(rng, data)) and not CHECKSUM.search(damaged):
        pass
    return damaged


def mutate_pickle(rng, data, head=0):
    """Damage the value of a pickle of plain values, its bytes, or make it a bomb."""
    how = rng.random()
    if how < 0.4:
        return mutate_bytes(rng, data)
    if how < 0.45:  # a list that doubles through the memo
        return b"\x80\x04]\x94" + b"".join(b"]\x94(h%ch%ce" % (i, i) for i in range(200)) + b"."
    if how < 0.5:
        return pick(rng, [b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".",
                          b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"x.",
                          b"\x80\x04\x96" + (2**40).to_bytes(8, "little") + b"x.",
                          b"\x80\x04" + b"I" + b"9" * 100_000 + b"\n."])
    try:
        return pickle.dumps(mutate_value(rng, pickle.loads(data)), protocol=4)
    except (ValueError, RecursionError, TypeError, UnicodeEncodeError):
        return mutate_bytes(rng, data)


def mutate_npz(rng, data, head=0):
    """Damage the arrays of an .npz, or its bytes."""
    if rng.random() < 0.5:
        return mutate_bytes(rng, data)
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}
    buffer = io.BytesIO()
    try:
        np.savez(buffer, **{str(key): value for key, value in mutate_value(rng, arrays).items()})
    except (ValueError, TypeError, AttributeError, OverflowError):  # what NumPy cannot store, or no dict any more
        return mutate_bytes(rng, data)
    return buffer.getvalue()
