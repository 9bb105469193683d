"""The table at the end, and whether the promise was kept."""

from __future__ import annotations

from rich.table import Table

from parsl_diaspora.cli.demo.messages import Finished, VariantName

TITLES: dict[VariantName, str] = {
    "undisturbed": "no faults, stock Parsl",
    "stock": "faults, stock Parsl (retries=2)",
    "resilient": "faults, resilient(config)",
}


def table(results: dict[VariantName, Finished]) -> Table:
    """The variants side by side."""
    shown = Table(title="The same campaign, the same seed", title_justify="left")
    shown.add_column("")
    for name in ("done", "failed", "no answer", "tries", "wasted", "seconds"):
        shown.add_column(name, justify="right")
    shown.add_column("best score", justify="right")
    for variant, end in results.items():
        total = len(end.scores) + end.failed + end.unfinished
        shown.add_row(
            TITLES[variant],
            f"{len(end.scores)}/{total}",
            str(end.failed),
            str(end.unfinished),
            str(end.tries),
            str(end.wasted),
            f"{end.seconds:.1f}",
            f"{end.best_score:.6f}" if end.best else "-",
        )
    return shown


def best_model(results: dict[VariantName, Finished]) -> str:
    """The best model that each variant found, in one line."""
    found = {name: end.best or "none" for name, end in results.items()}
    if len(set(found.values())) == 1:
        return f"Best model, in all three: {found['resilient']}"
    return "Best model: " + "; ".join(f"{name}: {best}" for name, best in found.items())


def broken_promises(results: dict[VariantName, Finished]) -> list[str]:
    """What the resilient run owes and did not deliver, as sentences; empty if all is well."""
    calm, ours = results["undisturbed"], results["resilient"]
    broken = []
    if calm.failed or calm.unfinished:
        broken.append("The undisturbed run did not finish, so there is nothing to compare with.")
    if ours.failed or ours.unfinished:
        broken.append(f"{ours.failed} trials failed and {ours.unfinished} never answered.")
    if ours.scores != calm.scores:
        different = [name for name, score in ours.scores.items() if calm.scores.get(name) != score]
        broken.append(f"{len(different)} scores differ from those of the undisturbed run.")
    if ours.left_behind:
        broken.append(f"{ours.left_behind} processes were left behind.")
    if ours.missing:
        broken.append(f"The log of the resilient run is incomplete, its tries may be more: {ours.missing}.")
    return broken
