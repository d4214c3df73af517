"""Runs our migrations on the connection the command hands over."""

from alembic import context

from clinic_dispatch_plugin.database.migrate import context_options

context.configure(connection=context.config.attributes["connection"], **context_options())
with context.begin_transaction():
    context.run_migrations()
