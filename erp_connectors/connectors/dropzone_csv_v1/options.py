"""The keys of the config: their types, their description for forms, and their check."""

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from erp_connectors.config_fields import ConfigError, ConfigField, convert
from erp_connectors.connectors.dropzone_csv_v1.columns import (
    DEFAULT_COLUMNS,
    Column,
    WrongText,
    parse_columns,
    parse_units,
)
from erp_connectors.connectors.dropzone_csv_v1.values import DateFormat, TextStyle
from orderflow.messages import Message

GROUP = "CSV file"
# Endings of names that have a meaning in a dropzone: temporary files, markers, answers.
RESERVED_ENDINGS = ("tmp", "done", "json", "part", "filepart", "lock", "log", "pid", "ok", "err", "bak")
TAB = "tab"


class Quoting(StrEnum):
    NEEDED = "needed"
    TEXT = "text"
    ALWAYS = "always"
    NEVER = "never"


class Encoding(StrEnum):
    UTF_8 = "utf-8"
    UTF_8_BOM = "utf-8-bom"
    WINDOWS = "windows-1252"
    LATIN_1 = "iso-8859-1"
    LATIN_9 = "iso-8859-15"
    UTF_16 = "utf-16"


class LineEnding(StrEnum):
    CRLF = "crlf"
    LF = "lf"


class DecimalMark(StrEnum):
    POINT = "."
    COMMA = ","


# The codec, and the bytes before the text.
CODECS: Mapping[Encoding, tuple[str, bytes]] = {
    Encoding.UTF_8: ("utf-8", b""),
    Encoding.UTF_8_BOM: ("utf-8", b"\xef\xbb\xbf"),
    Encoding.WINDOWS: ("cp1252", b""),
    Encoding.LATIN_1: ("iso8859-1", b""),
    Encoding.LATIN_9: ("iso8859-15", b""),
    Encoding.UTF_16: ("utf-16-le", b"\xff\xfe"),
}


class CsvOptions(msgspec.Struct, frozen=True, kw_only=True):
    columns: Annotated[str, Meta(max_length=20_000)] = DEFAULT_COLUMNS
    header_row: bool = True
    delimiter: Annotated[str, Meta(min_length=1, max_length=3)] = ";"
    quoting: Quoting = Quoting.NEEDED
    decimal_mark: DecimalMark = DecimalMark.POINT
    date_format: DateFormat = DateFormat.ISO
    unit_map: Annotated[str, Meta(max_length=2_000)] | None = None
    encoding: Encoding = Encoding.UTF_8
    line_ending: LineEnding = LineEnding.CRLF
    file_ending: Annotated[str, Meta(min_length=1, max_length=10)] = "csv"


@dataclass(frozen=True, slots=True)
class Layout:
    """The options as rendering needs them."""

    columns: tuple[Column, ...]
    header_row: bool
    delimiter: str
    quoting: Quoting
    style: TextStyle
    encoding: Encoding
    line_ending: str


CHOICES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "quoting": (
        ("needed", "Where needed"), ("text", "Texts and dates"), ("always", "Every value"), ("never", "Never"),
    ),
    "decimal_mark": ((".", "Point: 1234.50"), (",", "Comma: 1234,50")),
    "date_format": tuple((one.value, one.value) for one in DateFormat),
    "encoding": (
        ("utf-8", "UTF-8"), ("utf-8-bom", "UTF-8 with byte order mark"), ("windows-1252", "Windows-1252"),
        ("iso-8859-1", "ISO-8859-1"), ("iso-8859-15", "ISO-8859-15"), ("utf-16", "UTF-16 with byte order mark"),
    ),
    "line_ending": (("crlf", "Windows (CR LF)"), ("lf", "Unix (LF)")),
}  # fmt: skip

