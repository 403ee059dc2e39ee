"""A collection of Anki of schema 11, as every version since 2.0 reads it: its tables, and what it is set to.

Anki's source has them (AGPL; nothing of it is here but names and places of columns, which are the format):
rslib/src/storage/schema11.sql; the columns' meanings in rslib/src/storage/card and rslib/src/revlog. Numbers
are Anki's usual ones where none of ours matter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

EASE = 2500  # permille, as Anki begins; FSRS does not use it
SCHEMA = """
CREATE TABLE col (id integer PRIMARY KEY, crt integer NOT NULL, mod integer NOT NULL, scm integer NOT NULL,
  ver integer NOT NULL, dty integer NOT NULL, usn integer NOT NULL, ls integer NOT NULL, conf text NOT NULL,
  models text NOT NULL, decks text NOT NULL, dconf text NOT NULL, tags text NOT NULL);
CREATE TABLE notes (id integer PRIMARY KEY, guid text NOT NULL, mid integer NOT NULL, mod integer NOT NULL,
  usn integer NOT NULL, tags text NOT NULL, flds text NOT NULL, sfld integer NOT NULL, csum integer NOT NULL,
  flags integer NOT NULL, data text NOT NULL);
CREATE TABLE cards (id integer PRIMARY KEY, nid integer NOT NULL, did integer NOT NULL, ord integer NOT NULL,
  mod integer NOT NULL, usn integer NOT NULL, type integer NOT NULL, queue integer NOT NULL,
  due integer NOT NULL, ivl integer NOT NULL, factor integer NOT NULL, reps integer NOT NULL,
  lapses integer NOT NULL, left integer NOT NULL, odue integer NOT NULL, odid integer NOT NULL,
  flags integer NOT NULL, data text NOT NULL);
CREATE TABLE revlog (id integer PRIMARY KEY, cid integer NOT NULL, usn integer NOT NULL,
  ease integer NOT NULL, ivl integer NOT NULL, lastIvl integer NOT NULL, factor integer NOT NULL,
  time integer NOT NULL, type integer NOT NULL);
CREATE TABLE graves (usn integer NOT NULL, oid integer NOT NULL, type integer NOT NULL);
CREATE INDEX ix_notes_usn ON notes (usn);
CREATE INDEX ix_cards_usn ON cards (usn);
CREATE INDEX ix_revlog_usn ON revlog (usn);
CREATE INDEX ix_cards_nid ON cards (nid);
CREATE INDEX ix_cards_sched ON cards (did, queue, due);
CREATE INDEX ix_revlog_cid ON revlog (cid);
CREATE INDEX ix_notes_csum ON notes (csum);
"""
CONF = """{
  "schedVer": 2, "rollover": 4, "newSpread": 0, "collapseTime": 1200, "timeLim": 0, "estTimes": true,
  "dueCounts": true, "sortType": "noteFld", "sortBackwards": false
}"""
OPTIONS = """{"1": {
  "id": 1, "name": "Default", "mod": 0, "usn": 0, "maxTaken": 600, "autoplay": true, "timer": 0,
  "replayq": true, "dyn": false,
  "new": {
    "bury": true, "delays": [1, 10], "initialFactor": 2500, "ints": [1, 4, 7], "order": 1, "perDay": 10,
    "separate": true
  },
  "rev": {
    "bury": true, "ease4": 1.3, "fuzz": 0.05, "ivlFct": 1, "maxIvl": 36500, "minSpace": 1, "perDay": 200,
    "hardFactor": 1.2
  },
  "lapse": {"delays": [10], "leechAction": 1, "leechFails": 8, "minInt": 1, "mult": 0}
}}"""
DECK = """{
  "usn": -1, "desc": "", "dyn": 0, "conf": 1, "collapsed": false, "browserCollapsed": false, "extendNew": 0,
  "extendRev": 0, "newToday": [0, 0], "revToday": [0, 0], "lrnToday": [0, 0], "timeToday": [0, 0]
}"""
NOTE_TYPE = """{
  "type": 0, "usn": -1, "sortf": 0, "did": null, "latexPre": "", "latexPost": "", "latexsvg": false,
  "tags": [], "vers": [], "req": [[0, "any", [0]]]
}"""
TEMPLATE = """{
  "name": "Question", "ord": 0, "did": null, "bqfmt": "", "bafmt": "", "bfont": "", "bsize": 0
}"""
FIELD = """{"sticky": false, "rtl": false, "font": "Arial", "size": 20, "media": []}"""


def deck_values(number: int, name: str, at: int) -> dict[str, Any]:
    """A deck. at: seconds, when it was changed."""
    return {**json.loads(DECK), "id": number, "name": name, "mod": at}


def note_type_values(
    number: int, name: str, fields: Sequence[str], template: tuple[str, str, str], at: int
) -> dict[str, Any]:
    """A note type with one card. template: front, back and style."""
    front, back, style = template
    return {
        **json.loads(NOTE_TYPE),
        "id": number,
        "name": name,
        "mod": at,
        "css": style,
        "tmpls": [{**json.loads(TEMPLATE), "qfmt": front, "afmt": back}],
        "flds": [{**json.loads(FIELD), "name": each, "ord": place} for place, each in enumerate(fields)],
    }
