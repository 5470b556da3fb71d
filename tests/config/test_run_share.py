"""A start that runs a share of the parts, and the containers that are made of such shares."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.checks.tasks import queue_of
from config.run import serve
from config.run.errors import RunError
from config.run.paths import PROJECT
from config.run.share import PARTS, SHARED, check_shared, chosen_parts
from config.run.supervisor import Supervisor


@pytest.mark.parametrize(
    ("named", "chosen"),
    [("", PARTS), ("probes", ("probes",)), ("deliveries, events", ("events", "deliveries")), ("web", ("web",))],
)
def test_parts_are_all_or_those_named(named: str, chosen: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTS", named)

    assert chosen_parts() == chosen


def test_unknown_part_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTS", "probes,probe")

    with pytest.raises(RunError) as caught:
        chosen_parts()

    assert caught.value.problem == "PARTS names probe, which is no part."
    assert caught.value.mend == "make run PARTS=web,probes,events,deliveries,scheduler,mail"


def test_share_without_web_makes_no_database_redis_or_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OBSERA_VAR", str(tmp_path))
    for name in SHARED:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)

    with pytest.raises(RunError, match="not given: DATABASE_URL, REDIS_URL, SECRET_KEY"):
        check_shared()

    monkeypatch.setenv("DATABASE_URL", "postgresql://obsera_app@database/obsera")
    monkeypatch.setenv("REDIS_URL", "redis://cache/0")
    (tmp_path / "secret-key").touch()  # an earlier start was cut short
    with pytest.raises(RunError, match="not given: SECRET_KEY"):
        check_shared()

    (tmp_path / "secret-key").write_text("kept by an earlier start")
    check_shared()


@pytest.mark.usefixtures("mail_is_off")
def test_share_with_nothing_to_do_says_what_is_missing(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SHARED:
        monkeypatch.setenv(name, "given")

    with pytest.raises(RunError, match="PING_MAIL_DOMAIN is not given"):
        serve._serve_share(supervisor, [], 8000, ["mail"])


@pytest.fixture
def mail_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PING_MAIL_DOMAIN", raising=False)


def test_only_the_named_workers_are_started() -> None:
    names = [part.name for part in serve._others({}, [], ("probes", "scheduler"))]

    assert names == ["probes", "scheduler"]


@pytest.mark.parametrize(("region", "queue"), [("", "probes"), ("main", "probes"), ("eu", "probes-eu")])
def test_prober_listens_for_its_own_region(region: str, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_REGION", region)

    (prober,) = serve._others({}, [], ("probes",))

    assert prober.argv[prober.argv.index("--queues") + 1] == queue == queue_of(region or "main")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((PROJECT / "docker" / "compose.yml").read_text(encoding="utf-8"))
    return composed["services"]  # type: ignore[no-any-return]


def test_containers_together_run_every_part_once(services: dict[str, Any]) -> None:
    shares = {name: each["environment"]["PARTS"].split(",") for name, each in services.items() if "build" in each}

    ran = [part for share in shares.values() for part in share]
    assert sorted(ran) == sorted(PARTS)
    # That one needs a domain and a port to the outside.
    assert [name for name, each in services.items() if "profiles" in each] == ["mail"]
    assert shares["checker"] == ["probes"]


def test_every_container_comes_back_by_itself(services: dict[str, Any]) -> None:
    assert {name: each["restart"] for name, each in services.items()} == dict.fromkeys(services, "unless-stopped")


def test_only_the_web_container_may_change_the_schema(services: dict[str, Any]) -> None:
    owners = [name for name, each in services.items() if "DATABASE_OWNER_URL" in each.get("environment", {})]

    assert owners == ["web"]
    assert all(each["cap_drop"] == ["ALL"] for each in services.values() if "build" in each)
