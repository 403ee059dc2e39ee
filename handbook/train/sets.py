"""Two small public sets that the chapters on training measure with: 999 instructions with answers, and 300
pairs of a chosen and a rejected answer. Both are samples that LLaMA-Factory (Zheng et al. 2024,
arXiv:2403.13372) ships for trying it out, under Apache 2.0. Nothing here imports torch.
"""

from pathlib import Path

from handbook.errors import DataUnavailable
from handbook.settings import Settings
from handbook.train.pinned import Open, Pinned

SOURCE = (
    "https://raw.githubusercontent.com/hiyouga/LLaMA-Factory/ff6d4d12eeb035d6ce06805a5733dd7b29f2ac30/data/"
)
OTHERWISE = (
    "`handbook train sets` downloads it. Without a network: put {url} (SHA-256 {sha256}) at {home}, or set "
    "HANDBOOK_SETS to the folder where it is."
)
INSTRUCTIONS = Pinned(
    what="the set of instructions",
    place="sets/alpaca_en_demo.json",
    url=SOURCE + "alpaca_en_demo.json",
    sha256="bcc37c64db1a739a0789a1b81f251146fcf4459f903474bc9e3c21bbb5628318",
    size=859_893,
    otherwise=OTHERWISE,
)
PREFERENCES = Pinned(
    what="the set of preferences",
    place="sets/dpo_en_demo.json",
    url=SOURCE + "dpo_en_demo.json",
    sha256="b949be2421cfa62744afcf1b479f95b299d643d1a4c1c97d1341b314a1aa5cb3",
    size=1_575_286,
    otherwise=OTHERWISE,
)
ALL = (INSTRUCTIONS, PREFERENCES)


def path_of(one: Pinned, settings: Settings) -> Path:
    """Where it lies: in the folder of the setting `sets`, else in the data folder."""
    return one.home(settings) if settings.sets is None else settings.sets / Path(one.place).name


def here(one: Pinned, settings: Settings) -> Path:
    """The file on this machine, its hash checked. Downloads nothing. Raises DataUnavailable."""
    path = path_of(one, settings)
    if not path.is_file():
        raise DataUnavailable(
            f"There is no {path}: {one.what} is not on this machine.", one.by_hand(settings)
        )
    return one.check(path, settings)


def bring(one: Pinned, settings: Settings, open_url: Open | None = None) -> Path:
    """As `here`, and downloads what is missing. Raises DataUnavailable, DiskFull."""
    if settings.sets is not None or one.home(settings).is_file():
        return here(one, settings)
    return one.download(settings, open_url)
