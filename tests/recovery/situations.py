"""Situations to decide in, made of a few words."""

from __future__ import annotations

import inspect

from hypothesis import strategies as st

from parsl_diaspora.events import Diagnosis, Failure
from parsl_diaspora.failures import CLASSES
from parsl_diaspora.recovery import Options, Situation

BOOLEANS = {
    name: st.booleans()
    for name in (
        "others_have_managers",
        "other_manager",
        "executor_usable",
        "unfit_everywhere",
        "own_handler_stops",
    )
}


def situation(
    kind="application", *, destined=False, missing="", retryable=True, chain=("x.Odd",), phase="run", **known
):
    """One situation of that failure class."""
    return Situation(
        failure=Failure(chain=chain, retryable=retryable, phase=phase),
        diagnosis=Diagnosis(
            failure_class=kind, layer=CLASSES[kind].layer, destined=destined, missing=missing
        ),
        executor="alder",
        **known,
    )


@st.composite
def situations(draw):
    """Any situation, sensible or not."""
    numbers = {
        name: draw(st.integers(0, 2_000)) for name in ("tries", "used", "limit", "infrastructure_failures")
    }
    flags = {name: draw(strategy) for name, strategy in BOOLEANS.items()}
    return situation(
        draw(st.sampled_from(sorted(CLASSES))),
        destined=draw(st.booleans()),
        missing=draw(st.sampled_from(["", "strokes", "parsl_diaspora", "{odd}"])),
        retryable=draw(st.booleans()),
        chain=draw(st.sampled_from([(), ("builtins.KeyError", "builtins.Exception")])),
        options=draw(st.sampled_from([Options(), Options(non_retryable=("builtins.KeyError",))])),
        manager=draw(st.sampled_from([None, "m1"])),
        other_executors=draw(st.sampled_from([(), ("birch",), ("birch", "cedar")])),
        avoid=draw(st.sampled_from([(), ("m0",)])),
        budget=draw(st.sampled_from(["application", "memory"])),
        max_tries=draw(st.integers(1, 3_000)),
        **numbers,
        **flags,
    )


assert set(BOOLEANS) <= set(inspect.signature(Situation).parameters)
