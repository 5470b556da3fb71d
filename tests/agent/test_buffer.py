"""The buffer: first in, first out, through crashes, torn tails and full disks."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from config.agent.buffer import Buffer
from config.agent.errors import AgentError
from config.agent.records import Record

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def record(number: int, *, age: float = 0.0, size: int = 100) -> Record:
    row = f'["{number:032x}",{number}]'.encode().ljust(size)
    return Record(UUID(int=number), NOW - timedelta(seconds=age), row)


def numbers(records: list[Record]) -> list[int]:
    return [each.check_id.int for each in records]


def everything(buffer: Buffer) -> list[int]:
    found: list[int] = []
    while records := buffer.peek(3, 10_000, now=NOW):
        found += numbers(records)
        buffer.take(records)
    return found


def reopened(buffer: Buffer, folder: Path, **options: int) -> Buffer:
    buffer.close()
    return Buffer(folder, max_bytes=options.get("max_bytes", 1_000_000))


def test_results_come_out_oldest_first_and_once(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1), record(2)])
    buffer.append([record(3), record(4), record(5)])

    assert (buffer.waiting, everything(buffer), buffer.waiting) == (5, [1, 2, 3, 4, 5], 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


def test_what_is_not_taken_is_offered_again(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1), record(2)])

    first = buffer.peek(1, 10_000, now=NOW)

    assert (numbers(first), numbers(buffer.peek(1, 10_000, now=NOW))) == ([1], [1])


def test_results_may_be_added_while_others_are_taken(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1), record(2)])
    under_way = buffer.peek(1, 10_000, now=NOW)
    buffer.append([record(3)])

    buffer.take(under_way)

    assert everything(buffer) == [2, 3]


def test_a_batch_keeps_its_bounds_and_one_large_record_still_goes(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1, size=5_000), record(2), record(3), record(4)])

    sizes = []
    while records := buffer.peek(2, 1_000, now=NOW):
        sizes.append(numbers(records))
        buffer.take(records)

    assert sizes == [[1], [2, 3], [4]]


def test_results_survive_a_restart(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1, age=10), record(2)])
    buffer = reopened(buffer, tmp_path)
    buffer.append([record(3)])

    assert buffer.measured_until == {UUID(int=1): NOW - timedelta(seconds=10), UUID(int=2): NOW}
    assert everything(buffer) == [1, 2, 3]
    assert buffer.measured_until == {}


@pytest.mark.parametrize("cut", [1, 31, 32, 33, 100, 131])
def test_a_torn_tail_is_cut_off(tmp_path: Path, cut: int) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1), record(2)])
    (segment,) = tmp_path.glob("*.results")
    os.truncate(segment, segment.stat().st_size - cut)

    buffer = reopened(buffer, tmp_path)
    buffer.append([record(3)])

    assert everything(buffer) == [1, 3]


def test_a_damaged_record_ends_its_segment_and_no_other(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1), record(2), record(3)])
    (segment,) = tmp_path.glob("*.results")
    buffer = reopened(buffer, tmp_path)
    buffer.append([record(4)])
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)

    buffer = reopened(buffer, tmp_path)

    assert everything(buffer) == [1, 4]


def test_damage_met_while_reading_is_counted(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1), record(2)])
    (segment,) = tmp_path.glob("*.results")
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)

    assert (everything(buffer), buffer.dropped, buffer.waiting) == ([1], 1, 0)


def test_the_oldest_go_when_it_is_full_and_are_counted(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=40_000)
    for number in range(1, 501):
        buffer.append([record(number)])

    kept = everything(buffer)

    assert buffer.size <= 40_000
    assert kept == list(range(501 - len(kept), 501))
    assert len(kept) >= 40_000 * 7 // 8 // 132  # a segment, an eighth, goes at a time
    assert buffer.dropped == 500 - len(kept)


def test_what_is_too_old_for_the_server_goes(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1, age=4_000), record(2, age=3_860), record(3)])

    assert (everything(buffer), buffer.dropped) == ([2, 3], 1)


def test_old_segments_go_while_others_are_written(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=40_000)
    for number in range(1, 101):
        buffer.append([record(number, age=4_800 - 10 * number)], now=NOW)
    buffer.append([record(101)], now=NOW)

    assert buffer.waiting + buffer.dropped == 101
    assert buffer.waiting < 60


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path / "state", max_bytes=1_000_000)
    buffer.append([record(1)])

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_folder_has_one_agent(tmp_path: Path) -> None:
    held = Buffer(tmp_path, max_bytes=1_000_000)

    with pytest.raises(AgentError, match="another process of this agent"):
        Buffer(tmp_path, max_bytes=1_000_000)
    held.close()


FILLING_DISK = """
import logging, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import django
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.agent"
django.setup()
from config.agent.buffer import Buffer
from tests.agent.test_buffer import everything, record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
buffer = Buffer(Path(sys.argv[1]), max_bytes=10_000_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
print([buffer.append([record(number), record(number + 100)]) for number in range(1, 6)], everything(buffer))
"""


def test_a_disk_that_takes_no_more_costs_nothing_that_was_kept(tmp_path: Path) -> None:
    code = FILLING_DISK.format(root=str(ROOT))

    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=300, cwd=ROOT)

    assert done.stdout == "[True, True, True, False, False] [1, 101, 2, 102, 3, 103]\n", done.stderr
    assert done.stderr.count("cannot be kept") == 1


WRITER = """
import os, sys
from pathlib import Path
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.agent"
import django; django.setup()
from config.agent.buffer import Buffer
from tests.agent.test_buffer import record
buffer = Buffer(Path(sys.argv[1]), max_bytes=50_000_000)
number = 1
while True:
    buffer.append([record(number + each, size=3_000) for each in range(50)])
    number += 50
    os.write(1, f"{number - 1}\\n".encode())
"""


def test_what_was_appended_survives_kill_9_in_the_middle_of_writing(tmp_path: Path) -> None:
    for seconds in (0.05, 0.11, 0.17):
        with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, cwd=ROOT) as writer:
            assert writer.stdout is not None
            told = [writer.stdout.readline()]
            time.sleep(seconds)
            writer.send_signal(signal.SIGKILL)
            told += writer.stdout.readlines()
        buffer = Buffer(tmp_path, max_bytes=50_000_000)

        found: list[int] = []
        while records := buffer.peek(1_000, 10_000_000, now=NOW):
            found += numbers(records)
            buffer.take(records)
        buffer.close()

        promised = int(told[-1])
        assert found[:promised] == list(range(1, promised + 1))
        assert found == list(range(1, len(found) + 1))


def test_a_segment_that_cannot_be_read_any_more_is_counted_and_costs_no_other(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path, max_bytes=40_000)  # segments of 5,000
    for number in range(1, 4):
        buffer.append([record(number, size=5_000)])
    next(iter(sorted(tmp_path.glob("*.results")))).unlink()

    assert everything(buffer) == [2, 3]
    assert (buffer.dropped, buffer.waiting) == (1, 0)
    buffer.append([record(4)])
    assert everything(buffer) == [4]


def test_a_segment_that_cannot_be_read_at_the_start_is_left_out_and_costs_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = Buffer(tmp_path, max_bytes=40_000)  # segments of 5,000
    for number in range(1, 4):
        buffer.append([record(number, size=5_000)])
    last = max(tmp_path.glob("*.results"))
    last.rename(tmp_path / "aside")
    last.mkdir()

    buffer = reopened(buffer, tmp_path)
    buffer.append([record(4)])

    assert everything(buffer) == [1, 2, 4]
    assert caplog.text.count("1 files of kept results cannot be read") == 1
    last.rmdir()
    (tmp_path / "aside").rename(last)
    assert everything(reopened(buffer, tmp_path)) == [3]  # what failed for a while has been written over by nothing


@contextmanager
def no_more_files(*, but: int = 0) -> Iterator[None]:
    """Let this process open none besides those that it has, ``but`` so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + but, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_segment_that_cannot_be_opened_for_now_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1), record(2)])

    with no_more_files():
        found = [buffer.peek(3, 10_000, now=NOW) for _look in range(3)]

    assert (found, buffer.waiting, buffer.dropped) == ([[], [], []], 2, 0)
    assert caplog.text.count("cannot be read") == 1
    assert everything(buffer) == [1, 2]


@pytest.mark.parametrize("spare", [0, 1])
def test_a_machine_short_of_files_at_the_start_costs_nothing_that_was_kept(tmp_path: Path, spare: int) -> None:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    buffer.append([record(1), record(2)])
    buffer.close()

    with no_more_files(but=spare), pytest.raises(OSError, match="Too many open files"):
        Buffer(tmp_path, max_bytes=1_000_000)

    assert everything(Buffer(tmp_path, max_bytes=1_000_000)) == [1, 2]


def test_a_strangers_file_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "copy of 1.results").write_bytes(b"what somebody keeps here")
    buffer = Buffer(tmp_path, max_bytes=1_000_000)

    buffer.append([record(1)])

    assert everything(buffer) == [1]
    assert (tmp_path / "copy of 1.results").read_bytes() == b"what somebody keeps here"
