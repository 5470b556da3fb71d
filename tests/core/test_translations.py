"""German is complete and true to its placeholders, every text can be found, and a page in German has no English left."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from django.test import Client
from django.utils.translation import override, trans_real

from apps.accounts.models import User
from apps.core.api.docs import sections
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from config.run.paths import PROJECT
from config.run.prepare import compile_translations
from tests.factories.alerting import make_channel

CATALOGUES = sorted((PROJECT / "locale").rglob("*.po"))
# What a translation must carry over as it is: placeholders, tags, addresses.
KEPT = re.compile(r"%\(\w+\)[sd]|%[sd%]|</?\w+>|https?://[\w./-]+\w")
FORMAL = re.compile(r"\b(?:du|dich|dir|dein\w*|euch|euer)\b", re.IGNORECASE)


def texts_of(entry: polib.POEntry) -> list[tuple[str, str]]:
    """Return each translation with the text it stands for."""
    if entry.msgid_plural:
        return [(entry.msgid_plural if form else entry.msgid, text) for form, text in entry.msgstr_plural.items()]
    return [(entry.msgid, entry.msgstr)]


@pytest.fixture(scope="module", params=CATALOGUES, ids=lambda file: str(file.relative_to(PROJECT / "locale")))
def catalogue(request: pytest.FixtureRequest) -> polib.POFile:
    return polib.pofile(str(request.param))


@pytest.fixture
def in_german() -> Iterator[None]:
    """German as the catalogue says it now, whatever this process has read before."""
    compile_translations(PROJECT / "locale")
    trans_real._translations.clear()  # type: ignore[attr-defined]
    with override("de"):
        yield


def test_german_is_there() -> None:
    assert PROJECT / "locale" / "de" / "LC_MESSAGES" / "django.po" in CATALOGUES


def test_every_text_is_translated(catalogue: polib.POFile) -> None:
    missing = [entry.msgid for entry in catalogue if entry.fuzzy or not entry.translated()]

    assert (missing, catalogue.obsolete_entries()) == ([], [])


def test_placeholders_and_tags_are_kept(catalogue: polib.POFile) -> None:
    wrong = [
        (original, text)
        for entry in catalogue
        for original, text in texts_of(entry)
        if Counter(KEPT.findall(text)) != Counter(KEPT.findall(original))
    ]

    assert wrong == []


def test_sentences_end_as_they_do_in_english(catalogue: polib.POFile) -> None:
    wrong = [
        (original, text)
        for entry in catalogue
        for original, text in texts_of(entry)
        if original[-1] in ".?" and text[-1] != original[-1]
    ]

    assert wrong == []


def test_quotes_are_german_and_people_are_addressed_formally(catalogue: polib.POFile) -> None:
    texts = [text for entry in catalogue for _original, text in texts_of(entry)]

    assert [text for text in texts if "”" in text or text.count("„") != text.count("“")] == []
    assert [text for text in texts if FORMAL.search(text)] == []


def test_catalogue_names_nobody_and_no_machine(catalogue: polib.POFile) -> None:
    assert set(catalogue.metadata) == {
        "Project-Id-Version",
        "Language",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Plural-Forms",
    }
    assert [entry.msgid for entry in catalogue if entry.occurrences] == []


def aliases(file: Path) -> Iterator[str]:
    """Yield the names under which a module knows gettext."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation":
            yield from (name.asname for name in node.names if name.asname and "gettext" in name.name)


def test_gettext_goes_by_names_that_makemessages_knows() -> None:
    """A text behind another name is never found, and stays English without anyone noticing."""
    files = [file for folder in ("apps", "config") for file in (PROJECT / folder).rglob("*.py")]

    assert [str(file) for file in files for alias in aliases(file) if alias != "_"] == []


def marked_with_f_string(file: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id == "_" or "gettext" in node.func.id:
            yield from (node.lineno for argument in node.args if isinstance(argument, ast.JoinedStr))


def test_no_text_is_put_together_before_it_is_translated() -> None:
    files = [file for folder in ("apps", "config") for file in (PROJECT / folder).rglob("*.py")]

    assert [(str(file), line) for file in files for line in marked_with_f_string(file)] == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/t/acme/settings/", "Zeitzone"),
        ("/t/acme/checks/", "Prüfungen"),
        ("/t/acme/outages/", "Ausfälle"),
        ("/t/acme/alerts/", "Alarme"),
        ("/t/acme/deliveries/", "Zustellungen"),
        ("/t/acme/members/", "Mitglieder"),
        ("/account/profile/", "Ihr Profil"),
    ],
)
@pytest.mark.usefixtures("in_german")
def test_pages_speak_the_browsers_language(path: str, words: str, acme: Tenant, owner: User) -> None:
    client = Client(headers={"accept-language": "de-AT,de;q=0.9,en;q=0.5"})
    client.force_login(owner)

    page = client.get(path, follow=True).content.decode()

    assert '<html lang="de"' in page
    assert words in page


@pytest.mark.usefixtures("in_german")
def test_reasons_are_stored_in_english_and_shown_in_the_readers_language(acme: Tenant, owner: User) -> None:
    with tenant_scope(acme.id):
        make_channel(is_enabled=False, disabled_reason="Switched off by hand.")
    client = Client(headers={"accept-language": "de"})
    client.force_login(owner)

    assert "Von Hand ausgeschaltet." in client.get("/t/acme/channels/").content.decode()


@pytest.mark.usefixtures("in_german")
def test_reference_of_the_api_does_not_keep_the_first_readers_language() -> None:
    sections.cache_clear()
    texts = {part.text for section in sections() for operation in section.operations for part in operation.body}

    assert "Everybody may see the page." in texts


@pytest.mark.usefixtures("in_german")
def test_errors_of_other_packages_address_people_as_we_do(db: None) -> None:
    client = Client(headers={"accept-language": "de"})

    page = client.post("/account/signup/", {"email": "nobody", "password1": "x"}).content.decode()

    assert "Geben Sie eine gültige E-Mail-Adresse ein." in page
