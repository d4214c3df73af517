"""Calls by SIP (RFC 3261) through a clinic's own exchange: the little of it that rings, speaks and hangs up.

It is written here because nothing that fits is to be had ready-made: one library knows only UDP and MD5 and imports a
module that Python 3.13 no longer has, one calls itself an alpha, one brings a video stack along, and the bindings of
the large one in C have no packages for most machines.
"""
