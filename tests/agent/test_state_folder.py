"""What keeps an agent from starting with its folder, whose results lie there, and whose they are."""

import os
import threading
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from apps.checks.domain.agent_wire import AgentToken
from apps.core import clock
from config.agent.buffer import MAX_AGE, Buffer, lock_folder
from config.agent.errors import AgentError, ExitCode
from config.agent.options import Options, read_options
from config.agent.process import _buffer, main
from config.agent.records import Record
from tests.agent.test_buffer import no_more_files


def options_for(token: AgentToken, folder: Path, server: str = "https://obsera.example") -> Options:
    environment = {"OBSERA_AGENT_TOKEN": str(token), "OBSERA_AGENT_SERVER": server}
    return read_options(["--state-dir", str(folder / "state")], environment)


def a_token() -> AgentToken:
    return AgentToken(uuid4(), "s" * 43, b"k" * 32)


def test_what_waits_is_the_agents_own(tmp_path: Path) -> None:
    one, other = a_token(), a_token()
    kept = _buffer(options_for(one, tmp_path))
    kept.append([Record(uuid4(), clock.now(), b'["kept"]')])

    found = _buffer(options_for(other, tmp_path, "https://other.example"))  # though that one holds its folder still
    kept.close()
    again = _buffer(options_for(AgentToken(one.agent_id, "t" * 43, one.public_key), tmp_path))

    assert (found.waiting, again.waiting) == (0, 1)  # a rotated token is the same agent's
    found.close()
    again.close()


def test_what_former_agents_left_goes_once_no_server_would_take_it(tmp_path: Path) -> None:
    tokens = [a_token() for _agent in range(3)]
    buffers = [_buffer(options_for(token, tmp_path)) for token in tokens]
    for buffer in buffers:
        buffer.append([Record(uuid4(), clock.now(), b'["kept"]')])
    files = [next(buffer.folder.glob("*.results")) for buffer in buffers]
    stranger = tmp_path / "state" / "notes" / "1.results"
    stranger.parent.mkdir()
    stranger.touch()
    too_old = (clock.now() - MAX_AGE - timedelta(minutes=1)).timestamp()
    for path in (files[0], files[1], stranger):
        os.utime(path, (too_old, too_old))
    buffers[0].close()
    buffers[2].close()

    _buffer(options_for(a_token(), tmp_path)).close()

    # The second agent runs still, the third has died a moment ago, and the last was never an agent.
    assert [path.exists() for path in (*files, stranger)] == [False, True, True, True]
    buffers[1].close()


def test_who_tidies_in_its_folder_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    held = lock_folder(folder)
    order: list[str] = []

    def tidy() -> None:
        order.append("tidied")
        os.close(held)

    tidying = threading.Timer(0.3, tidy)
    tidying.start()

    Buffer(folder, max_bytes=10_000).close()
    order.append("opened")

    tidying.join()
    assert order == ["tidied", "opened"]


def test_nobody_else_may_look_into_the_folder(tmp_path: Path) -> None:
    _buffer(options_for(a_token(), tmp_path)).close()

    folders = [tmp_path / "state", *(tmp_path / "state").iterdir()]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700, 0o700]


def test_a_shortage_at_the_start_is_no_wrong_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = options_for(a_token(), tmp_path)
    (tmp_path / "token").write_text(str(a_token()))

    with no_more_files():
        with pytest.raises(AgentError) as caught:
            _buffer(options)
        ended = main(["--server", "https://obsera.example", "--token-file", str(tmp_path / "token")])

    assert (caught.value.ends_with, ended) == (ExitCode.FAULT, ExitCode.FAULT)
    assert capsys.readouterr().err.endswith("token cannot be read: Too many open files.\n")


def test_a_folder_that_is_none_is_a_wrong_option(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    with pytest.raises(AgentError, match=r"--state-dir: .*/state cannot be used: File exists") as caught:
        _buffer(options_for(a_token(), tmp_path))

    assert caught.value.ends_with == ExitCode.USAGE
