"""Put the few third-party browser files that we serve into static/vendor, which is never committed."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ICON_NAMES = PROJECT / "static" / "img" / "icons.txt"

# Path under static/vendor -> path under node_modules. Whole packages would make collectstatic hash some 1,000 files.
VENDOR_FILES = {
    "tabler/css/tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "htmx/htmx.min.js": "htmx.org/dist/htmx.min.js",
    "echarts/echarts.esm.min.js": "echarts/dist/echarts.esm.min.js",
    "inter/inter-latin-wght-normal.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "inter/inter-latin-ext-wght-normal.woff2": "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
    "jetbrains-mono/jetbrains-mono-latin-wght-normal.woff2": (
        "@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2"
    ),
}
ICONS_FOLDER = "@tabler/icons/icons/outline"

_SVG_BODY = re.compile(r"<svg[^>]*>(?P<body>.*)</svg>", re.DOTALL)
_EMPTY_FRAME = re.compile(r'<path stroke="none" d="M0 0h24v24H0z"[^>]*/>')
_SOURCE_MAP = re.compile(rb"^\s*(/\*|//)# sourceMappingURL=.*$", re.MULTILINE)


class FrontendError(Exception):
    """A front-end file that should have come with `npm ci` is not there."""


def icon_names(names_file: Path) -> list[str]:
    """Return the icon names of the list, sorted, without blank lines and `#` comments."""
    lines = (line.split("#")[0].strip() for line in names_file.read_text(encoding="utf-8").splitlines())
    return sorted({line for line in lines if line})


def build_icon_sprite(names_file: Path, node_modules: Path, out: Path) -> int:
    """Write one SVG with a `<symbol id=name>` for each listed Tabler icon and return how many there are."""
    symbols = [_symbol(name, node_modules / ICONS_FOLDER / f"{name}.svg") for name in icon_names(names_file)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n",
        encoding="utf-8",
    )
    return len(symbols)


def copy_vendor_files(node_modules: Path, out: Path) -> int:
    """Copy the listed files, without their source-map lines (the maps are not served), and return how many."""
    for target, source in VENDOR_FILES.items():
        origin = node_modules / source
        if not origin.is_file():
            raise FrontendError(f"{origin} is missing: run `npm ci` in {node_modules.parent}")
        (out / target).parent.mkdir(parents=True, exist_ok=True)
        if origin.suffix in {".css", ".js"}:
            (out / target).write_bytes(_SOURCE_MAP.sub(b"", origin.read_bytes()))
        else:
            shutil.copyfile(origin, out / target)
    return len(VENDOR_FILES)


def build(project: Path = PROJECT) -> None:
    """Fill static/vendor from node_modules; safe to repeat."""
    node_modules, out = project / "node_modules", project / "static" / "vendor"
    copy_vendor_files(node_modules, out)
    build_icon_sprite(project / ICON_NAMES.relative_to(PROJECT), node_modules, out / "icons" / "icons.svg")


def _symbol(name: str, path: Path) -> str:
    if not path.is_file():
        raise FrontendError(f"no Tabler icon is called {name!r}: mend static/img/icons.txt")
    match = _SVG_BODY.search(path.read_text(encoding="utf-8"))
    if match is None:
        raise FrontendError(f"{path} is not an SVG file")
    body = " ".join(_EMPTY_FRAME.sub("", match["body"]).split())
    return f'<symbol id="{name}" viewBox="0 0 24 24">{body}</symbol>'


if __name__ == "__main__":
    try:
        build()
    except FrontendError as error:
        sys.exit(str(error))
