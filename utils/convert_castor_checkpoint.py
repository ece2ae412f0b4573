"""Convert a model that Castor pickled whole (torch 0.1 to 0.4, `torch.save(model)`) to a model file.

Nothing in the pickle is run: objects of module classes become placeholders, tensors become arrays, and any other name
is refused. torch.load(weights_only=True) can't do it, whatever torch.serialization.safe_globals names: it refuses the
references to a class with its source that every such pickle holds ("Only persistent_load of storage is allowed").

Only weights are converted. Word vectors, even those trained inside the model, come from the file that it was trained
with, uploaded as for any model (multichannel: the given vector of a word, then the trained one). An SM-CNN with overlap
features gets those of this project, fitted on --overlap-data, as the pickle holds no idf: its scores will differ from
those it once had.

Example:
  python utils/convert_castor_checkpoint.py sm_cnn.TrecQA.model sm_cnn.model --overlap-data trecqa/train-all
  python utils/convert_castor_checkpoint.py kim_cnn.SST-1.pt kim_cnn.model --labels negative positive
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import math
import pickle  # nosec B403 # its Unpickler is subclassed, with a list of what may be loaded
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from architectures import PREDICT
from sm_cnn import overlap
from sm_cnn.dataset import read_questions
from toolkit import cli
from toolkit.cli import CommandError
from toolkit.training.model_writer import write_model

# The head of torch.save's format before 1.6, torch/serialization.py: three pickles, then the object's.
MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
DTYPES = {
    f"{name}Storage": np.dtype(dtype)
    for name, dtype in {
        "Double": "<f8", "Float": "<f4", "Half": "<f2", "Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1",
        "Byte": "u1",
    }.items()
}  # fmt: skip
# Castor's own classes, under the names of the modules they were defined in over the years.
CASTOR_MODULES = frozenset(("model", "__main__", "sm_cnn.model", "kim_cnn.model", "sm_model", "kim_model"))
CASTOR_CLASSES = frozenset(("QAModel", "SMCNN", "SmPlusPlus", "KimCNN"))


class Refused(Exception):  # noqa: N818
    """Raised for what a model is not made of."""


class PlaceholderModule:
    """Take the place of an object whose class is not loaded; the pickle fills its `__dict__`."""


class Storage:
    """Hold the values of tensors, which are read after the objects that refer to them."""

    def __init__(self, dtype: np.dtype, size: int):
        """Announce `size` numbers of `dtype`."""
        self.dtype, self.size = dtype, size
        self.data: np.ndarray | None = None


class Tensor:
    """A view of a storage."""

    def __init__(self, storage: Storage, offset: int, size: Sequence[int], stride: Sequence[int]):
        """Describe a view of `size` from `offset` on, in numbers, not bytes."""
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def array(self) -> np.ndarray:
        """Return the tensor as a float32 array of its own."""
        data = self.storage.data
        steps = [(size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True)]
        inside = min((self.offset, *self.size, *self.stride)) >= 0 and data is not None
        if not inside or data is None or self.offset + sum(steps) >= len(data):
            raise Refused("a tensor that reaches outside its storage")
        if math.prod(self.size) > len(data):  # with a stride of 0, of any size
            raise Refused("a tensor with more numbers than its storage")
        strides = [stride * data.itemsize for stride in self.stride]
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.size, strides, writeable=False)
        return np.array(view, np.float32)


def _rebuild_tensor(storage: Storage, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    return Tensor(storage, offset, size, stride)


def _parameter(data: Any, *_: Any) -> "Parameter":
    return Parameter(data)


class Parameter(PlaceholderModule):
    """A trained tensor; its pickled state repeats the tensor or holds flags, and is not needed."""

    def __init__(self, data: Any = None, *_: Any):
        """Wrap a Tensor."""
        self.data = data

    def __setstate__(self, state: Any) -> None:
        """Leave the flags out."""


def _nothing(*_: Any) -> None:
    return None


KNOWN = {
    ("__builtin__", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.nn.parameter", "Parameter"): Parameter,
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"): _nothing,
}


class RestrictedUnpickler(pickle.Unpickler):
    """Reads a module's attributes and tensors; refuses by name whatever is neither."""

    def __init__(self, stream: IO[bytes]):
        """Read from `stream`; strings of Python 2 are taken byte for byte."""
        super().__init__(stream, encoding="latin1")
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function here."""
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if module.startswith("torch.nn.modules.") or (module in CASTOR_MODULES and name in CASTOR_CLASSES):
            return type(name, (PlaceholderModule,), {})
        raise Refused(f"it holds {module}.{name}, which no Castor model needs")

    def persistent_load(self, id: Any) -> Any:
        """Return what a reference out of the pickle means: a class with its source, or a storage."""
        kind, *fields = id
        if kind == "module":
            return fields[0]
        if kind == "storage":
            dtype, key, _, size, view = fields
            if view is not None:
                raise Refused("a storage that is a view of another")
            return self.storages.setdefault(str(key), Storage(dtype, size))
        raise Refused(f"a reference of unknown kind {kind!r}")


def read_checkpoint(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the placeholder of the pickled module and its parameters as float32 arrays, by dotted name.

    Raises CommandError for a file of another kind, and for one that holds anything else than a module.
    """
    with path.open("rb") as stream:
        try:
            if RestrictedUnpickler(stream).load() != MAGIC or RestrictedUnpickler(stream).load() != PROTOCOL:
                raise ValueError("not the head of this format")
            if not RestrictedUnpickler(stream).load()["little_endian"]:
                raise Refused("written on a big-endian machine")
            unpickler = RestrictedUnpickler(stream)
            module = unpickler.load()
            for key in RestrictedUnpickler(stream).load():
                storage = unpickler.storages[str(key)]
                size = int.from_bytes(stream.read(8), "little")
                data = stream.read(size * storage.dtype.itemsize) if size == storage.size else b""
                storage.data = np.frombuffer(data, storage.dtype)
                if len(storage.data) != storage.size:
                    raise Refused("the numbers end too early; is it cut short?")
            if not isinstance(module, PlaceholderModule):
                raise Refused("not a module that was pickled whole")
            return module, _parameters(module)
        except Refused as error:
            raise CommandError(f"{path}: refused: {error}") from None
        except Exception as error:  # a pickle can be broken in any way
            raise CommandError(f"{path}: not a model pickled by torch 0.1 to 0.4 ({type(error).__name__})") from None


