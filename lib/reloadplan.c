#include "reloadplan.h"

#include <string.h>

#include "conf.h"
#include "eslmessage.h"
#include "lookup.h"
#include "valid.h"

enum action {
	NUMBER = 1 << 0,      /* the key of a number */
	NUMBERS = 1 << 1,     /* the whole cache of numbers */
	ACCOUNT = 1 << 2,     /* the key of an account */
	ACCOUNTS = 1 << 3,    /* the whole cache of accounts */
	NODES = 1 << 4,       /* where calls are sent */
	DOMAINS = 1 << 5,     /* which domains are ours */
	ADDRESSES = 1 << 6,   /* who is trusted */
	XML_OF = 1 << 7,      /* the user of that name or number */
	XML_ALL = 1 << 8,     /* every user */
	GATEWAY = 1 << 9,     /* the gateway of that name */
	GATEWAYS = 1 << 10,   /* all of them, by difference */
	QUEUE = 1 << 11,      /* the settings of that queue */
	CALLCENTER = 1 << 12, /* queues, agents and tiers, by difference */
	EMERGENCY = 1 << 13,  /* the numbers that need no database */
};

/* The numbers that point to the row. */
#define POINTING(table, column, name)                        \
	"select e.extension, null from voip.extensions as e" \
	" join voip.domains as d on d.id = e.domain_id"      \
	" join voip." table " as t on t.id = e." column      \
	" where d.domain = $1 and t." name " = $2"

/* clang-format off */
static const struct rule {
	const char *table;
	unsigned one;  /* a row with this key */
	unsigned many; /* any rows of the tenant */
	const char *lookup;
} rules[] = {
	{ "domains", NUMBERS | ACCOUNTS | DOMAINS | XML_ALL | CALLCENTER,
	  NUMBERS | ACCOUNTS | DOMAINS | XML_ALL | CALLCENTER, NULL },
	{ "users", ACCOUNT | XML_OF | CALLCENTER,
	  NUMBERS | ACCOUNTS | XML_ALL | CALLCENTER,
	  POINTING("users", "user_id", "username") },
	{ "extensions", NUMBER | XML_OF, NUMBERS | XML_ALL,
	  "select null, u.username from voip.extensions as e"
	  " join voip.domains as d on d.id = e.domain_id"
	  " join voip.users as u on u.id = e.user_id"
	  " where d.domain = $1 and e.extension = $2" },
	{ "groups", XML_ALL, XML_ALL, NULL },
	{ "group_members", XML_OF, XML_ALL, NULL },
	{ "queues", QUEUE | CALLCENTER, NUMBERS | CALLCENTER,
	  POINTING("queues", "queue_id", "name") },
	{ "queue_members", CALLCENTER, CALLCENTER, NULL },
	{ "ivr_menus", 0, NUMBERS, POINTING("ivr_menus", "ivr_id", "name") },
	{ "ivr_entries", 0, 0, NULL },
	{ "voicemail_boxes", XML_OF, NUMBERS | XML_ALL,
	  POINTING("voicemail_boxes", "voicemail_box_id", "number") },
	{ "conferences", 0, NUMBERS,
	  POINTING("conferences", "conference_id", "number") },
	{ "trunks", NUMBERS | NODES | GATEWAY, NUMBERS | NODES | GATEWAYS,
	  NULL },
	{ "recording_policies", 0, 0, NULL },
	{ "emergency_numbers", NUMBERS | EMERGENCY, NUMBERS | EMERGENCY, NULL },
	{ "media_nodes", NODES, NODES, NULL },
	{ "trusted_addresses", ADDRESSES, ADDRESSES, NULL },
	{ "api_keys", 0, 0, NULL },
	{ "domain_admins", 0, 0, NULL },
	{ .table = NULL },
};
/* clang-format on */

/* What is being planned; a name that cannot be one leaves `bad` set. */
struct planning {
	enum change_op op;
	const char *name;
	const char *domain;
	reload_put_fn put;
	void *arg;
	struct buf text;
	bool bad;
};

static void
put(struct planning *p, enum reload_to to)
{
	if (!buf_failed(&p->text))
		p->put(to, p->text.data, p->arg);
	buf_clear(&p->text);
}

