"""The catalogue: what the plans allow, and which deals may be laid over them."""

from dataclasses import fields
from typing import Any

import pytest
from django.utils.functional import Promise

from apps.plans.catalogue import LIMITS, PLANS, BadOverride, Entitlements, with_overrides
from apps.plans.domain.limits import counters


def test_what_the_plans_allow() -> None:
    assert {code: plan.entitlements for code, plan in PLANS.items()} == {
        "free": Entitlements(
            checks=20, min_interval_seconds=300, regions_per_check=1, agents=0, has_browser_checks=False
        ),
        "team": Entitlements(
            checks=100, min_interval_seconds=30, regions_per_check=5, agents=3, has_browser_checks=True
        ),
        "business": Entitlements(
            checks=1_000, min_interval_seconds=10, regions_per_check=20, agents=25, has_browser_checks=True
        ),
        "unlimited": Entitlements(
            checks=None, min_interval_seconds=10, regions_per_check=None, agents=None, has_browser_checks=True
        ),
    }


def test_every_entitlement_is_explained_and_every_counted_one_is_counted() -> None:
    assert set(LIMITS) == {field.name for field in fields(Entitlements)}
    assert {limit.name for limit in LIMITS.values() if limit.is_counted} == set(counters())
    assert all(isinstance(text, Promise) for limit in LIMITS.values() for text in (limit.label, limit.help))
    assert all(isinstance(plan.label, Promise) for plan in PLANS.values())


def test_deal_is_laid_over_the_plan_and_leaves_the_rest() -> None:
    dealt = with_overrides(PLANS["free"].entitlements, {"checks": None, "has_browser_checks": True})

    assert dealt == Entitlements(
        checks=None, min_interval_seconds=300, regions_per_check=1, agents=0, has_browser_checks=True
    )
    assert PLANS["free"].entitlements.checks == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wishes", 1),
        ("checks", -1),
        ("checks", 1_000_001),
        ("checks", "20"),
        ("checks", 2.5),
        ("checks", True),
        ("min_interval_seconds", 9),
        ("min_interval_seconds", 86_401),
        ("min_interval_seconds", None),
        ("regions_per_check", 0),
        ("has_browser_checks", 1),
        ("has_browser_checks", None),
    ],
)
def test_deal_that_cannot_be_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadOverride) as refused:
        with_overrides(PLANS["team"].entitlements, {"checks": 5, name: value})

    assert refused.value.name == name
