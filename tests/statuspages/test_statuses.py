"""From states to statuses to the page's indicator."""

import pytest

from apps.checks.enums import State
from apps.statuspages.domain.statuses import component_status, group_status, page_indicator
from apps.statuspages.enums import SIGNS, ComponentStatus, Indicator

OK, SLOW, PARTIAL, OUT, CARE, BLANK = (
    ComponentStatus.OPERATIONAL,
    ComponentStatus.DEGRADED,
    ComponentStatus.PARTIAL_OUTAGE,
    ComponentStatus.MAJOR_OUTAGE,
    ComponentStatus.MAINTENANCE,
    ComponentStatus.UNKNOWN,
)


@pytest.mark.parametrize(
    ("state", "status"),
    [("up", OK), ("degraded", SLOW), ("down", OUT), ("unknown", BLANK), ("paused", BLANK), ("maintenance", CARE)],
)
def test_component_status(state: str, status: ComponentStatus) -> None:
    assert component_status(state) == status


def test_every_state_has_a_status_and_every_status_a_sign() -> None:
    assert {component_status(state) for state in State} <= set(SIGNS)
    assert set(SIGNS) == set(ComponentStatus)


@pytest.mark.parametrize(
    ("statuses", "group", "page"),
    [
        ([], BLANK, Indicator.NONE),
        ([BLANK], BLANK, Indicator.NONE),
        ([OK, BLANK], OK, Indicator.NONE),
        ([OK, CARE], CARE, Indicator.MAINTENANCE),
        ([OK, CARE, SLOW], SLOW, Indicator.MINOR),
        ([SLOW, SLOW], SLOW, Indicator.MINOR),
        ([OK, OUT], PARTIAL, Indicator.MAJOR),
        ([SLOW, OUT], PARTIAL, Indicator.MAJOR),
        ([OUT, BLANK], OUT, Indicator.CRITICAL),
        ([OUT, OUT], OUT, Indicator.CRITICAL),
        ([PARTIAL, OUT], PARTIAL, Indicator.MAJOR),
    ],
)
def test_group_and_page(statuses: list[ComponentStatus], group: ComponentStatus, page: Indicator) -> None:
    assert (group_status(statuses), page_indicator(statuses)) == (group, page)
