"""Agents on screen. A token is on the answering page only."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.checks.domain import agents
from apps.checks.domain.agent_refusals import known_kinds, refused_by
from apps.checks.domain.agents import Introduction
from apps.checks.forms_agents import AgentForm, RenameAgentForm, RotationForm
from apps.checks.models import Agent
from apps.checks.permissions import MANAGE_AGENTS, VIEW_CHECKS
from apps.core.refusals import Refusal
from apps.tenants.doors import TenantRequest, require, tenant_view

CHECKS_SHOWN = 50


def _agent_or_404(agent_id: UUID) -> Agent:
    found: Agent = get_object_or_404(agents.find_agents(), id=agent_id)
    return found


@never_cache
@require_http_methods(["GET", "POST"])
@tenant_view(VIEW_CHECKS)
def agent_list(request: TenantRequest) -> HttpResponse:
    """The tenant's agents; POST adds one."""
    form, introduction = AgentForm(request.POST or None), None
    if request.method == "POST":
        require(request, MANAGE_AGENTS)
        introduction = _added(form)
    context = {
        "form": AgentForm() if introduction else form,
        "standings": [agents.standing_of(agent) for agent in agents.find_agents()],
        "introduction": introduction,
    }
    return render(request, "checks/agents.html", context, status=422 if form.errors else 200)


def _added(form: AgentForm) -> Introduction | None:
    if not form.is_valid():
        return None
    try:
        agent, token = agents.create_agent(name=form.cleaned_data["name"])
    except Refusal as refusal:
        form.add_error("name", str(refusal))
        return None
    return Introduction(agent, str(token))


@require_GET
@tenant_view(VIEW_CHECKS)
def agent_detail(request: TenantRequest, agent_id: UUID) -> HttpResponse:
    """One agent: how it stands, what it probes, and what may be done with it."""
    return _page(request, agent_id)


def _page(request: TenantRequest, agent_id: UUID, **more: Any) -> HttpResponse:
    agent = _agent_or_404(agent_id)
    context = {
        "standing": agents.standing_of(agent),
        "agent": agent,
        "checks": agents.checks_of(agent).select_related("checkstate")[:CHECKS_SHOWN],
        "refused": refused_by(agent),
        "kinds": known_kinds(agent),
        "rename_form": RenameAgentForm(agent=agent),
        "rotation_form": RotationForm(),
        "grace_ends_at": agents.grace_ends_at(agent),
        **more,
    }
    form = context["rename_form"]
    return render(request, "checks/agent.html", context, status=422 if form.errors else 200)


@require_POST
@tenant_view(MANAGE_AGENTS)
def rename(request: TenantRequest, agent_id: UUID) -> HttpResponse:
    """Call an agent something else."""
    agent = _agent_or_404(agent_id)
    form = RenameAgentForm(request.POST, agent=agent)
    if form.is_valid():
        try:
            agents.rename_agent(agent, name=form.cleaned_data["name"])
        except Refusal as refusal:
            form.add_error("name", str(refusal))
        else:
            messages.success(request, _("Saved."))
            return redirect("checks:agent", request.tenant.slug, agent_id)
    return _page(request, agent_id, rename_form=form)


@never_cache
@require_POST
@tenant_view(MANAGE_AGENTS)
def rotate(request: TenantRequest, agent_id: UUID) -> HttpResponse:
    """Give an agent a new token."""
    form, agent = RotationForm(request.POST), _agent_or_404(agent_id)
    form.is_valid()
    token = agents.rotate_token(agent, at_once=form.cleaned_data["at_once"])
    return _page(request, agent_id, introduction=Introduction(agent, str(token)))


@require_POST
@tenant_view(MANAGE_AGENTS)
def revoke(request: TenantRequest, agent_id: UUID) -> HttpResponse:
    """Let an agent in no more."""
    agent = _agent_or_404(agent_id)
    agents.revoke_agent(agent)
    messages.success(request, _("“%(name)s” is let in no more.") % {"name": agent.name})
    return redirect("checks:agent", request.tenant.slug, agent_id)


@never_cache
@require_POST
@tenant_view(MANAGE_AGENTS)
def reinstate(request: TenantRequest, agent_id: UUID) -> HttpResponse:
    """Let a revoked agent in again, unless the plan has no room for it."""
    agent = _agent_or_404(agent_id)
    try:
        token = agents.reinstate_agent(agent)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("checks:agent", request.tenant.slug, agent_id)
    return _page(request, agent_id, introduction=Introduction(agent, str(token)))


@require_POST
@tenant_view(MANAGE_AGENTS)
def delete(request: TenantRequest, agent_id: UUID) -> HttpResponse:
    """Forget an agent, unless checks need it."""
    agent = _agent_or_404(agent_id)
    try:
        agents.delete_agent(agent)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("checks:agent", request.tenant.slug, agent_id)
    messages.success(request, _("%(name)s was deleted.") % {"name": agent.name})
    return redirect("checks:agents", request.tenant.slug)
