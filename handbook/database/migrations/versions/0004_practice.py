"""Cards of the book's questions, their reviews and what a person corrected; drafts of answers; plans,
diagnostics and days."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
KEY = sa.String(40)
QUESTION = sa.String(120)


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "card",
        sa.Column("question", QUESTION, primary_key=True),
        json("card"),
        sa.Column("due", MOMENT),
        sa.Column("lapses", sa.Integer(), nullable=False),
        flag("leech"),
        flag("suspended"),
        sa.Column("buried", sa.String(10), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("ix_card_due", "card", ["due"])
    op.create_table(
        "review",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("question", QUESTION, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("rating", sa.String(10), nullable=False),
        sa.Column("proposed", sa.String(10), nullable=False),
        text("answer"),
        json("grade"),
        json("decided"),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        json("before"),
        json("after"),
        flag("undone"),
    )
    op.create_index("ix_review_question", "review", ["question"])
    op.create_index("ix_review_at", "review", ["at"])
    op.create_table(
        "correction",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("review", KEY, nullable=False),
        sa.Column("question", QUESTION, nullable=False),
        sa.Column("criterion", sa.String(120), nullable=False),
        text("answer"),
        text("quote"),
        sa.Column("proposed", sa.String(10), nullable=False),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("grader", sa.String(120), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("ix_correction_question", "correction", ["question"])
    op.create_table(
        "answer_draft",
        sa.Column("question", QUESTION, primary_key=True),
        sa.Column("place", sa.String(20), primary_key=True),
        text("text"),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_table(
        "plan",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        json("values"),
        text("why"),
        flag("undone"),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_table(
        "diagnostic",
        sa.Column("key", KEY, primary_key=True),
        json("state"),
        sa.Column("begun", MOMENT, nullable=False),
        sa.Column("ended", MOMENT),
    )
    op.create_table(
        "day",
        sa.Column("day", sa.String(10), primary_key=True),
        json("values"),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_table(
        "fitted",
        sa.Column("key", KEY, primary_key=True),
        json("values"),
        flag("undone"),
        sa.Column("at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    for table in ("fitted", "day", "diagnostic", "plan", "answer_draft", "correction", "review", "card"):
        op.drop_table(table)
