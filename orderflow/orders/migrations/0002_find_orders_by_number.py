from django.db import migrations

from orderflow.orders import number_search


# Functions, triggers and an index of PostgreSQL's own. On SQLite a search reads the org's orders.
def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_schema())")
            (schema,) = cursor.fetchone()
        for statement in number_search.create(schema):
            schema_editor.execute(statement, params=None)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for statement in number_search.drop():
            schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]

    operations = [migrations.RunPython(create, drop, elidable=False)]
