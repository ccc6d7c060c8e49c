import django.core.serializers.json
import django.db.models.deletion
import formhub.core.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('forms', '0001_initial'),
        ('orgs', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Destination',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('organization_id', models.UUIDField()),
                ('kind', models.CharField(max_length=50)),
                ('key', models.CharField(max_length=1000)),
                ('token', models.BigIntegerField(default=0)),
                ('holder', models.CharField(blank=True, max_length=100)),
                ('leased_until', models.DateTimeField(blank=True, null=True)),
                ('sequence', models.BigIntegerField(default=0)),
                ('state', models.JSONField(blank=True, default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('next_attempt_at', models.DateTimeField(blank=True, null=True)),
                ('queued_until', models.DateTimeField(blank=True, null=True)),
                ('failures', models.IntegerField(default=0)),
                ('last_error', models.TextField(blank=True)),
                ('delivered_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('next_attempt_at__isnull', False)), fields=['next_attempt_at'], name='sinks_destination_due')],
                'constraints': [models.UniqueConstraint(fields=('organization_id', 'kind', 'key'), name='sinks_destination_once')],
            },
        ),
        migrations.CreateModel(
            name='Binding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=50, verbose_name='kind')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('config', models.JSONField(blank=True, default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('secrets', models.TextField(blank=True)),
                ('condition', models.JSONField(blank=True, null=True, verbose_name='condition')),
                ('state', models.CharField(choices=[('on', 'On'), ('paused', 'Paused'), ('off', 'Off')], default='on', max_length=10, verbose_name='state')),
                ('pause_reason', models.TextField(blank=True, verbose_name='reason')),
                ('pause_remedy', models.TextField(blank=True, verbose_name='remedy')),
                ('paused_at', models.DateTimeField(blank=True, null=True)),
                ('since', models.BigIntegerField(default=-1)),
                ('settled_to', models.BigIntegerField(default=-1)),
                ('owes_below', models.BigIntegerField(blank=True, null=True)),
                ('behind_at', models.BigIntegerField(blank=True, null=True)),
                ('delivered', models.BigIntegerField(default=0, verbose_name='delivered')),
                ('delivered_at', models.DateTimeField(blank=True, null=True, verbose_name='last delivered')),
                ('flush_seconds', models.FloatField(blank=True, null=True, verbose_name='deliver within (seconds)')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('form', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='forms.form', verbose_name='form')),
                ('organization', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='orgs.organization', verbose_name='organization')),
                ('destination', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='bindings', to='sinks.destination')),
            ],
            options={
                'verbose_name': 'action',
                'verbose_name_plural': 'actions',
            },
        ),
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.UUIDField(default=formhub.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('organization_id', models.UUIDField()),
                ('sequence', models.BigIntegerField()),
                ('turn', models.CharField(db_collation='C', max_length=200)),
                ('state', models.CharField(choices=[('pending', 'Waiting'), ('sending', 'Sending'), ('ambiguous', 'Outcome not known yet'), ('delivered', 'Delivered'), ('refused', 'Refused')], default='pending', max_length=10, verbose_name='state')),
                ('late', models.BooleanField(default=False)),
                ('account', models.CharField(blank=True, max_length=200)),
                ('settings', models.JSONField(blank=True, default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('body', models.BinaryField(blank=True, null=True)),
                ('size', models.IntegerField(default=0, verbose_name='submissions')),
                ('attempts', models.IntegerField(default=0, verbose_name='attempts')),
                ('tries', models.JSONField(blank=True, default=list)),
                ('code', models.CharField(blank=True, max_length=100)),
                ('last_error', models.TextField(blank=True, verbose_name='last error')),
                ('after', models.UUIDField(blank=True, null=True)),
                ('ambiguous_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='made at')),
                ('offered_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished at')),
                ('destination', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='batches', to='sinks.destination')),
            ],
            options={
                'verbose_name': 'delivery',
                'verbose_name_plural': 'deliveries',
            },
        ),
        migrations.CreateModel(
            name='Parked',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('organization_id', models.UUIDField()),
                ('form_id', models.UUIDField()),
                ('submission_id', models.UUIDField()),
                ('position', models.BigIntegerField()),
                ('batch_id', models.UUIDField(blank=True, null=True)),
                ('code', models.CharField(max_length=100, verbose_name='code')),
                ('message', models.TextField(blank=True, verbose_name='message')),
                ('attempts', models.IntegerField(default=0, verbose_name='attempts')),
                ('again', models.BooleanField(default=False, verbose_name='will be tried again')),
                ('parked_at', models.DateTimeField(auto_now_add=True, verbose_name='failed at')),
                ('binding', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='sinks.binding')),
            ],
            options={
                'verbose_name': 'failed submission',
                'verbose_name_plural': 'failed submissions',
            },
        ),
        migrations.CreateModel(
            name='BatchItem',
            fields=[
                ('pk', models.CompositePrimaryKey('binding_id', 'submission_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('submission_id', models.UUIDField()),
                ('position', models.BigIntegerField()),
                ('batch', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='items', to='sinks.batch')),
                ('binding', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='sinks.binding')),
            ],
            options={
                'indexes': [models.Index(fields=['binding', 'position'], name='sinks_item_position')],
            },
        ),
        migrations.CreateModel(
            name='BindingRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_position', models.BigIntegerField()),
                ('on', models.BooleanField(default=True)),
                ('condition', models.JSONField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('binding', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='revisions', to='sinks.binding')),
            ],
            options={
                'ordering': ['from_position', 'id'],
                'indexes': [models.Index(fields=['binding', 'from_position', 'id'], name='sinks_revision_position')],
            },
        ),
        migrations.AddIndex(
            model_name='binding',
            index=models.Index(fields=['updated_at'], name='sinks_binding_updated'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(condition=models.Q(('state__in', ['pending', 'sending', 'ambiguous'])), fields=['destination', 'turn'], name='sinks_batch_unfinished'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['organization_id', 'state', '-created_at'], name='sinks_batch_listed'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['organization_id', '-created_at'], name='sinks_batch_newest'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['-created_at'], name='sinks_batch_newest_of_all'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.UniqueConstraint(fields=('destination', 'sequence'), name='sinks_batch_sequence'),
        ),
        migrations.AddIndex(
            model_name='parked',
            index=models.Index(fields=['organization_id', '-parked_at'], name='sinks_parked_newest'),
        ),
        migrations.AddIndex(
            model_name='parked',
            index=models.Index(fields=['-parked_at'], name='sinks_parked_newest_of_all'),
        ),
        migrations.AddIndex(
            model_name='parked',
            index=models.Index(fields=['binding', '-parked_at'], name='sinks_parked_listed'),
        ),
        migrations.AddIndex(
            model_name='parked',
            index=models.Index(condition=models.Q(('again', True)), fields=['binding', 'position'], name='sinks_parked_again'),
        ),
        migrations.AddConstraint(
            model_name='parked',
            constraint=models.UniqueConstraint(fields=('binding', 'submission_id'), name='sinks_parked_once'),
        ),
    ]
