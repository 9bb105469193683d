"""``resilient(config)``: the one line that makes a Parsl program resilient."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from parsl.config import Config
from parsl.dataflow.memoization import BasicMemoizer
from parsl.executors import HighThroughputExecutor, MPIExecutor
from parsl.executors.base import ParslExecutor

from parsl_diaspora.errors import ConfigurationError, FabricError, SettingsError
from parsl_diaspora.executors import ResilientHighThroughputExecutor, ResilientMPIExecutor
from parsl_diaspora.executors.mixin import Hardening
from parsl_diaspora.executors.pool.executor import PoolExecutor
from parsl_diaspora.executors.remake import Recipe, arguments_of
from parsl_diaspora.executors.sites import known_sites
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.failures.evidence import load_function
from parsl_diaspora.hints import nearest
from parsl_diaspora.monitoring.deciding.retries import RetryHandler
from parsl_diaspora.monitoring.hub import ListeningHub
from parsl_diaspora.monitoring.memoizer import LifecycleMemoizer
from parsl_diaspora.monitoring.placing.memory import OFF
from parsl_diaspora.monitoring.session import Session
from parsl_diaspora.recovery import Policy
from parsl_diaspora.recovery.language.checking import check_labels
from parsl_diaspora.settings import RELAY_WORDS, Settings

logger = logging.getLogger(__name__)


def resilient(
    config: Config, settings: Settings | str | os.PathLike[str] | None = None, **overrides: Any
) -> Config:
    """A new Parsl configuration that does what the given one does, and survives.

    Stock `HighThroughputExecutor` and `MPIExecutor` instances become `ResilientHighThroughputExecutor` and
    `ResilientMPIExecutor` with the same arguments; the program's retry handler, memoizer and monitoring hub
    go on working inside ours. The given configuration is left as it was, but like any Parsl configuration its
    parts can be loaded only once. Executors of the program's own classes stay as they are.

    Args:
        config: the program's configuration.
        settings: settings, or the path of a YAML file with them. By default they come from the environment.
        **overrides: any field of `Settings`.

    Raises:
        ConfigurationError: ``config`` is no Parsl configuration, or is resilient already.
        SettingsError: a setting is unknown or does not fit.
        PatternError: the pattern of a trigger is none.
        FabricError: the event fabric cannot be opened.
        CheckpointError: states cannot be kept where the settings say.

    Example:
        >>> from parsl.executors import HighThroughputExecutor, MPIExecutor
        >>> config = resilient(Config(executors=[HighThroughputExecutor(label="cpu")]), max_tries=8)
        >>> type(config.executors[0]).__name__
        'ResilientHighThroughputExecutor'
    """
    _check_config(config)
    chosen = _settings(settings, overrides)
    chosen = _checked_fabric(chosen)
    chosen = _checked_places(chosen)
    chosen = _checked_policy(chosen, config)
    _check_functions(chosen)
    _check_model(chosen)
    _check_relay(chosen)
    _check_triggers(chosen)
    _check_pool(chosen, config)
    _check_checkpoint(chosen)
    session = Session(chosen, config.retries, tuple(_labels(config)))
    arguments = arguments_of(Config, config)
    arguments.update(
        executors=[each for executor in config.executors for each in _for_parsl(executor, session, config)],
        memoizer=LifecycleMemoizer(config.memoizer or BasicMemoizer(), session),
        retry_handler=RetryHandler(session, config.retry_handler),
        monitoring=ListeningHub(config.monitoring, session) if config.monitoring is not None else None,
        strategy=config.strategy if chosen.pool is None else "none",  # two that scale would fight
    )
    return Config(**arguments)


def _check_config(config: Any) -> None:
    if not isinstance(config, Config):
        hint = "Give the parsl.Config that the program would have loaded."
        raise ConfigurationError(
            f"resilient() takes a parsl.Config, not a {type(config).__name__}.", hint=hint
        )
    if isinstance(config.memoizer, LifecycleMemoizer):
        raise ConfigurationError("This configuration is resilient already.", hint="Call resilient() once.")


def _settings(settings: Any, overrides: dict[str, Any]) -> Settings:
    if settings is None:
        chosen = Settings.from_environment()
    elif isinstance(settings, Settings):
        chosen = settings
    elif isinstance(settings, str | os.PathLike):
        chosen = Settings.from_yaml(settings)
    else:
        message = f"settings must be Settings or the path of a YAML file, not {settings!r}."
        hint = "Single settings are keywords, as in resilient(config, max_tries=8)."
        raise ConfigurationError(message, hint=hint)
    return chosen.replace(**overrides) if overrides else chosen


def _checked_fabric(settings: Settings) -> Settings:
    """Open a fabric that was asked for before anything runs: a wrong URL is found now, not at night."""
    if settings.fabric is None:
        return settings
    fabric = open_fabric(settings.fabric)
    fabric.publisher("configure", immediate=True).close()
    settled = settings.replace(fabric=fabric.node_url or settings.fabric)  # a relative path is settled here
    fabric.close()  # the run opens its own: a spool would hand on twice
    return settled


def _checked_places(settings: Settings) -> Settings:
    """A wrong URL is found now."""
    if settings.places in (None, OFF):
        return settings
    return settings.replace(places=open_fabric(settings.places).node_url or settings.places)


def _checked_policy(settings: Settings, config: Config) -> Settings:
    """A policy that cannot be used is found now; a relative path is settled here."""
    labels = _labels(config)
    for label in settings.sites:
        if label not in labels:
            message = f"The setting 'sites' names {label!r}, which is no executor."
            raise SettingsError(message, hint=nearest(label, labels))
    if not settings.policy:
        return settings
    policy = Policy.of(settings.policy)
    check_labels(policy.rules, labels, policy.source)
    if isinstance(settings.policy, str):
        return settings.replace(policy=os.path.abspath(settings.policy))
    return settings


def _check_functions(settings: Settings) -> None:
    """A wrong name is found now: without its redactor, say, a run would record no text at all."""
    for name in ("redact", "diagnoser"):
        target = getattr(settings, name)
        if not target:
            continue
        try:
            load_function(target)
        except Exception as error:
            message = f"The setting {name!r} names {target!r}, which cannot be had: {error}."
            raise SettingsError(message, hint="It is written as package.module:function.") from error


def _check_model(settings: Settings) -> None:
    """A model that cannot be read is found now."""
    if settings.failure_model not in ("", OFF):
        from parsl_diaspora.failures.model.weights import read_weights

        read_weights(Path(settings.failure_model))


def _check_relay(settings: Settings) -> None:
    """An address that is none is found now."""
    if settings.relay in RELAY_WORDS:
        return
    from parsl_diaspora.fabric.relay.address import read_address

    try:
        read_address(str(settings.relay))
    except FabricError as error:
        raise SettingsError(
            f"The setting 'relay' names no address: {error.message}", hint=error.hint
        ) from error


def _check_triggers(settings: Settings) -> None:
    """A pattern that is none, or an action that cannot be had, is found now."""
    if settings.triggers:
        from parsl_diaspora.monitoring.triggers import check_triggers

        check_triggers(settings.triggers)


def _check_checkpoint(settings: Settings) -> None:
    """A store that nothing here can write to is found now."""
    if settings.checkpoint.store:
        from parsl_diaspora.checkpoint.store import open_level

        open_level(settings.checkpoint.store)


def _labels(config: Config) -> list[str]:
    """Of all executors, those that are members of pools included."""
    found: list[str] = []
    for executor in config.executors:
        found += [executor.label, *(executor.labels if isinstance(executor, PoolExecutor) else ())]
    return found


def _for_parsl(executor: ParslExecutor, session: Session, config: Config) -> list[ParslExecutor]:
    """What stands for one executor of a configuration in the resilient one."""
    if not isinstance(executor, PoolExecutor):
        return [_upgraded(executor, session)]
    pool = PoolExecutor(**arguments_of(PoolExecutor, executor))
    named = {label: site for label, site in session.settings.sites.items() if label in pool.seats}
    pool.sites = {**named, **(pool.sites or {})}
    strategy = config.strategy or "none"
    if session.settings.pool is not None:
        pool.strategy = strategy = "none"
    pool.upgrade(
        lambda member: _upgraded(member, session), strategy, config.max_idletime, config.strategy_period
    )
    session.look_after(pool)
    return [pool, *pool.faces()]


def _check_pool(settings: Settings, config: Config) -> None:
    """A site that there is not is found now."""
    if settings.pool is not None:
        found: dict[str, ParslExecutor] = {executor.label: executor for executor in config.executors}
        for pool in [each for each in config.executors if isinstance(each, PoolExecutor)]:
            del found[pool.label]
            found.update((label, member.executor) for label, member in pool.seats.items())
        settings.pool.check_sites(known_sites(found))


def _upgraded(executor: ParslExecutor, session: Session) -> ParslExecutor:
    hardened = _HARDENED.get(type(executor))
    if hardened is not None:
        executor = Recipe(executor).make(hardened)
    elif isinstance(executor, HighThroughputExecutor) and not isinstance(executor, Hardening):
        _say_left_alone(executor)
    if isinstance(executor, Hardening):
        executor.link = session
        session.watch(executor)
    return executor


def _say_left_alone(executor: HighThroughputExecutor) -> None:
    own = type(executor).__name__
    stock = "MPIExecutor" if isinstance(executor, MPIExecutor) else "HighThroughputExecutor"
    logger.warning(
        "parsl_diaspora: executor %r is a %s, a class of the program's own, and stays as it is: its tasks "
        "are retried, but nothing hardens the executor itself. Derive %s from Resilient%s to change that.",
        executor.label,
        own,
        own,
        stock,
    )


_HARDENED: dict[type, type[Hardening]] = {
    HighThroughputExecutor: ResilientHighThroughputExecutor,
    MPIExecutor: ResilientMPIExecutor,
}
