"""The tables, in two steps as projects have them."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Author", fields=[
            ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
            ("name", models.CharField(max_length=50, unique=True)),
        ]),
        migrations.CreateModel("Book", fields=[
            ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
            ("title", models.CharField(max_length=60)),
            ("price", models.DecimalField(max_digits=8, decimal_places=2)),
            ("author", models.ForeignKey("shelf.Author", on_delete=django.db.models.deletion.CASCADE, related_name="books")),
        ]),
        migrations.AddField("Author", "tags", django.contrib.postgres.fields.ArrayField(models.CharField(max_length=10), default=list)),
    ]
