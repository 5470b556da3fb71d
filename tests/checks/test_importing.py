"""Exports of other products imported over the API: what is made once, and what is reported or refused."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from apps.checks.domain.settings import config_of
from apps.checks.enums import State
from apps.checks.models import Check, Turn
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_applying import Program, names, program

pytestmark = pytest.mark.django_db
__all__ = ["program"]
KUMA: dict[str, Any] = {
    "version": "1.23.16",
    "monitorList": [
        {"id": 1, "name": "Shop", "type": "http", "url": "https://shop.example/", "interval": 60},
        {"id": 2, "name": "Steam", "type": "steam", "hostname": "play.example", "port": 27015, "interval": 60},
    ],
}


def test_import_creates_once_and_reports(program: Program, acme: Tenant) -> None:
    body = json.dumps(KUMA).encode()

    dry = program.post("import/uptime_kuma?dry_run=1", body)
    assert names(acme) == []
    first, second = program.post("import/uptime_kuma", body), program.post("import/uptime_kuma", body)

    assert (dry[0], dry[1]["counts"]["create"], first[1]["counts"]["create"]) == (200, 1, 1)
    assert [(loss["name"], loss["is_whole"]) for loss in first[1]["losses"]] == [("Steam", True), ("", False)]
    assert second[1]["counts"]["create"] == 0
    assert second[1]["losses"][-1] == {
        "where": "kuma-1",
        "name": "Shop",
        "reason": "It is here already; it stays as it is.",
        "is_whole": True,
    }
    assert names(acme) == ["Shop"]


def test_databases_larger_than_documents_are_read(program: Program, acme: Tenant) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            """
            CREATE TABLE monitor (id INTEGER, name TEXT, type TEXT, url TEXT, active BOOLEAN);
            CREATE TABLE tag (id INTEGER, name TEXT); CREATE TABLE monitor_tag (monitor_id INTEGER, tag_id INTEGER, value TEXT);
            CREATE TABLE heartbeat (msg TEXT);
            INSERT INTO monitor VALUES (1, 'Shop', 'http', 'https://shop.example/', 1);
            """
        )
        database.execute("INSERT INTO heartbeat VALUES (?)", ["x" * 5_000_000])
        raw = database.serialize()

    status, said = program.post("import/uptime_kuma", raw)

    assert (status, said["counts"]["create"], names(acme)) == (200, 1, ["Shop"])
    assert program.post("import/uptime_kuma", raw + bytes(33_554_432))[0] == 400


def test_imported_heartbeats_wait_for_their_jobs(program: Program, acme: Tenant) -> None:
    export = {"checks": [{"name": "Backup", "slug": "backup", "timeout": 3_600, "grace": 600, "status": "paused"}]}
    export["checks"][0]["ping_url"] = "https://hc.example/31365bce-8da9-4729-8ff3-aaa71d56b712"

    status, said = program.post("import/healthchecks", json.dumps(export).encode())

    assert (status, said["counts"]["create"]) == (200, 1)
    with tenant_scope(acme.id):
        check = Check.objects.get(key="hc-backup")
        assert (config_of(check).period_seconds, config_of(check).grace_seconds) == (3_600, 600)
        assert check.checkstate.state == State.PAUSED
        assert check.heartbeat.token == "31365bce-8da9-4729-8ff3-aaa71d56b712"
        assert not Turn.objects.exists()


def test_import_of_an_unknown_source_and_of_nonsense(program: Program) -> None:
    assert program.post("import/telepathy", b"{}")[0] == 404
    status, problem = program.post("import/gatus", b"{}")
    assert (status, list(problem["errors"])) == (400, ["__all__"])


def test_files_stand_between_lines_of_the_senders_choice(program: Program, acme: Tenant) -> None:
    files = [
        {"monitorList": [{**KUMA["monitorList"][0], "id": number, "name": name}]}
        for number, name in ((1, "A"), (2, "B"))
    ]
    one, other = (json.dumps(file).encode() for file in files)

    status, said = program.post("import/uptime_kuma?divider=or-else", one + b"\nor-else\n" + other)

    assert (status, said["counts"]["create"], names(acme)) == (200, 2, ["A", "B"])
    refused = program.post("import/uptime_kuma?divider=x", b"\nx\n" * 1_000)
    assert (refused[0], refused[1]["errors"]) == (400, {"divider": ["Give at most 1000 files at once."]})


def test_database_may_hold_any_line(program: Program, acme: Tenant) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            """
            CREATE TABLE monitor (id INTEGER, name TEXT, type TEXT, url TEXT, description TEXT);
            CREATE TABLE tag (id INTEGER, name TEXT); CREATE TABLE monitor_tag (monitor_id INTEGER, tag_id INTEGER, value TEXT);
            """
        )
        database.execute("INSERT INTO monitor VALUES (1, 'Shop', 'http', 'https://shop.example/', ?)", ["a\n---\nb"])
        database.commit()
        raw = database.serialize()

    assert program.post("import/uptime_kuma", raw)[0] == 200
    assert names(acme) == ["Shop"]


def test_what_is_more_than_one_import_makes_comes_with_the_same_export_again(
    program: Program, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.checks.domain.importing.MAX_CHECKS", 2)
    monitors = [{**KUMA["monitorList"][0], "id": number, "name": name} for number, name in enumerate("ABC", 1)]
    raw = json.dumps({"monitorList": monitors}).encode()

    first, second = program.post("import/uptime_kuma", raw), program.post("import/uptime_kuma", raw)

    assert (first[1]["counts"]["create"], second[1]["counts"]["create"]) == (2, 1)
    assert first[1]["losses"][-1]["reason"] == (
        "2 checks are made at once, which leaves 1. Bring the same export again for those."
    )
    assert names(acme) == ["A", "B", "C"]
