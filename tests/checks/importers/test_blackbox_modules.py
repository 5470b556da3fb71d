"""What the modules of the Blackbox exporter ask: carried, or told by name, and then paused where it would matter."""

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from apps.checks.enums import Verdict
from apps.checks.importers.base import Found
from apps.checks.importers.blackbox_modules import Made, module_settings
from apps.checks.importers.registry import IMPORTERS
from apps.checks.types.base import Outcome
from tests.checks.types.asking import ask
from tests.peers.web import answer, saying, serving

EXAMPLES: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("blackbox_examples.yml").read_text()
)["modules"]
URL, PLACE = "https://shop.example/", "host.example:5000"
WEB = {"url": URL, "method": "GET", "expected_status": "200-299", "follow_redirects": True, "verify_tls": True}
PORT = {"host": "host.example", "port": 5000}
NAMES = {"server": "host.example", "port": 5000, "is_recursive": True, "rcode": "NOERROR", "matching": "free"}
OAUTH = {"token_url": "https://a.example/", "client_id": "b", "client_secret": "c"}
PAUSED = "It comes paused: without what stays behind it would judge something else."


def imported(module: Mapping[str, Any], target: str, **job: Any) -> Found:
    scraped = {"job_name": "a", "metrics_path": "/probe", "static_configs": [{"targets": [target]}], **job}
    job_of_module = {**scraped, "params": {"module": ["one"], **job.get("params", {})}}
    files = [{"modules": {"one": module}}, {"scrape_configs": [job_of_module]}]
    return IMPORTERS.get("blackbox").read(*(json.dumps(file).encode() for file in files))


def reasons(found: Found) -> list[str]:
    return [str(loss.reason) for loss in found.losses]


def stays(*options: str) -> list[str]:
    return [f"“{option}” of the module stays behind." for option in options]


def made(prober: str, target: str, **options: Any) -> Made:
    found = module_settings({"prober": prober, prober: options}, target)
    assert found is not None
    return found


# Of each example its settings here, and the report.
EXPECTED: list[tuple[str, Mapping[str, Any], list[str]]] = [
    (
        "page",
        {
            **WEB,
            "headers": {"Host": "shop.example", "Accept-Language": "de", "Origin": "shop.example"},
            "patterns": ["Add to basket"],
            "patterns_absent": ["no stock\\Z"],
            "header_rules": ["Cache-Control: ~ (no-store|private)", "Set-Cookie: !~ .*"],
        },
        stays("ip_protocol_fallback"),
    ),
    ("by_proxy", {**WEB, "proxy": "http://10.0.0.1:3128"}, []),
    ("posted", {**WEB, "method": "POST", "headers": {"Content-Type": "application/json"}, "body": "[]"}, []),
    (
        "signed_in",
        {
            **WEB,
            "method": "POST",
            "headers": {"Host": "login.example"},
            "auth": "basic",
            "username": "ann",
            "password": "pw",
        },
        [*stays("tls_config.server_name: login.example"), PAUSED],
    ),
    ("own_authority", WEB, [*stays("tls_config.ca_file"), PAUSED]),
    (
        "packed",
        {**WEB, "headers": {"Accept-Encoding": "gzip"}, "header_rules": ["Content-Encoding: ~ (?i)gzip"]},
        [],
    ),
    (
        "packed_as_asked",
        {**WEB, "headers": {"accept-encoding": "gzip, br"}, "header_rules": ["Content-Encoding: ~ (?i)gzip"]},
        [],
    ),
    ("plain_post", {**WEB, "method": "POST"}, []),
    ("secured", {**PORT, "tls": True, "verify_tls": True}, []),
    ("open", {**PORT, "tls": False}, []),
    (
        "imap",
        {
            **PORT,
            "tls": False,
            "verify_tls": True,
            "script": 'expect /OK.*STARTTLS/\nsend "a STARTTLS\\n"\nexpect /OK/\nstarttls\nsend "a capability\\n"\n'
            "expect /CAPABILITY IMAP4rev1/",
        },
        [],
    ),
    (
        "smtp",
        {
            **PORT,
            "tls": False,
            "verify_tls": True,
            "script": 'expect /^220 ([^ ]+) ESMTP (.+)\\r?$/\nsend "EHLO shop\\r\\n"\nstarttls',
        },
        [],
    ),
    ("pop3", {**PORT, "tls": True, "verify_tls": True, "script": "expect /^\\+OK/"}, []),
    ("ssh", {**PORT, "tls": False, "script": 'expect /^SSH-2.0-/\nsend "SSH-2.0-shop\\n"'}, []),
    ("irc", {**PORT, "tls": False, "script": 'send "NICK shop\\n"'}, [*stays("query_response"), PAUSED]),
    ("ping", {"host": "host.example"}, []),
    ("ping_from", {"host": "host.example"}, stays("source_ip_address")),
    ("ping_far", {"host": "host.example"}, [*stays("ttl"), PAUSED]),
    (
        "records",
        {**NAMES, "name": "www.shop.example", "record_type": "A"},
        [
            *stays(
                "validate_answer_rrs.fail_if_matches_regexp",
                "validate_answer_rrs.fail_if_all_match_regexp",
                "validate_answer_rrs.fail_if_not_matches_regexp",
                "validate_answer_rrs.fail_if_none_matches_regexp",
                "validate_authority_rrs.fail_if_matches_regexp",
                "validate_additional_rrs.fail_if_matches_regexp",
            ),
            PAUSED,
        ],
    ),
    ("zone", {**NAMES, "name": "shop.example", "record_type": "SOA"}, []),
    (
        "anything",
        {**NAMES, "name": "www.shop.example", "transport": "tcp"},
        [*stays("query_type ANY"), PAUSED],
    ),
    ("service", {**PORT, "uses_tls": True, "verify_tls": True}, []),
    ("service_in_clear", {**PORT, "uses_tls": False, "service": "shop.Cart"}, []),
]


