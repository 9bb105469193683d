"""How each command is used: what stands at the end of its ``--help``."""

from __future__ import annotations

#: Command to lines that work; a test parses each.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("demo", "demo --seed 7 --dir /tmp/demo"),
    "runs": ("runs", "runs --run-dir /scratch/me/runinfo"),
    "report": ("report last", "report 06845a1d --fabric file:/scratch/me/events"),
    "explain": ("explain last 21", "explain last 21 --traceback", "explain last --failed"),
    "diagnose": ("diagnose traceback.txt", "diagnose < slurm-4711.err"),
    "top": ("top last", "top last --once"),
    "cancel": ('cancel last 21 --reason "wrong input"',),
    "events": (
        "events tail --follow",
        "events export -o events.jsonl",
        "events verify --fabric file:/scratch/me/events",
    ),
    "hold": ('hold last --node n17 --reason "its disk is full"', "hold last --func simulate"),
    "drain": ("drain last --block 3 --executor gpu",),
    "release": ("release last --node n17", "release last --task 21 --executor gpu"),
    "undrain": ("undrain last --block 3 --executor gpu",),
    "holds": ("holds last",),
    "held": ("held last",),
    "retry": ("retry last --task 21", "retry last --class disk_full"),
    "fail": ('fail last --func simulate --reason "a wrong mesh"',),
    "migrate": ('migrate last 21 --to gpu --reason "maintenance at 18:00"',),
    "places": ("places", "places --func 'train*'", "places --forget 'train*'"),
    "pools": (
        "pools show last",
        "pools check pool.yaml",
        "pools simulate pool.yaml --trace world.yaml --seed 7",
        "pools simulate pool.yaml --run last",
        "pools orphans --cancel",
    ),
    "policy": ("policy check policy.yaml", "policy simulate policy.yaml --run last"),
    "triggers": (
        'triggers test \'{"kind": ["task.try_failed"]}\' < event.json',
        "triggers run --fabric file:/scratch/me/events --triggers triggers.yaml",
    ),
    "model": ("model show", "model train runinfo/000/events -o model.json", "model test failures.jsonl"),
    "bridge": ("bridge --from file:/scratch/me/events --to kafka://broker:9092/campaign --topics failures",),
}


def examples_of(command: str, program: str) -> str:
    """As text for the end of a command's help.

    Example:
        >>> print(examples_of("held", "parsl-diaspora"))
        examples:
          parsl-diaspora held last
    """
    lines = (f"  {program} {line}" for line in EXAMPLES[command])
    return "\n".join(["examples:", *lines])
