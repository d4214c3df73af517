"""The tests: real parts wherever a real part can run, and whatever a machine lacks named at the end of the run."""
