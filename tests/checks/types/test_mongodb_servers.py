"""The MongoDB check against real servers: a replica set with logins, and TLS."""

from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from apps.checks.enums import Verdict
from tests.checks.types.asking import ask
from tests.peers.mongod import OLD_USER, PASSWORD, REPLICA_SET, SHOP_USER, USER, Mongods, mongods


@pytest.fixture(scope="module")
def servers(authority: trustme.CA) -> Iterator[Mongods]:
    with mongods(authority) as made:
        yield made


async def look(port: int, **config: Any) -> Any:
    return await ask("mongodb", **{"host": "localhost", "port": port, **config})


async def test_primary_is_seen_with_what_it_says_of_its_set(servers: Mongods) -> None:
    wanted = {"role": "primary", "replica_set": REPLICA_SET, "username": USER, "password": PASSWORD}
    outcome = await look(servers.primary, **wanted)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    version = outcome.details.pop("version")
    assert [part.isdecimal() for part in version.split(".")] == [True] * 3
    assert outcome.details == {
        "role": "primary",
        "replica_set": REPLICA_SET,
        "members": 2,
        "primary": servers.names[0],
    }


async def test_secondary_is_told_from_the_primary(servers: Mongods) -> None:
    login = {"username": USER, "password": PASSWORD}
    secondary = await look(servers.secondary, role="secondary", **login)
    mistaken = [
        await look(servers.secondary, role="primary", **login),
        await look(servers.primary, role="secondary", **login),
        await look(servers.primary, role="router", **login),
    ]
    other = await look(servers.primary, replica_set="rs1", **login)

    assert (secondary.error_code, secondary.details["primary"]) == ("", servers.names[0])
    assert [outcome.error_code for outcome in mistaken] == ["mongodb_role_mismatch"] * 3
    assert (other.error_code, other.error_values) == (
        "mongodb_set_mismatch",
        {"name": REPLICA_SET, "expected": "rs1"},
    )


@pytest.mark.parametrize(("user", "database"), [(USER, "admin"), (OLD_USER, "admin"), (SHOP_USER, "shop")])
async def test_login_goes_the_way_that_the_user_has(servers: Mongods, user: str, database: str) -> None:
    good = await look(servers.primary, username=user, password=PASSWORD, auth_database=database)
    wrong = await look(servers.primary, username=user, password="wrong", auth_database=database)
    elsewhere = await look(servers.primary, username=user, password=PASSWORD, auth_database="other")

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert [outcome.error_code for outcome in (wrong, elsewhere)] == ["login_refused"] * 2
    assert wrong.error_values == {"answer": "AuthenticationFailed: Authentication failed."}


async def test_stranger_is_refused(servers: Mongods) -> None:
    stranger = await look(servers.primary, username="stranger", password=PASSWORD)

    assert stranger.error_code == "login_refused"


async def test_without_a_login_a_closed_server_is_up(servers: Mongods) -> None:
    outcome = await look(servers.primary)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(servers: Mongods) -> None:
    secure = await look(servers.tls, security="tls")
    plain = await look(servers.tls)

    assert (secure.verdict, secure.error_code, secure.details["role"]) == (Verdict.SUCCESS, "", "primary")
    assert secure.cert_expires_at is not None
    assert plain.verdict == Verdict.FAILURE
