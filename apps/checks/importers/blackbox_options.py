"""The options of a blackbox_exporter module, read so that none is lost without a word: what nobody takes is told."""

from collections.abc import Iterator, Mapping
from typing import Any

from apps.checks.importers.wish import is_true

# As YAML 1.1, which the exporter reads, writes a flag that is off; what is off or empty asks for nothing.
OFF = ("", "0", "false", "no", "off")


class Options:
    """A part of a module. ``beside`` and ``lost`` name what does not come over."""

    def __init__(self, given: Any, path: str = "") -> None:
        self._given = given if isinstance(given, Mapping) else {}
        self._path = path
        self._taken: set[Any] = set()
        self._parts: list[Options] = []
        self._beside: list[str] = []
        self._lost: list[str] = []

    def take(self, name: str, default: Any = None) -> Any:
        """Return an option that is carried, or makes no difference here."""
        self._taken.add(name)
        value = self._given.get(name)
        return default if value is None else value

    def text(self, name: str) -> str:
        return str(self.take(name, ""))

    def flag(self, name: str, *, default: bool = False) -> bool:
        return is_true(self.take(name, default))

    def texts(self, name: str) -> list[str]:
        value = self.take(name)
        return [str(part) for part in value] if isinstance(value, list) else []

    def part(self, name: str, *, path: str | None = None) -> "Options":
        """Return the options within an option; ``path`` is written before their names instead of where they stand."""
        value = self.take(name)
        if value and not isinstance(value, Mapping):
            self.lose(name)
        part = Options(value, f"{self._path}{name}." if path is None else path)
        self._parts.append(part)
        return part

    def pass_by(self, *names: str) -> None:
        """Take options that make no difference here."""
        self._taken.update(names)

    def set_aside(self, name: str) -> None:
        """Tell that an option stays behind without which the check judges as well."""
        self._taken.add(name)
        self._beside.append(self._path + name)

    def lose(self, name: str) -> None:
        """Tell that an option stays behind without which the check would judge otherwise."""
        self._taken.add(name)
        self._lost.append(self._path + name)

    def beside(self) -> Iterator[str]:
        yield from self._beside
        for part in self._parts:
            yield from part.beside()

    def lost(self) -> Iterator[str]:
        """Yield what was lost, and what nobody took: it may say anything, in versions to come too."""
        yield from self._lost
        for name, value in self._given.items():
            if name not in self._taken and _asks(value):
                yield f"{self._path}{name}"
        for part in self._parts:
            yield from part.lost()


def _asks(value: Any) -> bool:
    return str(value).strip().lower() not in OFF if isinstance(value, str | int) else bool(value)


def take_tls(tls: Options) -> bool:
    """Take what concerns certificates and versions; return whether the server's certificate is verified."""
    for option, usual in (("min_version", "TLS12"), ("max_version", "TLS13")):
        if tls.text(option) not in ("", usual):
            tls.lose(option)
    if not tls.flag("insecure_skip_verify"):
        return True
    tls.pass_by("ca", "ca_file", "ca_ref")  # roots that nobody looks at
    return False


def lose_other_name(tls: Options, host: str) -> None:
    """Tell of a name in TLS that is not the host's, for kinds that ask for the host's always."""
    if tls.text("server_name").lower() not in ("", host.lower()):
        tls.lose("server_name")
