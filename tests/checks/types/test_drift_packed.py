"""Drift of bodies that come packed: they are watched as they read."""

import gzip
import json
from hashlib import sha256

import pytest

from apps.checks.enums import Verdict
from tests.checks.types.test_drift import DOCUMENT, Changing, look, observed, page, web
from tests.peers.web import Web, answer

__all__ = ["page", "web"]


async def test_body_that_is_packed_anew_each_time_is_the_same(web: Web, page: Changing) -> None:
    plain = await observed(web.url(), watches_body=True)
    text = json.dumps(DOCUMENT).encode()

    page.page = answer(200, gzip.compress(text, mtime=1), Content_Encoding="gzip")
    packed = await look(web.url(), plain, watches_body=True)
    page.page = answer(200, gzip.compress(text, mtime=2), Content_Encoding="gzip")
    later = await look(web.url(), plain, watches_body=True)
    page.page = answer(200, gzip.compress(text + b" ", mtime=2), Content_Encoding="gzip")
    other = await look(web.url(), plain, watches_body=True)

    assert plain["body"] == f"sha256 {sha256(text).hexdigest()[:32]}"
    assert (packed.verdict, later.verdict) == (Verdict.SUCCESS, Verdict.SUCCESS)
    assert other.error_code == "drift"


@pytest.mark.parametrize("coding", ["br", "gzip"])
async def test_body_that_nobody_can_unpack_is_watched_as_it_is_sent(web: Web, page: Changing, coding: str) -> None:
    page.page = answer(200, b"one", Content_Encoding=coding)
    baseline = await observed(web.url(), watches_body=True)

    same = await look(web.url(), baseline, watches_body=True)
    page.page = answer(200, b"two", Content_Encoding=coding)
    other = await look(web.url(), baseline, watches_body=True)

    assert baseline["body"] == f"sha256 {sha256(b'one').hexdigest()[:32]}"
    assert same.verdict == Verdict.SUCCESS
    assert other.error_code == "drift"
