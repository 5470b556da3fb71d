"""Authenticator app and recovery codes."""

import base64
import hmac
import re
import struct
import time

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client

from apps.core import clock
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def code_for(secret: str) -> str:
    """What an authenticator app shows now (RFC 6238)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), "sha1")
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 0xF)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


def enrolled() -> tuple[Client, str]:
    """Return a signed-in client with a second factor, and its secret."""
    client = Client()
    client.force_login(make_user("nora@new.example"))
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    page = client.get("/account/2fa/totp/activate/").content.decode()
    found = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert found
    with time_machine.travel(clock.now(), tick=False):  # a code ends with its half minute
        answer = client.post("/account/2fa/totp/activate/", {"code": code_for(found.group(1))})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/2fa/recovery-codes/")
    return client, found.group(1)


def test_secret_is_sealed_at_rest() -> None:
    _client, secret = enrolled()

    stored = Authenticator.objects.get(type="totp").data["secret"]

    assert stored != secret
    assert stored.startswith("derived.")


def test_signing_in_asks_for_the_second_factor() -> None:
    enrolled()
    client = Client()

    first = client.post("/account/login/", {"login": "nora@new.example", "password": PASSWORD})
    half_way = "_auth_user_id" in client.session
    wrong = client.post("/account/2fa/authenticate/", {"code": "000000"})

    assert (first.headers["Location"], half_way) == ("/account/2fa/authenticate/", False)
    assert wrong.context["form"].errors == {"code": ["Incorrect code."]}
    assert "_auth_user_id" not in client.session


def test_recovery_code_opens_once() -> None:
    person, _secret = enrolled()
    shown = person.get("/account/2fa/recovery-codes/").context["unused_codes"]

    results = []
    for _ in range(2):
        client = Client()
        client.post("/account/login/", {"login": "nora@new.example", "password": PASSWORD})
        client.post("/account/2fa/authenticate/", {"code": shown[0]})
        results.append("_auth_user_id" in client.session)

    assert results == [True, False]


@pytest.mark.parametrize(
    "path",
    [
        "/account/2fa/",
        "/account/2fa/recovery-codes/",
        "/account/2fa/recovery-codes/generate/",
        "/account/2fa/totp/deactivate/",
    ],
)
def test_pages_of_the_second_factor_wear_the_products_clothes(path: str) -> None:
    client, _secret = enrolled()

    page = client.get(path).content.decode()

    assert '<div class="auth auth--wide">' in page
    assert "style=" not in page
