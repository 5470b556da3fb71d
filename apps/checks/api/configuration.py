"""Configuration as code and imports over the API."""

from collections.abc import Mapping
from typing import IO, Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.checks.domain.applying import apply_document, export_checks
from apps.checks.domain.configuration import DocumentErrors
from apps.checks.domain.importing import import_checks
from apps.checks.importers.base import MAX_BYTES as MAX_EXPORT_BYTES
from apps.checks.importers.base import SourceError
from apps.checks.models import Check
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.core.documents import MAX_BYTES, DocumentError, read_document, write_yaml
from apps.core.registry import UnknownKind
from apps.tenants.api.base import TenantAPIView
from apps.tenants.permissions import Permission

WHOLE = "__all__"
FLAGS = {"1": True, "true": True, "": True, "0": False, "false": False}
DOCUMENT = {"application/yaml": OpenApiTypes.STR, "application/json": OpenApiTypes.OBJECT}
DRY_RUN = OpenApiParameter(
    "dry_run", OpenApiTypes.BOOL, description="Only say what would be done. Without a value, too: `?dry_run`."
)
DIVIDER = OpenApiParameter(
    "divider",
    OpenApiTypes.STR,
    description="Only for an export in several files: the line that stands between them, of your choice and in none of them.",
)
MAX_FILES = 1_000


