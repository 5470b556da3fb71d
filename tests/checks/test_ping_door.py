"""The ping door over real HTTP: many at once, asking without end, and a database that is away."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
import pytest
import uvicorn
from django.conf import settings
from django.db import connection, transaction

from apps.checks.consumers import PingDoor
from apps.checks.domain import ping_bounds
from apps.checks.domain.heartbeats import ping_key
from apps.checks.domain.ping_bounds import Bound
from apps.checks.domain.ping_dialects import gatus_token
from apps.checks.models import Check, Heartbeat, Ping
from apps.checks.models import PingDoor as Sign
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from config.run.lane import pings_first
from tests.checks.test_pings import heartbeat, token_of

pytestmark = pytest.mark.django_db(transaction=True)


class Answer(NamedTuple):
    status: int
    text: str
    headers: dict[str, str]


class Door:
    """A running door, and the way to knock."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            client.request(method, path, body, headers)
            answer = client.getresponse()
            return Answer(answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()})
        finally:
            client.close()


async def behind(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"behind"})


@pytest.fixture(params=["lane", "door"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """Every promise holds on both ways in: the lane in front of the web server, and the door behind it."""
    ping_door = PingDoor(behind)
    config = uvicorn.Config(
        ping_door,
        http=pings_first(ping_door) if request.param == "lane" else "auto",
        port=0,
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Door(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def scope(acme: Tenant) -> Iterator[Tenant]:
    with tenant_scope(acme.id):
        yield acme


@pytest.fixture
def check(scope: Tenant) -> Check:
    return heartbeat()


# --- The door itself ----------------------------------------------------------------------------------------------------


def test_everything_else_is_passed_on(door: Door) -> None:
    assert {door.ask(path).status for path in ("/", "/api/v1/checks/", "/pings/", "/api/pushes")} == {299}


def test_pings_that_come_together_are_all_stored_and_counted(door: Door, scope: Tenant) -> None:
    tokens = [token_of(heartbeat(f"Job {number}")) for number in range(10)]

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda number: door.ask(f"/ping/{tokens[number % 10]}").status, range(200)))

    assert statuses == [200] * 200
    assert sorted(Heartbeat.objects.values_list("pings", flat=True)) == [20] * 10
    assert Ping.objects.count() == 200


@pytest.fixture
def standing_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes in again while a busy machine takes its time to ask."""
    monkeypatch.setattr(ping_bounds, "time", SimpleNamespace(monotonic=lambda: 1.0))


@pytest.mark.usefixtures("standing_bounds")
def test_heartbeat_that_is_pinged_without_end_is_slowed_down(door: Door, check: Check) -> None:
    path = f"/ping/{token_of(check)}"

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: door.ask(path), range(150)))

    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {200, 429}
    assert all(answer.headers["retry-after"] == "5" for answer in refused)
    assert Ping.objects.count() == 150 - len(refused)


def guess(door: Door) -> set[int]:
    """Return what guesses hear: so many that their sender is no longer heeded without a look."""
    with ThreadPoolExecutor(20) as pool:
        return set(pool.map(lambda _: door.ask(f"/ping/{uuid4()}").status, range(150)))


@pytest.mark.usefixtures("standing_bounds")
def test_guessing_is_slowed_down_and_known_jobs_are_not(door: Door, check: Check) -> None:
    known = f"/ping/{token_of(check)}"
    door.ask(known)

    assert guess(door) == {404, 429}
    assert door.ask(known).status == 200


@pytest.mark.usefixtures("standing_bounds")
def test_jobs_behind_a_guessers_router_are_let_in_though_this_process_never_met_them(door: Door, check: Check) -> None:
    """As after each start, and on each worker."""
    key, secret = ping_key(), "31365bce8da947298ff3aaa71d56b712"  # which looks like a token of ours
    heartbeat("Moved", config=HeartbeatConfig(address=gatus_token("core_backup", secret)))
    heartbeat("Twin"), heartbeat("Twin")
    guess(door)

    answers = [
        door.ask(f"/ping/{token_of(check)}").status,
        door.ask(f"/ping/{key}/moved").status,
        door.ask(f"/{key}/moved/start").status,
        door.ask(f"/api/push/{token_of(check)}?status=up").status,
        door.ask("/api/v1/endpoints/backup/external?success=true", "POST", authorization=f"Bearer {key}").status,
        door.ask(
            "/api/v1/endpoints/core_backup/external?success=true", "POST", authorization=f"Bearer {secret}"
        ).status,
        door.ask(f"/ping/{key}/new?create=1").status,
        door.ask(f"/ping/{key}/twin").status,
    ]

    assert answers == [200, 200, 200, 200, 200, 200, 201, 409]


@pytest.mark.usefixtures("standing_bounds")
def test_guesses_stay_refused_whatever_they_look_like(door: Door, check: Check) -> None:
    key = ping_key()
    guess(door)

    answers = [
        door.ask(f"/ping/{uuid4()}"),
        door.ask(f"/ping/{key}/nobody"),
        door.ask("/ping/abcdefghijklmnopqrstuv/backup?create=1"),
        door.ask("/api/push/abcdefghijklmnop"),
        door.ask("/api/v1/endpoints/backup/external?success=true", "POST", authorization="Bearer guessed"),
    ]

    assert [(answer.status, answer.headers["retry-after"]) for answer in answers] == [(429, "5")] * 5
    assert not Ping.objects.exists()
    assert Heartbeat.objects.count() == 1


@pytest.mark.usefixtures("standing_bounds")
def test_nobody_is_refused_as_a_guesser_while_the_database_cannot_say(door: Door, check: Check) -> None:
    path = f"/ping/{token_of(check)}"
    guess(door)

    with ClosedDatabase():
        answer = door.ask(path)

    assert (answer.status, answer.text, answer.headers["retry-after"]) == (503, "try again", "5")
    assert door.ask(path).status == 200


def test_bound_lets_a_burst_pass_and_refuses_for_nothing() -> None:
    bound = Bound(per_minute=60, burst=3)

    assert [bound.spend("a") for _ in range(5)] == [True, True, True, False, False]
    assert (bound.spend("b"), bound.is_spent("a"), bound.is_spent("c")) == (True, True, False)


def test_doors_give_a_sign_of_life(door: Door, scope: Tenant) -> None:
    wait_for(Sign.objects.filter(name="http").exists)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


# --- The database is away -----------------------------------------------------------------------------------------------


def test_lost_connection_costs_nobody_a_ping(door: Door, check: Check) -> None:
    path = f"/ping/{token_of(check)}"
    door.ask(path)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()"
        )

    assert door.ask(path).status == 200
    assert Ping.objects.count() == 2


def test_nothing_is_acknowledged_while_the_database_takes_nobody_in(door: Door, check: Check) -> None:
    path = f"/ping/{token_of(check)}"
    door.ask(path)
    with ClosedDatabase():
        answers = [door.ask(path) for _ in range(3)]

    again = door.ask(path)

    assert {(answer.status, answer.text, answer.headers["retry-after"]) for answer in answers} == {
        (503, "try again", "5")
    }
    assert again.status == 200
    assert Ping.objects.count() == 2


def test_heartbeat_that_somebody_holds_does_not_hold_up_the_others(door: Door, check: Check) -> None:
    held, free = token_of(check), token_of(heartbeat("Free"))
    with transaction.atomic():
        Heartbeat.objects.select_for_update().get(watched=check)
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda token: door.ask(f"/ping/{token}").status, (held, free)))

    assert answers == [503, 200]
    assert [ping.watched_id for ping in Ping.objects.all()] == [Heartbeat.objects.get(token=free).pk]


class ClosedDatabase:
    """The database ends every other connection and takes no new ones."""

    def __enter__(self) -> None:
        owner = settings.DATABASES["owner"]
        self._admin = psycopg.connect(
            host=owner["HOST"],
            port=owner["PORT"],
            user=owner["USER"],
            password=owner["PASSWORD"],
            dbname="postgres",
            autocommit=True,
        )
        self._name = settings.DATABASES["default"]["NAME"]
        connection.close()
        self._admin.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS false')
        app = psycopg.connect(**{**self._address(), "dbname": "postgres"}, autocommit=True)
        app.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND usename = current_user",
            [self._name],
        )
        app.close()

    def _address(self) -> dict[str, Any]:
        own = settings.DATABASES["default"]
        return {"host": own["HOST"], "port": own["PORT"], "user": own["USER"], "password": own["PASSWORD"]}

    def __exit__(self, *_: object) -> None:
        self._admin.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS true')
        self._admin.close()
