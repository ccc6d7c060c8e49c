"""Actions, their deliveries and what failed, in the admin."""

from apps.sinks.admin.action import ActionAdmin
from apps.sinks.admin.delivery import DeliveryAdmin
from apps.sinks.admin.failed import FailedAdmin
from apps.sinks.admin.suppression import SuppressionAdmin

__all__ = ["ActionAdmin", "DeliveryAdmin", "FailedAdmin", "SuppressionAdmin"]
