"""What regions make of a check together: held against a naive model, and its corners one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, pairwise, product

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.checks.domain.checks import Timing, check_now, update_check
from apps.checks.domain.prober_work import DatabaseWork
from apps.checks.domain.regions import lose_sight_of_silent_regions, mark_sick, mark_well
from apps.checks.domain.results import store_results
from apps.checks.domain.settings import config_of
from apps.checks.domain.turns import claim_turns
from apps.checks.domain.verdicts import RegionView, judge_regions
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Check, CheckState, Flip, Region, Result, Turn
from apps.core import clock
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db

# Turns due by the clock: the database's now() is behind it by the time that a test's own transaction has taken.
SOON = timedelta(minutes=1)
FAILED, GOOD, SLOW, UNMEASURED = Verdict.FAILURE, Verdict.SUCCESS, Verdict.DEGRADED, Verdict.UNKNOWN


def see(check: Check, verdict: Verdict, *, region_id: int = MAIN_REGION, at: datetime | None = None) -> str:
    store_results([make_result(check, verdict, region_id=region_id, started_at=at or clock.now())])
    return str(CheckState.objects.get(watched=check).state)


def flips() -> list[tuple[str, str]]:
    return list(Flip.objects.order_by("sequence").values_list("before", "after"))


# --- A naive model ------------------------------------------------------------------------------------------------------

MEANS = {FAILED: State.DOWN, GOOD: State.UP, SLOW: State.DEGRADED}
WORSE = {State.DOWN: (FAILED,), State.DEGRADED: (FAILED, SLOW)}


@dataclass
class Model:
    """A check as its documentation tells it: every result is kept, and all of them are read again each time.

    It looks once a minute, each time in one of its regions.
    """

    retries: int
    recoveries: int
    confirmations: int
    state: State = State.NEW
    seen: dict[int, list[Verdict]] = field(default_factory=lambda: {1: [], 2: [], 3: []})
    minutes: dict[int, list[int]] = field(default_factory=lambda: {1: [], 2: [], 3: []})
    sick: set[int] = field(default_factory=set)
    flips: list[tuple[str, str]] = field(default_factory=list)

    def look(self) -> None:
        after = self.together()
        if after != self.state:
            self.flips.append((self.state.value, after.value))
            self.state = after

    def says(self, region_id: int) -> Verdict | None:
        said: Verdict | None = None
        results = self.seen[region_id]
        for place, last in enumerate(results):
            run = results[: place + 1]
            failures = len(run) - 1 - max((n for n, one in enumerate(run) if one != FAILED), default=-1)
            goods = len(run) - 1 - max((n for n, one in enumerate(run) if one in (FAILED, UNMEASURED)), default=-1)
            if last == UNMEASURED:
                said = None
            elif failures > self.retries:
                said = FAILED
            elif last != FAILED and (said != FAILED or goods >= self.recoveries):
                said = last
        return said

    def is_blind(self, region_id: int) -> bool:
        results = self.seen[region_id]
        measured = max((n for n, one in enumerate(results) if one != UNMEASURED), default=-1)
        since = self.minutes[region_id][measured + 1 :]
        return bool(since) and since[-1] - since[0] >= 1.5

    def word_of(self, region_id: int) -> tuple[Verdict | None, bool]:
        return self.says(region_id), self.is_blind(region_id)

    def together(self) -> State:
        words = {region: self.says(region) for region in self.seen}
        known = [word for region, word in words.items() if region not in self.sick and word is not None]
        able = sum(region not in self.sick and not self.is_blind(region) for region in words)
        needed = min(self.confirmations, able)
        if not known:
            return State.NEW if self.state == State.NEW else State.UNKNOWN
        for state, bad in WORSE.items():
            if sum(word in bad for word in known) >= needed:
                return state
            # Whatever those say from whom nothing is heard: could it be as before?
            unheard = len(words) - len(known)
            ends = [[*known, *said] for said in product((FAILED, GOOD, SLOW), repeat=unheard)]
            may_be = any(sum(word in bad for word in end) >= needed for end in ends)
            if self.state == state and may_be and any(word in bad for word in known):
                return state
        return State.UP if GOOD in known else self.state


Step = tuple[str, int, Verdict | None]
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("see"), st.integers(1, 3), st.sampled_from(Verdict)),
    st.tuples(st.just("see"), st.integers(1, 3), st.sampled_from((FAILED, GOOD))),
    st.tuples(st.sampled_from(("sick", "well")), st.integers(1, 3), st.none()),
    st.tuples(st.just("ask"), st.integers(1, 3), st.none()),
)
going_blind = st.integers(1, 3).map(lambda region_id: [("see", region_id, UNMEASURED)] * 3)
chapters = st.one_of(steps.map(lambda step: [step]), going_blind)
BLIND: list[Step] = [("see", 2, UNMEASURED)] * 3
FAILING: list[Step] = [("see", 1, FAILED), ("see", 3, FAILED)] * 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Drawn too seldom: region 2 is blind before the others fail, after that, and begins to see again.
@example(story=[*BLIND, *FAILING], retries=1, recoveries=1, confirmations=3)
@example(story=[*FAILING, *BLIND], retries=1, recoveries=1, confirmations=3)
@example(story=[*FAILING, *BLIND, ("see", 3, GOOD), ("see", 2, FAILED)], retries=1, recoveries=1, confirmations=3)
@given(
    story=st.lists(chapters, min_size=1, max_size=14).map(lambda told: [*chain.from_iterable(told)]),
    retries=st.integers(0, 2),
    recoveries=st.integers(1, 2),
    confirmations=st.integers(1, 3),
)
def test_any_story_gives_the_flips_of_the_model(
    in_acme: Tenant,
    story: Sequence[Step],
    retries: int,
    recoveries: int,
    confirmations: int,
) -> None:
    Check.objects.all().delete()  # those of earlier stories
    Region.objects.update(sick_since_at=None)
    check = make_check(
        state=State.NEW, regions=[1, 2, 3], retries=retries, recoveries=recoveries, confirmations=confirmations
    )
    model, began = Model(retries, recoveries, confirmations), clock.now()

    for minute, (what, number, verdict) in enumerate(story):
        before = model.word_of(number)
        is_news = True
        if what == "see" and verdict is not None:
            model.seen[number].append(verdict)
            model.minutes[number].append(minute)
            is_news = model.word_of(number) != before
            see(check, verdict, region_id=number, at=began + timedelta(minutes=minute))
        elif what == "sick":
            model.sick.add(number)
            is_news = False  # what was said until then stands until something new is seen
            mark_sick(number, ["a: timeout"])
        elif what == "well":
            said, _is_blind = before
            is_news = number in model.sick and said is not None and MEANS[said] != model.state
            model.sick.discard(number)
            mark_well(number)
        else:
            model.confirmations = number
            timing = {name: getattr(check, name) for name in Timing.__slots__}
            wanted = Timing(**{**timing, "confirmations": number, "regions": (1, 2, 3)})
            update_check(check, name=check.name, config=config_of(check), timing=wanted, tags=[])
        if is_news:
            model.look()
        assert flips() == model.flips

    moments = list(Flip.objects.order_by("sequence").values_list("at", flat=True))
    assert all(earlier <= later for earlier, later in pairwise(moments))


# --- Corners ------------------------------------------------------------------------------------------------------------


def test_region_that_was_sick_is_heard_as_soon_as_it_is_well(in_acme: Tenant) -> None:
    """It saw successes all along, so that none of them is news by itself."""
    check = make_check(state=State.UP)
    mark_sick(MAIN_REGION, ["a: timeout"])
    assert [see(check, UNMEASURED), see(check, GOOD)] == ["unknown", "unknown"]
    before = clock.now()

    mark_well(MAIN_REGION)

    assert flips() == [("up", "unknown"), ("unknown", "up")]
    assert Flip.objects.latest("sequence").at >= before  # while it was sick nobody knew


def test_region_is_heard_again_though_its_last_sign_looks_old(in_acme: Tenant) -> None:
    """The clock was set ahead while the region was sick."""
    work, check = DatabaseWork(MAIN_REGION), make_check(state=State.UP)
    work.say_sick(["a: timeout"])
    assert [see(check, UNMEASURED), see(check, GOOD)] == ["unknown", "unknown"]
    long_ago = clock.now() - timedelta(hours=1)
    Region.objects.filter(id=MAIN_REGION).update(seen_at=long_ago)
    Turn.objects.filter(watched=check).update(last_result_at=long_ago)

    work.say_well()

    assert CheckState.objects.get(watched=check).state == State.UP


def test_paused_check_stays_so_when_its_region_is_well_again(in_acme: Tenant) -> None:
    check = make_check(state=State.PAUSED)
    Turn.objects.update(opinion=GOOD)
    mark_sick(MAIN_REGION, ["a: timeout"])

    mark_well(MAIN_REGION)

    assert CheckState.objects.get(watched=check).state == State.PAUSED


class TestSilence:
    """Who says nothing just now confirms nothing, and takes nothing back."""

    def test_outage_is_not_over_because_a_region_could_not_measure_once(self, in_acme: Tenant) -> None:
        check = make_check(state=State.DOWN, regions=[1, 2], confirmations=2)

        assert [see(check, UNMEASURED, region_id=2), see(check, FAILED, region_id=2)] == ["down", "down"]
        assert flips() == []

    def test_outage_ends_when_too_few_can_confirm_it(self, in_acme: Tenant) -> None:
        check = make_check(state=State.DOWN, regions=[1, 2], confirmations=2)
        see(check, UNMEASURED, region_id=2)

        assert see(check, GOOD, region_id=2) == "up"

    def test_check_that_only_failed_is_not_called_up(self, in_acme: Tenant) -> None:
        check = make_check(state=State.NEW, regions=[1, 2], confirmations=2)

        assert [see(check, FAILED), see(check, FAILED, region_id=2)] == ["new", "down"]
        assert flips() == [("new", "down")]

    def test_slow_check_is_not_called_up_for_want_of_a_second_opinion(self, in_acme: Tenant) -> None:
        check = make_check(state=State.DEGRADED, regions=[1, 2], confirmations=2)

        assert see(check, UNMEASURED, region_id=1) == "degraded"

    def test_moving_to_another_region_ends_no_outage(self, in_acme: Tenant) -> None:
        check = make_check(state=State.DOWN, regions=[1, 2], confirmations=2)
        timing = Timing(regions=(1, 3), confirmations=2, retries=0)

        update_check(check, name=check.name, config=config_of(check), timing=timing, tags=[])

        assert flips() == []
        assert [see(check, FAILED, region_id=3), see(check, GOOD, region_id=3)] == ["down", "up"]


def test_probe_of_the_old_settings_judges_nothing(in_acme: Tenant) -> None:
    check = make_check(state=State.UP)
    [turn] = claim_turns(1)
    seen = make_result(check, FAILED)

    update_check(check, name=check.name, config=config_of(check), timing=Timing(retries=0), tags=[])
    store_results([seen])

    assert (turn.due_at, Result.objects.count(), flips()) == (seen.due_at, 1, [])
    [again] = claim_turns(1, head_start=SOON)
    assert (again.version, again.due_at > turn.due_at) == (turn.version + 1, True)
    assert see(check, FAILED) == "down"


def test_check_now_leaves_a_turn_alone_that_a_prober_holds_ahead_of_its_time(in_acme: Tenant) -> None:
    due_at = clock.now() + timedelta(seconds=30)
    check = make_check(state=State.UP, due_at=due_at)
    [held] = claim_turns(1, head_start=SOON)

    check_now(check)

    assert Turn.objects.get(watched=check).due_at == held.due_at == due_at
    assert see(check, FAILED) == "down"


class TestMoments:
    """Since when a check is what it is."""

    def test_outage_that_one_region_saw_ends_when_that_one_falls_silent(self, in_acme: Tenant) -> None:
        began, silent_since = clock.now() - timedelta(hours=3), clock.now() - timedelta(minutes=10)
        check = make_check(state=State.DOWN, regions=[1, 2])
        CheckState.objects.update(since_at=began)
        Turn.objects.filter(region_id=2).update(opinion=GOOD, run_since_at=began - timedelta(days=9))
        Turn.objects.filter(region_id=1).update(run_since_at=began, last_result_at=silent_since)
        Region.objects.filter(id=1).update(seen_at=silent_since)

        lose_sight_of_silent_regions()

        assert [(one.watched_id, one.after, one.at) for one in Flip.objects.all()] == [(check.id, "up", silent_since)]

    def test_fewer_confirmations_make_it_down_from_now_on(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, regions=[1, 2], confirmations=2)
        failing_since = clock.now() - timedelta(hours=3)
        CheckState.objects.update(since_at=failing_since - timedelta(days=1))
        Turn.objects.filter(region_id=1).update(opinion=FAILED, run_since_at=failing_since)
        before = clock.now()

        timing = Timing(regions=(1, 2), confirmations=1)
        update_check(check, name=check.name, config=config_of(check), timing=timing, tags=[])

        assert flips() == [("up", "down")]
        assert Flip.objects.get().at >= before

    def test_more_confirmations_end_an_outage_now_and_not_before_it_began(self, in_acme: Tenant) -> None:
        began = clock.now() - timedelta(hours=3)
        check = make_check(state=State.DOWN, regions=[1, 2])
        CheckState.objects.update(since_at=began)
        Turn.objects.filter(region_id=1).update(run_since_at=began)
        Turn.objects.filter(region_id=2).update(opinion=GOOD, run_since_at=began - timedelta(days=9))

        timing = Timing(regions=(1, 2), confirmations=2)
        update_check(check, name=check.name, config=config_of(check), timing=timing, tags=[])

        assert flips() == [("down", "up")]
        assert Flip.objects.get().at > began + timedelta(hours=2)

    def test_slow_and_fast_answers_recover_together(self, in_acme: Tenant) -> None:
        check = make_check(state=State.DOWN, recoveries=3, retry_interval_seconds=5)
        first = clock.now()

        for place, verdict in enumerate((GOOD, SLOW, GOOD)):
            see(check, verdict, at=first + timedelta(seconds=5 * place))

        assert [(one.after, one.at) for one in Flip.objects.all()] == [("up", first)]


T0 = clock.now().replace(microsecond=0)


def view(region_id: int, opinion: Verdict | None, since: int) -> RegionView:
    return RegionView(region_id, opinion, T0 + timedelta(seconds=since))


def lost(region_id: int, since: int) -> RegionView:
    return replace(view(region_id, None, since), is_able=False)


@pytest.mark.parametrize(
    ("views", "confirmations", "standing", "state", "since"),
    [
        # A recovers while B goes on failing: it was down until then.
        ([view(1, GOOD, 50), view(2, FAILED, 10), view(3, GOOD, 0)], 2, State.DOWN, State.UP, 50),
        # The same, but C has been slow for long: not so since before the outage.
        ([view(1, GOOD, 50), view(2, FAILED, 10), view(3, SLOW, 0)], 2, State.DOWN, State.DEGRADED, 50),
        # Both recover: with the first of them too few were left.
        ([view(1, GOOD, 50), view(2, GOOD, 60), view(3, GOOD, 0)], 2, State.DOWN, State.UP, 50),
        # The second one that fails confirms.
        ([view(1, FAILED, 50), view(2, FAILED, 10), view(3, GOOD, 0)], 2, State.UP, State.DOWN, 50),
        ([view(1, SLOW, 50), view(2, FAILED, 70), view(3, GOOD, 90)], 2, State.UP, State.DEGRADED, 70),
        ([view(1, None, 50), view(2, None, 70)], 1, State.UP, State.UNKNOWN, 70),
        ([view(1, None, 50), view(2, GOOD, 70)], 1, State.UNKNOWN, State.UP, 70),
        # Who lost sight may have seen it well until then, and is not asked since.
        ([view(1, FAILED, 50), lost(2, 20)], 2, State.UP, State.DOWN, 50),
        ([view(1, FAILED, 10), lost(2, 20)], 2, State.UP, State.DOWN, 20),
        ([view(1, FAILED, 10), lost(2, 20), lost(3, 40)], 3, State.UP, State.DOWN, 40),
        ([view(1, FAILED, 10), view(2, FAILED, 30), lost(3, 20)], 3, State.UP, State.DOWN, 30),
        ([view(1, FAILED, 10), view(2, FAILED, 15), lost(3, 20)], 2, State.UP, State.DOWN, 15),
    ],
)
def test_since_when(views: list[RegionView], confirmations: int, standing: State, state: State, since: int) -> None:
    judgement = judge_regions(views, confirmations=confirmations, standing=standing)

    assert (judgement.state, judgement.at) == (state, T0 + timedelta(seconds=since))


@pytest.mark.parametrize(("failures", "each"), [((5, 3, 9), 3), ((0, 4, 9), 4), ((0, 0, 9), 0)])
def test_failures_are_those_that_each_region_saw_which_says_so(failures: tuple[int, int, int], each: int) -> None:
    first, second, within_retries = failures
    views = [
        RegionView(1, FAILED, T0, first),
        RegionView(2, FAILED, T0, second),  # with 0 it begins to recover
        RegionView(3, GOOD, T0, within_retries),
    ]

    judgement = judge_regions(views, confirmations=2)

    assert (judgement.state, judgement.regions, judgement.failures) == (State.DOWN, (1, 2), each)
