"""SQLAlchemy on psycopg2: engine and pool, reflection, Core and ORM, nested and two-phase transactions, streaming."""

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from clients import SSLMODE, at_once, url

Base = orm.declarative_base()


class Author(Base):
    __tablename__ = "sa_author"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), unique=True, nullable=False)
    books = orm.relationship("Book", back_populates="author", cascade="all, delete-orphan", order_by="Book.id")


class Book(Base):
    __tablename__ = "sa_book"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("sa_author.id"), nullable=False)
    title = sa.Column(sa.Text, nullable=False)
    price = sa.Column(sa.Numeric(8, 2))
    kind = sa.Column(sa.Enum("novel", "essay", name="sa_kind"))
    author = orm.relationship("Author", back_populates="books")


@pytest.fixture(scope="module")
def engine(braid):
    made = sa.create_engine(url(braid, "postgresql+psycopg2", sslmode=SSLMODE), pool_size=5, max_overflow=45, future=True)
    Base.metadata.create_all(made)
    yield made
    Base.metadata.drop_all(made)
    made.dispose()


def test_schema_is_reflected(engine):
    found = sa.inspect(engine)
    assert {"sa_author", "sa_book"} <= set(found.get_table_names())
    assert [c["name"] for c in found.get_columns("sa_book")] == ["id", "author_id", "title", "price", "kind"]
    assert found.get_foreign_keys("sa_book")[0]["referred_table"] == "sa_author"
    assert found.get_enums()[0]["labels"] == ["novel", "essay"]
    again = sa.Table("sa_author", sa.MetaData(), autoload_with=engine)
    assert again.c.name.type.length == 50


def test_orm_unit_of_work(engine):
    with orm.Session(engine) as session:
        session.add(Author(name="Ada", books=[Book(title="Notes", price=3, kind="essay"), Book(title="Engine", kind="novel")]))
        session.commit()
        ada = session.execute(sa.select(Author).filter_by(name="Ada").options(orm.selectinload(Author.books))).scalar_one()
        assert [b.title for b in ada.books] == ["Notes", "Engine"] and str(ada.books[0].price) == "3.00"
        ada.books[1].title = "The Engine"
        del ada.books[0]
        session.commit()
        assert session.execute(sa.select(Book.title).join(Author).where(Author.name == "Ada")).scalars().all() == ["The Engine"]
        session.delete(ada)
        session.commit()
        assert session.execute(sa.select(sa.func.count()).select_from(Book)).scalar() == 0


def test_errors_are_wrapped_with_sqlstate(engine):
    with orm.Session(engine) as session:
        session.add_all([Author(name="Same"), Author(name="Same")])
        with pytest.raises(sa.exc.IntegrityError) as error:
            session.commit()
        assert error.value.orig.pgcode == "23505"
        session.rollback()
        assert session.execute(sa.select(sa.func.count()).select_from(Author)).scalar() == 0


def test_nested_transactions(engine):
    with orm.Session(engine) as session, session.begin():
        session.add(Author(name="outer"))
        with pytest.raises(sa.exc.IntegrityError), session.begin_nested():
            session.execute(sa.insert(Author).values(name="outer"))
        session.execute(sa.delete(Author).where(Author.name == "outer"))


def test_two_phase(engine):
    with engine.connect() as connection:
        with connection.begin_twophase() as transaction:
            connection.execute(sa.insert(Author).values(name="prepared"))
            transaction.prepare()
            transaction.commit()
    with engine.begin() as connection:
        assert connection.execute(sa.delete(Author).where(Author.name == "prepared")).rowcount == 1


def test_streaming_and_isolation(engine):
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == "repeatable read"
        rows = connection.execution_options(yield_per=10, stream_results=True).execute(
            sa.text("SELECT n FROM generate_series(1, 500) n"))
        assert sum(r.n for r in rows) == 500 * 501 // 2
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CREATE INDEX CONCURRENTLY sa_book_title ON sa_book (title)"))
        connection.execute(sa.text("DROP INDEX CONCURRENTLY sa_book_title"))


def test_bulk_insert_returns_keys(engine):
    with orm.Session(engine) as session:
        many = [Author(name=f"bulk {i}") for i in range(500)]
        session.add_all(many)
        session.flush()
        assert len({a.id for a in many}) == 500
        session.rollback()


def test_fifty_sessions(engine):
    """Each on a connection of its own: reads must see the writes of the same connection, whoever answers them."""
    def work(i):
        with engine.connect() as connection:
            for turn in range(4):
                with connection.begin(), orm.Session(connection) as session:
                    session.add(Author(name=f"many {i} {turn}", books=[Book(title=f"{i}.{turn}")]))
                    session.flush()
                with connection.begin(), orm.Session(connection) as session:
                    found = session.execute(sa.select(Author).where(Author.name == f"many {i} {turn}")).scalar_one()
                    assert [b.title for b in found.books] == [f"{i}.{turn}"]
        return True

    assert all(at_once(work))
    with engine.begin() as connection:
        assert connection.execute(sa.delete(Book)).rowcount == 200
        assert connection.execute(sa.delete(Author).where(Author.name.like("many %"))).rowcount == 200
