"""Become a child process that dies with its parent, then run a command in its place.

Called by path with a bare interpreter: `child.py PARENT_PID DEATH_SIGNAL IDENTITY COMMAND…`.
A small program of its own instead of `preexec_fn`, which may deadlock in a threaded parent.
Identities: `same` keeps the user; `namespace:UID` runs the command in a user namespace where root is
called UID; `user:UID` drops to that user. PostgreSQL refuses to run as root, hence the latter two.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CLONE_NEWUSER = 0x10000000
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
EXIT_REFUSED = 96

libc = ctypes.CDLL(None, use_errno=True)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _call(name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def enter_namespace(name: int) -> None:
    """Be known as another user; on disk everything still belongs to the present one."""
    user, group = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{name} {user} 1")
    _write("/proc/self/gid_map", f"{name} {group} 1")


def drop_to(user: int) -> None:
    """Give up root but keep the right to pass closed folders: the project often lies in /root."""
    os.setgroups([])
    os.setresgid(user, user, user)
    _call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << CAP_DAC_OVERRIDE
    # Two words of effective, permitted and inheritable rights each.
    rights = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    _call("capset", header, rights)
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def main(arguments: list[str]) -> None:
    parent, death_signal, identity, *command = arguments
    try:
        way, _, user = identity.partition(":")
        if way == "namespace":
            enter_namespace(int(user))
        elif way == "user":
            drop_to(int(user))
        # After the change of user, which clears the death signal.
        _call("prctl", PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_REFUSED)
    if os.getppid() != int(parent):
        # The parent died before the line above, so its death signal will never come.
        sys.exit(EXIT_REFUSED)
    os.execvp(command[0], command)  # noqa: S606 - replacing this process by the command is its purpose


if __name__ == "__main__":
    main(sys.argv[1:])
