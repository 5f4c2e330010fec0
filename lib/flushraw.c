#include "flushraw.h"

#include <string.h>
#include <time.h>

#include "conf.h"

#define DAY_US (INT64_C(86400) * 1000000)

static const char partition_sql[] =
	"select voip.cdr_raw_partition($1::timestamptz)";

static const char store_sql[] =
	"insert into voip.cdr_raw (leg_uuid, start_time, body) "
	"select leg_uuid, start_time, raw from pg_temp.cdr_batch "
	"where raw is not null on conflict do nothing";

void
flushraw_init(struct flushraw *f)
{
	f->keep_us = conf_ms("cdr_keep_raw") * 1000;
	flushraw_forget(f);
}

void
flushraw_forget(struct flushraw *f)
{
	memset(f->days, 0, sizeof(f->days));
}

bool
flushraw_keeps(const struct flushraw *f, int64_t start_us)
{
	struct timespec now;

	if (f->keep_us == 0)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	return start_us >= (int64_t)now.tv_sec * 1000000 - f->keep_us;
}

int
flushraw_partition(struct flushraw *f, struct db *db, int64_t start_us,
		   const char *start_time, struct verr *e)
{
	int64_t day = start_us / DAY_US;

	if (f->days[day % FLUSHRAW_DAYS] == day)
		return 0;
	if (db_query(db, NULL, partition_sql, 1, &DB_TEXT(start_time), e) == -1)
		return -1;
	f->days[day % FLUSHRAW_DAYS] = day;
	return 0;
}

int
flushraw_store(const struct flushraw *f, struct db *db, struct verr *e)
{
	return f->keep_us ? db_query(db, NULL, store_sql, 0, NULL, e) : 0;
}
