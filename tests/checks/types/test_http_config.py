"""An HTTP check's settings: what is taken, what is refused, what is shown."""

from typing import Any

import pytest

from apps.checks.types.http import HttpCheck, HttpConfig
from apps.core.kinds import ConfigErrors, dump_config, load_config, parse_config, public_config


def test_url_alone_is_enough() -> None:
    config = parse_config(HttpConfig, {"url": "https://example.com"})

    assert config == HttpConfig(url="https://example.com")
    assert (config.method, config.expected_status, config.follow_redirects, config.verify_tls) == (
        "GET",
        "200-299",
        True,
        True,
    )


def test_everything_survives_storing() -> None:
    given = {
        "url": "https://example.com/a?b=c",
        "method": "POST",
        "headers": {"X-Token": "a-long-secret-value"},
        "body": '{"a": 1}',
        "expected_status": "2xx, 301",
        "keyword": "ok",
        "keyword_absent": True,
        "follow_redirects": False,
        "verify_tls": False,
        "http_version": "2",
    }
    config = parse_config(HttpConfig, given)

    assert dump_config(config) == given
    assert load_config(HttpConfig, dump_config(config)) == config


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "url"),
        ({"url": "not a url"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://user:pass@example.com"}, "url"),
        ({"method": "TRACE"}, "method"),
        ({"method": "get"}, "method"),
        ({"headers": {"Bad Name": "x"}}, "headers"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "headers"),
        ({"headers": {"Content-Length": "3"}}, "headers"),
        ({"headers": "no colon"}, "headers"),
        ({"headers": {"X-A": 5}}, "headers"),
        ({"body": "x"}, "body"),
        ({"method": "HEAD", "keyword": "x"}, "keyword"),
        ({"keyword_absent": True}, "keyword"),
        ({"expected_status": "twohundred"}, "expected_status"),
        ({"expected_status": ""}, "expected_status"),
        ({"method": ""}, "method"),
        ({"http_version": ""}, "http_version"),
        ({"http_version": "2", "url": "http://example.com"}, "http_version"),
        ({"http_version": "3"}, "http_version"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_wrong_setting_is_named(given: dict[str, Any], field: str) -> None:
    if field != "url" or given:
        given = {"url": "https://example.com", **given}

    with pytest.raises(ConfigErrors) as caught:
        parse_config(HttpConfig, given)

    assert list(caught.value.errors) == [field]


def test_header_values_are_secret() -> None:
    config = HttpConfig(url="https://example.com", headers={"Authorization": "Bearer abcdefghijkl"})

    assert public_config(config)["headers"] == {"Authorization": "••••ijkl"}


def test_target_shows_no_query() -> None:
    assert HttpCheck().target(HttpConfig(url="https://example.com/a?token=secret#b")) == "https://example.com/a"


def test_body_that_is_json_says_so() -> None:
    lines = [
        HttpConfig(url="https://example.com", method="POST", body=body).request.header_lines
        for body in ('{"a": 1}', "text")
    ]

    assert b"Content-Type: application/json" in lines[0]
    assert b"Content-Type: text/plain; charset=utf-8" in lines[1]


def test_own_content_type_wins() -> None:
    config = HttpConfig(url="https://example.com", method="POST", body="{}", headers={"content-type": "text/x"})

    assert [line for line in config.request.header_lines if line.lower().startswith(b"content-type")] == [
        b"content-type: text/x"
    ]


def test_request_is_prepared_once() -> None:
    config = HttpConfig(url="https://example.com")

    assert config.request is config.request
