"""The database's rule that a row only points to rows of its own org: a foreign key over `(org, key)`."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import BaseConstraint, Model
from django.utils.translation import gettext_lazy as _


class SameOrg(BaseConstraint):
    """A foreign key of ``org`` and ``field`` together to a model that is unique by `(org, id)`.

    A null is not checked. As with Django's own foreign keys, the check waits for the end of the transaction.
    """

    default_violation_error_message = _("Choose one from the same organisation.")

    def __init__(self, *, field: str, name: str, **more: Any) -> None:
        super().__init__(name=name, **more)
        self.field = field

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        def quoted(owner: Any, *fields: str) -> str:
            return ", ".join(schema_editor.quote_name(owner._meta.get_field(name).column) for name in fields)

        target = model._meta.get_field(self.field).remote_field.model
        return (
            f"CONSTRAINT {schema_editor.quote_name(self.name)} FOREIGN KEY ({quoted(model, 'org', self.field)})"
            f" REFERENCES {schema_editor.quote_name(target._meta.db_table)} ({quoted(target, 'org', 'id')})"
            " DEFERRABLE INITIALLY DEFERRED"
        )

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} ADD {self.constraint_sql(model, schema_editor)}"

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} DROP CONSTRAINT {schema_editor.quote_name(self.name)}"

    def validate(self, model: Any, instance: Any, exclude: Any = None, using: str = "default") -> None:
        """Tell a form at the field; the org itself is often no field of the form."""
        if exclude and self.field in exclude:
            return
        target = getattr(instance, self.field)
        if target is not None and instance.org_id is not None and target.org_id != instance.org_id:
            raise ValidationError({self.field: self.get_violation_error_message()})

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "field": self.field}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameOrg) and self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        return hash((self.name, self.field))


def require_same_org(row: Model) -> None:
    """Raise `ValidationError`, by field, if a row points to one of another org."""
    problems: dict[str, list[ValidationError]] = {}
    for constraint in row._meta.constraints:
        if isinstance(constraint, SameOrg):
            try:
                constraint.validate(type(row), row)
            except ValidationError as error:
                error.update_error_dict(problems)
    if problems:
        raise ValidationError(problems)
