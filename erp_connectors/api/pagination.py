from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """``limit`` and ``cursor``; stable while rows are added."""

    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 500
