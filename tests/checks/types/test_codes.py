"""Whatever code a check type or the engine fails with, people get two sentences for it."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from apps.checks.types.explaining import all_messages

RAISED = re.compile(r'(?:ProbeFailure|Failure)\(\s*"([a-z_0-9]+)"')
FILES = sorted(path for part in ("types", "engine") for path in (settings.BASE_DIR / "apps/checks" / part).glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_code_raised_is_explained(path: Path) -> None:
    raised = set(RAISED.findall(path.read_text(encoding="utf-8")))

    assert raised - set(all_messages()) == set()


def test_codes_are_found_where_they_are_raised() -> None:
    found = {code for path in FILES for code in RAISED.findall(path.read_text(encoding="utf-8"))}

    assert {"address_forbidden", "browser_step", "drift", "grpc_status", "websocket_closed"} <= found


@pytest.mark.parametrize("code", sorted(all_messages()))
def test_codes_fit_where_they_are_kept(code: str) -> None:
    assert len(code) <= 40
