"""Whatever stands in whichever field of a body that is valid otherwise: the API takes it and can show it, or refuses it by
the field's name. Operations are found in the schema and their valid bodies in what the API shows, so a new resource is
tried by itself."""

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from django.urls import resolve

from apps.accounts.models import User
from apps.checks.models import Check
from apps.core.kinds import MASK
from apps.core.tenancy import tenant_scope
from apps.notifications.models import Channel
from apps.tenants.models import Tenant
from tests.contracts.fuzzing import SLOT, broken, filled, forgotten, names_of, pages_of, tried
from tests.contracts.hostile import BY_SHAPE, MANY, NO_JSON, values_for
from tests.contracts.population import populate
from tests.contracts.test_api import Operation, ids_of, operations, schema
from tests.contracts.test_doors import SAMPLES, client_of
from tests.factories.api import Api, make_api

pytestmark = pytest.mark.django_db

# Of what a body says and no answer shows, something valid.
UNSHOWN = {"text": "Seen.", "at_once": True}
# What only one row can have.
OWN, ANEW = ("name", "slug", "key", "email"), "2"
# Where the first and the last of all dates are beyond the calendar, and which of the values taken is shown there.
ZONES = {"Pacific/Pago_Pago": 0, "Pacific/Kiritimati": -1}
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Taken = dict[str, list[Any]]


def body_schema(operation: Operation) -> dict[str, Any]:
    """Return the fields of what a body may say, by the schema."""
    node = schema()["paths"][operation.path][operation.method]
    body = node.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    described = resolved(body).get("properties", {})
    return {name: resolved(field) for name, field in described.items() if not field.get("readOnly")}


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while reference := node.get("$ref", "") or next((part["$ref"] for part in node.get("allOf", ())), ""):
        node = schema()["components"]["schemas"][reference.rpartition("/")[2]]
    return node


FILLED = [operation for operation in operations() if body_schema(operation)]


def resource_of(operation: Operation) -> str:
    return operation.path.split("/")[3]


class Place(NamedTuple):
    """Where something hostile stands: the field, what the schema says of it, the body around it, and what may not be
    taken there at all: a stranger's rows, and many at once."""

    name: str
    shape: str
    body: dict[str, Any]
    strange: tuple[str, ...] = ()


def places(operation: Operation, base: dict[str, Any], theirs: list[str]) -> Iterator[Place]:
    """Return the fields of a body, of what its lists hold, and of the first object in a list."""
    for name, field in body_schema(operation).items():
        around = base if operation.method != "patch" else {}
        part = resolved(field.get("items", {}))
        objects = base.get(name) or [{}]
        many = (json.dumps([objects[0]] * MANY),) if "properties" in part else ()
        yield Place(name, shape_of(field), {**around, name: SLOT}, strangers(field, theirs) + many)
        for inner, described in part.get("properties", {}).items():
            node = resolved(described)
            body = {**around, name: [{**objects[0], inner: SLOT}, *objects[1:]]}
            yield Place(name, shape_of(node), body, strangers(node, theirs))
        if part:
            yield Place(name, shape_of(part), {**around, name: [SLOT]}, strangers(part, theirs))


def strangers(field: dict[str, Any], theirs: list[str]) -> tuple[str, ...]:
    return tuple(map(json.dumps, theirs)) if field.get("format") == "uuid" else ()


def shape_of(field: dict[str, Any]) -> str:
    """Return the type by which values are chosen."""
    return str(field["format"] if field.get("format") in BY_SHAPE else field.get("type", "string"))


def valid_body(api: Api, operation: Operation, path: str) -> dict[str, Any]:
    """Return what a body of this operation may say: what the row says now, or for a new one the newest there is."""
    answer = api.get(path)
    found = answer.json() if answer.status_code == 200 else {}
    rows = found.get("results", [found]) if isinstance(found, dict) else found
    row = {**UNSHOWN, **rows[0]}
    base = {name: row[name] for name in body_schema(operation) if name in row}
    if operation.method != "post":
        return base
    if "config" in base:
        base["config"] = {name: value for name, value in base["config"].items() if MASK not in str(value)}
    return {**base, **{name: f"{ANEW}{base[name]}" for name in OWN if base.get(name)}}


def test_schema_tells_the_fields_of_bodies() -> None:
    by_name = {str(operation): body_schema(operation) for operation in FILLED}

    assert {"name", "kind", "config", "regions"} <= set(by_name["post /api/v1/checks/"])
    assert {"starts_at", "weekdays", "check_ids"} <= set(by_name["post /api/v1/maintenance-windows/"])


