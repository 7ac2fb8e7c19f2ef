"""10,000 random sets against the plain loops, and files of any bytes."""

import warnings

import numpy as np
import plain_loops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manyfaces.errors import InputError
from manyfaces.evaluation import SETTINGS, Skipped, evaluate_wider, matching, read_prediction_file, reference


def check(seed):
    predictions, truth = plain_loops.random_set(np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a division by zero would show here
        result = evaluate_wider(predictions, truth)
    # One setting per set keeps 10,000 sets fast; the settings take turns.
    setting = SETTINGS[seed % 3]
    assert abs(result[setting] - plain_loops.average_precision(predictions, truth, setting)) < 1e-9
    assert abs(result["exact"][setting] - plain_loops.exact(predictions, truth, setting)) < 1e-9
    return result[setting]


@pytest.mark.parametrize("thousand", range(10))
def test_ten_thousand_random_sets_equal_the_loops(thousand):
    found = [check(1000 * thousand + k) for k in range(1000)]
    assert len(set(found)) > 100 and 0 in found  # the sets are not trivial


@given(st.integers(10_000, 10**12))
@settings(max_examples=200)
def test_more_random_sets_equal_the_loops(seed):
    check(seed)


def numbers():
    """Fields as programs write them, in all precisions, and fields that are no number."""
    exact = st.floats(allow_nan=False, allow_infinity=False)
    written = st.one_of(exact.map(repr), exact.map("{:.9g}".format), exact.map("{:.3f}".format), st.integers().map(str),
                        st.from_regex(r"\A[+-]?[0-9]{0,25}\.?[0-9]{0,30}([eE][+-]?[0-9]{1,3})?\Z"))
    wrong = st.sampled_from(["nan", "inf", "1_0", "0x1", "1e", ".", "-", "1e999", "٣", "\x00"])
    return st.one_of(written, written, wrong)


def joined(head, count, lines, end):
    return end.join([head, count, *lines]).encode("utf-8", "surrogatepass")


FACE = st.lists(numbers(), min_size=5, max_size=5).map(" ".join)
LINES = st.lists(st.one_of(FACE, st.lists(numbers(), max_size=7).map("\t".join), st.text(max_size=12)), max_size=4)
COUNT = st.one_of(st.integers(0, 4).map(str), st.text(max_size=6), st.just("9" * 5000))
TEXT = st.one_of(
    st.binary(max_size=200),
    st.builds(joined, st.text(max_size=10), COUNT, LINES, st.sampled_from(["\n", "\r\n", "\r", "\n\n"])),
    LINES.map(lambda lines: joined("a b", str(len(lines)), lines, "\n")))


@given(TEXT)
@settings(max_examples=600)
def test_any_bytes_are_faces_or_an_error_with_its_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.txt"
    path.write_bytes(data)
    skipped = Skipped()
    lenient = read_prediction_file(path, skipped)
    try:
        strict = read_prediction_file(path)
    except InputError as error:
        text = str(error)
        assert text.startswith(f"{path}, line ") and "\n" not in text and skipped.messages
    else:
        assert strict.shape[1:] == (5,) and np.isfinite(strict).all() and not skipped.messages
        assert lenient.tobytes() == strict.tobytes()
    if lenient is not None:
        assert lenient.shape[1:] == (5,) and np.isfinite(lenient).all()


@given(TEXT)
@settings(max_examples=600)
def test_parsing_compiled_or_not_is_the_same_to_the_bit(data):
    quick, plain = matching.parse_faces(data), reference.parse_faces(data)
    # The compiled one may leave a file to the line-by-line reader, never the reverse.
    assert quick is None or quick.tobytes() == plain.tobytes() and quick.shape == plain.shape


FORMATS = ("{!r}", "{:.9g}", "{:.17g}", "{:.3f}", "{:.0f}", "{:e}", "{:+.6E}", "{:.21f}", "{:.25f}")


@pytest.mark.parametrize("written", FORMATS)
def test_numbers_of_every_size_and_format_are_read_as_python_reads_them(written):
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.random(2000), rng.normal(0, 1000, 2000), np.exp(rng.uniform(-700, 700, 1995)),
                             [0, -0.0, 2**53, 2**53 + 2, 5e-324]]).reshape(-1, 5)
    lines = ["x.jpg", str(len(values)), *(" ".join(map(written.format, row)) for row in values.tolist())]
    found = matching.parse_faces("\n".join(lines).encode())
    assert found.tobytes() == np.array([list(map(float, line.split())) for line in lines[2:]]).tobytes()
