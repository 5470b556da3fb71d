"""Where django-allauth asks the product."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter

from apps.core.secrets import seal, unseal


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """E-mails about accounts in our layout."""

    def populate_username(self, request: Any, user: Any) -> None:
        """People have no user names."""


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Seals the secrets of second factors, which django-allauth would keep in the clear."""

    def encrypt(self, text: str) -> str:
        return seal(text, place="mfa")

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, place="mfa")
