"""The section `service` of the benchmark, in a small form."""

import pytest

pytest.importorskip("fastapi", reason="FastAPI is not installed: pip install 'manyfaces[serve]'")

from benchmarks import service  # noqa: E402
from benchmarks.service.hostile import Case  # noqa: E402
from benchmarks.service.load import Outcome  # noqa: E402


@pytest.mark.slow
def test_memory_is_of_the_service_after_all_requests():
    found = service.steady(20)
    assert [row[0] for row in found.rows] == ["after 2 requests", "after 10 requests", "after 20 requests"]
    assert all(50 < float(row[1]) < 2000 for row in found.rows)  # MB


def test_an_answer_is_wrong_by_its_code_its_status_or_what_it_shows():
    def wrong(status, body):
        case = Case("form", "name", (), ("bad_multipart",))
        case.answer = case.answer._replace(status=status, body=body, headers={"content-type": "application/json"})
        return case.wrong()

    assert wrong(400, b'{"error": {"code": "bad_multipart"}}') == ""
    assert wrong(500, b'{"error": {"code": "bad_multipart"}}') == "bad_multipart with the status 500, expected 400"
    assert wrong(400, b'{"error": {"code": "internal"}}') == "internal, expected bad_multipart"
    assert wrong(400, b'{"error": {"code": "bad_multipart", "message": "/usr/lib/x"}}') == "its answer holds /lib"


def test_percentiles_are_of_what_was_answered():
    outcome = Outcome()
    for number in range(100):
        outcome.add("ok", None, number / 1000)
    outcome.add("lost", None, 9.0)
    assert [round(outcome.percentile(percent)) for percent in (0, 50, 99, 100)] == [0, 50, 99, 99]
    assert outcome.codes == {"ok": 100, "lost": 1}
