"""Keeping renderings."""

from collections.abc import Callable

from apps.statuspages.domain import shelf as shelves
from apps.statuspages.domain.shelf import Shelf, rendering


def counted() -> tuple[list[int], Callable[[], str]]:
    made: list[int] = []

    def make() -> str:
        made.append(1)
        return f"page {len(made)}"

    return made, make


def test_rendering_is_made_once() -> None:
    made, make = counted()
    shelf = Shelf()

    assert [shelf.take("one", make).body, shelf.take("one", make).body] == [b"page 1", b"page 1"]
    assert len(made) == 1


def test_another_process_finds_it_in_redis() -> None:
    _made, make = counted()

    assert Shelf().take("one", make) == Shelf().take("one", make)


def test_same_words_have_the_same_etag() -> None:
    assert rendering("a") == rendering("a")
    assert rendering("a").etag != rendering("b").etag


def test_shelf_does_not_grow_for_ever(monkeypatch) -> None:
    monkeypatch.setattr(shelves, "MAX_KEPT_HERE", 3)
    _made, make = counted()
    shelf = Shelf()

    for number in range(7):
        shelf.take(f"page-{number}", make)

    assert len(shelf._kept) <= 3


def test_shelf_drops_the_stale_before_the_fresh(monkeypatch) -> None:
    monkeypatch.setattr(shelves, "MAX_KEPT_HERE", 2)
    _made, make = counted()
    shelf = Shelf()
    shelf.take("stale", make)
    shelf.take("fresh", make)
    shelf._kept["stale"] = (0.0, shelf._kept["stale"][1])

    shelf.take("new", make)

    assert sorted(shelf._kept) == ["fresh", "new"]
