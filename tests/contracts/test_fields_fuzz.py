"""Whatever stands in whichever field of a check, an agent or a window: the API takes it or refuses it, and nothing breaks."""

import json
from typing import Any
from uuid import uuid4

import pytest

from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.contracts.population import populate
from tests.contracts.test_api import Operation, each, ids_of, operations, schema
from tests.factories.api import make_api

pytestmark = pytest.mark.django_db

HOSTILE: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        2**31,
        2**63,
        10**30,
        1.5,
        1e308,
        float("nan"),
        "",
        " ",
        "\x00",
        "a\x00b",
        "\ud800",
        "😀" * 50,
    ),
    *("x" * 5_000, "9" * 5_000, "٣", "../../etc/passwd", "Europe/Nowhere", "Europe/../Berlin", "61 * * * *", "24:00"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2030-02-30T00:00:00Z", "2026-03-29T02:30:00", "%s%n{0}{{7*7}}"),
    *("https://[::1", "http://1.2.3.4:99999/", "javascript:alert(1)", "<script>alert(1)</script>", "' or 1=1 --"),
    *([], {}, {"a": None}, {"\x00": [{}]}),
)
SHAPES = (lambda value: value, lambda value: [value])


def fields_of(operation: Operation) -> list[str]:
    """Return the names of what a body may say, by the schema."""
    node = schema()["paths"][operation.path][operation.method]
    body = node.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    described = schema()["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], body)
    return [name for name, field in described.get("properties", {}).items() if not field.get("readOnly")]


OURS = ("agents", "checks", "maintenance-windows")
FILLED = [operation for operation in operations() if operation.path.split("/")[3] in OURS and fields_of(operation)]


def test_schema_tells_the_fields_of_bodies() -> None:
    by_name = {str(operation): fields_of(operation) for operation in FILLED}

    assert {"name", "kind", "config", "regions"} <= set(by_name["post /api/v1/checks/"])
    assert {"starts_at", "weekdays", "check_ids"} <= set(by_name["post /api/v1/maintenance-windows/"])


@each(FILLED)
def test_any_value_in_any_field_is_answered(operation: Operation, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        populate(acme)
    row_id = ids_of(acme, operation)[0] if operation.is_of_one_row else uuid4()
    api, names = make_api(acme), fields_of(operation)

    broken = [
        body
        for value in HOSTILE
        for shape in SHAPES
        for body in [json.dumps(dict.fromkeys(names, shape(value)))]
        if api.request(operation.method, operation.with_id(row_id), body).status_code >= 500
    ]

    assert broken == []
