"""Gatus' suites: their endpoints become the steps of one check, which carries on what they store."""

import json
import socket
from typing import Any

import pytest

from apps.checks.domain.configuration import read_configuration, settle_config
from apps.checks.engine.job import ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types.multistep import MultistepConfig
from apps.core.kinds import parse_config
from tests.checks.engine.probing import PATIENCE, probe_all
from tests.checks.importers.test_gatus import PAUSED, read
from tests.peers.web import answer, serving

Told = list[tuple[str, str, str]]
OK = "[STATUS] == 200"


def endpoint(url: str = "https://a.example/", *conditions: str, **fields: Any) -> dict[str, Any]:
    return {"name": "it", "url": url, "conditions": list(conditions or [OK]), **fields}


def suite(*endpoints: dict[str, Any], **fields: Any) -> tuple[dict[str, Any], Told]:
    """Return the check that a suite becomes, empty where none does, and what the report says of it."""
    found = read({"suites": [{"name": "flow", "group": "Shop", "endpoints": list(endpoints), **fields}]})
    assert [loss.is_whole for loss in found.losses if loss.is_whole] == [True] * (1 - len(found.checks))
    told = [(loss.where, loss.name, str(loss.reason)) for loss in found.losses]
    return dict(found.checks[0]) if found.checks else {}, told


