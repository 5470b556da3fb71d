"""docs/reference.md names every setting, event, permission, recurring job and kind, as they are now."""

from config.reference import TARGET, reference, settings_read


def test_reference_is_current() -> None:
    assert TARGET.read_text(encoding="utf-8") == reference(), "write it anew: python -m config.reference"


def test_every_setting_says_what_it_means() -> None:
    assert [line.name for line in settings_read() if len(line.meaning) < 15] == []
