"""Status pages over the API."""

from typing import Any, ClassVar

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.statuspages.api.serializers import StatusPageSerializer
from apps.statuspages.domain import pages
from apps.statuspages.domain.components import replace_components
from apps.statuspages.models import Component, StatusPage
from apps.statuspages.permissions import EDIT_PAGES, VIEW_PAGES
from apps.tenants.api.base import TenantViewSet
from apps.tenants.permissions import Permission


class StatusPageViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Create, read, change and delete status pages with their components."""

    serializer_class = StatusPageSerializer
    queryset = StatusPage.objects.all()  # a lazy guard: bound to the caller's tenant where it runs
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve"), VIEW_PAGES),
        **dict.fromkeys(("create", "update", "partial_update", "destroy"), EDIT_PAGES),
    }

    def get_queryset(self) -> QuerySet[StatusPage]:
        in_order = Component.objects.order_by("position", "id")
        return StatusPage.objects.prefetch_related(Prefetch("components", queryset=in_order))

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        wanted = given.pop("components", [])
        page = pages.create_page(**given)
        replace_components(page, wanted)
        return Response(self.get_serializer(self.get_queryset().get(id=page.id)).data, status=status.HTTP_201_CREATED)

    def update(self, request: Request, pk: Any = None, *, partial: bool = False) -> Response:
        page = self.get_object()
        serializer = self.get_serializer(page, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        wanted = given.pop("components", None)
        pages.update_page(page, **given)
        if wanted is not None:
            replace_components(page, wanted)
        return Response(self.get_serializer(self.get_object()).data)

    def partial_update(self, request: Request, pk: Any = None) -> Response:
        return self.update(request, pk, partial=True)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any = None) -> Response:
        pages.delete_page(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
