"""No table is forgotten: each belongs to orgs, or somebody said that it is everybody's."""

from django.apps import apps
from django.db.models import UniqueConstraint

from orderflow.tenancy.rls.policies import ELSEWHERE, SHARED, path_of, tables, undeclared

# What is unique over all orgs tells by a refusal that another org has it.
UNIQUE_OVER_ALL_ORGS = {
    "access.Token.public_id": "random",
    "erp_connectors.ERPExport.filename": "a push takes another name",
    "retention.RetentionRun.day": "of the daily run over all orgs",
    "tenancy.Org.slug": "platform staff choose it",
    "tenancy.User.email": "who takes an address is told that somebody has it",
    "tenancy.User.user_email_in_any_case_once": "as before",
}


def test_every_model_says_whose_its_rows_are():
    assert undeclared() == []


def test_what_is_said_is_said_once_and_of_models_that_are_there():
    known = {model._meta.label for model in apps.get_models(include_auto_created=True)}

    assert not (SHARED.keys() | ELSEWHERE.keys()) - known
    assert not [label for label in SHARED if path_of(apps.get_model(label))] if SHARED else True


def test_a_model_that_says_nothing_is_missed(monkeypatch):
    monkeypatch.delitem(ELSEWHERE, "access.Token")

    assert undeclared() == ["access.Token"]


def test_every_path_ends_at_the_org_of_the_row():
    for table in tables():
        path = path_of(table.model)
        if path not in ("pk", "scope"):
            assert path.split("__")[-1] == "org"
        assert next(policy.command for policy in table.policies) == "ALL"


def test_what_is_unique_over_all_orgs_is_known():
    """The database answers for rows that the asking org can't see, whatever the policies say."""
    found = set()
    for table in tables():
        meta, within = (
            table.model._meta,
            {field.name for field in table.model._meta.fields if field.is_relation},
        )
        found |= {
            f"{meta.label}.{field.name}"
            for field in meta.fields
            if field.unique and not field.primary_key and not field.is_relation
        }
        found |= {
            f"{meta.label}.{one.name}"
            for one in meta.constraints
            if isinstance(one, UniqueConstraint) and not within & {*one.fields} and "scope" not in one.fields
        }

    assert found == UNIQUE_OVER_ALL_ORGS.keys()
