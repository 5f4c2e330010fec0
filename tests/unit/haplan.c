/* haplan: every combination of facts, and the promises that hold in each. */

#include "haplan.h"

#include "unit.h"

#define LOST_ADDRESS (HA_ON_BACKUP | HA_ON_FAULT | HA_ON_STOP)
#define MAY_WRITE    (HA_PG_PRIMARY | HA_PG_HUNG)
#define PG_DOWN      (HA_PG_DOWN_PRIMARY | HA_PG_DOWN_STANDBY)
#define PEER_WRITES  (HA_PEER_PRIMARY | HA_PEER_NEWER | HA_PEER_OLDER)
#define DEMANDS      (HA_ON_PEER | HA_ON_STALE)
#define ROWS         64

static bool reached[ROWS];
static unsigned combinations;

static void
facts_of(const unsigned bits[HA_FACTS], struct ha_facts *f)
{
	*f = (struct ha_facts){
		.event = bits[0],
		.pause = bits[1],
		.held = bits[2],
		.pg = bits[3],
		.mark = bits[4],
		.peer = bits[5],
		.witness = bits[6],
		.fence = bits[7],
		.policy = bits[8],
	};
}

/* Whatever makes sure that a silent peer does not write. */
static bool
peer_is_sure(const struct ha_facts *f)
{
	if (f->peer &
	    (HA_PEER_NONE | HA_PEER_OFF | HA_PEER_BEHIND | HA_PEER_STANDBY))
		return true;
	if (f->peer & (HA_PEER_AHEAD | HA_PEER_UNCLEAR))
		return f->policy == HA_AVAILABILITY &&
		       (f->peer == HA_PEER_AHEAD ||
			f->witness != HA_WITNESS_LOST);
	return f->peer == HA_PEER_SILENT && f->witness != HA_WITNESS_LOST &&
	       (f->witness == HA_WITNESS_SEEN || f->policy == HA_AVAILABILITY);
}

static bool
promotion_is_safe(const struct ha_facts *f, enum ha_action a)
{
	if (a == HA_FENCE)
		return f->event == HA_ON_MASTER && f->pg == HA_PG_STANDBY &&
		       (f->peer & (HA_PEER_SILENT | HA_PEER_UNCLEAR)) &&
		       f->fence == HA_FENCE_SET &&
		       f->witness != HA_WITNESS_LOST;
	return a != HA_PROMOTE || (f->event == HA_ON_MASTER &&
				   f->pg == HA_PG_STANDBY && peer_is_sure(f));
}

static bool
lost_primary_stops(const struct ha_facts *f, enum ha_action a)
{
	bool must = (f->event & LOST_ADDRESS) && f->held == HA_HELD;

	must = (must || f->event == HA_ON_ISOLATED) && (f->pg & MAY_WRITE) &&
	       f->pause == HA_RUNNING;
	return !must || a == HA_DEMOTE;
}

static bool
stale_side_stops(const struct ha_facts *f, enum ha_action a)
{
	return f->pg != HA_PG_PRIMARY || f->peer != HA_PEER_NEWER ||
	       f->pause == HA_MAINTENANCE || a == HA_DEMOTE;
}

static bool
maintenance_does_nothing(const struct ha_facts *f, enum ha_action a)
{
	bool demand = (f->event & DEMANDS) && (f->pg & MAY_WRITE);

	return f->pause == HA_RUNNING || a == (demand ? HA_DEMOTE : HA_NOTHING);
}

/* The peer's word "I have stopped" must be true. */
static bool
asked_primary_stops(const struct ha_facts *f, enum ha_action a)
{
	return !(f->event & DEMANDS) || !(f->pg & MAY_WRITE) || a == HA_DEMOTE;
}

static bool
start_is_safe(const struct ha_facts *f, enum ha_action a)
{
	if (a != HA_START)
		return true;
	if (f->mark == HA_TORN)
		return false;
	if (f->pg == HA_PG_DOWN_STANDBY)
		return f->mark == HA_CLEAR || f->peer == HA_PEER_BEHIND;
	return f->pg == HA_PG_DOWN_PRIMARY &&
	       (f->peer == HA_PEER_NONE ||
		(f->mark == HA_TRUSTED && !(f->peer & PEER_WRITES)) ||
		(f->mark == HA_CLEAR &&
		 (f->peer & (HA_PEER_OFF | HA_PEER_BEHIND | HA_PEER_STANDBY))));
}

