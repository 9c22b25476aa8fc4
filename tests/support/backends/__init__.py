"""Real back ends, started by the tests and stopped again."""
