"""What a clinic installs is whole: the wheel and the source distribution, each in an environment of its own."""
