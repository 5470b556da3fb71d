"""An agent whose server dies, whose network is cut and that is killed itself; then count what arrived.

    make bench-agent-faults                                        about three minutes
    make bench-agent-faults ARGS="--minutes 30 --checks 1000"      each cut a quarter of that
    make bench-agent-faults ARGS="--minutes 30 --checks 10000 --once"      one cut, of half an hour, at 1,000 checks a second

Counted from the results' own turns: turns lost, results stored twice, outages opened for what was over when the server came
back, and how many results the agent brought late. While the agent is dead, and until the server gives it new orders, nobody
probes: those turns are counted apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench._gate import Gate, Wire
from bench._product import PROJECT, Product, kill_tree, running_product, tree_seconds
from bench._target import SwitchedTarget, switched_target

SETUP = """
from apps.checks.domain.agents import create_agent
from apps.checks.domain.checks import Timing, create_check
from apps.checks.models import Check, CheckState, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.ids import uuid7
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from datetime import timedelta
from django.db import transaction
tenant = Tenant.objects.order_by("created_at").first()
with tenant_scope(tenant.id), transaction.atomic():
    for check in Check.objects.all():
        check.delete()
    agent, token = create_agent(name="bench")
    timing = Timing(interval_seconds={interval}, timeout_seconds=5, retries=0, regions=(agent.region_id,))
    config = parse_config(CHECK_TYPES.get("http").Config, {{"url": "{target}/0"}})
    model = create_check(name="c0", kind="http", config=config, timing=timing)
    Turn.objects.filter(watched=model).delete()
    made = [model] + [
        Check(**{{**{{f.attname: getattr(model, f.attname) for f in Check._meta.concrete_fields}}, "id": uuid7(),
                "name": f"c{{n}}", "config": {{**model.config, "url": f"{target}/{{n}}"}}}})
        for n in range(1, {checks})
    ]
    Check.objects.bulk_create(made[1:], batch_size=1_000)
    CheckState.objects.bulk_create([CheckState(watched=check) for check in made[1:]], batch_size=1_000)
    CheckState.objects.all().update(state="up")
    start = clock.now() + timedelta(seconds=5)
    due = [start + timedelta(seconds={interval} * n / {checks}) for n in range({checks})]
    Turn.objects.bulk_create(
        [Turn(watched=check, region_id=agent.region_id, due_at=at, claimable_at=at, opinion=1)
         for check, at in zip(made, due)], batch_size=1_000,
    )
print(token)
"""
HTTP = "check_id IN (SELECT id FROM checks_check WHERE kind = 'http')"
KNOWN = f"SELECT count(DISTINCT check_id) FROM checks_result WHERE {HTTP}"
# Each turn that is missing between two that are there, with the moment it was due.
LOST = f"""
SELECT before + step * n FROM (
    SELECT due_at, lag(due_at) OVER (PARTITION BY check_id ORDER BY due_at) AS before, %(step)s::interval AS step
    FROM checks_result WHERE {HTTP}
) AS turns CROSS JOIN LATERAL generate_series(
    1, round(extract(epoch FROM due_at - before) / extract(epoch FROM step))::int - 1) AS n
WHERE due_at - before > step * 1.5
"""
TWICE = f"""
SELECT coalesce(sum(extra), 0) FROM (
    SELECT count(*) FILTER (WHERE due_at - before < %(step)s::interval * 0.5) AS extra FROM (
        SELECT due_at, lag(due_at) OVER (PARTITION BY check_id ORDER BY due_at) AS before FROM checks_result WHERE {HTTP}
    ) AS turns
) AS counted
"""
# The check of the agent's own silence is rightly down after a longer one.
OUTAGES = f"SELECT count(*) FILTER (WHERE {HTTP}), count(*) FILTER (WHERE NOT {HTTP}) FROM incidents_outage"
DOWN_FLIPS = f"SELECT count(*) FROM checks_flip WHERE after = 'down' AND {HTTP}"
ON_TIME = f"""
SELECT count(*), count(*) FILTER (WHERE verdict = 0), percentile_cont(0.99) WITHIN GROUP (
    ORDER BY extract(epoch FROM started_at - due_at) * 1000)