@pytest.mark.parametrize(("name", "config", "left"), EXPECTED)
def test_module_of_the_exporter_s_examples(name: str, config: Mapping[str, Any], left: list[str]) -> None:
    found = imported(EXAMPLES[name], URL if EXAMPLES[name]["prober"] == "http" else PLACE)

    assert (found.checks[0]["config"], reasons(found)) == (config, left)
    assert found.checks[0].get("paused", False) == (PAUSED in left)


def test_no_example_is_left_out() -> None:
    assert [name for name, _config, _left in EXPECTED] == list(EXAMPLES)


# --- What is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prober", "options", "lost"),
    [
        ("http", {"tls_config": {"cert_file": "a", "key_file": "b"}}, ["tls_config.cert_file", "tls_config.key_file"]),
        ("http", {"tls_config": {"server_name": "other.example"}}, ["tls_config.server_name"]),
        ("http", {"tls_config": {"min_version": "TLS13"}}, ["tls_config.min_version"]),
        ("http", {"tls_config": {"max_version": "TLS12"}}, ["tls_config.max_version"]),
        ("http", {"basic_auth": {"username": "a", "password_file": "f"}}, ["basic_auth.password_file"]),
        (
            "http",
            {"basic_auth": {"username_file": "f", "password": "b"}},
            ["basic_auth.password", "basic_auth.username_file"],
        ),
        ("http", {"authorization": {"credentials_file": "f"}}, ["authorization.credentials_file"]),
        ("http", {"bearer_token_file": "f"}, ["bearer_token_file"]),
        (
            "http",
            {"oauth2": {**OAUTH, "client_secret": "", "client_secret_file": "f"}},
            ["oauth2.client_secret", "oauth2.client_secret_file"],
        ),
        (
            "http",
            {"oauth2": {**OAUTH, "endpoint_params": {"audience": "b"}}},
            ["oauth2.endpoint_params"],
        ),
        (
            "http",
            {"oauth2": {**OAUTH, "tls_config": {"insecure_skip_verify": True}}},
            ["oauth2.tls_config.insecure_skip_verify"],
        ),
        ("http", {"fail_if_ssl": True}, ["fail_if_ssl"]),
        ("http", {"body_file": "f"}, ["body_file"]),
        ("http", {"compression": "br"}, ["compression"]),
        ("http", {"valid_http_versions": ["HTTP/1.1"]}, ["valid_http_versions"]),
        ("http", {"proxy_url": "http://p:1", "proxy_connect_header": {"A": ["b"]}}, ["proxy_connect_header"]),
        ("http", {"proxy_from_environment": True}, ["proxy_from_environment"]),
        ("http", {"fail_if_body_json_matches_cel": "body.a"}, ["fail_if_body_json_matches_cel"]),
        ("http", {"of_a_later_version": 1}, ["of_a_later_version"]),
        ("http", {"tls_config": "none"}, ["tls_config"]),
        ("http", {"ip_protocol_fallback": False}, ["ip_protocol_fallback"]),
        ("http", {"preferred_ip_protocol": "ip6", "ip_protocol_fallback": False}, ["ip_protocol_fallback"]),
        ("tcp", {"tls": True, "tls_config": {"ca_file": "f"}}, ["tls_config.ca_file"]),
        ("tcp", {"tls": True, "tls_config": {"cert_file": "f"}}, ["tls_config.cert_file"]),
        ("tcp", {"query_response": [{"expect_bytes": "a"}]}, ["query_response"]),
        ("icmp", {"payload_size": 9_000, "dont_fragment": True}, ["payload_size", "dont_fragment"]),
        ("dns", {"query_name": "a", "query_type": "A", "query_class": "CH"}, ["query_class"]),
        ("dns", {"query_name": "a", "query_type": "A", "valid_rcodes": ["NOERROR", "NXDOMAIN"]}, ["valid_rcodes"]),
        (
            "dns",
            {"query_name": "a", "query_type": "A", "dns_over_tls": True, "tls_config": {"insecure_skip_verify": True}},
            ["tls_config.insecure_skip_verify"],
        ),
        ("grpc", {"tls": True, "tls_config": {"ca_file": "f"}}, ["tls_config.ca_file"]),
        ("grpc", {"metadata": {"a": ["b"]}}, ["metadata"]),
    ],
)
def test_what_would_change_the_verdict_is_told_and_pauses(
    prober: str, options: Mapping[str, Any], lost: list[str]
) -> None:
    found = imported({"prober": prober, prober: options}, URL if prober == "http" else PLACE)

    told = reasons(found)
    assert [reason for reason in told if reason.startswith("“")] == stays(*lost)
    assert told[-1] == PAUSED
    assert found.checks[0]["paused"] is True


