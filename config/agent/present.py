"""The thread that trades with the server in the present: results for turns. Nobody waits for it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from apps.checks.domain.agent_wire import MAX_RESULTS, OfferedTurn, decode_ids, decode_settings, decode_turns
from apps.checks.domain.wire_fields import WireError, dump, whole_number
from config.agent.connection import Connection
from config.agent.errors import AnswerTooLarge, RequestRefused, ServerAway, TokenRefused
from config.agent.link import Link
from config.agent.part import Part
from config.agent.records import Record
from config.agent.work import AgentWork

logger = logging.getLogger(__name__)

# Less than the 4 MiB that the server reads, with room for what stands around the rows.
MOST_BODY_BYTES = 3_500_000
TOO_LARGE = 413
SETTINGS_AT_ONCE = 200
NAMED_ROW = re.compile(r"results\[(\d+)\]")
MILLISECOND = timedelta(milliseconds=1)


class Present(Part):
    """Trades whenever the prober wants it, one question after the other over a connection of its own."""

    def __init__(self, connection: Connection, link: Link, desk: AgentWork) -> None:
        super().__init__("present", link.stop)
        self._connection = connection
        self._link = link
        self._desk = desk
        self._body_bytes = MOST_BODY_BYTES
        self._settings_at_once = SETTINGS_AT_ONCE

    def work(self) -> None:
        """Trade until the prober has closed its place of work, and a last time then."""
        try:
            is_last = False
            while not is_last:
                self._desk.wake.wait()
                self._desk.wake.clear()
                is_last = self._desk.closing.is_set()
                self.trade()
        finally:
            self._connection.close()

    def trade(self) -> None:
        """Hand in what is fresh, fetch turns, and do the prober's errands; without the server these are not worth keeping."""
        if not self._link.is_up:
            self._desk.errands()
            return
        with self._asking():
            self._exchange()
            self._run_errands()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Note where the server is away, and end everything where it does not want us any more."""
        try:
            yield
        except ServerAway as error:
            self._link.went_down(error, checks=self._desk.checks)
        except TokenRefused as error:
            self._link.refuse(str(error))
        except RequestRefused as error:
            _say_refused(error)
            self._link.answered()

    def _exchange(self) -> None:
        """Send everything fresh, each check's results one after the other, and take on what is offered with the last."""
        while True:
            batch, is_last = self._desk.batch(MAX_RESULTS, self._body_bytes)
            room, ahead = self._desk.wanted()
            records = [pending.record for pending in batch]
            try:
                answer = self._connection.ask("trade", trade_body(records, room * is_last, ahead))
            except RequestRefused as error:
                if error.status == TOO_LARGE and len(batch) > 1:
                    self._body_bytes //= 2  # something on the way takes less than the server
                else:
                    self._drop_refused(batch, error)
                continue
            self._desk.arrived(batch)
            if is_last:
                self._take_on(answer)
                return

    def _drop_refused(self, batch: Sequence[Any], error: RequestRefused) -> None:
        """Let go of the results that the server names as wrong."""
        wrong = wrong_rows(batch, error)
        logger.error("%d results were refused by the server and are lost: %s", len(wrong), str(error)[:500])
        self._desk.arrived(wrong)

    def _take_on(self, answer: dict[str, Any]) -> None:
        with _readable():
            self._desk.region_id = whole_number(0, 32_767)(answer.get("region"), "region")
            known = decode_ids(answer.get("known_failures", []), "known_failures")  # earlier servers do not say
            offered = decode_turns(answer.get("turns"), region_id=self._desk.region_id, known_failures=known)
            skipped = whole_number(0, 2_147_483_647)(answer.get("skipped", 0), "skipped")
        skipped *= self._link.is_settled  # what passed by while nobody was there was nobody's to probe
        self._link.has_traded = True
        wanted = self._desk.unmeasured(offered)
        unreadable = self._learn_settings(wanted)
        # How many we were given does not tell: the server keeps some of what it claimed. Older ones do not say.
        are_all = answer.get("is_all") is True
        self._desk.take_on(wanted, skipped=skipped, are_all=are_all, unreadable=unreadable)

    def _learn_settings(self, offered: Sequence[OfferedTurn]) -> set[UUID]:
        """Ask for settings that are not known, and return the checks whose settings nobody can read, us included."""
        unreadable: set[UUID] = set()
        unknown = self._desk.orders.unknown(each.turn for each in offered)
        while unknown:
            asked = unknown[: self._settings_at_once]
            try:
                answer = self._connection.ask("settings", dump({"checks": [check_id.hex for check_id in asked]}))
            except AnswerTooLarge:
                if len(asked) == 1:
                    raise
                self._settings_at_once = len(asked) // 2  # and so it stays: each is asked for once
                continue
            unknown = unknown[len(asked) :]
            unreadable |= self._learn(answer)
        return unreadable

    def _learn(self, answer: dict[str, Any]) -> set[UUID]:
        with _readable():
            settings, wrong = decode_settings(answer.get("settings"))
            unreadable = set(decode_ids(answer.get("unreadable", []), "unreadable"))  # earlier servers do not say
        for error in wrong.values():
            logger.error("settings are not what was agreed on: %s", error)
        self._desk.orders.learn(settings)
        return unreadable | wrong.keys()

    def _run_errands(self) -> None:
        """Do errands; one that is refused costs no other, and where the server is away they are left for another time."""
        errands = self._desk.errands()
        for place, (verb, fields) in enumerate(errands):
            try:
                self._run_errand(verb, fields)
            except RequestRefused as error:
                _say_refused(error)
            except ServerAway:
                self._desk.put_back(errands[place:])
                raise

    def _run_errand(self, verb: str, fields: dict[str, Any]) -> None:
        if verb == "health":
            say_life(self._connection, self._desk)
        else:
            self._connection.ask(verb, dump(fields))


def _say_refused(error: RequestRefused) -> None:
    logger.error("the server refused a request: %s", str(error)[:500])


def say_life(connection: Connection, desk: AgentWork) -> None:
    """Give a sign of life, with what the server is to know of us."""
    tally = desk.losses.take()
    try:
        connection.ask("health", dump({**desk.own_words(), **tally.fields()}))
    except BaseException:
        desk.losses.put_back(tally)
        raise


@contextmanager
def _readable() -> Iterator[None]:
    """Hold an answer that is signed but not what was agreed on for none."""
    try:
        yield
    except WireError as error:
        raise ServerAway(f"an answer was refused: {error}") from error


def trade_body(records: Sequence[Record], limit: int, ahead: timedelta) -> bytes:
    """Return the body of `trade`: the rows as they were written down, and the turns that are wanted, so far ahead."""
    return _rows(records) + b',"limit":%d,"ahead_ms":%d}' % (limit, ahead // MILLISECOND)


def late_body(records: Sequence[Record]) -> bytes:
    """Return the body of `late`."""
    return _rows(records) + b"}"


def _rows(records: Sequence[Record]) -> bytes:
    return b'{"results":[' + b",".join(record.row for record in records) + b"]"


def wrong_rows(batch: Sequence[Any], error: RequestRefused) -> list[Any]:
    """Return what of a batch the server's answer names as wrong; raise `ServerAway` where it names none of it."""
    places = {int(place) for name in error.errors for place in NAMED_ROW.findall(name)}
    wrong = [each for place, each in enumerate(batch) if place in places]
    if not wrong and error.status == TOO_LARGE:
        return list(batch)  # a single one, which no smaller body can bring
    if not wrong:
        text = f"the server does not take our requests: {str(error)[:200]}"
        raise ServerAway(text, status=error.status) from error
    return wrong
