"""Uptime Kuma's JSON queries as rules of ours: it compares texts, and for an order what they are as numbers.

Its queries are JSONata, of which a rule can say paths: names and places in lists. What does more would be judged
otherwise here, or not at all, so that such a monitor does not come over.
"""

import json
import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.importers.kuma_file import Row
from apps.checks.types.plain_values import plain_number, plain_text
from apps.checks.types.rule_lines import parse_json_rule
from apps.core.kinds import Text

ROOT = re.compile(r"\$\$?(?=\s*[.\[]|$)")
STEP = re.compile(r"\s*(?:\.\s*(?:(?P<plain>[^\W\d]\w*)|`(?P<quoted>[^`]+)`)|\[\s*(?P<place>-?\d{1,9})\s*\])")
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
MEMBER = r"(?:\.[^.\[ ]+|\['(?:[^'\\]|\\.)*'\])"
NAME_AFTER_NAME = re.compile(rf"\$(?:{MEMBER}|\[-?\d+\])*?{MEMBER}{MEMBER}")
LITERALS = frozenset({"true", "false", "null"})
AS_TEXT = frozenset({"==", "!=", "contains"})
AS_NUMBER = frozenset({"<", "<=", ">", ">="})
LONGEST = 4_000  # of a rule
SHOWN = 80


def rule_of(row: Row) -> tuple[str, Text]:
    """Return the rule that judges as the monitor does, or why there is none."""
    query = str(row.get("json_path") or "$").strip()
    operator, expected = str(row.get("json_path_operator") or "=="), plain_text(row.get("expected_value"))
    path = _path(query)
    if path is None:
        return "", _("Its query “%(query)s” does more than name a place; no rule here says that.") % {
            "query": query[:SHOWN]
        }
    if expected is None:
        return "", _("It expects no value.")
    if operator in AS_NUMBER:
        if plain_number(expected) is None:
            return "", _("It compares numbers, and “%(value)s” is none.") % {"value": expected[:SHOWN]}
        return _checked(f"{path} number {operator} {expected}")
    if operator not in AS_TEXT:
        return "", _("Its comparison “%(operator)s” is not known here.") % {"operator": operator[:SHOWN]}
    if path == "$":
        return "", _("It compares the whole answer, which need not be JSON there. Use a keyword or a pattern here.")
    return _checked(f"{path} text {operator} {_written(expected)}")


def steps_blindly(rule: str) -> bool:
    """Tell whether a rule's path has a name after a name: JSONata would go through a list in between, JSONPath does not."""
    return bool(NAME_AFTER_NAME.match(rule))


def _path(query: str) -> str | None:
    """Return a JSONata path as JSONPath; None where it is more than names and places."""
    found = ROOT.match(query)
    rest, path = (query[found.end() :] if found else f".{query}"), "$"
    position = 0
    while position < len(rest):
        step = STEP.match(rest, position)
        if step is None or step["plain"] in LITERALS:
            return None
        path += f"[{int(step['place'])}]" if step["place"] else _member(step["plain"] or step["quoted"])
        position = step.end()
    return path


def _member(name: str) -> str:
    if NAME.fullmatch(name):
        return f".{name}"
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{quoted}']"


def _written(expected: str) -> str:
    """Return a text as a rule has it: in quotes where a line could not hold it as it is."""
    if expected and expected == expected.strip() and expected.isprintable() and not expected.startswith('"'):
        return expected
    return json.dumps(expected)


def _checked(rule: str) -> tuple[str, Text]:
    try:
        parse_json_rule(rule)
    except ValidationError as error:
        return "", error.messages[0]
    return (rule, "") if len(rule) <= LONGEST else ("", _("What it expects is too long for a rule here."))
