"""The commands of `obsera`."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from config.cli.api import Api
from config.cli.credentials import KEY, URL, Credentials, find, keep
from config.cli.errors import CliError
from config.cli.filling import filled
from config.cli.kuma import is_database, slim_backup

SIGNS = {"create": "+", "update": "~", "prune": "-"}
EXIT_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one command; return its exit status."""
    given = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = given.run
    try:
        run(given)
    except CliError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody listens any more, which is no fault
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="obsera", description="Checks as code, from the command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    login = commands.add_parser("login", help="keep the address and an API key for later commands")
    login.add_argument("--url", default=os.environ.get(URL, ""), help=f"the address of Obsera (or {URL})")
    login.set_defaults(run=_login)

    checks = commands.add_parser("checks", help="look at checks").add_subparsers(required=True, metavar="COMMAND")
    listing = checks.add_parser("list", help="list checks with their states")
    listing.add_argument("--json", action="store_true", help="as the API answers")
    listing.set_defaults(run=_list)

    apply = commands.add_parser("apply", help="make the checks what a document says")
    apply.add_argument("-f", "--file", required=True, help="a YAML or JSON document; - reads standard input")
    apply.add_argument("--dry-run", action="store_true", help="only say what would be done")
    apply.add_argument("--prune", default="", metavar="LABEL", help="delete what is managed by LABEL and not listed")
    apply.set_defaults(run=_apply)

    export = commands.add_parser("export", help="write the checks as a YAML document, without secrets")
    export.add_argument("-o", "--output", default="-", help="a file; - is standard output")
    export.add_argument("--tag", default="", help="only checks with this tag")
    export.set_defaults(run=_export)

    bring = commands.add_parser("import", help="bring checks over from another product")
    bring.add_argument("source", help="uptime-kuma, gatus, healthchecks, uptimerobot, blackbox, better-stack, …")
    bring.add_argument("files", nargs="+", help="the export; several files are read together")
    bring.add_argument("--dry-run", action="store_true", help="only say what would come over")
    bring.set_defaults(run=_import)
    return parser


# --- Commands ----------------------------------------------------------------------------------------------------


def _login(given: argparse.Namespace) -> None:
    url = given.url or input("Address: ").strip()
    key = os.environ.get(KEY, "")
    if not key:
        key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()
    credentials = Credentials(url.rstrip("/"), key.strip())
    Api(credentials).get("checks/", limit="1")  # a wrong key is found here and not kept
    sys.stdout.write(f"Signed in to {credentials.url}. The key is in {keep(credentials)}.\n")


def _list(given: argparse.Namespace) -> None:
    checks = _all_checks(Api(find()))
    if given.json:
        sys.stdout.write(json.dumps(checks, indent=2, ensure_ascii=False) + "\n")
        return
    rows = [(str(check["state"]), check["kind"], check["name"], check["target"]) for check in checks]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        padded = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        sys.stdout.write(f"{padded}  {row[3]}\n")


def _all_checks(api: Api) -> list[dict[str, Any]]:
    """Read every page of the list."""
    found: list[dict[str, Any]] = []
    query = {"limit": "200"}
    while query:
        page = json.loads(api.get("checks/", **query))
        found += page["results"]
        query = dict(parse_qsl(urlsplit(page["next"] or "").query))
    return found


def _apply(given: argparse.Namespace) -> None:
    text = filled(_read(given.file).decode("utf-8-sig", errors="replace"), os.environ)
    done = Api(find()).post(
        "checks/apply/",
        text.encode(),
        content_type="application/yaml",
        dry_run="1" if given.dry_run else "",
        prune=given.prune,
    )
    _show(done)


def _export(given: argparse.Namespace) -> None:
    document = Api(find()).get("checks/export/", tag=given.tag)
    if given.output == "-":
        sys.stdout.buffer.write(document)
        sys.stdout.flush()
    else:
        Path(given.output).write_bytes(document)


def _import(given: argparse.Namespace) -> None:
    source = given.source.replace("-", "_")
    divider = secrets.token_hex(16)  # a line that stands in none of them
    raw = f"\n{divider}\n".encode().join(_export_of(source, name) for name in given.files)
    done = Api(find()).post(
        f"checks/import/{source}/",
        raw,
        content_type="application/octet-stream",
        divider=divider if len(given.files) > 1 else "",
        dry_run="1" if given.dry_run else "",
    )
    _show(done)
    for loss in done["losses"]:
        what = "not carried" if loss["is_whole"] else "lost"
        place = ", ".join(filter(None, (loss["name"], loss["where"])))
        sys.stdout.write(f"! {what}: {place + ': ' if place else ''}{loss['reason']}\n")


def _export_of(source: str, name: str) -> bytes:
    path = Path(name)
    try:
        if source == "uptime_kuma" and name != "-" and is_database(path):
            return slim_backup(path)
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror}.") from error
    return _read(name)


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror}.") from error


def _show(done: dict[str, Any]) -> None:
    """Print the steps, each change on a line of its own, and what it comes to."""
    for step in done["steps"]:
        if step["action"] not in SIGNS:
            continue
        sys.stdout.write(f"{SIGNS[step['action']]} {step['action']} {step['key']} ({step['name']}, {step['kind']})\n")
        for change in step["changes"]:
            before, after = (json.dumps(change[name], ensure_ascii=False) for name in ("before", "after"))
            sys.stdout.write(f"    {change['field']}: {before} -> {after}\n")
    said = ", ".join(f"{count} {action}" for action, count in done["counts"].items())
    sys.stdout.write(f"{said}{' (dry run: nothing was done)' if done['dry_run'] else ''}\n")
