"""Kim CNN: sentence classification (Kim, EMNLP 2014)."""
