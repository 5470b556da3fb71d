"""Pages of a list that stay put while rows arrive."""

from rest_framework.pagination import CursorPagination


class CursorPage(CursorPagination):
    """Newest first by the time-ordered id; ``?limit=`` up to 200."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 200
