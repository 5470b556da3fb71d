"""Every operation of the API, found in its schema: a stranger's ids do not exist, viewers write nothing, nothing breaks."""

import json
import re
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator
from rest_framework import serializers

from apps.core.api.serializers import StrictMixin
from apps.core.tenancy import TenantManager, tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.contracts.conftest import own_models
from tests.factories.api import make_api

pytestmark = pytest.mark.django_db
WRITES = ("post", "put", "patch", "delete")
HURTFUL: tuple[Any, ...] = (
    {},
    [],
    "text",
    7,
    None,
    {"no_such_field": True},
    {"name": 5, "kind": [], "config": "x", "role": {}, "email": "no address", "id": str(UUID(int=1))},
    {
        "name": "x" * 100_000,
        "kind": "nonsense",
        "config": {"url": {"deep": [1]}},
        "tags": [[]],
        "channels": ["no-uuid"],
    },
    {"name": "n", "config": None, "starts_at": "yesterday", "ends_at": "9999-99-99", "interval_seconds": -(10**30)},
)


class Operation(NamedTuple):
    """One method of one address of the schema."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_of_one_row(self) -> bool:
        return "{" in self.path

    def with_id(self, row_id: object) -> str:
        return re.sub(r"{\w+}", str(row_id), self.path)


@cache
def schema() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)


@cache
def operations() -> list[Operation]:
    return [
        Operation(method, path)
        for path, item in schema()["paths"].items()
        for method in item
        if method in ("get", *WRITES)
    ]


def each(chosen: list[Operation]) -> Any:
    return pytest.mark.parametrize("operation", chosen, ids=str)


def ids_of(tenant: Tenant, operation: Operation) -> list[UUID]:
    """Return the ids of that tenant's rows which the address serves."""
    view = resolve(operation.with_id(uuid4())).func.cls()  # type: ignore[attr-defined]
    model = view.queryset.model if getattr(view, "queryset", None) is not None else None
    if model is None:
        name = operation.path.split("/")[3].replace("-", "").rstrip("s")
        model = next((m for m in own_models() if m._meta.model_name in (name, name.replace("page", "page"))), None)
    assert model is not None, f"the view of {operation.path} must name its `queryset`"
    with tenant_scope(tenant.id):
        return list(model.objects.values_list("id", flat=True))


def test_schema_lists_every_address_of_the_api() -> None:
    from tests.contracts.test_doors import addresses

    served = {address.view.cls for address in addresses() if address.is_api and hasattr(address.view, "cls")}
    described = {resolve(operation.with_id(uuid4())).func.cls for operation in operations()}  # type: ignore[attr-defined]

    assert {view.__name__ for view in served - described} == {"SchemaView"}


def test_operations_have_names_of_their_own_and_a_sentence() -> None:
    nodes = [schema()["paths"][operation.path][operation.method] for operation in operations()]
    names = [node["operationId"] for node in nodes]

    assert sorted(names) == sorted(set(names))
    assert [node["operationId"] for node in nodes if not node.get("description")] == []


@each([operation for operation in operations() if operation.is_of_one_row])
def test_strangers_row_does_not_exist(operation: Operation, acme: Tenant, full_globex: Tenant) -> None:
    theirs = ids_of(full_globex, operation)
    api = make_api(acme)

    answers = [
        api.request(operation.method, operation.with_id(row_id), {} if operation.method in WRITES[:3] else None)
        for row_id in theirs
    ]

    assert theirs, f"tests/contracts/population.py makes no row for {operation.path}"
    assert {answer.status_code for answer in answers} == {404}
    assert ids_of(full_globex, operation) == theirs


@each([operation for operation in operations() if not operation.is_of_one_row and operation.method == "get"])
def test_lists_hold_nothing_of_a_stranger(operation: Operation, acme: Tenant, full_globex: Tenant) -> None:
    theirs = everything_of(full_globex)

    answer = make_api(acme).get(operation.path)

    assert answer.status_code == 200
    assert [row_id for row_id in theirs if row_id in answer.content.decode()] == []


