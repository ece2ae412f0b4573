"""Export a model file to ONNX, for a deployment package without torch.

The graph takes the arrays the PyTorch module takes, any number of sentences of any length; SM-CNN takes one question
with its answers. What else a model file holds travels in the graph's metadata. The same model gives the same bytes.

Example:
  python utils/export_onnx.py sm_cnn sm_cnn.model build/sm_cnn.onnx
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch.export import Dim

from architectures import PREDICT
from inference import model_file
from sm_cnn import overlap
from toolkit.atomic_write import atomic_write
from toolkit.cli import output_file, parser, run

OPSET = 18  # what the exporter itself writes; older ones are converted


def example(architecture: str, content: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return arguments for a module's `forward`, and which of their dimensions may vary."""
    length = content["config"]["channels"] * content["config"]["dim"]

    def sentences(count: int, words: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(count, words, length), torch.full((count,), words)

    if architecture == "kim_cnn":
        words, lengths = sentences(3, 7)
        count = Dim("sentences")
        return {"words": words, "lengths": lengths}, {"words": {0: count, 1: Dim("time")}, "lengths": {0: count}}
    question, question_lengths = sentences(1, 5)
    answer, answer_lengths = sentences(3, 7)
    count = Dim("answers")
    arguments = {"question": question, "question_lengths": question_lengths,
                 "answer": answer, "answer_lengths": answer_lengths}  # fmt: skip
    varying: dict[str, Any] = {"question": {1: Dim("question_time")}, "question_lengths": None,
                               "answer": {0: count, 1: Dim("answer_time")}, "answer_lengths": {0: count}}  # fmt: skip
    if content["config"]["features"]:
        arguments["features"] = torch.zeros(3, overlap.count(content["config"]["features"]))
        varying["features"] = {0: count}
    return arguments, varying


def export(source: Path, architecture: str) -> onnx.ModelProto:
    """Return the ONNX graph of a model file, with all but its weights as JSON in the metadata."""
    module, content = model_file.read(source, architecture, PREDICT[architecture].build)
    arguments, varying = example(architecture, content)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the exporter about itself
        program: Any = torch.onnx.export(
            module,
            kwargs=arguments,
            input_names=list(arguments),
            output_names=["logits"],
            dynamic_shapes=varying,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    graph: onnx.ModelProto = program.model_proto
    for node in graph.graph.node:  # notes of the exporter, three times the weights, with paths of this machine
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.helper.set_model_props(graph, {name: json.dumps(content.get(name)) for name in model_file.METADATA})
    onnx.checker.check_model(graph, full_check=True)
    return graph


def main() -> int:
    """Run the command line; return the exit code."""
    options = parser(__doc__)
    options.add_argument("architecture", choices=sorted(PREDICT))
    options.add_argument("model", type=Path, help="the *.model file to export")
    options.add_argument("output", type=output_file, help="the *.onnx file to write")
    arguments = options.parse_args()
    graph = export(arguments.model, arguments.architecture)
    with atomic_write(arguments.output) as file:
        file.write(graph.SerializeToString(deterministic=True))
    return 0


if __name__ == "__main__":
    run(main)
