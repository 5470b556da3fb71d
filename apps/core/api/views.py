"""What the API has besides its resources: its schema, and an answer for unknown addresses."""

from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView

from apps.core.api.errors import plain_problem


class SchemaView(SpectacularAPIView):
    """The OpenAPI 3 document, as YAML or (``?format=json``) JSON."""

    door = "public"


@csrf_exempt
def unknown_address(request: HttpRequest) -> JsonResponse:
    """Answer 404 for any method."""
    return plain_problem(404, _("There is nothing at this address; /api/v1/docs/ lists what there is."))


unknown_address.door = "public"  # type: ignore[attr-defined]
