"""The order in which stages run, or a cycle that forbids one."""


def run_order(needs: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    raise NotImplementedError("who is ready? what is left?")