@pytest.mark.parametrize(
    ("prober", "options"),
    [
        ("http", {"tls_config": {"insecure_skip_verify": True, "ca_file": "f", "server_name": "SHOP.example"}}),
        ("http", {"fail_if_ssl": "no", "proxy_from_environment": False, "no_proxy": ""}),
        ("http", {"oauth2": {**OAUTH, "endpoint_params": {"grant_type": "client_credentials"}}}),
        ("tcp", {"tls_config": {"ca_file": "f"}}),
        ("icmp", {"dont_fragment": False, "ttl": 0, "payload_size": 0}),
        ("dns", {"query_name": "a", "query_type": "A", "validate_answer_rrs": {"fail_if_matches_regexp": []}}),
        ("grpc", {"tls_config": {"ca_file": "f"}}),
    ],
)
def test_what_makes_no_difference_is_not_told(prober: str, options: Mapping[str, Any]) -> None:
    found = made(prober, URL if prober == "http" else PLACE, **options)

    assert (found.beside, found.lost) == ((), ())


def test_family_of_a_written_address_is_its_own() -> None:
    assert made("tcp", "[2001:db8::1]:22", ip_protocol_fallback=False).lost == ()


def test_setting_that_is_refused_pauses_as_well() -> None:
    found = imported({"prober": "http", "http": {"fail_if_body_matches_regexp": ["a", r"\Qb\E"]}}, URL)

    assert found.checks[0]["paused"] is True
    assert reasons(found)[0].startswith("patterns_absent: ")
    assert reasons(found)[1:] == [PAUSED]


def test_module_without_a_prober_is_left_out() -> None:
    assert reasons(imported({"http": {}}, URL)) == ["Nothing here is like the prober “”."]


def test_unknown_module_comes_paused_but_the_usual_one() -> None:
    job = {"job_name": "a", "metrics_path": "/probe", "static_configs": [{"targets": ["a.example"]}]}

    def paused(**params: Any) -> Any:
        raw = json.dumps({"scrape_configs": [{**job, "params": params}]}).encode()
        return IMPORTERS.get("blackbox").read(raw).checks[0].get("paused", False)

    assert (paused(module=["ours"]), paused(module=["http_2xx"]), paused()) == (True, False, False)


@pytest.mark.parametrize(
    ("rule", "is_told"),
    [
        ({"source_labels": ["__address__"], "target_label": "__param_target"}, False),
        ({"source_labels": ["__param_target"], "target_label": "instance"}, False),
        ({"target_label": "__address__", "replacement": "127.0.0.1:9115"}, False),
        ({"source_labels": ["module"], "target_label": "__param_module", "regex": "(.*)"}, False),
        ({"source_labels": ["__address__"], "target_label": "__param_target", "regex": "(.*):80"}, True),
        ({"source_labels": ["vhost"], "target_label": "__param_hostname"}, True),
        ({"source_labels": ["env"], "regex": "test", "action": "drop"}, True),
    ],
)
def test_job_that_rewrites_its_targets_is_told_and_pauses(rule: Mapping[str, Any], is_told: bool) -> None:
    found = imported({"prober": "http"}, URL, relabel_configs=[rule])

    text = "Its relabel_configs are not applied: targets come as they are written."
    assert reasons(found) == ([text, PAUSED] if is_told else [])
    assert found.checks[0].get("paused", False) == is_told


