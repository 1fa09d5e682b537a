"""The domain: what an elder's memories are, and how they become a model. No I/O, no framework."""
