"""Longer measurements than the test suite has time for, a command each."""
