"""What several kinds carry."""

from __future__ import annotations

import msgspec


class Failure(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """One exception as evidence: nothing in it needs the exception's class to be importable.

    Attributes:
        chain: qualified class names, the raised one first, then its bases up to Exception.
        message: the exception's text, redacted and cut.
        traceback: the worker's traceback, redacted and cut.
        frame: innermost frame of the user's code, as ``file.py:function:line``.
        phase: where in the try's life it happened: ``launch`` on the submit side, ``unpack`` while function
            and arguments were rebuilt on the worker, ``run`` inside the app, ``pack`` while the result was
            serialized, ``lost`` when nothing came back.
        name: the thing that was missing, for import errors.
        errno: the operating system's number, for OSErrors.
        exit_code: exit status of a bash app, or of the worker that died under the task; negative for a
            signal.
        out_of_memory: the kernel, or a control group, ran out of memory when that worker died.
        retryable: False when the raiser said that trying again cannot help.
        declared: the raiser's own name for this kind of failure.
        filename: the path that an OSError is about, redacted.
        stderr: the last lines that a bash app wrote to stderr, redacted and cut.
        retry_after: seconds after which the raiser asks to be tried again; None if it asks for nothing.
    """

    chain: tuple[str, ...] = ()
    message: str = ""
    traceback: str = ""
    frame: str = ""
    phase: str = "run"
    name: str = ""
    errno: int | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    retryable: bool = True
    declared: str = ""
    filename: str = ""
    stderr: str = ""
    retry_after: float | None = None

    @property
    def type(self) -> str:
        """Qualified name of the class that was raised."""
        return self.chain[0] if self.chain else ""

    @property
    def fingerprint(self) -> str:
        """What makes two failures the same one: class and innermost user frame, never the text."""
        return f"{self.type}@{self.frame}"


class Diagnosis(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """Why a try failed.

    Attributes:
        failure_class: name of the class, see `parsl_diaspora.failures.taxonomy`.
        layer: application, framework, runtime or environment.
        confidence: 0 to 1.
        evidence: what spoke for it, in words.
        destined: trying again is proven useless everywhere.
        missing: what the place lacks, as the name of a module.
        rule: name of the rule that told the class; ``model`` or ``site`` for the learned model or the site's
            own diagnoser.
    """

    failure_class: str = "unknown"
    layer: str = "application"
    confidence: float = 0.0
    evidence: tuple[str, ...] = ()
    destined: bool = False
    missing: str = ""
    rule: str = ""