@pytest.mark.parametrize("resource", sorted({resource_of(operation) for operation in FILLED}))
def test_one_hostile_value_is_taken_and_shown_or_refused_by_name(
    resource: str, acme: Tenant, owner: User, full_globex: Tenant
) -> None:
    with tenant_scope(acme.id):
        populate(acme)
    with tenant_scope(full_globex.id):
        theirs = [str(model.objects.values_list("id", flat=True)[0]) for model in (Check, Channel)]
    api, client, turns, wrong = make_api(acme), client_of(owner), count(len(resource)), []

    for operation in [operation for operation in FILLED if resource_of(operation) == resource]:
        path = str(operation.with_id(ids_of(acme, operation)[0] if operation.is_of_one_row else uuid4()))
        base = valid_body(api, operation, path)
        wrong += wrong_with_body(api, operation, path, base)
        taken = Taken({})
        for place in places(operation, base, theirs):
            wrong += wrong_with_place(api, operation, path, place, next(turns), taken)
        for zone, which in zones_for(operation) if taken else ():
            with forgotten():
                row = piled(api, operation, path, {name: values[which] for name, values in taken.items()}, base)
                Tenant.objects.filter(id=acme.id).update(time_zone=zone)
                wrong += broken(client, pages_of(app_of(operation), id_of(row, path), row.get("slug", "")))

    assert wrong == []


def zones_for(operation: Operation) -> list[tuple[str, int]]:
    """Return where to show a row: one zone does where no date is given."""
    is_dated = "date-time" in map(shape_of, body_schema(operation).values())
    return list(ZONES.items()) if is_dated else list(ZONES.items())[-1:]


def wrong_with_body(api: Api, operation: Operation, path: str, base: dict[str, Any]) -> Iterator[str]:
    """Return what is wrong with what has to be taken, with what another row has, and with what is refused as a whole."""
    with forgotten():
        assert tried(api, operation.method, path, json.dumps(base)).row, f"UNSHOWN lacks what {operation} needs"
    for name in (name for name in OWN if operation.method == "post" and base.get(name)):
        with forgotten():
            twin = {**base, name: base[name].removeprefix(ANEW)}
            outcome = tried(api, operation.method, path, json.dumps(twin), [name])
        if outcome.wrong:
            yield f"{outcome.wrong}: {operation} with {name} of another"
    unknown = api.request(operation.method, path, json.dumps({**base, "no_such_field": 1}))
    if (unknown.status_code, names_of(unknown)) != (400, {"no_such_field"}):
        yield f"{unknown.status_code}: {operation} with an unknown field"
    for text in NO_JSON:
        answer = api.request(operation.method, path, filled({**base, next(iter(body_schema(operation))): SLOT}, text))
        if answer.status_code != 400:
            yield f"{answer.status_code}: {operation} with {text[:20]}"


def wrong_with_place(api: Api, operation: Operation, path: str, place: Place, turn: int, taken: Taken) -> Iterator[str]:
    """Try hostile values in one place, and note what is taken there."""
    values = values_for(place.shape, turn)
    for value in [
        *(values[::2] if operation.method == "put" else values),
        *place.strange,
    ]:  # a PUT is judged as a POST is
        body = filled(place.body, value)
        with forgotten():
            outcome = tried(api, operation.method, path, body, [place.name])
        if outcome.row is not None:
            taken.setdefault(place.name, []).append(json.loads(body)[place.name])
        if outcome.wrong or (outcome.row is not None and value in place.strange):
            yield f"{outcome.wrong or 'taken'}: {operation} {place.name} in {body[:200]}"


def piled(api: Api, operation: Operation, path: str, taken: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """Put all into one row that were taken one by one, but for what does not go together, and return it."""
    body = {} if operation.method == "patch" else base
    for name, value in taken.items():
        with forgotten():
            outcome = tried(api, operation.method, path, json.dumps({**body, name: value}))
        if outcome.row is not None:
            body = {**body, name: value}
    return tried(api, operation.method, path, json.dumps(body)).row or {}


def app_of(operation: Operation) -> str:
    view = resolve(operation.with_id(uuid4())).func.cls  # type: ignore[attr-defined]
    return str(view.__module__.split(".")[1])


def id_of(row: dict[str, Any], path: str) -> str:
    """Return the id of the row that an address or an answer is about."""
    found = ID.search(path)
    return found.group() if found else str(row.get("id", SAMPLES["uuid"]))
