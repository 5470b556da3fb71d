"""Fixtures of the delivery tests."""

import pytest

from apps.notifications.domain import planning


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hints given while the test runs, as ``task@queue``; none reaches a broker."""
    given: list[str] = []
    monkeypatch.setattr(planning, "hint", lambda task, *args, queue: given.append(f"{task}@{queue}"))
    return given
