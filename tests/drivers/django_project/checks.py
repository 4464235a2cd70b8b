"""Runs Django's migrations and ORM against the server of the environment; prints "ok NAME" for each check."""

import os
import threading
from decimal import Decimal

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "shelf"], USE_TZ=True, SECRET_KEY="none",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
        "DISABLE_SERVER_SIDE_CURSORS": not os.environ["CHECK_SERVER_CURSORS"],
        "OPTIONS": {"sslmode": os.environ["CHECK_SSLMODE"]}}})
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Avg, Count, F, Sum  # noqa: E402

from shelf.models import Author, Book  # noqa: E402


def check_migrate():
    call_command("migrate", verbosity=0)
    assert Author.objects.filter(name__startswith="first").count() == 100
    assert "shelf_book" in connection.introspection.table_names()


def check_orm():
    ada = Author.objects.create(name="Ada", tags=["a", "b"])
    Book.objects.bulk_create([Book(author=ada, title=f"book {i}", price=Decimal(i), facts={"n": i}) for i in range(50)])
    assert ada.books.filter(facts__n__gte=40).count() == 10
    assert Author.objects.get(tags__contains=["b"]).pk == ada.pk
    assert Book.objects.filter(price__lt=5).update(price=F("price") + 1) == 5
    assert [b.author.name for b in Book.objects.select_related("author").order_by("id")[:2]] == ["Ada", "Ada"]
    assert [len(a.books.all()) for a in Author.objects.filter(name="Ada").prefetch_related("books")] == [50]


def check_constraints():
    for bad, code in ((dict(title="x", price=-1), "23514"), (dict(title=None, price=1), "23502")):
        try:
            with transaction.atomic():
                Book.objects.create(author=Author.objects.get(name="Ada"), **bad)
            raise AssertionError("accepted")
        except IntegrityError as e:
            assert e.__cause__.pgcode == code
    created = Author.objects.get_or_create(name="Ada")
    assert created[1] is False


def check_atomic():
    with transaction.atomic():
        Author.objects.create(name="outer")
        try:
            with transaction.atomic():
                Author.objects.create(name="inner")
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert Author.objects.filter(name__in=["outer", "inner"]).count() == 1
        transaction.set_rollback(True)
    assert not Author.objects.filter(name="outer").exists()


def check_iterator():
    titles = [b.title for b in Book.objects.order_by("id").iterator(chunk_size=7)]
    assert titles == [f"book {i}" for i in range(50)]
    with transaction.atomic():
        books = Book.objects.order_by("id").iterator(chunk_size=7)
        first = next(books)
        Author.objects.filter(name="Ada").update(tags=["changed"])
        assert [first.title] + [b.title for b in books] == titles


def check_select_for_update():
    with transaction.atomic():
        book = Book.objects.select_for_update(nowait=True).order_by("id").first()
        book.title = "locked"
        book.save()
    assert Book.objects.order_by("id").first().title == "locked"


def check_aggregates():
    found = Author.objects.filter(name="Ada").annotate(n=Count("books"), s=Sum("books__price")).get()
    assert (found.n, found.s) == (50, sum(Decimal(i) for i in range(50)) + 5)
    assert Book.objects.aggregate(Avg("price"))["price__avg"] > 20
    assert Book.objects.filter(price__gt=10).explain()


def check_threads():
    """A connection for each thread, as in a server of Django's."""
    wrong = []

    def work(i):
        try:
            for turn in range(3):
                with transaction.atomic():
                    Author.objects.create(name=f"thread {i} {turn}")
                    with connection.cursor() as c:
                        c.execute("SELECT set_config('shelf.tag', %s, true)", [f"{i}.{turn}"])
                        c.execute("SELECT current_setting('shelf.tag')")
                        assert c.fetchone() == (f"{i}.{turn}",)
                assert Author.objects.filter(name=f"thread {i} {turn}").exists()
        except Exception as e:  # noqa: BLE001 told by the main thread
            wrong.append(repr(e))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong
    # This connection has written none of them, so a replica that has not heard of the last may answer it: a lock is the
    # primary's to give.
    with transaction.atomic():
        assert len(Author.objects.select_for_update().filter(name__startswith="thread")) == 150


def check_unmigrate():
    call_command("migrate", "shelf", "0001", verbosity=0)
    call_command("migrate", "shelf", "zero", verbosity=0)
    assert "shelf_book" not in connection.introspection.table_names()
    call_command("migrate", "auth", "zero", verbosity=0)
    call_command("migrate", "contenttypes", "zero", verbosity=0)


for name, check in list(globals().items()):
    if name.startswith("check_"):
        check()
        print("ok", name[len("check_"):], flush=True)
