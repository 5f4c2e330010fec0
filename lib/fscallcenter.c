/* callcenter.conf: queues, agents and tiers. */
#include "fsconfig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsvalue.h"
#include "log.h"

enum { ROW_QUEUE, ROW_AGENT, ROW_TIER };

/*
 * One queue, or all of them: 0 queues, 1 agents, 2 tiers.  The agents of a
 * queue that is asked for alone come with it, because mod_callcenter reads
 * both out of the same answer.
 */
static const char sql_callcenter[] =
	"with q as (select d.domain, q.* from voip.queues as q "
	"join voip.domains as d on d.id = q.domain_id and d.active "
	"where q.active and ($1 = '' or d.domain = $1) "
	"and ($2 = '' or q.name = $2)), "
	"m as (select q.domain, q.name, u.username, m.tier, m.position "
	"from q join voip.queue_members as m on m.queue_id = q.id and m.active "
	"join voip.users as u on u.id = m.user_id and u.active) "
	"select 0 as kind, q.domain, q.name, q.strategy, "
	"q.max_wait_time::text, q.max_wait_time_with_no_agent::text, "
	"q.discard_abandoned_after::text, q.music, "
	"q.tier_rules_apply, q.record or exists (select "
	"from voip.extensions as e join voip.recording_policies as p "
	"on p.id = e.recording_policy_id and p.active and p.record_queue "
	"where e.queue_id = q.id and e.active) from q "
	"union all select distinct 1, m.domain, m.username, null, null, null, "
	"null, null, null::boolean, null::boolean from m "
	"union all select 2, m.domain, m.name, m.username, m.tier::text, "
	"m.position::text, null, null, null, null from m "
	"order by 1, 2, 3, 4";

/*
 * A queue whose music cannot be opened makes mod_callcenter try again without
 * a pause, so a file must be there; FreeSWITCH runs on this node.
 */
static const char *
music(const char *wanted, const struct fs_settings *s, const char *queue)
{
	if (!wanted)
		return s->music;
	if (fsvalue_is_sound(wanted) &&
	    (strstr(wanted, "://") ||
	     (*wanted == '/' && access(wanted, R_OK) == 0)))
		return wanted;
	log_warning("queue '%s' has the default music: '%s' cannot be played",
		    queue, wanted);
	return s->music;
}

static void
write_queue(struct fsxml *x, const struct db_result *r, int row,
	    const struct fs_settings *s)
{
	const char *domain = db_value(r, row, 1), *name = db_value(r, row, 2);
	struct buf path = BUF_INIT;

	fsxml_open(x, "queue");
	fsvalue_name(x, "name", "", name, domain);
	fsvalue_param(x, "strategy", db_value(r, row, 3));
	fsvalue_param(x, "moh-sound", music(db_value(r, row, 7), s, name));
	fsvalue_param(x, "time-base-score", "system");
	fsvalue_param(x, "max-wait-time", db_value(r, row, 4));
	fsvalue_param(x, "max-wait-time-with-no-agent", db_value(r, row, 5));
	fsvalue_param(x, "tier-rules-apply",
		      db_is_true(r, row, 8) ? "true" : "false");
	fsvalue_param(x, "discard-abandoned-after", db_value(r, row, 6));
	fsvalue_param(x, "abandoned-resume-allowed", "false");
	if (db_is_true(r, row, 9)) {
		fsvalue_recording(&path, s, domain);
		fsvalue_expanded(x, "record-template", path.data);
	}
	fsxml_close(x);
	buf_release(&path);
}

/* USER@DOMAIN as it is: both are made of a fixed alphabet. */
static void
agent_name(struct fsxml *x, const char *attribute, const char *user,
	   const char *domain)
{
	char name[330];

	snprintf(name, sizeof(name), "%s@%s", user, domain);
	fsxml_plain(x, attribute, name);
}

static void
write_agent(struct fsxml *x, const struct db_result *r, int row,
	    const struct fs_settings *s)
{
	const char *domain = db_value(r, row, 1), *user = db_value(r, row, 2);
	char contact[400];

	snprintf(contact, sizeof(contact), "[leg_timeout=%ld]user/%s@%s",
		 s->ring_seconds, user, domain);
	fsxml_open(x, "agent");
	agent_name(x, "name", user, domain);
	fsxml_attr(x, "type", "callback");
	fsxml_plain(x, "contact", contact);
	if (s->agents_available)
		fsxml_attr(x, "status", "Available");
	fsxml_attr(x, "max-no-answer", "3");
	fsxml_attr(x, "wrap-up-time", "10");
	fsxml_attr(x, "reject-delay-time", "10");
	fsxml_attr(x, "busy-delay-time", "60");
	fsxml_close(x);
}

static void
write_tier(struct fsxml *x, const struct db_result *r, int row)
{
	const char *domain = db_value(r, row, 1);

	fsxml_open(x, "tier");
	agent_name(x, "agent", db_value(r, row, 3), domain);
	fsvalue_name(x, "queue", "", db_value(r, row, 2), domain);
	fsxml_attr(x, "level", db_value(r, row, 4));
	fsxml_attr(x, "position", db_value(r, row, 5));
	fsxml_close(x);
}

/*
 * mod_callcenter asks again when there is no <tiers>.  At its load it forgets
 * the tiers that it kept: the answer has all of them.
 */
static void
write_callcenter(struct buf *out, const struct lookup *l,
		 const struct db_result *r, int rows,
		 const struct fs_settings *s)
{
	static const char *const lists[] = { "queues", "agents", "tiers" };
	struct fsxml x;
	int row = 0;

	fsvalue_file(&x, out, l, "callcenter.conf");
	fsxml_open(&x, "settings");
	fsvalue_param(&x, "truncate-tiers-on-load", "true");
	fsvalue_param(&x, "truncate-agents-on-load", "true");
	fsxml_close(&x);
	for (int kind = ROW_QUEUE; kind <= ROW_TIER; kind++) {
		fsxml_open(&x, lists[kind]);
		for (; row < rows && *db_value(r, row, 0) == '0' + kind; row++)
			if (kind == ROW_QUEUE)
				write_queue(&x, r, row, s);
			else if (kind == ROW_AGENT)
				write_agent(&x, r, row, s);
			else
				write_tier(&x, r, row);
		fsxml_close(&x);
	}
	fsxml_end(&x);
}

static int
callcenter_answer(struct buf *out, const struct lookup *l,
		  const struct db_result *r, const struct fs_settings *s,
		  struct verr *e)
{
	size_t before = out->len;

	(void)e;
	write_callcenter(out, l, r, db_rows(r), s);
	if (l->is_part || out->len - before <= FSCONFIG_MAX)
		return 1;
	/* A call to a queue that is not in memory asks for that queue. */
	log_warning(
		"callcenter.conf has more than %d bytes: FreeSWITCH gets each "
		"queue when it is first called",
		FSCONFIG_MAX);
	out->data[out->len = before] = '\0';
	write_callcenter(out, l, r, 0, s);
	return 1;
}

const struct answer fsconfig_callcenter = { .sql = sql_callcenter,
					    .ask = fsvalue_ask,
					    .build = callcenter_answer };
