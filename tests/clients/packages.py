"""The client packages: what a machine without them skips, CI may not."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
IN_CI = os.environ.get("CI") == "true"


def python_client(name: str) -> ModuleType:
    """The package, imported. Skips the test module when it is missing; in CI that is an ImportError."""
    if IN_CI:
        return importlib.import_module(name)
    module: ModuleType = pytest.importorskip(name, reason=f"the Python package {name} is not installed")
    return module


def needs_javascript_client(package: str) -> pytest.MarkDecorator:
    """A mark that skips a test unless Node.js and the npm package are there; in CI it runs, and fails."""
    missing = [] if shutil.which("node") else ["node"]
    if not (HERE / "node_modules" / package).is_dir():
        missing.append(f"{package} (npm ci in tests/clients)")
    return pytest.mark.skipif(bool(missing) and not IN_CI, reason=f"not installed: {', '.join(missing)}")
