"""The diagrams of docs/data-model.md show the models as they are."""

from tools import data_model


def test_the_page_is_made_from_the_models():
    current = data_model.PAGE.read_text(encoding="utf-8") if data_model.PAGE.exists() else ""
    # Not an assertion on the texts themselves: a diff of the whole page would hide the command.
    assert current == data_model.page(), "The models have changed. Run `make data-model`."
