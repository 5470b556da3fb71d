"""What a drift check has observed, in a size that can be kept, and how it differs from what was approved."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from apps.checks.types.shapes import Change, differences, fitted

MAX_OBSERVED = 3_000  # characters of JSON; the shape of the document gets what the rest leaves
MIN_SHAPE = 600
GONE = "–"

# Parts: "of" (what was watched), "headers", "body", "records", "certificates", "shape".
Observed = dict[str, Any]


def read_baseline(text: str) -> Observed:
    """Return the baseline in ``text``, empty where it is none: people may write it over the API."""
    try:
        found = json.loads(text)
        return found if isinstance(found, dict) and _is_baseline(found) else {}
    except (ValueError, RecursionError):
        return {}


def _is_baseline(found: Observed) -> bool:
    records = found.get("records", {})
    return (
        isinstance(found.get("of"), str)
        and isinstance(found.get("body", ""), str)
        and _are_texts(found.get("certificates", []))
        and isinstance(found.get("headers", {}), dict)
        and _are_texts(list(found.get("headers", {}).values()))
        and isinstance(records, dict)
        and all(map(_are_texts, records.values()))
        and _is_shape(found.get("shape", {}))
    )


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _is_shape(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_shape, value.values()))
    return isinstance(value, str) or (isinstance(value, list) and all(map(_is_shape, value)))


def kept(found: Observed) -> Observed:
    """Return what was observed in a size that can be kept."""
    if "shape" not in found:
        return found
    room = MAX_OBSERVED - len(json.dumps({**found, "shape": ""}))
    return {**found, "shape": fitted(found["shape"], max(MIN_SHAPE, room))}


def drift_of(approved: Observed, found: Observed) -> Iterator[Change]:
    """Yield every difference from the baseline."""
    yield from _of_values(approved.get("headers", {}), found.get("headers", {}))
    if approved.get("body") != found.get("body"):
        yield Change("body", str(approved.get("body", GONE)), str(found.get("body", GONE)))
    before, after = approved.get("records", {}), found.get("records", {})
    for name in sorted({*before, *after}):
        yield from _of_sets(name, before.get(name, []), after.get(name, []))
    yield from _of_sets("certificate", approved.get("certificates", []), found.get("certificates", []))
    if "shape" in found:
        yield from differences(approved.get("shape", {}), found["shape"])


def _of_values(approved: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*approved, *found}):
        if approved.get(name) != found.get(name):
            yield Change(name, approved.get(name, ""), found.get(name, ""))


def _of_sets(name: str, approved: list[str], found: list[str]) -> Iterator[Change]:
    yield from (Change(name, gone, "") for gone in approved if gone not in found)
    yield from (Change(name, "", new) for new in found if new not in approved)
