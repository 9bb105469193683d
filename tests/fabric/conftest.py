"""Lets a failing assertion of the published suite show its values."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("parsl_diaspora.testing.fabric_contract")
