"""The agent's process and the product's real door: what is probed here arrives there, each turn once, whatever breaks."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from apps.checks.domain.agent_wire import AgentToken
from apps.checks.domain.agents import create_agent, revoke_agent, rotate_token
from apps.checks.enums import State, Verdict
from apps.checks.models import Agent, Check, CheckState, Flip, Result, Turn
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.incidents.models import Outage
from apps.tenants.models import Tenant
from config.agent.buffer import SUFFIX
from config.agent.records import unpacked
from tests.agent.running import running_agent
from tests.agent.stand_in import await_true
from tests.factories.checks import make_check
from tests.peers.process import free_port
from tests.peers.web import Web
from tests.peers.web import serving as serving_web
from tests.served import serving_product

pytestmark = pytest.mark.django_db(transaction=True)
INTERVAL = 5
STEP = timedelta(seconds=INTERVAL)
ARRIVED = "all that waited has arrived"


class Site:
    """A target whose paths can be broken."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.web: Web | None = None

    @contextmanager
    def serving(self) -> Iterator["Site"]:
        def answer(link, asked: bytes) -> None:
            path = asked.split(b" ", 2)[1].decode()
            status = b"503 No" if path in self.broken else b"200 OK"
            link.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        with serving_web(answer) as self.web:
            yield self

    def hits(self, path: str) -> int:
        assert self.web is not None
        return sum(asked.startswith(f"GET {path} ".encode()) for asked in self.web.asked)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site().serving() as made:
        yield made


@pytest.fixture
def made(in_acme: Tenant) -> tuple[Agent, AgentToken]:
    return create_agent(name="Office")


def watch(agent: Agent, site: Site, path: str) -> Check:
    assert site.web is not None
    return make_check(
        path,
        regions=[agent.region_id],
        interval_seconds=INTERVAL,
        timeout_seconds=INTERVAL,
        config={"url": site.web.url(path)},
        state=State.UP,
    )


def dues(check: Check) -> list[datetime]:
    return list(Result.objects.filter(check_id=check.id).order_by("due_at").values_list("due_at", flat=True))


def verdicts(check: Check) -> set[int]:
    return set(Result.objects.filter(check_id=check.id).values_list("verdict", flat=True))


def state(check: Check) -> str:
    return str(CheckState.objects.get(watched=check).state)


def on_disk(folder: Path) -> int:
    """Return how many results the agent has written down."""
    return sum(len(list(unpacked(path.read_bytes()))) for path in (folder / "state").rglob(f"*{SUFFIX}"))


def falls_silent(site: Site, path: str) -> bool:
    """Return whether nobody asks for two turns."""
    before = site.hits(path)
    time.sleep(2 * INTERVAL + 1)
    return site.hits(path) == before


def test_a_check_is_probed_from_there_with_its_secrets(
    made: tuple[Agent, AgentToken], site: Site, tmp_path: Path
) -> None:
    agent, token = made
    check = watch(agent, site, "/a")
    with serving_product() as url, running_agent(tmp_path, url, token) as running:
        await_true(lambda: len(dues(check)) >= 2)
        site.broken.add("/a")
        await_true(lambda: state(check) == State.DOWN)
        assert running.end() == 0

    agent.refresh_from_db()
    assert verdicts(check) == {Verdict.SUCCESS, Verdict.FAILURE}
    assert (agent.version, agent.dropped, agent.region.seen_at is not None) == ("0.1.0", 0, True)
    turn = Turn.objects.get(watched=check)
    assert turn.claimable_at is not None
    assert turn.claimable_at <= max(turn.due_at, clock.now())  # given back, not leased


