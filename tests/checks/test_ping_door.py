"""The ping door over real HTTP: what existing jobs ask, and what they hear."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
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
from apps.checks.domain.ping_dialects import Asked, UptimeKuma, gatus_token
from apps.checks.enums import State
from apps.checks.models import MAX_BODY_BYTES, Check, Heartbeat, Ping
from apps.checks.models import PingDoor as Sign
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from config.run.lane import pings_first
from tests.checks.test_pings import heartbeat, state_of, token_of
from tests.factories.plans import give_plan

pytestmark = pytest.mark.django_db(transaction=True)
RUN = str(uuid4())


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


def signals() -> list[str]:
    return [ping.signal for ping in Ping.objects.order_by("at", "number")]


# --- Healthchecks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "signal"),
    [
        *(("", "success"), ("/", "success"), ("/start", "start"), ("/fail", "fail"), ("/log", "log")),
        *(("/0", "success"), ("/1", "fail"), ("/255", "fail")),
    ],
)
def test_ping_by_token_is_stored_before_it_is_acknowledged(door: Door, check: Check, suffix: str, signal: str) -> None:
    for number, method in enumerate(("GET", "POST", "HEAD"), 1):
        answer = door.ask(f"/ping/{token_of(check)}{suffix}", method)

        kept = Ping.objects.get(number=number)
        assert (answer.status, answer.text) == (200, "" if method == "HEAD" else "OK")
        assert answer.headers["ping-body-limit"] == "1048576"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (kept.signal, kept.method, kept.source_ip) == (signal, method, "127.0.0.1")


def test_ping_by_key_and_slug(door: Door, check: Check) -> None:
    answers = [door.ask(f"/ping/{ping_key()}/backup{suffix}").status for suffix in ("", "/start", "/7")]

    assert (answers, signals()) == ([200, 200, 200], ["success", "start", "fail"])


def test_run_id_pairs_start_and_end(door: Door, check: Check) -> None:
    door.ask(f"/ping/{token_of(check)}/start?rid={RUN}")
    door.ask(f"/ping/{token_of(check)}?rid={RUN}")

    ended = Ping.objects.get(number=2)
    assert str(ended.run_id) == RUN
    assert timedelta(0) < ended.duration < timedelta(seconds=60)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/ping/{token}?rid=nonsense", 400, "invalid uuid format"),
        ("/ping/{token}/256", 400, "invalid url format"),
        ("/ping/{token}/99999999999999999999", 400, "invalid url format"),
        ("/ping/{token}/start/again", 404, "not found"),
        ("/ping/{token}/stop", 404, "not found"),
        ("/ping/00000000-0000-0000-0000-000000000000", 404, "not found"),
        ("/ping/{key}/unknown", 404, "not found"),
        ("/ping/stranger/backup", 404, "not found"),
        ("/ping/stranger/backup?create=1", 404, "not found"),
        ("/ping/{key}/UPPER?create=1", 404, "not found"),
        ("/ping/", 404, "not found"),
        ("/ping/%00/%00", 404, "not found"),
    ],
)
def test_what_is_no_ping_is_refused_and_stores_nothing(
    door: Door, check: Check, path: str, status: int, text: str
) -> None:
    answer = door.ask(path.format(token=token_of(check), key=ping_key()))

    assert (answer.status, answer.text) == (status, text)
    assert not Ping.objects.exists()
    assert Check.objects.count() == 1


def test_slug_of_two_heartbeats_is_ambiguous(door: Door, check: Check) -> None:
    heartbeat()

    assert door.ask(f"/ping/{ping_key()}/backup")[:2] == (409, "ambiguous slug")


def test_first_ping_makes_its_heartbeat_where_it_asks_to(door: Door, scope: Tenant) -> None:
    key = ping_key()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: door.ask(f"/ping/{key}/nightly?create=1"), range(8)))

    made = Check.objects.get()
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert {answer.text for answer in answers} == {"OK", "Created"}
    assert (made.name, made.kind, state_of(made), Ping.objects.count()) == ("nightly", "heartbeat", State.UP, 8)


def test_first_ping_beyond_the_plan_hears_why_and_what_mends_it(
    door: Door, check: Check, scope: Tenant, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "de"  # the door speaks English
    give_plan(scope, "free", checks=1)
    path = f"/ping/{ping_key()}/nightly?create=1"

    refused = [door.ask(path), door.ask(path, "POST", b"text"), door.ask(f"/ping/{ping_key()}/nightly")]
    known = door.ask(f"/ping/{ping_key()}/backup?create=1")
    give_plan(scope, "free", checks=2)
    made = door.ask(path)

    words = (
        "Checks: the plan “Free” allows 1 and 1 are in use; this is one too many. Remove what you no longer need, or see "
        "“Plan and usage” in the settings for a larger plan."
    )
    assert [answer[:2] for answer in refused] == [(403, words), (403, words), (404, "not found")]
    assert refused[0].headers["content-type"] == "text/plain; charset=utf-8"
    assert [known[:2], made[:2]] == [(200, "OK"), (201, "Created")]
    assert Ping.objects.count() == 2


@pytest.mark.parametrize("slug", ["a--b", "job-", "_job", "--", "x" * 100])
def test_heartbeat_that_a_ping_made_answers_to_its_slug(door: Door, scope: Tenant, slug: str) -> None:
    statuses = [door.ask(f"/ping/{ping_key()}/{slug}?create=1").status for _time in range(3)]

    assert (statuses, Check.objects.count(), Ping.objects.count()) == ([201, 200, 200], 1, 3)


def test_text_is_kept_up_to_a_mebibyte(door: Door, check: Check) -> None:
    path = f"/ping/{token_of(check)}"

    statuses = [door.ask(path, "POST", b"x" * size).status for size in (5, MAX_BODY_BYTES + 5, 17 * MAX_BODY_BYTES)]

    assert statuses == [200, 200, 413]
    assert [len(ping.body) for ping in Ping.objects.order_by("number")] == [5, MAX_BODY_BYTES]


def test_keywords_in_the_text_decide_where_they_are_asked_for(door: Door, scope: Tenant) -> None:
    check = heartbeat(config=HeartbeatConfig(filters_body=True, success_keywords="done", failure_keywords="error"))

    for text in (b"done", b"an error, but done", b"neither"):
        door.ask(f"/ping/{token_of(check)}", "POST", text)

    assert signals() == ["success", "fail", "ign"]


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(door: Door, check: Check, method: str) -> None:
    assert door.ask(f"/ping/{token_of(check)}", method).status == 405


# --- Uptime Kuma --------------------------------------------------------------------------------------------------------


def test_push_address_of_uptime_kuma(door: Door, scope: Tenant) -> None:
    check = heartbeat(config=HeartbeatConfig(address="Kx0y8KumaToken"))

    up = door.ask("/api/push/Kx0y8KumaToken?status=up&msg=OK&ping=42.5")
    down = door.ask("/api/push/Kx0y8KumaToken?status=down&msg=disk%20full&ping=")

    assert (up.status, json.loads(up.text), json.loads(down.text)) == (200, {"ok": True}, {"ok": True})
    assert [(p.signal, bytes(p.body), p.duration) for p in Ping.objects.order_by("number")] == [
        ("success", b"OK", timedelta(milliseconds=42.5)),
        ("fail", b"disk full", None),
    ]
    assert state_of(check) == State.DOWN


@pytest.mark.parametrize(
    ("query", "signal"),
    [
        *(("", Signal.SUCCESS), ("status=", Signal.SUCCESS), ("status=up", Signal.SUCCESS)),
        *(("status=down", Signal.FAIL), ("status=error", Signal.FAIL), ("status=UP", Signal.FAIL)),
    ],
)
def test_push_is_a_success_by_one_word_alone(query: str, signal: Signal) -> None:
    asked = Asked(method="GET", path="/api/push/Kx0y8KumaToken", query=query, source_ip=None)

    assert UptimeKuma().read(asked, clock.now()).ping.report.signal == signal


@pytest.mark.parametrize("token", ["nobody", "a/b", "x" * 65, "%C3%BC"])
def test_unknown_push_token_is_refused_as_json(door: Door, check: Check, token: str) -> None:
    answer = door.ask(f"/api/push/{token}?status=up")

    assert (answer.status, json.loads(answer.text)["ok"]) == (404, False)


# --- Gatus --------------------------------------------------------------------------------------------------------------


def test_external_endpoint_of_gatus(door: Door, scope: Tenant) -> None:
    heartbeat(config=HeartbeatConfig(address=gatus_token("core_backup", "s3cret")))
    path = "/api/v1/endpoints/core_backup/external"

    good = door.ask(f"{path}?success=true&duration=1m2.5s", "POST", Authorization="Bearer s3cret")
    bad = door.ask(f"{path}?success=false&error=no%20disk", "POST", Authorization="Bearer s3cret")

    assert (good.status, bad.status) == (200, 200)
    assert [(p.signal, p.body and bytes(p.body), p.duration) for p in Ping.objects.order_by("number")] == [
        ("success", None, timedelta(seconds=62.5)),
        ("fail", b"no disk", None),
    ]


def test_external_endpoint_by_ping_key_and_slug(door: Door, check: Check) -> None:
    path = "/api/v1/endpoints/backup/external?success=true"

    assert door.ask(path, "POST", Authorization=f"Bearer {ping_key()}").status == 200


@pytest.mark.parametrize(
    ("method", "query", "secret", "status"),
    [
        ("POST", "?success=true", "", 401),
        ("POST", "?success=true", "Bearer wrong", 404),
        ("POST", "?success=yes", "Bearer s3cret", 400),
        ("POST", "", "Bearer s3cret", 400),
        ("GET", "?success=true", "Bearer s3cret", 405),
    ],
)
def test_external_endpoint_refuses(
    door: Door, scope: Tenant, method: str, query: str, secret: str, status: int
) -> None:
    heartbeat(config=HeartbeatConfig(address=gatus_token("core_backup", "s3cret")))

    answer = door.ask(f"/api/v1/endpoints/core_backup/external{query}", method, Authorization=secret)

    assert answer.status == status
    assert not Ping.objects.exists()


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


@pytest.mark.usefixtures("standing_bounds")
def test_guessing_is_slowed_down_and_known_jobs_are_not(door: Door, check: Check) -> None:
    known = f"/ping/{token_of(check)}"
    door.ask(known)

    with ThreadPoolExecutor(20) as pool:
        guesses = list(pool.map(lambda _: door.ask(f"/ping/{uuid4()}").status, range(150)))

    assert set(guesses) == {404, 429}
    assert door.ask(known).status == 200


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
