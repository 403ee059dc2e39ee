"""What the judge said of an attempt; drafts of exercises, and how the reader stands with each."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Attempts from before keep their verdicts; exercises that were solved count as solved in their first
    round, and are not due."""
    for column in (
        sa.Column("solved", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("report", sa.JSON(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("wall", sa.Float(), nullable=False, server_default=sa.text("0")),
        sa.Column("cpu", sa.Float(), nullable=False, server_default=sa.text("0")),
        sa.Column("memory", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("hints", sa.Integer(), nullable=False, server_default=sa.text("0")),
    ):
        op.add_column("attempt", column)
    op.execute("UPDATE attempt SET solved = (passed = total AND total > 0)")
    op.create_table(
        "exercise_draft",
        sa.Column("exercise", sa.String(120), primary_key=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_table(
        "exercise_state",
        sa.Column("exercise", sa.String(120), primary_key=True),
        sa.Column("hints", sa.Integer(), nullable=False),
        sa.Column("begun", MOMENT, nullable=False),
        sa.Column("solved", MOMENT),
        sa.Column("gave_up", MOMENT),
        sa.Column("due", MOMENT),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("ix_exercise_state_due", "exercise_state", ["due"])
    op.execute(
        "INSERT INTO exercise_state (exercise, hints, begun, solved, card, at) "
        "SELECT exercise, 0, min(at), min(at), '{}', min(at) FROM attempt WHERE solved GROUP BY exercise"
    )


def downgrade() -> None:
    op.drop_table("exercise_state")
    op.drop_table("exercise_draft")
    for column in ("solved", "report", "wall", "cpu", "memory", "hints"):
        op.drop_column("attempt", column)
