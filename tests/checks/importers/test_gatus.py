"""Gatus' endpoints: what of them a check says as well, and what is told, or keeps it from judging, where none can."""

from typing import Any

import pytest
from dns.rdata import from_text

from apps.checks.importers.base import Found
from apps.checks.types.dns_records import text_of
from apps.checks.types.patterns import bounded_search
from tests.checks.importers.test_several_files import read as read_together

PAUSED = "It comes paused: without what stays behind it would judge something else."


def read(*files: Any) -> Found:
    return read_together("gatus", *files)


def brought(url: str, *conditions: str, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the check that an endpoint becomes, without its name and times, and what the report says of it."""
    endpoint = {"name": "it", "url": url, "conditions": list(conditions), **fields}
    found = read({"endpoints": [endpoint]})
    checks = [dict(check) for check in found.checks] or [{}]
    for name in ("key", "name", "interval_seconds", "timeout_seconds", "retries"):
        checks[0].pop(name, None)
    return checks[0], [str(loss.reason) for loss in found.losses]


def settings(url: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    """Return the settings of an endpoint that comes over whole."""
    check, told = brought(url, *conditions, **fields)
    assert (told, check.get("paused")) == ([], None)
    return dict(check["config"])


# --- The environment ---


def test_variable_of_the_environment_is_named_and_keeps_the_check_from_judging() -> None:
    headers = {"Authorization": "Bearer ${TOKEN}", "X-Price": "$$5"}
    check, told = brought("https://a.example/", "[STATUS] == $WANTED", headers=headers)

    assert check["config"]["headers"] == {"Authorization": "Bearer ${TOKEN}", "X-Price": "$5"}
    assert (check["config"]["conditions"], check["paused"]) == (["[STATUS] == ${WANTED}"], True)
    assert told == [
        "“TOKEN” is a variable of Gatus' environment, whose value is not in the file: put it in.",
        "“WANTED” is a variable of Gatus' environment, whose value is not in the file: put it in.",
        PAUSED,
    ]


def test_variable_stands_where_yaml_takes_no_brace_and_in_a_comment() -> None:
    found = read(
        b"# ${NOTE} costs $$1\n"
        b"external-endpoints: [{name: backup, group: jobs, token: ${TOKEN}, heartbeat: {interval: 30m}}]\n"
        b"endpoints: [{name: ${NAME}, url: 'https://a.example/', conditions: ['[STATUS] == 200']}]\n"
    )

    endpoint, job = found.checks
    assert (endpoint["name"], endpoint.get("paused")) == ("${NAME}", None)  # a name judges nothing
    assert "address" not in job["config"]
    assert [(loss.name, str(loss.reason)) for loss in found.losses] == [
        ("${NAME}", "“NAME” is a variable of Gatus' environment, whose value is not in the file: put it in."),
        ("backup", "“TOKEN” is a variable of Gatus' environment, whose value is not in the file: put it in."),
        ("backup", "Its token does not come over: give its job the new address."),
    ]


def test_dollar_before_no_name_is_a_dollar() -> None:
    assert settings("https://a.example/", "[BODY] == pat(*$ 5*)")["conditions"] == ["[BODY] == pat(*$ 5*)"]


def test_variable_in_what_stays_behind_anyway_is_of_no_matter() -> None:
    check, told = brought("tcp://a.example:1", "[CONNECTED] == true", alerts=[{"type": "${KIND}"}])

    assert (check.get("paused"), told) == (None, ["Its alerts stay behind; make alert rules here."])


def test_signs_that_stand_for_variables_are_no_work_where_a_file_has_them() -> None:
    opened = "\U0010fff0" * 200_000  # which took minutes

    check, _told = brought("tcp://a.example:1", "[CONNECTED] == true", group=opened)

    assert check["kind"] == "tcp"


# --- Clients ---


@pytest.mark.parametrize(
    ("url", "conditions", "kind"),
    [
        ("tls://a.example:443", ["[CONNECTED] == true"], "tcp"),
        ("tls://a.example:443", ["[CERTIFICATE_EXPIRATION] > 48h"], "tls"),
        ("starttls://a.example:587", ["[CONNECTED] == true"], "smtp"),
        ("starttls://a.example:587", ["[CERTIFICATE_EXPIRATION] > 48h"], "tls"),
        ("wss://a.example/", ["[CONNECTED] == true"], "websocket"),
        ("grpcs://a.example:443", ["[CONNECTED] == true"], "grpc"),
        ("https://a.example/", ["[STATUS] == 200"], "http"),
    ],
)
def test_insecure_client_verifies_no_certificate(url: str, conditions: list[str], kind: str) -> None:
    check, told = brought(url, *conditions, client={"insecure": True})
    careful, _told = brought(url, *conditions)

    assert (check["kind"], check["config"]["verify_tls"], told) == (kind, False, [])
    assert careful["config"].get("verify_tls", True) is True


@pytest.mark.parametrize(
    ("url", "name", "value"),
    [
        ("https://a.example/", "dns-resolver", "tcp://10.0.0.1:53"),
        ("https://a.example/", "tunnel", "office"),
        ("https://a.example/", "identity-aware-proxy", {"audience": "a"}),
        ("https://a.example/", "kerberos", {"principal": "a@B"}),
        ("https://a.example/", "tls", {"certificate-file": "/a.pem", "private-key-file": "/a.key"}),
        ("wss://a.example/", "tls", {"certificate-file": "/a.pem", "private-key-file": "/a.key"}),
        ("grpcs://a.example:443", "tls", {"certificate-file": "/a.pem", "private-key-file": "/a.key"}),
        ("grpc://a.example:80", "tunnel", "office"),
        ("starttls://a.example:587", "dns-resolver", "tcp://10.0.0.1:53"),
        ("icmp://a.example", "network", "ip6"),
        ("tcp://a.example:1", "of-tomorrow", "x"),
    ],
)
def test_client_setting_that_no_check_has_is_named_and_keeps_it_from_judging(url: str, name: str, value: Any) -> None:
    check, told = brought(url, "[CONNECTED] == true", client={name: value, "timeout": "5s"})

    assert (check["paused"], told) == (True, [f"Nothing here does “client.{name}”.", PAUSED])


def test_client_setting_that_gatus_does_not_mind_there_is_named_alone() -> None:
    check, told = brought("tcp://a.example:1", "[CONNECTED] == true", client={"tunnel": "office", "network": "ip"})

    assert (check.get("paused"), told) == (None, ["Nothing here does “client.tunnel”."])


def test_proxy_keeps_its_login() -> None:
    client = {"proxy-url": "http://jo:p%40ss@proxy.example:3128"}
    config = settings("https://a.example/", "[STATUS] == 200", client=client)

    assert [config[name] for name in ("proxy", "proxy_username", "proxy_password")] == [
        "http://proxy.example:3128",
        "jo",
        "p@ss",
    ]


def test_proxy_that_cannot_be_asked_here_keeps_the_check_from_judging() -> None:
    check, told = brought("https://a.example/", "[STATUS] == 200", client={"proxy-url": "https://proxy.example"})

    assert (check["paused"], told[-1]) == (True, PAUSED)
    assert told[0].startswith("proxy: ")


# --- What is sent ---


def test_graphql_is_wrapped_as_gatus_does_it() -> None:
    body = '{ user(name: "[ENDPOINT_NAME]") }'
    config = settings("https://a.example/", "[STATUS] == 200", method="POST", graphql=True, body=body)

    assert config["body"] == '{"query": "{ user(name: \\"it\\") }"}'
    assert config["headers"] == {"Content-Type": "application/json"}


def test_names_in_a_body_are_filled_in_once_and_within_bounds() -> None:
    names = {"name": "[ENDPOINT_GROUP]" * 200, "group": "[ENDPOINT_URL]" * 200}
    endpoint = {"url": "https://a.example/", "method": "POST", "conditions": ["[STATUS] == 200"], **names}
    found = read({"endpoints": [{**endpoint, "body": "[ENDPOINT_NAME][ENDPOINT_NAME]"}]})

    assert found.checks[0]["config"]["body"] == ("[ENDPOINT_GROUP]" * 125) * 2


def test_text_that_is_made_up_for_each_request_keeps_the_check_from_judging() -> None:
    check, told = brought("https://a.example/", "[STATUS] == 200", method="POST", body="a=[RANDOM_STRING_8]")

    assert (check["paused"], told) == (True, ["Nothing here does “[RANDOM_STRING_8]”.", PAUSED])


def test_body_over_tcp_is_said_and_answered() -> None:
    plain = settings("tcp://a.example:6379", "[CONNECTED] == true", body='PING "x"\r\n')
    judged = settings("tcp://a.example:6379", "[BODY] == pat(*PONG*)", body="PING\r\n")

    assert plain["script"] == 'send "PING \\"x\\"\\r\\n"\nexpect /[\\s\\S]/'
    assert judged["script"] == 'send "PING\\r\\n"\nexpect "PONG"'


def test_body_over_tls_without_a_word_of_the_certificate_is_said_over_tls() -> None:
    config = settings("tls://a.example:6380", "[BODY] == pat(*PONG*)", body="PING")

    assert config == {"host": "a.example", "port": 6380, "tls": True, "script": 'send "PING"\nexpect "PONG"'}


def test_body_beside_a_certificate_keeps_the_check_from_judging() -> None:
    check, told = brought("tls://a.example:6380", "[CERTIFICATE_EXPIRATION] > 24h", body="PING")

    assert (check["kind"], check["paused"], told) == ("tls", True, ["Nothing here does “body”.", PAUSED])


def test_datagram_is_sent_as_it_stands() -> None:
    config = settings("udp://a.example:53", "[BODY] == pat(*ok*)", body="a\\b\n")

    assert (config["payload"], config["expected"]) == ("a\\\\b\\n", "ok")


def test_message_over_a_websocket_wants_an_answer() -> None:
    plain = settings("wss://a.example/", "[CONNECTED] == true", body="hi")
    judged = settings("ws://a.example/", "[BODY] == pat(*hello*)", body="hi")

    assert (plain["send"], plain["expect"], plain["expect_is_pattern"]) == ("hi", "[\\s\\S]", True)
    assert (judged["expect"], judged["expect_is_pattern"]) == ("hello", False)


def test_nobody_logs_in_by_ssh() -> None:
    login = {"username": "jo", "password": "secret"}
    greeting = brought(
        "ssh://a.example:22", "[CONNECTED] == true", "[STATUS] == 0", ssh={"username": "", "password": ""}
    )
    command, told = brought("ssh://a.example:22", "[STATUS] == 0", ssh=login, body='{"command": "uptime"}')

    assert greeting == ({"kind": "ssh", "config": {"host": "a.example", "port": 22}}, [])
    assert (command["paused"], told) == (
        True,
        [
            "The condition “[STATUS] == 0” stays behind.",
            "Nothing here does “ssh.username”.",
            "Nothing here does “ssh.password”.",
            "Nothing here does “body”.",
            PAUSED,
        ],
    )


def test_grpc_in_the_clear_is_asked_in_the_clear() -> None:
    assert settings("grpc://a.example:80", "[BODY].status == SERVING")["uses_tls"] is False
    assert settings("grpcs://a.example:443", "[CONNECTED] == true")["uses_tls"] is True


def test_ping_of_an_ipv6_address_without_brackets() -> None:
    assert settings("icmp://2001:db8::7", "[CONNECTED] == true") == {"host": "2001:db8::7"}


# --- Conditions ---


def test_end_of_a_domain_is_asked_for() -> None:
    conditions = ["[STATUS] == 200", "[DOMAIN_EXPIRATION] > 720h"]

    assert settings("https://a.example/", *conditions, interval="1h")["conditions"] == conditions


@pytest.mark.parametrize("url", ["tls://a.example:443", "starttls://a.example:587"])
def test_certificate_lasts_longer_than_the_usual_warning(url: str) -> None:
    config = settings(url, "[CONNECTED] == true", "[CERTIFICATE_EXPIRATION] > 720h")

    assert (config["fail_days"], config["warn_days"]) == (30, 30)


def test_part_of_a_day_is_a_day() -> None:
    assert settings("tls://a.example:443", "[certificate_expiration] >= 36h")["fail_days"] == 2


def test_age_of_a_time_comes_over() -> None:
    conditions = ["[STATUS] == 200", "age([BODY].updated_at) < 1h", "age([HEADER].Last-Modified, 2006-01-02) < 48h"]

    assert settings("https://a.example/", *conditions)["conditions"] == conditions


def test_check_without_any_condition_that_can_be_judged_is_paused() -> None:
    check, told = brought("https://a.example/", "[CONTEXT].x == 1")
    some, _told = brought("https://a.example/", "[CONTEXT].x == 1", "[STATUS] == 200")

    assert (check["paused"], told) == (True, ["The condition “[CONTEXT].x == 1” stays behind.", PAUSED])
    assert some.get("paused") is None


def test_conditions_that_do_not_fit_an_address_keep_the_check_from_judging() -> None:
    check, told = brought("https://192.0.2.7/", "[STATUS] == 200", "[DOMAIN_EXPIRATION] > 24h", interval="1h")

    assert (check["paused"], told[-1]) == (True, PAUSED)


def test_response_time_beyond_http_becomes_a_warning() -> None:
    check, told = brought("icmp://a.example", "[RESPONSE_TIME] < 300", "[RESPONSE_TIME] <= 250ms")

    assert check["degraded_ms"] == 250
    assert told == [
        "The condition “[RESPONSE_TIME] < 300” becomes a warning: the check is degraded beyond it, not down.",
        "The condition “[RESPONSE_TIME] <= 250ms” becomes a warning: the check is degraded beyond it, not down.",
    ]


@pytest.mark.parametrize("condition", ["[CONNECTED] == false", "[connected] != true"])
def test_silence_is_asked_of_http_alone(condition: str) -> None:
    found = read({"endpoints": [{"name": "shut", "url": "tcp://a.example:22", "conditions": [condition]}]})

    assert found.checks == []
    assert [loss.is_whole for loss in found.losses] == [True]
    assert settings("http://a.example/", condition)["conditions"] == [condition]


@pytest.mark.parametrize(
    ("record_type", "wanted", "matching", "expected"),
    [
        ("A", "192.0.2.7", "includes", "192.0.2.7"),
        ("A", "pat(192.0.*)", "pattern", r"(?i)^(?:192\.0\..*\.?)$"),
        ("CNAME", "any(a.example., b.example.)", "pattern", r"(?i)^(?:a\.example\.?|b\.example\.?)$"),
        ("MX", "mail.example.", "pattern", r"(?i)^(?:\d+ mail\.example\.?)$"),
        ("SRV", "sip.example.:5060", "pattern", r"(?i)^(?:\d+ \d+ 5060 sip\.example\.?)$"),
    ],
)
def test_record_is_compared_as_gatus_does_it(record_type: str, wanted: str, matching: str, expected: str) -> None:
    dns = {"query-name": "a.example", "query-type": record_type}
    config = settings("192.0.2.1:53", f"[BODY] == {wanted}", "[DNS_RCODE] == NOERROR", dns=dns)

    assert (config["matching"], config["expected"], config["port"]) == (matching, expected, 53)


@pytest.mark.parametrize(
    ("record_type", "wanted", "right", "wrong"),
    [
        ("A", "pat(192.0.*)", "192.0.2.7", "192.1.2.7"),
        ("MX", "mail.example.", "10 mail.example.", "10 mail.example.org."),
        ("SRV", "sip.example.:5060", "10 20 5060 sip.example.", "10 20 5061 sip.example."),
    ],
)
def test_pattern_fits_the_record_as_it_is_read_here(record_type: str, wanted: str, right: str, wrong: str) -> None:
    dns = {"query-name": "a.example", "query-type": record_type}
    config = settings("192.0.2.1:53", f"[BODY] == {wanted}", dns=dns)

    texts = [text_of(from_text("IN", record_type, record)) for record in (right, wrong)]
    assert [bool(bounded_search(config["expected"], text)) for text in texts] == [True, False]


@pytest.mark.parametrize("condition", ["[BODY] == x", "[BODY] == pat(1?2)"])
def test_condition_on_records_that_cannot_be_said_stays_behind(condition: str) -> None:
    _check, told = brought("192.0.2.1", condition, dns={"query-name": "a.example", "query-type": "TXT"})

    assert told == [f"The condition “{condition}” stays behind."]


@pytest.mark.parametrize("more", [(), ("[CONNECTED] == true",)])
def test_status_alone_judges_where_nothing_is_asked_of_the_records(more: tuple[str, ...]) -> None:
    dns = {"query-name": "a.example", "query-type": "AAAA"}
    config = settings("192.0.2.1", *more, "[DNS_RCODE] == NOERROR", dns=dns)

    assert (config["rcode"], config["matching"]) == ("NOERROR", "free")


@pytest.mark.parametrize(
    ("condition", "lost"),
    [
        ("[CONNECTED] == true", "The condition “[CONNECTED] == true” stays behind."),
        ("[DNS_RCODE] != SERVFAIL", "The condition “[DNS_RCODE] != SERVFAIL” stays behind."),
        (
            "[RESPONSE_TIME] < 500",
            "The condition “[RESPONSE_TIME] < 500” becomes a warning: the check is degraded beyond it, not down.",
        ),
        ("len([BODY]) > 0", "The condition “len([BODY]) > 0” stays behind."),
    ],
)
def test_server_that_may_answer_with_any_status_comes_paused(condition: str, lost: str) -> None:
    check, told = brought("192.0.2.1", condition, dns={"query-name": "a.example"})

    assert (told, check["paused"]) == ([lost, PAUSED], True)


# --- The rest ---


def test_what_an_endpoint_has_beyond_a_check_is_named() -> None:
    rest = {"ui": {"hide-url": True}, "store": {"a": "[BODY]"}, "always-run": True, "of-tomorrow": 1}
    labels = {"env": "prod"}
    check, told = brought("tcp://a.example:1", "[CONNECTED] == true", group="Core", **{"extra-labels": labels}, **rest)

    assert check["tags"] == ["core", "env:prod"]
    assert told == [f"“{name}” stays behind." for name in rest]
