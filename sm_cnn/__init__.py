"""SM-CNN: is this sentence an answer to that question (Severyn and Moschitti, SIGIR 2015)."""
