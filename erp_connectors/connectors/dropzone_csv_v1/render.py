"""The bytes of an order: one row for each line."""

import re
from collections.abc import Callable, Iterator, Sequence

from erp_connectors.connectors.dropzone_csv_v1.columns import Column
from erp_connectors.connectors.dropzone_csv_v1.options import CODECS, Layout, Quoting
from erp_connectors.connectors.dropzone_csv_v1.values import LINE_FIELDS, ORDER_FIELDS, as_text
from erp_connectors.faults import RENDER_FAILED, Fault
from erp_connectors.port_types import OrderDocument, OrderLine
from orderflow.messages import Message

HEADER = 0
# An order of 50,000 lines with the usual columns has a sixth of it.
MAX_BYTES = 50_000_000


def render(order: OrderDocument, layout: Layout) -> bytes:
    """Return the file. Raises `Fault` RENDER_FAILED that names the column, and the line if the value is one of it."""
    codec, mark = CODECS[layout.encoding]
    parts, size = [mark], len(mark)
    for line_no, cells in _rows(order, layout):
        try:
            row = (layout.delimiter.join(cells) + layout.line_ending).encode(codec)
        except UnicodeEncodeError:
            raise _not_in_encoding(line_no, cells, layout, codec) from None
        parts.append(row)
        size += len(row)
        if size > MAX_BYTES:
            raise Fault(RENDER_FAILED, Message("csv.too_large", most=f"{MAX_BYTES:,}"))
    return b"".join(parts)


def _rows(order: OrderDocument, layout: Layout) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the cells of each row with the number of its line."""
    write = _cell_writer(layout)
    if layout.header_row:
        yield HEADER, [write(column, column.heading, HEADER) for column in layout.columns]
    makers = [_cell_maker(column, order, layout, write) for column in layout.columns]
    for line in order.lines:
        yield line.line_no, [make(line) for make in makers]


def _cell_maker(
    column: Column, order: OrderDocument, layout: Layout, write: Callable[[Column, str, int], str]
) -> Callable[[OrderLine], str]:
    if of_line := LINE_FIELDS.get(column.field):
        return lambda line: write(column, as_text(of_line(line), layout.style), line.line_no)
    of_order = ORDER_FIELDS.get(column.field)
    text = as_text(of_order(order), layout.style) if of_order else column.constant
    # A value of the order is the same in each row.
    cell = write(column, text, order.lines[0].line_no if order.lines else HEADER)
    return lambda line: cell


def _cell_writer(layout: Layout) -> Callable[[Column, str, int], str]:
    """Return a function that puts a text in quotes if the quote rule requires it."""
    splits = re.compile(f"[\r\n{re.escape(layout.delimiter)}]").search
    needs_quotes = re.compile(f'[\r\n"{re.escape(layout.delimiter)}]').search
    quoting, single = layout.quoting, len(layout.columns) == 1

    def write(column: Column, text: str, line_no: int) -> str:
        if quoting is Quoting.NEVER:
            if (found := splits(text)) or (single and not text):
                raise _not_quotable(column, found[0] if found else "", line_no)
            return text
        if (
            needs_quotes(text)
            or quoting is Quoting.ALWAYS
            or (quoting is Quoting.TEXT and (line_no == HEADER or not column.is_number))
            # Readers skip an empty row.
            or (single and not text)
        ):
            return '"' + text.replace('"', '""') + '"'
        return text

    return write


def _not_quotable(column: Column, character: str, line_no: int) -> Fault:
    names = {"\r": Message("csv.line_break"), "\n": Message("csv.line_break"), "\t": Message("csv.tab")}
    if not character:
        why = Message("csv.empty_row", column=column.heading, field=column.source, line=line_no)
    else:
        shown = names.get(character, character)
        why = Message(
            "csv.not_quotable", column=column.heading, field=column.source, line=line_no, character=shown
        )
    return Fault(RENDER_FAILED, why)


def _not_in_encoding(line_no: int, cells: Sequence[str], layout: Layout, codec: str) -> Fault:
    for column, cell in zip(layout.columns, cells, strict=True):
        try:
            cell.encode(codec)
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            why = Message(
                "csv.not_in_encoding",
                column=column.heading,
                field=column.source,
                line=line_no,
                character=f"{character if character.isprintable() else ''} (U+{ord(character):04X})".strip(),
                encoding=layout.encoding.value,
            )
            return Fault(RENDER_FAILED, why)
    # A delimiter is ASCII, which every encoding has.
    raise AssertionError("every cell can be encoded")
