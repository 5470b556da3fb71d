"""Pingdom's answers: each check's own, with all of its settings, and the list, which tells less and is said to."""

import json
from typing import Any

import pytest

from apps.checks.importers.registry import IMPORTERS

LIST_LEAVES_OUT = (
    "A list of checks does not tell all of its settings. Where it has any, bring the answer of /api/3.1/checks/ and its "
    "id instead."
)


def read(document: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the checks that come over, and what is reported of single ones."""
    found = IMPORTERS.get("pingdom").read(json.dumps(document).encode())
    return [dict(check) for check in found.checks], [str(loss.reason) for loss in found.losses if loss.name]


def told(kind: str, **settings: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that a check's own answer becomes, and what is reported of it."""
    checks, lost = read({"check": {"id": 7, "name": "One", "hostname": "a.example", "type": {kind: settings}}})
    return checks[0]["config"], lost


def test_list_is_said_to_tell_neither_path_nor_encryption() -> None:
    checks, lost = read({"checks": [{"id": 7, "name": "One", "hostname": "a.example", "type": "http"}]})

    assert checks[0]["config"]["url"] == "http://a.example/"
    assert lost == [
        "A list of checks tells neither path nor encryption nor login. Where it has more than http://host/, bring the "
        "answer of /api/3.1/checks/ and its id instead."
    ]


@pytest.mark.parametrize(("kind", "lost"), [("dns", [LIST_LEAVES_OUT]), ("smtp", [LIST_LEAVES_OUT]), ("ping", [])])
def test_list_is_said_to_tell_little_of_other_types(kind: str, lost: list[str]) -> None:
    assert read({"checks": [{"id": 7, "name": "One", "hostname": "a.example", "type": kind}]})[1] == lost


@pytest.mark.parametrize(("verifies", "expected"), [(False, False), (True, True)])
def test_certificate_is_verified_as_the_row_says(verifies: bool, expected: bool) -> None:
    row = {"id": 7, "name": "One", "hostname": "a.example", "type": "http", "verify_certificate": verifies}

    checks, _lost = read({"checks": [row]})

    assert checks[0]["config"]["verify_tls"] is expected


def test_answers_of_single_checks_may_stand_in_a_list() -> None:
    answers = [
        {"check": {"id": number, "name": f"N{number}", "hostname": "a.example", "type": {"http": {"encryption": True}}}}
        for number in (1, 2)
    ]

    checks, lost = read(answers)

    assert [(check["key"], check["config"]["url"]) for check in checks] == [
        ("pingdom-1", "https://a.example/"),
        ("pingdom-2", "https://a.example/"),
    ]
    assert lost == []


@pytest.mark.parametrize(("address", "record_type"), [("192.0.2.1", "A"), ("2001:db8::1", "AAAA")])
def test_dns_expects_the_address(address: str, record_type: str) -> None:
    assert told("dns", nameserver="ns1.example", expectedip=address) == (
        {
            "name": "a.example",
            "record_type": record_type,
            "server": "ns1.example",
            "matching": "includes",
            "expected": address,
        },
        [],
    )


def test_tcp_says_and_hears_its_texts() -> None:
    assert told("tcp", port=7, stringtosend='PING "a"\r\n', stringtoexpect="PONG") == (
        {"host": "a.example", "port": 7, "script": 'send "PING \\"a\\"\\r\\n"\nexpect "PONG"'},
        [],
    )


def test_udp_says_and_hears_its_texts() -> None:
    assert told("udp", port=7, stringtosend="a\\b", stringtoexpect="c") == (
        {"host": "a.example", "port": 7, "payload": "a\\\\b", "expected": "c"},
        [],
    )


@pytest.mark.parametrize(("is_encrypted", "security"), [(True, "tls"), (False, "none")])
def test_mail_server_is_secured_as_told_and_its_text_reported(is_encrypted: bool, security: str) -> None:
    assert told("imap", port=143, encryption=is_encrypted, stringtoexpect="ready") == (
        {"host": "a.example", "port": 143, "security": security},
        ["Nothing here does “stringtoexpect”."],
    )
