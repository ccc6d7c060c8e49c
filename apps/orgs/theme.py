"""The one module that knows which admin theme is installed: unfold, or Django's own when it is taken out."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import admin as stock
from django.contrib.admin.forms import AdminAuthenticationForm as StockLoginForm

THEMED = any(name.partition(".")[0] == "unfold" for name in settings.INSTALLED_APPS)

if TYPE_CHECKING or not THEMED:
    ModelAdmin = stock.ModelAdmin
    TabularInline = stock.TabularInline
    StackedInline = stock.StackedInline
    AdminSite = stock.AdminSite
    LoginForm = StockLoginForm
else:
    from unfold.admin import ModelAdmin, StackedInline, TabularInline
    from unfold.forms import AuthenticationForm as LoginForm
    from unfold.sites import UnfoldAdminSite as AdminSite

__all__ = ["THEMED", "AdminSite", "LoginForm", "ModelAdmin", "StackedInline", "TabularInline"]