class RawParser(BaseParser):
    """The body as it stands, up to the view's ``max_bytes``, whatever it calls itself."""

    media_type = "*/*"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, bytes]:
        limit: int = (parser_context or {})["view"].max_bytes
        raw: bytes = stream.read(limit + 1)
        if len(raw) > limit:
            raise exceptions.ParseError(_("The body is larger than %(limit)s kB.") % {"limit": limit // 1_024})
        return {"raw": raw}


class YamlRenderer(BaseRenderer):
    """YAML; problem documents stay JSON."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if renderer_context and renderer_context["response"].exception:
            return JSONRenderer().render(data)
        return write_yaml(data).encode()


class ChangeSerializer(serializers.Serializer[Any]):
    """One field before and after; secrets are hidden."""

    field = serializers.CharField(read_only=True)
    before = serializers.JSONField(read_only=True)
    after = serializers.JSONField(read_only=True)


class CheckStepSerializer(serializers.Serializer[Any]):
    """What becomes of one check: create, update, unchanged or prune."""

    action = serializers.CharField(read_only=True)
    key = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    kind = serializers.CharField(read_only=True)
    changes = ChangeSerializer(many=True, read_only=True)


class LossSerializer(serializers.Serializer[Any]):
    """What an import cannot carry, where it stands, and why."""

    where = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    reason = serializers.CharField(read_only=True)
    is_whole = serializers.BooleanField(read_only=True)


class PlanSerializer(serializers.Serializer[Any]):
    """What was done, or with ``dry_run`` would be."""

    dry_run = serializers.BooleanField(read_only=True)
    counts = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    steps = CheckStepSerializer(many=True, read_only=True)


class ImportSerializer(PlanSerializer):
    """The same with the report of what does not come along."""

    losses = LossSerializer(many=True, read_only=True)


def _queried(request: Request, *names: str) -> dict[str, str]:
    """Return what the query gives; an unknown name is refused, so that a misspelt ``dry_run`` never applies, and so is one
    that stands there twice, of which either could be meant."""
    given = dict(request.query_params.lists())
    for name, values in given.items():
        if name not in names:
            raise exceptions.ValidationError({name: [_("There is no such parameter.")]})
        if len(values) > 1:
            raise exceptions.ValidationError({name: [_("Give this parameter once.")]})
    return {name: values[0] for name, values in given.items()}


def _is_dry_run(query: Mapping[str, str]) -> bool:
    """Tell whether ``dry_run`` is asked for; who gives it no value wants it."""
    text = query.get("dry_run", "0").lower()
    if text not in FLAGS:
        raise exceptions.ValidationError({"dry_run": [_("Give 1 or 0.")]})
    return FLAGS[text]


def _raw(request: Request) -> bytes:
    data = request.data
    raw: bytes = data.get("raw", b"") if isinstance(data, dict) else b""  # without a body it never meets the parser
    return raw


def _files(request: Request, divider: str) -> list[bytes]:
    """Return the files of an export: the body, or what stands in it between lines that say only ``divider``."""
    raw = _raw(request)
    files = raw.split(f"\n{divider}\n".encode(), MAX_FILES) if divider else [raw]
    if len(files) > MAX_FILES:
        raise exceptions.ValidationError(
            {"divider": [_("Give at most %(count)s files at once.") % {"count": MAX_FILES}]}
        )
    return files


def _document(request: Request) -> Any:
    try:
        return read_document(_raw(request))
    except DocumentError as error:
        raise exceptions.ValidationError({error.path or WHOLE: [str(error)]}) from error


class ExportView(TenantAPIView):
    """The tenant's checks as a document."""

    permissions: ClassVar[dict[str, Permission]] = {"get": VIEW_CHECKS}
    renderer_classes = (YamlRenderer, JSONRenderer)

    @extend_schema(
        operation_id="checks_export",
        parameters=[OpenApiParameter("tag", OpenApiTypes.STR, description="Only checks with this tag.")],
        responses={(200, "application/yaml"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> Response:
        """Return the checks as a configuration document in YAML (or JSON, by Accept); no secret is in it."""
        return Response(export_checks(tag=request.query_params.get("tag", "")))


class ApplyView(TenantAPIView):
    """Makes the tenant's checks what a document wants."""

    permissions: ClassVar[dict[str, Permission]] = {"post": EDIT_CHECKS}
    parser_classes = (RawParser,)
    max_bytes = MAX_BYTES

    @extend_schema(
        operation_id="checks_apply",
        parameters=[
            DRY_RUN,
            OpenApiParameter("prune", OpenApiTypes.STR, description="Delete what has this label and is not listed."),
        ],
        request=DOCUMENT,
        responses=PlanSerializer,
    )
    def post(self, request: Request) -> Response:
        """Create, change and (with ``prune``) delete checks, all or nothing; ``dry_run=1`` only says what would be done."""
        query = _queried(request, "dry_run", "prune")
        is_dry_run = _is_dry_run(query)
        try:
            plan = apply_document(_document(request), prune_label=query.get("prune", ""), is_dry_run=is_dry_run)
        except DocumentErrors as error:
            raise exceptions.ValidationError({path or WHOLE: texts for path, texts in error.errors.items()}) from error
        return Response(PlanSerializer({"dry_run": is_dry_run, "counts": plan.counts, "steps": plan.steps}).data)


class ImportView(TenantAPIView):
    """Brings checks over from another product's export."""

    permissions: ClassVar[dict[str, Permission]] = {"post": EDIT_CHECKS}
    queryset = Check.objects.all()  # the rows it makes; a lazy guard, bound where it runs
    parser_classes = (RawParser,)
    max_bytes = MAX_EXPORT_BYTES

    @extend_schema(
        operation_id="checks_import",
        parameters=[DRY_RUN, DIVIDER],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses=ImportSerializer,
    )
    def post(self, request: Request, source: str) -> Response:
        """Create the checks of an export and report what cannot come along; ``dry_run=1`` only reports."""
        query = _queried(request, "dry_run", "divider")
        is_dry_run = _is_dry_run(query)
        try:
            files = _files(request, query.get("divider", ""))
            made = import_checks(source=source, files=files, can=self.can, is_dry_run=is_dry_run)
        except UnknownKind as error:
            raise exceptions.NotFound(str(error)) from error
        except SourceError as error:
            raise exceptions.ValidationError({WHOLE: [str(error)]}) from error
        shown = {
            "dry_run": is_dry_run,
            "counts": made.plan.counts,
            "steps": made.plan.steps,
            "losses": made.losses,
        }
        return Response(ImportSerializer(shown).data)