# --- What is carried ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"no_follow_redirects": True}, {"follow_redirects": False}),
        ({"follow_redirects": True, "no_follow_redirects": True}, {"follow_redirects": False}),
        ({"enable_http2": False}, {"http_version": "1.1"}),
        ({"enable_http2": False, "valid_http_versions": ["HTTP/1.1"]}, {"http_version": "1.1"}),
        ({"valid_http_versions": ["HTTP/2.0"]}, {"http_version": "2"}),
        ({"enable_http3": True}, {"http_version": "3"}),
        (
            {"proxy_url": "http://ann:p%40w@10.0.0.1:3128"},
            {"proxy": "http://10.0.0.1:3128", "proxy_username": "ann", "proxy_password": "p@w"},
        ),
        ({"body_size_limit": "20KB"}, {"max_body_bytes": 20_480}),
        ({"authorization": {"credentials": "t"}}, {"auth": "bearer", "token": "t"}),
        ({"authorization": {"type": "Token", "credentials": "t"}}, {"headers": {"Authorization": "Token t"}}),
        ({"fail_if_body_matches_regexp": [r"costs 5\$", "(?m)end$"]}, {"patterns_absent": [r"costs 5\$", "(?m)end$"]}),
    ],
)
def test_http_option_becomes_a_setting(options: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    found = made("http", URL, **options)

    assert {name: found.settings[name] for name in settings} == settings
    assert found.lost == ()


def test_certificate_of_the_client_is_carried_where_it_stands_in_the_file() -> None:
    tls = {"cert": "-----BEGIN CERTIFICATE-----", "key": "-----BEGIN PRIVATE KEY-----"}
    web = made("http", URL, tls_config=tls)
    service = made("grpc", PLACE, tls=True, tls_config={**tls, "server_name": "shop.example"})

    assert (web.settings["client_certificate"], web.settings["client_key"]) == (tls["cert"], tls["key"])
    assert (service.settings["client_key"], service.settings["authority"]) == (tls["key"], "shop.example")
    assert (web.lost, service.lost) == ((), ())


def test_host_name_of_a_job_is_asked_for() -> None:
    web = imported({"prober": "http"}, "http://192.0.2.1/", params={"hostname": ["shop.example"]})
    port = imported({"prober": "tcp", "tcp": {"tls": True}}, "192.0.2.1:443", params={"hostname": ["shop.example"]})

    assert web.checks[0]["config"]["headers"] == {"Host": "shop.example"}
    assert port.checks[0]["config"]["server_name"] == "shop.example"


def test_dns_options_become_settings() -> None:
    found = made("dns", "host.example", query_name=".", query_type="NS", recursion_desired=False, dns_over_tls=True)

    assert {name: found.settings[name] for name in ("name", "port", "transport", "is_recursive")} == {
        "name": ".",
        "port": 853,
        "transport": "tls",
        "is_recursive": False,
    }


# --- Judged as the exporter does ---------------------------------------------------------------------------------


async def asked(options: Mapping[str, Any], url: str) -> Outcome:
    found = imported({"prober": "http", "http": options}, url).checks[0]
    assert "paused" not in found
    return await ask("http", **found["config"])


@pytest.mark.parametrize("option", ["fail_if_header_matches", "fail_if_header_not_matches"])
@pytest.mark.parametrize("may_lack", [True, False])
@pytest.mark.parametrize("sent", [None, "fits", "other"])
async def test_header_is_judged_as_the_exporter_does(option: str, may_lack: bool, sent: str | None) -> None:
    rule = {"header": "X-State", "regexp": "^(?:fit|hit)s$", "allow_missing": may_lack}
    headers = {} if sent is None else {"X-State": sent}
    with serving(saying(answer(200, b"", **headers))) as web:
        outcome = await asked({option: [rule]}, web.url())

    is_good = may_lack if sent is None else (sent == "fits") == (option == "fail_if_header_not_matches")
    assert outcome.verdict == (Verdict.SUCCESS if is_good else Verdict.FAILURE)


async def test_end_of_a_pattern_is_the_end_of_the_page() -> None:
    with serving(saying(answer(200, b"out of stock\n"))) as web:
        absent = await asked({"fail_if_body_matches_regexp": ["stock$"]}, web.url())
        present = await asked({"fail_if_body_not_matches_regexp": ["stock$"]}, web.url())

    assert (absent.verdict, present.verdict) == (Verdict.SUCCESS, Verdict.FAILURE)


async def test_last_connection_must_be_secured() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    options = {"fail_if_not_ssl": True, "tls_config": {"insecure_skip_verify": True}}
    with (
        serving(saying(answer()), tls=context) as secured,
        serving(saying(answer())) as clear,
        serving(saying(answer(302, b"", Location=secured.url()))) as leading,
    ):
        outcomes = [await asked(options, web.url()) for web in (clear, secured, leading)]

    assert [outcome.error_code for outcome in outcomes] == ["condition_failed", "", ""]
