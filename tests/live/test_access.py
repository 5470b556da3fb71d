"""Who may listen: members of the tenant, for as long as they are."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from websockets.exceptions import ConnectionClosed

from apps.accounts.models import User
from apps.core.tenancy import tenant_scope
from apps.live import consumers
from apps.live.domain import access, topics
from apps.live.domain.publish import publish
from apps.live.handlers import on_member_removed
from apps.tenants.enums import Role
from apps.tenants.events import MemberRemoved
from apps.tenants.models import Membership, Tenant
from tests.factories import make_member, make_tenant, make_user
from tests.live.conftest import Valkey, dial, heard, heard_type, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def address(valkey: Valkey) -> AsyncIterator[str]:
    async with serving() as where:
        yield where


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return make_tenant("Acme", make_user("olga@acme.example"))


@pytest.fixture
def viewer(tenant: Tenant) -> User:
    return make_member(tenant, "vera@acme.example", Role.VIEWER)


def cookie_of(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


async def close_code(address: str, path: str, **more: object) -> int:
    async with dial(address, path, **more) as socket_:
        with pytest.raises(ConnectionClosed) as closed:
            await heard_type(socket_, "never")
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def test_member_hears_the_tenant(address: str, tenant: Tenant, viewer: User):
    headers = await sync_to_async(cookie_of)(viewer)

    async with dial(address, f"/ws/live/t/{tenant.slug}/", additional_headers=headers) as socket_:
        assert (await heard(socket_))["type"] == "hello"
        await asyncio.to_thread(publish, f"tenant:{tenant.id}", ["check:1"])
        assert (await heard(socket_))["ids"] == ["check:1"]


async def test_stranger_and_missing_tenant_look_alike(address: str, tenant: Tenant):
    stranger = await sync_to_async(make_user)("gustav@globex.example")
    headers = await sync_to_async(cookie_of)(stranger)

    assert await close_code(address, f"/ws/live/t/{tenant.slug}/", additional_headers=headers) == 4404
    assert await close_code(address, "/ws/live/t/nobody/", additional_headers=headers) == 4404


@pytest.mark.parametrize("headers", [{}, {"Cookie": "obsera_session=forged"}, {"Cookie": "=;;obsera_session"}])
async def test_anonymous_is_refused(address: str, tenant: Tenant, headers: dict[str, str]):
    assert await close_code(address, f"/ws/live/t/{tenant.slug}/", additional_headers=headers) == 4404


async def test_removed_member_loses_the_socket_at_once_and_others_keep_theirs(
    address: str, tenant: Tenant, viewer: User
):
    other = await sync_to_async(make_member)(tenant, "vito@acme.example", Role.VIEWER)
    gone, stays = await sync_to_async(cookie_of)(viewer), await sync_to_async(cookie_of)(other)
    path = f"/ws/live/t/{tenant.slug}/"

    async with (
        dial(address, path, additional_headers=gone) as first,
        dial(address, path, additional_headers=stays) as second,
    ):
        await heard(first)
        await heard(second)
        await sync_to_async(remove)(tenant, viewer)
        await sync_to_async(on_member_removed)(MemberRemoved(tenant_id=tenant.id, user_id=viewer.id))

        with pytest.raises(ConnectionClosed) as closed:
            await heard_type(first, "never")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4404
        await asyncio.to_thread(publish, f"tenant:{tenant.id}", ["check:1"])
        assert "check:1" in (await heard_type(second, "delta"))["ids"] + (await heard_type(second, "delta"))["ids"]


async def test_signed_out_session_loses_the_socket_at_the_next_look(
    address: str, tenant: Tenant, viewer: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consumers, "ACCESS_SECONDS", 0.2)
    client = Client()
    await sync_to_async(client.force_login)(viewer)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"

    async with dial(address, f"/ws/live/t/{tenant.slug}/", additional_headers={"Cookie": cookie}) as socket_:
        await heard(socket_)
        with pytest.raises(TimeoutError):
            await heard(socket_, timeout=0.6)
        await sync_to_async(client.logout)()
        with pytest.raises(ConnectionClosed) as closed:
            await heard_type(socket_, "never")

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404


async def test_restarting_database_closes_nobody_and_asks_newcomers_to_try_again(
    address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consumers, "ACCESS_SECONDS", 0.2)
    is_away = False

    def resolve(visitor: object, slug: str) -> str:
        if is_away:
            raise OperationalError("the database is starting up")
        return f"open:{slug}"

    topics.register("open", resolve)
    async with dial(address, "/ws/live/open/a/") as socket_:
        await heard(socket_)
        is_away = True
        with pytest.raises(TimeoutError):
            await heard(socket_, timeout=0.6)
        assert await close_code(address, "/ws/live/open/b/") == 1013
    topics.unregister("open")


async def test_public_answers_are_shared_until_access_changes(address: str, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    is_published = True

    def resolve(visitor: object, slug: str) -> str | None:
        asked.append(slug)
        return "page:1" if is_published else None

    monkeypatch.setattr(access, "PUBLIC_ANSWER_SECONDS", 600)
    topics.register("open", resolve, is_public=True)
    async with dial(address, "/ws/live/open/a/") as one, dial(address, "/ws/live/open/a/") as two:
        await heard(one)
        await heard(two)
        assert asked == ["a"]
        is_published = False
        await asyncio.to_thread(publish, "page:1", ["access:*"])
        for socket_ in (one, two):
            with pytest.raises(ConnectionClosed):
                await heard_type(socket_, "never")
    topics.unregister("open")

    assert asked == ["a", "a"]


def remove(tenant: Tenant, user: User) -> None:
    with tenant_scope(tenant.id):
        Membership.objects.filter(user=user).delete()