def whole(*endpoints: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the settings of a suite that comes over whole."""
    check, told = suite(*endpoints, **fields)
    assert (told, check.get("paused")) == ([], None)
    return dict(check["config"])


def login(base: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a login, and what its token opens."""
    return (
        {
            "name": "sign-in",
            "url": f"{base}/login",
            "method": "POST",
            "headers": {"X-Client": "client-secret", "Content-Type": "application/json"},
            "body": '{"user": "prober", "shop": "[CONTEXT].shop.id"}',
            "conditions": ["[STATUS] == 201", "[BODY].shop == [CONTEXT].shop.id"],
            "store": {"access-token": "[BODY].access_token", "order": "[BODY].orders[0].id", "next": "[HEADER].X-Next"},
        },
        {
            "name": "order",
            "url": f"{base}/orders/[CONTEXT].order",
            "headers": {"Authorization": "Bearer [CONTEXT].access-token", "X-Client": "client-secret"},
            "conditions": [OK, "[BODY].id == [CONTEXT].order"],
        },
    )


def shop(connection: socket.socket, request: bytes) -> None:
    head, _blank, body = request.partition(b"\r\n\r\n")
    place = head.split(b" ")[1]
    if b"X-Client: client-secret" not in head:
        connection.sendall(answer(403, b"{}"))
    elif place == b"/login" and json.loads(body) == {"user": "prober", "shop": "7"}:
        said = {"access_token": "token-of-this-session", "orders": [{"id": 12}], "shop": 7}
        connection.sendall(answer(201, json.dumps(said).encode()))
    elif place == b"/orders/12" and b"Authorization: Bearer token-of-this-session" in head:
        connection.sendall(answer(200, b'{"id": 12}'))
    else:
        connection.sendall(answer(404, b"{}"))


# --- What comes over ---


def test_login_carries_its_token_to_the_next_step() -> None:
    check, told = suite(*login("https://a.example"), context={"shop": {"id": 7}}, interval="5m", timeout="15s")

    steps, secrets = check["config"]["steps"], check["config"]["secrets"]
    assert steps == [
        {
            "name": "sign-in",
            "url": "https://a.example/login",
            "method": "POST",
            "headers": {"X-Client": "{{x_client}}", "Content-Type": "application/json"},
            "body": '{"user": "prober", "shop": "7"}',
            "expected_status": "100-599",
            "conditions": ["[STATUS] == 201", "[BODY].shop == 7"],
            "extract": {"access_token": "json: $.access_token", "order": "json: $.orders[0].id"},
        },
        {
            "name": "order",
            "url": "https://a.example/orders/{{order}}",
            "method": "GET",
            "headers": {"Authorization": "Bearer {{access_token}}", "X-Client": "{{x_client}}"},
            "expected_status": "100-599",
            "conditions": [OK, "[BODY].id == {{order}}"],
        },
    ]
    assert secrets == {"x_client": "client-secret"}
    assert (told, check["key"], check["kind"], check["tags"]) == ([], "gatus-suite-shop-flow", "multistep", ["shop"])
    assert (check["interval_seconds"], check["timeout_seconds"], check["retries"]) == (300, 15, 0)


async def test_imported_suite_walks_through_a_login() -> None:
    with serving(shop) as web:
        check, told = suite(*login(web.url("")), context={"shop": {"id": 7}})
        config = parse_config(MultistepConfig, check["config"])
        outcome = (await probe_all([ProbeJob("one", "multistep", config, PATIENCE, True)]))["one"]

    assert (outcome.verdict, outcome.error_code, told) == (Verdict.SUCCESS, "", [])
    assert [(step["name"], step["status"]) for step in outcome.details["steps"]] == [("sign-in", 201), ("order", 200)]


def test_check_of_a_suite_can_be_applied() -> None:
    check, _told = suite(*login("https://a.example"), context={"shop": {"id": 7}})

    wanted = read_configuration({"apiVersion": "obsera/v1", "checks": [check]}, regions={"main": 1})

    assert settle_config(wanted.entries[0], None)


def test_suite_and_endpoint_of_one_name_are_two_checks() -> None:
    found = read({"endpoints": [endpoint()], "suites": [{"name": "it", "endpoints": [endpoint()]}]})

    assert [check["key"] for check in found.checks] == ["gatus-it", "gatus-suite-it"]


def test_maintenance_of_the_file_covers_a_suite() -> None:
    maintenance = {"start": "23:00", "duration": "1h"}

    found = read({"suites": [{"name": "flow", "endpoints": [endpoint()]}], "maintenance": maintenance})

    assert [window["checks"] for window in found.others["maintenance"]] == [["gatus-suite-flow"]]


def test_disabled_suite_is_paused() -> None:
    check, told = suite(endpoint(), enabled=False)

    assert (check["paused"], told) == (True, [])


@pytest.mark.parametrize(
    ("value", "written"),
    [("19.99", "19.99"), (19.99, "19.99"), (2.0, "2"), (7, "7"), (True, "true"), ("a b", "a b")],
)
def test_constant_is_put_in_as_gatus_writes_it(value: Any, written: str) -> None:
    step = endpoint("https://a.example/", "[BODY].x == [CONTEXT].a", method="POST", body="x=[CONTEXT].a!")

    made = whole(step, context={"a": value})["steps"][0]

    assert (made["body"], made["conditions"]) == (f"x={written}!", [f"[BODY].x == {written}"])


def test_stored_value_takes_the_place_of_a_constant() -> None:
    first = endpoint("https://a.example/[CONTEXT].id", name="first", store={"id": "[BODY].id"})
    second = endpoint("https://a.example/[CONTEXT].id", name="second")

    made = whole(first, second, context={"id": "none"})

    assert [step["url"] for step in made["steps"]] == ["https://a.example/none", "https://a.example/{{id}}"]


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("[BODY].a-b[0].c", "json: $['a-b'][0].c"),
        ("[body][1]", "json: $[1]"),
        ("[BODY].it's", r"json: $['it\'s']"),
        ("[BODY]", r"regex: \S(?:[\s\S]*\S)?"),
        ("[HEADER].X-Next", "header: X-Next"),
    ],
)
def test_place_of_an_answer_is_stored(place: str, source: str) -> None:
    made = whole(endpoint(name="a", store={"x": place}), endpoint("https://a.example/[CONTEXT].x", name="b"))

    assert made["steps"][0]["extract"] == {"x": source}


