from django.db import migrations

# What orderflow/orders/search.py asks for. Part of PostgreSQL itself, unlike trigrams; SQLite reads the org's orders.
CREATE = """
CREATE INDEX draft_numbers ON orders_draftorder USING gin (
    array_to_tsvector(array_remove(
        regexp_split_to_array(lower(external_order_number || ' ' || erp_order_id), '[^0-9a-z]+'), ''
    ))
)
"""


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(CREATE)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX draft_numbers")


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]

    operations = [migrations.RunPython(create, drop, elidable=False)]
