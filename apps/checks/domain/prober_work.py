"""Where a prober gets its work from and leaves what it saw: the database. An agent's prober has another such place."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Protocol
from uuid import UUID

from django.db import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
)

from apps.checks.domain.held_results import SIGN_OVERDUE, Contact, store_by_age
from apps.checks.domain.judging import SILENT_AFTER
from apps.checks.domain.regions import mark_seen, mark_sick, mark_well
from apps.checks.domain.results import NewResult, by_tenant
from apps.checks.domain.turns import (
    EXTENSION,
    HEAD_START,
    MOST_HEAD_START,
    CheckSettings,
    ClaimedTurn,
    claim_turns,
    extend_leases,
    give_back,
    settings_of,
    straighten_turns,
)
from apps.core import clock
from apps.core.postgres.clock import database_now
from apps.live.domain.publish import publish_many

logger = logging.getLogger(__name__)

LOOK_AT_THE_CLOCK_EVERY_SECONDS = 5.0
# More than NTP slews in that time; less than what a turn may be late.
STEPPED_SECONDS = 2.0
COMPLAIN_EVERY_SECONDS = 60.0


class PlaceAway(Exception):
    """The place of work cannot be reached now. Whatever was asked of it may be asked again."""


class BatchRefused(Exception):
    """Results could not be stored as a whole, for what is in them: none was."""


class ProberWork(Protocol):
    """Every method may block; they run one at a time in a thread of their own, and may raise `PlaceAway`."""

    region_id: int
    extension: timedelta  # for so long at least a turn is ours again from when `extend` was asked for

    def trade(self, results: Sequence[NewResult], limit: int) -> list[ClaimedTurn]:
        """Store results and claim up to ``limit`` turns; raises `BatchRefused`."""
        ...

    def settings_of(self, check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]: ...

    def extend(self, turns: Iterable[ClaimedTurn]) -> None: ...

    def give_back(self, turns: Iterable[ClaimedTurn]) -> None: ...

    def say_well(self) -> None:
        """Tell that the region's prober lives and that its control targets answer."""
        ...

    def say_sick(self, failed_controls: Sequence[str]) -> None: ...

    def close(self) -> None: ...


# Classes of errors that only a database in reach gives: of rivals, locks not had in time, statements that took too long.
ANSWERS = ("40", "55", "57014")


def _is_answer(error: Exception) -> bool:
    return (getattr(error.__cause__, "sqlstate", None) or "").startswith(ANSWERS)


class DatabaseWork:
    """The work of a region that lies in this installation's own network."""

    extension = EXTENSION

    def __init__(self, region_id: int) -> None:
        self.region_id = region_id
        self._clock = DatabaseClock()
        self._contact = Contact()
        self._seen_at = float("-inf")  # of the clock that nobody can set
        self._traded_at = monotonic()
        self._complained_at = float("-inf")

    def trade(self, results: Sequence[NewResult], limit: int) -> list[ClaimedTurn]:
        """Keep the results and let those who watch live know, then claim."""
        with self._reached():
            if results:
                self._see_again()
                self._store(results)
            if self._clock.may_have_stepped_back():
                straighten_turns(self.region_id)
            return claim_turns(limit, region_id=self.region_id, head_start=self._head_start()) if limit > 0 else []

    @contextmanager
    def _reached(self) -> Iterator[None]:
        self._contact.asks()
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            if _is_answer(error):
                self._contact.hears()
            close_old_connections()
            raise PlaceAway(f"the database is away: {error}") from error
        except Error as error:
            # Read-only, or with another release's tables: what is held waits, and the next question goes to whichever server
            # is the main one by then.
            self._complain(error)
            connection.close()
            raise PlaceAway("the database does not take what is asked of it") from error
        self._contact.hears()

    def _complain(self, error: Error) -> None:
        """Say now and then how a question was refused: nobody but people can mend that."""
        if monotonic() - self._complained_at >= COMPLAIN_EVERY_SECONDS:
            self._complained_at = monotonic()
            logger.error("the database refuses the prober; what it holds waits until that ends", exc_info=error)

    def _head_start(self) -> timedelta:
        """Claim further ahead while a beat takes long, on a busy machine: what is due before the next one starts on time."""
        beat, self._traded_at = monotonic() - self._traded_at, monotonic()
        return min(max(HEAD_START, timedelta(seconds=2 * beat)), MOST_HEAD_START)

    def _see_again(self) -> None:
        """After an absence say what nobody saw before the first result: its opinion must not be forgotten with that.

        Long before it would be: whoever else looks for silent regions may come between a result and our next sign.
        """
        if clock.steady() - self._seen_at > SIGN_OVERDUE.total_seconds():
            self._mark_seen()

    def _store(self, results: Sequence[NewResult]) -> None:
        try:
            store_by_age(results, heard_again_at=self._contact.heard_again_at)
        except (DataError, IntegrityError) as error:
            raise BatchRefused from error
        changed = by_tenant(results)
        publish_many({f"tenant:{tenant}": [f"check:{check}" for check in checks] for tenant, checks in changed.items()})

    def settings_of(self, check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]:
        with self._reached():
            return settings_of(check_ids)

    def extend(self, turns: Iterable[ClaimedTurn]) -> None:
        with self._reached():
            extend_leases(turns)

    def give_back(self, turns: Iterable[ClaimedTurn]) -> None:
        with self._reached():
            give_back(turns)

    def say_well(self) -> None:
        with self._reached():
            self._mark_seen()  # first: only who is seen is heard again
            mark_well(self.region_id)

    def say_sick(self, failed_controls: Sequence[str]) -> None:
        with self._reached():
            mark_sick(self.region_id, failed_controls)
            self._mark_seen()

    def _mark_seen(self) -> None:
        lives_on = clock.steady() - self._seen_at < SILENT_AFTER.total_seconds()
        mark_seen(self.region_id, lives_on=lives_on)
        self._seen_at = clock.steady()

    def close(self) -> None:
        connection.close()


class DatabaseClock:
    """Notices when the database's clock is set back: turns made before would then wait for hours."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self._ahead: float | None = None  # of this machine's monotonic clock

    def may_have_stepped_back(self) -> bool:
        """Tell whether the clock went back since the last look; at the first nobody knows."""
        if monotonic() - self._looked_at < LOOK_AT_THE_CLOCK_EVERY_SECONDS:
            return False
        before, asked_at = self._ahead, monotonic()
        database = database_now().timestamp()
        self._looked_at = monotonic()
        # Judged by the moment of asking: a slow answer then looks like a step ahead, which does no harm.
        self._ahead = database - asked_at
        if before is not None and self._ahead < before - STEPPED_SECONDS:
            logger.warning("the database's clock was set back by %.0f s", before - self._ahead)
        return before is None or self._ahead < before - STEPPED_SECONDS
