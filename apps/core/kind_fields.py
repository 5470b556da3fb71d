"""Form fields for settings that are more than one value: text in a form, JSON's own types over the API."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_LINES = 500
MAX_DEPTH = 16
MAX_WHOLE_NUMBER = 2**63
LINE_END = re.compile(r"\r\n|\r|\n")


class FilledField(forms.Field):
    """A setting that may be left out, but not sent empty: nothing is no value of its type.

    It is not ``required``, which would mark it and put it before others in forms.
    """

    is_left_out = False

    def validate(self, value: Any) -> None:
        if value in self.empty_values and not self.is_left_out:
            raise ValidationError(self.error_messages["required"], code="required")
        super().validate(value)


class NumberField(FilledField, forms.IntegerField):
    """A whole number."""


class ChosenField(FilledField, forms.ChoiceField):
    """One of several choices, none of which is empty."""


class StructuredField(forms.CharField):
    """Base: a text area whose value is a list or an object; a setting's check judges the finished value."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strip=True, **options)
        self.checks = tuple(options.get("validators", ()))  # CharField adds its own, which measure text

    def run_validators(self, value: Any) -> None:
        if self.max_length and self.size(value) > self.max_length:
            raise ValidationError(
                _("This is too long: %(max)s characters are the most."),
                code="max_length",
                params={"max": self.max_length},
            )
        for check in self.checks:
            check(value)

    def size(self, value: Any) -> int:
        """Return how many characters the value has."""
        return len(json.dumps(value, ensure_ascii=False))


class PairsField(StructuredField):
    """Names and values, one ``Name: value`` a line in a form, an object of strings over the API."""

    default_error_messages = {
        "line": _("Write one “Name: value” pair a line; “%(line)s” has no colon."),
        "object": _('Give an object of strings, such as {"Name": "value"}.'),
    }

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return "\n".join(f"{name}: {text}" for name, text in value.items())
        return value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if not all(isinstance(part, str) for pair in value.items() for part in pair):
                raise ValidationError(self.error_messages["object"], code="object")
            return dict(value)
        if value is not None and not isinstance(value, str):
            raise ValidationError(self.error_messages["object"], code="object")
        pairs: dict[str, str] = {}
        for line in str(super().to_python(value) or "").splitlines():
            name, colon, text = line.partition(":")
            if not line.strip():
                continue
            if not colon or not name.strip():
                raise ValidationError(self.error_messages["line"], code="line", params={"line": line[:60]})
            pairs[name.strip()] = text.strip()
        return pairs

    def run_validators(self, value: Any) -> None:
        if any("\x00" in part or "\n" in part or "\r" in part for pair in value.items() for part in pair):
            raise ValidationError(_("Names and values are single lines without control characters."), code="control")
        super().run_validators(value)

    def size(self, value: Any) -> int:
        return sum(len(part) for pair in value.items() for part in pair)


class LinesField(StructuredField):
    """Texts, one a line in a form, an array of strings over the API; blank ones are left out."""

    default_error_messages = {
        "array": _("Give an array of texts, such as [“one”, “two”]."),
        "line": _("Each text is a single line; “%(line)s” has a line break."),
        "many": _("These are too many: %(max)s lines are the most."),
    }

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = LINE_END.split(value) if isinstance(value, str) else [] if value is None else value
        if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
            raise ValidationError(self.error_messages["array"], code="array")
        stripped = [line.strip() for line in lines]
        for line in stripped:
            if LINE_END.search(line):
                raise ValidationError(self.error_messages["line"], code="line", params={"line": line[:60]})
        if len(stripped) > MAX_LINES:
            raise ValidationError(self.error_messages["many"], code="many", params={"max": MAX_LINES})
        return [line for line in stripped if line]

    def size(self, value: Any) -> int:
        return sum(len(line) + 1 for line in value)


class ObjectsField(StructuredField):
    """A list of objects: JSON in a form, an array over the API; bounded in size and depth."""

    default_error_messages = {
        "json": _("This is not JSON (line %(line)s, column %(column)s: %(reason)s)."),
        "array": _('Give an array of objects, such as [{"name": "value"}].'),
        "deep": _("This is nested too deeply: %(max)s levels are the most."),
        "number": _("This has a number that is too large, or none at all (NaN, Infinity)."),
    }

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return json.dumps(value, ensure_ascii=False, indent=2) if value else ""
        return value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = self._read(value)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise ValidationError(self.error_messages["array"], code="array")
        self._judge(value, 0)
        return value

    def _read(self, text: str) -> Any:
        if not text.strip():
            return []
        if self.max_length and len(text) > self.max_length * 4:  # indented, it may be longer than what is kept
            raise ValidationError(_("This is too long."), code="max_length")
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            params = {"line": error.lineno, "column": error.colno, "reason": error.msg}
            raise ValidationError(self.error_messages["json"], code="json", params=params) from error
        except RecursionError as error:
            raise ValidationError(self.error_messages["deep"], code="deep", params={"max": MAX_DEPTH}) from error
        except ValueError as error:  # a number of thousands of digits
            raise ValidationError(self.error_messages["number"], code="number") from error

    def _judge(self, value: Any, depth: int) -> None:
        """Raise `ValidationError` for what JSON cannot say, or what is nested too deeply."""
        if depth > MAX_DEPTH:
            raise ValidationError(self.error_messages["deep"], code="deep", params={"max": MAX_DEPTH})
        if isinstance(value, dict):
            if not all(isinstance(name, str) for name in value):
                raise ValidationError(self.error_messages["array"], code="array")
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                self._judge(part, depth + 1)
        elif isinstance(value, int | float):
            if not math.isfinite(value) or abs(value) > MAX_WHOLE_NUMBER:
                raise ValidationError(self.error_messages["number"], code="number")
        elif value is not None and not isinstance(value, str):
            raise ValidationError(self.error_messages["array"], code="array")
