"""Answers that come compressed are judged by what they say; their size is what was sent."""

import gzip
import json
import zlib
from typing import Any

import pytest

from apps.checks.enums import Verdict
from apps.core.http import codings
from apps.core.http.codings import unpacked
from tests.checks.engine.probing import probe
from tests.checks.types.asking import ask
from tests.peers.web import answer, saying, serving

STATE = json.dumps({"status": "UP", "token": "let-me-in", "items": [1, 2]}).encode()
PACKED = gzip.compress(STATE, mtime=0)
HOLDS: list[dict[str, Any]] = [
    {"keyword": "let-me-in"},
    {"keyword": "fatal", "keyword_absent": True},
    {
        "present": ["UP"],
        "patterns": ["U.{1}"],
        "json_rules": ["$.status == UP"],
        "json_schema": '{"required": ["token"]}',
    },
    {"conditions": ["[BODY].status == UP", "[BODY] == pat(*UP*)", "len([BODY].items) == 2"]},
    {"min_body_bytes": len(PACKED), "max_body_bytes": len(PACKED)},
]
FAILS: list[tuple[dict[str, Any], str]] = [
    ({"keyword": "UP", "keyword_absent": True}, "keyword_present"),
    ({"absent": ["UP"]}, "keyword_present"),
    ({"patterns_absent": ["UP"]}, "pattern_present"),
    ({"conditions": ["[BODY].status != UP"]}, "condition_failed"),
]


@pytest.mark.parametrize("by_curl", [{}, {"keeps_cookies": True}], ids=["plain", "curl"])
@pytest.mark.parametrize(("settings", "code"), [*((each, "") for each in HOLDS), *FAILS])
async def test_packed_answer_is_judged_by_what_it_says(
    settings: dict[str, Any], code: str, by_curl: dict[str, Any]
) -> None:
    with serving(saying(answer(200, PACKED, Content_Encoding="gzip"))) as web:
        outcome = await probe(web.url(), **settings, **by_curl)

    assert (outcome.error_code, outcome.body_bytes) == (code, len(PACKED))


@pytest.mark.parametrize("by_curl", [{}, {"keeps_cookies": True}], ids=["plain", "curl"])
@pytest.mark.parametrize(
    ("body", "coding", "code"),
    [(PACKED, "br", "coding_unknown"), (STATE, "gzip", "coding_broken")],
    ids=["unknown", "broken"],
)
@pytest.mark.parametrize(
    "settings",
    [
        {"keyword": "UP"},
        {"keyword": "fatal", "keyword_absent": True},
        {"absent": ["fatal"]},
        {"patterns_absent": ["fatal"]},
        {"json_rules": ["$.gone absent"]},
        {"json_schema": "{}"},
        {"conditions": ["[STATUS] == 200", "[body] != fatal"]},
        {"conditions": ["has([BODY].gone) == false"]},
    ],
)
async def test_answer_that_cannot_be_unpacked_fails_whoever_looks_into_it(
    settings: dict[str, Any], body: bytes, coding: str, code: str, by_curl: dict[str, Any]
) -> None:
    with serving(saying(answer(200, body, Content_Encoding=coding))) as web:
        outcome = await probe(web.url(), **settings, **by_curl)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)
    assert outcome.error_values == {"coding": coding}


@pytest.mark.parametrize("by_curl", [{}, {"keeps_cookies": True}], ids=["plain", "curl"])
@pytest.mark.parametrize("settings", [{"method": "HEAD"}, {}], ids=["HEAD", "empty"])
async def test_answer_without_body_says_nothing_whatever_it_names(
    settings: dict[str, Any], by_curl: dict[str, Any]
) -> None:
    with serving(saying(answer(200, b"", Content_Encoding="br"))) as web:
        outcome = await probe(web.url(), absent=["fatal"], **settings, **by_curl)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")


async def test_what_cannot_be_unpacked_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def counted(body: bytes, coding: str, limit: int) -> bytes:
        tried.append(coding)
        return unpacked(body, coding, limit)

    monkeypatch.setattr(codings, "unpacked", counted)
    rules = {"json_rules": [f"$.gone{number} absent" for number in range(3)], "absent": ["fatal", "worse"]}
    with serving(saying(answer(200, STATE, Content_Encoding="gzip"))) as web:
        outcome = await probe(web.url(), **rules)

    assert (outcome.error_code, tried) == ("coding_broken", ["gzip"])


@pytest.mark.parametrize(
    "settings", [{}, {"conditions": ["[STATUS] == 200", "[HEADER].Content-Encoding == br"]}, {"min_body_bytes": 1}]
)
async def test_answer_that_cannot_be_unpacked_is_well_for_those_who_do_not_look(settings: dict[str, Any]) -> None:
    with serving(saying(answer(200, PACKED, Content_Encoding="br"))) as web:
        outcome = await probe(web.url(), **settings)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")


@pytest.mark.parametrize("by_curl", [{}, {"keeps_cookies": True}], ids=["plain", "curl"])
async def test_coding_of_an_interim_answer_is_not_the_answer_s(by_curl: dict[str, Any]) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: br\r\n\r\n"
    with serving(saying(early + answer(200, b"UP"))) as web:
        outcome = await probe(web.url(), keyword="UP", **by_curl)

    assert outcome.error_code == ""


async def test_steps_take_values_from_packed_answers() -> None:
    with serving(saying(answer(200, PACKED, Content_Encoding="gzip"))) as web:
        take = {"url": web.url(), "conditions": ["[BODY].status == UP"], "extract": {"a": "json: $.token"}}
        outcome = await ask("multistep", steps=[take, {"url": web.url("/{{a}}")}])

    assert outcome.error_code == ""
    assert web.asked[1].startswith(b"GET /let-me-in ")


async def test_step_says_that_it_cannot_take_from_what_cannot_be_unpacked() -> None:
    with serving(saying(answer(200, PACKED, Content_Encoding="zstd"))) as web:
        outcome = await ask("multistep", steps=[{"url": web.url(), "extract": {"a": "json: $.token"}}])

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "coding_unknown")


@pytest.mark.parametrize(("coding", "code"), [("deflate", ""), ("br", "coding_unknown")])
async def test_packed_status_page_is_read(coding: str, code: str) -> None:
    page = {"page": {"name": "Shop"}, "status": {"indicator": "none", "description": "All is well"}}
    with serving(saying(answer(200, zlib.compress(json.dumps(page).encode()), Content_Encoding=coding))) as web:
        outcome = await ask("statuspage", url=web.url())

    assert outcome.error_code == code


async def test_keyword_deep_in_a_bomb_is_not_seen() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(b"UP" + b"\0" * 100_000_000 + b"DOWN") + packer.flush()
    with serving(saying(answer(200, bomb, Content_Encoding="gzip"))) as web:
        outcome = await probe(web.url(), present=["UP"], absent=["DOWN"])

    assert (outcome.error_code, outcome.body_bytes) == ("", len(bomb))
