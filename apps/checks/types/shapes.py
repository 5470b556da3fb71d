"""The shape of a JSON document: its keys and the types of its values, as JSON of its own, and how two shapes differ.

An object's shape is an object of shapes; an array's is an array of at most one, that of all its elements merged, with a
mark behind it where some of them were not read; any other value's is the name of its type, or several joined by ``|``.
What is too deep or too large stands as ``#`` and a digest.
``null`` fits every type and an empty array every array, since data comes and goes without the interface changing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from typing import Any

from apps.checks.types.texts import printable

Shape = Any  # dict[str, Shape] | list[Shape] | str
MAX_DEPTH = 12
ELEMENTS_READ = 50
MAX_PARTS = 30_000  # of all objects and arrays together; what is made of them holds up every other probe
KEY_LENGTH = 60
NULL = "null"
CUT = "…"  # the second entry of an array of which not every element was read: what it lacks may be in those


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where, and what became of what; empty before means new, empty after means gone."""

    where: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"+ {self.where}: {self.after}"
        if not self.after:
            return f"− {self.where}: {self.before}"
        return f"{self.where}: {self.before} → {self.after}"


def shape_of(value: Any) -> Shape:
    """Return the shape of a value out of `json.loads`."""
    return _Reading().shape(value, MAX_DEPTH)


class _Reading:
    """One walk through a document, which may be made to have a hundred thousand parts: objects and arrays for which no
    room is left of `MAX_PARTS` count as little as those that are too deep."""

    def __init__(self) -> None:
        self._left = MAX_PARTS
        self._refused = 0

    def shape(self, value: Any, depth: int) -> Shape:
        if isinstance(value, dict):
            is_read = depth and self._takes(len(value))
            return {_key(name): self.shape(part, depth - 1) for name, part in value.items()} if is_read else "object"
        if isinstance(value, list):
            return self._array(value[:ELEMENTS_READ], depth - 1) if depth else []
        if value is None:
            return NULL
        return "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"

    def _array(self, elements: list[Any], depth: int) -> Shape:
        """Merge the elements that are read to their end: those say best what such an element is."""
        if not self._takes(len(elements)):
            return "array"
        whole: list[Shape] = []
        partly: list[Shape] = []
        for element in elements:
            refused = self._refused
            shape = self.shape(element, depth)
            (whole if self._refused == refused else partly).append(shape)
        shapes = whole or partly[:1]
        return [reduce(_merged, shapes), *([CUT] if partly else [])] if shapes else []

    def _takes(self, parts: int) -> bool:
        """Take room for the parts of an object or array; without it, none is taken, as smaller ones may follow."""
        if parts > self._left:
            self._refused += 1
            return False
        self._left -= parts
        return True


def fitted(shape: Shape, size: int) -> Shape:
    """Return ``shape`` in at most ``size`` characters of JSON, its deepest parts as digests where it is larger."""
    for depth in range(MAX_DEPTH, -1, -1):
        cut = _cut(shape, depth)
        if len(json.dumps(cut)) <= size:
            return cut
    return digest(shape)


def digest(shape: Shape) -> str:
    """Return what stands for a shape that is too large to keep."""
    return "#" + sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


def differences(approved: Shape, found: Shape, where: str = "$") -> Iterator[Change]:
    """Yield how the shape found differs from the approved one (which may be `fitted`)."""
    if approved == found or NULL in (approved, found):
        return
    if isinstance(approved, dict) and isinstance(found, dict):
        yield from _of_objects(approved, found, where)
    elif isinstance(approved, list) and isinstance(found, list):
        if approved and found:
            yield from _of_arrays(approved, found, f"{where}[]")
    elif isinstance(approved, str) and approved.startswith("#"):
        if digest(found) != approved and not _is_unread(found):
            yield Change(where, approved[:9], digest(found)[:9])
    elif not _names(found) <= _names(approved):
        yield Change(where, _name(approved), _name(found))


def _of_objects(approved: dict[str, Shape], found: dict[str, Shape], where: str) -> Iterator[Change]:
    for name in sorted({*approved, *found}):
        inner = f"{where}.{name}"
        if name not in found:
            yield Change(inner, _name(approved[name]), "")
        elif name not in approved:
            yield Change(inner, "", _name(found[name]))
        else:
            yield from differences(approved[name], found[name], inner)


def _of_arrays(approved: list[Shape], found: list[Shape], where: str) -> Iterator[Change]:
    for change in differences(approved[0], found[0], where):
        is_new, is_gone = not change.before, not change.after
        if not (is_new and CUT in approved) and not (is_gone and CUT in found):
            yield change


def _is_unread(shape: Shape) -> bool:
    """Tell whether a digest of this says nothing, since what was read of it depends on all that stood before it."""
    return shape in ("object", "array") or _has_cut(shape)


def _has_cut(shape: Shape) -> bool:
    if isinstance(shape, dict):
        return any(map(_has_cut, shape.values()))
    return isinstance(shape, list) and (CUT in shape or any(map(_has_cut, shape)))


def _merged(one: Shape, other: Shape) -> Shape:
    if one == other:
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        both = {**one, **other}
        return {name: _merged(one[name], other[name]) if name in one and name in other else both[name] for name in both}
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0])] if one and other else one or other
    if NULL in (one, other):  # which says nothing beside what is there
        return other if one == NULL else one
    return "|".join(sorted(_names(one) | _names(other)))


def _names(shape: Shape) -> set[str]:
    return set(_name(shape).split("|")) - {NULL}


def _name(shape: Shape) -> str:
    if isinstance(shape, str):
        return shape
    return "object" if isinstance(shape, dict) else "array"


def _key(name: str) -> str:
    """Return a key that can be kept; a long one keeps its difference from its neighbours."""
    shown = printable(name, KEY_LENGTH)
    return shown if shown == name else f"{shown}#{sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _cut(shape: Shape, depth: int) -> Shape:
    if isinstance(shape, str):
        return shape
    if not depth:
        return digest(shape)
    if isinstance(shape, dict):
        return {name: _cut(part, depth - 1) for name, part in shape.items()}
    return [_cut(part, depth - 1) for part in shape]
