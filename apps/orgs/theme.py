"""The one module that knows which admin theme is installed: unfold, or Django's own when it is taken out."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import admin as stock
from django.contrib.admin import widgets
from django.contrib.admin.forms import AdminAuthenticationForm as StockLoginForm
from django.forms import Select as StockSelect

THEMED = any(name.partition(".")[0] == "unfold" for name in settings.INSTALLED_APPS)

if TYPE_CHECKING or not THEMED:
    ModelAdmin = stock.ModelAdmin
    TabularInline = stock.TabularInline
    StackedInline = stock.StackedInline
    AdminSite = stock.AdminSite
    LoginForm = StockLoginForm
    Select = StockSelect
    Textarea = widgets.AdminTextareaWidget
    TextInput = widgets.AdminTextInputWidget
else:
    from unfold.admin import ModelAdmin, StackedInline, TabularInline
    from unfold.forms import AuthenticationForm as LoginForm
    from unfold.sites import UnfoldAdminSite as AdminSite
    from unfold.widgets import UnfoldAdminSelectWidget as Select
    from unfold.widgets import UnfoldAdminTextareaWidget as Textarea
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

__all__ = [
    "THEMED",
    "AdminSite",
    "LoginForm",
    "ModelAdmin",
    "Select",
    "StackedInline",
    "TabularInline",
    "TextInput",
    "Textarea",
]
