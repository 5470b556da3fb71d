"""The process: how it starts, what it says, what it goes on with alone, and how it ends."""

import json
import signal
import subprocess
import time
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from apps.checks.domain.agent_wire import RESULT_FIELDS, AgentToken
from apps.checks.domain.wire_fields import to_wire_time
from apps.checks.enums import Verdict
from tests.agent.running import AGENT, running_agent
from tests.agent.stand_in import StandIn, await_true, serving
from tests.peers.process import free_port
from tests.peers.web import Web, answer, saying
from tests.peers.web import serving as serving_web

NAMES = [field.name for field in RESULT_FIELDS]
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def results(server: StandIn, *verbs: str) -> list[dict]:
    """Every result that came in, as a row with names."""
    rows = [row for call in server.calls if call.verb in verbs for row in call.fields.get("results", [])]
    return [dict(zip(NAMES, row, strict=True)) for row in rows]


def target() -> "Web":
    return serving_web(lambda link, _asked: link.sendall(HELLO))


def test_a_turn_is_probed_and_its_result_handed_in(tmp_path: Path) -> None:
    server = StandIn()
    with target() as web, serving(server) as url, running_agent(tmp_path, url, server.token) as agent:
        agent.await_log("connected")
        due = server.offer(due_in=4, url=web.url())
        await_true(lambda: results(server, "trade") != [])
        assert agent.end() == 0

    (result,) = results(server, "trade")
    assert (UUID(result["check_id"]), result["verdict"], result["status_code"]) == (
        due.turn.check_id,
        Verdict.SUCCESS,
        200,
    )
    # Never early, but for a timer's grain; how late depends on how busy the machine is.
    assert result["due_at"] - 60_000 < result["started_at"] <= to_wire_time(server.now())
    assert result["remote_ip"] == "127.0.0.1"


def test_the_log_tells_what_matters_and_no_secret(tmp_path: Path) -> None:
    server = StandIn()
    with target() as web, serving(server) as url:
        server.offer(url=web.url(), headers={"X-Key": "hush-hush"})
        with running_agent(tmp_path, url, server.token) as agent:
            agent.await_log("connected")
            await_true(lambda: results(server, "trade") != [])
            agent.end()
            log = agent.log

    lines = [line.split(" ", 3)[3] for line in log.splitlines() if "as root" not in line]
    assert [line for line in lines if line] == [
        f"obsera-agent 0.1.0, agent {server.token.agent_id}, for {url}",
        f"may probe all kinds in 127.0.0.1/32; 0 results wait in {tmp_path}/state/{server.token.agent_id}",
        "no --control is named: what fails while the server cannot be reached is unknown, and no downtime",
        "connected; 0 results wait from before",
        "stopped; 0 results wait on disk for the next start",
    ]
    assert server.token.secret not in log
    assert "hush-hush" not in log


def test_what_the_allow_list_does_not_name_is_unknown_and_never_a_failure(tmp_path: Path) -> None:
    server = StandIn()
    with target() as web, serving(server) as url:
        named = server.offer(url=web.url())
        other = server.offer(url="http://127.0.0.2:9/")
        metadata = server.offer(url="http://169.254.169.254/latest/")
        kind = server.offer(kind="dns", hostname="example.com")
        with running_agent(tmp_path, url, server.token, "--kinds", "http,tcp"):
            await_true(lambda: len(results(server, "trade")) == 4)

    found = {
        UUID(row["check_id"]): (row["verdict"], row["error_code"], row["error_values"])
        for row in results(server, "trade")
    }
    assert found == {
        named.turn.check_id: (Verdict.SUCCESS, "", None),
        other.turn.check_id: (Verdict.UNKNOWN, "outside_allow_list", {"address": "127.0.0.2"}),
        metadata.turn.check_id: (Verdict.UNKNOWN, "outside_allow_list", {"address": "169.254.169.254"}),
        kind.turn.check_id: (Verdict.UNKNOWN, "kind_not_allowed", {"kind": "dns"}),
    }


