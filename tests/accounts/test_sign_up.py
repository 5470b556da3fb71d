"""From a name and an address to a signed-in person, and the ways that must stay closed."""

import re
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from apps.accounts.models import User
from tests.factories import PASSWORD, make_user
from tests.peers.smtp import mail_server

pytestmark = pytest.mark.django_db
FORM = {"name": "Nora New", "email": "nora@new.example", "password1": PASSWORD}


def link_in(letter: Any) -> str:
    found = re.search(r"http://testserver(/\S+)", letter.body)
    assert found
    return found.group(1)


def sign_in(client: Client, email: str, password: str = PASSWORD) -> Any:
    return client.post("/account/login/", {"login": email, "password": password})


def test_signing_up_sends_a_letter_whose_link_confirms_and_signs_in(client: Client) -> None:
    answer = client.post("/account/signup/", FORM)
    letter = mail.outbox[0]
    asked = client.get(link_in(letter))
    confirmed = client.post(link_in(letter))

    person = User.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/confirm-email/")
    assert (letter.to, letter.subject) == (["nora@new.example"], "Welcome to Obsera: confirm your e-mail address")
    assert letter.alternatives[0][1] == "text/html"
    assert link_in(letter) in letter.alternatives[0][0]
    assert asked.status_code == 200
    assert (confirmed.status_code, confirmed.headers["Location"]) == (302, "/")
    assert (person.name, person.email, person.is_staff) == ("Nora New", "nora@new.example", False)
    assert client.session["_auth_user_id"] == str(person.id)


def test_nobody_signs_in_before_the_address_is_confirmed(client: Client) -> None:
    client.post("/account/signup/", FORM)
    stranger = Client()

    answer = sign_in(stranger, "nora@new.example")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/confirm-email/")
    assert "_auth_user_id" not in stranger.session


def test_signing_up_with_a_taken_address_looks_the_same_and_tells_its_owner(client: Client) -> None:
    make_user("nora@new.example")

    answer = client.post("/account/signup/", FORM)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/confirm-email/")
    assert [letter.subject for letter in mail.outbox] == ["You already have an account"]
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"name": ""}, "name", "This field is required."),
        ({"email": "nora"}, "email", "Enter a valid email address."),
        ({"password1": "short"}, "password1", "This password is too short. It must contain at least 10 characters."),
        ({"password1": "nora@new.example"}, "password1", "The password is too similar to the e-mail address."),
    ],
)
def test_wrong_field_is_named_and_nobody_is_made(
    client: Client, change: dict[str, str], field: str, message: str
) -> None:
    answer = client.post("/account/signup/", {**FORM, **change})

    assert answer.context["form"].errors[field] == [message]
    assert User.objects.count() == 0


def test_addresses_are_the_same_whatever_their_case(client: Client) -> None:
    make_user("nora@new.example")

    assert sign_in(client, "NORA@new.example").status_code == 302
    assert "_auth_user_id" in client.session


def test_wrong_password_and_unknown_address_get_the_same_answer(client: Client) -> None:
    make_user("nora@new.example")

    errors = [
        sign_in(client, email, "wrong wrong wrong").context["form"].errors["__all__"]
        for email in ("nora@new.example", "nobody@new.example")
    ]

    assert errors[0] == errors[1] == ["The email address and/or password you specified are not correct."]


def test_fifth_wrong_password_closes_the_door_for_the_right_one_too(client: Client) -> None:
    make_user("nora@new.example")
    for _ in range(5):
        sign_in(client, "nora@new.example", "wrong wrong wrong")

    answer = sign_in(client, "nora@new.example")

    assert answer.context["form"].errors["__all__"] == ["Too many failed login attempts. Try again later."]
    assert "_auth_user_id" not in client.session


def test_mailbox_page_names_the_folder_only_without_a_mail_server(client: Client, settings: Any) -> None:
    settings.EMAIL_FILE_PATH = Path(settings.BASE_DIR) / "var" / "mail"

    with_server = client.get("/account/confirm-email/").content.decode()
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    without = client.get("/account/confirm-email/").content.decode()

    assert ("var/mail" in with_server, "in the folder var/mail;" in without) == (False, True)


def test_letter_reaches_a_real_mail_server_as_text_and_html(client: Client, settings: Any) -> None:
    with mail_server() as mailbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
        client.post("/account/signup/", FORM)

    (letter,) = mailbox.letters
    assert (letter["To"], letter["From"]) == ("nora@new.example", "Obsera <obsera@localhost>")
    assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]  # type: ignore[attr-defined]


def test_mail_server_that_is_away_is_said_on_the_page_and_loses_nothing(client: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    page = client.post("/account/signup/", FORM, follow=True)

    assert page.status_code == 200
    assert "The mail server did not take our letter. Please try again in a minute." in page.content.decode()
    assert User.objects.count() == 1


def test_changing_the_address_waits_for_the_new_mailbox(client: Client) -> None:
    person = make_user("nora@new.example")
    client.force_login(person)
    client.post("/account/reauthenticate/", {"password": PASSWORD})

    client.post("/account/email/", {"email": "nora@newer.example", "action_add": ""})
    before = list(EmailAddress.objects.filter(verified=True).values_list("email", flat=True))
    client.post(link_in(mail.outbox[0]))

    person.refresh_from_db()
    assert before == ["nora@new.example"]
    assert person.email == "nora@newer.example"
    assert [letter.to[0] for letter in mail.outbox] == ["nora@newer.example", "nora@new.example"]


def test_password_reset_by_letter_ends_other_sessions(client: Client) -> None:
    person = make_user("nora@new.example")
    elsewhere = Client()
    elsewhere.force_login(person)

    client.post("/account/password/reset/", {"email": "nora@new.example"})
    form_page = client.get(link_in(mail.outbox[0]), follow=True)
    client.post(form_page.request["PATH_INFO"], {"password1": "another good one", "password2": "another good one"})

    person.refresh_from_db()
    assert person.check_password("another good one")
    assert elsewhere.get("/account/profile/").status_code == 302
    assert [letter.subject for letter in mail.outbox] == ["Set a new password", "Your password was reset"]


def test_reset_for_an_unknown_address_looks_the_same_and_sends_nothing(client: Client) -> None:
    answer = client.post("/account/password/reset/", {"email": "nobody@new.example"})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/password/reset/done/")
    assert mail.outbox == []