def _parameters(module: Any, prefix: str = "") -> dict[str, np.ndarray]:
    found = {}
    for name, value in vars(module).get("_parameters", {}).items():
        if value is not None:
            tensor = value.data if isinstance(value, Parameter) else value
            found[prefix + name] = tensor.array()
    for name, child in vars(module).get("_modules", {}).items():
        if child is not None:
            found.update(_parameters(child, f"{prefix}{name}."))
    return found


def to_model(arrays: dict[str, np.ndarray], dropout: float) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """Return architecture, config and state dict (of arrays) for a checkpoint's parameters.

    Raises CommandError when they are those of neither model.
    """
    state = {name.replace(".0.", "."): array for name, array in arrays.items()}  # Sequential(conv, tanh)
    for name, array in state.items():
        if name.startswith("conv") and array.ndim == 3:  # Conv1d (filters, dim, width): as Conv2d
            state[name] = np.ascontiguousarray(array.transpose(0, 2, 1)[:, None])
    names = {name.partition(".")[0] for name in state}
    if names >= {"conv_q", "conv_a", "combined_feature_vector", "hidden"}:
        keep = ("conv_q.", "conv_a.", "combined_feature_vector.", "hidden.")
        filters, channels, width, dim = state["conv_q.weight"].shape
        features = state["hidden.weight"].shape[1] > 2 * filters
        config = {"filters": filters, "width": width, "features": features}
        architecture = "sm_cnn"
    elif names >= {"conv1", "conv2", "conv3", "fc1"}:
        keep = ("conv1.", "conv2.", "conv3.", "fc1.")
        filters, channels, _, dim = state["conv1.weight"].shape
        for name in ("conv1.weight", "conv2.weight", "conv3.weight"):
            state[name] = np.ascontiguousarray(state[name][:, ::-1])  # Castor's has the trained channel first
        config = {"filters": filters, "labels": [str(label) for label in range(len(state["fc1.bias"]))]}
        architecture = "kim_cnn"
    else:
        raise CommandError(f"neither SM-CNN nor Kim CNN: its layers are {', '.join(sorted(names))}")
    mode = "multichannel" if channels == 2 else "static"
    config = {"mode": mode, "channels": channels, "dim": dim, "dropout": dropout, **config}
    return architecture, config, {name: array for name, array in state.items() if name.startswith(keep)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="what Castor wrote")
    parser.add_argument("output", type=cli.output_file, metavar="OUTPUT", help="the model file to write")
    parser.add_argument("--overlap-data", type=Path, metavar="DIR", help="training split for overlap features")
    parser.add_argument("--labels", nargs="+", metavar="LABEL", help="names of a Kim CNN's classes, in order")
    options = parser.parse_args(argv)

    module, arrays = read_checkpoint(options.checkpoint)
    dropout = getattr(vars(module).get("_modules", {}).get("dropout"), "p", 0.5)
    try:
        architecture, config, state = to_model(arrays, float(dropout))
    except CommandError as error:
        raise CommandError(f"{options.checkpoint}: {error}") from None
    overlap_data = None
    if config.get("features"):
        if options.overlap_data is None:
            parser.error("the model has overlap features: name a training split to fit them with --overlap-data")
        pairs = [(question.words, question.answers) for question in read_questions(options.overlap_data)]
        overlap_data, _ = overlap.fit(pairs)
    if options.labels and architecture == "kim_cnn":
        if len(options.labels) != len(config["labels"]):
            parser.error(f"the model has {len(config['labels'])} classes, not {len(options.labels)}")
        config["labels"] = options.labels
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    try:
        PREDICT[architecture].build(config).load_state_dict(tensors)
    except RuntimeError as error:
        raise CommandError(f"{options.checkpoint}: another architecture than ours: {error}") from None
    write_model(options.output, architecture, config, tensors, overlap_data)
    print(f"{options.output}: {architecture}, {config['channels']} × {config['dim']}-dimensional vectors")
    return 0


if __name__ == "__main__":
    cli.run(main)
