"""The choice of a kind."""

from django.conf import settings
from django.utils.translation import override

from apps.checks.types.base import Group
from apps.checks.types.groups import kind_groups
from apps.checks.types.registry import CHECK_TYPES


def test_every_kind_is_offered_once_under_its_group() -> None:
    groups = kind_groups()

    assert [entry.group for entry in groups] == [group for group in Group if group in {k.group for k in CHECK_TYPES}]
    offered = [(entry.group, kind.kind) for entry in groups for kind in entry.kinds]
    assert sorted(offered) == sorted((kind.group, kind.kind) for kind in CHECK_TYPES)


def test_kinds_are_sorted_in_the_readers_language() -> None:
    for language in ("en", "de"):
        with override(language):
            for entry in kind_groups():
                labels = [str(kind.label).casefold() for kind in entry.kinds]
                assert labels == sorted(labels)


def test_every_kind_has_an_icon_that_is_served_and_a_help() -> None:
    icons = (settings.BASE_DIR / "static/img/icons.txt").read_text(encoding="utf-8").split()

    assert [kind.kind for kind in CHECK_TYPES if kind.icon not in icons] == []
    assert [kind.kind for kind in CHECK_TYPES if not str(kind.help)] == []
