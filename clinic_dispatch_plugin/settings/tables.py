"""What the administration decided on the settings page, beside the accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from clinic_dispatch_plugin.database.base import Base, Json, UtcDateTime


class KeptSetting(Base):
    """One decision by its name; without a row, what the configuration says holds."""

    __tablename__ = "dispatch_setting"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(Json)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str] = mapped_column(String(255), default="")
