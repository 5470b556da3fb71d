"""A small picture of a page's state for other people's pages."""

from django.utils.html import escape
from django.utils.translation import gettext as _

from apps.statuspages.domain.board import Board
from apps.statuspages.enums import Indicator
from apps.statuspages.formats.sentences import headline

COLOURS = {
    Indicator.NONE: "#0f7a44",
    Indicator.MAINTENANCE: "#6b3fa0",
    Indicator.MINOR: "#8a5600",
    Indicator.MAJOR: "#c2212e",
    Indicator.CRITICAL: "#a3121f",
}
BLANK_COLOUR = "#565c69"
# Advance widths in tenths of a pixel at 11 px Verdana; what is missing counts as wide, so that nothing is cut off.
NARROW, WIDE = frozenset("iIjl|.,:;'!ftr()[] "), frozenset("mwMWQO@%&")
TEMPLATE = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {text}">\
<title>{label}: {text}</title>\
<clipPath id="r"><rect width="{width}" height="20" rx="4"/></clipPath>\
<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#24272e"/>\
<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>\
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" text-anchor="middle">\
<text x="{label_x}" y="14" textLength="{label_width}">{label}</text>\
<text x="{text_x}" y="14" textLength="{text_width}">{text}</text></g></svg>
"""


def badge(board: Board) -> str:
    """Return SVG with the page's state as words and colour."""
    label, text = _("status"), headline(board)
    colour = BLANK_COLOUR if board.is_blank else COLOURS[board.indicator]
    label_width, text_width = text_pixels(label), text_pixels(text)
    left, right = label_width + 12, text_width + 14
    return TEMPLATE.format(
        label=escape(label),
        text=escape(text),
        colour=colour,
        left=left,
        right=right,
        width=left + right,
        label_width=label_width,
        text_width=text_width,
        label_x=left / 2,
        text_x=left + right / 2,
    )


def text_pixels(text: str) -> int:
    """Estimate how wide a text is; ``textLength`` then makes it so."""
    tenths = sum(40 if sign in NARROW else 95 if sign in WIDE or ord(sign) > 0x2FF else 68 for sign in text)
    return round(tenths / 10)
