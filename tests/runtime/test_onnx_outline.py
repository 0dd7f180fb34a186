"""onnx_outline.py: it reads what the onnx package reads, refuses what is no plain ONNX, and ends whatever the bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fcn_edge.errors import ModelError
from fcn_edge.manifest import METADATA_KEY, ModelFacts
from runtime import protobuf_wire
from runtime.onnx_outline import DEEPEST, Outline, outline_of, require_plain_onnx
from tests.export.small_graphs import find, float_graph, half_graph, node, quantised_graph

# -- models that use every way by which a node or a tensor can be in a file ------------------------------------


def tensor(location: str | None = None) -> onnx.TensorProto:
    """A small tensor; with a location, one whose numbers are said to be there."""
    made = numpy_helper.from_array(np.ones(3, np.float32), "numbers")
    if location is not None:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value=location)
        made.external_data.add(key="length", value="12")
    return made


def sparse(values: onnx.TensorProto, indices: onnx.TensorProto | None = None) -> onnx.SparseTensorProto:
    indices = indices or numpy_helper.from_array(np.arange(3), "places")
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[9])


def graph_of(*nodes: onnx.NodeProto, initializer: list[onnx.TensorProto] | None = None) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "inner", [], [], initializer or [])


def with_node(extra: onnx.NodeProto) -> onnx.ModelProto:
    made = float_graph()
    made.graph.node.append(extra)
    return made


def with_attribute(value: Any) -> onnx.ModelProto:
    return with_node(node("Constant", "constant", [], value=value))


def with_branch(branch: onnx.GraphProto) -> onnx.ModelProto:
    return with_node(node("If", "choose", ["yes"], then_branch=branch, else_branch=graph_of()))


def with_branches(branch: onnx.GraphProto) -> onnx.ModelProto:
    made = with_node(node("Odd", "odd", []))
    made.graph.node[-1].attribute.append(helper.make_attribute("graphs", [graph_of(), branch]))
    return made


def with_function(inner: onnx.NodeProto, domain: str = "") -> onnx.ModelProto:
    made = float_graph()
    function = helper.make_function(domain, "Twice", ["x"], ["y"], [inner], [helper.make_opsetid("", 17)])
    made.functions.append(function)
    return made


def with_default_of_function(value: onnx.TensorProto) -> onnx.ModelProto:
    made = with_function(node("Add", "add", ["x", "x"]))
    made.functions[0].attribute_proto.append(helper.make_attribute("default", value))
    return made


def with_training(initialization: onnx.GraphProto, algorithm: onnx.GraphProto) -> onnx.ModelProto:
    made = float_graph()
    made.training_info.add(initialization=initialization, algorithm=algorithm)
    return made


def with_initializer(value: onnx.TensorProto) -> onnx.ModelProto:
    made = float_graph()
    made.graph.initializer.append(value)
    return made


def with_sparse_initializer(value: onnx.SparseTensorProto) -> onnx.ModelProto:
    made = float_graph()
    made.graph.sparse_initializer.append(value)
    return made


def with_attributes(name: str, values: list[Any]) -> onnx.ModelProto:
    made = with_node(node("Odd", "odd", []))
    made.graph.node[-1].attribute.append(helper.make_attribute(name, values))
    return made


WAYS_OF_A_TENSOR: dict[str, Callable[[onnx.TensorProto], onnx.ModelProto]] = {
    "initializer": with_initializer,
    "constant": with_attribute,
    "values of a sparse initializer": lambda value: with_sparse_initializer(sparse(value)),
    "indices of a sparse initializer": lambda value: with_sparse_initializer(sparse(tensor(), value)),
    "a sparse attribute": lambda value: with_attribute(sparse(value)),
    "tensors of an attribute": lambda value: with_attributes("tensors", [tensor(), value]),
    "sparse tensors of an attribute": lambda value: with_attributes("sparse", [sparse(tensor()), sparse(value)]),
    "initializer of a subgraph": lambda value: with_branch(graph_of(initializer=[value])),
    "constant of a subgraph": lambda value: with_branch(graph_of(node("Constant", "c", [], value=value))),
    "one of several subgraphs": lambda value: with_branches(graph_of(initializer=[value])),
    "constant of a function": lambda value: with_function(node("Constant", "c", [], value=value)),
    "default of a function": with_default_of_function,
    "first values of a training": lambda value: with_training(graph_of(initializer=[value]), graph_of()),
    "steps of a training": lambda value: with_training(graph_of(), graph_of(initializer=[value])),
}

STRANGE = node("Strange", "strange", ["x"], domain="com.example")

WAYS_OF_A_NODE: dict[str, Callable[[onnx.NodeProto], onnx.ModelProto]] = {
    "graph": with_node,
    "subgraph": lambda inner: with_branch(graph_of(inner)),
    "a subgraph's subgraph": lambda inner: with_branch(graph_of(node("If", "if", ["a"], then_branch=graph_of(inner)))),
    "one of several subgraphs": lambda inner: with_branches(graph_of(inner)),
    "function": with_function,
    "first values of a training": lambda inner: with_training(graph_of(inner), graph_of()),
    "steps of a training": lambda inner: with_training(graph_of(), graph_of(inner)),
}


def with_metadata() -> onnx.ModelProto:
    made = quantised_graph()
    helper.set_model_props(made, {METADATA_KEY: '{"schema_version": 1}', "author": "nobody", "": "Straße"})
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return made


WHOLE = {
    "float": float_graph,
    "half": half_graph,
    "quantised": quantised_graph,
    "metadata": with_metadata,
    **{f"tensor as {way}": (lambda make=make: make(tensor("w.bin"))) for way, make in WAYS_OF_A_TENSOR.items()},
    **{f"node in {way}": (lambda make=make: make(STRANGE)) for way, make in WAYS_OF_A_NODE.items()},
}


# -- the same, as the onnx package reads it --------------------------------------------------------------------


def outline_by_onnx(read: onnx.ModelProto) -> Outline:
    nodes = list(every(read, onnx.NodeProto))
    called = [*nodes, *read.functions]
    dequantised = {text(one.output[0]) for one in nodes if what(one) == ("", "DequantizeLinear") and one.output}
    quantised = [
        text(one.name) or text(one.output[0] if one.output else "")
        for one in nodes
        if what(one) == ("", "Conv") and len(one.input) > 1 and {text(name) for name in one.input[:2]} <= dequantised
    ]
    outside = [one for one in every(read, onnx.TensorProto) if one.data_location or one.external_data]
    return Outline(
        ir_version=read.ir_version,
        opsets={domain_of(entry): entry.version for entry in read.opset_import},
        metadata={text(entry.key): text(entry.value) for entry in read.metadata_props},
        nodes=len(nodes),
        domains=frozenset(domain_of(one) for one in called),
        foreign_operators=tuple(sorted({".".join(what(one)) for one in called if domain_of(one)})),
        external_data=tuple(sorted({place for one in outside for place in places_of(one) or [""]})),
        quantised_convolutions=tuple(sorted(quantised)),
    )


def every(message: Any, kind: type) -> Iterator[Any]:
    """All messages of a kind, wherever they are: by protobuf's own account of its fields, not by a list of ours."""
    if isinstance(message, kind):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if hasattr(value, "append") or hasattr(value, "add") else [value]:
                yield from every(inner, kind)


