"""The pages of messages: all of them, one mailing's, one message, and everything a person does to them."""

from __future__ import annotations

from flask import Blueprint

from clinic_dispatch_plugin.messages import (
    action_views,
    block_views,
    list_views,
    mailing_views,
    message_views,
    unsubscribe_views,
)


def register(blueprint: Blueprint) -> None:
    """Add the pages of messages to the blueprint."""
    add = blueprint.add_url_rule
    add("/", "messages", list_views.show_messages)
    add("/messages.csv", "messages_csv", list_views.download)
    add("/mailings/<int:mailing_id>", "mailing", mailing_views.show_mailing)
    add("/mailings/<int:mailing_id>/counts.json", "mailing_counts", mailing_views.show_counts)
    add("/messages/<int:message_id>", "message", message_views.show_message)
    add("/messages/<int:message_id>/contents", "message_contents", message_views.show_contents)
    add("/messages/<int:message_id>/contents.html", "message_html", message_views.show_html)
    add("/messages/<int:message_id>/report.txt", "support_report", message_views.download_report)
    add("/messages/resend", "resend_messages", action_views.resend_messages, methods=["POST"])
    add(
        "/messages/<int:message_id>/resend-unsubscribed",
        "resend_unsubscribed",
        action_views.resend_unsubscribed,
        methods=["POST"],
    )
    add("/messages/settle", "settle_messages", action_views.settle_messages, methods=["POST"])
    add("/messages/retry", "retry_messages", action_views.retry_messages, methods=["POST"])
    add(
        "/messages/<int:message_id>/address",
        "correct_message_address",
        action_views.correct_message_address,
        methods=["GET", "POST"],
    )
    add(
        "/accounts/<int:account_id>/check",
        "check_account",
        action_views.check_account,
        methods=["POST"],
    )
    add("/blocks", "blocks", block_views.show_blocks)
    add("/blocks/find", "find_block", block_views.find_block, methods=["POST"])
    add("/blocks/new", "new_block", block_views.new_block, methods=["GET", "POST"])
    add("/blocks/lift", "lift_blocks", block_views.lift_blocks, methods=["POST"])
    add("/blocks/kept-back", "kept_back", block_views.show_kept_back)
    add("/blocks/<int:block_id>", "block", block_views.show_block)
    add("/blocks/<int:block_id>/end", "change_block", block_views.change_block, methods=["POST"])
    add(
        "/unsubscribe/<token>",
        "unsubscribe",
        unsubscribe_views.unsubscribe,
        methods=["GET", "POST"],
    )
