"""The index of a run: nearest pictures and captions by FAISS, tied to the data that it was built from."""