def what(one: Any) -> tuple[str, str]:
    return domain_of(one), text(one.name if isinstance(one, onnx.FunctionProto) else one.op_type)


def domain_of(one: Any) -> str:
    return "" if text(one.domain) == "ai.onnx" else text(one.domain)


def places_of(one: onnx.TensorProto) -> list[str]:
    return [text(entry.value) for entry in one.external_data if text(entry.key) == "location"]


def text(told: str | bytes) -> str:
    return told.decode(errors="replace") if isinstance(told, bytes) else told


def in_any_order(outline: Outline) -> Outline:
    return Outline(
        **{
            **outline.__dict__,
            **{
                name: tuple(sorted(getattr(outline, name)))
                for name in ("foreign_operators", "external_data", "quantised_convolutions")
            },
        }
    )


def write(folder: Path, content: onnx.ModelProto | bytes) -> Path:
    path = folder / "some.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


@pytest.mark.parametrize("name", WHOLE)
def test_it_reads_what_the_onnx_package_reads(name: str, tmp_path: Path) -> None:
    made = WHOLE[name]()
    assert in_any_order(outline_of(write(tmp_path, made))) == outline_by_onnx(made)


def test_it_reads_an_exported_bundle_as_the_onnx_package_does(tiny_bundle: Path) -> None:
    paths = sorted(tiny_bundle.glob("*.onnx"))
    assert len(paths) == 4
    for path in paths:
        outline = require_plain_onnx(path)
        assert in_any_order(outline) == outline_by_onnx(onnx.load(path))
        facts = ModelFacts.from_metadata(outline.metadata, path)
        assert path.name == f"model.{facts.precision}.onnx"
        assert (outline.opsets, outline.domains) == ({"": 17}, {""})


