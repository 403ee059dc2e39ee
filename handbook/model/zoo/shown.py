"""How numbers of models are printed: with the unit people use and no more digits than say something."""

THIN = "\N{NARROW NO-BREAK SPACE}"
SPACE = "\N{NO-BREAK SPACE}"  # before a unit
NOTHING = "\N{EN DASH}"


def grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", THIN)


def billions(value: float) -> str:
    """With three digits: 8.03 B, 135 M."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size * 0.9995:
            return f"{three(value / size)}{SPACE}{unit}"
    return grouped(value)


def flops(value: float) -> str:
    return billions(value).replace("B", "G") + ("" if value >= 1e3 else SPACE) + "FLOP"


def memory(value: float) -> str:
    """Binary units with three digits: 128 KiB, 1.05 TiB."""
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if value >= 2**power * 0.9995:
            return f"{three(value / 2**power)}{SPACE}{unit}"
    return f"{grouped(value)}{SPACE}B"


def tokens(value: float) -> str:
    """8K for 8,192: contexts are named in units of 1,024."""
    return f"{value / 1024:.0f}K" if value >= 1024 and value % 1024 == 0 else grouped(value)


def three(value: float) -> str:
    """Three digits: 1.05, 16.1, 128."""
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}"
