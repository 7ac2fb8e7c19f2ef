"""The examples in docstrings give what they show, in every module that has one."""

import doctest
import importlib

import numpy as np
import pytest
from conftest import ROOT

LIB = ROOT / "lib"
MODULES = sorted(".".join(("manyfaces", *path.relative_to(LIB).with_suffix("").parts))
                 for path in LIB.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS, extraglobs={"np": np})
    assert found.attempted and not found.failed
