"""What templates about accounts need: where letters are on a machine without a mail server, and lists as lines."""

from collections.abc import Iterable
from pathlib import Path

from django import template
from django.conf import settings

register = template.Library()


@register.filter
def as_lines(texts: Iterable[str]) -> str:
    """Return the texts one below the other."""
    return "\n".join(texts)


@register.simple_tag
def letters_folder() -> str:
    """Return the folder that keeps the letters, or "" where a mail server takes them."""
    if not settings.EMAIL_BACKEND.endswith("filebased.EmailBackend"):
        return ""
    folder, home = Path(settings.EMAIL_FILE_PATH), Path(settings.BASE_DIR)
    return str(folder.relative_to(home) if folder.is_relative_to(home) else folder)
