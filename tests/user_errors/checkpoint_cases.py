"""States of running tasks that cannot be saved, or cannot be gone on from."""

from __future__ import annotations

from tests.user_errors.case import Case

_STORE = (
    "import numpy as np\n"
    "from parsl_diaspora.checkpoint import DirectoryLevel, Identity, Saver, Store, restore\n"
    'store = Store([DirectoryLevel("checkpoints")], "key")\n'
    'saver = Saver(store, Identity(run="run", task=0, attempt=0, launch=1))\n'
)
_SAVED = _STORE + 'saver.save({"x": np.zeros(4)})\nsaver.wait(10)\n'
_OF_APPS = "from parsl_diaspora import Checkpoint\n"

CHECKPOINTS = (
    Case("An interval that is none", code='resilience(checkpoint="often")'),
    Case("No time between two saves", code='resilience(checkpoint="0s")'),
    Case("Something else than that", code="resilience(checkpoint=[30])"),
    Case("A signal that there is not", code=_OF_APPS + 'Checkpoint(files=("state.bin",), signal="USR1")'),
    Case("Less than one save that stays", code='resilient(config, checkpoint={"keep": 0})'),
    Case("A quota that is no size", code='resilient(config, checkpoint={"quota": "much"})'),
    Case("A key of the setting that there is not", code='resilient(config, checkpoint={"stor": "/scratch"})'),
    Case(
        "A part of the state that cannot be pickled",
        code=_STORE + 'import threading\nsaver.save({"x": np.zeros(4), "lock": threading.Lock()})',
    ),
    Case("A part without a name", code=_STORE + "saver.save({3: np.zeros(4)})"),
    Case(
        "A file of the state that is not there",
        code=_STORE
        + 'from parsl_diaspora.checkpoint import StateFile\nsaver.save({"model": StateFile("model.bin")})',
    ),
    Case("An array that has another shape now", code=_SAVED + 'restore(store, {"x": np.zeros(5)})'),
    Case(
        "A save that was torn",
        code=_SAVED
        + "import os\n"
        + "(save,) = store.saves()\n"
        + 'os.truncate(f"checkpoints/key/{save.name}", 100)\n'
        + "store.manifest(save)",
    ),
    Case(
        "A later try has begun",
        code=_SAVED + "store.begin(launch=2)\nstore.check_not_fenced(1, store.names_by_level())",
    ),
    Case(
        "A file that cannot be put back",
        code=_STORE
        + "import os\nfrom parsl_diaspora.checkpoint import StateFile\n"
        + 'open("model.bin", "w").close()\n'
        + 'saver.save({"model": StateFile("model.bin")})\nsaver.wait(10)\n'
        + 'os.unlink("model.bin")\nos.mkdir("model.bin")\n'
        + "restore(store)",
    ),
    Case(
        "An object store, and no library for it",
        code='from parsl_diaspora.checkpoint import open_level\nopen_level("s3://bucket/checkpoints")',
        missing=("fsspec",),
        given="fsspec is not installed",
    ),
)
