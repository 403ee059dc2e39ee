"""`handbook doctor`."""

from typing import Any

import click

from handbook.app.cli.output import json_option, print_json
from handbook.settings import load


@click.command("doctor")
@json_option
def doctor_command(as_json: bool) -> int:
    """Say what this machine has (processor, memory, GPU, models, data folder, database) and what is missing.

    Exit code 1 when something needed is missing.
    """
    from handbook.app.doctor import examine

    report = examine(load())
    code = 0 if report["ok"] else 1
    if as_json:
        print_json("handbook.doctor/1", report)
        return code
    machine = report["machine"]
    rows = [
        ("handbook", f"{report['version']} on Python {machine['python']}, {machine['os']}"),
        ("processor", f"{machine['cpu']}, {machine['cores']} cores"),
        ("instruction sets", ", ".join(machine["isa"]) or "none recognised"),
        ("memory", f"{machine['memory_bytes'] / 2**30:.1f} GiB"),
        ("GPU", machine["gpu"] or "none (not needed)"),
        (
            "packages",
            ", ".join(f"{name} {version}" for name, version in report["packages"].items() if version),
        ),
        ("data folder", f"{report['data']['path']} ({report['data']['free_bytes'] / 1e9:.1f} GB free)"),
        (
            "database",
            f"{report['database']['url']}{'' if report['database']['exists'] else ' (made at first use)'}",
        ),
        ("book", f"{report['book']['chapters']} chapters in {report['book']['path']}"),
        ("judge", _held(report["judge"])),
        ("C compiler", report["compiler"] or "none (not needed)"),
        ("front end", "built" if report["frontend"]["built"] else "not built"),
    ]
    rows += [(f"model {row['name']}", row["path"] or "not here") for row in report["models"]]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")
    if not report["missing"]:
        click.echo("\nNothing is missing.")
    for item in report["missing"]:
        click.echo(f"\n{'Missing' if item['needed'] else 'Note'}: {item['what']}\n  -> {item['remedy']}")
    return code


def _held(judge: dict[str, Any]) -> str:
    """What holds a submission, in a line."""
    if judge["isolation"] is None:
        return "can't run here"
    return f"{judge['isolation']}: {', '.join(judge['layers']) or 'nothing'}"