def test_value_that_no_later_endpoint_reads_is_not_looked_for() -> None:
    first = endpoint(name="a", store={"x": "[BODY].gone", "y": "[STATUS]"})

    assert "extract" not in whole(first, endpoint(name="b"))["steps"][0]


def test_names_that_are_alike_here_stay_apart() -> None:
    first = endpoint(name="a", store={"a-b": "[BODY].one", "a_b": "[BODY].two", "1": "[BODY].three"})
    second = endpoint("https://a.example/[CONTEXT].a-b/[CONTEXT].a_b/[CONTEXT].1", name="b")

    made = whole(first, second)["steps"]

    assert made[0]["extract"] == {"a_b": "json: $.one", "a_b_2": "json: $.two", "_1": "json: $.three"}
    assert made[1]["url"] == "https://a.example/{{a_b}}/{{a_b_2}}/{{_1}}"


def test_value_in_graphql_cannot_break_its_json() -> None:
    first = endpoint(name="a", store={"x": "[BODY].x"})
    second = endpoint(name="b", method="POST", graphql=True, body='{ [ENDPOINT_NAME](id: "[CONTEXT].x") }')

    made = whole(first, second)["steps"][1]

    assert made["body"] == {"query": '{ b(id: "{{x}}") }'}
    assert made["headers"] == {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "shown", "secrets"),
    [
        ({"Authorization": "Bearer abc"}, {"Authorization": "Bearer {{authorization}}"}, {"authorization": "abc"}),
        ({"X-Key": "key=abc"}, {"X-Key": "{{x_key}}"}, {"x_key": "key=abc"}),
        ({"Cookie": "a=[CONTEXT].x; b=[CONTEXT].x"}, {"Cookie": "a={{x}}; b={{x}}"}, {}),
        ({"X-Key": "abc:[CONTEXT].x"}, {"X-Key": "{{x_key}}{{x}}"}, {"x_key": "abc:"}),
        ({"X-Key": "[CONTEXT].key"}, {"X-Key": "{{key}}"}, {"key": "abc"}),
        ({"X-Key": "token=[CONTEXT].x"}, {"X-Key": "token={{x}}"}, {}),
        ({"X-Key": "s3cret=[CONTEXT].x"}, {"X-Key": "{{x_key}}{{x}}"}, {"x_key": "s3cret="}),
        ({"X-A": "abc", "X-B": "abc"}, {"X-A": "{{x_a}}", "X-B": "{{x_a}}"}, {"x_a": "abc"}),
        ({"Accept": "text/html"}, {"Accept": "text/html"}, {}),
        ({"X-Empty": ""}, {"X-Empty": ""}, {}),
    ],
)
def test_what_a_header_says_is_a_secret(headers: Any, shown: Any, secrets: Any) -> None:
    first = endpoint(name="a", store={"x": "[BODY].x"})
    second = endpoint("https://a.example/[CONTEXT].x", name="b", headers=headers)

    made = whole(first, second, context={"key": "abc"})

    assert (made["steps"][1]["headers"], made.get("secrets", {})) == (shown, secrets)


def test_constant_of_a_header_is_a_secret_wherever_it_stands() -> None:
    key = "[CONTEXT].shop.key"
    first = endpoint(
        f"https://a.example/?key={key}", f"[BODY].key == {key}", name="a", method="POST", body=f"key={key}"
    )

    made = whole(first, endpoint(name="b", headers={"X-Key": key, "Accept": key}), context={"shop": {"key": "s3cret"}})

    assert made["secrets"] == {"shop_key": "s3cret"}
    assert [made["steps"][0][part] for part in ("url", "body", "conditions")] == [
        "https://a.example/?key={{shop_key}}",
        "key={{shop_key}}",
        ["[BODY].key == {{shop_key}}"],
    ]
    assert made["steps"][1]["headers"] == {"X-Key": "{{shop_key}}", "Accept": "{{shop_key}}"}


