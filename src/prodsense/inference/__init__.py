"""Inference: what caused a number, and how sure one can be. Each module is one method or what several share."""