def test_without_the_server_it_goes_on_and_brings_everything_once(
    made: tuple[Agent, AgentToken], site: Site, tmp_path: Path
) -> None:
    agent, token = made
    checks = [watch(agent, site, path) for path in ("/a", "/b", "/c")]
    port = free_port()
    assert site.web is not None
    # Without one, nobody knows whose failure it is that is seen while the server cannot be reached.
    control = ("--control", site.web.url("/well"))
    with (
        ExitStack() as served,
        running_agent(tmp_path, served.enter_context(serving_product(port)), token, *control) as running,
    ):
        await_true(lambda: all(len(dues(check)) >= 2 for check in checks))
        served.close()
        running.await_log("the server is away")
        site.broken.add("/b")
        broken_at = site.hits("/b")
        await_true(lambda: site.hits("/b") >= broken_at + 2)
        site.broken.clear()
        mended_at = site.hits("/b")
        await_true(lambda: site.hits("/b") >= mended_at + 2)
        arrivals = running.log.count(ARRIVED)  # a busy machine has it go alone at first
        with serving_product(port):
            running.await_log(ARRIVED, times=arrivals + 1)
            before = {check.id: len(dues(check)) for check in checks}
            await_true(lambda: all(len(dues(check)) >= before[check.id] + 2 for check in checks))
            assert running.end() == 0

    for check in checks:
        steps = [after - before for before, after in pairwise(dues(check))]
        assert [step % STEP for step in steps] == [timedelta()] * len(steps)  # one grid all along
        # None is lost by the agent; a machine that stands still for longer than an interval may pass one over.
        assert sum(steps, timedelta()) // STEP - len(steps) <= 1, running.log
    assert verdicts(checks[1]) == {Verdict.SUCCESS, Verdict.FAILURE}
    assert [state(check) for check in checks] == [State.UP] * 3
    assert (Flip.objects.filter(after=State.DOWN).count(), Outage.objects.count()) == (0, 0)
    agent.refresh_from_db()
    assert agent.dropped == 0


def test_what_it_kept_arrives_after_kill_9_and_restart(
    made: tuple[Agent, AgentToken], site: Site, tmp_path: Path
) -> None:
    agent, token = made
    check = watch(agent, site, "/a")
    port = free_port()
    with ExitStack() as served, running_agent(tmp_path, served.enter_context(serving_product(port)), token) as running:
        await_true(lambda: len(dues(check)) >= 2)
        served.close()
        running.await_log("the server is away")
        alone_from = site.hits("/a")
        await_true(lambda: site.hits("/a") >= alone_from + 3)
        await_true(lambda: len(dues(check)) + on_disk(tmp_path) >= site.hits("/a"))
        running.end(signal.SIGKILL)
        probed = site.hits("/a")
        running.start()
        running.await_log("the server is away", times=2)
        assert site.hits("/a") == probed
        arrivals = running.log.count(ARRIVED)  # a busy machine has it go alone at first
        with serving_product(port):
            running.await_log(ARRIVED, times=arrivals + 1)
            before = len(dues(check))
            assert before >= probed  # the present goes on meanwhile
            await_true(lambda: len(dues(check)) >= before + 1)

    assert len(dues(check)) == len(set(dues(check)))


def test_a_paused_check_is_found_out_when_the_server_is_back(
    made: tuple[Agent, AgentToken], site: Site, tmp_path: Path
) -> None:
    agent, token = made
    check = watch(agent, site, "/a")
    port = free_port()
    with ExitStack() as served, running_agent(tmp_path, served.enter_context(serving_product(port)), token) as running:
        await_true(lambda: len(dues(check)) >= 1)
        served.close()
        running.await_log("the server is away")
        Turn.objects.filter(watched=check).update(claimable_at=None)
        alone_from = site.hits("/a")
        await_true(lambda: site.hits("/a") >= alone_from + 1)
        with serving_product(port):
            running.await_log("the server is back")
            await_true(lambda: falls_silent(site, "/a"))
            await_true(lambda: len(dues(check)) == site.hits("/a"))

    assert len(set(dues(check))) == site.hits("/a")  # what was seen alone is told, once


def test_a_rotated_token_opens_with_the_old_one_and_a_revoked_one_ends_it(
    made: tuple[Agent, AgentToken], site: Site, tmp_path: Path
) -> None:
    agent, token = made
    check = watch(agent, site, "/a")
    with serving_product() as url, running_agent(tmp_path, url, token) as running:
        await_true(lambda: len(dues(check)) >= 1)
        rotate_token(agent)
        before = len(dues(check))
        await_true(lambda: len(dues(check)) > before)
        revoke_agent(agent)
        assert running.process is not None
        assert running.process.wait(timeout=180) == 3

    assert "stopping: the token has been revoked" in running.log


def test_another_tenants_check_is_never_handed_out(
    made: tuple[Agent, AgentToken], globex: Tenant, site: Site, tmp_path: Path
) -> None:
    _agent, token = made
    with tenant_scope(globex.id):
        other, _other_token = create_agent(name="Office")
        theirs = watch(other, site, "/theirs")
    mine = watch(made[0], site, "/mine")
    with serving_product() as url, running_agent(tmp_path, url, token):
        await_true(lambda: len(dues(mine)) >= 2)

    assert site.hits("/theirs") == 0
    with tenant_scope(globex.id):
        assert dues(theirs) == []