@pytest.mark.parametrize("url", ["[CONTEXT].at/x", "https://[CONTEXT].at/x"])
def test_host_is_no_secret_though_a_header_tells_it(url: str) -> None:
    at = "a.example:8443" if "://" in url else "https://a.example:8443"

    made = whole(endpoint(url, headers={"X-From": "[CONTEXT].at"}), context={"at": at})

    assert (made["steps"][0]["url"], made["secrets"]) == ("https://a.example:8443/x", {"x_from": at})


def test_what_is_one_for_all_steps_comes_where_the_endpoints_agree() -> None:
    client = {"insecure": True, "ignore-redirect": True, "proxy-url": "http://jo:pw@proxy.example:3128"}

    made = whole(endpoint(name="a", client=client), endpoint(name="b", client=client))

    assert [made[name] for name in ("verify_tls", "follow_redirects", "proxy", "proxy_password")] == [
        False,
        False,
        "http://proxy.example:3128",
        "pw",
    ]


# --- What stays behind ---


def test_endpoint_that_always_runs_is_named() -> None:
    check, told = suite(endpoint(name="a"), endpoint(name="clean-up", **{"always-run": True}))

    reason = "It always runs there; here no step follows one that failed."
    assert (check.get("paused"), told) == (None, [("suites[0].endpoints[1]", "clean-up", reason)])


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (
            {"name": "b", "url": "tcp://a.example:22", "conditions": ["[CONNECTED] == true"]},
            "b: “tcp://a.example:22” is not asked over HTTP, as all steps of a check are.",
        ),
        (
            {
                "name": "b",
                "url": "192.0.2.1",
                "dns": {"query-name": "a.example"},
                "conditions": ["[DNS_RCODE] == NOERROR"],
            },
            "b: “192.0.2.1” is not asked over HTTP, as all steps of a check are.",
        ),
        (
            endpoint("https://a.example/", "[CONNECTED] == false", name="b"),
            "b: It is upside down: up means failed. No check here turns its verdict round.",
        ),
        (endpoint(name="b", method="POST", body="{{ x }}"), "b: “{{ x }}” would be a variable here."),
        (
            endpoint(name="b", body="x"),
            "steps: Step 2: GET and HEAD send no body; choose another method or empty the body.",
        ),
        (
            endpoint(name="b", method="POST", body="[CONTEXT].long" * 9),
            "b: It is too long: 64000 characters are the most.",
        ),
    ],
)
def test_suite_with_an_endpoint_that_is_no_step_stays_behind(other: dict[str, Any], reason: str) -> None:
    check, told = suite(endpoint(name="a"), other, context={"long": "x" * 8_000})

    assert (check, told) == ({}, [("suites[0]", "flow", reason)])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"headers": {"X": "".join(f"[CONTEXT].t {number}" for number in range(101))}},
            "b: It has more than 100 secrets.",
        ),
        (
            {"method": "POST", "body": "[CONTEXT].t " * 13_000},
            "b: It is too long: 64000 characters are the most.",
        ),
    ],
)
def test_suite_with_too_many_variables_stays_behind(fields: dict[str, Any], reason: str) -> None:
    check, told = suite(endpoint(name="a", store={"t": "[BODY].t"}), endpoint(name="b", **fields))

    assert (check, told) == ({}, [("suites[0]", "flow", reason)])


@pytest.mark.parametrize(("count", "reason"), [(0, "It has no endpoints."), (21, "It has more than 20 endpoints.")])
def test_suite_of_no_or_too_many_endpoints_stays_behind(count: int, reason: str) -> None:
    check, told = suite(*(endpoint(name=str(number)) for number in range(count)))

    assert (check, told) == ({}, [("suites[0]", "flow", reason)])


