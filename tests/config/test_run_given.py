"""What a start is given, by the environment or by files: it never begins a database beside the one that was meant."""

import subprocess
import sys
from pathlib import Path

import pytest

from config import env
from config.run import front_door, mail_port, serve
from config.run.errors import RunError
from config.run.given import given
from config.run.paths import PROJECT, var_folder
from config.run.roles import RoleNames
from config.run.services import plan_for_tests, product_plan, secret_key
from config.run.share import SHARED, check_shared

Monkey = pytest.MonkeyPatch


@pytest.fixture
def kept(monkeypatch: Monkey, tmp_path: Path) -> Path:
    """A folder whose files hold what is given by NAME_FILE; by NAME nothing is."""
    monkeypatch.setenv("OBSERA_VAR", str(tmp_path / "var"))
    for name in (*SHARED, "DATABASE_OWNER_URL", "TEST_DATABASE_URL", "EXAMPLE_SERVICE", "PROBE_REGION"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    return tmp_path


def keep(folder: Path, monkeypatch: Monkey, **values: str) -> None:
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n", encoding="utf-8")
        monkeypatch.setenv(f"{name}_FILE", str(folder / name))


def test_value_comes_before_its_file_and_an_empty_one_is_none(kept: Path, monkeypatch: Monkey) -> None:
    found = [given("REDIS_URL")]
    keep(kept, monkeypatch, REDIS_URL="redis://file/0")
    for value in ("", "redis://value/0"):
        monkeypatch.setenv("REDIS_URL", value)
        found.append(given("REDIS_URL"))

    assert found == ["", "redis://file/0", "redis://value/0"]


def test_product_uses_the_services_that_files_name(kept: Path, monkeypatch: Monkey) -> None:
    keep(kept, monkeypatch, DATABASE_URL="postgresql://app@a/b", DATABASE_OWNER_URL="postgresql://owner@a/b")
    keep(kept, monkeypatch, REDIS_URL="redis://a/0")

    plans = [product_plan(), plan_for_tests()]

    wanted = ("postgresql://app@a/b", "postgresql://owner@a/b", "redis://a/0")
    assert [(plan.database_url, plan.owner_url, plan.redis_url) for plan in plans] == [wanted, wanted]
    assert serve.wants_example() is False


def test_secret_of_a_file_is_the_one_that_the_settings_read_and_none_is_made(kept: Path, monkeypatch: Monkey) -> None:
    keep(kept, monkeypatch, SECRET_KEY="of the installation")

    assert [secret_key(), env.text("SECRET_KEY")] == ["of the installation"] * 2
    assert not (kept / "var").exists()


def test_region_ports_roles_and_folder_come_from_files_too(kept: Path, monkeypatch: Monkey) -> None:
    for name in ("PORT", "PING_MAIL_DOMAIN", "DB_APP_ROLE", "OBSERA_VAR"):
        monkeypatch.delenv(name, raising=False)
    keep(kept, monkeypatch, PROBE_REGION="eu", PORT="8123", PING_MAIL_DOMAIN="ping.example", DB_APP_ROLE="plain")
    keep(kept, monkeypatch, OBSERA_VAR=str(kept / "elsewhere"))

    probes = serve._workers({})[0].argv

    assert probes[probes.index("--queues") + 1] == "probes-eu"
    assert (front_door.chosen_port(), mail_port.is_wanted(), var_folder()) == (8123, True, kept / "elsewhere")
    assert (RoleNames.from_environment().app, RoleNames.from_environment().owner) == ("plain", "obsera_owner")


def test_share_without_web_takes_files(kept: Path, monkeypatch: Monkey) -> None:
    keep(kept, monkeypatch, DATABASE_URL="postgresql://app@a/b", REDIS_URL="redis://a/0", SECRET_KEY="kept")

    check_shared()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "which cannot be read: No such file or directory."),
        (b"\xff\xfe", "which cannot be read: it is not text."),
        (b" \n", "which is empty."),
    ],
)
def test_file_without_a_value_stops_the_start_and_names_the_setting(
    content: bytes | None, problem: str, kept: Path, monkeypatch: Monkey
) -> None:
    file = kept / "database"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("DATABASE_URL_FILE", str(file))

    with pytest.raises(RunError) as caught:
        product_plan()

    assert caught.value.problem == f"DATABASE_URL_FILE names {file}, {problem}"
    assert caught.value.mend.endswith("or unset DATABASE_URL_FILE")


def test_reader_needs_no_package() -> None:
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import config.run.given, config.run.share"

    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")
