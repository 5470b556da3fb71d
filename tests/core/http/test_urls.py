"""URLs as people and attackers type them."""

import pytest

from apps.core.http.urls import BadUrl, check_url, forbidden_literal


@pytest.mark.parametrize(
    ("typed", "url", "host", "port"),
    [
        ("https://example.com", "https://example.com/", "example.com", 443),
        ("HTTP://EXAMPLE.com:80/a#part", "http://example.com/a", "example.com", 80),
        ("http://example.com:8080/a?b=c&d=%20", "http://example.com:8080/a?b=c&d=%20", "example.com", 8080),
        ("http://ex_ample.com/", "http://ex_ample.com/", "ex_ample.com", 80),
        ("http://example.com./", "http://example.com./", "example.com.", 80),
        ("https://münchen.de/ü?q=ä", "https://xn--mnchen-3ya.de/%C3%BC?q=%C3%A4", "xn--mnchen-3ya.de", 443),
        ("https://faß.de/", "https://xn--fa-hia.de/", "xn--fa-hia.de", 443),
        ("http://a。example/", "http://a.example/", "a.example", 80),
        ("http://[2606:4700::1111]:9/", "http://[2606:4700::1111]:9/", "2606:4700::1111", 9),
    ],
)
def test_good_url_is_rebuilt_from_its_parts(typed: str, url: str, host: str, port: int) -> None:
    parsed = check_url(typed)

    assert (parsed.url, parsed.host, parsed.port) == (url, host, port)


@pytest.mark.parametrize(
    "typed",
    [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://①②⑦.⓪.⓪.①/",
        "http://１２７.0.0.1/",
    ],
)
def test_address_in_disguise_is_judged_by_what_it_is(typed: str) -> None:
    parsed = check_url(typed)

    assert (parsed.literal_ip, parsed.url) == ("127.0.0.1", "http://127.0.0.1/")
    assert forbidden_literal(parsed, allow_private=False) == "loopback"
    assert forbidden_literal(parsed, allow_private=True) is None


def test_name_is_not_judged_before_it_is_resolved() -> None:
    assert forbidden_literal(check_url("http://localhost/"), allow_private=False) is None


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "bad_scheme"),
        ("example.com", "bad_scheme"),
        ("ftp://example.com/", "bad_scheme"),
        ("file:///etc/passwd", "bad_scheme"),
        ("gopher://example.com/", "bad_scheme"),
        ("javascript:alert(1)", "bad_scheme"),
        ("http://", "no_host"),
        ("http:///path", "no_host"),
        ("http://:80/", "no_host"),
        ("http://user@example.com/", "userinfo"),
        ("http://user:secret@example.com/", "userinfo"),
        ("http://example.com@127.0.0.1/", "userinfo"),
        ("http://example.com\\@127.0.0.1/", "bad_characters"),
        ("http://exam ple.com/", "bad_characters"),
        ("http://example.com/a\r\nX: y", "bad_characters"),
        ("http://example.com/\x00", "bad_characters"),
        ("http://example.com:0/", "bad_port"),
        ("http://example.com:65536/", "bad_port"),
        ("http://example.com:-1/", "bad_port"),
        ("http://example.com:http/", "bad_port"),
        ("http://[::1/", "malformed"),
        ("http://[fe80::1%25eth0]/", "bad_host"),
        ("http://[zz::1]/", "malformed"),
        ("http://ü..de/", "bad_host"),
        ("http://☃.net\u200b.\u0378/", "bad_host"),
        ("http://a..b/", "bad_host"),
        ("http://-a.com/", "bad_host"),
        ("http://exa%6dple.com/", "bad_host"),
        ("http://1.2.3.999/", "bad_host"),
        ("http://1.2.3.4.5/", "bad_host"),
        (f"http://{'a' * 64}.com/", "bad_host"),
        (f"http://example.com/{'a' * 2_000}", "too_long"),
    ],
)
def test_bad_url_is_refused_with_its_reason(typed: str, code: str) -> None:
    with pytest.raises(BadUrl) as caught:
        check_url(typed)

    assert caught.value.code == code
    assert str(caught.value)
