"""The example service, and what a part gains from a socket that outlives it."""

import http.client
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.run import demo, example, serve
from config.run.errors import RunError
from config.run.ports import is_answering
from config.run.supervisor import Supervisor


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor) -> Iterator[int]:
    """The example service, supervised, on its port."""
    monkeypatch.setenv("OBSERA_VAR", str(tmp_path))
    (tmp_path / "run").mkdir()
    with example.open_listener() as listener:
        environment = {"OBSERA_VAR": str(tmp_path)}
        supervisor.start(serve._listening("example", "config.run.example", environment, [listener]))
        yield listener.getsockname()[1]
        supervisor.stop_all()


def answer(port: int, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, "/")
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def press(port: int, wanted: str, **headers: str) -> int:
    """Press the page's button as a browser does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/", f"wanted={wanted}", headers)
    status = connection.getresponse().status
    connection.close()
    return status


def sentence(port: int) -> tuple[int, str]:
    status, page = answer(port)
    return status, page.decode().partition("<h1>")[2].partition("</h1>")[0]


def test_example_works_until_it_is_broken_and_again_when_it_is_mended(port: int) -> None:
    answers = [sentence(port)]
    example.broken_file().touch()
    answers.append(sentence(port))
    example.broken_file().unlink()
    answers.append(sentence(port))

    assert answers == [
        (200, "The example service works."),
        (503, "The example service is broken."),
        (200, "The example service works."),
    ]
    assert answer(port, "HEAD") == (200, b"")


def test_button_breaks_and_mends(port: int) -> None:
    states = [(press(port, wanted), sentence(port)[0]) for wanted in ("break", "break", "mend", "mend")]

    assert states == [(303, 503), (303, 503), (303, 200), (303, 200)]


def test_page_of_another_origin_cannot_press_the_button(port: int) -> None:
    status = press(port, "break", **{"Sec-Fetch-Site": "cross-site"})

    assert (status, sentence(port)[0]) == (403, 200)


def test_connection_made_while_the_part_is_dead_is_served_by_the_next_one(
    port: int, supervisor: Supervisor, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    assert answer(port)[0] == 200
    first = json.loads((tmp_path / "parts.json").read_text())["example"]

    os.kill(first, signal.SIGKILL)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    wait_for(lambda: json.loads((tmp_path / "parts.json").read_text()).get("example", first) != first)
    status = connection.getresponse().status
    connection.close()

    assert status == 200


def test_example_keeps_its_address(port: int, tmp_path: Path) -> None:
    assert (tmp_path / "run" / "example-port").read_text() == f"{port}\n"
    assert is_answering(port)


def test_installation_with_its_own_database_has_no_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXAMPLE_SERVICE", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert serve.wants_example() is True

    monkeypatch.setenv("DATABASE_URL", "postgresql://host/obsera")
    assert serve.wants_example() is False

    monkeypatch.setenv("EXAMPLE_SERVICE", "1")
    assert serve.wants_example() is True


@pytest.mark.parametrize(
    ("word", "database", "wanted"),
    [
        ("", "", True),
        ("", "postgresql://host/obsera", False),
        ("true", "postgresql://host/obsera", True),
        ("Yes", "", True),
        ("off", "", False),
    ],
)
def test_example_is_asked_for_in_the_words_of_every_other_flag(
    word: str, database: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMPLE_SERVICE", word)
    monkeypatch.setenv("DATABASE_URL", database)

    assert serve.wants_example() is wanted


def test_example_that_is_neither_wanted_nor_not_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_SERVICE", "maybe")

    with pytest.raises(RunError, match="EXAMPLE_SERVICE='maybe' is neither yes nor no"):
        serve.wants_example()


def test_demonstration_without_the_product_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSERA_VAR", str(tmp_path))

    with pytest.raises(RunError, match=r"Obsera does not run here\."):
        demo.main([])