def everything_of(tenant: Tenant) -> set[str]:
    """Return every id of every row of that tenant."""
    with tenant_scope(tenant.id):
        return {
            str(row_id)
            for model in own_models()
            if isinstance(model._meta.default_manager, TenantManager)
            for row_id in model.objects.values_list("pk", flat=True)  # type: ignore[attr-defined]
        } | {str(tenant.id)}


@each([operation for operation in operations() if operation.method in WRITES])
def test_viewer_writes_nothing(operation: Operation, acme: Tenant) -> None:
    body = {} if operation.method != "delete" else None

    answer = make_api(acme, Role.VIEWER).request(operation.method, operation.with_id(uuid4()), body)

    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"


@each([operation for operation in operations() if operation.method == "get"])
@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "QUERY"])
def test_methods_that_are_no_operation_are_refused(operation: Operation, method: str, acme: Tenant) -> None:
    key = make_api(acme).key

    answer = Client(raise_request_exception=False).generic(
        method, operation.with_id(uuid4()), headers={"authorization": f"Bearer {key}"}
    )

    assert answer.status_code == 405


@each(operations())
def test_nobody_gets_in_without_a_key(operation: Operation) -> None:
    answer = getattr(Client(), operation.method)(operation.with_id(uuid4()))

    assert answer.status_code == 401


@each([operation for operation in operations() if operation.method in ("post", "put", "patch")])
def test_hurtful_bodies_are_answered_not_survived(operation: Operation, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        from tests.contracts.population import populate

        populate(acme)
    rows = ids_of(acme, operation)[:1] if operation.is_of_one_row else [uuid4()]
    api = make_api(acme)

    statuses = [
        api.request(operation.method, operation.with_id(row_id), json.dumps(body)).status_code
        for row_id in rows
        for body in HURTFUL
    ]

    assert [status for status in statuses if status >= 500] == []
    assert statuses[5:7] == [400, 400] or operation.path.count("/") > 5  # actions may take no body at all


@each([operation for operation in operations() if operation.method == "get"])
@pytest.mark.parametrize(
    "query", ["cursor=nonsense", "limit=-1", "limit=x&page=0", "q='&tag=%ff&state=nonsense", "from=x&to=y"]
)
def test_hurtful_queries_are_answered(operation: Operation, query: str, acme: Tenant) -> None:
    answer = make_api(acme).get(f"{operation.with_id(uuid4())}?{query}")

    assert answer.status_code < 500


def serializer_classes(base: type = serializers.BaseSerializer) -> set[type]:
    """Return the serializers of the apps; core holds only their bases."""
    assert operations()  # loads every app's serializers
    found = {kind for child in base.__subclasses__() for kind in serializer_classes(child)} | {base}
    return {
        kind for kind in found if kind.__module__.startswith("apps.") and not kind.__module__.startswith("apps.core.")
    }


def reads_bodies(kind: Any) -> bool:
    """Tell a serializer of bodies from one that only shows, and from one of a list's query, whose values are all texts."""
    return "Filter" not in kind.__name__ and any(not field.read_only for field in kind().fields.values())


def test_every_serializer_of_bodies_is_strict() -> None:
    lenient = {kind for kind in serializer_classes() if not issubclass(kind, StrictMixin)}

    assert {kind.__qualname__ for kind in lenient if reads_bodies(kind)} == set()


def test_references_in_bodies_reach_the_open_tenant_only() -> None:
    unguarded = [
        f"{kind.__qualname__}.{name}"
        for kind in serializer_classes()
        if issubclass(kind, serializers.Serializer)
        for name, field in kind().fields.items()
        for reference in [getattr(field, "child_relation", field)]
        if isinstance(reference, serializers.RelatedField) and reference.queryset is not None
        if not isinstance(reference.queryset.model._default_manager, TenantManager)
    ]

    assert unguarded == []
