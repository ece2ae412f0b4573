"""What both Lambda handlers share: gateway, word vectors, model files, tokenizer."""

import inference.libtorch  # noqa: F401  first, as it unpacks in the background while the rest is imported