@pytest.mark.parametrize(
    "condition",
    [
        "has([CONTEXT].x) == true",
        "len([CONTEXT].x) > 3",
        "[BODY].x == any([CONTEXT].x, 1)",
        "a [CONTEXT].x == [BODY].x",
        "[BODY].x == [context].x",
        "[BODY].x == [CONTEXT].glob",
        "[BODY].x == [CONTEXT].gone",
        "[BODY].x == [CONTEXT].parts",
    ],
)
def test_condition_on_the_context_that_cannot_be_said_keeps_the_check_from_judging(condition: str) -> None:
    context = {"glob": "pat(*)", "parts": {"a": 1}}
    first = endpoint(name="a", store={"x": "[BODY].x"})

    check, told = suite(first, endpoint("https://a.example/", OK, condition, name="b"), context=context)

    assert (check["paused"], check["config"]["steps"][1]["conditions"]) == (True, [OK])
    assert told == [
        ("suites[0].endpoints[1]", "b", f"The condition “{condition}” stays behind."),
        ("suites[0]", "flow", PAUSED),
    ]


def test_other_condition_that_cannot_be_said_is_named_and_decides_where_it_is_alone() -> None:
    condition = "[DOMAIN_EXPIRATION] > 720h"
    some, told = suite(endpoint("https://a.example/", condition, OK))
    none, _told = suite(endpoint("https://a.example/", condition))

    assert (some.get("paused"), none["paused"]) == (None, True)
    assert told == [("suites[0].endpoints[0]", "it", f"The condition “{condition}” stays behind.")]


def test_value_that_nothing_stores_keeps_the_check_from_judging() -> None:
    check, told = suite(endpoint("https://a.example/[CONTEXT].x", store={"x": "[BODY].x"}))

    assert (check["paused"], [reason for _where, _name, reason in told]) == (
        True,
        ["No endpoint before it stores “[CONTEXT].x”, and no constant has that name.", PAUSED],
    )


def test_secret_that_an_address_escapes_keeps_the_check_from_judging() -> None:
    step = endpoint("https://a.example/?key=[CONTEXT].key", headers={"X-Key": "[CONTEXT].key"})

    check, told = suite(step, context={"key": "a&b"})

    assert (check["paused"], check["config"]["steps"][0]["url"]) == (True, "https://a.example/?key={{key}}")
    assert [reason for _where, _name, reason in told] == [
        "“key” is a secret, which is escaped in an address here.",
        PAUSED,
    ]


def test_secret_that_is_more_than_text_to_a_condition_keeps_the_check_from_judging() -> None:
    condition = "[BODY].key == [CONTEXT].key"
    step = endpoint("https://a.example/", OK, condition, headers={"X-Key": "[CONTEXT].key"})

    check, told = suite(step, context={"key": "pat(*)"})

    assert (check["paused"], check["config"]["steps"][0]["conditions"]) == (True, [OK])
    assert [reason for _where, _name, reason in told] == [f"The condition “{condition}” stays behind.", PAUSED]


@pytest.mark.parametrize(
    ("context", "store", "path"),
    [
        ({"user": {"id": 7}}, {"user": "[BODY].user"}, "user.id"),
        ({"user": 7}, {"user.id": "[BODY].id"}, "user"),
        ({"user": {"name": 7}}, {"user": "[BODY].user", "user.id": "[BODY].id"}, "user.name"),
    ],
)
def test_constant_that_a_stored_value_replaces_is_not_put_in(context: Any, store: Any, path: str) -> None:
    first = endpoint(f"https://a.example/[CONTEXT].{path}", name="a", store=store)

    check, told = suite(first, endpoint(f"https://a.example/[CONTEXT].{path}", name="b"), context=context)

    urls = [step["url"] for step in check["config"]["steps"]]
    assert (check["paused"], urls) == (True, ["https://a.example/7", f"https://a.example/[CONTEXT].{path}"])
    reason = f"No endpoint before it stores “[CONTEXT].{path}”, and no constant has that name."
    assert told == [("suites[0].endpoints[1]", "b", reason), ("suites[0]", "flow", PAUSED)]


