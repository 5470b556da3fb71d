"""Who may listen to what: one resolver per kind of topic, registered by the app that knows the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

if TYPE_CHECKING:  # apps register their kinds before models can be imported
    from apps.live.domain.visitors import Visitor

# Returns the topic, or None where a page would be a 404. Runs in a database thread, with no tenant scope open.
Resolver = Callable[["Visitor", str], str | None]


@dataclass(frozen=True, slots=True)
class TopicKind:
    """A kind of topic: `t` and `p` in `/ws/live/t/acme/` and `/ws/live/p/acme/`."""

    kind: str
    resolver: Resolver | str
    is_public: bool

    def resolve(self, visitor: "Visitor", slug: str) -> str | None:
        """Return the topic that the visitor may listen to under this slug, or None."""
        resolver: Resolver = import_string(self.resolver) if isinstance(self.resolver, str) else self.resolver
        return resolver(visitor, slug)


_kinds: dict[str, TopicKind] = {}


def register(kind: str, resolver: Resolver | str, *, is_public: bool = False) -> None:
    """Open `/ws/live/<kind>/<slug>/`; the resolver is a function or its dotted path.

    The answer of a public resolver must not depend on the visitor: it is shared among them for some seconds.
    """
    _kinds[kind] = TopicKind(kind, resolver, is_public)


def unregister(kind: str) -> None:
    """Close a kind again."""
    _kinds.pop(kind, None)


def find(kind: str) -> TopicKind | None:
    """Return the kind, or None for one that nobody registered."""
    return _kinds.get(kind)
