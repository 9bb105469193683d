"""Why a try failed: the taxonomy, the evidence, and the diagnosis drawn from it."""

from __future__ import annotations

from parsl_diaspora.failures.diagnosis import diagnose
from parsl_diaspora.failures.evidence import describe
from parsl_diaspora.failures.taxonomy import CLASSES, FailureClass

__all__ = ["CLASSES", "FailureClass", "describe", "diagnose"]
