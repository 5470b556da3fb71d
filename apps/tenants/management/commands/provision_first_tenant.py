"""Make a new installation usable."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.tenants.domain.first_run import provision_first_tenant


class Command(BaseCommand):
    """Found the first tenant and print how to sign in; say so where one exists. Safe to repeat."""

    help = "Found the first tenant with an owner and an API key"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        made = provision_first_tenant(email=settings.FIRST_EMAIL, tenant_name="My team")
        facts = asdict(made) if made else {"exists": True}
        if options["json"]:
            self.stdout.write(json.dumps(facts))
            return
        for name, value in facts.items():
            self.stdout.write(f"{name}: {value}")
