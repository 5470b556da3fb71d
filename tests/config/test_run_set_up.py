"""Set-up, the command line and the checks of `make ci`, without touching the project's own environment."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polib
import pytest

from config.run import bootstrap, ci, prepare, testing, translations
from config.run.errors import RunError, explain_os_error
from config.run.paths import PROJECT, VENV_PYTHON
from config.run.private_files import read_or_create_secret, write_private
from config.settings import base

CATALOGUE = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "Outage"
msgstr "Ausfall"

msgid "Check"
msgstr ""

#, fuzzy
msgid "Alert"
msgstr "Vielleicht"
"""


def test_first_stage_needs_no_package() -> None:
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import config.run.__main__"

    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")


def test_unknown_command_lists_the_known_ones() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "config.run", "nonsense"], cwd=PROJECT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == "serve          set everything up and serve the product"


def test_machine_without_python_is_told_what_to_install() -> None:
    result = subprocess.run(["make", "run", "PYTHON="], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert "Error: no Python 3.11 or newer was found on this machine." in result.stderr.splitlines()
    assert "    sudo apt-get install python3 python3-venv    (Debian 12, Ubuntu 24.04 or newer)" in result.stderr


def test_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST_PYTHON", (9, 9))

    with pytest.raises(RunError, match=r"is too old, 9\.9 or newer is needed"):
        bootstrap.check_python()


def test_full_disk_is_told_before_the_first_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "NODE_MODULES", tmp_path / "node_modules")
    monkeypatch.setattr(bootstrap, "FIRST_SETUP_BYTES", 2**60)

    with pytest.raises(RunError, match="the set-up needs"):
        bootstrap._ensure_disk()


@pytest.mark.parametrize(
    ("number", "file", "problem", "mend"),
    [
        (errno.ENOSPC, None, "No space left on device.", "df -h ."),
        (errno.EACCES, "/a b", "Permission denied: '/a b'.", f"sudo chown -R {os.geteuid()}:{os.getegid()} '/a b'"),
        (errno.EIO, "/a", "Input/output error: /a.", "to see where it happened"),
    ],
)
def test_machine_s_refusal_is_told_with_its_cure(number: int, file: str | None, problem: str, mend: str) -> None:
    error = explain_os_error(OSError(number, os.strerror(number), file))

    assert error.problem == problem
    assert error.mend.startswith(mend)


def test_failing_step_shows_the_end_of_its_output_and_the_mend() -> None:
    code = "import sys; print('\\n'.join(map(str, range(99)))); sys.exit(1)"

    with pytest.raises(RunError) as caught:
        bootstrap._run([sys.executable, "-c", code], problem="it failed", mend="try again")

    assert caught.value.problem == "it failed:\n" + "\n".join(map(str, range(84, 99)))
    assert caught.value.mend == "try again"


def test_python_without_venv_is_told_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(RunError) as caught:
        bootstrap._install_venv_support()

    assert caught.value.mend.startswith(f"sudo apt-get install python3.{sys.version_info.minor}-venv")


def test_packaged_node_runs_its_npm() -> None:
    npm, path = bootstrap.find_npm()

    result = subprocess.run(
        [*npm, "--version"], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )

    assert int(result.stdout.split(".")[0]) >= 10


def test_environment_is_the_project_s_own() -> None:
    assert bootstrap.is_in_venv() is (Path(sys.executable).parent == VENV_PYTHON.parent)


# -- files ------------------------------------------------------------------------------------


def test_secret_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    file = tmp_path / "secret"

    first = read_or_create_secret(file)

    assert read_or_create_secret(file) == first
    assert len(first) >= 48
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_everybody_who_needs_a_new_secret_at_once_gets_the_same(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)  # what a full disk or a power cut left of the first start

    with ThreadPoolExecutor(8) as threads:
        given = set(threads.map(read_or_create_secret, [file] * 8))

    assert given == {file.read_text()}
    assert len(given.pop()) >= 48
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_secret_that_found_no_space_is_made_by_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _refuse_for_want_of_space)
        with pytest.raises(OSError, match="No space left"):
            read_or_create_secret(file)

    made = read_or_create_secret(file)

    assert (len(made) >= 48, file.read_text()) == (True, made)
    assert list(tmp_path.iterdir()) == [file]


