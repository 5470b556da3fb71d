"""What every template may use."""

from typing import Any

from django.http import HttpRequest

THEMES = ("system", "light", "dark", "contrast")


def page(request: HttpRequest) -> dict[str, Any]:
    """Return the page's nonce and the theme kept in the visitor's cookie."""
    theme = request.COOKIES.get("obsera_theme", "system")
    return {"csp_nonce": getattr(request, "csp_nonce", ""), "theme": theme if theme in THEMES else "system"}
