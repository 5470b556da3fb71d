"""When probes start."""

import asyncio

from apps.checks.engine.pace import MOST_PER_TICK, TICK_SECONDS, Pace


async def _starts(dues: list[float]) -> list[tuple[float, float]]:
    """Return (due, started) in seconds from the beginning, once all have started."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    started: list[tuple[float, float]] = []
    pace = Pace(lambda due: started.append((due, loop.time() - began)))
    for due in dues:
        pace.add(due, at=began + due)
    async with asyncio.timeout(60):
        while len(started) < len(dues):
            await asyncio.sleep(0.01)
    pace.close()
    return started


def test_each_starts_at_its_time_whatever_the_order_of_adding() -> None:
    started = asyncio.run(_starts([0.12, 0.0, 0.06]))

    assert [due for due, _at in started] == [0.0, 0.06, 0.12]
    assert all(at >= due for due, at in started)


def test_backlog_is_spread_over_ticks() -> None:
    started = asyncio.run(_starts([0.0] * (4 * MOST_PER_TICK)))

    assert len(started) == 4 * MOST_PER_TICK
    assert started[-1][1] >= 3 * TICK_SECONDS


def test_one_that_cannot_be_started_keeps_no_other() -> None:
    async def start_three() -> list[str]:
        started: list[str] = []
        both = asyncio.Event()

        def start(what: str) -> None:
            if what == "bad":
                raise RuntimeError(what)
            started.append(what)
            if len(started) == 2:
                both.set()

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        pace = Pace(start)
        for what in ("good", "bad", "fine"):
            pace.add(what, at=loop.time())
        async with asyncio.timeout(60):
            await both.wait()
        pace.close()
        return started

    assert asyncio.run(start_three()) == ["good", "fine"]


def test_nothing_starts_once_closed() -> None:
    async def close_before() -> list[object]:
        started: list[object] = []
        pace = Pace(started.append)
        pace.add("late", at=asyncio.get_running_loop().time() + 0.05)
        pace.close()
        await asyncio.sleep(0.1)
        return started

    assert asyncio.run(close_before()) == []
