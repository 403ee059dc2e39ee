"""The group of verbs, the options that all share, and what exit codes mean."""

import importlib
import sys
from typing import Any

import click

from handbook import __version__
from handbook.app.cli.output import report_error
from handbook.errors import HandbookError

# verb -> module with a click command of the same name (dashes as underscores), and its line in --help
VERBS = {
    "open": ("handbook.app.cli.open", "Start the app and open it in the browser (the default)."),
    "ask": ("handbook.app.cli.ask", "Ask the book, or your own documents; cited passages."),
    "search": ("handbook.app.cli.ask", "Search book, questions and code."),
    "ingest": ("handbook.app.cli.ingest", "Make folders, files and pages a corpus of your own."),
    "corpora": ("handbook.app.cli.corpora", "List, show, update and delete your own corpora."),
    "chat": ("handbook.app.cli.chat", "Chat with the built-in model, or with the one you set."),
    "serve": ("handbook.app.cli.serve", "Serve a model under OpenAI's protocol, many requests at once."),
    "engine": ("handbook.app.cli.engine", "Write down what an engine does, and look at it step by step."),
    "book": ("handbook.app.cli.book", "Status of the book; check, fill and draw it."),
    "verify": ("handbook.app.cli.verify", "Rerun the labs and hold each claim against its bound."),
    "plan": ("handbook.app.cli.plan", "A study plan to your interview, and the session of each day."),
    "diagnostic": ("handbook.app.cli.diagnostic", "Twenty minutes that say what is solid and what is not."),
    "exercise": ("handbook.app.cli.exercise", "List, show and run coding exercises."),
    "judge": ("handbook.app.cli.judge", "Judge code, in isolation: by an exercise, or sets of problems."),
    "drill": ("handbook.app.cli.drill", "Answer questions of the book; what is due first."),
    "grade": ("handbook.app.cli.grade", "Grade a typed answer to a question of the book."),
    "cards": ("handbook.app.cli.cards", "Forecast, retention and leeches of the drill; undo an answer."),
    "models": ("handbook.app.cli.models", "List models and bring them to this machine."),
    "train": ("handbook.app.cli.train", "Train small models from nothing; fine-tune and align others."),
    "bench": ("handbook.app.cli.bench", "Run a benchmark and print its figures."),
    "zoo": ("handbook.app.cli.zoo", "Size public models, or your own config.json: weights, cache, FLOPs."),
    "doctor": ("handbook.app.cli.doctor", "Say what this machine has and what is missing."),
    "export": ("handbook.app.cli.state", "Write your reading marks, questions and attempts to a file."),
    "import": ("handbook.app.cli.state", "Add the contents of an export."),
}

EPILOG = """\b
Exit codes: 0 done and good; 1 done, and the answer is no (a claim fails, the book has faults, tests fail,
the book does not answer); 2 wrong use; 3 could not be done (the message says what to do).
Every verb that reports takes --json; the shapes are in docs/json.md."""


class Verbs(click.Group):
    """Loads a verb's module only when it is called: `--help` and the first page stay fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(VERBS[cmd_name][0])
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])


@click.group(cls=Verbs, invoke_without_command=True, epilog=EPILOG)
@click.version_option(__version__, prog_name="handbook")
@click.option("--port", type=click.IntRange(0, 65535), help="As in `handbook open`.")
@click.option("--no-browser", is_flag=True, help="As in `handbook open`.")
@click.pass_context
def handbook(ctx: click.Context, port: int | None, no_browser: bool) -> None:
    """The GenAI Lead Handbook: read it, run it, ask it, practise against it.

    Without a verb, starts the app (`handbook open`).
    """
    if ctx.invoked_subcommand is None:
        from handbook.app.cli.open import open_command

        ctx.invoke(open_command, port=port, no_browser=no_browser)
    elif port is not None or no_browser:
        raise click.UsageError("--port and --no-browser belong to `handbook open`.")


def main(arguments: list[str] | None = None) -> None:
    """Entry of the `handbook` command."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run and return the exit code. An expected error is one message with its remedy, never a traceback."""
    try:
        result: Any = handbook.main(args=arguments, prog_name="handbook", standalone_mode=False)
    except HandbookError as error:
        report_error(error)
        return 3
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0
