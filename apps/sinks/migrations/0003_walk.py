import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sinks', '0002_replay_notices'),
    ]

    operations = [
        migrations.CreateModel(
            name='Walk',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('check', 'Comparison'), ('fill', 'Back-fill')], max_length=10)),
                ('state', models.CharField(choices=[('running', 'Running'), ('paused', 'Paused'), ('done', 'Done')], default='running', max_length=10, verbose_name='state')),
                ('start', models.BigIntegerField()),
                ('cursor', models.BigIntegerField()),
                ('until', models.BigIntegerField()),
                ('examined', models.BigIntegerField(default=0)),
                ('found', models.BigIntegerField(default=0)),
                ('missing', models.BigIntegerField(default=0)),
                ('begun_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('binding', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='walks', to='sinks.binding')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'running')), fields=['purpose', 'updated_at'], name='sinks_walk_running')],
                'constraints': [models.UniqueConstraint(fields=('binding', 'purpose'), name='sinks_walk_once')],
            },
        ),
    ]
