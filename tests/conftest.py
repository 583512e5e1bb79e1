"""For all tests: how fast the machine is, and what else it does meanwhile, is nothing that a property may fail for."""

from hypothesis import HealthCheck, settings

settings.register_profile("no-hurry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-hurry")
