"""Lambda entry point, SM-CNN: {"sent1": a question, "sent2": an answer or a list of them} ─► how relevant each is."""

from inference import libtorch

libtorch.start_unpacking()  # in the background, while the rest is imported

from inference.service import make_handler  # noqa: E402
from sm_cnn import predict  # noqa: E402

handler = make_handler(predict)
