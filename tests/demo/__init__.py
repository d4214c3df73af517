"""The demo clinic by itself, before and beside the plugin."""
