"""Pages for moving in: export, configuration as code, imports from other products.

Nothing is stored between preview and confirmation: the page carries the document itself, sealed for this tenant.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from apps.checks.domain.applying import apply_document, export_checks
from apps.checks.domain.configuration import DocumentErrors
from apps.checks.domain.document_plan import Plan
from apps.checks.domain.document_steps import Action
from apps.checks.domain.importing import import_checks
from apps.checks.importers.base import MAX_BYTES as MAX_EXPORT_BYTES
from apps.checks.importers.base import Loss, SourceError
from apps.checks.importers.registry import IMPORTERS
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.checks.upload_forms import LabelledUploadForm, UploadForm
from apps.core.documents import MAX_BYTES, DocumentError, read_document, write_yaml
from apps.core.refusals import Refusal
from apps.core.secrets import SealBroken, seal, unseal
from apps.tenants.doors import TenantRequest, tenant_view

MAX_SEALED = 2_000_000  # what a form field may hold
MAX_REASONS = 3
WHOLE = ("", "checks")  # places that say nothing to who has no document before him


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be done, what stays behind, and the sealed document that the confirmation brings back."""

    plan: Plan
    sealed: str
    losses: list[Loss] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return len(self.plan.steps) - self.plan.counts[Action.UNCHANGED]


@require_GET
@tenant_view(VIEW_CHECKS)
def export(request: TenantRequest) -> HttpResponse:
    """The tenant's checks as a YAML file."""
    return HttpResponse(
        write_yaml(export_checks(tag=request.GET.get("tag", ""))),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{request.tenant.slug}-checks.yaml"'},
    )


@require_GET
@tenant_view(EDIT_CHECKS)
def sources(request: TenantRequest) -> HttpResponse:
    """Where checks can come from."""
    return render(request, "checks/import_sources.html", {"sources": IMPORTERS})


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def bring(request: TenantRequest, source: str) -> HttpResponse:
    """Read another product's export, show what it becomes, create it."""
    if source not in IMPORTERS:
        raise Http404
    if "sealed" in request.POST:
        return _confirmed(request, _place(request, source))
    importer = IMPORTERS.get(source)
    form = UploadForm(*_given(request), max_bytes=MAX_EXPORT_BYTES)
    preview = None
    if form.is_valid():
        try:
            made = import_checks(source=source, files=form.parts, can=request.can, is_dry_run=True)
            preview = Preview(made.plan, _sealed(made.document, "", _place(request, source)), made.losses)
        except (SourceError, DocumentError) as error:
            form.add_error(None, str(error))
    return _page(request, form, preview, title=importer.label, help_text=importer.help)


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def configuration(request: TenantRequest) -> HttpResponse:
    """Read a configuration document, show its plan, apply it."""
    if "sealed" in request.POST:
        return _confirmed(request, _place(request, "configuration"))
    form = LabelledUploadForm(*_given(request), max_bytes=MAX_BYTES)
    preview = None
    if form.is_valid():
        prune = form.cleaned_data["prune"]
        try:
            document = read_document(form.parts[0])
            plan = apply_document(document, prune_label=prune, is_dry_run=True)
            preview = Preview(plan, _sealed(document, prune, _place(request, "configuration")))
        except DocumentError as error:
            form.add_error(None, f"{error.path}: {error}" if error.path else str(error))
        except DocumentErrors as error:
            _add_errors(form, error)
    return _page(
        request,
        form,
        preview,
        title=_("Configuration as code"),
        help_text=_("A YAML or JSON document of checks, such as the export gives."),
    )


def _page(
    request: TenantRequest, form: UploadForm, preview: Preview | None, *, title: Any, help_text: Any
) -> HttpResponse:
    context = {"form": form, "preview": preview, "title": title, "help_text": help_text}
    return render(request, "checks/import.html", context, status=422 if form.errors else 200)


def _given(request: TenantRequest) -> tuple[Any, Any]:
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)


def _place(request: TenantRequest, source: str) -> str:
    return f"moving:{request.tenant.id}:{source}"


def _sealed(document: Any, prune: str, place: str) -> str:
    sealed = seal(json.dumps({"document": document, "prune": prune}), place=place)
    if len(sealed) > MAX_SEALED:
        raise DocumentError(_("This is too much for one page: divide it, or use the command line."))
    return sealed


def _confirmed(request: TenantRequest, place: str) -> HttpResponse:
    """Apply what was previewed. The plan is made anew: what changed since then counts as it is now."""
    try:
        given = json.loads(unseal(request.POST["sealed"], place=place))
        plan = apply_document(given["document"], prune_label=given["prune"])
    except SealBroken:
        messages.error(request, _("Something changed since the preview. Look at it again."))
        return redirect(request.path)
    except DocumentErrors as error:
        why = " ".join(_shown_errors(error)[:MAX_REASONS])
        text = _(
            "Nothing was done, for something changed since the preview. %(why)s Give it again to see what is possible now."
        )
        messages.error(request, text % {"why": why})
        return redirect(request.path)
    except Refusal as error:
        messages.error(request, str(error))
        return redirect(request.path)
    done = len(plan.steps) - plan.counts[Action.UNCHANGED]
    messages.success(
        request, ngettext("%(count)s change was made.", "%(count)s changes were made.", done) % {"count": done}
    )
    return redirect("checks:list", request.tenant.slug)


def _add_errors(form: UploadForm, error: DocumentErrors) -> None:
    for text in _shown_errors(error)[:50]:
        form.add_error(None, text)


def _shown_errors(error: DocumentErrors) -> list[str]:
    """Return the first of each place's errors with the place, but for those of the whole."""
    return [f"{path}: {texts[0]}" if path not in WHOLE else texts[0] for path, texts in error.errors.items()]