def test_orders_that_are_not_signed_are_not_carried_out(tmp_path: Path) -> None:
    server = StandIn()
    with target() as web, serving(server) as url:
        server.offer(url=web.url())

        def unsigned_orders(call):
            server.calls.append(call)
            status, headers, body = call.answer()
            return status, {} if call.verb == "trade" else headers, body

        server.misbehave = unsigned_orders
        with running_agent(tmp_path, url, server.token) as agent:
            agent.await_log("an answer was refused: the answer does not come from the server that made this token")
            await_true(lambda: len(server.asked("trade")) >= 2)
            assert agent.end() == 0

        assert web.asked == []


def test_it_goes_on_alone_and_tells_everything_when_the_server_is_back(tmp_path: Path) -> None:
    server = StandIn()
    with target() as web, serving(server) as url:
        checks = [server.offer(interval=3, url=web.url(f"/{number}")) for number in range(3)]
        with running_agent(tmp_path, url, server.token) as agent:
            await_true(lambda: len(results(server, "trade")) == 3)
            probed = len(web.asked)
            _stop_serving(server)
            await_true(lambda: len(web.asked) >= probed + 9)
            _serve_again(server)
            agent.await_log("all that waited has arrived")
            time.sleep(3)
            assert agent.end() == 0

    told = [(row["check_id"], row["due_at"]) for row in results(server, "trade", "late")]
    for offered in checks:
        mine = sorted({due for check, due in told if check == offered.turn.check_id.hex})
        # The stand-in offers a check once, so that slots may have passed before it was alone.
        assert (mine[1] - mine[0]) % 3_000_000 == 0
        assert len(mine) >= 4
        assert {after - before for before, after in pairwise(mine[1:])} == {3_000_000}
    assert agent.log.count("the server is away (") == 1
    assert "3 checks go on here" in agent.log


def _stop_serving(server: StandIn) -> None:
    server.misbehave = lambda _call: (503, {}, b"")


def _serve_again(server: StandIn) -> None:
    server.misbehave = None


FAILED, NOT_MEASURED = (Verdict.FAILURE, "status_mismatch"), (Verdict.UNKNOWN, "region_sick")


