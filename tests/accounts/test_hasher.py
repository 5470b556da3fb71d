"""Passwords are kept by Argon2id with the OWASP figures."""

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password

from config.settings import base


def test_password_is_hashed_with_19_mib_two_passes_one_lane() -> None:
    hashed = make_password("correct horse", hasher="argon2")

    assert base.PASSWORD_HASHERS == ["apps.accounts.hashers.Argon2Hasher"]
    assert settings.PASSWORD_HASHERS[1] == base.PASSWORD_HASHERS[0]
    assert hashed.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert check_password("correct horse", hashed)
    assert not check_password("correct hors", hashed)
