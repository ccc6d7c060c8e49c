"""Admin classes whose every door is scoped: lists, objects, choosers, filters, actions and inlines.

An admin over a tenant's rows derives from OrgScopedAdmin and names the path from a row to its organization; an inline
derives from OrgScopedTabular or OrgScopedStacked.
"""

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib.admin.options import BaseModelAdmin
from django.db import transaction
from django.db.models import ForeignKey, ManyToManyField, Model, QuerySet
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest, HttpResponse

from apps.orgs import access, audit, switching
from apps.orgs.access import Actor, Right
from apps.orgs.models import Organization
from apps.orgs.theme import ModelAdmin, StackedInline, TabularInline

if TYPE_CHECKING:
    _Base = BaseModelAdmin[Any]
else:
    _Base = object


class OrgScoped(_Base):
    """What an admin and an inline share. Rights say who may do what with rows of the caller's organizations."""

    organization_path: ClassVar[str] = "organization"
    view_right: ClassVar[Right | None] = Right.VIEW
    add_right: ClassVar[Right | None] = Right.EDIT
    change_right: ClassVar[Right | None] = Right.EDIT
    delete_right: ClassVar[Right | None] = Right.EDIT

    def actor(self, request: HttpRequest) -> Actor:
        return access.actor(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset: QuerySet[Any] = super().get_queryset(request)
        return access.scoped(queryset, self.actor(request), self.view_right or Right.VIEW, self.organization_path)

    def organization_id(self, obj: Any) -> UUID | None:
        """The organization of a row, by the path; None for a row that has none (yet)."""
        value = obj
        for name in self.organization_path.split("__"):
            value = getattr(value, name, None)
        return value.pk if isinstance(value, Organization) else value

    def permitted(self, request: HttpRequest, right: Right | None, obj: Any = None) -> bool:
        """None is a right that nobody has. An inline is asked about its parent's row, an admin about its own."""
        if right is None:
            return False
        organization = None if obj is None else self._organization_of(obj)
        if obj is not None and organization is None:
            return False
        # A page of the admin asks the same of every model there is, for its menu alone.
        answers: dict[Any, bool] = request.__dict__.setdefault("_orgs_permitted", {})
        if (right, organization) not in answers:
            theirs = access.organizations(self.actor(request), right)
            answers[right, organization] = (theirs if organization is None else theirs.filter(pk=organization)).exists()
        return answers[right, organization]

    def _organization_of(self, obj: Any) -> UUID | None:
        return self.organization_id(obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, self.view_right)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.permitted(request, self.view_right, obj) or self.has_change_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.permitted(request, self.add_right, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.permitted(request, self.change_right, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.permitted(request, self.delete_right, obj)

    def formfield_for_foreignkey(self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = self.choices_for(db_field.related_model, request, kwargs.get("queryset"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(
        self, db_field: "ManyToManyField[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        kwargs["queryset"] = self.choices_for(db_field.related_model, request, kwargs.get("queryset"))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def choices_for(self, model: Any, request: HttpRequest, narrowed: QuerySet[Any] | None) -> QuerySet[Any]:
        """What a chooser offers: only rows that the caller's own list of that model shows."""
        if model is Organization:
            offered: QuerySet[Any] = access.organizations(self.actor(request), self.add_right or Right.VIEW)
        elif model in self.admin_site._registry:
            offered = self.admin_site._registry[model].get_queryset(request)
        else:
            offered = model._default_manager.none()
        return offered if narrowed is None else narrowed.filter(pk__in=offered.values("pk"))


class OrgScopedAdmin(OrgScoped, ModelAdmin):  # type: ignore[type-arg]
    """Lists show the caller's rows only; what is not theirs is not found. Every change is in the audit trail."""

    list_before_template = "orgs/only.html"
    list_per_page = 50
    show_full_result_count = False
    fixed_fields: ClassVar[tuple[str, ...]] = ("organization",)  # chosen once: a row never changes hands

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        chosen = self._shown_alone(request)
        return queryset if chosen is None else queryset.filter(**{self.organization_path: chosen.pk})

    def _shown_alone(self, request: HttpRequest) -> Organization | None:
        """The organization that the list is narrowed to; rows that are asked for by themselves are found anyhow."""
        place = request.resolver_match
        is_list = place is not None and str(place.url_name).endswith("_changelist")
        return switching.chosen(request) if is_list and self.model is not Organization else None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        chosen = self._shown_alone(request)
        return super().changelist_view(request, {"shown_alone": chosen, **(extra_context or {})})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        chosen = switching.chosen(request)
        initial: dict[str, Any] = {"organization": chosen.pk} if chosen else {}
        return initial | super().get_changeform_initial_data(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
        if obj is None:
            return fields
        names = {field.name for field in self.opts.get_fields()}
        return (*fields, *(name for name in self.fixed_fields if name in names and name not in fields))

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm[Any], change: bool) -> None:
        before = audit.snapshot(self._stored(obj), form.changed_data) if change else {}
        super().save_model(request, obj, form, change)
        after = audit.snapshot(obj, form.changed_data)
        self.audit(request, "changed" if change else "added", obj, audit.differences(before, after))

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.audit(request, "deleted", obj, {})
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for obj in queryset:
                self.audit(request, "deleted", obj, {})
            super().delete_queryset(request, queryset)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The rows themselves, each asked about for itself; what hangs on them goes with them.

        Django's own collection asks for rights on all that hangs on them too, which nobody has (a published version,
        a key), and loads it: of delivered submissions there may be millions.
        """
        refused = {str(self.opts.verbose_name) for obj in objs if not self.has_delete_permission(request, obj)}
        return [str(obj) for obj in objs], {self.opts.verbose_name_plural: len(objs)}, refused, []

    def save_formset(
        self, request: HttpRequest, form: Any, formset: "BaseModelFormSet[Any, Any]", change: bool
    ) -> None:
        super().save_formset(request, form, formset, change)
        organization = self.organization_id(form.instance)
        found: list[tuple[str, Model, dict[str, Any]]] = [("added", obj, {}) for obj in formset.new_objects]
        found += [
            ("changed", obj, {name: ["hidden", "hidden"] for name in names}) for obj, names in formset.changed_objects
        ]
        found += [("deleted", obj, {}) for obj in formset.deleted_objects]
        for action, obj, changes in found:
            audit.record(self.actor(request), organization, action, obj, changes)

    def audit(self, request: HttpRequest, action: str, obj: Model, changes: dict[str, Any]) -> None:
        audit.record(self.actor(request), self.organization_id(obj), action, obj, changes)

    def _stored(self, obj: Model) -> Model | None:
        return type(obj)._default_manager.filter(pk=obj.pk).first()


class RequestForm(ModelForm[Any]):
    """A form that knows who fills it in; an admin gives `request` by `get_form`."""

    request: HttpRequest


class RequestFormAdmin(OrgScopedAdmin):
    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change, **kwargs)
        return type(made.__name__, (made,), {"request": request})


class _ScopedInline(OrgScoped):
    """`organization_path` leads from the inline's row; `obj` in its permissions is the parent's row."""

    parent_path: ClassVar[str] = "organization"
    extra = 0

    def _organization_of(self, obj: Any) -> UUID | None:
        if isinstance(obj, Organization):
            return obj.pk
        value = obj
        for name in self.parent_path.split("__"):
            value = getattr(value, name, None)
        return value.pk if isinstance(value, Organization) else value


class OrgScopedTabular(_ScopedInline, TabularInline):  # type: ignore[type-arg]
    pass


class OrgScopedStacked(_ScopedInline, StackedInline):  # type: ignore[type-arg]
    pass
