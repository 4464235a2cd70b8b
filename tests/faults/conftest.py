"""Fixtures of the fault tests: those of the integration tests that start servers, pgbraid and failing proxies."""

import importlib.util
from pathlib import Path

_path = Path(__file__).resolve().parents[1] / "integration" / "conftest.py"
_spec = importlib.util.spec_from_file_location("integration_conftest", _path)
_integration = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_integration)
start_braid, fault_proxy, shard = _integration.start_braid, _integration.fault_proxy, _integration.shard
