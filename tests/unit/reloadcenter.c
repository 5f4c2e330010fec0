/* reloadcenter: which commands make mod_callcenter what it should be. */

#include "reloadcenter.h"

#include "buf.h"
#include "unit.h"

#define QUEUE_HEAD                                  \
	"name|strategy|moh_sound|tier_rules_apply|" \
	"discard_abandoned_after|max_wait_time|"    \
	"max_wait_time_with_no_agent\n"
#define AGENT_HEAD "name|instance_id|type|contact|status\n"
#define TIER_HEAD  "queue|agent|state|level|position\n"
#define OK         "+OK\n"

#define DOMAIN(name)                       \
	{                                  \
		CENTER_DOMAIN, name, NULL, \
		{                          \
			NULL               \
		}                          \
	}
#define QUEUE(name, strategy)                                      \
	{                                                          \
		CENTER_QUEUE, name, NULL,                          \
		{                                                  \
			strategy, "300", "120", "true", "60", NULL \
		}                                                  \
	}
#define AGENT(name)                       \
	{                                 \
		CENTER_AGENT, name, NULL, \
		{                         \
			"user/" name      \
		}                         \
	}
#define TIER(queue, agent, level, position) \
	{                                   \
		CENTER_TIER, queue, agent,  \
		{                           \
			level, position     \
		}                           \
	}

/* clang-format off */
static const struct {
	const char *queues, *agents, *tiers;
	struct center_row rows[8];
	size_t n;
	const char *commands; /* each with a newline; "!" is a skipped name */
} testv[] = {
	/* nothing to do */
	{ QUEUE_HEAD OK, AGENT_HEAD OK, TIER_HEAD OK,
	  { DOMAIN("a.b") }, 1, "" },
	/* all is new, tiers come last */
	{ QUEUE_HEAD OK, AGENT_HEAD OK, TIER_HEAD OK,
	  { TIER("q@a.b", "u@a.b", "1", "2"), AGENT("u@a.b"),
	    QUEUE("q@a.b", "random"), DOMAIN("a.b") }, 4,
	  "callcenter_config queue load q@a.b\n"
	  "callcenter_config agent add u@a.b callback\n"
	  "callcenter_config agent set contact u@a.b user/u@a.b\n"
	  "callcenter_config tier add q@a.b u@a.b 1 2\n" },
	/* all is there */
	{ QUEUE_HEAD "q@a.b|random||true|60|300|120\n" OK,
	  AGENT_HEAD "u@a.b|single_box|callback|user/u@a.b|Available\n" OK,
	  TIER_HEAD "q@a.b|u@a.b|Ready|1|2\n" OK,
	  { DOMAIN("a.b"), QUEUE("q@a.b", "random"), AGENT("u@a.b"),
	    TIER("q@a.b", "u@a.b", "1", "2") }, 4, "" },
	/* all is different */
	{ QUEUE_HEAD "q@a.b|ring-all||true|60|300|120\n" OK,
	  AGENT_HEAD "u@a.b|single_box|callback|user/u@old|Available\n" OK,
	  TIER_HEAD "q@a.b|u@a.b|Ready|3|4\n" OK,
	  { DOMAIN("a.b"), QUEUE("q@a.b", "random"), AGENT("u@a.b"),
	    TIER("q@a.b", "u@a.b", "1", "2") }, 4,
	  "callcenter_config queue reload q@a.b\n"
	  "callcenter_config agent set contact u@a.b user/u@a.b\n"
	  "callcenter_config tier set level q@a.b u@a.b 1\n"
	  "callcenter_config tier set position q@a.b u@a.b 2\n" },
	/* ours is removed, tiers first; that of others stays */
	{ QUEUE_HEAD "q@a.b|random||true|60|300|120\n"
		     "support@default|random||true|60|300|120\n"
		     "plain|random||true|60|300|120\n" OK,
	  AGENT_HEAD "u@a.b|single_box|callback|user/u@a.b|Available\n"
		     "1000@default|single_box|callback|user/1000|On Break\n" OK,
	  TIER_HEAD "q@a.b|u@a.b|Ready|1|2\n"
		    "support@default|1000@default|Ready|1|1\n" OK,
	  { DOMAIN("a.b") }, 1,
	  "callcenter_config tier del q@a.b u@a.b\n"
	  "callcenter_config agent del u@a.b\n"
	  "callcenter_config queue unload q@a.b\n" },
	/* names with spaces, quotes and worse */
	{ QUEUE_HEAD "old one@a.b|random||true|60|300|120\n" OK,
	  AGENT_HEAD OK, TIER_HEAD OK,
	  { DOMAIN("a.b"), QUEUE("it's big@a.b", "random"),
	    QUEUE("a|b@a.b", "random"), QUEUE("x\nauth@a.b", "random") }, 4,
	  "callcenter_config queue unload old\\sone@a.b\n"
	  "!a|b@a.b\n"
	  "callcenter_config queue load it\\'s\\sbig@a.b\n"
	  "!x\nauth@a.b\n" },
	/* a name in the list that its separator is in: no row of the list */
	{ QUEUE_HEAD "a|b@a.b|random||true|60|300|120\n" OK,
	  AGENT_HEAD OK, TIER_HEAD OK, { DOMAIN("a.b") }, 1, "" },
	/* no lists */
	{ "-ERR callcenter_config Command not found!\n", AGENT_HEAD OK,
	  TIER_HEAD OK, { DOMAIN("a.b") }, 1, NULL },
	{ QUEUE_HEAD OK, "", TIER_HEAD OK, { DOMAIN("a.b") }, 1, NULL },
	{ QUEUE_HEAD OK, AGENT_HEAD OK, "queue|state\n" OK, { DOMAIN("a.b") },
	  1, NULL },
};
/* clang-format on */

static void
put(const char *command, void *arg)
{
	buf_printf(arg, "%s\n", command);
}

static void
skip(const char *name, void *arg)
{
	buf_printf(arg, "!%s\n", name);
}

static void
with_little_memory(bool may_fail)
{
	struct center_lists lists = { testv[1].queues, testv[1].agents,
				      testv[1].tiers };
	struct buf b = BUF_INIT;
	struct verr e = VERR_INIT;
	int rc = center_difference(testv[1].rows, testv[1].n, &lists, put, skip,
				   &b, &e);

	CHECK(rc == 0 || (may_fail && e.kind == VERR_RETRY));
	if (!may_fail)
		CHECK_STR(b.data, testv[1].commands);
	buf_release(&b);
}

int
main(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		struct center_lists lists = { testv[i].queues, testv[i].agents,
					      testv[i].tiers };
		struct buf b = BUF_INIT;
		struct verr e = VERR_INIT;
		int rc = center_difference(testv[i].rows, testv[i].n, &lists,
					   put, skip, &b, &e);

		CHECK(rc == (testv[i].commands ? 0 : -1));
		if (testv[i].commands)
			CHECK_STR(b.data, testv[i].commands);
		else
			CHECK(e.kind == VERR_INPUT);
		buf_release(&b);
	}
	CHECK(unit_each_failure(with_little_memory) > 3);
	return unit_end();
}
