"""`fcn-edge run --config FILE.toml`: sources, sinks and every option of `run` in a file; the command line overrides it.

model = "/var/lib/fcn-edge/bundle"
sinks = ["http://127.0.0.1:8080", "/var/lib/fcn-edge/out.mkv"]
alpha = 0.4

[sources]
gate = "rtsp://viewer:${GATE_PASSWORD}@192.0.2.7/stream1"
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from fcn_edge.errors import UsageError
from fcn_edge.settings_file import (
    TEXT,
    Key,
    SettingsFile,
    key_of,
    read_settings,
    require_known,
    require_type,
    require_value,
)
from runtime.placeholders import expand
from runtime.sinks.opening import Frames, require_each_once, require_sink_name
from runtime.sources.address import read_address
from runtime.sources.naming import NamedSource, name_sources

ONE, SEVERAL, SINKS = "source", "sources", "sinks"
NOT_HERE = ("config", "check", "also")  # options of `run` that a file has no use for, or another word

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", re.ASCII)  # of a source: it stands in addresses and in metrics

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class RunConfig:
    """What a file says, every value of it one that `run` takes."""

    name: str
    sources: Sequence[NamedSource]
    sinks: tuple[str, ...] = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)  # by the parameters of `run`

    def __str__(self) -> str:
        names = f" ({', '.join(source.name for source in self.sources)})" if self.sources else ""
        sinks, options = _counted(len(self.sinks), "sink"), _counted(len(self.options), "option")
        return f"{self.name}: {_counted(len(self.sources), 'source')}{names}, {sinks}, {options}"

    @contextmanager
    def naming(self, sources: Sequence[NamedSource], sinks: Sequence[str]) -> Iterator[None]:
        """What is refused of a run with these is told with the file's name, if it set any of them."""
        try:
            yield
        except UsageError as error:
            is_ours = sources is self.sources or (sinks and tuple(sinks) == self.sinks)
            raise UsageError(f"{self.name}: {error}" if is_ours else str(error)) from None


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'s' * (count > 1)}"


def config_option(command: Command) -> Command:
    """A command with --config, whose value is a RunConfig or None; its options and sinks become the defaults."""
    return click.option(
        "--config",
        metavar="FILE.toml",
        is_eager=True,
        callback=_follow,
        help="What is not given here: model, source or sources, sinks, and options by their names.",
    )(command)


def _follow(ctx: click.Context, param: click.Parameter, path: str | None) -> RunConfig | None:
    if path is None:
        return None
    config = read_run_config(Path(path), options_of(ctx.command))
    ctx.default_map = {**(ctx.default_map or {}), **config.options, **({SINKS: config.sinks} if config.sinks else {})}
    return config


def options_of(command: click.Command) -> dict[str, click.Option]:
    """What a file may set beside sources and sinks, by the flags without the dashes."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {key_of(option): option for option in options if option.name not in NOT_HERE}


def chosen_sources(given: Sequence[str | None], config: RunConfig | None) -> Sequence[NamedSource]:
    """Those of the command line, or else those of the file; raises UsageError where there are none."""
    if uris := [uri for uri in given if uri is not None]:
        return name_sources(uris)
    if config is not None and config.sources:
        return config.sources
    where = f"in {config.name}; write source = ..." if config else "on the command line; write fcn-edge run SOURCE ..."
    raise UsageError(f"wanted a source, found none {where}")


def read_run_config(
    path: Path, options: Mapping[str, click.Option], environment: Mapping[str, str] = os.environ
) -> RunConfig:
    """Raises UsageError, which names the file, the line, the key, what was wanted and what was found."""
    file = read_settings(path, "configuration")
    require_known(file, [ONE, SEVERAL, SINKS, *options], "run")
    values = {key: _filled(file, (key,), value, environment) for key, value in file.values.items()}
    filled = replace(file, values=values)
    for key in filter(options.__contains__, values):
        _require_option(file, filled, key, options[key])
    sources = _sources(filled)
    return RunConfig(
        str(path),
        sources,
        _sinks(file, filled, sources),
        {str(options[key].name): value for key, value in values.items() if key in options},
    )


def _filled(file: SettingsFile, key: Key, value: Any, environment: Mapping[str, str]) -> Any:
    """The value with every placeholder in its texts filled."""
    if isinstance(value, dict):
        return {name: _filled(file, (*key, name), item, environment) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(file, key, item, environment) for item in value]
    with file.naming(*key):
        return expand(value, environment) if isinstance(value, str) else value


def _require_option(written: SettingsFile, filled: SettingsFile, key: str, option: click.Option) -> None:
    """The message shows what is written in the file, never what a placeholder stands for."""
    try:
        require_value(filled, key, option)
    except UsageError:
        require_value(written, key, option)
        raise UsageError(
            f"{written.where(key)}: wanted a value that --{key} takes, found that {written.values[key]!r} stands for "
            "another; change that"
        ) from None


def _sources(file: SettingsFile) -> Sequence[NamedSource]:
    """Without a name of its own a source is called as on the command line."""
    if ONE in file.values and SEVERAL in file.values:
        raise UsageError(f"{file.where(ONE)}: wanted source or sources, found both; leave one out")
    if isinstance(table := file.values.get(SEVERAL), dict):
        return [_named_source(file, name, address) for name, address in table.items()]
    key = ONE if ONE in file.values else SEVERAL
    addresses = [file.values[ONE]] if key == ONE else _list(file, SEVERAL, "a list or a table")
    for address in addresses:
        _require_text(file, (key,), address)
    with file.naming(key):
        return name_sources(addresses)


def _named_source(file: SettingsFile, name: str, address: Any) -> NamedSource:
    _require_text(file, (SEVERAL, name), address)
    with file.naming(SEVERAL, name):
        if not NAME.fullmatch(name):
            raise UsageError(f"wanted a name of up to 32 letters, digits and _.-, found {name!r}; change it")
        return NamedSource(name, read_address(address))


def _sinks(written: SettingsFile, filled: SettingsFile, sources: Sequence[NamedSource]) -> tuple[str, ...]:
    sinks = _list(filled, SINKS, "a list")
    frames = Frames.LIVE if any(source.address.is_live for source in sources) else Frames.FOLDER  # which takes most
    for sink, as_written in zip(sinks, written.values.get(SINKS, ()), strict=True):
        _require_text(filled, (SINKS,), sink)
        if sources:
            _require_sink(filled, sink, as_written, frames)
    _require_each_once(filled, sinks, written.values.get(SINKS, ()))
    return tuple(sinks)


def _require_sink(file: SettingsFile, sink: str, as_written: str, frames: Frames) -> None:
    with file.naming(SINKS):
        try:
            require_sink_name(sink, frames)
        except UsageError:
            if sink == as_written:
                raise
            raise UsageError(f"wanted sinks, found that {as_written!r} stands for none; change that") from None


def _require_each_once(file: SettingsFile, sinks: Sequence[str], as_written: Sequence[str]) -> None:
    with file.naming(SINKS):
        try:
            require_each_once(sinks)
        except UsageError:
            require_each_once(as_written)
            raise UsageError("wanted every sink once, found that two stand for one; leave one out") from None


def _list(file: SettingsFile, key: str, wanted: str) -> list[Any]:
    value = file.values.get(key, [])
    require_type(file, (key,), value, ((list,), wanted))
    return list(value)


def _require_text(file: SettingsFile, key: Key, value: Any) -> None:
    require_type(file, key, value, TEXT)
    if not value:
        raise UsageError(f"{file.where(*key)}: wanted a name for {'.'.join(key)}, found an empty text; leave it out")
