"""How a body with one hostile value is sent, what has to be answered, and where what was taken has to be shown."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.test import Client

from tests.contracts.test_doors import SAMPLES, addresses
from tests.factories.api import Api

SLOT = "@slot@"
# What a request may ask the database: one that asks for each part of a long list hangs.
MOST_QUESTIONS = 300


def filled(body: Any, value: str) -> str:
    """Return the body with the value, which is JSON already, in its place."""
    return json.dumps(body).replace(json.dumps(SLOT), value)


@contextmanager
def counted() -> Iterator[list[str]]:
    """Count what the database is asked within."""
    asked: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield asked


@contextmanager
def forgotten() -> Iterator[None]:
    """Undo what is done within."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Outcome(NamedTuple):
    """What is wrong with an answer, empty where nothing is, and the row, where it was taken."""

    wrong: str
    row: dict[str, Any] | None = None


def tried(api: Api, method: str, path: str, body: str, names: Iterable[str] = ()) -> Outcome:
    """Send it and judge the answer: it is taken and can be read again, or refused with one of the names. It stays."""
    with counted() as asked:
        answer = api.request(method, path, body)
    if len(asked) > MOST_QUESTIONS:
        return Outcome(f"{len(asked)} questions to the database")
    if answer.status_code >= 500:
        return Outcome(str(answer.status_code))
    if answer.status_code >= 400:
        named = names_of(answer)
        return Outcome("" if named & {*names} else f"{answer.status_code} names {sorted(named)}")
    row = answer.json()
    if method == "post" and "id" in row:
        path = f"{path}{row['id']}/"
    read = api.get(path).status_code
    return Outcome("" if read in (200, 404, 405) else f"read again, it is {read}", row)


def names_of(answer: Any) -> set[str]:
    """Return the fields that a refusal names, settings of a kind by their own names."""
    errors: dict[str, Any] = answer.json().get("errors", {})
    settings = errors.get("config")
    return {*errors, *(settings if isinstance(settings, dict) else ())}


def pages_of(app: str, row_id: str, slug: str = "") -> list[str]:
    """Return the addresses of an app's pages, of those about one row with its id, and of the status page with that slug."""
    paths = [
        address.path.replace(str(SAMPLES["uuid"]), row_id)
        for address in addresses("tenant")
        if address.view.__module__.startswith(f"apps.{app}.")
    ]
    public = f"/status/{SAMPLES['slug']}/"
    if slug:
        paths += [one.path.replace(public, f"/status/{slug}/") for one in addresses("public") if public in one.path]
    return paths


def broken(client: Client, paths: Iterable[str]) -> list[str]:
    """Return which pages show a fault of ours."""
    return [path for path in paths if client.get(path).status_code >= 500]
