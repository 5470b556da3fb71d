"""The API: every app's ``api/urls.py`` under /api/v1/, its schema, its documentation, and 404 as a problem document."""

from importlib.util import find_spec

from django.apps import apps
from django.urls import URLPattern, URLResolver, include, path, re_path

from apps.core.api.docs import docs_page
from apps.core.api.views import SchemaView, unknown_address


def resources() -> list[URLPattern | URLResolver]:
    """Return the addresses of every app that has some."""
    modules = [
        f"{app.name}.api.urls"
        for app in apps.get_app_configs()
        if app.name.startswith("apps.") and find_spec(f"{app.name}.api")
    ]
    return [path("v1/", include(module)) for module in modules if find_spec(module)]


urlpatterns = [
    path("v1/schema/", SchemaView.as_view(), name="api_schema"),
    path("v1/docs/", docs_page, name="api_docs"),
    *resources(),
    re_path(r"^.*$", unknown_address),
]
