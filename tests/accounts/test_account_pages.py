"""A person's own pages, how long a sign-in lasts, and the headers of every page."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client

from apps.accounts.tasks import forget_old_sessions
from apps.core import clock
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
PUBLIC = ["login", "signup", "password/reset", "password/reset/done", "confirm-email", "inactive", "confirm-email/x"]
OWN = ["profile", "email", "password/change", "2fa", "sessions", "reauthenticate", "logout"]


@pytest.fixture
def person_client(client: Client) -> Client:
    client.force_login(make_user("nora@new.example", name="Nora"))
    return client


@pytest.mark.parametrize("path", PUBLIC)
def test_public_page_wears_the_products_clothes(client: Client, path: str) -> None:
    answer = client.get(f"/account/{path}/")

    assert answer.status_code == 200
    assert re.search(r'<div class="auth\s', answer.content.decode())


@pytest.mark.parametrize("path", OWN)
def test_own_page_wears_the_products_clothes_and_asks_strangers_to_sign_in(person_client: Client, path: str) -> None:
    answer, stranger = person_client.get(f"/account/{path}/"), Client().get(f"/account/{path}/")

    assert answer.status_code == 200
    assert re.search(r'<div class="auth\s', answer.content.decode())
    assert stranger.status_code == 302


def test_profile_keeps_name_and_language_and_speaks_it_at_once(person_client: Client) -> None:
    answer = person_client.post("/account/profile/", {"name": "Nora Neu", "language": "de"})

    page = person_client.get("/account/profile/")
    assert (answer.status_code, page.context["user"].name, page.context["user"].language) == (302, "Nora Neu", "de")
    assert person_client.cookies["obsera_language"].value == "de"
    assert '<html lang="de"' in page.content.decode()


def test_language_travels_to_the_next_browser(person_client: Client) -> None:
    person_client.post("/account/profile/", {"name": "Nora", "language": "de"})
    elsewhere = Client()

    elsewhere.post("/account/login/", {"login": "nora@new.example", "password": PASSWORD})

    assert elsewhere.cookies["obsera_language"].value == "de"


def test_unknown_language_is_refused(person_client: Client) -> None:
    answer = person_client.post("/account/profile/", {"name": "Nora", "language": "xx"})

    assert list(answer.context["form"].errors) == ["language"]


def test_signing_out_everywhere_else_leaves_this_session(person_client: Client) -> None:
    elsewhere = Client()
    elsewhere.post("/account/login/", {"login": "nora@new.example", "password": PASSWORD})

    person_client.post("/account/login/", {"login": "nora@new.example", "password": PASSWORD})
    person_client.post("/account/sessions/")

    assert person_client.get("/account/profile/").status_code == 200
    assert elsewhere.get("/account/profile/").status_code == 302


def test_sign_in_ends_after_a_week_without_a_visit(client: Client) -> None:
    make_user("nora@new.example")
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock_hand:
        client.post("/account/login/", {"login": "nora@new.example", "password": PASSWORD})
        statuses = []
        for days in (6, 6, 8):
            clock_hand.shift(timedelta(days=days))
            statuses.append(client.get("/account/profile/").status_code)

    assert statuses == [200, 200, 302]


def test_sign_in_ends_after_thirty_days_whatever_the_visits(client: Client) -> None:
    make_user("nora@new.example")
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock_hand:
        client.post("/account/login/", {"login": "nora@new.example", "password": PASSWORD})
        statuses = []
        for _ in range(7):
            clock_hand.shift(timedelta(days=5))
            statuses.append(client.get("/account/profile/").status_code)

    assert statuses == [200] * 6 + [302]


def test_session_row_is_not_written_on_every_request(person_client: Client, django_assert_num_queries: Any) -> None:
    person_client.get("/account/profile/")

    with django_assert_num_queries(2) as captured:  # the session, the person
        person_client.get("/account/profile/")

    assert not [query for query in captured.captured_queries if query["sql"].startswith("UPDATE")]


def test_old_sessions_are_forgotten(person_client: Client) -> None:
    Session.objects.create(session_key="old", session_data="", expire_date=clock.now() - timedelta(days=1))

    forget_old_sessions()

    assert "old" not in Session.objects.values_list("session_key", flat=True)
    assert Session.objects.count() == 1


def test_every_page_carries_the_security_headers(client: Client) -> None:
    answer = client.get("/account/login/")

    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([\w-]{22})'", policy)
    assert nonce
    assert policy == (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce.group(1)}'; style-src 'self' 'nonce-{nonce.group(1)}'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert {
        name: answer.headers[name] for name in ("X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy")
    } == {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Permissions-Policy"] == "camera=(), geolocation=(), microphone=(), payment=()"
    assert client.get("/account/login/").headers["Content-Security-Policy"] != policy


def test_cookies_are_kept_from_scripts_and_other_sites(client: Client) -> None:
    make_user("nora@new.example")
    client.post("/account/login/", {"login": "nora@new.example", "password": PASSWORD})

    cookie = client.cookies["obsera_session"]

    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 7 * 86_400)


def test_pages_hold_no_inline_style_or_script(client: Client) -> None:
    for path in ("login", "signup", "password/reset"):
        page = client.get(f"/account/{path}/").content.decode()
        scripts = re.findall(r"<script\b[^>]*>", page)
        assert "style=" not in page
        assert "<style" not in page
        assert [tag for tag in scripts if "src=" not in tag and "nonce=" not in tag] == []
