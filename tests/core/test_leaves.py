"""The small parts that everything stands on: ids, registry, cache, scopes, the router, JSON types."""

import time
from typing import Any
from uuid import UUID

import pytest
import redis
from django.core.cache import cache
from rest_framework import serializers

from apps.core.api.serializers import StrictSerializer, type_complaint
from apps.core.cache import ForgivingRedisCache
from apps.core.ids import has_valid_checksum, new_token, uuid7
from apps.core.postgres.router import OwnerMigratesRouter
from apps.core.registry import Registry, UnknownKind
from apps.core.tenancy import NoTenantScope, checked_tenant_id, system_scope, tenant_scope


def test_ids_are_version_7_and_grow_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.core.ids._last", 0)  # another test may have been in the future
    made = [uuid7() for _ in range(1_000)]

    assert (made[0].version, made[0].variant) == (7, "specified in RFC 4122")
    assert abs((made[0].int >> 80) / 1000 - time.time()) < 5
    assert made == sorted(made)


def test_token_tells_a_typing_error_without_the_database() -> None:
    token = new_token("obs_live_")

    assert (len(token), token.startswith("obs_live_"), has_valid_checksum(token)) == (48, True, True)
    assert not has_valid_checksum(token[:-1] + ("x" if token[-1] != "x" else "y"))
    assert not has_valid_checksum("obs_live_short")


class Kind:
    def __init__(self, kind: str) -> None:
        self.kind = kind


def test_registry_finds_by_kind_and_keeps_the_order() -> None:
    b, a = Kind("b"), Kind("a")
    registry = Registry("letters", (b, a))

    assert (registry.get("a"), registry.kinds(), len(registry), "a" in registry) == (a, ("b", "a"), 2, True)
    with pytest.raises(UnknownKind, match="'c' is not one of the letters: b, a"):
        registry.get("c")


def test_registry_refuses_a_kind_listed_twice() -> None:
    with pytest.raises(ValueError, match="letters: 'a' is listed twice"):
        Registry("letters", (Kind("a"), Kind("a")))


def test_cache_keeps_counts_and_forgets() -> None:
    cache.set("leaf", 1, 5)

    assert (
        cache.get("leaf"),
        cache.incr("leaf"),
        cache.add("leaf", 9, 5),
        cache.delete("leaf"),
        cache.get("leaf", "-"),
    ) == (
        1,
        2,
        False,
        True,
        "-",
    )


def test_cache_without_redis_is_a_miss_and_no_failure() -> None:
    away = ForgivingRedisCache("redis://127.0.0.1:1/0", {})

    away.set("x", 1)

    assert (away.get("x", "-"), away.add("x", 1), away.incr("x"), away.delete("x")) == ("-", True, 1, False)
    assert issubclass(redis.exceptions.ConnectionError, redis.exceptions.RedisError)


def test_scopes_want_an_id_and_a_reason() -> None:
    with pytest.raises(TypeError, match="a tenant id is a UUID"):
        tenant_scope("acme")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="say why"):
        system_scope("")


def test_system_write_names_its_tenant_itself() -> None:
    with system_scope("a test of the rule"):
        assert checked_tenant_id(UUID(int=1)) == UUID(int=1)
        with pytest.raises(NoTenantScope):
            checked_tenant_id(None)


def test_only_the_owner_migrates() -> None:
    router = OwnerMigratesRouter()

    assert (router.allow_migrate("owner", "tenants"), router.allow_migrate("default", "tenants")) == (True, False)
    assert router.allow_relation(object(), object())


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        (serializers.BooleanField(), True, "true"),
        (serializers.IntegerField(), 5, True),
        (serializers.IntegerField(), 5, "5"),
        (serializers.FloatField(), 5, "5"),
        (serializers.CharField(), "5", 5),
        (serializers.EmailField(), "a@b.example", ["a"]),
        (serializers.UUIDField(), "x", 5),
        (serializers.ChoiceField(choices=["a"]), "a", 1),
        (serializers.DateTimeField(), "now", 5),
    ],
)
def test_json_types_are_taken_strictly(field: Any, right: Any, wrong: Any) -> None:
    assert (type_complaint(field, right), type_complaint(field, None)) == (None, None)
    assert type_complaint(field, wrong)


class Inner(StrictSerializer):
    number = serializers.IntegerField()


class Outer(StrictSerializer):
    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField()
    inner = Inner(required=False)
    many = serializers.ListField(child=serializers.CharField(), required=False)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"name": "x", "id": "y"}, {"id": ["This field cannot be set."]}),
        ({"nam": "x"}, {"name": ["This field is required."], "nam": ["There is no such field."]}),
        ({"name": "x", "inner": {"number": "1"}}, {"inner": {"number": ["Give a whole number without quotes."]}}),
        ({"name": "x", "inner": {"number": 1, "y": 2}}, {"inner": {"y": ["There is no such field."]}}),
        ("text", {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}),
    ],
)
def test_strict_serializer_names_everything_wrong_at_once(body: Any, errors: dict[str, Any]) -> None:
    serializer = Outer(data=body)

    assert not serializer.is_valid()
    assert serializer.errors == errors