def _refuse_for_want_of_space(_handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_settings_make_the_key_that_an_interrupted_start_left_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "VAR_DIR", tmp_path)
    (tmp_path / "secret-key").touch()

    key = base._kept_secret("secret-key")

    assert len(key) >= 48
    assert base._kept_secret("secret-key") == key


def test_private_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_private(file, "old")

    write_private(file, "new")

    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_only_newer_catalogues_are_compiled(tmp_path: Path) -> None:
    source = tmp_path / "de" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text(CATALOGUE)

    counts = [prepare.compile_translations(tmp_path), prepare.compile_translations(tmp_path)]
    later = source.with_suffix(".mo").stat().st_mtime + 5
    os.utime(source, (later, later))
    counts.append(prepare.compile_translations(tmp_path))

    assert counts == [1, 0, 1]
    assert [entry.msgstr for entry in polib.mofile(str(source.with_suffix(".mo")))] == ["Ausfall"]


# -- checks -----------------------------------------------------------------------------------


def test_missing_and_guessed_translations_are_named(tmp_path: Path) -> None:
    source = tmp_path / "locale" / "de" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text(CATALOGUE)

    assert translations.incomplete(tmp_path / "locale") == [
        "locale/de/LC_MESSAGES/django.po:8: missing: 'Check'",
        "locale/de/LC_MESSAGES/django.po:11: guessed: 'Alert'",
    ]


def test_catalogues_differ_by_strings_and_not_by_translations(tmp_path: Path) -> None:
    for name, text in (("before", CATALOGUE), ("after", CATALOGUE.replace("Ausfall", "Störung"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "django.po").write_text(text)

    same = translations._differences(tmp_path / "before", tmp_path / "after")
    (tmp_path / "after" / "django.po").write_text(CATALOGUE.replace("Outage", "Incident"))
    changed = translations._differences(tmp_path / "before", tmp_path / "after")

    assert (same, changed) == ([], ["locale/django.po is not up to date with the strings in the code"])


def test_new_catalogue_begins_with_what_is_known() -> None:
    letter = (
        '# SOME DESCRIPTIVE TITLE.\n#, fuzzy\nmsgid ""\nmsgstr ""\n'
        '"Project-Id-Version: PACKAGE VERSION\\n"\n"POT-Creation-Date: 2026-11-21 03:00+0000\\n"\n'
        '"Last-Translator: FULL NAME <EMAIL@ADDRESS>\\n"\n"Language: \\n"\n\nmsgid "Check"\nmsgstr ""\n'
    )

    text = translations.tidy_header(letter, language="de")

    assert text == (
        'msgid ""\nmsgstr ""\n"Project-Id-Version: Obsera\\n"\n"Language: de\\n"\n\nmsgid "Check"\nmsgstr ""\n'
    )
    assert translations.tidy_header(text, language="de") == text


def test_failing_check_does_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> int:
        raise RunError("no tools.", mend="install them")

    status = ci.run_checks([("first", lambda: 1), ("second", refuse), ("third", lambda: 0)])

    assert status == 1
    summary = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[-3:]]
    assert summary == [["FAILED", "first"], ["FAILED", "second"], ["ok", "third"]]


def test_unknown_check_lists_the_known_ones() -> None:
    with pytest.raises(RunError, match="lint, format, types, imports, migrations, translations"):
        ci.one_main(["nonsense"])


def test_continuous_integration_without_a_browser_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.delenv("OBSERA_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(RunError, match="no Chromium is installed, and CI skips nothing"):
        testing.suite_main([])
