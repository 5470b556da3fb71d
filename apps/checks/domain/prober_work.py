"""Where a prober gets its work from and leaves what it saw: the database. An agent's prober has another such place."""

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from django.db import close_old_connections, connection

from apps.checks.domain.regions import mark_seen, mark_sick, mark_well
from apps.checks.domain.results import NewResult, by_tenant, store_results
from apps.checks.domain.turns import CheckSettings, ClaimedTurn, claim_turns, extend_leases, give_back, settings_of
from apps.live.domain.publish import publish_many


class ProberWork(Protocol):
    """Every method may block; they run one at a time in a thread of their own. Any may raise `django.db.Error`."""

    region_id: int

    def claim(self, limit: int) -> list[ClaimedTurn]: ...

    def settings_of(self, check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]: ...

    def store(self, results: Sequence[NewResult]) -> None: ...

    def extend(self, turns: Iterable[ClaimedTurn]) -> None: ...

    def give_back(self, turns: Iterable[ClaimedTurn]) -> None: ...

    def say_well(self) -> None:
        """Tell that the region's prober lives and that its control targets answer."""
        ...

    def say_sick(self, failed_controls: Sequence[str]) -> None: ...

    def recover(self) -> None:
        """Make ready for another try after an error."""
        ...

    def close(self) -> None: ...


class DatabaseWork:
    """The work of a region that lies in this installation's own network."""

    def __init__(self, region_id: int) -> None:
        self.region_id = region_id

    def claim(self, limit: int) -> list[ClaimedTurn]:
        return claim_turns(limit, region_id=self.region_id)

    def settings_of(self, check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]:
        return settings_of(check_ids)

    def store(self, results: Sequence[NewResult]) -> None:
        """Keep the results, then let those who watch live know."""
        store_results(results)
        changed = by_tenant(results)
        publish_many({f"tenant:{tenant}": [f"check:{check}" for check in checks] for tenant, checks in changed.items()})

    def extend(self, turns: Iterable[ClaimedTurn]) -> None:
        extend_leases(turns)

    def give_back(self, turns: Iterable[ClaimedTurn]) -> None:
        give_back(turns)

    def say_well(self) -> None:
        mark_well(self.region_id)
        mark_seen(self.region_id)

    def say_sick(self, failed_controls: Sequence[str]) -> None:
        mark_sick(self.region_id, failed_controls)
        mark_seen(self.region_id)

    def recover(self) -> None:
        close_old_connections()

    def close(self) -> None:
        connection.close()
