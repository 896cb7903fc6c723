"""Streams: buffers of sessions, micro-batches, checkpoints, sources."""
