"""What holds for all tests: property tests have no time limit of their own, since machines are busy at times."""

from hypothesis import settings

settings.register_profile("nextbest", deadline=None)
settings.load_profile("nextbest")
