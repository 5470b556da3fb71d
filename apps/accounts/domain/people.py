"""Making people, and what is known of their addresses."""

from allauth.account.models import EmailAddress
from django.db import transaction

from apps.accounts.models import User


@transaction.atomic
def create_person(*, email: str, password: str, name: str = "", is_operator: bool = False) -> User:
    """Return a new person whose address counts as verified: for the operator and for tests, not for sign-up."""
    user = User.objects.create_user(email, password, name=name, is_staff=is_operator, is_superuser=is_operator)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def has_verified(*, user: User, email: str) -> bool:
    """Tell whether the person proved that letters to this address reach them."""
    return bool(EmailAddress.objects.filter(user=user, email__iexact=email, verified=True).exists())


def change_profile(*, user: User, name: str, language: str) -> None:
    """Keep how the person is called and which language letters and pages speak to them; "" follows the browser."""
    user.name = name
    user.language = language
    user.save(update_fields=["name", "language"])
