"""Writes docs/reference.md: every setting, event, permission, recurring job and kind, read from the code that has them.

``python -m config.reference`` writes it; a test says when it is stale.
"""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import django
from django.utils import translation

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "reference.md"
READERS = {
    "text": "text",
    "flag": "yes/no",
    "integer": "whole number",
    "choice": "one of a few words",
    "words": "list, by commas",
    "database": "database address",
    "mail": "mail server address",
}
INTRODUCTION = """# Reference

Written by `python -m config.reference` from the code itself: do not change it by hand.
"""


class SettingLine(NamedTuple):
    """An environment variable that the product reads."""

    name: str
    kind: str
    default: str
    meaning: str


def _default_of(call: ast.Call, source: str) -> str:
    given = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "default")]
    if not given:
        return ""
    try:
        return str(ast.literal_eval(given[0]))
    except ValueError:
        return f"`{ast.get_source_segment(source, given[0])}`"


def _meaning(lines: list[str], number: int) -> str:
    """Return the comment at the end of the line, else the comment lines above it."""
    beside = re.search(r"  # (?!type:|noqa)(.+)$", lines[number - 1])
    if beside:
        return beside.group(1)
    above: list[str] = []
    for line in reversed(lines[: number - 1]):
        comment = re.fullmatch(r"\s*# (?!---)(.+)", line)
        if not comment:
            break
        above.insert(0, comment.group(1))
    return " ".join(above)


def settings_read() -> list[SettingLine]:
    """Return every environment variable of ``config/settings/base.py``, by name."""
    path = ROOT / "config" / "settings" / "base.py"
    source = path.read_text(encoding="utf-8")
    found: dict[str, SettingLine] = {}
    for node in ast.walk(ast.parse(source)):
        is_reader = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "env"
        )
        if is_reader and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = str(ast.literal_eval(node.args[0]))
            meaning = _meaning(source.splitlines(), node.lineno)
            line = SettingLine(name, READERS[node.func.attr], _default_of(node, source), meaning)
            found.setdefault(name, line)
    return sorted(found.values())


def _table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def _first_sentence(thing: object) -> str:
    return (thing.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _settings() -> str:
    rows = ((f"`{line.name}`", line.kind, line.default, line.meaning) for line in settings_read())
    text = (
        "Environment variables; `NAME_FILE` names a file that holds the value instead. Without any, all defaults hold."
    )
    return f"## Settings\n\n{text}\n\n{_table(('Name', 'Kind', 'Default', 'Meaning'), rows)}\n"


def _permissions() -> str:
    from apps.tenants.domain.rights import all_permissions  # noqa: PLC0415 - needs django.setup()
    from apps.tenants.enums import Role  # noqa: PLC0415

    rows = (
        (f"`{entry.name}`", str(entry.label), *("yes" if role in entry.roles else "" for role in Role))
        for entry in all_permissions()
    )
    return f"## Permissions\n\n{_table(('Name', 'Right', *(str(role.label) for role in Role)), rows)}\n"


def _events() -> str:
    from config.event_table import EVENT_TABLE  # noqa: PLC0415

    rows = (
        (f"`{event.name}`", _first_sentence(event), ", ".join(f"`{path.removeprefix('apps.')}`" for path in paths))
        for event, paths in sorted(EVENT_TABLE.items(), key=lambda entry: entry[0].name)
    )
    return f"## Events\n\n{_table(('Name', 'Fact', 'Handlers'), rows)}\n"


def _jobs() -> str:
    from config.schedule_table import SCHEDULE_TABLE  # noqa: PLC0415

    rows = ((f"`{job.name}`", str(job.every), f"`{job.task}`", job.queue) for job in SCHEDULE_TABLE)
    return f"## Recurring jobs\n\n{_table(('Name', 'Every', 'Task', 'Queue'), rows)}\n"


def _registries() -> Iterator[Any]:
    from apps.core.registry import Registry  # noqa: PLC0415

    for path in sorted((ROOT / "apps").glob("*/*/registry.py")):
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        yield from (value for value in vars(module).values() if isinstance(value, Registry))


def _kind(entry: Any) -> str:
    if not hasattr(entry, "Config"):
        return f"### {entry.label} (`{entry.kind}`)\n\n{entry.help}\n"
    rows = (
        (
            f"`{field.name}`",
            str(field.metadata["setting"].label),
            "yes" if field.metadata["setting"].is_secret else "",
            str(field.metadata["setting"].help),
        )
        for field in fields(entry.Config)
    )
    return f"### {entry.label} (`{entry.kind}`)\n\n{_table(('Setting', 'Label', 'Secret', 'Help'), rows)}\n"


def _kinds() -> str:
    parts = [f"## {registry.name.capitalize()}\n\n" + "\n".join(map(_kind, registry)) for registry in _registries()]
    return "\n".join(parts)


def reference() -> str:
    """Return the whole document, in English."""
    with translation.override("en"):
        return "\n".join([INTRODUCTION, _settings(), _permissions(), _events(), _jobs(), _kinds()])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    django.setup()
    TARGET.write_text(reference(), encoding="utf-8")