def test_constant_beside_a_stored_value_is_put_in() -> None:
    first = endpoint(name="a", store={"user.id": "[BODY].id"})
    second = endpoint("https://a.example/[CONTEXT].user.id/[CONTEXT].user.name", name="b")

    made = whole(first, second, context={"user": {"id": 7, "name": "jo"}})

    assert made["steps"][1]["url"] == "https://a.example/{{user_id}}/jo"


@pytest.mark.parametrize("place", ["[STATUS]", "len([BODY].x)", "[BODY].x[*].y", "text"])
def test_place_that_no_step_looks_at_keeps_the_check_from_judging(place: str) -> None:
    first = endpoint(name="a", store={"x": place})

    check, told = suite(first, endpoint("https://a.example/?[CONTEXT].x", name="b"), context={"x": "before"})

    assert (check["paused"], check["config"]["steps"][1]["url"]) == (True, "https://a.example/?[CONTEXT].x")
    assert told == [
        ("suites[0].endpoints[0]", "a", f"“{place}” cannot be stored for later steps."),
        ("suites[0]", "flow", PAUSED),
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"client": {"tunnel": "office"}}, "Nothing here does “client.tunnel”."),
        (
            {"client": {"oauth2": {"token-url": "https://a.example/", "client-id": "a", "client-secret": "b"}}},
            "Nothing here does “client.oauth2”.",
        ),
        ({"method": "POST", "body": "[RANDOM_STRING_8]"}, "Nothing here does “[RANDOM_STRING_8]”."),
        ({"enabled": False}, "“enabled” stays behind."),
        (
            {"headers": {"X-Key": "${KEY}"}},
            "“KEY” is a variable of Gatus' environment, whose value is not in the file: put it in.",
        ),
    ],
)
def test_what_a_step_has_not_keeps_the_check_from_judging(fields: dict[str, Any], reason: str) -> None:
    check, told = suite(endpoint(**fields))

    assert (check["paused"], [said for _where, _name, said in told]) == (True, [reason, PAUSED])
    assert told[0][:2] == ("suites[0].endpoints[0]", "it")


def test_clients_that_differ_keep_the_check_from_judging() -> None:
    check, told = suite(endpoint(name="a", client={"insecure": True}), endpoint(name="b"))

    assert (check["paused"], told[0][2]) == (
        True,
        "Its endpoints differ in “client.insecure”, which is one for all steps here.",
    )


def test_time_limits_become_one() -> None:
    slow, told = suite(endpoint(name="a", client={"timeout": "25s"}), endpoint(name="b"))
    long, lost = suite(*(endpoint(name=str(number)) for number in range(7)))

    assert (slow["timeout_seconds"], long["timeout_seconds"]) == (35, 60)
    assert told == [
        ("suites[0].endpoints[0]", "a", "Its own time limit stays behind: here one is for all steps together.")
    ]
    assert lost == [("suites[0]", "flow", "timeout_seconds 70 becomes 60.")]


def test_rest_of_a_suite_and_of_its_endpoints_is_named() -> None:
    aside = {"maintenance-windows": [{"start": "23:00", "duration": "1h"}], "extra-labels": {"env": "prod"}}
    first = endpoint(name="a", alerts=[{"type": "${KIND}"}], ui={"hide-url": True}, **aside)

    check, told = suite(first, **{"of-tomorrow": 1})

    assert (check["tags"], check.get("paused")) == (["shop", "env:prod"], None)
    assert told == [
        ("suites[0]", "flow", "“of-tomorrow” stays behind."),
        ("suites[0].endpoints[0]", "a", "Its alerts stay behind; make alert rules here."),
        ("suites[0].endpoints[0]", "a", "“ui” stays behind."),
        ("suites[0].endpoints[0]", "a", "“maintenance-windows” stays behind."),
    ]
