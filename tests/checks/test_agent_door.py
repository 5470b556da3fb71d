"""The agents' door: who is let in, what is refused, and that answers are signed."""

import gzip
import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from redis import Redis

from apps.checks import agent_door as door
from apps.checks.domain import agents
from apps.checks.domain.agent_wire import (
    AgentToken,
    NotSigned,
    decode_settings,
    decode_turns,
    encode_held,
    encode_results,
    open_answer,
    public_key_of,
)
from apps.checks.domain.ping_bounds import Bound
from apps.checks.domain.results import NewResult
from apps.checks.domain.wire_fields import MICROSECOND, to_wire_time
from apps.checks.enums import Verdict
from apps.checks.models import Agent, Check, Region, Result, Turn
from apps.core import clock, rate, redis
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
URL = "/agent/v1/"


class Talker:
    """Asks as an agent would, and opens the answer as it would."""

    def __init__(self, agent: Agent, token: AgentToken) -> None:
        self.agent, self.token = agent, token
        self.client = Client(raise_request_exception=False)

    def post(self, verb: str, body: Any, *, raw: bool = False, **headers: str) -> HttpResponse:
        given = {
            "Authorization": f"Bearer {self.token.bearer}",
            "Obsera-Nonce": os.urandom(16).hex(),
            "Obsera-Agent-Version": "1.2.3",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self.nonce = given["Obsera-Nonce"]
        content = body if raw else json.dumps(body).encode()
        return self.client.post(URL + verb, content, content_type="application/json", headers=given)

    def ask(self, verb: str, body: Any) -> dict[str, Any]:
        answer = self.post(verb, body)
        assert answer.status_code == 200, answer.content
        signature = answer.headers["Obsera-Signature"]
        fields, _at = open_answer(self.token.public_key, verb, self.nonce, answer.content, signature, now=clock.now())
        return fields


@pytest.fixture
def talker(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Talker:
    monkeypatch.setattr(door, "_misses", Bound(per_minute=60, burst=60))
    with tenant_scope(acme.id):
        return Talker(*agents.create_agent(name="Office"))


@pytest.fixture
def check(talker: Talker) -> Check:
    with tenant_scope(talker.agent.tenant_id):
        return make_check(regions=[talker.agent.region_id])


def result_of(check: Check, **fields: Any) -> list[Any]:
    now = clock.now()
    given: dict[str, Any] = {"due_at": now, "started_at": now, "verdict": int(Verdict.SUCCESS), **fields}
    [row] = encode_results([NewResult(check_id=check.id, tenant_id=check.tenant_id, **given)])
    return row


# --- the whole talk ---------------------------------------------------------------------------------------------------


def test_an_agent_trades_learns_keeps_and_reports(talker: Talker, check: Check) -> None:
    first = talker.ask("trade", {"limit": 10, "results": []})
    [offered] = decode_turns(first["turns"], region_id=first["region"])
    assert (first["region"], first["beat_seconds"], first["is_all"]) == (talker.agent.region_id, 1.0, True)
    assert talker.ask("trade", {"limit": 0, "results": []})["is_all"] is False
    assert (offered.turn.check_id, offered.interval_seconds, first["known_failures"]) == (check.id, 60, [])

    told = talker.ask("settings", {"checks": [check.id.hex, uuid4().hex]})
    settings, _wrong = decode_settings(told["settings"])
    assert (list(settings), told["unreadable"]) == ([check.id], [])
    assert settings[check.id].public["url"] == "http://127.0.0.1:9/"

    held = encode_held([offered.turn])
    assert talker.ask("leases", {"extend": held, "give_back": []}) == {}

    row = result_of(check, due_at=offered.turn.due_at, total_ms=3.5)
    assert talker.ask("trade", {"limit": 10, "results": [row]})["turns"] == []
    assert talker.ask("health", {"failed_controls": [], "buffered": 5}) == {}
    late = [result_of(check, due_at=clock.now() - timedelta(minutes=minutes)) for minutes in (5, 6)]
    assert talker.ask("late", {"results": [*late, result_of(Check(id=uuid4()))]}) == {"stored": 2, "dropped": 1}

    with tenant_scope(talker.agent.tenant_id):
        assert Result.objects.count() == 3
        agent = Agent.objects.select_related("region").get()
        assert (agent.version, agent.buffered, agent.dropped) == ("1.2.3", 5, 1)
        assert agent.region.seen_at is not None


def test_results_may_come_packed(talker: Talker, check: Check) -> None:
    body = gzip.compress(json.dumps({"limit": 0, "results": [result_of(check)]}).encode())

    assert talker.post("trade", body, raw=True, Content_Encoding="gzip").status_code == 200

    with tenant_scope(talker.agent.tenant_id):
        assert Result.objects.count() == 1


def test_an_answer_opens_with_the_key_of_its_token_alone(talker: Talker) -> None:
    answer = talker.post("health", {"failed_controls": [], "buffered": 0})
    signature = answer.headers["Obsera-Signature"]

    stranger = public_key_of(Ed25519PrivateKey.generate())
    with pytest.raises(NotSigned):
        open_answer(stranger, "health", talker.nonce, answer.content, signature, now=clock.now())
    with pytest.raises(NotSigned):
        open_answer(talker.token.public_key, "trade", talker.nonce, answer.content, signature, now=clock.now())


def test_two_agents_get_no_turn_of_each_other(talker: Talker, check: Check, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        stranger = Talker(*agents.create_agent(name="Theirs"))

    assert stranger.ask("trade", {"limit": 10, "results": []})["turns"] == []
    assert stranger.ask("settings", {"checks": [check.id.hex]}) == {"settings": {}, "unreadable": []}
    before = _turn(talker)
    held = [[check.id.hex, to_wire_time(before.due_at)]]
    stranger.ask("leases", {"extend": held, "give_back": held})
    assert stranger.ask("late", {"results": [result_of(check)]}) == {"stored": 0, "dropped": 1}
    assert stranger.ask("trade", {"limit": 0, "results": [result_of(check)]})["turns"] == []
    after = _turn(talker)
    assert (after.due_at, after.claimable_at) == (before.due_at, before.claimable_at)
    with tenant_scope(talker.agent.tenant_id):
        assert not Result.objects.exists()
    with tenant_scope(globex.id):
        assert Agent.objects.get().dropped == 2


def _turn(talker: Talker) -> Turn:
    with tenant_scope(talker.agent.tenant_id):
        return Turn.objects.get()


def test_an_agent_tells_what_it_runs_and_how_it_keeps_up(talker: Talker) -> None:
    told = {"kinds": ["http", "dns"], "limited": True, "allow": ["10.0.0.0/8:443"], "lost": 3, "late_ms": 1_500}
    talker.ask("health", {"failed_controls": [], "buffered": 0, **told})

    with tenant_scope(talker.agent.tenant_id):
        agent = Agent.objects.get()
    assert (agent.kinds, agent.is_limited, agent.allow_list) == (["http", "dns"], True, ["10.0.0.0/8:443"])
    assert (agent.lost, agent.late_ms, agent.lost_at is not None) == (3, 1_500, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("kinds", "http"), ("kinds", ["a b"]), ("limited", 1), ("allow", ["x" * 81]), ("lost", -1), ("late_ms", "1")],
)
def test_words_that_make_no_sense_are_refused(talker: Talker, field: str, value: object) -> None:
    answer = talker.post("health", {"failed_controls": [], "buffered": 0, field: value})

    assert answer.status_code == 400
    assert [name.split("[")[0] for name in answer.json()["errors"]] == [field]


# --- who is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer oba_x",
        "Basic abc",
        "Bearer obs_live_abc",
        "Bearer \u00ff",
        "Bearer " + "a" * 9_000,
    ],
)
def test_no_token_no_answer(talker: Talker, header: str) -> None:
    answer = talker.post("trade", {"limit": 0, "results": []}, Authorization=header)

    assert (answer.status_code, answer.json()) == (401, {"code": "token_unknown"})
    assert "Obsera-Signature" not in answer.headers


