"""Tables' cells that hold JSON: read as the API's answer would be, and told where nothing can be read out of them."""

import csv
import io
from typing import Any

import pytest

from apps.checks.importers.registry import IMPORTERS

PAUSED = "It comes paused: without what stays behind it would judge something else."
WEB: dict[str, dict[str, str]] = {
    "uptimerobot": {"type": "HTTP", "friendlyName": "One", "url": "https://a.example/"},
    "better_stack": {"monitor_type": "status", "name": "One", "url": "https://a.example/"},
    "statuscake": {"Test Type": "HTTP", "Test Name": "One", "Website URL": "https://a.example/"},
}


def brought(source: str, **cells: str) -> tuple[dict[str, Any], list[str]]:
    """Return the check that a line of a table becomes, and what is reported of it."""
    row, table = {**WEB[source], **cells}, io.StringIO()
    csv.writer(table).writerows([row.keys(), row.values()])
    found = IMPORTERS.get(source).read(table.getvalue().encode())
    (check,) = found.checks
    return dict(check), [str(loss.reason) for loss in found.losses if loss.name == "One"]


@pytest.mark.parametrize(
    ("source", "column"),
    [("uptimerobot", "customHttpHeaders"), ("better_stack", "request_headers"), ("statuscake", "Custom Header")],
)
@pytest.mark.parametrize("cell", ['{"X-Key": "abc"}', '[{"name": "X-Key", "value": "abc"}]'])
def test_headers_are_read_out_of_a_cell(source: str, column: str, cell: str) -> None:
    check, lost = brought(source, **{column: cell})

    assert (check["config"]["headers"], check.get("paused"), lost) == ({"X-Key": "abc"}, None, [])


@pytest.mark.parametrize(
    ("source", "column"),
    [("uptimerobot", "customHttpHeaders"), ("better_stack", "request_headers"), ("statuscake", "Custom Header")],
)
@pytest.mark.parametrize(
    "cell", ["X-Key: abc", '{"X-Key": "abc"', '["X-Key: abc"]', "[" * 100_000], ids=["line", "broken", "list", "deep"]
)
def test_cell_of_which_nothing_can_be_read_is_named_and_the_check_comes_paused(
    source: str, column: str, cell: str
) -> None:
    check, lost = brought(source, **{column: cell})

    assert (check["paused"], lost) == (True, [PAUSED, f"“{column}” stays behind."])


@pytest.mark.parametrize("cell", ["", "[]", "{}", "{ }", "null"])
@pytest.mark.parametrize("source", WEB)
def test_cell_that_says_nothing_is_no_loss(source: str, cell: str) -> None:
    columns = ("customHttpHeaders", "successHttpResponseCodes", "config", "request_headers", "Custom Header")

    check, lost = brought(source, **dict.fromkeys(columns, cell))

    assert (check.get("paused"), lost) == (None, [])


@pytest.mark.parametrize(
    ("source", "column", "cell"),
    [
        ("uptimerobot", "successHttpResponseCodes", '["2xx", "401"]'),
        ("uptimerobot", "customHttpStatuses", '{"2xx": 1, "401": "1", "404": 0}'),
        ("uptimerobot", "successHttpResponseCodes", "2xx, 401"),
        ("better_stack", "expected_status_codes", '["2xx", 401]'),
        ("better_stack", "expected_status_codes", "[2xx, 401]"),
    ],
)
def test_statuses_are_read_out_of_a_cell(source: str, column: str, cell: str) -> None:
    check, lost = brought(source, **{column: cell})

    assert (check["config"]["expected_status"], lost) == ("2xx, 401", [])


@pytest.mark.parametrize("cell", ['{"404": 0}', "404:0_200:1"])
def test_statuses_that_cannot_be_read_keep_the_check_from_judging(cell: str) -> None:
    check, lost = brought("uptimerobot", customHttpStatuses=cell)

    assert (check["paused"], len(lost)) == (True, 2)
    assert PAUSED in lost


def test_records_that_a_cell_expects_are_named() -> None:
    cells = {"type": "DNS", "url": "a.example", "config": '{"dnsRecords": {"A": ["192.0.2.1"]}}'}

    assert brought("uptimerobot", **cells)[1] == ["The records that it expects stay behind."]
    assert brought("uptimerobot", **{**cells, "config": '{"dnsRecords"'})[1] == ["“config” stays behind."]


def test_pairs_in_a_cell_are_sent_as_a_form() -> None:
    sent = {"httpMethodType": "POST", "postValueData": '{"a": "1 2"}'}
    check, _lost = brought("uptimerobot", postValueType="KEY_VALUE", **sent)
    raw, _lost = brought("uptimerobot", postValueType="RAW_JSON", **sent)

    assert (check["config"]["body"], raw["config"]["body"]) == ("a=1+2", '{"a": "1 2"}')
    assert check["config"]["headers"] == {"Content-Type": "application/x-www-form-urlencoded"}
