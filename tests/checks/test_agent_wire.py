"""What agent and server say to each other."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.checks.domain import agent_wire as wire
from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import ClaimedTurn
from apps.checks.domain.wire_fields import MAX_DEPTH
from apps.checks.enums import Verdict
from apps.core import kind_fields

CHECK, TENANT = UUID("0192f0c1-2345-7abc-8def-0123456789ab"), UUID("0192f0c1-0000-7abc-8def-0123456789ab")
DUE = datetime(2026, 11, 21, 9, 30, 0, 123_457, tzinfo=UTC)
FULL = NewResult(
    check_id=CHECK,
    tenant_id=TENANT,
    region_id=7,
    due_at=DUE,
    started_at=DUE + timedelta(milliseconds=3),
    verdict=Verdict.FAILURE,
    status_code=503,
    dns_ms=0.31,
    connect_ms=1.2,
    tls_ms=4.75,
    first_byte_ms=11.0,
    transfer_ms=0.05,
    total_ms=17.31,
    body_bytes=512,
    remote_ip="2001:db8::7",
    error_code="status",
    error_values={"status": 503, "wanted": "200–299"},
    details={"steps": [{"name": "Anmelden ✓", "ms": 3.5}], "is_secure": True},
)
BARE = NewResult(
    check_id=CHECK, tenant_id=TENANT, region_id=7, due_at=DUE, started_at=DUE, verdict=int(Verdict.SUCCESS)
)
TURN = ClaimedTurn(
    check_id=CHECK,
    tenant_id=wire.NO_TENANT,
    region_id=7,
    version=3,
    due_at=DUE,
    starts_in_seconds=0.75,
    timeout_seconds=10,
    allows_private=True,
)


def over_the_wire(value: Any) -> Any:
    return wire.load(wire.dump({"it": value}))["it"]


def test_results_arrive_as_they_were():
    arrived = wire.decode_results(over_the_wire(wire.encode_results([FULL, BARE])), tenant_id=TENANT, region_id=7)

    assert arrived == [FULL, BARE]


def test_the_token_says_whose_results_they_are():
    [arrived] = wire.decode_results(wire.encode_results([FULL]), tenant_id=UUID(int=9), region_id=2)

    assert arrived == replace(FULL, tenant_id=UUID(int=9), region_id=2)


PLACES = [field.name for field in wire.RESULT_FIELDS]
BAD_RESULTS = [
    *(("check_id", bad) for bad in (None, 1, "", "x", str(CHECK), CHECK.hex.upper(), CHECK.hex + "0", [], {})),
    *((name, bad) for name in ("due_at", "started_at") for bad in (None, "", 1.5, True, -1, 2**52, "2026-11-21", [])),
    *(("verdict", bad) for bad in (None, -1, 4, 1.0, "1", True)),
    *(("status_code", bad) for bad in (-1, 32_768, "200", 200.0, False)),
    *(
        (name, bad)
        for name in ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms", "total_ms")
        for bad in (-0.1, 86_400_001, float("inf"), float("nan"), "1", True, [])
    ),
    *(("body_bytes", bad) for bad in (-1, 2**31, 1.5, "1")),
    *(("remote_ip", bad) for bad in ("", "host.example", "1.2.3", "fe80::1%eth0", 16_909_060, "1.2.3.4/32")),
    *(("error_code", bad) for bad in (None, 1, "Timeout", "a b", "a\x00", "é", "a" * 41)),
    *(("error_values", bad) for bad in ([], "x", 1, {"a": "\x00"}, {"\x00": 1}, {"a": "\ud800"}, {"a": "x" * 4_096})),
    *(("details", bad) for bad in ([], {"a": {"b": ["\x00"]}}, {"a": float("nan")}, {"a": "x" * 32_768})),
]


@pytest.mark.parametrize(("name", "bad"), BAD_RESULTS)
def test_a_bad_value_is_refused_by_its_name(name: str, bad: object):
    [row] = wire.encode_results([FULL])
    row[PLACES.index(name)] = bad

    with pytest.raises(wire.WireError) as refused:
        wire.decode_results([wire.encode_results([FULL])[0], row], tenant_id=TENANT, region_id=7)

    assert refused.value.field == f"results[1].{name}"


def test_what_is_nested_without_end_is_refused():
    deep: Any = {}
    for _ in range(MAX_DEPTH + 1):
        deep = {"a": deep}
    [row] = wire.encode_results([FULL])
    row[PLACES.index("details")] = deep

    with pytest.raises(
        wire.WireError, match=r"^results\[0\].details: must be an object of at most 32768 bytes of JSON$"
    ):
        wire.decode_results([row], tenant_id=TENANT, region_id=7)


@pytest.mark.parametrize("bad", [None, {}, "", [1], [[]], [[None] * 18], [wire.encode_results([BARE])[0]] * 2_001])
def test_what_is_no_list_of_results_is_refused(bad: object):
    with pytest.raises(wire.WireError, match=r"^results"):
        wire.decode_results(bad, tenant_id=TENANT, region_id=7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes):
    with pytest.raises(wire.WireError, match=r"^body: must be "):
        wire.load(body)


def test_turns_arrive_as_they_were():
    offered = wire.OfferedTurn(TURN, interval_seconds=30)

    assert wire.decode_turns(over_the_wire(wire.encode_turns([offered])), region_id=7) == [offered]


def test_what_is_known_to_fail_is_told_beside_the_turns():
    offered = [wire.OfferedTurn(replace(TURN, is_news=False), 30), wire.OfferedTurn(replace(TURN, check_id=TENANT), 30)]

    known = wire.decode_ids(over_the_wire(wire.known_failures(offered)), "known_failures")

    rows = over_the_wire(wire.encode_turns(offered))
    assert wire.decode_turns(rows, region_id=7, known_failures=known) == offered
    assert {len(row) for row in rows} == {6}  # which earlier agents count


@pytest.mark.parametrize(
    ("place", "name", "bad"),
    [
        *((0, "check_id", bad) for bad in (None, "x")),
        *((1, "version", bad) for bad in (-1, 2**31, "1", None)),
        *((2, "due_at", bad) for bad in (-1, None, 1.5)),
        *((3, "starts_in_seconds", bad) for bad in (-1, 3_601, None, "0")),
        *((4, "timeout_seconds", bad) for bad in (0, 3_601, 1.5)),
        *((5, "interval_seconds", bad) for bad in (0, None, 604_801)),
    ],
)
def test_a_bad_turn_is_refused_by_its_name(place: int, name: str, bad: object):
    [row] = wire.encode_turns([wire.OfferedTurn(TURN, 30)])
    row[place] = bad

    with pytest.raises(wire.WireError) as refused:
        wire.decode_turns([row], region_id=7)

    assert refused.value.field == f"turns[0].{name}"


def test_names_of_turns_arrive_as_they_were():
    assert wire.decode_held(over_the_wire(wire.encode_held([TURN])), "extend") == [(CHECK, DUE)]


def test_settings_arrive_as_they_were():
    settings = {CHECK: wire.OpenSettings(3, "http", {"url": "https://example.org/ü"}, {"password": "geheim ✓"})}

    assert wire.decode_settings(over_the_wire(wire.encode_settings(settings))) == (settings, {})


@pytest.mark.parametrize("bad", [None, [], {"x": []}])
def test_what_is_no_settings_by_check_is_refused(bad: object):
    with pytest.raises(wire.WireError, match=r"^settings"):
        wire.decode_settings(bad)


@pytest.mark.parametrize("row", [[1, "http", {}], [1, "HT TP", {}, {}], [1, "http", [], {}], None])
def test_bad_settings_of_a_check_cost_no_other(row: object):
    good = wire.OpenSettings(3, "http", {"url": "https://example.org/"}, {})

    settings, wrong = wire.decode_settings({**wire.encode_settings({TENANT: good}), CHECK.hex: row})

    assert (settings, list(wrong)) == ({TENANT: good}, [CHECK])
    assert wrong[CHECK].field.startswith(f"settings.{CHECK.hex}")


def test_settings_arrive_as_deep_as_forms_take_them():
    body: list[Any] = []
    for _level in range(kind_fields.MAX_DEPTH):
        body = [body]  # of a step in a list: the settings, the steps and the step lie around it
    settings = {CHECK: wire.OpenSettings(1, "multistep", {"steps": [{"body": body}]}, {})}

    assert wire.decode_settings(over_the_wire(wire.encode_settings(settings))) == (settings, {})


def test_ids_texts_and_counts_are_bounded():
    assert wire.decode_ids([CHECK.hex], "checks") == [CHECK]
    assert wire.decode_texts(["1.1.1.1:53 timed out"], "failed_controls") == ["1.1.1.1:53 timed out"]
    assert wire.decode_count(7, "buffered") == 7
    for refused in (
        lambda: wire.decode_ids([CHECK.hex] * 2_501, "checks"),
        lambda: wire.decode_ids("x", "checks"),
        lambda: wire.decode_texts(["x" * 301], "failed_controls"),
        lambda: wire.decode_texts(["x"] * 51, "failed_controls"),
        lambda: wire.decode_texts(["\x00"], "failed_controls"),
        lambda: wire.decode_count(-1, "buffered"),
        lambda: wire.decode_count(True, "buffered"),
    ):
        with pytest.raises(wire.WireError):
            refused()


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NONCE = "0123456789abcdef0123456789abcdef"


def test_a_token_is_read_back():
    token = wire.AgentToken(CHECK, "s_-" + "a" * 40, wire.public_key_of(KEY))

    assert wire.parse_token(f" {token}\n") == token
    assert wire.parse_bearer(token.bearer) == (CHECK, token.secret)
    assert str(token).startswith(f"oba_{CHECK.hex}_")


@pytest.mark.parametrize(
    "text", ["", "oba_", "obk_abc", f"oba_{CHECK.hex}_short_short", f"oba_{'g' * 32}_{'a' * 43}_{'a' * 43}"]
)
def test_what_is_no_token_is_refused(text: str):
    with pytest.raises(wire.WireError, match=r"^token: "):
        wire.parse_token(text)
    with pytest.raises(wire.WireError, match=r"^token: "):
        wire.parse_bearer(text)


def test_a_signed_answer_opens():
    body, signature = wire.seal_answer(KEY, "trade", NONCE, {"turns": []}, at=DUE)

    fields, issued_at = wire.open_answer(wire.public_key_of(KEY), "trade", NONCE, body, signature, now=DUE)

    assert (fields, issued_at) == ({"turns": []}, DUE)


def test_an_answer_that_was_changed_or_belongs_elsewhere_does_not_open():
    body, signature = wire.seal_answer(KEY, "trade", NONCE, {"turns": []}, at=DUE)
    pinned, stranger = wire.public_key_of(KEY), wire.public_key_of(Ed25519PrivateKey.generate())

    for key, verb, nonce, text, signed in (
        (stranger, "trade", NONCE, body, signature),
        (pinned, "late", NONCE, body, signature),
        (pinned, "trade", NONCE[::-1], body, signature),
        (pinned, "trade", NONCE, body + b" ", signature),
        (pinned, "trade", NONCE, body, signature[:-2] + "AA"),
        (pinned, "trade", NONCE, body, ""),
        (pinned, "trade", NONCE, body, "ä!"),
    ):
        with pytest.raises(wire.NotSigned):
            wire.open_answer(key, verb, nonce, text, signed, now=DUE)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_answer_of_another_time_does_not_open(seconds: int):
    body, signature = wire.seal_answer(KEY, "trade", NONCE, {}, at=DUE + timedelta(seconds=seconds))

    with pytest.raises(wire.NotSigned, match="set this machine's clock or the server's"):
        wire.open_answer(wire.public_key_of(KEY), "trade", NONCE, body, signature, now=DUE)


def test_rows_are_small():
    assert len(json.dumps(wire.encode_results([BARE]))) < 200
