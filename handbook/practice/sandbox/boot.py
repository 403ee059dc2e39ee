"""Runs in a cell that starts cold: `python -I -S boot.py`, the plan as one line of JSON on stdin.

The plan: `root` (folder of the package handbook, readable only while `main` is imported), `path` of modules,
`main`, `channels` and `notes` (descriptors), `cwd`, `limits`, `threads`, `confine` (layers to put on, each of
which must hold), `read` (what stays readable),
`modules` (what can be imported; null: all). What fails here ends the cell before anything untrusted runs.

Book: machine-learning/coding-for-ml-engineers
"""

import json
import os
import sys


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.path[:] = [plan["root"], *plan["path"]]
    from handbook.practice.sandbox.inside import begin, only, resolve

    if plan["modules"] is not None:
        only({*plan["modules"], "handbook"})
    main = resolve(plan["main"])
    if plan["modules"] is not None:
        sys.path.remove(plan["root"])
    begin(main, plan)


if __name__ == "__main__":
    main()
