"""`make run`: the whole product under one supervisor."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path

from config.run import example, front_door, mail_port
from config.run.errors import RunError
from config.run.given import given, is_on
from config.run.locks import hold
from config.run.logs import say, show
from config.run.parts import Part
from config.run.paths import FIRST_RUN_FILE, LOCK_FILE, private_folder, var_folder
from config.run.prepare import prepare_files
from config.run.private_files import write_private
from config.run.services import product_plan, start_services
from config.run.share import MAIL, WEB, check_shared, chosen_parts
from config.run.supervisor import StartInterruptedError, Supervisor

READY_SECONDS = 180.0  # a slow or busy machine takes its time
# Root on a machine of its own is a supported way to run; Celery's warning is about pickled messages, and ours are JSON.
NO_ROOT_WARNING = "ignore:You're running the worker with superuser privileges"


def main(_arguments: list[str]) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    port, chosen = front_door.chosen_port(), chosen_parts()
    var = private_folder(var_folder())
    with only_one(private_folder(var / "run"), port):
        listeners = front_door.open_listeners(port) if WEB in chosen else []
        mails = [mail_port.open_listener()] if MAIL in chosen and mail_port.is_wanted() else []
        prepare_files()
        with Supervisor(logs=var / "log", pid_file=var / "run" / "parts.json") as supervisor:
            with suppress(StartInterruptedError):
                if listeners:
                    _serve(supervisor, listeners, mails, port, chosen)
                else:
                    _serve_share(supervisor, mails, port, chosen)
            say("Stopping …")
        say("Stopped. The data is kept; `make run` starts again.")
    return 0


def _serve(
    supervisor: Supervisor, listeners: list[socket.socket], mails: list[socket.socket], port: int, chosen: Sequence[str]
) -> None:
    environment = {**base_environment(port), **start_services(product_plan(), supervisor)}
    parts = [_listening(WEB, "config.run.web", environment, listeners), *_others(environment, mails, chosen)]
    if wants_example():
        listener = example.open_listener()  # a name of its own: what nobody holds is closed
        environment["EXAMPLE_URL"] = example.address(listener)
        parts.append(_listening("example", "config.run.example", environment, [listener]))
    _install(supervisor, environment)
    for part in parts:
        supervisor.start(part)
    supervisor.wait_until(lambda: front_door.is_ready(port), seconds=READY_SECONDS, what=WEB, every=0.2)
    _await_steady(supervisor, parts)
    _welcome(var_folder() / FIRST_RUN_FILE, port)
    supervisor.run()
    # Side by side, and before the services they need.
    supervisor.stop([part.name for part in parts])


def _serve_share(supervisor: Supervisor, mails: list[socket.socket], port: int, chosen: Sequence[str]) -> None:
    """Run parts beside a web process elsewhere, which makes and migrates the database."""
    check_shared()
    parts = _others(base_environment(port), mails, chosen)
    if not parts:
        raise RunError(f"PARTS={MAIL} takes pings by e-mail, and PING_MAIL_DOMAIN is not given.", mend="give it, too")
    for part in parts:
        supervisor.start(part)
    _await_steady(supervisor, parts)
    say(f"At work: {', '.join(part.name for part in parts)}. Ctrl-C stops it.")
    supervisor.run()
    supervisor.stop([part.name for part in parts])


def _others(environment: Mapping[str, str], mails: list[socket.socket], chosen: Sequence[str]) -> list[Part]:
    """The chosen parts besides the web process."""
    parts = [part for part in _workers(environment) if part.name in chosen]
    return [*parts, *([_listening(MAIL, "config.run.mail", environment, mails)] if mails else ())]


def _await_steady(supervisor: Supervisor, parts: Sequence[Part]) -> None:
    for part in parts:
        supervisor.wait_until(partial(supervisor.is_steady, part.name), seconds=READY_SECONDS, what=part.name)


def only_one(folder: Path, port: int) -> AbstractContextManager[None]:
    """Guard one var folder against a second `make run`."""

    def refuse(note: str) -> RunError:
        holder, _, address = note.partition(" ")
        return RunError(
            f"Obsera already runs in this folder (process {holder}) at {address}.",
            mend=f"use it, or stop it: kill {holder}\n"
            f"or run a second one on data of its own: make run OBSERA_VAR=/another/folder PORT={port + 1}",
        )

    return hold(folder / LOCK_FILE, f"{os.getpid()} http://localhost:{port}", refuse=refuse)


def base_environment(port: int) -> dict[str, str]:
    """What every process of the product gets, whatever the services are."""
    return {
        "OBSERA_VAR": str(var_folder()),
        "PORT": str(port),
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings.base"),
        "PYTHONUNBUFFERED": "1",
    }


def wants_example() -> bool:
    """A single machine has an example to break; an installation with a database of its own has real targets."""
    return is_on("EXAMPLE_SERVICE", default=not given("DATABASE_URL"))


# -- parts ------------------------------------------------------------------------------------


def _install(supervisor: Supervisor, environment: Mapping[str, str]) -> None:
    # Scripts that talk to the running product (manage.py, benchmarks) find the services here.
    write_private(var_folder() / "run" / "environment.json", json.dumps(dict(environment), indent=1))
    part = Part("install", (sys.executable, "-m", "config.run.install"), env=environment, is_talkative=False)
    status, lines = supervisor.run_once(part)
    if supervisor.stop_reason:
        raise StartInterruptedError
    if status != 0:
        raise explain(lines, var_folder() / "log" / "install.log")


def explain(lines: list[str], log: Path) -> RunError:
    """What matters in the end of a Django traceback."""
    for line in reversed(lines):
        name, _, text = line.partition(": ")
        if name.endswith("ImproperlyConfigured"):
            return RunError(text, mend="change that setting in the environment, then: make run")
    tail = "\n".join(lines[-6:])
    return RunError(f"the product could not be prepared:\n{tail}", mend=f"read {log}")


def _listening(name: str, module: str, environment: Mapping[str, str], listeners: list[socket.socket]) -> Part:
    """A part that serves on sockets which outlive it."""
    descriptors = tuple(listener.fileno() for listener in listeners)
    argv = (sys.executable, "-m", module, *map(str, descriptors))
    return Part(name, argv, env=environment, pass_fds=descriptors)


def _workers(environment: Mapping[str, str]) -> list[Part]:
    region = given("PROBE_REGION") or "main"
    probes = "probes" if region == "main" else f"probes-{region}"
    return [
        _celery("probes", environment, pool="solo", concurrency=1, queue=probes),
        _celery("events", environment, pool="threads", concurrency=4),
        _celery("deliveries", environment, pool="threads", concurrency=16),
        Part("scheduler", (sys.executable, "manage.py", "run_scheduler", "--skip-checks"), env=environment),
    ]


def _celery(name: str, environment: Mapping[str, str], *, pool: str, concurrency: int, queue: str = "") -> Part:
    queue = queue or name
    argv = (
        *(sys.executable, "-m", "celery", "--quiet", "--app", "config.celery", "worker"),
        *("--queues", queue, "--hostname", f"{queue}@%h", "--pool", pool, "--concurrency", str(concurrency)),
        # Workers need not know each other; this saves messages and memory.
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
    )
    return Part(name, argv, env={**environment, "PYTHONWARNINGS": NO_ROOT_WARNING})


# -- words ------------------------------------------------------------------------------------


def _welcome(file: Path, port: int) -> None:
    first = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    lines = [f"Obsera is ready at {first.get('url') or f'http://localhost:{port}'}"]
    if first.get("password"):
        lines += ["", f"Sign in with   {first['email']}", f"Password       {first['password']}"]
        lines += [f"Status page    {first['status_page_url']}", f"Kept in        {file}"]
    lines += ["", "Ctrl-C stops it and keeps the data. `make demo-outage` shows an outage from end to end."]
    width = max(map(len, lines))
    edge = "─" * (width + 4)
    show("\n".join((f"\n╭{edge}╮", *(f"│  {line:<{width}}  │" for line in lines), f"╰{edge}╯", "")))
