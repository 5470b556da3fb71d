"""Texts of other packages that our catalogues say in their own way; makemessages finds them here, nothing imports this.

django-allauth's German says "du" where ours says "Sie"; a text listed here is looked up in our catalogue first.
"""

from django.utils.translation import gettext_noop

BORROWED = (
    gettext_noop("Be patient, you are sending too many requests."),
    gettext_noop("Confirmation email sent to %(email)s."),
    gettext_noop("Enter a valid email address."),
    gettext_noop("Please type your current password."),
    gettext_noop("The new value must be different from the current one."),
    gettext_noop("Too many failed login attempts. Try again later."),
    gettext_noop("You cannot add more than %d email addresses."),
    gettext_noop("You cannot remove your primary email address (%(email)s)."),
    gettext_noop("You have confirmed %(email)s."),
    gettext_noop("You have signed out."),
    gettext_noop("You must type the same password each time."),
    gettext_noop("Your primary email address must be verified."),
)