def test_the_token_says_itself_what_became_of_it(talker: Talker) -> None:
    empty = {"limit": 0, "results": []}
    with tenant_scope(talker.agent.tenant_id):
        new = agents.rotate_token(talker.agent)
    assert talker.post("trade", empty).status_code == 200
    with tenant_scope(talker.agent.tenant_id):
        Agent.objects.update(previous_ends_at=clock.now() - MICROSECOND)
    assert talker.post("trade", empty).json() == {"code": "token_unknown"}
    talker.token = new
    assert talker.post("trade", empty).status_code == 200
    with tenant_scope(talker.agent.tenant_id):
        agents.revoke_agent(talker.agent)
    assert (talker.post("trade", empty).status_code, talker.post("trade", empty).json()) == (
        401,
        {"code": "token_revoked"},
    )


def test_an_agent_of_a_key_kept_whole_is_not_let_in_by_it(talker: Talker) -> None:
    """The public part of the token does not belong into the header."""
    answer = talker.post("trade", {"limit": 0, "results": []}, Authorization=f"Bearer {talker.token}")

    assert answer.status_code == 401


def test_guessing_is_slowed_down(talker: Talker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_misses", Bound(per_minute=1, burst=2))

    statuses = [talker.post("trade", {}, Authorization="Bearer oba_x").status_code for _ in range(4)]

    assert statuses == [401, 401, 429, 429]
    assert talker.post("trade", {"limit": 0, "results": []}).status_code == 200  # behind the same router


def test_an_agent_that_asks_too_often_is_slowed_down(talker: Talker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PER_AGENT", rate.Limit(per_minute=1, burst=1))
    empty = {"limit": 0, "results": []}

    answers = [talker.post("trade", empty) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["Retry-After"]) > 0


def test_only_posts_are_heard(talker: Talker) -> None:
    answer = talker.client.get(URL + "trade", headers={"Authorization": f"Bearer {talker.token.bearer}"})

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nonce", ["", "x", "0" * 31, "0" * 33, "A" * 32, "g" * 32])
def test_a_question_needs_a_nonce(talker: Talker, nonce: str) -> None:
    answer = talker.post("trade", {"limit": 0, "results": []}, Obsera_Nonce=nonce)

    assert (answer.status_code, answer.json()["errors"]) == (400, {"Obsera-Nonce": ["must be 32 hex digits"]})


def test_a_nonce_is_answered_once(talker: Talker, check: Check) -> None:
    body = {"limit": 10, "results": []}
    nonce = os.urandom(16).hex()

    first, replayed = (talker.post("trade", body, Obsera_Nonce=nonce) for _ in range(2))

    assert len(first.json()["turns"]) == 1
    assert (replayed.status_code, replayed.json()["errors"]) == (400, {"Obsera-Nonce": ["was used already"]})


def test_agents_work_while_redis_is_away(talker: Talker, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "client", lambda: Redis(host="127.0.0.1", port=1))

    assert len(talker.ask("trade", {"limit": 10, "results": []})["turns"]) == 1


def test_agents_are_asked_to_come_again_while_the_database_may_only_be_read(talker: Talker, check: Check) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")

    answer = talker.post("trade", {"limit": 10, "results": []})

    assert (answer.status_code, answer.json()) == (503, {"code": "try_again"})


def test_an_unknown_verb_is_no_verb(talker: Talker) -> None:
    answer = talker.post("nonsense", {})

    assert (answer.status_code, answer.json()) == (404, {"code": "unknown_verb"})


GOOD: dict[str, dict[str, Any]] = {
    "trade": {"limit": 0, "results": []},
    "settings": {"checks": []},
    "leases": {"extend": [], "give_back": []},
    "health": {"failed_controls": [], "buffered": 0},
    "late": {"results": []},
}
WRONG: tuple[Any, ...] = (None, True, -1, 1.5, "x", {}, [1], [[1]], [None], [{}], [["x", 1]], 10**30, "\x00")


@pytest.mark.parametrize(("verb", "field"), [(verb, field) for verb, body in GOOD.items() for field in body])
def test_every_field_is_checked(talker: Talker, verb: str, field: str) -> None:
    assert talker.post(verb, GOOD[verb]).status_code == 200

    for wrong in WRONG:
        answer = talker.post(verb, {**GOOD[verb], field: wrong})
        assert answer.status_code == 400, (field, wrong)
        assert [name.partition("[")[0] for name in answer.json()["errors"]] == [field]
    without = {name: value for name, value in GOOD[verb].items() if name != field}
    assert list(talker.post(verb, without).json()["errors"]) == [field]


@pytest.mark.parametrize("verb", ["trade", "late"])
def test_a_bad_value_is_named_and_nothing_is_stored(talker: Talker, check: Check, verb: str) -> None:
    good, bad = result_of(check), result_of(check)
    bad[3] = 9

    answer = talker.post(verb, {"limit": 0, "results": [good, bad]})

    assert answer.json() == {
        "code": "invalid",
        "errors": {"results[1].verdict": ["must be a whole number from 0 to 3"]},
    }
    with tenant_scope(talker.agent.tenant_id):
        assert not Result.objects.exists()


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"null", b"\xff\xfe", b'{"limit": NaN, "results": []}', b"[" * 200_000, b'"' + b"x" * 99]
)
def test_a_body_that_is_no_object_is_refused(talker: Talker, body: bytes) -> None:
    answer = talker.post("trade", body, raw=True)

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["body"])


