"""The conversation of `handbook chat`: what the model is given, what the terminal shows."""

import os
import pty
import sys

from click.testing import CliRunner

from handbook.app.cli.chat import converse, reply
from handbook.chat import ScriptedChat
from handbook.records import Message, Sampling


def talk(lines: str, replies: list[str], start: list[Message]) -> tuple[ScriptedChat, str, str]:
    chat = ScriptedChat(replies)
    with CliRunner().isolation(input=lines) as (out, err, _):
        converse(chat, start, Sampling())
        return chat, out.getvalue().decode(), err.getvalue().decode()


def test_turns_are_carried_taken_back_and_forgotten() -> None:
    system = Message("system", "Be brief.")
    chat, out, err = talk("one\ntwo\n/undo\nthree\n/new\nfour\n/what\n/quit\n", list("ABCD"), [system])
    given = [[message.content for message in messages] for messages, _ in chat.asked]
    assert given == [
        ["Be brief.", "one"],
        ["Be brief.", "one", "A", "two"],
        ["Be brief.", "one", "A", "three"],
        ["Be brief.", "four"],
    ]
    assert [letter for letter in out if letter in "ABCD"] == list("ABCD")
    assert err.count("tokens/s") == 4
    assert (
        err.count("/undo takes the last turn back") == 2
    )  # at the start and after a word that it does not know


def test_the_end_of_input_leaves() -> None:
    chat, _, _ = talk("", [], [])
    assert chat.asked == []


def test_a_terminal_is_told_that_the_model_loads_and_a_pipe_is_not() -> None:
    ours, theirs = pty.openpty()
    kept = sys.stderr
    with os.fdopen(theirs, "w") as terminal:
        sys.stderr = terminal
        try:
            reply(ScriptedChat(["Hello."]), [Message("user", "Hi")], Sampling())
        finally:
            sys.stderr = kept
        terminal.flush()
        shown = ""
        while "tokens/s" not in shown:
            shown += os.read(ours, 4096).decode()
    os.close(ours)
    assert shown.index("Loading") < shown.index("\r\x1b[K")
    _, out, err = talk("one\n/quit\n", ["A"], [])
    assert "Loading" not in out + err
