"""JSON that a stranger sent: read, and asked by JSONPath (RFC 9535), within bounds of depth, steps and time.

The path comes from a user and the document from somebody's server, so either may be made to cost much: ``$..*..*`` of a
large document, a filter that looks through the whole document for each entry, or a regular expression in a filter.
Each node that a query makes is therefore a step of its budget; what would work inside one step is refused beforehand.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from time import thread_time
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathNode, JSONPathQuery
from jsonpath_rfc9535.exceptions import JSONPathRecursionError
from jsonpath_rfc9535.filter_expressions import FilterContext
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction
from jsonpath_rfc9535.selectors import FilterSelector

from apps.checks.types.effort import Effort, TooMuchWork, go_on
from apps.checks.types.patterns import PatternTooSlow, bounded_search, check_pattern

MAX_PATH_LENGTH = 500
MAX_STEPS = 60_000
FILTER_COST = 3
QUERY_SECONDS = 0.2  # of processor time
SEARCH_SECONDS = 0.1  # for all regular expressions of one query together
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


class QueryTooSlow(Exception):
    """The query used its budget up; it says nothing of the document."""


class BadJson(Exception):
    """The text is not JSON, or nested beyond what can be read; the text says which."""


class _Budget:
    """What one query may still spend."""

    __slots__ = ("seconds", "steps")

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.seconds = SEARCH_SECONDS

    def take_step(self, cost: int = 1) -> None:
        self.steps -= cost
        if self.steps < 0:
            raise QueryTooSlow
        if not self.steps & 63:
            go_on()

    def search(self, pattern: str, text: str) -> bool:
        began = thread_time()
        try:
            return bounded_search(pattern, text, seconds=max(0.001, self.seconds)) is not None
        except PatternTooSlow as error:
            raise QueryTooSlow from error
        finally:
            self.seconds -= thread_time() - began


_budget: ContextVar[_Budget] = ContextVar("budget")


class _Node(JSONPathNode):
    """A node whose children cost steps."""

    def new_child(self, value: object, key: int | str, parent: JSONPathNode | None) -> JSONPathNode:
        _budget.get().take_step()
        return _Node(value=value, location=(*self.location, key), parent=parent, root=self.root)


class _Filter:
    """Stands in for the library's filter: each entry that is looked at costs a step, whether it is chosen or not."""

    def __init__(self, original: FilterSelector) -> None:
        self.env, self.token, self.expression = original.env, original.token, original.expression

    def __str__(self) -> str:
        return f"?{self.expression}"

    def resolve(self, node: JSONPathNode) -> Iterator[JSONPathNode]:
        entries: Iterable[tuple[Any, Any]] = ()
        if isinstance(node.value, dict):
            entries = node.value.items()
        elif isinstance(node.value, list):
            entries = enumerate(node.value)
        budget = _budget.get()
        for key, value in entries:
            budget.take_step(FILTER_COST)
            context = FilterContext(env=self.env, current=value, root=node.root)
            if self.expression.evaluate(context):
                yield node.new_child(value, key, node)


class _Search(FilterFunction):
    """The functions ``search`` and ``match`` on our bounded regular expressions."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]
    return_type = ExpressionType.LOGICAL

    def __init__(self, form: str) -> None:
        self._form = form

    def __call__(self, text: object, pattern: object) -> bool:
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        try:
            check_pattern(self._form % pattern)
        except ValidationError:
            return False
        return _budget.get().search(self._form % pattern, text)


_environment = JSONPathEnvironment()
_environment.function_extensions["search"] = _Search("%s")
_environment.function_extensions["match"] = _Search(r"\A(?:%s)\z")


def check_path(path: str) -> None:
    """Raise `ValidationError` where `compile_path` would."""
    compile_path(path)


@lru_cache(maxsize=1_024)
def compile_path(path: str) -> JSONPathQuery:
    """Return the query, or raise `ValidationError` naming what is wrong."""
    if len(path) > MAX_PATH_LENGTH:
        raise ValidationError(
            _("The path is too long: %(max)s characters are the most."),
            code="too_long",
            params={"max": MAX_PATH_LENGTH},
        )
    try:
        query = _environment.compile(path)
    except (JSONPathError, RecursionError, ValueError) as error:
        raise ValidationError(
            _("“%(path)s” is not a JSONPath: begin with $, as in $.items[0].name (%(reason)s)."),
            code="malformed",
            params={"path": path[:60], "reason": str(error).splitlines()[0][:100] if str(error) else "?"},
        ) from error
    for segment in query.segments:
        segment.selectors = tuple(_guarded(selector) for selector in segment.selectors)
    return query


def names_one_place(path: str) -> bool:
    """Tell whether a path can find one value at most: it has names and indexes only."""
    return bool(compile_path(path).singular_query())


def find_values(path: str, document: Any) -> list[Any]:
    """Return the values that ``path`` (checked before) selects; raise `QueryTooSlow` or `BadJson` (nested too deeply)."""
    token = _budget.set(_Budget())
    try:
        nodes: Iterable[JSONPathNode] = [_Node(value=document, location=(), parent=None, root=document)]
        for segment in compile_path(path).segments:
            nodes = segment.resolve(nodes)
        with Effort(QUERY_SECONDS):
            return [node.value for node in nodes]
    except TooMuchWork as error:
        raise QueryTooSlow from error
    except (JSONPathRecursionError, RecursionError) as error:
        raise BadJson("deep") from error
    finally:
        _budget.reset(token)


def refuse_constant(name: str) -> None:
    """Raise ValueError: Python reads NaN and Infinity, which are no JSON (RFC 8259, 6)."""
    raise ValueError(name)


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text in whatever Unicode encoding; raise `BadJson`, for NaN and Infinity too."""
    try:
        return json.loads(body, parse_constant=refuse_constant)
    except RecursionError as error:
        raise BadJson("deep") from error
    except ValueError as error:
        raise BadJson("malformed") from error


def _guarded(selector: Any) -> Any:
    if not isinstance(selector, FilterSelector):
        return selector
    _refuse_searching(str(selector.expression))
    return _Filter(selector)


def _refuse_searching(expression: str) -> None:
    """A filter is asked for each entry: what it looks at must lie near the entry, or be one place of the document."""
    text = QUOTED.sub("", expression)
    if ".." in text or "?" in text:
        raise ValidationError(
            _("A filter may look at its own entry only, such as [?@.name == 'x']: take “..” and inner filters out."),
            code="too_broad",
        )
    if "$" in text:
        raise ValidationError(_("A filter may not begin again at $: compare with a plain value."), code="too_broad")
