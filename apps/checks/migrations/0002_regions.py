"""Regions, and one turn per check and region that also holds how the check stands there."""

import apps.checks.models.check
import apps.checks.models.fields
import apps.core.postgres.schema
import apps.core.tenancy
import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SEED_REGIONS = """
INSERT INTO checks_region (id, code, name, is_private) VALUES
    (1, 'main', 'Main', false), (2, 'eu', 'Europe', false), (3, 'us', 'United States', false), (4, 'asia', 'Asia', false);
ALTER TABLE checks_region ALTER COLUMN id RESTART WITH 100;
CREATE SEQUENCE checks_flip_sequence;
"""

# In place: a table made anew would lose the walls that the schema editor built around it, and the rows.
TURNS = """
ALTER TABLE checks_turn DROP CONSTRAINT checks_turn_pkey;
ALTER TABLE checks_turn
    ADD COLUMN region_id smallint NOT NULL DEFAULT 1
        CONSTRAINT checks_turn_region_id_fk REFERENCES checks_region (id) DEFERRABLE INITIALLY DEFERRED,
    ADD COLUMN opinion smallint, ADD COLUMN failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    ADD COLUMN successes integer NOT NULL DEFAULT 0 CHECK (successes >= 0), ADD COLUMN last_verdict smallint,
    ADD COLUMN run_since_at timestamptz, ADD COLUMN last_result_at timestamptz, ADD COLUMN last_ms real,
    ADD COLUMN last_error varchar(40) NOT NULL DEFAULT '', ADD COLUMN last_error_values jsonb,
    ADD COLUMN measured integer NOT NULL DEFAULT 0 CHECK (measured >= 0),
    ADD COLUMN forgiven integer NOT NULL DEFAULT 0 CHECK (forgiven >= 0),
    ADD PRIMARY KEY (check_id, region_id);
ALTER TABLE checks_turn NO FORCE ROW LEVEL SECURITY; -- the owner has no tenant open, and would change nothing
ALTER TABLE checks_checkstate NO FORCE ROW LEVEL SECURITY;
UPDATE checks_turn AS turn SET
    opinion = CASE standing.state WHEN 'up' THEN 1 WHEN 'degraded' THEN 2 WHEN 'down' THEN 0 END,
    failures = standing.failures, successes = CASE WHEN standing.state IN ('up', 'degraded') THEN 1 ELSE 0 END,
    last_verdict = CASE WHEN standing.failures > 0 THEN 0 WHEN standing.state = 'up' THEN 1
                        WHEN standing.state = 'degraded' THEN 2 END,
    run_since_at = coalesce(standing.failing_since_at, standing.since_at), last_result_at = standing.last_result_at,
    last_ms = standing.last_ms, last_error = standing.last_error
FROM checks_checkstate AS standing WHERE standing.check_id = turn.check_id;
ALTER TABLE checks_turn FORCE ROW LEVEL SECURITY;
ALTER TABLE checks_checkstate FORCE ROW LEVEL SECURITY;
ALTER TABLE checks_turn ALTER COLUMN region_id DROP DEFAULT, ALTER COLUMN failures DROP DEFAULT,
    ALTER COLUMN successes DROP DEFAULT, ALTER COLUMN last_error DROP DEFAULT, ALTER COLUMN measured DROP DEFAULT,
    ALTER COLUMN forgiven DROP DEFAULT;
DROP INDEX checks_turn_claimable;
CREATE INDEX checks_turn_due ON checks_turn (region_id, claimable_at) WHERE claimable_at IS NOT NULL;
"""
RESULTS = """
ALTER TABLE checks_result ADD COLUMN region_id smallint NOT NULL DEFAULT 1, ADD COLUMN details jsonb;
ALTER TABLE checks_result DROP CONSTRAINT checks_result_pkey;
ALTER TABLE checks_result ADD PRIMARY KEY (check_id, due_at, region_id);
"""


def grant_sequence(apps, schema_editor):
    roles = f'"{settings.DB_APP_ROLE}", "{settings.DB_SYSTEM_ROLE}"'
    schema_editor.execute(f"GRANT USAGE ON SEQUENCE checks_flip_sequence TO {roles}")


