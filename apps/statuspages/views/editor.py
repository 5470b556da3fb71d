"""Where members make and change status pages."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.refusals import Refusal
from apps.statuspages.domain import components, pages
from apps.statuspages.domain.queries import listed_pages
from apps.statuspages.formats.addresses import public_url
from apps.statuspages.forms import AddComponentForm, ComponentForm, PageForm
from apps.statuspages.models import Component, StatusPage
from apps.statuspages.permissions import EDIT_PAGES, VIEW_PAGES
from apps.tenants.doors import TenantRequest, tenant_view


@require_GET
@tenant_view(VIEW_PAGES)
def page_list(request: TenantRequest) -> HttpResponse:
    """The tenant's pages."""
    rows = [(page, public_url(page)) for page in listed_pages()]
    return render(request, "statuspages/list.html", {"rows": rows})


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_PAGES)
def create(request: TenantRequest) -> HttpResponse:
    """Make a page."""
    initial = {"title": request.tenant.name, "slug": pages.free_slug(request.tenant.slug)}
    form = PageForm(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            page = pages.create_page(**form.settings)
        except pages.AddressTaken as error:
            form.add_error("slug", str(error))
        else:
            messages.success(request, _("The page is made. Now choose what it shows."))
            return redirect("statuspages:edit", request.tenant.slug, page.id)
    return render(request, "statuspages/create.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_PAGES)
def edit(request: TenantRequest, page_id: UUID) -> HttpResponse:
    """A page's settings and components."""
    page = _page_or_404(page_id)
    form = PageForm(request.POST or None, instance=_page_or_404(page_id))
    if form.is_valid():
        try:
            pages.update_page(page, **form.settings)
        except pages.AddressTaken as error:
            form.add_error("slug", str(error))
        else:
            messages.success(request, _("Saved. The page shows it already."))
            return redirect("statuspages:edit", request.tenant.slug, page.id)
    return _show_editor(request, page, form=form)


@require_POST
@tenant_view(EDIT_PAGES)
def delete(request: TenantRequest, page_id: UUID) -> HttpResponse:
    page = _page_or_404(page_id)
    pages.delete_page(page)
    messages.success(request, _("%(name)s was deleted.") % {"name": page.title})
    return redirect("statuspages:list", request.tenant.slug)


@require_POST
@tenant_view(EDIT_PAGES)
def component_add(request: TenantRequest, page_id: UUID) -> HttpResponse:
    """Show a check on the page."""
    page = _page_or_404(page_id)
    form = AddComponentForm(request.POST, page=page)
    if form.is_valid():
        try:
            components.add_component(page, form.chosen, name=form.cleaned_data["name"])
        except Refusal as error:
            form.add_error(None, str(error))
        else:
            return _show_components(request, page)
    return _show_editor(request, page, adding=form)


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_PAGES)
def component_edit(request: TenantRequest, page_id: UUID, component_id: UUID) -> HttpResponse:
    """Rename a component."""
    component = _component_or_404(page_id, component_id)
    form = ComponentForm(request.POST or None, instance=component)
    if form.is_valid():
        components.change_component(component, **form.cleaned_data)
        messages.success(request, _("Saved. The page shows it already."))
        return redirect("statuspages:edit", request.tenant.slug, page_id)
    context = {"page": component.page, "component": component, "form": form}
    return render(request, "statuspages/component.html", context, status=422 if form.errors else 200)


@require_POST
@tenant_view(EDIT_PAGES)
def component_move(request: TenantRequest, page_id: UUID, component_id: UUID) -> HttpResponse:
    """Move a component by ``steps``: negative is up."""
    component = _component_or_404(page_id, component_id)
    steps = request.POST.get("steps", "")
    if steps.removeprefix("-").isdecimal() and len(steps) < 5:
        components.move_component(component, steps=int(steps))
    return _show_components(request, component.page)


@require_POST
@tenant_view(EDIT_PAGES)
def component_remove(request: TenantRequest, page_id: UUID, component_id: UUID) -> HttpResponse:
    component = _component_or_404(page_id, component_id)
    components.remove_component(component)
    return _show_components(request, component.page)


def _page_or_404(page_id: UUID) -> StatusPage:
    page: StatusPage = get_object_or_404(StatusPage.objects.select_related("tenant"), id=page_id)
    return page


def _component_or_404(page_id: UUID, component_id: UUID) -> Component:
    of_page = Component.objects.select_related("page", "watched").filter(page_id=page_id)
    component: Component = get_object_or_404(of_page, id=component_id)
    return component


def _show_components(request: TenantRequest, page: StatusPage) -> HttpResponse:
    """Answer htmx with the editor (it takes the list from it), others with the way back to it."""
    if request.headers.get("HX-Request"):
        return _show_editor(request, page)
    return redirect("statuspages:edit", request.tenant.slug, page.id)


def _show_editor(
    request: TenantRequest, page: StatusPage, *, form: PageForm | None = None, adding: AddComponentForm | None = None
) -> HttpResponse:
    shown = Component.objects.filter(page=page).select_related("watched__checkstate")
    context = {
        "page": page,
        "address": public_url(page),
        "form": form or PageForm(instance=page),
        "adding": adding or AddComponentForm(page=page),
        "components": shown.order_by("position", "id"),
    }
    has_errors = bool((form and form.errors) or (adding and adding.errors))
    is_refused = has_errors and not request.headers.get("HX-Request")  # htmx leaves out what comes with an error
    return render(request, "statuspages/edit.html", context, status=422 if is_refused else 200)
