"""Altered columns, an index and a constraint, and rows written by code."""

from django.db import migrations, models


def first_rows(apps, schema_editor):
    apps.get_model("shelf", "Author").objects.bulk_create([apps.get_model("shelf", "Author")(name=f"first {i}") for i in range(100)])


class Migration(migrations.Migration):
    dependencies = [("shelf", "0001_initial")]
    operations = [
        migrations.AlterField("Book", "title", models.CharField(max_length=100, db_index=True)),
        migrations.AddField("Book", "facts", models.JSONField(default=dict)),
        migrations.AddConstraint("Book", models.CheckConstraint(check=models.Q(price__gte=0), name="shelf_price_positive")),
        migrations.RunPython(first_rows, migrations.RunPython.noop),
    ]
