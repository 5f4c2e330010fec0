#include "prune.h"

#include <stddef.h>

#define BEFORE  "now() - $1::bigint * interval '1 second'"
#define SIZE(t) "coalesce(sum(pg_column_size(" t ".*)), 0)::bigint"

/* One tenant's legs, and what is kept of their bodies. */
static const char tenant_count[] = "select count(*), " SIZE(
	"c") " from voip.cdr as c"
	     " where domain = $2::text and start_time < " BEFORE;
static const char tenant_step[] =
	"with old as (delete from voip.cdr where (start_time, leg_uuid) in ("
	" select start_time, leg_uuid from voip.cdr where domain = $2::text"
	" and start_time < " BEFORE " order by start_time, leg_uuid"
	" limit $3::int) returning start_time, leg_uuid),"
	" raw as (delete from voip.cdr_raw as r using old"
	" where r.start_time = old.start_time and r.leg_uuid = old.leg_uuid)"
	" select count(*) from old";

static const char dead_count[] = "select count(*), " SIZE(
	"d") " from voip.cdr_dead as d"
	     " where $2::text is null and dead_at < " BEFORE;
static const char dead_step[] =
	"with old as (delete from voip.cdr_dead where id in ("
	" select id from voip.cdr_dead where $2::text is null"
	" and dead_at < " BEFORE " order by dead_at limit $3::int)"
	" returning id) select count(*) from old";

/* What belongs to a change set goes with it. */
static const char audit_count[] = "select count(*), " SIZE(
	"c") " from voip.change as c"
	     " where $2::text is null and at < " BEFORE;
static const char audit_step[] =
	"with old as materialized (select id from voip.change"
	" where $2::text is null and at < " BEFORE
	" order by id limit $3::int),"
	" secret as (delete from voip.audit_secret"
	" where change_id in (select id from old)),"
	" row as (delete from voip.audit"
	" where change_id in (select id from old)),"
	" part as (delete from voip.change_part"
	" where change_id in (select id from old)),"
	" gone as (delete from voip.change"
	" where id in (select id from old) returning id)"
	" select count(*) from gone";

static const char recording_count[] = "select count(*), " SIZE(
	"r") " from voip.recordings as r"
	     " where $2::text is null and not active"
	     " and coalesce(end_time, start_time, created_at) < " BEFORE;
static const char recording_step[] =
	"with old as (delete from voip.recordings where id in ("
	" select id from voip.recordings where $2::text is null"
	" and not active"
	" and coalesce(end_time, start_time, created_at) < " BEFORE
	" limit $3::int) returning id) select count(*) from old";

const struct prune_job prune_jobs[] = {
	{ .name = "cdr",
	  .summary = "months of voip.cdr",
	  .run = prune_partitions,
	  .setting = "cdr_keep",
	  .parent = "cdr",
	  .ahead_sql = "select voip.cdr_partitions_ahead($1::int)",
	  .default_sql = "select count(*) from voip.cdr_default" },
	{ .name = "raw",
	  .summary = "days of voip.cdr_raw",
	  .run = prune_partitions,
	  .setting = "cdr_keep_raw",
	  .parent = "cdr_raw",
	  .ahead_sql = "select voip.cdr_raw_partitions_ahead($1::int)",
	  .default_sql = "select count(*) from voip.cdr_raw_default" },
	{ .name = "tenants",
	  .summary = "legs of tenants that keep theirs for less time",
	  .run = prune_rows,
	  .list_sql = "select domain, cdr_keep_days * 86400::bigint"
		      " from voip.domains where cdr_keep_days is not null"
		      " order by domain",
	  .count_sql = tenant_count,
	  .step_sql = tenant_step },
	{ .name = "anonymise",
	  .summary = "numbers in old legs",
	  .run = prune_anonymise,
	  .setting = "cdr_anonymise" },
	{ .name = "dead",
	  .summary = "dead letters",
	  .run = prune_rows,
	  .setting = "cdr_keep_dead",
	  .count_sql = dead_count,
	  .step_sql = dead_step },
	{ .name = "imported",
	  .summary = "files that voip-cdr-ingest import moved aside",
	  .run = prune_files,
	  .setting = "cdr_keep_imported" },
	{ .name = "audit",
	  .summary = "change sets of the directory",
	  .run = prune_rows,
	  .setting = "audit_keep",
	  .count_sql = audit_count,
	  .step_sql = audit_step },
	{ .name = "recordings",
	  .summary = "entries of recordings that are gone",
	  .run = prune_rows,
	  .setting = "recordings_keep",
	  .count_sql = recording_count,
	  .step_sql = recording_step },
	{ .name = NULL },
};
