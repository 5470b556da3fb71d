"""An HTTP check's settings: what is taken, what is refused, what is shown."""

from typing import Any

import pytest
import trustme

from apps.checks.types import http_fields
from apps.checks.types.http import HttpCheck, HttpConfig
from apps.core.http.curl import HttpVersion
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
        "auth": "oauth2",
        "oauth_token_url": "https://login.example.com/token",
        "oauth_client_id": "prober",
        "oauth_client_secret": "another-long-secret",
        "cookies": {"theme": "dark"},
        "present": ["one", "two"],
        "header_rules": ["Content-Type: ~ json"],
        "json_rules": ["$.items[?@.id == 1] count >= 1"],
        "json_schema": '{"type": "object"}',
        "certificate_days": 14,
        "conditions": ["[BODY].status == UP"],
        "proxy": "socks5://proxy.example.com:1080",
    }
    config = parse_config(HttpConfig, given)

    assert {name: value for name, value in dump_config(config).items() if name in given} == given
    assert dump_config(config) == {**dump_config(HttpConfig(url=given["url"])), **given}
    assert load_config(HttpConfig, dump_config(config)) == config


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "url"),
        ({"url": "not a url"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://user:pass@example.com"}, "url"),
        ({"method": "CONNECT"}, "method"),
        ({"method": "get"}, "method"),
        ({"method": "TWO WORDS"}, "method"),
        ({"method": "X" * 41}, "method"),
        ({"auth": "digest"}, "auth"),
        ({"auth": "basic"}, "username"),
        ({"auth": "basic", "username": "a:b"}, "username"),
        ({"auth": "basic", "username": "a", "headers": {"authorization": "x"}}, "headers"),
        ({"auth": "bearer"}, "token"),
        ({"auth": "bearer", "token": "two\nlines"}, "token"),
        ({"auth": "oauth2", "oauth_client_id": "a", "oauth_client_secret": "b"}, "oauth_token_url"),
        ({"oauth_token_url": "ftp://x"}, "oauth_token_url"),
        ({"cookies": {"bad name": "x"}}, "cookies"),
        ({"cookies": {"a": "b; c=d"}}, "cookies"),
        ({"cookies": {"a": "b"}, "headers": {"Cookie": "c=d"}}, "cookies"),
        ({"present": ["x"] * 31}, "present"),
        ({"method": "HEAD", "present": ["x"]}, "present"),
        ({"patterns": ["ok", "("]}, "patterns"),
        ({"patterns_absent": ["(?:(?:a?){1000}){1000}"]}, "patterns_absent"),
        ({"header_rules": ["Content-Type"]}, "header_rules"),
        ({"header_rules": ["Content-Type: is json"]}, "header_rules"),
        ({"header_rules": ["Content-Type: ~ ("]}, "header_rules"),
        ({"header_rules": ["Content-Type: absent x"]}, "header_rules"),
        ({"json_rules": ["items count >= 3"]}, "json_rules"),
        ({"json_rules": ["$.items"]}, "json_rules"),
        ({"json_rules": ["$.items count many"]}, "json_rules"),
        ({"json_rules": ["$.items contains"]}, "json_rules"),
        ({"json_schema": "{"}, "json_schema"),
        ({"json_schema": '{"$ref": "https://example.com/s.json"}'}, "json_schema"),
        ({"min_body_bytes": 9, "max_body_bytes": 8}, "max_body_bytes"),
        ({"max_response_ms": -1}, "max_response_ms"),
        ({"certificate_days": 3, "url": "http://example.com"}, "certificate_days"),
        ({"conditions": ["[STATUS]==200"]}, "conditions"),
        ({"conditions": ["[DOMAIN_EXPIRATION] > 48h"], "url": "https://192.0.2.1"}, "conditions"),
        ({"conditions": ["[DNS_RCODE] == NOERROR"]}, "conditions"),
        ({"max_redirects": 0}, "max_redirects"),
        ({"max_redirects": ""}, "max_redirects"),
        ({"client_certificate": "x"}, "client_key"),
        ({"client_certificate": "x", "client_key": "y"}, "client_certificate"),
        ({"proxy": "proxy.example.com:3128"}, "proxy"),
        ({"proxy": "https://proxy.example.com:3128"}, "proxy"),
        ({"proxy": "http://user:pass@proxy.example.com:3128"}, "proxy"),
        ({"proxy": "http://proxy.example.com/path"}, "proxy"),
        ({"proxy": "socks5://proxy.example.com"}, "proxy"),
        ({"proxy": "socks5://proxy.example.com:1080", "http_version": "3"}, "http_version"),
        ({"headers": {"Bad Name": "x"}}, "headers"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "headers"),
        ({"headers": {"Content-Length": "3"}}, "headers"),
        ({"headers": "no colon"}, "headers"),
        ({"headers": {"X-A": 5}}, "headers"),
        ({"body": "x"}, "body"),
        ({"method": "HEAD", "keyword": "x"}, "keyword"),
        ({"method": "HEAD", "absent": ["x"]}, "absent"),
        ({"method": "HEAD", "patterns_absent": ["x"]}, "patterns_absent"),
        ({"method": "HEAD", "max_body_bytes": 5}, "max_body_bytes"),
        ({"method": "HEAD", "conditions": ["has([body].a) == false"]}, "conditions"),
        ({"url": "http://example.com", "client_certificate": "x", "client_key": "y"}, "client_certificate"),
        ({"keyword_absent": True}, "keyword"),
        ({"expected_status": "twohundred"}, "expected_status"),
        ({"expected_status": ""}, "expected_status"),
        ({"method": ""}, "method"),
        ({"http_version": ""}, "http_version"),
        ({"http_version": "2", "url": "http://example.com"}, "http_version"),
        ({"http_version": "3", "url": "http://example.com"}, "http_version"),
        ({"http_version": "4"}, "http_version"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_wrong_setting_is_named(given: dict[str, Any], field: str) -> None:
    if field != "url" or given:
        given = {"url": "https://example.com", **given}

    with pytest.raises(ConfigErrors) as caught:
        parse_config(HttpConfig, given)

    assert list(caught.value.errors) == [field]


@pytest.mark.parametrize("method", ["GET", "PURGE", "PROPFIND", "M-SEARCH", "TRACE", "purge"])
def test_any_method_of_the_standard_is_taken(method: str) -> None:
    assert parse_config(HttpConfig, {"url": "https://example.com", "method": method}).request.method == method


def test_version_that_libcurl_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_fields, "speaks", lambda version: version != HttpVersion.THREE)

    with pytest.raises(ConfigErrors) as caught:
        parse_config(HttpConfig, {"url": "https://example.com", "http_version": "3"})

    assert list(caught.value.errors) == ["http_version"]


def test_certificate_and_key_must_belong_together() -> None:
    authority = trustme.CA()
    one, two = authority.issue_cert("one.example"), authority.issue_cert("two.example")
    given = {"url": "https://example.com", "client_certificate": one.cert_chain_pems[0].bytes().decode()}

    assert parse_config(HttpConfig, {**given, "client_key": one.private_key_pem.bytes().decode()}).client_key
    for wrong in (two.private_key_pem.bytes().decode(), "nonsense", given["client_certificate"]):
        with pytest.raises(ConfigErrors) as caught:
            parse_config(HttpConfig, {**given, "client_key": wrong})
        assert list(caught.value.errors) == ["client_key"]


def test_plain_check_pays_for_nothing_more() -> None:
    config = HttpConfig(url="https://example.com", keyword="ok")

    assert (config.request.extras, config.assertions, config.token_keeper, config.new_jar()) == (None, (), None, None)


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
