"""Exports that are tables: CSV with a header, or a JSON list of objects; both become rows with normalised names."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import MAX_ENTRIES, Reading, SourceError, read_each, refuse_beyond


@dataclass(frozen=True, slots=True)
class Row:
    """One line or object; names are lower-case letters and digits only, so that "URL/IP" is ``urlip``; ``written`` has
    them as they were."""

    where: str
    values: Mapping[str, Any]
    written: Mapping[str, str] = field(default_factory=dict)

    def get(self, *names: str) -> Any:
        """Return the first of these values that is there; None otherwise."""
        return next((self.values[name] for name in names if self.values.get(name) not in (None, "")), None)

    def text(self, *names: str) -> str:
        value = self.get(*names)
        return "" if value is None or isinstance(value, Mapping | list) else str(value).strip()


def normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def read_rows(files: Sequence[bytes], *, lists: tuple[str, ...], single: str = "") -> list[Row]:
    """Return the rows of an export in CSV or JSON, each of its files with a header or lists of its own.

    In JSON they are the list under one of these names, or the whole document. ``single`` is the name under which the
    answer to a question for one row holds it; such an answer, or a list of them, will do too.
    """
    rows: list[Row] = []
    for place, found in read_each(files, partial(_rows, lists=lists, single=single)):
        rows += [Row(place + row.where, row.values, row.written) for row in found]
        refuse_beyond(len(rows))
    return rows


def _rows(raw: bytes, reading: Reading, *, lists: tuple[str, ...], single: str) -> list[Row]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", errors="replace")
    found = _json_rows(reading.document(raw), lists, single) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text)
    rows = list(islice(found, MAX_ENTRIES + 1))
    if not rows:
        raise SourceError(_("There is no row in this file."))
    return rows


def _csv_rows(text: str) -> Iterator[Row]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        header = next(reader, [])
        names = [normal(name) for name in header]
        written = dict(zip(names, header, strict=True))
        if len(names) < 2:
            raise SourceError(_("The first line must name the columns, separated by commas."))
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Row(f"line {reader.line_num}", dict(zip(names, cells, strict=False)), written)
    except csv.Error as error:
        raise SourceError(
            _("Line %(line)s is not CSV: %(reason)s.") % {"line": reader.line_num, "reason": error}
        ) from error


def _json_rows(document: Any, lists: tuple[str, ...], single: str) -> Iterator[Row]:
    path, found = "", document
    if isinstance(document, Mapping) and isinstance(document.get(single), Mapping):
        found = [document]
    elif isinstance(document, Mapping):
        path = next((name for name in lists if isinstance(document.get(name), list)), "")
        found = document.get(path)
    if not isinstance(found, list):
        raise SourceError(_("Expected a list under one of: %(names)s.") % {"names": ", ".join(lists)})
    for place, value in enumerate(found):
        if isinstance(value, Mapping) and isinstance(value.get(single), Mapping):
            value = value[single]
        if isinstance(value, Mapping):
            inner = value.get("attributes")
            flat = {**value, **inner} if isinstance(inner, Mapping) else value
            names = {normal(str(name)): str(name) for name in flat}
            yield Row(f"{path}[{place}]", {normal(str(name)): part for name, part in flat.items()}, names)
