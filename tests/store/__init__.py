"""Tests of every SQL statement, on each kind of database."""
