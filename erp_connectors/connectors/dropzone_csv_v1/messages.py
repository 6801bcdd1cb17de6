"""Messages about wrong options, and about orders that can't be written with the options."""

from orderflow.messages import register

register(
    {
        "csv.no_columns": "has no columns. Write one column a line: heading = value",
        "csv.too_many_columns": "has %(number)s columns. Write at most %(most)s.",
        "csv.not_a_column_line": "line %(line)s is not a column. Write heading = value; a heading has up to 200 "
        "characters, a value is a field like line.qty, or a constant in double quotes.",
        "csv.control_character": "line %(line)s: the heading or constant contains a control character.",
        "csv.unknown_field": "line %(line)s: there is no field %(field)s. Fields: %(known)s",
        "csv.heading_twice": "line %(line)s: the heading %(heading)s is there twice.",
        "csv.fixed_not_quotable": "“%(text)s” contains the delimiter, and the quote rule is “never”.",
        "csv.fixed_not_in_encoding": "“%(text)s” has a character that the encoding %(encoding)s lacks.",
        "csv.not_a_unit_line": "line %(line)s is not a unit. Write ours = theirs, like ST = PCE.",
        "csv.unknown_unit": "line %(line)s: there is no unit %(unit)s. Units: %(units)s",
        "csv.unit_twice": "line %(line)s: the unit %(unit)s is there twice.",
        "csv.not_a_delimiter": "must be one punctuation character other than a double quote, or the word tab",
        "csv.delimiter_in_values": "must not be a character of numbers, dates, times or ids if no value is quoted",
        "csv.not_an_ending": "must be 1 to 10 lower-case letters or digits, and none of these: %(reserved)s",
        "csv.line_break": "a line break",
        "csv.tab": "a tab",
        "csv.not_quotable": "Line %(line)s, column %(column)s (%(field)s): the value contains %(character)s, and the "
        "quote rule is “never”. Choose another delimiter or quote rule, or change the order.",
        "csv.empty_row": "Line %(line)s, column %(column)s (%(field)s): the only value of the row is empty, and the "
        "quote rule is “never”. Add a column, or choose another quote rule.",
        "csv.too_large": "The file would have more than %(most)s bytes. Write fewer columns, or split the order.",
        "csv.not_in_encoding": "Line %(line)s, column %(column)s (%(field)s): the encoding %(encoding)s lacks the "
        "character %(character)s. Choose another encoding, such as utf-8, or change the order.",
    }
)