static bool
is_valid(valid_fn check, const char *s)
{
	struct verr ignored = VERR_INIT;

	return check(s, &ignored) == 0;
}

static bool
is_key(const struct planning *p)
{
	return is_valid(valid_username, p->name) &&
	       is_valid(valid_domain, p->domain);
}

/* --- Kamailio --------------------------------------------------------- */

/* "ext extst": each of them, or the first only. */
static void
each_table(struct planning *p, const char *setting, const char *method,
	   const char *key)
{
	const char *words = conf_str(setting);

	for (size_t len; *words; words += len) {
		words += strspn(words, " ");
		len = strcspn(words, " ");
		if (len == 0)
			break;
		buf_printf(&p->text, "%s %.*s", method, (int)len, words);
		if (key)
			buf_printf(&p->text, " %s", key);
		put(p, RELOAD_KAMAILIO);
		if (!key)
			break;
	}
}

static void
forget_key(struct planning *p, const char *setting, const char *before,
	   char between, const char *after)
{
	struct buf key = BUF_INIT;

	buf_printf(&key, "%s%c%s", before, between, after);
	if (!buf_failed(&key))
		each_table(p, setting, "htable.delete", key.data);
	buf_release(&key);
}

static void
plan_number(struct planning *p)
{
	/* A number with such a character may be a pattern that answers others.
	 */
	if (strpbrk(p->name, "XZN.["))
		each_table(p, "kamailio_number_tables", "htable.flush", NULL);
	if (is_key(p))
		forget_key(p, "kamailio_number_tables", p->domain, ':',
			   p->name);
	else if (!strchr(p->name, '['))
		p->bad = true;
}

static void
plan_numbers(struct planning *p)
{
	each_table(p, "kamailio_number_tables", "htable.flush", NULL);
}

static void
plan_account(struct planning *p)
{
	if (is_key(p))
		forget_key(p, "kamailio_account_tables", p->name, '@',
			   p->domain);
	else
		p->bad = true;
}

static void
plan_accounts(struct planning *p)
{
	each_table(p, "kamailio_account_tables", "htable.flush", NULL);
}

static void
plan_nodes(struct planning *p)
{
	p->put(RELOAD_KAMAILIO, "dispatcher.reload", p->arg);
}

static void
plan_domains(struct planning *p)
{
	p->put(RELOAD_KAMAILIO, "domain.reload", p->arg);
}

static void
plan_emergency(struct planning *p)
{
	p->put(RELOAD_KAMAILIO, "htable.reload emergency", p->arg);
}

static void
plan_addresses(struct planning *p)
{
	p->put(RELOAD_KAMAILIO, "permissions.addressReload", p->arg);
}

/* --- FreeSWITCH ------------------------------------------------------- */

static void
plan_xml_of(struct planning *p)
{
	if (is_key(p)) {
		buf_printf(&p->text, "xml_flush_cache id %s %s", p->name,
			   p->domain);
		put(p, RELOAD_FREESWITCH);
	} else if (!strchr(p->name, '[') && *p->name != '#') {
		p->bad = true;
	}
}

static void
plan_xml_all(struct planning *p)
{
	p->put(RELOAD_FREESWITCH, "xml_flush_cache", p->arg);
}

/* A gateway that is there stays as it is unless it is removed first. */
static void
plan_gateway(struct planning *p)
{
	const char *profile = conf_str("gateway_profile");

	if (!is_valid(valid_username, p->name) || strpbrk(p->name, "+*#")) {
		p->bad = true;
		return;
	}
	if (p->op != CHANGE_INSERT) {
		buf_printf(&p->text, "sofia profile %s killgw %s", profile,
			   p->name);
		put(p, RELOAD_FREESWITCH);
	}
	buf_printf(&p->text, "sofia profile %s rescan", profile);
	put(p, RELOAD_FREESWITCH);
}

static void
plan_gateways(struct planning *p)
{
	p->put(RELOAD_FREESWITCH, "@gateways", p->arg);
}

