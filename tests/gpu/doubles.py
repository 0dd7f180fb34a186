"""Strict doubles of the classes of a real module: they allow what a real object allows, and check calls as it would.

A `Behaviour` is what a double does, under the real class's names. The code under test never sees it, only its `Double`:
that one knows no attribute which the real class has not, refuses arguments which no signature of the real docstring
takes, and refuses to set what cannot be set there. What the real class has but the simulation does not raises too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

from tests.gpu.signatures import Overload, accepts, overloads_of


class Behaviour:
    """What doubles do; the class bears the real one's name. Names that begin with _ are the simulation's own."""

    def __init__(self, world: World) -> None:
        self._world = world


class World:
    """One simulated module: the real names it rests on, and what was asked of its doubles."""

    def __init__(self, module: ModuleType) -> None:
        self.real = SimpleNamespace(**vars(module))  # as they were before any double took their place
        self.calls: list[str] = []  # "IBuilderConfig.set_flag(<BuilderFlag.INT8: 1>)"
        self.breaches: list[str] = []  # calls that the real classes would have refused
        self._doubles: dict[str, type[Double]] = {}

    def double(self, behaviour: type[Behaviour]) -> type[Double]:
        """The class to be put in the real one's place."""
        real = getattr(self.real, behaviour.__name__)
        content = {"__slots__": (), "__module__": real.__module__}
        content |= {"_world": self, "_real": real, "_behaviour": behaviour}
        content |= {name: _special(name) for name in ("__len__", "__getitem__", "__iter__") if hasattr(real, name)}
        content |= {name: getattr(real, name) for name in ("__enter__", "__exit__") if hasattr(real, name)}
        made = self._doubles[behaviour.__name__] = DoubleType(real.__name__, (Double,), content)
        return made

    def call(self, what: str, overloads: Sequence[Overload], function: Any, args: Any, keywords: Any) -> Any:
        """Call a behaviour's function with what the code under test gave, if one of the overloads takes it."""
        for overload in overloads:
            bound = overload.bind(self._accepts, args, keywords)
            if bound is not None:
                self.calls.append(f"{what}({', '.join(map(repr, bound.values()))})")
                result = function(**{name: _behind(value) for name, value in bound.items()})
                return self._shown(what, overload.returns, result)
        raise self.breach(TypeError(_refusal(what, overloads, args, keywords)))

    def breach(self, error: Exception) -> Exception:
        self.breaches.append(f"{type(error).__name__}: {error}")
        return error

    def _accepts(self, kind: str, value: Any) -> bool:
        return accepts(self.real, _kind_of, kind, value)

    def _shown(self, what: str, kind: str, result: Any) -> Any:
        """A behaviour's result as the code under test may see it; the simulation itself must keep to the signature."""
        if isinstance(result, list):
            return [self._shown(what, "object", item) for item in result]
        shown = self._wrapped(result) if isinstance(result, Behaviour) else result
        assert shown is None or self._accepts(kind, shown), f"the simulation's {what} gave {shown!r}, real is {kind}"
        return shown

    def _wrapped(self, behaviour: Behaviour) -> Double:
        if "_double" not in vars(behaviour):
            double = object.__new__(self._doubles[type(behaviour).__name__])
            object.__setattr__(double, "_behind", behaviour)
            behaviour._double = double
        return behaviour._double


class DoubleType(type):
    """The class of a double's class: calling it is the real constructor, asking it for a name asks the real class."""

    _world: World
    _real: type
    _behaviour: type[Behaviour]

    def __call__(cls, *args: Any, **keywords: Any) -> Any:
        what, overloads = cls._real.__name__, overloads_of(cls._real.__init__.__doc__)
        if not overloads:
            raise cls._world.breach(TypeError(f"{cls._real.__module__}.{what}: No constructor defined!"))
        make = partial(cls._behaviour, cls._world)
        made = cls._world.call(what, [_returning(what, overload) for overload in overloads], make, args, keywords)
        return made

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls._real, name)


class Double(metaclass=DoubleType):
    """What the code under test holds. Everything goes through the real class's own account of itself."""

    __slots__ = ("__weakref__", "_behind")
    _world: ClassVar[World]
    _real: ClassVar[type]

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        kind, behaviour = type(self), _behind(self)
        what, attribute = f"{kind._real.__name__}.{name}", _real_attribute(kind._real, name)
        simulated = getattr(behaviour, name, _ABSENT)
        if simulated is _ABSENT:
            raise kind._world.breach(NotImplementedError(f"the simulation has no {what}: teach it, or do without"))
        if isinstance(attribute, property):
            getter = overloads_of(attribute.fget.__doc__)
            return kind._world._shown(what, getter[0].returns if getter else "object", simulated)
        return partial(_called, kind._world, what, overloads_of(attribute.__doc__), simulated)

    def __setattr__(self, name: str, value: Any) -> None:
        kind, behaviour = type(self), _behind(self)
        attribute = _real_attribute(kind._real, name)
        if not isinstance(attribute, property) or attribute.fset is None:
            raise AttributeError(f"property {name!r} of {kind._real.__name__!r} object has no setter")
        what, overloads = f"{kind._real.__name__}.{name}=", overloads_of(attribute.fset.__doc__)
        overloads = [Overload(overload.text, overload.parameters, "None") for overload in overloads]
        if value is None and overloads[0].parameters[0].kind.startswith("I"):  # an interface is unset by None
            setattr(behaviour, name, None)
            return

        def store(arg1: Any) -> None:
            setattr(behaviour, name, arg1)

        kind._world.call(what, overloads, store, (value,), {})

    def __repr__(self) -> str:
        return f"<simulated {type(self)._real.__name__}>"


_ABSENT = object()


def _called(world: World, what: str, overloads: Sequence[Overload], function: Any, *args: Any, **keywords: Any) -> Any:
    return world.call(what, overloads, function, args, keywords)


def _behind(value: Any) -> Any:
    """The behaviour of a double; anything else as it is."""
    return object.__getattribute__(value, "_behind") if isinstance(value, Double) else value


def _kind_of(value: Any) -> type:
    """The real class of a value: a double's, or that which stands in `stands_for` of its class."""
    kind = type(value)
    return kind._real if isinstance(kind, DoubleType) else getattr(kind, "stands_for", kind)


def _real_attribute(real: type, name: str) -> Any:
    try:
        return getattr(real, name)
    except AttributeError:
        message = f"'{real.__module__}.{real.__name__}' object has no attribute {name!r}"
        raise AttributeError(message) from None


def _special(name: str) -> Any:
    """len(), [] and the like, where the real class has them: of the behaviour, if it has them too."""

    def call(self: Double, *args: object) -> Any:
        simulated = getattr(_behind(self), name, None)
        if simulated is None:
            raise type(self)._world.breach(NotImplementedError(f"the simulation has no {name} of {self!r}"))
        return simulated(*args)

    return call


def _returning(what: str, overload: Overload) -> Overload:
    """A constructor's signature says None; what it gives is an object of its class."""
    return Overload(overload.text, overload.parameters, what)


def _refusal(what: str, overloads: Sequence[Overload], args: Sequence[Any], keywords: Mapping[str, Any]) -> str:
    """In pybind11's own words."""
    known = "\n".join(f"    {number}. {overload.text}" for number, overload in enumerate(overloads, 1))
    given = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in keywords.items())])
    return (
        f"{what}(): incompatible function arguments. The following argument types are supported:\n{known}\n\n"
        f"Invoked with: {given}"
    )
