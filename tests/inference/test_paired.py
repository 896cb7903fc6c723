"""Differences within units: Student's interval as SciPy has it, and what too little data says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from prodsense.inference.paired import bootstrap_mean, paired


def test_paired_intervals_are_students() -> None:
    values = np.array([-3.0, -1.0, -2.5, 0.5, -4.0])
    found, oracle = paired(values), stats.ttest_1samp(values, 0)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval()))
    low, high = bootstrap_mean(values)
    assert found.low < low < found.estimate < high < found.high
    assert math.isnan(paired(values[:1]).se)
    nothing = paired(np.zeros(3))
    assert (nothing.estimate, nothing.se, nothing.p_value) == (0.0, 0.0, 1.0)
    assert paired(np.full(3, 2.0)).p_value is None, "no spread says nothing of chance"
