"""The contract tests' own tools: the check of arguments against pybind11 itself, and what a double lets pass."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.gpu.bindings import RELEASES, bindings_of
from tests.gpu.contract import ROOMS
from tests.gpu.doubles import Behaviour, World
from tests.gpu.signatures import Parameter, overloads_of

ROOT = Path(__file__).parent.parent.parent


def test_nothing_of_the_product_reaches_the_simulation() -> None:
    modules = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert len(modules) > 50
    words = re.compile(r"\btests\b.*import|import.*\btests\b|simulated_tensorrt|host_cuda")
    assert not [path for path in modules if words.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("version", RELEASES)
def test_arguments_are_checked_as_pybind11_does(version: str) -> None:
    bindings = bindings_of(version)
    paths = {"PYTHONPATH": f"{bindings.packages}{os.pathsep}{ROOT}", "LD_LIBRARY_PATH": str(bindings.libraries)}
    command = [sys.executable, "-m", "tests.gpu.agreement_child"]
    done = subprocess.run(command, env={**os.environ, **paths}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    calls = json.loads(done.stdout)
    assert {taken for _, taken, _ in calls} == {True, False}
    assert not [call for call, taken, ours in calls if taken != ours]


def test_a_docstring_is_read_as_its_overloads() -> None:
    told = """shape(*args, **kwargs)
Overloaded function.

1. shape(self: tensorrt_bindings.tensorrt.IEngine, name: str, sizes: List[int] = [1, 2]) -> bool

    Words (in brackets) -> and arrows.

2. shape(self: tensorrt_bindings.tensorrt.IEngine, kind: tensorrt_bindings.tensorrt.Kind = <Kind.A: 0>, \
on: bool) -> tensorrt_bindings.tensorrt.Dims
"""
    first, second = overloads_of(told)
    assert first.parameters == (Parameter("name", "str", False), Parameter("sizes", "List[int]", True))
    assert second.parameters == (Parameter("kind", "Kind", True), Parameter("on", "bool", False))
    assert (first.returns, second.returns) == ("bool", "Dims")


class Engine:
    """As pybind11 writes classes: signatures stand in docstrings alone."""

    @property
    def layers(self) -> None:
        """(arg0: m.Engine) -> int"""

    @property
    def level(self) -> None:
        """(arg0: m.Engine) -> int"""

    @level.setter
    def level(self, value: int) -> None:
        """(arg0: m.Engine, arg1: int) -> None"""

    def run(self) -> None:
        """run(self: m.Engine, stream: int) -> bool"""

    def twin(self) -> None:
        """twin(self: m.Engine, other: Engine) -> Engine"""

    def save(self) -> None:
        """save(self: m.Engine) -> None"""

    def __init__(self, *_: object) -> None:
        """__init__(self: m.Engine, name: str) -> None"""


class Simulated(Behaviour):
    def __init__(self, world: World, name: str) -> None:
        super().__init__(world)
        self.layers, self.level, self._streams = 3, 1, list[int]()

    def run(self, stream: int) -> bool:
        self._streams.append(stream)
        return True

    def twin(self, other: Simulated) -> Simulated:
        assert isinstance(other, Simulated)
        return other


Simulated.__name__ = "Engine"


@pytest.fixture
def world() -> World:
    module = ModuleType("m")
    module.Engine = Engine  # type: ignore[attr-defined]
    return World(module)


@pytest.fixture
def engine(world: World) -> Any:
    return world.double(Simulated)("small")


def test_a_double_does_what_its_behaviour_does(world: World, engine: Any) -> None:
    assert engine.run(7) is True and engine.run(stream=8) is True
    assert engine.layers == 3
    engine.level = 5
    assert engine.level == 5
    assert engine.twin(engine) is engine
    assert world.calls == ["Engine('small')", "Engine.run(7)", "Engine.run(8)", "Engine.level=(5)"] + world.calls[-1:]
    assert not world.breaches


@pytest.mark.parametrize(
    "wrong",
    [
        lambda engine: engine.run(),
        lambda engine: engine.run(1, 2),
        lambda engine: engine.run("1"),
        lambda engine: engine.run(1.0),
        lambda engine: engine.run(handle=1),
        lambda engine: engine.twin(3),
        lambda engine: setattr(engine, "level", "high"),
        lambda engine: type(engine)(),
        lambda engine: type(engine)(5),
    ],
)
def test_a_double_refuses_arguments_that_the_real_one_would(wrong: Any, engine: Any, world: World) -> None:
    with pytest.raises(TypeError, match="incompatible function arguments"):
        wrong(engine)
    assert len(world.breaches) == 1


def test_a_double_knows_no_other_names(engine: Any) -> None:
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        engine.rum(1)
    with pytest.raises(AttributeError, match="no attribute 'levels'"):
        engine.levels = 3
    assert not hasattr(engine, "_streams")


def test_a_double_lets_nothing_be_set_that_cannot_be(engine: Any) -> None:
    for name in ("layers", "run"):
        with pytest.raises(AttributeError, match="has no setter"):
            setattr(engine, name, 4)


def test_what_the_simulation_lacks_is_told(engine: Any, world: World) -> None:
    with pytest.raises(NotImplementedError, match=r"no Engine\.save"):
        engine.save()
    assert world.breaches


def test_a_simulation_that_breaks_the_real_signature_is_told(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Simulated, "run", lambda self, stream: "done")
    with pytest.raises(AssertionError, match="real is bool"):
        engine.run(1)
