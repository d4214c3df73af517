"""The hooks a plugin may implement: signatures and words, no code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clinic_dispatch_plugin.channels.channel import Channel
    from clinic_dispatch_plugin.channels.reference import ReferencePack

PROJECT = "clinic_dispatch"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def clinic_dispatch_channels(config: Mapping[str, Any]) -> Sequence[Channel]:
    """Return the channels this plugin adds.

    Called once per app, inside ``init_app``; neither connect nor query here.

    :param config: the host's settings and the environment together; read only ``CLINIC_DISPATCH_<KEY>_*``.
    :raises ConfigurationError: a key is there and wrong; the plugin's channels are left out, and its sentence is
        shown by ``flask dispatch check`` and on the settings page.
    """


@hookspec
def clinic_dispatch_reference_packs() -> Sequence[ReferencePack]:
    """Return versioned entries for the error reference; what staff wrote is never overwritten.

    Called when the database is upgraded and by ``flask dispatch reference`` commands. Two packs of the same key: the
    one of the plugin registered last wins, and the log says so.
    """