FROM checks_result WHERE {HTTP}
"""


@dataclass
class Agent:
    """The agent's process."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            *(PROJECT / "bin" / "obsera-agent", "--server", f"http://127.0.0.1:{self.port}"),
            *("--token-file", self.folder / "token", "--state-dir", self.folder / "state", "--allow", "127.0.0.1"),
        ]
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def end(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=30)

    @property
    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    def await_said(self, text: str, times: int, *, seconds: float = 300) -> float:
        """Wait until the log says it so often, and return how long that took."""
        began = time.monotonic()
        while self.log.count(text) < times:
            if time.monotonic() - began > seconds:
                raise SystemExit(f"the agent does not say “{text}”:\n{self.log[-3_000:]}")
            time.sleep(0.1)
        return time.monotonic() - began


@dataclass
class Seen:
    """What happened when."""

    blind: list[tuple[datetime, datetime]] = field(default_factory=list)  # nobody was there to probe
    problems: list[str] = field(default_factory=list)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=300)
    options.add_argument("--interval", type=int, default=10)
    options.add_argument("--minutes", type=float, default=3.0)
    options.add_argument("--once", action="store_true", help="one cut as long as --minutes, and nobody is killed")
    chosen = options.parse_args()
    cut_seconds = max(3 * chosen.interval, chosen.minutes * 60 / (1 if chosen.once else 4))
    with switched_target() as target, running_product() as product, tempfile.TemporaryDirectory() as folder:
        setup = SETUP.format(interval=chosen.interval, checks=chosen.checks, target=target.url)
        (Path(folder) / "token").write_text(product.python(setup).strip())
        (Path(folder) / "token").chmod(0o600)
        with Gate(product.port) as gate:
            agent, seen = Agent(Path(folder), gate.port), Seen()
            agent.start()
            try:
                agent.await_said("connected", 1)
                _await_orders(product, chosen.checks)
                time.sleep(2 * chosen.interval)
                _break_things(product, target, gate, agent, seen, cut_seconds, chosen)
                _prove_judging(product, target, seen, chosen.interval)
                _tell_cost(agent, product, chosen.checks, chosen.interval)
            finally:
                agent.end(signal.SIGTERM)
            time.sleep(1)
            _count(product, target, seen, chosen.interval)
            print(f"\nthe agent's log:\n{agent.log}")
    print(
        "\n".join(["", *seen.problems]) if seen.problems else "\nnothing lost, nothing twice, nobody paged for the past"
    )
    return 1 if seen.problems else 0


def _await_orders(product: Product, checks: int) -> None:
    """Wait until each check has had a result: what the agent was never told of it cannot go on with."""
    deadline = time.monotonic() + 120
    with product.database() as database:
        while (known := int((database.execute(KNOWN).fetchone() or (0,))[0])) < checks:
            if time.monotonic() > deadline:
                raise SystemExit(f"after two minutes {known} of {checks} checks have a result")
            time.sleep(1)


def _break_things(
    product: Product,
    target: SwitchedTarget,
    gate: Gate,
    agent: Agent,
    seen: Seen,
    seconds: float,
    chosen: argparse.Namespace,
) -> None:
    """Kill the server, hang the network, cut it, and cut it once more with the agent killed meanwhile."""
    for _kill in range(0 if chosen.once else 2):
        kill_tree(product.parts()["web"])
        print("the server's web process is killed (-9)", flush=True)
        time.sleep(1.5 * chosen.interval)
    for wire in (Wire.CUT,) if chosen.once else (Wire.SILENT, Wire.CUT):
        gate.set(wire)
        print(f"the network is gone for {seconds:.0f} s (connections are {wire.value})", flush=True)
        _fail_meanwhile(target, chosen.checks, seconds)
        print(f"the agent's disk in use: {_disk(agent.folder):,} bytes", flush=True)
        gate.set(Wire.WHOLE)
        _back(agent, seconds)
    if chosen.once:
        time.sleep(2 * chosen.interval)
        return
    gate.set(Wire.CUT)
    print(f"the network is cut for {seconds:.0f} s, in the middle the agent is killed (-9)", flush=True)
    _fail_meanwhile(target, chosen.checks, seconds / 2)
    agent.end(signal.SIGKILL)
    killed_at = datetime.now(UTC)
    agent.start()
    time.sleep(seconds / 2)
    gate.set(Wire.WHOLE)
    _back(agent, seconds)
    # With a killed agent goes what it saw in its last beat; orders come back with the first turn after the cut.
    beat, orders = timedelta(seconds=1.5), timedelta(seconds=chosen.interval)
    seen.blind.append((killed_at - beat, datetime.now(UTC) + orders))
    time.sleep(2 * chosen.interval)


