"""What may be entered as a host."""

import pytest
from django.core.exceptions import ValidationError

from apps.checks.types.hosts import bare_host, check_host_field, place


@pytest.mark.parametrize("host", ["example.com", "bücher.example", "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "db"])
def test_names_and_addresses_are_hosts(host: str) -> None:
    check_host_field(host)


@pytest.mark.parametrize(
    "host",
    ["https://example.com", "example.com/x", "example.com:80", "a..b", "fe80::1%eth0", "-a.example", "a b", "[]"],
)
def test_what_can_be_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValidationError):
        check_host_field(host)


def test_places_are_shown_as_people_write_them() -> None:
    assert place("example.com", 80) == "example.com:80"
    assert place("2001:db8::1", 80) == place("[2001:db8::1]", 80) == "[2001:db8::1]:80"
    assert bare_host("[::1]") == "::1"
