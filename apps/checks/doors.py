"""What the pages of checks share: the check that an address names."""

from uuid import UUID

from django.shortcuts import get_object_or_404

from apps.checks.models import Check


def check_or_404(check_id: UUID) -> Check:
    """Return a check of the open tenant with its state and turns, which pages and rows show; a stranger's is not there."""
    found: Check = get_object_or_404(Check.objects.select_related("checkstate").prefetch_related("turns"), id=check_id)
    return found
