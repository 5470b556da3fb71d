"""The documentation page of the API, made from its schema: one list of operations, readable without any script."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "put", "patch", "delete")
# What an operation does that has no sentence of its own, by the end of its id.
VERBS = {
    "_list": "List them.",
    "_retrieve": "Read one.",
    "_create": "Create one.",
    "_partial_update": "Change some fields.",
    "_update": "Replace all fields.",
    "_destroy": "Delete one.",
}


@dataclass(frozen=True, slots=True)
class Property:
    """One field of a body, or one parameter of an address."""

    name: str
    type: str
    text: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address."""

    id: str
    method: str
    path: str
    title: str
    text: str
    parameters: list[Property]
    body: list[Property]
    answers: list[str]


@dataclass(frozen=True, slots=True)
class Section:
    """The operations of one resource, and what they have in common."""

    name: str
    lead: str
    operations: list[Operation]


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node or len(node.get("allOf", ())) == 1:
        node = schema["components"]["schemas"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node["allOf"][0]
    return node


def _type_name(node: dict[str, Any], schema: dict[str, Any]) -> str:
    node = _resolved(node, schema)
    choices = next(
        (part["enum"] for part in (node, *(_resolved(p, schema) for p in node.get("oneOf", ()))) if "enum" in part),
        None,
    )
    if choices:
        return " | ".join(f'"{choice}"' for choice in choices if choice)
    if node.get("type") == "array":
        return f"{_type_name(node.get('items', {}), schema)}[]"
    name = str(node.get("format") or node.get("type") or "object")
    return f"{name} | null" if node.get("nullable") else name


def _properties(node: dict[str, Any], schema: dict[str, Any]) -> Iterator[Property]:
    node = _resolved(node, schema)
    for name, part in node.get("properties", {}).items():
        if not part.get("readOnly"):
            text = str(part.get("description", ""))
            yield Property(name, _type_name(part, schema), text, is_required=name in node.get("required", ()))


def _operation(path: str, method: str, node: dict[str, Any], schema: dict[str, Any]) -> Operation:
    title, _line, text = str(node.get("description", "")).partition("\n")
    body = node.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return Operation(
        id=node["operationId"],
        method=method.upper(),
        path=path,
        title=title,
        text=text.strip(),
        parameters=[
            Property(
                part["name"],
                _type_name(part.get("schema", {}), schema),
                str(part.get("description", "")),
                part.get("required", False),
            )
            for part in node.get("parameters", ())
        ],
        body=list(_properties(body, schema)),
        answers=sorted(node.get("responses", {})),
    )


@cache
def sections() -> list[Section]:
    """Return the API's operations by resource, in English: their sentences come from the code, and all readers share them."""
    with translation.override("en"):
        schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    found: dict[str, list[Operation]] = {}
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item:
                resource = path.removeprefix("/api/v1/").split("/")[0]
                found.setdefault(resource, []).append(_operation(path, method, item[method], schema))
    return [_section(name, operations) for name, operations in sorted(found.items())]


def _section(name: str, operations: list[Operation]) -> Section:
    """Say once what several operations say alike, and let each say what it does."""
    lead, count = Counter(str(operation.title) for operation in operations).most_common(1)[0]
    if count == 1:
        return Section(name, "", operations)
    return Section(
        name, lead, [_with_own_title(operation) if operation.title == lead else operation for operation in operations]
    )


def _with_own_title(operation: Operation) -> Operation:
    action = operation.path.rstrip("/").rsplit("/", 1)[-1]
    if "}/" in operation.path.rstrip("/"):  # an action on one row, named by its address
        return replace(operation, title=f"{action.replace('-', ' ').capitalize()}.")
    return replace(operation, title=next((verb for end, verb in VERBS.items() if operation.id.endswith(end)), ""))


EXAMPLE = """curl {url}/api/v1/tenant/ \\
  -H "Authorization: Bearer $OBSERA_API_KEY\""""


def docs_page(request: HttpRequest) -> HttpResponse:
    """Show every operation of the API."""
    context = {
        "sections": sections(),
        "example": EXAMPLE.format(url=settings.PUBLIC_URL),
        "per_minute": settings.API_RATE_PER_KEY,
    }
    return render(request, "api/docs.html", context)


docs_page.door = "public"  # type: ignore[attr-defined]
