"""The front-end build: only listed icons and files are served, and a missing one is named."""

import re
from pathlib import Path

import pytest

from config import frontend

STATIC = frontend.PROJECT / "static"
STATIC_TAG = re.compile(r"{% static ['\"]([^'\"]+)['\"] %}")
# These read the page: the token against forgery, the request, messages, or a template that a page names.
# fmt: off
OPEN_COMPONENTS = {
    "confirm_dialog", "form", "form_errors", "form_field_notes", "form_fields", "language_switch", "live_status", "logo",
    "menu", "nav_item", "page_header", "pagination", "sidebar", "tenant_switcher", "theme_switch", "toasts", "user_menu",
}
FRAMED_COMPONENTS = {
    "confirm_dialog", "language_switch", "logo", "nav_item", "palette", "sidebar", "tenant_switcher", "toasts", "user_menu",
}
# The living page has literal values only: these take a form or a list, and stand there as the markup they make.
NEED_PYTHON = {
    "form", "form_errors", "form_field", "form_field_notes", "form_fields", "kind_label", "kind_picker", "menu", "uptime_bars",
}
# fmt: on
COMPONENT_INCLUDE = re.compile(r'{% include "components/(?P<name>[a-z_/]+)\.html"(?P<given>[^%]*)%}')
ICON_INCLUDE = re.compile(r"components/icon\.html['\"] with [^%]*?name=['\"]([a-z0-9-]+)['\"]")

CHECK_SVG = """<svg
  xmlns="http://www.w3.org/2000/svg"
  width="24"
  class="icon icon-tabler"
>
  <path stroke="none" d="M0 0h24v24H0z" fill="none" />
  <path d="M5 12l5 5l10 -10" />
</svg>
"""


def template_texts() -> list[tuple[Path, str]]:
    return [(path, path.read_text(encoding="utf-8")) for path in (frontend.PROJECT / "templates").rglob("*.html")]


def icons_in_templates() -> set[tuple[str, Path]]:
    return {(name, path) for path, text in template_texts() for name in ICON_INCLUDE.findall(text)}


def node_modules_with_icons(folder: Path, *names: str) -> Path:
    icons = folder / "node_modules" / frontend.ICONS_FOLDER
    icons.mkdir(parents=True)
    for name in names:
        (icons / f"{name}.svg").write_text(CHECK_SVG, encoding="utf-8")
    return folder / "node_modules"


def names_file(folder: Path, text: str) -> Path:
    path = folder / "icons.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_icon_sprite_holds_the_listed_icons_only(tmp_path):
    node_modules = node_modules_with_icons(tmp_path, "check", "x", "bell")

    count = frontend.build_icon_sprite(
        names_file(tmp_path, "# ours\nx\n\ncheck # tick\ncheck\n"), node_modules, tmp_path / "out" / "icons.svg"
    )

    assert count == 2
    assert (tmp_path / "out" / "icons.svg").read_text(encoding="utf-8") == (
        '<svg xmlns="http://www.w3.org/2000/svg">\n'
        '<symbol id="check" viewBox="0 0 24 24"><path d="M5 12l5 5l10 -10" /></symbol>\n'
        '<symbol id="x" viewBox="0 0 24 24"><path d="M5 12l5 5l10 -10" /></symbol>\n'
        "</svg>\n"
    )


def test_icon_sprite_unknown_name_is_an_error_that_says_where(tmp_path):
    node_modules = node_modules_with_icons(tmp_path, "check")

    with pytest.raises(frontend.FrontendError) as caught:
        frontend.build_icon_sprite(names_file(tmp_path, "chekc"), node_modules, tmp_path / "icons.svg")

    assert str(caught.value) == "no Tabler icon is called 'chekc': mend static/img/icons.txt"
    assert not (tmp_path / "icons.svg").exists()


def test_icon_sprite_broken_file_is_an_error(tmp_path):
    node_modules = node_modules_with_icons(tmp_path)
    broken = node_modules / frontend.ICONS_FOLDER / "check.svg"
    broken.write_text("not an image", encoding="utf-8")

    with pytest.raises(frontend.FrontendError) as caught:
        frontend.build_icon_sprite(names_file(tmp_path, "check"), node_modules, tmp_path / "icons.svg")

    assert str(caught.value) == f"{broken} is not an SVG file"


def test_build_copies_vendor_files_without_source_map_lines(tmp_path):
    node_modules = node_modules_with_icons(tmp_path, "check")
    for source in frontend.VENDOR_FILES.values():
        (node_modules / source).parent.mkdir(parents=True, exist_ok=True)
        (node_modules / source).write_bytes(b"body\n/*# sourceMappingURL=tabler.min.css.map */\n")
    (tmp_path / "static" / "img").mkdir(parents=True)
    (tmp_path / "static" / "img" / "icons.txt").write_text("check\n", encoding="utf-8")

    frontend.build(tmp_path)

    vendor = tmp_path / "static" / "vendor"
    served = sorted(str(path.relative_to(vendor)) for path in vendor.rglob("*") if path.is_file())
    assert served == sorted([*frontend.VENDOR_FILES, "icons/icons.svg"])
    assert (vendor / "tabler/css/tabler.min.css").read_bytes().strip() == b"body"
    assert b"sourceMappingURL" in (vendor / "inter/inter-latin-wght-normal.woff2").read_bytes()  # binary: untouched


def test_build_without_npm_ci_names_the_command(tmp_path):
    with pytest.raises(frontend.FrontendError) as caught:
        frontend.build(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}/node_modules/@tabler/core/dist/css/tabler.min.css is missing: run `npm ci` in {tmp_path}"
    )


def test_every_icon_used_in_a_template_is_listed():
    listed = frontend.icon_names(frontend.ICON_NAMES)

    used = {name for name, _ in icons_in_templates()}

    assert used - set(listed) == set()


def test_components_see_only_what_they_are_given():
    """Includes inherit: a page's `label` or `state` would otherwise become a component's optional parameter."""
    open_includes = [
        (str(path), match["name"])
        for path, text in template_texts()
        for match in COMPONENT_INCLUDE.finditer(text)
        if match["name"] not in OPEN_COMPONENTS and not match["given"].rstrip().endswith(" only")
    ]

    assert open_includes == []


def test_every_component_stands_on_the_living_page_or_in_a_frame():
    living = [text for path, text in template_texts() if "console/components" in str(path)]
    shown = {match["name"] for text in living for match in COMPONENT_INCLUDE.finditer(text)}
    files = {path.stem for path in (frontend.PROJECT / "templates" / "components").glob("*.html")}

    assert files - shown - FRAMED_COMPONENTS - NEED_PYTHON == set()


def test_every_static_file_named_in_our_templates_is_ours_or_vendored():
    served = {f"vendor/{path}" for path in frontend.VENDOR_FILES} | {"vendor/icons/icons.svg"}
    own = {str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()}

    named = {match for _, text in template_texts() for match in STATIC_TAG.findall(text)}

    assert named - served - own == set()
