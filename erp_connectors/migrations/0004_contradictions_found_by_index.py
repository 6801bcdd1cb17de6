from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("erp_connectors", "0003_connection_test_report_and_secret_dates")]

    operations = [
        migrations.AddIndex(
            model_name="erpexport",
            index=models.Index(
                condition=models.Q(("conflict_json__isnull", False)),
                fields=["org", "-created_at"],
                name="export_conflict",
            ),
        ),
    ]
