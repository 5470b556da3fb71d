"""Where code looks past one tenant, and why it may."""

import re
from pathlib import Path

import pytest

from tests.contracts.conftest import ROOT

WORDS = re.compile(r"\bunscoped\b|\bsystem_scope\(")
DECLARATION = re.compile(r"^\s*unscoped(: \S.*)? = UnscopedManager", re.MULTILINE)
ALLOWED = {
    "core/tenancy.py": "defines both words",
    "alerting/domain/reminding.py": "one sweep serves every tenant's silences and reminders",
    "alerting/domain/straightening.py": "one sweep serves every tenant's reminders",
    "checks/domain/agents.py": "a token says itself whose agent it is",
    "checks/domain/flapping.py": "one job looks at every tenant's flapping checks",
    "checks/domain/grouping.py": "one sweep serves every tenant's groups",
    "checks/domain/flips.py": "a batch's flips belong to many tenants",
    "checks/domain/held_results.py": "a prober's batch holds results of many tenants",
    "checks/domain/judging.py": "a batch's checks belong to many tenants",
    "checks/domain/heartbeat_sweep.py": "one sweep serves every tenant's heartbeats",
    "checks/domain/ping_lookups.py": "an address says itself whose it is",
    "checks/domain/ping_pruning.py": "one broom sweeps every tenant's old pings",
    "checks/domain/pings.py": "a batch of pings is for many tenants",
    "checks/domain/learning.py": "one job learns for every tenant's checks",
    "checks/domain/looking_back.py": "late results of every tenant are looked at together",
    "checks/domain/regions.py": "regions serve every tenant",
    "checks/domain/results.py": "a prober's batch holds results of many tenants",
    "checks/domain/rollups.py": "results of all tenants are rolled up together",
    "checks/domain/turns.py": "probers serve every tenant",
    "checks/domain/partitions.py": "partitions hold the results of every tenant",
    "console/domain/customers.py": "the operator sees every organisation's plan",
    "console/domain/health.py": "the operator asks about all tenants at once",
    "events/domain/outbox.py": "one queue serves every tenant",
    "events/domain/schedule.py": "one look finds what any tenant has to do",
    "incidents/domain/maintenance_edges.py": "one job turns every tenant's windows",
    "notifications/domain/claiming.py": "one queue serves every tenant",
    "notifications/domain/retention.py": "one broom sweeps every tenant's old log",
    "statuspages/domain/lookup.py": "a public address does not say whose page it is",
    "tenants/domain/api_keys.py": "a key says itself which tenant it opens",
    "tenants/domain/invitations.py": "an invited person is in no tenant yet",
    "tenants/domain/memberships.py": "a person asks for their own memberships",
}


def crossings() -> dict[str, list[str]]:
    """Return the lines that use one of the words, by file; a model's declaration of the manager is none."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "apps").rglob("*.py")):
        text = DECLARATION.sub("", path.read_text())
        lines = [line.strip() for line in text.splitlines() if WORDS.search(line)]
        if lines:
            found[str(path.relative_to(ROOT / "apps"))] = lines
    return found


def test_only_listed_files_look_past_one_tenant() -> None:
    assert {name: lines for name, lines in crossings().items() if name not in ALLOWED} == {}


def test_doors_never_look_past_one_tenant() -> None:
    doors = {"views", "api", "tasks.py", "handlers.py", "consumers.py", "admin.py", "forms.py"}

    assert [name for name in crossings() if doors & set(Path(name).parts)] == []


@pytest.mark.parametrize("name", [name for name in ALLOWED if name != "core/tenancy.py"])
def test_every_system_scope_says_why(name: str) -> None:
    path = ROOT / "apps" / name
    text = path.read_text() if path.exists() else ""

    assert len(re.findall(r"\bsystem_scope\(", text)) == len(re.findall(r'\bsystem_scope\("[^"]{15,}"\)', text))
