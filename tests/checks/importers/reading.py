"""The exports that lie beside these tests, as their importers read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.checks.importers.base import Found
from apps.checks.importers.registry import IMPORTERS

EXPORTS = Path(__file__).parent / "exports"


def found(source: str, name: str) -> Found:
    return IMPORTERS.get(source).read((EXPORTS / name).read_bytes())


def checks(source: str, name: str) -> dict[str, Mapping[str, Any]]:
    return {check["name"]: check for check in found(source, name).checks}


def losses(source: str, name: str) -> list[tuple[str, str, str]]:
    return [(loss.where, loss.name, str(loss.reason)) for loss in found(source, name).losses]
