"""Situations to decide in, made of a few words."""

from __future__ import annotations

import inspect

from hypothesis import strategies as st

from parsl_diaspora.events import Diagnosis, Failure
from parsl_diaspora.failures import CLASSES, Context
from parsl_diaspora.recovery import Options, Situation

BOOLEANS = {
    name: st.booleans()
    for name in (
        "others_have_managers",
        "other_manager",
        "executor_usable",
        "unfit_everywhere",
        "own_handler_stops",
        "other_node",
        "other_block",
        "other_worker",
    )
}


OF_FAILURE = ("retryable", "phase", "retry_after", "exit_code", "message", "stderr", "filename")


def situation(kind="application", *, destined=False, missing="", chain=("x.Odd",), **known):
    """One situation of that failure class."""
    evidence = {name: known.pop(name) for name in OF_FAILURE if name in known}
    return Situation(
        failure=Failure(chain=chain, **evidence),
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
        node=draw(st.sampled_from([None, "n1"])),
        block=draw(st.sampled_from([None, "0"])),
        worker=draw(st.sampled_from([None, 0])),
        asked_memory=draw(st.sampled_from([None, 4_000])),
        room=draw(st.sampled_from([{}, {"birch": 1_000}])),
        context=Context(memory_peak=draw(st.sampled_from([None, 3_000]))),
        exit_code=draw(st.sampled_from([None, 0, 85])),
        other_executors=draw(st.sampled_from([(), ("birch",), ("birch", "cedar")])),
        avoid=draw(st.sampled_from([(), ("m0",)])),
        budget=draw(st.sampled_from(["application", "memory"])),
        max_tries=draw(st.integers(1, 3_000)),
        **numbers,
        **flags,
    )


assert set(BOOLEANS) <= set(inspect.signature(Situation).parameters)
