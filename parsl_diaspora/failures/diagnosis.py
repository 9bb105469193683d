"""From evidence to a diagnosis: what class of failure it is, and whether trying again is proven useless."""

from __future__ import annotations

from collections.abc import Callable

from parsl_diaspora.events import Diagnosis, Failure
from parsl_diaspora.failures.context import NOTHING_KNOWN, Context
from parsl_diaspora.failures.determinism import DESTINED_AFTER, IsHealthy, proof
from parsl_diaspora.failures.matching import FailureRules, Finding
from parsl_diaspora.failures.rules import built_in, load_rules
from parsl_diaspora.failures.taxonomy import CLASSES, current_name
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import TaskState

#: A learned model: asked where no rule is certain.
Model = Callable[[Failure, Context], "Finding | None"]

#: From this confidence on a rule is certain.
CERTAIN = 0.7

_UNKNOWN = Finding("", "unknown", 0.0, "no rule of this release explains it", "")


class Diagnoser:
    """Says why tries fail.

    Args:
        rules: in order.
        model: asked where no rule is certain.
        destined_after: different healthy places at which the same failure condemns a task; 0 for never.

    Example:
        >>> Diagnoser().diagnose(Failure(chain=("builtins.MemoryError",))).failure_class
        'memory'
    """

    def __init__(
        self,
        rules: FailureRules | None = None,
        *,
        model: Model | None = None,
        destined_after: int = DESTINED_AFTER,
    ) -> None:
        self.rules = built_in() if rules is None else rules
        self.model = model
        self.destined_after = destined_after

    def diagnose(
        self,
        failure: Failure,
        task: TaskState | None = None,
        *,
        context: Context = NOTHING_KNOWN,
        refuted: bool = False,
        is_healthy: IsHealthy = lambda _: True,
    ) -> Diagnosis:
        """Why a try failed, and whether it is proven that trying again is useless.

        Args:
            failure: the evidence of this try.
            task: the task's tries, this one included.
            context: what is known of place and time.
            refuted: the same failure of the same app was once overcome by trying again.
            is_healthy: whether the place of a try may bear witness.
        """
        finding = self.find(failure, context)
        evidence = [finding.evidence]
        places = proof(
            failure,
            finding.failure_class,
            task,
            after=self.destined_after,
            refuted=refuted,
            is_healthy=is_healthy,
        )
        if places:
            evidence.append(
                f"the same failure with the same inputs at {len(places)} places: {', '.join(places)}"
            )
        return Diagnosis(
            failure_class=finding.failure_class,
            layer=CLASSES[finding.failure_class].layer,
            confidence=finding.confidence,
            evidence=tuple(evidence),
            destined=bool(places),
            missing=finding.missing,
            rule=finding.rule,
        )

    def find(self, failure: Failure, context: Context = NOTHING_KNOWN) -> Finding:
        """The class alone: as the raiser named it, by the rules, or by the model where no rule is certain."""
        declared = current_name(failure.declared)
        if declared in CLASSES:
            return Finding("declared", declared, 1.0, "the app itself named this class", "")
        found = self.rules.find(failure, context)
        if self.model is not None and (found is None or found.confidence < CERTAIN):
            guess = self.model(failure, context)
            if guess is not None and (found is None or _says_more(guess, found)):
                return guess
        return found or _UNKNOWN


def _says_more(guess: Finding, found: Finding) -> bool:
    """Where both name the same class, the rule's reason is the better one."""
    return guess.failure_class != found.failure_class and guess.confidence > found.confidence


def diagnoser_for(settings: Settings, model: Model | None = None) -> Diagnoser:
    """Rules of the site before the built-in ones.

    Raises:
        SettingsError: the file of rules cannot be read, or something in it is wrong.
    """
    rules = built_in()
    if settings.failure_rules:
        rules = load_rules(settings.failure_rules) + rules
    return Diagnoser(rules, model=model, destined_after=settings.destined_after)


def diagnose(
    failure: Failure,
    task: TaskState | None = None,
    *,
    context: Context = NOTHING_KNOWN,
    refuted: bool = False,
) -> Diagnosis:
    """Say why a try failed, by the built-in rules alone: see `Diagnoser`.

    Example:
        >>> diagnose(Failure(chain=("builtins.MemoryError",))).failure_class
        'memory'
    """
    return Diagnoser().diagnose(failure, task, context=context, refuted=refuted)
