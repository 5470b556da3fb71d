"""The prober's place of work in an agent: the server while it can be reached, else a rota and a buffer on disk."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from apps.checks.domain.agent_wire import (
    MAX_RESULTS,
    MAX_TURNS,
    OfferedTurn,
    decode_settings,
    decode_turns,
    encode_held,
)
from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import CheckSettings, ClaimedTurn
from apps.checks.domain.wire_fields import WireError, dump, whole_number
from config.agent.buffer import Buffer
from config.agent.connection import Connection
from config.agent.errors import RequestRefused, ServerAway, TokenRefused
from config.agent.fresh import Fresh, Pending
from config.agent.link import Link
from config.agent.newest import Newest
from config.agent.orders import OrderBook
from config.agent.records import Record
from config.agent.rota import Rota
from config.agent.server_clock import ServerClock
from config.agent.sightings import not_run, records_of

logger = logging.getLogger(__name__)

# Less than the 4 MiB that the server reads, with room for what stands around the rows.
MOST_BODY_BYTES = 3_500_000
TOO_LARGE = 413
SETTINGS_AT_ONCE = 200
NAMED_ROW = re.compile(r"results\[(\d+)\]")


class AgentWork:
    """A `ProberWork` that never raises `PlaceAway`: without the server it goes on by itself."""

    def __init__(
        self,
        connection: Connection,
        link: Link,
        buffer: Buffer,
        server_clock: ServerClock,
        *,
        kinds: frozenset[str] = frozenset(),
    ) -> None:
        self.region_id = 0  # until the server has said it
        self.failed_controls: list[str] = []
        self.newest = Newest()
        self._connection = connection
        self._link = link
        self._buffer = buffer
        self._clock = server_clock
        self._rota = Rota(buffer.measured_until)
        self._fresh = Fresh(buffer)
        self._orders = OrderBook(kinds)
        self._offered_again: set[UUID] = set()  # though their results have arrived
        self._body_bytes = MOST_BODY_BYTES

    # --- what the prober calls ----------------------------------------------------------------------------------------

    def trade(self, results: Sequence[NewResult], limit: int) -> list[ClaimedTurn]:
        """Hand in results and return turns: the server's, and beside them our own for checks that it has not caught up with."""
        self._take_in(results)
        turns: list[ClaimedTurn] = []
        if self._link.is_up:
            with self._asking():
                turns = self._accepted(self._exchange(limit))
        if not self._link.is_up:
            self._rota.go_alone()  # the other thread may have lost the server
            self._keep()
        now = self._clock.now()
        self._rota.forget_old(now=now)
        turns += self._rota.due(now=now, limit=limit - len(turns))
        if self._link.is_up and self._link.has_told_newest:
            self._rota.settle()  # after a last round: the server goes on with the slots that are still to come
        return turns

    def settings_of(self, check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]:
        return self._orders.settings_of(check_ids)

    def extend(self, turns: Iterable[ClaimedTurn]) -> None:
        for held in _parted(encode_held(turns)):
            self._tell("leases", {"extend": held, "give_back": []})

    def give_back(self, turns: Iterable[ClaimedTurn]) -> None:
        for held in _parted(encode_held(turns)):
            self._tell("leases", {"extend": [], "give_back": held})

    def say_well(self) -> None:
        self._say([])

    def say_sick(self, failed_controls: Sequence[str]) -> None:
        self._say(list(failed_controls))

    def close(self) -> None:
        """Keep what has not arrived."""
        self._keep()
        self._connection.close()

    # --- trading ------------------------------------------------------------------------------------------------------

    def _take_in(self, results: Sequence[NewResult]) -> None:
        """Note results. Those of turns that the server does not know of yet are told by `late` as well, which alone moves
        such a turn on."""
        records = list(records_of(results, self._clock))
        self._fresh.add(records)
        self._rota.finished(record.check_id for record in records)
        self.newest.note(record for record in records if self._rota.is_alone(record.check_id))
        repeated = [record for record in records if record.check_id in self._offered_again]
        if repeated:
            self._offered_again.difference_update(record.check_id for record in repeated)
            self.newest.note(repeated)
            self._link.fall_behind()

    def _keep(self) -> None:
        self._fresh.keep(now=self._clock.now(), is_known_time=self._clock.is_known)

    def _exchange(self, limit: int) -> list[OfferedTurn]:
        """Send everything fresh, each check's results one after the other, and return what is offered with the last."""
        while True:
            batch = self._fresh.batch(MAX_RESULTS, self._body_bytes)
            is_last = len(batch) == len(self._fresh)
            try:
                answer = self._connection.ask(
                    "trade", results_body([pending.record for pending in batch], min(limit, MAX_TURNS) * is_last)
                )
            except RequestRefused as error:
                if error.status == TOO_LARGE and len(batch) > 1:
                    self._body_bytes //= 2  # something on the way takes less than the server
                else:
                    self._drop_refused(batch, error)
                continue
            self._fresh.arrived(batch)
            if is_last:
                self._link.has_traded = True
                return self._offered(answer)

    def _drop_refused(self, batch: Sequence[Pending], error: RequestRefused) -> None:
        """Let go of the results that the server names as wrong."""
        wrong = wrong_rows(batch, error)
        logger.error("%d results were refused by the server and are lost: %s", len(wrong), str(error)[:500])
        self._fresh.arrived(wrong)

    def _offered(self, answer: dict[str, Any]) -> list[OfferedTurn]:
        try:
            self.region_id = whole_number(0, 32_767)(answer.get("region"), "region")
            return decode_turns(answer.get("turns"), region_id=self.region_id)
        except WireError as error:
            raise ServerAway(f"an answer was refused: {error}") from error

    def _accepted(self, offered: Sequence[OfferedTurn]) -> list[ClaimedTurn]:
        """Return the offered turns to be probed: new to us, with settings that are known, of a kind that may be run."""
        wanted = [each for each in offered if not self._is_measured(each)]
        self._learn_settings([each.turn for each in wanted])
        now = self._clock.now()
        turns = []
        for each in wanted:
            if not self._orders.knows(each.turn):
                self._rota.strike(each.turn.check_id)  # deleted or changed at this moment
                continue
            if (kind := self._orders.refused_kind(each.turn)) is not None:
                self._fresh.add([not_run(each.turn, kind, now)])
                continue
            if self._rota.is_finished(each.turn):
                self._offered_again.add(each.turn.check_id)
            turns.append(self._rota.order(each, now=now))
        return turns

    def _is_measured(self, offered: OfferedTurn) -> bool:
        """Tell whether a turn was probed while the server was away, and its result is still to come."""
        measured = self._rota.measured(offered.turn.check_id) if self._link.is_behind else None
        return measured is not None and offered.turn.due_at <= measured

    def _learn_settings(self, turns: Sequence[ClaimedTurn]) -> None:
        unknown = self._orders.unknown(turns)
        for start in range(0, len(unknown), SETTINGS_AT_ONCE):
            asked = unknown[start : start + SETTINGS_AT_ONCE]
            answer = self._connection.ask("settings", dump({"checks": [check_id.hex for check_id in asked]}))
            try:
                self._orders.learn(decode_settings(answer.get("settings")))
            except WireError as error:
                raise ServerAway(f"an answer was refused: {error}") from error

    # --- asking -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Go on alone where the server is away, and end where it does not want us any more."""
        try:
            yield
        except ServerAway as error:
            self._link.went_down(error, checks=len(self._rota))
        except TokenRefused as error:
            self._link.refuse(str(error))
        except RequestRefused as error:
            logger.error("the server refused a request: %s", str(error)[:500])  # noqa: TRY400

    def _tell(self, verb: str, fields: dict[str, Any]) -> None:
        if self._link.is_up:
            with self._asking():
                self._connection.ask(verb, dump(fields))

    def _say(self, failed_controls: list[str]) -> None:
        self.failed_controls = failed_controls
        self._tell("health", {"failed_controls": failed_controls, "buffered": self._buffer.waiting})


def _parted(held: list[Any]) -> Iterator[list[Any]]:
    """Yield turns in parts that the server takes at once."""
    for start in range(0, len(held), MAX_TURNS):
        yield held[start : start + MAX_TURNS]


def results_body(records: Sequence[Record], limit: int | None = None) -> bytes:
    """Return the body of `trade`, or without ``limit`` of `late`: the rows as they were written down."""
    end = b"]}" if limit is None else b'],"limit":%d}' % limit
    return b'{"results":[' + b",".join(record.row for record in records) + end


def wrong_rows(batch: Sequence[Any], error: RequestRefused) -> list[Any]:
    """Return what of a batch the server's answer names as wrong; raise `ServerAway` where it names none of it."""
    places = {int(place) for name in error.errors for place in NAMED_ROW.findall(name)}
    wrong = [each for place, each in enumerate(batch) if place in places]
    if not wrong and error.status == TOO_LARGE:
        return list(batch)  # a single one, which no smaller body can bring
    if not wrong:
        raise ServerAway(f"the server does not take our requests: {str(error)[:200]}") from error
    return wrong