static bool
rejoin_is_forward(const struct ha_facts *f, enum ha_action a)
{
	return a != HA_REJOIN ||
	       ((f->pg & (PG_DOWN | HA_PG_STRAY)) && f->held == HA_NOT_HELD &&
		(f->peer & (HA_PEER_PRIMARY | HA_PEER_NEWER)) &&
		((f->mark & (HA_FENCED | HA_TORN)) ||
		 (f->pg & (HA_PG_DOWN_PRIMARY | HA_PG_STRAY))));
}

static bool
stranger_is_left_alone(const struct ha_facts *f, enum ha_action a)
{
	return f->peer != HA_PEER_ASTRAY || f->pause == HA_MAINTENANCE ||
	       a == HA_REFUSE || a == HA_DEMOTE;
}

/* Nobody is asked who does not write, and only for the address' sake. */
static bool
asks_whom_it_should(const struct ha_facts *f, enum ha_action a)
{
	return a != HA_ASK ||
	       ((f->peer & PEER_WRITES) &&
		(f->event == HA_ON_MASTER || f->held == HA_HELD));
}

static bool
demotes_what_runs(const struct ha_facts *f, enum ha_action a)
{
	/* One that was cut off. */
	if (f->held == HA_HELD && (f->mark & (HA_FENCED | HA_TORN)) &&
	    a == HA_DEMOTE && f->pg != HA_PG_STANDBY)
		return true;
	return a != HA_DEMOTE || (f->pg & MAY_WRITE) ||
	       (f->pg == HA_PG_DOWN_PRIMARY && (f->event & LOST_ADDRESS));
}

static bool
holds_what_is_primary(const struct ha_facts *f, enum ha_action a)
{
	return a != HA_HOLD || (f->pg == HA_PG_PRIMARY &&
				!(f->peer & (PEER_WRITES | HA_PEER_ASTRAY)));
}

static const struct {
	const char *name;
	bool (*holds)(const struct ha_facts *f, enum ha_action a);
} promises[] = {
	{ "promotion is safe", promotion_is_safe },
	{ "a primary that lost the address stops", lost_primary_stops },
	{ "the stale side stops", stale_side_stops },
	{ "maintenance does nothing", maintenance_does_nothing },
	{ "a primary that is asked stops", asked_primary_stops },
	{ "a start is safe", start_is_safe },
	{ "a rejoin is forward", rejoin_is_forward },
	{ "a stranger is left alone", stranger_is_left_alone },
	{ "only a writing peer is asked", asks_whom_it_should },
	{ "only what may write is demoted", demotes_what_runs },
	{ "only a primary holds", holds_what_is_primary },
};

static void
judge(const unsigned bits[HA_FACTS])
{
	const struct ha_row *row;
	struct ha_facts f;

	facts_of(bits, &f);
	row = ha_plan(&f);
	combinations++;
	if (row - ha_rows < ROWS)
		reached[row - ha_rows] = true;
	for (size_t i = 0; i < COUNT(promises); i++) {
		if (promises[i].holds(&f, row->action))
			continue;
		printf("%s:", promises[i].name);
		for (size_t k = 0; k < HA_FACTS; k++)
			printf(" %s=%#x", ha_fact_name(k), bits[k]);
		printf(" -> %s\n", ha_action_word(row->action));
		CHECK(!"a promise of haplan.h");
	}
}

static void
walk(unsigned bits[HA_FACTS], size_t fact)
{
	if (fact == HA_FACTS) {
		judge(bits);
		return;
	}
	for (size_t bit = 0; ha_value_name(fact, bit); bit++) {
		bits[fact] = 1U << bit;
		walk(bits, fact + 1);
	}
}

/* A row that nothing reaches is a row that somebody believes in. */
static void
test_no_row_is_dead(void)
{
	for (size_t i = 0; ha_rows[i].why; i++) {
		if (i < ROWS && reached[i])
			continue;
		printf("row %zu: %s\n", i, ha_rows[i].why);
		CHECK(!"a row that no facts reach");
	}
}

static void
test_words(void)
{
	for (int a = 0; a < HA_ACTIONS; a++)
		CHECK(ha_action_word((enum ha_action)a) != NULL);
	CHECK(ha_value_name(0, 8) == NULL);
	CHECK(ha_value_name(5, 11) == NULL);
	CHECK_STR(ha_value_name(5, 8), "astray");
	CHECK(ha_value_name(0, 1000) == NULL);
}

int
main(void)
{
	unsigned bits[HA_FACTS] = { 0 };

	walk(bits, 0);
	CHECK(combinations == 8 * 2 * 2 * 6 * 4 * 11 * 3 * 2 * 2);
	test_no_row_is_dead();
	test_words();
	return unit_end();
}