@pytest.mark.parametrize(
    ("stops", "has_control", "told"),
    [
        ("leaving the network", False, NOT_MEASURED),
        ("leaving the network", True, FAILED),
        ("saying 503", False, FAILED),
    ],
)
def test_what_fails_while_the_server_cannot_be_reached_is_no_downtime_unless_a_control_answers(
    tmp_path: Path, stops: str, has_control: bool, told: tuple[Verdict, str]
) -> None:
    server, port = StandIn(), free_port()

    def broken(link, asked: bytes) -> None:
        is_well = asked.startswith(b"HEAD")  # as controls are asked
        link.sendall(HELLO if is_well else b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def probes() -> int:
        return sum(asked.startswith(b"GET") for asked in web.asked)

    with serving_web(broken) as web, ExitStack() as served:
        url = served.enter_context(serving(server, port=port))
        options = ("--control", web.url()) if has_control else ()
        with running_agent(tmp_path, url, server.token, *options) as agent:
            server.offer(interval=3, url=web.url())
            await_true(lambda: results(server, "trade") != [])
            if stops == "saying 503":
                _stop_serving(server)
            else:
                served.close()
            agent.await_log("the server is away")
            before = probes()
            await_true(lambda: probes() >= before + 4)
            _serve_again(server)
            if stops != "saying 503":
                served.enter_context(serving(server, port=port))
            agent.await_log("all that waited has arrived")
            assert agent.end() == 0

    seen = {row["due_at"]: (row["verdict"], row["error_code"]) for row in results(server, "trade", "late")}
    in_order = [seen[due_at] for due_at in sorted(seen)]
    assert in_order[0] == FAILED
    # The first one afterwards may be judged by a look just before the server went, the last one by its return.
    assert set(in_order[before + 1 : before + 3]) == {told}


def test_what_fails_counts_while_the_server_answers_though_it_takes_no_new_connection(tmp_path: Path) -> None:
    server = StandIn()
    broken = saying(answer(500))
    with serving_web(broken) as web, serving(server) as url, running_agent(tmp_path, url, server.token) as agent:
        agent.await_log("connected")
        await_true(lambda: server.asked("trade") != [])
        server.shut_the_door()
        for count in (1, 2):
            server.offer(url=web.url())
            await_true(lambda count=count: len(results(server, "trade")) == count)
        assert agent.end() == 0

    assert {(row["verdict"], row["error_code"]) for row in results(server, "trade")} == {FAILED}
    assert agent.log.count("no new connection to the server") == 1
    assert "the server is away" not in agent.log


def test_what_was_kept_survives_kill_9_and_arrives_after_a_restart(tmp_path: Path) -> None:
    server = StandIn()
    with target() as web, serving(server) as url, running_agent(tmp_path, url, server.token) as agent:
        server.offer(interval=1, url=web.url())
        await_true(lambda: len(results(server, "trade")) >= 1)
        _stop_serving(server)
        probed = len(web.asked)
        await_true(lambda: len(web.asked) >= probed + 5)
        agent.end(signal.SIGKILL)
        seen = len(web.asked)
        agent.start()
        agent.await_log("the server is away: the server answered 503")
        time.sleep(2)
        assert len(web.asked) == seen  # no orders, so nothing is probed
        _serve_again(server)
        agent.await_log("all that waited has arrived")
        agent.end()

    late = [row["due_at"] for row in results(server, "late")]
    # What was under way in the last beat may be gone with the process.
    assert len(late) >= 3
    assert late == sorted(set(late))


def test_a_wrong_clock_makes_no_wrong_history(tmp_path: Path) -> None:
    server = StandIn()
    server.ahead = timedelta(hours=-5)
    with target() as web, serving(server) as url:
        server.offer(due_in=6, url=web.url())
        with running_agent(tmp_path, url, server.token):
            await_true(lambda: results(server, "trade") != [])

    (result,) = results(server, "trade")
    assert abs(result["started_at"] - result["due_at"]) < 3_600_000_000  # not five hours, as slow as a machine may be


def test_turns_under_way_are_given_back_at_the_end(tmp_path: Path) -> None:
    server = StandIn()
    with serving_web(lambda link, _asked: web.stopped.wait(60) and None) as web, serving(server) as url:
        offered = server.offer(timeout_seconds=60, url=web.url())
        with running_agent(tmp_path, url, server.token) as agent:
            await_true(lambda: web.asked != [])
            began = time.monotonic()
            assert agent.end() == 0
            took = time.monotonic() - began

    given_back = [held for fields in server.asked("leases") for held in fields["give_back"]]
    assert [held[0] for held in given_back] == [offered.turn.check_id.hex]
    assert took < 30  # the target would have held it for sixty


def test_a_sign_of_life_tells_how_much_waits(tmp_path: Path) -> None:
    server = StandIn()
    with serving(server) as url, running_agent(tmp_path, url, server.token):
        await_true(lambda: len(server.asked("health")) >= 1)

    said = server.asked("health")[0]
    assert {"http", "tcp"} < set(said.pop("kinds"))
    # That it has an allow-list, and not what stands there: nobody has let it.
    assert said == {"failed_controls": [], "buffered": 0, "lost": 0, "late_ms": 0, "limited": True, "allow": None}


def test_a_refused_token_ends_it(tmp_path: Path) -> None:
    server = StandIn()
    server.misbehave = lambda _call: (401, {}, json.dumps({"code": "token_revoked"}).encode())
    with serving(server) as url, running_agent(tmp_path, url, server.token) as agent:
        assert agent.process is not None
        assert agent.process.wait(timeout=180) == 3

        assert "stopping: the token has been revoked" in agent.log


def test_wrong_options_end_it_with_one_line(tmp_path: Path) -> None:
    token = AgentToken(UUID(int=1), "s" * 43, b"k" * 32)
    (tmp_path / "token").write_text(str(token))
    shared = ["--token-file", str(tmp_path / "token"), "--state-dir", str(tmp_path / "state")]

    def run(*options: str) -> tuple[int, str]:
        done = subprocess.run([AGENT, *shared, *options], capture_output=True, text=True, timeout=300, env={})
        return done.returncode, done.stderr

    assert run() == (
        2,
        "obsera-agent: --server is missing: give the address of Obsera, or set OBSERA_AGENT_SERVER.\n",
    )
    (tmp_path / "state").write_text("a file")
    status, said = run("--server", "https://obsera.example")
    assert (status, said.startswith("obsera-agent: --state-dir:")) == (2, True)
