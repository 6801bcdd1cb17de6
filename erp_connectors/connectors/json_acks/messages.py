"""Reasons why an ack file can't be read, for the ERP's programmers, who see them in the ``.reason.txt`` file."""

from orderflow.messages import Template, register

_KEYS = {"keys": "Keys found: %(keys)s."}

register(
    {
        "ack.empty": "The file is empty. Write one JSON object.",
        "ack.cut_off": "The file ends in the middle (line %(line)s). Write the whole file under a name that ends in "
        ".tmp, then rename it.",
        "ack.more_after_it": "Something follows the first JSON value (line %(line)s, column %(column)s). Write one "
        "object to a file, and nothing after it.",
        "ack.not_json": "The file is not JSON: unexpected %(found)s at line %(line)s, column %(column)s. Write one "
        "JSON object, with texts in double quotes.",
        "ack.not_an_object": "The file is JSON, but not an object. Write one JSON object.",
        "ack.nested_too_deeply": "The file is nested too deeply. Write one plain JSON object.",
        "ack.key_twice": '"%(key)s" is there twice with different values. Write it once.',
        "ack.status_missing": Template('"status" is missing. Write "ACKED" or "FAILED".', optional=_KEYS),
        "ack.status_unknown": '"status" is %(value)s. Write "ACKED" or "FAILED".',
        "ack.status_contradicts_name": 'The file name says %(expected)s, "status" says %(found)s. They must agree: '
        "ack_ files say ACKED, error_ files say FAILED.",
        "ack.order_id_missing": Template(
            '"erp_order_id" is missing. Write the number that the ERP gave to the order.', optional=_KEYS
        ),
        "ack.order_id_empty": '"erp_order_id" is empty. Write the number that the ERP gave to the order.',
        "ack.order_id_not_whole": '"erp_order_id" is the number %(value)s, with a decimal point or an exponent. '
        "Write it in double quotes, exactly as the ERP shows it.",
        "ack.order_id_not_a_text": '"erp_order_id" is %(value)s. Write a text in double quotes.',
        "ack.order_id_not_ascii": '"erp_order_id" (%(value)s) is not plain ASCII, and the file is not UTF-8. Write '
        "the file in UTF-8.",
        "ack.order_id_too_long": '"erp_order_id" has %(length)s characters. Write at most %(most)s.',
        "ack.order_id_not_printable": '"erp_order_id" (%(value)s) has characters that can\'t be shown. Write letters, '
        "digits and punctuation only.",
        "ack.not_a_text": '"%(key)s" is %(value)s. Write a text in double quotes, or leave the key out.',
        "ack.wrong_encoding": "The file looks like %(encoding)s, but byte %(byte)s does not fit. Write the file in "
        "UTF-8.",
        "ack.two_encodings": "A part of the file is UTF-8 and a part is not (byte %(byte)s). Write the whole file in "
        "UTF-8.",
        "ack.unknown_encoding": "The file is neither UTF-8 (byte %(byte)s) nor Windows-1252 (Latin-1). Write the file "
        "in UTF-8.",
        "ack.value_number": "the number %(number)s",
        "ack.value_list": "a list",
        "ack.value_object": "an object",
    }
)
