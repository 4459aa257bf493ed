"""What holds for all suites: properties look for wrong answers, not for slow ones."""

from hypothesis import HealthCheck, settings

settings.register_profile("stroem", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stroem")
