"""From a checkpoint to the fp32 ONNX file: static size, batch 1, the paper's layer names, our metadata inside."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Set
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import onnx
import torch
from torch import nn

from export.deploy_graph import OUTPUTS, REWRITES, DeployGraph
from fcn_edge.manifest import METADATA_KEY, ModelFacts
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.network import FCN

OPSET = 17  # the newest that TensorRT 8.5 and 8.6 parse
IR_VERSION = 8  # the one that belongs to opset 17
INPUT = "frame"


def onnx_from_checkpoint(
    checkpoint: Checkpoint,
    facts: ModelFacts,
    path: Path,
    outputs: tuple[str, ...] = OUTPUTS[:1],
    rewrites: Set[str] = REWRITES,
) -> None:
    """Write the deploy graph of `facts.size_hw` to `path`; the file knows nothing of the machine that made it."""
    height, width = facts.size_hw
    frame = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    with quiet_exporter():
        program = torch.onnx.export(
            DeployGraph(checkpoint, facts.size_hw, outputs, rewrites),
            (frame,),
            input_names=[INPUT],
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _name_layers(model.graph, checkpoint.network)
    _axes_as_attribute(model.graph)
    save(model, facts, path)


def save(model: onnx.ModelProto, facts: ModelFacts, path: Path) -> None:
    """Clean a graph, put the facts into its metadata and write it."""
    _strip_traces(model)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "fcn-edge", "", ""
    model.graph.name = "fcn_edge"
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(facts.to_json())})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _strip_traces(model: onnx.ModelProto) -> None:
    """The exporter notes the stack trace of every node, with the paths of the machine."""
    for owner in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        del owner.metadata_props[:]
        owner.doc_string = ""
    for initializer in model.graph.initializer:
        del initializer.metadata_props[:]
        initializer.doc_string = ""


def _name_layers(graph: onnx.GraphProto, network: FCN) -> None:
    """Name each convolution after its layer, so that reports and engines speak the paper's language."""
    # Deconvolutions follow one another, so their order tells them apart; their weights do not, for equal bilinear
    # kernels are stored once.
    deconvolutions = [name for name, module in network.named_children() if isinstance(module, nn.ConvTranspose2d)]
    for node in graph.node:
        if node.op_type == "Conv":
            layer = str(node.input[1]).removeprefix("network.").split(".weight")[0]
            node.name = network.final_name if layer == "decoder.kernel" else layer
        elif node.op_type == "ConvTranspose":
            node.name = deconvolutions.pop(0)


def _axes_as_attribute(graph: onnx.GraphProto) -> None:
    """ReduceMax took its axes as an attribute until opset 18; the exporter's conversion to 17 forgets it."""
    constants = {initializer.name: initializer for initializer in graph.initializer}
    for node in graph.node:
        if node.op_type == "ReduceMax" and len(node.input) == 2:
            axes = onnx.numpy_helper.to_array(constants[node.input.pop()])
            node.attribute.append(onnx.helper.make_attribute("axes", axes.tolist()))


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """The exporter talks of its own progress and of conversions that the checker and the scores prove."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
