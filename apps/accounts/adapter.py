"""Where django-allauth asks the product."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _

from apps.accounts.letters import letter_context
from apps.accounts.models import User
from apps.accounts.sessions import mark_signed_in
from apps.core.mail import MailError, send_template
from apps.core.secrets import seal, unseal

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Letters in our layout and in the person's language."""

    def populate_username(self, request: HttpRequest, user: Any) -> None:
        """People have no user names."""

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> Any:
        """An invitation's letter proves one address; who signs up with another gets a letter of its own."""
        if not self.is_email_verified(request, form.cleaned_data.get("email", "")):
            self.unstash_verified_email(request)
        return super().save_user(request, user, form, commit)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send the letter of that occasion. A mail server that is away is told on the page; asking again sends again."""
        given = {"email": email, **context}
        person = User.objects.filter(email__iexact=email).first()
        try:
            with translation.override(
                (person and person.language) or translation.get_language() or settings.LANGUAGE_CODE
            ):
                send_template("account", to=email, context=letter_context(template_prefix, given))
        except MailError as error:
            logger.warning("a letter about an account was not taken: %s", error)
            messages.error(self.request, _("The mail server did not take our letter. Please try again in a minute."))

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        """Begin the age of the sign-in; bring the person's language to this browser."""
        mark_signed_in(request)
        response: HttpResponse = super().post_login(request, user, **kwargs)
        if user.language:
            remember_language(response, user.language)
        return response


def remember_language(response: HttpResponse, language: str) -> None:
    """Keep the language in the browser, where Django looks for it; an empty one forgets it."""
    if language:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME, language, max_age=31_536_000, samesite="Lax", secure=settings.IS_HTTPS
        )
    else:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Seals the secrets of second factors, which django-allauth would keep in the clear."""

    def encrypt(self, text: str) -> str:
        return seal(text, place="mfa")

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, place="mfa")