def _fail_meanwhile(target: SwitchedTarget, checks: int, seconds: float) -> None:
    """Break every tenth target, and mend it well before the time is over."""
    time.sleep(seconds * 0.2)
    for number in range(0, checks, 10):
        target.break_path(f"/{number}")
    time.sleep(seconds * 0.4)
    target.mend_all()
    time.sleep(seconds * 0.4)


def _back(agent: Agent, cut_seconds: float) -> None:
    times = agent.log.count("all that waited has arrived") + 1
    took = agent.await_said("all that waited has arrived", times, seconds=300 + cut_seconds)
    said = agent.log.rsplit("all that waited has arrived: ", 1)[1].split("\n", 1)[0]
    print(f"the network is back; after {took:.1f} s all that waited has arrived ({said})", flush=True)


def _prove_judging(product: Product, target: SwitchedTarget, seen: Seen, interval: int) -> None:
    """Count outages so far, which are all for the past; then see that a present one is still noticed."""
    with product.database() as database:
        past, silences = database.execute(OUTAGES).fetchone() or (0, 0)
        flips = int((database.execute(DOWN_FLIPS).fetchone() or (0,))[0])
    print(
        f"\noutages opened for what was over: {past}, flips to down: {flips}; for the agent's own silence: {silences}"
    )
    if past or flips:
        seen.problems.append(f"outages for the past: {past}, flips to down: {flips}")
    for number in range(10):
        target.break_path(f"/{number}")
    deadline, opened = time.monotonic() + 3 * interval, 0
    while opened < 10 and time.monotonic() < deadline:
        time.sleep(0.5)
        with product.database() as database:
            opened = int((database.execute(OUTAGES).fetchone() or (0,))[0]) - past
    print(f"outages opened for 10 targets that are broken now: {opened}")
    if opened != 10:
        seen.problems.append(f"outages opened for 10 broken targets: {opened}")
    target.mend_all()


def _tell_cost(agent: Agent, product: Product, checks: int, interval: int) -> None:
    assert agent.process is not None
    pid = agent.process.pid
    before, web = tree_seconds(pid), product.cpu_seconds().get("web", 0.0)
    seconds = 2 * interval
    time.sleep(seconds)
    probes = checks * seconds / interval
    used, web = tree_seconds(pid) - before, product.cpu_seconds().get("web", 0.0) - web
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1_048_576
    print(f"CPU-seconds per 1,000 checks: agent {used * 1_000 / probes:.2f}, web {web * 1_000 / probes:.2f}")
    print(f"the agent's memory: {resident:.0f} MiB; disk left in use: {_disk(agent.folder):,} bytes")


def _disk(folder: Path) -> int:
    return sum(os.path.getsize(path) for path in (folder / "state").rglob("*") if path.is_file())


def _count(product: Product, target: SwitchedTarget, seen: Seen, interval: int) -> None:
    step = {"step": f"{interval} seconds"}
    with product.database() as database:
        lost = [row[0] for row in database.execute(LOST, step).fetchall()]
        twice = int((database.execute(TWICE, step).fetchone() or (0,))[0])
        results, failures, p99 = database.execute(ON_TIME).fetchone() or (0, 0, 0.0)
        dropped = int((database.execute("SELECT sum(dropped) FROM checks_agent").fetchone() or (0,))[0])
    blind = [at for at in lost if any(begin <= at <= end for begin, end in seen.blind)]
    print(f"results {results} ({failures} failures), probes that reached the target {target.hits}, refused {dropped}")
    print(f"turns lost {len(lost) - len(blind)}; while nobody was there to probe {len(blind)}; stored twice {twice}")
    print(f"started late: p99 {p99:.0f} ms")
    if len(lost) > len(blind):
        seen.problems.append(f"turns lost: {sorted(at.isoformat() for at in set(lost) - set(blind))[:20]}")
    if twice:
        seen.problems.append(f"results stored twice: {twice}")
    if dropped:
        seen.problems.append(f"results refused by the server: {dropped}")


if __name__ == "__main__":
    sys.exit(main())
