"""The feed of a page's outages."""

from collections.abc import Iterable
from datetime import datetime

from django.utils.feedgenerator import Atom1Feed
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from apps.checks.domain.day_words import duration
from apps.statuspages.domain.outages import ShownOutage
from apps.statuspages.formats.addresses import outage_url, public_url
from apps.statuspages.formats.sentences import found_later_text, moment_text
from apps.statuspages.models import StatusPage


class _Feed(Atom1Feed):
    """Says when the page last changed even if it never had an outage."""

    def latest_post_date(self) -> datetime:
        return super().latest_post_date() if self.items else self.feed["changed_at"]


def feed(page: StatusPage, outages: Iterable[ShownOutage]) -> str:
    """Return Atom 1.0 with an entry per outage; an entry is updated when the outage changes."""
    atom = _Feed(
        title=_("%(page)s status") % {"page": page.title},
        link=public_url(page),
        feed_url=public_url(page, "feed"),
        description=page.description,
        language=get_language(),
        author_name=page.title,
        feed_guid=page.id.urn,
        changed_at=page.created_at,
    )
    for outage in outages:
        atom.add_item(
            title=outage.title,
            link=outage_url(page, outage.id),
            description=story(outage),
            unique_id=outage.id.urn,
            pubdate=outage.started_at,
            updateddate=outage.updated_at,
        )
    return atom.writeString("utf-8")


def story(outage: ShownOutage) -> str:
    """Tell an outage in plain text, one line a change."""
    lines = [found_later_text()] if outage.is_found_later else []
    lines += [f"{moment.at:%Y-%m-%d %H:%M} UTC: {moment_text(outage, moment)}" for moment in outage.moments]
    if outage.seconds is not None:
        lines.append(_("It lasted %(duration)s.") % {"duration": duration(outage.seconds)})
    return "\n".join(lines)
