"""Exports in several files, which are read together, and exports with more in them than is read at once."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from apps.checks.importers.base import MAX_ENTRIES, Found, SourceError
from apps.checks.importers.kuma_file import MAX_LINKS
from apps.checks.importers.registry import IMPORTERS

CSV = b"Type,Friendly Name,URL/IP\nHTTP,Shop,https://shop.example/\n"
TURNED = b"URL/IP;Type;Friendly Name\nhttps://blog.example/;HTTP;Blog\nplay.example;Carrier pigeon;Game\n"


def read(source: str, *files: Any) -> Found:
    return IMPORTERS.get(source).read(
        *(file if isinstance(file, bytes) else json.dumps(file).encode() for file in files)
    )


def whole(found: Found) -> list[tuple[str, str]]:
    return [(loss.where, loss.name) for loss in found.losses if loss.is_whole]


def monitor(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "name": name, "type": "http", "url": f"https://{name.lower()}.example/", **more}


def kuma_database(monitors: int = 0, tags: int = 0, links: int = 0) -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            """
            CREATE TABLE monitor (id INTEGER, name TEXT, type TEXT, url TEXT);
            CREATE TABLE tag (id INTEGER, name TEXT); CREATE TABLE monitor_tag (monitor_id INTEGER, tag_id INTEGER, value TEXT);
            INSERT INTO monitor VALUES (1, 'Live', 'http', 'https://live.example/');
            """
        )
        database.executemany("INSERT INTO monitor VALUES (?, 'A', 'group', '')", [(2,)] * monitors)
        database.executemany("INSERT INTO tag VALUES (?, 'a')", [(1,)] * tags)
        database.executemany("INSERT INTO monitor_tag VALUES (?, 1, '')", [(1,)] * links)
        database.commit()
        return database.serialize()


def test_answers_for_one_check_each_are_read_together() -> None:
    one, other = (
        {"check": {"id": number, "name": name, "hostname": "a.example", "type": {"http": {"url": "/"}}}}
        for number, name in ((7, "Shop"), (8, "Blog"))
    )

    found = read("pingdom", one, other)

    assert [(check["key"], check["name"]) for check in found.checks] == [("pingdom-7", "Shop"), ("pingdom-8", "Blog")]
    assert [str(loss.reason) for loss in found.losses] == ["Users, teams, integrations and probe filters stay behind."]


def test_each_table_has_a_header_of_its_own() -> None:
    found = read("uptimerobot", CSV, TURNED, {"monitors": [{"id": 3, "friendly_name": "Wiki", "url": "w.example"}]})

    assert [(check["name"], check["config"]["url"]) for check in found.checks] == [
        ("Shop", "https://shop.example/"),
        ("Blog", "https://blog.example/"),
        ("Wiki", "http://w.example"),
    ]
    assert whole(found) == [("file 2: line 3", "Game")]


def test_gatus_configurations_are_read_together() -> None:
    found = read(
        "gatus",
        b"endpoints: [{name: shop, url: 'https://shop.example/'}]",
        b"---\nendpoints: [{name: blog, url: 'https://blog.example/'}, {name: x, url: 'gopher://x'}]\nstorage: {}\n",
    )

    assert [check["name"] for check in found.checks] == ["shop", "blog"]
    assert [(loss.where, str(loss.reason)) for loss in found.losses] == [
        ("file 2: endpoints[1]", "Nothing here does “gopher://x”."),
        ("file 2: storage", "This section stays behind."),
    ]


def test_groups_of_one_uptime_kuma_say_nothing_about_the_monitors_of_another() -> None:
    one = {"monitorList": [{"id": 9, "name": "Front", "type": "group"}, monitor(1, "Shop", parent=9)]}
    other = {"monitorList": [monitor(1, "Blog", parent=9)]}

    found = read("uptime_kuma", one, other, kuma_database())

    assert [(check["name"], check.get("tags", [])) for check in found.checks] == [
        ("Shop", ["front"]),
        ("Blog", []),
        ("Live", []),
    ]
    assert len({check["key"] for check in found.checks}) == 3


def test_monitors_of_one_name_each_have_a_key() -> None:
    named = [{"friendly_name": name, "url": "a.example"} for name in ("Shop", "Shop-2", "Shop", "Shop", "Shop-2")]

    found = read("uptimerobot", {"monitors": named})

    assert [check["key"] for check in found.checks] == ["shop", "shop-2", "shop-3", "shop-4", "shop-2-2"]


def test_documents_of_blackbox_are_one_export_in_files_or_in_one() -> None:
    modules, targets = b"modules: {web: {prober: tcp}}", b"- targets: ['a.example:1']\n"

    apart, together = read("blackbox", modules, targets), read("blackbox", modules + b"\n---\n" + targets)

    assert [check["kind"] for check in apart.checks] == ["tcp"]
    assert apart == together


def test_places_of_blackbox_name_their_file() -> None:
    pigeons = b"modules: {web: {prober: pigeon}}"
    scraped = {"job_name": "a", "metrics_path": "/probe", "static_configs": [{"targets": ["b.example"]}]}
    jobs = {"scrape_configs": [{**scraped, "dns_sd_configs": []}]}

    found = read("blackbox", pigeons, [{"targets": ["a.example"]}], jobs)

    assert [loss.where for loss in found.losses] == [
        "file 3: scrape_configs[0]",
        "file 2: targets[0].targets[0]",
        "file 3: scrape_configs[0][0].targets[0]",
    ]


@pytest.mark.parametrize(
    ("source", "good", "bad", "reason"),
    [
        ("uptimerobot", CSV, b"a,b\n", "There is no row in this file."),
        ("gatus", b"endpoints: []", b"a: 1", "Expected a configuration with “endpoints”."),
        (
            "blackbox",
            b"- targets: [a.example]",
            b"modules: {}\n---\nmodules: {a: *b}",
            "[1] modules.a: “*b” refers to nothing before it; write its anchor first.",
        ),
        (
            "uptime_kuma",
            b'{"monitorList": []}',
            b"{}",
            "Expected a backup with “monitorList”, or the database file kuma.db.",
        ),
    ],
)
def test_file_that_cannot_be_read_is_named_among_several(source: str, good: bytes, bad: bytes, reason: str) -> None:
    with pytest.raises(SourceError) as among:
        read(source, good, bad)
    with pytest.raises(SourceError) as alone:
        read(source, bad)

    assert (str(among.value), str(alone.value)) == (f"File 2: {reason}", reason)


@pytest.mark.parametrize(
    ("source", "files", "count"),
    [
        ("blackbox", [[{"targets": ["a"] * (MAX_ENTRIES + 1)}]], MAX_ENTRIES),
        ("gatus", [{"endpoints": [{}] * MAX_ENTRIES}, {"external-endpoints": [{}]}], MAX_ENTRIES),
        ("uptimerobot", [{"monitors": [{}] * (MAX_ENTRIES + 1)}], MAX_ENTRIES),
        ("uptimerobot", [{"monitors": [{}] * MAX_ENTRIES}, {"monitors": [{}]}], MAX_ENTRIES),
        ("uptime_kuma", [{"monitorList": [{}] * (MAX_ENTRIES + 1)}], MAX_ENTRIES),
        ("uptime_kuma", [{"monitorList": [{}] * MAX_ENTRIES}, {"monitorList": [{}]}], MAX_ENTRIES),
        ("uptime_kuma", [kuma_database(monitors=MAX_ENTRIES)], MAX_ENTRIES),
        ("uptime_kuma", [kuma_database(tags=MAX_ENTRIES + 1)], MAX_ENTRIES),
        ("uptime_kuma", [kuma_database(links=MAX_LINKS + 1)], MAX_LINKS),
    ],
    ids=[
        "targets",
        "endpoints of two",
        "rows",
        "rows of two",
        "backup",
        "backups",
        "database",
        "tags",
        "tags of monitors",
    ],
)
def test_export_with_more_than_is_read_at_once_is_refused(source: str, files: list[Any], count: int) -> None:
    with pytest.raises(SourceError) as caught:
        read(source, *files)

    assert str(caught.value).endswith(f"There are more than {count} entries; divide the export.")


def test_each_of_as_many_as_are_read_is_told_of() -> None:
    pigeons = read("blackbox", b"modules: {web: {prober: pigeon}}", [{"targets": ["a.example"] * MAX_ENTRIES}])
    groups = read("uptime_kuma", {"monitorList": [{"type": "group"}] * (MAX_ENTRIES - 1) + [monitor(1, "Shop")]})
    stored = read("uptime_kuma", kuma_database(monitors=MAX_ENTRIES - 1))

    assert len(whole(pigeons)) == MAX_ENTRIES
    for found in (groups, stored):
        assert [len(found.checks), len(found.losses)] == [1, MAX_ENTRIES]  # the last tells of what never comes over


def test_backup_is_as_large_as_a_database_may_be_but_not_in_memory() -> None:
    large = {"monitorList": [monitor(1, "Shop", description="x" * 4_000_000)]}

    assert [check["name"] for check in read("uptime_kuma", large).checks] == ["Shop"]
    with pytest.raises(SourceError, match="more than 2000000 entries"):
        read("uptime_kuma", b'{"monitorList": [' + b"[]," * 1_000_000 + b"[]]}")
