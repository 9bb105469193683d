"""A site's own diagnoser, as a language model: asked off the critical path about what no rule tells.

It is named by ``Settings.diagnoser`` and gets plain data, redacted as the log is, see `question_about`. It
answers with the name of a class, with ``{"class", "confidence", "reason"}``, or with None. Nobody waits: the
answer is said as `DiagnosisRevised`, and a task that is still parked is decided anew. One that raises,
answers nonsense or takes too long is counted and said once.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from parsl_diaspora.events import Diagnosis, DiagnosisRevised, TryFailed
from parsl_diaspora.events.envelope import tell_as
from parsl_diaspora.failures import CLASSES, current_name
from parsl_diaspora.failures.evidence import clean_text, load_function

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

Ask = Callable[[dict[str, Any]], Any]

SURE = 0.6  # of a rule's class: from here on nobody else is asked
MOST_WAITING = 100
PART = "the site's diagnoser"
REASON_LIMIT = 500


class SecondOpinion:
    """Asks the site's diagnoser, one failure at a time.

    Args:
        session: of the run.
        ask: the site's function.
    """

    def __init__(self, session: Session, ask: Ask) -> None:
        self._session = session
        self._ask = ask
        self._waiting: queue.Queue[tuple[TryFailed, str, Diagnosis]] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._beginning = threading.Lock()
        self._stop = threading.Event()
        self.hung = False

    def consider(self, failed: TryFailed, func: str, diagnosis: Diagnosis) -> None:
        """Ask about a failure that no rule is sure of. Returns at once."""
        if diagnosis.confidence >= SURE or self.hung or self._stop.is_set():
            return
        try:
            self._begin()
            self._waiting.put_nowait((failed, func, diagnosis))
        except queue.Full:
            self._absorb(TimeoutError(f"{MOST_WAITING} failures wait for it; this one is not asked about"))
        except RuntimeError as error:  # the system has no thread to give
            self._absorb(error)

    def close(self) -> None:
        """Ask nothing more."""
        self._stop.set()

    def _begin(self) -> None:
        with self._beginning:  # failures come from a thread of every executor
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="diaspora-second-opinion", daemon=True)
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                item = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                self._ask_about(*item)
            except Exception as error:  # noqa: BLE001 - of whatever the site's code has answered
                self._absorb(error)

    def _ask_about(self, failed: TryFailed, func: str, diagnosis: Diagnosis) -> None:
        found: list[Any] = []
        question = question_about(failed, func, diagnosis)
        asked = threading.Thread(
            target=self._call, args=(question, found), name="diaspora-diagnoser", daemon=True
        )
        asked.start()
        asked.join(self._session.settings.diagnoser_timeout)
        if not found:
            if asked.is_alive():
                self.hung = True  # its thread is still there: no second one is started beside it
                seconds = self._session.settings.diagnoser_timeout
                self._absorb(TimeoutError(f"no answer within {seconds:g} s; it is not asked again"))
            return
        revised = diagnosis_from(found[0], diagnosis)
        if revised is not None and self._session.live is not None:
            self._session.live.say(revised_event(failed, revised))

    def _call(self, question: dict[str, Any], found: list[Any]) -> None:
        try:
            found.append(self._ask(question))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the site's code may raise anything
            self._absorb(error)

    def _absorb(self, error: BaseException) -> None:
        self._session.absorb(PART, error)


def second_opinion_for(session: Session) -> SecondOpinion | None:
    """The one that the settings name; None without one, or if it cannot be had, which is said once."""
    path = session.settings.diagnoser
    if not path:
        return None
    try:
        return SecondOpinion(session, load_function(path))
    except Exception as error:  # noqa: BLE001 - importing the site's module may raise anything
        session.absorb(PART, error)
        return None


def question_about(failed: TryFailed, func: str, diagnosis: Diagnosis) -> dict[str, Any]:
    """What the site's diagnoser gets: plain data, redacted as the log is."""
    failure = failed.failure
    return {
        "type": failure.type,
        "chain": list(failure.chain),
        "message": failure.message,
        "traceback": failure.traceback,
        "stderr": failure.stderr,
        "frame": failure.frame,
        "exit_code": failure.exit_code,
        "func": func,
        "class": diagnosis.failure_class,
        "classes": {name: each.definition for name, each in CLASSES.items()},
    }


def diagnosis_from(answer: Any, before: Diagnosis) -> Diagnosis | None:
    """The diagnosis that an answer makes.

    Raises:
        TypeError: it is of no kind that an answer may be.
        ValueError: it names a class that does not exist, or no confidence.

    Example:
        >>> diagnosis_from("memory", Diagnosis()).failure_class
        'memory'
        >>> diagnosis_from(None, Diagnosis())
    """
    if answer is None:
        return None
    told = {"class": answer} if isinstance(answer, str) else answer
    if not isinstance(told, dict) or "class" not in told:
        raise TypeError(f"An answer is a class, or has one under 'class'; this is {type(answer).__name__}.")
    name, confidence = current_name(str(told["class"])), float(told.get("confidence", 0.6))
    if name not in CLASSES:
        raise ValueError(f"{name!r} is no class of failures.")
    if not 0.0 <= confidence <= 1.0:
        raise ValueError(f"A confidence lies between 0 and 1; {confidence!r} does not.")
    if confidence <= before.confidence or name == before.failure_class:
        return None
    reason = clean_text(lambda: str(told.get("reason", "")), None) or "the site's diagnoser says so"
    return Diagnosis(
        failure_class=name,
        layer=CLASSES[name].layer,
        confidence=confidence,
        evidence=(reason[:REASON_LIMIT], *before.evidence),
        rule="site",
    )


def revised_event(failed: TryFailed, diagnosis: Diagnosis) -> DiagnosisRevised:
    """What is said of a diagnosis that was made later."""
    event = DiagnosisRevised(cause=(failed.id,), diagnosis=diagnosis)
    tell_as(event, failed)
    return event
