"""What runs in Lambda: events, word vectors, model files and the tokenizer; imports nothing above it."""
