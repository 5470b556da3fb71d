"""A wrong setting stops the start with one line that names it and the mend."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


def test_text_comes_from_the_environment_or_a_file_or_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("LEAF_FILE", str(tmp_path / "secret"))

    found = [env.text("LEAF"), env.text("OTHER", "default")]
    monkeypatch.setenv("LEAF", "from the environment")

    assert [*found, env.text("LEAF")] == ["from the file", "default", "from the environment"]


def test_empty_value_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAF", "WORDS", "NUMBER", "DB", "MAIL"):
        monkeypatch.setenv(name, "")

    assert (env.text("LEAF", "default"), env.words("WORDS", "a,b")) == ("default", ["a", "b"])
    assert (env.integer("NUMBER", 3, low=0, high=9), env.choice("LEAF", "free", ("free", "team"))) == (3, "free")
    assert (env.database("DB", "postgresql://me@db.example/obsera")["HOST"], env.mail("MAIL")) == ("db.example", {})


@pytest.mark.parametrize(("word", "value"), [("", True), ("1", True), ("Yes", True), ("off", False), ("0", False)])
def test_flag(word: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF", word)

    assert env.flag("LEAF", default=True) is value


def test_words_and_integer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF", " a, b ,,c")
    monkeypatch.setenv("NUMBER", "7")

    assert env.words("LEAF") == ["a", "b", "c"]
    assert (env.integer("NUMBER", 1, low=0, high=9), env.integer("NONE", 1, low=0, high=9)) == (7, 1)


def test_database_and_mail_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB", "postgresql://me:p%40ss@db.example/obsera")
    monkeypatch.setenv("MAIL", "smtp+tls://user:word@mail.example")

    assert env.database("DB", "") == {
        "NAME": "obsera",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": "5432",
    }
    assert env.mail("MAIL") == {
        "EMAIL_HOST": "mail.example",
        "EMAIL_PORT": 587,
        "EMAIL_HOST_USER": "user",
        "EMAIL_HOST_PASSWORD": "word",
        "EMAIL_USE_SSL": False,
        "EMAIL_USE_TLS": True,
    }
    assert env.mail("NO_MAIL") == {}


@pytest.mark.parametrize(
    ("value", "read", "message"),
    [
        (
            "maybe",
            lambda: env.flag("LEAF", default=True),
            "LEAF='maybe' is neither yes nor no; write LEAF=1 or LEAF=0.",
        ),
        ("ten", lambda: env.integer("LEAF", 1, low=0, high=9), "LEAF='ten' is not a whole number from 0 to 9."),
        ("10", lambda: env.integer("LEAF", 1, low=0, high=9), "LEAF='10' is not a whole number from 0 to 9."),
        (
            "mysql://x/y",
            lambda: env.database("LEAF", ""),
            "LEAF must read postgresql://user:password@host:port/database.",
        ),
        ("postgresql://x:port/y", lambda: env.database("LEAF", ""), "LEAF has a port that is not a number."),
        (
            "http://x",
            lambda: env.mail("LEAF"),
            "LEAF must read smtp://, smtps:// or smtp+tls://user:password@host:port.",
        ),
    ],
)
def test_wrong_value_names_the_setting(value: str, read: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF", value)

    with pytest.raises(ImproperlyConfigured) as caught:
        read()

    assert str(caught.value) == message


def test_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEAF_FILE", str(tmp_path / "none"))

    with pytest.raises(ImproperlyConfigured, match=r"LEAF_FILE names .*none, which cannot be read: No such file"):
        env.text("LEAF")


def test_database_address_may_carry_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:s%40cret@db.example/obsera?sslmode=verify-full")

    found = env.database("DATABASE_URL", "")

    assert (found["OPTIONS"], found["PASSWORD"], found["PORT"]) == ({"sslmode": "verify-full"}, "s@cret", "5432")


def test_word_that_is_none_of_the_known_ones_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("X", raising=False)
    unset = env.choice("X", "free", ("free", "team"))
    monkeypatch.setenv("X", " team ")
    given = env.choice("X", "free", ("free", "team"))
    monkeypatch.setenv("X", "gold")

    with pytest.raises(ImproperlyConfigured) as refused:
        env.choice("X", "free", ("free", "team"))

    assert (unset, given) == ("free", "team")
    assert str(refused.value) == "X='gold' is none of: free, team."
