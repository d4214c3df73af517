"""How the plugin sits in hosts: settings, databases, sub-paths, migrations, plugins of others, workers of others."""
