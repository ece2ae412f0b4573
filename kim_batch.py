"""Lambda entry point of batches, Kim CNN: an object of rows in S3 ─► an object with the answers."""

from inference import libtorch

libtorch.start_unpacking()  # in the background, while the rest is imported

from inference.batch import make_handler  # noqa: E402
from kim_cnn import predict  # noqa: E402

handler = make_handler(predict)
