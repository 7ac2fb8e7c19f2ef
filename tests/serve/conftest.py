"""Tests of the service need its packages, which are the extra `serve`; `dev` has them."""

import importlib.util

PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if MISSING else []
if MISSING:
    print(f"tests/serve is left out: {', '.join(MISSING)} not installed: pip install 'manyfaces[serve]'")
