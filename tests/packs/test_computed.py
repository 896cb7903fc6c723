"""What packs name for later is there when it runs."""

from __future__ import annotations

from inspect import signature

import pytest

from prodsense.packs import load_pack, pack_names
from prodsense.packs.computed import PackFunction


@pytest.mark.parametrize("name", pack_names())
def test_every_named_function_is_there_and_takes_what_is_declared(name: str) -> None:
    pack = load_pack(name)
    declared = [(a, a.run) for part in (pack.analyses, pack.detectors, pack.pipelines) for a in part.values()]
    declared += [(policy, policy.check) for policy in pack.policies.values()]
    for artefact, run in declared:
        if isinstance(run, PackFunction):
            params = {param.name: None for param in getattr(artefact, "params", ())}
            signature(run.load()).bind("warehouse", **params)


def test_a_name_that_is_not_there_fails() -> None:
    with pytest.raises(AttributeError):
        PackFunction("prodsense.packs.photos", "friction", "nothing").load()