static void
plan_queue(struct planning *p)
{
	/* no queue has a name that could not be a word */
	if (!is_valid(valid_domain, p->domain) || !esl_word(&p->text, p->name))
		p->bad = true;
	buf_clear(&p->text);
	if (p->bad || p->op != CHANGE_UPDATE)
		return;
	buf_puts(&p->text, "callcenter_config queue reload ");
	lookup_put_name(&p->text, p->name, '@', p->domain);
	put(p, RELOAD_FREESWITCH);
}

static void
plan_callcenter(struct planning *p)
{
	p->put(RELOAD_FREESWITCH, "@callcenter", p->arg);
}

/* --- the actions ------------------------------------------------------ */

/* clang-format off */
static const struct {
	enum action action;
	void (*plan)(struct planning *p);
} actions[] = {
	{ NUMBER, plan_number },       { NUMBERS, plan_numbers },
	{ ACCOUNT, plan_account },     { ACCOUNTS, plan_accounts },
	{ NODES, plan_nodes },         { DOMAINS, plan_domains },
	{ ADDRESSES, plan_addresses }, { XML_OF, plan_xml_of },
	{ XML_ALL, plan_xml_all },     { GATEWAY, plan_gateway },
	{ GATEWAYS, plan_gateways },   { QUEUE, plan_queue },
	{ CALLCENTER, plan_callcenter },
	{ EMERGENCY, plan_emergency },
};
/* clang-format on */

static bool
plan(unsigned wanted, const char *domain, const char *name, enum change_op op,
     reload_put_fn put_fn, void *arg)
{
	struct planning p = { op, name, domain, put_fn, arg, BUF_INIT, false };

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (wanted & actions[i].action)
			actions[i].plan(&p);
	buf_release(&p.text);
	return !p.bad;
}

const char *
reload_to_name(enum reload_to to)
{
	return to == RELOAD_KAMAILIO ? "kamailio" : "freeswitch";
}

int
reload_plan(const struct change *c, const char **lookup, reload_put_fn put_fn,
	    void *arg, struct verr *e)
{
	const struct rule *r = rules;

	*lookup = NULL;
	if (c->op == CHANGE_RESYNC) {
		reload_plan_resync(RELOAD_KAMAILIO, put_fn, arg);
		reload_plan_resync(RELOAD_FREESWITCH, put_fn, arg);
		return 0;
	}
	while (r->table && strcmp(r->table, c->table) != 0)
		r++;
	if (!r->table)
		return verr_set(e, VERR_INPUT,
				"no peer knows anything of '%.64s'", c->table);
	if (c->op == CHANGE_MANY || !c->entity) {
		plan(r->many, c->domain, c->name, c->op, put_fn, arg);
		return 0;
	}
	/* Its tenant went with it, and that is told by a change of its own. */
	if (*c->domain == '\0' && c->entity->in_domain)
		return 0;
	if (r->lookup && c->op != CHANGE_DELETE)
		*lookup = r->lookup;
	if (plan(r->one, c->domain, c->name, c->op, put_fn, arg))
		return 0;
	return verr_set(e, VERR_INPUT, "'%.128s' is no name of %s", c->name,
			c->entity->name);
}

void
reload_plan_found(const char *domain, const char *number, const char *username,
		  reload_put_fn put_fn, void *arg)
{
	if (number)
		plan(NUMBER | XML_OF, domain, number, CHANGE_UPDATE, put_fn,
		     arg);
	if (username)
		plan(XML_OF, domain, username, CHANGE_UPDATE, put_fn, arg);
}

void
reload_plan_unknown(reload_put_fn put_fn, void *arg)
{
	plan(NUMBERS | XML_ALL, "", "", CHANGE_MANY, put_fn, arg);
}

/* A peer's part of a plan. */
struct part {
	enum reload_to to;
	reload_put_fn put;
	void *arg;
};

static void
put_part(enum reload_to to, const char *command, void *arg)
{
	const struct part *part = arg;

	if (to == part->to)
		part->put(to, command, part->arg);
}

void
reload_plan_resync(enum reload_to to, reload_put_fn put_fn, void *arg)
{
	struct part part = { to, put_fn, arg };

	plan(NUMBERS | ACCOUNTS | NODES | DOMAINS | ADDRESSES | EMERGENCY |
		     XML_ALL | GATEWAYS | CALLCENTER,
	     "", "", CHANGE_RESYNC, put_part, &part);
}
