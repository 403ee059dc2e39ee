"""The practice, out of the handbook and back in: JSON, CSV, and packages of Anki.

    exchange = Exchange(deck, database)
    exchange.write("deck.apkg")              # bytes
    taken = exchange.take(data, "deck.apkg")  # what was taken, what was left out and why
    exchange.undo(taken.key)

JSON holds everything; `reviews.csv` the history of answers; a package of Anki the questions, the schedule and
the ratings. Each comes back in, beside what is here: nothing is added twice, and each import can be undone.
"""

from handbook.practice.exchange.desk import KINDS, Exchange
from handbook.practice.exchange.nouns import NotTaken, Taken

__all__ = ["KINDS", "Exchange", "NotTaken", "Taken"]
