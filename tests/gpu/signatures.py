"""pybind11's docstrings read as signatures: whether the real bindings would take a call, as they decide before any C++.

Where this differs from pybind11 it is stricter: None only where it is a default, bool only for bool.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

OPENING, CLOSING = "([<", ")]>"


@dataclass(frozen=True)
class Parameter:
    name: str
    kind: str  # pybind11's own word for the type, without the module: int, typing.SupportsInt, ITensor, List[str]
    has_default: bool


@dataclass(frozen=True)
class Overload:
    """One line of a docstring, without its `self`."""

    text: str
    parameters: tuple[Parameter, ...]
    returns: str

    def bind(
        self, accepts: Callable[[str, Any], bool], args: Sequence[Any], keywords: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """The arguments by name, or None if this overload does not take them."""
        names = [parameter.name for parameter in self.parameters]
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names) or set(given) & set(keywords):
            return None
        if any(name not in names or name.startswith("arg") for name in keywords):  # "arg0" has no name in truth
            return None
        bound = {**given, **keywords}
        fits = all(
            accepts(parameter.kind, bound[parameter.name]) if parameter.name in bound else parameter.has_default
            for parameter in self.parameters
        )
        return bound if fits else None


def overloads_of(docstring: str | None) -> tuple[Overload, ...]:
    """The signatures that a method's or a property's docstring tells, in the order in which pybind11 tries them."""
    lines = re.findall(r"^(?:\d+\. )?\w*(\(.*\) -> .*)$", docstring or "", re.MULTILINE)
    return tuple(_overload(line) for line in lines)


def _overload(line: str) -> Overload:
    line = re.sub(r"\btensorrt(?:_bindings)?\.tensorrt\.", "", line)
    inside, _, returns = line[1:].rpartition(") -> ")
    _, *parameters = _split(inside)  # the first is self
    return Overload(line, tuple(map(_parameter, parameters)), returns.strip())


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in OPENING) - (character in CLOSING)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _parameter(text: str) -> Parameter:
    name, _, rest = text.partition(": ")
    kind, equals, _ = rest.partition(" = ")
    return Parameter(name, kind, bool(equals))


def accepts(module: Any, kind_of: Callable[[Any], Any], kind: str, value: Any) -> bool:
    """Whether a value is of the type that a docstring names. `kind_of` gives a value's real class, double or not."""
    simple = SIMPLE.get(kind)
    if simple is not None:
        return simple(value)
    if match := re.fullmatch(r"(?:collections\.abc\.Sequence|[Ll]ist)\[(.*)\]", kind):
        inner = match[1]
        return isinstance(value, (list, tuple)) and all(accepts(module, kind_of, inner, item) for item in value)
    if kind == "Dims" and isinstance(value, (list, tuple)):  # converts by itself
        return all(map(_is_int, value))
    return issubclass(kind_of(value), _class(module, kind))


def _class(module: Any, kind: str) -> type:
    """The Python class; a C++ name stands where pybind11 knew no other when it wrote the docstring."""
    name = kind.rpartition("::")[2]
    try:
        found: type = attrgetter(name)(module)
    except AttributeError:
        found = attrgetter(name.removeprefix("I"))(module)  # nvonnxparser::IParserError is ParserError
    return found


def _is_int(value: Any) -> bool:
    return not isinstance(value, (float, str)) and (hasattr(value, "__index__") or hasattr(value, "__int__"))


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or _is_int(value)


def _is_buffer(value: Any) -> bool:
    try:
        return bool(memoryview(value).c_contiguous)
    except TypeError:
        return False


SIMPLE: dict[str, Callable[[Any], bool]] = {
    "int": _is_int,
    "typing.SupportsInt": _is_int,
    "float": _is_float,
    "typing.SupportsFloat": _is_float,
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, (str, bytes)),  # not os.PathLike
    "buffer": _is_buffer,
    "typing_extensions.Buffer": _is_buffer,
    "tuple": lambda value: isinstance(value, tuple),
    "list": lambda value: isinstance(value, list),
    "None": lambda value: value is None,
    "object": lambda value: True,
}
