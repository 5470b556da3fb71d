"""What existing jobs ask the ping door in the dialects of Healthchecks, Uptime Kuma and Gatus, and what they hear."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from apps.checks.domain.heartbeats import ping_key
from apps.checks.domain.ping_dialects import Asked, Gatus, Healthchecks, Refused, UptimeKuma, gatus_token
from apps.checks.domain.pings import Fate
from apps.checks.enums import State
from apps.checks.models import MAX_BODY_BYTES, Check, Ping
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.tenants.models import Tenant
from tests.checks.test_ping_door import Door, check, door, scope
from tests.checks.test_pings import heartbeat, state_of, token_of
from tests.factories.plans import give_plan

__all__ = ["check", "door", "scope"]
pytestmark = pytest.mark.django_db(transaction=True)
RUN = str(uuid4())


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


@pytest.mark.parametrize("key", ["", "stranger", "x" * 21, "x" * 23, "x" * 21 + "ü", "x" * 21 + "\0"])
def test_what_is_no_ping_key_is_refused_without_a_look(key: str) -> None:
    asked = Asked(method="GET", path=f"/ping/{key}/backup", query="create=1", source_ip=None)

    with pytest.raises(Refused) as refusal:
        Healthchecks().read(asked, clock.now())

    assert refusal.value.wording == Healthchecks.WORDS[Fate.NOT_FOUND]


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


def test_query_of_many_fields_is_read_or_refused(door: Door, check: Check) -> None:
    noise = "&a=b" * 30

    named = door.ask(f"/ping/{token_of(check)}/start?rid={RUN}{noise}")
    made = door.ask(f"/ping/{ping_key()}/brand-new?create=1{noise}")
    refused = door.ask(f"/ping/{ping_key()}/another?create=1{'&a=b' * 1_000}")

    assert (named.status, made.status) == (200, 201)
    assert str(Ping.objects.get(watched=check).run_id) == RUN
    assert (refused.status, refused.text) == (400, "more than 1000 fields in the query")


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


def test_push_with_a_text_that_is_sent_as_it_is(door: Door, scope: Tenant) -> None:
    """Each "&" of it begins a field."""
    check = heartbeat(config=HeartbeatConfig(address="Kx0y8KumaToken"))

    most = door.ask(f"/api/push/Kx0y8KumaToken?status=down&msg=log{'&make' * 998}")
    more = door.ask(f"/api/push/Kx0y8KumaToken?status=down&msg=log{'&make' * 999}")

    assert (most.status, state_of(check)) == (200, State.DOWN)
    assert (more.status, json.loads(more.text)) == (
        400,
        {"ok": False, "msg": "more than 1000 fields in the query"},
    )
    assert [(ping.signal, bytes(ping.body or b"")) for ping in Ping.objects.all()] == [("fail", b"log")]


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
    "secret", ["31365bce8da947298ff3aaa71d56b712", "x" * 22], ids=["as our token", "as a ping key"]
)
def test_external_endpoints_share_a_secret_that_looks_like_ours(door: Door, scope: Tenant, secret: str) -> None:
    keys = ("core_backup", "core_sync")
    checks = [heartbeat(name=key, config=HeartbeatConfig(address=gatus_token(key, secret))) for key in keys]
    paths = [f"/api/v1/endpoints/{key}/external?success=true" for key in (*keys, *keys, "core_other")]

    statuses = [door.ask(path, "POST", Authorization=f"Bearer {secret}").status for path in paths]

    assert statuses == [200, 200, 200, 200, 404]
    assert [Ping.objects.filter(watched=check).count() for check in checks] == [2, 2]


def test_external_endpoint_by_a_heartbeats_own_token(door: Door, check: Check) -> None:
    path = "/api/v1/endpoints/whatever/external?success=true"

    assert door.ask(path, "POST", Authorization=f"Bearer {token_of(check)}").status == 200


def test_secret_that_is_no_ping_key_is_not_looked_up_as_one() -> None:
    path, secret = "/api/v1/endpoints/backup/external", "x" * 21 + "!"
    asked = Asked(method="POST", path=path, query="success=true", source_ip=None, bearer=secret)

    heeded = Gatus().read(asked, clock.now())

    assert (heeded.ping.address, heeded.otherwise) == (gatus_token("backup", secret), None)


@pytest.mark.parametrize(
    ("method", "query", "secret", "status"),
    [
        ("POST", "?success=true", "", 401),
        ("POST", "?success=true", "Bearer wrong", 404),
        ("POST", "?success=yes", "Bearer s3cret", 400),
        ("POST", "", "Bearer s3cret", 400),
        ("POST", "?success=true" + "&a=b" * 1_000, "Bearer s3cret", 400),
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