def test_convolutions_asked_for_in_int8_are_told_by_name(tmp_path: Path) -> None:
    outline = outline_of(write(tmp_path, quantised_graph()))
    assert outline.quantised_convolutions == ("conv",)
    assert outline_of(write(tmp_path, float_graph())).quantised_convolutions == ()


@pytest.mark.parametrize("end", [0, 1])
def test_a_convolution_with_one_quantised_end_is_not_asked_for_in_int8(end: int, tmp_path: Path) -> None:
    made = quantised_graph()
    find(made, "conv").input[end] = ["turn", "w"][end]
    assert outline_of(write(tmp_path, made)).quantised_convolutions == ()


def test_a_convolution_without_a_name_goes_by_its_output(tmp_path: Path) -> None:
    made = quantised_graph()
    find(made, "conv").ClearField("name")
    assert outline_of(write(tmp_path, made)).quantised_convolutions == ("conv",)


# -- what is refused --------------------------------------------------------------------------------------------


def refusal(path: Path, read: Callable[[Path], Outline] = outline_of) -> str:
    with pytest.raises(ModelError) as caught:
        read(path)
    told = str(caught.value)
    assert str(path) in told and told.isprintable() and len(told) < 600
    return told


@pytest.mark.parametrize("way", WAYS_OF_A_TENSOR)
@pytest.mark.parametrize("location", ["weights.bin", "../secret", "/etc/passwd", "a\x1b[2J\nb" * 99])
def test_external_data_is_refused_wherever_it_hides_and_wherever_it_is(location: str, way: str, tmp_path: Path) -> None:
    told = refusal(write(tmp_path, WAYS_OF_A_TENSOR[way](tensor(location))), require_plain_onnx)
    assert f"found external data ({location.split(chr(27))[0]}" in told


@pytest.mark.parametrize("way", WAYS_OF_A_TENSOR)
def test_a_tensor_of_the_file_itself_is_none_that_is_external(way: str, tmp_path: Path) -> None:
    assert outline_of(write(tmp_path, WAYS_OF_A_TENSOR[way](tensor()))).external_data == ()


def test_either_sign_of_external_data_is_enough(tmp_path: Path) -> None:
    no_entries, no_mark = tensor("x"), tensor("x")
    del no_entries.external_data[:]
    no_mark.ClearField("data_location")
    assert outline_of(write(tmp_path, with_initializer(no_entries))).external_data == ("",)
    assert outline_of(write(tmp_path, with_initializer(no_mark))).external_data == ("x",)
    assert "external data (no name)" in refusal(write(tmp_path, with_initializer(no_entries)), require_plain_onnx)


@pytest.mark.parametrize("way", WAYS_OF_A_NODE)
@pytest.mark.parametrize("domain", ["com.example", "com.microsoft", "ai.onnx.ml", "\x1b[2J"])
def test_an_operator_of_another_domain_is_refused_wherever_it_hides(domain: str, way: str, tmp_path: Path) -> None:
    inner = node("Strange", "strange", ["x"], domain=domain)
    told = refusal(write(tmp_path, WAYS_OF_A_NODE[way](inner)), require_plain_onnx)
    assert f"found {domain.replace(chr(27), '?')}.Strange;" in told


