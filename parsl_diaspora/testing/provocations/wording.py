"""A labelled corpus from varied wording: templates by class and origin, with slots that are filled in."""

from __future__ import annotations

import builtins
import random
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import Failure
from parsl_diaspora.failures.model.corpus import Example

SPLITS = ("train", "test")
COPIES = 4
#: An origin that begins so may have an empty line as a wording.
WITHOUT_A_WORD = "parsl"
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_BASH = ("parsl.app.errors.BashExitFailure", "parsl.app.errors.AppException", "builtins.Exception")

_SLOTS = {
    "train": {
        "path": (
            "/scratch/study/out.h5",
            "/home/ada/input.dat",
            "/lustre/p12/run7/mesh.vtk",
            "data/part-3.csv",
        ),
        "host": ("nid00123", "n17.cluster.example", "db.example.org", "10.3.0.12"),
        "mod": ("torch", "netCDF4", "mdtraj", "gdal", "openmm"),
        "prog": ("sort", "solve", "namd2", "./simulate"),
        "user": ("ada", "grace"),
        "name": ("simulate", "debug", "Mesh", "load_state"),
        "url": ("https://files.example.org/a",),
    },
    "test": {
        "path": ("/gpfs/work/x/result.nc", "/local/job/config.yaml", "/projects/bio/reads.fq", "model.pt"),
        "host": ("c4-22", "queue.example.net", "172.16.4.9"),
        "mod": ("pyscf", "hdf5", "rdkit", "cantera"),
        "prog": ("blastn", "./flow", "awk"),
        "user": ("barbara", "kurt"),
        "name": ("analyse", "regular", "Grid", "fit"),
        "url": ("https://store.example.net/b",),
    },
}


class Wording(msgspec.Struct, frozen=True):
    """One template.

    Attributes:
        label: class of failures.
        split: train or test.
        how: the exception's class, or ``exit CODE``.
        origin: whose way of wording things it is.
        text: with slots.
    """

    label: str
    split: str
    how: str
    origin: str
    text: str


def read_wordings(path: Path) -> list[Wording]:
    """The templates of a file; its own head says how it is written.

    Raises:
        SettingsError: a line stands outside of a block, or a block's head is not understood.
    """
    found: list[Wording] = []
    label, head = "", ("", "", "")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#") and not head[0]:
            continue
        if line.startswith("== "):
            label, head = line[3:].strip(), ("", "", "")
        elif line.startswith("-- "):
            head = _head(line, f"{path}, line {number}")
        elif head[0] and (line or head[2].startswith(WITHOUT_A_WORD)):
            found.append(Wording(label, *head, text=line.replace("\\n", "\n")))
    return found


def _head(line: str, where: str) -> tuple[str, str, str]:
    parts = tuple(part.strip() for part in line[3:].split("|"))
    if len(parts) != 3 or parts[0] not in SPLITS:  # noqa: PLR2004 - split, how, origin
        raise SettingsError(
            f"{where}: {line!r} is no head of a block.", hint="-- train | RuntimeError | torch"
        )
    return parts[0], parts[1], parts[2]


def examples(
    wordings: list[Wording], split: str, *, copies: int = COPIES, seed: int = 1
) -> Iterator[Example]:
    """Labelled failures of one side, each template filled in several times where it has slots.

    Args:
        wordings: of both sides.
        split: which side.
        copies: of each template.
        seed: of the choice of what is filled in.
    """
    choice = random.Random(seed)
    for each in wordings:
        if each.split == split:
            texts = dict.fromkeys(_filled(each.text, split, choice) for _ in range(copies))
            for text in texts:
                yield Example(label=each.label, failure=_failure(each.how, text), origin=each.origin)


def _filled(text: str, split: str, choice: random.Random) -> str:
    values = {slot: choice.choice(words) for slot, words in _SLOTS[split].items()}
    numbers = {
        "n": str(choice.randrange(1_000, 90_000_000)),
        "small": str(choice.randrange(2, 40)),
        "gib": str(choice.randrange(2, 90)),
        "digit": str(choice.randrange(1, 10)),
        "job": str(choice.randrange(10_000, 999_999)),
        "hex": f"{choice.randrange(16, 65_535):x}",
    }
    for slot, value in {**values, **numbers}.items():
        text = text.replace(f"{{{slot}}}", value)
    return text


def _failure(how: str, text: str) -> Failure:
    if how.startswith("exit "):
        code = int(how[5:])
        message = f"bash_app step failed with unix exit code {code}"
        return Failure(chain=_BASH, message=message, exit_code=code, stderr=text)
    own, _, base = how.partition("<")
    number = _ERRNO.match(text)
    return Failure(
        chain=_chain(own, base.strip(">")),
        message=text,
        errno=int(number[1]) if number else None,
        name=text.split("'")[1] if "ModuleNotFound" in how and "'" in text else "",
    )


def _chain(own: str, base: str) -> tuple[str, ...]:
    above = getattr(builtins, base or own, Exception)
    bases = tuple(f"builtins.{cls.__name__}" for cls in above.__mro__ if issubclass(cls, Exception))
    return bases if own == above.__name__ else (own, *bases)
