#include "fsconfig.h"

#include <string.h>

#include "fsvalue.h"

/* --- conference.conf -------------------------------------------------- */

static const char sql_conference[] =
	"select d.domain, c.number, c.max_members, c.record, c.pin, "
	"c.moderator_pin from voip.domains as d "
	"join voip.conferences as c on c.domain_id = d.id and c.active "
	"where d.domain = $1 and d.active "
	"and ($2 = '' or c.number = $2) order by c.number";

static const char *const pin_names[][2] = {
	{ "pin", "conferences.pin" },
	{ "moderator-pin", "conferences.moderator_pin" },
};
#define PIN_COLUMN 4

/* A conference whose PIN cannot be opened is closed rather than open. */
static bool
pins(struct fsxml *x, const struct db_result *r, int row)
{
	struct buf secret = BUF_INIT;
	bool good = true;

	for (int i = 0; i < 2; i++) {
		if (!db_value(r, row, PIN_COLUMN + i))
			continue;
		if (answer_open(&secret, r, row, PIN_COLUMN + i,
				pin_names[i][1], db_value(r, row, 1),
				db_value(r, row, 0))) {
			fsxml_open(x, "param");
			fsxml_name(x, pin_names[i][0]);
			fsxml_attr(x, "value", secret.data);
			fsxml_close(x);
		} else {
			good = false;
		}
		answer_wipe(&secret);
	}
	return good;
}

static bool
write_profile(struct fsxml *x, const struct lookup *l,
	      const struct db_result *r, int row, const struct fs_settings *s)
{
	static const char *const constants[][2] = {
		{ "rate", "8000" },
		{ "interval", "20" },
		{ "energy-level", "100" },
		{ "caller-controls", "default" },
		{ "comfort-noise", "true" },
		{ "pin-sound", "conference/conf-pin.wav" },
		{ "bad-pin-sound", "conference/conf-bad-pin.wav" },
		{ "max-members-sound",
		  "conference/conf-conference_is_full.wav" },
		{ "enter-sound", "tone_stream://%(200,0,500,600,700)" },
		{ "exit-sound", "tone_stream://%(500,0,300,200,100,50,25)" },
	};
	struct buf text = BUF_INIT;
	bool good;

	fsxml_open(x, "profile");
	lookup_put_name(&text, db_value(r, row, 1), '_', l->domain);
	fsxml_attr(x, "name", text.data);
	fsvalue_param(x, "domain", l->domain);
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		fsvalue_param(x, constants[i][0], constants[i][1]);
	fsvalue_param(x, "max-members", db_value(r, row, 2));
	good = pins(x, r, row);
	if (db_is_true(r, row, 3)) {
		buf_clear(&text);
		fsvalue_recording(&text, s, db_value(r, row, 0));
		fsvalue_expanded(x, "auto-record", text.data);
	}
	fsxml_close(x);
	if (buf_failed(&text))
		x->out->failed = true;
	buf_release(&text);
	return good;
}

static int
conference_answer(struct buf *out, const struct lookup *l,
		  const struct db_result *r, const struct fs_settings *s,
		  struct verr *e)
{
	struct fsxml x;

	fsvalue_file(&x, out, l, "conference.conf");
	fsxml_open(&x, "profiles");
	for (int row = 0; row < db_rows(r); row++)
		if (!write_profile(&x, l, r, row, s))
			return verr_set(e, VERR_CONFIG,
					"the PIN of conference '%s@%s' cannot "
					"be opened",
					db_value(r, row, 1),
					db_value(r, row, 0));
	fsxml_end(&x);
	return 1;
}

const struct answer fsconfig_conference = { .sql = sql_conference,
					    .ask = fsvalue_ask,
					    .build = conference_answer };

/* --- acl.conf --------------------------------------------------------- */

/*
 * Lists of tenants whose users are known by their network: FreeSWITCH asks for
 * the users of each with purpose=network-list; and of the addresses that have
 * a tag.
 */
static const char sql_acl[] =
	"select 'domains' as list, d.domain, null::text as cidr "
	"from voip.domains as d where d.active and exists (select "
	"from voip.users as u where u.domain_id = d.id and u.active "
	"and u.cidr <> '{}') "
	"union all select d.domain, d.domain, null from voip.domains as d "
	"where d.active and exists (select from voip.users as u "
	"where u.domain_id = d.id and u.active and u.cidr <> '{}') "
	"union all select a.tag, null, a.address::text "
	"from voip.trusted_addresses as a where a.active "
	"and a.tag ~ '^[A-Za-z0-9_.:/-]+$' order by 1, 2, 3 limit 10000";

static bool
ask_nothing(struct question *q, struct lookup *l, const struct fs_settings *s)
{
	(void)q;
	(void)l;
	(void)s;
	return true;
}

static int
acl_answer(struct buf *out, const struct lookup *l, const struct db_result *r,
	   const struct fs_settings *s, struct verr *e)
{
	const char *list, *last = "";
	struct fsxml x;

	(void)l;
	(void)s;
	(void)e;
	fsvalue_file(&x, out, l, "acl.conf");
	fsxml_open(&x, "network-lists");
	for (int row = 0; row < db_rows(r); row++, last = list) {
		list = db_value(r, row, 0);
		if (strcmp(list, last) != 0) {
			fsxml_close_to(&x, 4);
			fsxml_open(&x, "list");
			fsxml_plain(&x, "name", list);
			fsxml_attr(&x, "default", "deny");
		}
		fsxml_open(&x, "node");
		fsxml_attr(&x, "type", "allow");
		if (db_value(r, row, 1))
			fsxml_attr(&x, "domain", db_value(r, row, 1));
		else
			fsxml_attr(&x, "cidr", db_value(r, row, 2));
		fsxml_close(&x);
	}
	fsxml_end(&x);
	return 1;
}

const struct answer fsconfig_acl = { .sql = sql_acl,
				     .ask = ask_nothing,
				     .build = acl_answer };