def test_a_function_of_another_domain_is_refused_even_where_nobody_calls_it(tmp_path: Path) -> None:
    made = with_function(node("Add", "add", ["x", "x"]), domain="local")
    assert "found local.Twice;" in refusal(write(tmp_path, made), require_plain_onnx)


def test_both_names_of_onnxs_own_domain_are_its_own(tmp_path: Path) -> None:
    made = with_node(node("Relu", "own", ["x"], domain="ai.onnx"))
    made.opset_import[0].domain = "ai.onnx"
    outline = require_plain_onnx(write(tmp_path, made))
    assert (outline.domains, outline.opsets) == ({""}, {"": 17})


def test_an_opset_that_no_node_uses_is_no_reason_to_refuse(tmp_path: Path) -> None:
    made = float_graph()
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert require_plain_onnx(write(tmp_path, made)).opsets == {"": 17, "com.microsoft": 1}


def field(number: int, content: bytes | int) -> bytes:
    """One field as protobuf writes it."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


HEAD = field(1, 8) + field(8, field(2, 17))


def nested(depth: int) -> bytes:
    """A whole model whose subgraphs stand in each other: graph, node, attribute, graph ..."""
    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))
    return HEAD + field(7, graph + field(1, b""))


ENDS = {
    "empty": (b"", "0 bytes"),
    "text": (b"not a model, but words\n", "found: "),
    "zeros": (bytes(5000), "a field of number 0"),
    "ones": (b"\xff" * 5000, "more than 64 bits"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "found: "),
    "a plan": (b"ftrt" + bytes(100), "found: "),
    "no opset": (field(1, 8) + field(7, field(1, b"")), "no opset in it"),
    "no version": (field(8, field(2, 17)) + field(7, field(1, b"")), "no IR version in it"),
    "no graph": (HEAD, "no graph in it"),
    "a graph of nothing": (HEAD + field(7, b""), "no graph in it"),
    "a length beyond the end": (HEAD + b"\x3a\xff\x7f", "goes past the end"),
    "a length of 2**63": (HEAD + b"\x3a" + varint(1 << 63), "goes past the end"),
    "an inner length beyond the outer end": (HEAD + field(7, b"\x0a\x05") + bytes(20), "goes past the end"),
    "a fixed number cut": (HEAD + varint(9 << 3 | 1) + b"1234", "goes past the end"),
    "a number cut": (HEAD + b"\x08\xff", "goes past the end"),
    "a number that never ends": (HEAD + b"\x08" + b"\x80" * 11, "more than 64 bits"),
    "a number of 70 bits": (HEAD + b"\x08" + b"\xff" * 9 + b"\x7f", "more than 64 bits"),
    "a group": (HEAD + varint(9 << 3 | 3), "wire type 3"),
    "no wire type": (HEAD + varint(9 << 3 | 7), "wire type 7"),
    "a graph that is a number": (HEAD + field(7, 5), "a number as field 7 of Model"),
    "a version that is text": (field(1, b"8") + HEAD, "bytes as field 1 of Model"),
    "too deep": (nested(DEEPEST // 3 + 1), "nested deeper than"),
    "far too deep": (nested(5_000), "nested deeper than"),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_is_no_onnx_file_is_one_line(name: str, tmp_path: Path) -> None:
    content, words = ENDS[name]
    assert words in refusal(write(tmp_path, content))


def test_subgraphs_as_deep_as_other_readers_take_them_are_read(tmp_path: Path) -> None:
    content = nested(DEEPEST // 3 - 1)
    assert outline_of(write(tmp_path, content)) == outline_by_onnx(onnx.load_from_string(content))


@pytest.mark.parametrize("what", ["nothing", "below a file", "folder", "pipe", "too long a name", "loop"])
def test_what_is_no_file_is_one_line_and_waits_for_nobody(what: str, tmp_path: Path) -> None:
    path = tmp_path / "some.onnx"
    if what == "below a file":
        path = write(tmp_path, b"x") / "other.onnx"
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "too long a name":
        path = tmp_path / ("x" * 300 + ".onnx")
    elif what == "loop":
        path.symlink_to(path)
    with pytest.raises(ModelError, match="found"):
        outline_of(path)


# -- whatever the bytes ------------------------------------------------------------------------------------------


def test_of_half_a_gigabyte_only_some_kilobytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 537 << 20
    tensor_head = field(8, b"fc6") + varint(9 << 3 | 2) + varint(size)
    graph_head = field(1, field(4, b"Relu")) + varint(5 << 3 | 2) + varint(len(tensor_head) + size)
    content = HEAD + varint(7 << 3 | 2) + varint(len(graph_head) + len(tensor_head) + size) + graph_head + tensor_head
    path = write(tmp_path, content)
    with path.open("r+b") as file:
        file.truncate(len(content) + size)  # a hole, which takes no room on the disk
    read = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *words: (read.append(words[1]), pread(*words))[1])
    assert outline_of(path).nodes == 1
    assert sum(read) < 100_000


def test_a_file_of_too_many_fields_ends_soon(tmp_path: Path) -> None:
    path = write(tmp_path, b"\x08\x08" * (protobuf_wire.MOST_FIELDS + 1))
    started = time.perf_counter()
    assert "more than 1000000 fields" in refusal(path)
    assert time.perf_counter() - started < 60  # 1 s; the machine may be busy


def test_names_beyond_measure_are_not_taken_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf_wire, "MOST_TEXT", 1 << 10)
    name = field(1, field(3, b"x" * 300))
    assert outline_of(write(tmp_path, HEAD + field(7, name * 3))).nodes == 3
    assert "MiB of names" in refusal(write(tmp_path, HEAD + field(7, name * 4)))


def test_a_file_that_grows_shorter_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, float_graph())
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    assert "grew shorter" in refusal(path)


SMALL = [make().SerializeToString() for make in WHOLE.values()]


def compare_with_onnx(path: Path) -> None:
    """Whatever we take, the onnx package reads alike, or not at all. External data may be seen by us alone."""
    try:
        ours = in_any_order(outline_of(path))
    except ModelError as error:
        assert str(error).isprintable()
        return
    try:
        theirs = outline_by_onnx(onnx.load(path, load_external_data=False))
    except Exception as error:  # protobuf's share no base with ours or with Python's
        assert "DecodeError" in type(error).__name__
        return
    if not theirs.external_data:
        ours, theirs = (Outline(**{**outline.__dict__, "external_data": ()}) for outline in (ours, theirs))
    assert ours == theirs


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_mutated_files_are_refused_or_read_as_the_onnx_package_reads_them(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(data.draw(st.sampled_from(SMALL)))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 8))
        inserted = data.draw(st.one_of(st.binary(max_size=8), st.just(bytes(content[start : start + 40]))))
        content[start : start + length] = inserted
    compare_with_onnx(write(tmp_path, bytes(content)))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), which=st.integers(0, len(SMALL) - 1))
def test_a_changed_byte_is_refused_or_read_as_the_onnx_package_reads_it(
    place: int, byte: int, which: int, tmp_path: Path
) -> None:
    content = bytearray(SMALL[which])
    content[place % len(content)] = byte
    compare_with_onnx(write(tmp_path, bytes(content)))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(content=st.binary(max_size=300))
@example(content=HEAD)
def test_random_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    refusal(write(tmp_path, content))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """Its opset stands last, so no cut leaves a whole file."""
    whole = float_graph().SerializeToString()
    for length in [*range(0, len(whole), 9), *range(len(whole) - 100, len(whole))]:
        refusal(write(tmp_path, whole[:length]))


def test_twice_the_same_graph_is_read_as_both(tmp_path: Path) -> None:
    """As protobuf merges: what a second graph brings is seen."""
    made = with_node(STRANGE)
    twice = float_graph().SerializeToString() + made.SerializeToString()
    assert outline_of(write(tmp_path, twice)) == outline_by_onnx(onnx.load_from_string(twice))
