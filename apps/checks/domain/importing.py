"""Bringing checks over from other products: an export becomes a configuration document and a report."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.applying import apply_document, regions_by_code, standing_checks
from apps.checks.domain.configuration import API_VERSION, MAX_CHECKS, DocumentErrors, read_entries, settle_config
from apps.checks.domain.document_limits import Allowance
from apps.checks.domain.document_plan import Plan
from apps.checks.domain.importing_sections import HERE, settle_sections
from apps.checks.domain.region_holds import hold_regions
from apps.checks.importers.base import Loss
from apps.checks.importers.registry import IMPORTERS


@dataclass(frozen=True, slots=True)
class Import:
    """What an export becomes: a document of the new checks, the plan for it, and what does not come along."""

    document: Mapping[str, Any]
    plan: Plan
    losses: list[Loss]


@transaction.atomic
def import_checks(*, source: str, files: Sequence[bytes], can: Collection[str], is_dry_run: bool) -> Import:
    """Create the checks of an export, which may be in several files; those that are here already stay as they are.

    ``can`` are the names of the rights of whoever imports: besides checks they decide over what else comes along.
    Raises `UnknownKind` for a source that does not exist, `SourceError` for an export that cannot be read.
    """
    found = IMPORTERS.get(source).read(*files)
    losses = list(found.losses)
    hold_regions()
    standing, regions = standing_checks(), regions_by_code()
    known = {check.key for check in standing}
    allowance = Allowance()
    new: list[Mapping[str, Any]] = []
    left = 0
    for check in found.checks:
        name = str(check["name"])
        reason: str | Promise | None = None
        if check["key"] in known:
            reason = HERE
        elif len(new) >= MAX_CHECKS:
            left += 1
            continue
        reason = reason or _refusal(check, regions) or allowance.refusal(check) or None
        if reason is None:
            fitted, change = allowance.take(check)
            new.append(fitted)
            losses += [Loss(str(check["key"]), name, change)] if change else []
        else:
            losses.append(Loss(str(check["key"]), name, reason, is_whole=True))
    if left:
        text = _("%(count)s checks are made at once, which leaves %(left)s. Bring the same export again for those.")
        losses.append(Loss("", "", text % {"left": left, "count": MAX_CHECKS}))
    coming = {str(check["key"]) for check in new}
    others, left_behind = settle_sections(found.others, can=can, standing=standing, coming=coming)
    losses += left_behind
    document = {"apiVersion": API_VERSION, "checks": new, **others}
    return Import(document, apply_document(document, is_dry_run=is_dry_run), losses)


def _refusal(check: Mapping[str, Any], regions: Mapping[str, int]) -> str | None:
    """Return why a check cannot be made, or None."""
    errors: dict[str, list[str | Promise]] = {}
    entries = read_entries([check], errors, regions=regions)
    try:
        for entry in entries:
            settle_config(entry, None)
    except DocumentErrors as error:
        errors.update({path: list(texts) for path, texts in error.errors.items()})
    return next((f"{path.removeprefix('checks[0].')}: {texts[0]}" for path, texts in errors.items()), None)
