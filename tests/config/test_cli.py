"""`obsera` as people run it: a process of its own against the served product."""

import json
import os
import sqlite3
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from apps.checks.domain.settings import config_of
from apps.checks.models import Check
from apps.core.documents import read_document
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from config.cli.api import problem
from config.cli.filling import filled
from tests.factories.api import make_api
from tests.peers.process import free_port
from tests.served import serving_product

OBSERA = Path(__file__).resolve().parents[2] / "bin" / "obsera"
YAML = """\
apiVersion: obsera/v1
managedBy: repo
checks:
  - key: shop
    name: Shop
    kind: http
    config:
      url: https://shop.example/health
      headers: {Authorization: "Bearer ${SECRET:SHOP_TOKEN}"}
  - key: blog
    name: Blog
    kind: http
    config: {url: https://blog.example/}
"""


class Shell:
    """Runs `obsera` with a home of its own."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url

    def run(self, *arguments: str, given: str = "", env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        done = subprocess.run(
            [OBSERA, *arguments],
            input=given,
            capture_output=True,
            text=True,
            cwd=self.home,
            timeout=300,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **(env or {})},
        )
        return done.returncode, done.stdout, done.stderr

    def ok(self, *arguments: str, given: str = "", env: Mapping[str, str] | None = None) -> str:
        status, said, complaint = self.run(*arguments, given=given, env=env)
        assert (status, complaint) == (0, "")
        return said

    @property
    def credentials(self) -> Path:
        return self.home / ".config" / "obsera" / "credentials.json"


@pytest.fixture
def shell(transactional_db: None, tmp_path: Path) -> Iterator[Shell]:
    with serving_product() as url:
        yield Shell(tmp_path, url)


@pytest.fixture
def signed_in(shell: Shell, acme: Tenant) -> Shell:
    shell.ok("login", "--url", shell.url, given=make_api(acme, Role.EDITOR).key + "\n")
    (shell.home / "checks.yaml").write_text(YAML)
    return shell


def config_named(tenant: Tenant, key: str) -> Any:
    with tenant_scope(tenant.id):
        return config_of(Check.objects.get(key=key))


def test_login_keeps_the_key_for_its_owner_only(shell: Shell, acme: Tenant) -> None:
    key = make_api(acme).key

    shell.ok("login", "--url", f"{shell.url}/", given=key)

    assert json.loads(shell.credentials.read_text()) == {"url": shell.url, "key": key}
    assert stat.S_IMODE(shell.credentials.stat().st_mode) == 0o600
    assert stat.S_IMODE(shell.credentials.parent.stat().st_mode) == 0o700


def test_wrong_key_is_not_kept(shell: Shell) -> None:
    status, _said, complaint = shell.run("login", "--url", shell.url, given="obs_live_nonsense\n")

    assert (status, complaint) == (1, "This API key is unknown, expired or revoked.\n")
    assert not shell.credentials.exists()


def test_key_that_others_can_read_is_not_used(signed_in: Shell) -> None:
    signed_in.credentials.chmod(0o644)

    status, _said, complaint = signed_in.run("checks", "list")

    assert (status, "chmod 600" in complaint) == (1, True)


def test_apply_shows_the_plan_and_does_it(signed_in: Shell, acme: Tenant) -> None:
    secret = {"SHOP_TOKEN": 'new"} , evil: "{x}'}

    dry = signed_in.ok("apply", "-f", "checks.yaml", "--dry-run", env=secret)
    nothing = signed_in.ok("checks", "list")
    done = signed_in.ok("apply", "-f", "checks.yaml", env={"SHOP_TOKEN": "topsecret"})
    again = signed_in.ok(
        "apply", "-f", "-", given=YAML.replace("name: Blog", "name: News"), env={"SHOP_TOKEN": "topsecret"}
    )

    created = "+ create shop (Shop, http)\n+ create blog (Blog, http)\n2 create, 0 update, 0 unchanged, 0 prune"
    assert dry == f"{created} (dry run: nothing was done)\n"
    assert done == f"{created}\n"
    assert nothing == ""
    assert again == '~ update blog (News, http)\n    name: "Blog" -> "News"\n0 create, 1 update, 1 unchanged, 0 prune\n'
    assert config_named(acme, "shop").headers == {"Authorization": "Bearer topsecret"}


def test_refusal_of_a_setting_names_its_place() -> None:
    told = json.dumps({"errors": {"config": {"members": ["Too deep."]}, "__all__": ["Too many."]}}).encode()

    assert problem(409, told) == "config.members: Too deep.\nToo many."


def test_missing_secret_names_its_place(signed_in: Shell) -> None:
    status, said, complaint = signed_in.run("apply", "-f", "checks.yaml")

    assert (status, said) == (1, "")
    assert complaint.startswith(
        "checks[0].config.headers.Authorization: Nothing is stored for Bearer ${SECRET:SHOP_TOKEN}"
    )


def test_prune_deletes_what_left_the_file(signed_in: Shell, acme: Tenant) -> None:
    signed_in.ok("apply", "-f", "checks.yaml", env={"SHOP_TOKEN": "x"})
    (signed_in.home / "shorter.yaml").write_text(YAML[: YAML.index("  - key: blog")])

    said = signed_in.ok("apply", "-f", "shorter.yaml", "--prune", "repo", env={"SHOP_TOKEN": "x"})

    assert said == "- prune blog (Blog, http)\n0 create, 0 update, 1 unchanged, 1 prune\n"
    assert [line.split()[2] for line in signed_in.ok("checks", "list").splitlines()] == ["Shop"]


def test_export_can_be_applied_again(signed_in: Shell) -> None:
    signed_in.ok("apply", "-f", "checks.yaml", env={"SHOP_TOKEN": "topsecret"})

    signed_in.ok("export", "-o", "exported.yaml")
    said = signed_in.ok("apply", "-f", "exported.yaml")

    exported = (signed_in.home / "exported.yaml").read_bytes()
    assert b"topsecret" not in exported
    assert [check["key"] for check in read_document(exported)["checks"]] == ["shop", "blog"]
    assert said == "0 create, 0 update, 2 unchanged, 0 prune\n"


def test_list_reads_every_page(signed_in: Shell, acme: Tenant) -> None:
    checks = [
        {"name": f"Check {number:03}", "kind": "http", "config": {"url": f"https://a.example/{number}"}}
        for number in range(205)
    ]
    signed_in.ok("apply", "-f", "-", given=json.dumps({"apiVersion": "obsera/v1", "checks": checks}))

    listed = json.loads(signed_in.ok("checks", "list", "--json"))

    assert sorted(check["name"] for check in listed) == [check["name"] for check in checks]


def test_kumas_database_is_cut_down_before_it_is_sent(signed_in: Shell, acme: Tenant) -> None:
    with closing(sqlite3.connect(signed_in.home / "kuma.db")) as database:
        database.executescript(
            """
            CREATE TABLE monitor (id INTEGER, name TEXT, type TEXT, url TEXT, interval INTEGER, active BOOLEAN,
              accepted_statuscodes_json TEXT);
            CREATE TABLE tag (id INTEGER, name TEXT); CREATE TABLE monitor_tag (monitor_id INTEGER, tag_id INTEGER, value TEXT);
            CREATE TABLE heartbeat (msg TEXT);
            INSERT INTO monitor VALUES (1, 'Shop', 'http', 'https://shop.example/', 60, 1, '["200-299"]');
            INSERT INTO monitor VALUES (2, 'Game', 'steam', NULL, 60, 1, '[]');
            INSERT INTO tag VALUES (1, 'prod'); INSERT INTO monitor_tag VALUES (1, 1, '');
            """
        )
        database.execute("INSERT INTO heartbeat VALUES (?)", ["x" * 40_000_000])
        database.commit()

    said = signed_in.ok("import", "uptime-kuma", "kuma.db")

    assert said.splitlines()[:3] == [
        "+ create kuma-1 (Shop, http)",
        "1 create, 0 update, 0 unchanged, 0 prune",
        "! not carried: Game, monitorList[1]: Nothing here is like its type “steam”.",
    ]
    with tenant_scope(acme.id):
        assert Check.objects.get().tags == ["prod"]


def test_several_files_are_read_as_one(signed_in: Shell) -> None:
    (signed_in.home / "blackbox.yml").write_text("modules: {web: {prober: http, timeout: 3s}}\n")
    (signed_in.home / "targets.json").write_text('[{"targets": ["https://a.example/"]}]')

    said = signed_in.ok("import", "blackbox", "blackbox.yml", "targets.json", "--dry-run")

    assert said.startswith("+ create blackbox-httpsaexample (https://a.example/, http)\n")
    assert signed_in.ok("checks", "list") == ""


def test_several_answers_of_one_check_each_are_brought_at_once(signed_in: Shell) -> None:
    for name in ("shop", "blog"):
        check = {"id": len(name) + ord(name[0]), "name": name, "hostname": f"{name}.example", "type": "http"}
        (signed_in.home / f"{name}.json").write_text(json.dumps({"check": check}))

    said = signed_in.ok("import", "pingdom", "shop.json", "blog.json", "--dry-run")

    assert "2 create, 0 update, 0 unchanged, 0 prune" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["apply", "-f", "missing.yaml"], "missing.yaml cannot be read"),
        (["import", "telepathy", "checks.yaml"], "telepathy"),
        (["import", "gatus", "checks.yaml"], "Expected a configuration with “endpoints”."),
        (["apply", "-f", "checks.yaml", "--prune", "other"], "managedBy: "),
    ],
)
def test_fault_is_one_line_and_a_status(signed_in: Shell, arguments: list[str], words: str) -> None:
    status, said, complaint = signed_in.run(*arguments)

    assert (status, said) == (1, "")
    assert words in complaint
    assert "Traceback" not in complaint


def test_nobody_signed_in_and_nobody_there(tmp_path: Path) -> None:
    shell = Shell(tmp_path, f"http://127.0.0.1:{free_port()}")

    assert shell.run("export")[2].startswith("Nobody has signed in.")
    told = shell.run("export", env={"OBSERA_URL": shell.url, "OBSERA_API_KEY": "x"})
    assert (told[0], "does not answer" in told[2]) == (1, True)


@pytest.mark.parametrize(
    "text",
    [
        "a: ${SECRET:X}\nb: 1\n",
        "a: 'pre ${SECRET:X} post'\nb: 1\n",
        "b: 1\na: |\n  ${SECRET:X}\n",
        '{a: &n "${SECRET:X}", b: 1, c: *n}',
        '{"a": "${SECRET:X}", "b": 1, "e": "\\ud83d\\ude00"}',
    ],
)
def test_secret_never_changes_the_documents_shape(text: str) -> None:
    hostile = "\"'}: [\n- ü😀 \\"

    read = read_document(filled(text, {"X": hostile}).encode())

    assert (hostile in read["a"], read["b"]) == (True, 1)
    assert filled(text, {"Y": hostile}) == text
