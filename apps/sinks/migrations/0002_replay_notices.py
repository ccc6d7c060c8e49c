import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sinks', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='FormerItem',
            fields=[
                ('pk', models.CompositePrimaryKey('binding_id', 'submission_id', 'batch_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('submission_id', models.UUIDField()),
                ('position', models.BigIntegerField()),
                ('batch', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='former_items', to='sinks.batch')),
                ('binding', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='sinks.binding')),
            ],
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('organization_id', models.UUIDField()),
                ('kind', models.CharField(choices=[('paused', 'The action was paused'), ('failed', 'Submissions failed'), ('failing', 'Deliveries fail for some time')], max_length=10)),
                ('occasion', models.CharField(max_length=100)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('sent', 'Sent'), ('dropped', 'Not sent')], default='waiting', max_length=10)),
                ('tries', models.IntegerField(default=0)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('binding', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='sinks.binding')),
            ],
            options={
                'indexes': [
                    models.Index(condition=models.Q(('state', 'waiting')), fields=['due_at'], name='sinks_notice_due'),
                    models.Index(fields=['organization_id', 'sent_at'], name='sinks_notice_sent'),
                ],
                'constraints': [models.UniqueConstraint(fields=('binding', 'kind', 'occasion'), name='sinks_notice_once')],
            },
        ),
    ]
