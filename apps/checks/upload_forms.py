"""A file or a pasted text: read at once and never stored."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _


class FilesInput(forms.ClearableFileInput):
    """A file input that takes several."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files as a list."""

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[Any]]:
        given = data if isinstance(data, list | tuple) else [data] if data else []
        return [super(FilesField, self).clean(part, initial) for part in given]


class UploadForm(forms.Form):
    """An export: ``parts`` after validation are its files, or the text that was pasted."""

    upload = FilesField(label=_("File"), required=False, widget=FilesInput)
    text = forms.CharField(
        label=_("Or paste it here"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, max_bytes: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_bytes = max_bytes
        self.parts: list[bytes] = []

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        files = cleaned.get("upload") or []
        if sum(file.size or 0 for file in files) > self._max_bytes:
            limit = self._max_bytes // 1_048_576
            raise ValidationError(_("Give at most %(limit)s MiB at once."), params={"limit": limit})
        self.parts = [file.read() for file in files] or [cleaned.get("text", "").encode()]
        if not any(part.strip() for part in self.parts):
            raise ValidationError(_("Choose a file, or paste its text."))
        return cleaned


class LabelledUploadForm(UploadForm):
    """A configuration document, which is one file, and whether checks that left it are deleted."""

    upload = FilesField(label=_("File"), required=False)  # its widget takes one
    prune = forms.CharField(
        label=_("Prune by label"),
        required=False,
        max_length=29,
        help_text=_(
            "Deletes checks that carry the document's “managedBy” label and are no longer in it. Empty deletes none."
        ),
    )
