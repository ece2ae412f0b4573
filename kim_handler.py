"""Lambda entry point, Kim CNN: {"input": a text or a list of texts} ─► the class of each."""

from inference import libtorch

libtorch.start_unpacking()  # in the background, while the rest is imported

from inference.service import make_handler  # noqa: E402
from kim_cnn import predict  # noqa: E402

handler = make_handler(predict)