FIELDS: Sequence[ConfigField] = (
    ConfigField(
        "columns", "string", required=False, default=DEFAULT_COLUMNS, label="Columns", group=GROUP, lines=16,
        help="One column a line, in their order: heading = value. A value is a field like line.qty or customer.name, "
        'or a constant in double quotes. Move, add or remove lines to change the columns. Empty: the default columns.',
    ),
    ConfigField(
        "header_row", "boolean", required=False, default=True, label="Header row", group=GROUP,
        help="Write the headings as the first row.",
    ),
    ConfigField(
        "delimiter", "string", required=False, default=";", label="Delimiter", group=GROUP,
        help="The character between two values, or the word tab.",
    ),
    ConfigField(
        "quoting", "string", required=False, default="needed", label="Quote rule", group=GROUP,
        choices=CHOICES["quoting"],
        help="Which values stand in double quotes. Never: an order with a delimiter or a line break in a value cannot "
        "be written.",
    ),
    ConfigField(
        "decimal_mark", "string", required=False, default=".", label="Decimal mark", group=GROUP,
        choices=CHOICES["decimal_mark"], help="Used in quantities and prices. Thousands are never separated.",
    ),
    ConfigField(
        "date_format", "string", required=False, default="YYYY-MM-DD", label="Date format", group=GROUP,
        choices=CHOICES["date_format"], help="Used for the order date and the requested delivery date.",
    ),
    ConfigField(
        "unit_map", "string", required=False, default=None, label="Units of the ERP", group=GROUP, lines=4,
        help="One unit a line: ours = theirs, like ST = PCE. Units that are not listed are written as they are.",
    ),
    ConfigField(
        "encoding", "string", required=False, default="utf-8", label="Encoding", group=GROUP,
        choices=CHOICES["encoding"],
        help="An order with a character that the encoding lacks cannot be written.",
    ),
    ConfigField(
        "line_ending", "string", required=False, default="crlf", label="Line ending", group=GROUP,
        choices=CHOICES["line_ending"], help="The characters at the end of each row.",
    ),
    ConfigField(
        "file_ending", "string", required=False, default="csv", label="File ending", group=GROUP,
        help="Used for new files. Write it without the dot, such as csv or txt.",
    ),
)  # fmt: skip


def parse(raw: Mapping[str, Any]) -> CsvOptions:
    """Return the options. Raises `ConfigError` with each wrong key."""
    must_be = {
        key: Message("config.not_a_choice", choices=" / ".join(value for value, _ in choices))
        for key, choices in CHOICES.items()
    }
    values, problems = convert(raw, CsvOptions, must_be)
    if not values.get("columns", DEFAULT_COLUMNS).strip():
        del values["columns"]
    options = CsvOptions(**values)
    problems |= {key: why for key, why in _problems(options).items() if key not in problems}
    if problems:
        raise ConfigError(problems)
    return options


@lru_cache(maxsize=128)
def layout_of(options: CsvOptions) -> Layout:
    """Return the layout. Raise `WrongText`, but not for options that `parse` returned."""
    return Layout(
        columns=parse_columns(options.columns),
        header_row=options.header_row,
        delimiter=_delimiter(options),
        quoting=options.quoting,
        style=TextStyle(options.decimal_mark.value, options.date_format, parse_units(options.unit_map or "")),
        encoding=options.encoding,
        line_ending="\r\n" if options.line_ending is LineEnding.CRLF else "\n",
    )


def _delimiter(options: CsvOptions) -> str:
    return "\t" if options.delimiter.lower() == TAB else options.delimiter


def _problems(options: CsvOptions) -> dict[str, Message]:
    problems: dict[str, Message] = {}
    for key, check in (
        ("columns", lambda: parse_columns(options.columns)),
        ("unit_map", lambda: parse_units(options.unit_map or "")),
    ):
        try:
            check()
        except WrongText as error:
            problems[key] = error.why
    problems |= {
        key: wrong
        for key in ("columns", "unit_map")
        if key not in problems and (wrong := _unwritable(key, options))
    }
    delimiter = _delimiter(options)
    is_punctuation = delimiter in string.punctuation and len(delimiter) == 1 and delimiter != '"'
    # A form would drop a tab character, so it is written as a word.
    if not (is_punctuation or options.delimiter.lower() == TAB):
        problems["delimiter"] = Message("csv.not_a_delimiter")
    elif options.quoting is Quoting.NEVER and delimiter in f"-:{options.decimal_mark}{options.date_format}":
        problems["delimiter"] = Message("csv.delimiter_in_values")
    ending = options.file_ending
    if not (ending.isascii() and ending.isalnum() and ending == ending.lower()) or ending in RESERVED_ENDINGS:
        problems["file_ending"] = Message("csv.not_an_ending", reserved=", ".join(RESERVED_ENDINGS))
    return problems


def _unwritable(key: str, options: CsvOptions) -> Message | None:
    """Return the problem of the first text of the config that no file could contain."""
    codec, _ = CODECS[options.encoding]
    for text in _fixed_texts(key, options):
        if options.quoting is Quoting.NEVER and _delimiter(options) in text:
            return Message("csv.fixed_not_quotable", text=text)
        try:
            text.encode(codec)
        except UnicodeEncodeError:
            return Message("csv.fixed_not_in_encoding", text=text, encoding=options.encoding.value)
    return None


def _fixed_texts(key: str, options: CsvOptions) -> Iterator[str]:
    if key == "unit_map":
        yield from parse_units(options.unit_map or "").values()
        return
    for column in parse_columns(options.columns):
        yield from ([column.heading] if options.header_row else [])
        yield column.constant
