"""Inference: what moved, why, and whether it is real. Each module is one method; heavy libraries load when called."""
