"""The correct file that the reason of a malformed answer shows."""

import pytest

from erp_connectors.connectors.base import NoOptions
from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1

EXPORT = "sales_order_550e8400_20251227_100000_abc12345.json"


def example_for(name):
    return DropzoneJsonV1().ack_example(name, NoOptions())


@pytest.mark.parametrize(
    ("name", "correct", "accepted"),
    [
        (f"ack_{EXPORT}", f"ack_{EXPORT}", True),
        (f"ACK_{EXPORT.upper()}.json", f"ack_{EXPORT}", True),
        (f"error_{EXPORT}", f"error_{EXPORT}", False),
        (f"Error_{EXPORT}.json", f"error_{EXPORT}", False),
    ],
)
def test_it_answers_the_same_export_in_the_same_way(name, correct, accepted):
    example = example_for(name)

    (ack,) = DropzoneJsonV1().parse_ack(example.name, example.content.encode(), NoOptions())
    assert (example.name, example.accepted, ack.accepted) == (correct, accepted, accepted)


@pytest.mark.parametrize("prefix", ["ack_", "error_"])
@pytest.mark.parametrize("rest", ["other.json", "x%0A.json~1f00", "sales_order_4711.json"])
def test_it_never_shows_a_name_that_no_order_file_has(prefix, rest):
    example = example_for(f"{prefix}{rest}")

    assert example.name == f"{prefix}{{order file name}}"
