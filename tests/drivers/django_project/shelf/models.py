"""Two models with a foreign key, constraints, and PostgreSQL's own field types."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=50, unique=True)
    tags = ArrayField(models.CharField(max_length=10), default=list)


class Book(models.Model):
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    title = models.CharField(max_length=100, db_index=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    facts = models.JSONField(default=dict)

    class Meta:
        constraints = [models.CheckConstraint(check=models.Q(price__gte=0), name="shelf_price_positive")]