BOMB = gzip.compress(b" " * 200_000_000, compresslevel=9)


@pytest.mark.parametrize(
    ("make", "encoding", "status"),
    [
        (lambda: b" " * (4 * 1024 * 1024 + 1), "identity", 413),
        (lambda: b'{"limit": 0, "results": []}' + b" " * 4_000_000, "identity", 200),
        (lambda: BOMB, "gzip", 413),
        (lambda: gzip.compress(b"{}")[:-9], "gzip", 400),
        (lambda: b"{}", "gzip", 400),
        (lambda: b"{}", "br", 415),
    ],
)
def test_bodies_are_bounded(talker: Talker, make: Callable[[], bytes], encoding: str, status: int) -> None:
    assert talker.post("trade", make(), raw=True, Content_Encoding=encoding).status_code == status


def test_a_version_is_kept_as_plain_text(talker: Talker) -> None:
    talker.post("health", {"failed_controls": [], "buffered": 0}, Obsera_Agent_Version="1.0\x00\u00ff<b>" + "x" * 99)

    with tenant_scope(talker.agent.tenant_id):
        assert Agent.objects.get().version == "1.0<b>" + "x" * 34


def test_the_door_says_so_while_the_database_is_away(talker: Talker, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away(*_arguments: object, **_options: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(door, "authenticate", away)

    answer = talker.post("trade", {"limit": 0, "results": []})

    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (503, {"code": "try_again"}, "2")


def test_a_beat_without_work_is_cheap(talker: Talker) -> None:
    with tenant_scope(talker.agent.tenant_id):
        Region.objects.filter(id=talker.agent.region_id).update(seen_at=clock.now())

    # the token; a transaction with a savepoint, the planner's hints twice, catching up, the claim
    assert queries_of(lambda: talker.ask("trade", {"limit": 10, "results": []})) == 9
