"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Shared machines are slow at times: a time limit per example would fail good tests.
settings.register_profile(
    "sweeper", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("sweeper")
