"""What both Lambda handlers share: gateway, word vectors, model files, tokenizer."""
