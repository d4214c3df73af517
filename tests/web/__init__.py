"""Tests of the pages, on the tiny clinic."""
