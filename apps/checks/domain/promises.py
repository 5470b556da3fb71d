"""What "at most one false page per …" can hold for a check, in words: what it costs, and what to do where it cannot be held."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from apps.checks.domain.patience import MAX_RETRIES, History, Watch, false_pages, is_beyond_retries
from apps.checks.enums import FalsePagePeriod
from apps.checks.models import Check

YOUNG = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Promise:
    """What a goal comes to: ``seconds`` from an outage's first failure to its page where each try fails at once, and
    ``seconds_at_most`` where each hangs until its timeout; ``false_pages`` to be expected each period, at most."""

    period: FalsePagePeriod
    retries: int
    seconds: int
    seconds_at_most: int
    false_pages: float
    is_kept: bool
    is_young: bool

    @property
    def title(self) -> str:
        """Say that it cannot be kept; empty where it can."""
        broken = _("“At most one false page per %(period)s” cannot be kept for this check")
        return "" if self.is_kept else broken % {"period": self.period.label}

    @property
    def says(self) -> str:
        """Say in whole sentences what can be held, or what helps."""
        if not self.is_kept:
            return f"{self._says_what_is_wrong()} {_(WHAT_HELPS)}"
        young = _(
            "Little is known of this check yet, so more is forgiven at first; it becomes less as its history grows."
        )
        return f"{self._says_what_it_takes()} {young}" if self.is_young else self._says_what_it_takes()

    def _says_what_it_takes(self) -> str:
        text = ngettext(
            "At most one false page per %(period)s takes %(retries)s retry by this check's history: an outage pages about"
            " %(seconds)s seconds after its first failure began, up to %(at_most)s where tries hang until their timeout.",
            "At most one false page per %(period)s takes %(retries)s retries by this check's history: an outage pages about"
            " %(seconds)s seconds after its first failure began, up to %(at_most)s where tries hang until their timeout.",
            self.retries,
        )
        return text % {
            "period": self.period.label,
            "retries": self.retries,
            "seconds": self.seconds,
            "at_most": self.seconds_at_most,
        }

    def _says_what_is_wrong(self) -> str:
        text = _(
            "It fails too often, or for too long at a time, although its target is well: even with %(retries)s retries, the"
            " most there are, up to %(pages)s false pages per %(period)s are to be expected."
        )
        pages = number_format(self.false_pages, 0 if self.false_pages >= 10 else 1)
        return text % {"period": self.period.label, "retries": MAX_RETRIES, "pages": pages}


WHAT_HELPS = gettext_noop(
    "What helps: a longer time between retries, in which short trouble passes; a longer timeout, if slow answers are what"
    " fails; a longer interval; or several regions, of which at least two must agree."
)


def promise_of(check: Check) -> Promise | None:
    """Return what the check's goal comes to by what its ``turns`` have counted; None without a goal or turns."""
    turns = list(check.turns.all())
    if not check.false_page_period or not turns:
        return None
    period = FalsePagePeriod(check.false_page_period)
    history, watch = History.of(turns), Watch.of(check)
    is_kept = not is_beyond_retries(history, watch, period=period)
    watched = timedelta(seconds=history.well * check.interval_seconds / len(turns))
    seconds = check.retries * watch.retry_seconds  # each retry waits so long from when the try before it was over
    return Promise(
        period=period,
        retries=check.retries,
        seconds=seconds,
        seconds_at_most=seconds + (check.retries + 1) * check.timeout_seconds,
        # Where none would do, what is said is what the most would come to.
        false_pages=false_pages(history, watch, retries=check.retries if is_kept else MAX_RETRIES, period=period),
        is_kept=is_kept,
        is_young=watched < YOUNG,
    )
