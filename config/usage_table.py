"""How what a plan limits is counted: the limit's name -> a function that counts the open tenant's rows. `apps.plans` stands
below those who have the rows."""

USAGE_TABLE: dict[str, str] = {
    "checks": "apps.checks.domain.allowance.count_checks",
    "agents": "apps.checks.domain.agents.count_agents",
}
