"""Causal methods by name: each takes a table, file, frame or answer with named columns and returns an Estimate."""

from __future__ import annotations

from prodsense.inference.causal_data import Sample
from prodsense.inference.causal_did import did, event_study
from prodsense.inference.causal_interrupted import interrupted_series
from prodsense.inference.causal_propensity import propensity
from prodsense.inference.causal_regression import cluster_ols
from prodsense.inference.causal_result import Estimate
from prodsense.inference.causal_staggered import staggered_did
from prodsense.inference.causal_synthetic import synthetic_control

__all__ = [
    "Estimate", "Sample", "cluster_ols", "did", "event_study", "interrupted_series", "propensity", "staggered_did",
    "synthetic_control",
]  # fmt: skip
