"""Strings: bring locale/ up to date with the code, and judge whether it is and is complete."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import polib

from config.run.errors import RunError
from config.run.paths import PROJECT

# What holds strings, and what makemessages needs to run.
SOURCES = ("apps", "config", "templates", "static", "locale", "manage.py")
FIRST_LANGUAGE = "de"
IGNORED = (".venv", "node_modules", "var", "static/vendor", "tests", "bench", "docker")
SHOWN_PROBLEMS = 20
_FORM_LETTER = "# SOME DESCRIPTIVE TITLE."
_UNUSED_HEADERS = ('"PO-Revision-Date', '"Last-Translator', '"Language-Team', '"Report-Msgid-Bugs-To')
_IDLE_LINE = re.compile(r'^"(?:POT-Creation-Date|Report-Msgid-Bugs-To): .*\n', re.MULTILINE)
_SCRIPT_STRING = re.compile(r"\b(n?gettext|pgettext|interpolate)\(")


def main(_arguments: list[str]) -> int:
    """`make translations`."""
    update(PROJECT)
    for problem in incomplete(PROJECT / "locale"):
        print(problem)
    return 0


def check() -> int:
    """0 when locale/ holds exactly the strings of the code, all translated; works on a copy of the project."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        copy.mkdir()
        _copy_sources(copy)
        update(copy)
        problems = _differences(PROJECT / "locale", copy / "locale") + incomplete(PROJECT / "locale")
    for problem in problems[:SHOWN_PROBLEMS]:
        print(problem)
    if problems:
        print(f"{len(problems)} problems. To mend them: make translations, then fill in locale/*/LC_MESSAGES/*.po")
    return 1 if problems else 0


def _copy_sources(target: Path) -> None:
    for name in SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
        elif source.exists():
            shutil.copy2(source, target / name)


def update(project: Path) -> None:
    """Run makemessages for every language that has a folder, and drop what changes by the hour."""
    if not shutil.which("xgettext"):
        raise RunError("the gettext tools are not installed.", mend="sudo apt-get install gettext")
    locale = project / "locale"
    locale.mkdir(exist_ok=True)
    languages = sorted(path.name for path in locale.glob("*") if path.is_dir()) or [FIRST_LANGUAGE]
    for domain in ("django", *(["djangojs"] if _has_script_strings(project) else [])):
        _make_messages(project, domain, languages)
    for file in locale.rglob("*.po"):
        text = file.read_text(encoding="utf-8")
        file.write_text(tidy_header(text, language=file.parts[-3]), encoding="utf-8")


def tidy_header(text: str, *, language: str) -> str:
    """Drop what changes by the hour or says nothing, and the form letter that a new catalogue begins with."""
    text = _IDLE_LINE.sub("", text)
    if not text.startswith(_FORM_LETTER):
        return text
    header, rest = text[text.index('msgid ""') :].split("\n\n", 1)
    kept = [line for line in header.splitlines() if not line.startswith(_UNUSED_HEADERS)]
    header = (
        "\n".join(kept).replace("PACKAGE VERSION", "Obsera").replace('"Language: \\n"', f'"Language: {language}\\n"')
    )
    return f"{header}\n\n{rest}"


def _has_script_strings(project: Path) -> bool:
    scripts = (project / "static" / "js").rglob("*.js")
    return any(_SCRIPT_STRING.search(script.read_text(encoding="utf-8")) for script in scripts)


def _make_messages(project: Path, domain: str, languages: list[str]) -> None:
    options = ["--no-location", "--no-obsolete", "--no-wrap", "--domain", domain]
    options += [f"--locale={language}" for language in languages]
    options += [f"--ignore={folder}/*" for folder in IGNORED]
    command = [sys.executable, "manage.py", "makemessages", *options]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RunError(f"makemessages failed:\n{(result.stderr or result.stdout).strip()}")


def _differences(before: Path, after: Path) -> list[str]:
    names = sorted({str(p.relative_to(root)) for root in (before, after) for p in root.rglob("*.po")})
    return [
        f"locale/{name} is not up to date with the strings in the code"
        for name in names
        if _entries(before / name) != _entries(after / name)
    ]


def _entries(file: Path) -> set[tuple[str, str, str]]:
    """What counts in a catalogue; its header and order do not."""
    if not file.exists():
        return set()
    return {(entry.msgctxt or "", entry.msgid, entry.msgid_plural) for entry in polib.pofile(str(file))}


def incomplete(locale: Path) -> list[str]:
    """One line for each string that has no translation or only a guessed one."""
    return [
        f"{file.relative_to(locale.parent)}:{entry.linenum}: {'guessed' if entry.fuzzy else 'missing'}: {entry.msgid!r}"
        for file in sorted(locale.rglob("*.po"))
        for entry in polib.pofile(str(file))
        if not entry.obsolete and (entry.fuzzy or not entry.translated())
    ]
