from django.db import migrations

from orderflow.audit.append_only import protect, unprotect

TABLES = ("audit_auditlog",)


def forwards(apps, schema_editor):
    protect(schema_editor.connection, *TABLES)


def backwards(apps, schema_editor):
    unprotect(schema_editor.connection, *TABLES)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [migrations.RunPython(forwards, backwards)]
