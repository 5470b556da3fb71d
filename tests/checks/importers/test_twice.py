"""What is in an export twice: the same thing comes over once, and what only has the same number comes as well."""

from typing import Any
from uuid import UUID

import pytest

from apps.checks.domain.importing import import_checks
from apps.checks.models import Check
from apps.tenants.models import Tenant
from tests.checks.importers.test_several_files import monitor, read, whole

ONE, OTHER = f"{UUID(int=1)}", f"{UUID(int=2)}"
TWICE = "It is in this export twice; it comes over once."
UPTIMEROBOT = {"friendly_name": "Shop", "url": "https://shop.example/", "type": 1}
BETTER_STACK = {"url": "https://shop.example/", "pronounceable_name": "Shop", "monitor_type": "status"}
STATUSCAKE = b"Test ID,Test Name,Website URL,Test Type,Check Rate\n7,Shop,https://shop.example/,HTTP,300\n"


def job(address: str, **more: Any) -> dict[str, Any]:
    return {"name": "Backup", "slug": "backup", "ping_url": f"https://hc.example/{address}", "timeout": 3_600, **more}


@pytest.mark.parametrize(
    ("source", "one", "other"),
    [
        ("uptimerobot", {"monitors": [{"id": 7, **UPTIMEROBOT}]}, {"monitors": [{"id": "7", **UPTIMEROBOT}]}),
        ("better_stack", {"data": [{"id": "7", "attributes": BETTER_STACK}]}, {"data": [{"id": 7, **BETTER_STACK}]}),
        ("statuscake", STATUSCAKE, STATUSCAKE),
        ("healthchecks", {"checks": [job(ONE)]}, {"checks": [job(ONE)]}),
        ("uptime_kuma", *[{"monitorList": [{"id": 7, "name": "Job", "type": "push", "pushToken": "a" * 32}]}] * 2),
    ],
    ids=["uptimerobot", "better_stack", "statuscake", "healthchecks", "uptime_kuma"],
)
def test_what_is_in_two_files_comes_over_once(source: str, one: Any, other: Any) -> None:
    found = read(source, one, other)

    (check,) = found.checks
    assert check["key"][-2:] != "-2"
    assert [(loss.name, str(loss.reason)) for loss in found.losses if loss.is_whole] == [(check["name"], TWICE)]
    assert whole(found)[0][0].startswith("file 2: ")


def test_checks_own_answer_is_taken_before_a_list_that_tells_less() -> None:
    told = {"id": 7, "name": "Shop", "hostname": "a.example", "type": {"http": {"url": "/up", "encryption": True}}}
    listed = [{"id": number, "name": "Listed", "hostname": "a.example", "type": "http"} for number in (7, 8)]

    found = read("pingdom", {"checks": listed}, {"check": told})

    assert [(check["key"], check["config"]["url"]) for check in found.checks] == [
        ("pingdom-7", "https://a.example/up"),
        ("pingdom-8", "http://a.example/"),
    ]
    assert [(loss.where, str(loss.reason)) for loss in found.losses if loss.is_whole] == [("file 1: checks[0]", TWICE)]
    assert [loss.where for loss in found.losses if str(loss.reason).startswith("A list")] == ["file 1: checks[1]"]


def test_what_cannot_come_over_does_not_keep_away_what_can() -> None:
    found = read("uptimerobot", {"monitors": [{"id": 7, "url": "https://"}, {"id": 7, **UPTIMEROBOT}]})

    assert [check["key"] for check in found.checks] == ["uptimerobot-7"]


def test_monitor_and_heartbeat_of_one_number_both_come() -> None:
    beat = {"id": "7", "type": "heartbeat", "attributes": {"name": "Job", "period": 60, "grace": 0}}

    found = read("better_stack", {"data": [{"id": "7", "attributes": BETTER_STACK}]}, {"data": [beat]})

    assert [(check["key"], check["kind"]) for check in found.checks] == [
        ("betterstack-7", "http"),
        ("betterstack-7-2", "heartbeat"),
    ]
    assert whole(found) == []


@pytest.mark.parametrize(
    ("source", "one", "other"),
    [
        ("uptime_kuma", {"monitorList": [monitor(1, "Shop")]}, {"monitorList": [monitor(1, "Blog")]}),
        ("healthchecks", {"checks": [job(ONE)]}, {"checks": [job(OTHER)]}),  # a slug is one project's
        (
            "gatus",
            b"endpoints: [{name: front, url: 'https://a.example/'}]",
            b"endpoints: [{name: front, url: 'https://b.example/'}]",
        ),
    ],
    ids=["uptime_kuma", "healthchecks", "gatus"],
)
def test_what_another_instance_or_project_calls_alike_comes_too(source: str, one: Any, other: Any) -> None:
    found = read(source, one, other)

    first, second = found.checks
    assert second["key"] == f"{first['key']}-2"
    assert whole(found) == []


def test_jobs_of_overlapping_files_are_made_once(in_acme: Tenant) -> None:
    address = "31365bce-8da9-4729-8ff3-aaa71d56b712"
    raw = b'{"checks": [{"name": "Backup", "slug": "backup", "ping_url": "https://hc.example/%s"}]}' % address.encode()

    import_checks(source="healthchecks", files=[raw, raw], can=(), is_dry_run=False)

    assert list(Check.objects.values_list("key", flat=True)) == ["hc-backup"]
