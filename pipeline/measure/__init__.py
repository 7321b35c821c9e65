"""Signals about samples: pictures, captions, words, embeddings. Nothing here decides."""