class Migration(migrations.Migration):

    dependencies = [
        ('checks', '0001_initial'),
        ('tenants', '0002_invitation_letters'),
    ]

    operations = [
        migrations.CreateModel(
            name='Region',
            fields=[
                ('id', models.SmallAutoField(primary_key=True, serialize=False)),
                ('code', models.SlugField(max_length=60, unique=True, verbose_name='code')),
                ('name', models.CharField(blank=True, max_length=100, verbose_name='name')),
                ('is_private', models.BooleanField(default=False)),
                ('seen_at', models.DateTimeField(null=True)),
                ('sick_since_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.RunSQL(SEED_REGIONS, migrations.RunSQL.noop),
        migrations.RunPython(grant_sequence, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(TURNS), migrations.RunSQL(RESULTS)],
            state_operations=[
                migrations.DeleteModel('Turn'),
                migrations.DeleteModel('Result'),
                migrations.CreateModel(
                    name='Turn',
                    fields=[
                        ('pk', models.CompositePrimaryKey('watched_id', 'region_id', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('watched', apps.core.tenancy.TenantForeignKey(db_column='check_id', db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='turns', to='checks.check')),
                        ('region', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='checks.region')),
                        ('tenant', apps.core.tenancy.TenantKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                        ('due_at', models.DateTimeField()),
                        ('claimable_at', models.DateTimeField(null=True)),
                        ('opinion', models.SmallIntegerField(choices=[(0, 'Failed'), (1, 'OK'), (2, 'Slow'), (3, 'Not measured')], help_text='What this region says after retries; empty: nothing.', null=True)),
                        ('failures', models.PositiveIntegerField(default=0, help_text='Failed results in a row.')),
                        ('successes', models.PositiveIntegerField(default=0, help_text='Results in a row that were not failures.')),
                        ('last_verdict', models.SmallIntegerField(choices=[(0, 'Failed'), (1, 'OK'), (2, 'Slow'), (3, 'Not measured')], null=True)),
                        ('run_since_at', models.DateTimeField(help_text='Since when results have been like the last one.', null=True)),
                        ('last_result_at', models.DateTimeField(null=True)),
                        ('last_ms', apps.checks.models.fields.RealField(null=True)),
                        ('last_error', models.CharField(blank=True, max_length=40)),
                        ('last_error_values', models.JSONField(null=True)),
                        ('measured', models.PositiveIntegerField(default=0)),
                        ('forgiven', models.PositiveIntegerField(default=0)),
                    ],
                    options={
                        'base_manager_name': 'objects',
                    },
                ),
                migrations.AddIndex(
                    model_name='turn',
                    index=models.Index(condition=models.Q(('claimable_at__isnull', False)), fields=['region', 'claimable_at'], name='checks_turn_due'),
                ),
                migrations.CreateModel(
                    name='Result',
                    fields=[
                        ('pk', models.CompositePrimaryKey('check_id', 'due_at', 'region_id', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('tenant_id', apps.core.tenancy.TenantIdField()),
                        ('check_id', models.UUIDField()),
                        ('due_at', apps.core.postgres.schema.PartitionKey()),
                        ('region_id', models.SmallIntegerField(db_default=1, default=1)),
                        ('started_at', models.DateTimeField()),
                        ('verdict', models.SmallIntegerField(choices=[(0, 'Failed'), (1, 'OK'), (2, 'Slow'), (3, 'Not measured')])),
                        ('status_code', models.SmallIntegerField(null=True)),
                        ('dns_ms', apps.checks.models.fields.RealField(null=True)),
                        ('connect_ms', apps.checks.models.fields.RealField(null=True)),
                        ('tls_ms', apps.checks.models.fields.RealField(null=True)),
                        ('first_byte_ms', apps.checks.models.fields.RealField(null=True)),
                        ('transfer_ms', apps.checks.models.fields.RealField(null=True)),
                        ('total_ms', apps.checks.models.fields.RealField(null=True)),
                        ('body_bytes', models.IntegerField(null=True)),
                        ('remote_ip', models.GenericIPAddressField(null=True)),
                        ('error_code', models.CharField(blank=True, max_length=40)),
                        ('error_values', models.JSONField(null=True)),
                        ('details', models.JSONField(help_text="What the kind saw besides; see the kind's facts.", null=True)),
                    ],
                    options={
                        'base_manager_name': 'objects',
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name='SickSpell',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('began_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('region', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='sick_spells', to='checks.region')),
                ('failed_controls', models.JSONField(default=list, help_text='Which control targets failed, and why.')),
            ],
        ),
        migrations.AddIndex(
            model_name='sickspell',
            index=models.Index(fields=['region', '-began_at'], name='checks_sickspell_of_region'),
        ),
        migrations.AddField(
            model_name='flip',
            name='sequence',
            field=models.BigIntegerField(db_default=models.Func(models.Value('checks_flip_sequence'), function='nextval'), editable=False),
        ),
        migrations.RemoveIndex(
            model_name='flip',
            name='checks_flip_of_check',
        ),
        migrations.RemoveField(
            model_name='checkstate',
            name='failing_since_at',
        ),
        migrations.RemoveField(
            model_name='checkstate',
            name='failures',
        ),
        migrations.RemoveField(
            model_name='checkstate',
            name='last_error',
        ),
        migrations.RemoveField(
            model_name='checkstate',
            name='last_ms',
        ),
        migrations.RemoveField(
            model_name='checkstate',
            name='last_result_at',
        ),
        migrations.AddField(
            model_name='check',
            name='confirmations',
            field=models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(20)], verbose_name='confirmations'),
        ),
        migrations.AddField(
            model_name='check',
            name='false_page_period',
            field=models.CharField(blank=True, choices=[('week', 'week'), ('month', 'month'), ('quarter', 'quarter'), ('year', 'year')], max_length=10, verbose_name='at most one false page per'),
        ),
        migrations.AddField(
            model_name='check',
            name='key',
            field=models.SlugField(blank=True, help_text='What configuration as code calls the check.', max_length=100, verbose_name='key'),
        ),
        migrations.AddField(
            model_name='check',
            name='recoveries',
            field=models.PositiveIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(10)], verbose_name='recoveries'),
        ),
        migrations.AddField(
            model_name='check',
            name='regions',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.SmallIntegerField(), default=apps.checks.models.check.main_region_only, size=None),
        ),
        migrations.AddField(
            model_name='checkstate',
            name='is_flapping',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='checkstate',
            name='false_failure_ratio',
            field=apps.checks.models.fields.RealField(help_text='Of the results while it was well, the share that failed; learned from its history.', null=True),
        ),
        migrations.AddField(
            model_name='flip',
            name='confidence_ratio',
            field=apps.checks.models.fields.RealField(help_text='How sure we are that it is no false alarm.', null=True),
        ),
        migrations.AddField(
            model_name='flip',
            name='regions',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.SmallIntegerField(), default=list, help_text='The regions that say so.', size=None),
        ),
        migrations.AlterField(
            model_name='checkstate',
            name='state',
            field=models.CharField(choices=[('new', 'New'), ('up', 'Up'), ('degraded', 'Degraded'), ('down', 'Down'), ('unknown', 'Unknown'), ('paused', 'Paused'), ('maintenance', 'Maintenance')], default='new', max_length=12),
        ),
        migrations.AlterField(
            model_name='flip',
            name='after',
            field=models.CharField(choices=[('new', 'New'), ('up', 'Up'), ('degraded', 'Degraded'), ('down', 'Down'), ('unknown', 'Unknown'), ('paused', 'Paused'), ('maintenance', 'Maintenance')], max_length=12),
        ),
        migrations.AlterField(
            model_name='flip',
            name='before',
            field=models.CharField(choices=[('new', 'New'), ('up', 'Up'), ('degraded', 'Degraded'), ('down', 'Down'), ('unknown', 'Unknown'), ('paused', 'Paused'), ('maintenance', 'Maintenance')], max_length=12),
        ),
        migrations.AddIndex(
            model_name='flip',
            index=models.Index(fields=['watched', 'sequence'], name='checks_flip_in_order'),
        ),
        migrations.AddConstraint(
            model_name='check',
            constraint=models.UniqueConstraint(condition=models.Q(('key', ''), _negated=True), fields=('tenant', 'key'), name='checks_check_one_of_key'),
        ),
    ]
